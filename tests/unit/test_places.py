"""Place rules: circles by day and night, and journeys that nobody makes."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaquan.kit.outcomes import Refusal
from kaquan.parties import Place
from kaquan.payments import Holder, Hours, PlaceRule, PlaceRuleKind
from kaquan.payments.limits import moment_of
from kaquan.payments.places import LastPlace, judge_place, square_distance_mm2

AT = datetime(2026, 3, 1, 4, 0, tzinfo=UTC)  # noon in Shanghai
BUND = (31_240_000, 121_490_000)
SUZHOU = (31_299_000, 120_585_000)


def place(where: tuple[int, int] | None) -> Place:
    latitude, longitude = where or (None, None)
    return Place(UUID(int=1), UUID(int=2), UUID(int=3), "active", latitude, longitude)


def rule(kind: PlaceRuleKind, **terms: Any) -> PlaceRule:
    defaults: dict[str, Any] = dict.fromkeys(
        ("latitude_udeg", "longitude_udeg", "radius_m", "max_speed_kmh", "grace_m", "hours", "ended_at")
    )
    if kind is PlaceRuleKind.TRAVEL:
        defaults |= {"max_speed_kmh": 120, "grace_m": 2_000}
    else:
        defaults |= {"latitude_udeg": BUND[0], "longitude_udeg": BUND[1], "radius_m": 5_000}
    return PlaceRule(
        id=UUID(int=9), book_id=1, programme_id=UUID(int=8), name="a rule", kind=kind, holder=Holder.ANY, created_at=AT,
        **(defaults | terms),
    )  # fmt: skip


def judged(
    one: PlaceRule, where: tuple[int, int] | None, *, last: LastPlace | None = None, at: datetime = AT
) -> str | None:
    refusal = judge_place([one], place(where), last=last, occurred_at=at, moment=moment_of(at, "Asia/Shanghai"))
    return refusal.code if isinstance(refusal, Refusal) else None


@pytest.mark.parametrize(
    ("kind", "where", "code"),
    [
        (PlaceRuleKind.WITHIN, BUND, None),
        (PlaceRuleKind.WITHIN, (BUND[0] + 44_900, BUND[1]), None),  # 4,998 m north
        (PlaceRuleKind.WITHIN, (BUND[0] + 45_000, BUND[1]), "outside_area"),  # 5,009 m
        (PlaceRuleKind.WITHIN, SUZHOU, "outside_area"),
        (PlaceRuleKind.WITHIN, None, "outside_area"),
        (PlaceRuleKind.OUTSIDE, BUND, "outside_area"),
        (PlaceRuleKind.OUTSIDE, SUZHOU, None),
        (PlaceRuleKind.OUTSIDE, None, None),
    ],
)
def test_circles(kind: PlaceRuleKind, where: tuple[int, int] | None, code: str | None) -> None:
    assert judged(rule(kind), where) == code


def test_a_circle_of_the_night_leaves_the_day_alone() -> None:
    night = rule(PlaceRuleKind.WITHIN, hours=Hours(22 * 60, 6 * 60))
    assert judged(night, SUZHOU) is None
    assert judged(night, SUZHOU, at=AT + timedelta(hours=10)) == "outside_area"
    assert judged(night, BUND, at=AT + timedelta(hours=10)) is None


@pytest.mark.parametrize(
    ("minutes", "code"), [(0, "impossible_travel"), (41, "impossible_travel"), (43, None), (-43, None)]
)
def test_86_km_take_42_minutes_at_120_kmh(minutes: int, code: str | None) -> None:
    last = LastPlace(UUID(int=7), *BUND, AT - timedelta(minutes=minutes))
    assert judged(rule(PlaceRuleKind.TRAVEL), SUZHOU, last=last) == code


def test_a_journey_from_or_to_nowhere_is_not_judged() -> None:
    travel = rule(PlaceRuleKind.TRAVEL)
    assert judged(travel, SUZHOU) is None
    assert judged(travel, None, last=LastPlace(UUID(int=7), *BUND, AT)) is None


coordinates = st.tuples(st.integers(-90_000_000, 90_000_000), st.integers(-180_000_000, 180_000_000))


@given(coordinates, coordinates)
def test_distance_is_symmetric_and_zero_only_at_home(a: tuple[int, int], b: tuple[int, int]) -> None:
    assert square_distance_mm2(a, b) >= 0
    assert square_distance_mm2(a, a) == 0
    # floor division rounds the two directions apart by no more than a millimetre in each
    there, back = square_distance_mm2(a, b), square_distance_mm2(b, a)
    assert abs(there - back) <= 8 * (max(there, back) ** 0.5 + 1)


def test_the_date_line_is_no_distance() -> None:
    assert square_distance_mm2((0, 179_999_999), (0, -179_999_999)) < 300**2
