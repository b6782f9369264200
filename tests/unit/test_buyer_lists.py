"""A list of buyers is checked whole: every bad line is told, masked, and what is good is kept as look-ups alone."""

import io

import openpyxl
import pytest
from tests.town import KEYRING

from kaquan.kit.outcomes import Refusal
from kaquan.sales import CheckedList, check_list
from kaquan.sales.buyer_lists import bare_document, bare_name, entry_of


def checked(text: str | bytes) -> CheckedList:
    found = check_list(text.encode() if isinstance(text, str) else text)
    assert isinstance(found, CheckedList), found
    return found


def test_good_lines_have_a_name_a_document_or_both() -> None:
    found = checked("姓名,备注,证件号码\n王小明,x,11010519491231002X\n阿卜杜拉·买买提,,\n,,e1234 5678\n")
    assert found.problems == []
    assert [tuple(line) for line in found.lines] == [
        (2, "王小明", "11010519491231002X"), (3, "阿卜杜拉·买买提", None), (4, None, "E12345678"),
    ]  # fmt: skip
    assert "王小明" not in repr(found.lines)


def test_a_workbook_reads_the_same() -> None:
    book = openpyxl.Workbook()
    book.active.append(["name", "document"])
    book.active.append(["Wang Min", "110105194912310020"])
    book.active.append(["Li", 110105194912310])
    stream = io.BytesIO()
    book.save(stream)
    found = checked(stream.getvalue())
    assert [(line.line, line.name) for line in found.lines] == [(2, "Wang Min")]
    (problem,) = found.problems
    assert (problem.line, problem.column, problem.value) == (3, "document", "110********2310")


def test_every_bad_line_is_told_and_masked() -> None:
    found = checked("name,document\n,\n·,\n王小明,12\n李雷,110105\n" + "字" * 121 + ",\n")
    assert [(one.line, one.column, one.value) for one in found.problems] == [
        (3, "name", "*"), (4, "document", "**"), (6, "name", "字" + "*" * 120),
    ]  # fmt: skip
    assert [line.line for line in found.lines] == [5]
    assert all(one.en and one.zh for one in found.problems)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "file_unreadable"),
        (b"name\n", "file_unreadable"),
        (b"colour,shape\nred,round\n", "column_missing"),
        (b'name\n"open', "file_unreadable"),
        (b"PK\x03\x04nothing", "file_unreadable"),
    ],
)
def test_what_is_no_list(content: bytes, code: str) -> None:
    refused = check_list(content)
    assert isinstance(refused, Refusal)
    assert refused.code == code


def test_spellings_of_one_name_and_number_are_one() -> None:
    assert bare_name("ＷＡＮＧ ＭＩＮ") == bare_name("wang·min")
    assert bare_document("１１０-105 x") == "110105X"
    first, second = (entry_of(KEYRING, book, line) for book in (1, 2) for line in checked("name\nx y\n").lines)
    assert first.name != second.name, "books cannot be compared"
    assert first.document is None
