"""The declarations of the audits, and what is pure about them."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from kaquan.audit import UnknownAuditError, find_audits, invariants, run_audits
from kaquan.audit.invariants.leaves import judge_leaves
from kaquan.audit.run import show_finding
from kaquan.evidence import LeafEntry, LeafFacts, canonical_bytes, commit_private, leaf_hash

ID = UUID("01900000-0000-7000-8000-0000000000aa")
AT = datetime(2025, 3, 1, 9, 30, 0, 123456, tzinfo=UTC)
SALT = bytes(range(16))
NONE = bytes(32)
BOUNDS = {"begin_slot", "begin_id", "end_slot", "end_id"}
ENTRY = LeafEntry(1, "post", 11, 2, 12, None, 500)


def test_each_file_is_one_audit() -> None:
    files = {path.stem for path in Path(invariants.__path__[0]).glob("*.py")} - {"__init__"}
    assert set(find_audits()) == files


@pytest.mark.parametrize("name", find_audits())
def test_an_audit_says_what_it_proves_and_how_to_read_it(name: str) -> None:
    audit = find_audits()[name]
    for text in (audit.proves_en, audit.proves_zh, audit.reading_en, audit.reading_zh):
        assert text.endswith((".", "。"))
    parameters = BOUNDS if audit.in_pieces else set()
    assert set(re.findall(r"%\((\w+)\)s", audit.sql)) == set(re.findall(r"%\((\w+)\)s", audit.count_sql)) == parameters
    assert not re.search(r"%(?!\()", audit.sql + audit.count_sql)


async def test_an_unknown_name_is_refused_before_the_database_is_asked() -> None:
    with pytest.raises(UnknownAuditError, match="no such audit: sums; there are: adjustments, budgets, card_events, "):
        await run_audits("host=/nowhere", names=["counters", "sums"])


def test_a_finding_shows_ids_as_the_api_does() -> None:
    row = {"slot": 7, "account_id": 12, "transaction_id": ID, "lot": None, "what": "x"}
    finding = show_finding({**row, "expected": Decimal("1250"), "actual": b"\x01\xff"})
    assert finding.ids == {"slot": 7, "account_id": "acc_7_12", "transaction_id": f"txn_{ID.hex}"}
    assert (finding.expected, finding.actual) == (1250, "01ff")


def leaf_row(**changed: Any) -> tuple[Any, ...]:
    """A row of the audit of leaves that holds, but for ``changed``."""
    held: dict[str, Any] = {
        "slot": 7,
        "book_id": 3,
        "kind": "purchase",
        "related_id": None,
        "place_id": ID,
        "effective_at": AT,
        "recorded_at": AT,
        "entries": [ENTRY],
    }
    commitment = commit_private(SALT, reference="order 1", request_key="key 1")
    row: dict[str, Any] = {
        "leaf_of": ID,
        "leaf": leaf_hash(LeafFacts(**held, transaction_id=ID, commitment=commitment)),
        "salt": SALT,
        "commitment": None,
        "id": ID,
        "reference": "order 1",
        "request_key": "key 1",
    }
    assert changed.keys() <= row.keys() | held.keys()
    now = LeafFacts(
        **{name: changed.get(name, value) for name, value in held.items()}, transaction_id=ID, commitment=NONE
    )
    before, _, after = canonical_bytes(now).partition(f'"{NONE.hex()}"'.encode())
    return now.slot, *(changed.get(name, value) for name, value in row.items()), before, after


def test_an_untouched_leaf_holds() -> None:
    assert judge_leaves([leaf_row(), leaf_row()]) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"slot": 0},
        {"book_id": 4},
        {"kind": "load"},
        {"related_id": ID},
        {"place_id": None},
        {"effective_at": AT.replace(microsecond=123457)},
        {"recorded_at": AT.replace(second=1)},
        {"reference": "order 2"},
        {"request_key": None},
        {"salt": None},
        {"salt": SALT[::-1]},
        {"entries": [ENTRY._replace(amount_fen=501)]},
        {"entries": [ENTRY._replace(effect="reserve")]},
        {"entries": [ENTRY._replace(credit_lot=1)]},
        {"entries": []},
        {"salt": None, "commitment": NONE},
    ],
)
def test_any_change_of_a_transaction_shows_in_its_leaf(changed: dict[str, Any]) -> None:
    (finding,) = judge_leaves([leaf_row(), leaf_row(**changed)])
    assert (finding["transaction_id"], finding["what"]) == (ID, "leaf_hash")


def test_a_leaf_whose_private_fields_are_erased_holds_by_its_commitment() -> None:
    commitment = commit_private(SALT, reference="order 1", request_key="key 1")
    erased = {"salt": None, "commitment": commitment, "reference": None, "request_key": None}
    assert judge_leaves([leaf_row(**erased)]) == []
    (finding,) = judge_leaves([leaf_row(**{**erased, "commitment": commitment[::-1]})])
    assert finding["what"] == "leaf_hash"


def test_a_leaf_and_its_transaction_need_each_other() -> None:
    (no_leaf,) = judge_leaves([leaf_row(leaf_of=None, leaf=None, salt=None)])
    assert (no_leaf["transaction_id"], no_leaf["what"]) == (ID, "leaf")
    (no_transaction,) = judge_leaves([leaf_row(id=None)])
    assert (no_transaction["transaction_id"], no_transaction["what"]) == (ID, "transaction of the leaf")
