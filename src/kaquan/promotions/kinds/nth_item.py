"""第二件半价: of every so many pieces the cheapest is cheaper, or free (买二送一).

Pieces are counted from the dearest down, and every ``nth`` of them gets ``off_bp`` off; with ``same_sku`` each product
is counted by itself. The discount of a line is rounded down to a fen.

>>> from kaquan.promotions.worked import basket, off
>>> off(NthItem(nth=2, off_bp=5000), basket(40_00, 30_00))  # 第二件半价
1500
>>> off(NthItem(nth=2, off_bp=5000), basket(90_00, pieces=(3,)))  # 三件只成一对
1500
>>> off(NthItem(nth=3, off_bp=10_000), basket(10_00, 9_00, 8_00, 7_00))  # 买二送一：送第三贵的一件
800
>>> off(NthItem(nth=2, off_bp=5000, same_sku=True), basket(40_00, 30_00))  # 须同款
0
>>> off(NthItem(nth=2, off_bp=5000, most_times=1), basket(40_00, pieces=(4,)))  # 限一件
500
"""

from itertools import groupby

import msgspec

from kaquan.kit.money import MAX_FEN
from kaquan.kit.outcomes import Refusal
from kaquan.promotions.kind import NOTHING, Bounds, Effects, Fault, PurchaseKind, Seen
from kaquan.promotions.outcomes import OFFER_NO_EFFECT, OFFER_TOO_FEW_PIECES
from kaquan.promotions.pieces import Pieces, by_line, count, dearest_first
from kaquan.promotions.tiers import check_bp, check_count


class NthItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every ``nth`` piece gets ``off_bp`` of 10,000 off, at most ``most_times`` pieces of a basket."""

    nth: int
    off_bp: int
    same_sku: bool = False
    most_times: int | None = None


def check(params: NthItem) -> list[Fault]:
    """At least the second."""
    return [
        *check_count("nth", params.nth, least=2, most=100),
        *check_bp("off_bp", params.off_bp),
        *check_count("most_times", params.most_times),
    ]


def applies(params: NthItem, seen: Seen) -> Refusal | None:
    """Refused: ``offer_too_few_pieces``, ``offer_no_effect``."""
    if effects(params, seen).off_fen:
        return None
    pieces = count(seen)
    if pieces < params.nth or params.same_sku:
        return OFFER_TOO_FEW_PIECES.refuse(pieces=pieces, needed=params.nth)
    return OFFER_NO_EFFECT.refuse()


def effects(params: NthItem, seen: Seen) -> Effects:
    """What every nth piece is cheaper by."""
    pieces = dearest_first(seen)
    several = [pieces]
    if params.same_sku:
        pieces.sort(key=lambda one: one.line.sku)
        several = [list(same) for _, same in groupby(pieces, key=lambda one: one.line.sku)]
    left = params.most_times
    off: list[tuple[int, int]] = []
    for counted in several:
        off += _off(params, counted, left)
        left = None if params.most_times is None else params.most_times - len(off)
    parts = by_line(seen, [(place, fen) for place, fen in off])
    return Effects(sum(parts), parts) if any(parts) else NOTHING


def _off(params: NthItem, pieces: list[Pieces], most: int | None) -> list[tuple[int, int]]:
    off = []
    before = 0
    for one in pieces:
        times = (before + one.quantity) // params.nth - before // params.nth
        before += one.quantity
        if most is not None:
            times = min(times, most)
            most -= times
        if times:
            off.append((one.place, one.amount_fen * times * params.off_bp // (one.quantity * 10_000)))
    return off


KIND = PurchaseKind(
    name="nth_item",
    en="Every nth piece cheaper",
    zh="第 N 件优惠",
    params=NthItem,
    check=check,
    applies=applies,
    effects=effects,
    bounds=lambda params: Bounds(1, params.off_bp, MAX_FEN),
)
