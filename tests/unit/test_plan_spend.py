"""Where a spend takes its value from, and what it is refused for."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.plan_facts import (
    BONUS,
    CARD,
    MERCHANT,
    NEW,
    NOW,
    PAYABLE,
    PLACE,
    PRINCIPAL,
    STORE,
    TERMINAL,
    card,
    facts,
    lot,
    planned,
    programme,
    refused,
)

from kaquan.cards import CardStatus, Pocket
from kaquan.ledger import Effect, Guard, Leg
from kaquan.payments import PaymentKind, PaymentStatus, PocketAmount, Spend
from kaquan.payments.plan import Taking, take
from kaquan.payments.spend import plan_spend

ORDER = (Pocket.BONUS, Pocket.PRINCIPAL)
SOON, LATER = NOW + timedelta(days=1), NOW + timedelta(days=2)


def spend(amount_fen: int, **other: Any) -> Spend:
    return Spend(CARD, amount_fen, PLACE, NOW - timedelta(minutes=1), "order 1")._replace(**other)


def took(of: Any, amount_fen: int, order: tuple[Pocket, ...] = ORDER) -> list[tuple[int, int, int]] | int:
    takings = take(of, order, amount_fen, NOW)
    if isinstance(takings, int):
        return takings
    return [(taking.pocket.account_id, taking.lot, taking.amount_fen) for taking in takings]


def test_pockets_are_emptied_in_the_order_of_the_programme() -> None:
    holder = card([lot(1, 100)], [lot(1, 30)])
    assert took(holder, 40) == [(BONUS, 1, 30), (PRINCIPAL, 1, 10)]
    assert took(holder, 40, (Pocket.PRINCIPAL, Pocket.BONUS)) == [(PRINCIPAL, 1, 40)]
    assert took(holder, 30) == [(BONUS, 1, 30)]
    assert took(holder, 130) == [(BONUS, 1, 30), (PRINCIPAL, 1, 100)]
    assert took(holder, 131) == 130


def test_the_lot_that_expires_soonest_goes_first_and_then_the_older_one() -> None:
    holder = card([lot(4, 10, LATER), lot(3, 10), lot(2, 10), lot(7, 10, SOON), lot(6, 10, SOON)])
    assert took(holder, 45) == [
        (PRINCIPAL, 6, 10),
        (PRINCIPAL, 7, 10),
        (PRINCIPAL, 4, 10),
        (PRINCIPAL, 2, 10),
        (PRINCIPAL, 3, 5),
    ]


@pytest.mark.parametrize(
    ("expires_at", "available_fen"), [(NOW, 0), (NOW - timedelta(days=1), 0), (NOW + timedelta(microseconds=1), 10)]
)
def test_value_is_spent_until_the_moment_it_expires(expires_at: datetime, available_fen: int) -> None:
    assert took(card([lot(1, 10, expires_at)]), 11) == available_fen


def test_a_pocket_that_the_card_has_not_is_passed_over() -> None:
    holder = card([lot(1, 10)])
    assert took(holder._replace(pockets={Pocket.PRINCIPAL: holder.pockets[Pocket.PRINCIPAL]}), 10) == [
        (PRINCIPAL, 1, 10)
    ]


lots = st.lists(
    st.tuples(st.integers(0, 50), st.sampled_from([None, NOW - timedelta(1), NOW, SOON, LATER])), max_size=6
).map(lambda found: [lot(number, *one) for number, one in enumerate(found, start=1)])


@given(lots, lots, st.integers(1, 400), st.permutations(ORDER))
def test_a_taking_is_whole_and_never_more_than_a_lot_has(
    principal: Any, bonus: Any, amount_fen: int, order: Any
) -> None:
    holder = card(principal, bonus)
    alive = {
        (pocket.account_id, one.lot): one.available_fen
        for pocket in holder.pockets.values()
        for one in pocket.lots
        if one.expires_at is None or one.expires_at > NOW
    }
    takings = take(holder, tuple(order), amount_fen, NOW)
    if isinstance(takings, int):
        assert takings == sum(alive.values()) < amount_fen
        return
    assert all(isinstance(taking, Taking) and taking.amount_fen > 0 for taking in takings)
    taken = {(taking.pocket.account_id, taking.lot): taking.amount_fen for taking in takings}
    assert len(taken) == len(takings)
    assert sum(taken.values()) == amount_fen
    assert all(amount <= alive[place] for place, amount in taken.items())
    # whatever is left in an earlier pocket means that nothing was taken from a later one
    first, second = (holder.pockets[name].account_id for name in order)
    left = sum(amount for (account, _), amount in alive.items() if account == first) - sum(
        amount for (account, _), amount in taken.items() if account == first
    )
    assert left == 0 or all(account != second for account, _ in taken)


def test_a_purchase() -> None:
    plan = planned(plan_spend(facts(card([lot(2, 100)], [lot(1, 30)])), spend(50)))
    posting, new = plan.posting, plan.new
    assert posting.legs == [
        Leg(Effect.POST, BONUS, 1, PAYABLE, None, 30),
        Leg(Effect.POST, PRINCIPAL, 2, PAYABLE, None, 20),
    ]
    assert sorted(posting.guards) == [Guard(PRINCIPAL, 5), Guard(BONUS, 9)]
    assert (posting.transaction_id, posting.kind, posting.effective_at) == (NEW, "purchase", NOW - timedelta(minutes=1))
    assert (posting.place_id, posting.reference, posting.related_id) == (TERMINAL, "order 1", None)
    assert new is not None
    assert plan.changed is None
    assert (new.id, new.kind, new.status, new.expires_at) == (NEW, PaymentKind.PURCHASE, PaymentStatus.COMPLETED, None)
    assert (new.amount_fen, new.captured_fen, new.refunded_fen, new.currency) == (50, 50, 0, "CNY")
    assert (new.card_id, new.merchant_id, new.store_id, new.terminal_id) == (CARD, MERCHANT, STORE, TERMINAL)
    assert (new.occurred_at, new.created_at) == (NOW - timedelta(minutes=1), NOW)
    assert plan.receipt.payment == new
    assert plan.receipt.balance_fen == 80
    assert plan.receipt.pockets == [PocketAmount(Pocket.PRINCIPAL, 20), PocketAmount(Pocket.BONUS, 30)]


def test_an_authorization_reserves_and_ends_at_its_time() -> None:
    holder = card([lot(1, 100)], reserved_fen=40)
    plan = planned(plan_spend(facts(holder), spend(60, authorize=True)))
    assert plan.posting.legs == [Leg(Effect.RESERVE, PRINCIPAL, 1, PAYABLE, None, 60)]
    assert plan.new is not None
    assert (plan.new.kind, plan.new.status, plan.new.captured_fen) == (
        PaymentKind.AUTHORIZATION,
        PaymentStatus.OPEN,
        0,
    )
    assert plan.new.expires_at == NOW + timedelta(hours=1)
    assert plan.receipt.balance_fen == 40
    asked = planned(plan_spend(facts(holder), spend(60, authorize=True, expires_in_s=5)))
    assert asked.new is not None
    assert asked.new.expires_at == NOW + timedelta(seconds=5)


@pytest.mark.parametrize(
    ("of", "code"),
    [
        (None, "not_found"),
        (card([lot(1, 100)], book_id=8), "not_found"),
        (card([lot(1, 100)], status=CardStatus.ISSUED), "card_not_active"),
        (card([lot(1, 100)], status=CardStatus.BLOCKED), "card_blocked"),
        (card([lot(1, 100)], expires_at=NOW), "card_expired"),
    ],
)
def test_a_card_that_cannot_be_spent_from(of: Any, code: str) -> None:
    for authorize in (False, True):
        refused(plan_spend(facts(of), spend(1, authorize=authorize)), code, "card_id")


def test_a_card_is_spent_from_until_the_moment_it_expires() -> None:
    planned(plan_spend(facts(card([lot(1, 1)], expires_at=NOW + timedelta(microseconds=1))), spend(1)))


def test_where_it_is_not_taken() -> None:
    holder = card([lot(1, 100)])
    blocked = replace(PLACE, status="blocked")
    refused(plan_spend(facts(holder), spend(1, place=blocked)), "terminal_blocked", "terminal_id")
    elsewhere = replace(PLACE, merchant_id=UUID(int=99))
    refused(plan_spend(facts(holder), spend(1, place=elsewhere)), "not_accepted_here", "terminal_id")
    single = programme(accepts=frozenset({(MERCHANT, STORE)}))
    planned(plan_spend(facts(holder, terms=single), spend(1)))
    other_store = replace(PLACE, store_id=UUID(int=99))
    refused(plan_spend(facts(holder, terms=single), spend(1, place=other_store)), "not_accepted_here", "terminal_id")
    refused(plan_spend(facts(holder)._replace(programme=None), spend(1)), "not_accepted_here", "terminal_id")


def test_more_than_there_is() -> None:
    holder = card([lot(1, 100), lot(2, 50, NOW)], reserved_fen=30)
    refused(
        plan_spend(facts(holder), spend(101)), "insufficient_funds", "amount_fen", available_fen=100, amount_fen=101
    )


def test_who_may_not_backdate() -> None:
    holder = card([lot(1, 100)])
    happened = NOW - timedelta(minutes=1)  # as ``spend`` says
    planned(plan_spend(facts(holder), spend(1, not_before=happened)))
    late = plan_spend(facts(holder), spend(1, not_before=happened + timedelta(microseconds=1)))
    refused(late, "backdating_forbidden", "occurred_at")
    planned(plan_spend(facts(holder), spend(1, occurred_at=None, not_before=NOW)))
