"""The pure decisions that the verbs share: what of a card can be spent, and how legs become a plan."""

from collections.abc import Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import NamedTuple

from kaquan.cards import UNUSABLE, CardStatus, Pocket, Programme
from kaquan.cards.outcomes import CARD_EXPIRED
from kaquan.kit.outcomes import NOT_FOUND, Refusal
from kaquan.ledger import Effect, Guard, Leg
from kaquan.payments.limits import NO_LIMITS, Subjects, Uses, judge, moment_of, uses_of
from kaquan.payments.outcomes import BACKDATING_FORBIDDEN
from kaquan.payments.types import (
    CardFacts,
    Facts,
    Load,
    LotFacts,
    PaymentFacts,
    PocketAmount,
    PocketFacts,
    Refund,
    Spend,
    SpentLeg,
)


class Taking(NamedTuple):
    """An amount that comes from one lot of a pocket."""

    pocket: PocketFacts
    lot: int
    amount_fen: int


def too_early(command: Spend | Refund | Load) -> Refusal | None:
    """Refused: ``backdating_forbidden``. Decided here and not at the door, so that a late retry of a request that
    was in time finds its first answer."""
    if command.occurred_at is not None and command.not_before is not None and command.occurred_at < command.not_before:
        return BACKDATING_FORBIDDEN.refuse("occurred_at", not_before=command.not_before.isoformat())
    return None


def usable_card(facts: Facts) -> CardFacts | Refusal:
    """The card, if value may be loaded to it or spent from it now."""
    card = facts.card
    if card is None or card.book_id != facts.book_id:
        return NOT_FOUND.refuse("card_id", what="card")
    if card.status is not CardStatus.ACTIVE:
        return UNUSABLE[card.status].refuse("card_id")
    if card.expires_at is not None and card.expires_at <= facts.now:
        return CARD_EXPIRED.refuse("card_id")
    return card


def known_payment(facts: Facts) -> PaymentFacts | Refusal:
    """The payment that a capture, void or refund is about, if this book has it."""
    found = facts.payment
    if found is None or found.payment.book_id != facts.book_id or facts.card is None:
        return NOT_FOUND.refuse("payment_id", what="payment")
    return found


def programme_of(facts: Facts) -> Programme:
    """The programme of the card, which is known of every card that is."""
    assert facts.programme is not None, "a card's programme is always known"
    return facts.programme


_FOREVER = datetime.max.replace(tzinfo=UTC)


def _soonest_first(lot: LotFacts) -> tuple[datetime, int]:
    return (lot.expires_at or _FOREVER, lot.lot)


def take(card: CardFacts, spend_order: tuple[Pocket, ...], amount_fen: int, now: datetime) -> list[Taking] | int:
    """Where ``amount_fen`` comes from; if the card has less, what it has to spend here.

    Pockets are emptied in ``spend_order``, which is the programme's for the place
    (:meth:`kaquan.cards.Programme.spend_order_at`); a pocket that is not in it is never touched. Within a pocket the
    lot that expires soonest goes first, then the older one. Value that has expired is not spent.
    """
    takings: list[Taking] = []
    left_fen = amount_fen
    for name in spend_order:
        pocket = card.pockets.get(name)
        if pocket is None:
            continue
        lots = pocket.lots
        for lot in sorted(lots, key=_soonest_first) if len(lots) > 1 else lots:
            if lot.available_fen <= 0 or (lot.expires_at is not None and lot.expires_at <= now):
                continue
            taken_fen = min(lot.available_fen, left_fen)
            takings.append(Taking(pocket, lot.lot, taken_fen))
            left_fen -= taken_fen
            if left_fen == 0:
                return takings
    return amount_fen - left_fen


def spendable_fen(card: CardFacts, now: datetime) -> int:
    """What the holder can spend of the card's pockets together: neither spent nor reserved nor expired."""
    return sum(
        lot.available_fen
        for pocket in card.pockets.values()
        for lot in pocket.lots
        if lot.expires_at is None or lot.expires_at > now
    )


def returned_fen(legs: Sequence[SpentLeg], parts: Sequence[int]) -> int:
    """What of the ``parts`` that go back to the lots of ``legs`` can be spent again: an expired lot stays expired."""
    return sum(part for spent, part in zip(legs, parts, strict=True) if not spent.expired)


def guards_of(card: CardFacts, legs: Sequence[Leg]) -> list[Guard]:
    """The pockets that ``legs`` move, at the versions at which they were read. A block moves every version."""
    moved = {leg.debit_account for leg in legs} | {leg.credit_account for leg in legs}
    return [Guard(pocket.account_id, pocket.version) for pocket in card.pockets.values() if pocket.account_id in moved]


def guards_of_all(card: CardFacts) -> list[Guard]:
    """Every pocket, moved or not: for what was decided on all that the card holds."""
    return [Guard(pocket.account_id, pocket.version) for pocket in card.pockets.values()]


def by_pocket(card: CardFacts, amounts: list[tuple[int, int]]) -> list[PocketAmount]:
    """Sum (account, amount) pairs by pocket, in the order of the card's pockets; pockets without any are left out."""
    totals: dict[int, int] = {}
    for account_id, amount_fen in amounts:
        totals[account_id] = totals.get(account_id, 0) + amount_fen
    return [
        PocketAmount(pocket.pocket, totals[pocket.account_id])
        for pocket in card.pockets.values()
        if totals.get(pocket.account_id)
    ]


def leg(effect: Effect, spent: tuple[int, int | None, int], amount_fen: int) -> Leg:
    """A leg out of a pocket's lot to the other account of a payment."""
    account_id, lot, other_account = spent
    return Leg(effect, account_id, lot, other_account, None, amount_fen)


def fill(amount_fen: int, rooms: list[int]) -> list[int]:
    """Fill ``rooms`` one after the other with ``amount_fen``; it never exceeds their sum."""
    parts = []
    for room in rooms:
        part = min(room, amount_fen)
        parts.append(part)
        amount_fen -= part
    return parts


def count_uses(facts: Facts, command: Spend | Load, *, amount_fen: int, occurred_at: datetime) -> Uses | Refusal | None:
    """What a spend or a load counts in; None where its programme has no limits for it. Refused: ``limit_exceeded``."""
    limits = facts.limits
    if limits is NO_LIMITS:
        return None
    card, programme, place = facts.card, facts.programme, command.place
    assert card is not None, "limits are those of a card's programme"
    assert programme is not None, "limits are those of a card's programme"
    subjects = Subjects(
        programme.id,
        programme.issuer_id,
        card.id,
        card.customer_id,
        command.device_id,
        place.terminal_id if place is not None else None,
        place.store_id if place is not None else None,
        place.merchant_id if place is not None else None,
    )
    moment = moment_of(occurred_at, programme.time_zone)
    if facts.usage is not None:
        refusal = judge(limits, subjects, amount_fen=amount_fen, moment=moment, usage=facts.usage)
        if refusal is not None:
            return refusal
    return uses_of(limits, subjects, amount_fen=amount_fen, moment=moment)


first_three = itemgetter(0, 1, 2)
