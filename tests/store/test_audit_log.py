"""The audit of the log: silent on what the sequencer wrote, and every edit behind it found and named."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.store.test_audit import Till
from tests.store.test_evidence_log import FIRST, SECOND, SLOTS, Log

from kaquan.audit import AuditResult, run_audits
from kaquan.evidence import Checkpoint, canonical_bytes, commit_private, hash_leaf, sign_note
from kaquan.evidence.tiles import grow
from kaquan.kit.db import open_pool
from kaquan.kit.ids import Prefix, show_id
from kaquan.ledger import Transaction, get_transaction
from kaquan.ledger.receipt import leaf_facts
from kaquan.migrations import migrate
from kaquan.vault import LogSigner

TABLES = (
    "evidence_log", "evidence_key", "evidence_entry", "evidence_tile", "evidence_checkpoint", "evidence_horizon",
    "evidence_leaf", "ledger_transaction", "ledger_entry",
)  # fmt: skip
FORGER = LogSigner("g1", b"f" * 32)


class Filled:
    """A database with a log of 600 leaves: two tiles and a bit, two keys, some kept checkpoints, real transactions."""

    def __init__(self, conninfo: str, transaction_id: UUID) -> None:
        self.conninfo, self.transaction_id = conninfo, transaction_id
        with psycopg.connect(conninfo, autocommit=True) as owner:
            self.origin, self.size, self.root, self.note = self.row(
                owner, "SELECT origin, size, root, note FROM evidence_log"
            )
            self.kept = [row[0] for row in owner.execute("SELECT size FROM evidence_checkpoint ORDER BY size")]
            for table in TABLES:
                owner.execute(f"CREATE TABLE kept_{table} AS SELECT * FROM {table}".encode())

    @staticmethod
    def row(owner: psycopg.Connection[Any], statement: str) -> tuple[Any, ...]:
        found = owner.execute(statement.encode()).fetchone()
        assert found is not None
        return tuple(found)

    def damage(self, statements: str, **params: Any) -> None:
        """Change rows as only the owner of the database can."""
        with psycopg.connect(self.conninfo) as owner:
            for statement in statements.split(";"):
                owner.execute(statement.encode(), params or None)

    def mend(self) -> None:
        with psycopg.connect(self.conninfo) as owner:
            for table in TABLES:
                owner.execute(f"TRUNCATE {table}".encode())
                owner.execute(f"INSERT INTO {table} SELECT * FROM kept_{table}".encode())

    async def audit(self, name: str = "log") -> AuditResult:
        (result,) = (await run_audits(self.conninfo, names=[name])).audits
        return result


async def fill(conninfo: str) -> UUID:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        till = Till(connection, book_id=1, slot=0, currency="CNY")
        till.load(1_000, 200)
        purchase = till.purchase(principal_fen=100, bonus_fen=50)
    async with open_pool(conninfo) as pool:
        log = Log(conninfo, pool)
        for count, signers in ((200, (FIRST,)), (120, (FIRST,)), (100, (FIRST, SECOND)), (176, (FIRST, SECOND))):
            await log.write(count // 2)
            await log.write(count - count // 2, slot=7)
            await log.drain(signers=signers)
            log.clock.move(timedelta(minutes=2))
        assert (await log.holds(SECOND)).size == 600
    return purchase


@pytest.fixture(scope="module")
def made(database: str) -> Iterator[Filled]:
    name = f"{conninfo_to_dict(database)['dbname']}_audit_log"
    conninfo = make_conninfo(database, dbname=name)
    with psycopg.connect(database, autocommit=True) as server:
        server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
        server.execute(f"CREATE DATABASE {name}".encode())
        migrate(conninfo, slots=SLOTS)
        yield Filled(conninfo, asyncio.run(fill(conninfo)))
        server.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def filled(made: Filled) -> Iterator[Filled]:
    yield made
    made.mend()


async def test_an_honest_log_holds(filled: Filled) -> None:
    assert len(filled.kept) >= 4
    result = await filled.audit()
    assert (result.findings, result.holds, result.checked) == ((), True, 600)


_TAIL = (
    "DELETE FROM evidence_leaf WHERE transaction_id IN"
    " (SELECT transaction_id FROM evidence_entry WHERE log_index >= 590);"
    " DELETE FROM evidence_entry WHERE log_index >= 590"
)
_AT = "WHERE (slot, transaction_id) = (SELECT slot, transaction_id FROM evidence_entry WHERE log_index = {})"


def at(index: int) -> str:
    """The leaf of an entry."""
    return _AT.format(index)


# What is done; the fact that the first finding names, and where.
EDITS: dict[str, tuple[str, str, int | None]] = {
    # leaves
    "a leaf altered": (f"UPDATE evidence_leaf SET leaf_hash = sha256('x') {at(77)}", "leaf_hash", 77),
    "the first leaf altered": (f"UPDATE evidence_leaf SET leaf_hash = sha256('x') {at(0)}", "leaf_hash", 0),
    "the last leaf altered": (f"UPDATE evidence_leaf SET leaf_hash = sha256('x') {at(599)}", "leaf_hash", 599),
    "a bit of a leaf": (
        f"UPDATE evidence_leaf SET leaf_hash = set_bit(leaf_hash, 9, 1 - get_bit(leaf_hash, 9)) {at(256)}",
        "leaf_hash", 256,
    ),
    "a leaf removed": (f"DELETE FROM evidence_leaf {at(255)}", "leaf", 255),
    "all leaves removed": ("DELETE FROM evidence_leaf", "leaf", 0),
    "a leaf moved to another slot": (f"UPDATE evidence_leaf SET slot = 7 {at(5)}", "leaf", 5),
    "two leaves exchanged": (
        "UPDATE evidence_leaf SET leaf_hash = CASE WHEN transaction_id = (SELECT transaction_id FROM evidence_entry"
        " WHERE log_index = 40) THEN (SELECT leaf_hash FROM evidence_leaf " + at(41) + ")"
        " ELSE (SELECT leaf_hash FROM evidence_leaf " + at(40) + ") END WHERE transaction_id IN"
        " (SELECT transaction_id FROM evidence_entry WHERE log_index IN (40, 41))",
        "leaf_hash", 40,
    ),
    "a leaf inserted into the past": (
        "INSERT INTO evidence_leaf SELECT 0, gen_random_uuid(), sha256('x'), NULL, written_by FROM evidence_leaf "
        + at(30),
        "entry of the leaf", None,
    ),
    "a leaf with the number of no transaction": (
        "INSERT INTO evidence_leaf VALUES (7, gen_random_uuid(), sha256(''), NULL, '3')",
        "entry of the leaf", None,
    ),
    # entries
    "an entry removed": ("DELETE FROM evidence_entry WHERE log_index = 300", "log_index", 301),
    "the first entry removed": ("DELETE FROM evidence_entry WHERE log_index = 0", "log_index", 1),
    "the last entry removed": (
        "DELETE FROM evidence_entry WHERE log_index = 599", "entries under the checkpoint", 599,
    ),
    "an entry with its leaf removed": (
        f"DELETE FROM evidence_leaf {at(310)}; DELETE FROM evidence_entry WHERE log_index = 310", "log_index", 311,
    ),
    "an entry removed and the rest moved up": (
        f"DELETE FROM evidence_leaf {at(400)}; DELETE FROM evidence_entry WHERE log_index = 400;"
        " UPDATE evidence_entry SET log_index = log_index + 10000 WHERE log_index > 400;"
        " UPDATE evidence_entry SET log_index = log_index - 10001 WHERE log_index > 10000",
        "leaf_hash", 400,
    ),
    "an entry inserted and the rest moved down": (
        "UPDATE evidence_entry SET log_index = log_index + 10000 WHERE log_index >= 500;"
        " UPDATE evidence_entry SET log_index = log_index - 9999 WHERE log_index >= 10000;"
        " INSERT INTO evidence_leaf VALUES (0, '01a20148-f98f-7000-877f-8531b7374843', sha256('x'), NULL);"
        " INSERT INTO evidence_entry VALUES (500, 0, '01a20148-f98f-7000-877f-8531b7374843')",
        "leaf_hash", 500,
    ),
    "two entries exchanged": (
        "UPDATE evidence_entry SET log_index = 9999 WHERE log_index = 120;"
        " UPDATE evidence_entry SET log_index = 120 WHERE log_index = 121;"
        " UPDATE evidence_entry SET log_index = 121 WHERE log_index = 9999",
        "leaf_hash", 120,
    ),
    "two entries far apart exchanged": (
        "UPDATE evidence_entry SET log_index = 9999 WHERE log_index = 2;"
        " UPDATE evidence_entry SET log_index = 2 WHERE log_index = 598;"
        " UPDATE evidence_entry SET log_index = 598 WHERE log_index = 9999",
        "leaf_hash", 2,
    ),
    "an entry behind the end": (
        "INSERT INTO evidence_leaf VALUES (0, '01a20148-f98f-7000-877f-8531b7374843', sha256('x'), NULL);"
        " INSERT INTO evidence_entry VALUES (600, 0, '01a20148-f98f-7000-877f-8531b7374843')",
        "hash in the tile of level 0", 600,
    ),
    "an entry far behind the end": (
        "INSERT INTO evidence_entry VALUES (9000000000000000000, 0, gen_random_uuid())", "log_index", 9 * 10**18,
    ),
    "an entry before the beginning": ("INSERT INTO evidence_entry VALUES (-1, 0, gen_random_uuid())", "log_index", -1),
    "an entry of another leaf": (
        "UPDATE evidence_entry SET transaction_id = gen_random_uuid() WHERE log_index = 8", "leaf", 8,
    ),
    "all entries removed": ("DELETE FROM evidence_entry", "entries under the checkpoint", 0),
    # tiles
    "a hash in a full tile": (
        "UPDATE evidence_tile SET hashes = overlay(hashes PLACING sha256('x') FROM 289) WHERE level = 0 AND number = 1",
        "leaf_hash", 265,
    ),
    "a hash in the growing tile": (
        "UPDATE evidence_tile SET hashes = overlay(hashes PLACING sha256('x') FROM 33) WHERE level = 0 AND number = 2",
        "leaf_hash", 513,
    ),
    "a leaf together with its tile": (
        f"UPDATE evidence_leaf SET leaf_hash = sha256('x') {at(7)}; UPDATE evidence_tile"
        " SET hashes = overlay(hashes PLACING sha256('x') FROM 1 + 32 * 7) WHERE level = 0 AND number = 0",
        "root of the checkpoint", None,
    ),
    "a hash in a tile above": (
        "UPDATE evidence_tile SET hashes = overlay(hashes PLACING sha256('x') FROM 33) WHERE level = 1",
        "tile of level 1", 256,
    ),
    "a tile removed": ("DELETE FROM evidence_tile WHERE level = 0 AND number = 1", "hash in the tile of level 0", 256),
    "the growing tile removed": (
        "DELETE FROM evidence_tile WHERE level = 0 AND number = 2", "hash in the tile of level 0", 512,
    ),
    "the tile above removed": ("DELETE FROM evidence_tile WHERE level = 1", "tiles of level 1", None),
    "a tile cut off": (
        "UPDATE evidence_tile SET hashes = substr(hashes, 1, 64) WHERE level = 0 AND number = 0",
        "hash in the tile of level 0", 2,
    ),
    "a tile lengthened": (
        "UPDATE evidence_tile SET hashes = hashes || sha256('x') WHERE level = 0 AND number = 2",
        "entry of the hash in the tile", 600,
    ),
    "a tile above lengthened": (
        "UPDATE evidence_tile SET hashes = hashes || sha256('x') WHERE level = 1", "tile of level 1", 512,
    ),
    "a tile too many": ("INSERT INTO evidence_tile VALUES (0, 3, sha256('x'))", "entry of the hash in the tile", 768),
    "a tile where no log has one": (
        "INSERT INTO evidence_tile VALUES (60, 9000000000000000000, sha256('x'))", "tile of level 60", 600,
    ),
    "two tiles exchanged": (
        "UPDATE evidence_tile SET number = 9 WHERE level = 0 AND number = 0;"
        " UPDATE evidence_tile SET number = 0 WHERE level = 0 AND number = 1;"
        " UPDATE evidence_tile SET number = 1 WHERE number = 9",
        "leaf_hash", 0,
    ),
    # the head
    "the log removed": ("DELETE FROM evidence_log", "leaf_hash of the key", None),
    "the size altered": ("UPDATE evidence_log SET size = 599", "size of the log", 599),
    "the size beyond the end": ("UPDATE evidence_log SET size = 900", "size of the log", 600),
    "the root altered": ("UPDATE evidence_log SET root = sha256('x')", "head", None),
    "the name altered": ("UPDATE evidence_log SET origin = 'another'", "leaf_hash of the key", None),
    "the checkpoint altered": ("UPDATE evidence_log SET note = replace(note, '600', '601')", "head", None),
    "the checkpoint removed": ("UPDATE evidence_log SET note = ''", "head", None),
    "an older checkpoint as the head": (
        "UPDATE evidence_log SET note = (SELECT note FROM evidence_checkpoint ORDER BY size LIMIT 1)", "head", None,
    ),
    # kept checkpoints
    "a kept root altered": (
        "UPDATE evidence_checkpoint SET root = sha256('x') WHERE size = (SELECT min(size) FROM evidence_checkpoint)",
        "checkpoint", None,
    ),
    "a kept checkpoint altered": (
        "UPDATE evidence_checkpoint SET note = replace(note, '—', '-') WHERE size = 600", "checkpoint", None,
    ),
    "a kept checkpoint at another size": (
        "UPDATE evidence_checkpoint SET size = 599 WHERE size = 600", "checkpoint", None,
    ),
    "a kept checkpoint beyond the end": (
        "UPDATE evidence_checkpoint SET size = 900 WHERE size = 600", "checkpoint", None,
    ),
    # keys
    "a key swapped": (
        "UPDATE evidence_key SET public_key = sha256('x') WHERE replaces IS NULL", "leaf_hash of the key", None,
    ),
    "a key backdated": (
        "UPDATE evidence_key SET added_at = added_at - interval '1 day' WHERE replaces IS NULL", "leaf_hash of the key",
        None,
    ),
    "the order of keys altered": (
        "UPDATE evidence_key SET replaces = NULL", "leaf_hash of the key", None,
    ),
    "a key added": (
        "INSERT INTO evidence_key VALUES (gen_random_uuid(), 0, sha256('x'), NULL, now())", "entry of the key", None,
    ),
    "a key removed": ("DELETE FROM evidence_key WHERE replaces IS NULL", "checkpoint", None),
    # the tail
    "the tail cut off": (
        _TAIL, "entries under the checkpoint", 590,
    ),
    "the tail cut off with its tile": (
        f"{_TAIL}; UPDATE evidence_tile SET hashes = substr(hashes, 1, 78 * 32) WHERE level = 0 AND number = 2",
        "entries under the checkpoint", 590,
    ),
    "the tail cut off, the head set back": (
        f"{_TAIL}; UPDATE evidence_log SET size = 590;"
        " UPDATE evidence_tile SET hashes = substr(hashes, 1, 78 * 32) WHERE level = 0 AND number = 2;"
        " DELETE FROM evidence_checkpoint WHERE size > 590",
        "head", None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
async def test_an_edit_is_found(filled: Filled, name: str) -> None:
    statements, what, index = EDITS[name]
    filled.damage(statements)
    result = await filled.audit()
    assert not result.holds
    first = result.findings[0]
    shown = [(finding.what, finding.ids.get("log_index")) for finding in result.findings[:4]]
    assert first.what == what, shown
    if index is not None:
        assert first.ids["log_index"] == index, shown


def test_edits_are_many() -> None:
    assert len(EDITS) >= 50


REDATED = [
    ("UPDATE ledger_transaction SET recorded_at = recorded_at - interval '30 days' WHERE id = %(id)s"),
    ("UPDATE ledger_transaction SET effective_at = effective_at + interval '1 hour' WHERE id = %(id)s"),
    ("UPDATE ledger_entry SET amount_fen = amount_fen + 1 WHERE transaction_id = %(id)s AND leg = 1"),
    ("UPDATE ledger_transaction SET reference = 'another' WHERE id = %(id)s"),
    # as JSON every writer escapes it alike: PostgreSQL, which audits the whole, and what wrote the leaf
    (r"""UPDATE ledger_transaction SET reference = E'订 "1" \\ /\t\x01\x7f\u2028é😀' WHERE id = %(id)s"""),
]


@pytest.mark.parametrize("statement", REDATED)
async def test_a_transaction_altered_together_with_its_leaf_is_found(filled: Filled, statement: str) -> None:
    """The audit of leaves is content: the leaf is that of the transaction as it is now. The log is not."""

    async def read() -> Transaction:
        async with open_pool(filled.conninfo) as pool:
            found = await get_transaction(pool, book_id=1, slots=SLOTS[:1], transaction_id=filled.transaction_id)
        assert isinstance(found, Transaction)
        return found

    async def leaves_in_doubt() -> int:
        found = (await filled.audit("leaves")).findings  # besides the leaves of no transaction that fill the log
        return sum(finding.what == "leaf_hash" for finding in found)

    filled.damage(statement, id=filled.transaction_id)
    assert await leaves_in_doubt() == 1
    assert (await filled.audit()).holds
    altered = await read()
    with psycopg.connect(filled.conninfo) as owner:
        (salt,) = filled.row(owner, f"SELECT salt FROM evidence_leaf WHERE transaction_id = '{altered.id}'")
    commitment = commit_private(salt, reference=altered.reference, request_key=altered.request_key)
    leaf = hash_leaf(canonical_bytes(leaf_facts(altered, commitment)))
    filled.damage(
        "UPDATE evidence_leaf SET leaf_hash = %(leaf)s WHERE transaction_id = %(id)s", leaf=leaf, id=altered.id
    )
    assert await leaves_in_doubt() == 0
    (finding,) = (await filled.audit()).findings
    assert (finding.what, finding.actual) == ("leaf_hash", leaf.hex())
    assert finding.ids["transaction_id"] == show_id(Prefix.TRANSACTION, altered.id)


async def test_a_whole_log_forged_under_another_key_is_found(filled: Filled) -> None:
    """Every leaf, tile, root and checkpoint fits; only the signatures are not of the log's keys."""
    with psycopg.connect(filled.conninfo) as owner:
        leaves = [
            row[0]
            for row in owner.execute(
                "SELECT leaf_hash FROM evidence_entry JOIN evidence_leaf USING (slot, transaction_id)"
                " ORDER BY log_index"
            )
        ]
        leaves[77] = b"f" * 32
        grown = grow(0, {}, leaves)
        owner.execute(f"UPDATE evidence_leaf SET leaf_hash = %s {at(77)}".encode(), (leaves[77],))
        for (level, number), hashes in grown.tiles.items():
            owner.execute(
                "UPDATE evidence_tile SET hashes = %s WHERE level = %s AND number = %s", (hashes, level, number)
            )
        for size in filled.kept:
            root = grow(0, {}, leaves[:size]).root
            note = sign_note(Checkpoint(filled.origin, size, root).text, filled.origin, [FORGER])
            owner.execute("UPDATE evidence_checkpoint SET root = %s, note = %s WHERE size = %s", (root, note, size))
        note = sign_note(Checkpoint(filled.origin, 600, grown.root).text, filled.origin, [FORGER])
        owner.execute("UPDATE evidence_log SET root = %s, note = %s", (grown.root, note))
    result = await filled.audit()
    assert {finding.what for finding in result.findings} == {"checkpoint", "head"}
    assert result.findings[0].expected == "signed by a key of the log"


async def test_checkpoints_are_gone_through_in_their_order_wherever_they_lie(made: Filled) -> None:
    """A heap has no order of its own; read by a bitmap, its rows come as they lie."""
    name = conninfo_to_dict(made.conninfo)["dbname"]
    made.damage(
        "CREATE TEMP TABLE lying ON COMMIT DROP AS SELECT * FROM evidence_checkpoint;TRUNCATE evidence_checkpoint;"
        "INSERT INTO evidence_checkpoint SELECT * FROM lying ORDER BY size DESC"
    )
    with psycopg.connect(made.conninfo, autocommit=True) as owner:
        owner.execute(f"ALTER DATABASE {name} SET enable_indexscan = off".encode())
        try:
            found = await made.audit()
            turned = [row[0] for row in owner.execute("SELECT size FROM evidence_checkpoint")]
        finally:
            owner.execute(f"ALTER DATABASE {name} RESET ALL".encode())
            made.mend()
    assert turned == sorted(made.kept, reverse=True)
    assert len(turned) > 2
    assert found.holds, found.findings
