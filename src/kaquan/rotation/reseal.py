"""Seal every value anew that is not sealed as it would be now, and move look-ups to the current key.

The product may run meanwhile. It may be stopped at any moment and run again, and twice at once: a value is written only
if it is still what was read, and what is done is not found again.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec

from kaquan.cards import copy_lookups, count_lookups, drop_old_lookups
from kaquan.kit.db import Pool
from kaquan.rotation import store
from kaquan.rotation.store import Change, Row
from kaquan.vault import Keyring, SealedColumn, SealError, sealed_columns

CHUNK = 1_000

PASSES = 3
"""How often a column is gone through while rows of it change between reading and writing."""

SETTLE = timedelta(seconds=5)
"""How old a change of the ring must be before look-ups move: every process looks at the file once a second, and one
that did not know the new key would make cards that are not found under it."""

Progress = Callable[[str, int], None]
"""Told what is being done and how many more of it are."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was done. ``unreadable`` values do not open under any key of the ring and were left as they are."""

    resealed: int
    copied_lookups: int
    dropped_lookups: int
    unreadable: dict[str, int]
    lookups_moved: bool
    """Whether every look-up is under the current key alone, so that the old look-up keys can go."""


async def reseal(
    pool: Pool, keyring: Keyring, *, slots: tuple[int, ...], progress: Progress, chunk: int = CHUNK
) -> Report:
    """Bring everything under the current keys. For look-ups the ring must not be younger than ``SETTLE``."""
    resealed = 0
    unreadable: dict[str, int] = {}
    moved = True
    for column in sealed_columns():
        wrong = 0
        has_slots = column.key[0][0] == "slot"
        for slot in slots if has_slots else (None,):
            for _ in range(PASSES):
                done, left, failed = await _reseal_column(
                    pool, keyring, column, slot=slot, progress=progress, chunk=chunk
                )
                resealed += done
                if not left:
                    break
            wrong += failed
            moved = moved and not (left and column.lookups)
        if wrong:
            unreadable[column.name] = wrong
    copied = dropped = 0
    if len(keyring.lookup_ids) > 1:
        copied = await copy_lookups(
            pool, keyring, slots=slots, done=lambda count: progress("cards_number", count), chunk=chunk
        )
        _, by_key = await count_lookups(pool, slots=slots)
        current = by_key.get(keyring.lookup_ids[-1], 0)
        # more under the old key than under the new one: some process does not know the new one yet
        moved = moved and not unreadable and all(count <= current for count in by_key.values())
        if moved:
            dropped = await drop_old_lookups(
                pool, keyring, slots=slots, done=lambda count: progress("cards_number, old", count), chunk=chunk
            )
    return Report(
        resealed=resealed,
        copied_lookups=copied,
        dropped_lookups=dropped,
        unreadable=unreadable,
        lookups_moved=moved,
    )


async def _reseal_column(
    pool: Pool, keyring: Keyring, column: SealedColumn, *, slot: int | None, progress: Progress, chunk: int
) -> tuple[int, int, int]:
    """How many rows were written, how many could not be since they changed meanwhile, and how many do not open."""
    moves_lookups = bool(column.lookups) and len(keyring.lookup_ids) > 1
    # where look-ups move too, a value that is sealed well may still have an old look-up
    header = None if moves_lookups else keyring.current_header
    written = left = unreadable = 0
    after: tuple[Any, ...] = ()
    while rows := await store.load_rows(pool, column, slot=slot, after=after, header=header, limit=chunk):
        changes, failed = await asyncio.to_thread(_seal_rows, keyring, column, rows)
        unreadable += failed
        if changes:
            done = await store.post_sealed(pool, column, changes, slot=slot)
            written += done
            left += len(changes) - done
        after = rows[-1].key if slot is None else rows[-1].key[1:]
        progress(column.name, len(rows))
    return written, left, unreadable


def _seal_rows(keyring: Keyring, column: SealedColumn, rows: list[Row]) -> tuple[list[Change], int]:
    changes = []
    unreadable = 0
    for row in rows:
        context = column.prefix + row.context.bytes + column.suffix
        try:
            plain = keyring.open(row.sealed, context)
        except SealError:
            unreadable += 1
            continue
        lookups = tuple(
            None if known is None else keyring.lookup(lookup.text_of(row.key, plain.decode()), lookup.purpose)
            for lookup, known in zip(column.lookups, row.lookups, strict=True)
        )
        is_current = row.sealed.startswith(keyring.current_header)
        if not is_current or lookups != row.lookups:
            changes.append(Change(row, row.sealed if is_current else keyring.seal(plain, context), lookups))
    return changes, unreadable
