"""Expire authorizations whose time has passed: what is still set aside goes back to the card."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from kaquan.kit.db import Pool
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import Answer
from kaquan.payments import store
from kaquan.payments.desk import Desk
from kaquan.payments.types import Receipt, Request, Void

CHUNK = 500
"""Authorizations that wait at the desk at once: well below its queue, which payments share."""

_DONE, _REFUSED = Answer(200, b""), Answer(409, b"")


async def expire_overdue(desk: Desk, pool: Pool, slots: Sequence[int], now: datetime) -> int:
    """End every open authorization that expired by ``now``; how many were ended here.

    One that a capture, a void or another worker ends at the same moment is ended once, by whoever comes first.
    """
    expired = 0
    for slot in slots:
        ended = CHUNK
        while ended:
            async with pool.connection() as connection:
                overdue = await store.find_overdue(connection, slot=slot, now=now, limit=CHUNK)
            answers = await asyncio.gather(
                *(
                    desk.submit(Request(book_id, Void(payment_id, now, expired=True), None, _render))
                    for payment_id, book_id in overdue
                )
            )
            ended = sum(answer is _DONE for answer in answers)
            expired += ended
    return expired


def _render(result: Receipt | Refusal) -> Answer:
    return _REFUSED if isinstance(result, Refusal) else _DONE
