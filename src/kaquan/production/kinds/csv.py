"""Comma-separated values (RFC 4180): a line of names, then a line for each card, each ended by CR LF."""

from collections.abc import Sequence

from kaquan.cards import PrintedCard
from kaquan.production.kinds import COLUMNS, FileKind, cells


def _lines(sequence: int, cards: Sequence[PrintedCard]) -> bytes:
    # nothing here needs quotes: digits, and capital letters of secrets
    return "".join(",".join(cells(n, card)) + "\r\n" for n, card in enumerate(cards, start=sequence)).encode("ascii")


KIND = FileKind(
    name="csv",
    suffix=".csv",
    en="Comma-separated values with a line of names",
    zh="逗号分隔，首行为列名",
    head=(",".join(column.name for column in COLUMNS) + "\r\n").encode("ascii"),
    lines=_lines,
)
