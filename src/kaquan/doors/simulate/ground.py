"""A database server and two installations on it, each with server processes and a worker: all of it may be killed."""

import asyncio
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from random import Random

from kaquan.doors.http.serve import Processes, ServeError, free_port
from kaquan.doors.simulate import store
from kaquan.doors.simulate.wire import Answered, Wire, wire_to
from kaquan.kit.embedded import EmbeddedPostgres
from kaquan.migrations import migrate
from kaquan.settings import Settings
from kaquan.vault import Keyring

SLOTS = (3, 40)
"""Two, so that value moves between slots."""

READY_S = 60.0
DOWN_S = 0.5
"""How long a killed database is away at the most before it is started again."""

_PROBE = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Victim(StrEnum):
    """What is killed, with SIGKILL: a server process, a worker, the database server, one session of it."""

    SERVER = "server"
    POSTGRES = "postgres"
    WORKER = "worker"
    BACKEND = "backend"


class GroundError(Exception):
    """Nothing can be simulated; the message says why."""


class Served:
    """Server processes on a home of their own, with ``jobs`` a worker too; what dies is started again."""

    def __init__(self, home: Path, *, processes: int = 2, jobs: bool = False) -> None:
        self._jobs = jobs
        self.settings = Settings(home=home, port=free_port("127.0.0.1"), workers=processes, pool_size=4)
        home.mkdir()

    @contextmanager
    def open(self, conninfo: str) -> Iterator[None]:
        """Serve a database."""
        log = self.settings.home / "server.log"
        self._processes = Processes(self.settings, conninfo, jobs=self._jobs, log=log)
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

    def wire(self) -> AbstractAsyncContextManager[Wire]:
        """A sound connection to it."""
        return wire_to(self.settings.port)

    def kill(self, chance: Random, *, worker: bool = False) -> None:
        """Kill one of the processes, or the worker."""
        pids = self._processes.pids
        os.kill(pids[-1] if worker else chance.choice(pids[: self.settings.processes]), signal.SIGKILL)


class Ground:
    """Everything that a simulation runs on, in ``folder``, which must be empty and open to the database's user."""

    def __init__(self, folder: Path, chance: Random, *, bin_dir: Path | None = None, processes: int = 1) -> None:
        self._chance = chance
        self.postgres = EmbeddedPostgres(folder / "postgres", bin_dir=bin_dir)
        self.servers = [Served(folder / f"home-{number}", processes=processes, jobs=True) for number in range(2)]
        self.conninfo: str

    @contextmanager
    def open(self) -> Iterator[None]:
        """Start everything, and stop it at the end."""
        first, second = (server.settings.keyring_path for server in self.servers)
        Keyring.create(first)
        shutil.copy(first, second)
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

    async def kill(self, victim: Victim) -> None:
        """Kill one thing; the database is started again after a moment."""
        if victim is Victim.SERVER or victim is Victim.WORKER:
            self._chance.choice(self.servers).kill(self._chance, worker=victim is Victim.WORKER)
        elif victim is Victim.BACKEND:  # the database server ends every session then, and recovers
            backends = await asyncio.to_thread(store.read_backends, self.conninfo)
            os.kill(self._chance.choice(backends), signal.SIGKILL)
        else:
            pid = self.postgres.status().pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(self._chance.uniform(0, DOWN_S))
            await asyncio.to_thread(self.postgres.start)
