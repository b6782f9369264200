"""The key ring's file: master keys for sealing and for look-ups, mode 0600, perhaps under a passphrase.

Format 2::

    {"format": 2, "current": "k2",
     "seals":   [{"id": "k1", "cipher": "aes-256-gcm", "key": "<base64 of 32 bytes>"}, …],
     "lookups": [{"id": "l1", "mac": "hmac-sha256", "key": "<base64 of 32 bytes>"}, …],
     "pepper":  {"id": "p1", "mac": "hmac-sha256", "key": "<base64 of 32 bytes>"},
     "signers": [{"id": "g1", "key": "<base64 of 32 bytes>"}, …],
     "sm_signers": [{"id": "s1", "key": "<base64 of 32 bytes>"}, …]}

New values are sealed under the current key; the others open older values. Look-up keys stand oldest first: while there
is more than one a rotation runs, and values are found under any of them. The pepper is for what is hashed and kept
nowhere (PINs, requests with a PIN): nothing could be hashed anew, so no rotation changes it. Signers are the Ed25519
keys (RFC 8032) of the transparency log, oldest first: all of them sign each checkpoint, and whoever knows one can
verify it. A file without them, from an older release, has one that is derived from the pepper. SM signers are the seeds
of SM2 keys that sign the log's SM profile; while there is none, there is no such profile.

With a passphrase the same document is sealed: ``{"format": 2, "scrypt": {"salt": …, "n": …, "r": …, "p": …}, "sealed":
"<base64 of nonce and AES-256-GCM>"}`` (scrypt: RFC 7914).

Format 1, which is still read, was ``{"current": "k1", "keys": {"k1": "<base64>"}}``: its look-up key is derived from
the first key.
"""

import base64
import binascii
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from msgspec.structs import force_setattr

from kaquan.vault.kinds import find_ciphers
from kaquan.vault.macs import DEFAULT_MAC, MACS

KEY_BYTES = 32
DEFAULT_CIPHER = "aes-256-gcm"
FIRST_SEAL_ID, FIRST_LOOKUP_ID, PEPPER_ID, FIRST_SIGNER_ID = "k1", "l1", "p1", "g1"

SCRYPT_N = 1 << 17
"""Cost of a guess at the passphrase: 128 MiB and some tenths of a second (OWASP, password storage)."""
MAX_SCRYPT_N = 1 << 20
_SCRYPT_R, _SCRYPT_P = 8, 1

_NONCE_BYTES = 12
_SEALED_AS = b"kaquan key ring 2"


class KeyringError(Exception):
    """The key ring is missing, damaged or would be overwritten; the message names the file, never a key."""


class SealKey(msgspec.Struct, frozen=True):
    """A master key for sealing, with its cipher."""

    id: str
    cipher: str
    key: bytes

    def __repr__(self) -> str:
        return f"SealKey({self.id!r}, {self.cipher!r})"


class LookupKey(msgspec.Struct, frozen=True):
    """A master key for look-ups, or the pepper, with its keyed hash."""

    id: str
    mac: str
    key: bytes

    def __repr__(self) -> str:
        return f"LookupKey({self.id!r}, {self.mac!r})"


class SignKey(msgspec.Struct, frozen=True):
    """The seed of an Ed25519 or SM2 key that signs checkpoints of the log."""

    id: str
    key: bytes

    def __repr__(self) -> str:
        return f"SignKey({self.id!r})"


class Ring(msgspec.Struct, frozen=True):
    """What a key ring holds. ``lookups``, ``signers`` and ``sm_signers`` are the oldest first, the last is current.

    ``pepper`` never changes. Without signers one is derived from it.
    """

    current: str
    seals: tuple[SealKey, ...]
    lookups: tuple[LookupKey, ...]
    pepper: LookupKey
    signers: tuple[SignKey, ...] = ()
    sm_signers: tuple[SignKey, ...] = ()

    def __post_init__(self) -> None:
        if not self.signers:
            seed = HKDF(SHA256(), length=KEY_BYTES, salt=None, info=b"kaquan/v1/log signer").derive(self.pepper.key)
            force_setattr(self, "signers", (SignKey(FIRST_SIGNER_ID, seed),))


class Scrypted(msgspec.Struct, frozen=True):
    """A key that was derived from a passphrase, with what it was derived by: deriving it takes long."""

    salt: bytes
    n: int
    key: bytes

    def __repr__(self) -> str:
        return "Scrypted(...)"


class _Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    key: str
    cipher: str = DEFAULT_CIPHER
    mac: str = DEFAULT_MAC


class _Signer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    key: str


