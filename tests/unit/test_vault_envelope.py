"""Files sealed to a public key: they open for their reader, whole and unaltered, and for nobody else."""

import io
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from kaquan.vault import EnvelopeError, EnvelopeWriter, read_envelope, read_envelope_header, read_public_key
from kaquan.vault.envelope import CHUNK_BYTES

KEYS: dict[str, Any] = {"x25519": X25519PrivateKey.generate(), "rsa": generate_rsa(65_537, 2_048)}


def public_pem(key: Any) -> str:
    pem: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem.decode()


def private_pem(key: Any, passphrase: bytes | None = None) -> bytes:
    protection = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)
    return pem


def sealed(content: bytes, key: Any, piece: int = 10_000) -> tuple[bytes, str]:
    stream = io.BytesIO()
    writer = EnvelopeWriter(stream, read_public_key(public_pem(key)), {"card_count": 3})
    for start in range(0, len(content), piece):
        writer.write(content[start : start + piece])
    sha256 = writer.close()
    assert writer.size_bytes == len(stream.getvalue())
    return stream.getvalue(), sha256


def opened(envelope: bytes, key: Any) -> bytes:
    return b"".join(read_envelope(io.BytesIO(envelope), private_pem(key)))


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
def test_what_was_sealed_opens(name: str, size: int) -> None:
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    envelope, sha256 = sealed(content, KEYS[name])
    import hashlib

    assert hashlib.sha256(envelope).hexdigest() == sha256
    assert opened(envelope, KEYS[name]) == content
    assert read_envelope_header(io.BytesIO(envelope)) == {"card_count": 3}
    assert size < 256 or content[:256] not in envelope


@pytest.mark.parametrize("name", KEYS)
def test_every_alteration_is_found(name: str) -> None:
    envelope, _ = sealed(b"x" * 100, KEYS[name])
    every = 1 if name == "x25519" else 7  # reading a private RSA key takes a tenth of a second
    for position in range(0, len(envelope), every):
        altered = bytearray(envelope)
        altered[position] ^= 1
        with pytest.raises(EnvelopeError):
            opened(bytes(altered), KEYS[name])


@given(st.integers(0, 3 * CHUNK_BYTES))
@settings(max_examples=40, deadline=None)
def test_a_file_that_is_cut_off_does_not_open(cut: int) -> None:
    envelope, _ = sealed(b"x" * (2 * CHUNK_BYTES + 100), KEYS["x25519"])
    if cut < len(envelope):
        with pytest.raises(EnvelopeError):
            opened(envelope[:cut], KEYS["x25519"])
    with pytest.raises(EnvelopeError):
        opened(envelope + b"\0", KEYS["x25519"])


def test_chunks_do_not_change_places() -> None:
    envelope, _ = sealed(b"x" * (2 * CHUNK_BYTES + 100), KEYS["x25519"])
    front = len(envelope) - 100 - 16 - 2 * (CHUNK_BYTES + 16)
    middle = front + CHUNK_BYTES + 16
    end = middle + CHUNK_BYTES + 16
    moved = envelope[:front] + envelope[middle:end] + envelope[front:middle] + envelope[end:]
    with pytest.raises(EnvelopeError):
        opened(moved, KEYS["x25519"])
    with pytest.raises(EnvelopeError):  # an end at a chunk's boundary
        opened(envelope[:end], KEYS["x25519"])


def test_another_key_opens_nothing() -> None:
    envelope, _ = sealed(b"secret", KEYS["x25519"])
    for other in (X25519PrivateKey.generate(), KEYS["rsa"]):
        with pytest.raises(EnvelopeError, match="another key"):
            opened(envelope, other)


def test_a_private_key_with_a_passphrase() -> None:
    envelope, _ = sealed(b"secret", KEYS["rsa"])
    pem = private_pem(KEYS["rsa"], b"word")
    assert b"".join(read_envelope(io.BytesIO(envelope), pem, "word")) == b"secret"
    for passphrase in (None, "other"):
        with pytest.raises(EnvelopeError, match="passphrase"):
            list(read_envelope(io.BytesIO(envelope), pem, passphrase))


def test_keys_that_cannot_be_used() -> None:
    elliptic = generate_private_key(SECP256R1())
    weak = generate_rsa(65_537, 1_024)
    for pem in ("", "x", private_pem(KEYS["x25519"]).decode(), public_pem(elliptic), public_pem(weak)):
        with pytest.raises(EnvelopeError):
            read_public_key(pem)
    envelope, _ = sealed(b"secret", KEYS["rsa"])
    for private in (b"", b"x", private_pem(elliptic), public_pem(KEYS["rsa"]).encode()):
        with pytest.raises(EnvelopeError):
            list(read_envelope(io.BytesIO(envelope), private))
    for text in (b"", b"kaquan", b"kaquan envelope 1\n\xff\xff\xff\xff", b"kaquan envelope 1\n\0\0\0\x02{}"):
        with pytest.raises(EnvelopeError):
            read_envelope_header(io.BytesIO(text))
