"""The tables ``sales_*``: the only file of this room that sees a cursor; see ``queries.sql``."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import psycopg
from msgspec.structs import asdict

from kaquan.cards import Pocket
from kaquan.kit.db import Connection, Params, Pool, constraint_of, given, load_queries
from kaquan.ledger import AccountSpec, PostStatus, open_accounts, post_batch, slot_of
from kaquan.ledger import Item as LedgerItem
from kaquan.parties.trail import Action, write_action
from kaquan.policy import Buyer, Channel
from kaquan.sales.types import (
    BuyerList,
    BuyerListAction,
    BuyerListStatus,
    DayFacts,
    Item,
    ItemStatus,
    Line,
    ListEntry,
    Payment,
    PayMethod,
    Review,
    Sale,
    SaleKind,
    SaleSearch,
    SaleStatus,
)
from kaquan.vault import SealedColumn, declare_sealed

_SQL = load_queries(__package__)
_POCKETS = {pocket.account_kind: pocket for pocket in Pocket}

PURCHASER_PREFIX, ACCOUNTS_PREFIX = b"sales purchaser ", b"sales accounts "
"""Before the id in what is sealed, so that it opens as nothing else."""

declare_sealed(
    SealedColumn(
        "sales_sale",
        key=(("book_id", "integer"), ("id", "uuid")),
        column="purchaser_sealed",
        context="id",
        prefix=PURCHASER_PREFIX,
    )
)
declare_sealed(
    SealedColumn(
        "sales_payment",
        key=(("book_id", "integer"), ("sale_id", "uuid"), ("id", "uuid")),
        column="accounts_sealed",
        context="id",
        prefix=ACCOUNTS_PREFIX,
    )
)

Write = Callable[[Connection], Awaitable[bool]]
"""One write of several that are one commit: whether it could be done; if not, none of them is."""


class Posted(Enum):
    """What became of a commit."""

    DONE = "done"
    STALE = "stale"
    """Something was not as it was read: decide again."""
    KEY_TAKEN = "key_taken"
    """The request's key has its purchase or its payment already."""


class _StaleError(Exception):
    """Takes a transaction back."""


async def _rows(connection: Connection, query: str, params: Params) -> list[tuple[Any, ...]]:
    return await (await connection.execute(given(_SQL[query], params), params)).fetchall()


async def _read(pool: Pool, query: str, params: Params) -> list[tuple[Any, ...]]:
    async with pool.connection() as connection:
        return await _rows(connection, query, params)


def _change(query: str, params: Params) -> Write:
    async def write(connection: Connection) -> bool:
        return (await connection.execute(_SQL[query], params)).rowcount > 0

    return write


_KEYS = ("sales_sale_key", "sales_payment_key")


async def post_together(pool: Pool, *writes: Write) -> Posted:
    """Do all of ``writes`` in their order, in one commit, or nothing."""
    try:
        async with pool.connection() as connection, connection.transaction():
            for write in writes:
                if not await write(connection):
                    raise _StaleError
    except _StaleError:
        return Posted.STALE
    except psycopg.errors.UniqueViolation as error:
        if constraint_of(error) in _KEYS:
            return Posted.KEY_TAKEN
        if constraint_of(error) != "sales_item_sold":
            raise
        return Posted.STALE
    return Posted.DONE


def add_action(action: Action) -> Write:
    async def write(connection: Connection) -> bool:
        await write_action(connection, action)
        return True

    return write


# --- purchases


def _sale(row: Sequence[Any]) -> Sale:
    book_id, id_, kind, status, issuer_id, currency, channel, buyer, *rest = row
    customer_id, agent_id, contract_version, reference, lines, *amounts = rest
    card_count, face_fen, price_fen, unregistered_fen, paid_fen, real_name_rule, alerts, *last = amounts
    last[-1] = None if last[-1] is None else Review(last[-1])
    return Sale(
        book_id, id_, SaleKind(kind), SaleStatus(status), issuer_id, currency, Channel(channel), Buyer(buyer),
        customer_id, agent_id, contract_version, reference, msgspec.convert(lines, tuple[Line, ...]), card_count,
        face_fen, price_fen, unregistered_fen, paid_fen, real_name_rule, tuple(alerts), *last,
    )  # fmt: skip


