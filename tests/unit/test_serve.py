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


@pytest.fixture
def exits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """With what the process would have been ended, soon instead of after a minute."""
    codes: list[int] = []
    monkeypatch.setattr(serve, "END_S", 0.1)
    monkeypatch.setattr(os, "_exit", codes.append)
    return codes


async def test_a_process_is_told_once_that_its_parent_is_gone_and_ended_if_it_goes_on(
    pipe: tuple[int, int], exits: list[int]
) -> None:
    told: list[int] = []
    when_gone(pipe[0], lambda: told.append(1))
    await asyncio.sleep(0.01)
    assert (told, exits) == ([], [])
    os.close(pipe[1])
    async with asyncio.timeout(10):
        while not exits:
            await asyncio.sleep(0.01)
    assert (told, exits) == ([1], [1])
    assert not asyncio.get_running_loop().remove_reader(pipe[0]), "nothing reads it any more"
