"""The worker's rounds with real witnesses behind real sockets: what is cosigned is published, every fault is named."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import uvicorn
from tests.store.test_evidence_log import FIRST, SECOND, Log, log, made

from kaquan.doors.http.process import listen
from kaquan.doors.http.witness import WitnessFront
from kaquan.evidence import (
    Algorithm,
    LogKey,
    Witness,
    WitnessPolicy,
    create_witness,
    get_checkpoint,
    get_keys,
    get_witnesses,
    open_checkpoint,
    prove_leaf,
    read_policy,
)
from kaquan.evidence.courier import Cosigning, Round, Trouble, stop_cosigning
from kaquan.kit.outcomes import NOT_FOUND, Refusal
from kaquan.vault import LogSigner

__all__ = ["log", "made"]


class Town(NamedTuple):
    """A log, three witnesses that follow it, and where they listen."""

    log: Log
    witnesses: list[Witness]
    urls: list[str]

    def policy(self, quorum: int, *, urls: list[str] | None = None, keys: list[LogKey] | None = None) -> WitnessPolicy:
        urls, keys = urls or self.urls, keys or [witness.key for witness in self.witnesses]
        lines = [f"witness w{n} {key.text} {url}" for n, (key, url) in enumerate(zip(keys, urls, strict=True), 1)]
        names = " ".join(f"w{number}" for number in range(1, len(urls) + 1))
        return read_policy("\n".join([*lines, f"group g {quorum} {names}", "quorum g"]))

    async def round(self, policy: WitnessPolicy, *, timeout_s: float = 5.0) -> Round:
        cosigning = Cosigning(self.log.pool, self.log.clock, policy, timeout_s=timeout_s)
        try:
            return await cosigning.round()
        finally:
            await cosigning.close()

    async def published(self, policy: WitnessPolicy) -> int:
        """The size of the checkpoint that is published; asserts that it has its cosignatures."""
        note = await get_checkpoint(self.log.pool)
        assert isinstance(note, str)
        return open_checkpoint(note, await get_keys(self.log.pool), policy).size

    async def troubles(self) -> list[str | None]:
        """What is kept about each witness, in the order of their keys."""
        return [witness.failure for witness in await get_witnesses(self.log.pool)]


@contextlib.asynccontextmanager
async def served(witness: Witness) -> AsyncIterator[str]:
    listener = listen("127.0.0.1", 0)
    listener.listen()
    config = uvicorn.Config(WitnessFront(witness), lifespan="off", ws="none", access_log=False, log_config=None)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


@pytest.fixture
async def town(log: Log, tmp_path: Path) -> AsyncIterator[Town]:
    await log.write(5)
    await log.drain()
    (key,) = await get_keys(log.pool)
    witnesses, urls = [], []
    async with contextlib.AsyncExitStack() as stack:
        for number in (1, 2, 3):
            path = tmp_path / f"w{number}"
            create_witness(path, f"witness.example/{number}", bytes([number]) * 32)
            witness = Witness(path, log.clock, lambda seed: LogSigner("w", seed))
            stack.callback(witness.close)
            witness.follow(key)
            witnesses.append(witness)
            urls.append(await stack.enter_async_context(served(witness)))
        yield Town(log, witnesses, urls)


@contextlib.asynccontextmanager
async def answering(answer: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[str]:
    """A witness that answers everything so."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            await answer(writer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def says(status: str, body: bytes = b"") -> Callable[[asyncio.StreamWriter], Awaitable[None]]:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()

    return answer


async def test_what_is_cosigned_is_published_and_in_receipts(town: Town) -> None:
    policy = town.policy(3)
    assert await town.round(policy) == Round(6, published=True, troubles={})
    assert await town.published(policy) == 6
    new = await town.log.write(20)
    await town.log.drain()
    # the log is longer, and receipts wait for the witnesses
    assert await town.published(policy) == 6
    leaf = await prove_leaf(town.log.pool, slot=0, id_=new[0])
    assert leaf is not None
    assert leaf.inclusion is None
    assert (await town.round(policy)).published
    assert await town.published(policy) == 26
    leaf = await prove_leaf(town.log.pool, slot=0, id_=new[0])
    assert leaf is not None
    assert leaf.inclusion is not None
    assert leaf.inclusion.checkpoint == await get_checkpoint(town.log.pool)
    assert [(seen.size, seen.failure) for seen in await get_witnesses(town.log.pool)] == [(26, None)] * 3
    assert [witness.logs[next(iter(witness.logs))].size for witness in town.witnesses] == [26] * 3
    # without witnesses it is published as it is signed
    await town.log.write(1)
    await town.log.drain()
    await stop_cosigning(town.log.pool)
    assert await town.published(read_policy("quorum none")) == 27


async def test_before_the_first_round_nothing_is_published(log: Log) -> None:
    cosigning = Cosigning(log.pool, log.clock, read_policy("quorum none"))
    assert not (await cosigning.round()).published
    await log.write(1)
    await log.sequencer().step((FIRST,))  # begun, and empty
    assert not (await cosigning.round()).published
    found = await get_checkpoint(log.pool)
    assert isinstance(found, Refusal)
    assert found.outcome is NOT_FOUND
    await cosigning.close()


async def test_the_folder_has_what_is_cosigned(town: Town, tmp_path: Path) -> None:
    folder = tmp_path / "published"
    folder.mkdir()
    sequencer = town.log.sequencer(directory=folder)
    policy = town.policy(2)
    await town.round(policy)
    await town.log.write(3)
    await town.log.drain(sequencer)
    keys = await get_keys(town.log.pool)
    assert open_checkpoint((folder / "checkpoint").read_text("utf-8"), keys, policy).size == 6
    await town.round(policy)
    await town.log.drain(sequencer)
    assert open_checkpoint((folder / "checkpoint").read_text("utf-8"), keys, policy).size == 9


