"""Files of foreign cards: every good line is read exactly, every bad one is told."""

import csv
import io
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaquan.cards import Pocket, Programme
from kaquan.cards.numbers import draw_numbers, has_check_digit
from kaquan.imports import Checked, LineProblem, check_file, error_file, find_kinds, read_columns
from kaquan.imports.plan import held_by, is_used, plan_line, plan_reversal
from kaquan.imports.types import ImportLine
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import Account, FloorRule

NOW = datetime(2026, 3, 1, 17, 30, tzinfo=UTC)  # the next day in Shanghai
PROGRAMME = Programme(
    id=UUID(int=1),
    book_id=1,
    issuer_id=UUID(int=2),
    code="p",
    name="p",
    currency="CNY",
    number_prefix="8888",
    spend_order=tuple(Pocket),
    max_balance_fen=100_000,
    authorization_ttl_s=60,
    principal_valid_days=None,
    bonus_valid_days=30,
    time_zone="Asia/Shanghai",
    created_at=NOW,
)
NUMBERS = draw_numbers("8888", 8)


def checked(text: str | bytes, **columns: str) -> Checked:
    content = text.encode() if isinstance(text, str) else text
    result = check_file(content, columns=columns, programme=PROGRAMME, now=NOW)
    assert isinstance(result, Checked), result
    return result


def refused(text: str | bytes, code: str, field: str, **columns: str) -> Refusal:
    content = text.encode() if isinstance(text, str) else text
    result = check_file(content, columns=columns, programme=PROGRAMME, now=NOW)
    assert isinstance(result, Refusal), result
    assert (result.code, result.field) == (code, field)
    assert "{" not in result.message("en") + result.message("zh")
    return result


def book(*rows: list[Any]) -> bytes:
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    assert sheet is not None
    for row in rows:
        sheet.append(row)
    stream = io.BytesIO()
    workbook.save(stream)
    return stream.getvalue()


def test_a_file_is_read_exactly() -> None:
    text = (
        "卡号,余额,赠送,有效期\r\n"
        f'{NUMBERS[0]},"999.50",0.5,2026-12-31\r\n'
        f"{NUMBERS[1]},0.01,,\r\n"
        "\r\n"
        f"{NUMBERS[2]},0,0,2026/3/2\r\n"
    )
    found = checked(text)
    assert found.problems == []
    assert [(line.line, line.number, line.principal_fen, line.bonus_fen) for line in found.lines] == [
        (2, NUMBERS[0], 99_950, 50),
        (3, NUMBERS[1], 1, 0),
        (5, NUMBERS[2], 0, 0),
    ]
    assert [line.principal_expires_at for line in found.lines] == [
        datetime(2026, 12, 31, 16, tzinfo=UTC),
        None,
        datetime(2026, 3, 2, 16, tzinfo=UTC),
    ]
    # thirty days after the second of March there
    assert {line.bonus_expires_at for line in found.lines} == {datetime(2026, 4, 1, 16, tzinfo=UTC)}
    assert found.line_count == 3


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_as_spreadsheets_save_them(encoding: str, separator: str) -> None:
    text = f"会员卡号{separator}余额\n{NUMBERS[0]}{separator}12.30\n"
    (line,) = checked(text.encode(encoding), number="会员卡号").lines
    assert (line.number, line.principal_fen) == (NUMBERS[0], 1_230)


def test_a_workbook_is_read_exactly() -> None:
    content = book(
        ["number", "balance", "bonus", "expires_on"],
        [NUMBERS[0], 0.29, 3, date(2027, 1, 31)],
        [NUMBERS[1], "19.99", None, "2027-01-31"],
        [NUMBERS[2], 100, 0.07, None],
    )
    found = checked(content)
    assert found.problems == []
    assert found.kind == "xlsx"
    assert [(line.principal_fen, line.bonus_fen) for line in found.lines] == [(29, 300), (1_999, 0), (10_000, 7)]
    assert found.lines[0].principal_expires_at == found.lines[1].principal_expires_at


