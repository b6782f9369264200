"""``kaquan import``: foreign cards with their balances."""

import asyncio
import getpass
import hashlib
from pathlib import Path
from typing import Annotated
from uuid import UUID

import msgspec
import typer
from rich import box
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from kaquan.app import read_slots_of
from kaquan.cards import CardFinder, Press, Programme, get_programme
from kaquan.doors.cli.failures import CommandError, refused
from kaquan.doors.cli.output import AsJson, notes, print_json, results
from kaquan.doors.cli.prepare import on_pool, ready_database, settings_of_command
from kaquan.imports import (
    CardImport,
    LineProblem,
    NewImport,
    check_import,
    create_import,
    error_file,
    get_import,
    list_imports,
    list_not_imported,
    read_columns,
    run_import,
    start_import,
)
from kaquan.kit.clock import SystemClock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Prefix, SystemIds, read_id, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.parties import get_tenant, list_tenants
from kaquan.vault import Keyring

import_app = typer.Typer(help="Bring in what other systems have. 导入", no_args_is_help=True)

PROBLEMS_PRINTED = 20


@import_app.callback()
def _group() -> None:
    """Bring in what other systems have. 导入"""


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in a file and, unless it was a dry run, what was made of it."""

    line_count: int
    bad_line_count: int
    principal_fen: int
    bonus_fen: int
    problems: list[LineProblem]
    import_id: str | None = None
    lines: dict[str, int] = {}


@import_app.command()
def cards(
    file: Annotated[Path, typer.Argument(help="CSV or .xlsx with a line of names.")],
    programme: Annotated[str, typer.Option(help="prog_… that the cards will belong to.")],
    name: Annotated[str | None, typer.Option(help="What to call the import; by default the file's name.")] = None,
    columns: Annotated[str, typer.Option(help="Such as number=卡号,principal_yuan=余额.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the whole file and make nothing.")] = False,
    errors: Annotated[Path | None, typer.Option(help="A file to be written with every bad line.")] = None,
    as_json: AsJson = False,
) -> None:
    """Import cards with their balances; run it again to go on after a stop. 导入卡片

    A file with a bad line is not imported at all.
    """
    settings = settings_of_command()
    keyring = Keyring.load(settings.keyring_path, settings.keyring_passphrase)
    mapping = read_columns(columns)
    if isinstance(mapping, Refusal):
        raise refused(mapping)
    content = file.read_bytes()
    wanted = read_id(Prefix.PROGRAMME, programme)
    bars = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with (
        ready_database(settings) as conninfo,
        Progress(*bars, console=notes, transient=True, disable=as_json or not notes.is_terminal) as bar,
    ):

        async def work(pool: Pool) -> ImportReport:
            slots = await read_slots_of(pool)
            clock, press = SystemClock(), Press(keyring, slots, SystemIds())
            finder = CardFinder(pool, keyring, slots)
            terms = None if wanted is None else await _find(pool, wanted)
            if terms is None:
                raise CommandError(f"There is no programme {programme}. / 没有这个卡种。")
            if dry_run:
                checked = await check_import(finder, clock, programme=terms, content=content, columns=mapping)
                if isinstance(checked, Refusal):
                    raise refused(checked)
                return ImportReport(
                    line_count=checked.line_count,
                    bad_line_count=checked.bad_line_count,
                    principal_fen=sum(line.principal_fen for line in checked.lines),
                    bonus_fen=sum(line.bonus_fen for line in checked.lines),
                    problems=checked.problems,
                )
            made = await _begun(pool, slots, terms, name=name or file.name, content=content)
            if made is None:
                new = NewImport(
                    programme_id=terms.id,
                    name=name or file.name,
                    columns=mapping,
                    created_by=f"cli:{getpass.getuser()}",
                )
                created = await create_import(
                    pool, finder, press, clock, book_id=terms.book_id, new=new, content=content
                )
                if isinstance(created, Refusal):
                    raise refused(created)
                made = created
            if not made.problems:
                task = bar.add_task("cards 卡片", total=made.line_count)
                started = await start_import(pool, book_id=made.book_id, slots=slots, import_id=made.id)
                done = (
                    started
                    if isinstance(started, Refusal)
                    else await run_import(
                        pool,
                        press,
                        clock,
                        book_id=made.book_id,
                        import_id=made.id,
                        progress=lambda count: bar.advance(task, count),
                    )
                )
                if isinstance(done, Refusal):
                    raise refused(done)
                made = done
            return _report(made, await list_not_imported(pool, slots=slots, card_import=made))

        report = asyncio.run(on_pool(conninfo, work))
    if errors is not None and report.problems:
        errors.write_bytes(error_file(report.problems))
    if as_json:
        print_json(report)
    else:
        _print(report)
    if report.problems:
        raise typer.Exit(1)


async def _begun(
    pool: Pool, slots: tuple[int, ...], programme: Programme, *, name: str, content: bytes
) -> CardImport | None:
    """The import of this very file under this name, if it was begun before."""
    for known in (await list_imports(pool, book_id=programme.book_id, name=name)).data:
        if known.sha256 == hashlib.sha256(content).hexdigest() and known.programme_id == programme.id:
            found = await get_import(pool, book_id=programme.book_id, slots=slots, import_id=known.id)
            return None if isinstance(found, Refusal) else found
    return None


def _report(made: CardImport, problems: list[LineProblem]) -> ImportReport:
    return ImportReport(
        line_count=made.line_count,
        bad_line_count=made.bad_line_count,
        principal_fen=made.principal_fen,
        bonus_fen=made.bonus_fen,
        problems=problems,
        import_id=show_id(Prefix.IMPORT, made.id),
        lines={status.value: count for status, count in made.lines.items()},
    )


def _print(report: ImportReport) -> None:
    good = report.line_count - report.bad_line_count
    results.print(f"{report.line_count:,} lines, {good:,} good / 共 {report.line_count:,} 行，正确 {good:,} 行")
    if report.problems:
        table = Table(box=box.SIMPLE_HEAD)
        for column in ("line 行", "column 列", "value 值", "allowed 要求"):
            table.add_column(column)
        for problem in report.problems[:PROBLEMS_PRINTED]:
            table.add_row(str(problem.line), problem.column, problem.value, f"{problem.en}\n{problem.zh}")
        results.print(table)
        if len(report.problems) > PROBLEMS_PRINTED:
            results.print(f"{len(report.problems) - PROBLEMS_PRINTED:,} more; see --errors or --json", style="dim")
    if report.lines:
        counts = ", ".join(f"{status} {count:,}" for status, count in sorted(report.lines.items()))
        results.print(f"{report.import_id}: {counts}")


async def _find(pool: Pool, programme_id: UUID) -> Programme | None:
    """A programme of whatever book."""
    for tenant in await list_tenants(pool):
        found = await get_tenant(pool, tenant.name)
        assert found is not None, "tenants are never removed"
        for book in found[1].values():
            programme = await get_programme(pool, book_id=book.id, programme_id=programme_id)
            if not isinstance(programme, Refusal):
                return programme
    return None
