"""A seeded workload on everything at once that can go wrong between tills, servers, workers and the database.

Two installations with two server processes and a worker each share one database. Between them and the tills the
network loses answers, sends requests twice, delays them behind later ones and resets connections; tills have wrong
clocks; processes and the database are killed. The auditor knows only what tills were told. Every run has a new seed and
ends with all audits; a failure prints one line that repeats it. ``KAQUAN_REPORT`` names a file for the report (JSON);
``KAQUAN_SOAK=1`` runs for long.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from random import Random

import msgspec
import pytest
from tests.simulation.served import Answered, Line, Wire, is_final, wire_to
from tests.simulation.tills import Asked, Simulation, Victim
from tests.town import audits_hold

from kaquan.kit.clock import SystemClock

SOAK = bool(os.environ.get("KAQUAN_SOAK"))
SEED = int(os.environ.get("KAQUAN_SEED") or time.time_ns())
ROUNDS = 60 if SOAK else 2
FAULTS = {"none": 60, "lost_answer": 8, "duplicate": 8, "delay": 8, "late": 8, "reset": 8}
WRONG_CLOCK = 0.2
"""How many requests come from a till whose clock is wrong, by up to two days."""


class Report(msgspec.Struct):
    """What a run did and found."""

    seed: int
    rounds: int = 0
    operations: Counter[str] = msgspec.field(default_factory=Counter)
    answers: Counter[str] = msgspec.field(default_factory=Counter)
    faults: Counter[str] = msgspec.field(default_factory=Counter)
    unknown_settled: int = 0
    violations: list[str] = msgspec.field(default_factory=list)


class Network(Line):
    """A till's way to a server, on which anything may happen to a request or its answer."""

    def __init__(self, port: int, wire: Wire, chance: Random, report: Report) -> None:
        self.port, self.wire, self.chance, self.report = port, wire, chance, report
        self.late: list[asyncio.Task[Answered | None]] = []

    async def send(self, request: bytes) -> Answered | None:
        fault = self.chance.choices(list(FAULTS), list(FAULTS.values()))[0]
        if fault != "none":
            self.report.faults[fault] += 1
        if fault == "lost_answer":
            await self._once(request)
            return None
        if fault == "late":  # the till has given up and gone on, and then it arrives
            self.late.append(asyncio.create_task(self._once(request, after_s=self.chance.uniform(0, 0.5))))
            return None
        if fault == "reset":
            await self._reset(request[: self.chance.choice([len(request), self.chance.randrange(len(request))])])
            return None
        if fault == "delay":
            await asyncio.sleep(self.chance.uniform(0, 0.1))
        if fault == "duplicate":
            one, other = await asyncio.gather(self._once(request), self._once(request))
            if is_final(one) and is_final(other) and one != other:
                self.report.violations.append(f"one key, two answers: {one} and {other}")
            return one if is_final(one) else other
        return await self.wire.send(request)

    async def _once(self, request: bytes, after_s: float = 0) -> Answered | None:
        await asyncio.sleep(after_s)
        async with wire_to(self.port) as wire:
            return await wire.send(request)

    async def _reset(self, part: bytes) -> None:
        """Send part of a request, or all of it, and break the connection off."""
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return
        writer.write(part)
        await asyncio.sleep(self.chance.uniform(0, 0.02))
        writer.transport.abort()


class Faulty(Simulation):
    """The tills behind such a network."""

    def __init__(self, folder: Path, chance: Random, report: Report) -> None:
        super().__init__(folder, chance, servers=2, jobs=True)
        self.report = report

    def connect(self, chance: Random) -> AbstractAsyncContextManager[Line]:
        return self._network(chance.choice(self.servers).settings.port, chance)

    @asynccontextmanager
    async def _network(self, port: int, chance: Random) -> AsyncIterator[Line]:
        async with wire_to(port) as wire:
            network = Network(port, wire, chance, self.report)
            yield network
            await asyncio.gather(*network.late)

    def ask(self, kind: str, card: int, path: str, **body: object) -> Asked:
        self.report.operations[kind] += 1
        if kind in ("purchase", "authorization", "load", "refund") and self.chance.random() < WRONG_CLOCK:
            self.report.faults["wrong_clock"] += 1
            body["occurred_at"] = SystemClock().now() + timedelta(hours=self.chance.uniform(-48, 48))
        return super().ask(kind, card, path, **body)

    def play(self) -> None:
        """A round, and everything that must hold after it."""
        victim: Victim = "postgres" if self.report.rounds % 2 else "server"
        self.report.faults[f"killed_{victim}"] += 1
        before = len(self.asked)
        asyncio.run(self.round(victim))
        new = self.asked[before:]
        self.report.rounds += 1
        self.report.answers.update("not known" if one.answer is None else str(one.answer.status) for one in new)
        self.each_key_at_most_once()
        _, unknown = asyncio.run(self.ask_again(new))
        self.report.unknown_settled += unknown
        self.each_key_at_most_once()
        self.balances_add_up()
        asyncio.run(audits_hold(self.conninfo))
        assert self.report.violations == []


@pytest.mark.skipif(bool(os.environ.get("KAQUAN_TEST_DATABASE_URL")), reason="kills its own server, not yours")
def test_whatever_goes_wrong_the_book_is_right(folder: Path) -> None:
    report = Report(SEED)
    simulation = Faulty(folder, Random(SEED), report)
    try:
        with simulation.open():
            for _ in range(ROUNDS):
                simulation.play()
    except AssertionError as violation:
        report.violations.append(str(violation))
        print(f"KAQUAN_SEED={SEED} .venv/bin/pytest tests/simulation/test_simulator.py")
        raise
    finally:
        written = msgspec.json.encode(report)
        if (place := os.environ.get("KAQUAN_REPORT")) is not None:
            Path(place).write_bytes(written)
        print(written.decode())
    assert {"server", "postgres"} <= {fault.removeprefix("killed_") for fault in report.faults}
    assert report.answers["201"] > 0, "the tills could do nothing: nothing was shown"
