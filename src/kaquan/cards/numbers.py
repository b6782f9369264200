"""Card numbers: 19 digits, unguessable, with a check digit (ISO/IEC 7812-1 annex B, "Luhn").

A number is the programme's prefix, digits from the operating system's random source, and the check digit.
Nothing about a number tells when or in what order it was made.
"""

import secrets
from collections.abc import Callable, Sequence

Draw = Callable[[int], bytes]
"""Gives that many unguessable bytes."""

NUMBER_LENGTH = 19
"""Of the numbers that are made here."""
MIN_FOREIGN_LENGTH = 13
"""Of numbers that were made elsewhere and imported; none is longer than ours (ISO/IEC 7812-1)."""
MIN_PREFIX, MAX_PREFIX = 4, 8

GUESSES_PER_CARD = 1_000_000
"""How many numbers a guesser must try, on average, to meet one card."""

_DOUBLED = bytes.maketrans(b"0123456789", bytes([0, 2, 4, 6, 8, 1, 3, 5, 7, 9]))
_SINGLE = bytes.maketrans(b"0123456789", bytes(range(10)))
_DRAW_RANGE = 1 << 64


def is_number(text: str) -> bool:
    """Whether ``text`` has the shape of a card number, ours or imported; its check digit is not looked at."""
    return MIN_FOREIGN_LENGTH <= len(text) <= NUMBER_LENGTH and text.isascii() and text.isdigit()


def has_check_digit(number: str) -> bool:
    """Whether the last digit of a number of any length is the check digit of the others.

    >>> has_check_digit("8888000000000001230"), has_check_digit("79927398713"), has_check_digit("79927398710")
    (True, True, False)
    """
    digits = number.encode()[::-1]
    return (sum(digits[1::2].translate(_DOUBLED)) + sum(digits[0::2].translate(_SINGLE))) % 10 == 0


def check_digit(payload: str) -> str:
    """The check digit that follows these 18 digits.

    >>> check_digit("888800000000000123")
    '0'
    """
    digits = payload.encode()
    total = sum(digits[1::2].translate(_DOUBLED)) + sum(digits[0::2].translate(_SINGLE))
    return str(-total % 10)


def draw_numbers(prefix: str, count: int, draw: Draw = secrets.token_bytes) -> list[str]:
    """``count`` numbers under ``prefix``, each possible one equally likely; two of them may be equal."""
    width = NUMBER_LENGTH - 1 - len(prefix)
    possible = 10**width
    # the rest above the last whole multiple would make small numbers likelier: drawn again
    limit = _DRAW_RANGE - _DRAW_RANGE % possible
    numbers: list[str] = []
    while len(numbers) < count:
        for value in memoryview(draw(8 * (count - len(numbers)))).cast("Q"):
            if value < limit:
                payload = f"{prefix}{value % possible:0{width}}"
                numbers.append(payload + check_digit(payload))
    return numbers


def room_under(prefix: str, promised: Sequence[tuple[str, int]], *, guesses_per_card: int = GUESSES_PER_CARD) -> int:
    """How many more cards ``prefix`` has room for, with so many possible numbers for each card.

    A number that is guessed at random is then a card's with a chance of at most one in ``guesses_per_card``.

    ``promised`` are the prefixes of the book's programmes with the cards that they have or will have. Cards
    under a longer prefix all lie in this one; those under a shorter prefix by their even share, rounded up.

    >>> room_under("888888", [("888888", 400_000)])
    600000
    >>> room_under("888888", [("88888877", 10_000), ("8888", 1_000), ("7777", 10**8)])
    989990
    """
    there = 0
    for other, count in promised:
        if other.startswith(prefix):
            there += count
        elif prefix.startswith(other):
            there += -(-count // 10 ** (len(prefix) - len(other)))
    return int(10 ** (NUMBER_LENGTH - 1 - len(prefix))) // guesses_per_card - there
