"""The Merkle tree of RFC 9162, section 2: roots, inclusion proofs and consistency proofs, as pure functions.

A node that stands over 2**height leaves, all of them there, never changes again. It is named by its height and its
number in that row: ``Node(0, 5)`` is the sixth leaf, ``Node(3, 0)`` stands over the first eight. Every hash that a root
or a proof needs is folded from such nodes, wherever they are kept; ``tiles.py`` reads them from tiles.

The hash is SHA-256 unless another one is passed: the SM profile has the same trees with SM3 (``sm.py``).
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import NamedTuple

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()


class Node(NamedTuple):
    """A node over 2**height leaves, the ``number``-th of its height from the left."""

    height: int
    number: int


ReadNode = Callable[[Node], bytes]
"""Where the hash of a node is looked up."""


def hash_leaf(entry: bytes) -> bytes:
    """The hash of an entry (section 2.1.1)."""
    return sha256(b"\x00" + entry).digest()


def hash_children(left: bytes, right: bytes) -> bytes:
    """The hash of a node over two others (section 2.1.1)."""
    return sha256(b"\x01" + left + right).digest()


HashChildren = Callable[[bytes, bytes], bytes]
"""How a node is hashed from the two below it."""


def perfect_root(hashes: Sequence[bytes], children: HashChildren = hash_children) -> bytes:
    """The node over 2**n neighbours of one height."""
    if children is not hash_children:
        nodes = list(hashes)
        while len(nodes) > 1:
            nodes = [children(nodes[i], nodes[i + 1]) for i in range(0, len(nodes), 2)]
        return nodes[0]
    row = b"".join(hashes)
    pair = 2 * HASH_BYTES
    while len(row) > HASH_BYTES:
        # hash_children over neighbours as they lie
        row = b"".join([sha256(b"\x01" + row[i : i + pair]).digest() for i in range(0, len(row), pair)])
    return row


def split_range(start: int, end: int) -> list[Node]:
    """The fewest nodes that stand over the leaves from ``start`` up to, not including, ``end``, from the left.

    Both are places where such a range can begin and end in a tree: what a root or a proof asks for.
    """
    nodes = []
    while start < end:
        height = (end - start).bit_length() - 1
        if start:
            height = min(height, (start & -start).bit_length() - 1)
        nodes.append(Node(height, start >> height))
        start += 1 << height
    return nodes


def root_of_range(start: int, end: int, read: ReadNode, children: HashChildren = hash_children) -> bytes:
    """The hash of the subtree over a range of leaves (MTH of section 2.1.1); of none, the hash of nothing."""
    hashes = [read(node) for node in split_range(start, end)]
    if not hashes:
        return EMPTY_ROOT
    root = hashes.pop()
    while hashes:
        root = children(hashes.pop(), root)
    return root


def inclusion_ranges(index: int, size: int) -> list[tuple[int, int]]:
    """The ranges of leaves whose hashes prove the leaf ``index`` in a tree of ``size`` (PATH of section 2.1.3.1)."""
    assert 0 <= index < size, "a leaf that is not in the tree has no proof"
    ranges = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return ranges[::-1]


def consistency_ranges(old: int, new: int) -> list[tuple[int, int]]:
    """The ranges whose hashes prove that a tree of ``old`` leaves became one of ``new`` (PROOF of section 2.1.4.1)."""
    assert 0 < old <= new, "nothing is proven about an empty tree, nor by a smaller one"
    ranges = []
    start, end = 0, new
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    if start:  # otherwise it is the old root itself, which the verifier has
        ranges.append((start, end))
    return ranges[::-1]


def _split(size: int) -> int:
    """The largest power of two below ``size``."""
    return 1 << (size - 1).bit_length() - 1


def prove(ranges: Sequence[tuple[int, int]], read: ReadNode, children: HashChildren = hash_children) -> list[bytes]:
    """The hashes of a proof."""
    return [root_of_range(start, end, read, children) for start, end in ranges]


def includes(
    root: bytes, size: int, index: int, leaf: bytes, proof: Sequence[bytes], children: HashChildren = hash_children
) -> bool:
    """Whether ``proof`` shows that ``leaf`` is the one at ``index`` in the tree (section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    first, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if first & 1 or first == last:
            found = children(sibling, found)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            found = children(found, sibling)
        first, last = first >> 1, last >> 1
    return last == 0 and found == root


def extends(old_root: bytes, new_root: bytes, proof: Sequence[bytes], *, old_size: int, new_size: int) -> bool:
    """Whether ``proof`` shows that the new tree begins with the whole old one (section 2.1.4.2).

    Every tree extends the empty one.
    """
    if not 0 <= old_size <= new_size:
        return False
    if old_size == 0:
        return not proof and old_root == EMPTY_ROOT
    if old_size == new_size:
        return not proof and old_root == new_root
    path = list(proof)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)
    if not path:
        return False
    first, last = old_size - 1, new_size - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    found_old = found_new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if first & 1 or first == last:
            found_old, found_new = hash_children(sibling, found_old), hash_children(sibling, found_new)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            found_new = hash_children(found_new, sibling)
        first, last = first >> 1, last >> 1
    return last == 0 and found_old == old_root and found_new == new_root
