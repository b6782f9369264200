"""The sequencer on a real database: every leaf once, in one tree, whatever commits when and whoever runs."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.town import HandClock

from kaquan.evidence import (
    LogError,
    LogKey,
    NoteError,
    Sequencer,
    key_leaf_hash,
    open_checkpoint,
    read_path,
    sequence,
    sign_note,
    store,
)
from kaquan.evidence.key_leaf import KeyLeafFacts
from kaquan.evidence.note import Checkpoint
from kaquan.evidence.tiles import root_of, tiles_between
from kaquan.evidence.tree import (
    HASH_BYTES,
    ReadNode,
    consistency_ranges,
    extends,
    perfect_root,
    prove,
    root_of_range,
)
from kaquan.kit.db import Pool, open_pool
from kaquan.kit.ids import SystemIds
from kaquan.migrations import migrate
from kaquan.vault import LogSigner

IDS = SystemIds()
SLOTS = (0, 7)
FIRST, SECOND = LogSigner("g1", b"1" * 32), LogSigner("g2", b"2" * 32)


def leaf_of(id_: UUID) -> bytes:
    return sha256(id_.bytes).digest()


def reader(leaves: list[bytes]) -> ReadNode:
    """The nodes of a tree, straight from its leaves."""
    return lambda node: perfect_root(leaves[node.number << node.height : (node.number + 1) << node.height])


class Log:
    """A database of its own with a sequencer, and hands that write leaves."""

    def __init__(self, conninfo: str, pool: Pool) -> None:
        self.conninfo, self.pool = conninfo, pool
        self.clock = HandClock()

    def sequencer(self, **how: Any) -> Sequencer:
        return Sequencer(self.pool, self.clock, IDS, SLOTS, **how)

    async def connect(self) -> psycopg.AsyncConnection[Any]:
        return await psycopg.AsyncConnection.connect(self.conninfo, autocommit=True)

    async def write(
        self, count: int = 1, *, slot: int = 0, on: psycopg.AsyncConnection[Any] | None = None
    ) -> list[UUID]:
        ids = [IDS.new() for _ in range(count)]
        statement = (
            "INSERT INTO evidence_leaf (slot, transaction_id, leaf_hash)"
            " SELECT %s, unnest(%s::uuid[]), unnest(%s::bytea[])"
        )
        params = (slot, ids, [leaf_of(id_) for id_ in ids])
        if on is None:
            async with await self.connect() as connection:
                await connection.execute(statement, params)
        else:
            await on.execute(statement, params)
        return ids

    async def rows(self, statement: str) -> list[tuple[Any, ...]]:
        async with await self.connect() as connection:
            cursor = await connection.execute(statement.encode())
            return await cursor.fetchall() if cursor.description else []

    async def drain(self, *sequencers: Sequencer, signers: tuple[LogSigner, ...] = (FIRST,)) -> int:
        """Steps until nothing waits; how many leaves were taken."""
        taken = 0
        while True:
            steps = [await sequencer.step(signers) for sequencer in sequencers or (self.sequencer(),)]
            taken += sum(step.leaves for step in steps)
            if not any(step.leaves or step.more for step in steps):
                return taken

    async def entries(self) -> list[UUID]:
        """The log in its order; asserts that it has no gap."""
        rows = await self.rows("SELECT log_index, transaction_id FROM evidence_entry ORDER BY log_index")
        assert [row[0] for row in rows] == list(range(len(rows)))
        return [row[1] for row in rows]

    async def leaves(self) -> list[bytes]:
        """The leaf hashes of the log in their order."""
        await self.entries()
        return [
            row[0]
            for row in await self.rows(
                "SELECT leaf_hash FROM evidence_entry JOIN evidence_leaf USING (slot, transaction_id)"
                " ORDER BY log_index"
            )
        ]

    async def holds(self, *keys: LogSigner) -> Checkpoint:
        """The signed head, which is the tree over all leaves in their order; asserts that no leaf is left out."""
        async with self.pool.connection() as connection:
            head = await store.read_log(connection)
        assert head is not None
        leaves = await self.leaves()
        assert await self.rows("SELECT count(*) FROM evidence_leaf") == [(len(leaves),)]
        signed = open_checkpoint(head.note, [LogKey(head.origin, key.public) for key in keys or (FIRST,)])
        assert signed == (head.origin, len(leaves), root_of_range(0, len(leaves), reader(leaves)))
        assert signed == (head.origin, head.size, head.root)
        return signed


@pytest.fixture(scope="module")
def made(database: str) -> Iterator[str]:
    """A migrated database, to be copied."""
    name = f"{conninfo_to_dict(database)['dbname']}_log"
    with psycopg.connect(database, autocommit=True) as server:
        server.execute(f"DROP DATABASE IF EXISTS {name}".encode())
        server.execute(f"CREATE DATABASE {name}".encode())
        migrate(make_conninfo(database, dbname=name), slots=SLOTS)
        yield name
        server.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
async def log(database: str, made: str) -> AsyncIterator[Log]:
    name = f"{made}_{os.getpid()}"
    conninfo = make_conninfo(database, dbname=name)
    with psycopg.connect(database, autocommit=True) as server:
        server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
        server.execute(f"CREATE DATABASE {name} TEMPLATE {made}".encode())
        async with open_pool(conninfo, max_size=4) as pool:
            yield Log(conninfo, pool)
        server.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


async def test_a_log_begins_with_its_key_and_takes_what_is_there(log: Log) -> None:
    before = await log.write(300) + await log.write(5, slot=7)
    assert await log.drain() == 306
    after = await log.write(3, slot=7)
    assert await log.drain() == 3
    entries = await log.entries()
    assert set(entries[:306]) > set(before)
    assert entries[306:] == after
    assert (await log.holds()).size == 309
    ((id_, slot, public, replaces, added_at),) = await log.rows(
        "SELECT id, slot, public_key, replaces, added_at FROM evidence_key"
    )
    ((origin,),) = await log.rows("SELECT origin FROM evidence_log")
    assert (slot, public, replaces) == (0, FIRST.public, None)
    ((leaf,),) = await log.rows(f"SELECT leaf_hash FROM evidence_leaf WHERE transaction_id = '{id_}'")
    assert leaf == key_leaf_hash(KeyLeafFacts(id_, origin, public, None, added_at))


async def test_nothing_new_writes_nothing(log: Log) -> None:
    await log.write(2)
    await log.drain()
    before = await log.rows("SELECT xmin, * FROM evidence_log"), await log.rows("SELECT xmin, * FROM evidence_horizon")
    assert await log.drain() == 0
    await log.rows("CREATE TABLE something ()")
    assert await log.drain() == 0
    assert before == (
        await log.rows("SELECT xmin, * FROM evidence_log"),
        await log.rows("SELECT xmin, * FROM evidence_horizon"),
    )


async def test_what_commits_late_is_taken_when_it_commits(log: Log) -> None:
    """Three postings begin in one order and commit in another, with batches of the log in between."""
    await log.drain()
    async with await log.connect() as slow, await log.connect() as slower:
        await slow.execute("BEGIN")
        first = await log.write(2, on=slow)
        await slower.execute("BEGIN")
        second = await log.write(1, slot=7, on=slower)
        third = await log.write(3)
        assert await log.drain() == 3
        fourth = await log.write(1)
        assert await log.drain() == 1
        await slow.execute("COMMIT")
        assert await log.drain() == 2
        fifth = await log.write(1)
        assert await log.drain() == 1
        await slower.execute("COMMIT")
        assert await log.drain() == 1
    assert (await log.entries())[1:] == third + fourth + first + fifth + second
    await log.holds()


async def test_what_is_rolled_back_is_no_leaf(log: Log) -> None:
    await log.drain()
    async with await log.connect() as doomed:
        await doomed.execute("BEGIN")
        await log.write(4, on=doomed)
        await log.write(1)
        assert await log.drain() == 1
        await doomed.execute("ROLLBACK")
    assert await log.drain() == 0
    assert (await log.holds()).size == 2


async def test_an_old_id_is_as_good_as_a_new_one(log: Log) -> None:
    """An approved change of rules has the id that it got when it was proposed."""
    old = IDS.new()
    await log.write(3)
    await log.drain()
    await log.rows(f"INSERT INTO evidence_leaf (slot, transaction_id, leaf_hash) VALUES (0, '{old}', sha256(''))")
    assert await log.drain() == 1
    assert (await log.entries())[-1] == old


async def test_batches_end_between_transactions(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequence, "BATCH", 10)
    await log.drain()
    async with await log.connect() as slow:
        await slow.execute("BEGIN")
        late = await log.write(4, on=slow)
        for count in (3, 25, 4, 4, 4, 4):
            await log.write(count)
        sequencer = log.sequencer()
        sizes = []
        while (step := await sequencer.step([FIRST])).leaves:
            sizes.append(step.leaves)
        assert sum(sizes) == 44
        assert len(sizes) > 2
        await slow.execute("COMMIT")
    assert await log.drain() == 4
    assert (await log.entries())[-4:] == late
    await log.holds()


async def test_a_restored_copy_on_another_server_loses_nothing(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers of transactions mean nothing there: leaves are gone through by id, and new ones are taken meanwhile."""
    monkeypatch.setattr(sequence, "BATCH", 10)
    await log.write(35)
    await log.drain()
    waiting = await log.write(12)
    # as pg_restore brings it: numbers of the old server, from its past and from beyond what the new one has reached
    await log.rows("UPDATE evidence_horizon SET server = 'another', horizon = '5:5:'")
    await log.rows("UPDATE evidence_leaf SET written_by = '9000000'::xid8")
    assert not set(waiting) & set(await log.entries())
    assert await log.drain() == 12
    await log.write(2)
    assert await log.drain() == 2
    assert (await log.holds()).size == 50


