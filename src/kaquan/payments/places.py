"""Place rules: where, and how soon after being elsewhere, the cards of a programme may be spent.

A *geofence* allows spending within a circle or outside of one, all day or in a part of it. A *travel* rule refuses a
card that turns up at a store which its holder could not have reached since the last one. Both are decided from the
places of stores, by whole numbers only, on a map that is flat: over some hundred kilometres that is exact enough.

The last place of a card is read in the same statement as its pockets and written in the commit of the payment, so two
spends at once cannot both be judged by an older one: the pocket's version lets only one of them through.

Row R10 of the requirements (place × time of day).
"""

import math
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

import msgspec

from kaquan.kit.outcomes import Refusal
from kaquan.parties import Place
from kaquan.payments.limits import Holder, Hours, Moment
from kaquan.payments.outcomes import IMPOSSIBLE_TRAVEL, OUTSIDE_AREA


class PlaceRuleKind(StrEnum):
    """What a place rule looks at."""

    WITHIN = "within"
    """Spending is allowed in the circle only; a store whose place is not known is not in it."""
    OUTSIDE = "outside"
    """Spending is allowed outside of the circle only; a store whose place is not known is not in it."""
    TRAVEL = "travel"
    """Spending is refused where nobody could have come since the last spend. Stores without a place are passed over."""


class PlaceRule(msgspec.Struct, frozen=True):
    """One place rule of a programme. It is never changed: it ends.

    A circle has a centre in millionths of a degree (WGS 84) and ``radius_m``; a travel rule has ``max_speed_kmh`` and
    ``grace_m``, the distance that is never too far.
    """

    id: UUID
    book_id: int
    programme_id: UUID
    name: str
    kind: PlaceRuleKind
    holder: Holder
    latitude_udeg: int | None
    longitude_udeg: int | None
    radius_m: int | None
    max_speed_kmh: int | None
    grace_m: int | None
    hours: Hours | None
    created_at: datetime
    ended_at: datetime | None


class LastPlace(NamedTuple):
    """Where a card was spent last, and when that was at the till."""

    store_id: UUID
    latitude_udeg: int
    longitude_udeg: int
    at: datetime


_MM_PER_UDEG = (11_132, 100)
"""A millionth of a degree of latitude is 111.32 mm."""

_COS_PPM = tuple(round(math.cos(math.radians(degree)) * 1_000_000) for degree in range(91))
_TURN_UDEG = 360_000_000


def square_distance_mm2(a: tuple[int, int], b: tuple[int, int]) -> int:
    """The square of the distance of two points (latitude, longitude in millionths of a degree), in square millimetres.

    >>> shanghai, suzhou = (31_230_000, 121_474_000), (31_299_000, 120_585_000)
    >>> math.isqrt(square_distance_mm2(shanghai, suzhou)) // 1_000_000
    84
    """
    numerator, denominator = _MM_PER_UDEG
    north_mm = (a[0] - b[0]) * numerator // denominator
    east_udeg = (a[1] - b[1] + _TURN_UDEG // 2) % _TURN_UDEG - _TURN_UDEG // 2
    middle_udeg = abs(a[0] + b[0]) // 2
    degree, rest = divmod(middle_udeg, 1_000_000)
    cos_ppm = _COS_PPM[degree]
    if rest:
        cos_ppm -= (cos_ppm - _COS_PPM[degree + 1]) * rest // 1_000_000
    east_mm = east_udeg * numerator // denominator * cos_ppm // 1_000_000
    return north_mm * north_mm + east_mm * east_mm


def judge_place(
    rules: Iterable[PlaceRule], place: Place, *, last: LastPlace | None, occurred_at: datetime, moment: Moment
) -> Refusal | None:
    """Refused with ``outside_area`` or ``impossible_travel`` by the first rule that this place breaks."""
    here = None if place.latitude_udeg is None else (place.latitude_udeg, place.longitude_udeg or 0)
    for rule in rules:
        if rule.hours is not None and not rule.hours.holds_at(moment.minute):
            continue
        if rule.kind is PlaceRuleKind.TRAVEL:
            if last is not None and here is not None and _too_far(rule, last, here, occurred_at):
                return IMPOSSIBLE_TRAVEL.refuse("terminal_id", rule=rule.name)
        elif _is_within(rule, here) is not (rule.kind is PlaceRuleKind.WITHIN):
            return OUTSIDE_AREA.refuse("terminal_id", rule=rule.name)
    return None


def _is_within(rule: PlaceRule, here: tuple[int, int] | None) -> bool:
    if here is None:
        return False
    assert rule.latitude_udeg is not None, "a circle has a centre"
    assert rule.longitude_udeg is not None, "a circle has a centre"
    assert rule.radius_m is not None, "a circle has a radius"
    radius_mm = rule.radius_m * 1_000
    return square_distance_mm2((rule.latitude_udeg, rule.longitude_udeg), here) <= radius_mm * radius_mm


def _too_far(rule: PlaceRule, last: LastPlace, here: tuple[int, int], occurred_at: datetime) -> bool:
    assert rule.max_speed_kmh is not None, "a travel rule has a speed"
    assert rule.grace_m is not None, "a travel rule has a distance that is never too far"
    elapsed_s = abs(occurred_at - last.at) // timedelta(seconds=1)
    reach_mm = rule.grace_m * 1_000 + rule.max_speed_kmh * elapsed_s * 1_000_000 // 3_600
    return square_distance_mm2((last.latitude_udeg, last.longitude_udeg), here) > reach_mm * reach_mm
