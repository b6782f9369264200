"""The next release of this program, for a deploy in the middle of a run: the same code, and a schema that goes on.

It is a copy of the package with two more revisions of the schema, so that its processes need that schema, and those of
the release before, which do not know it, must live with it. It is run as any other: its own ``kaquan db migrate``
migrates, and its processes check what they find.
"""

import os
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import kaquan
from kaquan.migrations import newest_revision

FIRST = 9_000
"""Revisions of a simulation come after all others."""

_TRANSACTION = '''"""what a release of a simulation adds: see the SQL file beside this one."""

from alembic import op

from kaquan.migrations import run_sql

revision = "{revision}"
down_revision = "{before}"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(run_sql(revision))
'''

_ALONE = '''"""an index of a release of a simulation: see the SQL file beside this one."""

from alembic import op

from kaquan.migrations import run_sql

revision = "{revision}"
down_revision = "{before}"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for statement in run_sql(revision).rstrip().rstrip(";").split(";\\n"):
            op.get_bind().exec_driver_sql(statement)
'''


class Release(NamedTuple):
    """A release in a folder of its own, and the revision of the schema that it needs."""

    number: int
    folder: Path
    revision: str

    def environment(self) -> dict[str, str]:
        """What makes a Python process run it."""
        return {"PYTHONPATH": os.pathsep.join([str(self.folder), *filter(None, [os.environ.get("PYTHONPATH")])])}


def installed() -> Release:
    """The release that runs now."""
    return Release(0, Path(kaquan.__file__).parent.parent, newest_revision())


def make_next(before: Release, folder: Path) -> Release:
    """A release in ``folder``, which does not exist yet: the one before, and what it adds to the schema."""
    shutil.copytree(before.folder / "kaquan", folder / "kaquan")  # with what is compiled: nothing of it has changed
    versions, number, revision = folder / "kaquan" / "migrations" / "versions", before.number + 1, before.revision
    for at, (name, template) in enumerate((("expand", _TRANSACTION), ("index", _ALONE)), start=2 * number - 1):
        text = resources.files(__package__).joinpath(f"{name}.sql").read_text("utf-8")
        after = str(FIRST + at)
        (versions / f"{after}_{name}.sql").write_text(text.replace("{number}", str(number)))
        (versions / f"{after}_{name}.py").write_text(template.format(revision=after, before=revision))
        revision = after
    return Release(number, folder, revision)


def migrate_with(release: Release, conninfo: str, *, home: Path) -> str | None:
    """Let a release migrate a database as an operator does; what it said if it could not."""
    done = subprocess.run(
        [sys.executable, "-c", "from kaquan.doors.cli import main; main()", "db", "migrate"],
        env={**os.environ, **release.environment(), "KAQUAN_DATABASE_URL": conninfo, "KAQUAN_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    return None if done.returncode == 0 else done.stderr.strip()
