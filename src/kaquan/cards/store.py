"""The tables ``cards_*``: the only file of this room that sees a cursor; see ``queries.sql``.

Programmes and acceptance are reference data: what writes them also moves ``parties_book.version``.
"""

import os
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import psycopg
from msgspec.structs import asdict
from psycopg.types.json import Jsonb

from kaquan.cards.life import MAY_HAPPEN
from kaquan.cards.types import (
    DEFAULT_PIN_ATTEMPTS,
    Acceptance,
    Batch,
    BlockReason,
    Card,
    CardEvent,
    CardForm,
    CardStatus,
    Ending,
    Event,
    Fee,
    FeeKind,
    Gift,
    GiftStatus,
    Hand,
    Pocket,
    Programme,
    ProgrammeTerms,
    Restriction,
    Search,
    Tenure,
    TermsVersion,
    Transfer,
    TransferKind,
    TransferStatus,
)
from kaquan.evidence import (
    SALT_BYTES,
    CardLeafFacts,
    Issued,
    card_bytes,
    card_leaf_hash,
    card_private_bytes,
    record_issue,
)
from kaquan.kit.db import Connection, Params, Pool, constraint_of, load_queries
from kaquan.kit.ids import Prefix, show_id
from kaquan.ledger import (
    Account,
    AccountSpec,
    FloorRule,
    Item,
    Lot,
    Posting,
    PostStatus,
    keep_origins,
    open_accounts,
    read_accounts_of_owner,
    read_first_lots,
    read_lots,
)
from kaquan.ledger import post_batch as post_batch_of
from kaquan.parties import Merchant
from kaquan.parties.trail import Action, write_action
from kaquan.vault import SealedColumn, declare_sealed

_QUERIES = load_queries(__package__)

SECRET_CONTEXT, PIN_CONTEXT = b"secret", b"pin"
"""What a secret and a PIN are bound to, behind the card's id, so that neither opens as the other."""

_SPLIT = "id", "book_id", "issuer_id", "code", "name", "currency", "number_prefix", "time_zone", "created_at"
"""What of a programme is the same under every version of its terms, as the queries give it."""


Write = Callable[[Connection], Awaitable[bool]]
"""One write of several that are one commit: whether it could be done; if not, none of them is."""


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
    terms_version: int


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


class Places(NamedTuple):
    """Merchants, single stores and trades that a change gave to a programme, or took from it."""

    accepts: set[Acceptance]
    trades: set[str]

    def without(self, others: "Places") -> "Places":
        return Places(self.accepts - others.accepts, self.trades - others.trades)


def _terms_text(terms: ProgrammeTerms) -> str:
    return msgspec.json.encode(terms, order="deterministic").decode()


async def post_programme(pool: Pool, programme: Programme, *, changed_by: str, action: Action) -> str | None:
    """Write a programme without acceptance, and ``action`` with it; the name of the constraint that refused it, or
    None."""
    kept = {name: getattr(programme, name) for name in _SPLIT}
    params = {**kept, "terms": _terms_text(programme.terms), "changed_by": changed_by}
    try:
        async with pool.connection() as connection, connection.transaction():
            await connection.execute(_QUERIES["insert_programme"], params)
            await write_action(connection, action)
    except psycopg.IntegrityError as error:
        return constraint_of(error)
    return None


async def load_programmes(pool: Pool, book_id: int, search: Search, id_: UUID | None = None) -> list[Programme]:
    """Programmes with their acceptance, under the newest version of their terms."""
    rows = await _read(pool, "programmes", {**_criteria(book_id, search, id_), "version": None})
    return await _programmes(pool, [book_id], rows)


async def load_programme(pool: Pool, book_id: int, id_: UUID, *, version: int) -> Programme:
    """A programme under this version of its terms, which must be there; without its acceptance."""
    params = {**_criteria(book_id, Search(), id_), "version": version}
    (row,) = await _read(pool, "programmes", params)
    return _programme(row, frozenset(), frozenset())


async def load_all_programmes(pool: Pool, book_ids: Sequence[int]) -> list[Programme]:
    """Every programme of these books under every version of its terms, the newest last, with its acceptance."""
    return await _programmes(pool, book_ids, await _read(pool, "programmes_of_books", {"book_ids": list(book_ids)}))


