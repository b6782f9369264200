"""The tables ``parties_operator`` and ``parties_approval``: the only file of the staff that sees a cursor."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from msgspec.structs import asdict

from kaquan.kit.db import Connection, Params, Pool, constraint_of, given, load_queries
from kaquan.parties.staff.types import (
    Approval,
    ApprovalKind,
    ApprovalSearch,
    ApprovalStatus,
    Operator,
    OperatorSearch,
    OperatorStatus,
    Role,
)
from kaquan.parties.trail import Action, write_action

_QUERIES = load_queries(__package__)

TRIES = 5
"""How often a change is decided again because another one came first."""


async def _write(pool: Pool, query: str, params: Params, action: Action) -> bool:
    """Whether a row was written, and with it ``action``; raises IntegrityError for the constraint that refused it."""
    async with pool.connection() as connection, connection.transaction():
        written = (await connection.execute(_QUERIES[query], params)).rowcount > 0
        if written:
            await write_action(connection, action)
    return written


async def post_operator(pool: Pool, operator: Operator, action: Action) -> bool:
    """Whether the operator was written: not when the code is taken."""
    try:
        return await _write(pool, "insert_operator", _operator_params(operator), action)
    except psycopg.errors.UniqueViolation as error:
        if constraint_of(error) != "parties_operator_code":
            raise
        return False


async def post_operator_change(pool: Pool, operator: Operator, action: Action) -> bool:
    """Whether it was written: not when the operator is no longer what the change was decided on."""
    return await _write(pool, "change_operator", _operator_params(operator), action)


async def load_operators(pool: Pool, book_id: int, search: OperatorSearch, id_: UUID | None = None) -> list[Operator]:
    """One more than the limit, if there are."""
    params = {**asdict(search), "book_id": book_id, "id": id_, "limit": search.limit + 1}
    async with pool.connection() as connection:
        rows = await (await connection.execute(given(_QUERIES["operators"], params), params, prepare=False)).fetchall()
    return [_operator(row) for row in rows]


async def load_all_operators(pool: Pool, book_ids: Sequence[int]) -> list[Operator]:
    async with pool.connection() as connection:
        rows = await (await connection.execute(_QUERIES["operators_of_books"], {"book_ids": list(book_ids)})).fetchall()
    return [_operator(row) for row in rows]


async def load_store_ids(pool: Pool, book_id: int, store_ids: frozenset[UUID]) -> frozenset[UUID]:
    """Which of these ids are stores of the book."""
    async with pool.connection() as connection:
        rows = await (
            await connection.execute(_QUERIES["known_stores"], {"book_id": book_id, "ids": list(store_ids)})
        ).fetchall()
    return frozenset(id_ for (id_,) in rows)


async def post_approval(pool: Pool, approval: Approval, action: Action) -> bool:
    """Whether the proposal was written: not when its operator is none of the book."""
    try:
        return await _write(pool, "insert_approval", asdict(approval), action)
    except psycopg.errors.ForeignKeyViolation as error:
        if constraint_of(error) != "parties_approval_proposer":
            raise
        return False


async def post_decision(pool: Pool, approval: Approval, *, was: ApprovalStatus, action: Action) -> bool:
    """Whether the decision was written: not when another one came first."""
    return await _write(pool, "decide", {**asdict(approval), "was": was}, action)


async def claim(connection: Connection, params: Params) -> Approval | None:
    row = await (await connection.execute(_QUERIES["claim"], params)).fetchone()
    return None if row is None else _approval(row)


async def read_approval(connection: Connection, *, book_id: int, id_: UUID) -> Approval | None:
    row = await (await connection.execute(_QUERIES["approval"], {"book_id": book_id, "id": id_})).fetchone()
    return None if row is None else _approval(row)


async def load_approvals(pool: Pool, *, book_id: int, search: ApprovalSearch, now: datetime) -> list[Approval]:
    """One more than the limit, if there are."""
    is_open = search.status in (ApprovalStatus.PROPOSED, ApprovalStatus.APPROVED)
    params = {
        **asdict(search),
        "book_id": book_id,
        "limit": search.limit + 1,
        "now": now,
        "open_at": now if is_open else None,
        "expired_at": now if search.status is ApprovalStatus.EXPIRED else None,
        "status": None if search.status is ApprovalStatus.EXPIRED else search.status,
    }
    async with pool.connection() as connection:
        rows = await (await connection.execute(given(_QUERIES["approvals"], params), params, prepare=False)).fetchall()
    return [_approval(row) for row in rows]


async def expire(pool: Pool, *, now: datetime) -> int:
    async with pool.connection() as connection:
        return (await connection.execute(_QUERIES["expire"], {"now": now})).rowcount


def _operator_params(operator: Operator) -> dict[str, Any]:
    stores = operator.store_ids
    return {
        **asdict(operator),
        "roles": sorted(operator.roles),
        "store_ids": None if stores is None else sorted(stores),
    }


def _operator(row: Sequence[Any]) -> Operator:
    id_, book_id, code, name, roles, store_ids, status, created_at, version = row
    return Operator(
        id_,
        book_id,
        code,
        name,
        frozenset(map(Role, roles)),
        None if store_ids is None else frozenset(store_ids),
        OperatorStatus(status),
        created_at,
        version,
    )


def _approval(row: Sequence[Any]) -> Approval:
    book_id, id_, kind, subject, payload, payload_hash, reason, by, at, expires_at, status, *decision = row
    return Approval(
        book_id,
        id_,
        ApprovalKind(kind),
        subject,
        payload,
        bytes(payload_hash),
        reason,
        by,
        at,
        expires_at,
        ApprovalStatus(status),
        *decision,
    )
