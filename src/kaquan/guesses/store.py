"""The table ``guesses_caller``: the only file of this room that sees a cursor; see ``queries.sql``."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from kaquan.kit.db import Pool, load_queries

_QUERIES = load_queries(__package__)


async def count_failures(
    pool: Pool, callers: Sequence[UUID], *, now: datetime, share: timedelta, window: timedelta
) -> dict[UUID, datetime]:
    """Count a wrong answer of each caller that may have one more: those, with when all theirs are forgiven."""
    async with pool.connection() as connection:
        cursor = await connection.execute(
            _QUERIES["count_failures"], {"callers": list(callers), "now": now, "share": share, "window": window}
        )
        return dict(await cursor.fetchall())


async def load_full(pool: Pool, callers: Sequence[UUID]) -> dict[UUID, datetime]:
    """When all wrong answers of these callers are forgiven."""
    async with pool.connection() as connection:
        return dict(await (await connection.execute(_QUERIES["full"], {"callers": list(callers)})).fetchall())


async def load_waiting(pool: Pool, *, full_after: datetime) -> list[tuple[UUID, datetime]]:
    """The callers that have no more wrong answers now, with when all theirs are forgiven."""
    async with pool.connection() as connection:
        cursor = await connection.execute(_QUERIES["waiting"], {"full_after": full_after})
        return [(caller, full_at) for caller, full_at in await cursor.fetchall()]


async def forget(pool: Pool, *, full_before: datetime) -> int:
    """Remove those whose wrong answers are all forgiven; how many there were."""
    async with pool.connection() as connection:
        return (await connection.execute(_QUERIES["forget"], {"full_before": full_before})).rowcount
