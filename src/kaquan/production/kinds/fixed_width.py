"""Columns of fixed width, without names: the sequence with leading zeros, the others padded with spaces; CR LF."""

from collections.abc import Sequence

from kaquan.cards import PrintedCard
from kaquan.production.kinds import COLUMNS, FileKind, cells


def _lines(sequence: int, cards: Sequence[PrintedCard]) -> bytes:
    return "".join(_line(cells(n, card)) for n, card in enumerate(cards, start=sequence)).encode("ascii")


def _line(values: tuple[str, ...]) -> str:
    first, *rest = (value.ljust(column.width) for value, column in zip(values, COLUMNS, strict=True))
    return first.strip().rjust(COLUMNS[0].width, "0") + "".join(rest) + "\r\n"


KIND = FileKind(
    name="fixed_width",
    suffix=".txt",
    en="Columns of fixed width, no names",
    zh="定长列，无列名",
    head=b"",
    lines=_lines,
)
