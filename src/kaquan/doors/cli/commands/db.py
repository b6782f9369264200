"""``kaquan db``: the database that an installation keeps its book in."""

import os
import secrets
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from kaquan.doors.cli.failures import CommandError
from kaquan.doors.cli.output import AsJson, note, print_json
from kaquan.doors.cli.prepare import embedded, external_conninfo, make_home, running_database, settings_of_command
from kaquan.kit.clock import SystemClock
from kaquan.kit.embedded import ServerState, binary
from kaquan.migrations import current_revision, migrate, newest_revision

db_app = typer.Typer(help="The database. 数据库", no_args_is_help=True)


@db_app.command()
def start(as_json: AsJson = False) -> None:
    """Start the embedded server and leave it running until `kaquan db stop`. 启动"""
    settings = settings_of_command()
    server = embedded(settings)
    make_home(settings.home)
    conninfo = server.start(supervised=False)
    migrate(conninfo)
    if as_json:
        print_json({"state": "running", "conninfo": conninfo})
    else:
        print(f"The database is running / 数据库已启动: {conninfo}")


@db_app.command()
def stop(as_json: AsJson = False) -> None:
    """Stop the embedded server, whoever started it. 停止"""
    server = embedded(settings_of_command())
    server.stop_running()
    if as_json:
        print_json({"state": "stopped"})
    else:
        print("The database is stopped. / 数据库已停止。")


@db_app.command()
def status(as_json: AsJson = False) -> None:
    """Whether it runs, where, and at which schema. 状态"""
    settings = settings_of_command()
    facts: dict[str, str | int | None]
    if settings.database_url is not None:
        facts = {"server": "external", "state": "running"}
        facts["revision"] = current_revision(external_conninfo(settings.database_url))
    else:
        server = embedded(settings)
        found = server.status()
        facts = {"server": "embedded", "state": found.state.value, "folder": str(found.folder), "pid": found.pid}
        running = found.state is ServerState.RUNNING
        facts["revision"] = current_revision(server.conninfo()) if running else None
    facts["needed_revision"] = newest_revision()
    if as_json:
        print_json(facts)
    else:
        print("\n".join(f"{name:16} {'-' if value is None else value}" for name, value in facts.items()))


@db_app.command("migrate")
def bring_up_to_date(
    slots: Annotated[
        int, typer.Option(help="1, 2, 4 … 64 slots; taken when the database is new and fixed from then on.")
    ] = 1,
    as_json: AsJson = False,
) -> None:
    """Bring the schema to this release's revision. 升级结构"""
    with running_database(settings_of_command()) as conninfo:
        before = current_revision(conninfo)
        after = migrate(conninfo, slots=range(slots))
    if as_json:
        print_json({"from": before, "to": after})
    else:
        print(f"schema 结构: {before or 'none'} → {after}")


@db_app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(context: typer.Context) -> None:
    """Open psql on the database; further arguments are psql's. 命令行"""
    settings = settings_of_command()
    with running_database(settings) as conninfo:
        # Ctrl-C is psql's, to cancel a statement
        signal.signal(signal.SIGINT, lambda *_: None)
        done = subprocess.run([binary("psql"), "--dbname", conninfo, *context.args], check=False)  # noqa: S603
    raise typer.Exit(done.returncode)


@db_app.command()
def backup(
    file: Annotated[Path | None, typer.Argument(help="A new file; by default named by the time.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write the whole database to one file, as of one moment, and check that it can be read. 备份"""
    settings = settings_of_command()
    path = file or Path(f"kaquan-{SystemClock().now():%Y%m%dT%H%M%SZ}.dump")
    if path.exists():
        raise CommandError(f"{path} is there already, and a backup never overwrites. / 文件已存在。")
    with running_database(settings) as conninfo:
        size_bytes = _dump(conninfo, path)
    if as_json:
        print_json({"file": str(path.resolve()), "bytes": size_bytes})
    else:
        print(f"{path} · {size_bytes:,} bytes / 备份完成")
    note(f"Back up {settings.keyring_path} apart: without it no card can be found. / 密钥文件请另行备份。")


def _dump(conninfo: str, path: Path) -> int:
    """Write a dump that only we can read, and give it its name when it is whole; its size in bytes."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as output:
            _run(binary("pg_dump"), "--format=custom", "--dbname", conninfo, stdout=output.fileno())
            os.fsync(output.fileno())
        _run(binary("pg_restore"), "--list", draft, stdout=subprocess.DEVNULL)
        os.link(draft, path)
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()
    return path.stat().st_size


def _run(*command: str | Path, stdout: int) -> None:
    done = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
        raise CommandError(f"The backup was not made: {said} / 备份失败。")
