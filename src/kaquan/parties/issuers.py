"""Issuers: create, rename, get, list."""

from functools import cache
from uuid import UUID
from zoneinfo import available_timezones

from msgspec.structs import asdict

from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix
from kaquan.kit.outcomes import Refusal
from kaquan.kit.paging import Page
from kaquan.parties import store
from kaquan.parties.lists import cut_parties
from kaquan.parties.outcomes import missing, taken, unknown_time_zone
from kaquan.parties.types import Issuer, Search


@cache
def time_zones() -> frozenset[str]:
    """Every time zone that an issuer may have."""
    return frozenset(available_timezones())  # reads a folder of some hundred files: once


async def create_issuer(
    pool: Pool, clock: Clock, ids: Ids, *, book_id: int, code: str, name: str, time_zone: str
) -> Issuer | Refusal:
    """A new issuer. Refused: ``invalid_field`` (time_zone), ``already_exists`` (code)."""
    if time_zone not in time_zones():
        return unknown_time_zone()
    issuer = Issuer(ids.new(), book_id, code, name, time_zone, clock.now())
    refused_by = await store.post_party(pool, "insert_issuer", asdict(issuer))
    if refused_by is None:
        return issuer
    assert refused_by == "parties_issuer_code", refused_by
    (existing,) = await store.load_issuers(pool, book_id, Search(code=code))
    return taken("code", code, prefix=Prefix.ISSUER, existing=existing.id)


async def change_issuer(pool: Pool, *, book_id: int, id_: UUID, name: str | None) -> Issuer | Refusal:
    """Rename an issuer (None leaves the name). Refused: ``not_found``."""
    await store.post_party(pool, "change_issuer", {"book_id": book_id, "id": id_, "name": name})
    return await get_issuer(pool, book_id=book_id, id_=id_)


async def get_issuer(pool: Pool, *, book_id: int, id_: UUID) -> Issuer | Refusal:
    """The issuer with this id. Refused: ``not_found``."""
    found = await store.load_issuers(pool, book_id, Search(), id_)
    return found[0] if found else missing("issuer")


async def list_issuers(pool: Pool, *, book_id: int, search: Search) -> Page[Issuer]:
    """Issuers of a book, the newest first; ``search`` may narrow by code and name."""
    return cut_parties(await store.load_issuers(pool, book_id, search), search)
