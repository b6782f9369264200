"""The PIN of a card: set, change, check, unlock.

A guess is counted before it is compared, by one statement that gives out no more guesses than the programme allows; so
guesses at once, at any number of processes, get no more than that together. The right PIN sets the count back.
"""

from datetime import date
from itertools import pairwise
from typing import NamedTuple
from uuid import UUID

from kaquan.cards import store
from kaquan.cards.change import note_of, programme_of
from kaquan.cards.life import MAY_HAPPEN, UNUSABLE
from kaquan.cards.outcomes import PIN_LOCKED, PIN_NOT_SET, PIN_TOO_EASY, PIN_WRONG, invalid, missing
from kaquan.cards.types import Card, CardEvent, Hand, PinState
from kaquan.kit.db import Pool
from kaquan.kit.outcomes import BUSY, Refusal
from kaquan.ledger import slot_of
from kaquan.vault import Keyring, hash_pin, pin_matches

PIN_DIGITS = 6

PIN_REFUSALS = {PinState.WRONG: PIN_WRONG, PinState.LOCKED: PIN_LOCKED, PinState.NOT_SET: PIN_NOT_SET}


class PinStatus(NamedTuple):
    """A card's PIN as it may be told: whether there is one, and whether it is locked."""

    is_set: bool
    is_locked: bool


def check_pin(pin: str, *, number_last4: str, field: str = "pin") -> Refusal | None:
    """Whether a PIN may be chosen: six digits that nobody tries first. Refused: ``invalid_field``, ``pin_too_easy``.

    Not: one digit only, a run up or down, a pattern that repeats, a date (of birth), the end of the card's number.
    """
    if len(pin) != PIN_DIGITS or not (pin.isascii() and pin.isdigit()):
        return invalid(field, f"must be {PIN_DIGITS} digits", allowed_zh=f"应为 {PIN_DIGITS} 位数字")
    digits = [int(digit) for digit in pin]
    steps = {(after - before) % 10 for before, after in pairwise(digits)}
    if len(steps) == 1 and steps <= {0, 1, 9}:
        return _too_easy(field, "the same digit, or digits in a row", "相同或连续的数字")
    if pin in {pin[:2] * 3, pin[:3] * 2} or (len(set(pin)) == 2 and pin[:3] in {pin[0] * 3} and pin[3:] == pin[3] * 3):
        return _too_easy(field, "a pattern that repeats", "重复的数字组合")
    if _reads_as_date(pin):
        return _too_easy(field, "a date", "日期形式的数字")
    if number_last4 in pin:
        return _too_easy(field, "it holds the end of the card's number", "包含卡号末四位")
    return None


def _too_easy(field: str, why: str, why_zh: str) -> Refusal:
    return PIN_TOO_EASY.refuse(field, why=why, why_zh=why_zh)


def _reads_as_date(pin: str) -> bool:
    """YYMMDD, DDMMYY, MMDDYY, or YYYYMM of the last century and this one."""
    first, second, third = int(pin[:2]), int(pin[2:4]), int(pin[4:])
    if pin[:2] in {"19", "20"} and 1 <= third <= 12:
        return True
    for year, month, day in ((first, second, third), (third, second, first), (third, first, second)):
        try:
            date(2000 + year, month, day)
        except ValueError:
            continue
        return True
    return False


async def get_pin_status(pool: Pool, *, book_id: int, slots: tuple[int, ...], card_id: UUID) -> PinStatus | Refusal:
    """Whether a card has a PIN and whether it is locked. Refused: ``not_found``."""
    card = await store.load_card(pool, book_id=book_id, slot=slot_of(card_id, slots), card_id=card_id)
    if card is None:
        return missing("card")
    return await _status(pool, card)


async def _status(pool: Pool, card: Card) -> PinStatus:
    kept, attempts = await store.load_pin(pool, card)
    max_attempts = (await programme_of(pool, card)).pin_max_attempts
    return PinStatus(kept is not None, kept is not None and attempts >= max_attempts)


