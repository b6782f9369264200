"""The log as files against the log in the database: what others read is what is here."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from kaquan.audit import store
from kaquan.audit.run import FINDINGS_SHOWN, show_finding
from kaquan.audit.types import AuditResult, Row
from kaquan.evidence import NoteError, Tile, key_of, open_checkpoint, read_head, read_nodes, read_path, split_range
from kaquan.evidence.publish import CHECKPOINT
from kaquan.evidence.tiles import WIDTH, split_hashes, tiles_between
from kaquan.evidence.tree import HASH_BYTES, hash_children
from kaquan.kit.db import Connection, Pool

NAME = "published"

_TILES_AT_ONCE = 512


async def check_published(conninfo_or_pool: str | Pool, directory: Path) -> AuditResult:
    """Every file of a folder that the log is published in. What is not there yet, since it is new, is no finding.

    Raises OSError for a folder that cannot be read.
    """
    started = time.perf_counter()
    async with store.open_snapshot(conninfo_or_pool) as ((connection,), _):
        found, checked = await _check(connection, directory)
    return AuditResult(
        name=NAME,
        proves_en="The published folder holds the log of this database up to its checkpoint, every tile of it, and "
        "nothing else.",
        proves_zh="发布目录保存着本数据库日志截至其检查点的全部瓦片，且别无他物。",
        reading_en="file names what is wrong, log_index the first entry under it: expected is what the database has, "
        "actual what the file holds.",
        reading_zh="file 为有误的文件，log_index 为其下首个条目：expected 为数据库内容，actual 为文件内容。",
        holds=not found,
        counts="files",
        checked=checked,
        duration_ms=round((time.perf_counter() - started) * 1000),
        finding_count=len(found),
        findings=tuple(show_finding(row) for row in found[:FINDINGS_SHOWN]),
    )


async def _check(connection: Connection, directory: Path) -> tuple[list[Row], int]:
    head = await read_head(connection)
    path = directory / CHECKPOINT
    note = await asyncio.to_thread(_read, path)
    if note is None:
        begun = head is not None and head.note  # a worker publishes within a second
        return [_row(CHECKPOINT, "checkpoint", "one", None)] if begun else [], 0
    origin = "" if head is None else head.origin
    keys = [key_of(origin, key) for (key,) in await store.read_named(connection, "public_keys")]
    try:
        published = open_checkpoint(note.decode("utf-8", "replace"), keys)
    except NoteError as error:
        return [_row(CHECKPOINT, "checkpoint", "signed by a key of the log", str(error))], 1
    assert head is not None, "there is a key that signed"
    if published.size > head.size:
        return [_row(CHECKPOINT, "size of the log", published.size, head.size, log_index=head.size)], 1
    found: list[Row] = []
    needed = {f"tile/{tile.path}": tile for tile in tiles_between(0, published.size)}
    there = await asyncio.to_thread(_files, directory)
    found += [_row(name, "tile", "one", None, log_index=_first(needed[name])) for name in needed if name not in there]
    tiles = {name: tile for name in there if (tile := _tile(name)) is not None}
    found += [_row(name, "file", None, "one too many") for name in sorted(there - tiles.keys() - {CHECKPOINT})]
    names = sorted(tiles, key=lambda name: (_first(tiles[name]), name))
    for start in range(0, len(names), _TILES_AT_ONCE):
        some = names[start : start + _TILES_AT_ONCE]
        ours = await _read_tiles(connection, [tiles[name] for name in some])
        found += await asyncio.to_thread(_compare, directory, some, tiles, ours)
    if not found and published.size and await _root(connection, published.size) != published.root:
        found.append(_row(CHECKPOINT, "root of the checkpoint", "that of the log", published.root))
    found.sort(key=lambda row: row.get("log_index", -1))
    return found, len(there)


async def _root(connection: Connection, size: int) -> bytes:
    """The root of the first leaves."""
    hashes = await read_nodes(connection, split_range(0, size))
    root = hashes.pop()
    while hashes:
        root = hash_children(hashes.pop(), root)
    return root


async def _read_tiles(connection: Connection, tiles: Sequence[Tile]) -> dict[tuple[int, int], bytes]:
    rows = await store.read_named(
        connection, "tiles", levels=[tile.level for tile in tiles], numbers=[tile.number for tile in tiles]
    )
    return {(level, number): hashes for level, number, hashes in rows}


def _compare(
    directory: Path, names: Sequence[str], tiles: dict[str, Tile], ours: dict[tuple[int, int], bytes]
) -> list[Row]:
    return list(_differences(directory, names, tiles, ours))


def _differences(
    directory: Path, names: Sequence[str], tiles: dict[str, Tile], ours: dict[tuple[int, int], bytes]
) -> Iterator[Row]:
    for name in names:
        tile = tiles[name]
        expected = ours.get((tile.level, tile.number), b"")[: tile.width * HASH_BYTES]
        actual = _read(directory / name) or b""
        if actual == expected and len(expected) == tile.width * HASH_BYTES:
            continue
        pairs = zip(split_hashes(expected), split_hashes(actual), strict=False)
        place = next((n for n, (one, other) in enumerate(pairs) if one != other), min(len(expected), len(actual)) // 32)
        index = (tile.number * WIDTH + place) * WIDTH**tile.level
        hashes = [split_hashes(text)[place : place + 1] for text in (expected, actual)]
        yield _row(name, "tile", *(found[0] if found else None for found in hashes), log_index=index)


def _first(tile: Tile) -> int:
    return int(tile.number * WIDTH ** (tile.level + 1))


def _tile(name: str) -> Tile | None:
    word, _, rest = name.partition("/")
    level, _, place = rest.partition("/")
    return read_path(level, place) if word == "tile" else None


def _files(directory: Path) -> set[str]:
    """Every file, but those that begin with a dot: locks and drafts."""
    return {
        path.relative_to(directory).as_posix()
        for path in directory.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _row(file: str, what: str, expected: object, actual: object, **ids: object) -> Row:
    return {"file": file, **ids, "what": what, "expected": expected, "actual": actual}
