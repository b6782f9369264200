"""The query parameters that every list takes."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from kaquan.doors.http.fields import Cursor
from kaquan.kit.paging import DEFAULT_LIMIT, MAX_LIMIT, read_cursor

Moment = Annotated[datetime, Meta(tz=True)]


class ListQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Newest first. ``cursor`` is the ``next_cursor`` of the page before; both times are exclusive."""

    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    cursor: Cursor | None = None
    created_after: Moment | None = None
    created_before: Moment | None = None


def after_id(query: ListQuery) -> UUID | None:
    """The id behind which the asked page begins."""
    return None if query.cursor is None else read_cursor(query.cursor)
