"""The schema that the migrations make is the one that people read in ``schema.sql``."""

import asyncio
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from tests.conftest import make_database
from tests.renewed import check_renewed

from kaquan import migrations
from kaquan.app import App
from kaquan.kit.db import Schema
from kaquan.kit.embedded import binary
from kaquan.migrations import SchemaError, check_schema, current_revision, may_serve, migrate, newest_revision
from kaquan.settings import Settings
from kaquan.vault import Keyring

FOLDER = Path(migrations.__file__).parent
DUMPED_BY = 18

_HEADER = """\
-- The schema at revision {revision}, to be read: it is made by the revisions in versions/ and compared with them by
-- tests/store/test_schema.py, which also renews it. Without the job queue's (revision 0006) and Alembic's own table.
-- Everything is in the schema public and belongs to the login that migrates, unless it says otherwise.

"""

# of pg_dump's own making: its remarks, its session, and owners, of which only that of the posting functions is ours
_NOISE = re.compile(r"^(--.*|\\(un)?restrict .*|SET .*|SELECT pg_catalog\..*|ALTER .* OWNER TO (?!kaquan_).*)\n", re.M)
_TABLE_IN_A_VIEW = re.compile(
    r"(?<!COLUMN )\bledger_account\.(?=\w)"
)  # PostgreSQL before 16 names it with every column
_BETWEEN_GRANTS = re.compile(r"(?<=;)\n\n(?=(GRANT|REVOKE) )")


def test_the_migrations_make_the_schema_that_is_read(server: str) -> None:
    pg_dump = binary("pg_dump")
    version = subprocess.run([pg_dump, "--version"], capture_output=True, text=True, check=True).stdout
    if not re.search(rf"\b{DUMPED_BY}\.", version):
        pytest.skip(f"schema.sql is in the words of pg_dump {DUMPED_BY}; this is {version.strip()}")
    conninfo = make_database(server, "test_schema")
    arguments = ["--schema-only", "--exclude-schema=jobs", "--exclude-table=alembic_version", "--dbname", conninfo]
    try:
        dump = subprocess.run([pg_dump, *arguments], capture_output=True, text=True, check=True).stdout
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute("DROP DATABASE test_schema WITH (FORCE)")
    text = _HEADER.format(revision=newest_revision()) + readable(dump)
    check_renewed(FOLDER / "schema.sql", text, test="tests/store/test_schema.py")


def readable(dump: str) -> str:
    """A dump without what is not the schema itself."""
    text = _NOISE.sub("", dump).replace("public.", "").expandtabs(4)
    text = _TABLE_IN_A_VIEW.sub("", text)
    text = re.sub(r"\n{3,}", "\n\n", text).strip()
    while (joined := _BETWEEN_GRANTS.sub("\n", text)) != text:
        text = joined
    return text + "\n"


@pytest.mark.parametrize("path", sorted((FOLDER / "versions").glob("*.sql")), ids=lambda path: path.stem)
def test_a_revision_says_why_and_what_it_locks(path: Path) -> None:
    head = re.match(r"(--.*\n)+", path.read_text("utf-8"))
    assert head is not None
    assert "lock" in head[0]
    assert path.with_suffix(".py").exists()


def test_the_revisions_are_numbered_in_their_order() -> None:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.set_main_option("path_separator", "os")
    revisions = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert revisions == sorted(revisions, reverse=True)
    assert revisions[0] == newest_revision()


@pytest.fixture
def newer(server: str) -> Iterator[str]:
    """A database that a newer release has migrated."""
    conninfo = make_database(server, "test_newer")
    with psycopg.connect(conninfo) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    yield conninfo
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP DATABASE test_newer WITH (FORCE)")


def test_a_release_serves_on_what_a_newer_one_only_added_to(newer: str) -> None:
    check_schema(newer)
    assert migrate(newer) == current_revision(newer) == "9999", "it is left as it is"
    floors = [f"{int(newest_revision()) + more:04d}" for more in (-1, 0, 1)]
    assert [may_serve(Schema("9999", floor)) for floor in floors] == [True, True, False]
    assert not may_serve(Schema("9999", None))
    assert [may_serve(Schema(found, floors[0])) for found in (None, "0001", newest_revision())] == [False, False, True]


def test_a_database_that_asks_for_a_newer_release_is_left_alone(server: str, newer: str) -> None:
    with psycopg.connect(newer) as connection:
        connection.execute("UPDATE schema_floor SET revision = '9998'")
    with pytest.raises(SchemaError, match="9999 and asks for a release of revision 9998"):
        check_schema(newer)
    with pytest.raises(SchemaError, match="newer release"):
        migrate(newer)
    assert current_revision(newer) == "9999"
    assert current_revision(server) is None


def test_an_older_database_is_migrated_first(server: str, newer: str) -> None:
    with psycopg.connect(newer) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0028'")
    with pytest.raises(SchemaError, match=f"0028 and this release needs {newest_revision()}; run: kaquan db migrate"):
        check_schema(newer)
    with pytest.raises(SchemaError, match="revision none"):
        check_schema(server)


async def test_a_process_does_not_begin_on_a_schema_that_it_cannot_serve(newer: str, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    Keyring.create(settings.keyring_path)
    await (await App.open(settings, newer)).close()
    with psycopg.connect(newer) as connection:
        connection.execute("UPDATE schema_floor SET revision = '9999'")
    with pytest.raises(SchemaError, match="use a newer release"):
        await App.open(settings, newer)
    # what a pool leaves running can keep a process from ever ending
    assert [task.get_name() for task in asyncio.all_tasks() if "pool" in task.get_name()] == []


# what a process of the release before may still be using
_TAKES_AWAY = re.compile(
    r"\b(DROP (TABLE|COLUMN|VIEW|FUNCTION|TYPE|ROLE)|RENAME|SET NOT NULL|ALTER( COLUMN)? \w+( SET DATA)? TYPE)\b"
    r"|\bREVOKE [^;]* FROM kaquan_(?!ledger)"
    r"|\bADD COLUMN \w+ (?!.*\bDEFAULT\b).*\bNOT NULL\b"
)


@pytest.mark.parametrize(
    ("statement", "takes_away"),
    [
        ("ALTER TABLE cards_card DROP COLUMN issued_at", True),
        ("DROP FUNCTION payments_load_cards_v2(smallint)", True),
        ("ALTER TABLE cards_card ADD COLUMN colour text NOT NULL", True),
        ("ALTER TABLE cards_card ALTER COLUMN colour TYPE integer", True),
        ("ALTER TABLE cards_card ADD COLUMN colour text NOT NULL DEFAULT ''", False),
        ("ALTER TABLE cards_card ADD COLUMN colour text", False),
        ("ALTER TABLE imports_file DROP CONSTRAINT imports_file_status", False),
        ("REVOKE INSERT ON cards_event FROM kaquan_app", True),
        ("REVOKE EXECUTE ON FUNCTION cards_erase_openings_v1 FROM PUBLIC", False),
        ("REVOKE CREATE ON SCHEMA public FROM kaquan_ledger", False),
        ("CREATE TABLE colours (name text NOT NULL)", False),
    ],
)
def test_what_takes_something_away_is_known(statement: str, takes_away: bool) -> None:
    assert bool(_TAKES_AWAY.search(statement)) is takes_away


def test_a_revision_that_takes_something_away_raises_the_floor() -> None:
    for path in (FOLDER / "versions").glob("*.sql"):
        revision, text = path.name[:4], path.read_text("utf-8")
        if revision > "0033" and _TAKES_AWAY.search(text):
            assert f"UPDATE schema_floor SET revision = '{revision}'" in text, path.name
