"""What the auditor of a simulation asks the database itself, past the server that it judges."""

import time
from collections.abc import Sequence
from uuid import UUID

import psycopg

from kaquan.kit.db import app_conninfo, connect_sync, load_queries

_QUERIES = load_queries(__package__)
PATIENCE_S = 60.0
"""How long a database that was killed may take until it answers again."""


def wait_until_it_answers(conninfo: str) -> None:
    """Return when the database answers: after a kill it recovers first. Raises the driver's error if it does not."""
    begun = time.monotonic()
    while True:
        try:
            with connect_sync(conninfo) as connection:
                connection.execute("SELECT 1")
            return
        except psycopg.OperationalError:
            if time.monotonic() - begun > PATIENCE_S:
                raise
            time.sleep(0.2)


def read_made(conninfo: str, *, prefix: str) -> dict[str, list[UUID]]:
    """The transactions under each idempotency key that begins with ``prefix``."""
    wait_until_it_answers(conninfo)
    with connect_sync(app_conninfo(conninfo)) as connection:
        rows = connection.execute(_QUERIES["read_made"], {"prefix": prefix + "%"}).fetchall()
    return dict(rows)


def count_transactions(conninfo: str) -> int:
    """How many transactions the ledger has."""
    wait_until_it_answers(conninfo)
    with connect_sync(app_conninfo(conninfo)) as connection:
        row = connection.execute(_QUERIES["count_transactions"]).fetchone()
    assert row is not None
    return int(row[0])


def read_backends(conninfo: str) -> Sequence[int]:
    """The process ids of the sessions of the application."""
    wait_until_it_answers(conninfo)
    with connect_sync(conninfo) as connection:
        return [row[0] for row in connection.execute(_QUERIES["read_backends"]).fetchall()]


def delay_commits(conninfo: str, *, delay_us: int) -> None:
    """Let every commit on the server wait so long before it is flushed; 0: no longer than it must."""
    wait_until_it_answers(conninfo)
    with connect_sync(conninfo, autocommit=True) as connection:
        for name, value in (("commit_delay", delay_us), ("commit_siblings", 0)):
            connection.execute(f"ALTER SYSTEM SET {name} = {value}" if delay_us else f"ALTER SYSTEM RESET {name}")
        connection.execute("SELECT pg_reload_conf()")
