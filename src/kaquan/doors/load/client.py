"""Connections that are never idle: each sends its next request as soon as the last one was answered."""

import asyncio
import time
from collections import Counter
from typing import Protocol, cast

import httptools

from kaquan.doors.load.request import Address
from kaquan.doors.load.result import NO_ANSWER, LoadResult, latency_of

UNAVAILABLE = 503
DEFAULT_RETRY_AFTER_S = 1.0
"""How long to wait after a 503 that does not say."""

RECONNECT_PAUSE_S = 0.05


class LoadError(Exception):
    """No connection to the server could be made; the message says why."""


class Feed(Protocol):
    """Decides what each lane sends, and hears what came of it. Both calls are on the hot path."""

    def next(self, lane: int) -> bytes | None:
        """The next request of ``lane``, or None when it has sent all it had."""
        ...

    def answered(self, lane: int, status: int, body: bytes, latency_ns: int) -> None:
        """The request that :meth:`next` gave last for ``lane`` was answered.

        ``latency_ns`` runs from the first time it was sent to this answer. ``status`` is NO_ANSWER when the
        client gave up; ``body`` then is the reason, and nothing is known about what the server did.
        """
        ...


async def run_load(
    address: Address,
    feed: Feed,
    *,
    lanes: int,
    seconds: float | None = None,
    warm_up_s: float = 0.0,
    resends: int = 10,
    answer_timeout_s: float = 30.0,
) -> LoadResult:
    """Send what ``feed`` gives over ``lanes`` connections, to its end or for ``seconds`` after ``warm_up_s``.

    A request answered 503 is sent again, byte for byte, when Retry-After has passed; so is one whose
    connection was lost before its answer: both at most ``resends`` times, so requests must be safe to repeat.
    A lane that cannot connect any more ends. Answers during the warm-up are not counted. At the end of the
    time every request in flight is still waited for, up to ``answer_timeout_s``.

    Raises LoadError if not every lane can connect at the start.
    """
    run = _Run(address, feed, resends=resends, answer_timeout_s=answer_timeout_s)
    return await run.go(lanes=lanes, seconds=seconds, warm_up_s=warm_up_s)


class _Run:
    """What the lanes of one load share."""

    def __init__(self, address: Address, feed: Feed, *, resends: int, answer_timeout_s: float) -> None:
        self.loop = asyncio.get_running_loop()
        self.address = address
        self.feed = feed
        self.resends = resends
        self.answer_timeout_s = answer_timeout_s
        self.times_ns: list[int] = []
        self.statuses: list[int] = []
        self.failures: Counter[str] = Counter()
        self.resent = 0
        self.stopping = False
        self._lanes: list[_Lane] = []
        self._open = 0
        self._finished = asyncio.Event()
        self._bug: BaseException | None = None

    async def go(self, *, lanes: int, seconds: float | None, warm_up_s: float) -> LoadResult:
        self._lanes = [_Lane(self, number) for number in range(lanes)]
        self._open = lanes
        connecting = (lane.connect() for lane in self._lanes)
        for outcome in await asyncio.gather(*connecting, return_exceptions=True):
            if isinstance(outcome, BaseException):
                for lane in self._lanes:
                    lane.finish()
                where = self.address.socket_path or self.address.authority
                raise LoadError(f"No connection to {where}: {outcome}.") from outcome
        for lane in self._lanes:
            lane.advance()
        if warm_up_s:
            await self._wait(warm_up_s)
            self.times_ns.clear()
            self.statuses.clear()
        started_ns, cpu_started_ns = time.perf_counter_ns(), time.process_time_ns()
        await self._wait(seconds)
        elapsed_s = (time.perf_counter_ns() - started_ns) / 1e9
        cpu_us = (time.process_time_ns() - cpu_started_ns) / 1e3
        times_ns, by_status = self.times_ns[:], Counter(self.statuses)
        self.stopping = True
        await self._wait(None)
        if self._bug is not None:
            raise self._bug
        return LoadResult(
            seconds=elapsed_s,
            answers=len(times_ns),
            rate_per_s=len(times_ns) / elapsed_s,
            by_status=dict(sorted(by_status.items())),
            latency=latency_of(times_ns),
            resent=self.resent,
            failures=dict(self.failures),
            client_cpu_us=cpu_us / max(len(times_ns), 1),
        )

    def lane_finished(self) -> None:
        self._open -= 1
        if not self._open:
            self._finished.set()

    def stop_for(self, bug: BaseException) -> None:
        """The feed raised: nothing more is sent, and the caller gets the exception."""
        self._bug = bug
        self.stopping = True
        self._finished.set()
        for lane in self._lanes:
            lane.finish()

    async def _wait(self, seconds: float | None) -> None:
        """Until every lane has finished, or for ``seconds``; drops connections whose answer is overdue."""
        end = None if seconds is None else self.loop.time() + seconds
        while not self._finished.is_set():
            left = 1.0 if end is None else min(1.0, end - self.loop.time())
            if left <= 0:
                return
            overdue_ns = time.perf_counter_ns() - int(self.answer_timeout_s * 1e9)
            for lane in self._lanes:
                lane.drop_if_silent_since(overdue_ns)
            try:
                await asyncio.wait_for(self._finished.wait(), left)
            except TimeoutError:
                continue


