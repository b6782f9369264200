"""The shape of the house: who may import whom, and where time and chance may come from."""

import re
import subprocess
import sys
from pathlib import Path

import grimp
import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

import kaquan

ROOT = Path(__file__).parents[2]
SOURCES = Path(kaquan.__file__).parent

_TIME_AND_CHANCE = re.compile(r"\bdatetime\.(now|utcnow|today)\b|\btime\.time\b|\buuid[1-8]\b|\bimport random\b")
_NOBODYS = {"utils", "helpers", "manager", "models", "common", "misc"}


def test_the_contracts_of_the_house_hold(capsys: pytest.CaptureFixture[str]) -> None:
    """Floors, doors, the database driver and the network: see ``.importlinter``."""
    status = lint_imports(config_filename=str(ROOT / ".importlinter"), no_cache=True)
    assert status == EXIT_STATUS_SUCCESS, capsys.readouterr().out


def test_only_its_own_room_enters_a_store() -> None:
    """Other rooms use the front door, which says what they may rely on."""
    graph = grimp.build_graph("kaquan", cache_dir=None)
    entered = [
        f"{importer} -> {store}"
        for store in graph.modules
        if store.endswith(".store")
        for importer in graph.find_modules_that_directly_import(store)
        if not f"{importer}.".startswith(store.removesuffix("store"))
    ]
    assert entered == []


def test_time_and_chance_come_from_the_kit() -> None:
    """What is decided can be decided again: a clock and ids are passed in."""
    found = [
        f"{path.relative_to(SOURCES)}:{number}: {line.strip()}"
        for path in sorted(SOURCES.rglob("*.py"))
        if path.relative_to(SOURCES).parts[0] != "kit"
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if _TIME_AND_CHANCE.search(line)
    ]
    assert found == []


def test_every_file_has_a_name_that_says_something() -> None:
    assert not {path.stem for path in SOURCES.rglob("*.py")} & _NOBODYS


def test_every_room_says_what_it_is_for() -> None:
    silent = [path for path in SOURCES.rglob("*.py") if not path.read_text("utf-8").startswith('"""')]
    assert silent == []


def test_a_command_loads_neither_litestar_nor_alembic() -> None:
    """Together they take longer to load than most commands take to run."""
    heavy = {"litestar", "alembic", "sqlalchemy", "uvicorn"}
    code = f"import sys, kaquan.doors.cli; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
