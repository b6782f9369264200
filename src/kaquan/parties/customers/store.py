"""The tables of customers and their identity: the only file of this part that sees a cursor."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from msgspec.structs import asdict, replace

from kaquan.kit.db import Connection, Pool, constraint_of, given, load_queries
from kaquan.parties.customers.attempts import Guard, fresh_guard
from kaquan.parties.customers.types import (
    Attempt,
    CustomerSearch,
    LevelChange,
    LevelReason,
    SealedCustomer,
    Segment,
)
from kaquan.parties.identity import CheckResult, DocumentKind, IdentityLevel
from kaquan.parties.trail import Action, write_action

_QUERIES = load_queries(__package__)

TRIES = 5
"""How often a change is decided again because another one came first."""

_DOCUMENT_TAKEN = "parties_customer_document"


async def post_customer(pool: Pool, row: SealedCustomer, action: Action, *, document_lookups: Sequence[UUID]) -> bool:
    """Whether the customer was written: not when the document, found by one of its look-ups, is somebody else's."""
    try:
        async with pool.connection() as connection, connection.transaction():
            if await _is_taken(connection, row, document_lookups):
                return False
            await connection.execute(_QUERIES["insert_customer"], asdict(row))
            await write_action(connection, action)
    except psycopg.errors.UniqueViolation as error:
        if constraint_of(error) != _DOCUMENT_TAKEN:
            raise
        return False
    return True


async def _is_taken(connection: Connection, row: SealedCustomer, document_lookups: Sequence[UUID]) -> bool:
    """Whether somebody else has the document, under another look-up key: under the same one the constraint tells."""
    if len(document_lookups) < 2:
        return False
    params = {"book_id": row.book_id, "id": row.id, "document_lookups": list(document_lookups)}
    return (await connection.execute(_QUERIES["document_taken"], params)).rowcount > 0


async def post_customer_change(
    pool: Pool,
    row: SealedCustomer,
    history: LevelChange | None,
    action: Action,
    *,
    document_lookups: Sequence[UUID] = (),
) -> bool | None:
    """Whether it was written: not when the row is no longer the version it was made from; None when the document is
    somebody else's."""
    try:
        async with pool.connection() as connection, connection.transaction():
            if await _is_taken(connection, row, document_lookups):
                return None
            changed = (await connection.execute(_QUERIES["change_customer"], asdict(row))).rowcount > 0
            if changed:
                await _write_history(connection, history)
                await write_action(connection, action)
    except psycopg.errors.UniqueViolation as error:
        if constraint_of(error) != _DOCUMENT_TAKEN:
            raise
        return None
    return changed


async def _write_history(connection: Connection, history: LevelChange | None) -> None:
    if history is not None:
        await connection.execute(_QUERIES["insert_level"], asdict(history))


async def post_action(pool: Pool, action: Action) -> None:
    """Write a line of the trail on its own."""
    async with pool.connection() as connection:
        await write_action(connection, action)


async def load_customer(pool: Pool, *, book_id: int, id_: UUID) -> SealedCustomer | None:
    rows = await _read(pool, "customer", {"book_id": book_id, "id": id_})
    return _customer(rows[0]) if rows else None


async def load_named(pool: Pool, *, book_id: int, ids: Sequence[UUID]) -> list[SealedCustomer]:
    return [_customer(row) for row in await _read(pool, "customers_named", {"book_id": book_id, "ids": list(ids)})]


async def load_by_lookup(
    pool: Pool, *, book_id: int, phone_lookups: list[UUID] | None, document_lookups: list[UUID] | None
) -> list[SealedCustomer]:
    """Who is found by one of each that is given."""
    params = {"book_id": book_id, "phone_lookups": phone_lookups, "document_lookups": document_lookups}
    return [_customer(row) for row in await _read(pool, "customers_by_lookup", params)]


