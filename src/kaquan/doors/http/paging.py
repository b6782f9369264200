"""The query parameters that every list takes."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta
from msgspec.structs import force_setattr

from kaquan.doors.http.fields import Cursor
from kaquan.kit.paging import DEFAULT_LIMIT, MAX_LIMIT, read_cursor

_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)

Moment = Annotated[datetime, Meta(tz=True)]


class ListQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Newest first. ``cursor`` is the ``next_cursor`` of the page before; both times are exclusive."""

    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    cursor: Cursor | None = None
    created_after: Moment | None = None
    created_before: Moment | None = None

    def __post_init__(self) -> None:
        force_setattr(self, "created_after", in_utc(self.created_after))
        force_setattr(self, "created_before", in_utc(self.created_before))


def in_utc(moment: datetime | None) -> datetime | None:
    """The same moment in UTC: PostgreSQL takes no offset beyond 15:59. What lies outside the calendar is its end."""
    if moment is None:
        return None
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return _FIRST if moment.year == 1 else _LAST


def after_id(query: ListQuery) -> UUID | None:
    """The id behind which the asked page begins."""
    return None if query.cursor is None else read_cursor(query.cursor)