def test_a_number_that_a_spreadsheet_has_cut_is_told() -> None:
    found = checked(book(["number", "balance"], [int(NUMBERS[0]), 1]))
    (problem,) = found.problems
    assert (problem.line, problem.column) == (2, "number")
    assert "15 digits" in problem.en
    assert "文本" in problem.zh


def test_every_bad_line_is_told() -> None:
    wrong = NUMBERS[0][:-1] + str((int(NUMBERS[0][-1]) + 1) % 10)
    rows = [
        ("number", "principal_yuan", "bonus_fen", "expires_on"),
        (NUMBERS[0], "1", "0", ""),
        (NUMBERS[0], "1", "0", ""),
        (wrong, "1", "0", ""),
        ("12345", "1", "0", ""),
        (draw_numbers("7777", 1)[0], "1", "0", ""),
        (NUMBERS[1], "1.005", "0", ""),
        (NUMBERS[2], "-1", "1.5", "2026-02-30"),
        (NUMBERS[3], "", "0", "2026-03-01"),
        (NUMBERS[4], "1000", "1", ""),
        (NUMBERS[5], "13912345678", "99999999999999", ""),
        (NUMBERS[6], "1e3", "0", "31.12.2026"),
        (NUMBERS[7], "1", "0", "", "more"),
    ]
    found = checked("\n".join(",".join(row) for row in rows))
    told = [(problem.line, problem.column) for problem in found.problems]
    assert told == [
        (3, "number"),
        (4, "number"),
        (5, "number"),
        (6, "number"),
        (7, "principal_yuan"),
        (8, "principal_yuan"),
        (8, "bonus_fen"),
        (8, "expires_on"),
        (9, "principal_yuan"),
        (9, "expires_on"),
        (10, ""),
        (11, "principal_yuan"),
        (11, "bonus_fen"),
        (12, "principal_yuan"),
        (12, "expires_on"),
        (13, ""),
    ]
    assert [line.line for line in found.lines] == [2]
    assert (found.line_count, found.bad_line_count) == (12, 11)
    text = repr(found.problems)
    assert not any(number in text for number in (*NUMBERS, wrong, "13912345678"))
    for problem in found.problems:
        assert problem.en
        assert any("一" <= character <= "鿿" for character in problem.zh)


