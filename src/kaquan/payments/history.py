"""The purchases that a book has recorded, as they are priced: baskets, the oldest first, a chunk at a time."""

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from kaquan.cards import Programme
from kaquan.kit.db import Connection, Params, Pool
from kaquan.kit.ids import MARGIN, first_id
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import slot_of
from kaquan.parties import Place
from kaquan.payments import store
from kaquan.payments.outcomes import TOO_MANY_PURCHASES
from kaquan.payments.price import local_time
from kaquan.promotions import Basket, Holder, Line, OutsideOffer

CHUNK = 1_000
"""How many purchases are read at a time."""

UNNAMED = "recorded"
"""What the store or a bank took off then: what it was called is not kept."""


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


async def read_baskets(history: History, *, asks_first: bool, chunk: int = CHUNK) -> AsyncIterator[list[Basket]]:
    """The baskets at list price, as they were recorded: with the lines that the till told, else one line.

    ``asks_first``: whether an offer asks for a first purchase, so that it has to be known.
    """
    params = dict(params_of(history))
    bought: set[UUID] = set()
    while True:
        async with history.pool.connection() as connection:
            rows = await store.load_purchases(connection, params, slots=history.slots, limit=chunk)
            if asks_first:
                bought |= await _bought_before(connection, history, rows, bought)
        baskets = []
        for row in rows:
            baskets.append(_basket(history, row, bought_before=not asks_first or row.card_id in bought))
            if asks_first:
                bought.add(row.card_id)
        if baskets:
            yield baskets
        if len(rows) < chunk:
            return
        params["from_id"] = UUID(int=rows[-1].id.int + 1)


async def _bought_before(
    connection: Connection, history: History, rows: list[store.PurchaseRow], known: set[UUID]
) -> set[UUID]:
    """Which cards of a chunk were spent from before it."""
    cards: dict[int, set[UUID]] = {}
    for row in rows:
        if row.card_id not in known:
            cards.setdefault(slot_of(row.card_id, history.slots), set()).add(row.card_id)
    found: set[UUID] = set()
    for slot, asked in cards.items():
        found |= await store.read_bought_before(connection, slot=slot, cards=list(asked), before_id=rows[0].id)
    return found


def _basket(history: History, row: store.PurchaseRow, *, bought_before: bool) -> Basket:
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
        None,
        lines,
        Holder(row.card_id, row.customer_id, bought_before=bought_before),
        outside=(OutsideOffer(UNNAMED, "", outside_fen),) if outside_fen else (),
    )
