"""The audit trail: who did what to whom and when, written in the transaction of the action itself.

It is only ever added to, and it holds no secret and nothing personal: who writes to it says what changed in words that
may be read by an auditor of the tenant.
"""

from kaquan.parties.trail.find import list_actions
from kaquan.parties.trail.record import differences, new_action, record_action, summary_of, write_action
from kaquan.parties.trail.types import SYSTEM, Action, ActionSearch, Actor

__all__ = [
    "SYSTEM",
    "Action",
    "ActionSearch",
    "Actor",
    "differences",
    "list_actions",
    "new_action",
    "record_action",
    "summary_of",
    "write_action",
]
