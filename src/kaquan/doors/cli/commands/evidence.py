"""``kaquan evidence``: the chain of custody of an object, or of a period, as a file that anybody can verify."""

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import IO, Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from kaquan.app import read_slots_of
from kaquan.custody import Exported, export_object, export_period
from kaquan.doors.cli.failures import CommandError, refused
from kaquan.doors.cli.moments import read_moment
from kaquan.doors.cli.output import AsJson, notes, print_json, results
from kaquan.doors.cli.prepare import on_pool, ready_database, settings_of_command
from kaquan.kit.clock import SystemClock
from kaquan.kit.db import Pool
from kaquan.kit.outcomes import Refusal
from kaquan.vault import Keyring

evidence_app = typer.Typer(help="Evidence for auditors and holders. 存证", no_args_is_help=True)

Write = Callable[[Pool, IO[bytes], Callable[[int, int], None]], Awaitable[Exported | Refusal]]


@evidence_app.callback()
def _group() -> None:
    """Evidence for auditors and holders. 存证"""


@evidence_app.command()
def export(
    file: Annotated[Path, typer.Argument(help="A new file.")],
    object_: Annotated[
        str | None, typer.Option("--object", metavar="ID", help="Of a card, sale, top-up, batch or transaction.")
    ] = None,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="With its zone, such as 2026-03-01T00:00:00+08:00.")
    ] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="TIME", help="The end of the period.")] = None,
    book: Annotated[
        int | None, typer.Option(min=1, help="Show the entries of this book only, those of others as hashes.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write all events of an object, or of a period, as a verifiable bundle; see verifier/. 导出证据包

    The file is there whole or not at all.
    """
    settings = settings_of_command()
    keyring = Keyring.load(settings.keyring_path, settings.keyring_passphrase)
    clock, signers = SystemClock(), keyring.log_signers
    if (object_ is None) == (from_ is None and to is None) or (from_ is None) != (to is None):
        raise CommandError("Name an object, or both --from and --to. / 请指定 --object，或同时指定 --from 和 --to。")
    if from_ is not None and to is not None:
        begins, ends = read_moment(from_, "--from"), read_moment(to, "--to")
        if ends <= begins:
            raise CommandError("--to must be after --from. / --to 应晚于 --from。")

        async def write(pool: Pool, stream: IO[bytes], progress: Callable[[int, int], None]) -> Exported | Refusal:
            return await export_period(
                pool, clock, signers, begins=begins, ends=ends, stream=stream, book_id=book, progress=progress
            )
    else:
        name = object_ or ""

        async def write(pool: Pool, stream: IO[bytes], progress: Callable[[int, int], None]) -> Exported | Refusal:
            return await export_object(
                pool,
                clock,
                signers,
                name=name,
                stream=stream,
                slots=await read_slots_of(pool),
                book_id=book,
                progress=progress,
            )

    if file.exists():
        raise CommandError(f"{file} is there already and is not overwritten. / 文件已存在。")
    with ready_database(settings) as conninfo:
        done, size_bytes = _write(conninfo, file, write, quiet=as_json)
    if as_json:
        print_json({"file": str(file.resolve()), "bytes": size_bytes, **done._asdict()})
        return
    hidden = f", {done.hidden:,} hidden 隐去" if done.hidden else ""
    results.print(f"{file} · {done.entries:,} entries 条目, {done.facts:,} facts 事实{hidden} · {size_bytes:,} bytes")


def _write(conninfo: str, file: Path, write: Write, *, quiet: bool) -> tuple[Exported, int]:
    """Write beside the file and put it in its place at the end."""
    draft = file.with_name(f"{file.name}.{secrets.token_hex(4)}.part")
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TimeElapsedColumn()
    try:
        with (
            Progress(*columns, console=notes, transient=True, disable=quiet or not notes.is_terminal) as bar,
            open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream,
        ):
            task = bar.add_task("log 日志", total=None)

            async def work(pool: Pool) -> Exported:
                done = await write(pool, stream, lambda laid, size: bar.update(task, completed=laid, total=size))
                if isinstance(done, Refusal):
                    raise refused(done)
                return done

            done = asyncio.run(on_pool(conninfo, work))
            stream.flush()
            os.fsync(stream.fileno())
            size_bytes = stream.tell()
        os.link(draft, file)
    finally:
        draft.unlink(missing_ok=True)
    return done, size_bytes
