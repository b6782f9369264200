"""Files of rules: checked whole, every bad line told with its number."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaquan.policy import (
    COLUMNS,
    CardClass,
    Confidence,
    FileFormat,
    Industry,
    Metric,
    Rule,
    RuleFile,
    Standing,
    house_template,
    read_rule_file,
    show_demand,
)
from kaquan.policy.files import MAX_RULES, OPTIONAL

GOOD = {
    "id": "HOUSE-1",
    "jurisdiction": "CN-SH",
    "card_class": "unregistered",
    "metric": "night_payment_cap_fen",
    "value": "50000",
    "action": "reject",
    "effective_from": "2026-04-01",
    "source": "董事会 2026-3",
    "title_zh": "夜间限额",
    "title_en": "night cap",
}


def csv_of(*rows: dict[str, str]) -> str:
    lines = [",".join(GOOD)]
    return "\n".join(lines + [",".join(row.get(name, "") for name in GOOD) for row in rows]) + "\n"


def read(text: str, file_format: FileFormat = FileFormat.CSV, standing: Standing = Standing.HOUSE) -> RuleFile:
    return read_rule_file(text, file_format, standing=standing)


def told(found: RuleFile) -> list[tuple[int, str | None]]:
    for _, refusal in found.problems:
        assert refusal.code == "invalid_field"
        assert refusal.message("en")
        assert refusal.message("zh")
    return [(line, refusal.field) for line, refusal in found.problems]


def test_a_good_line_becomes_a_rule() -> None:
    found = read(csv_of(GOOD))
    assert found.problems == []
    ((line, rule),) = found.rules
    assert line == 2
    assert (rule.id, rule.jurisdiction, rule.metric, rule.value) == (
        "HOUSE-1",
        "CN-31",
        Metric.NIGHT_PAYMENT_CAP,
        50_000,
    )
    assert rule.reach.card_class == (CardClass.UNREGISTERED,)
    assert (rule.confidence, rule.standing, rule.effective_to) == (Confidence.HOUSE, Standing.HOUSE, None)
    assert show_demand(rule) == ("at most CNY 500", "不超过 500 元")


def test_json_says_the_same() -> None:
    item = {**GOOD, "value": 50_000, "card_class": ["unregistered"], "effective_to": None}
    (from_json,) = read(json.dumps([item]), FileFormat.JSON).rules
    (from_csv,) = read(csv_of(GOOD)).rules
    assert from_json == (1, from_csv[1])


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("id", ""), ("id", "house-1"), ("id", "A" * 49), ("id", "A_B"),
        ("jurisdiction", ""), ("jurisdiction", "China"), ("jurisdiction", "CN-99"),
        ("card_class", "gold"), ("card_class", "registered|gold"), ("card_class", "registered|"),
        ("metric", ""), ("metric", "favourite_colour"),
        ("value", ""), ("value", "-1"), ("value", "1.5"), ("value", "05"), ("value", "many"), ("value", "9" * 16),
        ("value", "５"),
        ("action", "sing"),
        ("effective_from", ""), ("effective_from", "2026-02-30"), ("effective_from", "1 April"),
        ("effective_from", "20260401"),
        ("source", ""), ("title_zh", ""), ("title_en", "x" * 501), ("title_en", "a\tb"),
    ],
)  # fmt: skip
def test_each_cell_is_checked(name: str, wrong: str) -> None:
    found = read(csv_of(GOOD, {**GOOD, "id": "HOUSE-2", name: wrong}))
    assert told(found) == [(3, name)]
    assert [line for line, _ in found.rules] == [2]


@pytest.mark.parametrize(
    ("metric", "good", "wrong"),
    [
        ("expiry_allowed", "no", "0"),
        ("loss_report_required", "yes", "true"),
        ("night_from_minute", "1320", "1440"),
        ("custody_share_bp", "10000", "1000001"),
        ("yearly_report_due", "01-31", "31-01"),
        ("spending_report_due_day", "25", "32"),
        ("treated_as_scheme", "single_purpose", "other"),
        ("refund_interest_source", "lpr_1y", ""),
    ],
)
def test_a_value_is_read_by_its_unit(metric: str, good: str, wrong: str) -> None:
    assert read(csv_of({**GOOD, "metric": metric, "value": good})).problems == []
    assert told(read(csv_of({**GOOD, "metric": metric, "value": wrong}))) == [(2, "value")]


def test_every_bad_line_is_told() -> None:
    rows = [GOOD, {**GOOD, "id": "x"}, {**GOOD, "id": "H-3"}, {**GOOD, "value": "?", "action": ""}]
    assert told(read(csv_of(*rows))) == [(3, "id"), (5, "value"), (5, "action")]


def test_lines_are_counted_as_an_editor_counts() -> None:
    head, row = ",".join(GOOD), ",".join(GOOD.values())
    quoted = row.replace("night cap", '"night\ncap"')
    assert told(read(f"{head}\n\n{row}\n{quoted}\n{row},more\n")) == [(4, "title_en"), (6, "line")]


@pytest.mark.parametrize(
    "text",
    [
        "", "\n", "id,metric\nA,b\n", csv_of(GOOD).replace("title_en", "title_fr", 1),
        csv_of(GOOD).replace("id,", "id,id,", 1),
    ],
)  # fmt: skip
def test_a_header_must_name_the_columns(text: str) -> None:
    assert told(read(text)) == [(1, "header")]


def test_a_file_of_a_header_alone_holds_no_rule() -> None:
    assert told(read(csv_of())) == [(1, "file")]
    assert told(read("[]", FileFormat.JSON)) == [(1, "file")]


def test_broken_csv_is_told_with_its_line() -> None:
    assert told(read(csv_of(GOOD) + '"open\n')) == [(3, "line")]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("{", (1, "file")), ("{}", (1, "file")), ("[1]", (1, "rule")), ('[{"idd": 1}]', (1, "idd")),
        ('[{"value": 1.5}]', (1, "value")), ('[{"value": {}}]', (1, "value")), ("[" * 100_000, (1, "file")),
    ],
)  # fmt: skip
def test_broken_json(text: str, where: tuple[int, str]) -> None:
    assert told(read(text, FileFormat.JSON)) == [where]


def test_what_follows_from_the_metric_must_agree() -> None:
    item = {**GOOD, "subject": "spend", "operator": "<=", "unit": "fen", "confidence": "H"}
    assert read(json.dumps([item]), FileFormat.JSON).problems == []
    for name, wrong in (("subject", "card"), ("operator", ">="), ("unit", "days"), ("confidence", "P")):
        assert told(read(json.dumps([{**item, name: wrong}]), FileFormat.JSON)) == [(1, name)]


def test_an_end_before_the_beginning() -> None:
    item = {**GOOD, "effective_to": "2026-03-31"}
    assert told(read(json.dumps([item]), FileFormat.JSON)) == [(1, "effective_to")]
    assert read(json.dumps([{**item, "effective_to": "2026-04-01"}]), FileFormat.JSON).problems == []


def test_a_row_of_law_needs_its_confidence() -> None:
    item: dict[str, Any] = {**GOOD, "confidence": "S"}
    ((_, rule),) = read(json.dumps([item]), FileFormat.JSON, Standing.LAW).rules
    assert rule.standing is Standing.LAW
    for wrong in ("H", "", "X"):
        assert told(read(json.dumps([{**item, "confidence": wrong}]), FileFormat.JSON, Standing.LAW)) == [
            (1, "confidence")
        ]


def test_a_file_has_a_limit() -> None:
    rows = [{**GOOD, "id": f"H-{number}"} for number in range(MAX_RULES + 5)]
    found = read(csv_of(*rows))
    assert told(found) == [(MAX_RULES + 2, "file")]
    assert len(found.rules) == MAX_RULES


def test_criteria_are_kept_in_one_order() -> None:
    values = ["catering|retail", "retail|catering", "retail|retail|catering"]
    read_back = [read(json.dumps([{**GOOD, "industry": value}]), FileFormat.JSON).rules[0][1] for value in values]
    assert {rule.reach.industry for rule in read_back} == {(Industry.RETAIL, Industry.CATERING)}


@given(st.text(), st.sampled_from(FileFormat), st.sampled_from([Standing.LAW, Standing.HOUSE]))
def test_no_text_is_too_strange(text: str, file_format: FileFormat, standing: Standing) -> None:
    found = read(text, file_format, standing)
    assert found.problems
    assert all(isinstance(rule, Rule) for _, rule in found.rules)


@given(st.lists(st.text("HOUSE-1,\n\"|;2026 yesno'\x00", max_size=40), max_size=8))
def test_no_table_is_too_strange(cells: list[str]) -> None:
    told(read(house_template() + ",".join(cells) + "\n"))


def test_the_columns_are_complete() -> None:
    assert set(COLUMNS) >= OPTIONAL
