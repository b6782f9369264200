"""The leaf format, version 1: what exactly is hashed for a transaction.

Canonical bytes are a JSON array in UTF-8 without spaces, of a fixed order, holding only integers, ASCII strings,
null and arrays (so that any JSON writer produces the same bytes, and RFC 8785 changes nothing):

    ["kaquan-leaf/1", slot, id, book, kind, related, place, effective_us, recorded_us, commitment,
     [[leg, effect, debit_account, debit_lot, credit_account, credit_lot, amount_fen], …], detail]

Ids are 32 lower-case hex digits, times are microseconds since 1970-01-01T00:00:00Z, entries stand in leg order.
``commitment`` is SHA-256(salt ‖ private bytes) in hex, or null: what a person could be known by (the order
reference, the request key) is in the tree only behind a random salt, and forgetting the salt forgets it (row N1).
``detail`` is in the array only where a room above the ledger keeps something about the transaction, such as how it was
priced: the SHA-256 of those bytes in hex.
Balances are not in a leaf: they follow from the entries, and an audit adds them up.

The leaf hash is RFC 9162 section 2.1.1: SHA-256(0x00 ‖ canonical bytes).
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

import msgspec

from kaquan.evidence.tree import hash_leaf

FORMAT = "kaquan-leaf/1"
SALT_BYTES = 16

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_encode = msgspec.json.Encoder().encode


def microseconds(at: datetime) -> int:
    """A time as canonical bytes of every format have it: since 1970-01-01T00:00:00Z."""
    return (at - _EPOCH) // _MICROSECOND


class LeafEntry(NamedTuple):
    """One leg, in the order of the canonical bytes."""

    leg: int
    effect: str
    debit_account: int
    debit_lot: int | None
    credit_account: int
    credit_lot: int | None
    amount_fen: int


class LeafFacts(NamedTuple):
    """A transaction as its leaf states it. ``entries`` stand in leg order."""

    slot: int
    transaction_id: UUID
    book_id: int
    kind: str
    related_id: UUID | None
    place_id: UUID | None
    effective_at: datetime
    recorded_at: datetime
    commitment: bytes | None
    entries: Sequence[LeafEntry | tuple[int, str, int, int | None, int, int | None, int]]
    detail: bytes | None = None
    """SHA-256 of what a room above keeps about it; None: nothing."""


def private_bytes(*, reference: str | None, request_key: str | None) -> bytes:
    """The fields that could name a person, as they are salted: ["reference","request key"]."""
    return _encode([reference, request_key])


def commit_private(salt: bytes, *, reference: str | None, request_key: str | None) -> bytes:
    """The salted commitment to the fields that could name a person: SHA-256(salt ‖ private bytes)."""
    return sha256(salt + _encode([reference, request_key])).digest()


def canonical_bytes(facts: LeafFacts) -> bytes:
    """The bytes that are hashed for ``facts``; see the module for their layout."""
    stated = (
        FORMAT,
        facts.slot,
        facts.transaction_id.hex,
        facts.book_id,
        facts.kind,
        facts.related_id.hex if facts.related_id else None,
        facts.place_id.hex if facts.place_id else None,
        microseconds(facts.effective_at),
        microseconds(facts.recorded_at),
        facts.commitment.hex() if facts.commitment else None,
        facts.entries,
    )
    return _encode(stated if facts.detail is None else (*stated, facts.detail.hex()))


def leaf_hash(facts: LeafFacts) -> bytes:
    """The 32-byte leaf hash of ``facts`` (RFC 9162 section 2.1.1)."""
    return hash_leaf(canonical_bytes(facts))
