"""The tree against published vectors, and against the definition: every proof of every small tree."""

from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaquan.evidence.tiles import WIDTH, Tile, edge_of, grow, read_node, read_path, root_of, tile_of, tiles_between
from kaquan.evidence.tree import (
    EMPTY_ROOT,
    HASH_BYTES,
    Node,
    ReadNode,
    consistency_ranges,
    extends,
    hash_children,
    hash_leaf,
    includes,
    inclusion_ranges,
    perfect_root,
    prove,
    root_of_range,
    split_range,
)

# transparency-dev/merkle, testonly/constants.go (those of Certificate Transparency's reference implementation):
# vectors of RFC 6962, whose hashing RFC 9162 kept.
ENTRIES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSION = {
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
}
CONSISTENCY = {
    (1, 1): [],
    (1, 8): INCLUSION[0, 8],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
LEAVES = [hash_leaf(entry) for entry in ENTRIES]


def many(count: int) -> list[bytes]:
    return [sha256(number.to_bytes(8)).digest() for number in range(count)]


def reader(leaves: list[bytes]) -> ReadNode:
    """The nodes of a tree, straight from its leaves."""

    def read(node: Node) -> bytes:
        return perfect_root(leaves[node.number << node.height : (node.number + 1) << node.height])

    return read


def root_by_definition(leaves: list[bytes]) -> bytes:
    """MTH of RFC 9162, section 2.1.1, word for word."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hash_children(root_by_definition(leaves[:k]), root_by_definition(leaves[k:]))


def path_by_definition(m: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 9162, section 2.1.3.1."""
    if len(leaves) == 1:
        return []
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if m < k:
        return [*path_by_definition(m, leaves[:k]), root_by_definition(leaves[k:])]
    return [*path_by_definition(m - k, leaves[k:]), root_by_definition(leaves[:k])]


def test_the_published_roots() -> None:
    for size, root in enumerate(ROOTS):
        assert root_of_range(0, size, reader(LEAVES)).hex() == root


def test_the_published_proofs() -> None:
    for (index, size), proof in INCLUSION.items():
        assert [found.hex() for found in prove(inclusion_ranges(index, size), reader(LEAVES))] == proof
    for (old, new), proof in CONSISTENCY.items():
        assert [found.hex() for found in prove(consistency_ranges(old, new), reader(LEAVES))] == proof


def test_every_inclusion_in_small_trees() -> None:
    leaves = many(40)
    for size in range(1, 41):
        root = root_by_definition(leaves[:size])
        for index in range(size):
            proof = prove(inclusion_ranges(index, size), reader(leaves))
            assert proof == path_by_definition(index, leaves[:size])
            assert includes(root, size, index, leaves[index], proof)
            assert not includes(root, size, index, leaves[index - 1] if size > 1 else EMPTY_ROOT, proof)
            assert not includes(root, size, (index + 1) % (size + 1), leaves[index], proof)
            assert not includes(EMPTY_ROOT, size, index, leaves[index], proof)
            assert not includes(root, size, index, leaves[index], [*proof, leaves[0]])
            if proof:
                assert not includes(root, size, index, leaves[index], proof[:-1])
                assert not includes(root, size, index, leaves[index], proof[1:])
    assert not includes(EMPTY_ROOT, 0, 0, leaves[0], [])
    assert not includes(leaves[0], 1, -1, leaves[0], [])


def test_every_consistency_of_small_trees() -> None:
    leaves = many(40)
    roots = [root_by_definition(leaves[:size]) for size in range(41)]
    forged = [root_by_definition([EMPTY_ROOT, *leaves[1:size]]) for size in range(41)]
    for new in range(1, 41):
        for old in range(1, new + 1):
            proof = prove(consistency_ranges(old, new), reader(leaves))

            def holds(before: bytes, after: bytes, path: list[bytes], *, old: int = old, new: int = new) -> bool:
                return extends(before, after, path, old_size=old, new_size=new)

            assert holds(roots[old], roots[new], proof)
            assert not holds(forged[old], roots[new], proof)
            assert not holds(roots[old], forged[new], proof)
            assert not holds(roots[old], roots[new], [*proof, leaves[0]])
            if proof:
                assert not holds(roots[old], roots[new], proof[:-1])
            assert not holds(roots[new], roots[old], proof, old=new, new=old) or old == new
    assert extends(EMPTY_ROOT, roots[3], [], old_size=0, new_size=3)
    assert not extends(roots[1], roots[3], [], old_size=0, new_size=3)
    assert not extends(EMPTY_ROOT, roots[3], [leaves[0]], old_size=0, new_size=3)


@given(st.integers(0, 10**12), st.integers(1, 10**6))
def test_a_range_is_split_into_what_stands_over_it(start: int, length: int) -> None:
    height = length.bit_length()
    start = start >> height << height  # where ranges of trees begin
    nodes = split_range(start, start + length)
    places = [(node.number << node.height, (node.number + 1) << node.height) for node in nodes]
    assert places[0][0] == start
    assert places[-1][1] == start + length
    assert all(before[1] == after[0] for before, after in pairwise(places))
    assert len(nodes) == length.bit_count()


# Tiles


def grown(*sizes: int) -> tuple[dict[tuple[int, int], bytes], bytes]:
    """The tiles and the root of a tree that grew in these steps."""
    leaves = many(sum(sizes))
    tiles: dict[tuple[int, int], bytes] = {}
    size, root = 0, EMPTY_ROOT
    for step in sizes:
        edge = {tile.level: tiles[tile.level, tile.number] for tile in edge_of(size)}
        growth = grow(size, edge, leaves[size : size + step])
        for place, hashes in growth.tiles.items():
            assert hashes.startswith(tiles.get(place, b""))
        tiles.update(growth.tiles)
        size, root = growth.size, growth.root
    return tiles, root


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 511, 512, 1000, 65_535, 65_536, 65_537, 66_000])
def test_a_tree_in_tiles_is_the_tree(size: int) -> None:
    tiles, root = grown(size)
    leaves = many(size)
    assert root == root_of_range(0, size, reader(leaves))
    assert root_of(size, lambda level, number: tiles[level, number]) == root
    assert b"".join(tiles[0, number] for number in range(-(-size // WIDTH))) == b"".join(leaves)
    expected = {(tile.level, tile.number): tile.width for tile in tiles_between(0, size)}
    assert {place: len(hashes) // HASH_BYTES for place, hashes in tiles.items()} == expected
    for index in {0, size // 3, size - 1}:
        proof = prove(
            inclusion_ranges(index, size), lambda node: read_node(node, lambda level, number: tiles[level, number])
        )
        assert includes(root, size, index, leaves[index], proof)


@given(st.lists(st.integers(1, 400), min_size=1, max_size=6))
def test_however_it_grew_it_is_the_same_tree(steps: list[int]) -> None:
    assert grown(*steps) == grown(sum(steps))


def test_the_example_of_the_specification() -> None:
    """C2SP tlog-tiles: a tree of size 70,000."""
    tiles = tiles_between(0, 70_000)
    assert [sum(tile.level == level and tile.width == WIDTH for tile in tiles) for level in range(3)] == [273, 1, 0]
    assert [tile for tile in tiles if tile.width < WIDTH] == [Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1)]
    assert edge_of(70_000) == [Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1)]
    assert edge_of(256) == [Tile(1, 0, 1)]
    assert edge_of(0) == []
    assert tiles_between(70_000, 70_001) == [Tile(0, 273, 113)]
    assert tile_of(Node(7, 3)) == (0, 1)


def test_addresses_of_tiles() -> None:
    assert Tile(0, 1_234_067).path == "0/x001/x234/067"  # the example of the specification
    assert Tile(3, 5, 17).path == "3/005.p/17"
    for tile in (Tile(0, 0), Tile(0, 999), Tile(1, 1_000), Tile(63, 7, 1), Tile(0, 1_234_067, 255)):
        level, _, place = tile.path.partition("/")
        assert read_path(level, place) == tile


@pytest.mark.parametrize(
    ("level", "place"),
    [
        ("00", "000"), ("-1", "000"), ("64", "000"), ("a", "000"), ("", "000"), ("٣", "000"), ("0", ""), ("0", "0"),
        ("0", "0000"), ("0", "x000/000"), ("0", "001/000"), ("0", "x001/x000"), ("0", "000.p/0"), ("0", "000.p/256"),
        ("0", "000.p/01"), ("0", "000.p/"), ("0", "000/"), ("0", "../000"), ("0", "000\n"), ("0", "٠٠٠"),
        ("0", "x999/" * 9 + "999"),
    ],
)  # fmt: skip
def test_what_is_no_address(level: str, place: str) -> None:
    assert read_path(level, place) is None
