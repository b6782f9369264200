"""A database server and two installations on it, each with server processes and a worker: all of it may be killed."""

import asyncio
import math
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Any

from kaquan.doors.http.serve import Processes, ServeError, free_port
from kaquan.doors.simulate import store
from kaquan.doors.simulate.release import Release, installed, make_next, migrate_with
from kaquan.doors.simulate.wire import ANSWER_S, Answered, Wire, wire_to
from kaquan.kit.embedded import EmbeddedPostgres
from kaquan.migrations import current_revision, migrate
from kaquan.settings import Settings
from kaquan.vault import Keyring

SLOTS = (3, 40)
"""Two, so that value moves between slots."""

READY_S = 120.0
DOWN_S = 0.5
"""How long a killed database is away at the most before it is started again."""

JUMP_S = 45.0
"""By how much the clock of a server is wrong at the most, either way."""

HARD_S = 2.0
"""How long commits are slow, or the disk takes no more, at the most."""

SLOW_COMMIT_US = 100_000
"""By how much every commit is delayed then: what PostgreSQL allows."""

PRLIMIT = shutil.which("prlimit")
"""The program that limits the files of other processes; Linux has it."""

FULL_BYTES = 1 << 20
"""No file of the database may be written beyond this size while its disk is full."""

_PROBE = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Blow(StrEnum):
    """What is done to an installation, as the report calls it."""

    SERVER = "killed_server"
    WORKER = "killed_worker"
    POSTGRES = "killed_postgres"
    BACKEND = "killed_backend"
    CLOCK = "clock_jump"
    COMMITS = "slow_commits"
    DISK = "full_disk"
    DEPLOY = "deploy"


class GroundError(Exception):
    """Nothing can be simulated; the message says why."""


class Served:
    """Server processes on a home of their own, with ``jobs`` a worker too; what dies is started again."""

    def __init__(self, home: Path, *, processes: int = 2, jobs: bool = False) -> None:
        self._jobs = jobs
        self.settings = Settings(
            home=home, port=free_port("127.0.0.1"), workers=processes, pool_size=4, clock_offset=home / "clock-offset"
        )
        home.mkdir()

    @contextmanager
    def open(self, conninfo: str) -> Iterator[None]:
        """Serve a database."""
        log = self.settings.home / "server.log"
        self._processes = Processes(self.settings, conninfo, jobs=self._jobs, log=log)
        self._processes.environment |= {
            "KAQUAN_MAX_WRONG_NUMBERS": "100000",  # wrong PINs are part of the plan
            "KAQUAN_WEBHOOK_PRIVATE": "true",  # who is told of events is on this machine
        }
        self.failure: ServeError | None = None
        self._processes.start()
        watching = threading.Thread(target=self._watch, daemon=True)
        watching.start()
        try:
            yield
        finally:
            self._processes.stop()
            watching.join()

    def _watch(self) -> None:
        try:
            self._processes.watch()
        except ServeError as error:
            self.failure = error

    async def ready(self) -> None:
        """Wait until the server answers that it can serve. Raises GroundError if it does not."""
        give_up = time.monotonic() + READY_S
        answer: Answered | None = None
        async with self.wire() as wire:
            while answer is None or answer.status != 200:
                if self.failure is not None or time.monotonic() > give_up:
                    raise GroundError(f"A server is not ready again: {self.failure or answer}")
                await asyncio.sleep(0.05)
                answer = await wire.send(_PROBE)

    @property
    def pids(self) -> Sequence[int]:
        """Its processes, the worker last."""
        return self._processes.pids

    def wire(self) -> AbstractAsyncContextManager[Wire]:
        """A sound connection to it."""
        return wire_to(self.settings.port)

    def kill(self, chance: Random, *, worker: bool = False) -> None:
        """Kill one of the processes, or the worker."""
        pids = self._processes.pids
        os.kill(pids[-1] if worker else chance.choice(pids[: self.settings.processes]), signal.SIGKILL)

    def shift_clock(self, seconds: float) -> None:
        """From now on the clock of its processes is wrong by so much."""
        assert self.settings.clock_offset is not None
        new = self.settings.clock_offset.with_suffix(".new")
        new.write_text(str(seconds))
        new.replace(self.settings.clock_offset)

    async def replace(self, release: Release) -> None:
        """Stop its processes in order, one after the other, each when that of ``release`` serves in place of the one
        before."""
        self._processes.environment |= release.environment()
        for place in range(len(self._processes.pids)):
            pid = self._processes.pids[place]
            os.kill(pid, signal.SIGTERM)
            give_up = time.monotonic() + READY_S
            while place >= len(self._processes.pids) or self._processes.pids[place] == pid:
                if time.monotonic() > give_up:
                    raise GroundError(f"A process did not stop: {pid}")
                await asyncio.sleep(0.05)
            await self.ready()