class _Scrypt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    salt: str
    n: int
    r: int
    p: int


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    format: int = 1
    current: str = ""
    keys: dict[str, str] = {}
    seals: list[_Key] = []
    lookups: list[_Key] = []
    pepper: _Key | None = None
    signers: list[_Signer] = []
    sm_signers: list[_Signer] = []
    scrypt: _Scrypt | None = None
    sealed: str = ""


def new_key() -> bytes:
    """A new random master key."""
    return secrets.token_bytes(KEY_BYTES)


def new_ring() -> Ring:
    """A ring with one key of each sort."""
    return Ring(
        FIRST_SEAL_ID,
        (SealKey(FIRST_SEAL_ID, DEFAULT_CIPHER, new_key()),),
        (LookupKey(FIRST_LOOKUP_ID, DEFAULT_MAC, new_key()),),
        LookupKey(PEPPER_ID, DEFAULT_MAC, new_key()),
        (SignKey(FIRST_SIGNER_ID, new_key()),),
    )


def stamp_of(path: Path) -> tuple[int, int, int] | None:
    """What changes when the file does; None if it is not there. Cheap enough to ask every second."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def read_ring(path: Path, passphrase: str | None, known: Scrypted | None = None) -> tuple[Ring, Scrypted | None]:
    """The ring in ``path``, and the key that opened it if it was sealed. Raises KeyringError.

    ``known`` saves the slow derivation when the file is sealed by the same one.
    """
    try:
        text = path.read_bytes()
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise KeyringError(
            f"There is no key ring at {path}. No card can be found without it: restore its backup."
        ) from None
    except OSError as error:
        raise KeyringError(f"The key ring {path} cannot be read: {error.strerror}.") from None
    damaged = KeyringError(f"The key ring {path} is damaged: restore it from its backup.")
    # from None below: the context of these errors would hold key material
    try:
        file = msgspec.json.decode(text, type=_File)
        if file.scrypt is not None:
            if passphrase is None:
                raise KeyringError(
                    f"The key ring {path} is sealed: set KAQUAN_KEYRING_PASSPHRASE. / 密钥文件已加密，请设置口令。"
                )
            known = _derive(passphrase, file.scrypt, known)
            sealed = _bytes(file.sealed)
            try:
                text = AESGCM(known.key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _SEALED_AS)
            except (InvalidTag, ValueError):
                raise KeyringError(
                    f"The key ring {path} does not open: KAQUAN_KEYRING_PASSPHRASE is not its passphrase, or it is "
                    "damaged. / 口令不符或密钥文件已损坏。"
                ) from None
            file = msgspec.json.decode(text, type=_File)
        else:
            known = None
        ring = _ring_of(file)
    except (msgspec.DecodeError, UnicodeError, binascii.Error, ValueError):
        raise damaged from None
    _check(ring, path)
    if mode & 0o077:
        raise KeyringError(f"Others can open the key ring {path}: chmod 600 it first. / 密钥文件权限过宽，应为 600。")
    return ring, known


def _ring_of(file: _File) -> Ring:
    if file.format == 1:
        keys = {key_id: _bytes(key) for key_id, key in file.keys.items()}
        if not keys:
            raise ValueError("no key")
        oldest = next(iter(keys.values()))
        return Ring(
            file.current,
            tuple(SealKey(key_id, DEFAULT_CIPHER, key) for key_id, key in keys.items()),
            (LookupKey(FIRST_LOOKUP_ID, DEFAULT_MAC, oldest),),
            LookupKey(PEPPER_ID, DEFAULT_MAC, oldest),
        )
    if file.format != 2 or not file.lookups or file.pepper is None:
        raise ValueError("another format")
    return Ring(
        file.current,
        tuple(SealKey(key.id, key.cipher, _bytes(key.key)) for key in file.seals),
        tuple(LookupKey(key.id, key.mac, _bytes(key.key)) for key in file.lookups),
        LookupKey(file.pepper.id, file.pepper.mac, _bytes(file.pepper.key)),
        tuple(SignKey(key.id, _bytes(key.key)) for key in file.signers),
        tuple(SignKey(key.id, _bytes(key.key)) for key in file.sm_signers),
    )


def _check(ring: Ring, path: Path) -> None:
    keys: list[SealKey | LookupKey | SignKey] = [
        *ring.seals,
        *ring.lookups,
        ring.pepper,
        *ring.signers,
        *ring.sm_signers,
    ]
    ids = [key.id for key in keys]
    if ring.current not in [key.id for key in ring.seals]:
        raise KeyringError(f"The key ring {path} names a current key that it does not hold.")
    if any(len(key.key) != KEY_BYTES for key in keys):
        raise KeyringError(f"The key ring {path} holds a key that is not {KEY_BYTES} bytes long.")
    if not all(key_id.isascii() and 0 < len(key_id) < 256 for key_id in ids):
        raise KeyringError(f"The key ring {path} holds a key whose id is not 1 to 255 ASCII characters.")
    if len(set(ids)) != len(ids):
        raise KeyringError(f"The key ring {path} holds two keys of one id.")
    unknown = {key.cipher for key in ring.seals} - set(find_ciphers())
    unknown |= {key.mac for key in (*ring.lookups, ring.pepper)} - set(MACS)
    if unknown:
        raise KeyringError(f"The key ring {path} names what this release does not know: {', '.join(sorted(unknown))}.")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text.encode("ascii"), validate=True)


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _derive(passphrase: str, by: _Scrypt, known: Scrypted | None) -> Scrypted:
    salt = _bytes(by.salt)
    if (by.r, by.p) != (_SCRYPT_R, _SCRYPT_P) or not 2 <= by.n <= MAX_SCRYPT_N or len(salt) < 16:
        raise ValueError("a cost that was never written")
    if known is not None and (known.salt, known.n) == (salt, by.n):
        return known
    return Scrypted(salt, by.n, Scrypt(salt, KEY_BYTES, by.n, _SCRYPT_R, _SCRYPT_P).derive(passphrase.encode()))


def seal_by(passphrase: str, *, scrypt_n: int = SCRYPT_N) -> Scrypted:
    """A key from a passphrase with a new salt, for :func:`write_ring`."""
    salt = secrets.token_bytes(16)
    return _derive(passphrase, _Scrypt(_text(salt), scrypt_n, _SCRYPT_R, _SCRYPT_P), None)


def _content(ring: Ring, protection: Scrypted | None) -> bytes:
    plain = msgspec.json.encode(
        _File(
            format=2,
            current=ring.current,
            seals=[_Key(key.id, _text(key.key), cipher=key.cipher) for key in ring.seals],
            lookups=[_Key(key.id, _text(key.key), mac=key.mac) for key in ring.lookups],
            pepper=_Key(ring.pepper.id, _text(ring.pepper.key), mac=ring.pepper.mac),
            signers=[_Signer(key.id, _text(key.key)) for key in ring.signers],
            sm_signers=[_Signer(key.id, _text(key.key)) for key in ring.sm_signers],
        )
    )
    if protection is None:
        return plain + b"\n"
    nonce = os.urandom(_NONCE_BYTES)
    sealed = nonce + AESGCM(protection.key).encrypt(nonce, plain, _SEALED_AS)
    by = _Scrypt(_text(protection.salt), protection.n, _SCRYPT_R, _SCRYPT_P)
    return msgspec.json.encode(_File(format=2, scrypt=by, sealed=_text(sealed))) + b"\n"


def create_ring(path: Path, ring: Ring, protection: Scrypted | None = None) -> None:
    """Write a first ring to ``path``, which must not be there (KeyringError)."""
    try:
        with _draft(path, _content(ring, protection)) as draft:
            os.link(draft, path)  # a hard link never overwrites, and the file is whole the moment it has its name
    except FileExistsError:
        raise KeyringError(f"There is a key ring at {path} already; it is never overwritten.") from None
    except OSError as error:
        raise KeyringError(f"The key ring {path} cannot be written: {error.strerror}.") from None


def replace_ring(path: Path, ring: Ring, protection: Scrypted | None = None) -> None:
    """Put ``ring`` in the place of the one in ``path``, at once and whole. Raises KeyringError.

    Call it inside :func:`only_writer`, with what was read inside it.
    """
    try:
        with _draft(path, _content(ring, protection)) as draft:
            draft.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise KeyringError(f"The key ring {path} cannot be written: {error.strerror}.") from None


@contextmanager
def only_writer(path: Path) -> Iterator[None]:
    """Nobody else changes the ring meanwhile. Raises KeyringError when somebody does."""
    lock = path.with_name(f"{path.name}.lock")
    try:
        descriptor = os.open(lock, os.O_WRONLY | os.O_CREAT, 0o600)
    except OSError as error:
        raise KeyringError(f"The key ring {path} cannot be changed: {error.strerror}.") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise KeyringError(f"Another command is changing the key ring {path}. / 另有命令正在更换密钥。") from None
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _draft(path: Path, content: bytes) -> Iterator[Path]:
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        yield draft
    finally:
        draft.unlink(missing_ok=True)
