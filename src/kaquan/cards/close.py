"""Close a card, and note that its value was extended, in the transaction of the room that does it: this room moves no
value."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from kaquan.cards import store
from kaquan.cards.change import event_of, note_of
from kaquan.cards.life import plan_closing
from kaquan.cards.types import Card, CardEvent, Hand
from kaquan.kit.db import Connection

__all__ = ["end_card", "has_transfer", "note_extension", "note_release", "plan_closing", "touch_pockets"]


async def end_card(connection: Connection, hand: Hand, before: Card, after: Card, *, details: dict[str, Any]) -> bool:
    """Write that a card is closed, as :func:`plan_closing` decided, and its event; False if it has changed since.

    It locks the card, as every change of status does before it touches a pocket: call it before anything is posted,
    and :func:`touch_pockets` after.
    """
    if not await store.change_card(connection, before, after):
        return False
    return await store.add_event(event_of(hand, CardEvent.CLOSED, after, details=details))(connection)


async def has_transfer(connection: Connection, *, book_id: int, slots: Sequence[int], card_id: UUID) -> bool:
    """Whether balance is on its way from the card or to it, so that it is not to be closed.

    Asked in the transaction of the closing after :func:`touch_pockets`, it sees every transfer that took value from the
    card. One to the card may begin in another slot a moment later: what it took is then brought back.
    """
    return await store.has_transfer(connection, book_id=book_id, slots=slots, card_id=card_id)


async def touch_pockets(connection: Connection, card: Card) -> None:
    """Make stale whatever was decided on the card's pockets before it was closed."""
    await store.touch_pockets(connection, card)


async def note_release(connection: Connection, hand: Hand, card: Card, *, reason: str, details: dict[str, Any]) -> None:
    """Write into a replaced card's life that what was left on it is its holder's now."""
    note = note_of(
        hand, CardEvent.RELEASED, book_id=card.book_id, slot=card.slot, card_id=card.id, reason=reason, details=details
    )
    await store.add_event(note)(connection)


async def note_extension(connection: Connection, hand: Hand, card: Card, *, details: dict[str, Any]) -> None:
    """Write into a card's life that value on it ends later now; the card itself stays as it is."""
    note = note_of(
        hand, CardEvent.EXTENDED, book_id=card.book_id, slot=card.slot, card_id=card.id, details=details
    )  # fmt: skip
    await store.add_event(note)(connection)
