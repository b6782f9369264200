"""Audits: the invariants of the live book, checked against the book itself.

Each file in ``invariants/`` declares one; adding a file adds an audit. All audits of a run read one snapshot, so they
speak of one moment. This room takes no lock that a payment could wait for, repairs nothing, and trusts no counter that
it can add up again. It writes nothing but how far :func:`follow_log` came. A run keeps its snapshot open, so rows that
died meanwhile are cleaned up after it.
"""

from kaquan.audit.follow import Followed, follow_log
from kaquan.audit.published import check_published
from kaquan.audit.run import UnknownAuditError, find_audits, run_audits
from kaquan.audit.types import Audit, AuditReport, AuditResult, Finding

__all__ = [
    "Audit",
    "AuditReport",
    "AuditResult",
    "Finding",
    "Followed",
    "UnknownAuditError",
    "check_published",
    "find_audits",
    "follow_log",
    "run_audits",
]
