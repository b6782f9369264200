"""The leaf format of a change of a voucher, version 2: the chain of custody from its issue to its end.

Canonical bytes are a JSON array in UTF-8 without spaces, of a fixed order, holding only integers, ASCII strings and
null (as ``leaf.py`` has it):

    ["kaquan-voucher/2", slot, id, voucher, book, template, kind, from, to, holder_kind, holder, transaction,
     amount_fen, face_fen, at_us, commitment]

Ids are 32 lower-case hex digits; ``holder`` is who has it after the change, ``transaction`` the payment, refund or load
that it happened with, ``amount_fen`` what moved by it (0: nothing), ``at_us`` microseconds since
1970-01-01T00:00:00Z. ``commitment`` is SHA-256(salt ‖ private bytes) in hex: who did it and why is in the tree only
behind 16 random bytes, the private bytes being the JSON array [actor, reason]. In version 1 there is none of these two,
and the array ends before it.

The leaf hash is RFC 9162 section 2.1.1: SHA-256(0x00 ‖ canonical bytes).
"""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from kaquan.evidence.leaf import microseconds
from kaquan.evidence.tree import hash_leaf

VOUCHER_FORMAT = "kaquan-voucher/2"
_FIRST_FORMAT = "kaquan-voucher/1"

_encode = msgspec.json.Encoder().encode


class VoucherLeafFacts(NamedTuple):
    """A change of a voucher as its leaf states it."""

    slot: int
    id: UUID
    voucher_id: UUID
    book_id: int
    template_id: UUID
    kind: str
    from_status: str
    to_status: str
    holder_kind: str | None
    holder_id: UUID | None
    transaction_id: UUID | None
    amount_fen: int
    face_fen: int
    at: datetime
    commitment: bytes | None = None
    """None: of version 1."""


def voucher_private_bytes(*, actor: str, reason: str | None) -> bytes:
    """The fields that could name a person, as they are salted."""
    return _encode([actor, reason])


def voucher_bytes(facts: VoucherLeafFacts) -> bytes:
    """The bytes that are hashed for ``facts``; see the module for their layout."""
    return _encode(
        (
            _FIRST_FORMAT if facts.commitment is None else VOUCHER_FORMAT,
            facts.slot,
            facts.id.hex,
            facts.voucher_id.hex,
            facts.book_id,
            facts.template_id.hex,
            facts.kind,
            facts.from_status,
            facts.to_status,
            facts.holder_kind,
            facts.holder_id.hex if facts.holder_id else None,
            facts.transaction_id.hex if facts.transaction_id else None,
            facts.amount_fen,
            facts.face_fen,
            microseconds(facts.at),
            *(() if facts.commitment is None else (facts.commitment.hex(),)),
        )
    )


def voucher_leaf_hash(facts: VoucherLeafFacts) -> bytes:
    """The 32-byte leaf hash of ``facts`` (RFC 9162 section 2.1.1)."""
    return hash_leaf(voucher_bytes(facts))
