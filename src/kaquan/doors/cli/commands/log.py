"""``kaquan log``: the transparency log, its keys, and how it stands to a checkpoint that was kept elsewhere."""

import asyncio
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
import typer

from kaquan.doors.cli.failures import CommandError
from kaquan.doors.cli.output import AsJson, note, print_json, results
from kaquan.doors.cli.prepare import on_pool, ready_database, settings_of_command
from kaquan.evidence import (
    SM_SUFFIX,
    Comparison,
    NoteError,
    WitnessView,
    compare_checkpoint,
    get_checkpoint,
    get_head,
    get_key_receipts,
    get_keys,
    get_sm_head,
    get_witnesses,
    key_of,
    open_checkpoint,
    open_note,
    read_key,
)
from kaquan.kit.db import Pool
from kaquan.kit.outcomes import Refusal
from kaquan.vault import Keyring, Ring, add_signer, new_key, only_writer, read_ring, replace_ring, retire_signer

log_app = typer.Typer(help="The transparency log of all transactions. 透明日志", no_args_is_help=True)


class KeyView(msgspec.Struct, frozen=True):
    """A key of the log. ``signs``: the newest checkpoint carries its signature."""

    key: str
    signs: bool


class StatusView(msgspec.Struct, frozen=True):
    origin: str | None
    size: int
    signed_at: datetime | None
    published_size: int
    sm_size: int
    keys: list[KeyView]
    witnesses: list[WitnessView]


@log_app.command()
def status(as_json: AsJson = False) -> None:
    """How long the log is, when it was signed, its public keys and its witnesses. 状态"""

    async def read(pool: Pool) -> StatusView:
        head, keys = await get_head(pool), await get_keys(pool)
        if head is None or not head.note:
            return StatusView(None, 0, None, 0, 0, [], [])
        signed_by = open_note(head.note, keys)[1]
        sm = await get_sm_head(pool)
        if sm is not None:
            signed_by += open_note(sm.note, keys)[1]
        published = await get_checkpoint(pool)
        return StatusView(
            head.origin,
            head.size,
            head.signed_at,
            0 if isinstance(published, Refusal) else int(published.split("\n")[1]),
            0 if sm is None else sm.size,
            [KeyView(key.text, signs=key in signed_by) for key in keys],
            await get_witnesses(pool),
        )

    with ready_database(settings_of_command()) as conninfo:
        found = asyncio.run(on_pool(conninfo, read))
    if as_json:
        print_json(found)
        return
    results.print(f"{found.origin}: {found.size:,} entries 条, signed 签名 {found.signed_at}", markup=False)
    for key in found.keys:
        results.print(f"{'✓' if key.signs else ' '} {key.key}", markup=False)
    if found.published_size != found.size:
        results.print(f"published 已发布: {found.published_size:,}", markup=False)
    if found.sm_size:
        results.print(f"SM profile 国密: {found.sm_size:,}", markup=False)
    for witness in found.witnesses:
        told = f"{witness.failure} since {witness.failed_since}" if witness.failure else f"at {witness.cosigned_at}"
        results.print(f"witness 见证人 {witness.key}: {witness.size:,} {told}", markup=False)


@log_app.command()
def announcements() -> None:
    """How each key was announced by the one before it, for those who verify with an older key. 密钥公告"""
    with ready_database(settings_of_command()) as conninfo:
        found = asyncio.run(on_pool(conninfo, get_key_receipts))
    print("".join(found.values()), end="")


@log_app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A checkpoint that was kept outside.", exists=True, dir_okay=False)],
    key: Annotated[list[str], typer.Option(help="Public key of the log, name+id+key; may be given again.")],
    as_json: AsJson = False,
) -> None:
    """Hold the log against a checkpoint that was kept elsewhere; fails if it does not begin with it. 核对检查点"""
    try:
        outside = open_checkpoint(file.read_bytes().decode(), [read_key(text) for text in key])
    except (NoteError, UnicodeDecodeError) as error:
        raise CommandError(f"{file} is not a checkpoint of this key: {error}. / 检查点无效。") from None

    async def compare(pool: Pool) -> Comparison:
        return await compare_checkpoint(pool, outside)

    with ready_database(settings_of_command()) as conninfo:
        found = asyncio.run(on_pool(conninfo, compare))
    if as_json:
        print_json(found)
    elif found.holds:
        results.print(
            f"[green]✓[/] the log of {found.size:,} begins with the {found.outside_size:,} of the checkpoint / 相符"
        )
    elif found.rewound:
        results.print(
            f"[bold red]✗[/] rewound: the log has {found.size:,} entries, the checkpoint {found.outside_size:,}; those"
            f" from {found.size:,} on are gone / 日志被回退"
        )
    else:
        results.print(
            f"[bold red]✗[/] the first {found.outside_size:,} entries are not those of the checkpoint / 内容不符"
        )
    if not found.holds:
        raise typer.Exit(1)


