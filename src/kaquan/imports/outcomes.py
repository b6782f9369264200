"""The refusals of this room, besides ``not_found``, ``already_exists`` and ``invalid_field``."""

from kaquan.kit.outcomes import outcome

FILE_UNREADABLE = outcome(
    "file_unreadable",
    http=422,
    iso="30",
    en="The file cannot be read: it {why}.",
    zh="无法读取文件：{why}。",
)
COLUMN_MISSING = outcome(
    "column_missing",
    http=422,
    iso="30",
    en="The file has no column {column}; it has: {there}.",
    zh="文件中没有列“{column}”，现有列：{there}。",
)
IMPORT_HAS_BAD_LINES = outcome(
    "import_has_bad_lines",
    http=409,
    iso="12",
    en="{bad_line_count} lines of the file are wrong: correct them and send it again under another name.",
    zh="文件有 {bad_line_count} 行错误，请更正后以新名称重新提交。",
)
IMPORT_STOPPED = outcome(
    "import_stopped",
    http=409,
    iso="12",
    en="The programme stopped before the whole import was applied; {left_out_count} lines were left out.",
    zh="卡种停止时导入尚未全部生效，{left_out_count} 行未导入。",
)
IMPORT_NOT_APPLIED = outcome(
    "import_not_applied",
    http=409,
    iso="12",
    en="Only an import that is applied can be reversed; this one is {status}.",
    zh="只有已生效的导入可以撤销，当前状态：{status}。",
)
IMPORT_ALREADY_REVERSED = outcome(
    "import_already_reversed",
    http=409,
    iso="12",
    en="The import was reversed; send the file again under another name.",
    zh="该导入已撤销，请以新名称重新提交文件。",
)
CARDS_USED_SINCE = outcome(
    "cards_used_since",
    http=409,
    iso="12",
    en="{used_count} of its cards were used since, so it is not reversed: lines {lines}.",
    zh="其中 {used_count} 张卡已被使用，无法撤销：第 {lines} 行。",
)
