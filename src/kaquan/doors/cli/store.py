"""What the commands ask the database themselves."""

from collections.abc import Generator, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from kaquan.kit.db import app_conninfo, connect_sync, load_queries

_QUERIES = load_queries(__package__)
_CHUNK = 10_000


class MissingTransaction(NamedTuple):
    """A transaction that is elsewhere and not here; what is known of it there."""

    id: UUID
    kind: str | None = None
    recorded_at: datetime | None = None
    reference: str | None = None
    request_key: str | None = None


def has_cards(conninfo: str) -> bool:
    """Whether a card number or a customer was ever stored here, which only its key ring can find again."""
    with connect_sync(app_conninfo(conninfo)) as connection:
        row = connection.execute(_QUERIES["has_cards"]).fetchone()
    return row is not None and bool(row[0])


def log_in(conninfo: str, *, as_application: bool = False) -> None:
    """Connect once, as the application does if asked to; raises the driver's errors."""
    connect_sync(app_conninfo(conninfo) if as_application else conninfo).close()


def read_archiving(conninfo: str) -> dict[str, str | int | datetime | None]:
    """The last segment that was archived and when, and whether the archive refuses one since."""
    with connect_sync(conninfo) as connection:
        row = connection.execute(_QUERIES["read_archiving"]).fetchone()
    assert row is not None
    return dict(zip(("archived_segment", "archived_at", "archive_fails_since"), row, strict=True))


def read_unknown(conninfo: str, ids: Sequence[UUID]) -> list[UUID]:
    """Those of ``ids`` that are no transaction of this database, in their order."""
    with connect_sync(app_conninfo(conninfo)) as connection:
        rows = connection.execute(_QUERIES["read_known"], {"ids": list(ids)}).fetchall()
    known = {row[0] for row in rows}
    return [id_ for id_ in ids if id_ not in known]


def read_missing(conninfo: str, other: str) -> list[MissingTransaction]:
    """The transactions of the database ``other`` that this one does not have, in the order of their recording."""
    here, there = _stream(conninfo, "stream_transaction_ids"), _stream(other, "stream_transactions")
    missing = []
    known = next(here, None)
    for slot, *facts in there:
        key = slot, facts[0]
        while known is not None and (known[0], known[1]) < key:
            known = next(here, None)
        if known is None or (known[0], known[1]) != key:
            missing.append(MissingTransaction(*facts))
    here.close()
    return sorted(missing, key=lambda one: (one.recorded_at, one.id))


def _stream(conninfo: str, name: str) -> Generator[tuple[Any, ...], None, None]:
    """The rows of a statement as they come: of a whole table, so never all at once and without a time limit."""
    with connect_sync(app_conninfo(conninfo)) as connection:
        connection.execute("SET LOCAL statement_timeout = 0")
        with connection.cursor(name=name) as cursor:
            cursor.itersize = _CHUNK
            yield from cursor.execute(_QUERIES[name])
