"""The bytes that are hashed for an event of a card, an issue and a start: fixed for ever."""

from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from kaquan.evidence import (
    CardLeafFacts,
    IssueLeafFacts,
    StartLeafFacts,
    card_bytes,
    card_leaf_hash,
    card_private_bytes,
    hash_leaf,
    issue_bytes,
    issue_leaf_hash,
    issue_root,
    prove_record,
    record_bytes,
    start_bytes,
    start_leaf_hash,
)
from kaquan.evidence.tree import EMPTY_ROOT, Node, includes, perfect_root, root_of_range

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
AT_US = "1772357400000000"
A, B, C, D = (UUID(int=number) for number in range(1, 5))
EVENT = CardLeafFacts(3, A, B, 7, "blocked", "blocked", 2, AT, bytes(32))


def test_the_bytes_of_an_event_are_fixed() -> None:
    expected = f'["kaquan-card/1",3,"{A.hex}","{B.hex}",7,"blocked","blocked",2,{AT_US},"{"00" * 32}"]'
    assert card_bytes(EVENT).decode() == expected
    assert card_leaf_hash(EVENT) == sha256(b"\0" + expected.encode()).digest()
    same = EVENT._replace(status=None, version=None)
    assert f'"blocked",null,null,{AT_US}' in card_bytes(same).decode()


def test_private_fields_are_fixed_whatever_the_order_of_details() -> None:
    details = {"b": {"y": 2, "x": [1, None]}, "a": "卡"}
    private = card_private_bytes(actor="key_1", reason=None, details=details)
    assert private.decode() == '["key_1",null,{"a":"卡","b":{"x":[1,null],"y":2}}]'
    assert private == card_private_bytes(actor="key_1", reason=None, details=dict(reversed(details.items())))


def test_the_bytes_of_an_issue_are_fixed() -> None:
    facts = IssueLeafFacts(3, A, 7, "card", B, None, ("digital", 2), AT, 5_000, bytes(32))
    expected = f'["kaquan-issue/1",3,"{A.hex}",7,"card","{B.hex}",null,["digital",2],{AT_US},5000,"{"00" * 32}"]'
    assert issue_bytes(facts).decode() == expected
    assert issue_leaf_hash(facts) == sha256(b"\0" + expected.encode()).digest()
    vouchers = facts._replace(kind="voucher", batch_id=C, terms=(500, None))
    assert f'"voucher","{B.hex}","{C.hex}",[500,null],' in issue_bytes(vouchers).decode()


def test_the_bytes_of_a_start_are_fixed() -> None:
    facts = StartLeafFacts(3, A, "card_event", 12, bytes(32), AT)
    expected = f'["kaquan-start/1",3,"{A.hex}","card_event",12,"{"00" * 32}",{AT_US}]'
    assert start_bytes(facts).decode() == expected
    assert start_leaf_hash(facts) == sha256(b"\0" + expected.encode()).digest()


def test_a_record_is_fixed() -> None:
    assert record_bytes(A, "0042").decode() == f'["{A.hex}","0042"]'
    assert record_bytes(A, None).decode() == f'["{A.hex}",null]'


LAST4 = st.one_of(st.none(), st.text("0123456789", min_size=4, max_size=4), st.text(max_size=4))


@given(st.lists(st.tuples(st.uuids(), LAST4), max_size=40, unique_by=lambda record: record[0]), st.data())
def test_every_record_is_proven_and_no_other(records: list[tuple[UUID, str | None]], data: st.DataObject) -> None:
    leaves = [hash_leaf(record_bytes(*record)) for record in records]
    root = issue_root(records)
    if not records:
        assert root == EMPTY_ROOT
        return
    size = len(records)
    index = data.draw(st.integers(0, size - 1))
    proof = prove_record(records, index)
    assert includes(root, size, index, leaves[index], proof)
    assert not includes(root, size, index, hash_leaf(record_bytes(D, "9")), proof)
    assert not any(includes(root, size, other, leaves[index], proof) for other in range(size) if other != index)


def test_the_root_is_that_of_the_rfc() -> None:
    for size in (1, 2, 3, 7, 8, 13, 100):
        records = [(UUID(int=n), f"{n:04}") for n in range(size)]
        leaves = [hash_leaf(record_bytes(*record)) for record in records]

        def node(at: Node, leaves: list[bytes] = leaves) -> bytes:
            return perfect_root(leaves[at.number << at.height : (at.number + 1) << at.height])

        assert issue_root(records) == root_of_range(0, size, node)
