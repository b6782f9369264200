"""Card secrets and first PINs: what is printed under the scratch panel of a card, or mailed beside it."""

import hmac
import secrets
from collections.abc import Callable

Draw = Callable[[int], bytes]
"""Gives that many unguessable bytes."""

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O, U, so that what is read aloud or from a scratched panel is not mistaken."""

CARD_SECRET_LENGTH = 12
"""Characters of a card secret: 60 bits, out of reach of any guesser that is told 50 answers an hour."""

PIN_LENGTH = 6


def draw_card_secret(draw: Draw = secrets.token_bytes) -> str:
    """A new card secret; each possible one is equally likely."""
    return "".join(_ALPHABET[byte & 31] for byte in draw(CARD_SECRET_LENGTH))


def draw_pin(draw: Draw = secrets.token_bytes) -> str:
    """A new PIN of six digits, each equally likely, and none of those that a thief tries first (all one digit)."""
    while True:
        digits = [byte % 10 for byte in draw(4 * PIN_LENGTH) if byte < 250][:PIN_LENGTH]
        if len(digits) == PIN_LENGTH and len(set(digits)) > 1:
            return "".join(map(str, digits))


def same_secret(given: str, expected: str) -> bool:
    """Whether two secrets are the same, in a time that does not tell where they differ."""
    return hmac.compare_digest(given.encode(), expected.encode())
