"""What the processes of a server do when their parent is gone."""

import asyncio
import os
from collections.abc import Iterator

import pytest

from kaquan.doors.http import serve
from kaquan.doors.http.serve import when_gone


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    os.close(ends[0])


async def test_a_process_is_told_once_that_its_parent_is_gone(pipe: tuple[int, int]) -> None:
    told: list[int] = []
    when_gone(pipe[0], lambda: told.append(1))
    await asyncio.sleep(0.01)
    assert told == []
    os.close(pipe[1])
    await asyncio.sleep(0.05)
    assert told == [1]
    assert not asyncio.get_running_loop().remove_reader(pipe[0]), "nothing reads it any more"


async def test_a_process_that_does_not_end_without_its_parent_is_ended(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(serve, "END_S", 0.01)
    monkeypatch.setattr(os, "_exit", lambda code: loop.call_soon_threadsafe(ended.set))
    when_gone(pipe[0], lambda: None)
    os.close(pipe[1])
    async with asyncio.timeout(10):
        await ended.wait()
