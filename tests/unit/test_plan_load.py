"""A load opens a lot per pocket, which lives to the end of a day in the issuer's zone."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.unit.plan_facts import (
    BONUS,
    CARD,
    CLEARING,
    EXPENSE,
    NEW,
    NOW,
    PLACE,
    PRINCIPAL,
    card,
    facts,
    lot,
    planned,
    programme,
    refused,
)

from kaquan.cards import Activation, CardStatus, Pocket, end_of_day
from kaquan.ledger import Effect, Guard, Leg, NewLot
from kaquan.payments import Load, PaymentKind, PocketAmount
from kaquan.payments.load import plan_load


def test_money_and_bonus_open_a_lot_each() -> None:
    terms = programme(bonus_valid_days=90)
    plan = planned(plan_load(facts(card([lot(1, 5)]), terms=terms), Load(CARD, 500, 30, NOW, "order", PLACE)))
    posting = plan.posting
    assert posting.legs == [
        Leg(Effect.POST, CLEARING, None, PRINCIPAL, 6, 500),
        Leg(Effect.POST, EXPENSE, None, BONUS, 10, 30),
    ]
    ends = datetime(2026, 5, 30, 16, tzinfo=UTC)  # the end of 30 May in Shanghai
    assert list(posting.lots) == [NewLot(PRINCIPAL, 6, 500, 30, None), NewLot(BONUS, 10, 500, 30, ends)]
    assert sorted(posting.guards) == [Guard(PRINCIPAL, 5), Guard(BONUS, 9)]
    assert plan.new is not None
    assert (plan.new.id, plan.new.kind, plan.new.amount_fen, plan.new.bonus_fen) == (NEW, PaymentKind.LOAD, 500, 30)
    assert plan.receipt.balance_fen == 535
    assert plan.receipt.pockets == [PocketAmount(Pocket.PRINCIPAL, 500), PocketAmount(Pocket.BONUS, 30)]


def test_cards_that_are_sold_are_loaded_by_a_sale_alone() -> None:
    known = facts(card([]), terms=programme(activation=Activation.PAID_SALE))
    refused(plan_load(known, Load(CARD, 500, 0, NOW)), "sale_required", "card_id")
    assert planned(plan_load(known, Load(CARD, 500, 0, NOW, sale_id=NEW))).receipt.balance_fen == 500


def test_a_cap_is_decided_on_every_pocket() -> None:
    capped = planned(plan_load(facts(card(), terms=programme(max_balance_fen=500)), Load(CARD, 500, 0, NOW)))
    assert sorted(capped.posting.guards) == [Guard(PRINCIPAL, 5), Guard(BONUS, 9)]
    assert [leg.credit_account for leg in capped.posting.legs] == [PRINCIPAL]
    free = planned(plan_load(facts(card()), Load(CARD, 500, 0, NOW)))
    assert list(free.posting.guards) == [Guard(PRINCIPAL, 5)]


def test_without_a_bonus_there_is_one_lot() -> None:
    plan = planned(plan_load(facts(card()), Load(CARD, 500, 0, NOW)))
    assert len(plan.posting.legs) == len(plan.posting.lots) == 1
    assert plan.new is not None
    assert (plan.new.merchant_id, plan.new.terminal_id, plan.posting.place_id) == (None, None, None)


@pytest.mark.parametrize(("amount_fen", "fits"), [(60, True), (61, False)])
def test_the_cap_counts_what_is_reserved(amount_fen: int, fits: bool) -> None:
    known = facts(card([lot(1, 10)], [lot(1, 5)], reserved_fen=20), terms=programme(max_balance_fen=100))
    decision = plan_load(known, Load(CARD, amount_fen, 5, NOW))
    if fits:
        assert planned(decision).receipt.balance_fen == 80
    else:
        refused(decision, "balance_cap_exceeded", "amount_fen", max_balance_fen=100, balance_fen=101)


@pytest.mark.parametrize(
    ("of", "code"),
    [
        (None, "not_found"),
        (card(book_id=8), "not_found"),
        (card(status=CardStatus.ISSUED), "card_not_active"),
        (card(status=CardStatus.BLOCKED), "card_blocked"),
        (card(expires_at=NOW), "card_expired"),
    ],
)
def test_a_card_that_cannot_be_loaded(of: Any, code: str) -> None:
    refused(plan_load(facts(of), Load(CARD, 1, 0, NOW)), code, "card_id")


@pytest.mark.parametrize(
    ("zone", "loaded_at", "ends"),
    [
        # 23:30 UTC is the next day in Shanghai
        ("Asia/Shanghai", "2026-03-01T23:30:00Z", "2026-03-03T16:00:00Z"),
        # clocks go forward at 02:00 on 8 March: the day has 23 hours
        ("America/New_York", "2026-03-07T12:00:00Z", "2026-03-09T04:00:00Z"),
        # clocks go back at 02:00 on 1 November: the day has 25 hours
        ("America/New_York", "2026-10-31T12:00:00Z", "2026-11-02T05:00:00Z"),
        # clocks go forward at midnight: the last moment of 23 April is 23:59:59, then it is 01:00
        ("Africa/Cairo", "2026-04-22T12:00:00Z", "2026-04-23T22:00:00Z"),
        # clocks go back at midnight to 23:00: that hour of 29 October is lived twice
        ("Africa/Cairo", "2026-10-28T12:00:00Z", "2026-10-29T22:00:00Z"),
        # clocks go back at 01:00 to midnight: 1 November begins twice, and 31 October ends at the first
        ("America/Havana", "2026-10-30T12:00:00Z", "2026-11-01T04:00:00Z"),
        # 30 December 2011 was left out
        ("Pacific/Apia", "2011-12-28T12:00:00Z", "2011-12-30T10:00:00Z"),
        ("Asia/Kathmandu", "2026-03-01T00:00:00Z", "2026-03-02T18:15:00Z"),
    ],
)
def test_the_end_of_the_next_day(zone: str, loaded_at: str, ends: str) -> None:
    found = end_of_day(datetime.fromisoformat(loaded_at), valid_days=1, time_zone=zone)
    assert found == datetime.fromisoformat(ends)
    assert found.tzinfo is UTC


ZONES = sorted(zone for zone in available_timezones() if "/" in zone)


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2045, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001  (made aware)
    st.integers(1, 36_500),
    st.sampled_from(ZONES),
)
@example(datetime(2026, 3, 1, tzinfo=timezone(timedelta(hours=14))), 1, "Pacific/Kiritimati")
def test_the_last_moment_belongs_to_the_day(loaded_at: datetime, valid_days: int, zone: str) -> None:
    ends = end_of_day(loaded_at, valid_days=valid_days, time_zone=zone)
    day = loaded_at.astimezone(ZoneInfo(zone)).date() + timedelta(days=valid_days)
    last = (ends.astimezone(UTC) - timedelta(microseconds=1)).astimezone(ZoneInfo(zone))
    assert last.date() <= day < ends.astimezone(ZoneInfo(zone)).date()
    assert ends > loaded_at
