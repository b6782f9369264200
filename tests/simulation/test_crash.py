"""Kill the server or the database at random moments under load; afterwards every acknowledgement was true.

``KAQUAN_SOAK=1`` (``make soak``) runs 24 rounds from a new seed; ``KAQUAN_SEED`` repeats one. The seed decides what is
asked and when something is killed; when the operating system then runs whom is its own affair.
"""

import asyncio
import os
import time
from pathlib import Path
from random import Random

import pytest
from tests.simulation.tills import Simulation, Victim
from tests.town import audits_hold

SOAK = bool(os.environ.get("KAQUAN_SOAK"))
SEED = int(os.environ.get("KAQUAN_SEED") or (time.time_ns() if SOAK else 20_260_301))
ROUNDS = 24 if SOAK else 3


@pytest.mark.skipif(bool(os.environ.get("KAQUAN_TEST_DATABASE_URL")), reason="kills its own server, not yours")
def test_what_was_acknowledged_is_there_once(folder: Path) -> None:
    print(f"KAQUAN_SEED={SEED}")  # shown when it fails
    simulation = Simulation(folder, Random(SEED))
    with simulation.open():
        shown = 0
        for number in range(ROUNDS):
            victim: Victim = "postgres" if number % 2 else "server"
            before = len(simulation.asked)
            asyncio.run(simulation.round(victim))
            new = simulation.asked[before:]
            acknowledged = sum(asked.answer is not None for asked in new)
            simulation.each_key_at_most_once()
            known, unknown = asyncio.run(simulation.ask_again(new))
            simulation.each_key_at_most_once()
            assert asyncio.run(simulation.ask_again(new)) == (known + unknown, 0)
            simulation.balances_add_up()
            asyncio.run(audits_hold(simulation.conninfo))
            print(f"round {number}: {victim} killed, {acknowledged} acknowledged, {unknown} not known")
            shown += acknowledged
        assert shown > 20 * ROUNDS, "the tills could hardly work: nothing was shown"
        assert asyncio.run(simulation.ask_again(simulation.asked)) == (len(simulation.asked), 0)
