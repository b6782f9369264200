"""Publish the log as files (C2SP tlog-tiles): what any web server or bucket can serve, apart from the database.

The checkpoint is put in its place last and whole, and only ever by a longer one, so that whoever reads the folder finds
a log that is complete as far as its checkpoint says.
"""

import asyncio
import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from kaquan.evidence import store
from kaquan.evidence.note import LogKey, NoteError
from kaquan.evidence.tiles import WIDTH, Tile, tiles_between
from kaquan.evidence.tree import HASH_BYTES
from kaquan.evidence.witness_policy import open_checkpoint
from kaquan.kit.db import Pool

CHECKPOINT = "checkpoint"
_TILES_AT_ONCE = 256


async def read_published(directory: Path) -> str | None:
    """The checkpoint in a folder, None before the first."""

    def read() -> str | None:
        try:
            return (directory / CHECKPOINT).read_text("utf-8")
        except FileNotFoundError:
            return None

    return await asyncio.to_thread(read)


async def publish(pool: Pool, directory: Path, keys: Sequence[LogKey]) -> None:
    """Bring a folder up to the log as it is. Raises OSError when it cannot be written."""
    async with pool.connection() as connection, store.one_snapshot(connection):
        head = await store.read_published(connection)
        note = await read_published(directory)
        if head is None or head.size == 0 or note == head.note:
            return
        try:
            old = 0 if note is None else open_checkpoint(note, keys).size
        except NoteError:
            return  # not ours to overwrite: the next step refuses to go on
        new = tiles_between(old, head.size)
        for start in range(0, len(new), _TILES_AT_ONCE):
            tiles = new[start : start + _TILES_AT_ONCE]
            found = await store.read_tiles(connection, [(tile.level, tile.number) for tile in tiles])
            await asyncio.to_thread(_write_tiles, directory, tiles, found)
    await asyncio.to_thread(_write_checkpoint, directory, head.note, head.size, keys)


def _write_tiles(directory: Path, tiles: Sequence[Tile], found: Mapping[tuple[int, int], bytes]) -> None:
    for tile in tiles:
        path = directory / "tile" / tile.path
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, found[tile.level, tile.number][: tile.width * HASH_BYTES])
        if tile.width == WIDTH:
            shutil.rmtree(path.with_name(f"{path.name}.p"), ignore_errors=True)  # its shorter forms


def _write_checkpoint(directory: Path, note: str, size: int, keys: Sequence[LogKey]) -> None:
    with _only_publisher(directory):
        path = directory / CHECKPOINT
        if path.exists() and open_checkpoint(path.read_text("utf-8"), keys).size >= size:
            return  # another process was faster
        _replace(path, note.encode())


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(path)


@contextmanager
def _only_publisher(directory: Path) -> Iterator[None]:
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
