"""What happened to a card, for its timeline."""

from collections.abc import Sequence
from uuid import UUID

from kaquan.cards import store
from kaquan.cards.outcomes import missing
from kaquan.cards.types import Card, Event
from kaquan.kit.db import Connection, Pool
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import slot_of


async def list_events(
    pool: Pool, *, book_id: int, slots: tuple[int, ...], card_id: UUID, before_id: UUID | None = None, limit: int
) -> tuple[Card, list[Event]] | Refusal:
    """A card with its events before ``before_id``, the newest first. Refused: ``not_found``."""
    slot = slot_of(card_id, slots)
    card = await store.load_card(pool, book_id=book_id, slot=slot, card_id=card_id)
    if card is None:
        return missing("card")
    events = await store.load_events(
        pool, book_id=book_id, slot=slot, card_id=card_id, before_id=before_id, limit=limit
    )
    return card, events


async def record_events(connection: Connection, events: Sequence[Event]) -> None:
    """Write events of cards of one slot that are otherwise alike, each with its evidence leaf, in the caller's
    transaction: what changed the cards is the caller's."""
    await store.record(connection, events)