class _Lane(asyncio.Protocol):
    """One connection and the answer it waits for. The methods named ``on_…`` are called by the parser."""

    def __init__(self, run: _Run, number: int) -> None:
        self._run = run
        self._number = number
        self._transport: asyncio.Transport | None = None
        self._request = b""
        self._first_sent_ns = 0
        self._last_sent_ns = 0
        self._sends = 0
        self._body = b""
        self._retry_after_s = DEFAULT_RETRY_AFTER_S
        self._pause: asyncio.TimerHandle | None = None
        self._lost_because: str | None = None
        self._reconnecting: asyncio.Task[None] | None = None
        self._done = False

    # The connection

    async def connect(self) -> None:
        """Make the connection. Raises OSError."""
        address = self._run.address
        if address.socket_path is not None:
            await self._run.loop.create_unix_connection(lambda: self, address.socket_path)
        else:
            await self._run.loop.create_connection(lambda: self, address.host, address.port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none, but does what one does
        self._parser = httptools.HttpResponseParser(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            self._run.stop_for(error.__context__ or error)
        except httptools.HttpParserError as error:
            self._drop(f"not HTTP: {error}")

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._done:
            return
        if self._pause is not None:
            self._pause.cancel()
        self._run.failures[self._lost_because or str(error or "closed by the server")] += 1
        self._lost_because = None
        self._reconnecting = self._run.loop.create_task(self._reconnect())

    def drop_if_silent_since(self, overdue_ns: int) -> None:
        if self._pause is None and self._last_sent_ns < overdue_ns:
            self._drop("no answer in time")

    def _drop(self, reason: str) -> None:
        if self._transport is not None:
            self._lost_because = reason
            self._transport.abort()

    async def _reconnect(self) -> None:
        while self._sends <= self._run.resends and not self._run.stopping:
            await asyncio.sleep(RECONNECT_PAUSE_S * self._sends)
            try:
                await self.connect()
            except OSError as error:
                self._sends += 1
                self._run.failures[str(error)] += 1
            else:
                self._send()
                return
        # The lane ends here: each of its later requests would only wait as long in vain.
        self._run.feed.answered(self._number, NO_ANSWER, b"the connection was lost", self._waited_ns())
        self._run.statuses.append(NO_ANSWER)
        self.finish()

    # Requests and answers

    def advance(self) -> None:
        """Send the next request, or finish."""
        request = None if self._run.stopping else self._run.feed.next(self._number)
        if request is None:
            self.finish()
            return
        self._request = request
        self._sends = 0
        self._send()

    def finish(self) -> None:
        """Send nothing more."""
        if self._done:
            return
        self._done = True
        if self._transport is not None:
            self._transport.close()
        self._run.lane_finished()

    def _send(self) -> None:
        self._pause = None
        self._body = b""
        self._sends += 1
        now_ns = time.perf_counter_ns()
        self._last_sent_ns = now_ns
        if self._sends == 1:
            self._first_sent_ns = now_ns
        else:
            self._run.resent += 1
        assert self._transport is not None
        self._transport.write(self._request)

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(name) == 11 and name.lower() == b"retry-after" and value.isdigit():
            self._retry_after_s = float(value)

    def on_body(self, body: bytes) -> None:
        self._body = self._body + body if self._body else body

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status == UNAVAILABLE and self._sends <= self._run.resends and not self._run.stopping:
            self._pause = self._run.loop.call_later(self._retry_after_s, self._send)
            self._retry_after_s = DEFAULT_RETRY_AFTER_S
            return
        run = self._run
        waited_ns = self._waited_ns()
        run.times_ns.append(waited_ns)
        run.statuses.append(status)
        run.feed.answered(self._number, status, self._body, waited_ns)
        self.advance()

    def _waited_ns(self) -> int:
        return time.perf_counter_ns() - self._first_sent_ns
