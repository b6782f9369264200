"""The restricted pocket (row R13): spent first where it may be, never elsewhere; loaded by name; refunded to."""

from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.plan_facts import (
    CARD,
    CLEARING,
    MERCHANT,
    NOW,
    PLACE,
    STORE,
    card,
    facts,
    lot,
    payment,
    planned,
    programme,
    refused,
)

from kaquan.cards import Pocket, Restriction
from kaquan.parties import Place
from kaquan.payments import Load, PaymentKind, PaymentStatus, Refund, Spend
from kaquan.payments.load import plan_load
from kaquan.payments.plan import take
from kaquan.payments.refund import plan_refund
from kaquan.payments.spend import plan_spend
from kaquan.payments.types import CardFacts, PocketFacts, SpentLeg

RESTRICTED = 13
CANTEEN = replace(PLACE, trade="canteen")
TERMS = programme(restricted_to=Restriction(trades=frozenset({"canteen"})))


def restricted_card(restricted_fen: int, principal_fen: int = 0, bonus_fen: int = 0) -> CardFacts:
    made = card([lot(1, principal_fen)], [lot(1, bonus_fen)])
    pocket = PocketFacts(Pocket.RESTRICTED, RESTRICTED, 7, restricted_fen, 0, [lot(1, restricted_fen)])
    return made._replace(pockets={**made.pockets, Pocket.RESTRICTED: pocket})


def amounts(decision: Any) -> dict[Pocket, int]:
    return {one.pocket: one.amount_fen for one in planned(decision).receipt.pockets}


def spend(amount_fen: int, place: Place = CANTEEN, **how: Any) -> Spend:
    return Spend(CARD, amount_fen, place, NOW, **how)


def test_it_is_spent_first_where_it_may_be() -> None:
    known = facts(restricted_card(300, 1_000, 200), terms=TERMS)
    assert amounts(plan_spend(known, spend(600))) == {
        Pocket.RESTRICTED: 300,
        Pocket.BONUS: 200,
        Pocket.PRINCIPAL: 100,
    }
    assert amounts(plan_spend(known, spend(100, authorize=True))) == {Pocket.RESTRICTED: 100}


def test_it_is_never_spent_elsewhere() -> None:
    known = facts(restricted_card(300, 1_000, 200), terms=TERMS)
    assert amounts(plan_spend(known, spend(600, PLACE))) == {Pocket.BONUS: 200, Pocket.PRINCIPAL: 400}
    decision = plan_spend(known, spend(1_201, PLACE))
    refused(decision, "insufficient_funds", "amount_fen", available_fen=1_200, amount_fen=1_201)
    refused(plan_spend(facts(restricted_card(300), terms=TERMS), spend(1, PLACE)), "insufficient_funds", "amount_fen")


def test_an_order_that_names_it_is_kept() -> None:
    last = replace(TERMS, spend_order=(Pocket.BONUS, Pocket.PRINCIPAL, Pocket.RESTRICTED))
    known = facts(restricted_card(300, 1_000, 200), terms=last)
    assert amounts(plan_spend(known, spend(600))) == {Pocket.BONUS: 200, Pocket.PRINCIPAL: 400}
    assert amounts(plan_spend(known, spend(1_300))) == {
        Pocket.BONUS: 200,
        Pocket.PRINCIPAL: 1_000,
        Pocket.RESTRICTED: 100,
    }
    assert last.spend_order_at(MERCHANT, STORE) == (Pocket.BONUS, Pocket.PRINCIPAL)


@pytest.mark.parametrize(
    ("restriction", "allowed"),
    [
        (Restriction(trades=frozenset({"canteen"})), True),
        (Restriction(merchant_ids=frozenset({MERCHANT})), True),
        (Restriction(store_ids=frozenset({STORE})), True),
        (Restriction(trades=frozenset({"cinema"})), False),
        (Restriction(merchant_ids=frozenset({STORE}), store_ids=frozenset({MERCHANT})), False),
        (None, False),
    ],
)
def test_where_it_may_be_spent(restriction: Restriction | None, allowed: bool) -> None:
    terms = programme(restricted_to=restriction)
    order = terms.spend_order_at(MERCHANT, STORE, "canteen")
    assert (Pocket.RESTRICTED in order) == allowed
    assert Pocket.RESTRICTED not in terms.spend_order_at(UUID(int=98), UUID(int=99), None)
    assert (Pocket.RESTRICTED in terms.pockets) == (restriction is not None)


