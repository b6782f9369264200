"""Statements over the declared columns of other rooms; the only file of this room that sees a cursor.

Their names are code, not input; they are quoted all the same.
"""

from collections.abc import Sequence
from typing import Any, LiteralString, NamedTuple
from uuid import UUID

import psycopg
import structlog
from psycopg import sql

from kaquan.kit.db import Pool
from kaquan.vault import SealedColumn

_log = structlog.get_logger(__name__)

_COUNT_BY_HEADER = sql.SQL(
    # what a value is sealed under stands in front of it, in both formats; see kaquan.vault.keyring
    "SELECT CASE WHEN get_byte({column}, 0) = 0 THEN substring({column} FROM 1 FOR 4 + get_byte({column}, 3))"
    " ELSE substring({column} FROM 1 FOR 1 + get_byte({column}, 0)) END, count(*)"
    " FROM {table} WHERE {column} IS NOT NULL GROUP BY 1"
)


class Row(NamedTuple):
    """A sealed value with its place: the values of its key, its context, and its look-ups."""

    key: tuple[Any, ...]
    context: UUID
    sealed: bytes
    lookups: tuple[UUID | None, ...]


class Change(NamedTuple):
    """A row with its value and its look-ups as they shall be."""

    row: Row
    sealed: bytes
    lookups: tuple[UUID | None, ...]


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
    query = sql.SQL("SELECT {columns} FROM {table} WHERE {where} ORDER BY {order} LIMIT %(limit)s")
    composed = query.format(
        columns=sql.SQL(", ").join(
            sql.Identifier(name)
            for name in (
                *(name for name, _ in column.key),
                column.context,
                column.column,
                *(lookup.column for lookup in column.lookups),
            )
        ),
        where=sql.SQL(" AND ").join(wheres),
        order=sql.SQL(", ").join(sql.Identifier(name) for name, _ in rest),
        **_names(column),
    )
    async with pool.connection() as connection:
        rows = await (await connection.execute(composed, params)).fetchall()
    width = len(column.key)
    return [Row(tuple(row[:width]), row[width], bytes(row[width + 1]), tuple(row[width + 2 :])) for row in rows]


async def post_sealed(pool: Pool, column: SealedColumn, changes: Sequence[Change], *, slot: int | None) -> int:
    """Write values anew, each if it and its look-ups are still as they were read; how many were. In one commit.

    A row whose new look-up is another row's already is left as it is.
    """
    if not changes:
        return 0
    try:
        return await _post(pool, column, changes, slot=slot)
    except psycopg.errors.UniqueViolation:
        # a process that did not know the new key took in what another one had under it: find out which row it is
        if len(changes) == 1:
            key = [str(part) for part in changes[0].row.key]
            _log.warning("two rows have one look-up", column=column.name, key=key)
            return 0
        middle = len(changes) // 2
        return await post_sealed(pool, column, changes[:middle], slot=slot) + await post_sealed(
            pool, column, changes[middle:], slot=slot
        )


async def _post(pool: Pool, column: SealedColumn, changes: Sequence[Change], *, slot: int | None) -> int:
    rows = [change.row for change in changes]
    params: dict[str, Any] = {f"key_{n}": [row.key[n] for row in rows] for n in range(len(column.key))}
    params["old"] = [row.sealed for row in rows]
    params["new"] = [change.sealed for change in changes]
    for n in range(len(column.lookups)):
        params[f"old_{n}"] = [row.lookups[n] for row in rows]
        params[f"new_{n}"] = [change.lookups[n] for change in changes]
    params["slot"] = slot
    found_by = [(n, sql.Identifier(lookup.column)) for n, lookup in enumerate(column.lookups)]
    names = [sql.Identifier(name) for name, _ in column.key]
    composed = sql.SQL(
        "UPDATE {table} AS t SET {column} = n.new_value{lookups}"
        " FROM unnest({arrays}, %(old)s::bytea[], %(new)s::bytea[]{lookup_arrays})"
        " AS n ({keys}, old_value, new_value{lookup_names})"
        " WHERE {same_key} AND t.{column} = n.old_value{same_lookups}{in_slot}"
    ).format(
        lookups=_each(", {column} = n.{new}", found_by),
        lookup_arrays=_each(", {old_values}::uuid[], {new_values}::uuid[]", found_by),
        lookup_names=_each(", {old}, {new}", found_by),
        same_lookups=_each(" AND t.{column} IS NOT DISTINCT FROM n.{old}", found_by),
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


def _each(part: LiteralString, found_by: Sequence[tuple[int, sql.Identifier]]) -> sql.Composed:
    """``part`` for each look-up."""
    return sql.SQL("").join(
        sql.SQL(part).format(
            column=column,
            old=sql.Identifier(f"old_{n}"),
            new=sql.Identifier(f"new_{n}"),
            old_values=sql.Placeholder(f"old_{n}"),
            new_values=sql.Placeholder(f"new_{n}"),
        )
        for n, column in found_by
    )