async def _programmes(pool: Pool, book_ids: Sequence[int], rows: list[tuple[Any, ...]]) -> list[Programme]:
    accepts: dict[UUID, set[Acceptance]] = {row[0]: set() for row in rows}
    trades: dict[UUID, set[str]] = {row[0]: set() for row in rows}
    if rows:
        params = {"book_ids": list(book_ids), "programmes": list(accepts)}
        for programme_id, merchant_id, store_id in await _read(pool, "acceptances", params):
            accepts[programme_id].add((merchant_id, store_id))
        for programme_id, trade in await _read(pool, "accepted_trades", params):
            trades[programme_id].add(trade)
    return [_programme(row, frozenset(accepts[row[0]]), frozenset(trades[row[0]])) for row in rows]


def _programme(row: tuple[Any, ...], accepts: frozenset[Acceptance], trades: frozenset[str]) -> Programme:
    return Programme(
        **dict(zip(_SPLIT, row, strict=False)),
        **asdict(msgspec.convert(row[-1], ProgrammeTerms)),
        ending=None if row[-4] is None else Ending(*row[len(_SPLIT) : -3]),
        version=row[-3],
        effective_from=row[-2],
        accepts=accepts,
        accepted_trades=trades,
    )


async def load_terms_versions(pool: Pool, *, book_id: int, programme_id: UUID) -> list[TermsVersion]:
    """Every version of the terms of a programme, the newest first."""
    rows = await _read(pool, "terms_versions", {"book_id": book_id, "programme_id": programme_id})
    return [
        TermsVersion(id_, version, book, msgspec.convert(terms, ProgrammeTerms), *rest)
        for id_, version, book, terms, *rest in rows
    ]


def add_terms(made: TermsVersion) -> Write:
    """Write a version of terms; not done if there is one of its number by now."""

    async def write(connection: Connection) -> bool:
        params = {**asdict(made), "terms": _terms_text(made.terms)}
        return (await connection.execute(_QUERIES["insert_terms"], params)).rowcount == 1

    return write


async def load_merchants(
    pool: Pool, book_id: int, *, merchants: Iterable[UUID], trades: Iterable[str]
) -> list[Merchant]:
    """Those of ``merchants`` that are of this book, and all that have a store of ``trades``."""
    params = {"book_id": book_id, "merchants": list(merchants), "trades": list(trades)}
    return [Merchant(*row) for row in await _read(pool, "merchants_of_law", params)]


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


async def load_known_ids(pool: Pool, book_id: int, named: Restriction) -> tuple[set[UUID], set[UUID]]:
    """The merchants and the stores of ``named`` that are of this book."""
    params = {"book_id": book_id, "merchants": list(named.merchant_ids), "stores": list(named.store_ids)}
    rows = await _read(pool, "known_places", params)
    return (
        {merchant_id for merchant_id, store_id in rows if store_id is None},
        {store_id for _, store_id in rows if store_id is not None},
    )


async def post_acceptance(
    pool: Pool,
    *,
    book_id: int,
    programme_id: UUID,
    add: Sequence[Acceptance],
    remove: Sequence[Acceptance],
    add_trades: Iterable[str],
    remove_trades: Iterable[str],
    tell: Callable[[Places, Places], Action],
) -> None:
    """Remove and then add places and trades, in one commit; what is so already stays so. If anything changed, what
    ``tell`` makes of what was taken away and what was given is written with it."""
    # in one order everywhere, so that two changes that meet in places never wait for each other
    everywhere = UUID(int=0)
    which = {"book_id": book_id, "programme_id": programme_id}
    taken, given = Places(set(), set()), Places(set(), set())
    async with pool.connection() as connection, connection.transaction():
        for query, unordered, changed in (("remove_acceptances", remove, taken), ("add_acceptances", add, given)):
            places = sorted(unordered, key=lambda place: (place[0], place[1] or everywhere))
            if places:
                params = {
                    **which,
                    "merchants": [merchant_id for merchant_id, _ in places],
                    "stores": [store_id for _, store_id in places],
                }
                changed.accepts.update(await _rows(connection, query, params))
        for query, trades, changed in (("remove_trades", remove_trades, taken), ("add_trades", add_trades, given)):
            if names := sorted(set(trades)):
                rows = await _rows(connection, query, {**which, "trades": names})
                changed.trades.update(trade for (trade,) in rows)
        # what was taken away and given again in one change is as it was
        taken, given = taken.without(given), given.without(taken)
        if any((*taken, *given)):
            await write_action(connection, tell(taken, given))


