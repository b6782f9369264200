"""``kaquan receipt`` as a holder runs it: without a database, without an installation."""

from pathlib import Path

from tests.contract.test_cli import document, environment, kaquan, sentence
from tests.unit.test_evidence_receipt import KEY, OPENING, OTHER_KEY, receipt


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
