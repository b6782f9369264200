"""Secrets of API keys: 256 random bits, shown once, kept as a hash.

With that much entropy there is nothing to guess, so a fast hash is enough (OWASP ASVS 5.0, 6.5.2); it lets
every request be authenticated in memory.
"""

import hashlib
import hmac
import secrets

SECRET_BYTES = 32
SECRET_LENGTH = 43
"""Characters of a secret: base64url of 32 bytes without padding."""

_NOBODY = bytes(32)


def new_secret() -> str:
    """A new secret of ``SECRET_LENGTH`` characters."""
    return secrets.token_urlsafe(SECRET_BYTES)


def hash_secret(secret: str) -> bytes:
    """What is kept of a secret: its SHA-256."""
    return hashlib.sha256(secret.encode()).digest()


def secret_matches(secret: str, expected_hash: bytes | None) -> bool:
    """Whether ``secret`` is the one behind the hash; takes the same time when there is no such key (None)."""
    same = hmac.compare_digest(hash_secret(secret), _NOBODY if expected_hash is None else expected_hash)
    return same and expected_hash is not None
