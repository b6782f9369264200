"""Merchants: create, change, get, list."""

from uuid import UUID

from msgspec.structs import asdict

from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix
from kaquan.kit.outcomes import Refusal
from kaquan.kit.paging import Page
from kaquan.parties import store
from kaquan.parties.lists import cut_parties
from kaquan.parties.outcomes import missing, taken
from kaquan.parties.types import Merchant, Search


async def create_merchant(
    pool: Pool, clock: Clock, ids: Ids, *, book_id: int, code: str, name: str, trade: str | None
) -> Merchant | Refusal:
    """A new merchant. Refused: ``already_exists`` (code)."""
    merchant = Merchant(ids.new(), book_id, code, name, trade, clock.now())
    refused_by = await store.post_party(pool, "insert_merchant", asdict(merchant))
    if refused_by is None:
        return merchant
    assert refused_by == "parties_merchant_code", refused_by
    (existing,) = await store.load_merchants(pool, book_id, Search(code=code))
    return taken("code", code, prefix=Prefix.MERCHANT, existing=existing.id)


async def change_merchant(
    pool: Pool, *, book_id: int, id_: UUID, name: str | None, trade: str | None
) -> Merchant | Refusal:
    """Change the name or the trade (None leaves it). Refused: ``not_found``."""
    await store.post_party(pool, "change_merchant", {"book_id": book_id, "id": id_, "name": name, "trade": trade})
    return await get_merchant(pool, book_id=book_id, id_=id_)


async def get_merchant(pool: Pool, *, book_id: int, id_: UUID) -> Merchant | Refusal:
    """The merchant with this id. Refused: ``not_found``."""
    found = await store.load_merchants(pool, book_id, Search(), id_)
    return found[0] if found else missing("merchant")


async def list_merchants(pool: Pool, *, book_id: int, search: Search) -> Page[Merchant]:
    """Merchants of a book, the newest first; ``search`` may narrow by code and name."""
    return cut_parties(await store.load_merchants(pool, book_id, search), search)
