"""Refund a spend: its value goes back to the very lots it came from."""

from typing import NamedTuple
from uuid import UUID

import msgspec

from kaquan.cards import CardStatus
from kaquan.cards.outcomes import CARD_CLOSED
from kaquan.kit.money import allocate
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import Effect, Guard, Leg, Posting
from kaquan.payments.give import voucher_amounts, vouchers_of
from kaquan.payments.kept import Kept, KeptPart, PartKind, hash_kept, write_part
from kaquan.payments.outcomes import LINES_NOT_KNOWN, NOT_REFUNDABLE, REFUND_EXCEEDS_LINE, REFUND_EXCEEDS_PAYMENT
from kaquan.payments.part import Left, after, is_all, money_of, part_of_lines, part_of_money, unrefunded
from kaquan.payments.plan import (
    by_pocket,
    guards_of,
    known_payment,
    programme_of,
    returned_fen,
    spendable_fen,
    too_early,
)
from kaquan.payments.points import take_back, tender_leg
from kaquan.payments.price import MERCHANT_PAYABLE, part_legs, price_again
from kaquan.payments.types import (
    AccountName,
    Facts,
    Giving,
    Payment,
    PaymentFacts,
    PaymentKind,
    PaymentStatus,
    Plan,
    Receipt,
    Refund,
    Unopened,
)
from kaquan.points import Earning, plan_tender_return


