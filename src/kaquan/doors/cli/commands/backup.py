"""``kaquan db backup``, ``archive``, ``restore``, ``missing``: what is needed when the database is lost, and after."""

import os
import secrets
import subprocess
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import msgspec
import typer

from kaquan.doors.cli import store
from kaquan.doors.cli.failures import CommandError
from kaquan.doors.cli.moments import read_moment
from kaquan.doors.cli.output import AsJson, complain, note, print_json
from kaquan.doors.cli.prepare import embedded, ready_database, running_database, settings_of_command
from kaquan.doors.cli.store import MissingTransaction
from kaquan.kit.clock import SystemClock
from kaquan.kit.embedded import Archive, EmbeddedPostgres, binary
from kaquan.kit.embedded import restore as restore_into
from kaquan.kit.ids import Prefix, read_id, show_id
from kaquan.settings import Settings

backup_app = typer.Typer()

LATEST = "latest"


class BaseView(msgspec.Struct, frozen=True):
    """A base backup; moments from ``ended_at`` on can be restored from it."""

    name: str
    ended_at: datetime


class ArchiveView(msgspec.Struct, frozen=True):
    """What an archive was found to hold."""

    archive: str
    sound: bool
    bases: list[BaseView]
    segments: int
    bytes: int
    since: datetime | None
    archived_at: datetime | None
    missing: str | None
    damaged: list[str]


class RestoredView(msgspec.Struct, frozen=True):
    """A restored home. Its key ring is not part of a backup of the database."""

    home: str
    base: str
    to: datetime | None
    last_transaction_at: datetime | None
    segments: int
    keyring: str


class MissingView(msgspec.Struct, frozen=True):
    """A transaction that is not in the database. Only its id is known of one that a file names."""

    id: str
    kind: str | None
    recorded_at: datetime | None
    reference: str | None
    idempotency_key: str | None