@pytest.mark.parametrize(
    ("text", "code", "field"),
    [
        ("", "file_unreadable", "file"),
        ("number,balance", "file_unreadable", "file"),
        (b"\xff\xfe\x00", "file_unreadable", "file"),
        (b"PK\x03\x04broken", "file_unreadable", "file"),
        ('number,balance\n"888', "file_unreadable", "file"),
        (f"number,balance\n{'x' * 2_000},1", "file_unreadable", "file"),
        ("card,balance\n1,2", "column_missing", "file"),
        ("number,amount\n1,2", "column_missing", "file"),
        ("number,卡号,balance\n1,2,3", "invalid_field", "columns"),
        ("number,principal_fen,余额\n1,2,3", "invalid_field", "columns"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_whole(text: str | bytes, code: str, field: str) -> None:
    refused(text, code, field)


def test_columns_are_named() -> None:
    assert read_columns("number=卡 号,principal_yuan=余额") == {"number": "卡 号", "principal_yuan": "余额"}
    assert read_columns("") == {}
    for text in ("x=1", "number", "number=", "number=a,number=b"):
        result = read_columns(text)
        assert isinstance(result, Refusal)
        assert (result.code, result.field) == ("invalid_field", "columns")
    refused(f"number,balance\n{NUMBERS[0]},1", "column_missing", "file", number="nowhere")


def test_the_error_file_opens_in_a_spreadsheet_and_runs_nothing_there() -> None:
    problems = [LineProblem(2, "=cmd()", "+1", "must, be", "应为"), LineProblem(3, "列", '"', "x", "x")]
    text = error_file(problems).decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[1:] == [["2", "'=cmd()", "'+1", "must, be", "应为"], ["3", "列", '"', "x", "x"]]


@given(st.binary(max_size=300))
def test_no_file_breaks_the_reader(content: bytes) -> None:
    for start in (b"", b"number,balance\n", b"PK\x03\x04"):
        result = check_file(start + content, columns={}, programme=PROGRAMME, now=NOW)
        assert isinstance(result, Checked | Refusal)


@given(st.integers(0, 10**11), st.booleans())
def test_yuan_and_fen_are_the_same_money(amount_fen: int, padded: bool) -> None:
    yuan = f"{amount_fen // 100}.{amount_fen % 100:02d}" + ("0" if padded else "")
    by_yuan = check_file(
        f"number,balance\n{NUMBERS[0]},{yuan}".encode(),
        columns={},
        programme=_without_cap(),
        now=NOW,
    )
    by_fen = check_file(
        f"number,principal_fen\n{NUMBERS[0]},{amount_fen}".encode(), columns={}, programme=_without_cap(), now=NOW
    )
    assert isinstance(by_yuan, Checked)
    assert isinstance(by_fen, Checked)
    assert by_yuan.lines[0].principal_fen == by_fen.lines[0].principal_fen == amount_fen


def _without_cap() -> Programme:
    import msgspec

    return msgspec.structs.replace(PROGRAMME, max_balance_fen=None)


def test_check_digits_of_any_length() -> None:
    assert all(has_check_digit(number) for number in NUMBERS)
    assert has_check_digit("4111111111111111")
    assert not has_check_digit("4111111111111112")
    assert {"csv", "xlsx"} <= set(find_kinds())


# What moves


def line(principal_fen: int, bonus_fen: int) -> ImportLine:
    expiry = NOW + timedelta(days=1)
    return ImportLine(
        0, UUID(int=3), 2, 1, UUID(int=4), b"", "1234", principal_fen, bonus_fen, None, expiry, UUID(int=5)
    )


def account(pocket: Pocket, number: int, *, credited: int, debited: int = 0, pending: int = 0) -> Account:
    return Account(
        0, number, 1, UUID(int=4), pocket.account_kind, "CNY", FloorRule.CREDIT, True, debited, credited, pending, 0, 3
    )


def test_a_line_brings_its_value_once_into_each_pocket() -> None:
    pockets = {Pocket.PRINCIPAL: 11, Pocket.BONUS: 12}
    posting = plan_line(line(500, 30), pockets, imported_value=9, transaction_id=UUID(int=6), at=NOW, reference="imp")
    assert posting is not None
    assert [(leg.debit_account, leg.credit_account, leg.amount_fen) for leg in posting.legs] == [
        (9, 11, 500),
        (9, 12, 30),
    ]
    assert [(lot.paid_fen, lot.given_fen) for lot in posting.lots] == [(500, 30)] * 2
    assert [lot.expires_at for lot in posting.lots] == [None, NOW + timedelta(days=1)]
    assert {guard.version for guard in posting.guards} == {0}
    nothing = plan_line(line(0, 0), pockets, imported_value=9, transaction_id=UUID(int=6), at=NOW, reference="imp")
    assert nothing is None
    assert [held.pocket for held in held_by(line(0, 5))] == [Pocket.BONUS]


def test_a_reversal_takes_back_what_came() -> None:
    accounts = [account(Pocket.PRINCIPAL, 11, credited=500), account(Pocket.BONUS, 12, credited=30)]
    assert not is_used(line(500, 30), accounts)
    posting = plan_reversal(
        line(500, 30), accounts, imported_value=9, transaction_id=UUID(int=6), at=NOW, reference="imp"
    )
    assert posting is not None
    assert posting.related_id == UUID(int=5)
    assert [(leg.debit_account, leg.credit_account, leg.amount_fen) for leg in posting.legs] == [
        (11, 9, 500),
        (12, 9, 30),
    ]


@pytest.mark.parametrize(
    "used",
    [
        account(Pocket.PRINCIPAL, 11, credited=500, debited=1),
        account(Pocket.PRINCIPAL, 11, credited=501),
        account(Pocket.PRINCIPAL, 11, credited=501, debited=1),
        account(Pocket.PRINCIPAL, 11, credited=500, pending=1),
    ],
)
def test_a_card_is_used_by_anything_that_moved(used: Account) -> None:
    assert is_used(line(500, 30), [used, account(Pocket.BONUS, 12, credited=30)])
