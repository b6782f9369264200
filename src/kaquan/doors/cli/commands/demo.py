"""``kaquan demo``: a year of real purchases through the server, the audits, and the server left running."""

import asyncio
import os
import re
from typing import Annotated

import msgspec
import typer

from kaquan.doors.cli.commands.audit import check_with_progress
from kaquan.doors.cli.commands.serve import Port
from kaquan.doors.cli.demo.holders import read_described
from kaquan.doors.cli.demo.report import print_next_steps, print_summary, print_verdict
from kaquan.doors.cli.demo.run import run_demo
from kaquan.doors.cli.demo.summary import verdict
from kaquan.doors.cli.demo.year import KNOWN_FACTS, read_year
from kaquan.doors.cli.failures import refused
from kaquan.doors.cli.output import AsJson, note, notes, print_json, results
from kaquan.doors.cli.prepare import on_pool, prepare_to_serve, ready_database, settings_of_command
from kaquan.doors.cli.serving import address_of, serving
from kaquan.doors.http.serve import ServeError, check_port, free_port
from kaquan.kit.clock import SystemClock
from kaquan.kit.db import Pool
from kaquan.kit.ids import SystemIds
from kaquan.kit.outcomes import Refusal
from kaquan.parties import Mode, Scope, create_tenant, issue_key, list_tenants
from kaquan.settings import Settings

_NAME = re.compile(r"demo (\d+)")


def demo(
    no_serve: Annotated[bool, typer.Option("--no-serve", help="End instead of leaving the server running.")] = False,
    as_json: AsJson = False,
    port: Port = None,
) -> None:
    """Pay a year of groceries with prepaid cards, prove it, and leave the server running. 演示"""
    settings = _with_free_port(settings_of_command(), port)
    console = notes if as_json else results
    year, described = read_year(), read_described()
    with ready_database(settings) as conninfo:
        prepare_to_serve(settings, conninfo)
        label, token = asyncio.run(on_pool(conninfo, _make_tenant))
        with serving(settings, conninfo, log=settings.home / "demo.log") as processes:
            address = address_of(settings)
            run = run_demo(
                address, token, label=label, year=year, described=described, expected=KNOWN_FACTS, console=console
            )
            if not as_json:
                print_summary(console, run.summary)
            report = check_with_progress(conninfo, console=console)
            wrong = verdict(run.summary, audits_hold=report.holds)
            if as_json:
                print_json(run.summary)
            print_verdict(console, wrong)
            if not no_serve:
                print_next_steps(console, run, address=address, token=token, label=label)
                processes.stop_on_signals()
                processes.watch()
    if wrong:
        raise typer.Exit(1)


def _with_free_port(settings: Settings, port: int | None) -> Settings:
    """The settings with a port that can be had; one that was asked for is not replaced. Raises ServeError."""
    settings = msgspec.structs.replace(settings, port=port or settings.port)
    try:
        check_port(settings.host, settings.port)
    except ServeError:
        if port is not None or "KAQUAN_PORT" in os.environ:
            raise
        taken, settings = settings.port, msgspec.structs.replace(settings, port=free_port(settings.host))
        note(f"Port {taken} is in use: this demo serves on {settings.port}. / 端口被占用，改用 {settings.port}。")
    return settings


async def _make_tenant(pool: Pool) -> tuple[str, str]:
    """A tenant for this demo alone: its number, and a key with every scope for its test book."""
    clock, ids = SystemClock(), SystemIds()
    numbers = [int(found[1]) for tenant in await list_tenants(pool) if (found := _NAME.fullmatch(tenant.name))]
    number = max(numbers, default=0) + 1
    made = await create_tenant(pool, clock, ids, name=f"demo {number}")
    if isinstance(made, Refusal):  # another demo began in this moment
        return await _make_tenant(pool)
    key = await issue_key(pool, clock, ids, book=made[1][Mode.TEST], name="demo", scopes=Scope)
    if isinstance(key, Refusal):
        raise refused(key)
    return str(number), key.token
