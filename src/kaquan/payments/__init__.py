"""Payments: spend at a terminal, capture and void what was set aside, refund, load.

Each verb is a pure planner over facts; the :class:`Desk` loads the facts of a batch, plans, posts and answers. This
room never reaches a network, never reads a clock in a decision, and writes only through the ledger's posting call.
"""

from kaquan.payments.desk import LANES, Desk, Known
from kaquan.payments.read import PaymentSearch, get_payment, list_payments
from kaquan.payments.timeline import TimelineItem, read_timeline
from kaquan.payments.types import (
    Capture,
    Command,
    Load,
    Payment,
    PaymentKind,
    PaymentStatus,
    Plan,
    PocketAmount,
    Receipt,
    Refund,
    Request,
    Spend,
    Void,
)

__all__ = [
    "LANES",
    "Capture",
    "Command",
    "Desk",
    "Known",
    "Load",
    "Payment",
    "PaymentKind",
    "PaymentSearch",
    "PaymentStatus",
    "Plan",
    "PocketAmount",
    "Receipt",
    "Refund",
    "Request",
    "Spend",
    "TimelineItem",
    "Void",
    "get_payment",
    "list_payments",
    "read_timeline",
]
