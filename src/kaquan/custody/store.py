"""The statements of this room: it reads what other rooms wrote, in one snapshot, and writes nothing."""

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from kaquan.evidence import (
    CardLeafFacts,
    IssueLeafFacts,
    KeyLeafFacts,
    LeafEntry,
    LeafFacts,
    Opening,
    StartLeafFacts,
    VoucherLeafFacts,
    canonical_bytes,
    card_bytes,
    card_private_bytes,
    commit_private,
    hash_leaf,
    issue_bytes,
    issue_root,
    key_bytes,
    policy_bytes,
    prove_record,
    record_bytes,
    start_bytes,
    voucher_bytes,
    voucher_private_bytes,
)
from kaquan.kit.db import Connection, Pool, given, load_queries
from kaquan.kit.ids import Prefix, show_id
from kaquan.policy import Change, Decision, Ending, Rule, leaf_of

_SQL = load_queries(__package__)

_read_legs = msgspec.json.Decoder(list[LeafEntry]).decode
_read_terms = msgspec.json.Decoder(list[str | int | None]).decode
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


class Member(NamedTuple):
    """A record of an issue: where it stands in it, and the hashes that lead from it to the issue's root."""

    place: int
    record: bytes
    proof: Sequence[bytes]


class Found(NamedTuple):
    """An entry of the log: what it is called, and the bytes of its leaf; what may be shown with it besides."""

    name: str
    content: bytes
    opening: Opening | None = None
    members: Sequence[Member] = ()


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
    connection: Connection,
    places: Iterable[Place],
    *,
    origin: str,
    book_id: int | None,
    opened: Collection[UUID] = (),
    shown: UUID | None = None,
) -> dict[Place, Found]:
    """The bytes of entries, of one book and of the log itself where a book is named; with the private fields of events
    of the cards and vouchers ``opened``, and the record of the card or voucher ``shown`` with its issue.

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
        found |= await _read_events(connection, left, book_id=book_id, opened=opened, shown=shown)
    return found


def _legs(text: str | None) -> list[LeafEntry]:
    return [] if text is None else _read_legs(text)


async def _read_others(
    connection: Connection, places: Sequence[Place], *, origin: str, book_id: int | None
) -> dict[Place, Found]:
    """Changes of rules, and keys of the log."""
    found: dict[Place, Found] = {}
    ids = [id_ for _, id_ in places]
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


async def _read_events(
    connection: Connection,
    places: Sequence[Place],
    *,
    book_id: int | None,
    opened: Collection[UUID],
    shown: UUID | None,
) -> dict[Place, Found]:
    """Events of cards and vouchers, issues and starts."""
    found: dict[Place, Found] = {}
    named = {"slots": [slot for slot, _ in places], "ids": [id_ for _, id_ in places]}
    for *told, actor, reason, salt, commitment, leaf in await rows(
        connection, "changes_of_vouchers", **named, book_id=book_id
    ):
        opening = None
        if salt is not None:
            opening = Opening(salt, voucher_private_bytes(actor=actor, reason=reason))
            commitment = opening.commitment
        change = VoucherLeafFacts(*told)._replace(commitment=commitment)
        entry = _checked(show_id(Prefix.EVENT, change.id), voucher_bytes(change), leaf)
        found[change.slot, change.id] = entry._replace(opening=opening if change.voucher_id in opened else None)
    for (
        slot, id_, card_id, book, kind, status, version, at, actor, reason, details, leaf, salt, commitment,
    ) in await rows(connection, "events_of_log", **named, book_id=book_id):  # fmt: skip
        opening = None
        if salt is not None:
            opening = Opening(salt, card_private_bytes(actor=actor, reason=reason, details=details))
            commitment = opening.commitment
        facts = CardLeafFacts(slot, id_, card_id, book, kind, status, version, at, commitment or b"")
        entry = _checked(show_id(Prefix.EVENT, id_), card_bytes(facts), leaf)
        found[slot, id_] = entry._replace(opening=opening if card_id in opened else None)
    for slot, id_, book, kind, of_id, batch_id, terms, at, ids, last4, leaf in await rows(
        connection, "issues", **named, book_id=book_id
    ):
        records = list(zip(ids, last4, strict=True))
        issue = IssueLeafFacts(
            slot, id_, book, kind, of_id, batch_id, _read_terms(terms), at, len(ids), issue_root(records)
        )  # fmt: skip
        entry = _checked(f"issue_{id_.hex}", issue_bytes(issue), leaf)
        members = [
            Member(place, record_bytes(*record), prove_record(records, place))
            for place, record in enumerate(records)
            if record[0] == shown
        ]
        found[slot, id_] = entry._replace(members=members)
    for *told, leaf in await rows(connection, "starts", **named):
        start = StartLeafFacts(*told)
        found[start.slot, start.id] = _checked(f"start_{start.id.hex}", start_bytes(start), leaf)
    return found


def _checked(name: str, content: bytes, leaf: bytes | None) -> Found:
    if leaf != hash_leaf(content):
        raise ContradictedError(name)
    return Found(name, content)
