"""Extend the SM profile: its tree follows the log's leaves, from its own size to that of the log, and is signed."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from kaquan.evidence import store
from kaquan.evidence.errors import LogError
from kaquan.evidence.note import Algorithm, Checkpoint, LogKey, NoteError, Signer, sign_note
from kaquan.evidence.sm import SM_SUFFIX, hash_sm_children, hash_sm_leaf
from kaquan.evidence.store import Head
from kaquan.evidence.tiles import WIDTH, edge_of, grow, root_of, split_hashes
from kaquan.evidence.tree import HASH_BYTES
from kaquan.evidence.witness_policy import open_checkpoint
from kaquan.kit.db import Connection

BATCH = 20_000
"""Leaves at the most in one commit: what a profile that was begun late catches up at a time."""


class SmLog:
    """Keeps the SM profile beside the log. What it signed itself it does not verify again: that takes long."""

    def __init__(self) -> None:
        self._signed: str | None = None

    async def extend(self, connection: Connection, log: Head, signers: Sequence[Signer], at: datetime) -> bool:
        """Take the leaves of the log that are not in the SM tree yet; whether more wait.

        Raises LogError when what is there is not what these keys signed.
        """
        head = await store.read_sm_log(connection)
        origin, size = log.origin + SM_SUFFIX, 0 if head is None else head.size
        end = min(log.size, size + BATCH)
        if end <= size:
            return False
        edge = {} if head is None else await self._check(connection, head, signers)
        numbers = range(size // WIDTH, (end - 1) // WIDTH + 1)
        tiles = await store.read_tiles(connection, [(0, number) for number in numbers])
        leaves = [leaf for number in numbers for leaf in split_hashes(tiles[0, number])]
        first = numbers[0] * WIDTH
        new = [hash_sm_leaf(leaf) for leaf in leaves[size - first : end - first]]
        grown = grow(size, edge, new, hash_sm_children)
        text = Checkpoint(origin, grown.size, grown.root).text
        note = await asyncio.to_thread(sign_note, text, origin, signers, Algorithm.SM2)
        await store.append_sm(connection, grown, size=size, origin=origin, note=note, at=at)
        self._signed = note
        return end < log.size

    async def _check(self, connection: Connection, head: Head, signers: Sequence[Signer]) -> dict[int, bytes]:
        """The growing tiles of an SM tree that may be continued."""
        if head.note != self._signed:
            keys = [LogKey(head.origin, signer.public, Algorithm.SM2) for signer in signers]
            try:
                signed = await asyncio.to_thread(open_checkpoint, head.note, keys)
            except NoteError as error:
                raise LogError(f"the SM profile is not signed by a key of this ring: {error}") from None
            if signed != (head.origin, head.size, head.root):
                raise LogError("the SM profile is not what its checkpoint says")
            self._signed = head.note
        growing = edge_of(head.size)
        tiles = await store.read_sm_tiles(connection, [(tile.level, tile.number) for tile in growing])
        edge = {tile.level: tiles.get((tile.level, tile.number), b"") for tile in growing}
        if any(len(edge[tile.level]) != tile.width * HASH_BYTES for tile in growing) or (
            root_of(head.size, lambda level, _: edge[level], hash_sm_children) != head.root
        ):
            raise LogError("the tree of the SM profile is not the one whose root was signed")
        return edge