def add_sale(sale: Sale, items: Sequence[Item]) -> Sequence[Write]:
    """Write a purchase with its cards; stale when one of them was sold meanwhile."""
    lines = msgspec.json.encode(sale.lines).decode()
    columns = {
        "slots": [item.slot for item in items],
        "card_ids": [item.card_id for item in items],
        "lines": [item.line for item in items],
        "faces": [item.face_fen for item in items],
        "prices": [item.price_fen for item in items],
        "fees": [item.fee_fen for item in items],
    }
    return (
        _change("insert_sale", {**asdict(sale), "lines": lines, "alerts": list(sale.alerts)}),
        _change("insert_items", {**columns, "sale_id": sale.id, "book_id": sale.book_id, "kind": sale.kind}),
    )


def change_sale(before: Sale, after: Sale) -> Write:
    """Write a purchase as it is now; stale if it is not as ``before`` any more."""
    return _change("change_sale", {**asdict(after), "version": before.version})


def guard_buyer(*, book_id: int, customer_id: UUID, version: int | None) -> Write:
    """Count a purchase of a buyer; stale if they bought something since ``version`` was read."""
    params = {"book_id": book_id, "customer_id": customer_id, "version": version}
    return _change("first_purchase" if version is None else "next_purchase", params)


async def load_day(
    pool: Pool, *, book_id: int, customer_id: UUID, issuer_id: UUID, begins: datetime, ends: datetime
) -> tuple[int | None, DayFacts]:
    """The version of a buyer (None: they never bought anything), and what they bought of an issuer on a day."""
    who = {"book_id": book_id, "customer_id": customer_id}
    # the version first: whoever buys between the two reads makes it stale
    versions = await _read(pool, "buyer_version", who)
    ((count, face_fen),) = await _read(
        pool, "bought_today", {**who, "issuer_id": issuer_id, "from": begins, "until": ends}
    )
    return (versions[0][0] if versions else None), DayFacts(count, face_fen)


async def load_sale(pool: Pool, *, book_id: int, id_: UUID | None = None, key_hash: UUID | None = None) -> Sale | None:
    """A purchase by its id, or by the key under which it was made."""
    assert (id_ is None) != (key_hash is None)
    rows = await _read(pool, "sale", {"book_id": book_id, "id": id_, "key_hash": key_hash})
    return _sale(rows[0]) if rows else None


async def load_sales(pool: Pool, *, book_id: int, slots: Sequence[int], search: SaleSearch) -> list[Sale]:
    """One more than the limit, if there are."""
    params = {**asdict(search), "book_id": book_id, "slots": list(slots), "limit": search.limit + 1}
    if search.card_id is not None:
        params["slots"] = [slot_of(search.card_id, tuple(slots))]
    return [_sale(row) for row in await _read(pool, "sales", params)]


async def load_undelivered(pool: Pool, *, slots: Sequence[int], limit: int) -> list[tuple[int, UUID]]:
    """Book and id of purchases, of every book, that are paid and have something to do; those paid first come first."""
    rows = await _read(pool, "undelivered_sales", {"slots": list(slots), "limit": limit})
    return [(book_id, id_) for book_id, id_ in rows]


async def load_over(pool: Pool, *, now: datetime, limit: int) -> list[tuple[int, UUID]]:
    """Book and id of sales, of every book, of which nothing was paid in their time."""
    return [(book_id, id_) for book_id, id_ in await _read(pool, "sales_over", {"now": now, "limit": limit})]


# --- cards of a purchase


def _item(row: Sequence[Any]) -> Item:
    slot, card_id, sale_id, book_id, kind, line, face_fen, price_fen, status, *rest = row
    return Item(slot, card_id, sale_id, book_id, SaleKind(kind), line, face_fen, price_fen, ItemStatus(status), *rest)


