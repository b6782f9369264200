"""Idempotency keys: how a request is known again."""

from hashlib import sha256
from uuid import UUID

from kaquan.kit.ids import uuid_from


def hash_key(book_id: int, key: str) -> UUID:
    """What finds a request: the first half of SHA-256 over book and key, so that books never share keys."""
    return uuid_from(int.from_bytes(sha256(b"%d\n%s" % (book_id, key.encode())).digest()[:16]))


def hash_request(method: str, path: str, body: bytes) -> bytes:
    """What tells whether two requests with one key are the same request: SHA-256 over method, path and body."""
    return sha256(b"%s %s\n%s" % (method.encode(), path.encode(), body)).digest()
