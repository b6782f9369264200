"""The load client: order within a lane, retries of the same bytes, lost connections, honest counts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kaquan.doors.load import NO_ANSWER, Address, Caller, LoadError, LoadResult, run_load

Answer = Callable[[bytes], Awaitable[bytes]]


def ok(body: bytes = b"{}", *, status: int = 201, head: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d x\r\n%bContent-Length: %d\r\n\r\n%b" % (status, head, len(body), body)


@asynccontextmanager
async def serving(answer: Answer, *, socket_path: str | None = None) -> AsyncIterator[Address]:
    """A server that gives each request's body to ``answer`` and writes what it returns; empty hangs up."""
    tasks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0] or 0)
                said = await answer(await reader.readexactly(length))
                if not said:
                    break
                writer.write(said)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            tasks.discard(task)
            writer.close()

    if socket_path is not None:
        server = await asyncio.start_unix_server(talk, socket_path)
        yield Address(socket_path=socket_path)
    else:
        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        yield Address(host="127.0.0.1", port=server.sockets[0].getsockname()[1])
    server.close()
    for task in list(tasks):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class Script:
    """A feed of numbered requests, so many per lane, that remembers what it heard."""

    def __init__(self, address: Address, *, per_lane: int) -> None:
        self._caller = Caller(address, token="t")
        self._per_lane = per_lane
        self._given: dict[int, int] = {}
        self.heard: list[tuple[int, int, bytes]] = []

    def next(self, lane: int) -> bytes | None:
        number = self._given.get(lane, 0)
        if number == self._per_lane:
            return None
        self._given[lane] = number + 1
        return self._caller.post("/", b"%d.%d" % (lane, number), key=f"{lane}.{number}")

    def answered(self, lane: int, status: int, body: bytes, latency_ns: int) -> None:
        assert latency_ns > 0
        self.heard.append((lane, status, body))


async def play(answer: Answer, *, lanes: int = 1, per_lane: int = 1, resends: int = 10) -> tuple[Script, LoadResult]:
    async with serving(answer) as address:
        script = Script(address, per_lane=per_lane)
        result = await run_load(address, script, lanes=lanes, resends=resends)
    return script, result


async def test_each_lane_keeps_its_order_and_lanes_run_at_the_same_time() -> None:
    came: list[bytes] = []
    at_once = most_at_once = 0

    async def answer(body: bytes) -> bytes:
        nonlocal at_once, most_at_once
        at_once += 1
        most_at_once = max(most_at_once, at_once)
        await asyncio.sleep(0.001)
        at_once -= 1
        came.append(body)
        return ok(body)

    script, result = await play(answer, lanes=4, per_lane=5)
    assert most_at_once == 4
    for lane in range(4):
        mine = [b"%d.%d" % (lane, number) for number in range(5)]
        assert [body for body in came if body.startswith(b"%d." % lane)] == mine
        assert [body for heard, _, body in script.heard if heard == lane] == mine
    assert result.answers == 20
    assert result.by_status == {201: 20}
    assert result.failures == {}
    assert 0 < result.latency.p50_ms <= result.latency.p99_ms <= result.latency.max_ms


async def test_unavailable_is_asked_again_with_the_same_bytes_after_the_time_it_names() -> None:
    came: list[tuple[bytes, float]] = []

    async def answer(body: bytes) -> bytes:
        came.append((body, asyncio.get_running_loop().time()))
        return ok(status=503, head=b"Retry-After: 1\r\n") if len(came) == 1 else ok()

    script, result = await play(answer)
    assert [body for body, _ in came] == [b"0.0", b"0.0"]
    assert came[1][1] - came[0][1] >= 0.9
    assert [status for _, status, _ in script.heard] == [201]
    assert (result.resent, result.by_status) == (1, {201: 1})


async def test_unavailable_is_heard_when_it_does_not_end() -> None:
    async def answer(_: bytes) -> bytes:
        return ok(status=503, head=b"retry-after: 0\r\n")

    script, result = await play(answer, resends=3)
    assert [status for _, status, _ in script.heard] == [503]
    assert result.resent == 3


async def test_a_lost_connection_is_made_again_and_the_request_repeated() -> None:
    came: list[bytes] = []

    async def answer(body: bytes) -> bytes:
        came.append(body)
        return b"" if len(came) == 2 else ok()

    script, result = await play(answer, per_lane=3)
    assert came == [b"0.0", b"0.1", b"0.1", b"0.2"]
    assert [status for _, status, _ in script.heard] == [201] * 3
    assert result.resent == 1
    assert sum(result.failures.values()) == 1


async def test_a_server_that_always_hangs_up_ends_the_lane_with_no_answer() -> None:
    async def answer(_: bytes) -> bytes:
        return b""

    script, result = await play(answer, per_lane=3, resends=2)
    assert [status for _, status, _ in script.heard] == [NO_ANSWER]
    assert result.by_status == {NO_ANSWER: 1}


async def test_what_is_not_http_is_a_failure_with_a_reason() -> None:
    async def answer(_: bytes) -> bytes:
        return b"SSH-2.0-hello\r\n"

    _, result = await play(answer, resends=1)
    assert result.by_status == {NO_ANSWER: 1}
    assert any(reason.startswith("not HTTP") for reason in result.failures)


async def test_silence_ends_in_time() -> None:
    async def answer(_: bytes) -> bytes:
        await asyncio.sleep(60)
        return ok()

    async with serving(answer) as address:
        script = Script(address, per_lane=1)
        result = await run_load(address, script, lanes=1, resends=0, answer_timeout_s=0.2)
    assert result.by_status == {NO_ANSWER: 1}
    assert result.failures == {"no answer in time": 1}


async def test_time_ends_an_endless_feed_and_the_last_answers_are_heard() -> None:
    async def answer(body: bytes) -> bytes:
        await asyncio.sleep(0.005)
        return ok(body)

    async with serving(answer) as address:
        script = Script(address, per_lane=10**9)
        result = await run_load(address, script, lanes=3, seconds=0.2, warm_up_s=0.1)
    assert 0 < result.answers < len(script.heard)  # those of the warm-up are heard and not counted
    assert all(status == 201 for _, status, _ in script.heard)


async def test_a_body_in_pieces_is_one_body() -> None:
    async def answer(_: bytes) -> bytes:
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"

    script, _ = await play(answer, per_lane=2)
    assert [body for _, _, body in script.heard] == [b"abcde", b"abcde"]


async def test_a_unix_socket_does_as_well(tmp_path: Path) -> None:
    async def answer(body: bytes) -> bytes:
        return ok(body)

    async with serving(answer, socket_path=str(tmp_path / "s")) as address:
        result = await run_load(address, Script(address, per_lane=2), lanes=2)
    assert result.by_status == {201: 4}


async def test_no_server_is_one_sentence(tmp_path: Path) -> None:
    address = Address(socket_path=str(tmp_path / "nobody"))
    with pytest.raises(LoadError, match=r"No connection to .*nobody"):
        await run_load(address, Script(address, per_lane=1), lanes=2)


async def test_a_bug_in_a_feed_is_raised_and_not_repeated() -> None:
    class Broken(Script):
        def answered(self, lane: int, status: int, body: bytes, latency_ns: int) -> None:
            raise KeyError(lane)

    async def answer(_: bytes) -> bytes:
        return ok()

    async with serving(answer) as address:
        with pytest.raises(KeyError):
            await run_load(address, Broken(address, per_lane=1), lanes=1)
