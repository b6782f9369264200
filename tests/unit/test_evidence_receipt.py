"""Receipts, by kaquan and by the verifier that shares no code with it: what is true is proven, nothing else is."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from kaquan.evidence import (
    Checkpoint,
    Inclusion,
    LeafEntry,
    LeafFacts,
    LogKey,
    NoteError,
    Opening,
    canonical_bytes,
    hash_leaf,
    private_bytes,
    read_key,
    sign_note,
    verify_receipt,
    write_receipt,
)
from kaquan.evidence.note import encode
from kaquan.evidence.tree import inclusion_ranges, perfect_root, prove, root_of_range
from kaquan.vault import LogSigner

VERIFIER = Path(__file__).parents[2] / "verifier" / "kaquan_verify.py"
SPEC = importlib.util.spec_from_file_location("kaquan_verify", VERIFIER)
assert SPEC is not None
assert SPEC.loader is not None
single_file = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(single_file)

NAME = "cards.example/log"
SIGNER, OTHER = LogSigner("g1", b"1" * 32), LogSigner("g2", b"2" * 32)
KEY, OTHER_KEY = LogKey(NAME, SIGNER.public), LogKey(NAME, OTHER.public)
AT = datetime(2026, 3, 1, 9, 30, 0, 123456, tzinfo=UTC)
ID = UUID("01a20148f98f7000877f8531b7374843")
OPENING = Opening(bytes(range(16)), private_bytes(reference="订单 1", request_key='order "1"'))
LEGS = [LeafEntry(1, "post", 1, 1, 5, None, 2_000), LeafEntry(2, "post", 2, 1, 5, None, 1_850)]
ENTRY = canonical_bytes(LeafFacts(0, ID, 2, "purchase", None, ID, AT, AT, OPENING.commitment, LEGS))


def receipt(
    index: int,
    size: int,
    *,
    entry: bytes = ENTRY,
    opening: Opening | None = None,
    signers: Sequence[LogSigner] = (SIGNER,),
) -> str:
    """A receipt of an entry at an index, in a tree of other leaves."""
    leaves = [sha256(number.to_bytes(4)).digest() for number in range(size)]
    leaves[index] = hash_leaf(entry)

    def read(node: Any) -> bytes:
        return perfect_root(leaves[node.number << node.height : (node.number + 1) << node.height])

    note = sign_note(Checkpoint(NAME, size, root_of_range(0, size, read)).text, NAME, signers)
    return write_receipt(entry, opening, Inclusion(index, tuple(prove(inclusion_ranges(index, size), read)), note))


def by_kaquan(raw: bytes, key: str) -> dict[str, Any]:
    found = verify_receipt(raw.decode(), [read_key(key)])
    return {
        "origin": found.checkpoint.origin,
        "tree_size": found.checkpoint.size,
        "log_index": found.log_index,
        "entry": found.entry,
        "opened": found.opened,
        "reference": found.reference,
        "request_key": found.request_key,
    }


VERIFIERS: list[Callable[[bytes, str], dict[str, Any]]] = [by_kaquan, single_file.verify]
REFUSED = (NoteError, UnicodeDecodeError, single_file.Invalid)
both = pytest.mark.parametrize("verify", VERIFIERS, ids=["kaquan", "single file"])


@both
@pytest.mark.parametrize(("index", "size"), [(0, 1), (0, 2), (1, 2), (2, 3), (6, 7), (5, 8), (700, 1_000)])
def test_a_receipt_proves_its_entry(verify: Any, index: int, size: int) -> None:
    found = verify(receipt(index, size).encode(), KEY.text)
    assert (found["origin"], found["tree_size"], found["log_index"]) == (NAME, size, index)
    assert found["entry"] == json.loads(ENTRY)
    assert (found["opened"], found["reference"], found["request_key"]) == (False, None, None)
    found = verify(receipt(index, size, opening=OPENING).encode(), KEY.text)
    assert (found["opened"], found["reference"], found["request_key"]) == (True, "订单 1", 'order "1"')


@both
@pytest.mark.parametrize(
    ("index", "size", "opening"), [(0, 1, None), (2, 3, OPENING), (5, 8, None), (70, 100, OPENING), (700, 1_000, None)]
)
def test_every_changed_byte_is_refused(verify: Any, index: int, size: int, opening: Opening | None) -> None:
    raw = receipt(index, size, opening=opening).encode()
    for place in range(len(raw)):
        changed = bytearray(raw)
        changed[place] ^= 1 << place % 8
        with pytest.raises(REFUSED):
            verify(bytes(changed), KEY.text)
        # cut off, and one byte left out
        for shorter in (raw[:place], raw[:place] + raw[place + 1 :]) if place % 7 == 0 else ():
            with pytest.raises(REFUSED):
                verify(shorter, KEY.text)


@both
def test_another_key_or_log_proves_nothing(verify: Any) -> None:
    raw = receipt(2, 5).encode()
    for key in (OTHER_KEY, LogKey("cards.example/other", SIGNER.public)):
        with pytest.raises(REFUSED):
            verify(raw, key.text)
    with pytest.raises(REFUSED):
        verify(raw, KEY.text[:-1])


@both
def test_during_a_change_of_keys_each_key_verifies(verify: Any) -> None:
    raw = receipt(2, 5, signers=(SIGNER, OTHER)).encode()
    assert verify(raw, KEY.text) == verify(raw, OTHER_KEY.text)


@both
def test_an_opening_of_another_transaction_is_refused(verify: Any) -> None:
    for opening in (
        Opening(OPENING.salt, private_bytes(reference="订单 2", request_key='order "1"')),
        Opening(OPENING.salt[::-1], OPENING.private),
        Opening(b"", OPENING.private),
    ):
        with pytest.raises(REFUSED):
            verify(receipt(2, 5, opening=opening).encode(), KEY.text)
    bare = canonical_bytes(LeafFacts(0, ID, 2, "purchase", None, ID, AT, AT, None, LEGS))
    assert not verify(receipt(2, 5, entry=bare).encode(), KEY.text)["opened"]
    with pytest.raises(REFUSED):
        verify(receipt(2, 5, entry=bare, opening=OPENING).encode(), KEY.text)


@both
@pytest.mark.parametrize("entry", [b"", b"x", b"{}", b"[]", b'["kaquan-leaf/1"', b"\xff", b"[1]\n[1]"])
def test_an_entry_that_is_none(verify: Any, entry: bytes) -> None:
    with pytest.raises(REFUSED):
        verify(receipt(2, 5, entry=entry).encode(), KEY.text)


@both
@pytest.mark.parametrize(
    "changed",
    [
        lambda text: text.replace("index 2", "index 02"),
        lambda text: text.replace("index 2", "index +2"),
        lambda text: text.replace("index 2", "index ٢"),
        lambda text: text.replace("index 2", "index 2 "),
        lambda text: text.replace("index 2", "index 99"),
        lambda text: text.replace("index 2\n", "index 2\n\n", 1),
        lambda text: text.replace("index 2\n", f"index 2\n{encode(b'x' * 32)}\n", 1),
        lambda text: text.replace("index 2\n", "index 2\n" + f"{encode(b'x' * 32)}\n" * 64, 1),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text + "\n",
        lambda text: "\n" + text,
        lambda text: text.replace("@v1", "@v2"),
        lambda text: text.replace("extra ", ""),
        lambda text: "",
    ],
)
def test_another_spelling_is_refused(verify: Any, changed: Callable[[str], str]) -> None:
    text = receipt(2, 5)
    assert changed(text) != text
    with pytest.raises(REFUSED):
        verify(changed(text).encode(), KEY.text)


def test_a_receipt_stays_small() -> None:
    """At a hundred million leaves a proof has 27 hashes."""
    text = receipt(700, 1_000, opening=OPENING)
    per_hash = len(encode(b"x" * 32)) + 1
    assert len(text) + (27 - 10) * per_hash < 4_096


def test_the_single_file_is_one_and_short() -> None:
    lines = VERIFIER.read_text().splitlines()
    assert len(lines) <= 300
    imported = {line.split()[1].split(".")[0] for line in lines if line.startswith(("import ", "from "))}
    assert imported <= sys.stdlib_module_names | {"cryptography"}


def test_the_single_file_as_a_command(tmp_path: Path) -> None:
    path = tmp_path / "receipt.tlog-proof"
    path.write_text(receipt(2, 5, opening=OPENING))

    def run(*arguments: str) -> tuple[int, str, str]:
        # -I: kaquan cannot be imported from where it stands, nor anything else but installed packages
        command = [sys.executable, "-I", str(VERIFIER), *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False, env={"LC_ALL": "C.UTF-8"}
        )
        return done.returncode, done.stdout, done.stderr

    code, out, err = run(str(path), "--key", KEY.text)
    assert (code, err) == (0, "")
    assert out.startswith(
        "valid: entry 2 of 5 in the log cards.example/log\ntransaction txn_01a20148f98f7000877f8531b7374843"
    )
    assert "2. post 1,850 fen from account 2 to account 5" in out
    code, out, _ = run(str(path), "--key", KEY.text, "--json")
    assert json.loads(out)["reference"] == "订单 1"
    assert run(str(path), "--key", OTHER_KEY.text) == (1, "", "INVALID: the checkpoint is not signed by this key\n")
    code, out, err = run(str(tmp_path / "nothing"), "--key", KEY.text)
    assert (code, out) == (1, "")
    assert "nothing" in err
