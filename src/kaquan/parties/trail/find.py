"""Search the trail."""

from kaquan.kit.db import Pool
from kaquan.kit.paging import Page, cut_page
from kaquan.parties.trail import store
from kaquan.parties.trail.types import Action, ActionSearch


async def list_actions(pool: Pool, *, book_id: int, search: ActionSearch) -> Page[Action]:
    """Lines of a book's trail, the newest first; ``search`` may narrow by kind, subject, actor and time."""
    rows = await store.load_actions(pool, book_id=book_id, search=search)
    has_more = len(rows) > search.limit
    return cut_page(rows, limit=search.limit, last_id=rows[search.limit - 1].id if has_more else None)