# --- making cards


async def post_batch(
    pool: Pool,
    batch: Batch,
    *,
    slots: Sequence[int],
    room_in: Callable[[Sequence[tuple[str, int]]], int],
    also: Sequence[Write] = (),
) -> tuple[str | None, int]:
    """Write a batch that has issued nothing yet, if there is room for it, and ``also`` with it: all or nothing.

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
                for write in also:
                    if not await write(connection):
                        raise _NotDoneError
    except _NotDoneError:
        return None, room
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
    # in one order everywhere, so that two runs that meet in numbers never wait for each other; by numbers, since ids
    # compare themselves ten times slower
    ordered = sorted(
        ((*lookup, card.slot, card.id) for card in cards for lookup in card.lookups),
        key=lambda one: (one[0], one[1].int),
    )
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
    common = (
        f"{run.book_id}\t{run.programme_id.hex}\t{batch_id}\t{run.form.value}\t{CardStatus.ISSUED.value}"
        f"\t{run.terms_version}"
    )
    created_at = run.created_at.isoformat()
    await _copy(
        connection,
        "copy_cards",
        [
            f"{slot}\t{card_id.hex}\t{common}\t{last4}\t\\\\x{sealed.hex()}\t{created_at}\n"
            for slot, card_id, last4, sealed, _ in cards
        ],
    )
    issued = Issued(
        run.book_id, "card", run.programme_id, run.batch_id, (run.form.value, run.terms_version), run.created_at
    )
    await record_issue(connection, issued, [(card.slot, card.id, card.number_last4) for card in cards])
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


async def load_unfinished(pool: Pool, *, now: datetime | None) -> list[tuple[int, UUID]]:
    """Book and id of the batches, of every book, that lack cards and whose programme goes on at ``now``; the oldest
    first."""
    return [(book_id, batch_id) for book_id, batch_id in await _read(pool, "unfinished_batches", {"now": now})]


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


async def load_cards_named(pool: Pool, *, book_id: int, slots: Sequence[int], card_ids: Sequence[UUID]) -> list[Card]:
    params = {"book_id": book_id, "slots": list(slots), "ids": list(card_ids)}
    return [_card(row) for row in await _read(pool, "cards_named", params)]


async def load_cards(pool: Pool, book_id: int, slots: Sequence[int], search: Search) -> list[Card]:
    """Cards, newest first: each slot gives its newest, and the newest of those are the newest of all."""
    query = "cards"
    if search.last4 is not None:
        query = "cards_by_last4"
    elif search.batch_id is not None:
        query = "cards_by_batch"
    elif search.customer_id is not None:
        query = "cards_by_customer"
    criteria = _criteria(book_id, search)
    cards: list[Card] = []
    async with pool.connection() as connection:
        for slot in slots:
            cards += map(_card, await _rows(connection, query, {**criteria, "slot": slot}))
    return sorted(cards, key=lambda card: card.id.int, reverse=True)[: criteria["limit"]]


async def load_terms_of_customer(
    pool: Pool, *, book_id: int, slots: Sequence[int], customer_id: UUID
) -> list[tuple[UUID, int]]:
    """Programme and version of the terms of every card that somebody has or had."""
    found: set[tuple[UUID, int]] = set()
    params = {"book_id": book_id, "customer_id": customer_id, "customer_hex": customer_id.hex}
    for slot in slots:
        for programme_id, version in await _read(pool, "terms_of_customer", {**params, "slot": slot}):
            found.add((programme_id, version))
    return sorted(found)


async def load_tenures(pool: Pool, *, book_id: int, slots: Sequence[int], customer_id: UUID) -> list[Tenure]:
    """Every card that somebody has or had, and when."""
    params = {"book_id": book_id, "customer_id": customer_id, "customer_hex": customer_id.hex}
    return [Tenure(slot, *row) for slot in slots for row in await _read(pool, "tenures", {**params, "slot": slot})]


class _NotDoneError(Exception):
    """Takes a transaction back."""


async def post_together(pool: Pool, *writes: Write) -> bool:
    """Do all of ``writes`` in their order, in one commit, or nothing; whether they were done."""
    try:
        async with pool.connection() as connection, connection.transaction():
            for write in writes:
                if not await write(connection):
                    raise _NotDoneError
    except _NotDoneError:
        return False
    return True


def change(before: Card, after: Card, event: Event, *, opening: Sequence[AccountSpec] = ()) -> Write:
    """Write a card as it is after ``event`` if it is still as ``before``, and the event.

    The pockets of ``opening`` are opened; without any, the card's pockets are touched, so that payments decided on the
    old status come back as stale.
    """

    async def write(connection: Connection) -> bool:
        params = {**asdict(after), "version": before.version}
        changed = await connection.execute(_QUERIES["change_card"], params)
        if changed.rowcount == 0:
            return False
        if opening:
            await open_accounts(connection, slot=before.slot, asked=opening)
        else:
            await connection.execute(_QUERIES["touch_accounts"], {"slot": before.slot, "card_id": before.id})
        await _add_event(connection, event)
        return True

    return write


def add_event(event: Event) -> Write:
    """Write an event that changes nothing of the card itself."""

    async def write(connection: Connection) -> bool:
        await _add_event(connection, event)
        return True

    return write


async def _add_event(connection: Connection, event: Event) -> None:
    await record(connection, [event])


async def record(connection: Connection, events: Sequence[Event]) -> None:
    """Write events of one slot that differ in their cards alone, each with its leaf, in the caller's transaction."""
    if events:
        await connection.execute(_QUERIES["record"], _recorded(events))


