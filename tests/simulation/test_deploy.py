"""A new release goes out under load: it migrates first, and takes the place of the one before process by process."""

import asyncio
import os
import time
from pathlib import Path
from random import Random

import psycopg
import pytest
from tests.town import audits_hold

from kaquan.doors.simulate import Blow, Ground
from kaquan.doors.simulate.office import Office
from kaquan.doors.simulate.release import installed
from kaquan.doors.simulate.report import Report
from kaquan.doors.simulate.tills import Tills
from kaquan.kit.clock import SystemClock
from kaquan.kit.ids import SystemIds
from kaquan.migrations import current_revision, newest_revision

SEED = int(os.environ.get("KAQUAN_SEED") or time.time_ns() % 2**32)


@pytest.mark.skipif(bool(os.environ.get("KAQUAN_TEST_DATABASE_URL")), reason="migrates its own server, not yours")
def test_a_release_goes_out_while_tills_are_served(folder: Path) -> None:
    bin_dir, chance = os.environ.get("KAQUAN_TEST_BIN_DIR"), Random(SEED)
    print(f"KAQUAN_SEED={SEED}")  # shown when it fails
    ground = Ground(folder, chance, bin_dir=None if bin_dir is None else Path(bin_dir), servers=1)
    with ground.open():
        asyncio.run(deploy_under_load(ground, chance))
        (release,) = folder.glob("release-*")
        for server in ground.servers:
            for pid in server.pids:
                environment = Path(f"/proc/{pid}/environ").read_bytes() if Path("/proc/self").exists() else b""
                assert not environment or b"PYTHONPATH=" + str(release).encode() in environment
        asyncio.run(audits_hold(ground.conninfo))


async def deploy_under_load(ground: Ground, chance: Random) -> None:
    clock = SystemClock()
    now, before = clock.now(), installed()
    report = Report(seed=SEED, reproduce="", started_at=now, written_at=now)
    office = Office(ground, report, chance, clock=clock, rate_per_s=30, quiet=None)
    office.lanes = 4
    await ground.ready()
    await office.furnish(SystemIds(), cards=3, load_fen=1_000_000)
    assert current_revision(ground.conninfo) == before.revision == newest_revision()
    tills = Tills(office, load_fen=1_000_000)
    await tills.work(0.5, asyncio.ensure_future(ground.strike(Blow.DEPLOY)), lanes=3)
    await tills.check()
    assert report.violations == []
    assert report.answers["201"] > 20, "the tills could do nothing: nothing was shown"
    assert current_revision(ground.conninfo) == ground.release.revision == "9002"
    with psycopg.connect(ground.conninfo) as connection:
        found = connection.execute("SELECT indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
                                   " WHERE relname = 'payments_payment_release_1'").fetchone()  # fmt: skip
        assert found == (True,)
        body = connection.execute("SELECT prosrc FROM pg_proc WHERE proname = 'ledger_post_batch_v1'").fetchone()
        assert body is not None
        assert "-- release 1" in body[0]