@backup_app.command()
def backup(
    file: Annotated[Path | None, typer.Argument(help="A new file; by default named by the time.")] = None,
    base: Annotated[bool, typer.Option("--base", help="Instead, add a base backup to the archive.")] = False,
    keep: Annotated[
        int | None, typer.Option(min=1, help="With --base: forget all but so many bases, and the log before them.")
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Write nothing: read FILE, or an archive (by default ours), to its end.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write the whole database to one file, as of one moment, and check that it can be read. 备份"""
    settings = settings_of_command()
    if verify and file is not None and file.is_file():
        _verify_dump(file, as_json=as_json)
    elif verify:
        _verify_archive(settings, file, as_json=as_json)
    elif base:
        _add_base(settings, keep, as_json=as_json)
    else:
        path = file or Path(f"kaquan-{SystemClock().now():%Y%m%dT%H%M%SZ}.dump")
        if path.exists():
            raise CommandError(f"{path} is there already, and a backup never overwrites. / 文件已存在。")
        with running_database(settings) as conninfo:
            size_bytes = _dump(conninfo, path)
        if as_json:
            print_json({"file": str(path.resolve()), "bytes": size_bytes})
        else:
            print(f"{path} · {size_bytes:,} bytes / 备份完成")
        _note_keyring(settings)


@backup_app.command()
def archive(
    folder: Annotated[Path, typer.Argument(help="A new folder, on another disk than the database.")],
    as_json: AsJson = False,
) -> None:
    """From now on keep all that is ever written, so that any moment can be restored; takes a first base. 持续归档"""
    settings = settings_of_command()
    server = _archived(settings)
    kept = Archive(folder)
    first = kept.begin(server, SystemClock())
    if as_json:
        print_json({"archive": str(kept.folder), "base": first.name, "since": first.ended_at})
    else:
        print(f"{kept.folder} · base {first.name} / 归档已开始")
    _note_keyring(settings)


@backup_app.command()
def restore(
    into: Annotated[Path, typer.Argument(metavar="INTO", help="A new folder, which KAQUAN_HOME then names.")],
    archive_folder: Annotated[Path, typer.Option("--from", help="The folder of the archive.")],
    to: Annotated[
        str, typer.Option(help="A time with its zone, such as 2026-03-01T17:30:00+08:00, or latest.")
    ] = LATEST,
    as_json: AsJson = False,
) -> None:
    """Make the database again in a new folder, as it was at a moment. 恢复到指定时间"""
    moment = None if to == LATEST else read_moment(to, "--to", wanted="neither latest nor a time with its zone")
    home = into.expanduser().resolve()
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise CommandError(f"{home} is not empty, and a restore never overwrites: name a new folder. / 目标目录非空。")
    there = home.exists()
    try:
        done = restore_into(Archive(archive_folder), home / "postgres", to=moment)
    finally:
        if not there and home.exists() and not any(home.iterdir()):
            home.rmdir()
    keyring = home / "keyring.json"
    if as_json:
        view = RestoredView(str(home), done.base.name, moment, done.last_transaction_at, done.segments, str(keyring))
        print_json(view)
    else:
        last = "-" if done.last_transaction_at is None else done.last_transaction_at.isoformat()
        print(f"{home} · base {done.base.name} · {done.segments} segments · last transaction {last} / 恢复完成")
    note(f"Put the key ring at {keyring}, then: KAQUAN_HOME={home} kaquan audit / 请放回密钥文件，再核查账目。")


@backup_app.command()
def missing(
    source: Annotated[
        Path, typer.Argument(help="Another home whose database has more, or a file of ids txn_…, one a line.")
    ],
    as_json: AsJson = False,
) -> None:
    """Name the transactions of SOURCE that this database does not have. 列出缺失的交易"""
    settings = settings_of_command()
    if source.is_dir():
        other = EmbeddedPostgres(source / "postgres")
        if not other.data.exists():
            raise CommandError(f"{source} holds no database: name a home folder. / 该目录没有数据库。")
        with ready_database(settings) as conninfo, other:
            found = store.read_missing(conninfo, other.conninfo())
    else:
        ids = _read_ids(source)
        with ready_database(settings) as conninfo:
            found = [MissingTransaction(id_) for id_ in store.read_unknown(conninfo, ids)]
    views = [
        MissingView(show_id(Prefix.TRANSACTION, one.id), one.kind, one.recorded_at, one.reference, one.request_key)
        for one in found
    ]
    if as_json:
        print_json(views)
        return
    for view in views:
        facts = (view.id, view.recorded_at and view.recorded_at.isoformat(), view.kind, view.idempotency_key)
        print(" ".join(str(fact) for fact in facts if fact is not None))
    note(f"{len(views):,} transactions of {source} are not here. / 共缺失 {len(views):,} 笔。")


def _archived(settings: Settings) -> EmbeddedPostgres:
    if settings.database_url is not None:
        raise CommandError(
            "KAQUAN_DATABASE_URL names a server of yours: set archive_mode, archive_command and archive_timeout on it "
            "and take bases with pg_basebackup (docs/how-to/backup.md). / 外部数据库请自行配置归档。"
        )
    return embedded(settings)


def _add_base(settings: Settings, keep: int | None, *, as_json: bool) -> None:
    server = _archived(settings)
    kept = Archive.of(server)
    with server:
        base = kept.take_base(server, SystemClock())
    forgotten = [] if keep is None else [old.name for old in kept.keep(keep)]
    if as_json:
        print_json({"archive": str(kept.folder), "base": base.name, "since": base.ended_at, "forgotten": forgotten})
    else:
        print(f"{kept.folder} · base {base.name} / 基础备份完成")
    _note_keyring(settings)


def _verify_dump(file: Path, *, as_json: bool) -> None:
    _run(binary("pg_restore"), "--file", os.devnull, file, what="read")
    if as_json:
        print_json({"file": str(file.resolve()), "bytes": file.stat().st_size, "sound": True})
    else:
        print(f"{file} can be read to its end. / 备份完好。")


def _verify_archive(settings: Settings, folder: Path | None, *, as_json: bool) -> None:
    kept = Archive.of(_archived(settings)) if folder is None else Archive(folder)
    check = kept.check()
    if as_json:
        print_json(
            ArchiveView(
                archive=str(check.folder),
                sound=check.sound,
                bases=[BaseView(base.name, base.ended_at) for base in check.bases],
                segments=check.segments,
                bytes=check.size_bytes,
                since=check.since,
                archived_at=check.archived_at,
                missing=check.missing,
                damaged=list(check.damaged),
            )
        )
    elif check.since is not None and check.archived_at is not None:
        print(
            f"{check.folder} · {len(check.bases)} bases · {check.segments} segments · {check.size_bytes:,} bytes · "
            f"{check.since:%Y-%m-%dT%H:%M:%SZ} – {check.archived_at:%Y-%m-%dT%H:%M:%SZ}"
        )
    if check.sound:
        return
    for name in check.damaged:
        complain(f"{check.folder / name} is damaged. / 文件已损坏。")
    if check.missing is not None:
        complain(f"The segment {check.missing} is missing: nothing after it can be restored. / 归档日志有缺口。")
    if not check.bases:
        complain(f"{check.folder} holds no base backup. / 没有基础备份。")
    raise typer.Exit(1)


def _read_ids(file: Path) -> list[UUID]:
    ids = []
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        if not line.strip():
            continue
        id_ = read_id(Prefix.TRANSACTION, line.strip())
        if id_ is None:
            raise CommandError(f"{file}, line {number}: must be an id such as txn_0199…. / 第 {number} 行不是交易号。")
        ids.append(id_)
    return ids


def _note_keyring(settings: Settings) -> None:
    note(f"Back up {settings.keyring_path} apart: without it no card can be found. / 密钥文件请另行备份。")


def _dump(conninfo: str, path: Path) -> int:
    """Write a dump that only we can read, and give it its name when it is whole; its size in bytes."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as output:
            # by name: only then is its table of contents, written first, filled in at the end
            _run(binary("pg_dump"), "--format=custom", "--dbname", conninfo, "--file", draft)
            os.fsync(output.fileno())
        _run(binary("pg_restore"), "--file", os.devnull, draft)
        os.link(draft, path)
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()
    return path.stat().st_size


def _run(*command: str | Path, what: str = "made") -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
        raise CommandError(f"The backup was not {what}: {said} / 备份失败。")
