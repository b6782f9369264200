"""The bad lines of a file, as a file that a spreadsheet opens."""

import csv
import io
from collections.abc import Sequence

from kaquan.imports.types import LineProblem

_BOM = "\ufeff"
"""Tells spreadsheets that the file is UTF-8."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def error_file(problems: Sequence[LineProblem]) -> bytes:
    """One line for each problem: line, column, value (masked), what is allowed in both languages (CSV, RFC 4180)."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(["line 行", "column 列", "value 值", "allowed", "要求"])
    for problem in problems:
        writer.writerow([problem.line, *map(tame, (problem.column, problem.value, problem.en, problem.zh))])
    return (_BOM + stream.getvalue()).encode("utf-8")


def tame(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula (OWASP, CSV injection)."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
