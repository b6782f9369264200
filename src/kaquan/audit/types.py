"""What an audit declares and what it reports."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from kaquan.kit.db import Connection

Value = int | str | None
Row = Mapping[str, Any]
"""A row of an audit's SQL by column name: ``what``, ``expected``, ``actual``; other columns are ids."""

Judge = Callable[[Sequence[tuple[Any, ...]]], list[Row]]
"""Looks at a chunk of rows and returns what is wrong with them: no clock, no database."""


Read = Callable[[Connection], AsyncIterator[Sequence[tuple[Any, ...]]]]
"""Reads what a judge looks at, in chunks, where one statement would have to sort or keep it all."""


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """An invariant, declared.

    ``count_sql`` counts what is checked (``counts`` names it in the plural). ``sql`` returns one row per
    thing that is wrong and none when the invariant holds. Where Python must judge, ``sql`` returns all rows,
    in chunks, and ``judge`` what is wrong with them; one that must remember the chunks before is made by ``begin``
    for each run, and ``read`` may read in place of ``sql``. Neither text has parameters: all slots and books are
    checked at once. But ``in_pieces``: both are about the keys (slot, id) after
    ``begin_slot`` and ``begin_id``, up to ``end_slot`` and ``end_id``, and ``sql`` merges tables along them. Sessions
    share the pieces; the planner's parallel workers would each group all entries again.
    """

    name: str
    proves_en: str
    proves_zh: str
    reading_en: str
    reading_zh: str
    counts: str
    count_sql: str
    sql: str = ""
    in_pieces: bool = False
    read: Read | None = None
    judge: Judge | None = None
    begin: Callable[[], Judge] | None = None


class Finding(msgspec.Struct, frozen=True):
    """Something is not as it must be: where (``ids`` in public form), which fact, and its two values."""

    ids: dict[str, Value]
    what: str
    expected: Value
    actual: Value


class AuditResult(msgspec.Struct, frozen=True):
    """One audit as it went. ``findings`` holds the first of them; ``finding_count`` is how many there are."""

    name: str
    proves_en: str
    proves_zh: str
    reading_en: str
    reading_zh: str
    holds: bool
    counts: str
    checked: int
    duration_ms: int
    finding_count: int
    findings: tuple[Finding, ...]


class AuditReport(msgspec.Struct, frozen=True):
    """Every audit that was asked for, all about one moment: what was committed at ``as_of`` (UTC)."""

    as_of: datetime
    holds: bool
    duration_ms: int
    audits: tuple[AuditResult, ...]
