"""Production: the file from which a card printer makes the cards of a batch, sealed to its key, given out once.

It knows forms of files and who had one; it makes no card, keeps no number, and never writes one in clear.
"""

from kaquan.production.export import export_batch
from kaquan.production.kinds import FileKind, find_kinds
from kaquan.production.read import list_exports
from kaquan.production.types import Export, NewExport

__all__ = [
    "Export",
    "FileKind",
    "NewExport",
    "export_batch",
    "find_kinds",
    "list_exports",
]
