"""The key ring: one small file of master keys, from which a key per purpose is derived.

File: ``{"current": "k1", "keys": {"k1": "<base64 of 32 bytes>"}}``, mode 0600. New values are sealed under
the current key; older keys stay to open older values. The look-up key is derived from the *first* key of the
file, because a look-up that changed would find no card: rotating it means looking every number up anew.
"""

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from pathlib import Path
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
NONCE_BYTES = 12
FIRST_KEY_ID = "k1"


class KeyringError(Exception):
    """The key ring is missing, damaged or would be overwritten; the message names the file, never a key."""


class SealError(Exception):
    """A sealed value was altered, belongs to something else, or its key is not in this key ring."""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    current: str
    keys: dict[str, str]


class Keyring:
    """Looks numbers up and seals them, with keys that never leave this object."""

    def __init__(self, keys: dict[str, bytes], *, current: str) -> None:
        """``keys`` are master keys of 32 bytes by key id, the oldest first."""
        oldest = next(iter(keys.values()))
        self._lookup = hmac.new(_derive(oldest, b"card number lookup"), digestmod=hashlib.sha256)
        self._pins = hmac.new(_derive(oldest, b"pin"), digestmod=hashlib.sha256)
        self._requests = hmac.new(_derive(oldest, b"request"), digestmod=hashlib.sha256)
        self._seals = {key_id: AESGCM(_derive(key, b"card number seal")) for key_id, key in keys.items()}
        self._current = current
        self._header = bytes([len(current)]) + current.encode("ascii")

    @classmethod
    def load(cls, path: Path) -> "Keyring":
        """The key ring in ``path``. Raises KeyringError if it is not there or not one."""
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            raise KeyringError(
                f"There is no key ring at {path}. No card can be found without it: restore its backup."
            ) from None
        except OSError as error:
            raise KeyringError(f"The key ring {path} cannot be read: {error.strerror}.") from None
        # from None below: the context of these errors would hold key material
        try:
            file = msgspec.json.decode(text, type=_File)
            keys = {key_id: base64.b64decode(key.encode("ascii"), validate=True) for key_id, key in file.keys.items()}
        except (msgspec.DecodeError, UnicodeError, binascii.Error):
            raise KeyringError(f"The key ring {path} is damaged: restore it from its backup.") from None
        if file.current not in keys:
            raise KeyringError(f"The key ring {path} names a current key that it does not hold.")
        if any(len(key) != KEY_BYTES for key in keys.values()):
            raise KeyringError(f"The key ring {path} holds a key that is not {KEY_BYTES} bytes long.")
        if not all(key_id.isascii() and 0 < len(key_id) < 256 for key_id in keys):
            raise KeyringError(f"The key ring {path} holds a key whose id is not 1 to 255 ASCII characters.")
        return cls(keys, current=file.current)

    @classmethod
    def create(cls, path: Path) -> "Keyring":
        """A new key ring with one random key, written to ``path``, which must not be there (KeyringError)."""
        key = secrets.token_bytes(KEY_BYTES)
        content = msgspec.json.encode(_File(FIRST_KEY_ID, {FIRST_KEY_ID: base64.b64encode(key).decode()}))
        try:
            # a hard link never overwrites, and the file is whole the moment it has its name
            draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                with os.fdopen(descriptor, "wb") as stream:
                    stream.write(content + b"\n")
                    stream.flush()
                    os.fsync(stream.fileno())
                os.link(draft, path)
            finally:
                draft.unlink()
        except FileExistsError:
            raise KeyringError(f"There is a key ring at {path} already; it is never overwritten.") from None
        except OSError as error:
            raise KeyringError(f"The key ring {path} cannot be written: {error.strerror}.") from None
        return cls({FIRST_KEY_ID: key}, current=FIRST_KEY_ID)

    def lookup(self, number: str) -> UUID:
        """The name under which a card number is found: the first half of its HMAC-SHA-256."""
        mac = self._lookup.copy()
        mac.update(number.encode())
        return UUID(bytes=mac.digest()[:16])

    def peppered(self, pin: str, context: bytes) -> bytes:
        """What the slow hash of a PIN is made over: its HMAC-SHA-256, bound to ``context`` (the card id's bytes).

        A PIN is one of a million: without this key a stolen database would give it away in a day of hashing.
        """
        mac = self._pins.copy()
        mac.update(context + pin.encode())
        return mac.digest()

    def hide_request(self, request_hash: bytes) -> bytes:
        """The hash of a request that holds a PIN, as it may be kept: nobody can try PINs on it without the key."""
        mac = self._requests.copy()
        mac.update(request_hash)
        return mac.digest()

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """``plain`` under AES-256-GCM, bound to ``context`` (the card id's bytes).

        Layout: length of the key id, key id, nonce of 12 bytes, ciphertext with its tag.
        """
        nonce = os.urandom(NONCE_BYTES)
        return self._header + nonce + self._seals[self._current].encrypt(nonce, plain, context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """What was sealed with the same ``context``. Raises SealError if it is not that."""
        split = 1 + sealed[0] if sealed else 0
        key = self._seals.get(sealed[1:split].decode("ascii", "replace"))
        if key is None:
            raise SealError("sealed under a key that this key ring does not hold")
        nonce, ciphertext = sealed[split : split + NONCE_BYTES], sealed[split + NONCE_BYTES :]
        try:
            return key.decrypt(nonce, ciphertext, context)
        except (InvalidTag, ValueError):
            raise SealError("the sealed value was altered or belongs to something else") from None

    def __repr__(self) -> str:
        return f"Keyring(current={self._current!r}, keys={sorted(self._seals)!r})"


def _derive(key: bytes, purpose: bytes) -> bytes:
    """A key for one purpose: HKDF-SHA256 (RFC 5869), without a salt since master keys are random."""
    return HKDF(SHA256(), length=KEY_BYTES, salt=None, info=b"kaquan/v1/" + purpose).derive(key)
