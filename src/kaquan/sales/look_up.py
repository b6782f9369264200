"""Look purchases up: one with what was paid for it, a list, the cards of one."""

from uuid import UUID

from kaquan.kit.db import Pool
from kaquan.kit.outcomes import Refusal
from kaquan.kit.paging import Page, cut_page
from kaquan.sales import store
from kaquan.sales.outcomes import missing
from kaquan.sales.types import Item, ItemStatus, Sale, SaleKind, SaleSearch, SaleShown


async def get_sale(
    pool: Pool, *, book_id: int, slots: tuple[int, ...], sale_id: UUID, kind: SaleKind
) -> SaleShown | Refusal:
    """The purchase of this kind with this id. Refused: ``not_found``."""
    sale = await store.load_sale(pool, book_id=book_id, id_=sale_id)
    if sale is None or sale.kind is not kind:
        return missing(kind)
    return await show_sale(pool, slots=slots, sale=sale)


async def show_sale(pool: Pool, *, slots: tuple[int, ...], sale: Sale) -> SaleShown:
    """A purchase with its payments and the state of its cards."""
    payments = await store.load_payments(pool, book_id=sale.book_id, sale_id=sale.id)
    return SaleShown(sale, payments, await store.count_items(pool, sale, slots))


async def list_sales(pool: Pool, *, book_id: int, slots: tuple[int, ...], search: SaleSearch) -> Page[Sale]:
    """Purchases of a book, the newest first."""
    rows = await store.load_sales(pool, book_id=book_id, slots=slots, search=search)
    return cut_page(rows, limit=search.limit, last_id=rows[search.limit - 1].id if len(rows) > search.limit else None)


async def list_sale_cards(
    pool: Pool,
    *,
    book_id: int,
    slots: tuple[int, ...],
    sale_id: UUID,
    status: ItemStatus | None = None,
    after_id: UUID | None = None,
    limit: int,
) -> Page[Item] | Refusal:
    """The cards of a sale, the newest first. Refused: ``not_found``."""
    sale = await store.load_sale(pool, book_id=book_id, id_=sale_id)
    if sale is None or sale.kind is not SaleKind.SALE:
        return missing("sale")
    statuses = None if status is None else [status]
    rows = await store.load_items(pool, sale, slots, statuses=statuses, after_id=after_id, limit=limit + 1)
    return cut_page(rows, limit=limit, last_id=rows[limit - 1].card_id if len(rows) > limit else None)
