"""A real PostgreSQL for every test that asks for one: embedded by default, another by the environment.

``KAQUAN_TEST_BIN_DIR`` names the programs of another PostgreSQL (such as Debian's ``/usr/lib/postgresql/15/bin``), and
``KAQUAN_TEST_DATABASE_URL`` a server that runs already (its login must be able to make databases and roles).
"""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from functools import cache
from pathlib import Path

import psycopg
import pytest
import structlog
from psycopg import sql
from psycopg.conninfo import make_conninfo

from kaquan.kit.clock import Clock, SystemClock
from kaquan.kit.db import Pool, open_pool
from kaquan.kit.embedded import EmbeddedPostgres
from kaquan.kit.ids import Ids, SystemIds
from kaquan.migrations import migrate


@pytest.fixture(scope="session", autouse=True)
def plain_logs() -> None:
    """What is logged about a failure is a plain trace: a rich one takes longer than most tests."""
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, plain])


@pytest.fixture(scope="session", autouse=True)
def reachable_folders(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Root's embedded servers run as somebody else, who must be able to enter the folders of this run."""
    base = tmp_path_factory.getbasetemp()
    for folder in (base, base.parent, base.parent.parent):
        if folder.owner() == Path("~").expanduser().owner() and folder != Path(tempfile.gettempdir()):
            folder.chmod(0o711)


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The conninfo of a server whose login may do anything."""
    if url := os.environ.get("KAQUAN_TEST_DATABASE_URL"):
        yield url
        return
    bin_dir = os.environ.get("KAQUAN_TEST_BIN_DIR")
    with tempfile.TemporaryDirectory(prefix="kaquan-test-", dir=_memory()) as folder:
        Path(folder).chmod(0o711)  # root's server runs as somebody else
        with EmbeddedPostgres(Path(folder) / "server", bin_dir=Path(bin_dir) if bin_dir else None) as postgres:
            yield postgres.conninfo()


def _memory() -> Path | None:
    """A folder in memory with room for a server, which spares its disk; what is proved of crashes has its own on disk.

    Nothing of the server's configuration changes: it flushes every commit, to where flushing costs nothing.
    """
    folder = Path("/dev/shm")
    return folder if folder.is_dir() and shutil.disk_usage(folder).free > ROOM_BYTES else None


ROOM_BYTES = 4 * 1024**3
"""More than the databases of a whole run."""


def make_database(server: str, name: str, slots: tuple[int, ...] = (0,)) -> str:
    """A new migrated database; its conninfo as the owner."""
    return _create(server, name, template=_migrated(server, slots))


@cache
def _migrated(server: str, slots: tuple[int, ...]) -> str:
    """The name of a database that was migrated once for all that are made from it: nobody ever connects to it."""
    name = f"migrated_{os.getpid()}_{len(slots)}_{sum(slots)}"
    migrate(_create(server, name, template="template1"), slots=slots)
    return name


def _create(server: str, name: str, *, template: str) -> str:
    names = sql.Identifier(name), sql.Identifier(template)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*names))
    return make_conninfo(server, dbname=name)


@pytest.fixture(scope="module")
def database(server: str, request: pytest.FixtureRequest) -> str:
    """A migrated database of one slot, shared by the tests of a module; each makes its own tenant in it.

    Not by all of a run: every application reads the reference data of every tenant when it opens.
    """
    return make_database(server, f"test_{os.getpid()}_{request.module.__name__.rpartition('.')[2]}")


@pytest.fixture(scope="module")
def database_of_four_slots(server: str, request: pytest.FixtureRequest) -> str:
    """The same with four slots."""
    name = f"test_slots_{os.getpid()}_{request.module.__name__.rpartition('.')[2]}"
    return make_database(server, name, (3, 17, 40, 62))


@pytest.fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    """Sessions as the application has them."""
    async with open_pool(database) as opened:
        yield opened


@pytest.fixture
def clock() -> Clock:
    return SystemClock()


@pytest.fixture
def ids() -> Ids:
    return SystemIds()
