"""满减: an amount off from a threshold, once by the highest tier that is reached, or each time that it is reached.

>>> from kaquan.promotions.worked import basket, off
>>> off(AmountOff(tiers=(Tier(100_00, 10_00),)), basket(99_99))  # 满100减10
0
>>> off(AmountOff(tiers=(Tier(100_00, 10_00),)), basket(250_00))
1000
>>> off(AmountOff(tiers=(Tier(100_00, 10_00),), each_time=True), basket(250_00))  # 每满100减10
2000
>>> off(AmountOff(tiers=(Tier(100_00, 10_00),), each_time=True, most_fen=15_00), basket(250_00))  # 最高减15
1500
>>> off(AmountOff(tiers=(Tier(100_00, 10_00), Tier(300_00, 50_00))), basket(299_00))  # 满100减10，满300减50
1000
>>> off(AmountOff(tiers=(Tier(100_00, 10_00), Tier(300_00, 50_00))), basket(120_00, 180_00))
5000
"""

from typing import NamedTuple

import msgspec

from kaquan.kit.money import MAX_FEN
from kaquan.kit.outcomes import Refusal
from kaquan.promotions.kind import NOTHING, Bounds, Effects, Fault, PurchaseKind, Seen
from kaquan.promotions.outcomes import OFFER_BELOW_THRESHOLD
from kaquan.promotions.tiers import check_each_time, check_most, check_tiers


class Tier(NamedTuple):
    """From how many minor units on, how many are off."""

    from_fen: int
    off_fen: int


class AmountOff(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``each_time``: for every time that the threshold, then the only one, is reached; ``most_fen`` caps it."""

    tiers: tuple[Tier, ...]
    each_time: bool = False
    most_fen: int | None = None


def check(params: AmountOff) -> list[Fault]:
    """Tiers ascend in both columns, and no tier is more off than its threshold."""
    return [
        *check_tiers("off_fen", [(tier.from_fen, tier.off_fen) for tier in params.tiers], most_bp=10_000),
        *check_each_time(params.each_time, params.tiers),
        *check_most(params.most_fen),
    ]


def applies(params: AmountOff, seen: Seen) -> Refusal | None:
    """Refused: ``offer_below_threshold``."""
    least_fen = params.tiers[0].from_fen
    if seen.amount_fen < least_fen:
        return OFFER_BELOW_THRESHOLD.refuse(amount_fen=seen.amount_fen, needed_fen=least_fen)
    return None


def effects(params: AmountOff, seen: Seen) -> Effects:
    """The discount of the highest tier that is reached."""
    off_fen = 0
    amount_fen = seen.amount_fen
    for from_fen, tier_off_fen in params.tiers:
        if amount_fen < from_fen:
            break
        off_fen = tier_off_fen * (amount_fen // from_fen) if params.each_time else tier_off_fen
    if not off_fen:
        return NOTHING
    return Effects(off_fen if params.most_fen is None else min(off_fen, params.most_fen))


def bounds(params: AmountOff) -> Bounds:
    """By the tier that is the largest share of its threshold, and by the highest."""
    most_bp = max(-(-tier.off_fen * 10_000 // tier.from_fen) for tier in params.tiers)
    most_fen = MAX_FEN if params.each_time else params.tiers[-1].off_fen
    return Bounds(params.tiers[0].from_fen, most_bp, min(most_fen, params.most_fen or MAX_FEN))


KIND = PurchaseKind(
    name="amount_off",
    en="An amount off from a threshold",
    zh="满减",
    params=AmountOff,
    check=check,
    applies=applies,
    effects=effects,
    bounds=bounds,
)
