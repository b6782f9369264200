"""Splits keep the sum, to the fen."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaquan.kit.money import MAX_FEN, allocate

weights = st.lists(st.integers(0, MAX_FEN), max_size=12)


@given(st.integers(0, 2 * MAX_FEN), weights.filter(any))
def test_a_split_keeps_the_sum_and_is_fair_to_the_fen(total_fen: int, of: Sequence[int]) -> None:
    parts = allocate(total_fen, of)
    assert sum(parts) == total_fen
    assert len(parts) == len(of)
    for part, weight in zip(parts, of, strict=True):
        share = Fraction(total_fen * weight, sum(of))
        assert abs(part - share) < 1
        assert part <= weight or total_fen > sum(of)
        assert part == 0 or weight > 0


@given(weights.filter(any), st.data())
def test_a_heavier_weight_never_gets_less(of: Sequence[int], data: st.DataObject) -> None:
    parts = allocate(data.draw(st.integers(0, sum(of))), of)
    ordered = sorted(zip(of, parts, strict=True))
    assert all(a[1] <= b[1] for a, b in pairwise(ordered) if a[0] < b[0])


@given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.lists(st.integers(1, 60), max_size=12))
def test_part_after_part_comes_to_the_whole(of: list[int], amounts: list[int]) -> None:
    left = list(of)
    for amount in amounts:
        given_back = allocate(min(amount, sum(left)), left)
        left = [room - part for room, part in zip(left, given_back, strict=True)]
        assert all(room >= 0 for room in left)
    assert allocate(sum(left), left) == left


def test_equal_fractions_favour_the_earlier() -> None:
    assert allocate(2, [1, 1, 1, 1]) == [1, 1, 0, 0]
    assert allocate(0, [3, 4]) == [0, 0]
    assert allocate(0, [0, 0]) == [0, 0]
    assert allocate(0, []) == []
    assert allocate(7, [7]) == [7]


@pytest.mark.parametrize(("total_fen", "of"), [(-1, [1]), (1, [2, -1]), (1, [0, 0]), (1, [])])
def test_what_cannot_be_split(total_fen: int, of: list[int]) -> None:
    with pytest.raises(ValueError, match="allocate"):
        allocate(total_fen, of)