def _leaf_facts(one: Event, commitment: bytes) -> CardLeafFacts:
    return CardLeafFacts(
        one.slot, one.id, one.card_id, one.book_id, one.kind, one.status, one.version, one.at, commitment
    )


def _recorded(events: Sequence[Event]) -> dict[str, Any]:
    """Events that differ in their cards alone, each with its leaf, as the statements that record them want them."""
    first = events[0]
    private = card_private_bytes(actor=first.actor, reason=first.reason, details=first.details)
    salts = [os.urandom(SALT_BYTES) for _ in events]
    leaves = [
        card_leaf_hash(_leaf_facts(one, sha256(salt + private).digest()))
        for one, salt in zip(events, salts, strict=True)
    ]
    return {
        "slot": first.slot,
        "kind": first.kind.value,
        "at": first.at,
        "actor": first.actor,
        "reason": first.reason,
        "details": Jsonb(first.details),
        "cards": [one.card_id for one in events],
        "ids": [one.id for one in events],
        "books": [one.book_id for one in events],
        "statuses": [one.status for one in events],
        "versions": [one.version for one in events],
        "leaves": leaves,
        "salts": salts,
    }


async def load_reasons(connection: Connection, *, book_id: int, tenure: Tenure) -> list[tuple[Event, bytes]]:
    """What happened to a card while it was somebody's for a reason that was given, with the salt of its leaf."""
    params = {**asdict(tenure), "book_id": book_id}
    rows = await (await connection.execute(_QUERIES["reasons_of_tenure"], params)).fetchall()
    return [(_event(row), salt) for *row, salt in rows]


async def erase_reasons(
    connection: Connection, openings: Sequence[tuple[Event, bytes]], *, book_id: int, slot: int
) -> list[UUID]:
    """Erase the reasons and salts of events of one slot, given with these salts: which were erased.

    Not one whose leaf would no longer be that of its bytes."""
    commitments = [
        sha256(salt + card_private_bytes(actor=one.actor, reason=one.reason, details=one.details)).digest()
        for one, salt in openings
    ]
    params = {
        "slot": slot,
        "book_id": book_id,
        "ids": [one.id for one, _ in openings],
        "entries": [card_bytes(_leaf_facts(one, by)) for (one, _), by in zip(openings, commitments, strict=True)],
        "commitments": commitments,
    }
    return [row[0] for row in await (await connection.execute(_QUERIES["erase_reasons"], params)).fetchall()]


