"""The Idempotency-Key of a request that moves value, and the request that it names."""

from typing import Any, TypeVar

import msgspec

from kaquan.doors.http.outcomes import IDEMPOTENCY_KEY_MISSING
from kaquan.doors.http.problems import RefusedError
from kaquan.doors.http.reading import explain, read_raw
from kaquan.doors.http.request import ApiRequest
from kaquan.ledger import RequestKey, hash_key, hash_request

T = TypeVar("T")

MAX_KEY_LENGTH = 255

KEY_PARAMETER: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "What the client calls this request; a retry with it gets the first answer.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}


def read_key(header: bytes | None) -> str | None:
    """The idempotency key: bare, or a quoted string as the IETF draft writes it. None if there is no usable one."""
    if header is None:
        return None
    if len(header) >= 2 and header[:1] == header[-1:] == b'"':
        header = header[1:-1]
    if not 1 <= len(header) <= MAX_KEY_LENGTH or not all(0x21 <= byte <= 0x7E for byte in header):
        return None
    return header.decode("ascii")


async def read_keyed(request: ApiRequest, type_: type[T]) -> tuple[RequestKey, T]:
    """The key of a request, and its body as ``type_``. Raises RefusedError."""
    header = request.headers.get("idempotency-key")
    key = read_key(None if header is None else header.encode("latin-1"))
    if key is None:
        raise RefusedError(IDEMPOTENCY_KEY_MISSING.refuse("Idempotency-Key"))
    raw = await read_raw(request)
    try:
        body = msgspec.json.decode(raw, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RefusedError(explain(error, type_)) from None
    digest = hash_request("POST", request.scope["path"], raw)
    return RequestKey(key, hash_key(request.user.book_id, key), digest), body
