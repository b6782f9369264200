"""Rotation: bring every sealed value and every look-up under the current keys, with the product running.

It knows columns, not what is in them: rooms declare theirs (:func:`kaquan.vault.declare_sealed`). It never shows what
it opens, changes nothing but how a value is sealed, and never removes a key that something still needs.
"""

from kaquan.rotation.reseal import SETTLE, Report, reseal
from kaquan.rotation.status import ColumnStatus, Status, load_status, seal_ids_in_use

__all__ = ["SETTLE", "ColumnStatus", "Report", "Status", "load_status", "reseal", "seal_ids_in_use"]