async def load_events(
    pool: Pool, *, book_id: int, slot: int, card_id: UUID, before_id: UUID | None, limit: int
) -> list[Event]:
    """What happened to a card, the newest first."""
    params = {"book_id": book_id, "slot": slot, "card_id": card_id, "before_id": before_id, "limit": limit}
    return [_event(row) for row in await _read(pool, "events", params)]


def _event(row: Sequence[Any]) -> Event:
    slot, card_id, id_, book_id, kind, at, actor, reason, status, version, details = row
    typed = None if status is None else CardStatus(status)
    return Event(slot, card_id, id_, book_id, CardEvent(kind), at, actor, reason, typed, version, details)


def make_card(made: MadeCard, run: Run) -> Write:
    """Write a card that was made, issued; not done if its number is taken."""

    async def write(connection: Connection) -> bool:
        return await _store_cards(connection, [made], run) == 1

    return write


def made_card(made: MadeCard, run: Run) -> Card:
    """The card as :func:`make_card` writes it."""
    return Card(
        made.slot, made.id, run.book_id, run.programme_id, run.batch_id, run.form, CardStatus.ISSUED, None,
        made.number_last4, None, run.created_at, None, 0, terms_version=run.terms_version,
    )  # fmt: skip


async def change_card(connection: Connection, before: Card, after: Card) -> bool:
    """Write a card's new status in the caller's transaction if it is still as ``before``; whether it was."""
    changed = await connection.execute(_QUERIES["change_card"], {**asdict(after), "version": before.version})
    return changed.rowcount == 1


async def touch_pockets(connection: Connection, card: Card) -> None:
    """Make stale every decision on the card's pockets, in the caller's transaction."""
    await connection.execute(_QUERIES["touch_accounts"], {"slot": card.slot, "card_id": card.id})


async def set_aside(
    connection: Connection, hand: Hand, *, book_id: int, slot: int, card_ids: Sequence[UUID], sale_id: UUID
) -> bool:
    """Set cards of one slot aside for a sale, in the caller's transaction; whether all of them could be."""
    ids = list(card_ids)
    await connection.execute(_QUERIES["lock_cards"], {"slot": slot, "ids": ids})
    params = {"slot": slot, "ids": ids, "book_id": book_id, "sale_id": sale_id}
    changed = await _rows(connection, "set_aside", params)
    await _add_sale_events(connection, hand, CardEvent.SET_ASIDE, changed, slot=slot, sale_id=sale_id)
    return len(changed) == len(ids)


async def end_sale(
    connection: Connection,
    hand: Hand,
    kind: CardEvent,
    *,
    book_id: int,
    slot: int,
    card_ids: Sequence[UUID],
    sale_id: UUID,
) -> None:
    """Cards of one slot are set aside for a sale no more, in the caller's transaction; others stay as they are."""
    ids = list(card_ids)
    await connection.execute(_QUERIES["lock_cards"], {"slot": slot, "ids": ids})
    params = {"slot": slot, "ids": ids, "book_id": book_id, "sale_id": sale_id}
    changed = await _rows(connection, "end_sale", params)
    await _add_sale_events(connection, hand, kind, changed, slot=slot, sale_id=sale_id)