@log_app.command()
def rotate(
    sm: Annotated[bool, typer.Option("--sm", help="An SM2 key; the first begins the SM profile (SM3, SM2).")] = False,
    as_json: AsJson = False,
) -> None:
    """Add a key that signs beside the old ones, and is an entry of the log. Back the key ring up. 更换签名密钥"""
    settings = settings_of_command()
    with only_writer(settings.keyring_path):
        ring, protection = read_ring(settings.keyring_path, settings.keyring_passphrase)
        after = add_signer(ring, key=new_key(), sm=sm)
        replace_ring(settings.keyring_path, after, protection)
    _print_signers(after, as_json=as_json)
    note(
        "Back the key ring up now; publish the new key (kaquan log status) before you retire the old one."
        " / 请立即备份密钥文件，并在移除旧密钥前公布新公钥。"
    )


@log_app.command()
def retire(
    key_id: Annotated[str, typer.Argument(metavar="KEY", help="A signing key of the ring, such as g1.")],
    as_json: AsJson = False,
) -> None:
    """Remove an old signing key from the ring; what it signed stays valid. 移除旧签名密钥"""
    settings = settings_of_command()
    with only_writer(settings.keyring_path):
        ring, protection = read_ring(settings.keyring_path, settings.keyring_passphrase)
        after = retire_signer(ring, key_id)
        with ready_database(settings) as conninfo:
            known = asyncio.run(on_pool(conninfo, _read_known))
        if not all(_goes_on(note, after) for note in known.notes) or _successor(ring, key_id) in known.unannounced:
            raise CommandError(
                "The newest checkpoint is not signed by another key of the ring yet, or that key is not announced by"
                " this one: let a worker run for a moment. / 新密钥尚未参与签名或尚未公告，请稍后重试。"
            )
        replace_ring(settings.keyring_path, after, protection)
    _print_signers(after, as_json=as_json)


class _Known(NamedTuple):
    """The newest checkpoints of the log and its SM profile, and the keys that none before them has announced."""

    notes: list[str]
    unannounced: set[bytes]


async def _read_known(pool: Pool) -> _Known:
    heads = [await get_head(pool), await get_sm_head(pool)]
    keys, receipts = await get_keys(pool), await get_key_receipts(pool)
    notes = [head.note for head in heads if head is not None and head.note]
    return _Known(notes, {key.public for key in keys} - set(receipts))


def _goes_on(checkpoint: str, ring: Ring) -> bool:
    """Whether a log could be continued with the keys of this ring."""
    origin = checkpoint.partition("\n")[0]
    keyring = Keyring.of(ring)
    publics = [signer.public for signer in keyring.log_signers] + [signer.public for signer in keyring.sm_signers]
    try:
        open_checkpoint(checkpoint, [key_of(origin.removesuffix(SM_SUFFIX), public) for public in publics])
    except NoteError:
        return False
    return True


def _successor(ring: Ring, key_id: str) -> bytes | None:
    """The public key that came behind a key of the ring."""
    keyring = Keyring.of(ring)
    found = {one.id: after.public for one, after in pairwise(keyring.log_signers)}
    found |= {one.id: after.public for one, after in pairwise(keyring.sm_signers)}
    return found.get(key_id)


def _print_signers(ring: Ring, *, as_json: bool) -> None:
    ids = [signer.id for signer in (*ring.signers, *ring.sm_signers)]
    if as_json:
        print_json({"signers": ids})
    else:
        print(f"signing keys 签名密钥: {' '.join(ids)}")
