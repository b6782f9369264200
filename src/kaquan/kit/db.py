"""The database: one asynchronous pool, statements by name from ``queries.sql``, and what a server must be.

Only this module and the rooms' ``store.py`` import the driver.
"""

import re
from collections.abc import Mapping
from importlib import resources
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

Connection = psycopg.AsyncConnection[TupleRow]
Pool = AsyncConnectionPool[Connection]

APP_ROLE = "kaquan_app"
"""What the application runs as: it reads tables and calls posting functions, and can alter no history."""

STATEMENT_TIMEOUT_MS = 10_000

_HEADER = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


class UnsafeServerError(Exception):
    """The server could lose an acknowledged commit, or its schema is not ours; the message says which."""


def load_queries(package: str) -> Mapping[str, str]:
    """The statements of a room's ``queries.sql`` by name; each begins with ``-- name: …``."""
    text = resources.files(package).joinpath("queries.sql").read_text("utf-8")
    parts = _HEADER.split(text)
    return {name: body.strip().rstrip(";") for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def open_pool(conninfo: str, *, min_size: int = 1, max_size: int = 4, role: str | None = APP_ROLE) -> Pool:
    """A pool, not yet opened, whose sessions run in autocommit as ``role``."""
    return AsyncConnectionPool(
        app_conninfo(conninfo, role=role),
        min_size=min_size,
        max_size=max_size,
        open=False,
        kwargs={"autocommit": True, "prepare_threshold": 1},
    )


def app_conninfo(conninfo: str, *, role: str | None = APP_ROLE) -> str:
    """``conninfo`` with the session settings of the application, running as ``role`` if one is named."""
    options = f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c timezone=UTC -c lock_timeout=5000"
    if role is not None:
        options += f" -c role={role}"
    return make_conninfo(conninfo, options=options, application_name="kaquan")


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


def describe_failure(error: psycopg.Error) -> str:
    """One sentence for an operator about a database that does not answer, without a secret in it."""
    text = str(error).strip().splitlines()
    return text[-1] if text else type(error).__name__


def sql_state(error: BaseException) -> str | None:
    """The SQLSTATE of a database error, if it has one."""
    return error.sqlstate if isinstance(error, psycopg.Error) else None


def constraint_of(error: BaseException) -> str | None:
    """The name of the constraint that refused a write: constraint names map to outcomes."""
    return error.diag.constraint_name if isinstance(error, psycopg.Error) else None


Params = Mapping[str, Any]
