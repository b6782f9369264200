"""Segments: the files of 16 MiB that a server's write-ahead log is made of, as an archive keeps them."""

import gzip
import shlex
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

SEGMENT_BYTES = 16 * 1024 * 1024  # initdb's own choice, which the launcher leaves
SEGMENTS_PER_LOG = (1 << 32) // SEGMENT_BYTES
SUFFIX = ".gz"
_CHUNK_BYTES = 1024 * 1024


class Log(NamedTuple):
    """The segments that follow each other from the first of a base on, and the first that is missing among more."""

    segments: Sequence[str]
    missing: str | None


def segment_number(name: str) -> int:
    """The place of a segment in the log of its timeline."""
    return int(name[8:16], 16) * SEGMENTS_PER_LOG + int(name[16:], 16)


def segment_name(timeline: int, number: int) -> str:
    """The name that the server gives to a segment."""
    return f"{timeline:08X}{number // SEGMENTS_PER_LOG:08X}{number % SEGMENTS_PER_LOG:08X}"


def read_lsn(text: str) -> int:
    """A place in the log, in bytes, as the server writes it: `0/2000128`."""
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def follow(names: Iterable[str], first: str) -> Log:
    """The log from the segment ``first`` on, as far as it has no gap."""
    timeline = int(first[:8], 16)
    there = {segment_number(name) for name in names if int(name[:8], 16) == timeline}
    number = segment_number(first)
    segments = []
    while number in there:
        segments.append(segment_name(timeline, number))
        number += 1
    gap = any(later > number for later in there)
    return Log(segments, segment_name(timeline, number) if gap else None)


def keep_command(place: Path) -> str:
    """The `archive_command` that keeps a segment in ``place``: whole, on disk, and never over another one.

    A server that was killed may bring a segment again; the same bytes are then as good as kept.
    """
    folder = _in_setting(place)
    kept, draft = f"{folder}/%f{SUFFIX}", f"{folder}/%f.part"
    return (
        f'if [ -e {kept} ]; then gzip -dc {kept} | cmp -s - "%p"; '
        f'else gzip -1 -c "%p" > {draft} && sync {draft} && mv {draft} {kept}; fi'
    )


def fetch_command(place: Path) -> str:
    """The `restore_command` that gets a segment out of ``place``."""
    kept = f"{_in_setting(place)}/%f{SUFFIX}"
    return f'test -f {kept} && gzip -dc {kept} > "%p"'


def _in_setting(place: Path) -> str:
    """A path for the shell, in a command in which the server replaces %f and %p."""
    return shlex.quote(str(place)).replace("%", "%%")


def is_whole(kept: Path) -> bool:
    """Whether a kept segment can be read to its end, by its own checksum."""
    read_bytes = 0
    try:
        with gzip.open(kept) as file:
            while chunk := file.read(_CHUNK_BYTES):
                read_bytes += len(chunk)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return False
    return read_bytes == SEGMENT_BYTES
