"""Requests that are in flight together share one trip to the database and one commit.

While one batch is at the database the next one gathers; it leaves the moment the previous one returns, so there
is no timer and a lone request waits for nobody (see ``design/core.md``, "One payment, many at once").
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
    """Gathers items and hands them to ``run`` in batches, one batch at a time.

    Two items of one batch never share one of their keys (what they spend from, what they are known by): the
    first stays, the other rides in the next batch in its order. ``run`` must return one result per item; an
    exception from it is given to every caller of that batch.
    """

    def __init__(
        self,
        run: Callable[[list[Item]], Awaitable[Sequence[Result]]],
        *,
        max_batch: int,
        max_queue: int,
    ) -> None:
        self._run = run
        self._max_batch = max_batch
        self._max_queue = max_queue
        self._queue: list[_Entry[Item, Result]] = []
        self._wake = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to run batches on the running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._loop(), name="batcher")

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
        if self._task is not None:
            await self._task

    async def _loop(self) -> None:
        while True:
            if not self._queue:
                if self._closing:
                    return
                self._wake.clear()
                await self._wake.wait()
                continue
            batch = self._take()
            try:
                results = await self._run([entry.item for entry in batch])
            except Exception as error:
                for entry in batch:
                    if not entry.future.done():
                        entry.future.set_exception(error)
                continue
            for entry, result in zip(batch, results, strict=True):
                if not entry.future.done():  # a caller that hung up has cancelled its future
                    entry.future.set_result(result)

    def _take(self) -> list[_Entry[Item, Result]]:
        """The next batch: the oldest items, no two of which share a key."""
        taken: list[_Entry[Item, Result]] = []
        kept: list[_Entry[Item, Result]] = []
        used: set[Hashable] = set()
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
