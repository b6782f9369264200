"""Expire lots: what remains of a lot after its end is taken from its pocket into the issuer's expired value.

Expired value is nobody's income: it stays in an account of its own, from which an extension gives it back and a refund
pays it out (国办发〔2011〕25号; 法释〔2025〕4号 articles 15 and 24). What an authorization has set aside stays where it
is until the authorization ends. Only active cards are swept: blocking protects value, and takes none.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from kaquan.cards import CardStatus
from kaquan.closing import store
from kaquan.closing.days import last_day_before
from kaquan.closing.events import LOT_EXPIRED
from kaquan.closing.types import ExpiredLot
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.ledger import Effect, Guard, Item, Leg, Posting, PostStatus
from kaquan.notices import NewNotice

EXPIRED_VALUE = "expired_value"
"""The kind of the issuer's account that holds what was swept."""

CHUNK_LOTS = 200
"""Lots of one commit."""

MAX_FRUITLESS = 8
"""Lots that keep moving under the sweep are left to the next one."""

LOOK_BACK = timedelta(days=3)
"""How far back a frequent sweep looks; one that looks at everything runs less often, for what came back since."""


def plan_expiry(found: ExpiredLot, *, source: int, transaction_id: UUID, now: datetime) -> Posting | None:
    """Take what remains, into the account ``source``; None if there is nothing to take (any more)."""
    if found.available_fen <= 0 or found.expires_at > now or found.status is not CardStatus.ACTIVE:
        return None
    return Posting(
        transaction_id=transaction_id,
        kind="lot_expiry",
        effective_at=found.expires_at,
        legs=[Leg(Effect.POST, found.account_id, found.lot, source, None, found.available_fen)],
        guards=[Guard(found.account_id, found.version)],
        related_id=found.origin_id,
    )


async def expire_lots(
    pool: Pool, clock: Clock, ids: Ids, slots: Sequence[int], *, since: datetime | None = None
) -> int:
    """Sweep every lot of an active card that ended by now (and not before ``since``); how many were swept here.

    It may be stopped at any moment and run again, also by two at once: a lot is swept whole, with its record and its
    notice, or not at all, and what a spend or a block moved meanwhile is looked at again.
    """
    swept = 0
    for slot in slots:
        after: store.ExpiryCursor | None = None
        while True:
            found = await store.find_expired(
                pool, slot=slot, now=clock.now(), since=since, after=after, limit=CHUNK_LOTS
            )
            swept += await _sweep(pool, clock, ids, slot, [(one.account_id, one.lot) for one in found])
            if len(found) < CHUNK_LOTS:
                break
            after = found[-1]
    return swept


async def _sweep(pool: Pool, clock: Clock, ids: Ids, slot: int, names: list[tuple[int, int]]) -> int:
    swept = fruitless = 0
    while names and fruitless < MAX_FRUITLESS:
        lots = await store.load_expired(pool, slot=slot, names=names)
        sources = await store.open_issuer_accounts(
            pool, slot=slot, wanted=[(one.book_id, one.issuer_id, EXPIRED_VALUE, one.currency) for one in lots]
        )
        now = clock.now()
        planned: list[tuple[ExpiredLot, Posting]] = []
        for one in lots:
            source = sources[one.issuer_id, EXPIRED_VALUE, one.currency]
            posting = plan_expiry(one, source=source, transaction_id=ids.new_near(one.card_id), now=now)
            if posting is not None:
                planned.append((one, posting))
        if not planned:
            break
        notices = {posting.transaction_id: _notice(slot, one, ids) for one, posting in planned}
        statuses = await store.post_expiry(
            pool,
            [Item(one.book_id, posting) for one, posting in planned],
            [one for one, _ in planned],
            notices,
            slot=slot,
            at=now,
        )
        applied = statuses.count(PostStatus.APPLIED)
        swept += applied
        fruitless = 0 if applied else fruitless + 1
        names = [
            (one.account_id, one.lot)
            for (one, _), status in zip(planned, statuses, strict=True)
            if status is not PostStatus.APPLIED
        ]
    return swept


def _notice(slot: int, one: ExpiredLot, ids: Ids) -> NewNotice:
    return NewNotice(
        slot,
        ids.new_near(one.card_id),
        one.book_id,
        LOT_EXPIRED,
        one.card_id,
        {
            "card_id": show_id(Prefix.CARD, one.card_id),
            "lot": one.lot,
            "amount_fen": one.available_fen,
            "currency": one.currency,
            "expires_at": one.expires_at,
            "last_day": last_day_before(one.expires_at, one.time_zone),
        },
    )
