"""Operators: create, change, get, list."""

from collections.abc import Sequence
from uuid import UUID

from msgspec.structs import replace

from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.kit.outcomes import BUSY, INVALID_FIELD, Refusal
from kaquan.kit.paging import Page, cut_page
from kaquan.parties.legal import given_fields
from kaquan.parties.outcomes import missing, taken
from kaquan.parties.staff import store
from kaquan.parties.staff.types import Operator, OperatorChange, OperatorSearch, OperatorStatus, Role
from kaquan.parties.trail import SYSTEM, Actor, new_action


async def create_operator(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    *,
    book_id: int,
    code: str,
    name: str,
    roles: frozenset[Role],
    store_ids: frozenset[UUID] | None = None,
    by: Actor = SYSTEM,
) -> Operator | Refusal:
    """Somebody new who works for the tenant.

    Refused: ``invalid_field`` (roles), ``not_found`` (store_ids), ``already_exists`` (code).
    """
    if not roles:
        return _without_a_role()
    if (unknown := await _unknown_store(pool, book_id, store_ids)) is not None:
        return unknown
    operator = Operator(ids.new(), book_id, code, name, roles, store_ids, OperatorStatus.ACTIVE, clock.now())
    action = new_action(
        clock,
        ids,
        book_id=book_id,
        by=by,
        kind="operator.created",
        prefix=Prefix.OPERATOR,
        subject_id=operator.id,
        after=_summary(operator),
    )
    if await store.post_operator(pool, operator, action):
        return operator
    (existing,) = await store.load_operators(pool, book_id, OperatorSearch(code=code))
    return taken("code", code, prefix=Prefix.OPERATOR, existing=existing.id)


async def change_operator(
    pool: Pool, clock: Clock, ids: Ids, *, book_id: int, id_: UUID, change: OperatorChange, by: Actor = SYSTEM
) -> Operator | Refusal:
    """Change what ``change`` names; keys of a suspended operator are taken no more.

    Refused: ``not_found`` (id, store_ids), ``invalid_field`` (roles), ``busy``.
    """
    fields = given_fields(change)
    if "roles" in fields and not fields["roles"]:
        return _without_a_role()
    if (unknown := await _unknown_store(pool, book_id, fields.get("store_ids"))) is not None:
        return unknown
    for _ in range(store.TRIES):
        before = await get_operator(pool, book_id=book_id, id_=id_)
        if isinstance(before, Refusal):
            return before
        after = replace(before, **fields)
        if after == before:
            return before
        was, is_ = _summary(before), _summary(after)
        changed = [field for field in is_ if was[field] != is_[field]]
        action = new_action(
            clock,
            ids,
            book_id=book_id,
            by=by,
            kind="operator.changed",
            prefix=Prefix.OPERATOR,
            subject_id=id_,
            before={field: was[field] for field in changed},
            after={field: is_[field] for field in changed},
        )
        if await store.post_operator_change(pool, after, action):
            return replace(after, version=before.version + 1)
    return BUSY.refuse()


async def get_operator(pool: Pool, *, book_id: int, id_: UUID) -> Operator | Refusal:
    """The operator with this id. Refused: ``not_found``."""
    found = await store.load_operators(pool, book_id, OperatorSearch(), id_)
    return found[0] if found else missing("operator")


async def list_operators(pool: Pool, *, book_id: int, search: OperatorSearch) -> Page[Operator]:
    """Operators of a book, the newest first; ``search`` may narrow by code, role and status."""
    rows = await store.load_operators(pool, book_id, search)
    has_more = len(rows) > search.limit
    return cut_page(rows, limit=search.limit, last_id=rows[search.limit - 1].id if has_more else None)


async def every_operator(pool: Pool, book_ids: Sequence[int]) -> list[Operator]:
    """Every operator of these books, suspended ones too, for a copy in memory."""
    return await store.load_all_operators(pool, book_ids)


async def _unknown_store(pool: Pool, book_id: int, store_ids: frozenset[UUID] | None) -> Refusal | None:
    """Stores are never removed: one that is there stays there."""
    if not store_ids:
        return None
    known = await store.load_store_ids(pool, book_id, store_ids)
    return None if known == store_ids else missing("store", "store_ids")


def _without_a_role() -> Refusal:
    names = ", ".join(Role)
    return INVALID_FIELD.refuse(
        "roles", allowed=f"must be one or more of: {names}", allowed_zh=f"应为以下一项或多项：{names}"
    )


def _summary(operator: Operator) -> dict[str, object]:
    # the name of an employee is theirs: the trail knows them by their code
    stores = operator.store_ids
    return {
        "code": operator.code,
        "roles": sorted(operator.roles),
        "store_ids": None if stores is None else sorted(show_id(Prefix.STORE, id_) for id_ in stores),
        "status": operator.status,
    }
