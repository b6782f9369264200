"""What becomes of an authorization: captured whole or in parts, voided, expired."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.plan_facts import (
    BONUS,
    NOW,
    PAYABLE,
    PAYMENT,
    PRINCIPAL,
    card,
    facts,
    lot,
    payment,
    planned,
    refused,
    spent,
)

from kaquan.cards import CardStatus, Pocket
from kaquan.ledger import Effect, Leg
from kaquan.payments import Capture, PaymentKind, PaymentStatus, PocketAmount, Void
from kaquan.payments.capture import plan_capture
from kaquan.payments.plan import fill
from kaquan.payments.void import plan_void

HELD = [spent(BONUS, 1, reserved_fen=30), spent(PRINCIPAL, 2, reserved_fen=70)]
HOLDER = card([lot(2, 50)], reserved_fen=70)


def capture(amount_fen: int | None = None, *, final: bool = True) -> Capture:
    return Capture(PAYMENT, amount_fen, final, NOW)


def test_a_whole_capture() -> None:
    plan = planned(plan_capture(facts(HOLDER, of_payment=payment(), legs=HELD), capture()))
    assert plan.posting.legs == [
        Leg(Effect.CAPTURE, BONUS, 1, PAYABLE, None, 30),
        Leg(Effect.CAPTURE, PRINCIPAL, 2, PAYABLE, None, 70),
    ]
    assert (plan.posting.kind, plan.posting.related_id) == ("capture", PAYMENT)
    assert plan.new is None
    assert plan.changed is not None
    assert (plan.changed.status, plan.changed.captured_fen, plan.changed.version) == (PaymentStatus.COMPLETED, 100, 4)
    assert plan.receipt.balance_fen == 50
    assert plan.receipt.pockets == [PocketAmount(Pocket.PRINCIPAL, 70), PocketAmount(Pocket.BONUS, 30)]


def test_a_final_part_gives_the_rest_back() -> None:
    plan = planned(plan_capture(facts(HOLDER, of_payment=payment(), legs=HELD), capture(40)))
    assert plan.posting.legs == [
        Leg(Effect.CAPTURE, BONUS, 1, PAYABLE, None, 30),
        Leg(Effect.CAPTURE, PRINCIPAL, 2, PAYABLE, None, 10),
        Leg(Effect.RELEASE, PRINCIPAL, 2, PAYABLE, None, 60),
    ]
    assert plan.changed is not None
    assert (plan.changed.status, plan.changed.captured_fen) == (PaymentStatus.COMPLETED, 40)
    assert plan.receipt.balance_fen == 110


def test_a_part_that_is_not_final_leaves_the_rest_reserved() -> None:
    plan = planned(plan_capture(facts(HOLDER, of_payment=payment(), legs=HELD), capture(40, final=False)))
    assert [leg.effect for leg in plan.posting.legs] == [Effect.CAPTURE, Effect.CAPTURE]
    assert plan.changed is not None
    assert (plan.changed.status, plan.changed.captured_fen) == (PaymentStatus.OPEN, 40)
    assert plan.receipt.balance_fen == 50
    left = [
        spent(BONUS, 1, captured_fen=30, refunded_fen=5),
        spent(PRINCIPAL, 2, reserved_fen=60, captured_fen=10),
    ]
    after = payment(captured_fen=40, refunded_fen=5)
    refused(
        plan_capture(facts(HOLDER, of_payment=after, legs=left), capture(61)),
        "capture_exceeds_authorization",
        "amount_fen",
        left_fen=60,
    )
    rest = planned(plan_capture(facts(HOLDER, of_payment=after, legs=left), capture(60, final=False)))
    assert rest.posting.legs == [Leg(Effect.CAPTURE, PRINCIPAL, 2, PAYABLE, None, 60)]
    assert rest.changed is not None
    assert (rest.changed.status, rest.changed.captured_fen) == (PaymentStatus.COMPLETED, 100)


@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=5).filter(any),
    st.integers(1, 250),
    st.booleans(),
)
def test_a_capture_moves_its_amount_and_releases_only_the_rest(rooms: list[int], amount_fen: int, final: bool) -> None:
    legs = [spent(PRINCIPAL, number, reserved_fen=room) for number, room in enumerate(rooms, start=1)]
    whole = sum(rooms)
    decision = plan_capture(
        facts(HOLDER, of_payment=payment(amount_fen=whole), legs=legs), capture(amount_fen, final=final)
    )
    if amount_fen > whole:
        refused(decision, "capture_exceeds_authorization", "amount_fen", left_fen=whole)
        return
    plan = planned(decision)
    by_effect = {
        effect: sum(leg.amount_fen for leg in plan.posting.legs if leg.effect is effect)
        for effect in (Effect.CAPTURE, Effect.RELEASE)
    }
    done = final or amount_fen == whole
    assert by_effect == {Effect.CAPTURE: amount_fen, Effect.RELEASE: whole - amount_fen if done else 0}
    assert all(leg.amount_fen > 0 for leg in plan.posting.legs)
    for number, room in enumerate(rooms, start=1):
        assert sum(leg.amount_fen for leg in plan.posting.legs if leg.debit_lot == number) <= room


@given(st.lists(st.integers(0, 50), max_size=6), st.integers(0, 300))
def test_filling_is_in_order(rooms: list[int], amount_fen: int) -> None:
    parts = fill(amount_fen, rooms)
    assert sum(parts) == min(amount_fen, sum(rooms))
    assert all(0 <= part <= room for part, room in zip(parts, rooms, strict=True))
    short = [number for number, (part, room) in enumerate(zip(parts, rooms, strict=True)) if part < room]
    assert all(parts[number] == 0 for number in short[1:])


def test_a_void_gives_back_what_is_left() -> None:
    left = [spent(BONUS, 1, captured_fen=30), spent(PRINCIPAL, 2, reserved_fen=60, captured_fen=10)]
    plan = planned(plan_void(facts(HOLDER, of_payment=payment(captured_fen=40), legs=left), Void(PAYMENT, NOW)))
    assert plan.posting.legs == [Leg(Effect.RELEASE, PRINCIPAL, 2, PAYABLE, None, 60)]
    assert (plan.posting.kind, plan.posting.related_id) == ("void", PAYMENT)
    assert plan.changed is not None
    assert (plan.changed.status, plan.changed.captured_fen) == (PaymentStatus.COMPLETED, 40)
    assert plan.receipt.balance_fen == 110
    assert plan.receipt.pockets == [PocketAmount(Pocket.PRINCIPAL, 60)]


@pytest.mark.parametrize(("expired", "status"), [(False, PaymentStatus.VOIDED), (True, PaymentStatus.EXPIRED)])
def test_a_void_of_the_whole(expired: bool, status: PaymentStatus) -> None:
    plan = planned(plan_void(facts(HOLDER, of_payment=payment(), legs=HELD), Void(PAYMENT, NOW, expired)))
    assert plan.changed is not None
    assert plan.changed.status is status
    assert plan.posting.kind == ("expiry" if expired else "void")
    assert sum(leg.amount_fen for leg in plan.posting.legs) == 100


def test_a_blocked_card_keeps_its_promises() -> None:
    blocked = card([lot(2, 50)], status=CardStatus.BLOCKED, reserved_fen=70)
    planned(plan_capture(facts(blocked, of_payment=payment(), legs=HELD), capture()))
    planned(plan_void(facts(blocked, of_payment=payment(), legs=HELD), Void(PAYMENT, NOW)))


def test_time() -> None:
    over = payment(expires_at=NOW)
    refused(
        plan_capture(facts(HOLDER, of_payment=over, legs=HELD), capture()),
        "authorization_expired",
        "payment_id",
        expires_at=NOW.isoformat(),
    )
    planned(plan_void(facts(HOLDER, of_payment=over, legs=HELD), Void(PAYMENT, NOW)))
    last = payment(expires_at=NOW + timedelta(microseconds=1))
    planned(plan_capture(facts(HOLDER, of_payment=last, legs=HELD), capture()))


@pytest.mark.parametrize(
    "found",
    [
        payment(status=PaymentStatus.COMPLETED, captured_fen=100),
        payment(status=PaymentStatus.VOIDED),
        payment(status=PaymentStatus.EXPIRED),
        payment(PaymentKind.PURCHASE, PaymentStatus.COMPLETED, captured_fen=100, expires_at=None),
        payment(PaymentKind.LOAD, PaymentStatus.COMPLETED, captured_fen=100, expires_at=None),
        payment(PaymentKind.REFUND, PaymentStatus.COMPLETED, captured_fen=100, expires_at=None),
    ],
)
def test_what_is_not_open(found: Any) -> None:
    known = facts(HOLDER, of_payment=found, legs=HELD)
    refused(plan_capture(known, capture()), "authorization_not_open", "payment_id", status=found.status)
    refused(plan_void(known, Void(PAYMENT, NOW)), "authorization_not_open", "payment_id", status=found.status)


def test_what_is_not_there() -> None:
    for known in (
        facts(HOLDER),
        facts(HOLDER, of_payment=payment(book_id=8), legs=HELD),
        facts(None, of_payment=payment(), legs=HELD),
    ):
        refused(plan_capture(known, capture()), "not_found", "payment_id")
        refused(plan_void(known, Void(PAYMENT, NOW)), "not_found", "payment_id")
