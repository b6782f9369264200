"""Write down which proposals were not executed in time; they count as expired before that."""

from datetime import datetime

from kaquan.kit.db import Pool
from kaquan.parties.staff import store


async def expire_approvals(pool: Pool, *, now: datetime) -> int:
    """How many proposals of all books were marked as expired."""
    return await store.expire(pool, now=now)
