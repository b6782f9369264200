"""充送: value on top of a top-up, from a threshold: 满500送30. By the highest tier, or each time that it is reached.

>>> from kaquan.promotions.worked import effects, top_up
>>> effects(LoadBonus(tiers=(Tier(500_00, 30_00),)), top_up(500_00)).worth_fen  # 满500送30
3000
>>> effects(LoadBonus(tiers=(Tier(500_00, 30_00),)), top_up(499_99)).worth_fen
0
>>> effects(LoadBonus(tiers=(Tier(500_00, 30_00), Tier(1_000_00, 80_00))), top_up(1_200_00)).worth_fen
8000
>>> effects(LoadBonus(tiers=(Tier(500_00, 30_00),), each_time=True, most_fen=100_00), top_up(2_500_00)).worth_fen
10000
"""

from typing import NamedTuple

import msgspec

from kaquan.kit.outcomes import Refusal
from kaquan.promotions.kind import NOTHING, Effects, Fault, Gift, LoadKind, SeenLoad
from kaquan.promotions.outcomes import OFFER_BELOW_THRESHOLD
from kaquan.promotions.tiers import check_each_time, check_most, check_tiers, most_share_bp
from kaquan.promotions.types import GrantKind


class Tier(NamedTuple):
    """From how many minor units on, how many come on top."""

    from_fen: int
    bonus_fen: int


class LoadBonus(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``each_time``: for every time that the threshold, then the only one, is reached; ``most_fen`` caps it."""

    tiers: tuple[Tier, ...]
    each_time: bool = False
    most_fen: int | None = None


def check(params: LoadBonus) -> list[Fault]:
    """Tiers ascend in both columns."""
    return [
        *check_tiers("bonus_fen", [(tier.from_fen, tier.bonus_fen) for tier in params.tiers], most_bp=10_000),
        *check_each_time(params.each_time, params.tiers),
        *check_most(params.most_fen),
    ]


def applies(params: LoadBonus, seen: SeenLoad) -> Refusal | None:
    """Refused: ``offer_below_threshold``."""
    amount_fen, least_fen = seen.facts.amount_fen, params.tiers[0].from_fen
    return (
        None if amount_fen >= least_fen else OFFER_BELOW_THRESHOLD.refuse(amount_fen=amount_fen, needed_fen=least_fen)
    )


def effects(params: LoadBonus, seen: SeenLoad) -> Effects:
    """The bonus of the highest tier that is reached."""
    amount_fen = seen.facts.amount_fen
    reached = [tier for tier in params.tiers if tier.from_fen <= amount_fen]
    if not reached:
        return NOTHING
    bonus_fen = reached[-1].bonus_fen * (amount_fen // reached[-1].from_fen if params.each_time else 1)
    return Effects(gifts=(Gift(GrantKind.BONUS, min(bonus_fen, params.most_fen or bonus_fen)),))


KIND = LoadKind(
    name="load_bonus",
    en="Bonus on a top-up",
    zh="充值赠送",
    params=LoadBonus,
    check=check,
    applies=applies,
    effects=effects,
    rebate_bp=lambda params: most_share_bp(params.tiers),
)
