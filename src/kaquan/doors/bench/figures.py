"""Figures, the goals they are held against, and the file they are kept in.

Nothing fails for being slow: a goal that is missed is said to be missed, and the exit code stays 0.
"""

from pathlib import Path
from typing import Any

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

from kaquan.doors.bench.machine import Machine
from kaquan.doors.load import Latency, LoadResult


class Figure(msgspec.Struct, frozen=True):
    """One measured rate. ``how`` says what was measured in a line, ``facts`` whatever helps to explain it."""

    name: str
    rate_per_s: float
    how: str
    latency: Latency | None = None
    facts: dict[str, Any] = {}


class Goal(msgspec.Struct, frozen=True):
    """What a figure should reach, or with ``at_most`` not exceed; without ``wanted`` it only tells."""

    name: str
    wanted: float | None
    measured: float
    unit: str
    at_most: bool = False

    @property
    def is_met(self) -> bool | None:
        if self.wanted is None:
            return None
        return self.measured <= self.wanted if self.at_most else self.measured >= self.wanted


class Results(msgspec.Struct, frozen=True):
    """One run of one bench, as it is kept."""

    name: str
    machine: Machine
    figures: list[Figure]
    goals: list[Goal]


def figure_of(name: str, load: LoadResult, *, how: str, **facts: Any) -> Figure:
    """The figure of a load over HTTP."""
    kept = {
        "seconds": round(load.seconds, 2),
        "by_status": load.by_status,
        "resent": load.resent,
        "connection_failures": load.failures,
        "client_cpu_us": round(load.client_cpu_us, 1),
    }
    return Figure(name, round(load.rate_per_s, 1), how, load.latency, {**kept, **facts})


def write_results(results: Results, folder: Path) -> Path:
    """Keep a run as ``<date>-<name>.json``; a later run of the same day replaces it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{results.machine.measured_at:%Y-%m-%d}-{results.name}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n")
    return path


def print_results(console: Console, results: Results) -> None:
    """The figures, then the goals, one line each."""
    machine = results.machine
    console.print(
        f"[dim]{machine.cpu} · {machine.cores} cores · {machine.memory_mib:,} MiB · {machine.kernel} · "
        f"{machine.python} · PostgreSQL {machine.postgresql.get('server_version')} · "
        f"flush {machine.flush_us:,.0f} µs[/]"
    )
    figures = _table("Figures · 实测", "figure", "per second", "p50 ms", "p99 ms", "what")
    for figure in results.figures:
        waits = (f"{figure.latency.p50_ms:.1f}", f"{figure.latency.p99_ms:.1f}") if figure.latency else ("", "")
        figures.add_row(figure.name, f"{figure.rate_per_s:,.0f}", *waits, figure.how)
    console.print(figures)
    if results.goals:
        goals = _table("Goals · 目标", "goal", "wanted", "measured", "", "")
        for goal in results.goals:
            mark = {None: "", True: "[green]✓[/]", False: "[red]✗[/]"}[goal.is_met]
            wanted = "" if goal.wanted is None else f"{'≤' if goal.at_most else '≥'} {goal.wanted:,g}"
            goals.add_row(goal.name, wanted, f"{goal.measured:,.2f}", mark, goal.unit)
        console.print(goals)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, box=box.SIMPLE_HEAD, title_style="bold", title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if 0 < number < 4 else "left")
    return table
