"""``kaquan receipt``: what a receipt proves; needs neither a database nor a network."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from kaquan.doors.cli.failures import CommandError
from kaquan.doors.cli.output import AsJson, print_json, results
from kaquan.evidence import (
    NO_WITNESSES,
    NoteError,
    Verified,
    follow_keys,
    read_key,
    read_policy,
    split_announcements,
    verify_receipt,
)

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


Keys = Annotated[
    list[str] | None,
    typer.Option("--key", help="Public key of the log, name+id+key, as /log/keys lists it; may be given again."),
]
PolicyFile = Annotated[
    Path | None,
    typer.Option(
        "--policy", help="File of logs, witnesses and how many must have cosigned (C2SP tlog-policy).", exists=True
    ),
]
AnnouncementsFile = Annotated[
    Path | None,
    typer.Option("--announcements", help="Receipts of newer keys, from /log/keys/announcements.", exists=True),
]


@receipt_app.command()
def verify(
    file: Annotated[
        Path, typer.Argument(help="The receipt, as text or as its QR code is read.", exists=True, dir_okay=False)
    ],
    key: Keys = None,
    policy: PolicyFile = None,
    announcements: AnnouncementsFile = None,
    as_json: AsJson = False,
) -> None:
    """Verify a receipt offline with the log's public key; fails if it proves nothing. 验证凭证"""
    try:
        trusted = NO_WITNESSES if policy is None else read_policy(_read(policy))
        keys = [read_key(text) for text in key or []]
        if announcements is not None:
            keys = follow_keys([*keys, *trusted.logs], split_announcements(_read(announcements)), trusted)
        found = verify_receipt(_read(file), keys, trusted)
    except (NoteError, UnicodeDecodeError) as error:
        raise CommandError(f"{file} proves nothing: {error}. / 凭证无效。") from None
    if as_json:
        print_json(_view(found))
        return
    results.print("[green]✓[/] valid 有效")
    for name, value in _describe(found).items():
        results.print(f"{name}: {value}", markup=False)


@receipt_app.command("print")
def print_receipt(
    file: Annotated[Path, typer.Argument(help="The receipt.", exists=True, dir_okay=False)],
    out: Annotated[Path, typer.Option(help="The PDF file.", dir_okay=False)],
) -> None:
    """Print a receipt as a PDF page with a QR code that carries it; verify it first. 打印凭证"""
    from kaquan.doors.paper import PaperError, render_receipt  # it brings the typesetter along

    try:
        out.write_bytes(render_receipt(_read(file)))
    except (NoteError, PaperError, UnicodeDecodeError) as error:
        raise CommandError(f"{file} cannot be printed: {error}. / 凭证无法打印。") from None


def _read(file: Path) -> str:
    if file.stat().st_size > MAX_RECEIPT_BYTES:
        raise CommandError(f"{file} is too large for a receipt. / 文件过大。")
    return file.read_bytes().decode()


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
        _, _, id_, _, kind, related, _, effective_us, recorded_us, _, entries = found.entry[:11]
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
