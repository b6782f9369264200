"""The statements of this room: it reads what other rooms wrote, in one snapshot, and writes nothing."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from kaquan.evidence import (
    KeyLeafFacts,
    LeafEntry,
    LeafFacts,
    VoucherLeafFacts,
    canonical_bytes,
    commit_private,
    hash_leaf,
    key_bytes,
    policy_bytes,
    voucher_bytes,
)
from kaquan.kit.db import Connection, Pool, given, load_queries
from kaquan.kit.ids import Prefix, show_id
from kaquan.policy import Change, Decision, Ending, Rule, leaf_of

_SQL = load_queries(__package__)

_read_legs = msgspec.json.Decoder(list[LeafEntry]).decode
_read_rules = msgspec.json.Decoder(tuple[Rule, ...]).decode
_read_endings = msgspec.json.Decoder(tuple[Ending, ...]).decode

_SETTINGS = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL idle_in_transaction_session_timeout = 0",
    "SET LOCAL jit = off",
)

Place = tuple[int, UUID]
"""Slot and id of an entry."""


class Kept(NamedTuple):
    """A kept checkpoint."""

    size: int
    note: str


class Found(NamedTuple):
    """An entry of the log: what it is called, and the bytes of its leaf."""

    name: str
    content: bytes


class ContradictedError(Exception):
    """An entry is not what its leaf says; the message names it."""


@asynccontextmanager
async def one_snapshot(pool: Pool) -> AsyncIterator[Connection]:
    """A session in which everything is read as of one moment, however long it takes."""
    async with pool.connection() as connection, connection.transaction():
        for statement in _SETTINGS:
            await connection.execute(statement.encode())
        yield connection


async def rows(connection: Connection, query: str, **params: Any) -> list[tuple[Any, ...]]:
    """The rows of a statement of this room."""
    text = given(_SQL[query], params)
    return await (await connection.execute(text, params, prepare=False)).fetchall()


async def find_checkpoints(
    connection: Connection, *, begins: datetime, ends: datetime, margin: timedelta
) -> tuple[Kept | None, Kept | None]:
    """The last kept checkpoint before a time and its margin, and the first after another."""
    before = await rows(connection, "find_checkpoint_before", at=begins, margin=margin)
    after = await rows(connection, "find_checkpoint_after", at=ends, margin=margin)
    return Kept(*before[0]) if before else None, Kept(*after[0]) if after else None


async def checkpoints_between(connection: Connection, old: int, new: int) -> list[Kept]:
    """The kept checkpoints of trees larger than ``old`` and at most ``new``."""
    return [Kept(*row) for row in await rows(connection, "checkpoints_between", old=old, new=new)]


async def entries_between(connection: Connection, start: int, end: int) -> list[tuple[int, int, UUID]]:
    """Index, slot and id of the entries from ``start`` to before ``end``."""
    found = await rows(connection, "entries_between", start=start, end=end)
    return [(index, slot, id_) for index, slot, id_ in found]


async def read_entries(
    connection: Connection, places: Iterable[Place], *, origin: str, book_id: int | None
) -> dict[Place, Found]:
    """The bytes of entries, of one book and of the log itself where a book is named.

    Raises ContradictedError for one that was altered: nothing is handed out that the log does not prove.
    """
    wanted = list(places)
    slots, ids = [slot for slot, _ in wanted], [id_ for _, id_ in wanted]
    found: dict[Place, Found] = {}
    for (
        slot, id_, book, kind, related_id, place_id, reference, effective_at, recorded_at, request_key, leaf, salt,
        commitment, detail, legs,
    ) in await rows(connection, "transactions", slots=slots, ids=ids, book_id=book_id):  # fmt: skip
        if salt is not None:
            commitment = commit_private(salt, reference=reference, request_key=request_key)
        facts = LeafFacts(
            slot, id_, book, kind, related_id, place_id, effective_at, recorded_at, commitment, _legs(legs), detail
        )
        found[slot, id_] = _checked(show_id(Prefix.TRANSACTION, id_), canonical_bytes(facts), leaf)
    left = [place for place in wanted if place not in found]
    if left:
        found |= await _read_others(connection, left, origin=origin, book_id=book_id)
    return found


def _legs(text: str | None) -> list[LeafEntry]:
    return [] if text is None else _read_legs(text)


async def _read_others(
    connection: Connection, places: Sequence[Place], *, origin: str, book_id: int | None
) -> dict[Place, Found]:
    """Changes of vouchers and of rules, and keys of the log."""
    found: dict[Place, Found] = {}
    slots, ids = [slot for slot, _ in places], [id_ for _, id_ in places]
    for *told, leaf in await rows(connection, "changes_of_vouchers", slots=slots, ids=ids, book_id=book_id):
        change = VoucherLeafFacts(*told)
        found[change.slot, change.id] = _checked(show_id(Prefix.EVENT, change.id), voucher_bytes(change), leaf)
    for id_, public, replaces, added_at, slot, leaf in await rows(connection, "keys", ids=ids):
        content = key_bytes(KeyLeafFacts(id_, origin, public, replaces, added_at))
        found[slot, id_] = _checked(f"key_{id_.hex}", content, leaf)
    for (
        id_, book, issuer_id, note, added, ended, proposed_by, proposed_at, decided_by, decided_at, version, slot, leaf,
    ) in await rows(connection, "changes", ids=ids, book_id=book_id):  # fmt: skip
        decided = Change(
            id_, book, issuer_id, note, _read_rules(added), _read_endings(ended), proposed_by, proposed_at,
            Decision.APPROVED, decided_by, decided_at, None, version,
        )  # fmt: skip
        content = policy_bytes(leaf_of(decided, slot))
        found[slot, id_] = _checked(show_id(Prefix.POLICY_CHANGE, id_), content, leaf)
    return found


def _checked(name: str, content: bytes, leaf: bytes | None) -> Found:
    if leaf != hash_leaf(content):
        raise ContradictedError(name)
    return Found(name, content)
