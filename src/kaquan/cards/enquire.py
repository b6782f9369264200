"""Ask for a card's balance as its holder does: by its number and what only the holder knows.

Whatever is wrong, the number, the secret or the state of the card, the answer is the same and the same work is done for
it: the same statements, the same decryptions, the same comparisons. What is remembered of numbers is not used here,
since it would answer known numbers sooner.
"""

from collections.abc import Awaitable, Callable
from datetime import date, datetime
from uuid import UUID

import msgspec

from kaquan.cards import store
from kaquan.cards.change import programme_of
from kaquan.cards.numbers import is_number
from kaquan.cards.outcomes import CARD_NOT_CONFIRMED
from kaquan.cards.store import PIN_CONTEXT, SECRET_CONTEXT
from kaquan.cards.types import CardStatus
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import read_expired, slot_of
from kaquan.vault import CARD_SECRET_LENGTH, PIN_LENGTH, Keyring, mask_card_number, same_secret

_NOBODY = UUID(int=0)
_NO_NUMBER = "0" * 19


class Proof(msgspec.Struct, frozen=True):
    """What a holder shows: the secret of the card or its PIN."""

    secret: str | None = None
    pin: str | None = None

    def __repr__(self) -> str:
        return "Proof(...)"


class Balance(msgspec.Struct, frozen=True):
    """What a holder is told: of each currency there is one card, so the pockets add up."""

    number_masked: str
    currency: str
    available_fen: int
    expires_at: datetime | None
    usable_until: date | None
    """The last day of its programme, where an end is announced."""


CheckPin = Callable[[int, UUID, str], Awaitable[bool | None]]
"""Whether this is the PIN that the holder has chosen, by book, card and PIN; None: none was chosen, so the first PIN
holds. It is asked of cards that there are not, too, and must then take as long."""


async def enquire(
    pool: Pool,
    keyring: Keyring,
    clock: Clock,
    *,
    book_id: int,
    slots: tuple[int, ...],
    number: str,
    proof: Proof,
    check_pin: CheckPin,
) -> Balance | Refusal:
    """The balance of the card with this number, for who knows its secret or its PIN.

    Refused: ``card_not_confirmed``, whatever is wrong.
    """
    found: tuple[int, UUID] | None = None
    for _, lookup in keyring.lookups(number if is_number(number) else _NO_NUMBER):
        # under every key, found or not
        found = (await store.load_numbers(pool, slot_of(lookup, slots), [lookup])).get(lookup, found)
    slot, card_id = found or (slots[0], _NOBODY)
    card = await store.load_card(pool, book_id=book_id, slot=slot, card_id=card_id)
    kept = await store.load_secret(pool, book_id=book_id, slot=slot, card_id=card_id)
    pockets = await store.load_pockets(pool, book_id=book_id, slot=slot, card_id=card_id)
    secret_sealed, pin_sealed = kept or (None, None)
    secret = _open(keyring, secret_sealed, card_id, SECRET_CONTEXT, "-" * CARD_SECRET_LENGTH)
    first_pin = _open(keyring, pin_sealed, card_id, PIN_CONTEXT, "-" * PIN_LENGTH)
    # only where a PIN is shown: each asking counts as a guess
    chosen = None if proof.pin is None else await check_pin(book_id, card_id, proof.pin)
    knows_secret = same_secret(_as_printed(proof.secret or ""), secret)
    knows_pin = same_secret(proof.pin or "", first_pin) if chosen is None else chosen
    knows = knows_pin if proof.secret is None else knows_secret
    if (
        not knows
        or card is None
        or not pockets
        or card.status is not CardStatus.ACTIVE
        or (card.expires_at is not None and card.expires_at <= clock.now())
    ):
        return CARD_NOT_CONFIRMED.refuse()
    # who is right may take longer
    programme = await programme_of(pool, card)
    async with pool.connection() as connection:
        expired = await read_expired(
            connection, slot=slot, account_ids=[account.id for account in pockets], now=clock.now()
        )
    return Balance(
        mask_card_number(number),
        programme.currency,
        sum(account.available_fen - expired.get(account.id, 0) for account in pockets),
        card.expires_at,
        None if programme.ending is None else programme.ending.last_day,
    )


def _open(keyring: Keyring, sealed: bytes | None, card_id: UUID, context: bytes, nothing: str) -> str:
    """A sealed value; where there is none one is made and opened, which is the work of two, and equals no input."""
    made = keyring.seal(nothing.encode(), card_id.bytes + context)
    return keyring.open(made if sealed is None else sealed, card_id.bytes + context).decode("ascii")


def _as_printed(secret: str) -> str:
    """A secret as people type it, the way it was printed: capital letters, no spaces and dashes."""
    return "".join(character for character in secret.upper() if character not in " -")