async def _add_sale_events(
    connection: Connection, hand: Hand, kind: CardEvent, changed: Sequence[tuple[Any, ...]], *, slot: int, sale_id: UUID
) -> None:
    if changed:
        details = {"sale_id": show_id(Prefix.SALE, sale_id)}
        await _add_changes(connection, hand, kind, changed, slot=slot, at=hand.clock.now(), details=details)


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
    connection: Connection, cards: Sequence[MadeCard], run: Run, hand: Hand, *, currency: str
) -> dict[UUID, dict[Pocket, int]]:
    """Write foreign cards as active ones with their pockets and that they were activated, in the caller's transaction.

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
        changed = await _rows(connection, "activate_adopted", {"slot": slot, "ids": card_ids, "at": run.created_at})
        await _add_changes(connection, hand, CardEvent.ACTIVATED, changed, slot=slot, at=run.created_at, details={})
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


async def block_adopted_cards(
    connection: Connection, hand: Hand, *, book_id: int, slot: int, card_ids: Sequence[UUID], reason: str
) -> None:
    """Block cards that are held, in the caller's transaction; those that are blocked or have ended stay as they are.

    ``reason`` stands in their events.
    """
    blockable = [status.value for status in MAY_HAPPEN[CardEvent.BLOCKED]]
    params = {"slot": slot, "ids": list(card_ids), "book_id": book_id, "blockable": blockable}
    changed = await _rows(connection, "block_adopted", params)
    await _add_changes(
        connection, hand, CardEvent.BLOCKED, changed, slot=slot, at=hand.clock.now(), reason=reason,
        details={"block_reason": BlockReason.OPERATOR.value},
    )  # fmt: skip


async def _add_changes(
    connection: Connection,
    hand: Hand,
    kind: CardEvent,
    changed: Sequence[tuple[Any, ...]],
    *,
    slot: int,
    at: datetime,
    details: dict[str, Any],
    reason: str | None = None,
) -> None:
    """One event for each card that was changed: its id, book, status and version as they are now."""
    events = [
        Event(
            slot, card_id, hand.ids.new(), book_id, kind, at, hand.actor, reason, CardStatus(status), version, details
        )
        for card_id, book_id, status, version in changed
    ]  # fmt: skip
    await record(connection, events)


async def load_losses_due(pool: Pool, *, slot: int, until: datetime, limit: int) -> list[tuple[int, UUID]]:
    """Book and id of cards whose loss report is to be in effect by ``until``."""
    rows = await _read(pool, "losses_due", {"slot": slot, "until": until, "limit": limit})
    return [(book_id, card_id) for book_id, card_id in rows]


# --- PINs


def _of(card: Card) -> dict[str, Any]:
    return {"slot": card.slot, "card_id": card.id, "book_id": card.book_id}


def put_pin(card: Card, *, kept: str, before: str | None, at: datetime) -> Write:
    """Keep a new PIN; not done if the one before it is another by now."""

    async def write(connection: Connection) -> bool:
        params = {**_of(card), "hash": kept, "before": before, "at": at}
        return (await connection.execute(_QUERIES["put_pin"], params)).rowcount == 1

    return write


async def load_pin(pool: Pool, card: Card) -> tuple[str | None, int]:
    """What is kept of a card's PIN (None: it has none), and the guesses since the last right one."""
    rows = await _read(pool, "pin", _of(card))
    return (rows[0][0], rows[0][1]) if rows else (None, 0)


async def claim_attempt(pool: Pool, card: Card, *, max_attempts: int) -> tuple[str, int] | None:
    """Count a guess: what is kept of the PIN and which guess this is. None: there is no PIN or no guess left."""
    rows = await _read(pool, "claim_attempt", {**_of(card), "max_attempts": max_attempts})
    return (rows[0][0], rows[0][1]) if rows else None


async def reset_attempts(pool: Pool, card: Card, *, kept: str) -> None:
    """After a right guess."""
    await _read_nothing(pool, "reset_attempts", {**_of(card), "hash": kept})


class Guess(NamedTuple):
    """What is kept of a card's PIN (None: it has none), which guess this is (None: there is none left), of how many."""

    kept: str | None
    attempt: int | None
    max_attempts: int


async def claim_guess(pool: Pool, *, book_id: int, slot: int, card_id: UUID) -> Guess:
    """As :func:`claim_attempt`, of a card that may not be there, in one statement."""
    params = {"slot": slot, "card_id": card_id, "book_id": book_id, "default_attempts": DEFAULT_PIN_ATTEMPTS}
    rows = await _read(pool, "claim_guess", params)
    return Guess(*rows[0]) if rows else Guess(None, None, 0)


