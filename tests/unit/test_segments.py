"""The arithmetic of an archive: how segments follow each other, and which base a restore begins with."""

import gzip
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kaquan.kit.embedded.archive import Base, choose_base
from kaquan.kit.embedded.segments import (
    SEGMENT_BYTES,
    Log,
    fetch_command,
    follow,
    is_whole,
    keep_command,
    read_lsn,
    segment_name,
    segment_number,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def name(number: int, timeline: int = 1) -> str:
    return segment_name(timeline, number)


def test_a_name_is_timeline_log_and_segment() -> None:
    assert name(2) == "000000010000000000000002"
    assert name(255) == "0000000100000000000000FF"
    assert name(256, timeline=3) == "000000030000000100000000"
    assert segment_number(name(256)) == 256
    assert read_lsn("1/2000128") // SEGMENT_BYTES == 256 + 2


def test_the_log_goes_as_far_as_it_has_no_gap() -> None:
    whole = [name(number) for number in range(254, 260)]
    assert follow(whole, name(255)) == Log(whole[1:], None)
    assert follow(whole[:3] + whole[4:], name(254)) == Log(whole[:3], whole[3])
    assert follow(whole[1:], name(254)) == Log([], whole[0])
    assert follow([], name(254)) == Log([], None), "nothing was archived since the base"
    assert follow([*whole[:2], name(257, timeline=2)], name(254)) == Log(whole[:2], None)


def test_a_restore_begins_with_the_newest_base_that_had_ended() -> None:
    bases = [Base(f"b{hour}", NOON, NOON + timedelta(hours=hour), "18", name(2)) for hour in range(3)]
    assert choose_base(bases, None) is bases[2]
    assert choose_base(bases, NOON + timedelta(hours=1)) is bases[1]
    assert choose_base(bases, NOON + timedelta(minutes=59)) is bases[0]
    assert choose_base(bases, NOON - timedelta(microseconds=1)) is None
    assert choose_base([], None) is None


def shell(command: str, segment: str, path: Path) -> int:
    """Run a command as the server would."""
    filled = command.replace("%%", "\0").replace("%f", segment).replace("%p", str(path)).replace("\0", "%")
    return subprocess.run(["/bin/sh", "-c", filled], check=False, capture_output=True).returncode


def test_a_segment_is_kept_once_and_fetched_again(tmp_path: Path) -> None:
    place = tmp_path / "it's 100% safe"
    place.mkdir()
    written, fetched = tmp_path / "written", tmp_path / "fetched"
    written.write_bytes(b"log" + bytes(SEGMENT_BYTES - 3))
    assert shell(keep_command(place), name(1), written) == 0
    (kept,) = place.iterdir()
    assert kept.name == f"{name(1)}.gz"
    assert is_whole(kept)
    assert shell(keep_command(place), name(1), written) == 0, "a killed server brings it again"
    before = kept.read_bytes()
    written.write_bytes(b"another")
    assert shell(keep_command(place), name(1), written) != 0, "never over another one"
    assert kept.read_bytes() == before
    assert shell(fetch_command(place), name(1), fetched) == 0
    assert fetched.read_bytes() == b"log" + bytes(SEGMENT_BYTES - 3)
    fetched.unlink()
    assert shell(fetch_command(place), name(2), fetched) != 0
    assert not fetched.exists()
    assert shell(keep_command(tmp_path / "nowhere"), name(2), written) != 0


@pytest.mark.parametrize("spoil", ["short", "cut", "flipped", "none"])
def test_a_damaged_segment_is_not_whole(tmp_path: Path, spoil: str) -> None:
    kept = tmp_path / "segment.gz"
    packed = bytearray(gzip.compress(bytes(range(256)) * (SEGMENT_BYTES // 256), compresslevel=1))
    if spoil == "short":
        packed = bytearray(gzip.compress(b"short"))
    elif spoil == "cut":
        del packed[-100:]
    elif spoil == "flipped":
        packed[-6] ^= 1  # its checksum
    kept.write_bytes(packed)
    assert is_whole(kept) == (spoil == "none")
