"""The audits' way to the database: one read-only snapshot, statements run in it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from kaquan.audit.types import Row
from kaquan.kit.db import Connection, Pool, app_conninfo, load_queries

_CHUNK = 5_000

Piece = tuple[int, UUID, int, UUID]
"""Keys (slot, id) after the first of two, and up to the second."""

_FIRST, _LAST = (-(1 << 31), UUID(int=0)), ((1 << 31) - 1, UUID(int=0))

_SQL = load_queries(__package__)

# Whole tables are read, so joins by hash or merge are right whatever the statistics of a young database say.
_BEGIN = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL idle_in_transaction_session_timeout = 0",
    "SET LOCAL enable_nestloop = off",
    "SET LOCAL jit = off",
    "SET LOCAL work_mem = '64MB'",
    "SET LOCAL cursor_tuple_fraction = 0.01",  # a stream begins at once: merging indexes, hashing no table
)
_BY_INDEX = (
    "SELECT set_config('enable_nestloop', 'on', true), set_config('enable_hashjoin', 'off', true),"
    " set_config('enable_mergejoin', 'off', true), set_config('enable_seqscan', 'off', true)"
)
_BY_MERGING = (
    "SELECT set_config('enable_hashjoin', 'off', true), set_config('enable_seqscan', 'off', true),"
    " set_config('enable_sort', 'off', true), set_config('max_parallel_workers_per_gather', '0', true)"
)
_BY_TABLE = (
    "SELECT set_config('enable_nestloop', 'off', true), set_config('enable_hashjoin', 'on', true),"
    " set_config('enable_mergejoin', 'on', true), set_config('enable_seqscan', 'on', true)"
)


@asynccontextmanager
async def open_snapshot(source: str | Pool, *, sessions: int = 1) -> AsyncIterator[tuple[list[Connection], datetime]]:
    """Sessions inside one read-only snapshot, and the time (UTC) at which it was taken."""
    async with AsyncExitStack() as stack:
        first = await _open_session(stack, source)
        # takes the snapshot, which lasts as long as this session's transaction
        (row,) = await read_rows(first, "SELECT statement_timestamp(), pg_export_snapshot()")
        others = [await _open_session(stack, source, snapshot=row[1]) for _ in range(sessions - 1)]
        yield [first, *others], row[0].astimezone(UTC)


async def _open_session(stack: AsyncExitStack, source: str | Pool, *, snapshot: str | None = None) -> Connection:
    if isinstance(source, str):
        opening = await psycopg.AsyncConnection.connect(app_conninfo(source), autocommit=True)
        connection = await stack.enter_async_context(opening)
    else:
        connection = await stack.enter_async_context(source.connection())
    await stack.enter_async_context(connection.transaction())
    for statement in _BEGIN:
        await connection.execute(statement)
    if snapshot is not None:
        await connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot)))
    return connection


async def count_rows(connection: Connection, statement: str, *, piece: Piece | None = None) -> int:
    """The number that a counting statement returns, of a piece where it counts by pieces."""
    row = await (await connection.execute(statement, _bounds(piece), prepare=False)).fetchone()
    assert row is not None
    return int(row[0])


async def read_pieces(connection: Connection, *, leaves: int) -> list[Piece]:
    """The keys of all slots in pieces, one after the other, of so many leaves or so. Where they part is what the log
    says, but whatever it says: every key is in one of them."""
    async with by_index(connection):
        parted = await read_rows(connection, _SQL["places_of_the_log"], leaves=leaves)
    bounds = [_FIRST, *sorted(parted), _LAST]
    return [(*begin, *end) for begin, end in pairwise(bounds)]


async def read_findings(
    connection: Connection, statement: str, *, limit: int, piece: Piece | None = None
) -> tuple[list[Row], int]:
    """The first ``limit`` rows of a statement by column name, and how many rows there are.

    ``piece``: the keys that it looks at, along which it merges tables.
    """
    async with nullcontext() if piece is None else by_merging(connection):
        cursor = await connection.execute(
            f"SELECT *, count(*) OVER () AS found FROM (\n{statement}\n) AS finding LIMIT {limit}",
            _bounds(piece),
            prepare=False,
        )
        names = [column.name for column in cursor.description or ()]
        rows = await cursor.fetchall()
    findings: list[Row] = [dict(zip(names[:-1], row[:-1], strict=True)) for row in rows]
    return findings, rows[0][-1] if rows else 0


def _bounds(piece: Piece | None) -> dict[str, Any] | None:
    return None if piece is None else dict(zip(("begin_slot", "begin_id", "end_slot", "end_id"), piece, strict=True))


async def read_rows(connection: Connection, statement: str, **params: Any) -> list[tuple[Any, ...]]:
    """All rows of a statement."""
    return await (await connection.execute(statement, params, binary=True)).fetchall()


@asynccontextmanager
async def by_index(connection: Connection) -> AsyncIterator[None]:
    """What is read inside is looked up by its keys: few rows at a time of large tables."""
    await connection.execute(_BY_INDEX)
    yield
    await connection.execute(_BY_TABLE)


@asynccontextmanager
async def by_merging(connection: Connection) -> AsyncIterator[None]:
    """What is read inside is merged along the keys of large tables, by this session alone: nothing of them is kept."""
    async with connection.transaction(force_rollback=True):  # which takes the settings back
        await connection.execute(_BY_MERGING)
        yield


async def read_dicts(connection: Connection, statement: str, **params: Any) -> list[Row]:
    """All rows of a statement by column name."""
    cursor = await connection.execute(statement, params, prepare=False)
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]


async def stream_chunks(
    connection: Connection, statement: str, *, at_once: int = _CHUNK
) -> AsyncIterator[Sequence[tuple[Any, ...]]]:
    """All rows of a statement in chunks, through a server-side cursor; the next chunk is fetched meanwhile."""
    async with connection.cursor("audit", binary=True) as cursor:
        await cursor.execute(statement)
        chunk = await cursor.fetchmany(at_once)
        while chunk:
            upcoming = asyncio.create_task(cursor.fetchmany(at_once))
            try:
                yield chunk
            finally:
                chunk = await upcoming


async def read_named(connection: Connection, query: str, **params: Any) -> list[tuple[Any, ...]]:
    """The rows of a statement of this room."""
    return await read_rows(connection, _SQL[query], **params)


async def write_anchor(pool: Pool, *, size: int, note: str, at: datetime) -> None:
    """Remember how far the log was audited; never less far than is remembered."""
    async with pool.connection() as connection:
        await connection.execute(_SQL["write_anchor"], {"size": size, "note": note, "at": at})
