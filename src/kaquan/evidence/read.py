"""Read the log: its checkpoint, its keys, its tiles, and the proof that a leaf is in it."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from kaquan.evidence import store
from kaquan.evidence.note import LogKey
from kaquan.evidence.tiles import Tile, read_node, tile_of
from kaquan.evidence.tree import HASH_BYTES, Node, consistency_ranges, inclusion_ranges, prove, split_range
from kaquan.kit.db import Connection, Pool
from kaquan.kit.outcomes import NOT_FOUND, Refusal


class StoredLeaf(NamedTuple):
    """A leaf: its hash, and the salt of what it commits to, or, once that is erased, the commitment alone."""

    hash: bytes
    salt: bytes | None
    commitment: bytes | None


class Inclusion(NamedTuple):
    """That a leaf is in the log: where, the hashes that lead from it to the root, and the signed checkpoint of that."""

    log_index: int
    proof: tuple[bytes, ...]
    checkpoint: str


async def get_checkpoint(pool: Pool) -> str | Refusal:
    """The newest checkpoint, signed. Refused: ``not_found`` before the first."""
    head = await get_head(pool)
    return NOT_FOUND.refuse(what="checkpoint") if head is None or not head.note else head.note


async def get_head(pool: Pool) -> store.Head | None:
    """The log as its newest checkpoint has it; None before it begins."""
    async with pool.connection() as connection:
        return await store.read_log(connection)


async def get_keys(pool: Pool) -> list[LogKey]:
    """Every key that signs or signed checkpoints, the oldest first."""
    async with pool.connection() as connection:
        head = await store.read_log(connection)
        keys = await store.read_keys(connection)
    return [] if head is None else [LogKey(head.origin, key.public_key) for key in keys]


async def get_tile(pool: Pool, tile: Tile) -> bytes | Refusal:
    """The hashes of a tile. Refused: ``not_found`` while the log is not that long."""
    async with pool.connection() as connection:
        found = await store.read_tiles(connection, [(tile.level, tile.number)])
    hashes = found.get((tile.level, tile.number), b"")[: tile.width * HASH_BYTES]
    return NOT_FOUND.refuse(what="tile") if len(hashes) < tile.width * HASH_BYTES else hashes


async def read_leaf(pool: Pool, *, slot: int, id_: UUID) -> StoredLeaf | None:
    """The leaf of a transaction, change of rules or key."""
    async with pool.connection() as connection:
        found = await store.read_leaf(connection, slot=slot, id_=id_)
    return None if found is None else StoredLeaf(*found)


async def prove_leaf(pool: Pool, *, slot: int, id_: UUID) -> Inclusion | None:
    """The proof of the leaf of a transaction, change of rules or key in the newest checkpoint; None while it has no
    index."""
    async with pool.connection() as connection, store.one_snapshot(connection):
        index = await store.find_entry(connection, slot=slot, id_=id_)
        head = await store.read_log(connection)
        if index is None or head is None:
            return None
        proof = await _prove(connection, inclusion_ranges(index, head.size))
    return Inclusion(index, tuple(proof), head.note)


async def prove_growth(pool: Pool, *, old_size: int) -> tuple[list[bytes], str] | None:
    """The proof that the log's newest checkpoint, which comes with it, extends the tree of ``old_size`` leaves; None if
    the log is not that long."""
    async with pool.connection() as connection, store.one_snapshot(connection):
        head = await store.read_log(connection)
        if head is None or not 0 < old_size <= head.size:
            return None
        return await _prove(connection, consistency_ranges(old_size, head.size)), head.note


async def read_tiles_under(connection: Connection, ranges: Sequence[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
    """The tiles out of which the hashes of these ranges of leaves are folded."""
    needed = {tile_of(node) for start, end in ranges for node in split_range(start, end)}
    return await store.read_tiles(connection, needed)


async def read_head(connection: Connection) -> store.Head | None:
    """The log as its newest checkpoint has it, in the snapshot of a session; None before it begins."""
    return await store.read_log(connection)


async def read_nodes(connection: Connection, nodes: Sequence[Node]) -> list[bytes]:
    """The hashes of nodes that the log has."""
    tiles = await store.read_tiles(connection, {tile_of(node) for node in nodes})
    return [read_node(node, lambda level, number: tiles[level, number]) for node in nodes]


async def _prove(connection: Connection, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
    tiles = await read_tiles_under(connection, ranges)
    return prove(ranges, lambda node: read_node(node, lambda level, number: tiles[level, number]))
