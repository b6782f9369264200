"""Real server processes that a simulation may kill, and a connection to them that expects it."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from random import Random
from typing import NamedTuple, Protocol, TypeGuard

import httptools
from tests.town import Town, keyring_file

from kaquan import parties
from kaquan.doors.http.serve import Processes, free_port
from kaquan.doors.load import Caller, read_address
from kaquan.parties import IssuedKey, Mode, Scope
from kaquan.settings import Settings

ANSWER_S = 15.0


class Answered(NamedTuple):
    status: int
    body: bytes


def is_final(answer: Answered | None) -> TypeGuard[Answered]:
    """Whether this is what became of a request; otherwise the same key tells later."""
    return answer is not None and answer.status != 503 and b"request_in_progress" not in answer.body


class Line(Protocol):
    """What requests are sent over."""

    async def send(self, request: bytes) -> Answered | None:
        """The answer, or None when nobody knows what became of the request."""
        ...


class Wire:
    """One connection to the server; it is made again when it is lost."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._status = 0
        self._body = b""
        self._complete = False

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self._complete = True

    async def send(self, request: bytes) -> Answered | None:
        """The answer, or None when nobody knows what became of the request."""
        try:
            async with asyncio.timeout(ANSWER_S):
                if self._streams is None:
                    self._streams = await asyncio.open_connection("127.0.0.1", self._port)
                reader, writer = self._streams
                writer.write(request)
                self._body, self._complete = b"", False
                parser = httptools.HttpResponseParser(self)
                while not self._complete:
                    data = await reader.read(65_536)
                    if not data:
                        raise ConnectionResetError
                    parser.feed_data(data)
                status: int = parser.get_status_code()
                return Answered(status, self._body)
        except (OSError, TimeoutError):
            await self.close()
            return None

    async def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            with suppress(OSError):
                await self._streams[1].wait_closed()
            self._streams = None


@asynccontextmanager
async def wire_to(port: int) -> AsyncIterator[Wire]:
    """A wire, closed at the end."""
    wire = Wire(port)
    try:
        yield wire
    finally:
        await wire.close()


class Served:
    """Two server processes on a home of their own, with ``jobs`` a worker too."""

    def __init__(self, home: Path, *, jobs: bool = False) -> None:
        self._jobs = jobs
        self.settings = Settings(home=home, port=free_port("127.0.0.1"), workers=2)
        home.mkdir()
        keyring_file(self.settings.keyring_path)

    @contextmanager
    def open(self, conninfo: str) -> Iterator[None]:
        """Serve a database; what dies is started again."""
        processes = self._processes = Processes(
            self.settings, conninfo, jobs=self._jobs, log=self.settings.home / "server.log"
        )
        processes.start()
        watching = threading.Thread(target=processes.watch, daemon=True)
        watching.start()
        try:
            asyncio.run(self.ready())
            yield
        finally:
            processes.stop()
            watching.join()

    async def caller(self, town: Town) -> Caller:
        """Builds requests that may do anything in the town."""
        app = town.apps[0]
        key = await parties.issue_key(
            app.pool, app.clock, app.ids, book=town.books[Mode.LIVE], name="tills", scopes=list(Scope)
        )
        assert isinstance(key, IssuedKey)
        return Caller(read_address(f"http://127.0.0.1:{self.settings.port}"), token=key.token)

    async def ready(self) -> None:
        """Wait until the server answers that it can serve."""
        probe = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        give_up = time.monotonic() + 60
        async with self.wire() as wire:
            while True:
                answer = await wire.send(probe)
                if answer is not None and answer.status == 200:
                    break
                assert time.monotonic() < give_up, answer
                await asyncio.sleep(0.05)

    def wire(self) -> AbstractAsyncContextManager[Wire]:
        """A connection to it."""
        return wire_to(self.settings.port)

    def kill_one(self, chance: Random) -> None:
        """Kill a process of it."""
        os.kill(chance.choice(self._processes.pids), signal.SIGKILL)
