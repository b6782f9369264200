"""The bytes that are hashed for a change of a voucher: fixed for ever."""

from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID

from kaquan.evidence import VoucherLeafFacts, voucher_bytes, voucher_leaf_hash, voucher_private_bytes

FACTS = VoucherLeafFacts(
    3, UUID(int=1), UUID(int=2), 7, UUID(int=3), "redeemed", "held", "redeemed", "card", UUID(int=4), UUID(int=5), 900,
    1_000, datetime(2026, 3, 1, 9, 30, tzinfo=UTC), None,
)  # fmt: skip


def test_the_bytes_of_a_change_are_fixed() -> None:
    ids = [f'"{UUID(int=number).hex}"' for number in range(1, 6)]
    expected = (
        f'["kaquan-voucher/1",3,{ids[0]},{ids[1]},7,{ids[2]},"redeemed","held","redeemed","card",{ids[3]},{ids[4]},'
        "900,1000,1772357400000000]"
    )
    assert voucher_bytes(FACTS).decode() == expected
    assert voucher_leaf_hash(FACTS) == sha256(b"\0" + expected.encode()).digest()


def test_version_2_commits_to_who_did_it_and_why() -> None:
    first = voucher_bytes(FACTS).decode()
    expected = first.replace("voucher/1", "voucher/2").removesuffix("]") + f',"{"00" * 32}"]'
    assert voucher_bytes(FACTS._replace(commitment=bytes(32))).decode() == expected
    assert voucher_private_bytes(actor="key_1", reason=None) == b'["key_1",null]'


def test_what_is_not_there_is_null() -> None:
    nobodys = FACTS._replace(holder_kind=None, holder_id=None, transaction_id=None)
    assert b'"redeemed",null,null,null,900' in voucher_bytes(nobodys)
    assert voucher_leaf_hash(nobodys) != voucher_leaf_hash(FACTS)
