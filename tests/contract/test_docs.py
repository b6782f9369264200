"""What the documents say is true: their commands run, their links lead somewhere, their examples are recomputed."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.conftest import make_database
from tests.renewed import ROOT

from kaquan.audit import run_audits
from kaquan.doors.bench.http import serving
from kaquan.doors.bench.stand import Stand
from kaquan.migrations import check_schema, migrate
from kaquan.vault import Keyring

PAGES = [*sorted(ROOT.glob("*.md")), ROOT / "bench/README.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMANDS = ("README.md", "README.zh-CN.md", "docs/tutorial.md")
ADDRESS = "http://127.0.0.1:8420"

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_MARK = "=== end of a block ==="


class Step(NamedTuple):
    """Commands of a page and what they print, if the page tells."""

    commands: str
    printed: str | None


def steps_of(page: Path) -> list[Step]:
    """The ``sh`` blocks of a page; a ``text`` or ``json`` block that follows one is what it prints."""
    found: list[Step] = []
    end = 0
    text = page.read_text("utf-8")
    for block in _BLOCK.finditer(text):
        language, content = block[1], block[2]
        if language == "sh":
            found.append(Step(content, None))
        elif language in ("text", "json") and found and not text[end : block.start()].strip():
            found[-1] = Step(found[-1].commands, content)
        end = block.end()
    return found


@pytest.fixture(scope="module")
def served(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """``kaquan serve`` on a new database, and the environment that commands find it in."""
    folder = tmp_path_factory.mktemp("docs")
    conninfo = make_database(server, f"test_docs_{os.getpid()}")
    Keyring.create(folder / "keyring.json")
    with serving(Stand(conninfo, folder), folder / "keyring.json", workers=1) as address:
        yield os.environ | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "KAQUAN_DATABASE_URL": conninfo,
            "KAQUAN_HOME": str(folder),
            "ADDRESS": address,
        }


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("bash")), reason="curl and bash run the documents")
@pytest.mark.parametrize("page", COMMANDS)
def test_the_commands_of_a_page_do_what_it_says(served: dict[str, str], page: str) -> None:
    steps = steps_of(ROOT / page)
    script = "set -euo pipefail\n" + "".join(f"{step.commands}echo '{_MARK}'\n" for step in steps)
    done = subprocess.run(
        ["bash"],
        input=script.replace(ADDRESS, served["ADDRESS"]),
        env=served,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    printed = done.stdout.split(f"{_MARK}\n")
    assert done.returncode == 0, f"{done.stderr}\nafter:\n{done.stdout[-2000:]}"
    assert len(printed) == len(steps) + 1
    for step, text in zip(steps, printed, strict=False):
        if step.printed is not None:
            expected = ".*".join(re.escape(part) for part in step.printed.strip().split("…"))
            assert re.fullmatch(expected, text.strip()), f"{step.commands}printed:\n{text}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for link in _LINK.finditer(page.read_text("utf-8")):
        target = urlsplit(link[1] or link[2])
        if target.scheme:
            continue
        linked = (page.parent / target.path).resolve() if target.path else page
        assert linked.exists(), f"{page.relative_to(ROOT)}: {link[0]}"
        if target.fragment:
            headings = {anchor_of(heading) for heading in _HEADING.findall(linked.read_text("utf-8"))}
            assert target.fragment in headings, f"{page.relative_to(ROOT)}: {link[0]}"


def anchor_of(heading: str) -> str:
    """The fragment by which GitHub finds a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def test_the_example_of_a_leaf_can_be_recomputed() -> None:
    blocks = dict(_BLOCK.findall((ROOT / "docs/explanation/evidence.md").read_text("utf-8")))
    salt, private, canonical, leaf = (blocks[name].strip() for name in ("hex", "private", "canonical", "leaf"))
    assert sha256(bytes.fromhex(salt) + private.encode()).hexdigest() in canonical
    assert sha256(b"\x00" + canonical.encode()).hexdigest() == leaf


async def test_the_least_rights_of_the_how_to_suffice(server: str) -> None:
    """The roles of the page, with the logins and the database renamed: others may be there already."""
    (page,) = (
        block[2] for block in _BLOCK.finditer((ROOT / "docs/how-to/postgresql.md").read_text()) if block[1] == "sql"
    )
    mine = re.sub(r"\b(kaquan_owner|kaquan_web|(?<=DATABASE )kaquan)\b", r"\1_test_docs", page)
    with psycopg.connect(server, autocommit=True) as superuser:
        shared = {name for (name,) in superuser.execute("SELECT rolname FROM pg_roles WHERE rolname ~ '^kaquan_'")}
        try:
            for statement in mine.split(";"):
                if not any(f"CREATE ROLE {name} " in statement for name in shared):
                    superuser.execute(statement.encode())
            owner, web = (
                make_conninfo("", **{**conninfo_to_dict(server), "user": user, "password": password, "dbname": name})
                for user, password, name in (
                    ("kaquan_owner_test_docs", "choose one", "kaquan_test_docs"),
                    ("kaquan_web_test_docs", "choose another", "kaquan_test_docs"),
                )
            )
            migrate(owner)
            check_schema(web)
            assert (await run_audits(web)).holds
            with psycopg.connect(web) as served, pytest.raises(psycopg.errors.InsufficientPrivilege):
                served.execute("DELETE FROM ledger_entry")
        finally:
            superuser.execute("DROP DATABASE IF EXISTS kaquan_test_docs WITH (FORCE)")
            superuser.execute("DROP ROLE IF EXISTS kaquan_owner_test_docs, kaquan_web_test_docs")
