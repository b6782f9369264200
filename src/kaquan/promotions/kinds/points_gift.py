"""满送积分: points for a purchase, from a threshold: by the highest tier, or each time that it is reached.

They are given beside what the purchase earns by the points terms of the card's programme, wait and end as that does.

>>> from kaquan.promotions.worked import basket, effects
>>> gift = PointsGift(tiers=(Tier(100_00, 50),))  # 满100送50积分
>>> effects(gift, basket(99_99)).points
0
>>> effects(gift, basket(260_00)).points
50
>>> gift = PointsGift(tiers=(Tier(100_00, 50),), each_time=True, most_points=120)  # 每满100送50积分，最多120
>>> effects(gift, basket(260_00)).points, effects(gift, basket(300_00)).points
(100, 120)
>>> effects(PointsGift(tiers=(Tier(100_00, 50), Tier(300_00, 200))), basket(300_00)).points  # 满100送50、满300送200
200
>>> effects(gift, basket(300_00)).worth_fen  # 积分不计入优惠金额
0
"""

from typing import NamedTuple

import msgspec

from kaquan.kit.outcomes import Refusal
from kaquan.promotions.kind import NOTHING, Bounds, Effects, Fault, Gift, PurchaseKind, Seen
from kaquan.promotions.outcomes import OFFER_BELOW_THRESHOLD
from kaquan.promotions.tiers import MAX_POINTS, check_count, check_each_time, check_tiers
from kaquan.promotions.types import GrantKind


class Tier(NamedTuple):
    """From how many minor units on, how many points."""

    from_fen: int
    points: int


class PointsGift(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``each_time``: for every time that the threshold, then the only one, is reached; ``most_points`` caps it."""

    tiers: tuple[Tier, ...]
    each_time: bool = False
    most_points: int | None = None


def check(params: PointsGift) -> list[Fault]:
    """Tiers ascend in both columns."""
    return [
        *check_tiers("points", params.tiers),
        *check_each_time(params.each_time, params.tiers),
        *check_count("most_points", params.most_points, most=MAX_POINTS),
        *(
            fault
            for place, tier in enumerate(params.tiers)
            if tier.points > MAX_POINTS
            for fault in check_count(f"tiers[{place}].points", tier.points, most=MAX_POINTS)
        ),
    ]


def applies(params: PointsGift, seen: Seen) -> Refusal | None:
    """Refused: ``offer_below_threshold``."""
    least_fen = params.tiers[0].from_fen
    if seen.amount_fen < least_fen:
        return OFFER_BELOW_THRESHOLD.refuse(amount_fen=seen.amount_fen, needed_fen=least_fen)
    return None


def effects(params: PointsGift, seen: Seen) -> Effects:
    """The points of the highest tier that is reached."""
    reached = [tier for tier in params.tiers if tier.from_fen <= seen.amount_fen]
    if not reached:
        return NOTHING
    points = reached[-1].points * (seen.amount_fen // reached[-1].from_fen if params.each_time else 1)
    return Effects(gifts=(Gift(GrantKind.POINTS, min(points, params.most_points or points)),))


def bounds(params: PointsGift) -> Bounds:
    """Points are not money."""
    return Bounds(params.tiers[0].from_fen, 0, 0)


KIND = PurchaseKind(
    name="points_gift",
    en="Points from a threshold",
    zh="满送积分",
    params=PointsGift,
    check=check,
    applies=applies,
    effects=effects,
    bounds=bounds,
    gives_points=lambda params: True,
)