async def set_pin(
    pool: Pool,
    hand: Hand,
    keyring: Keyring,
    *,
    book_id: int,
    slots: tuple[int, ...],
    card_id: UUID,
    pin: str,
    current_pin: str | None = None,
) -> PinStatus | Refusal:
    """Give a card its PIN, or another one: then the current PIN is asked for, which counts as a guess.

    Refused: ``not_found``, the codes of cards that are not active, ``invalid_field``, ``pin_too_easy``, ``pin_wrong``
    (also when the current PIN is not given), ``pin_locked``, ``busy``.
    """
    card = await store.load_card(pool, book_id=book_id, slot=slot_of(card_id, slots), card_id=card_id)
    if card is None:
        return missing("card")
    if card.status not in MAY_HAPPEN[CardEvent.REGISTERED]:
        return UNUSABLE[card.status].refuse()
    if (refused := check_pin(pin, number_last4=card.number_last4)) is not None:
        return refused
    before, _ = await store.load_pin(pool, card)
    if before is not None:
        if current_pin is None:
            return PIN_WRONG.refuse("current_pin")
        refused = await check_holder(pool, hand, keyring, card=card, pin=current_pin, field="current_pin")
        if refused is not None:
            return refused
    kept = await hash_pin(keyring, pin, card.id.bytes)
    kind = CardEvent.PIN_SET if before is None else CardEvent.PIN_CHANGED
    event = note_of(hand, kind, book_id=book_id, slot=card.slot, card_id=card.id)
    put = store.put_pin(card, kept=kept, before=before, at=hand.clock.now())
    if not await store.post_together(pool, put, store.add_event(event)):
        return BUSY.refuse()
    return PinStatus(True, False)


async def verify_pin(pool: Pool, hand: Hand, keyring: Keyring, *, card: Card, pin: str, max_attempts: int) -> PinState:
    """Whether this is the card's PIN. Counts as a guess unless it is; ``max_attempts`` wrong ones in a row lock it."""
    claimed = await store.claim_attempt(pool, card, max_attempts=max_attempts)
    if claimed is None:
        kept, _ = await store.load_pin(pool, card)
        return PinState.NOT_SET if kept is None else PinState.LOCKED
    kept, attempt = claimed
    if await pin_matches(keyring, kept, pin, card.id.bytes):
        await store.reset_attempts(pool, card, kept=kept)
        return PinState.RIGHT
    if attempt >= max_attempts:
        event = note_of(hand, CardEvent.PIN_LOCKED, book_id=card.book_id, slot=card.slot, card_id=card.id)
        await store.post_together(pool, store.add_event(event))
    return PinState.WRONG


async def check_chosen_pin(
    pool: Pool, hand: Hand, keyring: Keyring, *, book_id: int, slots: tuple[int, ...], card_id: UUID, pin: str
) -> bool | None:
    """Whether this is the PIN that the card's holder has chosen; None when none was, or there is no such card.

    Counts as a guess, as :func:`verify_pin` does. Whatever comes out, the same statements run and one PIN is hashed,
    which takes far longer than all the rest.
    """
    slot = slot_of(card_id, slots)
    guess = await store.claim_guess(pool, book_id=book_id, slot=slot, card_id=card_id)
    claimed = guess.attempt is not None
    right = await pin_matches(keyring, guess.kept if claimed else None, pin, card_id.bytes)
    locked = note_of(hand, CardEvent.PIN_LOCKED, book_id=book_id, slot=slot, card_id=card_id)
    locks = not right and guess.attempt is not None and guess.attempt >= guess.max_attempts
    await store.settle_guess(pool, locked, kept=guess.kept, is_right=right, locks=locks)
    return None if guess.kept is None else right


async def check_holder(
    pool: Pool, hand: Hand, keyring: Keyring, *, card: Card, pin: str, field: str = "pin"
) -> Refusal | None:
    """None when ``pin`` is the card's. Refused: ``pin_wrong``, ``pin_locked``, ``pin_not_set``."""
    max_attempts = (await programme_of(pool, card)).pin_max_attempts
    state = await verify_pin(pool, hand, keyring, card=card, pin=pin, max_attempts=max_attempts)
    return PIN_REFUSALS[state].refuse(field) if state in PIN_REFUSALS else None


async def unlock_pin(
    pool: Pool,
    hand: Hand,
    *,
    book_id: int,
    slots: tuple[int, ...],
    card_id: UUID,
    reason: str,
    forget: bool = False,
) -> PinStatus | Refusal:
    """Allow guesses again, by the operator; with ``forget`` take the PIN away, so that the holder sets a new one.

    Refused: ``not_found``, ``pin_not_set``.
    """
    card = await store.load_card(pool, book_id=book_id, slot=slot_of(card_id, slots), card_id=card_id)
    if card is None:
        return missing("card")
    kind = CardEvent.PIN_FORGOTTEN if forget else CardEvent.PIN_UNLOCKED
    event = note_of(hand, kind, book_id=book_id, slot=card.slot, card_id=card.id, reason=reason)
    if not await store.post_together(pool, store.unlock_pin(card, forget=forget), store.add_event(event)):
        return PIN_NOT_SET.refuse()
    return PinStatus(not forget, False)
