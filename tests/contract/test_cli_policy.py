"""``kaquan policy``: asked and checked without a database."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kaquan.doors.cli.entry import app
from kaquan.doors.cli.failures import CommandError
from kaquan.policy import Metric, released_law

ASK = ("policy", "ask")
CARD = ("--scheme", "single_purpose", "--on", "2026-03-01")


def run(*arguments: str, fails: bool = False) -> str:
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == (1 if fails else 0), done.output
    return done.stdout


def document(*arguments: str, fails: bool = False) -> Any:
    return json.loads(run(*arguments, "--json", fails=fails))


def test_ask_names_the_row_and_its_source() -> None:
    found = document(*ASK, "cooling_off_days", "--in", "CN-JS", *CARD)
    assert (found["fact"]["id"], found["fact"]["value"], found["on"]) == ("JS-15D-01", 15, "2026-03-01")
    assert [rule["id"] for rule in found["also"]] == ["CN-SPC-07D"]
    said = run(*ASK, "cooling_off_days", "--in", "CN-JS", *CARD)
    assert "JS-15D-01 (CN-32, S, 2021-04-01 –): cooling_off_days: at least 15 days / 不少于 15 天" in said
    assert "江苏省预付卡管理办法" in said


def test_ask_says_when_no_rule_speaks_and_marks_advice() -> None:
    said = run(*ASK, "quarterly_report_due_working_days", *CARD, "--issuer-class", "scale")
    assert "No rule says anything" in said
    assert "advisory, not law / 仅供参考，非法规: CN-SP-RPT-02" in said


def test_ask_with_house_rules(tmp_path: Path) -> None:
    file = tmp_path / "house.csv"
    file.write_text(run("policy", "template"), "utf-8")
    found = document(*ASK, "rebate_cap_bp", *CARD, "--house", str(file))
    assert (found["fact"]["id"], found["fact"]["standing"]) == ("HOUSE-REBATE-8", "house")
    file.write_text("id\n", "utf-8")
    with pytest.raises(CommandError, match="header"):
        run(*ASK, "rebate_cap_bp", *CARD, "--house", str(file))


def test_an_unknown_place_is_a_sentence() -> None:
    with pytest.raises(CommandError, match="There is no place Mars"):
        run(*ASK, "cooling_off_days", "--in", "Mars")


def test_list_is_narrowed_and_leaves_advice_out() -> None:
    everything = document("policy", "list", "--advisory")
    assert len(everything) == len(released_law())
    ids = [rule["id"] for rule in document("policy", "list", "--in", "CN-SH", "--subject", "report")]
    assert ids == ["CN-SP-RPT-01", "SH-INFO-01", "SH-RPT-01"]
    lapsed = document("policy", "list", "--in", "CN-31", "--on", "2024-05-01")
    assert not [rule["id"] for rule in lapsed if rule["id"].startswith("SH-WARN-01")]
    assert "SH-RPT-01 (CN-31, P" in run("policy", "list", "--in", "CN-SH", "--subject", "report")


def test_metrics_are_listed() -> None:
    assert [one["metric"] for one in document("policy", "metrics")] == list(Metric)
    assert "card_balance_cap_fen" in run("policy", "metrics")


def test_check_tells_every_bad_line(tmp_path: Path) -> None:
    file = tmp_path / "house.csv"
    good = run("policy", "template")
    file.write_text(good, "utf-8")
    assert document("policy", "check", str(file)) == {"rule_count": 9, "problems": []}
    assert "9 rules" in run("policy", "check", str(file))
    head = good.splitlines()[0]
    row = dict.fromkeys(head.split(","), "") | {
        "id": "HOUSE-CAP", "jurisdiction": "CN", "scheme": "single_purpose", "card_class": "registered",
        "metric": "card_balance_cap_fen", "value": "600000", "action": "reject", "effective_from": "2026-04-01",
        "source": "board", "title_zh": "限额", "title_en": "cap",
    }  # fmt: skip
    file.write_text(good.replace(",800,", ",x,") + ",".join(row.values()) + "\n", "utf-8")
    report = document("policy", "check", str(file), fails=True)
    assert [(line["line"], line["code"]) for line in report["problems"]] == [
        (4, "invalid_field"),
        (11, "house_rule_weaker_than_law"),
    ]
    said = run("policy", "check", str(file), fails=True)
    assert f"{file}:11: " in said
    assert "CN-SP-CAP-01" in said
    as_json = tmp_path / "house.json"
    as_json.write_text(json.dumps([{**row, "value": 500_000}, {**row, "id": "HOUSE-CAP-2"}]), "utf-8")
    codes = [(line["line"], line["code"]) for line in document("policy", "check", str(as_json), fails=True)["problems"]]
    assert codes == [(2, "rules_overlap"), (2, "house_rule_weaker_than_law")]


def test_a_file_that_is_no_text_is_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "house.csv"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CommandError, match="UTF-8"):
        run("policy", "check", str(file))
