"""Write a bundle: of one object, or of all that entered the log in a time."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import IO, Any, NamedTuple

from kaquan.custody import store
from kaquan.custody.bundle import Bundle
from kaquan.custody.objects import Fact, read_subject
from kaquan.custody.outcomes import BUNDLE_TOO_LARGE, EVENT_CONTRADICTED, RECEIPT_NOT_READY
from kaquan.custody.store import ContradictedError, Found, Kept
from kaquan.evidence import Signer, read_head, read_nodes, split_range
from kaquan.kit.clock import Clock
from kaquan.kit.db import Connection, Pool
from kaquan.kit.outcomes import Refusal

MAX_EVENTS = 1_000_000
"""Events of a bundle at the most, some 600 MB; a door may ask for fewer."""

_AT_ONCE = 1_000
_NODES_AT_ONCE = 256

MARGIN = timedelta(minutes=1)
"""How long before its commit a transaction may have got its time, and how far clocks may be apart: a period takes in
the entries of so much more on both sides."""

Progress = Callable[[int, int], None]
"""Told how many of how many leaves of the tree are laid."""


class Exported(NamedTuple):
    """What was written: events by kind, leaves of other books in between, and the sizes of the tree."""

    entries: int
    facts: int
    hidden: int
    old_size: int
    size: int


async def export_object(
    pool: Pool,
    clock: Clock,
    signers: Sequence[Signer],
    *,
    name: str,
    stream: IO[bytes],
    slots: Sequence[int],
    book_id: int | None = None,
    max_events: int = MAX_EVENTS,
    progress: Progress | None = None,
) -> Exported | Refusal:
    """Write everything that happened to the object of this public id, in the newest tree, to ``stream``.

    Refused: ``not_a_custody_object``, ``not_found``, ``bundle_too_large``, ``receipt_not_ready`` while an entry has no
    index yet, ``event_contradicted`` where one was altered. What was written by then is of no use.
    """
    async with store.one_snapshot(pool) as connection:
        subject = await read_subject(connection, name, book_id=book_id, slots=slots, limit=max_events + 1)
        if isinstance(subject, Refusal):
            return subject
        if len(subject.places) + len(subject.facts) > max_events:
            return BUNDLE_TOO_LARGE.refuse(max_events=max_events)
        head = await read_head(connection)
        found = await store.rows(
            connection,
            "indexes",
            slots=[slot for slot, _ in subject.places],
            ids=[id_ for _, id_ in subject.places],
        )
        if head is None or not head.note or any(index is None for index, _, _ in found):
            return RECEIPT_NOT_READY.refuse()
        places = sorted(set(found))

        async def entries() -> AsyncIterator[list[tuple[int, Found]]]:
            for start in range(0, len(places), _AT_ONCE):
                some = places[start : start + _AT_ONCE]
                of = [(slot, id_) for _, slot, id_ in some]
                read = await store.read_entries(
                    connection,
                    of,
                    origin=head.origin,
                    book_id=subject.book_id,
                    opened=subject.opened,
                    shown=subject.shown,
                )
                yield [(index, _there(read, (slot, id_))) for index, slot, id_ in some]

        told = {"object": name, "book": subject.book_id, "at": clock.now()}
        writer = _Writer(connection, head.origin, stream, progress, old=Kept(0, ""), size=head.size)
        return await writer.write(told, entries(), subject.facts, [Kept(head.size, head.note)], signers)


async def export_period(
    pool: Pool,
    clock: Clock,
    signers: Sequence[Signer],
    *,
    begins: datetime,
    ends: datetime,
    stream: IO[bytes],
    book_id: int | None = None,
    max_events: int = MAX_EVENTS,
    progress: Progress | None = None,
) -> Exported | Refusal:
    """Write every entry that the log took from ``begins`` to ``ends``, and a minute more, with all kept checkpoints.

    It begins and ends with a kept checkpoint (or the beginning of the log, or its newest checkpoint), so that nothing
    between can be missing. With ``book_id`` entries of other books are hidden in hashes. Refused: as an object.
    """
    async with store.one_snapshot(pool) as connection:
        head = await read_head(connection)
        if head is None or not head.note:
            return RECEIPT_NOT_READY.refuse()
        before, after = await store.find_checkpoints(connection, begins=begins, ends=ends, margin=MARGIN)
        old, new = before or Kept(0, ""), after or Kept(head.size, head.note)
        if book_id is None and new.size - old.size > max_events:
            return BUNDLE_TOO_LARGE.refuse(max_events=max_events)
        kept = await store.checkpoints_between(connection, old.size, new.size)
        if not kept or kept[-1].size != new.size:
            kept.append(new)

        async def entries() -> AsyncIterator[list[tuple[int, Found]]]:
            for start in range(old.size, new.size, _AT_ONCE):
                places = await store.entries_between(connection, start, min(start + _AT_ONCE, new.size))
                of = [(slot, id_) for _, slot, id_ in places]
                read = await store.read_entries(connection, of, origin=head.origin, book_id=book_id)
                if book_id is None:
                    yield [(index, _there(read, (slot, id_))) for index, slot, id_ in places]
                else:
                    yield [(index, read[slot, id_]) for index, slot, id_ in places if (slot, id_) in read]

        told = {"from": begins, "to": ends, "book": book_id, "at": clock.now()}
        writer = _Writer(connection, head.origin, stream, progress, old=old, size=new.size, max_events=max_events)
        return await writer.write(told, entries(), [], kept, signers)


def _there(read: Mapping[store.Place, Found], place: store.Place) -> Found:
    """An entry that must be there: its transaction was removed where it is not."""
    if place not in read:
        raise ContradictedError(place[1].hex)
    return read[place]


class _TooLargeError(Exception):
    """More events than asked for at the most."""


class _Writer:
    """Lays the leaves of the tree from the left: those that are shown, and nodes over all others."""

    def __init__(
        self,
        connection: Connection,
        origin: str,
        stream: IO[bytes],
        progress: Progress | None,
        *,
        old: Kept,
        size: int,
        max_events: int = MAX_EVENTS,
    ) -> None:
        self._connection, self._stream, self._progress = connection, stream, progress
        self._bundle = Bundle(origin)
        self._origin, self._old, self._size, self._max_events = origin, old, size, max_events
        self._laid = self._hidden = 0

    async def write(
        self,
        told: Mapping[str, Any],
        entries: AsyncIterator[list[tuple[int, Found]]],
        facts: Sequence[Fact],
        kept: Sequence[Kept],
        signers: Sequence[Signer],
    ) -> Exported | Refusal:
        """Everything, from the first line to the last."""
        bundle, out = self._bundle, self._stream.write
        out(bundle.begin({"log": self._origin, "old_size": self._old.size, "size": self._size, **told}))
        for fact in sorted(facts, key=lambda fact: (fact.at, fact.name)):
            out(bundle.fact(fact.name, fact.content))
        waiting = list(kept)
        try:
            await self._hide(self._old.size)
            self._hidden = 0  # what lies before the beginning is not asked for
            if self._old.note:
                out(bundle.checkpoint(self._old.note))
            async for some in entries:
                for index, found in some:
                    while waiting[0].size <= index:
                        await self._close(waiting.pop(0))
                    await self._hide(index)
                    out(bundle.entry(found.name, index, found.content))
                    if found.opening is not None:
                        out(bundle.opening(found.opening))
                    for member in found.members:
                        out(bundle.member(member.place, member.record, member.proof))
                    self._laid += 1
                if bundle.entries + bundle.facts > self._max_events:
                    return BUNDLE_TOO_LARGE.refuse(max_events=self._max_events)
                if self._progress is not None:
                    self._progress(self._laid, self._size)
            for checkpoint in waiting:
                await self._close(checkpoint)
        except ContradictedError as error:
            return EVENT_CONTRADICTED.refuse(event=str(error))
        out(bundle.end(hidden=self._hidden, signers=signers))
        return Exported(bundle.entries, bundle.facts, self._hidden, self._old.size, self._size)

    async def _close(self, checkpoint: Kept) -> None:
        await self._hide(checkpoint.size)
        self._stream.write(self._bundle.checkpoint(checkpoint.note))

    async def _hide(self, until: int) -> None:
        """Nodes over all leaves up to ``until`` that are not laid."""
        nodes = split_range(self._laid, until)
        for start in range(0, len(nodes), _NODES_AT_ONCE):
            some = nodes[start : start + _NODES_AT_ONCE]
            for node, hash_ in zip(some, await read_nodes(self._connection, some), strict=True):
                self._stream.write(self._bundle.node(node.height, hash_))
        self._hidden += until - self._laid
        self._laid = until
