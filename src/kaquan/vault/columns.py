"""Which columns of the database hold sealed values: each room declares its own, so that they can be sealed anew.

A room that seals says so once, beside its store::

    declare_sealed(SealedColumn("cards_card", key=(("slot", "smallint"), ("id", "uuid")), column="number_sealed",
                                context="id"))

and grants ``UPDATE`` of that column to ``kaquan_app``.
"""

from collections.abc import Callable
from typing import Any, NamedTuple


class RowLookup(NamedTuple):
    """A column of type uuid in the row of a sealed value by which the value is found.

    ``text_of`` gives the text that was looked up, from the values of the row's key and the value in clear; ``purpose``
    is what the look-up was made for.
    """

    column: str
    text_of: Callable[[tuple[Any, ...], str], str]
    purpose: bytes


class SealedColumn(NamedTuple):
    """A column of sealed values.

    ``key`` are the columns of the primary key with their types, the slot first where there is one. ``context`` is the
    column of type uuid whose 16 bytes, between ``prefix`` and ``suffix``, each value is bound to. NULL is nothing
    sealed.

    ``lookups`` are the columns of the same row by which the value is found: a rotation of the look-up key writes them
    anew, but for those that are NULL, which stay so.
    """

    table: str
    key: tuple[tuple[str, str], ...]
    column: str
    context: str
    prefix: bytes = b""
    suffix: bytes = b""
    lookups: tuple[RowLookup, ...] = ()

    @property
    def name(self) -> str:
        """``table.column``"""
        return f"{self.table}.{self.column}"


_declared: dict[str, SealedColumn] = {}


def declare_sealed(column: SealedColumn) -> SealedColumn:
    """Make a column known. Raises ValueError if it is declared twice, differently."""
    if _declared.setdefault(column.name, column) != column:
        raise ValueError(f"{column.name} is declared twice")
    return column


def sealed_columns() -> list[SealedColumn]:
    """Every declared column, by name. Rooms declare theirs when they are imported."""
    return [_declared[name] for name in sorted(_declared)]
