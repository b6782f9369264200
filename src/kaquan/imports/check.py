"""Check a file of foreign cards: pure, whole, and every bad line is told.

Columns (what the file calls them is up to it):

* ``number``: 13 to 19 digits with a check digit (ISO/IEC 7812-1), under the programme's prefix;
* ``principal_fen`` or ``principal_yuan``: what was paid for, in fen or as yuan with two decimals at the most;
* ``bonus_fen`` or ``bonus_yuan``: what was given with it;
* ``expires_on``, ``bonus_expires_on``: the last day, in the issuer's zone; without one the programme's rule from today.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from kaquan.cards import Programme
from kaquan.cards.numbers import MIN_FOREIGN_LENGTH, NUMBER_LENGTH, has_check_digit, is_number
from kaquan.imports.kinds import NUMBER_CELL, FileError, kind_of
from kaquan.imports.outcomes import COLUMN_MISSING, FILE_UNREADABLE
from kaquan.imports.types import Checked, FoundLine, LineProblem
from kaquan.kit.money import MAX_FEN
from kaquan.kit.outcomes import INVALID_FIELD, Refusal
from kaquan.vault import mask_card_number

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "number": ("number", "card_number", "卡号"),
    "principal_fen": ("principal_fen", "balance_fen"),
    "principal_yuan": ("principal_yuan", "balance", "余额", "本金"),
    "bonus_fen": ("bonus_fen",),
    "bonus_yuan": ("bonus_yuan", "bonus", "赠送", "赠送金额"),
    "expires_on": ("expires_on", "有效期", "到期日"),
    "bonus_expires_on": ("bonus_expires_on", "赠送有效期", "赠送到期日"),
}
"""Our columns, with the names that they are known by without being told."""

MAX_LINES = 1_000_000

_YUAN = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,2})0*)?")
_FEN = re.compile(r"[0-9]{1,14}")
_DAY = re.compile(r"([0-9]{4})[-/.年]?([0-9]{1,2})[-/.月]?([0-9]{1,2})日?")
_SHOWN = 40


class _Wrong(NamedTuple):
    en: str
    zh: str


_NOT_YUAN = _Wrong("must be an amount in yuan such as 100 or 99.50", "应为以元计的金额，例如 100 或 99.50")
_NOT_FEN = _Wrong("must be a whole number of fen", "应为以分计的整数")
_NOT_DAY = _Wrong("must be a day such as 2027-12-31", "应为日期，例如 2027-12-31")
_PAST = _Wrong("must not be in the past", "不得早于今天")


def read_columns(text: str) -> dict[str, str] | Refusal:
    """What ``number=卡号,principal_yuan=余额`` says. Refused: ``invalid_field`` (columns)."""
    columns: dict[str, str] = {}
    for pair in filter(None, text.split(",")):
        ours, equals, theirs = pair.partition("=")
        if ours not in COLUMNS or not equals or not theirs.strip() or ours in columns:
            known = ", ".join(COLUMNS)
            return INVALID_FIELD.refuse(
                "columns",
                allowed=f"must be pairs such as number=卡号, each of these at most once: {known}",
                allowed_zh=f"应为形如 number=卡号 的对应关系，每项至多一次：{known}",
            )
        columns[ours] = theirs.strip()
    return columns


def end_of_day(day: date, time_zone: str) -> datetime:
    """The end of a day in a zone, in UTC."""
    zone = ZoneInfo(time_zone)
    return datetime.combine(day + timedelta(days=1), time.min, zone).astimezone(ZoneInfo("UTC"))


def check_file(content: bytes, *, columns: Mapping[str, str], programme: Programme, now: datetime) -> Checked | Refusal:
    """Every line of a file.

    Refused as a whole: ``file_unreadable``, ``column_missing``, ``invalid_field`` (columns).
    """
    try:
        kind = kind_of(content)
        rows = list(kind.rows(content))
    except FileError as error:
        return FILE_UNREADABLE.refuse("file", why=error.en, why_zh=error.zh)
    if not 1 < len(rows) <= MAX_LINES + 1:
        return FILE_UNREADABLE.refuse(
            "file",
            why=f"must have a line of names and 1 to {MAX_LINES} lines below",
            why_zh=f"应有一行列名和 1 至 {MAX_LINES} 行数据",
        )
    (_, names), *rest = rows
    places = _find_columns([name.removeprefix(NUMBER_CELL) for name in names], columns)
    if isinstance(places, Refusal):
        return places
    checker = _Checker(places, programme, now)
    for line, cells in rest:
        checker.check(line, cells, width=len(names))
    return Checked(kind.name, checker.lines, checker.problems, len(rest))


def _find_columns(names: Sequence[str], columns: Mapping[str, str]) -> dict[str, tuple[int, str]] | Refusal:
    """Where each of our columns is, and what it is called."""
    places: dict[str, tuple[int, str]] = {}
    for ours, known in COLUMNS.items():
        wanted = (columns[ours],) if ours in columns else known
        there = [place for place, name in enumerate(names) if name in wanted]
        if len(there) > 1:
            return INVALID_FIELD.refuse(
                "columns",
                allowed=f"{ours} fits two columns of the file: say which",
                allowed_zh=f"{ours} 对应文件中的两列，请指明",
            )
        if there:
            places[ours] = (there[0], names[there[0]])
        elif ours in columns:
            return _no_column(columns[ours], names)
    for pair in (("principal_fen", "principal_yuan"), ("bonus_fen", "bonus_yuan")):
        if all(ours in places for ours in pair):
            return INVALID_FIELD.refuse(
                "columns",
                allowed=f"take either {pair[0]} or {pair[1]}",
                allowed_zh=f"{pair[0]} 与 {pair[1]} 只能取其一",
            )
    if "number" not in places:
        return _no_column("number / 卡号", names)
    if "principal_fen" not in places and "principal_yuan" not in places:
        return _no_column("principal_yuan / 余额", names)
    return places


def _no_column(wanted: str, names: Sequence[str]) -> Refusal:
    return COLUMN_MISSING.refuse("file", column=wanted, there=", ".join(name[:_SHOWN] for name in names[:30]))


class _Checker:
    """Reads line after line and keeps what it found."""

    def __init__(self, places: Mapping[str, tuple[int, str]], programme: Programme, now: datetime) -> None:
        self.lines: list[FoundLine] = []
        self.problems: list[LineProblem] = []
        self._places = places
        self._programme = programme
        self._today = now.astimezone(ZoneInfo(programme.time_zone)).date()
        self._seen: dict[str, int] = {}

    def check(self, line: int, cells: Sequence[str], *, width: int) -> None:
        before = len(self.problems)
        if len(cells) > width and any(cells[width:]):
            self._tell(line, "", "", _Wrong("has more cells than the line of names", "单元格多于列名"))
        number = self._number(line, cells)
        principal_fen = self._amount(line, cells, "principal")
        bonus_fen = self._amount(line, cells, "bonus")
        cap = self._programme.max_balance_fen
        if cap is not None and principal_fen + bonus_fen > cap:
            shown = f"{principal_fen + bonus_fen}"
            self._tell(line, "", shown, _Wrong(f"a card may hold at most {cap} fen", f"每张卡余额上限为 {cap} 分"))
        found = FoundLine(
            line,
            number,
            principal_fen,
            bonus_fen,
            self._expiry(line, cells, "expires_on", self._programme.principal_valid_days),
            self._expiry(line, cells, "bonus_expires_on", self._programme.bonus_valid_days),
        )
        if len(self.problems) == before:
            self.lines.append(found)

    def _cell(self, cells: Sequence[str], ours: str) -> tuple[str, str]:
        """What a column is called, and what stands in it."""
        place, name = self._places[ours]
        return name, cells[place] if place < len(cells) else ""

    def _tell(self, line: int, column: str, value: str, wrong: _Wrong) -> None:
        self.problems.append(LineProblem(line, column, value, wrong.en, wrong.zh))

    def _number(self, line: int, cells: Sequence[str]) -> str:
        name, cell = self._cell(cells, "number")
        is_cell_number = cell.startswith(NUMBER_CELL)
        number = cell.removeprefix(NUMBER_CELL).replace(" ", "")
        wrong: _Wrong | None = None
        prefix = self._programme.number_prefix
        if is_cell_number and len(number) > 15:
            wrong = _Wrong(
                "is kept as a number, of which only 15 digits are known: make the column text",
                "单元格为数值格式，仅保留 15 位有效数字：请改为文本格式",
            )
        elif not is_number(number):
            wrong = _Wrong(
                f"must be {MIN_FOREIGN_LENGTH} to {NUMBER_LENGTH} digits",
                f"应为 {MIN_FOREIGN_LENGTH} 至 {NUMBER_LENGTH} 位数字",
            )
        elif not number.startswith(prefix):
            wrong = _Wrong(f"must begin with {prefix}, as the programme's numbers do", f"应以卡种前缀 {prefix} 开头")
        elif not has_check_digit(number):
            wrong = _Wrong("its check digit is wrong", "校验位不正确")
        elif number in self._seen:
            first = self._seen[number]
            wrong = _Wrong(f"is in line {first} already", f"与第 {first} 行重复")
        if wrong is not None:
            self._tell(line, name, mask_card_number(number[:NUMBER_LENGTH]), wrong)
        self._seen.setdefault(number, line)
        return number

    def _amount(self, line: int, cells: Sequence[str], what: str) -> int:
        in_fen = f"{what}_fen" in self._places
        ours = f"{what}_fen" if in_fen else f"{what}_yuan"
        if ours not in self._places:
            return 0
        name, cell = self._cell(cells, ours)
        text = cell.removeprefix(NUMBER_CELL)
        if text == "" and what == "bonus":
            return 0
        if in_fen:
            amount_fen = int(text) if _FEN.fullmatch(text) else None
        else:
            yuan = _YUAN.fullmatch(text.removeprefix("¥").removeprefix("￥").replace(",", ""))
            amount_fen = None if yuan is None else int(yuan[1]) * 100 + int((yuan[2] or "").ljust(2, "0"))
        if amount_fen is None:
            self._tell(line, name, _masked(text), _NOT_FEN if in_fen else _NOT_YUAN)
            return 0
        if amount_fen > MAX_FEN:
            self._tell(line, name, _masked(text), _Wrong(f"must be at most {MAX_FEN} fen", f"不得超过 {MAX_FEN} 分"))
            return 0
        return amount_fen

    def _expiry(self, line: int, cells: Sequence[str], ours: str, valid_days: int | None) -> datetime | None:
        name, cell = self._cell(cells, ours) if ours in self._places else ("", "")
        text = cell.removeprefix(NUMBER_CELL)
        if text == "":
            if valid_days is None:
                return None
            return end_of_day(self._today + timedelta(days=valid_days), self._programme.time_zone)
        parts = _DAY.fullmatch(text)
        try:
            if parts is None or not 2000 <= int(parts[1]) <= 2999:
                raise ValueError
            day = date(int(parts[1]), int(parts[2]), int(parts[3]))
        except ValueError:
            self._tell(line, name, _masked(text), _NOT_DAY)
            return None
        if day < self._today:
            self._tell(line, name, text, _PAST)
        return end_of_day(day, self._programme.time_zone)


def _masked(text: str) -> str:
    """A wrong value as it is shown: a column may have been taken for another, so long runs of digits are hidden."""
    return re.sub(r"[0-9]{7,}", lambda run: "*" * (len(run[0]) - 2) + run[0][-2:], text[:_SHOWN])
