"""A witness against tlog-witness: what it cosigns, what it refuses and how, and what it never forgets."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from kaquan.evidence import Checkpoint, LogKey, Witness, WitnessError, create_witness, open_note, sign_note
from kaquan.evidence.note import encode
from kaquan.evidence.tree import consistency_ranges, perfect_root, prove, root_of_range
from kaquan.evidence.witness import AddCheckpoint, WitnessAnswer
from kaquan.vault import LogSigner

ORIGIN = "cards.example/log"
LOG, THIEF = LogSigner("g1", b"1" * 32), LogSigner("g2", b"2" * 32)
KEY = LogKey(ORIGIN, LOG.public)
LEAVES = [sha256(bytes([number])).digest() for number in range(40)]
FORKED = [*LEAVES[:3], sha256(b"another").digest(), *LEAVES[4:]]


class At:
    def now(self) -> datetime:
        return datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


def reader(leaves: list[bytes]) -> Any:
    return lambda node: perfect_root(leaves[node.number << node.height : (node.number + 1) << node.height])


def checkpoint(size: int, leaves: list[bytes] = LEAVES, signer: LogSigner = LOG, origin: str = ORIGIN) -> str:
    return sign_note(Checkpoint(origin, size, root_of_range(0, size, reader(leaves))).text, origin, [signer])


def request(old: int, new: int, leaves: list[bytes] = LEAVES, note: str | None = None) -> bytes:
    proof = prove(consistency_ranges(old, new), reader(leaves)) if 0 < old < new else []
    return AddCheckpoint(old, proof, note or checkpoint(new, leaves)).text.encode()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    create_witness(tmp_path / "w1", "witness.example/w1", b"w" * 32)
    return tmp_path / "w1"


def opened(path: Path) -> Witness:
    return Witness(path, At(), lambda seed: LogSigner("witness", seed))


@pytest.fixture
def witness(path: Path) -> Iterator[Witness]:
    found = opened(path)
    found.follow(KEY)
    yield found
    found.close()


def size_of(witness: Witness) -> int:
    return witness.logs[ORIGIN].size


async def test_it_cosigns_what_extends_the_last_one(witness: Witness) -> None:
    for old, new in ((0, 1), (1, 1), (1, 7), (7, 8), (8, 40), (40, 40)):
        answer = await witness.add_checkpoint(request(old, new))
        assert answer.status == 200, answer
        assert open_note(checkpoint(new) + answer.text, [KEY, witness.key])[1] == [KEY, witness.key]
        assert size_of(witness) == new
    assert witness.key.text.startswith("witness.example/w1+")


async def refuses(witness: Witness, body: bytes, status: int) -> WitnessAnswer:
    """The refusal of a request, after which nothing has changed."""
    before = witness.logs
    answer = await witness.add_checkpoint(body)
    assert answer.status == status, answer
    assert "—" not in answer.text
    assert witness.logs == before
    return answer


async def test_each_refusal(witness: Witness, path: Path) -> None:
    assert (await witness.add_checkpoint(request(0, 5))).status == 200
    await refuses(witness, request(0, 5, note=checkpoint(5, origin="other.example/log")), 404)
    await refuses(witness, request(5, 7, note=checkpoint(7, signer=THIEF)), 403)
    await refuses(witness, request(5, 7).replace(b"\n7\n", b"\n8\n"), 403)
    await refuses(witness, request(5, 4), 400)
    for old in (0, 4):
        conflict = await refuses(witness, request(old, 7), 409)
        assert (conflict.text, conflict.media_type) == ("5\n", "text/x.tlog.size")
    conflict = await refuses(witness, request(3, 4), 409)  # somebody is behind
    assert conflict.text == "5\n"
    await refuses(witness, request(6, 7), 409)
    await refuses(witness, AddCheckpoint(5, [b"x" * 32], checkpoint(7)).text.encode(), 422)
    await refuses(witness, AddCheckpoint(5, [], checkpoint(7)).text.encode(), 422)
    await refuses(witness, AddCheckpoint(5, [b"x" * 32], checkpoint(5)).text.encode(), 422)
    assert (await witness.add_checkpoint(request(5, 7))).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"", b"\n\n", b"old 0\n", b"old\n\n", b"old 00\n\n" + checkpoint(1).encode(), b"old -1\n\n",
        b"old \xc2\xb2\n\n", b"old 0\nAA==\n\n" + checkpoint(1).encode(), b"\xff",
        b"old 0\n" + (encode(b"x" * 32) + "\n").encode() * 64 + b"\n",
        b"new 0\n\n" + checkpoint(1).encode(), b"old " + b"9" * 5_000 + b"\n\n" + checkpoint(1).encode(),
    ],
)  # fmt: skip
async def test_what_is_no_request(witness: Witness, body: bytes) -> None:
    await refuses(witness, body, 400)


async def test_a_fork_is_refused_and_kept(witness: Witness, path: Path) -> None:
    assert (await witness.add_checkpoint(request(0, 5))).status == 200
    forks = path.with_name("w1.forks")
    assert not forks.exists()
    # another tree of the same size, shown twice, and one that does not begin with what was seen
    for _ in range(2):
        conflict = await refuses(witness, request(5, 5, note=checkpoint(5, FORKED)), 409)
        assert conflict.text == "5\n"
    await refuses(witness, request(0, 5, note=checkpoint(5, FORKED)), 409)
    await refuses(witness, request(5, 9, FORKED), 422)
    kept = [json.loads(line) for line in forks.read_text("utf-8").splitlines()]
    assert [fork["shown"] for fork in kept] == [checkpoint(5, FORKED), checkpoint(9, FORKED)]
    for fork in kept:
        assert fork["cosigned"] == checkpoint(5)
        open_note(fork["shown"], [KEY])  # both are signed: here is the proof


async def test_it_remembers_over_a_restart_before_it_answers(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        steps.append(descriptor)
        fsync(descriptor)

    first = opened(path)
    first.follow(KEY)
    monkeypatch.setattr(os, "fsync", noted)
    assert (await first.add_checkpoint(request(0, 5))).status == 200
    assert len(steps) == 2  # the file, and the folder that names it
    kept = read(path)
    first.close()
    again = opened(path)
    assert size_of(again) == 5
    assert again.key == first.key
    await refuses(again, request(0, 7), 409)
    assert read(path) == kept
    again.close()


def read(path: Path) -> bytes:
    assert path.stat().st_mode & 0o777 == 0o600
    return path.read_bytes()


async def test_what_is_not_kept_is_not_cosigned(witness: Witness, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kaquan.evidence.witness._write", full)
    before = witness.logs
    with pytest.raises(OSError, match="No space"):
        await witness.add_checkpoint(request(0, 5))
    assert witness.logs == before


def test_one_process_at_a_time_has_it(witness: Witness, path: Path) -> None:
    with pytest.raises(WitnessError, match="Another process"):
        opened(path)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "w"
    with pytest.raises(WitnessError, match="no witness"):
        opened(path)
    for content in (b"", b"{}", b'{"format":2,"name":"w","seed":"AA=="}', b'{"format":1,"name":"w","seed":"AA=="}'):
        path.write_bytes(content)
        with pytest.raises(WitnessError, match="damaged"):
            opened(path)
    with pytest.raises(WitnessError, match="already"):
        create_witness(path, "w", b"w" * 32)
    with pytest.raises(WitnessError, match="cannot be called"):
        create_witness(tmp_path / "v", "a b", b"w" * 32)


async def test_a_log_may_change_its_key(witness: Witness) -> None:
    new = LogSigner("g3", b"3" * 32)
    await refuses(witness, request(0, 5, note=checkpoint(5, signer=new)), 403)
    witness.follow(LogKey(ORIGIN, new.public))
    assert (await witness.add_checkpoint(request(0, 5, note=checkpoint(5, signer=new)))).status == 200
    assert (await witness.add_checkpoint(request(5, 6))).status == 200
