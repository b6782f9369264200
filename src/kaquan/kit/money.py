"""Exact money: integers in minor units (fen), rates in basis points, splits that keep the sum.

There is no Money object: a row has one currency, fixed by its account, and amounts are plain ``int`` whose names
end in ``_fen``. What lives here is the arithmetic that would otherwise be done slightly differently in each room.
"""

from collections.abc import Sequence

MAX_FEN = 10**11
"""The largest amount any door accepts: a billion yuan. Ninety million of them fit into the counters of an account."""


def allocate(total_fen: int, weights: Sequence[int]) -> list[int]:
    """Split ``total_fen`` in proportion to ``weights``; the parts sum to ``total_fen`` exactly.

    Rule: every part is first rounded down; the fen that are left go one each to the largest fractions, and among
    equal fractions to the earlier part. No part exceeds its weight when ``total_fen`` does not exceed their sum,
    so splitting a refund over what is still unrefunded never refunds a part twice.

    Raises ValueError if an argument is negative, or all weights are zero while there is something to split.

    >>> allocate(100, [1, 1, 1])
    [34, 33, 33]
    >>> allocate(5, [0, 3, 7])
    [0, 2, 3]
    """
    whole = sum(weights)
    if total_fen < 0 or (weights and min(weights) < 0):
        raise ValueError("allocate: neither the total nor a weight may be negative")
    if whole == 0:
        if total_fen:
            raise ValueError("allocate: nothing to split over")
        return [0] * len(weights)
    if total_fen == whole:
        return list(weights)
    parts = [total_fen * weight // whole for weight in weights]
    left = total_fen - sum(parts)
    if left:
        below = [-(total_fen * weight % whole) for weight in weights]
        for i in sorted(range(len(parts)), key=below.__getitem__)[:left]:
            parts[i] += 1
    return parts