async def load_items(
    pool: Pool,
    sale: Sale,
    slots: Sequence[int],
    *,
    statuses: Sequence[ItemStatus] | None = None,
    after_id: UUID | None = None,
    limit: int,
) -> list[Item]:
    """Cards of a purchase, the newest first."""
    params = {
        "slots": list(slots),
        "sale_id": sale.id,
        "book_id": sale.book_id,
        "statuses": None if statuses is None else [status.value for status in statuses],
        "after_id": after_id,
        "limit": limit,
    }
    return [_item(row) for row in await _read(pool, "items", params)]


async def count_items(pool: Pool, sale: Sale, slots: Sequence[int]) -> dict[ItemStatus, int]:
    params = {"slots": list(slots), "sale_id": sale.id, "book_id": sale.book_id}
    return {ItemStatus(status): count for status, count in await _read(pool, "item_counts", params)}


async def load_cards_for_sale(
    pool: Pool, *, book_id: int, slots: Sequence[int], batch_id: UUID, limit: int
) -> list[UUID]:
    """Cards of a batch that are issued and in no sale, the oldest first."""
    params = {"book_id": book_id, "slots": list(slots), "batch_id": batch_id, "limit": limit}
    return [card_id for (card_id,) in await _read(pool, "cards_for_sale", params)]


async def mark_delivered(pool: Pool, item: Item, *, load_id: UUID, at: datetime, first: Write) -> None:
    """A card is active and loaded, after ``first``; one that is marked already, or was taken back meanwhile, stays as
    it is."""
    await post_together(pool, first, _change("deliver_item", {**_of(item), "load_id": load_id, "at": at}))


async def mark_failed(pool: Pool, item: Item, *, failure: str) -> None:
    """A card could not be delivered."""
    await post_together(pool, _change("fail_item", {**_of(item), "failure": failure, "tries": item.tries}))


def _of(item: Item) -> dict[str, Any]:
    return {"slot": item.slot, "card_id": item.card_id, "sale_id": item.sale_id}


async def retry_items(pool: Pool, sale: Sale, slots: Sequence[int]) -> None:
    """What could not be delivered is to be tried again."""
    await post_together(pool, _change("retry_items", {"slots": list(slots), "sale_id": sale.id}))


def release_items(sale: Sale, slots: Sequence[int]) -> Write:
    return _change("release_items", {"slots": list(slots), "sale_id": sale.id})


def refund_items(sale: Sale, refunds: Sequence[tuple[Item, UUID | None]]) -> Write:
    """Cards that were taken back, each with the transaction that took its value, if it had any."""
    return _change(
        "refund_items",
        {
            "sale_id": sale.id,
            "slots": [item.slot for item, _ in refunds],
            "card_ids": [item.card_id for item, _ in refunds],
            "refund_ids": [refund_id for _, refund_id in refunds],
        },
    )


# --- payments


def _payment(row: Sequence[Any]) -> Payment:
    book_id, sale_id, id_, method, *rest = row
    return Payment(book_id, sale_id, id_, PayMethod(method), *rest)


def add_payment(payment: Payment) -> Write:
    return _change("insert_payment", asdict(payment))


async def load_payments(
    pool: Pool, *, book_id: int, sale_id: UUID | None = None, key_hash: UUID | None = None
) -> list[Payment]:
    """What was paid for a purchase, in its order; or the payment that was made under a key."""
    rows = await _read(pool, "payments", {"book_id": book_id, "sale_id": sale_id, "key_hash": key_hash})
    return [_payment(row) for row in rows]


# --- value that is taken back


class LotHeld(NamedTuple):
    """A lot of a pocket."""

    lot: int
    origin_id: UUID
    remaining_fen: int


class PocketHeld(NamedTuple):
    """A pocket of a card with all of its lots."""

    pocket: Pocket
    account_id: int
    version: int
    posted_fen: int
    reserved_fen: int
    lots: list[LotHeld]


