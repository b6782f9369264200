"""The schema and its history. Revisions are plain SQL files, applied in order by Alembic.

``versions/NNNN_room.sql`` says why it exists and which lock it takes; the ``.py`` file beside it is what Alembic
needs to find it. ``schema.sql`` is the readable result, kept equal to the revisions by a test.

Alembic is loaded by who migrates: it takes longer to load than most commands take to run.
"""

from collections.abc import Sequence
from pathlib import Path

from kaquan.kit.db import connect_sync

LOCK_TIMEOUT_MS = 5_000
"""A revision that cannot have its lock in this time gives up rather than queue every payment behind itself."""


class SchemaError(Exception):
    """The database's schema is not the one this release needs; the message says what to do."""


_FOLDER = Path(__file__).parent


def newest_revision() -> str:
    """The revision that this release needs: they are numbered in their order."""
    return max(path.name.partition("_")[0] for path in (_FOLDER / "versions").glob("[0-9]*.sql"))


def migrate(conninfo: str, *, slots: Sequence[int] = (0,)) -> str:
    """Bring the database to the newest revision; returns it.

    ``slots`` is taken when the database is made and never changes after: the place of every row depends on it.
    Raises SchemaError for a list that is not 1, 2, 4 … 64 different slots, and the driver's errors if the database
    cannot be reached or a lock is not given in time. SchemaError too if a newer release made the database.
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
        except CommandError:
            raise SchemaError(
                "The database was made by a newer release of kaquan: use that one. / 数据库由更新的版本创建。"
            ) from None
        connection.commit()
        for slot in slots if connection.exec_driver_sql("SELECT 1 FROM ledger_slot").first() is None else ():
            connection.exec_driver_sql("INSERT INTO ledger_slot (slot) VALUES (%s)", (slot,))
        connection.commit()
    engine.dispose()
    return newest_revision()


def current_revision(conninfo: str) -> str | None:
    """The revision that the database is at, or None if it has no schema of ours."""
    with connect_sync(conninfo) as connection:
        there = connection.execute("SELECT to_regclass('alembic_version')").fetchone()
        if there is None or there[0] is None:
            return None
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return None if row is None else str(row[0])


def check_schema(conninfo: str) -> None:
    """Raise SchemaError unless the database is at this release's revision."""
    found = current_revision(conninfo)
    needed = newest_revision()
    if found != needed:
        raise SchemaError(
            f"The database is at schema revision {found or 'none'} and this release needs {needed}; "
            "run: kaquan db migrate"
        )


def run_sql(revision: str) -> str:
    """The SQL text of a revision file."""
    (path,) = (_FOLDER / "versions").glob(f"{revision}_*.sql")
    return path.read_text("utf-8")
