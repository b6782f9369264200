"""Look imports up."""

from uuid import UUID

from kaquan.imports import store
from kaquan.imports.types import CardImport, UsedCard
from kaquan.kit.db import Pool
from kaquan.kit.outcomes import NOT_FOUND, Refusal
from kaquan.kit.paging import DEFAULT_LIMIT, Page, cut_page


async def get_import(pool: Pool, *, book_id: int, slots: tuple[int, ...], import_id: UUID) -> CardImport | Refusal:
    """An import, as far as it has come, with every problem of its file. Refused: ``not_found``."""
    found = await store.load_import(pool, slots, book_id=book_id, import_id=import_id)
    return NOT_FOUND.refuse("id", what="import") if found is None else found


async def list_imports(
    pool: Pool, *, book_id: int, name: str | None = None, after_id: UUID | None = None, limit: int = DEFAULT_LIMIT
) -> Page[CardImport]:
    """Imports of a book, the newest first, without their problems and lines."""
    rows = await store.load_imports(pool, book_id=book_id, name=name, after_id=after_id, limit=limit + 1)
    return cut_page(rows, limit=limit, last_id=rows[limit - 1].id if len(rows) > limit else None)


async def list_used(pool: Pool, *, book_id: int, slots: tuple[int, ...], import_id: UUID) -> list[UsedCard] | Refusal:
    """The cards of an import that were used since, by line. Refused: ``not_found``."""
    if await store.load_import(pool, slots, book_id=book_id, import_id=import_id) is None:
        return NOT_FOUND.refuse("id", what="import")
    return await store.load_used(pool, slots, book_id=book_id, import_id=import_id)
