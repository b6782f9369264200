"""A database is lost, and restored from its archive: what was acknowledged by a moment is there, the rest has names."""

import asyncio
import gzip
import json
import os
import resource
import shutil
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.town import Town, keyring_file
from typer.testing import CliRunner, Result

from kaquan.app import App
from kaquan.doors.cli.entry import app
from kaquan.doors.cli.failures import sentence_of
from kaquan.kit.clock import SystemClock
from kaquan.kit.embedded import Archive, EmbeddedPostgres
from kaquan.kit.embedded.segments import segment_name, segment_number
from kaquan.kit.ids import Prefix, show_id
from kaquan.migrations import migrate
from kaquan.settings import Settings

pytestmark = pytest.mark.skipif(
    bool(os.environ.get("KAQUAN_TEST_DATABASE_URL")), reason="archives its own server, not yours"
)


class Lost:
    """A home that was destroyed, its archive, and what its clients were told."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / "home"
        self.archive = root / "archive"
        self.told: list[tuple[datetime, str]] = []
        self.moment: datetime
        self.ended: datetime

    def acknowledged(self, *, by: datetime) -> set[str]:
        return {id_ for at, id_ in self.told if at <= by}

    def acknowledged_after(self, moment: datetime) -> set[str]:
        return {id_ for at, id_ in self.told if at > moment}

    # The life of the home

    def live_and_die(self) -> None:
        self.home.mkdir(mode=0o711)
        keyring_file(self.home / "keyring.json")
        server = EmbeddedPostgres(self.home / "postgres")
        with server:
            migrate(server.conninfo())
            asyncio.run(self._found(server.conninfo()))
            assert "is running" in self.sentence("db", "archive", str(self.archive))
        assert not self.archive.exists()
        begun = self.document("db", "archive", str(self.archive))
        assert begun["archive"] == str(self.archive)
        with server:
            asyncio.run(self._trade(server.conninfo(), 12))
            self.document("db", "backup", "--base")
            asyncio.run(self._trade(server.conninfo(), 12))
            self.moment = datetime.now(UTC)
            asyncio.run(self._trade(server.conninfo(), 12))
            for _ in range(2):
                self._switch(server)
                asyncio.run(self._trade(server.conninfo(), 6))
            self.ended = datetime.now(UTC)
            self._switch(server)
            pid = server.status().pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.home)

    async def _found(self, conninfo: str) -> None:
        town = await Town.found(conninfo, clock=SystemClock())
        self.cards = [await town.new_card() for _ in range(3)]
        self.town = town
        await town.close()

    async def _trade(self, conninfo: str, count: int) -> None:
        """Loads and purchases, and when each was told that it was done."""
        town = Town(conninfo, [await App.open(Settings(home=self.home), conninfo)])
        town.books, town.places = self.town.books, self.town.places

        async def till(card: int) -> None:
            for _ in range(count // len(self.cards) + 1):
                for ask in (town.load(self.cards[card], 500), town.purchase(self.cards[card], 499)):
                    told = await ask
                    assert told.status == 201, told
                    self.told.append((datetime.now(UTC), show_id(Prefix.TRANSACTION, told.payment_id)))

        await asyncio.gather(*(till(card) for card in range(len(self.cards))))
        await town.close()

    def _switch(self, server: EmbeddedPostgres) -> None:
        """What happens each minute: the segment is closed and kept. Waits until it is."""
        with psycopg.connect(server.conninfo(), autocommit=True) as connection:
            row = connection.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone()
        assert row is not None
        kept = self.archive / "wal" / f"{row[0]}.gz"
        give_up = time.monotonic() + 20
        while not kept.exists():
            assert time.monotonic() < give_up, "the segment was not kept"
            time.sleep(0.02)

    # Commands

    def kaquan(self, *arguments: str, home: Path | None = None) -> Result:
        """A command, in this process: its modules take longer to load than most of it to run."""
        env = {name: None for name in os.environ if name.startswith("KAQUAN_")} | {
            "KAQUAN_HOME": str(home or self.home)
        }
        return CliRunner().invoke(app, arguments, env=env)

    def document(self, *arguments: str, home: Path | None = None) -> Any:
        done = self.kaquan(*arguments, "--json", home=home)
        assert done.exit_code == 0, (done.stderr, done.exception)
        return json.loads(done.stdout)

    def sentence(self, *arguments: str, home: Path | None = None) -> str:
        done = self.kaquan(*arguments, home=home)
        assert (done.exit_code, done.stdout) == (1, ""), done
        assert done.exception is not None
        told = sentence_of(done.exception)
        assert told is not None
        assert "\n" not in told
        return told

    def restore(self, into: Path, to: str = "latest", archive: Path | None = None) -> Any:
        return self.document("db", "restore", str(into), "--from", str(archive or self.archive), "--to", to)

    def refused_restore(self, into: Path, to: str = "latest", archive: Path | None = None) -> str:
        told = self.sentence("db", "restore", str(into), "--from", str(archive or self.archive), "--to", to)
        assert not (into / "postgres").exists(), "nothing stays of it"
        return told


@pytest.fixture(scope="module")
def lost(folder: Path) -> Iterator[Lost]:
    lost = Lost(folder)
    lost.live_and_die()
    yield lost
    shutil.rmtree(folder)


def transactions(server: EmbeddedPostgres) -> set[str]:
    """What purchases and loads a database has."""
    with psycopg.connect(server.conninfo()) as connection:
        rows = connection.execute("SELECT id FROM ledger_transaction").fetchall()
    return {show_id(Prefix.TRANSACTION, id_) for (id_,) in rows}


def test_restored_to_a_moment(lost: Lost) -> None:
    then, later = lost.root / "then", lost.root / "later"
    done = lost.restore(then, lost.moment.isoformat())
    assert datetime.fromisoformat(done["last_transaction_at"]) <= lost.moment
    assert done["keyring"] == str(then / "keyring.json")
    lost.restore(later)
    keyring_file(then / "keyring.json")
    with EmbeddedPostgres(then / "postgres") as restored, EmbeddedPostgres(later / "postgres") as whole:
        # nothing was under way at that moment, so that neither more nor less is there
        assert transactions(restored) == lost.acknowledged(by=lost.moment)
        assert transactions(whole) == lost.acknowledged(by=lost.ended)
        assert lost.document("audit", home=then)["holds"] is True

        # what came after has names: from a copy that has it, and from what clients were told
        after = lost.acknowledged_after(lost.moment)
        named = lost.document("db", "missing", str(later), home=then)
        assert {one["id"] for one in named} == after
        assert [one["recorded_at"] for one in named] == sorted(one["recorded_at"] for one in named)
        assert {one["kind"] for one in named} == {"load", "purchase"}
        assert lost.document("db", "missing", str(then), home=later) == []
        receipts = lost.root / "receipts"
        receipts.write_text("\n".join(id_ for _, id_ in lost.told))
        assert {one["id"] for one in lost.document("db", "missing", str(receipts), home=then)} == after
        receipts.write_text("txn_1")
        assert "line 1: must be an id" in lost.sentence("db", "missing", str(receipts), home=then)
        onto = lost.sentence("db", "restore", str(then), "--from", str(lost.archive))
        assert "is not empty" in onto

    # the restored server begins an archive of its own
    assert lost.document("db", "status", home=then)["archive"] is None
    begun = lost.document("db", "archive", str(lost.root / "next"), home=then)
    again = lost.restore(lost.root / "again", archive=lost.root / "next")
    assert again["base"] == begun["base"]
    with EmbeddedPostgres(lost.root / "again" / "postgres") as server:
        assert transactions(server) == lost.acknowledged(by=lost.moment)


def test_an_archive_says_what_it_holds(lost: Lost) -> None:
    found = lost.document("db", "backup", "--verify", str(lost.archive))
    assert found["sound"] is True
    assert (len(found["bases"]), found["missing"], found["damaged"]) == (2, None, [])
    assert found["segments"] >= 3
    assert datetime.fromisoformat(found["since"]) < lost.moment < datetime.fromisoformat(found["archived_at"])


def test_moments_that_cannot_be_restored(lost: Lost) -> None:
    into = lost.root / "never"
    assert "No base backup had ended by then" in lost.refused_restore(into, "2020-01-01T00:00:00+08:00")
    told = lost.refused_restore(into, (lost.ended + timedelta(days=1)).isoformat())
    assert "The archive ends before that moment, with the transaction of 20" in told
    assert "a time with its zone" in lost.refused_restore(into, "2026-03-01T12:00:00")
    assert "a time with its zone" in lost.refused_restore(into, "yesterday")
    assert "holds no base backup" in lost.refused_restore(into, archive=lost.root)
    assert not into.exists()
    into.mkdir()
    (into / "kept").write_text("")
    assert "is not empty" in lost.refused_restore(into)
    assert [path.name for path in into.iterdir()] == ["kept"]


def test_a_log_that_is_not_whole(lost: Lost) -> None:
    """A gap or damage refuses what comes after it and nothing before."""
    copy, into = lost.root / "copy", lost.root / "spoilt"
    shutil.copytree(lost.archive, copy)
    bases = sorted(copy.glob("base/*/base.json"))
    first = json.loads(bases[-1].read_text())["first_segment"]
    spoilt = copy / "wal" / f"{segment_name(1, segment_number(first) + 2)}.gz"
    whole = spoilt.read_bytes()
    spoilt.write_bytes(whole[:-5] + bytes(5))
    damaged = lost.kaquan("db", "backup", "--verify", str(copy), "--json")
    assert damaged.exit_code == 1
    assert json.loads(damaged.stdout)["damaged"] == [f"wal/{spoilt.name}"]
    assert f"lacks the segment {spoilt.stem}" in lost.refused_restore(into, archive=copy)
    spoilt.unlink()
    gap = lost.kaquan("db", "backup", "--verify", str(copy), "--json")
    assert gap.exit_code == 1
    assert json.loads(gap.stdout)["missing"] == spoilt.stem
    assert f"lacks the segment {spoilt.stem}" in lost.refused_restore(into, archive=copy)
    assert f"lacks the segment {spoilt.stem}" in lost.refused_restore(into, lost.ended.isoformat(), archive=copy)
    lost.restore(into, lost.moment.isoformat(), archive=copy)
    shutil.rmtree(into)

    # a segment that was damaged before it was kept has a right checksum, and the server cannot read it
    written = bytearray(gzip.decompress(whole))
    written[8_192:16_384] = bytes(8_192)
    spoilt.write_bytes(gzip.compress(written, compresslevel=1))
    assert "cannot be replayed beyond 20" in lost.refused_restore(into, archive=copy)

    facts = json.loads(bases[-1].read_text())
    bases[-1].write_text(json.dumps(facts | {"postgres": "9"}))
    assert "made by PostgreSQL 9 and this is PostgreSQL 1" in lost.refused_restore(into, lost.ended.isoformat(), copy)
    (bases[-1].parent / "data" / "PG_VERSION").write_text("19\n")
    found = lost.kaquan("db", "backup", "--verify", str(copy), "--json")
    assert json.loads(found.stdout)["damaged"] == [f"base/{bases[-1].parent.name}"]
    assert [base.name for base in Archive(copy).keep(1)] == [bases[0].parent.name]
    assert Archive(copy).segments()[0] == first
    assert not bases[0].exists()
    assert [path.name for path in (copy / "base").iterdir()] == [bases[-1].parent.name]


def test_a_disk_that_takes_no_more(lost: Lost) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, hard))
    try:
        told = lost.refused_restore(lost.root / "full")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "The base backup cannot be copied to" in told
    assert "File too large" in told


def test_places_that_cannot_be_an_archive(lost: Lost, tmp_path: Path) -> None:
    home = lost.root / "small"
    assert "There is no database" in lost.sentence("db", "archive", str(tmp_path / "a"), home=home)
    assert "keeps no archive" in lost.sentence("db", "backup", "--base", home=home)
    (tmp_path / "kept").write_text("")
    assert "holds no database" in lost.sentence("db", "missing", str(tmp_path), home=home)
    assert "is no archive" in lost.sentence("db", "backup", "--verify", str(tmp_path), home=home)
