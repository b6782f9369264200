"""A spend is decided on where it is, where the card was, and what its PIN was; and what each refusal says of it."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace
from tests.unit.plan_facts import (
    CARD,
    MERCHANT,
    NOW,
    PAYMENT,
    PLACE,
    PRINCIPAL,
    STORE,
    card,
    facts,
    lot,
    payment,
    planned,
    programme,
    refused,
    spent,
)
from tests.unit.test_places import BUND, SUZHOU, rule

from kaquan.cards import CardStatus, PinState, Pocket, Restriction
from kaquan.payments import (
    Capture,
    Hours,
    PaymentKind,
    PaymentStatus,
    PlaceRule,
    PlaceRuleKind,
    PocketAmount,
    Refund,
    Spend,
)
from kaquan.payments.capture import plan_capture
from kaquan.payments.places import LastPlace
from kaquan.payments.refund import plan_refund
from kaquan.payments.spend import plan_spend
from kaquan.payments.types import Facts

HOLDER = card([lot(1, 500)])
AT = NOW - timedelta(hours=3)
"""14:30 in Shanghai."""
HERE = replace(PLACE, latitude_udeg=BUND[0], longitude_udeg=BUND[1])


def spend(amount_fen: int = 100, **other: Any) -> Spend:
    return Spend(CARD, amount_fen, HERE, AT)._replace(**other)


def ruled(*rules: PlaceRule, **of: Any) -> Facts:
    return facts(HOLDER._replace(**of))._replace(place_rules=rules)


# Where


def test_trades_that_a_programme_takes() -> None:
    terms = programme(accepts=frozenset(), accepted_trades=frozenset({"canteen"}))
    planned(plan_spend(facts(HOLDER, terms=terms), spend(place=replace(PLACE, trade="canteen"))))
    cinema = spend(place=replace(PLACE, trade="cinema"))
    refused(plan_spend(facts(HOLDER, terms=terms), cinema), "not_accepted_here", "terminal_id")


@pytest.mark.parametrize(
    "where",
    [{"trades": {"canteen"}}, {"merchant_ids": {MERCHANT}}, {"store_ids": {STORE}}],
    ids=lambda where: next(iter(where)),
)
def test_the_order_of_pockets_is_that_of_the_place(where: dict[str, Any]) -> None:
    """Where restricted value may be spent it goes first, by trade, merchant or store; the card has none: the rest."""
    only = Restriction(**{name: frozenset(value) for name, value in where.items()})
    restricted = HOLDER.pockets[Pocket.PRINCIPAL]._replace(pocket=Pocket.RESTRICTED, account_id=13)
    holder = HOLDER._replace(pockets={**HOLDER.pockets, Pocket.RESTRICTED: restricted})
    plan = planned(
        plan_spend(facts(holder, terms=programme(restricted_to=only)), spend(place=replace(PLACE, trade="canteen")))
    )
    assert plan.receipt.pockets == [PocketAmount(Pocket.RESTRICTED, 100)]


def test_a_circle_binds_at_its_hours_in_the_zone_of_the_issuer() -> None:
    afternoon = rule(PlaceRuleKind.WITHIN, hours=Hours(14 * 60, 15 * 60))
    far = spend(place=replace(PLACE, latitude_udeg=SUZHOU[0], longitude_udeg=SUZHOU[1]))
    planned(plan_spend(ruled(afternoon), spend()))
    refused(plan_spend(ruled(afternoon), far), "outside_area", "terminal_id", rule="a rule")
    planned(plan_spend(ruled(afternoon), far._replace(occurred_at=AT + timedelta(hours=1))))
    planned(plan_spend(ruled(), far))


def test_a_card_that_was_elsewhere_a_moment_ago() -> None:
    travel = rule(PlaceRuleKind.TRAVEL)
    last = LastPlace(UUID(int=7), *SUZHOU, AT - timedelta(minutes=41))
    refused(plan_spend(ruled(travel, last_place=last), spend()), "impossible_travel", "terminal_id", rule="a rule")
    planned(plan_spend(ruled(travel, last_place=last), spend(occurred_at=AT + timedelta(minutes=2))))
    planned(plan_spend(ruled(travel), spend()))


def test_a_place_is_left_for_a_travel_rule_alone() -> None:
    travel, within = rule(PlaceRuleKind.TRAVEL), rule(PlaceRuleKind.WITHIN)
    assert planned(plan_spend(ruled(within, travel), spend())).last_place == LastPlace(STORE, *BUND, AT)
    assert planned(plan_spend(ruled(within), spend())).last_place is None
    assert planned(plan_spend(ruled(travel), spend(place=PLACE))).last_place is None
    no_longitude, no_latitude = replace(HERE, longitude_udeg=None), replace(HERE, latitude_udeg=None)
    assert planned(plan_spend(ruled(travel), spend(place=no_longitude))).last_place is None
    assert planned(plan_spend(ruled(travel), spend(place=no_latitude))).last_place is None


# The PIN


@pytest.mark.parametrize(
    ("amount_fen", "pin", "code", "details"),
    [
        (99, PinState.NOT_GIVEN, None, {}),
        (99, PinState.WRONG, None, {}),
        (100, PinState.NOT_GIVEN, "pin_required", {"above_fen": 99}),
        (100, PinState.WRONG, "pin_wrong", {}),
        (100, PinState.LOCKED, "pin_locked", {}),
        (100, PinState.NOT_SET, "pin_not_set", {}),
        (100, PinState.RIGHT, None, {}),
        # who has not the PIN learns nothing of the balance
        (501, PinState.WRONG, "pin_wrong", {}),
        (501, PinState.RIGHT, "insufficient_funds", {"available_fen": 500}),
    ],
)
def test_above_an_amount_a_programme_asks_for_the_pin(
    amount_fen: int, pin: PinState, code: str | None, details: dict[str, int]
) -> None:
    asks = facts(HOLDER, terms=programme(pin_required_above_fen=99))
    decision = plan_spend(asks, spend(amount_fen, pin=pin))
    if code is None:
        planned(decision)
    else:
        refused(decision, code, "amount_fen" if code == "insufficient_funds" else "pin", **details)


# What is told


def test_a_refusal_names_what_is_not_there_and_what_is_too_early() -> None:
    refused(plan_spend(facts(None), spend()), "not_found", "card_id", what="card")
    late = AT + timedelta(seconds=1)
    refused(
        plan_spend(facts(HOLDER), spend(not_before=late)), "backdating_forbidden", "occurred_at",
        not_before=late.isoformat(),
    )  # fmt: skip


def test_two_lots_of_a_pocket_are_one_amount_of_it() -> None:
    soon = card([lot(1, 40), lot(2, 40, NOW + timedelta(days=1))])
    plan = planned(plan_spend(facts(soon), spend(50)))
    assert [(leg.debit_lot, leg.amount_fen) for leg in plan.posting.legs] == [(2, 40), (1, 10)]
    assert plan.receipt.pockets == [PocketAmount(Pocket.PRINCIPAL, 50)]


def test_what_was_captured_comes_back_to_a_card_that_is_not_closed() -> None:
    paid = payment(PaymentKind.PURCHASE, PaymentStatus.COMPLETED, captured_fen=100, expires_at=None)
    legs = [spent(PRINCIPAL, 1, captured_fen=100)]
    closed = facts(HOLDER._replace(status=CardStatus.CLOSED), of_payment=paid, legs=legs)
    refused(plan_refund(closed, Refund(PAYMENT, 1)), "card_closed", "payment_id")
    nothing = payment(PaymentKind.PURCHASE, PaymentStatus.COMPLETED, captured_fen=0, expires_at=None)
    refused(
        plan_refund(facts(HOLDER, of_payment=nothing, legs=[]), Refund(PAYMENT, None)), "not_refundable", "payment_id",
        kind="purchase",
    )  # fmt: skip


def test_lines_of_a_payment_that_has_none_are_not_known() -> None:
    paid = payment(PaymentKind.PURCHASE, PaymentStatus.COMPLETED, captured_fen=100, expires_at=None)
    known = facts(HOLDER, of_payment=paid, legs=[spent(PRINCIPAL, 1, captured_fen=100)])
    refused(plan_refund(known, Refund(PAYMENT, None, lines=((1, 10),))), "lines_not_known", "lines")
    refused(
        plan_refund(known, Refund(PAYMENT, 100, NOW, not_before=NOW + timedelta(seconds=1))), "backdating_forbidden",
        "occurred_at",
    )  # fmt: skip


def test_a_lot_that_has_nothing_is_passed_over() -> None:
    empty = card([lot(1, 0), lot(2, 10)])
    assert [(leg.debit_lot, leg.amount_fen) for leg in planned(plan_spend(facts(empty), spend(10))).posting.legs] == [
        (2, 10)
    ]


def test_a_final_capture_gives_the_rest_back_to_spend() -> None:
    held = [spent(PRINCIPAL, 1, reserved_fen=30), spent(PRINCIPAL, 2, reserved_fen=70)]
    known = facts(HOLDER, of_payment=payment(), legs=held)
    assert planned(plan_capture(known, Capture(PAYMENT, 40, True))).receipt.balance_fen == 560
    assert planned(plan_capture(known, Capture(PAYMENT, 40, False))).receipt.balance_fen == 500
