"""Stores: create, change, get, list."""

from uuid import UUID

from msgspec.structs import asdict, replace

from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix
from kaquan.kit.outcomes import BUSY, Refusal
from kaquan.kit.paging import Page
from kaquan.parties import store
from kaquan.parties.legal import given_fields
from kaquan.parties.lists import cut_parties
from kaquan.parties.outcomes import half_a_place, missing, taken
from kaquan.parties.trail import SYSTEM, Actor, differences, new_action, summary_of
from kaquan.parties.types import Search, Store, StoreChange, StoreProfile

_NOTHING_MORE = StoreProfile()


async def create_store(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    *,
    book_id: int,
    merchant_id: UUID,
    code: str,
    name: str,
    profile: StoreProfile = _NOTHING_MORE,
    by: Actor = SYSTEM,
) -> Store | Refusal:
    """A new store of a merchant.

    Refused: ``invalid_field`` (latitude_udeg), ``not_found`` (merchant_id), ``already_exists`` (code).
    """
    made = Store(ids.new(), book_id, merchant_id, code, name, clock.now(), **given_fields(profile))
    if not _is_whole(made):
        return half_a_place()
    action = new_action(
        clock,
        ids,
        book_id=book_id,
        by=by,
        kind="store.created",
        prefix=Prefix.STORE,
        subject_id=made.id,
        after=summary_of(made),
    )
    refused_by = await store.post_party(pool, "insert_store", asdict(made), action)
    if refused_by is None:
        return made
    if refused_by == "parties_store_merchant":
        return missing("merchant", "merchant_id")
    assert refused_by == "parties_store_code", refused_by
    (existing,) = await store.load_stores(pool, book_id, Search(code=code))
    return taken("code", code, prefix=Prefix.STORE, existing=existing.id)


async def change_store(
    pool: Pool, clock: Clock, ids: Ids, *, book_id: int, id_: UUID, change: StoreChange, by: Actor = SYSTEM
) -> Store | Refusal:
    """Change what ``change`` names. Refused: ``not_found``, ``invalid_field`` (latitude_udeg), ``busy``."""
    fields = given_fields(change)
    for _ in range(store.TRIES):
        before = await get_store(pool, book_id=book_id, id_=id_)
        if isinstance(before, Refusal):
            return before
        after = replace(before, **fields)
        if after == before:
            return before
        if not _is_whole(after):
            return half_a_place()
        was, is_ = differences(before, after)
        action = new_action(
            clock,
            ids,
            book_id=book_id,
            by=by,
            kind="store.changed",
            prefix=Prefix.STORE,
            subject_id=id_,
            before=was,
            after=is_,
        )
        if await store.post_change(pool, "change_store", asdict(after), action):
            return replace(after, version=before.version + 1)
    return BUSY.refuse()


def _is_whole(made: Store) -> bool:
    return (made.latitude_udeg is None) == (made.longitude_udeg is None)


async def get_store(pool: Pool, *, book_id: int, id_: UUID) -> Store | Refusal:
    """The store with this id. Refused: ``not_found``."""
    found = await store.load_stores(pool, book_id, Search(), id_)
    return found[0] if found else missing("store")


async def list_stores(pool: Pool, *, book_id: int, search: Search) -> Page[Store]:
    """Stores of a book, the newest first; ``search`` may narrow by code, name and merchant."""
    return cut_parties(await store.load_stores(pool, book_id, search), search)