async def test_a_witness_that_is_down_and_comes_back(town: Town) -> None:
    down = town.policy(2, urls=[*town.urls[:2], "http://127.0.0.1:1"])
    assert await town.round(down) == Round(6, published=True, troubles={"w3": Trouble.UNREACHABLE})
    assert await town.troubles() == [None, None, "unreachable"]
    strict = town.policy(3, urls=[*town.urls[:2], "http://127.0.0.1:1"])
    await town.log.write(2)
    await town.log.drain()
    assert not (await town.round(strict)).published
    assert await town.published(down) == 6  # the last one that had enough
    back = await town.round(town.policy(3))
    assert back == Round(8, published=True, troubles={})
    assert await town.troubles() == [None] * 3


async def test_a_witness_that_is_slow_delays_nobody(town: Town) -> None:
    over = asyncio.Event()

    async def never(_: asyncio.StreamWriter) -> None:
        await over.wait()

    async with answering(never) as url:
        policy = town.policy(2, urls=[town.urls[0], url, town.urls[2]])
        async with asyncio.timeout(4):
            assert await town.round(policy) == Round(6, published=True, troubles={"w2": Trouble.SLOW})
        policy = town.policy(3, urls=[town.urls[0], url, town.urls[2]])
        assert await town.round(policy, timeout_s=0.3) in [
            Round(6, published=False, troubles={"w2": trouble}) for trouble in (Trouble.SLOW, Trouble.UNREACHABLE)
        ]
        over.set()
        await asyncio.sleep(0.05)  # the handlers end


async def test_witnesses_that_are_behind_or_ahead_of_what_is_known(town: Town) -> None:
    policy = town.policy(3)
    await town.round(policy)
    # one missed rounds, and of another we forgot that it saw some
    await town.log.write(40)
    await town.log.drain()
    await town.round(town.policy(1, urls=[*town.urls[:2], "http://127.0.0.1:1"]))
    await town.log.rows("UPDATE evidence_witness SET size = 2 WHERE key LIKE 'witness.example/1+%'")
    await town.log.rows("UPDATE evidence_witness SET size = 46 WHERE key LIKE 'witness.example/3+%'")
    await town.log.write(3)
    await town.log.drain()
    assert await town.round(policy) == Round(49, published=True, troubles={})


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        (says("403 Forbidden"), Trouble.WRONG_KEY),
        (says("404 Not Found"), Trouble.UNKNOWN_LOG),
        (says("422 Unprocessable Entity"), Trouble.FORKED),
        (says("400 Bad Request"), Trouble.REFUSED),
        (says("500 Internal Server Error"), Trouble.REFUSED),
        (says("302 Found"), Trouble.REFUSED),
        (says("409 Conflict", b"0\n"), Trouble.FORKED),
        (says("409 Conflict", b"7\n"), Trouble.FORKED),
        (says("409 Conflict", b"many\n"), Trouble.REFUSED),
        (says("200 OK", b"nothing\n"), Trouble.WRONG_KEY),
        (says("200 OK", b"x" * 20_000), Trouble.UNREACHABLE),
    ],
)
async def test_answers_that_are_no_cosignature(
    town: Town, answer: Callable[[asyncio.StreamWriter], Awaitable[None]], trouble: Trouble
) -> None:
    async with answering(answer) as url:
        policy = town.policy(1, urls=[url], keys=[town.witnesses[0].key])
        assert await town.round(policy) == Round(6, published=False, troubles={"w1": trouble})
    assert isinstance(await get_checkpoint(town.log.pool), Refusal)
    assert await town.troubles() == [str(trouble)]


async def test_a_witness_of_another_key(town: Town) -> None:
    stranger = LogKey("witness.example/1", SECOND.public, Algorithm.COSIGNATURE)
    policy = town.policy(1, urls=town.urls[:1], keys=[stranger])
    assert await town.round(policy) == Round(6, published=False, troubles={"w1": Trouble.WRONG_KEY})


async def test_a_log_that_was_rewound_is_told_of(town: Town) -> None:
    policy = town.policy(2)
    await town.log.write(30)
    await town.log.drain()
    assert (await town.round(policy)).published
    kept = await get_checkpoint(town.log.pool)
    # an older backup with the same key, and other leaves in the place of those that were signed
    tables = "evidence_log, evidence_key, evidence_entry, evidence_tile, evidence_checkpoint, evidence_horizon"
    for table in (f"{tables}, evidence_cosigned", "evidence_leaf"):
        await town.log.rows(f"TRUNCATE {table}")
    assert isinstance(kept, str)
    sequencer = town.log.sequencer(origin=kept.partition("\n")[0])
    await town.log.write(3)
    await town.log.drain(sequencer)
    forked = dict.fromkeys(("w1", "w2", "w3"), Trouble.FORKED)
    assert await town.round(policy) == Round(4, published=False, troubles=forked)  # shorter than they saw
    await town.log.write(50)
    await town.log.drain(sequencer)
    assert await town.round(policy) == Round(54, published=False, troubles=forked)  # longer, and another one
    assert await town.troubles() == ["forked"] * 3
    assert isinstance(await get_checkpoint(town.log.pool), Refusal)
    for witness in town.witnesses:
        assert witness.logs[kept.partition("\n")[0]].size == 36
