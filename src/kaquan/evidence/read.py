"""Read the log: its checkpoint, its keys, its tiles, and the proof that a leaf is in it."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from kaquan.evidence import store
from kaquan.evidence.note import LogKey
from kaquan.evidence.profiles import SHA256, Profile, key_algorithm
from kaquan.evidence.receipt import Inclusion
from kaquan.evidence.sm import SM_SUFFIX
from kaquan.evidence.tiles import Tile, read_node, tile_of
from kaquan.evidence.tree import HASH_BYTES, Node, consistency_ranges, inclusion_ranges, prove, split_range
from kaquan.kit.db import Connection, Pool
from kaquan.kit.outcomes import NOT_FOUND, Refusal


class ProvenLeaf(NamedTuple):
    """A leaf: its hash, the salt of what it commits to or, once that is erased, the commitment alone, and that it is
    in the log, once it is."""

    hash: bytes
    salt: bytes | None
    commitment: bytes | None
    inclusion: Inclusion | None


async def get_checkpoint(pool: Pool, profile: Profile = SHA256) -> str | Refusal:
    """The newest checkpoint that is published, signed, and cosigned where there are witnesses.

    Refused: ``not_found`` before the first.
    """
    async with pool.connection() as connection:
        read = store.read_published if profile is SHA256 else store.read_sm_log
        head = await read(connection)
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
    return [] if head is None else [key_of(head.origin, key.public_key) for key in keys]


async def get_key_receipts(pool: Pool) -> dict[bytes, str]:
    """How keys were announced by those before them, the oldest first: public keys with receipts of their entries."""
    async with pool.connection() as connection:
        keys = await store.read_keys(connection)
        receipts = await store.read_key_receipts(connection)
    return {key.public_key: receipts[key.id] for key in keys if key.id in receipts}


class WitnessView(NamedTuple):
    """A witness of the log: the size that it cosigned last and when, and why it does not cosign, if it does not."""

    key: str
    size: int
    cosigned_at: datetime | None
    failure: str | None
    failed_since: datetime | None


async def get_witnesses(pool: Pool) -> list[WitnessView]:
    """What the witnesses of the log have cosigned."""
    async with pool.connection() as connection:
        states = await store.read_witnesses(connection)
    return [
        WitnessView(state.key, state.size, state.cosigned_at, state.failure, state.failed_since)
        for state in sorted(states.values())
    ]


async def get_sm_head(pool: Pool) -> store.Head | None:
    """The SM profile as its newest checkpoint has it; None while there is none."""
    async with pool.connection() as connection:
        return await store.read_sm_log(connection)


def key_of(origin: str, public: bytes) -> LogKey:
    """A key of the log, whose name is ``origin``, or of its SM profile."""
    algorithm = key_algorithm(public)
    return LogKey(origin if algorithm is SHA256.algorithm else origin + SM_SUFFIX, public, algorithm)


async def get_tile(pool: Pool, tile: Tile, profile: Profile = SHA256) -> bytes | Refusal:
    """The hashes of a tile. Refused: ``not_found`` while the log is not that long."""
    async with pool.connection() as connection:
        found = await _tile_reader(profile)(connection, [(tile.level, tile.number)])
    hashes = found.get((tile.level, tile.number), b"")[: tile.width * HASH_BYTES]
    return NOT_FOUND.refuse(what="tile") if len(hashes) < tile.width * HASH_BYTES else hashes


async def prove_leaf(pool: Pool, *, slot: int, id_: UUID, profile: Profile = SHA256) -> ProvenLeaf | None:
    """The leaf of a transaction, change of rules or key, with its proof in the newest published checkpoint if that
    covers it; None if there is no such leaf.

    Two statements and no transaction: tiles only grow, so those that are read later have all that the checkpoint had.
    """
    async with pool.connection() as connection:
        read = store.read_leaf if profile is SHA256 else store.read_sm_place
        leaf = await read(connection, slot=slot, id_=id_)
        if leaf is None:
            return None
        if leaf.log_index is None or leaf.log_index >= leaf.size:
            return ProvenLeaf(leaf.hash, leaf.salt, leaf.commitment, None)
        proof = await prove_ranges(connection, inclusion_ranges(leaf.log_index, leaf.size), profile)
    return ProvenLeaf(
        leaf.hash, leaf.salt, leaf.commitment, Inclusion(leaf.log_index, tuple(proof), leaf.note, profile)
    )


async def prove_growth(pool: Pool, *, old_size: int, new_size: int) -> list[bytes]:
    """The proof that the tree of ``new_size`` leaves, which the log has, extends that of ``old_size``."""
    if old_size in (0, new_size):
        return []
    async with pool.connection() as connection:
        return await prove_ranges(connection, consistency_ranges(old_size, new_size))


async def read_tiles_under(
    connection: Connection, ranges: Sequence[tuple[int, int]], profile: Profile = SHA256
) -> dict[tuple[int, int], bytes]:
    """The tiles out of which the hashes of these ranges of leaves are folded."""
    needed = {tile_of(node) for start, end in ranges for node in split_range(start, end)}
    return await _tile_reader(profile)(connection, needed)


async def read_head(connection: Connection) -> store.Head | None:
    """The log as its newest checkpoint has it, in the snapshot of a session; None before it begins."""
    return await store.read_log(connection)


async def read_nodes(connection: Connection, nodes: Sequence[Node]) -> list[bytes]:
    """The hashes of nodes that the log has."""
    tiles = await store.read_tiles(connection, {tile_of(node) for node in nodes})
    return [read_node(node, lambda level, number: tiles[level, number]) for node in nodes]


async def prove_ranges(
    connection: Connection, ranges: Sequence[tuple[int, int]], profile: Profile = SHA256
) -> list[bytes]:
    """The hashes over these ranges of leaves."""
    tiles = await read_tiles_under(connection, ranges, profile)

    def read(level: int, number: int) -> bytes:
        return tiles[level, number]

    return prove(ranges, lambda node: read_node(node, read, profile.children), profile.children)


def _tile_reader(profile: Profile) -> Callable[..., Awaitable[dict[tuple[int, int], bytes]]]:
    return store.read_tiles if profile is SHA256 else store.read_sm_tiles
