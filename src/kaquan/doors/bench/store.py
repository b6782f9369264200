"""The benches' own statements: a database to measure in, what the server is, the engine's one-row update."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from kaquan.cards import CardEvent, CardStatus, Event, record_events
from kaquan.evidence import SEQUENCER_LOCK
from kaquan.kit.db import Connection, connect_sync
from kaquan.kit.ids import Ids

ENGINE_ROWS = 1_000
EVENTS_AT_ONCE = 5_000
CREATE_ENGINE_TABLE = (
    "CREATE TABLE bench_engine (id integer PRIMARY KEY, amount bigint NOT NULL) WITH (fillfactor = 50)"
)
FILL_ENGINE_TABLE = f"INSERT INTO bench_engine (id, amount) SELECT n, 0 FROM generate_series(1, {ENGINE_ROWS}) AS n"
UPDATE_ONE_ROW = "UPDATE bench_engine SET amount = amount + 1 WHERE id = {id} RETURNING amount"

TELLING_SETTINGS = (
    "fsync", "synchronous_commit", "full_page_writes", "data_checksums", "wal_sync_method", "wal_compression",
    "shared_buffers", "max_wal_size", "checkpoint_timeout", "commit_delay", "autovacuum", "jit",
    "max_connections",
)  # fmt: skip

_PG_VARIABLES = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "passfile": "PGPASSFILE",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
}


class BenchDatabaseError(Exception):
    """The benches cannot have a database; the message says why."""


@contextmanager
def own_database(conninfo: str, *, name: str) -> Iterator[str]:
    """A new, empty database on this server, dropped at the end; its conninfo. Raises BenchDatabaseError."""
    try:
        _alone(conninfo, "CREATE DATABASE {}", name)
    except psycopg.Error as error:
        raise BenchDatabaseError(f"The benches need a database of their own: {str(error).strip()}") from error
    try:
        yield make_conninfo(conninfo, dbname=name)
    finally:
        _alone(conninfo, "DROP DATABASE {} WITH (FORCE)", name)


def _alone(conninfo: str, statement: str, name: str) -> None:
    with connect_sync(conninfo, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(sql.Identifier(name)))


def program_environment(conninfo: str) -> dict[str, str]:
    """The variables by which PostgreSQL's programs reach this database: no password in a command line."""
    given = conninfo_to_dict(conninfo)
    return {variable: str(given[name]) for name, variable in _PG_VARIABLES.items() if given.get(name)}


def describe_server(conninfo: str) -> dict[str, str]:
    """The version of the server, and the settings that its speed depends on."""
    with connect_sync(conninfo, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT name, setting || coalesce(' ' || unit, '') FROM pg_settings WHERE name = ANY (%s)",
            (["server_version", *TELLING_SETTINGS],),
        ).fetchall()
    return dict(sorted(rows))


def make_engine_table(conninfo: str) -> None:
    """The rows that the engine's limit is measured on."""
    with connect_sync(conninfo) as connection:
        connection.execute("DROP TABLE IF EXISTS bench_engine")
        connection.execute(CREATE_ENGINE_TABLE)
        connection.execute(FILL_ENGINE_TABLE)


def settle(conninfo: str) -> None:
    """Write out what earlier work left behind, so that the next figure does not pay for it."""
    with connect_sync(conninfo, autocommit=True) as connection:
        connection.execute("CHECKPOINT")


async def update_rows(conninfo: str, *, clients: int, seconds: float) -> float:
    """One-row updates per second from clients written in Python: for servers that come without pgbench."""
    query = UPDATE_ONE_ROW.format(id="%s")
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds

    async def client(number: int) -> int:
        done = 0
        connection: psycopg.AsyncConnection[tuple[Any, ...]] = await psycopg.AsyncConnection.connect(
            conninfo, autocommit=True, prepare_threshold=1
        )
        async with connection:
            while loop.time() < end:
                # a stride through all rows, another start for each client
                await connection.execute(query, (1 + (number * 31 + done * 617) % ENGINE_ROWS,))
                done += 1
        return done

    started = time.perf_counter()
    done = await asyncio.gather(*(client(number) for number in range(clients)))
    return sum(done) / (time.perf_counter() - started)


