"""Stores: create, rename, get, list."""

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
from kaquan.parties.types import Search, Store


async def create_store(
    pool: Pool, clock: Clock, ids: Ids, *, book_id: int, merchant_id: UUID, code: str, name: str
) -> Store | Refusal:
    """A new store of a merchant. Refused: ``not_found`` (merchant_id), ``already_exists`` (code)."""
    made = Store(ids.new(), book_id, merchant_id, code, name, clock.now())
    refused_by = await store.post_party(pool, "insert_store", asdict(made))
    if refused_by is None:
        return made
    if refused_by == "parties_store_merchant":
        return missing("merchant", "merchant_id")
    assert refused_by == "parties_store_code", refused_by
    (existing,) = await store.load_stores(pool, book_id, Search(code=code))
    return taken("code", code, prefix=Prefix.STORE, existing=existing.id)


async def change_store(pool: Pool, *, book_id: int, id_: UUID, name: str | None) -> Store | Refusal:
    """Rename a store (None leaves the name). Refused: ``not_found``."""
    await store.post_party(pool, "change_store", {"book_id": book_id, "id": id_, "name": name})
    return await get_store(pool, book_id=book_id, id_=id_)


async def get_store(pool: Pool, *, book_id: int, id_: UUID) -> Store | Refusal:
    """The store with this id. Refused: ``not_found``."""
    found = await store.load_stores(pool, book_id, Search(), id_)
    return found[0] if found else missing("store")


async def list_stores(pool: Pool, *, book_id: int, search: Search) -> Page[Store]:
    """Stores of a book, the newest first; ``search`` may narrow by code, name and merchant."""
    return cut_parties(await store.load_stores(pool, book_id, search), search)
