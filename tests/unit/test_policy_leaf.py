"""The leaf of an approved change: recomputed here from its description alone, and changed by every field."""

import json
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest

from kaquan.evidence import PolicyLeafFacts, PolicyLeafRule, policy_bytes, policy_leaf_hash

ID = UUID("01900000-0000-7000-8000-0000000000aa")
OTHER = UUID("01900000-0000-7000-8000-0000000000bb")
AT = datetime(2026, 3, 1, 9, 30, 0, 123456, tzinfo=UTC)
RULE = PolicyLeafRule(
    "HOUSE-CAP", "CN-31", [["single_purpose"], [], ["unregistered"], [], [], [], []], "card_balance_cap_fen", 80_000,
    "reject", date(2026, 4, 1), None, "H", "董事会", "限额", "cap", "",
)  # fmt: skip
FACTS = PolicyLeafFacts(
    7, ID, 3, OTHER, 2, ID, OTHER, AT, AT.replace(hour=10), "自定规则", [RULE],
    [("HOUSE-OLD", date(2026, 1, 1), date(2026, 3, 31))],
)  # fmt: skip


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def test_the_bytes_are_as_described() -> None:
    words = json.dumps([None, "董事会", "限额", "cap", ""], ensure_ascii=False, separators=(",", ":"))
    expected = [
        "kaquan-policy/1", 7, ID.hex, 3, OTHER.hex, 2, ID.hex, OTHER.hex, 1772357400123456, 1772361000123456,
        digest("自定规则"),
        [["HOUSE-CAP", "CN-31", ["single_purpose"], [], ["unregistered"], [], [], [], [], "card_balance_cap_fen", 80000,
          "reject", "2026-04-01", None, "H", digest(words)]],
        [["HOUSE-OLD", "2026-01-01", "2026-03-31"]],
    ]  # fmt: skip
    text = json.dumps(expected, separators=(",", ":"))
    assert text.isascii()
    assert policy_bytes(FACTS) == text.encode()
    assert policy_leaf_hash(FACTS) == sha256(b"\x00" + text.encode()).digest()


def test_a_text_value_is_among_the_words() -> None:
    words = json.dumps(["lpr_1y", "董事会", "限额", "cap", ""], ensure_ascii=False, separators=(",", ":"))
    (*_, added, _) = json.loads(policy_bytes(FACTS._replace(added=[RULE._replace(value="lpr_1y")])))
    assert (added[0][10], added[0][-1]) == (None, digest(words))


CHANGED: dict[str, Any] = {
    "slot": 6, "change_id": OTHER, "book_id": 4, "issuer_id": None, "version": 3, "proposed_by": OTHER,
    "approved_by": ID, "proposed_at": AT.replace(microsecond=0), "approved_at": AT, "note": "x", "added": [],
    "ended": [],
}  # fmt: skip


@pytest.mark.parametrize("name", PolicyLeafFacts._fields)
def test_every_fact_of_a_change_is_in_its_leaf(name: str) -> None:
    assert policy_leaf_hash(FACTS._replace(**{name: CHANGED[name]})) != policy_leaf_hash(FACTS)


CHANGED_RULE: dict[str, Any] = {
    "rule_id": "X", "jurisdiction": "CN", "criteria": [[], [], [], [], [], [], []], "metric": "rebate_cap_bp",
    "value": 1, "action": "alert", "effective_from": date(2026, 4, 2), "effective_to": date(2026, 5, 1),
    "confidence": "P", "source": "x", "title_zh": "x", "title_en": "x", "note": "x",
}  # fmt: skip


@pytest.mark.parametrize("name", PolicyLeafRule._fields)
def test_every_fact_of_a_rule_is_in_its_leaf(name: str) -> None:
    changed = FACTS._replace(added=[RULE._replace(**{name: CHANGED_RULE[name]})])
    assert policy_leaf_hash(changed) != policy_leaf_hash(FACTS)
