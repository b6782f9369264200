"""Terms of points: each bound on both sides, what a refusal says, and what rules and multipliers look at."""

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest
from tests.unit.test_points_plans import ZONE, bought, terms

from kaquan.points import EarningRule, Multiplier, PointsTerms, Rounding, TierRule, check_terms, price_points
from kaquan.points.price import assess_tier, due_of, end_of_points, rank_of
from kaquan.points.types import Bought, BoughtLine, Earned, LinePoints

GOLD = (TierRule(name="金", least=1),)


def rule(**told: Any) -> EarningRule:
    return EarningRule(**{"name": "r", "points": 1, "per_fen": 100, **told})


def factor(factor_bp: int = 20_000, **told: Any) -> Multiplier:
    return Multiplier(name="m", factor_bp=factor_bp, **told)


def between(low: int, high: int) -> tuple[str, str]:
    return f"must be from {low} to {high}", f"应为 {low} 至 {high}"


RULE = ("must give 0 to 1000000 points for each 1 fen or more", "积分或金额超出范围")
NO_DAY = ("there is no such day", "日期不存在")
RISE = ("must rise, each name once", "须逐级递增且名称不重复")
BOTH = ("give spend_points and spend_fen, or neither", "须与 spend_fen 同时给出")
AT_LEAST_ONE = ("must be at least 1", "至少为 1")
MORE_THAN_PENDING = ("must be more than pending_days", "须大于 pending_days")


@pytest.mark.parametrize(
    ("changes", "field", "allowed"),
    [
        ({"rules": (rule(), rule(points=-1))}, "rules[1]", RULE),
        ({"rules": (rule(points=10**6 + 1),)}, "rules[0]", RULE),
        ({"rules": (rule(per_fen=0),)}, "rules[0]", RULE),
        ({"rules": (rule(per_fen=10**11 + 1),)}, "rules[0]", RULE),
        ({"multipliers": (factor(), factor(-1))}, "multipliers[1].factor_bp", between(0, 1_000_000)),
        ({"multipliers": (factor(1_000_001),)}, "multipliers[0].factor_bp", between(0, 1_000_000)),
        ({"multipliers": (factor(weekdays=frozenset({0})),)}, "multipliers[0]", NO_DAY),
        ({"multipliers": (factor(weekdays=frozenset({8})),)}, "multipliers[0]", NO_DAY),
        ({"multipliers": (factor(days_of_month=frozenset({0})),)}, "multipliers[0]", NO_DAY),
        ({"multipliers": (factor(days_of_month=frozenset({32})),)}, "multipliers[0]", NO_DAY),
        ({"multipliers": (factor(first_day=date(2026, 3, 2), last_day=date(2026, 3, 1)),)}, "multipliers[0].last_day",
         ("must not be before first_day", "不得早于 first_day")),
        ({"multipliers": (factor(tiers=frozenset({"b", "a", "金"})),), "tiers": GOLD}, "multipliers",
         ("there is no tier a, b", "没有等级 a, b")),
        ({"tiers": (TierRule(name="a", least=1), TierRule(name="a", least=2))}, "tiers", RISE),
        ({"tiers": (TierRule(name="a", least=2), TierRule(name="b", least=1))}, "tiers", RISE),
        ({"tiers": (TierRule(name="a", least=2), TierRule(name="b", least=2))}, "tiers", RISE),
        ({"tiers": (TierRule(name="a", least=-1),)}, "tiers", RISE),
        ({"valid_days": 30, "valid_years": 0}, "valid_days",
         ("give valid_days or valid_years", "valid_days 与 valid_years 只能取其一")),
        ({"pending_days": -1}, "pending_days", between(0, 365)),
        ({"pending_days": 366}, "pending_days", between(0, 365)),
        ({"valid_years": None, "valid_days": 0, "pending_days": 0}, "valid_days", between(1, 36_500)),
        ({"valid_years": None, "valid_days": 36_501}, "valid_days", between(1, 36_500)),
        ({"valid_years": -1}, "valid_years", between(0, 100)),
        ({"valid_years": 101}, "valid_years", between(0, 100)),
        ({"tier_window_days": 0}, "tier_window_days", between(1, 3_650)),
        ({"tier_window_days": 3_651}, "tier_window_days", between(1, 3_650)),
        ({"tier_keep_days": -1}, "tier_keep_days", between(0, 3_650)),
        ({"tier_keep_days": 3_651}, "tier_keep_days", between(0, 3_650)),
        ({"remind_days": -1}, "remind_days", between(0, 365)),
        ({"remind_days": 366}, "remind_days", between(0, 365)),
        ({"valid_years": None, "valid_days": 7}, "valid_days", MORE_THAN_PENDING),
        ({"valid_years": None, "valid_days": 6}, "valid_days", MORE_THAN_PENDING),
        ({"spend_fen": 0}, "spend_points", BOTH),
        ({"spend_points": 0}, "spend_points", BOTH),
        ({"spend_points": -100}, "spend_points", BOTH),
        ({"spend_fen": -100}, "spend_points", BOTH),
        ({"spend_max_bp": 0}, "spend_max_bp", between(1, 10_000)),
        ({"spend_max_bp": 10_001}, "spend_max_bp", between(1, 10_000)),
        ({"spend_step": 0}, "spend_step", AT_LEAST_ONE),
        ({"spend_least": 0}, "spend_step", AT_LEAST_ONE),
        ({"spend_step": 1, "spend_fen": 1}, "spend_step", ("must be worth whole fen", "每步积分须折合整数分")),
    ],
)  # fmt: skip
def test_terms_that_cannot_be(changes: dict[str, Any], field: str, allowed: tuple[str, str]) -> None:
    told = check_terms(terms(**changes))
    assert told is not None
    assert (told.code, told.field) == ("invalid_field", field)
    assert told.details == {"allowed": allowed[0], "allowed_zh": allowed[1]}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"rules": ()},
        {"rules": (rule(points=0, per_fen=1), rule(points=10**6, per_fen=10**11))},
        {"multipliers": (factor(0), factor(1_000_000))},
        {"multipliers": (factor(weekdays=frozenset({1, 7}), days_of_month=frozenset({1, 31})),)},
        {"multipliers": (factor(weekdays=frozenset(range(1, 8)), days_of_month=frozenset(range(1, 32))),)},
        {"multipliers": (factor(first_day=date(2026, 3, 1), last_day=date(2026, 3, 1)),)},
        {"multipliers": (factor(first_day=date(2026, 3, 1)), factor(last_day=date(2026, 3, 1)))},
        {"multipliers": (factor(tiers=frozenset({"金"})),), "tiers": GOLD},
        {"tiers": (TierRule(name="a", least=0), TierRule(name="b", least=1))},
        {"pending_days": 0, "valid_years": 0, "tier_window_days": 1, "tier_keep_days": 0, "remind_days": 0},
        {"pending_days": 365, "valid_years": 100, "tier_window_days": 3_650, "tier_keep_days": 3_650,
         "remind_days": 365},
        {"pending_days": 0, "valid_years": None, "valid_days": 1},
        {"valid_years": None, "valid_days": 36_500},
        {"valid_years": None},
        {"spend_points": 0, "spend_fen": 0, "spend_step": 7},
        {"spend_max_bp": 1},
        {"spend_max_bp": 10_000, "spend_step": 1, "spend_least": 1},
        {"spend_step": 50, "spend_fen": 2},
    ],
)  # fmt: skip
def test_terms_that_can_be(changes: dict[str, Any]) -> None:
    assert check_terms(terms(**changes)) is None


