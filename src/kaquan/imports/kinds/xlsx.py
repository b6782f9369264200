"""The first sheet of a workbook (ECMA-376, .xlsx)."""

import datetime
import io
import zipfile
from collections.abc import Iterator

from python_calamine import CalamineError, CalamineWorkbook

from kaquan.imports.kinds import NUMBER_CELL, FileError, FileKind

_MAX_UNPACKED_BYTES = 512 * 1024 * 1024
"""A small archive may hold anything; what a sheet of a million lines needs is well below."""


def _is_xlsx(content: bytes) -> bool:
    return content.startswith(b"PK\x03\x04")


def _rows(content: bytes) -> Iterator[tuple[int, list[str]]]:
    damaged = FileError("must be a workbook (.xlsx)", "应为 .xlsx 工作簿")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _MAX_UNPACKED_BYTES:
                raise FileError("the workbook is too large", "工作簿过大")
        sheet = CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0)
        rows = sheet.to_python(skip_empty_area=False)
    except (CalamineError, zipfile.BadZipFile, OSError, ValueError):
        raise damaged from None
    for line, row in enumerate(rows, start=1):
        cells = [_text(cell) for cell in row]
        if any(cells):
            yield line, cells


def _text(cell: object) -> str:
    """A cell as text. Numbers become the digits that a person sees, at once: nothing is reckoned with a float."""
    if isinstance(cell, str):
        return cell.strip()
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, int):
        return f"{NUMBER_CELL}{cell}"
    if isinstance(cell, float):
        shown = repr(cell)
        return NUMBER_CELL + (shown[:-2] if shown.endswith(".0") else shown)
    if isinstance(cell, datetime.datetime):
        return cell.date().isoformat()
    if isinstance(cell, datetime.date):
        return cell.isoformat()
    return str(cell)


KIND = FileKind("xlsx", _is_xlsx, _rows)
