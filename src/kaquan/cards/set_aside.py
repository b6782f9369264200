"""Set cards aside for a sale, in the transaction of the room that sells: until the sale delivers them or ends, nothing
else makes them active, gives, registers, replaces or closes them, nor puts one in another's place."""

from collections.abc import Sequence
from uuid import UUID

from kaquan.cards import store
from kaquan.cards.types import CardEvent, Hand
from kaquan.kit.db import Connection
from kaquan.ledger import slot_of

__all__ = ["end_sale", "mark_sold", "set_aside"]


def _by_slot(card_ids: Sequence[UUID], slots: tuple[int, ...]) -> list[tuple[int, list[UUID]]]:
    """Slot by slot, as everybody who changes many cards takes them."""
    found: dict[int, list[UUID]] = {}
    for card_id in card_ids:
        found.setdefault(slot_of(card_id, slots), []).append(card_id)
    return sorted(found.items())


async def set_aside(
    connection: Connection,
    hand: Hand,
    *,
    book_id: int,
    slots: tuple[int, ...],
    card_ids: Sequence[UUID],
    sale_id: UUID,
) -> bool:
    """Whether all of these cards were issued, nobody's and in no sale: then they are set aside for this one."""
    for slot, of_slot in _by_slot(card_ids, slots):
        if not await store.set_aside(
            connection, hand, book_id=book_id, slot=slot, card_ids=of_slot, sale_id=sale_id
        ):  # fmt: skip
            return False
    return True


async def mark_sold(
    connection: Connection, hand: Hand, *, book_id: int, slots: tuple[int, ...], card_id: UUID, sale_id: UUID
) -> None:
    """A card is delivered: it is its holder's from now on."""
    await store.end_sale(
        connection, hand, CardEvent.SOLD,
        book_id=book_id, slot=slot_of(card_id, slots), card_ids=[card_id], sale_id=sale_id,
    )  # fmt: skip


async def end_sale(
    connection: Connection,
    hand: Hand,
    *,
    book_id: int,
    slots: tuple[int, ...],
    card_ids: Sequence[UUID],
    sale_id: UUID,
) -> None:
    """The sale came to nothing: what was set aside for it may be sold again."""
    for slot, of_slot in _by_slot(card_ids, slots):
        await store.end_sale(
            connection, hand, CardEvent.SALE_ENDED,
            book_id=book_id, slot=slot, card_ids=of_slot, sale_id=sale_id,
        )  # fmt: skip