DAY = date(2026, 3, 4)
"""The Wednesday of :func:`bought`."""


@pytest.mark.parametrize(
    ("told", "there", "holds"),
    [
        ({"tiers": frozenset({"金"})}, {"tier": "金"}, True),
        ({"tiers": frozenset({"金"})}, {"tier": "银"}, False),
        ({"tiers": frozenset({"金"})}, {}, False),
        ({"weekdays": frozenset({3})}, {}, True),
        ({"weekdays": frozenset({4})}, {}, False),
        ({"days_of_month": frozenset({4})}, {}, True),
        ({"days_of_month": frozenset({3})}, {}, False),
        ({"birthday_month": True}, {"birth_month": 3}, True),
        ({"birthday_month": True}, {"birth_month": 4}, False),
        ({"birthday_month": True}, {}, False),
        ({"first_day": DAY}, {}, True),
        ({"first_day": date(2026, 3, 5)}, {}, False),
        ({"last_day": DAY}, {}, True),
        ({"last_day": date(2026, 3, 3)}, {}, False),
    ],
)
def test_when_a_multiplier_holds(told: dict[str, Any], there: dict[str, Any], holds: bool) -> None:
    with_it = price_points(terms(multipliers=(factor(**told),)), bought(10_000, **there))
    assert (with_it.points, with_it.factor_bp) == ((200, 20_000) if holds else (100, 10_000))


@pytest.mark.parametrize(
    ("told", "holds"),
    [
        ({"trades": frozenset({"超市"})}, True),
        ({"trades": frozenset({"加油"})}, False),
        ({"merchant_ids": frozenset({UUID(int=1)})}, True),
        ({"merchant_ids": frozenset({UUID(int=2)})}, False),
        ({"store_ids": frozenset({UUID(int=2)})}, True),
        ({"store_ids": frozenset({UUID(int=1)})}, False),
        ({"categories": frozenset({"菜", "果"})}, True),
        ({"categories": frozenset({"果"})}, False),
    ],
)
def test_where_a_rule_holds(told: dict[str, Any], holds: bool) -> None:
    got = price_points(terms(rules=(rule(**told),)), bought(10_000, kinds=("菜",), trade="超市"))
    assert got.points == (100 if holds else 0)


