"""``kaquan receipt``: what a receipt proves; needs neither a database nor a network."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from kaquan.doors.cli.failures import CommandError
from kaquan.doors.cli.output import AsJson, print_json, results
from kaquan.evidence import NoteError, Verified, read_key, verify_receipt

receipt_app = typer.Typer(help="Receipts out of the transparency log. 交易凭证", no_args_is_help=True)

MAX_RECEIPT_BYTES = 1 << 20

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class VerifiedView(msgspec.Struct, frozen=True):
    """What a receipt proves. ``entry`` is the canonical array; see docs/explanation/evidence.md."""

    origin: str
    tree_size: int
    log_index: int
    entry: list[Any]
    opened: bool
    reference: str | None
    request_key: str | None


@receipt_app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="The receipt.", exists=True, dir_okay=False)],
    key: Annotated[
        list[str], typer.Option(help="Public key of the log, name+id+key, as /log/keys lists it; may be given again.")
    ],
    as_json: AsJson = False,
) -> None:
    """Verify a receipt offline with the log's public key; fails if it proves nothing. 验证凭证"""
    if file.stat().st_size > MAX_RECEIPT_BYTES:
        raise CommandError(f"{file} is too large for a receipt. / 文件过大。")
    try:
        found = verify_receipt(file.read_bytes().decode(), [read_key(text) for text in key])
    except (NoteError, UnicodeDecodeError) as error:
        raise CommandError(f"{file} proves nothing: {error}. / 凭证无效。") from None
    if as_json:
        print_json(_view(found))
        return
    results.print("[green]✓[/] valid 有效")
    for name, value in _describe(found).items():
        results.print(f"{name}: {value}", markup=False)


def _view(found: Verified) -> VerifiedView:
    return VerifiedView(
        found.checkpoint.origin,
        found.checkpoint.size,
        found.log_index,
        found.entry,
        found.opened,
        found.reference,
        found.request_key,
    )


def _describe(found: Verified) -> dict[str, object]:
    shown: dict[str, object] = {
        "log 日志": f"{found.checkpoint.origin}, entry {found.log_index:,} of {found.checkpoint.size:,}"
    }
    if found.entry[0] == "kaquan-leaf/1":
        _, _, id_, _, kind, related, _, effective_us, recorded_us, _, entries = found.entry
        shown |= {
            "transaction 交易": f"txn_{id_} ({kind})",
            **({"of 关联": f"txn_{related}"} if related else {}),
            "occurred 发生": _EPOCH + timedelta(microseconds=effective_us),
            "recorded 记账": _EPOCH + timedelta(microseconds=recorded_us),
        }
        for leg, effect, debit, _, credit, _, amount_fen in entries:
            shown[f"entry 分录 {leg}"] = f"{effect} {amount_fen:,} fen, account {debit} → {credit}"
    else:
        shown["entry 内容"] = msgspec.json.encode(found.entry).decode()
    if found.opened:
        shown |= {"reference 单号": found.reference, "request key 幂等键": found.request_key}
    return shown
