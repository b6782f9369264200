"""The schema and its history. Revisions are plain SQL files, applied in order by Alembic.

``versions/NNNN_room.sql`` says why it exists and which lock it takes; the ``.py`` file beside it is what Alembic
needs to find it. ``schema.sql`` is the readable result, kept equal to the revisions by a test.
"""

from collections.abc import Sequence
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from kaquan.kit.db import connect_sync

LOCK_TIMEOUT_MS = 5_000
"""A revision that cannot have its lock in this time gives up rather than queue every payment behind itself."""


class SchemaError(Exception):
    """The database's schema is not the one this release needs; the message says what to do."""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    return config


def newest_revision() -> str:
    """The revision that this release needs."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None, "a release without a revision was built wrongly"
    return head


def migrate(conninfo: str, *, slots: Sequence[int] = (0,)) -> str:
    """Bring the database to the newest revision; returns it.

    ``slots`` is taken when the database is made and never changes after: the place of every row depends on it.
    Raises SchemaError for a list that is not 1, 2, 4 … 64 different slots, and the driver's errors if the database
    cannot be reached or a lock is not given in time.
    """
    if len(slots) & (len(slots) - 1) or not 1 <= len(slots) <= 64 or len(set(slots)) != len(slots):
        raise SchemaError(f"An installation has 1, 2, 4, 8, 16, 32 or 64 different slots, not {len(slots)}.")
    engine = create_engine("postgresql+psycopg://", creator=lambda: connect_sync(conninfo), poolclass=NullPool)
    config = _config()
    with engine.connect() as connection:
        connection.exec_driver_sql(f"SET lock_timeout = {LOCK_TIMEOUT_MS}")
        connection.commit()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
        for slot in slots if connection.exec_driver_sql("SELECT 1 FROM ledger_slot").first() is None else ():
            connection.exec_driver_sql("INSERT INTO ledger_slot (slot) VALUES (%s)", (slot,))
        connection.commit()
    engine.dispose()
    return newest_revision()


def current_revision(conninfo: str) -> str | None:
    """The revision that the database is at, or None if it has no schema of ours."""
    engine = create_engine("postgresql+psycopg://", creator=lambda: connect_sync(conninfo), poolclass=NullPool)
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


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
    (path,) = (Path(__file__).parent / "versions").glob(f"{revision}_*.sql")
    return path.read_text("utf-8")
