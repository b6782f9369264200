"""The purchases that a book has recorded, as they are priced: baskets, the oldest first, a chunk at a time."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from kaquan.cards import Programme
from kaquan.kit.db import Connection, Params, Pool
from kaquan.kit.ids import MARGIN, first_id
from kaquan.kit.outcomes import Refusal
from kaquan.parties import Place
from kaquan.payments import store
from kaquan.payments.outcomes import TOO_MANY_PURCHASES
from kaquan.payments.price import local_time
from kaquan.payments.read_holders import AskedHolder, find_before, read_holders
from kaquan.payments.types import HolderFacts
from kaquan.promotions import Asks, Basket, Holder, Line, OutsideOffer

CHUNK = 1_000
"""How many purchases are read at a time."""

UNNAMED = "recorded"
"""What the store or a bank took off then: what it was called is not kept."""


_NOT_ASKED = HolderFacts()


class History(NamedTuple):
    """What a book recorded from ``since`` until before ``until``. Programmes and places are those of now."""

    pool: Pool
    slots: tuple[int, ...]
    book_id: int
    since: datetime
    until: datetime
    programme: Callable[[int, UUID], Programme | None]
    place: Callable[[int, UUID], Place | None]
    issuers: Mapping[UUID, frozenset[UUID]] | None = None
    """Whose cards' purchases alone, with the programmes of each; None: those of the whole book."""


async def check_size(history: History, *, maximum: int) -> Refusal | None:
    """Whether there are no more purchases than may be read. Refused: ``too_many_purchases``."""
    async with history.pool.connection() as connection:
        count = await store.count_purchases(connection, params_of(history), slots=history.slots, limit=maximum)
    return TOO_MANY_PURCHASES.refuse("from", maximum=maximum) if count > maximum else None


def params_of(history: History) -> Params:
    """What the queries of a time are asked with."""
    return {
        "book_id": history.book_id,
        "since": history.since,
        "until": history.until,
        "from_id": first_id(history.since, margin=-MARGIN),
        "until_id": first_id(history.until, margin=MARGIN),
        "programme_ids": None if history.issuers is None else sorted(set().union(*history.issuers.values())),
    }


async def read_baskets(history: History, *, asks: Asks, chunk: int = CHUNK) -> AsyncIterator[list[Basket]]:
    """The baskets at list price, as they were recorded: with the lines that the till told, else one line.

    ``asks`` is what offers ask of holders: birthdays, segments and tiers are those of now, a first purchase is one of
    then.
    """
    params = dict(params_of(history))
    asks_first = bool(asks & Asks.FIRST_PURCHASE)
    of_now = asks & ~(Asks.FIRST_PURCHASE | Asks.FIRST_LOAD)
    bought: set[UUID] = set()
    while True:
        async with history.pool.connection() as connection:
            rows = await store.load_purchases(connection, params, slots=history.slots, limit=chunk)
            holders = await _read_holders(connection, history, rows, of_now) if of_now else {}
            if asks_first:
                bought |= await _bought_before(connection, history, rows, bought)
        baskets = []
        for row in rows:
            known = holders.get(row.card_id, _NOT_ASKED)
            holder = Holder(row.card_id, row.customer_id, known.birthday, known.segments, known.tier)
            if asks_first:
                holder = holder._replace(bought_before=holder.id in bought)
                bought.add(holder.id)
            baskets.append(_basket(history, row, holder))
        if baskets:
            yield baskets
        if len(rows) < chunk:
            return
        params["from_id"] = UUID(int=rows[-1].id.int + 1)


async def _read_holders(
    connection: Connection, history: History, rows: list[store.PurchaseRow], asks: Asks
) -> dict[UUID, HolderFacts]:
    asked = {row.card_id: AskedHolder(row.card_id, history.book_id, row.customer_id, asks) for row in rows}
    return await read_holders(connection, list(asked.values()), slots=history.slots)


async def _bought_before(
    connection: Connection, history: History, rows: list[store.PurchaseRow], known: set[UUID]
) -> set[UUID]:
    """Which holders of a chunk bought before it."""
    asked = {(row.card_id, row.customer_id) for row in rows if (row.customer_id or row.card_id) not in known}

    async def read(slot: int, holders: Sequence[UUID]) -> set[UUID]:
        return await store.read_bought_before(connection, slot=slot, holders=holders, before_id=rows[0].id)

    before = await find_before(read, asked, slots=history.slots)
    return {customer_id or card_id for card_id, customer_id in asked if card_id in before}


def _basket(history: History, row: store.PurchaseRow, holder: Holder) -> Basket:
    programme = history.programme(history.book_id, row.programme_id)
    place = history.place(history.book_id, row.terminal_id)
    lines: tuple[Line, ...] = (Line(1, "", frozenset(), 1, row.amount_fen),)
    outside_fen = 0
    if row.kept is not None:
        lines, outside_fen = row.kept.lines, sum(row.kept.outside_fen)
    return Basket(
        row.id,
        local_time(row.occurred_at, "UTC" if programme is None else programme.time_zone),
        row.programme_id,
        row.merchant_id,
        row.store_id,
        None if place is None else place.trade,
        None if place is None else place.district,
        lines,
        holder,
        outside=(OutsideOffer(UNNAMED, "", outside_fen),) if outside_fen else (),
    )
