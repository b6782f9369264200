"""``kaquan simulate``: a business under everything that goes wrong, and whether its books are right afterwards."""

import asyncio
import sys
import tempfile
from pathlib import Path
from random import Random
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from kaquan.doors.simulate.ground import Ground
from kaquan.doors.simulate.report import read_report, to_markdown
from kaquan.doors.simulate.run import Plan, simulate
from kaquan.kit.clock import SystemClock
from kaquan.kit.ids import SystemIds

_notes = Console(stderr=True, soft_wrap=True, highlight=False)


def simulate_business(
    seed: Annotated[int | None, typer.Option(help="What a run before this one printed; without it a new one.")] = None,
    minutes: Annotated[float, typer.Option(min=0.02, help="How long there is work.")] = 1.0,
    kills: Annotated[
        int | None, typer.Option(min=1, help="How often something is killed; three times a minute.")
    ] = None,
    rate: Annotated[float, typer.Option(min=1.0, help="Requests in a second.")] = 100.0,
    results: Annotated[Path, typer.Option(help="Folder for report.json and report.md.")] = Path("simulation"),
    folder: Annotated[
        Path | None, typer.Option(help="Empty folder for the databases; a temporary one without it.")
    ] = None,
    quiet: Annotated[Path | None, typer.Option(help="Send nothing while this file exists.")] = None,
    show: Annotated[Path | None, typer.Option(help="Print a report.json as Markdown, and do nothing else.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON and nothing else.")] = False,
) -> None:
    """Run a business on a database of its own while everything fails, and audit it; fails on any violation. 故障模拟"""
    if show is not None:
        print(to_markdown(read_report(show)), end="")
        return
    seed = int.from_bytes(SystemIds().new().bytes[-4:]) if seed is None else seed
    plan = Plan(seed=seed, minutes=minutes, kills=kills or max(1, round(3 * minutes)), rate_per_s=rate, quiet=quiet)
    results.mkdir(parents=True, exist_ok=True)
    _notes.print(plan.command, markup=False)
    with tempfile.TemporaryDirectory(prefix="kaquan-simulate-") as temporary:
        place = folder or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        place.chmod(0o711)  # root's database runs as somebody else
        chance = Random(seed)
        ground = Ground(place, chance)
        with ground.open():
            report = asyncio.run(simulate(plan, ground, results, chance=chance, clock=SystemClock(), ids=SystemIds()))
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
    else:
        print(to_markdown(report), end="")
    if report.violations:
        _notes.print(plan.command, style="red", markup=False)
        raise typer.Exit(1)
