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


async def test_a_process_is_told_once_that_its_parent_is_gone_and_ended_if_it_goes_on(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    monkeypatch.setattr(serve, "END_S", 0.1)  # and nothing is left that would end the tests later
    monkeypatch.setattr(os, "_exit", lambda code: ended.get_loop().call_soon_threadsafe(ended.set_result, code))
    when_gone(pipe[0], lambda: told.append(1))
    await asyncio.sleep(0.01)
    assert told == []
    os.close(pipe[1])
    async with asyncio.timeout(10):
        assert await ended == 1
    assert told == [1]
    assert not asyncio.get_running_loop().remove_reader(pipe[0]), "nothing reads it any more"
