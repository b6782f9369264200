"""The audits' way to the database: one read-only snapshot, statements run in it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg

from kaquan.audit.types import Row
from kaquan.kit.db import Connection, Pool, app_conninfo

_CHUNK = 5_000

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


@asynccontextmanager
async def open_snapshot(source: str | Pool) -> AsyncIterator[tuple[Connection, datetime]]:
    """A connection inside one read-only snapshot, and the time (UTC) at which the snapshot was taken."""
    if isinstance(source, str):
        opening = psycopg.AsyncConnection.connect(app_conninfo(source), autocommit=True)
        async with await opening as connection, _snapshot(connection) as as_of:
            yield connection, as_of
    else:
        async with source.connection() as connection, _snapshot(connection) as as_of:
            yield connection, as_of


@asynccontextmanager
async def _snapshot(connection: Connection) -> AsyncIterator[datetime]:
    async with connection.transaction():
        for statement in _BEGIN:
            await connection.execute(statement)
        row = await (await connection.execute("SELECT statement_timestamp()")).fetchone()  # takes the snapshot
        assert row is not None
        yield row[0].astimezone(UTC)


async def count_rows(connection: Connection, sql: str) -> int:
    """The number that a counting statement returns."""
    row = await (await connection.execute(sql, prepare=False)).fetchone()
    assert row is not None
    return int(row[0])


async def read_findings(connection: Connection, sql: str, *, limit: int) -> tuple[list[Row], int]:
    """The first ``limit`` rows of ``sql`` by column name, and how many rows there are."""
    cursor = await connection.execute(
        f"SELECT *, count(*) OVER () AS found FROM (\n{sql}\n) AS finding LIMIT {limit}", prepare=False
    )
    names = [column.name for column in cursor.description or ()]
    rows = await cursor.fetchall()
    findings: list[Row] = [dict(zip(names[:-1], row[:-1], strict=True)) for row in rows]
    return findings, rows[0][-1] if rows else 0


async def stream_chunks(connection: Connection, sql: str) -> AsyncIterator[Sequence[tuple[Any, ...]]]:
    """All rows of ``sql`` in chunks, through a server-side cursor; the next chunk is fetched meanwhile."""
    async with connection.cursor("audit", binary=True) as cursor:
        await cursor.execute(sql)
        chunk = await cursor.fetchmany(_CHUNK)
        while chunk:
            upcoming = asyncio.create_task(cursor.fetchmany(_CHUNK))
            try:
                yield chunk
            finally:
                chunk = await upcoming
