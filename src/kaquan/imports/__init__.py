"""Imports: foreign cards with their balances come in by a file that is checked whole, and can go out again.

Value comes from the issuer's account ``imported_value`` into the pockets of each card, once for each line; a reversal
takes it back for cards that nobody has used. The room knows no forms of payment, and no number leaves it unmasked.
"""

from kaquan.imports.check import COLUMNS, check_file, read_columns
from kaquan.imports.create import check_import, create_import
from kaquan.imports.errors import error_file, tame
from kaquan.imports.kinds import find_kinds
from kaquan.imports.read import get_import, list_imports, list_not_imported, list_used
from kaquan.imports.run import run_import, start_import, start_reversal, unfinished_imports
from kaquan.imports.types import (
    CardImport,
    Checked,
    ImportLine,
    ImportStatus,
    LineProblem,
    LineStatus,
    NewImport,
    UsedCard,
)

__all__ = [
    "COLUMNS",
    "CardImport",
    "Checked",
    "ImportLine",
    "ImportStatus",
    "LineProblem",
    "LineStatus",
    "NewImport",
    "UsedCard",
    "check_file",
    "check_import",
    "create_import",
    "error_file",
    "find_kinds",
    "get_import",
    "list_imports",
    "list_not_imported",
    "list_used",
    "read_columns",
    "run_import",
    "start_import",
    "start_reversal",
    "tame",
    "unfinished_imports",
]
