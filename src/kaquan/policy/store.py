"""The tables ``policy_*``: the only file of this room that sees a cursor.

Whose rules they are is kept as an owner: the issuer, or for the law of a book the id of all zeros.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from msgspec.structs import asdict

from kaquan.kit.db import Params, Pool, constraint_of, load_queries
from kaquan.policy.types import Change, Decision, Ending, Rule, RuleSet, Search

_QUERIES = load_queries(__package__)
_LAW = UUID(int=0)
_encode = msgspec.json.Encoder().encode


async def _read(pool: Pool, query: str, params: Params | None = None) -> list[tuple[Any, ...]]:
    async with pool.connection() as connection:
        return await (await connection.execute(_QUERIES[query], params)).fetchall()


async def _write(pool: Pool, query: str, params: Params) -> str | None:
    """None when it was written, else the name of the constraint that refused it."""
    try:
        async with pool.connection() as connection:
            await connection.execute(_QUERIES[query], params)
    except psycopg.IntegrityError as error:
        return constraint_of(error)
    return None


async def post_change(pool: Pool, change: Change) -> str | None:
    """Write a proposal; the name of the constraint that refused it, or None."""
    params = {**asdict(change), "added": _json(change.add), "ended": _json(change.end)}
    return await _write(pool, "insert_change", params)


async def post_approval(pool: Pool, change: Change, after: RuleSet, *, slot: int, leaf_hash: bytes) -> str | None:
    """Write the decision that ``change`` carries, the rule set after it and its leaf, in one commit.

    The name of the constraint that refused it, or None.
    """
    params = {
        "slot": slot,
        "change_id": change.id,
        "book_id": change.book_id,
        "owner_id": change.issuer_id or _LAW,
        "version": after.version,
        "proposed_by": change.proposed_by,
        "decided_by": change.decided_by,
        "decided_at": change.decided_at,
        "reason": change.reason,
        "rules": _json(after.rules),
        "endings": _json(after.endings),
        "leaf_hash": leaf_hash,
    }
    return await _write(pool, "approve", params)


async def post_rejection(pool: Pool, change: Change) -> str | None:
    """Write the decision that ``change`` carries; the name of the constraint that refused it, or None."""
    return await _write(
        pool,
        "reject",
        {
            "change_id": change.id,
            "proposed_by": change.proposed_by,
            "decided_by": change.decided_by,
            "decided_at": change.decided_at,
            "reason": change.reason,
        },
    )


async def load_changes(pool: Pool, book_id: int, search: Search, id_: UUID | None = None) -> list[Change]:
    # one row more than asked tells whether there is a next page
    criteria = {**asdict(search), "book_id": book_id, "id": id_, "limit": search.limit + 1}
    return [_change(row) for row in await _read(pool, "changes", criteria)]


def _change(row: tuple[Any, ...]) -> Change:
    id_, book_id, issuer_id, note, added, ended, proposed_by, proposed_at, decision, *rest = row
    return Change(
        id_,
        book_id,
        issuer_id,
        note,
        _rules(added),
        _endings(ended),
        proposed_by,
        proposed_at,
        None if decision is None else Decision(decision),
        *rest,
    )


async def load_rule_set(pool: Pool, *, book_id: int, issuer_id: UUID | None, version: int | None = None) -> RuleSet:
    """The rules of an issuer, or what the book added to the law, as of a version or now; empty before the first."""
    params = {"book_ids": [book_id], "owner_id": issuer_id or _LAW, "version": version}
    rows = await _read(pool, "rule_sets", params)
    return _rule_set(rows[0]) if rows else RuleSet(book_id, issuer_id, 0)


async def load_rule_sets(pool: Pool, book_ids: Sequence[int]) -> list[RuleSet]:
    """The newest rule set of everybody in these books who has one."""
    rows = await _read(pool, "rule_sets", {"book_ids": list(book_ids), "owner_id": None, "version": None})
    return [_rule_set(row) for row in rows]


def _rule_set(row: tuple[Any, ...]) -> RuleSet:
    book_id, owner_id, version, rules, endings = row
    return RuleSet(book_id, None if owner_id == _LAW else owner_id, version, _rules(rules), _endings(endings))


async def load_book_versions(pool: Pool) -> dict[int, int]:
    """The version of each book's reference data."""
    return dict(await _read(pool, "book_versions"))


def _json(values: object) -> str:
    return _encode(values).decode()


def _rules(stored: object) -> tuple[Rule, ...]:
    return msgspec.convert(stored, tuple[Rule, ...])


def _endings(stored: object) -> tuple[Ending, ...]:
    return msgspec.convert(stored, tuple[Ending, ...])
