"""The command `kaquan` as an operator runs it: a process of its own, judged by its exit code and what it prints."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from tests.conftest import make_database
from tests.contract.command import run

from kaquan.doors.cli.failures import sentence_of
from kaquan.vault import Keyring

KAQUAN = Path(sys.executable).with_name("kaquan")


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port: int = probe.getsockname()[1]
    return port


def environment(home: Path, url: str | None = None, **settings: str) -> dict[str, str]:
    """Nothing but what is named: the settings of the developer's shell stay outside."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    database = {} if url is None else {"KAQUAN_DATABASE_URL": url}
    return {**kept, "KAQUAN_HOME": str(home), "KAQUAN_PORT": str(free_port()), **database, **settings}


def kaquan(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return run(*arguments, env=env)


def document(*arguments: str, env: dict[str, str]) -> Any:
    """The one JSON document that a command prints."""
    done = kaquan(*arguments, "--json", env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def sentence(*arguments: str, env: dict[str, str]) -> str:
    """The one sentence of a command that fails, which prints nothing else."""
    done = kaquan(*arguments, env=env)
    assert (done.returncode, done.stdout) == (1, ""), done
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr.strip()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that another user may pass: under root the database is somebody else's."""
    folder = tmp_path_factory.mktemp("cli")
    for place in (folder, folder.parent, folder.parent.parent):
        place.chmod(0o711)
    return folder / "home"


@pytest.fixture(scope="module")
def url(server: str) -> str:
    """A database of the commands alone."""
    return make_database(server, f"test_cli_{os.getpid()}")


@pytest.fixture(scope="module")
def env(home: Path, url: str) -> dict[str, str]:
    return environment(home, url)


def empty_database(server: str, name: str) -> str:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return make_conninfo(server, dbname=name)


# What an operator can mend


def test_the_installed_command_is_the_one_that_is_tested(env: dict[str, str]) -> None:
    for arguments in (["version", "--json"], ["nonsense"]):
        real = subprocess.run([KAQUAN, *arguments], env=env, capture_output=True, text=True, timeout=120, check=False)
        forked = kaquan(*arguments, env=env)
        assert (real.returncode, real.stdout, real.stderr) == (forked.returncode, forked.stdout, forked.stderr)


def test_the_release_and_its_schema(env: dict[str, str]) -> None:
    assert document("version", env=env)["schema"] == document("db", "status", env=env)["needed_revision"]


def test_a_bad_setting(env: dict[str, str]) -> None:
    assert sentence("serve", env={**env, "KAQUAN_PORT": "99999"}).startswith("KAQUAN_PORT")
    assert "KAQUAN_WORKERS='many'" in sentence("serve", env={**env, "KAQUAN_WORKERS": "many"})


def test_no_database(home: Path) -> None:
    url = "postgresql://somebody:hush@127.0.0.1:1/nothing"
    for command in (["serve"], ["key", "list"], ["db", "status"], ["db", "backup"]):
        told = sentence(*command, env=environment(home, url))
        assert told.startswith("The database does not answer: ")
        assert "refused" in told
        assert "hush" not in told


def test_a_wrong_password(home: Path, url: str) -> None:
    wrong = make_conninfo(url, password="hush", passfile="/nowhere")
    told = sentence("audit", env=environment(home, wrong))
    assert "password authentication failed" in told
    assert "hush" not in told


def test_an_address_that_is_none(home: Path) -> None:
    told = sentence("audit", env=environment(home, "my database, please: hush"))
    assert told == "KAQUAN_DATABASE_URL is neither a PostgreSQL URL nor key=value text."


def test_an_old_schema(home: Path, server: str) -> None:
    empty = environment(home, empty_database(server, f"test_cli_empty_{os.getpid()}"))
    for command in (["serve"], ["audit"]):
        assert "run: kaquan db migrate" in sentence(*command, env=empty)
    assert "not 3" in sentence("db", "migrate", "--slots", "3", env=empty)
    needed = document("version", env=empty)["schema"]
    assert document("db", "migrate", "--slots", "4", env=empty) == {"from": None, "to": needed}
    assert document("db", "migrate", env=empty) == {"from": needed, "to": needed}
    assert document("audit", env=empty)["holds"] is True


def test_a_server_that_could_lose_money(home: Path, server: str) -> None:
    name = f"test_cli_unsafe_{os.getpid()}"
    unsafe = make_database(server, name)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER DATABASE {} SET synchronous_commit = off").format(sql.Identifier(name)))
    assert "synchronous_commit = off" in sentence("serve", env=environment(home, unsafe))
    assert not (home / "keyring.json").exists()


def test_a_home_that_cannot_be_made() -> None:
    told = sentence("serve", env=environment(Path("/dev/null/home")))
    assert "/dev/null/home" in told
    assert "KAQUAN_HOME" in told


def test_cards_without_their_key_ring(home: Path, server: str) -> None:
    cards = make_database(server, f"test_cli_cards_{os.getpid()}")
    with psycopg.connect(cards) as connection:
        connection.execute("INSERT INTO cards_number VALUES (0, gen_random_uuid(), 0, gen_random_uuid())")
    keyring = home.parent / "lost.json"
    env = environment(home, cards, KAQUAN_KEYRING=str(keyring))
    assert f"no key ring at {keyring}" in sentence("serve", env=env)
    assert not keyring.exists()


def test_a_port_in_use(env: dict[str, str]) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        assert f"127.0.0.1 port {port}" in sentence("serve", "--port", str(port), env=env)


def test_a_full_disk_and_a_missing_right_and_a_bug() -> None:
    wrapped = RuntimeError("what a library says")
    wrapped.__cause__ = psycopg.errors.DiskFull("could not extend file")
    assert str(sentence_of(wrapped)).startswith("The disk of the database is full")
    missing = str(sentence_of(psycopg.errors.InsufficientPrivilege("permission denied to create role")))
    assert "(permission denied to create role)" in missing
    assert str(sentence_of(OSError(28, "No space left on device"))).startswith("The disk is full")
    assert sentence_of(KeyError("a bug")) is None
    assert sentence_of(psycopg.errors.SyntaxError("a bug in our SQL")) is None


# Keys and audits


def test_the_life_of_a_key(env: dict[str, str]) -> None:
    made = document("key", "create", "--tenant", "商店", "--mode", "live", "--name", "till", env=env)
    assert made["token"].startswith(f"kq_live_{made['id'].removeprefix('key_')}_")
    assert "backdate" in made["scopes"]
    second = document(
        "key",
        "create",
        "--tenant",
        "商店",
        "--name",
        "look",
        "--scope",
        "cards:read",
        "--scope",
        "ledger:read",
        env=env,
    )
    assert (second["mode"], second["scopes"]) == ("test", ["cards:read", "ledger:read"])

    revoked = document("key", "revoke", made["id"], env=env)
    assert revoked["revoked_at"]
    keys = {key["id"]: key for key in document("key", "list", env=env)}
    assert keys[made["id"]]["revoked_at"] == revoked["revoked_at"]
    assert "revoked_at" not in keys[second["id"]]
    assert all("token" not in key for key in keys.values())
    assert made["token"] not in kaquan("key", "list", env=env).stdout

    assert sentence("key", "revoke", "key_nobody", env=env).startswith("There is no key key_nobody")
    assert len(document("key", "list", env=env)) == len(keys)
    wrong = kaquan("key", "create", "--tenant", "t", "--name", "n", "--scope", "everything", env=env)
    assert wrong.returncode == 2
    assert "cards:read" in wrong.stderr


def test_audits_of_a_sound_and_of_a_broken_book(home: Path, server: str) -> None:
    book = make_database(server, f"test_cli_audit_{os.getpid()}")
    env = environment(home, book)
    names = [found["name"] for found in document("audit", "--list", env=env)]
    assert [audit["name"] for audit in document("audit", env=env)["audits"]] == names
    assert "holds" in kaquan("audit", "zero_sum", "counters", env=env).stdout
    assert sentence("audit", "luck", env=env).startswith("no such audit: luck; there are: ")

    with psycopg.connect(book) as connection:
        connection.execute(
            "INSERT INTO ledger_account (slot, book_id, owner_id, kind, currency, floor_rule, lotted, credits_posted)"
            " VALUES (0, 1, gen_random_uuid(), 'card_principal', 'CNY', 'credit', true, 500)"
        )
    done = kaquan("audit", "--json", env=env)
    assert done.returncode == 1
    broken = {audit["name"] for audit in json.loads(done.stdout)["audits"] if not audit["holds"]}
    assert {"counters", "zero_sum"} <= broken
    told = kaquan("audit", env=env)
    assert (told.returncode, "Traceback" in told.stderr) == (1, False)
    assert "✗" in told.stdout


# The embedded database


def test_the_embedded_database_starts_is_backed_up_and_stops(home: Path) -> None:
    env = environment(home.parent / "embedded")
    try:
        assert document("db", "status", env=env)["state"] == "stopped"
        assert document("db", "start", env=env)["state"] == "running"
        status = document("db", "status", env=env)
        assert (status["state"], status["revision"]) == ("running", status["needed_revision"])
        document("key", "create", "--tenant", "kept", "--name", "kept", env=env)

        asked = kaquan("db", "psql", "-At", "-c", "SELECT name FROM parties_tenant", env=env)
        assert (asked.returncode, asked.stdout) == (0, "kept\n")
        assert kaquan("db", "psql", "-c", "nonsense", env=env).returncode == 1

        backup = home.parent / "kept.dump"
        done = document("db", "backup", str(backup), env=env)
        assert done == {"file": str(backup), "bytes": backup.stat().st_size}
        assert backup.stat().st_mode & 0o777 == 0o600
        before = backup.read_bytes()
        assert "never overwrites" in sentence("db", "backup", str(backup), env=env)
        assert backup.read_bytes() == before
        sound = {"file": str(backup), "bytes": backup.stat().st_size, "sound": True}
        assert document("db", "backup", "--verify", str(backup), env=env) == sound
        backup.write_bytes(before[:-1000])
        assert "could not read" in sentence("db", "backup", "--verify", str(backup), env=env)
        assert kaquan("db", "backup", "/dev/null/b.dump", env=env).returncode == 1
        assert list(home.parent.glob("*.part")) == []
    finally:
        assert document("db", "stop", env=env) == {"state": "stopped"}
    assert document("db", "status", env=env)["state"] == "stopped"
    # a command starts it for itself and stops it after
    assert [key["tenant"] for key in document("key", "list", env=env)] == ["kept"]
    assert document("db", "status", env=env)["state"] == "stopped"


def test_a_server_of_the_operator_is_not_ours_to_stop(env: dict[str, str]) -> None:
    assert "its own tools" in sentence("db", "stop", env=env)
    assert "its own tools" in sentence("db", "start", env=env)


def test_a_server_of_the_operator_is_archived_by_its_own_means(env: dict[str, str], tmp_path: Path) -> None:
    for command in (["archive", str(tmp_path / "archive")], ["backup", "--base"], ["backup", "--verify"]):
        assert "set archive_mode, archive_command and archive_timeout on it" in sentence("db", *command, env=env)
    assert list(tmp_path.iterdir()) == []


# Serving


@pytest.fixture
def served(env: dict[str, str], home: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """`kaquan serve --json` and what it says when it answers."""
    process = subprocess.Popen(
        [KAQUAN, "serve", "--json", "--workers", "2"],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


def status_of(address: str) -> int:
    with urllib.request.urlopen(address, timeout=5) as answer:
        status: int = answer.status
    return status


def is_alive(pid: int) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_serve_answers_and_stops(served: tuple[subprocess.Popen[str], dict[str, Any]], home: Path) -> None:
    process, told = served
    assert status_of(told["address"] + "/healthz") == status_of(told["address"] + "/readyz") == 200
    assert Keyring.load(home / "keyring.json")
    assert (home / "keyring.json").stat().st_mode & 0o777 == 0o600
    process.send_signal(signal.SIGTERM)
    out, errors = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, ""), errors
    assert "Traceback" not in errors
    assert not any(is_alive(pid) for pid in told["pids"])


def test_nothing_is_left_of_a_server_that_was_killed(served: tuple[subprocess.Popen[str], dict[str, Any]]) -> None:
    process, told = served
    assert len(told["pids"]) == 3
    process.kill()
    give_up = time.monotonic() + 20
    while any(is_alive(pid) for pid in told["pids"]):
        assert time.monotonic() < give_up, "a child outlived its parent"
        time.sleep(0.1)
