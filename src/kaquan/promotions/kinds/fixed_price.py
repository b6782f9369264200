"""套餐价: goods that together have one price, such as a package card (火锅套餐卡), or are free (提货券).

A set takes so many pieces of each of its parts, the dearest first; of the goods that are over each pays its price. The
discount of a set is what its pieces cost less its price, where that is more than nothing.

>>> from kaquan.promotions.worked import basket, off
>>> pot, beef = Part(skus=frozenset({"sku-1"})), Part(skus=frozenset({"sku-2"}), pieces=2)
>>> off(FixedPrice(parts=(pot, beef), price_fen=99_00), basket(68_00, 60_00, pieces=(1, 2)))  # 锅底+两份牛肉 99
2900
>>> off(FixedPrice(parts=(pot, beef), price_fen=99_00), basket(68_00, 30_00))  # 少一份牛肉，不成套
0
>>> off(FixedPrice(parts=(pot,), price_fen=0), basket(68_00, 30_00))  # 提货券：锅底免费
6800
>>> off(FixedPrice(parts=(Part(pieces=3),), price_fen=10_00), basket(45_00, 4_00, pieces=(9, 1)))  # 任选三件 10 元
1500
>>> off(FixedPrice(parts=(Part(pieces=3),), price_fen=10_00, most_times=2), basket(45_00, pieces=(9,)))
1000
"""

import msgspec

from kaquan.kit.money import MAX_FEN, allocate
from kaquan.kit.outcomes import Refusal
from kaquan.promotions.kind import NOTHING, Bounds, Effects, Fault, PurchaseKind, Seen
from kaquan.promotions.outcomes import OFFER_NO_EFFECT, OFFER_TOO_FEW_PIECES
from kaquan.promotions.pieces import Pieces, by_line, count, dearest_first
from kaquan.promotions.tiers import check_amount, check_count

MAX_PARTS = 20
MAX_TIMES = 1_000
"""How many sets one basket makes at most, where the offer does not say it."""


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """So many pieces of some goods: by product or by category; neither: of any that the offer looks at."""

    pieces: int = 1
    skus: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()

    def holds(self, one: Pieces) -> bool:
        if not self.skus and not self.categories:
            return True
        return one.line.sku in self.skus or not self.categories.isdisjoint(one.line.categories)


class FixedPrice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One set of all ``parts`` costs ``price_fen``; at most ``most_times`` sets in a basket."""

    parts: tuple[Part, ...]
    price_fen: int
    most_times: int | None = None


def check(params: FixedPrice) -> list[Fault]:
    """Some parts, of some pieces."""
    faults = check_amount("price_fen", params.price_fen, least=0) + check_count(
        "most_times", params.most_times, most=MAX_TIMES
    )
    if not 1 <= len(params.parts) <= MAX_PARTS:
        faults.append(Fault("parts", f"must be 1 to {MAX_PARTS} parts", f"应为 1 至 {MAX_PARTS} 项"))
    for position, part in enumerate(params.parts):
        faults += check_count(f"parts[{position}].pieces", part.pieces, most=100)
    return faults


def applies(params: FixedPrice, seen: Seen) -> Refusal | None:
    """Refused: ``offer_too_few_pieces``, ``offer_no_effect`` (the set is dearer than its pieces)."""
    if effects(params, seen).off_fen:
        return None
    pieces = dearest_first(seen)
    if _take(params, pieces, [one.quantity for one in pieces]) is None:
        return OFFER_TOO_FEW_PIECES.refuse(pieces=count(seen), needed=sum(part.pieces for part in params.parts))
    return OFFER_NO_EFFECT.refuse()


def effects(params: FixedPrice, seen: Seen) -> Effects:
    """What all sets are cheaper by than their pieces. Sets are made while they are worth it."""
    pieces = dearest_first(seen)
    left = [one.quantity for one in pieces]
    off: list[tuple[int, int]] = []
    times = 0
    while times < (params.most_times or MAX_TIMES):
        taken = _take(params, pieces, left)
        if taken is None:
            break
        costs = []
        for at, pieces_taken in taken:
            one = pieces[at]
            done = one.quantity - left[at]
            costs.append((one.place, one.cost_fen(done + pieces_taken) - one.cost_fen(done)))
            left[at] -= pieces_taken
        times += 1
        saved_fen = sum(fen for _, fen in costs) - params.price_fen
        if saved_fen <= 0:
            break
        off += _spread(saved_fen, costs)
    parts = by_line(seen, off)
    return Effects(sum(parts), parts) if any(parts) else NOTHING


def _take(params: FixedPrice, pieces: list[Pieces], left: list[int]) -> list[tuple[int, int]] | None:
    """Which pieces one set takes, as (place in ``pieces``, how many); None: there are not enough."""
    free = list(left)
    for part in params.parts:
        wanted = part.pieces
        for at, one in enumerate(pieces):
            if wanted and free[at] and part.holds(one):
                taken = min(wanted, free[at])
                free[at] -= taken
                wanted -= taken
        if wanted:
            return None
    return [(at, left[at] - free[at]) for at in range(len(pieces)) if left[at] > free[at]]


def _spread(saved_fen: int, costs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    parts = allocate(saved_fen, [fen for _, fen in costs])
    return [(place, part) for (place, _), part in zip(costs, parts, strict=True)]


KIND = PurchaseKind(
    name="fixed_price",
    en="Goods together at one price",
    zh="套餐价",
    params=FixedPrice,
    check=check,
    applies=applies,
    effects=effects,
    bounds=lambda params: Bounds(1, 10_000, MAX_FEN),
)
