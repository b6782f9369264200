"""What belongs to an object: its entries of the log, and what is known of it besides. One function for each kind."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from kaquan.custody import store
from kaquan.custody.bundle import FACT_FORMAT
from kaquan.custody.outcomes import NOT_A_CUSTODY_OBJECT
from kaquan.custody.store import Place
from kaquan.kit.db import Connection
from kaquan.kit.ids import Prefix, read_id, show_id
from kaquan.kit.outcomes import NOT_FOUND, Refusal
from kaquan.ledger import slot_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Fact(NamedTuple):
    """Something that happened and is no entry of the log."""

    at: datetime
    name: str
    content: Sequence[Any]


class Subject(NamedTuple):
    """An object with everything that is known to have happened to it."""

    book_id: int
    places: list[Place]
    facts: list[Fact]
    opened: frozenset[UUID] = frozenset()
    """Cards and vouchers of whose events the private fields are shown."""
    shown: UUID | None = None
    """The card or voucher whose record in its issue is shown."""


class Asked(NamedTuple):
    """Which object, in which slots, and how many events of it at the most are read of each sort."""

    book_id: int
    slots: Sequence[int]
    id: UUID
    limit: int


Find = Callable[[Connection, UUID, Sequence[int]], Awaitable[int | None]]
"""The book that an object is in."""

Gather = Callable[[Connection, Asked], Awaitable[Subject]]


class Kind(NamedTuple):
    """A kind of object that has a chain of custody."""

    find: Find
    gather: Gather


async def read_subject(
    connection: Connection, name: str, *, book_id: int | None, slots: Sequence[int], limit: int
) -> Subject | Refusal:
    """What belongs to the object of this public id; up to about ``limit`` events of it.

    Refused: ``not_a_custody_object``, ``not_found``, also for what is in another book than ``book_id``.
    """
    for prefix, kind in KINDS.items():
        if (id_ := read_id(prefix, name)) is not None:
            book = await kind.find(connection, id_, slots)
            if book is None or book_id not in (None, book):
                return NOT_FOUND.refuse("object", what="object")
            return await kind.gather(connection, Asked(book, slots, id_, limit))
    return NOT_A_CUSTODY_OBJECT.refuse("object", object=name)


def _fact(kind: str, at: datetime, *, name: str, about: str, told: Sequence[Any]) -> Fact:
    return Fact(at, name, (FACT_FORMAT, name, about, kind, (at - _EPOCH) // _MICROSECOND, *told))


async def _book(connection: Connection, query: str, **params: Any) -> int | None:
    found = await store.rows(connection, query, **params)
    return int(found[0][0]) if found else None


# Cards


async def _find_card(connection: Connection, id_: UUID, slots: Sequence[int]) -> int | None:
    return await _book(connection, "book_of_card", slot=slot_of(id_, slots), id=id_)


async def _gather_card(connection: Connection, asked: Asked) -> Subject:
    slot = slot_of(asked.id, asked.slots)
    subject = await _of_cards(connection, asked, {slot: [asked.id]})
    params = {"slot": slot, "ids": [asked.id], "book_id": asked.book_id, "limit": asked.limit}
    issued = [(slot_, id_) for slot_, id_ in await store.rows(connection, "issues_of_cards", **params)]
    return subject._replace(places=[*issued, *subject.places], shown=asked.id)


async def _of_cards(connection: Connection, asked: Asked, cards: Mapping[int, list[UUID]]) -> Subject:
    places: list[Place] = []
    facts: list[Fact] = []
    for slot, ids in cards.items():
        params = {"slot": slot, "ids": ids, "book_id": asked.book_id, "limit": asked.limit}
        places += [(slot, id_) for slot, id_ in await store.rows(connection, "transactions_of_cards", **params)]
        for is_in, id_, card_id, kind, at, *told, details in await store.rows(connection, "events_of_cards", **params):
            if is_in:
                places.append((slot, id_))
                continue
            name, about = show_id(Prefix.EVENT, id_), show_id(Prefix.CARD, card_id)
            facts.append(_fact(kind, at, name=name, about=about, told=(*told, msgspec.json.decode(details))))
    return Subject(asked.book_id, places, facts, frozenset(id_ for ids in cards.values() for id_ in ids))


# Batches of cards


async def _find_batch(connection: Connection, id_: UUID, slots: Sequence[int]) -> int | None:
    return await _book(connection, "book_of_batch", id=id_)


async def _gather_batch(connection: Connection, asked: Asked) -> Subject:
    cards: dict[int, list[UUID]] = {}
    for slot in asked.slots:
        params = {"slot": slot, "id": asked.id, "book_id": asked.book_id, "limit": asked.limit}
        for slot_, card_id in await store.rows(connection, "cards_of_batch", **params):
            cards.setdefault(slot_, []).append(card_id)
    subject = await _of_cards(connection, asked, cards)
    for slot in asked.slots:
        params = {"slot": slot, "id": asked.id, "book_id": asked.book_id, "limit": asked.limit}
        subject.places.extend((slot_, id_) for slot_, id_ in await store.rows(connection, "issues_of_batch", **params))
    ((id_, programme_id, form, card_count, issued_count, created_at, finished_at),) = await store.rows(
        connection, "batch", id=asked.id
    )
    about = show_id(Prefix.BATCH, id_)
    told = show_id(Prefix.PROGRAMME, programme_id), form, card_count
    subject.facts.append(_fact("created", created_at, name=f"{about}.created", about=about, told=told))
    if finished_at is not None:
        done = _fact("issued", finished_at, name=f"{about}.issued", about=about, told=(issued_count,))
        subject.facts.append(done)
    return subject


# Sales and top-ups


async def _find_sale(connection: Connection, id_: UUID, slots: Sequence[int]) -> int | None:
    return await _book(connection, "book_of_sale", id=id_, kind="sale")


async def _find_top_up(connection: Connection, id_: UUID, slots: Sequence[int]) -> int | None:
    return await _book(connection, "book_of_sale", id=id_, kind="top_up")


async def _gather_sale(connection: Connection, asked: Asked) -> Subject:
    (row,) = await store.rows(connection, "sale", id=asked.id, book_id=asked.book_id)
    id_, kind, status, issuer_id, currency, channel, buyer, count, face_fen, price_fen = row[:10]
    created_at, paid_at, delivered_at, ended_at, end_reason = row[10:]
    about = show_id(Prefix.SALE if kind == "sale" else Prefix.TOP_UP, id_)
    terms = show_id(Prefix.ISSUER, issuer_id), currency, channel, buyer, count, face_fen, price_fen
    facts = [_fact("created", created_at, name=f"{about}.created", about=about, told=terms)]
    for word, at, why in (("paid", paid_at, None), ("delivered", delivered_at, None), (status, ended_at, end_reason)):
        if at is not None:
            facts.append(_fact(word, at, name=f"{about}.{word}", about=about, told=(why,)))
    params = {"id": asked.id, "book_id": asked.book_id, "limit": asked.limit}
    for payment_id, method, amount_fen, at in await store.rows(connection, "payments_of_sale", **params):
        name = show_id(Prefix.SALE_PAYMENT, payment_id)
        facts.append(_fact("payment", at, name=name, about=about, told=(method, amount_fen)))
    places: list[Place] = []
    for slot in asked.slots:
        here = {**params, "slot": slot}
        places += [(slot_, id_) for slot_, id_ in await store.rows(connection, "transactions_of_sale", **here)]
        for card_id, line, face, price, item, at in await store.rows(connection, "items_of_sale", **here):
            card = show_id(Prefix.CARD, card_id)
            told = card, line, face, price, item
            facts.append(_fact("item", at or created_at, name=f"{about}.{card}", about=about, told=told))
    return Subject(asked.book_id, places, facts)


# Transactions


async def _find_transaction(connection: Connection, id_: UUID, slots: Sequence[int]) -> int | None:
    return await _book(connection, "book_of_transaction", slot=slot_of(id_, slots), id=id_)


async def _gather_transaction(connection: Connection, asked: Asked) -> Subject:
    chain = await store.rows(
        connection,
        "transactions_of_chain",
        slot=slot_of(asked.id, asked.slots),
        id=asked.id,
        book_id=asked.book_id,
        limit=asked.limit,
    )
    return Subject(asked.book_id, [(slot, id_) for slot, id_ in chain], [])


# Vouchers


async def _find_voucher(connection: Connection, id_: UUID, slots: Sequence[int]) -> int | None:
    return await _book(connection, "book_of_voucher", slot=slot_of(id_, slots), id=id_)


async def _gather_voucher(connection: Connection, asked: Asked) -> Subject:
    """Its issue and its changes, and the payments, refunds and loads that they happened with."""
    home = slot_of(asked.id, asked.slots)
    issued = await store.rows(connection, "issue_of_voucher", slot=home, id=asked.id, book_id=asked.book_id)
    places: list[Place] = [(slot, id_) for slot, id_ in issued]
    for slot, id_, transaction_id in await store.rows(
        connection, "events_of_voucher", slot=home, id=asked.id, book_id=asked.book_id, limit=asked.limit
    ):
        places.append((slot, id_))
        if transaction_id is not None:
            places.append((slot_of(transaction_id, asked.slots), transaction_id))
    return Subject(asked.book_id, list(dict.fromkeys(places)), [], frozenset([asked.id]), asked.id)


KINDS: Mapping[Prefix, Kind] = {
    Prefix.CARD: Kind(_find_card, _gather_card),
    Prefix.SALE: Kind(_find_sale, _gather_sale),
    Prefix.TOP_UP: Kind(_find_top_up, _gather_sale),
    Prefix.BATCH: Kind(_find_batch, _gather_batch),
    Prefix.TRANSACTION: Kind(_find_transaction, _gather_transaction),
    Prefix.VOUCHER: Kind(_find_voucher, _gather_voucher),
}
"""What a chain of custody may be asked of, by the prefix of its id."""
