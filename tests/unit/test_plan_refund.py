"""A refund goes back to the lots that the value came from, in the ratio in which it was spent."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.plan_facts import (
    BONUS,
    NEW,
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
from kaquan.payments import PaymentKind, PaymentStatus, PocketAmount, Refund
from kaquan.payments.refund import plan_refund

HOLDER = card([lot(2, 50)])
PAID = payment(PaymentKind.PURCHASE, PaymentStatus.COMPLETED, captured_fen=100, expires_at=None)
LEGS = [spent(BONUS, 1, captured_fen=30), spent(PRINCIPAL, 2, captured_fen=70)]


def refund(amount_fen: int | None = None) -> Refund:
    return Refund(PAYMENT, amount_fen, NOW, "return 1")


def test_a_part_is_split_as_it_was_spent() -> None:
    plan = planned(plan_refund(facts(HOLDER, of_payment=PAID, legs=LEGS), refund(10)))
    assert plan.posting.legs == [
        Leg(Effect.POST, PAYABLE, None, BONUS, 1, 3),
        Leg(Effect.POST, PAYABLE, None, PRINCIPAL, 2, 7),
    ]
    assert (plan.posting.kind, plan.posting.related_id, plan.posting.reference) == ("refund", PAYMENT, "return 1")
    assert plan.new is not None
    assert plan.changed is not None
    assert (plan.new.id, plan.new.kind, plan.new.status) == (NEW, PaymentKind.REFUND, PaymentStatus.COMPLETED)
    assert (plan.new.amount_fen, plan.new.captured_fen, plan.new.original_id) == (10, 10, PAYMENT)
    assert (plan.changed.refunded_fen, plan.changed.version, plan.changed.status) == (10, 4, PaymentStatus.COMPLETED)
    assert plan.receipt.payment == plan.new
    assert plan.receipt.balance_fen == 60
    assert plan.receipt.pockets == [PocketAmount(Pocket.PRINCIPAL, 7), PocketAmount(Pocket.BONUS, 3)]


def test_without_an_amount_all_that_is_left() -> None:
    left = [spent(BONUS, 1, captured_fen=30, refunded_fen=3), spent(PRINCIPAL, 2, captured_fen=70, refunded_fen=7)]
    plan = planned(plan_refund(facts(HOLDER, of_payment=PAID, legs=left), refund()))
    assert [(leg.credit_account, leg.amount_fen) for leg in plan.posting.legs] == [(BONUS, 27), (PRINCIPAL, 63)]


@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=4).filter(any),
    st.lists(st.integers(1, 60), max_size=8),
    st.data(),
)
def test_refund_after_refund_never_exceeds_a_lot(captured: list[int], amounts: list[int], data: Any) -> None:
    refunded = [0] * len(captured)
    for amount_fen in [*amounts, None]:
        legs = [
            spent(PRINCIPAL, number, captured_fen=whole, refunded_fen=back)
            for number, (whole, back) in enumerate(zip(captured, refunded, strict=True), start=1)
        ]
        left_fen = sum(captured) - sum(refunded)
        decision = plan_refund(facts(HOLDER, of_payment=PAID, legs=legs), refund(amount_fen))
        if left_fen == 0 or (amount_fen is not None and amount_fen > left_fen):
            refused(decision, "refund_exceeds_payment", "amount_fen", left_fen=left_fen)
            continue
        plan = planned(decision)
        for leg in plan.posting.legs:
            assert leg.credit_lot is not None
            refunded[leg.credit_lot - 1] += leg.amount_fen
            assert leg.amount_fen > 0
        assert sum(leg.amount_fen for leg in plan.posting.legs) == (left_fen if amount_fen is None else amount_fen)
        assert all(back <= whole for back, whole in zip(refunded, captured, strict=True))
    assert refunded == captured


def test_what_was_captured_of_an_open_authorization_can_be_refunded() -> None:
    legs = [spent(BONUS, 1, captured_fen=30), spent(PRINCIPAL, 2, reserved_fen=60, captured_fen=10)]
    opened = payment(captured_fen=40)
    plan = planned(plan_refund(facts(HOLDER, of_payment=opened, legs=legs), refund()))
    assert sum(leg.amount_fen for leg in plan.posting.legs) == 40
    assert plan.changed is not None
    assert plan.changed.status is PaymentStatus.OPEN
    refused(
        plan_refund(facts(HOLDER, of_payment=opened, legs=legs), refund(41)),
        "refund_exceeds_payment",
        "amount_fen",
        left_fen=40,
    )


def test_a_blocked_card_receives_its_refund() -> None:
    planned(plan_refund(facts(card(status=CardStatus.BLOCKED), of_payment=PAID, legs=LEGS), refund()))


@pytest.mark.parametrize(
    "found",
    [
        payment(),
        payment(status=PaymentStatus.VOIDED),
        payment(status=PaymentStatus.EXPIRED),
        payment(PaymentKind.LOAD, PaymentStatus.COMPLETED, captured_fen=100),
        payment(PaymentKind.REFUND, PaymentStatus.COMPLETED, captured_fen=100),
    ],
)
def test_what_cannot_be_refunded(found: Any) -> None:
    refused(
        plan_refund(facts(HOLDER, of_payment=found, legs=LEGS), refund(1)),
        "not_refundable",
        "payment_id",
        kind=found.kind,
    )


def test_what_is_not_there() -> None:
    for known in (
        facts(HOLDER),
        facts(HOLDER, of_payment=payment(book_id=8), legs=LEGS),
        facts(None, of_payment=PAID, legs=LEGS),
    ):
        refused(plan_refund(known, refund()), "not_found", "payment_id")
