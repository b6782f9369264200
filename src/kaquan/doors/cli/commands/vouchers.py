"""``kaquan vouchers``: make vouchers, give their codes out, assign them, take foreign codes in, and what they owe."""

import asyncio
import getpass
import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar
from uuid import UUID

import msgspec
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from kaquan import vouchers
from kaquan.app import read_slots_of
from kaquan.cards import CardFinder, Hand
from kaquan.doors.cli.failures import CommandError, refused
from kaquan.doors.cli.output import AsJson, notes, print_json
from kaquan.doors.cli.prepare import on_pool, ready_database, settings_of_command
from kaquan.imports.kinds import NUMBER_CELL, FileError, kind_of
from kaquan.kit.clock import SystemClock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Prefix, SystemIds, read_id, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.parties import Mode, get_tenant, list_tenants
from kaquan.parties.trail import SYSTEM
from kaquan.settings import Settings
from kaquan.vault import EnvelopeWriter, Keyring, read_public_key
from kaquan.vouchers import Mint, NewVoucherBatch, Template, VoucherBatch
from kaquan.vouchers.codes import DEFAULT_LENGTH, group

vouchers_app = typer.Typer(help="Vouchers: make, give out, assign, report. 优惠券", no_args_is_help=True)

T = TypeVar("T")
TemplateId = Annotated[str, typer.Argument(metavar="TEMPLATE", help="vtpl_… as the API shows it.")]
TableFile = Annotated[Path, typer.Argument(help="CSV or .xlsx with a line of names.")]


class BatchReport(msgspec.Struct, frozen=True, kw_only=True):
    """A batch as far as it has come."""

    batch: str
    template: str
    voucher_count: int
    issued_count: int


class _Tools:
    """What a command works with."""

    def __init__(self, pool: Pool, keyring: Keyring, slots: tuple[int, ...]) -> None:
        self.pool, self.keyring, self.slots = pool, keyring, slots
        self.clock, self.ids = SystemClock(), SystemIds()
        self.hand = Hand(self.clock, self.ids, f"cli:{getpass.getuser()}")
        self.mint = Mint(keyring, slots, self.ids)

    async def template(self, public_id: str) -> Template:
        """A template of whatever book."""
        wanted = read_id(Prefix.VOUCHER_TEMPLATE, public_id)
        for book_id in await _books(self.pool) if wanted is not None else ():
            assert wanted is not None
            found = await vouchers.get_template(self.pool, book_id=book_id, id_=wanted)
            if not isinstance(found, Refusal):
                return found
        raise CommandError(f"There is no voucher template {public_id}. / 没有这个券模板。")

    async def batch(self, public_id: str) -> VoucherBatch:
        """A batch of whatever book."""
        wanted = read_id(Prefix.VOUCHER_BATCH, public_id)
        for book_id in await _books(self.pool) if wanted is not None else ():
            assert wanted is not None
            found = await vouchers.get_batch(self.pool, book_id=book_id, batch_id=wanted)
            if not isinstance(found, Refusal):
                return found
        raise CommandError(f"There is no batch of vouchers {public_id}. / 没有这个券批次。")


async def _books(pool: Pool) -> list[int]:
    """Every book of the installation."""
    found: list[int] = []
    for tenant in await list_tenants(pool):
        there = await get_tenant(pool, tenant.name)
        assert there is not None, "tenants are never removed"
        found += [book.id for book in there[1].values()]
    return found


def _do(settings: Settings, work: Callable[[_Tools], Awaitable[T]]) -> T:
    """Do ``work`` on the ready database."""
    keyring = Keyring.load(settings.keyring_path, settings.keyring_passphrase)

    async def on(pool: Pool) -> T:
        return await work(_Tools(pool, keyring, await read_slots_of(pool)))

    with ready_database(settings) as conninfo:
        return asyncio.run(on_pool(conninfo, on))


