"""The schema and its history. Revisions are plain SQL files, applied in order by Alembic.

``versions/NNNN_room.sql`` says why it exists and which lock it takes; the ``.py`` file beside it is what Alembic
needs to find it. ``schema.sql`` is the readable result, kept equal to the revisions by a test.

A release serves on the schema of its own revision, and on a newer one whose floor (``schema_floor``) is not above its
own: so the schema is migrated first, while the processes of the release before go on; these are replaced one by one.

Alembic is loaded by who migrates: it takes longer to load than most commands take to run.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from kaquan.kit.db import Schema as Schema
from kaquan.kit.db import connect_sync, read_schema_sync

LOCK_TIMEOUT_MS = 5_000
"""A revision that cannot have its lock in this time gives up rather than queue every payment behind itself."""


class SchemaError(Exception):
    """This release cannot serve on the database's schema; the message says what to do."""


_FOLDER = Path(__file__).parent


@cache
def newest_revision() -> str:
    """The revision that this release needs: they are numbered in their order."""
    return max(path.name.partition("_")[0] for path in (_FOLDER / "versions").glob("[0-9]*.sql"))


def migrate(conninfo: str, *, slots: Sequence[int] = (0,)) -> str:
    """Bring the database to the newest revision; returns the one that it is at then, which is a later one if a newer
    release has migrated it and this one may serve on that.

    ``slots`` is taken when the database is made and never changes after: the place of every row depends on it.
    Raises SchemaError for a list that is not 1, 2, 4 … 64 different slots, and the driver's errors if the database
    cannot be reached or a lock is not given in time. SchemaError too if a newer release made the database and this one
    may not serve on it.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.util.exc import CommandError
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    if len(slots) & (len(slots) - 1) or not 1 <= len(slots) <= 64 or len(set(slots)) != len(slots):
        raise SchemaError(f"An installation has 1, 2, 4, 8, 16, 32 or 64 different slots, not {len(slots)}.")
    engine = create_engine("postgresql+psycopg://", creator=lambda: connect_sync(conninfo), poolclass=NullPool)
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.set_main_option("path_separator", "os")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"SET lock_timeout = {LOCK_TIMEOUT_MS}")
        connection.commit()
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError:  # it does not know the revision that is there
            connection.rollback()
            check_schema(conninfo)
            return str(current_revision(conninfo))
        connection.commit()
        for slot in slots if connection.exec_driver_sql("SELECT 1 FROM ledger_slot").first() is None else ():
            connection.exec_driver_sql("INSERT INTO ledger_slot (slot) VALUES (%s)", (slot,))
        connection.commit()
    engine.dispose()
    return newest_revision()


def read_schema_of(conninfo: str) -> Schema:
    """At which revision a database is, and the oldest one whose release may serve on it."""
    with connect_sync(conninfo) as connection:
        return read_schema_sync(connection)


def current_revision(conninfo: str) -> str | None:
    """The revision that the database is at, or None if it has no schema of ours."""
    return read_schema_of(conninfo).revision


def is_newer(found: Schema) -> bool:
    """Whether a newer release has migrated the database."""
    return found.revision is not None and found.revision > newest_revision()


def may_serve(found: Schema) -> bool:
    """Whether this release may serve on a schema: its own, or a newer one that goes back as far as this release."""
    needed = newest_revision()
    return found.revision == needed or (is_newer(found) and found.floor is not None and found.floor <= needed)


def judge_schema(found: Schema) -> None:
    """Raise SchemaError unless this release may serve on a schema."""
    if may_serve(found):
        return
    if is_newer(found):
        raise SchemaError(
            f"The database is at schema revision {found.revision} and asks for a release of revision {found.floor} or "
            f"later; this one is of {newest_revision()}: use a newer release of kaquan. / 数据库已由更新的版本升级。"
        )
    raise SchemaError(
        f"The database is at schema revision {found.revision or 'none'} and this release needs {newest_revision()}; "
        "run: kaquan db migrate"
    )


def check_schema(conninfo: str) -> None:
    """Raise SchemaError unless this release may serve on the database."""
    judge_schema(read_schema_of(conninfo))


def run_sql(revision: str) -> str:
    """The SQL text of a revision file."""
    (path,) = (_FOLDER / "versions").glob(f"{revision}_*.sql")
    return path.read_text("utf-8")
