"""满件减: an amount off from a number of pieces, once by the highest tier that is reached, or each time that it is.

>>> from kaquan.promotions.worked import basket, off
>>> off(PiecesOff(tiers=(Tier(2, 5_00),)), basket(20_00, 30_00))  # 满两件减5
500
>>> off(PiecesOff(tiers=(Tier(2, 5_00),)), basket(20_00))
0
>>> off(PiecesOff(tiers=(Tier(2, 5_00), Tier(3, 12_00))), basket(20_00, 60_00, pieces=(1, 3)))  # 两件减5，三件减12
1200
>>> off(PiecesOff(tiers=(Tier(2, 5_00),), each_time=True, most_times=3), basket(90_00, pieces=(9,)))  # 限三次
1500
>>> off(PiecesOff(tiers=(Tier(1, 5_00),)), basket(3_00))  # 不超过商品价格
300
"""

from typing import NamedTuple

import msgspec

from kaquan.kit.money import MAX_FEN
from kaquan.kit.outcomes import Refusal
from kaquan.promotions.kind import NOTHING, Bounds, Effects, Fault, PurchaseKind, Seen
from kaquan.promotions.outcomes import OFFER_NO_EFFECT, OFFER_TOO_FEW_PIECES
from kaquan.promotions.pieces import count
from kaquan.promotions.tiers import check_count, check_each_time, check_tiers


class Tier(NamedTuple):
    """From how many pieces on, how many minor units are off."""

    from_pieces: int
    off_fen: int


class PiecesOff(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``each_time``: for every time that the number, then the only one, is reached, at most ``most_times``."""

    tiers: tuple[Tier, ...]
    each_time: bool = False
    most_times: int | None = None


def check(params: PiecesOff) -> list[Fault]:
    """Tiers ascend in both columns."""
    named = [
        fault._replace(field=fault.field.replace("from_fen", "from_pieces"))
        for fault in check_tiers("off_fen", params.tiers)
    ]
    return [*named, *check_each_time(params.each_time, params.tiers), *check_count("most_times", params.most_times)]


def applies(params: PiecesOff, seen: Seen) -> Refusal | None:
    """Refused: ``offer_too_few_pieces``, ``offer_no_effect`` (the goods cost nothing)."""
    pieces, needed = count(seen), params.tiers[0].from_pieces
    if pieces < needed:
        return OFFER_TOO_FEW_PIECES.refuse(pieces=pieces, needed=needed)
    return None if seen.amount_fen else OFFER_NO_EFFECT.refuse()


def effects(params: PiecesOff, seen: Seen) -> Effects:
    """The discount of the highest tier that is reached, at most what the goods cost."""
    pieces = count(seen)
    reached = [tier for tier in params.tiers if tier.from_pieces <= pieces]
    if not reached or not seen.amount_fen:
        return NOTHING
    times = pieces // reached[-1].from_pieces if params.each_time else 1
    off_fen = reached[-1].off_fen * min(times, params.most_times or times)
    return Effects(min(off_fen, seen.amount_fen))


def bounds(params: PiecesOff) -> Bounds:
    """All of the goods at the most, or the highest tier."""
    times = (params.most_times or MAX_FEN) if params.each_time else 1
    return Bounds(1, 10_000, params.tiers[-1].off_fen * times)


KIND = PurchaseKind(
    name="pieces_off",
    en="An amount off from a number of pieces",
    zh="满件减",
    params=PiecesOff,
    check=check,
    applies=applies,
    effects=effects,
    bounds=bounds,
)
