"""Requests that move value and are served by Litestar: done once under an Idempotency-Key, answered once.

The first answer, a refusal too, is kept in the ledger's table of answers, as for payments, and for the same time; a
retry gets it byte for byte. The work itself is done once for another reason: either its intent carries the hash of the
key under a unique constraint, so that a retry whose first try died before it had an answer goes on with the same
intent; or it keeps the answer itself, in the commit of what it does (:mod:`kaquan.closing.once`).
"""

import re
from collections.abc import Awaitable, Callable
from uuid import UUID

from litestar.response import Response

from kaquan.app import App
from kaquan.doors.http.outcomes import IDEMPOTENCY_KEY_MISSING
from kaquan.doors.http.problems import PROBLEM_TYPE, RefusedError, problem_bytes, problem_response
from kaquan.doors.http.request import ApiRequest, app_of
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import (
    Answer,
    Item,
    RequestKey,
    claim_keys,
    hash_key,
    hash_request,
    post_batch,
    read_answers,
    slot_of,
)
from kaquan.ledger.outcomes import IDEMPOTENCY_KEY_REUSED

MAX_KEY_LENGTH = 255


_USABLE_KEY = re.compile(rb"[!-~]{1,%d}" % MAX_KEY_LENGTH).fullmatch


def read_key(header: bytes | None) -> str | None:
    """The idempotency key: bare, or a quoted string as the IETF draft writes it. None if there is no usable one."""
    if header is None:
        return None
    if len(header) >= 2 and header[:1] == header[-1:] == b'"':
        header = header[1:-1]
    return header.decode("ascii") if _USABLE_KEY(header) else None


def make_key(app: App, book_id: int, name: str, path: str, body: bytes) -> RequestKey:
    """The key of a POST with the keyed hash of the request.

    Bodies hold what can be guessed: card numbers, PINs, account numbers. Nobody can try them on what is kept without
    the key ring, whose pepper never changes, so that a retry is known again after every rotation (ADR 0018).
    """
    return RequestKey(name, hash_key(book_id, name), app.keyring.hide_request(hash_request("POST", path, body)))


async def answer_once(
    request: ApiRequest,
    body: bytes,
    *,
    near: UUID,
    work: Callable[[RequestKey], Awaitable[Answer | Refusal]],
) -> Response[bytes]:
    """The first answer to the request's key; ``work`` is done if there is none. ``near`` is what the answer lives with.

    A refusal that may pass (``busy``) is not kept. Raises RefusedError without a key.
    """
    header = request.headers.get("idempotency-key")
    name = read_key(None if header is None else header.encode("latin-1", "replace"))
    if name is None:
        raise RefusedError(IDEMPOTENCY_KEY_MISSING.refuse("Idempotency-Key"))
    book_id = request.user.book_id
    app = app_of(request)
    key = make_key(app, book_id, name, request.scope["path"], body)
    kept = await keep_first(app, near=near, book_id=book_id, key=key, work=work)
    if isinstance(kept, Refusal):
        return problem_response(kept)
    media_type = "application/json" if kept.status < 400 else PROBLEM_TYPE
    return Response(kept.body, status_code=kept.status, media_type=media_type)


async def keep_first(
    app: App, *, near: UUID, book_id: int, key: RequestKey, work: Callable[[RequestKey], Awaitable[Answer | Refusal]]
) -> Answer | Refusal:
    """The first answer to ``key``, from now on or from before.

    ``work`` begins with what its key has done already; it is asked twice before a refusal is believed.
    Refused, and not kept: ``idempotency_key_reused`` for another request's key, and what of ``work`` may pass.
    """
    slot = slot_of(near, app.slots)
    async with app.pool.connection() as connection:
        if len(app.slots) > 1 and await claim_keys(connection, [key], slots=app.slots, at=app.clock.now()):
            return IDEMPOTENCY_KEY_REUSED.refuse("Idempotency-Key")
        kept = await read_answers(connection, slot=slot, key_hashes=[key.key_hash])
    if not kept:
        result = await work(key)
        if isinstance(result, Refusal) and not result.outcome.retryable:
            # The same request may have arrived twice, and the other one done it after this one had looked for that:
            # what this one is refused for then is what it asked for itself. A second look finds what was done.
            result = await work(key)
        if isinstance(result, Refusal) and result.outcome.retryable:
            return result
        made = Answer(*problem_bytes(result)) if isinstance(result, Refusal) else result
        async with app.pool.connection() as connection:
            item = Item(book_id, None, key, made)
            await post_batch(connection, [item], slot=slot, recorded_at=app.clock.now())
            kept = await read_answers(connection, slot=slot, key_hashes=[key.key_hash])
    request_hash, first = kept[key.key_hash]
    if request_hash != key.request_hash:
        return IDEMPOTENCY_KEY_REUSED.refuse("Idempotency-Key")
    return first
