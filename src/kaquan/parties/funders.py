"""Funders: create, get, list."""

from uuid import UUID

from msgspec.structs import asdict

from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix
from kaquan.kit.outcomes import Refusal
from kaquan.kit.paging import Page
from kaquan.parties import store
from kaquan.parties.legal import check_codes
from kaquan.parties.lists import cut_parties
from kaquan.parties.outcomes import missing, taken
from kaquan.parties.trail import SYSTEM, Actor, new_action, summary_of
from kaquan.parties.types import Funder, FunderKind, Search


async def create_funder(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    *,
    book_id: int,
    code: str,
    name: str,
    kind: FunderKind,
    legal_code: str | None = None,
    by: Actor = SYSTEM,
) -> Funder | Refusal:
    """A new funder. Refused: ``invalid_field`` (legal_code), ``already_exists`` (code)."""
    if legal_code is not None and (invalid := check_codes({"legal_code": legal_code})) is not None:
        return invalid
    funder = Funder(ids.new(), book_id, code, name, kind, legal_code, clock.now())
    action = new_action(
        clock, ids, book_id=book_id, by=by, kind="funder.created", prefix=Prefix.FUNDER, subject_id=funder.id,
        after=summary_of(funder),
    )  # fmt: skip
    refused_by = await store.post_party(pool, "insert_funder", asdict(funder), action)
    if refused_by is None:
        return funder
    assert refused_by == "parties_funder_code", refused_by
    (existing,) = await store.load_funders(pool, book_id, Search(code=code))
    return taken("code", code, prefix=Prefix.FUNDER, existing=existing.id)


async def get_funder(pool: Pool, *, book_id: int, id_: UUID) -> Funder | Refusal:
    """The funder with this id. Refused: ``not_found``."""
    found = await store.load_funders(pool, book_id, Search(), id_)
    return found[0] if found else missing("funder")


async def list_funders(pool: Pool, *, book_id: int, search: Search) -> Page[Funder]:
    """Funders of a book, the newest first; ``search`` may narrow by code and name."""
    return cut_parties(await store.load_funders(pool, book_id, search), search)
