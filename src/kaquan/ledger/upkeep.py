"""What the ledger needs from time to time: old answers forgotten, checkpoints of balances taken.

Both walk in chunks, each its own commit, and may be stopped at any moment and run again, also by two at once.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from kaquan.kit.db import Pool
from kaquan.ledger import store

CHUNK_KEYS = 10_000
CHUNK_ACCOUNTS = 500

SETTLED_AFTER = timedelta(seconds=60)
"""How long after a moment every transaction recorded at it is committed: no statement may run nearly so long."""


async def forget_answers(pool: Pool, slots: Sequence[int], *, before: datetime) -> int:
    """Forget the answers to idempotency keys that were recorded ``before`` a time; how many."""
    forgotten = 0
    for slot in slots:
        after: UUID | None = UUID(int=0)
        while after is not None:
            async with pool.connection() as connection:
                count, after = await store.forget_answers(
                    connection, slot=slot, before=before, after=after, limit=CHUNK_KEYS
                )
            forgotten += count
    return forgotten


async def take_checkpoints(pool: Pool, slots: Sequence[int], *, now: datetime) -> int:
    """Keep what every account without a floor had ``SETTLED_AFTER`` ago, if it has moved; how many were kept."""
    taken = 0
    for slot in slots:
        after: int | None = 0
        while after is not None:
            async with pool.connection() as connection:
                count, after = await store.take_checkpoints(
                    connection, slot=slot, at=now - SETTLED_AFTER, after=after, limit=CHUNK_ACCOUNTS
                )
            taken += count
    return taken