def plan_refund(facts: Facts, command: Refund) -> Plan | Unopened | Refusal:
    """Decide a refund. A part is split over the lots in proportion to what is not yet refunded of each (see
    :func:`kaquan.kit.money.allocate` for the odd fen), so that paid and given value return in the ratio in which
    they were spent. A blocked card receives its refund: blocking protects value, it does not forfeit any. A closed
    card is empty for ever: what is owed to its holder goes another way.

    Of a payment with offers everything goes back that belongs to the part: each funder gets back what it paid of it,
    and when nothing is left, budgets get their uses back.

    Refused with ``backdating_forbidden``, ``not_found``, ``card_closed``, ``not_refundable``,
    ``refund_exceeds_payment``, ``lines_not_known`` or ``refund_exceeds_line``.
    """
    occurred_at = command.occurred_at or facts.now
    if (refusal := too_early(command)) is not None:
        return refusal
    found = known_payment(facts)
    if isinstance(found, Refusal):
        return found
    payment, card = found.payment, facts.card
    assert card is not None
    if card.status is CardStatus.CLOSED:
        return CARD_CLOSED.refuse("payment_id")
    if not _was_spent(found):
        return NOT_REFUNDABLE.refuse("payment_id", kind=payment.kind.value)
    rooms = [spent.captured_fen - spent.refunded_fen for spent in found.legs]
    left_fen = sum(rooms)
    amount_fen = left_fen if command.amount_fen is None else command.amount_fen
    part: KeptPart | None = None
    left: Left | None = None
    if found.kept is not None:
        left = unrefunded(found.kept, found.parts, authorized=payment.kind is PaymentKind.AUTHORIZATION)
    if command.lines:
        if found.kept is None or left is None:
            return LINES_NOT_KNOWN.refuse("lines")
        of_goods = _part_of_goods(facts, found.kept, left, command, payment)
        if isinstance(of_goods, Refusal):
            return of_goods
        part = of_goods
        amount_fen = money_of(part)
    if amount_fen > left_fen or (left.is_empty if left is not None else left_fen == 0):
        return REFUND_EXCEEDS_PAYMENT.refuse("amount_fen", left_fen=left_fen)
    kept, gives_back = None, False
    returns: tuple[tuple[UUID, int], ...] = ()
    revokes: tuple[Giving, ...] = ()
    parts = allocate(amount_fen, rooms)
    legs = [
        Leg(Effect.POST, spent.other_account, None, spent.account_id, spent.lot, part)
        for spent, part in zip(found.legs, parts, strict=True)
        if part
    ]
    if found.kept is not None and left is not None:
        if part is None:
            part = part_of_money(found.kept, left, amount_fen, what=PartKind.REFUND)
        # an open authorization may still be captured
        gives_back = is_all(left, part) and payment.status is not PaymentStatus.OPEN
        part = part._replace(gives_back=gives_back)
        tender = found.kept.tender
        if tender is not None:
            before = sum(one.points for one in found.parts)
            back_fen = tender.amount_fen - left.points[0] + part.points_fen
            part = part._replace(points=tender.points * back_fen // tender.amount_fen - before)
        kept = write_part(part)
        funded = part_legs(facts, found, Effect.POST, part.shares, back=True)
        if isinstance(funded, Unopened):
            return funded
        legs += funded
        returns = voucher_amounts(found.kept, part.shares)
        revokes = vouchers_of(
            found.kept.grants, part.grants, card=card, programme=programme_of(facts), payment_id=payment.id
        )
    points = _move_points(facts, found, left, part, share=(amount_fen, left_fen))
    if isinstance(points, Unopened):
        return points
    legs += points.legs
    if not legs:
        return NOT_REFUNDABLE.refuse("payment_id", kind=payment.kind.value)
    posting = Posting(
        transaction_id=facts.transaction_id,
        kind="refund",
        effective_at=occurred_at,
        legs=legs,
        guards=[*guards_of(card, legs), *points.guards],
        related_id=payment.id,
        place_id=payment.terminal_id,
        reference=command.reference,
        detail=hash_kept(kept),
    )
    refund = Payment(
        slot=-1,
        id=facts.transaction_id,
        book_id=facts.book_id,
        kind=PaymentKind.REFUND,
        status=PaymentStatus.COMPLETED,
        card_id=payment.card_id,
        merchant_id=payment.merchant_id,
        store_id=payment.store_id,
        terminal_id=payment.terminal_id,
        original_id=payment.id,
        currency=payment.currency,
        amount_fen=amount_fen,
        bonus_fen=0,
        captured_fen=amount_fen,
        refunded_fen=0,
        reference=command.reference,
        expires_at=None,
        occurred_at=occurred_at,
        created_at=facts.now,
        version=0,
    )
    pockets = by_pocket(card, [(spent.account_id, part) for spent, part in zip(found.legs, parts, strict=True)])
    refunded = msgspec.structs.replace(
        payment, refunded_fen=payment.refunded_fen + amount_fen, version=payment.version + 1
    )
    balance_fen = spendable_fen(card, facts.now) + returned_fen(found.legs, parts)
    return Plan(
        posting,
        Receipt(refund, pockets, balance_fen, found.kept, part, -points.taken),
        new=refund,
        changed=refunded,
        kept=kept,
        original_id=None if kept is None else payment.id,
        returns=returns,
        revokes=revokes,
        earning=points.after,
        earning_was=None if points.after is None or facts.points is None else facts.points.earning,
        gives_back=tuple(one.use for one in found.kept.uses) if found.kept is not None and gives_back else (),
    )


class _Points(NamedTuple):
    """What a refund does to points."""

    legs: list[Leg]
    guards: list[Guard]
    taken: int = 0
    after: Earning | None = None


def _move_points(
    facts: Facts, found: PaymentFacts, left: Left | None, part: KeptPart | None, *, share: tuple[int, int]
) -> _Points | Unopened:
    """Points that paid come back, and what was earned with what comes back is taken."""
    known, kept, payment = facts.points, found.kept, found.payment
    if known is None:
        return _Points([], [])
    legs: list[Leg] = []
    guards: list[Guard] = []
    if part is not None and kept is not None and kept.tender is not None and part.points_fen:
        programme = programme_of(facts)
        assert payment.merchant_id is not None, "what is spent is spent at a merchant"
        name = AccountName(payment.slot, payment.merchant_id, MERCHANT_PAYABLE, payment.currency)
        payable = facts.opened.get(name)
        if payable is None:
            return Unopened((name,), ())
        worth = tender_leg(
            facts, slot=payment.slot, issuer_id=programme.issuer_id, payable=payable, currency=payment.currency,
            amount_fen=part.points_fen, back=True,
        )  # fmt: skip
        if isinstance(worth, Unopened):
            return worth
        legs.append(worth)
        already = sum(one.points for one in found.parts)
        back = plan_tender_return(
            kept.tender.parts, part.points, already=already, member=known.member, issuer=known.issuer
        )
        legs, guards = legs + back.legs, guards + back.guards
    rest = None if part is None or kept is None or left is None else after(kept, left, part)
    taken = take_back(known, kept, left, rest, share=share)
    if taken is None:
        return _Points(legs, guards)
    return _Points(legs + taken.move.legs, guards + taken.move.guards, taken.points, taken.after)


def _was_spent(found: PaymentFacts) -> bool:
    """Whether anything was: a purchase that offers paid for whole is one of nothing from the card."""
    payment = found.payment
    if payment.kind not in (PaymentKind.PURCHASE, PaymentKind.AUTHORIZATION):
        return False
    if payment.captured_fen or found.kept is None:
        return payment.captured_fen > 0
    return payment.kind is PaymentKind.PURCHASE or any(part.what is PartKind.CAPTURE for part in found.parts)


def _part_of_goods(facts: Facts, kept: Kept, left: Left, command: Refund, payment: Payment) -> KeptPart | Refusal:
    """What belongs to the goods that came back."""
    returned: dict[int, int] = {}
    for number, line_fen in command.lines:
        returned[number] = returned.get(number, 0) + line_fen
    known = {line.number: line_left_fen for line, line_left_fen in zip(kept.lines, left.lines, strict=True)}
    for number, line_fen in returned.items():
        if number not in known:
            return LINES_NOT_KNOWN.refuse("lines")
        if line_fen > known[number]:
            return REFUND_EXCEEDS_LINE.refuse("lines", number=number, left_fen=known[number])
    stays = []
    for line in kept.lines:
        stays_fen = known[line.number] - returned.get(line.number, 0)
        if stays_fen:
            # as many pieces as that pays for, a begun one counted (see promotions.refund.basket_left)
            pieces = -(-line.quantity * stays_fen // line.amount_fen)
            stays.append(line._replace(amount_fen=stays_fen, quantity=pieces))
    again = price_again(facts, payment, kept, stays) if stays else None
    return part_of_lines(kept, left, returned, again=again)
