"""``kaquan db``: the database that an installation keeps its book in."""

import signal
import subprocess
from datetime import datetime
from typing import Annotated

import typer

from kaquan.doors.cli import store
from kaquan.doors.cli.output import AsJson, print_json
from kaquan.doors.cli.prepare import embedded, external_conninfo, make_home, running_database, settings_of_command
from kaquan.kit.embedded import ServerState, binary
from kaquan.migrations import Schema, current_revision, migrate, newest_revision, read_schema_of

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
    facts: dict[str, str | int | datetime | None]
    if settings.database_url is not None:
        facts = {"server": "external", "state": "running"}
        schema = read_schema_of(external_conninfo(settings.database_url))
    else:
        server = embedded(settings)
        found = server.status()
        facts = {"server": "embedded", "state": found.state.value, "folder": str(found.folder), "pid": found.pid}
        running = found.state is ServerState.RUNNING
        schema = read_schema_of(server.conninfo()) if running else Schema(None, None)
        facts["archive"] = None if server.archive is None else str(server.archive)
        if server.archive is not None and running:
            facts |= store.read_archiving(server.conninfo())
    facts |= {"revision": schema.revision, "needed_revision": newest_revision(), "floor": schema.floor}
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
