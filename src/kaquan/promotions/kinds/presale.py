"""预售折扣: a top-up that is paid at less than its value, such as 500 for 450. The discount is rounded down to a fen.

>>> from kaquan.promotions.worked import off, top_up
>>> off(Presale(off_bp=1000, from_fen=500_00), top_up(500_00))  # 九折预售
5000
>>> off(Presale(off_bp=1000, from_fen=500_00), top_up(499_00))
0
>>> off(Presale(off_bp=1000, from_fen=500_00, most_fen=60_00), top_up(1_000_00))
6000
>>> off(Presale(off_bp=333, from_fen=1), top_up(1_00))
3
"""

import msgspec

from kaquan.kit.outcomes import Refusal
from kaquan.promotions.kind import NOTHING, Effects, Fault, LoadKind, SeenLoad
from kaquan.promotions.outcomes import OFFER_BELOW_THRESHOLD, OFFER_NO_EFFECT
from kaquan.promotions.tiers import check_amount, check_bp, check_most


class Presale(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``off_bp`` of 10,000 off a top-up of ``from_fen`` or more, at most ``most_fen``."""

    off_bp: int
    from_fen: int
    most_fen: int | None = None


def check(params: Presale) -> list[Fault]:
    """A share, a threshold, perhaps a cap."""
    return [
        *check_bp("off_bp", params.off_bp),
        *check_amount("from_fen", params.from_fen),
        *check_most(params.most_fen),
    ]


def applies(params: Presale, seen: SeenLoad) -> Refusal | None:
    """Refused: ``offer_below_threshold``, ``offer_no_effect`` (less than a fen)."""
    amount_fen = seen.facts.amount_fen
    if amount_fen < params.from_fen:
        return OFFER_BELOW_THRESHOLD.refuse(amount_fen=amount_fen, needed_fen=params.from_fen)
    return None if effects(params, seen).off_fen else OFFER_NO_EFFECT.refuse()


def effects(params: Presale, seen: SeenLoad) -> Effects:
    """The share of what the card gets."""
    amount_fen = seen.facts.amount_fen
    if amount_fen < params.from_fen:
        return NOTHING
    off_fen = amount_fen * params.off_bp // 10_000
    return Effects(off_fen if params.most_fen is None else min(off_fen, params.most_fen))


KIND = LoadKind(
    name="presale",
    en="A top-up at less than its value",
    zh="预售折扣",
    params=Presale,
    check=check,
    applies=applies,
    effects=effects,
    rebate_bp=lambda params: params.off_bp,
)
