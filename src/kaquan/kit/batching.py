"""Requests that are in flight together share one trip to the database and one commit.

While one batch is at the database the next one gathers; it leaves the moment a lane is free, so there is no timer and
a lone request waits for nobody (see ``design/core.md``, "One payment, many at once").
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class QueueFullError(Exception):
    """The queue is at its bound, or the batcher is closing; nothing was accepted."""


class _Entry(Generic[Item, Result]):
    __slots__ = ("future", "item", "keys")

    def __init__(self, item: Item, keys: Sequence[Hashable], future: "asyncio.Future[Result]") -> None:
        self.item = item
        self.keys = keys
        self.future = future


class Batcher(Generic[Item, Result]):
    """Gathers items and hands them to ``run`` in batches, ``lanes`` of them at a time.

    Two items that are under way at once never share one of their keys (what they spend from, what they are known
    by): the first goes, the other rides in a later batch, in its order. ``run`` must return one result per item; an
    exception from it is given to every caller of that batch.
    """

    def __init__(
        self,
        run: Callable[[list[Item]], Awaitable[Sequence[Result]]],
        *,
        max_batch: int,
        max_queue: int,
        lanes: int = 1,
    ) -> None:
        self._run = run
        self._max_batch = max_batch
        self._max_queue = max_queue
        self._lanes = lanes
        self._queue: list[_Entry[Item, Result]] = []
        self._under_way: set[Hashable] = set()
        self._wake = asyncio.Event()
        self._closing = False
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to run batches on the running event loop."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._loop(), name="batcher") for _ in range(self._lanes)]

    def submit(self, item: Item, keys: Sequence[Hashable]) -> "asyncio.Future[Result]":
        """Queue ``item``; the future holds its result. Raises QueueFullError at the bound."""
        if self._closing or len(self._queue) >= self._max_queue:
            raise QueueFullError
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._queue.append(_Entry(item, keys, future))
        self._wake.set()
        return future

    @property
    def depth(self) -> int:
        """How many items wait."""
        return len(self._queue)

    async def close(self) -> None:
        """Accept nothing more, answer what was accepted, then stop."""
        self._closing = True
        self._wake.set()
        await asyncio.gather(*self._tasks)

    async def _loop(self) -> None:
        while True:
            batch = self._take()
            if not batch:
                if self._closing and not self._queue:
                    return
                self._wake.clear()
                await self._wake.wait()
                continue
            keys = {key for entry in batch for key in entry.keys}
            self._under_way |= keys
            try:
                results = await self._run([entry.item for entry in batch])
            except Exception as error:
                for entry in batch:
                    if not entry.future.done():
                        entry.future.set_exception(error)
            else:
                for entry, result in zip(batch, results, strict=True):
                    if not entry.future.done():  # a caller that hung up has cancelled its future
                        entry.future.set_result(result)
            finally:
                self._under_way -= keys
                self._wake.set()

    def _take(self) -> list[_Entry[Item, Result]]:
        """The next batch: the oldest items, none of which shares a key with another that is under way."""
        taken: list[_Entry[Item, Result]] = []
        kept: list[_Entry[Item, Result]] = []
        used = set(self._under_way)
        for position, entry in enumerate(self._queue):
            if len(taken) == self._max_batch:
                kept.extend(self._queue[position:])
                break
            if used.isdisjoint(entry.keys):
                taken.append(entry)
            else:
                kept.append(entry)
            # also the keys of an item that stays behind: its later rivals must not overtake it
            used.update(entry.keys)
        self._queue = kept
        return taken
