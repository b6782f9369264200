"""Which columns of the database hold sealed values: each room declares its own, so that they can be sealed anew.

A room that seals says so once, beside its store::

    declare_sealed(SealedColumn("cards_card", key=(("slot", "smallint"), ("id", "uuid")), column="number_sealed",
                                context="id"))

and grants ``UPDATE`` of that column to ``kaquan_app``.
"""

from typing import NamedTuple


class SealedColumn(NamedTuple):
    """A column of sealed values.

    ``key`` are the columns of the primary key with their types, the slot first where there is one. ``context`` is the
    column of type uuid whose 16 bytes, followed by ``suffix``, each value is bound to. NULL is nothing sealed.

    Where values are also found by a look-up in the same row, ``lookup_column`` (of type uuid) holds it and ``purpose``
    is what it was made for: a rotation of the look-up key writes it anew.
    """

    table: str
    key: tuple[tuple[str, str], ...]
    column: str
    context: str
    suffix: bytes = b""
    lookup_column: str | None = None
    purpose: bytes = b""

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
