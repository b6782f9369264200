"""The tables ``cards_*``: the only file of this room that sees a cursor; see ``queries.sql``.

Programmes and acceptance are reference data: what writes them also moves ``parties_book.version``.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from msgspec.structs import asdict

from kaquan.cards.types import (
    Acceptance,
    Batch,
    BlockReason,
    Card,
    CardForm,
    CardStatus,
    Pocket,
    Programme,
    Search,
)
from kaquan.kit.db import Connection, Params, Pool, constraint_of, load_queries
from kaquan.ledger import Account, AccountSpec, FloorRule, open_accounts, read_accounts_of_owner
from kaquan.vault import SealedColumn, declare_sealed

_QUERIES = load_queries(__package__)

SECRET_CONTEXT, PIN_CONTEXT = b"secret", b"pin"
"""What a secret and a PIN are bound to, behind the card's id, so that neither opens as the other."""
_PROGRAMME_FIELDS = Programme.__struct_fields__[:-1]  # the last, acceptance, is a table of its own


class Lookup(NamedTuple):
    """By what a number is found: the slot of the look-up itself, and the id of the key that it was made with."""

    slot: int
    lookup: UUID
    key_id: str


class MadeCard(NamedTuple):
    """A card as it was made: to be stored, or thrown away if its number is taken.

    It has one look-up, or two while the look-up key is being changed.
    """

    slot: int
    id: UUID
    number_last4: str
    number_sealed: bytes
    lookups: tuple[Lookup, ...]


class Run(NamedTuple):
    """What the cards of one making have in common."""

    book_id: int
    programme_id: UUID
    batch_id: UUID | None
    form: CardForm
    created_at: datetime


async def _rows(connection: Connection, query: str, params: Params | None = None) -> list[tuple[Any, ...]]:
    return await (await connection.execute(_QUERIES[query], params)).fetchall()


async def _read(pool: Pool, query: str, params: Params | None = None) -> list[tuple[Any, ...]]:
    async with pool.connection() as connection:
        return await _rows(connection, query, params)


async def _write(pool: Pool, query: str, params: Params) -> str | None:
    """None when it was written, else the name of the constraint that refused it."""
    try:
        async with pool.connection() as connection:
            await connection.execute(_QUERIES[query], params)
    except psycopg.IntegrityError as error:
        return constraint_of(error)
    return None


def _criteria(book_id: int, search: Search, id_: UUID | None = None) -> dict[str, Any]:
    # one row more than asked tells whether there is a next page
    return {**asdict(search), "book_id": book_id, "id": id_, "limit": search.limit + 1}


# --- programmes


async def post_programme(pool: Pool, programme: Programme) -> str | None:
    """Write a programme without acceptance; the name of the constraint that refused it, or None."""
    return await _write(pool, "insert_programme", {**asdict(programme), "spend_order": list(programme.spend_order)})


async def load_programmes(pool: Pool, book_id: int, search: Search, id_: UUID | None = None) -> list[Programme]:
    """Programmes with their acceptance."""
    return await _load_programmes(pool, _criteria(book_id, search, id_))


async def load_all_programmes(pool: Pool, book_id: int) -> list[Programme]:
    """Every programme of a book with its acceptance."""
    return await _load_programmes(pool, {**_criteria(book_id, Search()), "limit": None})


async def _load_programmes(pool: Pool, criteria: dict[str, Any]) -> list[Programme]:
    rows = await _read(pool, "programmes", criteria)
    accepts: dict[UUID, set[Acceptance]] = {row[0]: set() for row in rows}
    if rows:
        params = {"book_id": criteria["book_id"], "programmes": list(accepts)}
        for programme_id, merchant_id, store_id in await _read(pool, "acceptances", params):
            accepts[programme_id].add((merchant_id, store_id))
    return [_programme(row, accepts[row[0]]) for row in rows]


def _programme(row: tuple[Any, ...], accepts: set[Acceptance]) -> Programme:
    terms = dict(zip(_PROGRAMME_FIELDS, row, strict=True))
    terms["spend_order"] = tuple(map(Pocket, terms["spend_order"]))
    return Programme(**terms, accepts=frozenset(accepts))


