"""``kaquan vault``: the keys, and bringing everything under the current ones."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich import box
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from kaquan.app import read_slots_of
from kaquan.doors.cli.failures import CommandError
from kaquan.doors.cli.output import AsJson, note, notes, print_json, results
from kaquan.doors.cli.prepare import on_pool, ready_database, settings_of_command
from kaquan.kit.clock import SystemClock
from kaquan.kit.db import Pool
from kaquan.rotation import SETTLE, Report, Status, load_status, reseal, seal_ids_in_use
from kaquan.settings import Settings
from kaquan.vault import (
    DEFAULT_CIPHER,
    DEFAULT_MAC,
    Keyring,
    Ring,
    add_lookup_key,
    add_seal_key,
    drop_old_lookup_keys,
    new_key,
    only_writer,
    read_ring,
    replace_ring,
    retire_seal_key,
    seal_by,
)

vault_app = typer.Typer(help="Keys of card numbers and personal data. 密钥管理", no_args_is_help=True)


@vault_app.command()
def status(as_json: AsJson = False) -> None:
    """Which keys there are, and how much is under each. 状态"""
    settings = settings_of_command()
    keyring = _load(settings)

    async def read(pool: Pool) -> Status:
        return await load_status(pool, keyring, slots=await read_slots_of(pool))

    with ready_database(settings) as conninfo:
        found = asyncio.run(on_pool(conninfo, read))
    if as_json:
        print_json(found)
        return
    results.print(f"sealing keys 加密密钥: {_keys(found.seal_keys, found.current_seal)}")
    results.print(f"look-up keys 查找密钥: {_keys(found.lookup_keys, found.current_lookup)}")
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("what 内容", "by key 按密钥", "to reseal 待更新"):
        table.add_column(name)
    for column in found.columns:
        table.add_row(column.column, _counts(column.by_key), f"{column.stale_count:,}")
    table.add_row("cards_number", _counts(found.lookups), "" if len(found.lookup_keys) == 1 else "yes")
    results.print(table)


@vault_app.command()
def rotate(
    lookup: Annotated[bool, typer.Option("--lookup", help="A new look-up key instead of a sealing key.")] = False,
    cipher: Annotated[str, typer.Option(help="aes-256-gcm or sm4-gcm.")] = DEFAULT_CIPHER,
    mac: Annotated[str, typer.Option(help="With --lookup: hmac-sha256 or hmac-sm3.")] = DEFAULT_MAC,
    as_json: AsJson = False,
) -> None:
    """Add a new key; running servers use it within seconds. Back the key ring up, then run reseal. 更换密钥"""
    settings = settings_of_command()
    if lookup:
        ring = _change(settings, lambda ring: add_lookup_key(ring, key=new_key(), mac=mac))
        made = ring.lookups[-1].id
    else:
        ring = _change(settings, lambda ring: add_seal_key(ring, key=new_key(), cipher=cipher))
        made = ring.current
    if as_json:
        print_json({"key": made, "lookup": lookup})
    else:
        print(f"{made} · {settings.keyring_path}")
    note("Back the key ring up now, then: kaquan vault reseal / 请立即备份密钥文件，然后执行 kaquan vault reseal。")


@vault_app.command("reseal")
def bring_up_to_date(as_json: AsJson = False) -> None:
    """Bring everything under the current keys, with servers running; stop and run again as you like. 重新加密"""
    settings = settings_of_command()
    keyring = _load(settings)
    if len(keyring.lookup_ids) > 1:
        _settle(settings)
    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with (
        ready_database(settings) as conninfo,
        Progress(*columns, console=notes, transient=True, disable=as_json or not notes.is_terminal) as bar,
    ):
        tasks: dict[str, TaskID] = {}

        def show(what: str, count: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=None)
            bar.advance(tasks[what], count)

        async def work(pool: Pool) -> Report:
            slots = await read_slots_of(pool)
            found = await load_status(pool, keyring, slots=slots)
            for column in found.columns:
                if column.stale_count:
                    tasks[column.column] = bar.add_task(column.column, total=column.stale_count)
            if len(keyring.lookup_ids) > 1:
                tasks["cards_number"] = bar.add_task("cards_number", total=found.card_count)
            return await reseal(pool, keyring, slots=slots, progress=show)

        report = asyncio.run(on_pool(conninfo, work))
    if len(keyring.lookup_ids) > 1 and report.lookups_moved:
        kept = keyring.lookup_ids[-1]
        _change(settings, lambda ring: drop_old_lookup_keys(ring) if ring.lookups[-1].id == kept else ring)
    if as_json:
        print_json(report)
    else:
        print(
            f"{report.resealed:,} values sealed anew, {report.copied_lookups:,} look-ups moved / "
            f"已重新加密 {report.resealed:,} 项，更新查找 {report.copied_lookups:,} 项"
        )
    if report.unreadable:
        where = ", ".join(f"{column}: {count:,}" for column, count in report.unreadable.items())
        raise CommandError(f"Some values open under no key of this ring ({where}). / 部分数据无法解密。")
    if not report.lookups_moved:
        raise CommandError("A server does not know the new look-up key yet; run it again. / 请稍后重新执行。")


@vault_app.command()
def retire(
    key_id: Annotated[str, typer.Argument(metavar="KEY", help="A sealing key that nothing is sealed under.")],
    as_json: AsJson = False,
) -> None:
    """Remove an old sealing key from the ring; older backups of the database still need it. 移除旧密钥"""
    settings = settings_of_command()
    with ready_database(settings) as conninfo:
        in_use = asyncio.run(on_pool(conninfo, seal_ids_in_use))
    ring = _change(settings, lambda ring: retire_seal_key(ring, key_id, in_use=in_use))
    if as_json:
        print_json({"retired": key_id, "seal_keys": [key.id for key in ring.seals]})
    else:
        print(f"{key_id} is gone from {settings.keyring_path} / 已移除")


@vault_app.command()
def protect(
    remove: Annotated[bool, typer.Option("--remove", help="Write the ring in clear again.")] = False,
    as_json: AsJson = False,
) -> None:
    """Seal the key ring under KAQUAN_KEYRING_PASSPHRASE, which servers then need too. 加密密钥文件"""
    settings = settings_of_command()
    if settings.keyring_passphrase is None:
        raise CommandError("Set KAQUAN_KEYRING_PASSPHRASE first. / 请先设置 KAQUAN_KEYRING_PASSPHRASE。")
    path = settings.keyring_path
    with only_writer(path):
        ring, _ = read_ring(path, settings.keyring_passphrase)
        replace_ring(path, ring, None if remove else seal_by(settings.keyring_passphrase))
    if as_json:
        print_json({"protected": not remove})
    else:
        print(f"{path}: {'in clear 明文' if remove else 'sealed 已加密'}")


def _load(settings: Settings) -> Keyring:
    return Keyring.load(settings.keyring_path, settings.keyring_passphrase)


def _change(settings: Settings, change: Callable[[Ring], Ring]) -> Ring:
    """Write what ``change`` makes of the ring in its place, sealed as it was; the new ring."""
    path = settings.keyring_path
    with only_writer(path):
        ring, protection = read_ring(path, settings.keyring_passphrase)
        after = change(ring)
        if after != ring:
            replace_ring(path, after, protection)
    return after


def _settle(settings: Settings) -> None:
    """Wait until every server has looked at the ring since it was changed."""
    changed_at = datetime.fromtimestamp(settings.keyring_path.stat().st_mtime, UTC)
    left = (changed_at + SETTLE - SystemClock().now()).total_seconds()
    if left > 0:
        note("Waiting until every server knows the new key … / 等待各服务进程加载新密钥……")
        time.sleep(left)


def _keys(ids: list[str], current: str) -> str:
    return " ".join(f"{key_id}*" if key_id == current else key_id for key_id in ids)


def _counts(by_key: dict[str, int]) -> str:
    return "  ".join(f"{key_id}: {count:,}" for key_id, count in sorted(by_key.items())) or "-"
