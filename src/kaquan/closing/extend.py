"""Extend lots: they end later, and what was swept of them comes back to where it was (法释〔2025〕4号 article 24)."""

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from kaquan.cards import UNUSABLE, CardStatus, note_extension
from kaquan.closing import store
from kaquan.closing.days import day_of, end_of_day
from kaquan.closing.events import LOT_EXTENDED
from kaquan.closing.once import Decision, carry_out
from kaquan.closing.outcomes import NOTHING_TO_EXTEND
from kaquan.closing.types import Extended, Holding, LotHeld, LotName, Swept, hand_of, lots_of, person_of
from kaquan.kit.clock import Clock
from kaquan.kit.db import Connection, Pool
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.kit.outcomes import INVALID_FIELD, NOT_FOUND, Refusal
from kaquan.ledger import Answer, Effect, Guard, Leg, Posting, RequestKey, slot_of
from kaquan.notices import NewNotice
from kaquan.parties.trail import Actor, new_action, write_action

MAX_DAYS = 36_500
"""How far ahead an end may lie: as far as a programme may promise."""


class ExtensionPlan(NamedTuple):
    """Lots that end at ``expires_at`` from now on, and what comes back to them."""

    lots: list[LotHeld]
    expires_at: datetime
    returned: list[Swept]
    posting: Posting | None

    @property
    def returned_fen(self) -> int:
        return sum(one.left_fen for one in self.returned)


def plan_extension(
    holding: Holding, *, until: date, names: Sequence[LotName], transaction_id: UUID, now: datetime
) -> ExtensionPlan | Refusal:
    """Decide an extension of the named lots (none named: of all that hold value) to the end of a day.

    Refused: the codes of cards that are not active, ``invalid_field`` (expires_on), ``not_found`` (lots),
    ``nothing_to_extend``.
    """
    if holding.card.status is not CardStatus.ACTIVE:
        return UNUSABLE[holding.card.status].refuse("id")
    today = day_of(now, holding.programme.time_zone)
    if not today <= until <= today + timedelta(days=MAX_DAYS):
        return INVALID_FIELD.refuse(
            "expires_on",
            allowed=f"must be from {today.isoformat()} to {(today + timedelta(days=MAX_DAYS)).isoformat()}",
            allowed_zh=f"应为 {today.isoformat()} 至 {(today + timedelta(days=MAX_DAYS)).isoformat()}",
        )
    chosen = lots_of(holding, names) if names else holding.lots
    if len(chosen) < len(set(names)):
        return NOT_FOUND.refuse("lots", what="lot")
    expires_at = end_of_day(until, holding.programme.time_zone)
    lots = [
        lot
        for lot in chosen
        if lot.expires_at is not None and lot.expires_at < expires_at and (lot.remaining_fen or lot.swept_fen)
    ]
    if not lots:
        return NOTHING_TO_EXTEND.refuse("expires_on")
    places = {(lot.account_id, lot.lot) for lot in lots}
    returned = [one for one in holding.swept if (one.account_id, one.lot) in places and one.left_fen]
    posting = None
    if returned:
        moved = {one.account_id for one in returned}
        posting = Posting(
            transaction_id=transaction_id,
            kind="lot_extension",
            effective_at=now,
            legs=[
                Leg(Effect.POST, one.source_account_id, None, one.account_id, one.lot, one.left_fen) for one in returned
            ],
            guards=[
                Guard(pocket.account_id, pocket.version) for pocket in holding.pockets if pocket.account_id in moved
            ],
            related_id=returned[0].transaction_id,
        )
    return ExtensionPlan(lots, expires_at, returned, posting)


async def extend_lots(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    *,
    book_id: int,
    slots: tuple[int, ...],
    card_id: UUID,
    until: date,
    names: Sequence[LotName],
    by: Actor,
    key: RequestKey,
    render: Callable[[Extended], Answer],
) -> Answer | Refusal:
    """Extend lots of a card once for a key: see :func:`plan_extension` for what is refused; and ``not_found``."""
    slot, hand = slot_of(card_id, slots), hand_of(clock, ids, by)

    async def decide() -> Decision | Refusal:
        holding = await store.load_holding(pool, book_id=book_id, slots=slots, card_id=card_id)
        if isinstance(holding, Refusal):
            return holding
        now = clock.now()
        plan = plan_extension(holding, until=until, names=names, transaction_id=ids.new_near(card_id), now=now)
        if isinstance(plan, Refusal):
            return plan
        transaction_id = plan.posting.transaction_id if plan.posting is not None else None
        done = Extended(card_id, plan.expires_at, len(plan.lots), plan.returned_fen, transaction_id)
        notice = NewNotice(
            slot,
            ids.new_near(card_id),
            book_id,
            LOT_EXTENDED,
            card_id,
            {
                "card_id": show_id(Prefix.CARD, card_id),
                "expires_at": plan.expires_at,
                "last_day": until,
                "returned_fen": plan.returned_fen,
                "currency": holding.programme.currency,
            },
        )

        action = new_action(
            clock,
            ids,
            book_id=book_id,
            by=by,
            kind="lots.extended",
            prefix=Prefix.CARD,
            subject_id=card_id,
            before={"lots": [[lot.pocket.value, lot.lot, lot.expires_at] for lot in plan.lots]},
            after={"expires_at": plan.expires_at, "returned_fen": plan.returned_fen},
        )

        async def write(connection: Connection) -> bool:
            if not await store.post_extension(
                connection,
                holding.card,
                plan.lots,
                plan.returned,
                ids=[ids.new_near(card_id) for _ in plan.lots],
                expires_at=plan.expires_at,
                transaction_id=transaction_id,
                made_by=person_of(by),
                notice=notice,
                at=now,
            ):
                return False
            await write_action(connection, action)
            told = {"last_day": until.isoformat(), "returned_fen": plan.returned_fen}
            await note_extension(connection, hand, holding.card, details=told)
            return True

        return Decision(render(done), plan.posting, after=write)

    return await carry_out(pool, clock, book_id=book_id, slot=slot, key=key, decide=decide)
