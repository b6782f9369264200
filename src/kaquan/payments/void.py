"""Void an authorization: what is still set aside goes back to the card, by a client's wish or because it expired."""

import msgspec

from kaquan.kit.outcomes import Refusal
from kaquan.ledger import Effect, Posting
from kaquan.payments.outcomes import AUTHORIZATION_NOT_OPEN
from kaquan.payments.plan import by_pocket, first_three, guards_of, known_payment, leg, returned_fen, spendable_fen
from kaquan.payments.types import Facts, PaymentStatus, Plan, Receipt, Void


def plan_void(facts: Facts, command: Void) -> Plan | Refusal:
    """Decide a void or an expiry. What was captured stays captured.

    Refused with ``not_found`` or ``authorization_not_open``.
    """
    occurred_at = command.occurred_at or facts.now
    found = known_payment(facts)
    if isinstance(found, Refusal):
        return found
    payment, card = found.payment, facts.card
    assert card is not None
    if payment.status is not PaymentStatus.OPEN:
        return AUTHORIZATION_NOT_OPEN.refuse("payment_id", status=payment.status.value)
    ended = PaymentStatus.EXPIRED if command.expired else PaymentStatus.VOIDED
    changed = msgspec.structs.replace(
        payment,
        status=PaymentStatus.COMPLETED if payment.captured_fen else ended,
        version=payment.version + 1,
    )
    legs = [leg(Effect.RELEASE, first_three(spent), spent.reserved_fen) for spent in found.legs if spent.reserved_fen]
    posting = Posting(
        transaction_id=facts.transaction_id,
        kind="expiry" if command.expired else "void",
        effective_at=occurred_at,
        legs=legs,
        guards=guards_of(card, legs),
        related_id=payment.id,
        place_id=payment.terminal_id,
    )
    released = [(spent.account_id, spent.reserved_fen) for spent in found.legs]
    balance_fen = spendable_fen(card, facts.now) + returned_fen(found.legs, [amount for _, amount in released])
    return Plan(posting, Receipt(changed, by_pocket(card, released), balance_fen), changed=changed)
