"""阶梯返券: a share of a top-up comes back in vouchers, the larger the higher the tier, up to a ceiling.

The rebate is rounded down to whole vouchers of ``face_fen``: what is left over is not given.

>>> from kaquan.promotions.worked import effects, top_up
>>> from uuid import UUID
>>> rebate = LoadRebate(
...     tiers=(Tier(500_00, 500), Tier(2_000_00, 800)),  # 满500返5%，满2000返8%
...     template_id=UUID(int=1), face_fen=10_00, valid_days=90, most_fen=200_00)
>>> effects(rebate, top_up(499_00)).worth_fen
0
>>> [(gift.count, gift.amount_fen) for gift in effects(rebate, top_up(500_00)).gifts]  # 25 元：两张 10 元券
[(2, 2000)]
>>> effects(rebate, top_up(2_000_00)).worth_fen
16000
>>> effects(rebate, top_up(5_000_00)).worth_fen  # 8% 为 400 元，封顶 200 元
20000
"""

from typing import NamedTuple
from uuid import UUID

import msgspec

from kaquan.kit.outcomes import Refusal
from kaquan.promotions.gifts import VoucherGift, check_gift
from kaquan.promotions.kind import NOTHING, Effects, Fault, LoadKind, SeenLoad
from kaquan.promotions.outcomes import OFFER_BELOW_THRESHOLD, OFFER_NO_EFFECT
from kaquan.promotions.tiers import check_bp, check_most, check_tiers


class Tier(NamedTuple):
    """From how many minor units on, which share of the top-up in basis points."""

    from_fen: int
    rebate_bp: int


class LoadRebate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Vouchers of ``face_fen`` each, valid for ``valid_days``, for at most ``most_fen`` together."""

    tiers: tuple[Tier, ...]
    template_id: UUID
    face_fen: int
    valid_days: int
    most_fen: int

    @property
    def gift(self) -> VoucherGift:
        """One of the vouchers."""
        return VoucherGift(template_id=self.template_id, face_fen=self.face_fen, valid_days=self.valid_days)


def check(params: LoadRebate) -> list[Fault]:
    """Tiers ascend in both columns; the ceiling pays for a voucher."""
    faults = check_tiers("rebate_bp", params.tiers)
    for position, tier in enumerate(params.tiers):
        faults += check_bp(f"tiers[{position}].rebate_bp", tier.rebate_bp)
    faults += [fault._replace(field=fault.field.removeprefix("gift.")) for fault in check_gift("gift", params.gift)]
    faults += check_most(params.most_fen)
    if params.most_fen < params.face_fen:
        faults.append(Fault("most_fen", "must be at least face_fen", "不得低于单张面额"))
    return faults


def applies(params: LoadRebate, seen: SeenLoad) -> Refusal | None:
    """Refused: ``offer_below_threshold``, ``offer_no_effect`` (the rebate is less than one voucher)."""
    amount_fen, least_fen = seen.facts.amount_fen, params.tiers[0].from_fen
    if amount_fen < least_fen:
        return OFFER_BELOW_THRESHOLD.refuse(amount_fen=amount_fen, needed_fen=least_fen)
    return None if effects(params, seen).gifts else OFFER_NO_EFFECT.refuse()


def effects(params: LoadRebate, seen: SeenLoad) -> Effects:
    """Whole vouchers for the share of the highest tier that is reached."""
    amount_fen = seen.facts.amount_fen
    reached = [tier for tier in params.tiers if tier.from_fen <= amount_fen]
    if not reached:
        return NOTHING
    rebate_fen = min(amount_fen * reached[-1].rebate_bp // 10_000, params.most_fen)
    count = rebate_fen // params.face_fen
    return Effects(gifts=(params.gift.times(count),)) if count else NOTHING


KIND = LoadKind(
    name="load_rebate",
    en="A share of a top-up back in vouchers",
    zh="阶梯返券",
    params=LoadRebate,
    check=check,
    applies=applies,
    effects=effects,
    rebate_bp=lambda params: max(tier.rebate_bp for tier in params.tiers),
)
