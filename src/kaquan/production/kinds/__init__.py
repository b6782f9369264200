"""The forms of production files: one file each, found by itself.

A file defines ``KIND``. Every kind declares its columns, so that the printer's machine can be set up from the docs.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import NamedTuple

from kaquan.cards import PrintedCard


class Column(NamedTuple):
    """A column: its name, how many characters it has at the most, and what stands in it."""

    name: str
    width: int
    en: str
    zh: str


COLUMNS = (
    Column("sequence", 8, "place in this file, from 1", "文件内序号，从 1 开始"),
    Column("number", 19, "card number", "卡号"),
    Column("secret", 12, "card secret, under the scratch panel; no I, L, O, U", "卡密，印于刮刮层下，不含 I、L、O、U"),
    Column("pin", 6, "first PIN, empty unless asked for", "初始密码，未要求时为空"),
)
"""What every kind writes, in this order."""


def cells(sequence: int, card: PrintedCard) -> tuple[str, ...]:
    """What stands in :data:`COLUMNS` for a card."""
    return str(sequence), card.number, card.secret, card.pin or ""


class FileKind(NamedTuple):
    """One form of a file: what it begins with, and what stands in it for cards numbered from ``sequence`` on."""

    name: str
    suffix: str
    en: str
    zh: str
    head: bytes
    lines: Callable[[int, Sequence[PrintedCard]], bytes]


@cache
def find_kinds() -> Mapping[str, FileKind]:
    """Every kind by name."""
    found = [import_module(f"{__name__}.{module.name}").KIND for module in iter_modules(__path__)]
    return {kind.name: kind for kind in found}