async def load_holdings(
    pool: Pool, *, book_id: int, slot: int, card_ids: Sequence[UUID]
) -> dict[UUID, list[PocketHeld]]:
    """What cards of one slot hold: one moment, that of the versions."""
    found: dict[UUID, dict[int, PocketHeld]] = {}
    params = {"book_id": book_id, "slot": slot, "card_ids": list(card_ids)}
    for card_id, account_id, kind, version, posted_fen, reserved_fen, lot, *rest in await _read(
        pool, "holdings", params
    ):
        pockets = found.setdefault(card_id, {})
        pocket = pockets.get(account_id)
        if pocket is None:
            pocket = PocketHeld(_POCKETS[kind], account_id, version, posted_fen, reserved_fen, [])
            pockets[account_id] = pocket
        if lot is not None:
            pocket.lots.append(LotHeld(lot, *rest))
    return {card_id: list(pockets.values()) for card_id, pockets in found.items()}


async def open_issuer_accounts(
    pool: Pool, *, book_id: int, slot: int, issuer_id: UUID, currency: str, kinds: Sequence[str]
) -> list[int]:
    """The accounts of an issuer in a slot, opened if need be, in the order of ``kinds``."""
    async with pool.connection() as connection:
        asked = [AccountSpec(book_id, issuer_id, kind, currency) for kind in kinds]
        return list(await open_accounts(connection, slot=slot, asked=asked))


def post_items(items: Sequence[LedgerItem], *, slot: int, at: datetime) -> Write:
    """Post a batch of one slot; stale unless all of it is applied."""

    async def write(connection: Connection) -> bool:
        statuses = await post_batch(connection, items, slot=slot, recorded_at=at)
        return all(status is PostStatus.APPLIED for status in statuses)

    return write


def check_empty(slot: int, card_ids: Sequence[UUID]) -> Write:
    """Stale if any of these cards, whose pockets the caller's transaction holds, has something in one."""

    async def write(connection: Connection) -> bool:
        return not await _rows(connection, "not_empty", {"slot": slot, "card_ids": list(card_ids)})

    return write


# --- lists of buyers


def add_list(made: BuyerList) -> Write:
    return _change("insert_list", asdict(made))


def add_entries(made: BuyerList, entries: Sequence[ListEntry]) -> Write:
    return _change(
        "insert_entries",
        {
            "book_id": made.book_id,
            "list_id": made.id,
            "lines": [entry.line for entry in entries],
            "names": [entry.name for entry in entries],
            "documents": [entry.document for entry in entries],
        },
    )


def change_list(before: BuyerList, after: BuyerList) -> Write:
    """Stale unless the list is where it was."""
    return _change("change_list", {**asdict(after), "before": before.status})


def end_lists_named(one: BuyerList, *, at: datetime) -> Write:
    """End the list of this name that is in force, if there is one."""

    async def write(connection: Connection) -> bool:
        await connection.execute(_SQL["end_lists_named"], {"book_id": one.book_id, "name": one.name, "at": at})
        return True

    return write


async def load_lists(
    pool: Pool,
    *,
    book_id: int,
    id_: UUID | None = None,
    status: BuyerListStatus | None = None,
    after_id: UUID | None = None,
    limit: int | None = None,
) -> list[BuyerList]:
    """Lists of a book, the newest first; without ``limit`` all of them."""
    params = {"book_id": book_id, "id": id_, "status": status, "after_id": after_id, "limit": limit}
    return [
        BuyerList(book, id_, name, by, day, BuyerListAction(action), BuyerListStatus(is_now), *rest)
        for book, id_, name, by, day, action, is_now, *rest in await _read(pool, "lists", params)
    ]


async def load_hits(pool: Pool, *, book_id: int, names: Sequence[UUID], documents: Sequence[UUID]) -> set[UUID]:
    """The lists in force that somebody with these look-ups is on."""
    params = {"book_id": book_id, "names": list(names), "documents": list(documents)}
    return {list_id for (list_id,) in await _read(pool, "list_hits", params)}


# --- what is personal


async def load_to_erase(pool: Pool, *, now: datetime) -> list[tuple[int, UUID]]:
    """Book and id of purchases whose personal data need not be kept any more."""
    return [(book_id, id_) for book_id, id_ in await _read(pool, "purchasers_to_erase", {"now": now})]


def erase_purchaser(*, book_id: int, id_: UUID, now: datetime) -> Write:
    return _change("erase_purchaser", {"book_id": book_id, "id": id_, "now": now})
