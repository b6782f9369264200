"""The database: one asynchronous pool, statements by name from ``queries.sql``, and what a server must be.

Only this module and the rooms' ``store.py`` import the driver.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from importlib import resources
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg import Rollback as Rollback
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout

Connection = psycopg.AsyncConnection[TupleRow]
Pool = AsyncConnectionPool[Connection]

APP_ROLE = "kaquan_app"
"""What the application runs as: it reads tables and calls posting functions, and can alter no history."""

STATEMENT_TIMEOUT_MS = 10_000

POOL_TIMEOUT_S = 10.0
"""How long a caller waits for a session before the database counts as away."""
CONNECT_TIMEOUT_S = 10

_HEADER = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


class UnsafeServerError(Exception):
    """The server could lose an acknowledged commit, or its schema is not ours; the message says which."""


def load_queries(package: str) -> Mapping[str, str]:
    """The statements of a room's ``queries.sql`` by name; each begins with ``-- name: …``."""
    text = resources.files(package).joinpath("queries.sql").read_text("utf-8")
    parts = _HEADER.split(text)
    return {name: body.strip().rstrip(";") for name, body in zip(parts[1::2], parts[2::2], strict=True)}


_OPTIONAL = re.compile(r"^.*\s-- if (\w+)$\n?", re.MULTILINE)


def given(query: str, params: Mapping[str, Any]) -> str:
    """``query`` without the lines that end in ``-- if name`` and whose parameter is not given (None).

    A list has many filters of which a request gives few. Each set of them is a statement with a plan of its own, where
    ``name IS NULL OR column = name`` would leave one plan for all. Its text is still wholly that of ``queries.sql``.
    """
    return _OPTIONAL.sub(lambda line: "" if params[line[1]] is None else line[0], query)


def open_pool(conninfo: str, *, min_size: int = 1, max_size: int = 4, role: str | None = APP_ROLE) -> Pool:
    """A pool, not yet opened, whose sessions run in autocommit as ``role``."""
    return AsyncConnectionPool(
        app_conninfo(conninfo, role=role),
        min_size=min_size,
        max_size=max_size,
        open=False,
        timeout=POOL_TIMEOUT_S,
        kwargs={"autocommit": True, "prepare_threshold": 1},
    )


def app_conninfo(conninfo: str, *, role: str | None = APP_ROLE, schema: str | None = None) -> str:
    """``conninfo`` with the session settings of the application, as ``role`` and in ``schema`` if they are named."""
    options = f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c timezone=UTC -c lock_timeout=5000"
    if role is not None:
        options += f" -c role={role}"
    if schema is not None:
        options += f" -c search_path={schema}"
    return make_conninfo(conninfo, options=options, application_name="kaquan")


def read_conninfo(text: str) -> tuple[str, str | None]:
    """A libpq URL or key=value text as key=value, and apart from it the password that it holds, if any.

    A server that cannot be reached is given up after ``CONNECT_TIMEOUT_S``, unless the text says otherwise. Raises
    ValueError for what is neither, without repeating the text.
    """
    try:
        values = {"connect_timeout": CONNECT_TIMEOUT_S, **conninfo_to_dict(text)}
    except psycopg.ProgrammingError:
        raise ValueError("neither a PostgreSQL URL nor key=value text") from None
    password = values.pop("password", None)
    return make_conninfo("", **values), None if password is None else str(password)


def connect_sync(conninfo: str, *, autocommit: bool = False) -> psycopg.Connection[TupleRow]:
    """A plain connection, for migrations and commands."""
    return psycopg.connect(conninfo, application_name="kaquan", autocommit=autocommit)


async def check_durability(connection: Connection) -> None:
    """Raise UnsafeServerError on a server that could lose a commit it has acknowledged.

    Killing a process does not show it; losing power would (see ``anchors/proof.md`` 4.5).
    """
    for setting in ("fsync", "full_page_writes", "synchronous_commit"):
        row = await (await connection.execute("SELECT current_setting(%s)", (setting,))).fetchone()
        if row is not None and row[0] == "off":
            raise UnsafeServerError(
                f"PostgreSQL runs with {setting} = off and could lose money that was acknowledged; "
                f"set {setting} = on and start again."
            )


