"""Void an authorization: what is still set aside goes back to the card, by a client's wish or because it expired."""

from uuid import UUID

import msgspec

from kaquan.kit.outcomes import Refusal
from kaquan.ledger import Effect, Posting
from kaquan.payments.give import voucher_amounts
from kaquan.payments.kept import PartKind, hash_kept, write_part
from kaquan.payments.limits import Use
from kaquan.payments.outcomes import AUTHORIZATION_NOT_OPEN
from kaquan.payments.part import all_of, uncaptured, uses_back
from kaquan.payments.plan import by_pocket, first_three, guards_of, known_payment, leg, returned_fen, spendable_fen
from kaquan.payments.points import points_left, release_points
from kaquan.payments.price import part_legs
from kaquan.payments.types import Facts, PaymentStatus, Plan, Receipt, Unopened, Void
from kaquan.points import NO_MOVE


def plan_void(facts: Facts, command: Void) -> Plan | Unopened | Refusal:
    """Decide a void or an expiry. What was captured stays captured. Where nothing was, the offers of the payment were
    not used: budgets get their uses back, as each says.

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
    kept, move = None, NO_MOVE
    back: tuple[Use, ...] = ()
    returns: tuple[tuple[UUID, int], ...] = ()
    if found.kept is not None:
        gives_back = not any(part.what is PartKind.CAPTURE for part in found.parts)
        left = uncaptured(found.kept, found.parts)
        part = all_of(found.kept, left, what=PartKind.VOID)
        held = points_left(found.kept, found.parts, authorized=True).held
        part = part._replace(gives_back=gives_back, points=sum(held))
        kept = write_part(part)
        back = uses_back(found.kept, part.shares, part.grants, everything=gives_back)
        released_points = release_points(facts, found, held, points_fen=part.points_fen)
        if isinstance(released_points, Unopened):
            return released_points
        move = released_points
        funded = part_legs(facts, found, Effect.RELEASE, part.shares)
        if isinstance(funded, Unopened):
            return funded
        legs += funded
        returns = voucher_amounts(found.kept, part.shares)
    legs += move.legs
    posting = Posting(
        transaction_id=facts.transaction_id,
        kind="expiry" if command.expired else "void",
        effective_at=occurred_at,
        legs=legs,
        guards=[*guards_of(card, legs), *move.guards],
        related_id=payment.id,
        place_id=payment.terminal_id,
        detail=hash_kept(kept),
    )
    released = [(spent.account_id, spent.reserved_fen) for spent in found.legs]
    balance_fen = spendable_fen(card, facts.now) + returned_fen(found.legs, [amount for _, amount in released])
    return Plan(
        posting,
        Receipt(changed, by_pocket(card, released), balance_fen, found.kept),
        changed=changed,
        kept=kept,
        original_id=None if kept is None else payment.id,
        returns=returns,
        gives_back=back,
    )
