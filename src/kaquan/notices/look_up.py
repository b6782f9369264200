"""Look notices up: one with its deliveries and attempts, or a list."""

from collections.abc import Sequence
from uuid import UUID

from kaquan.kit.db import Pool
from kaquan.kit.outcomes import NOT_FOUND, Refusal
from kaquan.kit.paging import Page, cut_page
from kaquan.ledger import slot_of
from kaquan.notices import store
from kaquan.notices.types import FullNotice, Notice, NoticeSearch


async def list_notices(pool: Pool, *, book_id: int, slots: Sequence[int], search: NoticeSearch) -> Page[Notice]:
    """Notices of a book, the newest first."""
    rows = await store.load_notices(pool, book_id, slots, search)
    return cut_page(rows, limit=search.limit, last_id=rows[search.limit - 1].id if len(rows) > search.limit else None)


async def get_notice(pool: Pool, *, book_id: int, slots: Sequence[int], id_: UUID) -> FullNotice | Refusal:
    """A notice with its deliveries and every attempt. Refused: ``not_found``."""
    found = await store.load_notice(pool, book_id=book_id, slot=slot_of(id_, slots), id_=id_)
    return NOT_FOUND.refuse("id", what="notice") if found is None else found
