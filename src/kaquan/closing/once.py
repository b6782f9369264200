"""Answer a request once: its decision and its answer are one commit, and its key finds that answer for ever after.

The desk of payments does the same for batches; here are requests of which there are few, and each of which writes rows
of its own beside the ledger.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from kaquan.closing import store
from kaquan.kit.clock import Clock
from kaquan.kit.db import Connection, Pool
from kaquan.kit.outcomes import BUSY, IDEMPOTENCY_KEY_REUSED, Refusal
from kaquan.ledger import Answer, Posting, RequestKey

MAX_PLANS = 8
"""A decision that turns out to be made on stale facts is made again so many times."""

Write = Callable[[Connection], Awaitable[bool]]
"""Writes rows in the transaction of a decision; False: the facts are stale, and nothing at all is kept."""


class Decision(NamedTuple):
    """What was decided: the answer, what to post, what to write before it (locks) and after it."""

    answer: Answer
    posting: Posting | None = None
    before: Write | None = None
    after: Write | None = None


async def answer_once(
    pool: Pool,
    clock: Clock,
    *,
    book_id: int,
    slots: Sequence[int],
    slot: int,
    key: RequestKey,
    decide: Callable[[], Awaitable[Decision]],
    render: Callable[[Refusal], Answer],
) -> Answer:
    """The answer to a request, decided now or when its key came first; a refusal is an answer too.

    Refused here and not kept: ``idempotency_key_reused``, ``busy``.
    """
    if await store.is_key_of_another(pool, key, slots=slots, at=clock.now()):
        return render(IDEMPOTENCY_KEY_REUSED.refuse("Idempotency-Key"))
    for _ in range(MAX_PLANS):
        kept = await store.load_answer(pool, key, slot=slot)
        if kept is not None:
            request_hash, answer = kept
            same = request_hash == key.request_hash
            return answer if same else render(IDEMPOTENCY_KEY_REUSED.refuse("Idempotency-Key"))
        answer, posting, before, after = await decide()
        if await store.post_decision(
            pool,
            book_id=book_id,
            slot=slot,
            key=key,
            answer=answer,
            posting=posting,
            before=before,
            after=after,
            recorded_at=clock.now(),
        ):
            return answer
    return render(BUSY.refuse())
