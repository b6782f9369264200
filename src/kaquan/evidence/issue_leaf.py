"""The leaf format of an issue, version 1: one leaf for all cards, or all vouchers, that were issued in one commit.

Canonical bytes are a JSON array in UTF-8 without spaces, of a fixed order, holding only integers, ASCII strings, null
and arrays (as ``leaf.py`` has it):

    ["kaquan-issue/1", slot, id, book, kind, of, batch, terms, at_us, size, root]

``kind`` is "card" or "voucher", ``of`` its programme or its template, ``batch`` null outside of a batch; ``terms`` is
[form, version of the terms] of cards and [face_fen, valid_from_us] of vouchers, what all of them have in common.
``root``, in hex, is the root of the RFC 9162 tree (section 2.1.1) whose ``size`` entries are the *records* of what was
issued, in their order:

    ["<id>", "<last four of the number or code>"]

the second null for a voucher without a code. An issue is called by the id of its first record. That a card is in it is
proven by the hashes that lead from its record to the root, without a word about the others.

Ids are 32 lower-case hex digits, times microseconds since 1970-01-01T00:00:00Z. The leaf hash is SHA-256(0x00 ‖
canonical bytes).
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

import msgspec

from kaquan.evidence.leaf import microseconds
from kaquan.evidence.tree import EMPTY_ROOT, HASH_BYTES, hash_leaf

ISSUE_FORMAT = "kaquan-issue/1"

_PAIR = 2 * HASH_BYTES
_encode = msgspec.json.Encoder().encode

IssueTerms = Sequence[str | int | None]


class IssueLeafFacts(NamedTuple):
    """An issue as its leaf states it."""

    slot: int
    id: UUID
    book_id: int
    kind: str
    of_id: UUID
    batch_id: UUID | None
    terms: IssueTerms
    at: datetime
    size: int
    root: bytes


def issue_terms_bytes(terms: IssueTerms) -> bytes:
    """The terms as they stand in the canonical bytes."""
    return _encode(terms)


def record_bytes(id_: UUID, last4: str | None) -> bytes:
    """The record of one card or voucher."""
    return _encode((id_.hex, last4))


def plain_last4(records: Sequence[tuple[UUID, str | None]]) -> list[str] | None:
    """The last four of each record where all are plain letters and digits, which need no escape anywhere; else None."""
    found = [last4 for _, last4 in records if last4 is not None]
    together = "".join(found)
    return found if len(found) == len(records) and together.isalnum() and together.isascii() else None


def _hash_records(records: Iterable[tuple[UUID, str | None]]) -> bytes:
    """The leaf hashes of records, side by side; plain ones are spelled out, at a third of what encoding costs."""
    some = list(records)
    if plain_last4(some) is None:
        return b"".join([hash_leaf(record_bytes(*record)) for record in some])
    return b"".join([sha256(f'\0["{id_.int:032x}","{last4}"]'.encode()).digest() for id_, last4 in some])


def _hash_above(row: bytes) -> bytes:
    """The row over a row of hashes; a last one without a neighbour moves up as it is, which makes the RFC's tree."""
    whole = len(row) // _PAIR * _PAIR
    return b"".join([sha256(b"\x01" + row[i : i + _PAIR]).digest() for i in range(0, whole, _PAIR)]) + row[whole:]


def issue_root(records: Iterable[tuple[UUID, str | None]]) -> bytes:
    """The root over records (id, last four) in their order."""
    row = _hash_records(records)
    while len(row) > HASH_BYTES:
        row = _hash_above(row)
    return row or EMPTY_ROOT


def prove_record(records: Iterable[tuple[UUID, str | None]], index: int) -> list[bytes]:
    """The hashes that lead from the record at ``index`` to the root (section 2.1.3.1)."""
    row = _hash_records(records)
    proof: list[bytes] = []
    while len(row) > HASH_BYTES:
        beside = (index ^ 1) * HASH_BYTES
        if beside < len(row):
            proof.append(row[beside : beside + HASH_BYTES])
        row = _hash_above(row)
        index >>= 1
    return proof


def issue_bytes(facts: IssueLeafFacts) -> bytes:
    """The bytes that are hashed for ``facts``; see the module for their layout."""
    return _encode(
        (
            ISSUE_FORMAT,
            facts.slot,
            facts.id.hex,
            facts.book_id,
            facts.kind,
            facts.of_id.hex,
            facts.batch_id.hex if facts.batch_id else None,
            facts.terms,
            microseconds(facts.at),
            facts.size,
            facts.root.hex(),
        )
    )


def issue_leaf_hash(facts: IssueLeafFacts) -> bytes:
    """The 32-byte leaf hash of ``facts`` (RFC 9162 section 2.1.1)."""
    return hash_leaf(issue_bytes(facts))
