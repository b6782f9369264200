"""Proposals: get and list."""

from datetime import datetime
from uuid import UUID

from kaquan.kit.db import Pool
from kaquan.kit.outcomes import Refusal
from kaquan.kit.paging import Page, cut_page
from kaquan.parties.outcomes import missing
from kaquan.parties.staff import store
from kaquan.parties.staff.types import Approval, ApprovalSearch


async def get_approval(pool: Pool, *, book_id: int, id_: UUID) -> Approval | Refusal:
    """The proposal with this id. Refused: ``not_found``."""
    async with pool.connection() as connection:
        found = await store.read_approval(connection, book_id=book_id, id_=id_)
    return missing("approval") if found is None else found


async def list_approvals(pool: Pool, *, book_id: int, search: ApprovalSearch, now: datetime) -> Page[Approval]:
    """Proposals of a book, the newest first; ``search`` may narrow by kind, subject, status at ``now`` and proposer."""
    rows = await store.load_approvals(pool, book_id=book_id, search=search, now=now)
    has_more = len(rows) > search.limit
    return cut_page(rows, limit=search.limit, last_id=rows[search.limit - 1].id if has_more else None)
