"""Files of vouchers: who shall get some, and codes that somebody else made. Pure, whole, and every bad line is told.

A door turns the file into rows; a row is its line number and its cells as text.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple
from uuid import UUID

from kaquan.cards.numbers import is_number
from kaquan.kit.ids import Prefix, read_id
from kaquan.kit.outcomes import Refusal
from kaquan.vouchers.codes import MAX_FOREIGN_LENGTH, MIN_FOREIGN_LENGTH, tidy
from kaquan.vouchers.outcomes import FILE_HAS_BAD_LINES, invalid

MAX_LINES = 50_000
"""A file is done in one commit, so it is not endless."""
MAX_PER_LINE = 100

Row = tuple[int, Sequence[str]]

ASSIGN_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "card": ("card", "card_id", "card_number", "卡号"),
    "customer_id": ("customer_id", "customer", "客户"),
    "count": ("count", "数量", "张数"),
}
CODE_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "code": ("code", "voucher_code", "券码"),
    "valid_until": ("valid_until", "expires_on", "有效期", "到期日"),
}


class LineProblem(NamedTuple):
    """What is wrong in a line. No value is told: it may be a code or a card's number."""

    line: int
    column: str
    en: str
    zh: str


class AssignLine(NamedTuple):
    """A line of an assignment: a card by id or number, or a customer; and how many vouchers."""

    line: int
    card_id: UUID | None
    card_number: str | None
    customer_id: UUID | None
    voucher_count: int

    def __repr__(self) -> str:
        return f"AssignLine({self.line})"


class CodeLine(NamedTuple):
    """A line with a foreign code, tidied, and the last day of its voucher if that is told."""

    line: int
    code: str
    last_day: date | None

    def __repr__(self) -> str:
        return f"CodeLine({self.line})"


def refuse_lines(problems: Sequence[LineProblem]) -> Refusal:
    """The refusal of a file with bad lines: how many, and the first of them."""
    first = min(problems)
    count = len({problem.line for problem in problems})
    return FILE_HAS_BAD_LINES.refuse(
        "file", count=count, line=first.line, column=first.column, why=first.en, why_zh=first.zh
    )


def read_assignment(rows: Sequence[Row]) -> tuple[list[AssignLine], list[LineProblem]] | Refusal:
    """Every line of an assignment. Refused as a whole: ``invalid_field`` (file)."""
    places = _places(rows, ASSIGN_COLUMNS)
    if isinstance(places, Refusal):
        return places
    if "card" not in places and "customer_id" not in places:
        return invalid("file", "must have a column card or customer_id", allowed_zh="须有卡号或客户列")
    lines: list[AssignLine] = []
    problems: list[LineProblem] = []
    for line, cells in rows[1:]:
        card, customer, many = (_cell(cells, places, name) for name in ("card", "customer_id", "count"))
        card_id = read_id(Prefix.CARD, card)
        customer_id = read_id(Prefix.CUSTOMER, customer)
        number = card if card_id is None and is_number(card) else None
        if bool(card) == bool(customer):
            problems.append(
                LineProblem(line, "card", "give a card or a customer, one of them", "卡与客户须且只能填一个")
            )
        elif card and card_id is None and number is None:
            problems.append(LineProblem(line, "card", "must be the id or the number of a card", "应为卡编号或卡号"))
        elif customer and customer_id is None:
            problems.append(LineProblem(line, "customer_id", "must be the id of a customer", "应为客户编号"))
        count = 1 if many == "" else int(many) if many.isascii() and many.isdigit() and len(many) < 6 else 0
        if not 1 <= count <= MAX_PER_LINE:
            problems.append(
                LineProblem(line, "count", f"must be from 1 to {MAX_PER_LINE}", f"应为 1 至 {MAX_PER_LINE}")
            )
        lines.append(AssignLine(line, card_id, number, customer_id, count))
    return lines, problems


def read_codes(rows: Sequence[Row], *, today: date) -> tuple[list[CodeLine], list[LineProblem]] | Refusal:
    """Every line of a file of foreign codes. Refused as a whole: ``invalid_field`` (file)."""
    places = _places(rows, CODE_COLUMNS)
    if isinstance(places, Refusal):
        return places
    if "code" not in places:
        return invalid("file", "must have a column code", allowed_zh="须有 code（券码）列")
    lines: list[CodeLine] = []
    problems: list[LineProblem] = []
    seen: dict[str, int] = {}
    for line, cells in rows[1:]:
        code, day = tidy(_cell(cells, places, "code")), _cell(cells, places, "valid_until")
        if not MIN_FOREIGN_LENGTH <= len(code) <= MAX_FOREIGN_LENGTH or not _is_visible(code):
            problems.append(
                LineProblem(
                    line, "code",
                    f"must be {MIN_FOREIGN_LENGTH} to {MAX_FOREIGN_LENGTH} visible ASCII characters",
                    f"应为 {MIN_FOREIGN_LENGTH} 至 {MAX_FOREIGN_LENGTH} 个可见 ASCII 字符",
                )
            )  # fmt: skip
        elif code in seen:
            first = seen[code]
            problems.append(LineProblem(line, "code", f"is in line {first} already", f"与第 {first} 行重复"))
        seen.setdefault(code, line)
        last_day = _day(day) if day else None
        if day and last_day is None:
            problems.append(
                LineProblem(line, "valid_until", "must be a day such as 2027-12-31", "应为日期，例如 2027-12-31")
            )
        elif last_day is not None and last_day < today:
            problems.append(LineProblem(line, "valid_until", "must not be in the past", "不得早于今天"))
        lines.append(CodeLine(line, code, last_day))
    return lines, problems


def _is_visible(code: str) -> bool:
    return code.isascii() and code.isprintable()


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text.replace("/", "-").replace(".", "-"))
    except ValueError:
        return None


def _places(rows: Sequence[Row], columns: Mapping[str, tuple[str, ...]]) -> dict[str, int] | Refusal:
    """Where each of our columns is, by the names in the first row."""
    if not 1 < len(rows) <= MAX_LINES + 1:
        return invalid(
            "file",
            f"must have a line of names and 1 to {MAX_LINES} lines below",
            allowed_zh=f"应有一行列名和 1 至 {MAX_LINES} 行数据",
        )
    names = [name.strip() for name in rows[0][1]]
    places: dict[str, int] = {}
    for ours, known in columns.items():
        there = [place for place, name in enumerate(names) if name in known]
        if len(there) > 1:
            return invalid("file", f"{ours} fits two columns", allowed_zh=f"{ours} 对应文件中的两列")
        if there:
            places[ours] = there[0]
    return places


def _cell(cells: Sequence[str], places: Mapping[str, int], name: str) -> str:
    place = places.get(name)
    return "" if place is None or place >= len(cells) else cells[place].strip()