async def settle_guess(pool: Pool, locked: Event, *, kept: str | None, is_right: bool, locks: bool) -> None:
    """Forgive the guesses after a right one, or write that this one ``locked`` the PIN; one statement in any case."""
    params = {
        **_recorded([locked]), "card_id": locked.card_id, "book_id": locked.book_id, "hash": kept,
        "is_right": is_right, "locks": locks,
    }  # fmt: skip
    await _read_nothing(pool, "settle_guess", params)


def unlock_pin(card: Card, *, forget: bool) -> Write:
    """Allow guesses again, or take the PIN away; not done if there is none."""

    async def write(connection: Connection) -> bool:
        return (await connection.execute(_QUERIES["unlock_pin"], {**_of(card), "forget": forget})).rowcount == 1

    return write


def forget_pin(card: Card) -> Write:
    """Take the PIN away, if there is one."""

    async def write(connection: Connection) -> bool:
        await connection.execute(_QUERIES["unlock_pin"], {**_of(card), "forget": True})
        return True

    return write


async def _read_nothing(pool: Pool, query: str, params: Params) -> None:
    async with pool.connection() as connection:
        await connection.execute(_QUERIES[query], params)


# --- transfers


class Holding(NamedTuple):
    """A pocket of a card as a transfer sees it: its account, the lots that have something free, its lowest lot."""

    pocket: Pocket
    account: Account
    lots: list[Lot]
    first_lot: int


def _transfer(row: tuple[Any, ...]) -> Transfer:
    slot, id_, book_id, kind, status, *rest = row
    return Transfer(slot, id_, book_id, TransferKind(kind), TransferStatus(status), *rest)


def add_transfer(transfer: Transfer) -> Write:
    """Write an intent; not done if its key has one already."""

    async def write(connection: Connection) -> bool:
        return (await connection.execute(_QUERIES["insert_transfer"], asdict(transfer))).rowcount == 1

    return write


def change_transfer(before: Transfer, after: Transfer) -> Write:
    """Write how far a transfer is; not done if it is not where it was any more."""

    async def write(connection: Connection) -> bool:
        params = {**asdict(after), "before": before.status.value}
        return (await connection.execute(_QUERIES["change_transfer"], params)).rowcount == 1

    return write


async def load_transfer(pool: Pool, *, book_id: int, slot: int, transfer_id: UUID) -> Transfer | None:
    rows = await _read(pool, "transfer", {"book_id": book_id, "slot": slot, "id": transfer_id})
    return _transfer(rows[0]) if rows else None


async def load_transfer_by_key(pool: Pool, *, book_id: int, slot: int, key_hash: UUID) -> Transfer | None:
    rows = await _read(pool, "transfer_by_key", {"book_id": book_id, "slot": slot, "key_hash": key_hash})
    return _transfer(rows[0]) if rows else None


async def load_unfinished_transfers(pool: Pool, *, slot: int, until: datetime, limit: int) -> list[Transfer]:
    """Transfers, of any book, that were begun by ``until`` and are not finished; the oldest first."""
    rows = await _read(pool, "unfinished_transfers", {"slot": slot, "until": until, "limit": limit})
    return [_transfer(row) for row in rows]


async def has_transfer(connection: Connection, *, book_id: int, slots: Sequence[int], card_id: UUID) -> bool:
    """Whether balance of a card is on its way, from it or to it."""
    params = {"slots": list(slots), "book_id": book_id, "card_id": card_id}
    row = await (await connection.execute(_QUERIES["has_transfer"], params)).fetchone()
    assert row is not None
    return bool(row[0])


async def load_left_behind(pool: Pool, *, slot: int, after_id: UUID, limit: int) -> list[tuple[int, UUID]]:
    """Replaced cards behind ``after_id`` that hold something again: book and card."""
    rows = await _read(pool, "left_behind", {"slot": slot, "after_id": after_id, "limit": limit})
    return [(book_id, card_id) for book_id, card_id in rows]


async def load_holdings(pool: Pool, *, book_id: int, slot: int, card_id: UUID) -> list[Holding]:
    """The pockets of a card. Versions are read before lots: what moves in between makes a decision stale, not wrong."""
    kinds = {pocket.account_kind: pocket for pocket in Pocket}
    async with pool.connection() as connection:
        accounts = await read_accounts_of_owner(connection, book_id=book_id, owner_id=card_id, slots=[slot])
        numbers = [account.id for account in accounts]
        lots = await read_lots(connection, slot=slot, accounts=numbers)
        first = await read_first_lots(connection, slot=slot, accounts=numbers)
    return [
        Holding(kinds[account.kind], account, lots[account.id], first[account.id])
        for account in accounts
        if account.kind in kinds
    ]