class Ground:
    """Everything that a simulation runs on, in ``folder``, which must be empty and open to the database's user."""

    def __init__(self, folder: Path, chance: Random, *, bin_dir: Path | None = None, servers: int = 2) -> None:
        self._chance = chance
        self.postgres = EmbeddedPostgres(folder / "postgres", bin_dir=bin_dir)
        self.servers = [Served(folder / f"home-{number}", processes=1, jobs=True) for number in range(servers)]
        self.conninfo: str
        self.release = installed()
        self.migrated_again = 0
        self._folder = folder
        self._full_until = 0.0

    @contextmanager
    def open(self) -> Iterator[None]:
        """Start everything, and stop it at the end."""
        first, *others = (server.settings.keyring_path for server in self.servers)
        Keyring.create(first)
        for other in others:
            shutil.copy(first, other)
        with self.postgres:
            self.conninfo = self.postgres.conninfo()
            migrate(self.conninfo, slots=SLOTS)
            with ExitStack() as running:
                for server in self.servers:
                    running.enter_context(server.open(self.conninfo))
                yield

    async def ready(self) -> None:
        """Wait until every server can serve."""
        for server in self.servers:
            await server.ready()

    async def strike(self, blow: Blow) -> None:
        """Do one of these things to it; afterwards, and after a moment, it can work again."""
        server = self._chance.choice(self.servers)
        if blow is Blow.SERVER or blow is Blow.WORKER:
            server.kill(self._chance, worker=blow is Blow.WORKER)
        elif blow is Blow.BACKEND:  # the database server ends every session then, and recovers
            backends = await asyncio.to_thread(store.read_backends, self.conninfo)
            os.kill(self._chance.choice(backends), signal.SIGKILL)
        elif blow is Blow.POSTGRES:
            os.kill(self._postmaster(), signal.SIGKILL)
            await asyncio.sleep(self._chance.uniform(0, DOWN_S))
            await asyncio.to_thread(self.postgres.start)
        elif blow is Blow.CLOCK:
            server.shift_clock(self._chance.uniform(-JUMP_S, JUMP_S))
        elif blow is Blow.COMMITS:
            await asyncio.to_thread(store.delay_commits, self.conninfo, delay_us=SLOW_COMMIT_US)
            await asyncio.sleep(self._chance.uniform(0.5, 1) * HARD_S)
            await asyncio.to_thread(store.delay_commits, self.conninfo, delay_us=0)
        elif blow is Blow.DISK:
            await self._fill_disk()
        else:
            await self._deploy()

    async def _deploy(self) -> None:
        """Migrate with the next release while the one before serves, then replace its processes one after the other."""
        before, folder = self.release, self._folder / f"release-{self.release.number + 1}"
        release = await asyncio.to_thread(make_next, before, folder)
        give_up = time.monotonic() + READY_S
        home = self.servers[0].settings.home
        while (failure := await asyncio.to_thread(migrate_with, release, self.conninfo, home=home)) is not None:
            if time.monotonic() > give_up:
                raise GroundError(f"A release could not migrate: {failure}")
            self.migrated_again += 1  # it waited too long for a lock, or the database was away
        found = await asyncio.to_thread(current_revision, self.conninfo)
        if found != release.revision:
            raise GroundError(f"A release migrated to {found} and not to {release.revision}")
        # those of the release before serve on, and one that dies now begins on the newer schema
        self._chance.choice(self.servers).kill(self._chance)
        await self.ready()
        for one in self.servers:
            await one.replace(release)
        self.release = release
        if before.number:
            await asyncio.to_thread(shutil.rmtree, before.folder)

    def _postmaster(self) -> int:
        pid = self.postgres.status().pid
        assert pid is not None
        return pid

    async def _fill_disk(self) -> None:
        """Let the database write nothing more for a time, and start it again if it could not live with that.

        The limit on the size of files is that of its processes: what is refused to them is refused as by a full disk.
        """
        self._full_until = math.inf
        await asyncio.to_thread(self._limit_files, str(FULL_BYTES))
        await asyncio.sleep(self._chance.uniform(0.5, 1) * HARD_S)
        await asyncio.to_thread(self._limit_files, "unlimited")
        await asyncio.to_thread(self.postgres.start)
        self._full_until = time.monotonic() + ANSWER_S

    @property
    def is_full(self) -> bool:
        """Whether an answer that comes now may be of a time at which the disk was full."""
        return time.monotonic() < self._full_until

    def _limit_files(self, size: str) -> None:
        """How large the database server, its sessions and those to come may write files."""
        owner = self.postgres.data.stat()
        account: dict[str, Any] = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
        for pid in self._database_processes():  # one that has ended meanwhile needs no limit
            subprocess.run(  # noqa: S603
                [str(PRLIMIT), "--pid", str(pid), f"--fsize={size}:"],
                capture_output=True,
                check=False,
                **(account if os.geteuid() == 0 else {}),
            )

    def _database_processes(self) -> list[int]:
        """The database server, then its sessions and what else works for it."""
        pid = self.postgres.status().pid
        if pid is None:
            return []
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        except OSError:
            return []
        return [pid, *map(int, children.split())]
