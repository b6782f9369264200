"""Close a card, and note that its value was extended, in the transaction of the room that does it: this room moves no
value."""

from typing import Any

from kaquan.cards import store
from kaquan.cards.change import event_of, note_of
from kaquan.cards.life import plan_closing
from kaquan.cards.types import Card, CardEvent, Hand
from kaquan.kit.db import Connection

__all__ = ["end_card", "note_extension", "plan_closing", "touch_pockets"]


async def end_card(connection: Connection, hand: Hand, before: Card, after: Card, *, details: dict[str, Any]) -> bool:
    """Write that a card is closed, as :func:`plan_closing` decided, and its event; False if it has changed since.

    It locks the card, as every change of status does before it touches a pocket: call it before anything is posted,
    and :func:`touch_pockets` after.
    """
    if not await store.change_card(connection, before, after):
        return False
    return await store.add_event(event_of(hand, CardEvent.CLOSED, after, details=details))(connection)


async def touch_pockets(connection: Connection, card: Card) -> None:
    """Make stale whatever was decided on the card's pockets before it was closed."""
    await store.touch_pockets(connection, card)


async def note_extension(connection: Connection, hand: Hand, card: Card, *, details: dict[str, Any]) -> None:
    """Write into a card's life that value on it ends later now; the card itself stays as it is."""
    note = note_of(
        hand, CardEvent.EXTENDED, book_id=card.book_id, slot=card.slot, card_id=card.id, details=details
    )  # fmt: skip
    await store.add_event(note)(connection)
