"""The leaf format of a key of the log, version 1: which key signs checkpoints from here on.

Canonical bytes are a JSON array in UTF-8 without spaces, of a fixed order (as ``leaf.py`` has it):

    ["kaquan-key/1", id, origin, public_key, replaces, added_us]

``public_key`` is the 32 bytes of an Ed25519 key in hex, or the 65 of an SM2 key that signs the SM profile; ``replaces``
the one of its kind before it or null, ``added_us`` microseconds since 1970-01-01T00:00:00Z. The log thus tells of its
own keys, and one that is swapped behind it is seen.
"""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from kaquan.evidence.leaf import microseconds
from kaquan.evidence.tree import hash_leaf

KEY_FORMAT = "kaquan-key/1"

_encode = msgspec.json.Encoder().encode


class KeyLeafFacts(NamedTuple):
    """A key of the log as its leaf states it."""

    id: UUID
    origin: str
    public_key: bytes
    replaces: bytes | None
    added_at: datetime


def key_bytes(facts: KeyLeafFacts) -> bytes:
    """The bytes that are hashed for ``facts``; see the module for their layout."""
    return _encode(
        (
            KEY_FORMAT,
            facts.id.hex,
            facts.origin,
            facts.public_key.hex(),
            None if facts.replaces is None else facts.replaces.hex(),
            microseconds(facts.added_at),
        )
    )


def key_leaf_hash(facts: KeyLeafFacts) -> bytes:
    """The 32-byte leaf hash of ``facts`` (RFC 9162 section 2.1.1)."""
    return hash_leaf(key_bytes(facts))
