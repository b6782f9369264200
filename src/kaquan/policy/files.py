"""Read rules out of a file: CSV with a header, or a JSON list; checked whole, every bad line told.

A line has the columns of :data:`COLUMNS`, in any order; :data:`OPTIONAL` may be left out. Several values of a criterion
stand with ``|`` between them (in JSON also as a list), flags as ``yes`` and ``no``, days as 2026-01-31, an end that is
not known yet is empty. ``subject``, ``operator`` and ``unit`` follow from the metric and must agree if they are given.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar

import msgspec

from kaquan.kit.outcomes import Refusal
from kaquan.policy.metrics import Action, Metric, Unit
from kaquan.policy.outcomes import invalid
from kaquan.policy.places import read_jurisdiction
from kaquan.policy.types import (
    Buyer,
    CardClass,
    Channel,
    Condition,
    Confidence,
    Industry,
    IssuerClass,
    Reach,
    Rule,
    Scheme,
    Standing,
)

MAX_RULES = 500
"""Rules that a file or a change may hold, and that an issuer may have of its own."""
MAX_NUMBER = 10**15
MAX_TEXT = 500
MAX_ID = 48

CRITERIA: dict[str, type[StrEnum]] = {
    "scheme": Scheme,
    "issuer_class": IssuerClass,
    "card_class": CardClass,
    "buyer": Buyer,
    "channel": Channel,
    "industry": Industry,
    "condition": Condition,
}
COLUMNS = (
    "id", "jurisdiction", *CRITERIA, "subject", "metric", "operator", "value", "unit", "action", "effective_from",
    "effective_to", "source", "confidence", "title_zh", "title_en", "note",
)  # fmt: skip
OPTIONAL = frozenset({*CRITERIA, "subject", "operator", "unit", "effective_to", "confidence", "note"})

_ID = re.compile(r"[A-Z][A-Z0-9]*(-[A-Z0-9]+)*(\.[a-z0-9]+)?")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,15}")
_MONTH_DAY = re.compile(r"(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BOUNDS = {Unit.MINUTE_OF_DAY: (0, 1_439), Unit.DAY_OF_MONTH: (1, 31), Unit.BP: (0, 1_000_000)}

Choice = TypeVar("Choice", bound=StrEnum)


class FileFormat(StrEnum):
    """How a file of rules is written."""

    CSV = "csv"
    JSON = "json"


class LineProblem(NamedTuple):
    """What is wrong in a line: of CSV as an editor counts, the header being 1; of JSON the item, from 1."""

    line: int
    refusal: Refusal


class RuleFile(NamedTuple):
    """What a file holds: rules with the lines they stand in, and every problem, in the order of lines."""

    rules: list[tuple[int, Rule]]
    problems: list[LineProblem]


def read_rule_file(text: str, file_format: FileFormat, *, standing: Standing) -> RuleFile:
    """The rules of a file whose rows are law (with a confidence each) or an issuer's house rules (without).

    Problems are ``invalid_field`` refusals. Overlaps and weaknesses are not looked for: see ``check_rules``.
    """
    rules: list[tuple[int, Rule]] = []
    problems: list[LineProblem] = []
    lines = _csv_lines(text) if file_format is FileFormat.CSV else _json_lines(text)
    for line, fields in lines:
        if isinstance(fields, Refusal):
            problems.append(LineProblem(line, fields))
            continue
        if len(rules) + len(problems) >= MAX_RULES:
            allowed = f"may hold at most {MAX_RULES} rules"
            problems.append(LineProblem(line, invalid("file", allowed, allowed_zh=f"最多 {MAX_RULES} 条规则")))
            break
        read = read_rule(fields, standing=standing)
        if isinstance(read, Rule):
            rules.append((line, read))
        else:
            problems += [LineProblem(line, refusal) for refusal in read]
    if not rules and not problems:
        problems.append(LineProblem(1, invalid("file", "holds no rule", allowed_zh="文件中没有规则")))
    return RuleFile(rules, problems)


def _csv_lines(text: str) -> Iterator[tuple[int, Mapping[str, str] | Refusal]]:
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    begins = 1
    try:
        header = next(reader, [])
        if (refusal := _check_columns(header)) is not None:
            yield 1, refusal
            return
        while True:
            begins = reader.line_num + 1
            cells = next(reader, None)
            if cells is None:
                return
            if not cells:
                continue  # an empty line
            if len(cells) != len(header):
                wanted = f"must have {len(header)} cells like the header, not {len(cells)}"
                yield begins, invalid("line", wanted, allowed_zh=f"应有 {len(header)} 列，实有 {len(cells)} 列")
            else:
                yield begins, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        yield begins, invalid("line", f"is not CSV: {error}", allowed_zh="不是合法的 CSV")


def _check_columns(header: list[str]) -> Refusal | None:
    unknown = [name for name in header if name not in COLUMNS]
    lacking = [name for name in COLUMNS if name not in header and name not in OPTIONAL]
    if not unknown and not lacking and len(set(header)) == len(header):
        return None
    names = ", ".join(COLUMNS)
    return invalid(
        "header",
        f"must name each of these columns once, of which {', '.join(sorted(OPTIONAL))} may be left out: {names}",
        allowed_zh=f"表头应为下列各列且不重复（部分可省略）：{names}",
    )


def _json_lines(text: str) -> Iterator[tuple[int, Mapping[str, str] | Refusal]]:
    try:
        items = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        yield 1, invalid("file", f"is not JSON: {error}", allowed_zh="不是合法的 JSON")
        return
    if not isinstance(items, list):
        yield 1, invalid("file", "must be a list of rules", allowed_zh="应为规则列表")
        return
    for number, item in enumerate(items, start=1):
        yield number, _texts(item)


def _texts(item: object) -> dict[str, str] | Refusal:
    """A JSON object as the cells that a line of CSV would have."""
    if not isinstance(item, dict):
        return invalid("rule", "must be an object", allowed_zh="应为对象")
    cells: dict[str, str] = {}
    for name, value in item.items():
        if name not in COLUMNS:
            names = ", ".join(COLUMNS)
            return invalid(
                str(name)[:64], f"is not a field here; the fields are: {names}", allowed_zh=f"没有这个字段：{names}"
            )
        if value is None:
            cells[name] = ""
        elif isinstance(value, bool):
            cells[name] = "yes" if value else "no"
        elif isinstance(value, str | int):
            cells[name] = str(value)
        elif isinstance(value, list) and all(isinstance(part, str) for part in value):
            cells[name] = "|".join(value)
        else:
            return invalid(name, "must be a text, a number or a list of texts", allowed_zh="应为文本、数字或文本列表")
    return cells


def read_rule(cells: Mapping[str, str], *, standing: Standing) -> Rule | list[Refusal]:
    """The rule that these cells make, or all that is wrong with them, each an ``invalid_field`` with its column."""
    reader = _Cells(cells)
    id_ = reader.read(
        "id", lambda text: text if len(text) <= MAX_ID and _ID.fullmatch(text) else None,
        f"must be at most {MAX_ID} capital letters, digits and hyphens, such as SH-NIGHT-01",
        f"应为最多 {MAX_ID} 个大写字母、数字和连字符，例如 SH-NIGHT-01",
    )  # fmt: skip
    jurisdiction = reader.read(
        "jurisdiction", read_jurisdiction, "must be a country or a province, such as CN or CN-31",
        "应为国家或省级代码，例如 CN、CN-31",
    )  # fmt: skip
    reach = {name: reader.choices(name, kind) for name, kind in CRITERIA.items()}
    metric = reader.choice("metric", Metric)
    value = None if metric is None else reader.value(metric)
    action = reader.choice("action", Action)
    begins = reader.day("effective_from")
    ends = reader.day("effective_to") if cells.get("effective_to") else None
    source = reader.text("source")
    if standing is Standing.HOUSE:
        confidence: Confidence | None = Confidence.HOUSE
        reader.agree("confidence", Confidence.HOUSE)
    else:
        confidence = reader.choice("confidence", Confidence)
        if confidence is Confidence.HOUSE:
            reader.refuse("confidence", "must be P, S, C, D or M for a row of law", "法规条目应为 P、S、C、D 或 M")
    titles = reader.text("title_zh"), reader.text("title_en")
    note = reader.text("note") if cells.get("note") else ""
    if metric is not None:
        for name, follows in (("subject", metric.subject), ("operator", metric.operator), ("unit", metric.unit)):
            reader.agree(name, follows)
    if begins is not None and ends is not None and ends < begins:
        reader.refuse("effective_to", "must not be before effective_from", "不得早于 effective_from")
    if reader.problems:
        return reader.problems
    assert id_ is not None
    assert jurisdiction is not None
    assert metric is not None
    assert value is not None
    assert action is not None
    assert begins is not None
    assert source is not None
    assert confidence is not None
    assert titles[0] is not None
    assert titles[1] is not None
    return Rule(
        id=id_,
        jurisdiction=jurisdiction,
        reach=msgspec.convert(reach, Reach),
        metric=metric,
        value=value,
        action=action,
        effective_from=begins,
        effective_to=ends,
        source=source,
        confidence=confidence,
        title_zh=titles[0],
        title_en=titles[1],
        note=note or "",
    )


class _Cells:
    """Reads one cell after the other and keeps what is wrong."""

    def __init__(self, cells: Mapping[str, str]) -> None:
        self._cells = cells
        self.problems: list[Refusal] = []

    def refuse(self, name: str, allowed: str, allowed_zh: str) -> None:
        self.problems.append(invalid(name, allowed, allowed_zh=allowed_zh))

    def read(self, name: str, read: Callable[[str], Any], allowed: str, allowed_zh: str) -> Any:
        value = read(self._cells.get(name, ""))
        if value is None:
            self.refuse(name, allowed, allowed_zh)
        return value

    def choice(self, name: str, kind: type[Choice]) -> Choice | None:
        names = ", ".join(kind)
        found: Choice | None = self.read(
            name, lambda text: _member(kind, text), f"must be one of: {names}", f"应为以下之一：{names}"
        )
        return found

    def choices(self, name: str, kind: type[StrEnum]) -> list[StrEnum]:
        """The values of a criterion, in the order of their kind: two lists of the same are the same."""
        text = self._cells.get(name, "")
        found = {_member(kind, part) for part in text.split("|")} if text else set()
        if None in found:
            names = ", ".join(kind)
            self.refuse(name, f"must be values with | between them, of: {names}", f"应为以下取值，以 | 分隔：{names}")
        return [member for member in kind if member in found]

    def text(self, name: str) -> str | None:
        found: str | None = self.read(
            name,
            lambda text: text if 0 < len(text) <= MAX_TEXT and not _CONTROL.search(text) else None,
            f"must be 1 to {MAX_TEXT} characters, no control characters",
            f"应为 1 到 {MAX_TEXT} 个字符，不含控制字符",
        )
        return found

    def day(self, name: str) -> date | None:
        found: date | None = self.read(name, _day, "must be a day such as 2026-01-31", "应为日期，例如 2026-01-31")
        return found

    def agree(self, name: str, follows: StrEnum) -> None:
        if self._cells.get(name, "") not in ("", follows.value):
            self.refuse(name, f"must be {follows} here, or empty", f"此处应为 {follows}，或不填")

    def value(self, metric: Metric) -> int | str | None:
        low, high = _BOUNDS.get(metric.unit, (0, MAX_NUMBER))
        if metric.unit is Unit.FLAG:
            flag: int | None = self.read("value", {"yes": 1, "no": 0}.get, "must be yes or no", "应为 yes 或 no")
            return flag
        if metric is Metric.TREATED_AS_SCHEME:
            return self.choice("value", Scheme)
        if metric.unit is Unit.CODE:
            return self.text("value")
        if metric.unit is Unit.MONTH_DAY:
            day: str | None = self.read(
                "value", lambda text: text if _MONTH_DAY.fullmatch(text) else None, "must be a day such as 01-31",
                "应为月-日，例如 01-31",
            )  # fmt: skip
            return day
        number: int | None = self.read(
            "value",
            lambda text: int(text) if _NUMBER.fullmatch(text) and low <= int(text) <= high else None,
            f"must be a whole number of {metric.unit} from {low} to {high}",
            f"应为 {low} 到 {high} 的整数（单位 {metric.unit}）",
        )
        return number


def _member(kind: type[Choice], text: str) -> Choice | None:
    try:
        return kind(text)
    except ValueError:
        return None


def _day(text: str) -> date | None:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def show_raw(metric: Metric, value: int | str) -> int | str:
    """A value as files and the API have it: flags as ``yes`` and ``no``."""
    if metric.unit is Unit.FLAG:
        return "yes" if value else "no"
    return value
