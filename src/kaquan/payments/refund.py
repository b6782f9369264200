"""Refund a spend: its value goes back to the very lots it came from."""

import msgspec

from kaquan.cards import CardStatus
from kaquan.cards.outcomes import CARD_CLOSED
from kaquan.kit.money import allocate
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import Effect, Leg, Posting
from kaquan.payments.outcomes import NOT_REFUNDABLE, REFUND_EXCEEDS_PAYMENT
from kaquan.payments.plan import by_pocket, guards_of, known_payment, returned_fen, spendable_fen, too_early
from kaquan.payments.types import Facts, Payment, PaymentKind, PaymentStatus, Plan, Receipt, Refund


def plan_refund(facts: Facts, command: Refund) -> Plan | Refusal:
    """Decide a refund. A part is split over the lots in proportion to what is not yet refunded of each (see
    :func:`kaquan.kit.money.allocate` for the odd fen), so that paid and given value return in the ratio in which
    they were spent. A blocked card receives its refund: blocking protects value, it does not forfeit any. A closed
    card is empty for ever: what is owed to its holder goes another way.

    Refused with ``backdating_forbidden``, ``not_found``, ``card_closed``, ``not_refundable`` or
    ``refund_exceeds_payment``.
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
    if payment.captured_fen == 0 or payment.kind not in (PaymentKind.PURCHASE, PaymentKind.AUTHORIZATION):
        return NOT_REFUNDABLE.refuse("payment_id", kind=payment.kind.value)
    rooms = [spent.captured_fen - spent.refunded_fen for spent in found.legs]
    left_fen = sum(rooms)
    amount_fen = left_fen if command.amount_fen is None else command.amount_fen
    if amount_fen > left_fen or left_fen == 0:
        return REFUND_EXCEEDS_PAYMENT.refuse("amount_fen", left_fen=left_fen)
    parts = allocate(amount_fen, rooms)
    legs = [
        Leg(Effect.POST, spent.other_account, None, spent.account_id, spent.lot, part)
        for spent, part in zip(found.legs, parts, strict=True)
        if part
    ]
    posting = Posting(
        transaction_id=facts.transaction_id,
        kind="refund",
        effective_at=occurred_at,
        legs=legs,
        guards=guards_of(card, legs),
        related_id=payment.id,
        place_id=payment.terminal_id,
        reference=command.reference,
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
    receipt = Receipt(refund, pockets, spendable_fen(card, facts.now) + returned_fen(found.legs, parts))
    return Plan(posting, receipt, new=refund, changed=refunded)
