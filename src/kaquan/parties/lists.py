"""How every list of this room is cut into pages."""

from collections.abc import Sequence
from typing import Protocol, TypeVar
from uuid import UUID

from kaquan.kit.paging import Page, cut_page
from kaquan.parties.types import Search


class _Party(Protocol):
    @property
    def id(self) -> UUID: ...


Party = TypeVar("Party", bound=_Party)


def cut_parties(rows: Sequence[Party], search: Search) -> Page[Party]:
    """The page that ``search`` asked for, of rows that were read with one more than its limit."""
    has_more = len(rows) > search.limit
    return cut_page(rows, limit=search.limit, last_id=rows[search.limit - 1].id if has_more else None)
