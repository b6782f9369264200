"""Voucher codes: characters that nobody mistakes for one another, and two that check the others.

A code is drawn from the operating system's random source and tells nothing of when or for what it was made. Its
alphabet has 23 characters, a prime: over the integers modulo 23 the two check characters are those of a Reed-Solomon
code, which finds every one or two wrong characters and every two that changed places.
"""

import secrets
from collections.abc import Callable
from itertools import count as counting
from operator import mul

Draw = Callable[[int], bytes]
"""Gives that many unguessable bytes."""

ALPHABET = "23456789ACDEFHJKMNPRTVX"
"""Without 0 O Q, 1 I L, B (8), G (6), S (5), U and Y (V), W (VV), Z (2)."""

CHECKS = 2
MIN_LENGTH, MAX_LENGTH = 8, 22
"""Of a code with its check characters. Beyond 22 characters a place would weigh as much as another."""
DEFAULT_LENGTH = 16
MIN_FOREIGN_LENGTH, MAX_FOREIGN_LENGTH = 4, 64
"""Of codes that somebody else made."""

GUESSES_PER_CODE = 1_000_000_000
"""How many codes a guesser must try, on average, to meet one that is there."""

VOUCHER_CODE = b"voucher code"
"""The purpose under which codes are looked up."""

_BASE = len(ALPHABET)
_CHARACTERS = frozenset(ALPHABET)
_LETTERS = ALPHABET.encode()
_VALUES = bytes.maketrans(_LETTERS, bytes(range(_BASE)))
_BY_BYTE = bytes(_LETTERS[byte % _BASE] for byte in range(256))
# a byte above the last whole multiple would make some characters likelier: it is left out
_UNEVEN = bytes(range(256 - 256 % _BASE, 256))


def tidy(text: str) -> str:
    """A code as it is looked up: capitals, without the spaces and hyphens that people write.

    >>> tidy(" acde-fhjk 2345 ")
    'ACDEFHJK2345'
    """
    return "".join(text.split()).replace("-", "").upper()


def group(code: str) -> str:
    """A code as people read it, in fours.

    >>> group("ACDEFHJK23")
    'ACDE-FHJK-23'
    """
    return "-".join(code[start : start + 4] for start in range(0, len(code), 4))


def add_checks(payload: str) -> str:
    """The code of a payload: two characters follow that make its sums, plain and weighted by place, zero.

    >>> add_checks("ACDEFH")
    'ACDEFHDR'
    """
    values, place = payload.encode().translate(_VALUES), len(payload) + 1
    plain, weighted = sum(values), sum(map(mul, values, counting(1)))
    # x + y = -plain and n·x + (n+1)·y = -weighted, where n is the place of x
    second = (place * plain - weighted) % _BASE
    first = (-plain - second) % _BASE
    return f"{payload}{ALPHABET[first]}{ALPHABET[second]}"


def is_code(code: str) -> bool:
    """Whether a tidied code could be one of ours: its length, its characters and its checks.

    >>> is_code("ACDEFHDR"), is_code("CADEFHDR"), is_code("ACDEFHD"), is_code("ACDEFHDO")
    (True, False, False, False)
    """
    if not MIN_LENGTH <= len(code) <= MAX_LENGTH or not set(code) <= _CHARACTERS:
        return False
    return add_checks(code[:-CHECKS]) == code


def draw_codes(length: int, count: int, draw: Draw = secrets.token_bytes) -> list[str]:
    """``count`` codes of ``length``, each possible one equally likely; two of them may be equal."""
    width = length - CHECKS
    wanted = width * count
    drawn = b""
    while len(drawn) < wanted:
        drawn += draw(wanted - len(drawn) + 64).translate(_BY_BYTE, _UNEVEN)
    text = drawn[:wanted].decode("ascii")
    return [add_checks(text[start : start + width]) for start in range(0, wanted, width)]


def room_for(length: int, there: int, *, guesses_per_code: int = GUESSES_PER_CODE) -> int:
    """How many more codes of ``length`` may be made when ``there`` are made already.

    A code that is guessed at random, with its check characters right, then is one with a chance of at most one in
    ``guesses_per_code``.

    >>> room_for(16, 0) > 10**9, room_for(8, 0), room_for(12, 40_000)
    (True, 0, 1426)
    """
    return max(0, int(_BASE ** (length - CHECKS)) // guesses_per_code - there)
