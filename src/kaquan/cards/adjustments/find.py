"""Adjustments: get and list."""

from collections.abc import Sequence
from uuid import UUID

from kaquan.cards.adjustments import store
from kaquan.cards.adjustments.types import Adjustment, AdjustmentSearch
from kaquan.cards.outcomes import missing
from kaquan.kit.db import Pool
from kaquan.kit.outcomes import Refusal
from kaquan.kit.paging import Page, cut_page
from kaquan.ledger import slot_of


async def get_adjustment(
    pool: Pool, *, book_id: int, slots: Sequence[int], adjustment_id: UUID
) -> Adjustment | Refusal:
    """The adjustment with this id. Refused: ``not_found``."""
    slot = slot_of(adjustment_id, slots)
    search = AdjustmentSearch(limit=1)
    found = await store.load_adjustments(pool, book_id=book_id, slots=[slot], search=search, id_=adjustment_id)
    return found[0] if found else missing("adjustment")


async def list_adjustments(
    pool: Pool, *, book_id: int, slots: Sequence[int], search: AdjustmentSearch
) -> Page[Adjustment]:
    """Adjustments of a book, the newest first; ``search`` may narrow by card, reason, direction and time."""
    asked = slots if search.card_id is None else [slot_of(search.card_id, slots)]
    rows = await store.load_adjustments(pool, book_id=book_id, slots=asked, search=search)
    return cut_page(rows, limit=search.limit, last_id=rows[search.limit - 1].id if len(rows) > search.limit else None)
