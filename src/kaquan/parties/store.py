"""The tables ``parties_*``: the only file of this room that sees a cursor.

Every statement that writes also moves ``parties_book.version``, so that copies in memory learn of it.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import psycopg
from msgspec.structs import asdict

from kaquan.kit.db import Params, Pool, constraint_of, load_queries
from kaquan.parties.trail import Action, write_action
from kaquan.parties.types import (
    ApiKey,
    Book,
    Funder,
    FunderKind,
    Issuer,
    IssuerClass,
    Merchant,
    Mode,
    Place,
    Search,
    Store,
    Tenant,
    Terminal,
    TerminalStatus,
)

_QUERIES = load_queries(__package__)

TRIES = 5
"""How often a change is decided again because another one came first."""


async def _read(pool: Pool, query: str, params: Params | None = None) -> list[tuple[Any, ...]]:
    async with pool.connection() as connection:
        return await (await connection.execute(_QUERIES[query], params)).fetchall()


async def _write(pool: Pool, query: str, params: Params, action: Action) -> bool | str | None:
    """Whether it was written, and with it ``action``; or the name of the constraint that refused it."""
    try:
        async with pool.connection() as connection, connection.transaction():
            written = (await connection.execute(_QUERIES[query], params)).rowcount > 0
            if written:
                await write_action(connection, action)
    except psycopg.IntegrityError as error:
        return constraint_of(error)
    return written


# --- tenants, books, keys


async def post_tenant(pool: Pool, tenant: Tenant, modes: Sequence[Mode]) -> list[Book] | None:
    """The tenant's books, one per mode; None when its name is taken."""
    try:
        rows = await _read(
            pool,
            "insert_tenant",
            {**asdict(tenant), "modes": list(modes)},
        )
    except psycopg.errors.UniqueViolation:
        return None
    return [_book(row) for row in rows]


async def load_tenants(pool: Pool) -> list[Tenant]:
    return [Tenant(*row) for row in await _read(pool, "tenants")]


async def load_tenant(pool: Pool, name: str) -> Tenant | None:
    rows = await _read(pool, "tenant_by_name", {"name": name})
    return Tenant(*rows[0]) if rows else None


async def load_books(pool: Pool, tenant_id: UUID | None = None) -> list[Book]:
    """The books of one tenant, or of all."""
    if tenant_id is None:
        rows = await _read(pool, "books")
    else:
        rows = await _read(pool, "books_of_tenant", {"tenant_id": tenant_id})
    return [_book(row) for row in rows]


async def post_key(pool: Pool, key: ApiKey, action: Action) -> bool | str | None:
    """Whether the key was written: not when there is no such book; or the constraint that refused it."""
    return await _write(pool, "insert_key", {**asdict(key), "scopes": sorted(key.scopes)}, action)


async def load_keys(pool: Pool, book_ids: Sequence[int]) -> list[ApiKey]:
    rows = await _read(pool, "keys_of_books", {"book_ids": list(book_ids)})
    return [
        ApiKey(id_, book, name, bytes(secret_hash), frozenset(scopes), created_at, revoked_at, operator_id)
        for id_, book, name, secret_hash, scopes, created_at, revoked_at, operator_id in rows
    ]


async def load_places(pool: Pool, book_ids: Sequence[int]) -> list[tuple[int, Place]]:
    """Every terminal of these books, with its book."""
    rows = await _read(pool, "places_of_books", {"book_ids": list(book_ids)})
    return [(book_id, Place(*row)) for book_id, *row in rows]


# --- issuers, merchants, stores, terminals


async def post_party(pool: Pool, query: str, params: Params, action: Action) -> str | None:
    """Write a new row by the statement ``query``; the name of the constraint that refused it, or None."""
    written = await _write(pool, query, params, action)
    return None if isinstance(written, bool) else written


async def post_change(pool: Pool, query: str, params: Params, action: Action) -> bool:
    """Whether the statement ``query`` changed a row; not when it is no longer what the change was decided on."""
    changed = await _write(pool, query, params, action)
    assert isinstance(changed, bool), changed
    return changed


async def load_issuers(pool: Pool, book_id: int, search: Search, id_: UUID | None = None) -> list[Issuer]:
    rows = await _read(pool, "issuers", _criteria(book_id, search, id_))
    return [_issuer(row) for row in rows]


async def load_merchants(pool: Pool, book_id: int, search: Search, id_: UUID | None = None) -> list[Merchant]:
    return [Merchant(*row) for row in await _read(pool, "merchants", _criteria(book_id, search, id_))]


async def load_funders(pool: Pool, book_id: int, search: Search, id_: UUID | None = None) -> list[Funder]:
    rows = await _read(pool, "funders", _criteria(book_id, search, id_))
    return [
        Funder(found, book, code, name, FunderKind(kind), legal_code, created_at)
        for found, book, code, name, kind, legal_code, created_at in rows
    ]


async def load_stores(pool: Pool, book_id: int, search: Search, id_: UUID | None = None) -> list[Store]:
    return [Store(*row) for row in await _read(pool, "stores", _criteria(book_id, search, id_))]


async def load_terminals(pool: Pool, book_id: int, search: Search, id_: UUID | None = None) -> list[Terminal]:
    rows = await _read(pool, "terminals", _criteria(book_id, search, id_))
    return [
        Terminal(found, book, store_id, code, TerminalStatus(status), created_at)
        for found, book, store_id, code, status, created_at in rows
    ]


def _criteria(book_id: int, search: Search, id_: UUID | None) -> dict[str, Any]:
    # one row more than asked tells whether there is a next page
    return {**asdict(search), "book_id": book_id, "id": id_, "limit": search.limit + 1}


def _issuer(row: tuple[Any, ...]) -> Issuer:
    id_, book_id, code, name, time_zone, created_at, issuer_class, *rest = row
    known_class = None if issuer_class is None else IssuerClass(issuer_class)
    return Issuer(id_, book_id, code, name, time_zone, created_at, known_class, *rest)


def _book(row: tuple[Any, ...]) -> Book:
    id_, tenant_id, mode, version = row
    return Book(id_, tenant_id, Mode(mode), version)
