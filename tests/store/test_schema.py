"""The schema that the migrations make is the one that people read in ``schema.sql``."""

import re
import subprocess
from pathlib import Path

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from tests.conftest import make_database
from tests.renewed import check_renewed

from kaquan import migrations
from kaquan.kit.embedded import binary
from kaquan.migrations import SchemaError, check_schema, current_revision, migrate, newest_revision

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


def test_a_database_of_a_newer_release_is_left_alone(server: str) -> None:
    conninfo = make_database(server, "test_newer")
    with psycopg.connect(conninfo) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    try:
        assert current_revision(conninfo) == "9999"
        with pytest.raises(SchemaError, match="9999"):
            check_schema(conninfo)
        with pytest.raises(SchemaError, match="newer release"):
            migrate(conninfo)
        assert current_revision(conninfo) == "9999"
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute("DROP DATABASE test_newer WITH (FORCE)")
    assert current_revision(server) is None
