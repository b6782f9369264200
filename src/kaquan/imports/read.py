"""Look imports up."""

from uuid import UUID

from kaquan.imports import store
from kaquan.imports.types import CardImport, LineProblem, LineStatus, UsedCard
from kaquan.kit.db import Pool
from kaquan.kit.outcomes import NOT_FOUND, Refusal
from kaquan.kit.paging import DEFAULT_LIMIT, Page, cut_page
from kaquan.vault import mask_number

_WHY = {
    LineStatus.TAKEN: ("is another card's since the file was checked", "校验后该卡号已被其他卡使用"),
    LineStatus.LEFT_OUT: ("was not imported: the programme stopped before", "未导入：卡种已停止"),
}


async def get_import(pool: Pool, *, book_id: int, slots: tuple[int, ...], import_id: UUID) -> CardImport | Refusal:
    """An import, as far as it has come, with every problem of its file. Refused: ``not_found``."""
    found = await store.load_import(pool, slots, book_id=book_id, import_id=import_id)
    return NOT_FOUND.refuse("id", what="import") if found is None else found


async def list_not_imported(pool: Pool, *, slots: tuple[int, ...], card_import: CardImport) -> list[LineProblem]:
    """Every line that became no card and will not, with the reason: the bad ones of the file, or those that another
    card has the number of since, or that were left out when the programme stopped."""
    problems = list(card_import.problems)
    for status, (en, zh) in _WHY.items():
        left = await store.load_not_imported(pool, slots, import_id=card_import.id, status=status)
        problems += [LineProblem(line, "number", mask_number(last4), en, zh) for line, last4 in left]
    return sorted(problems, key=lambda problem: problem.line)


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
