"""The format of a bundle, read by the verifier that shares no code with it: a true one holds, any other is refused."""

import importlib.util
import io
import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from kaquan.custody.bundle import FACT_FORMAT, Bundle
from kaquan.evidence import (
    Checkpoint,
    LeafEntry,
    LeafFacts,
    LogKey,
    canonical_bytes,
    hash_leaf,
    sign_note,
    split_range,
)
from kaquan.evidence.tree import perfect_root, root_of_range
from kaquan.vault import LogSigner

VERIFIER = Path(__file__).parents[2] / "verifier" / "kaquan_verify_bundle.py"
SPEC = importlib.util.spec_from_file_location("kaquan_verify_bundle", VERIFIER)
assert SPEC is not None
assert SPEC.loader is not None
single_file = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(single_file)

NAME = "cards.example/log"
SIGNER, OTHER = LogSigner("g1", b"1" * 32), LogSigner("g2", b"2" * 32)
KEY = LogKey(NAME, SIGNER.public)
AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


def content(number: int, amount_fen: int = 100) -> bytes:
    legs = [LeafEntry(1, "post", 1, 1, 5, None, amount_fen + number)]
    return canonical_bytes(LeafFacts(0, UUID(int=number), 2, "purchase", None, None, AT, AT, None, legs))


def name(number: int) -> str:
    return f"txn_{number:032x}"


class Made:
    """A bundle of some leaves of a log of ``size``."""

    def __init__(
        self, size: int, shown: list[int], *, facts: int = 0, old: int = 0, kept: tuple[int, ...] = (), **how: Any
    ) -> None:
        self.leaves = [hash_leaf(content(n)) for n in range(size)]
        self.signers = how.get("signers", [SIGNER])
        self.size, self.shown = size, shown
        bundle = Bundle(NAME)
        self.lines = bundle.begin({"log": NAME, "old_size": old, "size": size, "object": "x"}).splitlines(keepends=True)
        for n in range(facts):
            self.lines.append(bundle.fact(f"evt_{n}", (FACT_FORMAT, f"evt_{n}", "card_1", "blocked", n)))
        laid = hidden = 0
        marks = sorted({*shown, *kept, old, size})
        for mark in marks:
            for node in split_range(laid, mark):
                self.lines.append(bundle.node(node.height, self.read(node)))
            hidden += max(0, mark - max(laid, old))
            laid = mark
            if mark in (*kept, size) or (old and mark == old):
                signers = how.get("kept_signers", self.signers) if mark in kept else self.signers
                self.lines.append(bundle.checkpoint(self.checkpoint(mark, signers)))
            if mark in shown:
                self.lines.append(bundle.entry(name(mark), mark, content(mark)))
                laid = mark + 1
        self.tail = bundle.end(hidden=hidden, signers=self.signers)

    def read(self, node: Any) -> bytes:
        return perfect_root(self.leaves[node.number << node.height : (node.number + 1) << node.height])

    def checkpoint(self, size: int, signers: list[LogSigner]) -> str:
        root = root_of_range(0, size, self.read)
        return sign_note(Checkpoint(NAME, size, root).text, NAME, signers)

    @property
    def bytes(self) -> bytes:
        return b"".join(self.lines) + self.tail

    def at(self, word: str, turn: int = 0) -> int:
        return [n for n, line in enumerate(self.lines) if line.startswith(word.encode())][turn]


def read(raw: bytes, keys: tuple[LogKey, ...] = (KEY,)) -> dict[str, Any]:
    events: list[Any] = []
    found: dict[str, Any] = single_file.Reader(
        io.BytesIO(raw), [single_file.read_key(key.text) for key in keys], events.append
    ).read()
    return {**found, "shown": len(events)}


def refusal(raw: bytes) -> str:
    with pytest.raises((single_file.Invalid, KeyError, IndexError, TypeError, ValueError)) as caught:
        read(raw)
    return str(caught.value)


@pytest.mark.parametrize(
    ("size", "shown", "old", "kept"),
    [
        (1, [0], 0, ()),
        (7, [0, 3, 6], 0, ()),
        (600, [5, 300, 301, 599], 0, ()),
        (600, list(range(400, 600)), 400, (450, 512, 599)),
        (16, [], 0, ()),
        (13, list(range(13)), 0, (1, 2, 3, 8)),
    ],
)
def test_what_is_true_holds(size: int, shown: list[int], old: int, kept: tuple[int, ...]) -> None:
    found = read(Made(size, shown, facts=3, old=old, kept=kept).bytes)
    assert (found["entries"], found["facts"], found["shown"]) == (len(shown), 3, len(shown) + 3)
    assert found["hidden"] == size - old - len(shown)


def _drop(made: Made) -> None:
    del made.lines[made.at("entry", 2)]


def _drop_last(made: Made) -> None:
    del made.lines[made.at("entry", -1)]