FEN = st.integers(0, 1_000)


@given(FEN, FEN, FEN, st.integers(1, 3_000), st.booleans(), st.permutations(list(Pocket)), st.booleans())
def test_restricted_value_moves_where_it_may_and_nowhere_else(
    restricted_fen: int,
    principal_fen: int,
    bonus_fen: int,
    amount_fen: int,
    allowed: bool,
    order: list[Pocket],
    named: bool,
) -> None:
    named_order = tuple(pocket for pocket in order if named or pocket is not Pocket.RESTRICTED)
    terms = replace(TERMS, spend_order=named_order)
    here = terms.spend_order_at(MERCHANT, STORE, "canteen" if allowed else "cinema")
    held = {Pocket.RESTRICTED: restricted_fen if allowed else 0, Pocket.PRINCIPAL: principal_fen,
            Pocket.BONUS: bonus_fen}  # fmt: skip
    taken = take(restricted_card(restricted_fen, principal_fen, bonus_fen), here, amount_fen, NOW)
    if isinstance(taken, int):
        assert taken == sum(held.values()) < amount_fen
        return
    by_pocket = {one.pocket.pocket: one.amount_fen for one in taken}
    assert sum(by_pocket.values()) == amount_fen
    assert all(0 < part <= held[pocket] for pocket, part in by_pocket.items())
    # a pocket is touched only when those before it are empty
    expected = here if allowed else tuple(pocket for pocket in named_order if pocket is not Pocket.RESTRICTED)
    for before, after in pairwise(expected):
        if after in by_pocket:
            assert by_pocket.get(before, 0) == held[before]
    if allowed and not named:
        assert by_pocket.get(Pocket.RESTRICTED, 0) == min(restricted_fen, amount_fen)


def test_a_load_names_it() -> None:
    known = facts(restricted_card(0), terms=TERMS)
    plan = planned(plan_load(known, Load(CARD, 500, 70, NOW, pocket=Pocket.RESTRICTED)))
    assert {one.pocket: one.amount_fen for one in plan.receipt.pockets} == {Pocket.RESTRICTED: 500, Pocket.BONUS: 70}
    (paid, _) = plan.posting.legs
    assert (paid.debit_account, paid.credit_account, paid.credit_lot) == (CLEARING, RESTRICTED, 8)


def test_a_load_into_a_pocket_that_is_not_there_or_not_for_money() -> None:
    without = facts(card([lot(1, 10)]), terms=programme())
    refused(plan_load(without, Load(CARD, 1, 0, NOW, pocket=Pocket.RESTRICTED)), "pocket_not_offered", "pocket",
            pocket="restricted", offered="principal")  # fmt: skip
    known = facts(restricted_card(0), terms=TERMS)
    refused(plan_load(known, Load(CARD, 1, 0, NOW, pocket=Pocket.BONUS)), "pocket_not_offered", "pocket",
            offered="principal, restricted")  # fmt: skip


def test_its_value_counts_for_the_cap() -> None:
    known = facts(restricted_card(600), terms=replace(TERMS, max_balance_fen=1_000))
    refused(plan_load(known, Load(CARD, 401, 0, NOW)), "balance_cap_exceeded", "amount_fen", balance_fen=1_001)


def test_a_refund_returns_to_it() -> None:
    spent = payment(PaymentKind.PURCHASE, PaymentStatus.COMPLETED, captured_fen=100, expires_at=None)
    legs = [SpentLeg(RESTRICTED, 1, 21, 0, 100, 0)]
    known = facts(restricted_card(0), terms=TERMS, of_payment=spent, legs=legs, now=NOW + timedelta(days=1))
    decision = plan_refund(known, Refund(spent.id, 40))
    assert amounts(decision) == {Pocket.RESTRICTED: 40}
    (leg,) = planned(decision).posting.legs
    assert (leg.credit_account, leg.credit_lot, leg.amount_fen) == (RESTRICTED, 1, 40)