async def load_customers(
    pool: Pool,
    *,
    book_id: int,
    search: CustomerSearch,
    phone_last4: list[UUID] | None,
    document_last4: list[UUID] | None,
) -> list[SealedCustomer]:
    """One more than the limit, if there are."""
    params = {
        **asdict(search),
        "book_id": book_id,
        "limit": search.limit + 1,
        "phone_last4": phone_last4,
        "document_last4": document_last4,
    }
    return [_customer(row) for row in await _read(pool, "customers", params)]


async def load_overdue(pool: Pool, *, now: datetime) -> list[SealedCustomer]:
    """Some of those whose retention is over."""
    return [_customer(row) for row in await _read(pool, "overdue", {"now": now})]


async def load_openings_due(pool: Pool) -> list[tuple[int, UUID]]:
    """Some of those who are forgotten, of whom nothing is kept, and whose transactions can still be opened."""
    return [(book_id, id_) for book_id, id_ in await _read(pool, "openings_due", {})]


async def note_openings_erased(pool: Pool, *, book_id: int, id_: UUID, at: datetime) -> None:
    """Remember that the private fields of somebody's transactions are erased."""
    async with pool.connection() as connection:
        await connection.execute(_QUERIES["note_openings_erased"], {"book_id": book_id, "id": id_, "at": at})


async def load_levels(pool: Pool, *, book_id: int, customer_id: UUID) -> list[LevelChange]:
    rows = await _read(pool, "levels", {"book_id": book_id, "customer_id": customer_id})
    return [
        LevelChange(book, customer, id_, IdentityLevel(level), LevelReason(reason), provider, at)
        for book, customer, id_, level, reason, provider, at in rows
    ]


async def load_attempts(pool: Pool, *, book_id: int, customer_id: UUID) -> list[Attempt]:
    rows = await _read(pool, "attempts", {"book_id": book_id, "customer_id": customer_id})
    return [
        Attempt(
            book,
            customer,
            id_,
            IdentityLevel(level),
            provider,
            started_at,
            None if ended_at is None else CheckResult(result),
            code,
            ended_at,
        )
        for book, customer, id_, level, provider, started_at, result, code, ended_at in rows
    ]


async def load_guards(pool: Pool, *, book_id: int, subjects: list[UUID], now: datetime) -> list[Guard]:
    """The guard of each subject, in the order of ``subjects``; a fresh one for who was never checked."""
    rows = await _read(pool, "guards", {"book_id": book_id, "subjects": subjects})
    found = {row[0]: Guard(*row) for row in rows}
    return [found.get(subject) or fresh_guard(subject, now) for subject in subjects]


class _StaleError(Exception):
    """A guard is no longer what the claim was decided on."""


async def post_claim(pool: Pool, attempt: Attempt, guards: Sequence[Guard]) -> bool:
    """Whether the check and its guards were written, all or none: not when one of them moved since it was read."""
    try:
        async with pool.connection() as connection, connection.transaction():
            for guard in guards:
                params = {**asdict(guard), "book_id": attempt.book_id}
                query = "insert_guard" if guard.version == 1 else "change_guard"
                if (await connection.execute(_QUERIES[query], params)).rowcount == 0:
                    raise _StaleError
            await connection.execute(_QUERIES["insert_attempt"], asdict(attempt))
    except _StaleError:
        return False
    return True


