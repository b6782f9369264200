"""Statements over the declared columns of other rooms; the only file of this room that sees a cursor.

Their names are code, not input; they are quoted all the same.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import sql

from kaquan.kit.db import Pool
from kaquan.vault import SealedColumn

_COUNT_BY_HEADER = sql.SQL(
    # what a value is sealed under stands in front of it, in both formats; see kaquan.vault.keyring
    "SELECT CASE WHEN get_byte({column}, 0) = 0 THEN substring({column} FROM 1 FOR 4 + get_byte({column}, 3))"
    " ELSE substring({column} FROM 1 FOR 1 + get_byte({column}, 0)) END, count(*)"
    " FROM {table} WHERE {column} IS NOT NULL GROUP BY 1"
)


class Row(NamedTuple):
    """A sealed value with its place: the values of its key, its context, and its look-up where it has one."""

    key: tuple[Any, ...]
    context: UUID
    sealed: bytes
    lookup: UUID | None


def _names(column: SealedColumn) -> dict[str, sql.Composable]:
    return {"table": sql.Identifier(column.table), "column": sql.Identifier(column.column)}


async def count_by_header(pool: Pool, column: SealedColumn) -> dict[bytes, int]:
    """How many values of a column begin with which header."""
    async with pool.connection() as connection, connection.transaction():
        # the whole table is read: longer than a request may take
        await connection.execute("SET LOCAL statement_timeout = 0")
        cursor = await connection.execute(_COUNT_BY_HEADER.format(**_names(column)))
        return {bytes(header): count for header, count in await cursor.fetchall()}


async def load_rows(
    pool: Pool, column: SealedColumn, *, slot: int | None, after: tuple[Any, ...], header: bytes | None, limit: int
) -> list[Row]:
    """Values behind ``after`` in the order of the key, of one slot where there are slots (None: there are none).

    With ``header`` only those that do not begin with it.
    """
    rest = column.key if slot is None else column.key[1:]
    wheres: list[sql.Composable] = [sql.SQL("{column} IS NOT NULL").format(**_names(column))]
    params: dict[str, Any] = {"limit": limit, "slot": slot, "header": header}
    if slot is not None:
        wheres.append(sql.SQL("slot = %(slot)s"))
    if after:
        names = sql.SQL(", ").join(sql.Identifier(name) for name, _ in rest)
        values = sql.SQL(", ").join(sql.Placeholder(f"after_{n}") for n in range(len(rest)))
        wheres.append(sql.SQL("({}) > ({})").format(names, values))
        params.update({f"after_{n}": value for n, value in enumerate(after)})
    if header is not None:
        wheres.append(
            sql.SQL("substring({column} FROM 1 FOR length(%(header)s::bytea)) <> %(header)s::bytea").format(
                **_names(column)
            )
        )
    query = sql.SQL(
        "SELECT {keys}, {context}, {column}, {lookup} FROM {table} WHERE {where} ORDER BY {order} LIMIT %(limit)s"
    )
    composed = query.format(
        keys=sql.SQL(", ").join(sql.Identifier(name) for name, _ in column.key),
        context=sql.Identifier(column.context),
        lookup=sql.SQL("NULL::uuid") if column.lookup_column is None else sql.Identifier(column.lookup_column),
        where=sql.SQL(" AND ").join(wheres),
        order=sql.SQL(", ").join(sql.Identifier(name) for name, _ in rest),
        **_names(column),
    )
    async with pool.connection() as connection:
        rows = await (await connection.execute(composed, params)).fetchall()
    width = len(column.key)
    return [Row(tuple(row[:width]), row[width], bytes(row[width + 1]), row[width + 2]) for row in rows]


async def post_sealed(
    pool: Pool, column: SealedColumn, changes: Sequence[tuple[Row, bytes, UUID | None]], *, slot: int | None
) -> int:
    """Write values anew, each if it is still as it was read; how many were. In one commit."""
    rows = [row for row, _, _ in changes]
    params: dict[str, Any] = {f"key_{n}": [row.key[n] for row in rows] for n in range(len(column.key))}
    params["old"] = [row.sealed for row in rows]
    params["new"] = [sealed for _, sealed, _ in changes]
    params["lookups"] = [lookup for _, _, lookup in changes]
    params["slot"] = slot
    names = [sql.Identifier(name) for name, _ in column.key]
    composed = sql.SQL(
        "UPDATE {table} AS t SET {column} = n.new_value{and_lookup}"
        " FROM unnest({arrays}, %(old)s::bytea[], %(new)s::bytea[], %(lookups)s::uuid[])"
        " AS n ({keys}, old_value, new_value, new_lookup)"
        " WHERE {same_key} AND t.{column} = n.old_value{in_slot}"
    ).format(
        and_lookup=(
            sql.SQL("")
            if column.lookup_column is None
            else sql.SQL(", {} = n.new_lookup").format(sql.Identifier(column.lookup_column))
        ),
        arrays=sql.SQL(", ").join(
            sql.SQL("{}::{}[]").format(sql.Placeholder(f"key_{n}"), sql.SQL(type_))
            for n, (_, type_) in enumerate(column.key)
        ),
        keys=sql.SQL(", ").join(names),
        same_key=sql.SQL(" AND ").join(sql.SQL("t.{0} = n.{0}").format(name) for name in names),
        in_slot=sql.SQL("") if slot is None else sql.SQL(" AND t.slot = %(slot)s"),
        **_names(column),
    )
    async with pool.connection() as connection:
        return (await connection.execute(composed, params)).rowcount
