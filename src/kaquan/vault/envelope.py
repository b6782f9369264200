"""A file for one reader: sealed to a public key, so that whoever carries it learns nothing.

Layout (all integers big endian)::

    "kaquan envelope 1\\n"                     18 bytes
    length of the header                      4 bytes
    header                                    JSON: how the key is wrapped, for whom, and the writer's own notes
    chunks                                    AES-256-GCM of 65,536 bytes each, the last one shorter or empty

The key of the file is new. For an X25519 reader (RFC 7748) it is HKDF-SHA256 of the shared secret with a new key of the
writer's, salted with both public keys; for an RSA reader it is random and wrapped by RSA-OAEP with SHA-256 (RFC 8017).
The nonce of a chunk is its number in 11 bytes and a last byte that is 1 in the final chunk alone (the STREAM
construction of Hoang, Reyhanitabar, Rogaway and Vizár 2015), and every chunk is bound to the hash of all that is in
front of the chunks: nothing can be cut off, added or moved unseen.
"""

import base64
import hashlib
import secrets
from collections.abc import Iterator
from typing import IO, Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

MAGIC = b"kaquan envelope 1\n"
CHUNK_BYTES = 65_536
MIN_RSA_BITS = 2_048
MAX_HEADER_BYTES = 65_536

_TAG_BYTES = 16
_INFO = b"kaquan envelope 1 x25519"

PublicKey = X25519PublicKey | RSAPublicKey


class EnvelopeError(Exception):
    """A key cannot be used, or a file is no envelope, not for this reader, altered or cut off."""


class _Header(msgspec.Struct, frozen=True):
    wrap: str
    reader: str
    key: str
    notes: dict[str, Any]


def _oaep() -> OAEP:
    return OAEP(mgf=MGF1(SHA256()), algorithm=SHA256(), label=None)


def read_public_key(pem: str) -> PublicKey:
    """A reader's public key from PEM. Raises EnvelopeError if it is neither X25519 nor RSA of enough bits."""
    try:
        key = load_pem_public_key(pem.encode())
    except ValueError:
        raise EnvelopeError("not a public key in PEM") from None
    if isinstance(key, X25519PublicKey):
        return key
    if isinstance(key, RSAPublicKey) and key.key_size >= MIN_RSA_BITS:
        return key
    raise EnvelopeError(f"a public key must be X25519, or RSA of at least {MIN_RSA_BITS} bits")


def fingerprint(key: PublicKey) -> str:
    """What names a public key: the SHA-256 of its DER form, in hexadecimal."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


class EnvelopeWriter:
    """Writes one envelope to a binary stream. :meth:`close` ends it; without that it does not open."""

    def __init__(self, stream: IO[bytes], reader: PublicKey, notes: dict[str, Any]) -> None:
        """``notes`` go into the header in clear."""
        if isinstance(reader, X25519PublicKey):
            own = X25519PrivateKey.generate()
            sent = own.public_key().public_bytes_raw()
            key = _agree(own.exchange(reader), sent, reader.public_bytes_raw())
            wrap = "x25519-hkdf-sha256"
        else:
            key = secrets.token_bytes(32)
            sent = reader.encrypt(key, _oaep())
            wrap = "rsa-oaep-sha256"
        header = msgspec.json.encode(_Header(wrap, fingerprint(reader), base64.b64encode(sent).decode(), notes))
        front = MAGIC + len(header).to_bytes(4, "big") + header
        self._aead = AESGCM(key)
        self._bound = hashlib.sha256(front).digest()
        self._stream = stream
        self._hash = hashlib.sha256()
        self._waiting = bytearray()
        self._chunk = 0
        self.size_bytes = 0
        self.reader_fingerprint = fingerprint(reader)
        self._put(front)

    def write(self, data: bytes) -> None:
        """Add plain bytes."""
        self._waiting += data
        # the last chunk is told apart, so one that is full waits until something follows it
        while len(self._waiting) > CHUNK_BYTES:
            self._seal(bytes(self._waiting[:CHUNK_BYTES]), final=False)
            del self._waiting[:CHUNK_BYTES]

    def close(self) -> str:
        """End the envelope; the SHA-256 of the whole file, in hexadecimal. The stream stays open."""
        self._seal(bytes(self._waiting), final=True)
        self._waiting.clear()
        return self._hash.hexdigest()

    def _seal(self, plain: bytes, *, final: bool) -> None:
        self._put(self._aead.encrypt(_nonce(self._chunk, final=final), plain, self._bound))
        self._chunk += 1

    def _put(self, data: bytes) -> None:
        self._stream.write(data)
        self._hash.update(data)
        self.size_bytes += len(data)


def _agree(shared: bytes, sent: bytes, reader: bytes) -> bytes:
    return HKDF(SHA256(), length=32, salt=sent + reader, info=_INFO).derive(shared)


def _nonce(chunk: int, *, final: bool) -> bytes:
    return chunk.to_bytes(11, "big") + (b"\x01" if final else b"\x00")


def read_envelope_header(stream: IO[bytes]) -> dict[str, Any]:
    """The notes in clear of an envelope. Raises EnvelopeError."""
    return _read_front(stream)[0].notes


def _read_front(stream: IO[bytes]) -> tuple[_Header, bytes]:
    magic = stream.read(len(MAGIC))
    length = stream.read(4)
    if magic != MAGIC or len(length) != 4 or int.from_bytes(length, "big") > MAX_HEADER_BYTES:
        raise EnvelopeError("this is not an envelope of kaquan")
    text = stream.read(int.from_bytes(length, "big"))
    try:
        return msgspec.json.decode(text, type=_Header), magic + length + text
    except msgspec.DecodeError:
        raise EnvelopeError("the envelope is damaged") from None


def read_envelope(stream: IO[bytes], private_pem: bytes, passphrase: str | None = None) -> Iterator[bytes]:
    """The content of an envelope, chunk by chunk, by the reader's private key in PEM. Raises EnvelopeError.

    What was given before an error is true, but not all: use nothing of it unless the end was reached.
    """
    try:
        key = load_pem_private_key(private_pem, None if passphrase is None else passphrase.encode())
    except (ValueError, TypeError):
        raise EnvelopeError("not a private key in PEM, or not its passphrase") from None
    if not isinstance(key, X25519PrivateKey | RSAPrivateKey):
        raise EnvelopeError("a private key must be X25519 or RSA")
    header, front = _read_front(stream)
    if header.reader != fingerprint(key.public_key()):
        raise EnvelopeError("the envelope was sealed for another key")
    try:
        sent = base64.b64decode(header.key, validate=True)
        if isinstance(key, X25519PrivateKey):
            shared = key.exchange(X25519PublicKey.from_public_bytes(sent))
            file_key = _agree(shared, sent, key.public_key().public_bytes_raw())
        else:
            file_key = key.decrypt(sent, _oaep())
        aead = AESGCM(file_key)
    except ValueError:
        raise EnvelopeError("the envelope is damaged") from None
    return _read_chunks(stream, aead, hashlib.sha256(front).digest())


def _read_chunks(stream: IO[bytes], aead: AESGCM, bound: bytes) -> Iterator[bytes]:
    number = 0
    sealed = stream.read(CHUNK_BYTES + _TAG_BYTES)
    final = False
    while not final:
        following = stream.read(CHUNK_BYTES + _TAG_BYTES)
        final = not following
        try:
            plain = aead.decrypt(_nonce(number, final=final), sealed, bound)
        except (InvalidTag, ValueError):
            raise EnvelopeError("the envelope was altered or is not whole") from None
        yield plain
        sealed, number = following, number + 1
