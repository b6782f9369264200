"""Adjust a card by hand: decided on its pockets as they are, posted with the approval of another person."""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from kaquan.cards.adjustments import store
from kaquan.cards.adjustments.outcomes import ADJUSTMENT_EXCEEDS_BALANCE, ADJUSTMENT_EXCEEDS_CAP
from kaquan.cards.adjustments.types import Adjustment, Direction, NewAdjustment
from kaquan.cards.change import MAX_PLANS, Permission, programme_of
from kaquan.cards.days import end_of_day
from kaquan.cards.life import UNUSABLE
from kaquan.cards.move import held_fen, take_free
from kaquan.cards.outcomes import CARD_EXPIRED, invalid, missing
from kaquan.cards.store import Holding, load_card, load_holdings, post_together
from kaquan.cards.types import SYSTEM, Card, CardStatus, Pocket, Programme
from kaquan.kit.clock import Clock
from kaquan.kit.db import Connection, Pool
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.kit.outcomes import BUSY, Refusal
from kaquan.ledger import AccountSpec, Answer, Effect, Guard, Leg, NewLot, Posting, RequestKey, slot_of
from kaquan.parties.staff import Approve
from kaquan.parties.trail import Actor, record_action

ACCOUNT = "adjustments"
"""Kind of the account on the other side: the issuer's, one per slot and currency. What it lost the cards gained."""

KIND = "adjustment"

ADJUSTABLE = frozenset({CardStatus.ACTIVE, CardStatus.BLOCKED, CardStatus.LOST})
"""A card may be wrong while nobody can use it: what a block was about is often why it is corrected."""


def plan_adjustment(
    card: Card,
    programme: Programme,
    holdings: Sequence[Holding],
    new: NewAdjustment,
    *,
    account: int,
    transaction_id: UUID,
    now: datetime,
) -> Posting | Refusal:
    """Decide an adjustment. A credit opens a lot that lives as long as one loaded today; a debit takes what is free and
    has not expired, first what expires soonest.

    Refused: the codes of cards that are issued only, in a gift or ended; ``invalid_field`` (pocket),
    ``adjustment_exceeds_cap``, ``adjustment_exceeds_balance``.
    """
    if card.status not in ADJUSTABLE:
        return UNUSABLE[card.status].refuse("card_id")
    if card.expires_at is not None and card.expires_at <= now:
        return CARD_EXPIRED.refuse("card_id")
    found = next((holding for holding in holdings if holding.pocket is new.pocket), None)
    if found is None:
        names = ", ".join(holding.pocket for holding in holdings)
        return invalid("pocket", f"must be a pocket of this card: {names}", allowed_zh=f"应为该卡已有的户：{names}")
    pocket = found.account
    lots: list[NewLot] = []
    relied_on = [pocket]
    if new.direction is Direction.CREDIT:
        balance_fen, cap_fen = held_fen(holdings) + new.amount_fen, programme.max_balance_fen
        if cap_fen is not None and balance_fen > cap_fen:
            return ADJUSTMENT_EXCEEDS_CAP.refuse("amount_fen", balance_fen=balance_fen, max_balance_fen=cap_fen)
        if cap_fen is not None:
            relied_on = [holding.account for holding in holdings]
        is_bonus = new.pocket is Pocket.BONUS
        valid_days = programme.bonus_valid_days if is_bonus else programme.principal_valid_days
        expires_at = (
            None if valid_days is None else end_of_day(now, valid_days=valid_days, time_zone=programme.time_zone)
        )
        # a version is used once, so it names the lot, as it does when a card is loaded
        lot = pocket.version + 1
        paid_fen, given_fen = (0, new.amount_fen) if is_bonus else (new.amount_fen, 0)
        lots.append(NewLot(pocket.id, lot, paid_fen, given_fen, expires_at))
        legs = [Leg(Effect.POST, account, None, pocket.id, lot, new.amount_fen)]
    else:
        legs = take_free(found.lots, pocket.id, account, new.amount_fen, now)
        available_fen = sum(leg.amount_fen for leg in legs)
        if available_fen < new.amount_fen:
            return ADJUSTMENT_EXCEEDS_BALANCE.refuse("amount_fen", available_fen=available_fen)
    return Posting(
        transaction_id,
        kind=KIND,
        effective_at=now,
        legs=legs,
        guards=[Guard(account.id, account.version) for account in relied_on],
        lots=lots,
        reference=new.note,
    )


async def adjust_card(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    *,
    book_id: int,
    slots: tuple[int, ...],
    new: NewAdjustment,
    approval_id: UUID,
    approve: Approve,
    by: Actor,
    key: RequestKey,
    render: Callable[[Adjustment], Answer],
) -> Answer | Refusal:
    """Adjust a card once for a key; approval, posting, answer and trail are one commit.

    Refused: ``not_found`` (card_id), as :func:`plan_adjustment`, what ``approve`` refuses, ``busy``; then nothing
    moved, and the approval is as good as before.
    """
    slot = slot_of(new.card_id, slots)
    for _ in range(MAX_PLANS):
        # pockets before the card: who changes its status moves the versions of its pockets
        holdings = await load_holdings(pool, book_id=book_id, slot=slot, card_id=new.card_id)
        card = await load_card(pool, book_id=book_id, slot=slot, card_id=new.card_id)
        if card is None:
            return missing("card", "card_id")
        programme = await programme_of(pool, card)
        asked = AccountSpec(book_id, programme.issuer_id, ACCOUNT, programme.currency)
        now = clock.now()
        posting = plan_adjustment(
            card, programme, holdings, new,
            account=await store.open_account(pool, slot=slot, asked=asked),
            transaction_id=ids.new_near(card.id), now=now,
        )  # fmt: skip
        if isinstance(posting, Refusal):
            return posting
        made = Adjustment(
            slot, posting.transaction_id, book_id, card.id, new.pocket, new.direction, new.amount_fen,
            programme.currency, new.reason, new.note, approval_id,
            SYSTEM if by.key_id is None else show_id(Prefix.KEY, by.key_id), now,
        )  # fmt: skip

        async def record(connection: Connection, made: Adjustment = made) -> bool:
            told = {
                "transaction_id": show_id(Prefix.TRANSACTION, made.id),
                "pocket": made.pocket,
                "direction": made.direction,
                "amount_fen": made.amount_fen,
                "reason": made.reason,
                "approval_id": show_id(Prefix.APPROVAL, made.approval_id),
            }
            await record_action(
                connection, clock, ids, book_id=book_id, by=by, kind="card.adjusted", prefix=Prefix.CARD,
                subject_id=made.card_id, after=told,
            )  # fmt: skip
            return True

        permission, answer = Permission(approve), render(made)
        if await post_together(pool, permission.claim, store.post(made, posting, key, answer), record):
            return answer
        if permission.refused is not None:
            return permission.refused
    return BUSY.refuse()