async def test_two_sequencers_never_write_twice(log: Log) -> None:
    writing = True

    async def keep(sequencer: Sequencer) -> int:
        taken = 0
        while True:
            still = writing
            step = await sequencer.step([FIRST])
            taken += step.leaves
            if not (still or step.leaves or step.more):
                return taken
            await asyncio.sleep(0)

    async def write() -> int:
        nonlocal writing
        for _ in range(30):
            await asyncio.gather(log.write(3), log.write(2, slot=7))
        writing = False
        return 150

    *taken, written = await asyncio.gather(keep(log.sequencer()), keep(log.sequencer()), write())
    assert await log.drain() + sum(taken) == written + 1
    assert (await log.holds()).size == written + 1


async def test_without_its_lock_still_only_one_wins(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    await log.write(5)
    await log.drain()
    numbers = iter(range(1, 100))
    real = dict(store._SQL)
    monkeypatch.setattr(store, "_SQL", {**real, "try_lock": "SELECT true"})
    for _ in range(10):
        await log.write(next(numbers))
        await asyncio.gather(*(log.sequencer().step([FIRST]) for _ in range(3)))
    monkeypatch.setattr(store, "_SQL", real)
    await log.drain()
    assert (await log.holds()).size == 6 + sum(range(1, 11))


async def test_checkpoints_extend_each_other_and_one_a_minute_is_kept(log: Log) -> None:
    seen = []
    for turn in range(6):
        await log.write(turn * 50 + 1)
        await log.drain()
        seen.append(await log.holds())
        log.clock.move(timedelta(seconds=25))
    kept = await log.rows("SELECT size, root, note FROM evidence_checkpoint ORDER BY size")
    assert 2 <= len(kept) <= 3
    leaves = await log.leaves()
    for old, new in pairwise(seen):
        proof = prove(consistency_ranges(old.size, new.size), reader(leaves))
        assert extends(old.root, new.root, proof, old_size=old.size, new_size=new.size)


# Keys


async def test_a_new_key_signs_beside_the_old_one_and_is_an_entry(log: Log) -> None:
    await log.write(1)
    await log.drain()
    size = (await log.holds()).size
    assert await log.drain(signers=(FIRST, SECOND)) == 1, "the key itself"
    assert (await log.holds(FIRST)) == (await log.holds(SECOND))
    (_, (id_, replaces)) = await log.rows("SELECT id, replaces FROM evidence_key ORDER BY added_at")
    assert replaces == FIRST.public
    assert (await log.entries())[size] == id_
    await log.write(1)
    await log.drain(signers=(SECOND,))
    await log.holds(SECOND)
    with pytest.raises(NoteError, match="not signed by the key"):
        await log.holds(FIRST)


async def test_a_ring_that_did_not_sign_the_head_does_not_go_on(log: Log) -> None:
    await log.write(1)
    await log.drain()
    before = await log.holds()
    await log.write(1)
    with pytest.raises(LogError, match="not signed by a key of this ring"):
        await log.drain(signers=(SECOND,))
    assert (await log.rows("SELECT size, root FROM evidence_log")) == [(before.size, before.root)]
    assert len(await log.entries()) == before.size


# Published as files


def read_folder(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


async def published(log: Log, folder: Path) -> Checkpoint:
    """The checkpoint in a folder; asserts that the tiles beside it are its tree, and nothing else lies there."""
    ((origin,),) = await log.rows("SELECT origin FROM evidence_log")
    files = read_folder(folder)
    checkpoint = open_checkpoint(files.pop("checkpoint").decode(), [LogKey(origin, FIRST.public)])
    tiles: dict[tuple[int, int], bytes] = {}
    for name, content in files.items():
        _, level, place = name.split("/", 2)
        tile = read_path(level, place)
        assert tile is not None
        assert len(content) == tile.width * HASH_BYTES
        if len(content) > len(tiles.get((tile.level, tile.number), b"")):
            tiles[tile.level, tile.number] = content
    assert {(tile.level, tile.number) for tile in tiles_between(0, checkpoint.size)} == set(tiles)
    assert root_of(checkpoint.size, lambda level, number: tiles[level, number]) == checkpoint.root
    return checkpoint


async def test_the_folder_is_the_log(log: Log, tmp_path: Path) -> None:
    sequencer = log.sequencer(directory=tmp_path)
    for count in (1, 3, 250, 10, 600):
        await log.write(count)
        await log.drain(sequencer)
        assert await published(log, tmp_path) == await log.holds()
    assert (await log.holds()).size == 865
    assert sorted(name for name in read_folder(tmp_path) if name.startswith("tile/0/")) == [
        "tile/0/000", "tile/0/001", "tile/0/002", "tile/0/003.p/97",
    ]  # fmt: skip
    await log.write(5)
    await log.drain()  # a worker without the setting
    assert (await published(log, tmp_path)).size == 865
    await sequencer.step([FIRST])
    assert await published(log, tmp_path) == await log.holds()
    # while it grows without a pause the folder follows every second
    await log.write(1)
    await sequencer.step([FIRST])
    assert (await published(log, tmp_path)).size == 870
    log.clock.move(timedelta(seconds=1))
    await log.write(1)
    await sequencer.step([FIRST])
    assert (await published(log, tmp_path)).size == 872


async def test_a_log_behind_what_was_published_is_not_continued(log: Log, tmp_path: Path) -> None:
    """As after a restore of an old backup: other leaves would get the indexes that were signed already."""
    sequencer = log.sequencer(directory=tmp_path)
    await log.write(10)
    await log.drain(sequencer)
    kept = await log.rows("SELECT size, root, note FROM evidence_log")
    await log.write(5)
    await log.drain(sequencer)
    before = read_folder(tmp_path)
    async with await log.connect() as owner:
        await owner.execute("UPDATE evidence_log SET size = %s, root = %s, note = %s", kept[0])
        await owner.execute("DELETE FROM evidence_entry WHERE log_index >= 11")
        await owner.execute("UPDATE evidence_tile SET hashes = substr(hashes, 1, 11 * 32) WHERE level = 0")
    await log.write(9)
    with pytest.raises(LogError, match="rewound: it has 11 leaves, and a checkpoint of 16 was published"):
        await log.drain(log.sequencer(directory=tmp_path))
    assert read_folder(tmp_path) == before
    assert len(await log.entries()) == 11


async def test_another_log_than_was_published_is_not_continued(log: Log, tmp_path: Path) -> None:
    await log.write(3)
    await log.drain(log.sequencer(directory=tmp_path))
    ((origin,),) = await log.rows("SELECT origin FROM evidence_log")
    forged = Checkpoint(origin, 3, b"f" * 32)
    (tmp_path / "checkpoint").write_text(sign_note(forged.text, origin, [FIRST]))
    with pytest.raises(LogError, match="the first 3 leaves are not those"):
        await log.drain(log.sequencer(directory=tmp_path))
    (tmp_path / "checkpoint").write_text(sign_note(forged.text, origin, [SECOND]))
    with pytest.raises(LogError, match="published checkpoint is not signed by a key"):
        await log.drain(log.sequencer(directory=tmp_path))
    with pytest.raises(LogError, match=r"is called kaquan\.invalid/.*names example\.com/log"):
        await log.drain(log.sequencer(origin="example.com/log"))
    assert len(await log.entries()) == 4


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("UPDATE evidence_log SET size = 5", "says 5 leaves, and its checkpoint 6"),
        ("UPDATE evidence_log SET root = sha256('')", "says 6 leaves, and its checkpoint 6"),
        ("UPDATE evidence_log SET note = replace(note, E'\\n6\\n', E'\\n5\\n')", "not signed by a key"),
        ("UPDATE evidence_tile SET hashes = substr(hashes, 33)", "not as long as the log"),
        ("DELETE FROM evidence_tile", "not as long as the log"),
        ("UPDATE evidence_tile SET hashes = overlay(hashes placing '\\x00' from 40)", "not the one whose root"),
    ],
)
async def test_a_log_that_was_tampered_with_is_not_continued(log: Log, damage: str, message: str) -> None:
    await log.write(5)
    await log.drain()
    await log.rows(damage)
    await log.write(1)
    with pytest.raises(LogError, match=message):
        await log.drain()
    assert len(await log.entries()) == 6


async def test_the_application_can_only_append(log: Log) -> None:
    await log.write(5)
    await log.drain()
    before = await log.holds()
    for statement in (
        "UPDATE evidence_log SET size = 0",
        "UPDATE evidence_tile SET hashes = hashes",
        "DELETE FROM evidence_tile",
        "INSERT INTO evidence_entry VALUES (99, 0, gen_random_uuid())",
        "DELETE FROM evidence_entry",
        "UPDATE evidence_key SET replaces = NULL",
        "DELETE FROM evidence_checkpoint",
        "UPDATE evidence_leaf SET written_by = written_by",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with log.pool.connection() as connection:
                await connection.execute(statement.encode())
    # a call that would rewrite what a tile held
    with pytest.raises(psycopg.Error, match="would be rewritten"):
        async with log.pool.connection() as connection:
            await connection.execute(
                "SELECT evidence_append_v1(6, '{0}', %s, '{0}', '{0}', %s, %s, 'x', now())",
                ([IDS.new()], [b"x" * 224], b"r" * 32),
            )
    assert await log.holds() == before
