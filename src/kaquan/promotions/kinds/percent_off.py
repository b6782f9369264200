"""折扣: a share of the price off, perhaps from a threshold, perhaps up to a cap. The discount is rounded down to a fen.

>>> from kaquan.promotions.worked import basket, off
>>> off(PercentOff(off_bp=1200), basket(100_00))  # 88 折
1200
>>> off(PercentOff(off_bp=1200), basket(9_99))  # 119.88 分：舍去不足一分
119
>>> off(PercentOff(off_bp=5000, most_fen=20_00), basket(100_00))  # 半价，最高减 20
2000
>>> off(PercentOff(off_bp=1000, from_fen=200_00), basket(199_00))  # 满 200 打 9 折
0
"""

import msgspec

from kaquan.kit.money import MAX_FEN
from kaquan.kit.outcomes import Refusal
from kaquan.promotions.kind import NOTHING, Bounds, Effects, Fault, PurchaseKind, Seen
from kaquan.promotions.outcomes import OFFER_BELOW_THRESHOLD, OFFER_NO_EFFECT
from kaquan.promotions.tiers import check_amount, check_bp, check_most


class PercentOff(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``off_bp`` of 10,000 off, at most ``most_fen``, when the goods come to ``from_fen``."""

    off_bp: int
    from_fen: int = 0
    most_fen: int | None = None


def check(params: PercentOff) -> list[Fault]:
    """A share above nothing and not above the whole."""
    return [
        *check_bp("off_bp", params.off_bp),
        *check_amount("from_fen", params.from_fen, least=0),
        *check_most(params.most_fen),
    ]


def applies(params: PercentOff, seen: Seen) -> Refusal | None:
    """Refused: ``offer_below_threshold``, ``offer_no_effect``."""
    if seen.amount_fen < params.from_fen:
        return OFFER_BELOW_THRESHOLD.refuse(amount_fen=seen.amount_fen, needed_fen=params.from_fen)
    return None if seen.amount_fen * params.off_bp >= 10_000 else OFFER_NO_EFFECT.refuse()


def effects(params: PercentOff, seen: Seen) -> Effects:
    """The share of what the goods cost."""
    if seen.amount_fen < params.from_fen:
        return NOTHING
    off_fen = seen.amount_fen * params.off_bp // 10_000
    return Effects(off_fen if params.most_fen is None else min(off_fen, params.most_fen))


KIND = PurchaseKind(
    name="percent_off",
    en="A share of the price off",
    zh="折扣",
    params=PercentOff,
    check=check,
    applies=applies,
    effects=effects,
    bounds=lambda params: Bounds(max(params.from_fen, 1), params.off_bp, params.most_fen or MAX_FEN),
)
