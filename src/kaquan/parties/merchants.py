"""Merchants: create, change, get, list."""

from uuid import UUID

from msgspec.structs import asdict, replace

from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix
from kaquan.kit.outcomes import BUSY, Refusal
from kaquan.kit.paging import Page
from kaquan.parties import store
from kaquan.parties.legal import check_codes, given_fields
from kaquan.parties.lists import cut_parties
from kaquan.parties.outcomes import missing, taken
from kaquan.parties.trail import SYSTEM, Actor, differences, new_action, summary_of
from kaquan.parties.types import Merchant, MerchantChange, MerchantProfile, Search

_NOTHING_MORE = MerchantProfile()


async def create_merchant(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    *,
    book_id: int,
    code: str,
    name: str,
    trade: str | None,
    profile: MerchantProfile = _NOTHING_MORE,
    by: Actor = SYSTEM,
) -> Merchant | Refusal:
    """A new merchant. Refused: ``invalid_field`` (legal_code, group_code), ``already_exists`` (code)."""
    more = given_fields(profile)
    if (invalid := check_codes(more)) is not None:
        return invalid
    merchant = Merchant(ids.new(), book_id, code, name, trade, clock.now(), **more)
    action = new_action(
        clock,
        ids,
        book_id=book_id,
        by=by,
        kind="merchant.created",
        prefix=Prefix.MERCHANT,
        subject_id=merchant.id,
        after=summary_of(merchant),
    )
    refused_by = await store.post_party(pool, "insert_merchant", asdict(merchant), action)
    if refused_by is None:
        return merchant
    assert refused_by == "parties_merchant_code", refused_by
    (existing,) = await store.load_merchants(pool, book_id, Search(code=code))
    return taken("code", code, prefix=Prefix.MERCHANT, existing=existing.id)


async def change_merchant(
    pool: Pool, clock: Clock, ids: Ids, *, book_id: int, id_: UUID, change: MerchantChange, by: Actor = SYSTEM
) -> Merchant | Refusal:
    """Change what ``change`` names. Refused: ``not_found``, ``invalid_field`` (legal_code, group_code), ``busy``."""
    fields = given_fields(change)
    if (invalid := check_codes(fields)) is not None:
        return invalid
    for _ in range(store.TRIES):
        before = await get_merchant(pool, book_id=book_id, id_=id_)
        if isinstance(before, Refusal):
            return before
        after = replace(before, **fields)
        if after == before:
            return before
        was, is_ = differences(before, after)
        action = new_action(
            clock,
            ids,
            book_id=book_id,
            by=by,
            kind="merchant.changed",
            prefix=Prefix.MERCHANT,
            subject_id=id_,
            before=was,
            after=is_,
        )
        if await store.post_change(pool, "change_merchant", asdict(after), action):
            return replace(after, version=before.version + 1)
    return BUSY.refuse()


async def get_merchant(pool: Pool, *, book_id: int, id_: UUID) -> Merchant | Refusal:
    """The merchant with this id. Refused: ``not_found``."""
    found = await store.load_merchants(pool, book_id, Search(), id_)
    return found[0] if found else missing("merchant")


async def list_merchants(pool: Pool, *, book_id: int, search: Search) -> Page[Merchant]:
    """Merchants of a book, the newest first; ``search`` may narrow by code and name."""
    return cut_parties(await store.load_merchants(pool, book_id, search), search)
