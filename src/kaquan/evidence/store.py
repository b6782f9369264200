"""The tables ``evidence_*``: the only file of this room that sees a cursor. Ledger and policy write their leaves."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

from kaquan.evidence.issue_leaf import IssueLeafFacts, issue_terms_bytes, plain_last4
from kaquan.evidence.key_leaf import KeyLeafFacts, key_leaf_hash
from kaquan.evidence.tiles import Growth
from kaquan.kit.db import Connection, load_queries, numbers_literal

_SQL = load_queries(__package__)

SEQUENCER_LOCK = 0x6B61_7175_616E_0001
"""The advisory lock of the sequencer in a database: any number that nobody else takes."""


class LostRaceError(Exception):
    """Another sequencer wrote in between: nothing was written here."""


class Head(NamedTuple):
    """The log as its last checkpoint has it; ``note`` is empty before the first."""

    origin: str
    size: int
    root: bytes
    note: str
    signed_at: datetime


class Key(NamedTuple):
    """A key that signs or signed checkpoints. Its leaf is in ``slot`` under its id."""

    id: UUID
    slot: int
    public_key: bytes
    replaces: bytes | None
    added_at: datetime


class Horizon(NamedTuple):
    """How far the leaves of a slot are taken; see the table."""

    slot: int
    server: str
    horizon: str
    walked_to: UUID | None


class Leaf(NamedTuple):
    """A leaf as a receipt needs it: its hash, the salt of what it commits to or, where that is erased, the commitment,
    its index if it has one, and the checkpoint that receipts lead to, of size 0 before the first."""

    hash: bytes
    salt: bytes | None
    commitment: bytes | None
    log_index: int | None
    size: int
    note: str


class WitnessState(NamedTuple):
    """A witness by the text of its key: what it has cosigned, and why it does not answer, if it does not."""

    key: str
    size: int
    cosigned_at: datetime | None
    asked_at: datetime
    failure: str | None
    failed_since: datetime | None


@asynccontextmanager
async def one_writer(connection: Connection) -> AsyncIterator[bool]:
    """One snapshot to read and write in, for one sequencer at a time; False where another one is at work.

    Raises LostRaceError when another one has committed since the snapshot: two can never both write.
    """
    try:
        async with connection.transaction():
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            # backlogs are long, and young tables have no statistics: their indexes are right whatever these say
            for setting in ("statement_timeout = 0", "enable_seqscan = off", "enable_hashjoin = off", "jit = off"):
                await connection.execute(f"SET LOCAL {setting}".encode())
            row = await (await connection.execute(_SQL["try_lock"], {"lock": SEQUENCER_LOCK})).fetchone()
            yield row is not None and bool(row[0])
    except psycopg.errors.SerializationFailure:
        raise LostRaceError from None


@asynccontextmanager
async def one_snapshot(connection: Connection) -> AsyncIterator[None]:
    """What is read inside is read as of one moment."""
    async with connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield


async def _rows(connection: Connection, query: str, **params: Any) -> list[tuple[Any, ...]]:
    return await (await connection.execute(_SQL[query], params)).fetchall()


async def read_log(connection: Connection) -> Head | None:
    """The log, if it has begun."""
    rows = await _rows(connection, "read_log")
    return Head(*rows[0]) if rows else None


async def read_published(connection: Connection) -> Head | None:
    """The log as the checkpoint has it that is published: the cosigned one where there are witnesses."""
    rows = await _rows(connection, "read_published")
    return Head(*rows[0]) if rows else None


async def read_sm_log(connection: Connection) -> Head | None:
    """The SM profile, if it has begun."""
    rows = await _rows(connection, "read_sm_log")
    return Head(*rows[0]) if rows else None


async def read_keys(connection: Connection) -> list[Key]:
    """Every key of the log, the oldest first."""
    return [Key(*row) for row in await _rows(connection, "read_keys")]


async def begin_log(connection: Connection, *, origin: str, root: bytes, at: datetime) -> None:
    """An empty log of this name, unless there is one."""
    await _rows(connection, "begin_log", origin=origin, root=root, at=at)


async def add_key(connection: Connection, key: Key, *, origin: str) -> None:
    """A key with its leaf."""
    facts = KeyLeafFacts(key.id, origin, key.public_key, key.replaces, key.added_at)
    await _rows(connection, "add_key", **key._asdict(), leaf_hash=key_leaf_hash(facts))


async def read_moment(connection: Connection) -> tuple[str, str]:
    """The snapshot of this transaction, and the server that numbers transactions."""
    ((snapshot, server),) = await _rows(connection, "read_moment")
    return snapshot, server


async def read_horizons(connection: Connection) -> dict[int, Horizon]:
    """How far each slot is taken."""
    return {row[0]: Horizon(*row) for row in await _rows(connection, "read_horizons")}


async def find_bound(connection: Connection, *, slot: int, horizon: str, now: str, limit: int) -> int | None:
    """The number of the transaction up to which ``limit`` leaves, or somewhat more, wait; None if there are fewer."""
    rows = await _rows(connection, "find_bound", slot=slot, horizon=horizon, now=now, limit=limit)
    return int(rows[0][0]) if rows else None


async def read_new(connection: Connection, *, slot: int, horizon: str, now: str) -> list[tuple[UUID, bytes]]:
    """The leaves that the snapshot ``now`` sees, that of this transaction, and ``horizon`` did not."""
    return await _rows(connection, "read_new", slot=slot, horizon=horizon, now=now)


async def walk(connection: Connection, *, slot: int, after: UUID, limit: int) -> list[tuple[UUID, bytes, bool]]:
    """The next leaves of a slot by id, with whether they are in the log."""
    return await _rows(connection, "walk", slot=slot, after=after, limit=limit)


async def write_horizon(connection: Connection, horizon: Horizon) -> None:
    """Remember how far a slot is taken."""
    await connection.execute(_SQL["write_horizon"], horizon._asdict())


async def append(
    connection: Connection, grown: Growth, leaves: Sequence[tuple[int, UUID]], *, note: str, at: datetime
) -> None:
    """Put leaves, as (slot, id), at the end of the log. Raises LostRaceError if its end has moved."""
    slots, ids = zip(*leaves, strict=True)
    places = list(grown.tiles)
    rows = await _rows(
        connection,
        "append",
        size=grown.size - len(leaves),
        # as literals: the driver would pack them one by one
        slots=numbers_literal(slots),
        ids="{" + ",".join([id_.hex for id_ in ids]) + "}",
        levels=[level for level, _ in places],
        numbers=[number for _, number in places],
        hashes=[grown.tiles[place] for place in places],
        root=grown.root,
        note=note,
        at=at,
    )
    if rows != [(True,)]:
        raise LostRaceError


async def read_tiles(connection: Connection, places: Iterable[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
    """The hashes of tiles by level and number, as far as they are there."""
    return await _read_tiles(connection, "read_tiles", places)


async def _read_tiles(
    connection: Connection, query: str, places: Iterable[tuple[int, int]]
) -> dict[tuple[int, int], bytes]:
    wanted = list(places)
    params = {"levels": [level for level, _ in wanted], "numbers": [number for _, number in wanted]}
    rows = await _rows(connection, query, **params)
    return {(level, number): hashes for level, number, hashes in rows}


async def read_sm_tiles(connection: Connection, places: Iterable[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
    """The hashes of tiles of the SM profile."""
    return await _read_tiles(connection, "read_sm_tiles", places)


async def append_sm(connection: Connection, grown: Growth, *, size: int, origin: str, note: str, at: datetime) -> None:
    """Extend the SM profile. Raises LostRaceError if its end has moved."""
    places = list(grown.tiles)
    rows = await _rows(
        connection,
        "append_sm",
        size=size,
        new_size=grown.size,
        levels=[level for level, _ in places],
        numbers=[number for _, number in places],
        hashes=[grown.tiles[place] for place in places],
        origin=origin,
        root=grown.root,
        note=note,
        at=at,
    )
    if rows != [(True,)]:
        raise LostRaceError


async def add_issue(
    connection: Connection, facts: IssueLeafFacts, records: Sequence[tuple[UUID, str | None]], *, leaf: bytes
) -> None:
    """Write an issue with its leaf."""
    plain = plain_last4(records)  # a literal costs a tenth of what a list does
    params = {
        **facts._asdict(),
        "terms": issue_terms_bytes(facts.terms).decode(),
        "ids": "{" + ",".join([id_.hex for id_, _ in records]) + "}",
        "last4": [last4 for _, last4 in records] if plain is None else '{"' + '","'.join(plain) + '"}',
        "leaf": leaf,
    }
    await connection.execute(_SQL["add_issue"], params)


async def find_entry(connection: Connection, *, slot: int, id_: UUID) -> int | None:
    """The index of a leaf in the log, if it has one."""
    rows = await _rows(connection, "find_entry", slot=slot, id=id_)
    return int(rows[0][0]) if rows else None


async def read_leaf(connection: Connection, *, slot: int, id_: UUID) -> Leaf | None:
    """A leaf, its place in the log, and the published checkpoint, all as of one moment."""
    rows = await _rows(connection, "read_leaf", slot=slot, id=id_)
    return Leaf(*rows[0]) if rows else None


async def read_sm_place(connection: Connection, *, slot: int, id_: UUID) -> Leaf | None:
    """The same with the newest checkpoint of the SM profile."""
    rows = await _rows(connection, "read_leaf_of_sm", slot=slot, id=id_)
    return Leaf(*rows[0]) if rows else None


async def add_key_receipt(connection: Connection, *, key_id: UUID, receipt: str) -> None:
    """Keep how a key was announced."""
    await connection.execute(_SQL["add_key_receipt"], {"key_id": key_id, "receipt": receipt})


async def read_key_receipts(connection: Connection) -> dict[UUID, str]:
    """How keys were announced, by the id of the key."""
    return dict(await _rows(connection, "read_key_receipts"))


async def read_witnesses(connection: Connection) -> dict[str, WitnessState]:
    """What witnesses have said, by their keys."""
    return {row[0]: WitnessState(*row) for row in await _rows(connection, "read_witnesses")}


async def write_witness(connection: Connection, state: WitnessState) -> None:
    """Remember what a witness has said."""
    await connection.execute(_SQL["write_witness"], state._asdict())


async def publish_cosigned(connection: Connection, head: Head) -> None:
    """Publish a cosigned checkpoint, unless a longer one is."""
    await connection.execute(_SQL["publish_cosigned"], head._asdict())


async def unpublish_cosigned(connection: Connection) -> None:
    """Publish checkpoints as they are signed: no witness is asked any more."""
    await connection.execute(_SQL["unpublish_cosigned"])