async def load_lots_of(pool: Pool, *, slot: int, accounts: Sequence[int]) -> dict[tuple[int, int], Lot]:
    """Every lot of these accounts, empty ones too."""
    async with pool.connection() as connection:
        found = await read_lots(connection, slot=slot, accounts=accounts, only_free=False)
    return {(lot.account_id, lot.lot): lot for lots in found.values() for lot in lots}


async def open_clearing(pool: Pool, *, slot: int, asked: AccountSpec) -> int:
    """The account between two slots; opened if it is not there."""
    async with pool.connection() as connection:
        (account_id,) = await open_accounts(connection, slot=slot, asked=[asked])
    return account_id


def post(posting: Posting, *, book_id: int, slot: int, at: datetime, origins: Sequence[tuple[int, int, UUID]]) -> Write:
    """Post one transaction; not done if it is stale. Lots of ``origins`` keep the load that they come from."""

    async def write(connection: Connection) -> bool:
        (status,) = await post_batch_of(connection, [Item(book_id, posting)], slot=slot, recorded_at=at)
        if status is not PostStatus.APPLIED:
            return False
        if origins:
            await keep_origins(connection, slot=slot, transaction_id=posting.transaction_id, origins=origins)
        return True

    return write


# --- fees


def add_fee(fee: Fee) -> Write:
    """Write that a fee was charged."""

    async def write(connection: Connection) -> bool:
        await connection.execute(_QUERIES["insert_fee"], asdict(fee))
        return True

    return write


def end_charged(before: Card, after: Card, event: Event, fee: Write) -> Write:
    """Write a card as it is after ``event`` that a fee was taken before: the card is locked, the fee taken, and then
    the pockets are touched, in the order in which every change of a card takes its locks."""

    async def write(connection: Connection) -> bool:
        if not await change_card(connection, before, after):
            return False
        await _add_event(connection, event)
        if not await fee(connection):
            return False
        await touch_pockets(connection, before)
        return True

    return write


async def load_fee(pool: Pool, *, slot: int, transfer_id: UUID) -> Fee | None:
    """The fee of the replacement that a transfer belongs to."""
    for slot_, id_, book_id, card_id, kind, *rest in await _read(
        pool, "fee_of_transfer", {"slot": slot, "transfer_id": transfer_id}
    ):
        return Fee(slot_, id_, book_id, card_id, FeeKind(kind), *rest)
    return None


# --- gifts

declare_sealed(
    SealedColumn("cards_gift", key=(("slot", "smallint"), ("id", "uuid")), column="message_sealed", context="id")
)


def _gift(row: tuple[Any, ...]) -> Gift:
    slot, id_, book_id, card_id, status, *rest = row
    return Gift(slot, id_, book_id, card_id, GiftStatus(status), *rest)


def add_gift(gift: Gift) -> Write:
    """Write a gift."""

    async def write(connection: Connection) -> bool:
        await connection.execute(_QUERIES["insert_gift"], asdict(gift))
        return True

    return write


def end_gift(after: Gift) -> Write:
    """Write how a gift ended; not done if it is not open any more."""

    async def write(connection: Connection) -> bool:
        return (await connection.execute(_QUERIES["end_gift"], asdict(after))).rowcount == 1

    return write


async def load_gift(pool: Pool, *, book_id: int, slot: int, gift_id: UUID) -> Gift | None:
    rows = await _read(pool, "gift", {"book_id": book_id, "slot": slot, "id": gift_id})
    return _gift(rows[0]) if rows else None


async def load_gifts_over(pool: Pool, *, slot: int, now: datetime, limit: int) -> list[Gift]:
    """Open gifts, of any book, whose time has passed."""
    return [_gift(row) for row in await _read(pool, "gifts_over", {"slot": slot, "now": now, "limit": limit})]
