"""Reveal a card's number: the only way to it, and it leaves a trace."""

from uuid import UUID

import structlog

from kaquan.cards import store
from kaquan.cards.change import note_of
from kaquan.cards.outcomes import missing
from kaquan.cards.types import CardEvent, Hand
from kaquan.kit.db import Pool
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import slot_of
from kaquan.vault import Keyring

_log = structlog.get_logger(__name__)


async def reveal_number(
    pool: Pool, hand: Hand, keyring: Keyring, *, book_id: int, slots: tuple[int, ...], card_id: UUID, key_id: UUID
) -> str | Refusal:
    """The full number of a card, for the holder of the API key ``key_id``; an event and the log tell of it, without it.

    Refused: ``not_found``.
    """
    slot = slot_of(card_id, slots)
    sealed = await store.load_sealed_number(pool, book_id=book_id, slot=slot, card_id=card_id)
    if sealed is None:
        return missing("card")
    event = note_of(hand, CardEvent.NUMBER_REVEALED, book_id=book_id, slot=slot, card_id=card_id)
    await store.post_together(pool, store.add_event(event))
    # before the number is out: no number is seen without a trace
    _log.info("card_number_revealed", card_id=str(card_id), key_id=str(key_id), book_id=book_id)
    return keyring.open(sealed, card_id.bytes).decode("ascii")
