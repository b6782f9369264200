"""Card numbers: their shape, their check digit, their room, and that no digit is likelier than another."""

import struct
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import luhn

from kaquan.cards.numbers import (
    GUESSES_PER_CARD,
    NUMBER_LENGTH,
    check_digit,
    draw_numbers,
    is_number,
    room_under,
)


@given(st.from_regex(r"[0-9]{18}", fullmatch=True))
def test_the_check_digit_is_that_of_luhn(payload: str) -> None:
    assert check_digit(payload) == luhn.calc_check_digit(payload)


@pytest.mark.parametrize("prefix", ["8888", "000001", "99999999"])
def test_numbers_have_their_prefix_length_and_check_digit(prefix: str) -> None:
    numbers = draw_numbers(prefix, 1_000)
    assert len(set(numbers)) == 1_000
    for number in numbers:
        assert number.startswith(prefix)
        assert is_number(number)
        assert luhn.is_valid(number)


def test_nothing_is_drawn_for_nothing() -> None:
    assert draw_numbers("8888", 0) == []


def test_a_value_beyond_the_last_whole_multiple_is_drawn_again() -> None:
    drawn = [struct.pack("=Q", 2**64 - 1), struct.pack("=Q", 42)]
    asked: list[int] = []

    def draw(size: int) -> bytes:
        asked.append(size)
        return drawn.pop(0)

    assert draw_numbers("88888888", 1, draw) == ["888888880000000042" + check_digit("888888880000000042")]
    assert asked == [8, 8]


def test_every_digit_is_as_likely_as_another() -> None:
    numbers = draw_numbers("8888", 20_000)
    for place in range(4, NUMBER_LENGTH):
        counts = Counter(number[place] for number in numbers)
        # 2,000 expected each with a deviation of about 42: seven of them
        assert all(1_700 < counts[digit] < 2_300 for digit in "0123456789")


@pytest.mark.parametrize("text", ["", "8888", "8" * 20, "８" * 19, "8888 000000000001 2", "-888000000000000123"])
def test_what_is_not_a_number_by_its_shape(text: str) -> None:
    assert not is_number(text)


@pytest.mark.parametrize(("prefix", "room"), [("8888", 10**8), ("888888", 10**6), ("88888888", 10**4)])
def test_the_room_of_an_empty_prefix(prefix: str, room: int) -> None:
    assert room_under(prefix, []) == room
    assert room * GUESSES_PER_CARD == 10 ** (NUMBER_LENGTH - 1 - len(prefix))


def test_the_room_counts_every_programme_whose_numbers_overlap() -> None:
    assert room_under("888888", [("888888", 1), ("88888801", 10), ("8887", 10**9)]) == 10**6 - 11
    # of a shorter prefix, one number in a hundred begins with these two digits; a part of a card is a card
    assert room_under("888888", [("8888", 101)]) == 10**6 - 2
    assert room_under("888888", [("888888", 2 * 10**6)]) < 0