def test_what_is_earned_is_told_line_by_line() -> None:
    rules = (rule(points=0, categories=frozenset({"烟"})), rule(points=2, categories=frozenset({"菜"})), rule())
    got = price_points(terms(rules=rules), bought(5_000, 2_050, 3_060, 0, kinds=("烟", "菜", "果", "果")))
    assert got == Earned(71, 5_110, 10_000, (LinePoints(2, 2_050, 41), LinePoints(3, 3_060, 30)))
    assert price_points(terms(rules=rules[:1]), bought(5_000, kinds=("烟",))) == Earned(0, 0, 10_000, ())
    assert price_points(terms(rules=()), bought(5_000)) == Earned(0, 0, 10_000, ())


def test_the_smallest_purchase_earns_too() -> None:
    assert price_points(terms(rules=(rule(per_fen=1),)), bought(1)) == Earned(1, 1, 10_000, (LinePoints(1, 1, 1),))


def test_a_factor_below_one_counts_too_and_of_several_the_highest() -> None:
    some = (factor(5_000), factor(2_500))
    assert price_points(terms(multipliers=some), bought(10_000)) == Earned(
        50, 10_000, 5_000, (LinePoints(1, 10_000, 50),)
    )


@pytest.mark.parametrize(("paid_fen", "down", "half_up"), [(149, 1, 1), (150, 1, 2), (151, 1, 2), (99, 0, 1)])
def test_the_whole_purchase_is_rounded_once(paid_fen: int, down: int, half_up: int) -> None:
    assert price_points(terms(), bought(paid_fen)).points == down
    assert price_points(terms(rounding=Rounding.HALF_UP), bought(paid_fen)).points == half_up


def test_thirds_are_split_by_what_each_line_would_earn() -> None:
    rules = (rule(points=1, per_fen=3, categories=frozenset({"a"})), rule(points=1, per_fen=7))
    lines = [BoughtLine(1, frozenset({"a"}), 10), BoughtLine(2, frozenset(), 40)]
    got = price_points(
        PointsTerms(rules=rules), Bought(datetime(2026, 3, 4, tzinfo=UTC), UUID(int=1), UUID(int=2), None, lines)
    )
    # 3 1/3 and 5 5/7 make 9: the largest part left gets the odd one
    assert got.parts == (LinePoints(1, 10, 3), LinePoints(2, 40, 6))
    # 2/3 and 1 6/7 make 2: each is rounded down, and 6/7 is the largest part left
    less = Bought(datetime(2026, 3, 4, tzinfo=UTC), UUID(int=1), UUID(int=2), None, [
        lines[0]._replace(paid_fen=2), lines[1]._replace(paid_fen=13)
    ])  # fmt: skip
    assert [part.points for part in price_points(PointsTerms(rules=rules), less).parts] == [1, 1]


def test_what_is_due_of_what_came_back() -> None:
    parts = (LinePoints(1, 5_000, 51), LinePoints(2, 2_550, 25), LinePoints(3, 0, 0))
    assert due_of(parts, {}) == 0
    assert due_of(parts, {1: 99}) == 1
    assert due_of(parts, {1: 5_001, 2: 2_550, 3: 1}) == 76
    assert due_of(parts, {4: 100}) == 0
    assert due_of((LinePoints(1, 1, 1), LinePoints(2, 5, 5)), {2: 5}) == 5


def test_tiers_and_their_places() -> None:
    some = PointsTerms(rules=(), tiers=(TierRule(name="银", least=10), TierRule(name="金", least=20)))
    assert [assess_tier(some, reached) for reached in (9, 10, 19, 20)] == [None, "银", "银", "金"]
    assert [rank_of(some, tier) for tier in (None, "铜", "银", "金")] == [0, 0, 1, 2]


def test_when_points_end() -> None:
    new_years_eve = datetime(2026, 12, 31, 17, tzinfo=UTC)
    """1 January in Shanghai."""
    assert end_of_points(terms(valid_years=0), new_years_eve, time_zone=ZONE) == datetime(2027, 12, 31, 16, tzinfo=UTC)
    assert end_of_points(terms(valid_years=0), new_years_eve, time_zone="UTC") == datetime(2027, 1, 1, tzinfo=UTC)
    days = terms(valid_years=None, valid_days=10)
    assert end_of_points(days, new_years_eve, time_zone=ZONE) == datetime(2027, 1, 11, 16, tzinfo=UTC)
    assert end_of_points(days, new_years_eve, time_zone="UTC") == datetime(2027, 1, 11, tzinfo=UTC)
    ends = end_of_points(terms(), new_years_eve, time_zone=ZONE)
    assert ends is not None
    assert ends.tzinfo is UTC
