"""Ends of programmes: get and list."""

from datetime import datetime
from uuid import UUID

from kaquan.cards.ending import store
from kaquan.cards.ending.types import EndSearch, ProgrammeEnd
from kaquan.cards.outcomes import missing
from kaquan.kit.db import Pool
from kaquan.kit.outcomes import Refusal
from kaquan.kit.paging import Page, cut_page


async def get_end(pool: Pool, *, book_id: int, end_id: UUID) -> ProgrammeEnd | Refusal:
    """The end with this id, withdrawn or not. Refused: ``not_found``."""
    return await store.load_end(pool, book_id=book_id, id_=end_id) or missing("programme end")


async def list_ends(pool: Pool, *, book_id: int, search: EndSearch) -> Page[ProgrammeEnd]:
    """Ends of a book, the newest first; ``search`` may narrow by programme and time."""
    rows = await store.load_ends(pool, book_id=book_id, search=search)
    return cut_page(rows, limit=search.limit, last_id=rows[search.limit - 1].id if len(rows) > search.limit else None)


async def list_standing_ends(pool: Pool, *, ended_since: datetime) -> list[ProgrammeEnd]:
    """Every end of any book that is announced or withdrawn, and was not over before ``ended_since``. For the worker."""
    return await store.load_for_worker(pool, ended_since=ended_since)
