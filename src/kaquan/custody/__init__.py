"""Custody: what happened to one object, or in one time, as a file that anybody can verify offline.

A bundle holds the entries of the transparency log that concern it, in the log's order, the hashes that lead from them
to signed checkpoints, and what is known besides and is no entry, under the signature of the log's keys. ``bundle.py``
is the format; ``verifier/kaquan_verify_bundle.py`` checks it without a line of this code. This room only reads.
"""

from kaquan.custody.bundle import FORMAT
from kaquan.custody.export import MAX_EVENTS, Exported, export_object, export_period
from kaquan.custody.objects import KINDS
from kaquan.custody.outcomes import BUNDLE_TOO_LARGE, EVENT_CONTRADICTED, NOT_A_CUSTODY_OBJECT

__all__ = [
    "BUNDLE_TOO_LARGE",
    "EVENT_CONTRADICTED",
    "FORMAT",
    "KINDS",
    "MAX_EVENTS",
    "NOT_A_CUSTODY_OBJECT",
    "Exported",
    "export_object",
    "export_period",
]