def _tell(batch: VoucherBatch, as_json: bool) -> None:
    report = BatchReport(
        batch=show_id(Prefix.VOUCHER_BATCH, batch.id),
        template=show_id(Prefix.VOUCHER_TEMPLATE, batch.template_id),
        voucher_count=batch.voucher_count,
        issued_count=batch.issued_count,
    )
    if as_json:
        print_json(report)
    else:
        print(f"{report.batch} · {report.issued_count:,} of {report.voucher_count:,} vouchers / 券已制作")


@vouchers_app.command()
def issue(
    template: TemplateId,
    count: Annotated[int, typer.Option(help="How many vouchers.")],
    name: Annotated[str, typer.Option(help="What the batch is called; with the same name the command goes on.")],
    code_length: Annotated[int, typer.Option(help="Characters of a code; 0: without codes.")] = DEFAULT_LENGTH,
    as_json: AsJson = False,
) -> None:
    """Make vouchers; run it again after a stop and it goes on. 批量制券"""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=notes, transient=True, disable=as_json or not notes.is_terminal) as bar:

        async def work(tools: _Tools) -> VoucherBatch:
            of = await tools.template(template)
            page = await vouchers.list_batches(
                tools.pool, book_id=of.book_id, search=vouchers.Search(name=name, template_id=of.id)
            )
            made: VoucherBatch | Refusal = (
                page.data[0]
                if page.data
                else await vouchers.create_batch(
                    tools.pool, tools.clock, tools.ids, book_id=of.book_id,
                    new=NewVoucherBatch(
                        template_id=of.id, name=name, voucher_count=count, code_length=code_length or None
                    ),
                )
            )  # fmt: skip
            if isinstance(made, Refusal):
                raise refused(made)
            task = bar.add_task("vouchers 券", total=made.voucher_count)
            running = asyncio.create_task(
                vouchers.run_batch(tools.pool, tools.mint, tools.clock, book_id=of.book_id, batch_id=made.id)
            )
            while not running.done():
                await asyncio.wait([running], timeout=1)
                now = await vouchers.get_batch(tools.pool, book_id=of.book_id, batch_id=made.id)
                bar.update(task, completed=0 if isinstance(now, Refusal) else now.issued_count)
            done = await running
            if isinstance(done, Refusal):
                raise refused(done)
            return done

        finished = _do(settings_of_command(), work)
    _tell(finished, as_json)


@vouchers_app.command()
def export(
    batch: Annotated[str, typer.Argument(metavar="BATCH", help="vbat_… as the API shows it.")],
    file: Annotated[Path, typer.Argument(help="A new file, sealed to the reader's key.")],
    to: Annotated[Path, typer.Option("--to", help="The reader's public key (PEM; X25519, or RSA of 2048 bits).")],
    as_json: AsJson = False,
) -> None:
    """Give the codes of a batch out, sealed; the trail tells of it. 导出券码

    The file is opened with: kaquan production open
    """
    if file.exists():
        raise CommandError(f"{file} is there already and is not overwritten. / 文件已存在。")
    reader = read_public_key(to.read_text("utf-8", "replace"))
    draft = file.with_name(f"{file.name}.part")

    async def work(tools: _Tools) -> tuple[int, str]:
        found = await tools.batch(batch)
        codes = await vouchers.read_out_codes(
            tools.pool, tools.keyring, tools.hand, book_id=found.book_id, slots=tools.slots, batch_id=found.id,
            by=SYSTEM,
        )  # fmt: skip
        assert not isinstance(codes, Refusal)
        writer = EnvelopeWriter(stream, reader, {"batch": batch, "kind": "csv", "card_count": found.issued_count})
        writer.write(b"voucher,code,valid_until\r\n")
        count = 0
        async for id_, code, until in codes:
            line = f"{show_id(Prefix.VOUCHER, id_)},{group(code)},{'' if until is None else until.isoformat()}\r\n"
            writer.write(line.encode("ascii"))
            count += 1
        return count, writer.close()

    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            count, sha256 = _do(settings_of_command(), work)
        os.link(draft, file)
    finally:
        draft.unlink(missing_ok=True)
    if as_json:
        print_json({"file": str(file.resolve()), "sha256": sha256, "voucher_count": count})
    else:
        print(f"{file} · {count:,} codes · sha256 {sha256} / 券码已导出")


