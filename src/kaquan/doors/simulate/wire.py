"""A client's way to a server, on which anything may happen to a request or its answer."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import NamedTuple, Protocol, TypeGuard

import httptools

ANSWER_S = 15.0
"""How long a client waits before it gives up on an answer."""

FAULTS = {"none": 60, "lost_answer": 8, "duplicate": 8, "delay": 8, "late": 8, "reset": 8}
"""What becomes of a request, in so many of a hundred cases."""


class Answered(NamedTuple):
    """An answer as its client read it."""

    status: int
    body: bytes


def is_final(answer: Answered | None) -> TypeGuard[Answered]:
    """Whether this is what became of a request; otherwise the same request, sent again, tells later."""
    return answer is not None and b'"retryable":true' not in answer.body


def is_kept(answer: Answered | None) -> TypeGuard[Answered]:
    """Whether every later sending of the same request gets this answer. What a door refuses (400) it judges anew: a
    till's clock may be wrong to one server and right to another."""
    return is_final(answer) and answer.status != 400


class Line(Protocol):
    """What requests are sent over.

    ``doubtful`` is set when a request may have arrived besides the one that was answered; whoever asks clears it.
    """

    doubtful: bool

    async def send(self, request: bytes, *, once: bool = True) -> Answered | None:
        """The answer, or None when nobody knows what became of the request.

        ``once``: the request has an idempotency key, so that it may arrive at any time and as often as it likes.
        """
        ...


class Wire(Line):
    """One sound connection to a server; it is made again when it is lost."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._body = b""
        self._complete = False
        self.doubtful = False

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self._complete = True

    async def send(self, request: bytes, *, once: bool = True) -> Answered | None:
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
                return Answered(parser.get_status_code(), self._body)
        except (OSError, TimeoutError):
            self.doubtful = True
            await self.close()
            return None

    async def close(self) -> None:
        """Let go of the connection."""
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


class FaultyLine(Line):
    """A connection that loses answers, sends requests twice, delays them behind later ones and breaks off.

    ``on_fault`` hears of each by its name, ``on_violation`` when one key was given two answers.
    """

    def __init__(
        self,
        port: int,
        wire: Wire,
        chance: Random,
        *,
        on_fault: Callable[[str], None],
        on_violation: Callable[[str], None],
    ) -> None:
        self._port, self._wire, self._chance = port, wire, chance
        self._on_fault, self._on_violation = on_fault, on_violation
        self._late: list[asyncio.Task[Answered | None]] = []
        self.doubtful = False

    async def send(self, request: bytes, *, once: bool = True) -> Answered | None:
        fault = self._chance.choices(list(FAULTS), list(FAULTS.values()))[0]
        if fault == "late" and not once:
            fault = "delay"  # without a key it would be another request
        if fault == "none":
            return await self._straight(request)
        self._on_fault(fault)
        self.doubtful = self.doubtful or fault != "delay"
        if fault == "lost_answer":
            await self._apart(request)
            return None
        if fault == "late":  # the client has given up and gone on, and then it arrives
            self._late.append(asyncio.create_task(self._apart(request, after_s=self._chance.uniform(0, 0.5))))
            return None
        if fault == "reset":
            await self._reset(request[: self._chance.choice([len(request), self._chance.randrange(len(request))])])
            return None
        if fault == "duplicate":
            one, other = await asyncio.gather(self._apart(request), self._apart(request))
            if once and is_kept(one) and is_kept(other) and one != other:
                self._on_violation(f"one key, two answers: {one} and {other}")
            return one if is_kept(one) else other
        await asyncio.sleep(self._chance.uniform(0, 0.1))
        return await self._straight(request)

    async def _straight(self, request: bytes) -> Answered | None:
        answer = await self._wire.send(request)
        self.doubtful = self.doubtful or answer is None
        return answer

    async def arrive(self) -> None:
        """Wait for what is still on its way."""
        await asyncio.gather(*self._late)

    async def _apart(self, request: bytes, after_s: float = 0) -> Answered | None:
        """Send it over a connection of its own."""
        await asyncio.sleep(after_s)
        async with wire_to(self._port) as wire:
            return await wire.send(request)

    async def _reset(self, part: bytes) -> None:
        """Send part of a request, or all of it, and break the connection off."""
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            return
        writer.write(part)
        await asyncio.sleep(self._chance.uniform(0, 0.02))
        writer.transport.abort()