@asynccontextmanager
async def sequencer_held(conninfo: str) -> AsyncIterator[None]:
    """No sequencer works meanwhile: each finds that another one does."""
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
        await connection.execute("SELECT pg_advisory_lock(%s)", (SEQUENCER_LOCK,))
        yield


async def count_leaves(connection: Connection) -> int:
    """How many leaves there are."""
    row = await (await connection.execute("SELECT count(*) FROM evidence_leaf")).fetchone()
    assert row is not None
    return int(row[0])


async def activate_batch(connection: Connection, *, batch_id: UUID, at: datetime, ids: Ids) -> list[tuple[UUID, bytes]]:
    """Make every card of a batch active at once; id and sealed number of each. Pockets are the caller's."""
    cursor = await connection.execute(
        "UPDATE cards_card SET status = 'active', activated_at = %s, version = version + 1 WHERE batch_id = %s"
        " RETURNING slot, id, book_id, version, number_sealed",
        (at, batch_id),
    )
    changed = await cursor.fetchall()
    for start in range(0, len(changed), EVENTS_AT_ONCE):
        events = [
            Event(
                slot, card_id, ids.new(), book_id, CardEvent.ACTIVATED, at, "bench", None, CardStatus.ACTIVE, version,
                {},
            )
            for slot, card_id, book_id, version, _ in changed[start : start + EVENTS_AT_ONCE]
        ]  # fmt: skip
        await record_events(connection, events)
    return [(card_id, sealed) for _, card_id, _, _, sealed in changed]


async def register_cards(connection: Connection) -> None:
    """Give every card of the bench to a person, two cards each. To count by a person no customer needs to exist."""
    await connection.execute(
        "UPDATE cards_card SET customer_id = md5(div(n.n, 2)::text)::uuid"
        " FROM (SELECT slot, id, row_number() OVER (ORDER BY id) AS n FROM cards_card) AS n"
        " WHERE cards_card.slot = n.slot AND cards_card.id = n.id"
    )


async def hand_out_vouchers(
    connection: Connection, *, book_id: int, template_id: UUID, count: int, face_fen: int, at: datetime
) -> list[tuple[UUID, UUID]]:
    """So many vouchers of a template for as many cards of the bench: the ids of each voucher and its card."""
    cursor = await connection.execute(
        "INSERT INTO vouchers_voucher (slot, id, book_id, template_id, status, holder_kind, holder_id, face_fen,"
        " created_at) SELECT slot, gen_random_uuid(), book_id, %s, 'held', 'card', id, %s, %s"
        " FROM cards_card WHERE book_id = %s ORDER BY id LIMIT %s RETURNING id, holder_id",
        (template_id, face_fen, at, book_id, count),
    )
    return [(row[0], row[1]) for row in await cursor.fetchall()]


def count_discounted(conninfo: str, campaign_id: UUID) -> int:
    """How many payments a campaign applied to."""
    with connect_sync(conninfo, autocommit=True) as connection:
        row = connection.execute(
            "SELECT count(*) FROM payments_pricing WHERE original_id IS NULL"
            " AND convert_from(kept, 'UTF8')::json -> 2 -> 0 ->> 0 = %s",
            (campaign_id.hex,),
        ).fetchone()
    assert row is not None
    return int(row[0])


def count_uses(conninfo: str, key: UUID) -> int:
    """How often a budget was used."""
    with connect_sync(conninfo, autocommit=True) as connection:
        row = connection.execute("SELECT year_count FROM payments_usage WHERE key = %s", (key,)).fetchone()
    return 0 if row is None else int(row[0])
