"""The key ring of a process: seals and opens values, and makes the look-ups by which they are found.

Every sealed value names the key it was sealed under, so keys can be changed with the product running: the file is
looked at again by :meth:`Keyring.refresh`, and at once when a value names a key that is not known yet.

A sealed value is, in this format (2): a zero byte, 2, the cipher's code, the length of the key id, the key id, the
nonce, the ciphertext with its tag; all that is in front of the nonce is authenticated with the context. Format 1, which
is still opened: the length of the key id (never zero), the key id, a nonce of 12 bytes, AES-256-GCM.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kaquan.vault.kinds import Aead, Cipher, find_ciphers
from kaquan.vault.macs import DEFAULT_MAC, MACS, Mac
from kaquan.vault.ring_file import (
    DEFAULT_CIPHER,
    FIRST_LOOKUP_ID,
    PEPPER_ID,
    KeyringError,
    LookupKey,
    Ring,
    Scrypted,
    SealKey,
    create_ring,
    new_ring,
    read_ring,
    seal_by,
    stamp_of,
)
from kaquan.vault.sm2 import Sm2Signer

CARD_NUMBER = b"card number"
"""The purpose under which card numbers are looked up."""

_FORMAT = b"\x00\x02"
_NONCE_BYTES = 12
_OLD_CIPHER = "aes-256-gcm"


class SealError(Exception):
    """A sealed value was altered, belongs to something else, or its key is not in this key ring."""


class _Seal(NamedTuple):
    cipher: Cipher
    aead: Aead
    old: Aead | None
    """What opens format 1, where the key may have been used for it."""
    header: bytes


class LogSigner:
    """A key that signs checkpoints of the log."""

    def __init__(self, id_: str, seed: bytes) -> None:
        self.id = id_
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self._key.public_key().public_bytes_raw()

    def sign(self, text: bytes) -> bytes:
        """The 64 bytes of its Ed25519 signature (RFC 8032)."""
        return self._key.sign(text)

    def __repr__(self) -> str:
        return f"LogSigner({self.id!r})"


class _Keys:
    """What is derived from one ring. Never changed: a new ring makes another one."""

    def __init__(self, ring: Ring) -> None:
        self.ring = ring
        self.seals: Mapping[bytes, _Seal] = {key.id.encode("ascii"): _seal_of(key) for key in ring.seals}
        self.current = self.seals[ring.current.encode("ascii")]
        self._macs: dict[tuple[str, bytes], Mac] = {}
        pepper = MACS[ring.pepper.mac]
        self.pins = pepper(_derive(ring.pepper.key, b"kaquan/v1/pin", 32))
        self.requests = pepper(_derive(ring.pepper.key, b"kaquan/v1/request", 32))
        self.subjects = pepper(_derive(ring.pepper.key, b"kaquan/v1/subject", 32))
        self.signers = tuple(LogSigner(key.id, key.key) for key in ring.signers)
        self.sm_signers = tuple(Sm2Signer(key.id, key.key) for key in ring.sm_signers)

    def mac(self, key: LookupKey, purpose: bytes) -> Mac:
        known = self._macs.get((key.id, purpose))
        if known is None:
            known = MACS[key.mac](_derive(key.key, b"kaquan/v1/" + purpose + b" lookup", 32))
            self._macs[key.id, purpose] = known
        return known


def _seal_of(key: SealKey) -> _Seal:
    cipher = find_ciphers()[key.cipher]
    key_id = key.id.encode("ascii")
    return _Seal(
        cipher,
        cipher.use(_derive(key.key, b"kaquan/v2/seal/" + cipher.name.encode(), cipher.key_bytes)),
        cipher.use(_derive(key.key, b"kaquan/v1/card number seal", 32)) if cipher.name == _OLD_CIPHER else None,
        _FORMAT + bytes([cipher.code, len(key_id)]) + key_id,
    )


class Keyring:
    """Looks values up and seals them, with keys that never leave this object."""

    def __init__(self, keys: dict[str, bytes], *, current: str, cipher: str = DEFAULT_CIPHER) -> None:
        """``keys`` are master keys of 32 bytes by key id; the oldest, the first, is look-up key and pepper too."""
        oldest = next(iter(keys.values()))
        seals = tuple(SealKey(key_id, cipher, key) for key_id, key in keys.items())
        lookup, pepper = (LookupKey(key_id, DEFAULT_MAC, oldest) for key_id in (FIRST_LOOKUP_ID, PEPPER_ID))
        self._keys = _Keys(Ring(current, seals, (lookup,), pepper))
        self._path: Path | None = None
        self._passphrase: str | None = None
        self._protection: Scrypted | None = None
        self._stamp: tuple[int, int, int] | None = None

    @classmethod
    def of(cls, ring: Ring) -> "Keyring":
        """The key ring with this content, of no file."""
        made = cls.__new__(cls)
        made._keys = _Keys(ring)
        made._path, made._passphrase, made._protection, made._stamp = None, None, None, None
        return made

    @classmethod
    def load(cls, path: Path, passphrase: str | None = None) -> "Keyring":
        """The key ring in ``path``. Raises KeyringError if it is not there, not one, or does not open."""
        stamp = stamp_of(path)  # before the content: a change in between is seen by the next refresh
        ring, protection = read_ring(path, passphrase)
        made = cls.of(ring)
        made._path, made._passphrase, made._protection, made._stamp = path, passphrase, protection, stamp
        return made

    @classmethod
    def create(cls, path: Path, passphrase: str | None = None) -> "Keyring":
        """A new key ring with random keys, written to ``path``, which must not be there (KeyringError)."""
        create_ring(path, new_ring(), None if passphrase is None else seal_by(passphrase))
        return cls.load(path, passphrase)

    def refresh(self) -> bool:
        """Read the file again if it has changed; whether it had. Costs one look at the file's dates otherwise.

        Raises KeyringError when there is nothing to read; the keys that are known then stay.
        """
        if self._path is None:
            return False
        stamp = stamp_of(self._path)
        if stamp == self._stamp:
            return False
        ring, self._protection = read_ring(self._path, self._passphrase, self._protection)
        self._keys, self._stamp = _Keys(ring), stamp
        return True

    # Look-ups

    def lookup(self, text: str, purpose: bytes = CARD_NUMBER) -> UUID:
        """The name under which ``text`` is found: the first half of its keyed hash, under the current look-up key."""
        keys = self._keys
        return UUID(bytes=keys.mac(keys.ring.lookups[-1], purpose)(text.encode())[:16])

    def lookups(self, text: str, purpose: bytes = CARD_NUMBER) -> list[tuple[str, UUID]]:
        """The same under every look-up key, with its id; the oldest first. More than one while a rotation runs.

        Whoever searches asks for them in this order: what moves from one to the next is then found.
        """
        keys = self._keys
        return [(key.id, UUID(bytes=keys.mac(key, purpose)(text.encode())[:16])) for key in keys.ring.lookups]

    @property
    def lookup_ids(self) -> tuple[str, ...]:
        """The look-up keys, the oldest first; the last is the current one."""
        return tuple(key.id for key in self._keys.ring.lookups)

    # What is hashed for good: under the pepper, so that it compares after every rotation

    def peppered(self, pin: str, context: bytes) -> bytes:
        """What the slow hash of a PIN is made over: its keyed hash, bound to ``context`` (the card id's bytes).

        A PIN is one of a million: without this key a stolen database would give it away in a day of hashing.
        """
        return self._keys.pins(context + pin.encode())

    def hide_request(self, request_hash: bytes) -> bytes:
        """The hash of a request as it may be kept: nobody can try card numbers or PINs on it without the key."""
        return self._keys.requests(request_hash)

    def subject(self, text: str) -> UUID:
        """The name under which something is counted that is kept nowhere, such as a number that was guessed."""
        return UUID(bytes=self._keys.subjects(text.encode())[:16])

    @property
    def log_signers(self) -> tuple[LogSigner, ...]:
        """The keys that sign checkpoints of the log, the oldest first."""
        return self._keys.signers

    @property
    def sm_signers(self) -> tuple[Sm2Signer, ...]:
        """The keys that sign the log's SM profile, the oldest first; none while it is off."""
        return self._keys.sm_signers

    # Sealing

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """``plain`` under the current key, bound to ``context`` (for a card number the card id's bytes)."""
        current = self._keys.current
        nonce = os.urandom(_NONCE_BYTES)
        return current.header + nonce + current.aead.encrypt(nonce, plain, current.header + context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """What was sealed with the same ``context``. Raises SealError if it is not that."""
        key_id, start = _read_header(sealed)
        key = self._keys.seals.get(key_id)
        if key is None and self._refresh_quietly():
            key = self._keys.seals.get(key_id)  # another process was told of a new key before this one
        if key is None:
            raise SealError("sealed under a key that this key ring does not hold")
        is_old = sealed[:1] != b"\x00"
        header = b"" if is_old else sealed[:start]
        aead = key.old if is_old else key.aead
        if aead is None or (not is_old and header != key.header):
            raise SealError("sealed by another cipher than its key's")
        nonce, ciphertext = sealed[start : start + _NONCE_BYTES], sealed[start + _NONCE_BYTES :]
        try:
            return aead.decrypt(nonce, ciphertext, header + context)
        except (InvalidTag, ValueError):
            raise SealError("the sealed value was altered or belongs to something else") from None

    def _refresh_quietly(self) -> bool:
        try:
            return self.refresh()
        except KeyringError:
            return False

    @property
    def current_header(self) -> bytes:
        """What every value begins with that is sealed now."""
        return self._keys.current.header

    @property
    def seal_ids(self) -> tuple[str, ...]:
        """The sealing keys, in the order of the ring."""
        return tuple(key.id for key in self._keys.ring.seals)

    @property
    def current_seal_id(self) -> str:
        """The key that new values are sealed under."""
        return self._keys.ring.current

    def __repr__(self) -> str:
        ring = self._keys.ring
        return f"Keyring(current={ring.current!r}, keys={sorted(key.id for key in ring.seals)!r})"


def key_id_of(sealed: bytes) -> str:
    """The id of the key that a value was sealed under. Raises SealError for what is no sealed value."""
    return _read_header(sealed)[0].decode("ascii", "replace")


def _read_header(sealed: bytes) -> tuple[bytes, int]:
    """The key id of a sealed value, and where its nonce begins."""
    if sealed[:1] == b"\x00":
        if len(sealed) < 4 or sealed[1] != _FORMAT[1]:
            raise SealError("sealed in a format that this release does not know")
        start = 4 + sealed[3]
        return sealed[4:start], start
    start = 1 + sealed[0] if sealed else 0
    return sealed[1:start], start


def _derive(key: bytes, purpose: bytes, length: int) -> bytes:
    """A key for one purpose: HKDF-SHA256 (RFC 5869), without a salt since master keys are random."""
    return HKDF(SHA256(), length=length, salt=None, info=purpose).derive(key)
