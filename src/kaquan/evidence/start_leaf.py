"""The leaf format of a start, version 1: what there was of a slot when its kind began to have leaves.

Canonical bytes are a JSON array in UTF-8 without spaces (as ``leaf.py`` has it):

    ["kaquan-start/1", slot, id, what, size, hash, at_us]

``what`` is "card", "card_event" or "voucher", ``size`` how many rows there were, and ``hash``, in hex, SHA-256 over
all of them; the migration 0032 says over what exactly. Of a row from before, the log proves that it was there at
``at_us`` as it is now, together with all others; not when it came.
"""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from kaquan.evidence.leaf import microseconds
from kaquan.evidence.tree import hash_leaf

START_FORMAT = "kaquan-start/1"

_encode = msgspec.json.Encoder().encode


class StartLeafFacts(NamedTuple):
    """A start as its leaf states it."""

    slot: int
    id: UUID
    what: str
    size: int
    hash: bytes
    at: datetime


def start_bytes(facts: StartLeafFacts) -> bytes:
    """The bytes that are hashed for ``facts``; see the module for their layout."""
    at_us = microseconds(facts.at)
    return _encode((START_FORMAT, facts.slot, facts.id.hex, facts.what, facts.size, facts.hash.hex(), at_us))


def start_leaf_hash(facts: StartLeafFacts) -> bytes:
    """The 32-byte leaf hash of ``facts`` (RFC 9162 section 2.1.1)."""
    return hash_leaf(start_bytes(facts))
