"""The tree in tiles (C2SP tlog-tiles): 256 neighbouring hashes of every eighth height, and their addresses.

A tile at level L holds nodes of height 8·L. A full one never changes; at the right edge of each level stands at most
one that still grows. The nodes between two levels are hashed from the tile below them.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from kaquan.evidence.tree import HASH_BYTES, HashChildren, Node, hash_children, perfect_root, root_of_range

WIDTH = 256
_HEIGHT = 8
MAX_LEVEL = 63

_LEVEL = re.compile(r"0|[1-9][0-9]?")
_PLACE = re.compile(r"((?:x[0-9]{3}/)*)([0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")
_MAX_GROUPS = 5


class Tile(NamedTuple):
    """Which tile, and how many hashes of it."""

    level: int
    number: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """Its address below ``tile/``."""
        digits = f"{self.number:03d}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
        part = "" if self.width == WIDTH else f".p/{self.width}"
        return f"{self.level}/" + "".join(f"x{group}/" for group in groups[:-1]) + groups[-1] + part


def read_path(level: str, place: str) -> Tile | None:
    """The tile that an address names; None for what is no address of a tile, or not the shortest one."""
    found = _PLACE.fullmatch(place)
    if not _LEVEL.fullmatch(level) or int(level) > MAX_LEVEL or found is None or len(found[1]) > 5 * _MAX_GROUPS:
        return None
    width = WIDTH if found[3] is None else int(found[3])
    tile = Tile(int(level), int(found[1].replace("x", "").replace("/", "") + found[2]), width)
    named_as = f"{level}/{place}"
    return tile if tile.path == named_as and (found[3] is None or width < WIDTH) else None


def tiles_between(old: int, new: int) -> list[Tile]:
    """What a tree of ``new`` leaves has in tiles that one of ``old`` had not, full tiles and the growing ones."""
    found = []
    level = 0
    while new >> level * _HEIGHT:
        old_count, count = old >> level * _HEIGHT, new >> level * _HEIGHT
        found += [Tile(level, number) for number in range(old_count // WIDTH, count // WIDTH)]
        if count % WIDTH and count != old_count:
            found.append(Tile(level, count // WIDTH, count % WIDTH))
        level += 1
    return found


def edge_of(size: int) -> list[Tile]:
    """The tiles at the right edge that still grow, by level; of those that are empty there is none."""
    levels = range(-(-size.bit_length() // _HEIGHT))
    edge = [Tile(level, count // WIDTH, count % WIDTH) for level in levels if (count := size >> level * _HEIGHT)]
    return [tile for tile in edge if tile.width]


class Growth(NamedTuple):
    """What became of a tree: its size, its root, and the tiles that are new or longer, by level and number."""

    size: int
    root: bytes
    tiles: Mapping[tuple[int, int], bytes]


def grow(
    size: int, edge: Mapping[int, bytes], leaves: Sequence[bytes], children: HashChildren = hash_children
) -> Growth:
    """The tree of ``size`` with ``leaves`` (their hashes) behind. ``edge``: the hashes of :func:`edge_of`, by level."""
    tiles: dict[tuple[int, int], bytes] = {}
    edge = dict(edge)
    added, level, count = b"".join(leaves), 0, size
    while added:
        waiting = edge.get(level, b"") + added
        number = count // WIDTH
        roots = []
        for start in range(0, len(waiting), WIDTH * HASH_BYTES):
            hashes = waiting[start : start + WIDTH * HASH_BYTES]
            tiles[level, number] = hashes
            number += 1
            if len(hashes) == WIDTH * HASH_BYTES:
                roots.append(perfect_root(split_hashes(hashes), children))
                edge[level] = b""
            else:
                edge[level] = hashes
        added, level, count = b"".join(roots), level + 1, count >> _HEIGHT
    size += len(leaves)

    def read(level: int, _: int) -> bytes:
        return edge[level]

    return Growth(size, root_of(size, read, children), tiles)


def split_hashes(hashes: bytes) -> list[bytes]:
    """The hashes of a tile."""
    return [hashes[i : i + HASH_BYTES] for i in range(0, len(hashes), HASH_BYTES)]


ReadTile = Callable[[int, int], bytes]
"""The hashes of the tile of a level and number: at least as many as the tree of the size in question has there."""


def tile_of(node: Node) -> tuple[int, int]:
    """The level and number of the tile below a node, or in which it stands."""
    level, above = divmod(node.height, _HEIGHT)
    return level, (node.number << above) // WIDTH


def read_node(node: Node, read: ReadTile, children: HashChildren = hash_children) -> bytes:
    """The hash of a node, from the tile that holds it or what it stands over."""
    level, above = divmod(node.height, _HEIGHT)
    hashes = read(*tile_of(node))
    start = (node.number << above) % WIDTH * HASH_BYTES
    found = hashes[start : start + (HASH_BYTES << above)]
    assert len(found) == HASH_BYTES << above, f"tile {level}/{node.number} is shorter than the tree says"
    return found if above == 0 else _fold(found, children)


@lru_cache(maxsize=4_096)
def _fold(hashes: bytes, children: HashChildren) -> bytes:
    """The node over the hashes of a part of a tile.

    Receipts of one time ask for the same ones again and again. They are kept by what they are made of, so that no other
    log could be meant.
    """
    return perfect_root(split_hashes(hashes), children)


def root_of(size: int, read: ReadTile, children: HashChildren = hash_children) -> bytes:
    """The root of the tree of ``size`` leaves."""
    return root_of_range(0, size, lambda node: read_node(node, read, children), children)
