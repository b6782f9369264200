"""Batches: who shares one, in which order, how many, and what becomes of everyone in the end."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from random import Random

import pytest

from kaquan.kit.batching import Batcher, QueueFullError


class Station:
    """Runs batches when it is told to, and keeps them."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.running = 0

    async def run(self, batch: list[str]) -> Sequence[str]:
        self.batches.append(batch)
        self.running += 1
        assert self.running == 1, "one batch at a time"
        await self.open.wait()
        await asyncio.sleep(0)
        self.running -= 1
        if "broken" in batch:
            raise RuntimeError("broken")
        return [item.upper() for item in batch]


def started(station: Station, *, max_batch: int = 100, max_queue: int = 1_000) -> "Batcher[str, str]":
    batcher: Batcher[str, str] = Batcher(station.run, max_batch=max_batch, max_queue=max_queue)
    batcher.start()
    return batcher


async def test_a_lone_item_waits_for_nobody() -> None:
    station = Station()
    batcher = started(station)
    assert await batcher.submit("a", ()) == "A"
    assert await batcher.submit("b", ()) == "B"
    assert station.batches == [["a"], ["b"]]
    await batcher.close()


async def test_what_comes_while_a_batch_runs_shares_the_next() -> None:
    station = Station()
    batcher = started(station, max_batch=3)
    station.open.clear()
    first = batcher.submit("a", ())
    await asyncio.sleep(0.01)
    rest = [batcher.submit(item, ()) for item in "bcdef"]
    assert batcher.depth == 5
    station.open.set()
    assert await asyncio.gather(first, *rest) == list("ABCDEF")
    assert station.batches == [["a"], ["b", "c", "d"], ["e", "f"]]
    await batcher.close()


async def test_items_that_share_a_key_ride_apart_and_in_order() -> None:
    station = Station()
    batcher = started(station)
    station.open.clear()
    begun = batcher.submit("begun", ())
    await asyncio.sleep(0.01)
    # b2 shares x with b1 and y with b3: b3 must not overtake it
    waiting = [
        batcher.submit("b1", ("x",)),
        batcher.submit("b2", ("x", "y")),
        batcher.submit("b3", ("y",)),
        batcher.submit("c1", ("z",)),
    ]
    station.open.set()
    await asyncio.gather(begun, *waiting)
    assert station.batches[1:] == [["b1", "c1"], ["b2"], ["b3"]]
    await batcher.close()


@pytest.mark.parametrize("seed", range(20))
async def test_no_batch_holds_a_key_twice_and_none_is_overtaken(seed: int) -> None:
    chance = Random(seed)
    station = Station()
    batcher = started(station, max_batch=5)
    asked = {f"{number}": chance.sample("pqrstu", chance.randint(0, 3)) for number in range(60)}
    futures = []
    for item, keys in asked.items():
        futures.append(batcher.submit(item, keys))
        if chance.random() < 0.3:
            await asyncio.sleep(0)
    assert await asyncio.gather(*futures) == [item.upper() for item in asked]
    at = {item: number for number, batch in enumerate(station.batches) for item in batch}
    assert sorted(at) == sorted(asked)
    for batch in station.batches:
        keys = [key for item in batch for key in asked[item]]
        assert len(keys) == len(set(keys))
        assert len(batch) <= 5
    for key in "pqrstu":
        assert all(at[one] < at[next_] for one, next_ in pairwise(item for item in asked if key in asked[item]))
    await batcher.close()


async def test_a_full_queue_refuses_at_once() -> None:
    station = Station()
    batcher = started(station, max_queue=2)
    station.open.clear()
    running = batcher.submit("a", ())
    await asyncio.sleep(0.01)
    waiting = [batcher.submit(item, ()) for item in "bc"]
    with pytest.raises(QueueFullError):
        batcher.submit("d", ())
    station.open.set()
    assert await asyncio.gather(running, *waiting) == ["A", "B", "C"]
    assert await batcher.submit("e", ()) == "E"
    await batcher.close()


async def test_closing_answers_what_was_accepted_and_accepts_nothing() -> None:
    station = Station()
    batcher = started(station, max_batch=2)
    futures = [batcher.submit(item, ("k",)) for item in "abcde"]
    closing = asyncio.create_task(batcher.close())
    await asyncio.sleep(0)
    with pytest.raises(QueueFullError):
        batcher.submit("late", ())
    await closing
    assert [future.result() for future in futures] == list("ABCDE")


async def test_closing_one_that_never_started_or_is_idle() -> None:
    await Batcher(Station().run, max_batch=1, max_queue=1).close()
    batcher = started(Station())
    await asyncio.sleep(0)
    await asyncio.wait_for(batcher.close(), 1)


async def test_an_exception_is_for_its_batch_alone() -> None:
    station = Station()
    batcher = started(station)
    station.open.clear()
    before = batcher.submit("a", ())
    await asyncio.sleep(0.01)
    together = [batcher.submit(item, ()) for item in ("b", "broken")]
    station.open.set()
    assert await before == "A"
    for future in together:
        with pytest.raises(RuntimeError, match="broken"):
            await future
    assert await batcher.submit("c", ()) == "C"
    await batcher.close()


async def test_a_caller_that_hangs_up_disturbs_nobody() -> None:
    station = Station()
    batcher = started(station)
    station.open.clear()
    futures = [batcher.submit(item, ()) for item in ("a", "b")]
    futures[0].cancel()
    await asyncio.sleep(0.01)
    station.open.set()
    assert await futures[1] == "B"
    assert station.batches == [["a", "b"]]
    await batcher.close()
