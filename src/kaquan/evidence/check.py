"""Hold the log against a checkpoint that somebody outside kept: what nobody inside can forge."""

import msgspec

from kaquan.evidence import store
from kaquan.evidence.note import Checkpoint
from kaquan.evidence.read import read_tiles_under
from kaquan.evidence.tiles import root_of
from kaquan.kit.db import Pool


class Comparison(msgspec.Struct, frozen=True):
    """How the log stands to an outside checkpoint of it.

    ``holds``: the log begins with exactly the leaves of the checkpoint. Otherwise it was ``rewound`` (it is shorter),
    or its first ``outside_size`` leaves are others.
    """

    origin: str
    outside_size: int
    size: int
    rewound: bool
    holds: bool


async def compare_checkpoint(pool: Pool, outside: Checkpoint) -> Comparison:
    """The log against a checkpoint of it whose signature was verified, by the tiles that are there.

    That the tiles are those of the leaves is proven by the audit ``log``.
    """
    async with pool.connection() as connection, store.one_snapshot(connection):
        head = await store.read_log(connection)
        origin, size = ("", 0) if head is None else (head.origin, head.size)
        rewound = size < outside.size
        same = False
        if not rewound and origin == outside.origin:
            tiles = await read_tiles_under(connection, [(0, outside.size)])
            try:
                same = root_of(outside.size, lambda level, number: tiles[level, number]) == outside.root
            except (KeyError, AssertionError):
                same = False  # a tile is not there, or too short
    return Comparison(outside.origin, outside.size, size, rewound, same)
