"""The forms of files that can be imported: one file each, found by itself.

A file defines ``KIND``. Every cell is text from here on: no amount and no number ever is a float.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import NamedTuple

NUMBER_CELL = "\0number "
"""In front of a cell that a spreadsheet keeps as a number, of which it knows 15 digits: too few for most numbers."""


class FileError(Exception):
    """A file is not of its kind; ``en`` and ``zh`` say what it should be."""

    def __init__(self, en: str, zh: str) -> None:
        super().__init__(en)
        self.en, self.zh = en, zh


class FileKind(NamedTuple):
    """One form of a file: its name, whether a file looks like one, and its rows with their line numbers."""

    name: str
    is_one: Callable[[bytes], bool]
    rows: Callable[[bytes], Iterator[tuple[int, list[str]]]]
    """The rows that hold anything. Raises FileError."""


@cache
def find_kinds() -> Mapping[str, FileKind]:
    """Every kind by name."""
    found = [import_module(f"{__name__}.{module.name}").KIND for module in iter_modules(__path__)]
    return {kind.name: kind for kind in found}


def kind_of(content: bytes) -> FileKind:
    """The kind of a file by its content. Raises FileError."""
    for kind in find_kinds().values():
        if kind.is_one(content):
            return kind
    names = ", ".join(sorted(find_kinds()))
    raise FileError(f"must be one of: {names}", f"应为以下格式之一：{names}")
