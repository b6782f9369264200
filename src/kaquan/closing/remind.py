"""Remind holders before a lot ends: once for each lot, end and threshold."""

from collections.abc import Sequence

from kaquan.closing import store
from kaquan.closing.days import last_day_before
from kaquan.closing.events import LOT_EXPIRING
from kaquan.closing.types import EndingLot
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.notices import NewNotice

CHUNK_LOTS = 200


async def remind_of_ends(pool: Pool, clock: Clock, ids: Ids, slots: Sequence[int]) -> int:
    """Write a notice for every lot with value, on an active card, that ends within the days of its programme's terms;
    how many here.

    Of several thresholds that are reached at once only the nearest is told of. A threshold is reached so many calendar
    days before the end, as days go in the issuer's zone. An end that was extended is reminded of anew. Two at once
    write each notice once.
    """
    written = 0
    for slot in slots:
        while True:
            now = clock.now()
            found = await store.find_ending(pool, slot=slot, now=now, limit=CHUNK_LOTS)
            notices = [_notice(slot, one, ids) for one in found]
            written += await store.post_reminders(pool, found, notices, slot=slot, at=now)
            if len(found) < CHUNK_LOTS:
                break
    return written


def _notice(slot: int, one: EndingLot, ids: Ids) -> NewNotice:
    return NewNotice(
        slot,
        ids.new_near(one.card_id),
        one.book_id,
        LOT_EXPIRING,
        one.card_id,
        {
            "card_id": show_id(Prefix.CARD, one.card_id),
            "lot": one.lot,
            "amount_fen": one.available_fen,
            "currency": one.currency,
            "expires_at": one.expires_at,
            "last_day": last_day_before(one.expires_at, one.time_zone),
            "days": one.threshold_days,
        },
    )
