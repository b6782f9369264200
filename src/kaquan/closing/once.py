"""Carry a request out: what was decided and the answer to its key are one commit.

The desk of payments does the same for batches; here are requests of which there are few, and each of which writes rows
of its own beside the ledger. Whoever asks under a key that has its answer is told so before this room is asked.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from kaquan.closing import store
from kaquan.kit.clock import Clock
from kaquan.kit.db import Connection, Pool
from kaquan.kit.outcomes import BUSY, Refusal
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


async def carry_out(
    pool: Pool,
    clock: Clock,
    *,
    book_id: int,
    slot: int,
    key: RequestKey,
    decide: Callable[[], Awaitable[Decision | Refusal]],
) -> Answer | Refusal:
    """The answer, which is kept under ``key`` from the commit of the decision on.

    Refused: as ``decide``, which keeps nothing; ``busy``. When another request had the same key first, what is
    returned here is not the answer to it: whoever keeps the answers tells the first.
    """
    for _ in range(MAX_PLANS):
        decided = await decide()
        if isinstance(decided, Refusal):
            return decided
        if await store.post_decision(
            pool,
            book_id=book_id,
            slot=slot,
            key=key,
            answer=decided.answer,
            posting=decided.posting,
            before=decided.before,
            after=decided.after,
            recorded_at=clock.now(),
        ):
            return decided.answer
    return BUSY.refuse()
