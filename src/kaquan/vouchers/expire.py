"""Expire vouchers: those whose time is over and that nobody has used; by the worker."""

from collections.abc import Sequence

from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids
from kaquan.vouchers import store
from kaquan.vouchers.store import Telling
from kaquan.vouchers.types import VoucherEvent, VoucherStatus

CHUNK = 1_000
"""Vouchers of one commit."""

SYSTEM = "system"


async def expire_vouchers(pool: Pool, clock: Clock, ids: Ids, *, slots: Sequence[int]) -> int:
    """Expire what has ended by now; how many vouchers. It may be stopped at any moment, and run by two at once.

    What a payment has locked is looked at again when its lock has ended.
    """
    done = 0
    for slot in slots:
        while True:
            now = clock.now()
            async with pool.connection() as connection, connection.transaction():
                ended = await store.end_some(
                    connection, VoucherEvent.EXPIRED, slot=slot, to=VoucherStatus.EXPIRED, limit=CHUNK,
                    telling=Telling(ids, now, SYSTEM), ended_by=now,
                )  # fmt: skip
            done += ended
            if ended < CHUNK:
                break
    return done
