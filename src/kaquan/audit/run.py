"""Run audits over the live book and report."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any
from uuid import UUID

import msgspec

from kaquan.audit import invariants, store
from kaquan.audit.types import Audit, AuditReport, AuditResult, Finding, Row, Value
from kaquan.kit.db import Connection, Pool
from kaquan.kit.ids import Prefix, show_id

SESSIONS = 2
"""Audits that run at once: what one of them keeps busy here and in the database is about one core."""

GROUPS: Mapping[str, tuple[str, ...]] = {
    "evidence": (
        "leaves",
        "log",
        "log_sm",
        "policy",
        "card_events",
        "voucher_events",
        "issues",
        "starts",
        "entries",
        "counters",
        "running_balance",
        "lots",
        "zero_sum",
    ),
}
"""Names for several audits. ``evidence``: history, balances and the log, recomputed from the tables."""

FINDINGS_SHOWN = 100
"""How many findings of one audit a report holds; their number is reported in full."""

PIECE = 250_000
"""Leaves of a piece, of audits that are in pieces: two sessions share them evenly, and a bar moves."""

Progress = Callable[[str, int, int], None]
"""Told before each audit or piece of one, and once at the end: its name, how many are done, how many there are."""

_Work = tuple[Audit, store.Piece | None]

_PREFIXES = {
    "transaction_id": Prefix.TRANSACTION,
    "payment_id": Prefix.TRANSACTION,
    "card_id": Prefix.CARD,
    "transfer_id": Prefix.TRANSFER,
    "change_id": Prefix.POLICY_CHANGE,
    "sale_id": Prefix.SALE,
}


class UnknownAuditError(ValueError):
    """An audit was asked for that does not exist; the message lists those that do."""


@cache
def find_audits() -> Mapping[str, Audit]:
    """Every audit by name: one per file in ``invariants``, in the order of their file names."""
    modules = [import_module(f"{invariants.__name__}.{found.name}") for found in iter_modules(invariants.__path__)]
    return {module.AUDIT.name: module.AUDIT for module in modules}


async def run_audits(
    conninfo_or_pool: str | Pool,
    *,
    names: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> AuditReport:
    """Check the named audits and groups (None: all) against one snapshot of the whole database, all slots and books.

    It holds a session for as long as it takes, two where it opens its own. Raises UnknownAuditError for a name that is
    no audit, and the driver's errors if the database does not answer.
    """
    known = find_audits()
    unknown = [name for name in names or () if name not in known and name not in GROUPS]
    if unknown:
        there = ", ".join([*known, *GROUPS])
        raise UnknownAuditError(f"no such audit: {', '.join(unknown)}; there are: {there}")
    asked = known if names is None else [one for name in names for one in GROUPS.get(name, (name,))]
    chosen = [known[name] for name in dict.fromkeys(asked)]
    started = time.perf_counter()
    # a pool belongs to a process that has other work: there one session must do
    sessions = SESSIONS if isinstance(conninfo_or_pool, str) else 1
    done: dict[_Work, AuditResult] = {}
    try:
        async with store.open_snapshot(conninfo_or_pool, sessions=sessions) as (opened, as_of):
            # those in pieces come last: a session that finds no other audit left takes the next piece
            work: list[_Work] = [(audit, None) for audit in chosen if not audit.in_pieces]
            if len(work) < len(chosen):
                pieces = await store.read_pieces(opened[0], leaves=PIECE)
                work += [(audit, piece) for audit in chosen if audit.in_pieces for piece in pieces]
            waiting = iter(work)

            async def take_turns(connection: Connection) -> None:
                for audit, piece in waiting:
                    if progress is not None:
                        progress(audit.name, len(done), len(work))
                    done[audit, piece] = await _run(connection, audit, piece)

            async with asyncio.TaskGroup() as tasks:
                for session in opened:
                    tasks.create_task(take_turns(session))
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None  # the other one was cancelled
    if progress is not None:
        progress("", len(done), len(work))
    results = [_together([done[one] for one in work if one[0] is audit]) for audit in chosen]
    return AuditReport(
        as_of=as_of,
        holds=all(result.holds for result in results),
        duration_ms=_since_ms(started),
        audits=tuple(results),
    )


def _together(pieces: Sequence[AuditResult]) -> AuditResult:
    """The result of an audit from those of its pieces, in their order."""
    return msgspec.structs.replace(
        pieces[0],
        holds=all(piece.holds for piece in pieces),
        checked=sum(piece.checked for piece in pieces),
        duration_ms=sum(piece.duration_ms for piece in pieces),
        finding_count=sum(piece.finding_count for piece in pieces),
        findings=tuple(finding for piece in pieces for finding in piece.findings)[:FINDINGS_SHOWN],
    )


async def _run(connection: Connection, audit: Audit, piece: store.Piece | None) -> AuditResult:
    started = time.perf_counter()
    checked = await store.count_rows(connection, audit.count_sql, piece=piece)
    judge = audit.judge if audit.begin is None else audit.begin()
    if judge is None:
        rows, found = await store.read_findings(connection, audit.sql, limit=FINDINGS_SHOWN, piece=piece)
    else:
        rows, found = [], 0
        chunks = store.stream_chunks(connection, audit.sql) if audit.read is None else audit.read(connection)
        async for chunk in chunks:
            wrong = await asyncio.to_thread(judge, chunk)  # the event loop stays free
            rows += wrong[: FINDINGS_SHOWN - len(rows)]
            found += len(wrong)
    return AuditResult(
        name=audit.name,
        proves_en=audit.proves_en,
        proves_zh=audit.proves_zh,
        reading_en=audit.reading_en,
        reading_zh=audit.reading_zh,
        holds=found == 0,
        counts=audit.counts,
        checked=checked,
        duration_ms=_since_ms(started),
        finding_count=found,
        findings=tuple(show_finding(row) for row in rows),
    )


def show_finding(row: Row) -> Finding:
    """A row of an audit's SQL as people see it: ids as the API shows them, those that are null left out."""
    facts = dict(row)
    what, expected, actual = facts.pop("what"), facts.pop("expected"), facts.pop("actual")
    ids: dict[str, Value] = {}
    for name, value in facts.items():
        if value is None:
            continue
        if name == "account_id":
            ids[name] = f"acc_{facts['slot']}_{value}"
        else:
            ids[name] = show_id(_PREFIXES[name], value) if name in _PREFIXES else _show(value)
    return Finding(ids, what, _show(expected), _show(actual))


def _show(value: Any) -> Value:
    """A database value that JSON can carry without loss."""
    if value is None or isinstance(value, int | str):
        return value
    if isinstance(value, Decimal) and value == value.to_integral_value():
        return int(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, UUID):
        return value.hex
    return str(value)


def _since_ms(started: float) -> int:
    return round((time.perf_counter() - started) * 1000)
