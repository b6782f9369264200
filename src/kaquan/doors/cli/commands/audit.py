"""``kaquan audit``: the invariants of the live book."""

import asyncio
from typing import Annotated

import msgspec
import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from kaquan.audit import AuditReport, check_published, find_audits, run_audits
from kaquan.doors.cli.output import AsJson, notes, print_json, results
from kaquan.doors.cli.prepare import ready_database, settings_of_command

FINDINGS_PRINTED = 10


def audit(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Audits to run; all without a name; evidence: history, balances, the log and its files."),
    ] = None,
    list_them: Annotated[bool, typer.Option("--list", help="Print what there is to check.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check the invariants of the book, read-only; fails if one does not hold. 对账核查"""
    if list_them:
        _print_list(as_json=as_json)
        return
    settings = settings_of_command()
    with ready_database(settings) as conninfo:
        report = check_with_progress(conninfo, names=names, console=notes)
        if settings.log_directory is not None and (not names or "evidence" in names):
            files = asyncio.run(check_published(conninfo, settings.log_directory))
            report = msgspec.structs.replace(report, holds=report.holds and files.holds, audits=(*report.audits, files))
    if as_json:
        print_json(report)
    else:
        _print_report(report)
    if not report.holds:
        raise typer.Exit(1)


def check_with_progress(conninfo: str, *, console: Console, names: list[str] | None = None) -> AuditReport:
    """Run audits with a progress bar on ``console``."""
    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("audits 核查", total=None)

        def show(name: str, done: int, total: int) -> None:
            bar.update(task, description=f"audit 核查 {name}".strip(), completed=done, total=total)

        return asyncio.run(run_audits(conninfo, names=names or None, progress=show))


def _print_list(*, as_json: bool) -> None:
    audits = find_audits().values()
    if as_json:
        print_json([{"name": found.name, "en": found.proves_en, "zh": found.proves_zh} for found in audits])
        return
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("audit 核查")
    table.add_column("what it proves 含义")
    for found in audits:
        table.add_row(found.name, f"{found.proves_en}\n{found.proves_zh}")
    results.print(table)


def _print_report(report: AuditReport) -> None:
    table = Table(title=f"as of {report.as_of:%Y-%m-%d %H:%M:%S} UTC", title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("audit 核查", "holds 相符"):
        table.add_column(name)
    table.add_column("checked 已核", justify="right")
    table.add_column("time 用时", justify="right")
    for result in report.audits:
        mark = "[green]✓[/]" if result.holds else f"[bold red]✗ {result.finding_count:,}[/]"
        table.add_row(result.name, mark, f"{result.checked:,} {result.counts}", f"{result.duration_ms:,} ms")
    results.print(table)
    for result in report.audits:
        for finding in result.findings[:FINDINGS_PRINTED]:
            where = " ".join(f"{name}={value}" for name, value in finding.ids.items())
            results.print(
                f"{result.name}: {finding.what}: {finding.actual}, expected {finding.expected} ({where})",
                style="red",
                markup=False,
            )
        if result.finding_count > FINDINGS_PRINTED:
            results.print(f"{result.name}: {result.finding_count - FINDINGS_PRINTED:,} more; see --json", style="red")
        if not result.holds:
            results.print(f"{result.reading_en}\n{result.reading_zh}", style="dim", markup=False)
