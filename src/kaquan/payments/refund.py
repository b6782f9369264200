"""Refund a spend: its value goes back to the very lots it came from."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import msgspec

from kaquan.cards import CardStatus
from kaquan.cards.outcomes import CARD_CLOSED
from kaquan.kit.money import allocate
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import Effect, Leg, Posting
from kaquan.payments.give import voucher_amounts, vouchers_of
from kaquan.payments.kept import Kept, KeptPart, PartKind, hash_kept, write_part
from kaquan.payments.limits import Use
from kaquan.payments.outcomes import LINES_NOT_KNOWN, NOT_REFUNDABLE, REFUND_EXCEEDS_LINE, REFUND_EXCEEDS_PAYMENT
from kaquan.payments.part import Left, after, is_all, money_of, part_of_lines, part_of_money, unrefunded, uses_back
from kaquan.payments.plan import (
    by_pocket,
    guards_of,
    known_payment,
    programme_of,
    returned_fen,
    spendable_fen,
    too_early,
)
from kaquan.payments.points import (
    expense_of,
    gift_ends,
    join,
    moved_by,
    pay_leg,
    points_left,
    points_of_part,
    take_back,
)
from kaquan.payments.price import part_legs, price_again
from kaquan.payments.types import (
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
from kaquan.points import NO_MOVE, Earning, Ends, PointsMove, after_move, plan_tender_return


def plan_refund(facts: Facts, command: Refund) -> Plan | Unopened | Refusal:
    """Decide a refund. A part is split over the lots in proportion to what is not yet refunded of each (see
    :func:`kaquan.kit.money.allocate` for the odd fen), so that paid and given value return in the ratio in which
    they were spent. A blocked card receives its refund: blocking protects value, it does not forfeit any. A closed
    card is empty for ever: what is owed to its holder goes another way.

    Of a payment with offers everything goes back that belongs to the part: each funder gets back what it paid of it,
    and budgets get their uses back as each says (:class:`kaquan.promotions.BudgetReturn`). Points that paid come back,
    points that were earned are taken; where the programme says so, the worth of those that were spent is kept back of
    the money.

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
    kept = None
    back: tuple[Use, ...] = ()
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
        part = part._replace(points=points_of_part(found.kept, found.parts, part))
        back = uses_back(found.kept, part.shares, part.grants, everything=gives_back)
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
    legs += points.move.legs
    if not legs:
        return NOT_REFUNDABLE.refuse("payment_id", kind=payment.kind.value)
    withheld_fen = min(points.from_refund_fen, amount_fen)
    comes = parts
    if withheld_fen:
        withheld = _withhold(facts, found, parts, withheld_fen)
        if isinstance(withheld, Unopened):
            return withheld
        legs += withheld[0]
        comes = withheld[1]
    posting = Posting(
        transaction_id=facts.transaction_id,
        kind="refund",
        effective_at=occurred_at,
        legs=legs,
        guards=[*guards_of(card, legs), *points.move.guards],
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
    pockets = by_pocket(card, [(spent.account_id, part) for spent, part in zip(found.legs, comes, strict=True)])
    refunded = msgspec.structs.replace(
        payment, refunded_fen=payment.refunded_fen + amount_fen, version=payment.version + 1
    )
    balance_fen = spendable_fen(card, facts.now) + returned_fen(found.legs, comes)
    return Plan(
        posting,
        Receipt(refund, pockets, balance_fen, found.kept, part, -points.taken, withheld_fen=withheld_fen),
        new=refund,
        changed=refunded,
        kept=kept,
        original_id=None if kept is None else payment.id,
        returns=returns,
        revokes=revokes,
        earnings=points.earnings,
        gives_back=back,
    )


class _Points(NamedTuple):
    """What a refund does to points. ``taken`` is what it takes back of what was earned, ``from_refund_fen`` what of
    its money that should cost."""

    move: PointsMove
    taken: int = 0
    from_refund_fen: int = 0
    earnings: tuple[tuple[Earning, Earning], ...] = ()


def _move_points(
    facts: Facts, found: PaymentFacts, left: Left | None, part: KeptPart | None, *, share: tuple[int, int]
) -> _Points | Unopened:
    """Points that paid come back, and then what was earned with what comes back is taken."""
    known, kept, payment = facts.points, found.kept, found.payment
    if known is None:
        return _Points(NO_MOVE)
    move = NO_MOVE
    gifts: Ends = ()
    if part is not None and kept is not None:
        there = points_left(kept, found.parts, authorized=payment.kind is PaymentKind.AUTHORIZATION)
        lots, grants = moved_by(there, part)
        legs: list[Leg] = []
        if part.points_fen:
            worth = pay_leg(facts, found, Effect.POST, part.points_fen, back=True)
            if isinstance(worth, Unopened):
                return worth
            legs.append(worth)
        if part.points and kept.tender is not None:
            back = plan_tender_return(kept.tender.parts, lots, member=known.member, issuer=known.issuer)
            move = back._replace(legs=legs + back.legs)
        elif legs:
            move = PointsMove(legs, [], [])
        ends = gift_ends(
            facts, kept, grants, slot=payment.slot, merchant_id=payment.merchant_id,
            issuer_id=programme_of(facts).issuer_id,
        )  # fmt: skip
        if isinstance(ends, Unopened):
            return ends
        gifts = ends
    rest = None if part is None or kept is None or left is None else after(kept, left, part)
    richer = known._replace(member=after_move(known.member, move.legs))
    taken = take_back(richer, kept, left, rest, share=share, gifts=gifts)
    return _Points(join(move, taken.move), taken.points, taken.from_refund_fen, taken.earnings)


def _withhold(
    facts: Facts, found: PaymentFacts, parts: Sequence[int], withheld_fen: int
) -> tuple[list[Leg], list[int]] | Unopened:
    """Take the worth of points that were spent from what a refund brings: what it leaves of each part, and the entries,
    to the issuer, who paid for them."""
    taken = allocate(withheld_fen, parts)
    payment = found.payment
    expense = expense_of(facts, slot=payment.slot, issuer_id=programme_of(facts).issuer_id, currency=payment.currency)
    if isinstance(expense, Unopened):
        return expense
    legs = [
        Leg(Effect.POST, spent.account_id, spent.lot, expense, None, fen)
        for spent, fen in zip(found.legs, taken, strict=True)
        if fen
    ]
    return legs, [part - fen for part, fen in zip(parts, taken, strict=True)]


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
