"""``kaquan batch``: production files of batches."""

import asyncio
import getpass
import os
import secrets
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from kaquan.app import read_slots_of
from kaquan.cards import Batch, Press, get_batch
from kaquan.doors.cli.failures import CommandError, refused
from kaquan.doors.cli.output import AsJson, notes, print_json
from kaquan.doors.cli.prepare import on_pool, ready_database, settings_of_command
from kaquan.kit.clock import SystemClock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Prefix, SystemIds, read_id
from kaquan.kit.outcomes import Refusal
from kaquan.parties import get_tenant, list_tenants
from kaquan.production import Export, NewExport, export_batch
from kaquan.vault import Keyring

batch_app = typer.Typer(help="Batches of cards. 批次", no_args_is_help=True)


@batch_app.command()
def export(
    batch_id: Annotated[str, typer.Argument(metavar="BATCH", help="bat_… as the API shows it.")],
    file: Annotated[Path, typer.Argument(help="A new file, sealed to the printer's key.")],
    to: Annotated[Path, typer.Option("--to", help="The printer's public key (PEM; X25519, or RSA of 2048 bits).")],
    kind: Annotated[str, typer.Option(help="csv or fixed_width.")] = "csv",
    with_pin: Annotated[bool, typer.Option("--with-pin", help="Each card gets a first PIN.")] = False,
    as_json: AsJson = False,
) -> None:
    """Give out the production file of a batch: once. 导出制卡文件"""
    settings = settings_of_command()
    keyring = Keyring.load(settings.keyring_path, settings.keyring_passphrase)
    if file.exists():
        raise CommandError(f"{file} is there already and is not overwritten. / 文件已存在。")
    public_key = to.read_text("utf-8", "replace")
    wanted = read_id(Prefix.BATCH, batch_id)
    draft = file.with_name(f"{file.name}.{secrets.token_hex(4)}.part")
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    made: Export | None = None
    with (
        ready_database(settings) as conninfo,
        Progress(*columns, console=notes, transient=True, disable=as_json or not notes.is_terminal) as bar,
        open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream,
    ):

        async def work(pool: Pool) -> Export:
            batch = None if wanted is None else await _find(pool, wanted)
            if batch is None:
                raise CommandError(f"There is no batch {batch_id}. / 没有这个批次。")
            task = bar.add_task("cards 卡片", total=batch.card_count)
            exported = await export_batch(
                pool,
                Press(keyring, await read_slots_of(pool), SystemIds()),
                SystemClock(),
                book_id=batch.book_id,
                new=NewExport(batch_id=batch.id, kind=kind, public_key=public_key, with_pin=with_pin),
                stream=stream,
                exported_by=f"cli:{getpass.getuser()}",
                progress=lambda count: bar.advance(task, count),
            )
            if isinstance(exported, Refusal):
                raise refused(exported)
            return exported

        try:
            made = asyncio.run(on_pool(conninfo, work))
        finally:
            if made is None:
                draft.unlink()  # once it is recorded there is no other
    try:
        os.link(draft, file)
    except OSError as error:
        raise CommandError(f"The file is whole, but named {draft}: {error.strerror}. / 文件名无法更改。") from None
    draft.unlink()
    if as_json:
        print_json({"file": str(file.resolve()), "sha256": made.sha256, "card_count": made.card_count})
    else:
        print(f"{file} · {made.card_count:,} cards · sha256 {made.sha256} / 制卡文件已导出")


async def _find(pool: Pool, batch_id: UUID) -> Batch | None:
    """A batch of whatever book."""
    for tenant in await list_tenants(pool):
        found = await get_tenant(pool, tenant.name)
        assert found is not None, "tenants are never removed"
        for book in found[1].values():
            batch = await get_batch(pool, book_id=book.id, batch_id=batch_id)
            if not isinstance(batch, Refusal):
                return batch
    return None