async def load_book_versions(pool: Pool) -> dict[int, int]:
    """The version of each book's reference data."""
    return dict(await _read(pool, "book_versions"))


async def load_known_places(
    pool: Pool, book_id: int, places: Sequence[Acceptance]
) -> tuple[set[UUID], dict[UUID, UUID]]:
    """The merchants in ``places`` that are of this book, and the stores that are, with their merchants."""
    rows = await _read(
        pool,
        "known_places",
        {
            "book_id": book_id,
            "merchants": [merchant_id for merchant_id, _ in places],
            "stores": [store_id for _, store_id in places],
        },
    )
    merchants = {merchant_id for merchant_id, store_id in rows if store_id is None}
    return merchants, {store_id: merchant_id for merchant_id, store_id in rows if store_id is not None}


async def post_acceptance(
    pool: Pool, *, book_id: int, programme_id: UUID, add: Sequence[Acceptance], remove: Sequence[Acceptance]
) -> None:
    """Remove and then add places, in one commit; what is so already stays so."""
    # in one order everywhere, so that two changes that meet in places never wait for each other
    everywhere = UUID(int=0)
    async with pool.connection() as connection, connection.transaction():
        for query, unordered in (("remove_acceptances", remove), ("add_acceptances", add)):
            places = sorted(unordered, key=lambda place: (place[0], place[1] or everywhere))
            if places:
                await connection.execute(
                    _QUERIES[query],
                    {
                        "book_id": book_id,
                        "programme_id": programme_id,
                        "merchants": [merchant_id for merchant_id, _ in places],
                        "stores": [store_id for _, store_id in places],
                    },
                )


# --- making cards


async def post_batch(
    pool: Pool, batch: Batch, *, slots: Sequence[int], room_in: Callable[[Sequence[tuple[str, int]]], int]
) -> tuple[str | None, int]:
    """Write a batch that has issued nothing yet, if there is room for it.

    ``room_in`` tells how many cards there is room for, from each programme's prefix with the cards that it has or that
    its running batches will make. The programmes are locked meanwhile, so that two batches do not both take one room.
    The name of the constraint that refused it, or None; and the room, which it was written into if that was enough.
    """
    room = 0
    try:
        async with pool.connection() as connection, connection.transaction():
            await connection.execute(_QUERIES["lock_programmes"], {"book_id": batch.book_id})
            rows = await _rows(connection, "promised_cards", {"book_id": batch.book_id, "slots": list(slots)})
            room = room_in([(prefix, count) for prefix, count in rows])
            if batch.card_count <= room:
                await connection.execute(_QUERIES["insert_batch"], asdict(batch))
    except psycopg.IntegrityError as error:
        return constraint_of(error), room
    return None, room


async def post_cards(pool: Pool, cards: Sequence[MadeCard], run: Run) -> int:
    """Write cards with their numbers, in one commit; how many.

    A card whose number is taken, by an older card or by one of the same call, is left out: draw again.
    """
    async with pool.connection() as connection, connection.transaction():
        return await _store_cards(connection, cards, run)


async def post_batch_cards(pool: Pool, cards: Sequence[MadeCard], run: Run) -> Batch:
    """Write as many of ``cards`` as the batch still lacks and count them, in one commit; the batch after it.

    The batch is locked first, so any number of runners share its work without issuing a card too many, and a
    runner that dies leaves the whole chunk, counted, or nothing of it.
    """
    batch = {"book_id": run.book_id, "id": run.batch_id}
    async with pool.connection() as connection, connection.transaction():
        ((lacking,),) = await _rows(connection, "lock_batch", batch)
        made = await _store_cards(connection, cards[:lacking], run)
        rows = await _rows(connection, "advance_batch", {**batch, "made": made, "at": run.created_at})
        return _batch(rows[0])