def describe_failure(error: BaseException) -> str:
    """One sentence for an operator about a database that does not answer, without a secret in it."""
    text = str(error).strip().splitlines()
    return text[-1] if text else type(error).__name__


def is_outage(error: BaseException) -> bool:
    """Whether the database was away, busy or full, so that the same work may succeed later."""
    if isinstance(error, psycopg.Error) and error.diag.severity_nonlocalized == "PANIC":
        return True  # whatever it is about, the server ends every session and starts anew
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError | PoolTimeout)


def sql_state(error: BaseException) -> str | None:
    """The SQLSTATE of a database error, if it has one."""
    return error.sqlstate if isinstance(error, psycopg.Error) else None


class Schema(NamedTuple):
    """At which revision a database is, and the oldest one whose release may serve on it; None: there is none."""

    revision: str | None
    floor: str | None


async def read_schema(pool: Pool) -> Schema:
    """The schema of a database that answers; raises the driver's errors when it does not."""
    async with pool.connection() as connection:
        row = await (await connection.execute(_SCHEMA)).fetchone()
        if row is None or not row[1]:
            return Schema(None if row is None else str(row[0]), None)
        floor = await (await connection.execute(_FLOOR)).fetchone()
    return Schema(str(row[0]), None if floor is None else str(floor[0]))


def read_schema_sync(connection: psycopg.Connection[TupleRow]) -> Schema:
    """The same over a plain connection, of a database that may have no schema of ours."""
    there = connection.execute("SELECT to_regclass('alembic_version') IS NOT NULL").fetchone()
    row = connection.execute(_SCHEMA).fetchone() if there is not None and there[0] else None
    if row is None or not row[1]:
        return Schema(None if row is None else str(row[0]), None)
    floor = connection.execute(_FLOOR).fetchone()
    return Schema(str(row[0]), None if floor is None else str(floor[0]))


_SCHEMA = "SELECT version_num, to_regclass('schema_floor') IS NOT NULL FROM alembic_version"
_FLOOR = "SELECT revision FROM schema_floor"


def constraint_of(error: BaseException) -> str | None:
    """The name of the constraint that refused a write: constraint names map to outcomes."""
    return error.diag.constraint_name if isinstance(error, psycopg.Error) else None


Params = Mapping[str, Any]

Write = Callable[[Connection], Awaitable[bool]]
"""One write of several that are one commit: whether it could be done; if not, none of them is."""


class _NotDoneError(Exception):
    """Takes a transaction back."""


async def post_together(pool: Pool, *writes: Write) -> bool:
    """Do all of ``writes`` in their order, in one commit, or nothing; whether they were done."""
    try:
        async with pool.connection() as connection, connection.transaction():
            for write in writes:
                if not await write(connection):
                    raise _NotDoneError
    except _NotDoneError:
        return False
    return True


# Arrays of composite values as text literals: the driver would build them element by element, slower and on the
# hot path. A literal nests two levels of quoting: fields in a row "(a,b)", rows in an array {"…","…"}.

_PLAIN = re.compile(r"[A-Za-z0-9_.:@/+-]+").fullmatch


def text_field(value: str | None) -> str:
    """A text as a field of a row inside an array literal; None is null."""
    if value is None:
        return ""
    if _PLAIN(value):
        return value
    in_row = value.replace("\\", "\\\\").replace('"', '\\"')
    return '\\"' + in_row.replace("\\", "\\\\").replace('"', '\\"') + '\\"'


def bytes_field(value: bytes | None) -> str:
    """Bytes as a field of a row inside an array literal; None is null."""
    return "" if value is None else "\\\\\\\\x" + value.hex()


def number_field(value: int | None) -> str | int:
    """A number as a field of a row inside an array literal; None is null."""
    return "" if value is None else value


def uuid_field(value: UUID | None) -> str:
    """An id as a field of a row inside an array literal; None is null."""
    return "" if value is None else value.hex


def time_field(value: datetime | None) -> str:
    """A time as a field of a row inside an array literal; None is null."""
    return "" if value is None else value.isoformat()


def rows_literal(rows: Sequence[str]) -> str:
    """The array literal of rows that were written as ``(field,field,…)``."""
    return '{"' + '","'.join(rows) + '"}' if rows else "{}"


def numbers_literal(values: Iterable[int]) -> str:
    """The array literal of numbers."""
    return "{" + ",".join(map(str, values)) + "}"
