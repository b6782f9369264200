"""Vouchers: get, list, by code, and what happened to one."""

from collections.abc import Sequence
from uuid import UUID

from kaquan.kit.db import Pool
from kaquan.kit.outcomes import Refusal
from kaquan.kit.paging import Page, cut_page
from kaquan.ledger import slot_of
from kaquan.vault import Keyring
from kaquan.vouchers import store
from kaquan.vouchers.codes import VOUCHER_CODE, tidy
from kaquan.vouchers.outcomes import missing
from kaquan.vouchers.types import Happened, Search, Voucher, VoucherBatch, VoucherSearch


async def get_voucher(pool: Pool, *, book_id: int, slots: Sequence[int], voucher_id: UUID) -> Voucher | Refusal:
    """The voucher with this id. Refused: ``not_found``."""
    slot = slot_of(voucher_id, slots)
    found = await store.load_vouchers_named(pool, book_id=book_id, slots=[slot], ids=[voucher_id])
    return found[0] if found else missing("voucher")


async def find_by_code(
    pool: Pool, keyring: Keyring, *, book_id: int, slots: Sequence[int], code: str
) -> Voucher | Refusal:
    """The voucher with this code; its caller counts ``not_found`` as a guess. Refused: ``not_found`` (code)."""
    lookups = [lookup for _, lookup in keyring.lookups(tidy(code), VOUCHER_CODE)]
    return await store.load_voucher_by_code(pool, book_id=book_id, slots=slots, lookups=lookups) or missing(
        "voucher", "code"
    )


async def list_vouchers(pool: Pool, *, book_id: int, slots: Sequence[int], search: VoucherSearch) -> Page[Voucher]:
    """Vouchers of a book, the newest first; ``search`` may narrow by template, batch, holder, status and more."""
    rows = await store.load_vouchers(pool, book_id, slots, search)
    return cut_page(rows, limit=search.limit, last_id=rows[search.limit - 1].id if len(rows) > search.limit else None)


async def list_voucher_events(
    pool: Pool, *, book_id: int, slots: Sequence[int], voucher_id: UUID, before_id: UUID | None = None, limit: int
) -> Page[Happened] | Refusal:
    """What happened to a voucher, the newest first. Refused: ``not_found``."""
    voucher = await get_voucher(pool, book_id=book_id, slots=slots, voucher_id=voucher_id)
    if isinstance(voucher, Refusal):
        return voucher
    rows = await store.load_events(
        pool, book_id=book_id, slot=voucher.slot, voucher_id=voucher_id, before_id=before_id, limit=limit
    )
    return cut_page(rows, limit=limit, last_id=rows[limit - 1].id if len(rows) > limit else None)


async def get_batch(pool: Pool, *, book_id: int, batch_id: UUID) -> VoucherBatch | Refusal:
    """The batch with this id. Refused: ``not_found``."""
    found = await store.load_batches(pool, book_id, Search(), batch_id)
    return found[0] if found else missing("voucher batch")


async def list_batches(pool: Pool, *, book_id: int, search: Search) -> Page[VoucherBatch]:
    """Batches of a book, the newest first; ``search`` may narrow by name and template."""
    rows = await store.load_batches(pool, book_id, search)
    return cut_page(rows, limit=search.limit, last_id=rows[search.limit - 1].id if len(rows) > search.limit else None)