async def _store_cards(connection: Connection, cards: Sequence[MadeCard], run: Run) -> int:
    # in one order everywhere, so that two runs that meet in numbers never wait for each other
    ordered = sorted((*lookup, card.slot, card.id) for card in cards for lookup in card.lookups)
    try:
        async with connection.transaction():
            await _copy(
                connection,
                "copy_numbers",
                [
                    f"{slot}\t{lookup.hex}\t{card_slot}\t{card_id.hex}\t{key_id}\n"
                    for slot, lookup, key_id, card_slot, card_id in ordered
                ],
            )
    except psycopg.errors.UniqueViolation:
        # hardly ever: COPY takes all or nothing, at half the cost of the statement that leaves out what is taken
        kept = await _claim_numbers(connection, cards, ordered)
        cards = [card for card in cards if card.id in kept]
    batch_id = run.batch_id.hex if run.batch_id is not None else r"\N"
    common = f"{run.book_id}\t{run.programme_id.hex}\t{batch_id}\t{run.form.value}\t{CardStatus.ISSUED.value}"
    created_at = run.created_at.isoformat()
    await _copy(
        connection,
        "copy_cards",
        [
            f"{slot}\t{card_id.hex}\t{common}\t{last4}\t\\\\x{sealed.hex()}\t{created_at}\n"
            for slot, card_id, last4, sealed, _ in cards
        ],
    )
    return len(cards)


async def _claim_numbers(
    connection: Connection, cards: Sequence[MadeCard], ordered: Sequence[tuple[int, UUID, str, int, UUID]]
) -> set[UUID]:
    """Write the numbers that are free; the ids of the cards that have theirs."""
    slots, lookups, key_ids, card_slots, card_ids = (list(column) for column in zip(*ordered, strict=True))
    numbers = {"slots": slots, "lookups": lookups, "key_ids": key_ids, "card_slots": card_slots, "card_ids": card_ids}
    claimed = Counter(card_id for (card_id,) in await _rows(connection, "claim_numbers", numbers))
    kept = {card.id for card in cards if claimed[card.id] == len(card.lookups)}
    if half := [card_id for card_id in claimed if card_id not in kept]:
        # the look-up key is being changed, and the number was free under one key alone: it is taken
        await connection.execute(_QUERIES["give_back_numbers"], {**numbers, "half": half})
    return kept


async def _copy(connection: Connection, query: str, lines: Sequence[str]) -> None:
    async with connection.cursor() as cursor, cursor.copy(_QUERIES[query]) as copy:
        await copy.write("".join(lines))


def _batch(row: tuple[Any, ...]) -> Batch:
    id_, book_id, programme_id, name, form, *rest = row
    return Batch(id_, book_id, programme_id, name, CardForm(form), *rest)


async def load_batches(pool: Pool, book_id: int, search: Search, id_: UUID | None = None) -> list[Batch]:
    return [_batch(row) for row in await _read(pool, "batches", _criteria(book_id, search, id_))]


async def load_unfinished(pool: Pool) -> list[tuple[int, UUID]]:
    """Book and id of the batches, of every book, that lack cards; the oldest first."""
    return [(book_id, batch_id) for book_id, batch_id in await _read(pool, "unfinished_batches")]


# --- cards


async def load_numbers(pool: Pool, slot: int, lookups: Sequence[UUID]) -> dict[UUID, tuple[int, UUID]]:
    """Slot and id of the card behind each of the look-ups of one slot that has one."""
    rows = await _read(pool, "numbers", {"slot": slot, "lookups": list(lookups)})
    return {lookup: (card_slot, card_id) for lookup, card_slot, card_id in rows}


def _card(row: tuple[Any, ...]) -> Card:
    slot, id_, book_id, programme_id, batch_id, form, status, reason, *rest = row
    typed_reason = None if reason is None else BlockReason(reason)
    return Card(slot, id_, book_id, programme_id, batch_id, CardForm(form), CardStatus(status), typed_reason, *rest)


async def load_card(pool: Pool, *, book_id: int, slot: int, card_id: UUID) -> Card | None:
    rows = await _read(pool, "card", {"book_id": book_id, "slot": slot, "id": card_id})
    return _card(rows[0]) if rows else None