def _drop_fact(made: Made) -> None:
    del made.lines[made.at("fact", 1)]


def _swap(made: Made) -> None:
    a, b = made.at("entry", 1), made.at("entry", 2)
    made.lines[a], made.lines[b] = made.lines[b], made.lines[a]


def _twice(made: Made) -> None:
    made.lines.insert(made.at("entry", 2), made.lines[made.at("entry", 1)])


def _alter(made: Made) -> None:
    n = made.at("entry", 2)
    made.lines[n] = made.lines[n].replace(b",103]", b",104]")


def _alter_fact(made: Made) -> None:
    n = made.at("fact", 1)
    made.lines[n] = made.lines[n].replace(b"blocked", b"unblock")


def _move(made: Made) -> None:
    n = made.at("entry", 2)
    made.lines[n] = made.lines[n].replace(b" 3 ", b" 4 ", 1)


def _drop_node(made: Made) -> None:
    del made.lines[made.at("node")]


def _drop_checkpoint(made: Made) -> None:
    del made.lines[made.at("checkpoint")]


def _cut(made: Made) -> None:
    del made.lines[made.at("entry", 3) :]
    made.tail = b""


def _cut_tail(made: Made) -> None:
    made.tail = made.tail.partition(b"\n\n")[0] + b"\n"


WRONG: dict[str, tuple[Callable[[Made], None], str]] = {
    "an entry removed": (_drop, name(3)),
    "the last entry removed": (_drop_last, name(4)),
    "a fact removed": (_drop_fact, "evt_1"),
    "two entries exchanged": (_swap, name(1)),
    "an entry twice": (_twice, name(1)),
    "an entry altered": (_alter, f"{name(3)} was altered"),
    "a fact altered": (_alter_fact, "evt_1 was altered"),
    "an entry at another index": (_move, name(3)),
    "a node removed": (_drop_node, name(3)),
    "a checkpoint removed": (_drop_checkpoint, "does not end with the checkpoint"),
    "cut in the middle": (_cut, f"cut off behind {name(3)}"),
    "without its last signature": (_cut_tail, "no last signature"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_named(what: str) -> None:
    made = Made(5, [0, 1, 3, 4], facts=3)
    edit, named = WRONG[what]
    edit(made)
    assert named in refusal(made.bytes)


def test_facts_at_the_end_are_not_left_out() -> None:
    made = Made(1, [], facts=3)
    del made.lines[made.at("fact", 2)]
    assert "behind evt_2 comes a checkpoint" in refusal(made.bytes)


def test_a_bundle_written_anew_with_an_altered_entry_is_refused() -> None:
    """Checks and links are made again; the tree and the last signature are not."""
    true, forged = Made(5, [0, 1, 3, 4]), Made(5, [0, 1, 3, 4], signers=[OTHER])
    assert "not signed by this key" in refusal(forged.bytes)
    bundle = Bundle(NAME)
    lines = [bundle.begin({"log": NAME, "old_size": 0, "size": 5, "object": "x"})]
    lines += [bundle.entry(name(n), n, content(n, 9 if n == 2 else 100)) for n in range(5)]
    lines.append(bundle.checkpoint(true.checkpoint(5, [SIGNER])))
    raw = b"".join(lines) + bundle.end(hidden=0, signers=[SIGNER])
    assert "are not those that were signed" in refusal(raw)


def test_a_period_in_which_the_key_was_changed_needs_both() -> None:
    raw = Made(9, [4, 8], old=2, kept=(3,), kept_signers=[OTHER]).bytes
    assert "not signed by this key" in refusal(raw)
    assert read(raw, (KEY, LogKey(NAME, OTHER.public)))["entries"] == 2


def test_facts_that_nobody_signed_are_refused() -> None:
    true = Made(3, [1])
    bundle = Bundle(NAME)
    lines = [bundle.begin({"log": NAME, "old_size": 0, "size": 3, "object": "x"})]
    lines.append(bundle.fact("evt_9", (FACT_FORMAT, "evt_9", "card_1", "blocked", 1)))
    lines += [line for line in true.lines if not line.startswith((b"kaquan", b"head"))]
    raw = b"".join(lines).replace(b"entry - ", b"entry evt_9 ") + true.tail
    assert refusal(raw)


def test_no_byte_can_be_changed_unseen() -> None:
    raw = Made(9, [0, 3, 4, 8], facts=2, kept=(4,)).bytes
    last = raw.rindex("\n\n— ".encode())
    for place in range(len(raw)):
        other = bytearray(raw)
        other[place] ^= 1 << random.Random(place).randrange(8)
        try:
            read(bytes(other))
        except (single_file.Invalid, KeyError, IndexError, TypeError, ValueError):
            continue
        assert place > last, (place, raw[place - 20 : place + 5])


def test_the_verifier_is_one_small_file() -> None:
    assert len(VERIFIER.read_text().splitlines()) <= 300
