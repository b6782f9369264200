"""Paper: a receipt as a page of PDF, with a QR code that carries all of it.

Typesetting is typst's, the code segno's. The page has a font of its own (all of GB 2312), so it looks the same on every
machine; a character that the font does not have is shown as 〓. What the page says is not verified: its code is.
"""

import io
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import as_file, files
from typing import Any

import msgspec
import segno
import typst

from kaquan.evidence import Read, pack_receipt, read_receipt
from kaquan.kit.ids import Prefix

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CHINA = timedelta(hours=8)

_KINDS = {
    "purchase": "消费",
    "authorization": "预授权",
    "capture": "预授权完成",
    "void": "撤销",
    "expiry": "预授权过期",
    "load": "充值",
    "refund": "退款",
    "adjustment": "调账",
    "fee": "手续费",
    "transfer": "转卡",
    "transfer_out": "转卡转出",
    "transfer_in": "转卡转入",
    "transfer_back": "转卡退回",
    "closing": "销卡结清",
    "payout": "退还余额",
    "lot_expiry": "余额到期",
    "lot_extension": "余额展期",
}
_EFFECTS = {"post": "入账", "reserve": "冻结", "capture": "扣划", "release": "解冻"}


class PaperError(Exception):
    """A receipt does not go on a page; the message says why."""


def render_receipt(receipt: str) -> bytes:
    """The PDF of a receipt. Raises NoteError for what is none, PaperError if it is too long for a QR code."""
    read = read_receipt(receipt)
    try:
        code = segno.make_qr(pack_receipt(read.text), error="l")
    except segno.DataOverflowError:
        raise PaperError("it is too long for a QR code") from None
    picture = io.BytesIO()
    code.save(picture, kind="svg", border=4)
    return typst.compile(
        files(__package__).joinpath("receipt.typ").read_bytes(),
        font_paths=_fonts(),
        format="pdf",
        sys_inputs={
            "receipt": _printable(msgspec.json.encode(_shown(read)).decode()),
            "qr": picture.getvalue().decode(),
        },
    )


@cache
def _fonts() -> typst.Fonts:
    """The page's own font and no other: reading it takes longer than a page."""
    with as_file(files(__package__)) as folder:
        return typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[folder])


def _shown(read: Read) -> dict[str, Any]:
    """What stands on the page."""
    facts: list[tuple[str, str, str]] = []
    entries: list[list[str]] = []
    title = f"{read.checkpoint.origin} {read.log_index}"
    match read.entry:
        case ["kaquan-leaf/1", _, id_, _, kind, related, place, effective_us, recorded_us, _, [*legs], *_]:
            title = f"{Prefix.TRANSACTION}_{id_}"
            facts += [
                ("交易", "transaction", title),
                ("类型", "kind", f"{_KINDS[kind]} {kind}" if kind in _KINDS else str(kind)),
            ]
            facts += [("关联交易", "of", f"{Prefix.TRANSACTION}_{related}")] if related else []
            facts += [("终端", "terminal", f"{Prefix.TERMINAL}_{place}")] if place else []
            facts += [
                ("发生时间", "occurred", _moment(effective_us)),
                ("记账时间", "recorded", _moment(recorded_us)),
            ]
            facts += [("业务单号", "reference", read.reference)] if read.reference else []
            for leg, effect, debit, _, credit, _, amount_fen in legs:
                name = f"{_EFFECTS.get(effect, '')} {effect}".strip()
                entries.append([str(leg), name, str(debit), str(credit), _yuan(amount_fen)])
        case _:
            facts.append(("内容", "entry", msgspec.json.encode(read.entry).decode()))
    facts += [
        ("日志", "log", read.checkpoint.origin),
        ("序号", "index", f"{read.log_index:,} / {read.checkpoint.size:,}"),
        ("根哈希", "root", read.checkpoint.root.hex()),
    ]
    return {"title": title, "log": read.checkpoint.origin, "facts": facts, "entries": entries}


def _moment(microseconds: int) -> str:
    """A time as it is in China."""
    return f"{_EPOCH + timedelta(microseconds=microseconds) + _CHINA:%Y-%m-%d %H:%M:%S} (UTC+8)"


def _yuan(amount_fen: int) -> str:
    return f"¥ {amount_fen // 100:,}.{amount_fen % 100:02}"


def _printable(text: str) -> str:
    """With 〓 for what the font does not have; it has what GB 2312 has."""
    return "".join(char if char in "¥·—" or _is_in_font(char) else "〓" for char in text)


def _is_in_font(char: str) -> bool:
    try:
        char.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return char >= " "