async def load_cards(pool: Pool, book_id: int, slots: Sequence[int], search: Search) -> list[Card]:
    """Cards, newest first: each slot gives its newest, and the newest of those are the newest of all."""
    query = "cards"
    if search.last4 is not None:
        query = "cards_by_last4"
    elif search.batch_id is not None:
        query = "cards_by_batch"
    criteria = _criteria(book_id, search)
    cards: list[Card] = []
    async with pool.connection() as connection:
        for slot in slots:
            cards += map(_card, await _rows(connection, query, {**criteria, "slot": slot}))
    return sorted(cards, key=lambda card: card.id.int, reverse=True)[: criteria["limit"]]


async def post_change(pool: Pool, before: Card, after: Card, *, opening: Sequence[AccountSpec] = ()) -> bool:
    """Write a card's new status if the card is still as ``before``; whether it was (else nothing is done).

    In the same commit the pockets of ``opening`` are opened; without any, the card's pockets are touched, so
    that payments decided on the old status come back as stale.
    """
    async with pool.connection() as connection, connection.transaction():
        changed = await connection.execute(
            _QUERIES["change_card"],
            {
                **asdict(after),
                "version": before.version,
            },
        )
        if changed.rowcount == 0:
            return False
        if opening:
            await open_accounts(connection, slot=before.slot, asked=opening)
        else:
            await connection.execute(_QUERIES["touch_accounts"], {"slot": before.slot, "card_id": before.id})
    return True


async def load_sealed_number(pool: Pool, *, book_id: int, slot: int, card_id: UUID) -> bytes | None:
    """A card's number as it is kept: sealed."""
    rows = await _read(pool, "sealed_number", {"book_id": book_id, "slot": slot, "id": card_id})
    return bytes(rows[0][0]) if rows else None


async def load_pockets(pool: Pool, *, book_id: int, slot: int, card_id: UUID) -> list[Account]:
    """The accounts of a card."""
    async with pool.connection() as connection:
        return await read_accounts_of_owner(connection, book_id=book_id, owner_id=card_id, slots=[slot])


# --- keys

NUMBER_SEALED = declare_sealed(
    SealedColumn("cards_card", key=(("slot", "smallint"), ("id", "uuid")), column="number_sealed", context="id")
)


async def load_numbers_to_copy(pool: Pool, *, slot: int, after_id: UUID, limit: int) -> list[tuple[UUID, bytes]]:
    """Ids and sealed numbers of the cards of a slot, in the order of their ids."""
    rows = await _read(pool, "numbers_to_copy", {"slot": slot, "after_id": after_id, "limit": limit})
    return [(card_id, bytes(sealed)) for card_id, sealed in rows]


async def post_lookups(pool: Pool, cards: Sequence[tuple[int, UUID, Lookup]]) -> int:
    """Write look-ups (slot and id of the card with each) that are not there yet; how many were not."""
    ordered = sorted((*lookup, card_slot, card_id) for card_slot, card_id, lookup in cards)
    slots, lookups, key_ids, card_slots, card_ids = (list(column) for column in zip(*ordered, strict=True))
    numbers = {"slots": slots, "lookups": lookups, "key_ids": key_ids, "card_slots": card_slots, "card_ids": card_ids}
    return len(await _read(pool, "claim_numbers", numbers))


async def drop_lookups(pool: Pool, *, slot: int, keep: str, limit: int) -> int:
    """Remove look-ups of one slot that another key than ``keep`` made; how many there were, ``limit`` at the most."""
    async with pool.connection() as connection:
        return (
            await connection.execute(_QUERIES["drop_lookups"], {"slot": slot, "keep": keep, "limit": limit})
        ).rowcount


async def load_lookup_counts(pool: Pool, slots: Sequence[int]) -> dict[str, int]:
    """How many look-ups each key has made."""
    return dict(await _read(pool, "lookup_counts", {"slots": list(slots)}))


async def load_card_count(pool: Pool, slots: Sequence[int]) -> int:
    """How many cards there are, in every book."""
    ((count,),) = await _read(pool, "card_count", {"slots": list(slots)})
    return int(count)


# --- secrets

declare_sealed(
    SealedColumn(
        "cards_secret",
        key=(("slot", "smallint"), ("card_id", "uuid")),
        column="secret_sealed",
        context="card_id",
        suffix=SECRET_CONTEXT,
    )
)
declare_sealed(
    SealedColumn(
        "cards_secret",
        key=(("slot", "smallint"), ("card_id", "uuid")),
        column="pin_sealed",
        context="card_id",
        suffix=PIN_CONTEXT,
    )
)


