"""The simulator for seconds, from a new seed each time; a failure prints one line that repeats it.

``kaquan simulate`` is the same for as long as one likes; ``KAQUAN_SEED`` repeats a failure here.
"""

import asyncio
import os
import time
from pathlib import Path
from random import Random

import pytest

from kaquan.doors.simulate import Blow, Ground, Plan, simulate
from kaquan.doors.simulate.report import read_report, to_markdown
from kaquan.kit.clock import SystemClock
from kaquan.kit.ids import SystemIds

SEED = int(os.environ.get("KAQUAN_SEED") or time.time_ns() % 2**32)


@pytest.mark.skipif(bool(os.environ.get("KAQUAN_TEST_DATABASE_URL")), reason="kills its own server, not yours")
def test_whatever_goes_wrong_the_books_are_right(folder: Path) -> None:
    chance = Random(SEED)
    plan = Plan(seed=SEED, minutes=0.06, kills=2, rate_per_s=200)
    print(plan.command)  # shown when it fails
    bin_dir = os.environ.get("KAQUAN_TEST_BIN_DIR")
    ground = Ground(folder, chance, bin_dir=None if bin_dir is None else Path(bin_dir))
    with ground.open():
        report = asyncio.run(simulate(plan, ground, folder, chance=chance, clock=SystemClock(), ids=SystemIds()))
    assert report.violations == []
    assert (report.finished, report.rounds) == (True, 2)
    assert [report.faults[blow] for blow in (Blow.SERVER, Blow.POSTGRES, Blow.CLOCK, Blow.COMMITS)] == [1] * 4
    assert report.answers["201"] > 20, "the clients could do nothing: nothing was shown"
    assert all(audit.holds for audit in report.audits)
    assert report.log_size >= report.transactions > 20
    assert report.checks["keys"] > 20
    assert read_report(folder / "report.json") == report
    assert (folder / "report.md").read_text() == to_markdown(report)
