"""The leaf format of an event of a card, version 1: what happened to it, from its activation to its end.

Canonical bytes are a JSON array in UTF-8 without spaces, of a fixed order, holding only integers, ASCII strings and
null (as ``leaf.py`` has it):

    ["kaquan-card/1", slot, id, card, book, kind, status, version, at_us, commitment]

Ids are 32 lower-case hex digits; ``status`` and ``version`` are the card's after the event, null where it did not
change the card itself; ``at_us`` is microseconds since 1970-01-01T00:00:00Z. ``commitment`` is SHA-256(salt ‖ private
bytes) in hex: who did it, the reason that was given and the details, by which a person could be known, are in the tree
only behind 16 random bytes. The private bytes are the JSON array [actor, reason, details] in UTF-8 without spaces or
escapes that are not needed, the members of ``details`` sorted by name.

The leaf hash is RFC 9162 section 2.1.1: SHA-256(0x00 ‖ canonical bytes).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from kaquan.evidence.leaf import microseconds
from kaquan.evidence.tree import hash_leaf

CARD_FORMAT = "kaquan-card/1"

_encode = msgspec.json.Encoder(order="deterministic").encode


class CardLeafFacts(NamedTuple):
    """An event of a card as its leaf states it."""

    slot: int
    id: UUID
    card_id: UUID
    book_id: int
    kind: str
    status: str | None
    version: int | None
    at: datetime
    commitment: bytes


def card_private_bytes(*, actor: str, reason: str | None, details: Mapping[str, Any]) -> bytes:
    """The fields that could name a person, as they are salted."""
    return _encode([actor, reason, details])


def card_bytes(facts: CardLeafFacts) -> bytes:
    """The bytes that are hashed for ``facts``; see the module for their layout."""
    return _encode(
        (
            CARD_FORMAT,
            facts.slot,
            facts.id.hex,
            facts.card_id.hex,
            facts.book_id,
            facts.kind,
            facts.status,
            facts.version,
            microseconds(facts.at),
            facts.commitment.hex(),
        )
    )


def card_leaf_hash(facts: CardLeafFacts) -> bytes:
    """The 32-byte leaf hash of ``facts`` (RFC 9162 section 2.1.1)."""
    return hash_leaf(card_bytes(facts))
