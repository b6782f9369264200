"""``kaquan receipt`` as a holder runs it: without a database, without an installation."""

import json
import subprocess
import sys
from pathlib import Path

import pypdfium2
from tests.contract.test_cli import document, environment, kaquan, sentence
from tests.contract.test_http_receipts import read_code
from tests.unit.test_evidence_outside import SECOND, WITNESSES, announced, cosigned, policy_of
from tests.unit.test_evidence_receipt import (
    AT,
    ID,
    KEY,
    LEGS,
    OPENING,
    OTHER,
    OTHER_KEY,
    SIGNER,
    VERIFIER,
    receipt,
)

from kaquan.evidence import LeafEntry, LeafFacts, Opening, canonical_bytes, pack_receipt, private_bytes


def test_verify(tmp_path: Path) -> None:
    env = environment(tmp_path / "home")
    path = tmp_path / "receipt.tlog-proof"
    path.write_text(receipt(5, 8, opening=OPENING))
    found = document("receipt", "verify", str(path), "--key", OTHER_KEY.text, "--key", KEY.text, env=env)
    assert (found["origin"], found["log_index"], found["tree_size"]) == (KEY.name, 5, 8)
    assert (found["opened"], found["reference"]) == (True, "订单 1")
    shown = kaquan("receipt", "verify", str(path), "--key", KEY.text, env=env)
    assert shown.returncode == 0
    assert "entry 5 of 8" in shown.stdout
    assert "txn_01a20148f98f7000877f8531b7374843 (purchase)" in shown.stdout

    path.write_text(receipt(5, 8).replace("index 5", "index 4"))
    told = sentence("receipt", "verify", str(path), "--key", KEY.text, env=env)
    assert "proves nothing: the proof does not lead from this entry to the signed root" in told
    path.write_bytes(b"x" * ((1 << 20) + 1))
    assert "too large" in sentence("receipt", "verify", str(path), "--key", KEY.text, env=env)
    assert not (tmp_path / "home").exists()


def test_verify_with_witnesses_and_keys_that_followed(tmp_path: Path) -> None:
    env = environment(tmp_path / "home")
    receipt_file, policy, announcements = (tmp_path / name for name in ("receipt", "policy", "announcements"))
    text = cosigned(receipt(5, 8, signers=(OTHER,)), 1, 3)
    receipt_file.write_text(pack_receipt(text))
    policy.write_text(f"log {KEY.text}\n{policy_of(WITNESSES, 2)}\n")
    announcements.write_text(cosigned(announced(SECOND, SIGNER, OTHER), 1, 2))
    command = ["receipt", "verify", str(receipt_file), "--policy", str(policy), "--announcements", str(announcements)]
    found = document(*command, env=env)
    assert (found["origin"], found["log_index"]) == (KEY.name, 5)
    policy.write_text(f"log {KEY.text}\n{policy_of(WITNESSES, 3)}\n")
    announcements.write_text(announced(SECOND, SIGNER, OTHER))
    assert "fewer witnesses" in sentence(*command, env=env)
    policy.write_text("nonsense")
    assert "line 1 of the policy" in sentence(*command, env=env)

    # the single file, with the same
    verifier = [sys.executable, "-I", str(VERIFIER), str(receipt_file), "--key", KEY.text, "--json"]
    named = [word for witness in WITNESSES for word in ("--witness", witness.text)]
    announcements.write_text(cosigned(announced(SECOND, SIGNER, OTHER), 1, 2))
    how = [*verifier, "--announcements", str(announcements), *named]
    done = subprocess.run([*how, "--quorum", "2"], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, json.loads(done.stdout)["log_index"]) == (0, 5)
    done = subprocess.run(how, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "fewer witnesses" in done.stderr


def test_print(tmp_path: Path) -> None:
    env = environment(tmp_path / "home")
    path, page = tmp_path / "receipt", tmp_path / "receipt.pdf"
    # 龘 is in no GB 2312
    opening = Opening(OPENING.salt, private_bytes(reference="订单 龘", request_key=None))
    entry = canonical_bytes(LeafFacts(0, ID, 2, "purchase", None, ID, AT, AT, opening.commitment, LEGS))
    path.write_text(receipt(70, 100, entry=entry, opening=opening))
    assert kaquan("receipt", "print", str(path), "--out", str(page), env=env).returncode == 0
    assert read_code(page.read_bytes()) == pack_receipt(path.read_text())
    assert "订单 〓" in pypdfium2.PdfDocument(page)[0].get_textpage().get_text_range()
    page.unlink()
    path.write_text("nothing")
    assert "not a receipt" in sentence("receipt", "print", str(path), "--out", str(page), env=env)
    many = [LeafEntry(leg, "post", leg, None, 5, None, 100) for leg in range(1, 200)]
    path.write_text(receipt(70, 100, entry=canonical_bytes(LeafFacts(0, ID, 2, "x", None, ID, AT, AT, None, many))))
    assert "too long for a QR code" in sentence("receipt", "print", str(path), "--out", str(page), env=env)
    assert not page.exists()