async def settle(
    pool: Pool,
    attempt: Attempt,
    *,
    subjects: Sequence[UUID],
    version: int,
    history: LevelChange | None,
    action: Action,
    needs_same_version: bool,
) -> tuple[list[Guard], bool]:
    """Write how a check ended. The guards after it, and whether the customer is still the ``version`` that was checked;
    if not, and that is needed, no level is given."""
    async with pool.connection() as connection, connection.transaction():
        await connection.execute(_QUERIES["end_attempt"], asdict(attempt))
        guards = []
        for subject in subjects:
            params = {"book_id": attempt.book_id, "subject": subject, "result": attempt.result}
            row = await (await connection.execute(_QUERIES["settle_guard"], params)).fetchone()
            assert row is not None, "a check is counted before it is made"
            guards.append(Guard(*row))
        still_true = True
        if needs_same_version:
            params = {
                "book_id": attempt.book_id,
                "id": attempt.customer_id,
                "version": version,
                "level": None if history is None else history.level,
            }
            still_true = (await connection.execute(_QUERIES["give_level"], params)).rowcount > 0
        if still_true:
            await _write_history(connection, history)
            await write_action(connection, action)
        else:
            told = {**(action.after or {}), "level": (action.before or {}).get("level"), "customer_changed": True}
            await write_action(connection, replace(action, after=told))
    return guards, still_true


async def _read(pool: Pool, query: str, params: dict[str, Any]) -> list[tuple[Any, ...]]:
    async with pool.connection() as connection:
        return await (await connection.execute(given(_QUERIES[query], params), params, prepare=False)).fetchall()


def _customer(row: Sequence[Any]) -> SealedCustomer:
    book_id, id_, name, phone, kind, document = row[:6]
    phone_lookup, phone_last4, document_lookup, document_last4, level, created_at = row[6:12]
    forgotten_at, retained_until, retained_by, version, birthday, segments = row[12:]
    return SealedCustomer(
        book_id,
        id_,
        _bytes(name),
        _bytes(phone),
        None if kind is None else DocumentKind(kind),
        _bytes(document),
        phone_lookup,
        phone_last4,
        document_lookup,
        document_last4,
        IdentityLevel(level),
        created_at,
        forgotten_at,
        retained_until,
        retained_by,
        version,
        birthday,
        tuple(segments),
    )


def _bytes(value: Any) -> bytes | None:
    return None if value is None else bytes(value)


async def load_known(pool: Pool, *, book_id: int, ids: Sequence[UUID]) -> set[UUID]:
    """Which of these are customers of the book who are not forgotten."""
    async with pool.connection() as connection:
        cursor = await connection.execute(_QUERIES["known_customers"], {"book_id": book_id, "ids": list(ids)})
        return {id_ for (id_,) in await cursor.fetchall()}


class NotLabelled(NamedTuple):
    """Nothing was changed: this customer is not there, or is forgotten, or would have too many segments."""

    id: UUID
    why: str


async def post_segments(
    pool: Pool,
    *,
    book_id: int,
    ids: Sequence[UUID],
    after: Callable[[frozenset[str]], frozenset[str]],
    most: int,
    action: Callable[[UUID, list[str], list[str]], Action],
) -> list[UUID] | NotLabelled:
    """Change the segments of all of these customers or of none, each with its line; those that differ now."""
    async with pool.connection() as connection, connection.transaction():
        cursor = await connection.execute(_QUERIES["lock_segments"], {"book_id": book_id, "ids": list(ids)})
        found = {id_: (frozenset(segments), is_forgotten) for id_, segments, is_forgotten in await cursor.fetchall()}
        changes: list[tuple[UUID, list[str], list[str]]] = []
        for id_ in ids:
            if id_ not in found:
                return NotLabelled(id_, "missing")
            before, is_forgotten = found[id_]
            if is_forgotten:
                return NotLabelled(id_, "forgotten")
            now = after(before)
            if len(now) > most:
                return NotLabelled(id_, "too_many")
            if now != before:
                changes.append((id_, sorted(before), sorted(now)))
        for id_, was, is_ in changes:
            await connection.execute(_QUERIES["change_segments"], {"book_id": book_id, "id": id_, "segments": is_})
            await write_action(connection, action(id_, was, is_))
    return [id_ for id_, _, _ in changes]


async def load_segments(pool: Pool, *, book_id: int, limit: int) -> list[Segment]:
    """The first of the labels that customers of a book have, by name."""
    return [Segment(*row) for row in await _read(pool, "segments", {"book_id": book_id, "limit": limit})]