class SealedCard(NamedTuple):
    """What is kept of a card that is printed, all of it sealed; None is not made yet."""

    slot: int
    id: UUID
    number: bytes
    secret: bytes | None
    pin: bytes | None


async def load_sealed_cards(
    pool: Pool, *, book_id: int, batch_id: UUID, slot: int, after_id: UUID, limit: int
) -> list[SealedCard]:
    """Cards of a batch in one slot, behind ``after_id`` in the order of their ids."""
    rows = await _read(
        pool,
        "sealed_cards",
        {"book_id": book_id, "batch_id": batch_id, "slot": slot, "after_id": after_id, "limit": limit},
    )
    return [
        SealedCard(slot, card_id, bytes(number), _bytes(secret), _bytes(pin)) for card_id, number, secret, pin in rows
    ]


def _bytes(value: Any) -> bytes | None:
    return None if value is None else bytes(value)


async def post_secrets(
    pool: Pool, made: Sequence[tuple[int, UUID, bytes, bytes | None]], *, book_id: int, created_at: datetime
) -> None:
    """Write secrets and PINs (slot and id of the card with each) where there are none; those that are there stay."""
    slots, card_ids, secrets, pins = (list(column) for column in zip(*sorted(made), strict=True))
    async with pool.connection() as connection:
        await connection.execute(
            _QUERIES["insert_secrets"],
            {
                "slots": slots,
                "card_ids": card_ids,
                "secrets": secrets,
                "pins": pins,
                "book_id": book_id,
                "created_at": created_at,
            },
        )


async def load_secret(pool: Pool, *, book_id: int, slot: int, card_id: UUID) -> tuple[bytes, bytes | None] | None:
    """Secret and first PIN of a card as they are kept: sealed."""
    rows = await _read(pool, "secret", {"book_id": book_id, "slot": slot, "card_id": card_id})
    return (bytes(rows[0][0]), _bytes(rows[0][1])) if rows else None


# --- foreign cards


async def adopt_cards(
    connection: Connection, cards: Sequence[MadeCard], run: Run, *, currency: str
) -> dict[UUID, dict[Pocket, int]]:
    """Write foreign cards as active ones with their pockets, in the caller's transaction.

    The accounts of each card's pockets; a card whose number is another one's is left out.
    """
    await _store_cards(connection, cards, run)
    adopted: dict[UUID, dict[Pocket, int]] = {}
    for slot in sorted({card.slot for card in cards}):
        there = await _rows(
            connection, "adopted", {"slot": slot, "ids": [card.id for card in cards if card.slot == slot]}
        )
        card_ids = [card_id for (card_id,) in there]
        if not card_ids:
            continue
        await connection.execute(_QUERIES["activate_adopted"], {"slot": slot, "ids": card_ids, "at": run.created_at})
        asked = [
            AccountSpec(run.book_id, card_id, pocket.account_kind, currency, FloorRule.CREDIT, lotted=True)
            for card_id in card_ids
            for pocket in Pocket
        ]
        accounts = await open_accounts(connection, slot=slot, asked=asked)
        for n, card_id in enumerate(card_ids):
            first = n * len(Pocket)
            adopted[card_id] = dict(zip(Pocket, accounts[first : first + len(Pocket)], strict=True))
    return adopted


async def hold_cards(connection: Connection, *, slot: int, card_ids: Sequence[UUID]) -> None:
    """Hold the pockets of cards until the caller's transaction ends; what was decided on them is decided anew."""
    await connection.execute(_QUERIES["hold_cards"], {"slot": slot, "ids": list(card_ids)})


async def block_adopted_cards(connection: Connection, *, book_id: int, slot: int, card_ids: Sequence[UUID]) -> None:
    """Block cards that are held, in the caller's transaction; those that are blocked stay as they are."""
    await connection.execute(_QUERIES["block_adopted"], {"slot": slot, "ids": list(card_ids), "book_id": book_id})
