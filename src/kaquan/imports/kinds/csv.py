"""Comma-, semicolon- or tab-separated values (RFC 4180), in UTF-8 or, as Chinese spreadsheets save them, GB 18030."""

import csv
import io
from collections.abc import Iterator

from kaquan.imports.kinds import FileError, FileKind

_SEPARATORS = ",;\t"
_MAX_CELL = 1_024


def _is_csv(content: bytes) -> bool:
    return not content.startswith(b"PK\x03\x04") and b"\0" not in content


def _text(content: bytes) -> str:
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise FileError("must be text in UTF-8 or GB 18030", "应为 UTF-8 或 GB 18030 编码的文本")


def _rows(content: bytes) -> Iterator[tuple[int, list[str]]]:
    text = _text(content)
    first = text.split("\n", 1)[0]
    separator = max(_SEPARATORS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    before = 0
    try:
        for row in reader:
            line, before = before + 1, reader.line_num
            cells = [cell.strip() for cell in row]
            if any(len(cell) > _MAX_CELL for cell in cells):
                raise FileError(f"line {line}: a cell is too long", f"第 {line} 行：单元格过长")
            if any(cells):
                yield line, cells
    except csv.Error:
        raise FileError(
            f"line {before + 1}: quotes are not closed, or stand inside a cell",
            f"第 {before + 1} 行：引号不配对或位置不正确",
        ) from None


KIND = FileKind("csv", _is_csv, _rows)
