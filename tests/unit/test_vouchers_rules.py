"""Vouchers, purely: codes, files, who may claim and use, instalments, and what is outstanding."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaquan.kit.ids import SystemIds
from kaquan.kit.outcomes import Refusal
from kaquan.parties.identity import IdentityLevel
from kaquan.promotions import Funder, FunderKind
from kaquan.vouchers import (
    Eligibility,
    Granted,
    HeldBy,
    HolderKind,
    Person,
    Template,
    Voucher,
    VoucherEvent,
    VoucherKind,
    VoucherStatus,
    check_use,
    compile_template,
)
from kaquan.vouchers.claim import check_eligibility
from kaquan.vouchers.codes import ALPHABET, draw_codes, is_code, room_for, tidy
from kaquan.vouchers.files import read_assignment, read_codes
from kaquan.vouchers.issue import make_granted
from kaquan.vouchers.report import split_by_funder, sum_up

NOW = datetime(2026, 3, 4, 2, 0, tzinfo=UTC)
CARD = HeldBy(HolderKind.CARD, UUID(int=5))


def template(**changes: Any) -> Template:
    told: dict[str, Any] = {
        "id": UUID(int=1), "book_id": 1, "issuer_id": UUID(int=2), "code": "v", "name": "v", "kind": VoucherKind.VALUE,
        "currency": "CNY", "face_fen": 1_000, "offer_kind": "amount_off", "offer_params": {"tiers": [[10_000, 1_000]]},
        "offer_conditions": {}, "offer_stacking": {}, "funders": (Funder(FunderKind.ISSUER, None, 10_000),),
        "time_zone": "Asia/Shanghai", "valid_from": None, "valid_until": None, "valid_days": 30, "max_per_holder": None,
        "transferable": False, "returnable": True, "load_pocket": None, "district": None, "eligibility": None,
        "created_at": NOW, **changes,
    }  # fmt: skip
    return Template(**told)


def voucher(**changes: Any) -> Voucher:
    told: dict[str, Any] = {
        "slot": 0, "id": UUID(int=9), "book_id": 1, "template_id": UUID(int=1), "batch_id": None,
        "status": VoucherStatus.HELD, "holder": CARD, "code_last4": None, "face_fen": 1_000, "valid_from": None,
        "valid_until": NOW + timedelta(days=1), "locked_by": None, "locked_until": None, "redeemed_by": None,
        "redeemed_fen": 0, "returned_fen": 0, "granted_by": None, "created_at": NOW, "version": 1, **changes,
    }  # fmt: skip
    return Voucher(**told)


@given(st.binary(min_size=4_000, max_size=4_000), st.integers(8, 22), st.data())
def test_every_one_or_two_wrong_characters_are_seen(drawn: bytes, length: int, data: st.DataObject) -> None:
    """And every two that changed places."""
    (code,) = draw_codes(length, 1, lambda size: drawn[:size])
    assert len(code) == length
    assert is_code(code)
    places = data.draw(st.lists(st.integers(0, length - 1), min_size=1, max_size=2, unique=True))
    wrong = list(code)
    for place in places:
        wrong[place] = data.draw(st.sampled_from(sorted(set(ALPHABET) - {code[place]})))
    assert not is_code("".join(wrong))
    if len(places) == 2 and code[places[0]] != code[places[1]]:
        swapped = list(code)
        swapped[places[0]], swapped[places[1]] = code[places[1]], code[places[0]]
        assert not is_code("".join(swapped))


def test_codes_have_no_look_alikes_and_enough_room() -> None:
    assert not set(ALPHABET) & set("01OQILSUZBGWY")
    assert len(set(draw_codes(16, 10_000))) == 10_000
    assert tidy(" acde\u3000fhjk-2345 ") == "ACDEFHJK2345"
    assert room_for(16, 0) > 10_000_000
    assert room_for(8, 0) == 0


def test_a_file_of_holders_is_read_whole() -> None:
    card, person = f"card_{UUID(int=1).hex}", f"cus_{UUID(int=2).hex}"
    read = read_assignment([(1, ["卡号", "客户", "数量"]), (2, [card, "", "3"]), (4, ["", person, ""])])
    assert not isinstance(read, Refusal)
    lines, problems = read
    assert problems == []
    assert [(line.line, line.card_id, line.customer_id, line.voucher_count) for line in lines] == [
        (2, UUID(int=1), None, 3), (4, None, UUID(int=2), 1),
    ]  # fmt: skip
    assert "1" not in repr(lines[0]).removeprefix("AssignLine(")
    read = read_assignment(
        [(1, ["card", "customer_id", "count"]), (2, [card, person]), (3, ["x"]), (4, [card, "", "-1"]), (5, ["", "x"])]
    )
    assert not isinstance(read, Refusal)
    assert [(problem.line, problem.column) for problem in read[1]] == [
        (2, "card"), (3, "card"), (4, "count"), (5, "customer_id"),
    ]  # fmt: skip
    for rows in ([(1, ["card"])], [(1, ["name"]), (2, ["x"])], [(1, ["card", "卡号"]), (2, ["x", "y"])]):
        refused = read_assignment(rows)
        assert isinstance(refused, Refusal)
        assert refused.code == "invalid_field"


def test_a_file_of_codes_is_read_whole() -> None:
    read = read_codes(
        [(1, ["code", "valid_until"]), (2, ["ab-cd", "2026/03/04"]), (3, ["EFGH", ""])], today=date(2026, 3, 4)
    )
    assert not isinstance(read, Refusal)
    assert [(line.code, line.last_day) for line in read[0]] == [("ABCD", date(2026, 3, 4)), ("EFGH", None)]
    rows = [
        (1, ["code", "valid_until"]),
        (2, ["abc", ""]),
        (3, ["AAAA", "2026-03-03"]),
        (4, ["aa aa", "soon"]),
        (5, ["ABÉD"]),
    ]
    read = read_codes(rows, today=date(2026, 3, 4))
    assert not isinstance(read, Refusal)
    assert [(problem.line, problem.column) for problem in read[1]] == [
        (2, "code"), (3, "valid_until"), (4, "code"), (4, "valid_until"), (5, "code"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "person", "is_one"),
    [
        (Eligibility(), Person(), True),
        (Eligibility(min_level=IdentityLevel.CONTACT), Person(IdentityLevel.DOCUMENT), True),
        (Eligibility(min_level=IdentityLevel.DOCUMENT), Person(IdentityLevel.CONTACT), False),
        (Eligibility(min_level=IdentityLevel.CONTACT), Person(), False),
        (Eligibility(segments=frozenset({"a", "b"})), Person(segments=frozenset({"b"})), True),
        (Eligibility(segments=frozenset({"a"})), Person(segments=frozenset({"b"})), False),
        (Eligibility(min_age=60), Person(age=60), True),
        (Eligibility(min_age=60), Person(age=59), False),
        (Eligibility(min_age=60), Person(), False),
        (Eligibility(max_age=18), Person(age=19), False),
    ],
)
def test_what_is_not_known_of_somebody_does_not_count_for_them(
    asked: Eligibility, person: Person, is_one: bool
) -> None:
    refused = check_eligibility(asked, person)
    assert (refused is None) is is_one
    if refused is not None:
        assert refused.code == "voucher_not_eligible"
        assert refused.message("zh") != refused.message()


@pytest.mark.parametrize(
    ("changes", "district", "code"),
    [
        ({}, "黄浦区", None),
        ({}, None, "voucher_elsewhere"),
        ({}, "徐汇区", "voucher_elsewhere"),
        ({"holder": HeldBy(HolderKind.CUSTOMER, UUID(int=6))}, "黄浦区", None),
        ({"holder": HeldBy(HolderKind.CARD, UUID(int=7))}, None, "voucher_not_held"),
        ({"status": VoucherStatus.REDEEMED}, None, "voucher_not_usable"),
        ({"status": VoucherStatus.ISSUED, "holder": None}, None, "voucher_not_usable"),
        ({"valid_from": NOW + timedelta(seconds=1)}, None, "voucher_not_yet"),
        ({"valid_until": NOW}, None, "voucher_expired"),
    ],
)
def test_who_may_use_a_voucher_where_and_when(changes: dict[str, Any], district: str | None, code: str | None) -> None:
    refused = check_use(
        voucher(**changes), template(district="黄浦区"), holders=[UUID(int=5), UUID(int=6)], district=district, now=NOW
    )
    assert (None if refused is None else refused.code) == code


@given(st.integers(1, 40), st.integers(0, 10**6), st.integers(0, 6))
def test_instalments_sum_to_the_grant(count: int, amount_fen: int, instalments: int) -> None:
    due = tuple(NOW + timedelta(days=30 * n) for n in range(min(instalments, count)))
    made = make_granted(
        Granted(template(), CARD, CARD.id, UUID(int=3), count, amount_fen, due),
        ids=SystemIds(),
        slots=(0, 1, 2, 3),
        at=NOW,
    )
    assert (len(made), sum(one.face_fen for one in made)) == (count, amount_fen)
    assert max(one.face_fen for one in made) - min(one.face_fen for one in made) <= 1
    assert {one.slot for one in made} == {CARD.id.int % 4}
    assert sorted({one.valid_from for one in made if one.valid_from}) == list(due)
    for one in made:
        assert one.valid_until is not None
        assert one.valid_until - (one.valid_from or NOW) > timedelta(days=30), "days count from when it can be used"


def test_what_is_outstanding_follows_from_what_happened() -> None:
    one = UUID(int=1)
    held, issued, redeemed = VoucherStatus.HELD, VoucherStatus.ISSUED, VoucherStatus.REDEEMED
    rows = sum_up(
        [(one, 10, 10_001)],
        [
            (one, VoucherEvent.CLAIMED, issued, held, 6, 6_000, 0),
            (one, VoucherEvent.TRANSFERRED, held, held, 2, 2_000, 0),
            (one, VoucherEvent.REDEEMED, held, redeemed, 3, 3_000, 2_500),
            (one, VoucherEvent.PART_RETURNED, redeemed, redeemed, 1, 1_000, 300),
            (one, VoucherEvent.RETURNED, redeemed, held, 1, 1_000, 700),
        ],
    )
    told = {row.status.value: tuple(row)[2:] for row in rows}
    assert told == {"issued": (4, 4_001, 0), "held": (4, 4_000, 0), "redeemed": (2, 2_000, 1_500)}
    city = Funder(FunderKind.PARTY, UUID(int=7), 3_333)
    split = split_by_funder(rows, {one: template(funders=(city, Funder(FunderKind.ISSUER, None, 6_667)))})
    assert [row.outstanding_fen for row in split] == [2_667, 5_334]
    assert [row.redeemed_fen for row in split] == [500, 1_000]
    assert sum(row.outstanding_fen for row in split) == 8_001


def test_a_voucher_is_an_offer_with_its_own_face_value() -> None:
    offer = compile_template(template(offer_conditions={"districts": ["黄浦区"]}))
    assert (offer.name, offer.params.tiers) == ("v", ((10_000, 1_000),))
    assert offer.conditions.districts == frozenset({"黄浦区"})
    assert compile_template(template(), face_fen=250).params.tiers == ((10_000, 250),)
