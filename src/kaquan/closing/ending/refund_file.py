"""The list of refunds as a file: CSV (RFC 4180) or a workbook (ECMA-376, .xlsx), both written line by line."""

import csv
import io
from collections.abc import AsyncIterator
from enum import StrEnum

from openpyxl import Workbook

from kaquan.closing.ending.types import RefundLine
from kaquan.kit.ids import Prefix, show_id
from kaquan.vault import mask_number


class RefundFile(StrEnum):
    """The forms of the file."""

    CSV = "csv"
    XLSX = "xlsx"


COLUMNS = (
    "card 卡",
    "number 卡号",
    "status 状态",
    "holder 持卡人",
    "phone 电话",
    "paid left 已付余额",
    "given left 赠送余额",
    "due 应退",
    "interest 其中利息",
    "refund 退款进度",
    "problem 问题",
    "account 收款账户末四位",
    "payout 打款单",
)

_BOM = "\ufeff"
"""Tells spreadsheets that the file is UTF-8."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


async def write_refunds(lines: AsyncIterator[RefundLine], form: RefundFile) -> bytes:
    """The whole list; amounts in minor units."""
    if form is RefundFile.CSV:
        return await _csv(lines)
    book = Workbook(write_only=True)
    sheet = book.create_sheet("refunds 退款")
    sheet.append(COLUMNS)
    async for line in lines:
        sheet.append(_cells(line))
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


async def _csv(lines: AsyncIterator[RefundLine]) -> bytes:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    async for line in lines:
        writer.writerow(_cells(line))
    return (_BOM + stream.getvalue()).encode("utf-8")


def _cells(line: RefundLine) -> list[str | int | None]:
    return [
        show_id(Prefix.CARD, line.card_id),
        mask_number(line.number_last4),
        line.status.value,
        _tame(line.name_masked),
        _tame(line.phone_masked),
        line.paid_fen,
        line.given_fen,
        line.due_fen,
        line.interest_fen,
        line.state.value,
        line.problem,
        line.account_last4,
        None if line.payout_id is None else show_id(Prefix.PAYOUT, line.payout_id),
    ]


def _tame(cell: str | None) -> str | None:
    """A cell that no spreadsheet takes for a formula (OWASP, CSV injection)."""
    return f"'{cell}" if cell is not None and cell.startswith(_FORMULA) else cell
