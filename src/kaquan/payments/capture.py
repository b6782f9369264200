"""Capture an authorization: what was set aside, or a part of it, becomes a spend."""

from uuid import UUID

import msgspec

from kaquan.kit.outcomes import Refusal
from kaquan.ledger import Effect, Posting
from kaquan.payments.give import voucher_amounts, vouchers_of
from kaquan.payments.kept import PartKind, hash_kept, write_part
from kaquan.payments.limits import Use
from kaquan.payments.outcomes import (
    AUTHORIZATION_EXPIRED,
    AUTHORIZATION_NOT_OPEN,
    CAPTURE_EXCEEDS_AUTHORIZATION,
)
from kaquan.payments.part import after, minus, nets_of, part_of_money, uncaptured, uses_back
from kaquan.payments.plan import (
    by_pocket,
    fill,
    first_three,
    guards_of,
    known_payment,
    leg,
    programme_of,
    returned_fen,
    spendable_fen,
)
from kaquan.payments.points import bought_of, captured_points, earn, gift_ends, join, points_of_part
from kaquan.payments.price import local_time, part_legs
from kaquan.payments.types import Capture, Facts, Giving, PaymentStatus, Plan, Receipt, Unopened
from kaquan.points import NO_MOVE, Ends


def plan_capture(facts: Facts, command: Capture) -> Plan | Unopened | Refusal:
    """Decide a capture. Value is captured in the order in which it was set aside, as a purchase would take it, with the
    discounts and the points that belong to it. What it takes of the card's money earns points, as a purchase does.

    A card that was blocked after the authorization does not stop its capture: the value was promised then.
    Refused with ``not_found``, ``authorization_not_open``, ``authorization_expired`` or
    ``capture_exceeds_authorization``.
    """
    occurred_at = command.occurred_at or facts.now
    found = known_payment(facts)
    if isinstance(found, Refusal):
        return found
    payment, card = found.payment, facts.card
    assert card is not None
    if payment.status is not PaymentStatus.OPEN:
        return AUTHORIZATION_NOT_OPEN.refuse("payment_id", status=payment.status.value)
    assert payment.expires_at is not None
    if payment.expires_at <= facts.now:
        return AUTHORIZATION_EXPIRED.refuse("payment_id", expires_at=payment.expires_at.isoformat())
    rooms = [spent.reserved_fen for spent in found.legs]
    left_fen = sum(rooms)
    amount_fen = left_fen if command.amount_fen is None else command.amount_fen
    if amount_fen > left_fen:
        return CAPTURE_EXCEEDS_AUTHORIZATION.refuse("amount_fen", left_fen=left_fen)
    programme = programme_of(facts)
    local = local_time(occurred_at, programme.time_zone)
    captured = fill(amount_fen, rooms)
    legs = [
        leg(Effect.CAPTURE, first_three(spent), part) for spent, part in zip(found.legs, captured, strict=True) if part
    ]
    done = command.final or amount_fen == left_fen
    if done:
        legs += [
            leg(Effect.RELEASE, first_three(spent), spent.reserved_fen - part)
            for spent, part in zip(found.legs, captured, strict=True)
            if spent.reserved_fen > part
        ]
    kept = None
    returns: tuple[tuple[UUID, int], ...] = ()
    gives: tuple[Giving, ...] = ()
    gifts: Ends = ()
    nets: list[int] = []
    move = NO_MOVE
    back: tuple[Use, ...] = ()
    if found.kept is not None:
        left = uncaptured(found.kept, found.parts)
        part = part_of_money(found.kept, left, amount_fen, what=PartKind.CAPTURE)
        part = part._replace(points=points_of_part(found.kept, found.parts, part))
        taken = captured_points(facts, found, part, left, done=done)
        if isinstance(taken, Unopened):
            return taken
        move = taken.move
        ends = gift_ends(
            facts, found.kept, taken.grants, slot=payment.slot, merchant_id=payment.merchant_id,
            issuer_id=programme.issuer_id,
        )  # fmt: skip
        if isinstance(ends, Unopened):
            return ends
        gifts = ends
        uncaptured_nets = zip(
            nets_of(found.kept, left), nets_of(found.kept, after(found.kept, left, part)), strict=True
        )
        nets = [max(before - rest, 0) for before, rest in uncaptured_nets]
        kept = write_part(part)
        rest = minus(left.shares, part.shares) if done else ()
        for effect, shares in ((Effect.CAPTURE, part.shares), (Effect.RELEASE, rest)):
            funded = part_legs(facts, found, effect, shares)
            if isinstance(funded, Unopened):
                return funded
            legs += funded
        returns = voucher_amounts(found.kept, rest)
        if done:
            back = uses_back(found.kept, rest, after(found.kept, left, part).some_grants, everything=False)
        gives = vouchers_of(found.kept.grants, part.grants, card=card, programme=programme, payment_id=payment.id)
    earned = None
    if facts.points is not None:
        assert payment.merchant_id is not None, "what is spent is spent at a merchant"
        assert payment.store_id is not None, "what is spent is spent at a store"
        names = {pocket.account_id: pocket.pocket for pocket in card.pockets.values()}
        bought = bought_of(
            facts.points, found.kept, nets,
            [(names[spent.account_id], fen) for spent, fen in zip(found.legs, captured, strict=True)],
            merchant_id=payment.merchant_id, store_id=payment.store_id, trade=facts.trade, local=local,
        )  # fmt: skip
        earned = earn(
            facts.points, bought, gifts, transaction_id=facts.transaction_id, payment_id=payment.id,
            time_zone=programme.time_zone, now=facts.now,
        )  # fmt: skip
    move = move if earned is None else join(move, earned[0])
    legs += move.legs
    changed = msgspec.structs.replace(
        payment,
        status=PaymentStatus.COMPLETED if done else PaymentStatus.OPEN,
        captured_fen=payment.captured_fen + amount_fen,
        version=payment.version + 1,
    )
    posting = Posting(
        transaction_id=facts.transaction_id,
        kind="capture",
        effective_at=occurred_at,
        legs=legs,
        guards=[*guards_of(card, legs), *move.guards],
        lots=tuple(move.lots),
        related_id=payment.id,
        place_id=payment.terminal_id,
        detail=hash_kept(kept),
    )
    pockets = by_pocket(card, [(spent.account_id, part) for spent, part in zip(found.legs, captured, strict=True)])
    released = [room - part if done else 0 for room, part in zip(rooms, captured, strict=True)]
    balance_fen = spendable_fen(card, facts.now) + returned_fen(found.legs, released)
    return Plan(
        posting,
        Receipt(changed, pockets, balance_fen, found.kept, points_earned=0 if earned is None else earned[1].points),
        changed=changed,
        kept=kept,
        original_id=None if kept is None else payment.id,
        returns=returns,
        gives=gives,
        earnings=() if earned is None else ((None, earned[1]),),
        gives_back=back,
    )
