"""Find dormant cards: value that nobody has moved for long. The holder is told; a fee is another matter.

A movement is any transaction on the card's pockets but the sweep of an expired lot; a card that never moved counts
from its activation.
"""

from collections.abc import Sequence
from uuid import UUID

from kaquan.closing import store
from kaquan.closing.days import day_of
from kaquan.closing.events import CARD_DORMANT
from kaquan.closing.types import DormantCard
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.notices import NewNotice

CHUNK_CARDS = 500


async def find_dormant(pool: Pool, clock: Clock, ids: Ids, slots: Sequence[int]) -> int:
    """Write a notice for every card that has become dormant by its programme's terms; how many here.

    Once for each time that a card falls asleep. Months are calendar months in the issuer's zone. It walks all active
    cards of such programmes in chunks; two at once write each notice once.
    """
    written = 0
    for slot in slots:
        after: UUID | None = UUID(int=0)
        while after is not None:
            now = clock.now()
            found, after = await store.find_dormant(pool, slot=slot, now=now, after=after, limit=CHUNK_CARDS)
            notices = [_notice(slot, one, ids) for one in found]
            written += await store.post_dormancies(pool, found, notices, slot=slot, at=now)
    return written


def _notice(slot: int, one: DormantCard, ids: Ids) -> NewNotice:
    return NewNotice(
        slot,
        ids.new_near(one.card_id),
        one.book_id,
        CARD_DORMANT,
        one.card_id,
        {
            "card_id": show_id(Prefix.CARD, one.card_id),
            "amount_fen": one.amount_fen,
            "currency": one.currency,
            "last_moved_at": day_of(one.last_moved_at, one.time_zone),
        },
    )
