"""Read what offers ask of holders: only what is asked, for all cards of a batch together."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import NamedTuple
from uuid import UUID

from kaquan.kit.db import Connection
from kaquan.ledger import slot_of
from kaquan.parties.customers import month_day_of
from kaquan.payments import store
from kaquan.payments.types import HolderFacts
from kaquan.points import member_id
from kaquan.promotions import Asks

_OF_CUSTOMER = Asks.BIRTHDAY | Asks.SEGMENTS


class AskedHolder(NamedTuple):
    """A card whose holder offers ask something of."""

    card_id: UUID
    book_id: int
    customer_id: UUID | None
    asks: Asks


ReadBefore = Callable[[int, Sequence[UUID]], Awaitable[set[UUID]]]
"""Which of these cards and customers bought (loaded) before with a card of a slot."""


async def read_holders(
    connection: Connection, asked: Sequence[AskedHolder], *, slots: Sequence[int]
) -> dict[UUID, HolderFacts]:
    """What is asked of holders, by card: one statement for each slot of the cards, one more where firsts are asked, and
    one for each slot where a card of a registered customer is new."""
    found: dict[UUID, HolderFacts] = {one.card_id: HolderFacts() for one in asked}
    rows: dict[int, list[tuple[UUID, int, UUID | None, UUID | None]]] = {}
    for card_id, book_id, customer_id, asks in asked:
        customer = customer_id if asks & _OF_CUSTOMER else None
        member = member_id(card_id) if asks & Asks.TIER else None
        if customer is not None or member is not None:
            rows.setdefault(slot_of(card_id, slots), []).append((card_id, book_id, customer, member))
    for slot, several in rows.items():
        for card_id, birthday, segments, tier in await store.read_holders(connection, slot=slot, asked=several):
            found[card_id] = HolderFacts(month_day_of(birthday), frozenset(segments or ()), tier)

    async def bought(slot: int, holders: Sequence[UUID]) -> set[UUID]:
        return await store.read_bought_before(connection, slot=slot, holders=holders)

    async def loaded(slot: int, holders: Sequence[UUID]) -> set[UUID]:
        return await store.read_loaded_before(connection, slot=slot, holders=holders)

    new_buyers = {(one.card_id, one.customer_id) for one in asked if one.asks & Asks.FIRST_PURCHASE}
    before = await find_before(bought, new_buyers, slots=slots)
    for card_id, _ in new_buyers:
        found[card_id] = found[card_id]._replace(bought_before=card_id in before)
    new_loaders = {(one.card_id, one.customer_id) for one in asked if one.asks & Asks.FIRST_LOAD}
    before = await find_before(loaded, new_loaders, slots=slots)
    for card_id, _ in new_loaders:
        found[card_id] = found[card_id]._replace(loaded_before=card_id in before)
    return found


async def find_before(
    read: ReadBefore, asked: Collection[tuple[UUID, UUID | None]], *, slots: Sequence[int]
) -> set[UUID]:
    """Those of these cards (each with its customer) that bought or loaded before, or whose customer did with another
    card: other cards are looked at only where this one is new."""
    by_slot: dict[int, list[UUID]] = {}
    for card_id, _ in asked:
        by_slot.setdefault(slot_of(card_id, slots), []).append(card_id)
    before: set[UUID] = set()
    for slot, cards in by_slot.items():
        before |= await read(slot, cards)
    persons = {customer_id for card_id, customer_id in asked if customer_id is not None and card_id not in before}
    known: set[UUID] = set()
    for slot in slots:
        if left := persons - known:
            known |= await read(slot, sorted(left))
    return before | {card_id for card_id, customer_id in asked if customer_id in known}
