"""A run: rounds of work with a kill in each, checks after each, all audits at the end."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

from kaquan.audit import AuditReport, run_audits
from kaquan.audit.types import Finding
from kaquan.doors.load import latency_of
from kaquan.doors.simulate import store
from kaquan.doors.simulate.ground import PRLIMIT, Blow, Ground, GroundError
from kaquan.doors.simulate.office import Office, ViolationError
from kaquan.doors.simulate.report import AuditSeen, Report, write_report
from kaquan.doors.simulate.telling import Stories
from kaquan.doors.simulate.tills import Tills
from kaquan.doors.simulate.wire import wire_to
from kaquan.evidence import compare_checkpoint, get_head, get_keys, open_checkpoint
from kaquan.kit.clock import Clock
from kaquan.kit.db import open_pool
from kaquan.kit.ids import Ids

CARDS = 8
LOAD_FEN = 100_000_000
TILLS = 6
STORYTELLERS = 4
AUDIT_SHARE = 20
"""Audits during a run take at most one part in so many of its time."""

PATIENT_MINUTES = 0.5
"""A shorter run does not wait for workers, who look for some things every minute only."""

KEPT_CHECKPOINTS = 200
LOG_S = 90.0
"""Within this time after the last transaction the log holds all of them."""

KILLS = (Blow.SERVER, Blow.POSTGRES, Blow.WORKER, Blow.SERVER, Blow.BACKEND, Blow.POSTGRES, Blow.WORKER)
"""What is killed, in turn, one in each round."""

HARDSHIPS = (Blow.CLOCK, Blow.COMMITS, Blow.DEPLOY, Blow.CLOCK, *([Blow.DISK] if PRLIMIT else []))
"""What happens besides, in turn, after the kill."""


class Plan:
    """What a run is to do: for how long, how often it kills, and how much it asks in a second."""

    def __init__(self, *, seed: int, minutes: float, kills: int, rate_per_s: float, quiet: Path | None = None) -> None:
        self.seed, self.minutes, self.kills, self.rate_per_s, self.quiet = seed, minutes, kills, rate_per_s, quiet

    @property
    def command(self) -> str:
        """What begins the same run again."""
        return (
            f"kaquan simulate --seed {self.seed} --minutes {self.minutes:g} --kills {self.kills}"
            f" --rate {self.rate_per_s:g}"
        )


async def simulate(plan: Plan, ground: Ground, results: Path, *, chance: Random, clock: Clock, ids: Ids) -> Report:
    """Run on a ground that is open. The report is in ``results`` all the time, anew after each round."""
    now = clock.now()
    report = Report(seed=plan.seed, reproduce=plan.command, started_at=now, written_at=now)
    run = _Run(plan, ground, report, results, chance=chance, clock=clock)
    await ground.ready()
    await run.office.furnish(ids, cards=CARDS, load_fen=LOAD_FEN)
    try:
        await run.go()
    except (ViolationError, GroundError) as violation:
        report.violations.append(str(violation))
    except BaseExceptionGroup as group:
        expected, others = group.split((ViolationError, GroundError))
        if others is not None:
            raise
        report.violations += [str(violation) for violation in _leaves(expected)]
    finally:
        run.write()
    report.finished = True
    run.write()
    return report


class _Run:
    def __init__(
        self, plan: Plan, ground: Ground, report: Report, results: Path, *, chance: Random, clock: Clock
    ) -> None:
        self.plan, self.ground, self.report, self.results = plan, ground, report, results
        self.chance, self.clock = chance, clock
        self.office = Office(ground, report, chance, clock=clock, rate_per_s=plan.rate_per_s, quiet=plan.quiet)
        self.office.lanes = TILLS + STORYTELLERS + 1
        self.checkpoints: list[str] = []
        self._audited_at = time.monotonic()
        self._audit_s = 0.0

    async def go(self) -> None:
        """Every round, and the end."""
        tills, stories = (
            Tills(self.office, load_fen=LOAD_FEN),
            Stories(self.office, patient=self.plan.minutes >= PATIENT_MINUTES),
        )
        telling = [asyncio.create_task(stories.tell()) for _ in range(STORYTELLERS)]
        try:
            for number in range(self.plan.kills):
                await self._round(tills, stories, number)
                for task in telling:
                    if task.done():
                        task.result()
                if self.report.violations:
                    return
            stories.stopping = True
            await asyncio.gather(*telling)
        finally:
            for task in telling:
                task.cancel()
            await asyncio.gather(*telling, return_exceptions=True)
        async with wire_to(self.ground.servers[0].settings.port) as line:
            await stories.check(line)
        await self._log_goes_on()
        await self._audit(final=True)

    async def _round(self, tills: Tills, stories: Stories, number: int) -> None:
        seconds = self.plan.minutes * 60 / self.plan.kills
        striking = asyncio.create_task(
            self._strike(
                (KILLS[number % len(KILLS)], seconds * self.chance.uniform(0.1, 0.4)),
                (HARDSHIPS[number % len(HARDSHIPS)], seconds * self.chance.uniform(0.2, 0.4)),
            )
        )
        await tills.work(seconds, striking, lanes=TILLS)
        await striking
        await self.ground.ready()
        await tills.check()
        async with wire_to(self.chance.choice(self.ground.servers).settings.port) as line:
            await stories.check(line, at_most=10)
        self.report.rounds += 1
        await self._keep_checkpoint()
        self.report.transactions = await asyncio.to_thread(store.count_transactions, self.ground.conninfo)
        if time.monotonic() - self._audited_at > AUDIT_SHARE * self._audit_s:
            await self._audit()
        self.write()

    async def _strike(self, *blows: tuple[Blow, float]) -> None:
        """One blow after the other, each so many seconds after the one before."""
        for blow, after_s in blows:
            await asyncio.sleep(after_s)
            await self.office.pause()
            self.office.struck(blow)
            await self.ground.strike(blow)
        self.report.checks["migrations"] = self.ground.release.number
        self.report.checks["migrations_run_again"] = self.ground.migrated_again

    async def _audit(self, *, final: bool = False) -> None:
        """Every audit, the log's too."""
        started = time.monotonic()
        await asyncio.to_thread(store.wait_until_it_answers, self.ground.conninfo)
        found: AuditReport = await run_audits(self.ground.conninfo)
        self._audit_s, self._audited_at = time.monotonic() - started, time.monotonic()
        self.report.checks["audits"] += len(found.audits)
        self.report.audits = [AuditSeen(one.name, one.holds, one.checked) for one in found.audits]
        for audit in found.audits:
            known = [finding for finding in audit.findings if not final and self._is_known(audit.name, finding)]
            if audit.finding_count > len(known):
                shown = "; ".join(str(finding) for finding in audit.findings if finding not in known)
                self.office.violated(f"the audit {audit.name} has {audit.finding_count} findings: {shown[:1_000]}")

    def _is_known(self, audit: str, finding: Finding) -> bool:
        """Whether a story that goes on lets value lie until two have released it: the audit is there to tell of it."""
        return audit == "left_behind" and finding.ids.get("card_id") in self.office.left_behind

    async def _keep_checkpoint(self) -> None:
        """Keep the newest checkpoint, as an outsider does."""
        async with wire_to(self.ground.servers[0].settings.port) as line:
            answer = await line.send(b"GET /log/checkpoint HTTP/1.1\r\nHost: localhost\r\n\r\n")
        if answer is not None and answer.status == 200:
            self.checkpoints.append(answer.body.decode())
            self.report.log_size = int(self.checkpoints[-1].splitlines()[1])
        if len(self.checkpoints) > KEPT_CHECKPOINTS:
            self.checkpoints.remove(self.chance.choice(self.checkpoints))

    async def _log_goes_on(self) -> None:
        """The log begins with every checkpoint that it ever gave out, and in the end holds every transaction."""
        self.report.transactions = await asyncio.to_thread(store.count_transactions, self.ground.conninfo)
        async with open_pool(self.ground.conninfo) as pool:
            give_up = time.monotonic() + LOG_S
            while ((head := await get_head(pool)) is None) or head.size < self.report.transactions:
                if time.monotonic() > give_up:
                    raise ViolationError(f"the log lacks transactions after {LOG_S:.0f} s: {head}")
                await asyncio.sleep(0.5)
            keys = await get_keys(pool)
            for note in self.checkpoints:
                found = await compare_checkpoint(pool, open_checkpoint(note, keys))
                self.report.checks["checkpoints"] += 1
                self.report.log_size = found.size
                if not found.holds:
                    raise ViolationError(f"the log contradicts a checkpoint that it gave out: {found}")

    def write(self) -> None:
        """Leave the report as it is now."""
        self.report.written_at = self.clock.now()
        self.report.latency = latency_of(self.office.times_ns) if self.office.times_ns else None
        write_report(self.report, self.results)


def _leaves(group: BaseException | None) -> Sequence[BaseException]:
    if isinstance(group, BaseExceptionGroup):
        return [leaf for one in group.exceptions for leaf in _leaves(one)]
    return [] if group is None else [group]
