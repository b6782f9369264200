"""Spend at a terminal: a purchase moves the value, an authorization sets it aside."""

from datetime import timedelta

from kaquan.kit.outcomes import Refusal
from kaquan.ledger import Effect, Leg, Posting
from kaquan.payments.outcomes import INSUFFICIENT_FUNDS, NOT_ACCEPTED_HERE, TERMINAL_BLOCKED
from kaquan.payments.plan import by_pocket, guards_of, spendable_fen, take, too_early, usable_card
from kaquan.payments.types import Facts, Payment, PaymentKind, PaymentStatus, Plan, Receipt, Spend


def plan_spend(facts: Facts, command: Spend) -> Plan | Refusal:
    """Decide a purchase or an authorization.

    Refused with ``backdating_forbidden``, ``not_found``, ``card_not_active``, ``card_blocked``, ``card_expired``,
    ``terminal_blocked``, ``not_accepted_here`` or ``insufficient_funds``, in this order.
    """
    occurred_at = command.occurred_at or facts.now
    if (refusal := too_early(command)) is not None:
        return refusal
    card = usable_card(facts)
    if isinstance(card, Refusal):
        return card
    place = command.place
    if place.status != "active":
        return TERMINAL_BLOCKED.refuse("terminal_id")
    programme = facts.programme
    if programme is None or not programme.accepts_at(place.merchant_id, place.store_id):
        return NOT_ACCEPTED_HERE.refuse("terminal_id")
    takings = take(card, programme.spend_order, command.amount_fen, facts.now)
    if isinstance(takings, int):
        return INSUFFICIENT_FUNDS.refuse("amount_fen", available_fen=takings, amount_fen=command.amount_fen)
    if command.authorize:
        kind, status, effect, captured_fen = PaymentKind.AUTHORIZATION, PaymentStatus.OPEN, Effect.RESERVE, 0
        expires_at = facts.now + timedelta(seconds=command.expires_in_s or programme.authorization_ttl_s)
    else:
        kind, status, effect = PaymentKind.PURCHASE, PaymentStatus.COMPLETED, Effect.POST
        captured_fen, expires_at = command.amount_fen, None
    payable = facts.accounts.merchant_payable
    legs = [Leg(effect, taking.pocket.account_id, taking.lot, payable, None, taking.amount_fen) for taking in takings]
    posting = Posting(
        transaction_id=facts.transaction_id,
        kind=kind.value,
        effective_at=occurred_at,
        legs=legs,
        guards=guards_of(card, legs),
        place_id=place.terminal_id,
        reference=command.reference,
    )
    payment = Payment(
        slot=-1,
        id=facts.transaction_id,
        book_id=facts.book_id,
        kind=kind,
        status=status,
        card_id=card.id,
        merchant_id=place.merchant_id,
        store_id=place.store_id,
        terminal_id=place.terminal_id,
        original_id=None,
        currency=programme.currency,
        amount_fen=command.amount_fen,
        bonus_fen=0,
        captured_fen=captured_fen,
        refunded_fen=0,
        reference=command.reference,
        expires_at=expires_at,
        occurred_at=occurred_at,
        created_at=facts.now,
        version=0,
    )
    pockets = by_pocket(card, [(taking.pocket.account_id, taking.amount_fen) for taking in takings])
    return Plan(posting, Receipt(payment, pockets, spendable_fen(card, facts.now) - command.amount_fen), new=payment)
