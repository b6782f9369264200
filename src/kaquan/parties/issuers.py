"""Issuers: create, change, get, list."""

from functools import cache
from uuid import UUID
from zoneinfo import available_timezones

from msgspec.structs import asdict, replace

from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix
from kaquan.kit.outcomes import BUSY, Refusal
from kaquan.kit.paging import Page
from kaquan.parties import store
from kaquan.parties.legal import check_codes, given_fields
from kaquan.parties.lists import cut_parties
from kaquan.parties.outcomes import missing, taken, unknown_time_zone
from kaquan.parties.trail import SYSTEM, Actor, differences, new_action, summary_of
from kaquan.parties.types import Issuer, IssuerChange, IssuerProfile, Search

_NOTHING_MORE = IssuerProfile()


@cache
def time_zones() -> frozenset[str]:
    """Every time zone that an issuer may have."""
    return frozenset(available_timezones())  # reads a folder of some hundred files: once


async def create_issuer(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    *,
    book_id: int,
    code: str,
    name: str,
    time_zone: str,
    profile: IssuerProfile = _NOTHING_MORE,
    by: Actor = SYSTEM,
) -> Issuer | Refusal:
    """A new issuer. Refused: ``invalid_field`` (time_zone, legal_code, group_code), ``already_exists`` (code)."""
    if time_zone not in time_zones():
        return unknown_time_zone()
    more = given_fields(profile)
    if (invalid := check_codes(more)) is not None:
        return invalid
    issuer = Issuer(ids.new(), book_id, code, name, time_zone, clock.now(), **more)
    action = new_action(
        clock,
        ids,
        book_id=book_id,
        by=by,
        kind="issuer.created",
        prefix=Prefix.ISSUER,
        subject_id=issuer.id,
        after=summary_of(issuer),
    )
    refused_by = await store.post_party(pool, "insert_issuer", asdict(issuer), action)
    if refused_by is None:
        return issuer
    assert refused_by == "parties_issuer_code", refused_by
    (existing,) = await store.load_issuers(pool, book_id, Search(code=code))
    return taken("code", code, prefix=Prefix.ISSUER, existing=existing.id)


async def change_issuer(
    pool: Pool, clock: Clock, ids: Ids, *, book_id: int, id_: UUID, change: IssuerChange, by: Actor = SYSTEM
) -> Issuer | Refusal:
    """Change what ``change`` names. Refused: ``not_found``, ``invalid_field`` (legal_code, group_code), ``busy``."""
    fields = given_fields(change)
    if (invalid := check_codes(fields)) is not None:
        return invalid
    for _ in range(store.TRIES):
        before = await get_issuer(pool, book_id=book_id, id_=id_)
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
            kind="issuer.changed",
            prefix=Prefix.ISSUER,
            subject_id=id_,
            before=was,
            after=is_,
        )
        if await store.post_change(pool, "change_issuer", asdict(after), action):
            return replace(after, version=before.version + 1)
    return BUSY.refuse()


async def get_issuer(pool: Pool, *, book_id: int, id_: UUID) -> Issuer | Refusal:
    """The issuer with this id. Refused: ``not_found``."""
    found = await store.load_issuers(pool, book_id, Search(), id_)
    return found[0] if found else missing("issuer")


async def list_issuers(pool: Pool, *, book_id: int, search: Search) -> Page[Issuer]:
    """Issuers of a book, the newest first; ``search`` may narrow by code and name."""
    return cut_parties(await store.load_issuers(pool, book_id, search), search)
