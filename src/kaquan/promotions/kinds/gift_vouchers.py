"""满送券: vouchers for a later purchase, from a threshold: by the highest tier, or each time that it is reached.

>>> from kaquan.promotions.worked import basket, effects, voucher
>>> gift = GiftVouchers(tiers=(Tier(300_00, voucher(50_00)),))  # 满300送50
>>> effects(gift, basket(299_00)).worth_fen
0
>>> effects(gift, basket(700_00)).worth_fen
5000
>>> gift = GiftVouchers(tiers=(Tier(300_00, voucher(50_00)),), each_time=True)  # 每满300送50
>>> [(gift.count, gift.amount_fen) for gift in effects(gift, basket(700_00)).gifts]
[(2, 10000)]
>>> gift = GiftVouchers(tiers=(Tier(300_00, voucher(50_00)),), each_time=True, most_times=1)
>>> effects(gift, basket(700_00)).worth_fen
5000
"""

from typing import NamedTuple

import msgspec

from kaquan.kit.money import MAX_FEN
from kaquan.kit.outcomes import Refusal
from kaquan.promotions.gifts import VoucherGift, check_gift
from kaquan.promotions.kind import NOTHING, Bounds, Effects, Fault, PurchaseKind, Seen
from kaquan.promotions.outcomes import OFFER_BELOW_THRESHOLD
from kaquan.promotions.tiers import check_count, check_each_time, check_tiers


class Tier(NamedTuple):
    """From how many minor units on, which vouchers."""

    from_fen: int
    gift: VoucherGift


class GiftVouchers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``each_time``: for every time that the threshold, then the only one, is reached, at most ``most_times``."""

    tiers: tuple[Tier, ...]
    each_time: bool = False
    most_times: int | None = None


def check(params: GiftVouchers) -> list[Fault]:
    """Tiers ascend in both columns."""
    return [
        *check_tiers("gift.face_fen", [(tier.from_fen, tier.gift.worth_fen) for tier in params.tiers]),
        *check_each_time(params.each_time, params.tiers),
        *check_count("most_times", params.most_times),
        *(fault for place, tier in enumerate(params.tiers) for fault in check_gift(f"tiers[{place}].gift", tier.gift)),
    ]


def applies(params: GiftVouchers, seen: Seen) -> Refusal | None:
    """Refused: ``offer_below_threshold``."""
    least_fen = params.tiers[0].from_fen
    if seen.amount_fen < least_fen:
        return OFFER_BELOW_THRESHOLD.refuse(amount_fen=seen.amount_fen, needed_fen=least_fen)
    return None


def effects(params: GiftVouchers, seen: Seen) -> Effects:
    """The vouchers of the highest tier that is reached."""
    reached = [tier for tier in params.tiers if tier.from_fen <= seen.amount_fen]
    if not reached:
        return NOTHING
    times = seen.amount_fen // reached[-1].from_fen if params.each_time else 1
    return Effects(gifts=(reached[-1].gift.times(min(times, params.most_times or times)),))


def bounds(params: GiftVouchers) -> Bounds:
    """By the tier that is the largest share of its threshold, and by the highest."""
    most_bp = max(-(-tier.gift.worth_fen * 10_000 // tier.from_fen) for tier in params.tiers)
    most_fen = params.tiers[-1].gift.worth_fen * ((params.most_times or MAX_FEN) if params.each_time else 1)
    return Bounds(params.tiers[0].from_fen, most_bp, most_fen)


KIND = PurchaseKind(
    name="gift_vouchers",
    en="Vouchers from a threshold",
    zh="满送券",
    params=GiftVouchers,
    check=check,
    applies=applies,
    effects=effects,
    bounds=bounds,
)
