"""Cursor pagination: newest first, a page ends with an opaque cursor to the next one."""

import base64
import binascii
from collections.abc import Sequence
from typing import Generic, TypeVar
from uuid import UUID

import msgspec

Row = TypeVar("Row")

DEFAULT_LIMIT = 50
MAX_LIMIT = 200


class Page(msgspec.Struct, Generic[Row], frozen=True):
    """One page of a list. ``next_cursor`` is None on the last page."""

    data: list[Row]
    next_cursor: str | None = None


def show_cursor(last_id: UUID) -> str:
    """A cursor behind which the next page begins."""
    return base64.urlsafe_b64encode(last_id.bytes).rstrip(b"=").decode()


def read_cursor(text: str) -> UUID | None:
    """The id that a cursor stands for, or None if it is not a cursor of ours."""
    try:
        raw = base64.b64decode(text.encode("ascii") + b"==", altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
    return UUID(bytes=raw) if len(raw) == 16 else None


def cut_page(rows: Sequence[Row], *, limit: int, last_id: UUID | None) -> Page[Row]:
    """A page of at most ``limit`` of ``rows``, which were read with one row more than the limit.

    ``last_id`` is the id of the last row that the page shows, when there are more.
    """
    if len(rows) > limit and last_id is not None:
        return Page(list(rows[:limit]), show_cursor(last_id))
    return Page(list(rows[:limit]))
