"""Read the transparency log from its beginning, or from a place in it: what the audit of it goes through.

It goes in steps along the index of the log, so that nothing of a log of any length is sorted or kept.
"""

from collections.abc import AsyncIterator, Sequence
from enum import IntEnum
from typing import Any

from kaquan.audit import store
from kaquan.evidence.tiles import WIDTH
from kaquan.evidence.tree import HASH_BYTES
from kaquan.kit.db import Connection

ENTRIES_AT_ONCE = 64 * WIDTH

NO_LEAF = bytes(HASH_BYTES)
"""Stands for a leaf that is not there: the hash of nothing that anybody knows."""

RECORD_BYTES = 20 + HASH_BYTES
"""Of an entry: its place in the tile and its slot in two bytes each, its id, its leaf."""

_BEGIN, _END = -(1 << 63), (1 << 63) - 1

LogRow = tuple[int, int, int | None, Any, Any, Any, int | None, int | None, Any, Any]
"""position, sort, slot, id, hash, other, level, number, text, at"""


class LogSort(IntEnum):
    """What a row is about, in this order where several stand at one place of the log."""

    LOG = 0
    KEY = 1
    LEAVES = 2
    ENTRIES = 3
    TILE = 4
    CHECKPOINT = 5
    LEFT_OUT = 6
    END = 7


async def read_log(connection: Connection) -> AsyncIterator[Sequence[LogRow]]:
    """The head and the keys; then by place tiles, entries with their leaves, and checkpoints; then what is left out."""
    yield [
        *await store.read_rows(connection, _HEAD),
        *await store.read_rows(connection, _KEYS),
    ]
    above = sorted(map(_tile_row, await store.read_rows(connection, _TILES_ABOVE)))
    begin, tile, taken = _BEGIN, _BEGIN, 0
    at_end = False
    while not at_end:
        async with store.by_index(connection):
            found = await store.read_rows(connection, _BOUND, begin=begin, limit=ENTRIES_AT_ONCE - 1)
            last = found[0][0] if found else _END
            rows = await store.read_rows(connection, _CHECKPOINTS, begin=begin, last=last)
            sizes = sorted(row[7] for row in rows)  # width_bucket wants them so, and a heap has no order
            rows += await store.read_rows(connection, _ENTRIES, begin=begin, last=last, sizes=sizes)
            rows += await store.read_rows(connection, _LEAVES, begin=tile, last=last // WIDTH if found else _END)
        while taken < len(above) and above[taken][0] <= last:
            rows.append(above[taken])
            taken += 1
        yield sorted(rows, key=lambda row: (row[0], row[1], row[6]))
        tile = last // WIDTH + 1
        at_end = not found or last == _END
        begin = last + 1
    async with store.by_merging(connection):
        left_out = await store.read_rows(connection, _LEFT_OUT)
    yield left_out
    yield [(_END, LogSort.END, None, None, None, None, None, None, None, None)]


def _tile_row(row: tuple[Any, ...]) -> LogRow:
    """A tile above the leaves, at the place where its last hash is complete; at the end where no log has one."""
    level, number, hashes = row
    position = (number * WIDTH + len(hashes) // HASH_BYTES) * WIDTH**level - 1
    return min(position, _END), LogSort.TILE, None, None, hashes, None, level, number, None, None


_HEAD = """
SELECT -1::bigint, 0, NULL::smallint, NULL::uuid, root, note, NULL::smallint, size, origin, signed_at FROM evidence_log
"""
_KEYS = """
SELECT -1::bigint, 1, slot, id, public_key, replaces, NULL::smallint, NULL::bigint, NULL::text, added_at
FROM evidence_key ORDER BY added_at, id
"""
_TILES_ABOVE = "SELECT level, number, hashes FROM evidence_tile WHERE level <> 0"
_BOUND = "SELECT log_index FROM evidence_entry WHERE log_index >= %(begin)s ORDER BY log_index OFFSET %(limit)s LIMIT 1"
_CHECKPOINTS = """
SELECT size - 1, 5, NULL::smallint, NULL::uuid, root, NULL::bytea, 0::smallint, size, note, signed_at
FROM evidence_checkpoint WHERE size > %(begin)s AND size - 1 <= %(last)s
"""
# One row for the entries of a tile, parted where a checkpoint stands between them.
_ENTRIES = """
SELECT max(e.log_index), 3, NULL::smallint, min(e.log_index),
       string_agg(int2send((e.log_index & 255)::smallint) || int2send(e.slot) || uuid_send(e.transaction_id)
                  || coalesce(l.leaf_hash, decode(repeat('00', 32), 'hex')), ''::bytea ORDER BY e.log_index),
       NULL::bytea, 0::smallint, e.log_index >> 8, NULL::text, NULL::timestamptz
FROM evidence_entry AS e
LEFT JOIN evidence_leaf AS l ON l.slot = e.slot AND l.transaction_id = e.transaction_id
WHERE e.log_index BETWEEN %(begin)s AND %(last)s
GROUP BY e.log_index >> 8, width_bucket(e.log_index, %(sizes)s::bigint[])
"""
_LEAVES = """
SELECT number * 256::numeric, 2, NULL::smallint, NULL::uuid, hashes, NULL::bytea, level, number, NULL::text,
       NULL::timestamptz
FROM evidence_tile WHERE level = 0 AND number BETWEEN %(begin)s AND %(last)s
"""
_LEFT_OUT = """
SELECT 9223372036854775807, 6, l.slot, l.transaction_id, NULL::bytea, NULL::bytea, NULL::smallint, NULL::bigint,
       NULL::text, NULL::timestamptz
FROM evidence_leaf AS l
JOIN evidence_horizon AS h ON h.slot = l.slot
WHERE h.walked_to IS NULL AND h.server = evidence_server_v1() AND pg_visible_in_snapshot(l.written_by, h.horizon)
  AND NOT EXISTS (
    SELECT FROM evidence_entry AS e WHERE e.slot = l.slot AND e.transaction_id = l.transaction_id)
ORDER BY l.slot, l.transaction_id
"""
