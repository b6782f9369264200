"""Pieces of the lines of a basket, for kinds that count them. A line of several pieces is never unrolled."""

from collections.abc import Sequence
from typing import NamedTuple

from kaquan.promotions.kind import Seen
from kaquan.promotions.types import Line


class Pieces(NamedTuple):
    """The pieces of one line. ``place`` is its place among the lines that are seen."""

    place: int
    line: Line
    quantity: int
    amount_fen: int

    def cost_fen(self, taken: int) -> int:
        """What so many of them cost, rounded down to a fen."""
        return self.amount_fen * taken // self.quantity


def dearest_first(seen: Seen) -> list[Pieces]:
    """The pieces by the price of one, the dearest first; of prices equal to a millionth of a fen the earlier line's."""
    pieces = [
        Pieces(place, line, line.quantity, amount_fen)
        for place, (line, amount_fen) in enumerate(zip(seen.lines, seen.amounts, strict=True))
    ]
    return sorted(pieces, key=lambda one: -(one.amount_fen * 1_000_000 // one.quantity))


def count(seen: Seen) -> int:
    """How many pieces there are."""
    return sum(line.quantity for line in seen.lines)


def by_line(seen: Seen, off: Sequence[tuple[int, int]]) -> list[int]:
    """A discount for each line that is seen, from (place, fen)."""
    parts = [0] * len(seen.lines)
    for place, fen in off:
        parts[place] += fen
    return parts