@vouchers_app.command()
def assign(
    template: TemplateId,
    file: TableFile,
    name: Annotated[str | None, typer.Option(help="What to call it; by default the file's name.")] = None,
    as_json: AsJson = False,
) -> None:
    """Give vouchers to everybody in a file (card or customer_id, count), or to nobody. 按名单发券"""
    rows = _read(file)

    async def work(tools: _Tools) -> VoucherBatch:
        of = await tools.template(template)
        finder = CardFinder(tools.pool, tools.keyring, tools.slots)
        done = await vouchers.assign_vouchers(
            tools.pool, tools.hand, finder, book_id=of.book_id, slots=tools.slots, template_id=of.id,
            name=name or file.name, rows=rows,
        )  # fmt: skip
        if isinstance(done, Refusal):
            raise refused(done)
        return done

    _tell(_do(settings_of_command(), work), as_json)


@vouchers_app.command("import")
def import_codes(
    template: TemplateId,
    file: TableFile,
    name: Annotated[str | None, typer.Option(help="What to call it; by default the file's name.")] = None,
    as_json: AsJson = False,
) -> None:
    """Take vouchers with foreign codes in (code, valid_until): all of a file, or none. 导入券码"""
    rows = _read(file)

    async def work(tools: _Tools) -> VoucherBatch:
        of = await tools.template(template)
        done = await vouchers.import_codes(
            tools.pool, tools.mint, tools.hand, book_id=of.book_id, template_id=of.id, name=name or file.name, rows=rows
        )
        if isinstance(done, Refusal):
            raise refused(done)
        return done

    _tell(_do(settings_of_command(), work), as_json)


@vouchers_app.command()
def report(
    tenant: Annotated[str, typer.Option(help="Whose vouchers.")],
    mode: Annotated[Mode, typer.Option(help="live or test.")] = Mode.LIVE,
    at: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"], help="As of when, UTC; now without it."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What every funder pays for vouchers, by district and template. 券负债与出资报表"""

    async def work(tools: _Tools) -> tuple[list[vouchers.FundedRow], Mapping[UUID, Template]]:
        there = await get_tenant(tools.pool, tenant)
        if there is None:
            raise CommandError(f"There is no tenant {tenant}. / 没有这个租户。")
        book_id = there[1][mode].id
        moment = tools.clock.now() if at is None else at.replace(tzinfo=UTC)
        rows = await vouchers.report_funding(tools.pool, book_id=book_id, slots=tools.slots, at=moment)
        return rows, await vouchers.load_all_templates(tools.pool, book_id=book_id)

    rows, templates = _do(settings_of_command(), work)
    if as_json:
        print_json(
            [
                {
                    **row._asdict(),
                    "template_id": show_id(Prefix.VOUCHER_TEMPLATE, row.template_id),
                    "party_id": None if row.party_id is None else show_id(Prefix.FUNDER, row.party_id),
                }
                for row in rows
            ]
        )
        return
    for row in rows:
        payer = row.funder_kind.value if row.party_id is None else show_id(Prefix.FUNDER, row.party_id)
        print(
            f"{templates[row.template_id].code} · {row.district or '-'} · {payer} · outstanding {row.outstanding_fen:,}"
            f" · redeemed {row.redeemed_fen:,} · on cards {row.loaded_fen:,} {row.currency}"
        )
    if not rows:
        print("There are no vouchers. / 没有优惠券。")


def _read(file: Path) -> list[tuple[int, list[str]]]:
    """The rows of a file."""
    try:
        content = file.read_bytes()
        rows = list(kind_of(content).rows(content))
    except FileError as error:
        raise CommandError(f"{file}: {error.en} / {error.zh}") from None
    return [(line, [cell.removeprefix(NUMBER_CELL) for cell in cells]) for line, cells in rows]
