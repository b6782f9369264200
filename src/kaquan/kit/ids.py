"""Identifiers: UUIDv7 made here (RFC 9562), shown to clients with a typed prefix such as ``card_``.

An id is ``<prefix>_<32 hex digits>``. The prefix makes a wrong id in the wrong field visible to a person and
refusable by a door before the database is asked.
"""

import os
import time
from enum import StrEnum
from typing import Protocol
from uuid import UUID

_SLOT_BITS = 0x3F


class Prefix(StrEnum):
    """The typed prefixes of ids in the API, one per kind of thing."""

    TENANT = "ten"
    ISSUER = "iss"
    MERCHANT = "mer"
    STORE = "sto"
    TERMINAL = "term"
    PROGRAMME = "prog"
    CARD = "card"
    BATCH = "bat"
    TRANSACTION = "txn"
    KEY = "key"


class Ids(Protocol):
    """Makes ids."""

    def new(self) -> UUID:
        """A UUIDv7 that was never given before."""
        ...

    def new_near(self, near: UUID) -> UUID:
        """A new id whose last six bits are those of ``near``, so that both lead to the same slot."""
        ...


class SystemIds:
    """UUIDv7 from this machine's clock and its random source; later ids of one process sort later."""

    def __init__(self) -> None:
        self._last_ms = 0
        self._counter = 0

    def new(self) -> UUID:
        # RFC 9562 section 6.2, method 1: a 12-bit counter orders ids made in the same millisecond, and a
        # clock that steps back does not bring earlier ids.
        now_ms = time.time_ns() // 1_000_000
        if now_ms > self._last_ms:
            self._last_ms, self._counter = now_ms, 0
        else:
            self._counter += 1
            if self._counter > 0xFFF:
                self._last_ms, self._counter = self._last_ms + 1, 0
        random_62 = int.from_bytes(os.urandom(8), "big") & 0x3FFF_FFFF_FFFF_FFFF
        return UUID(int=self._last_ms << 80 | 7 << 76 | self._counter << 64 | 2 << 62 | random_62)

    def new_near(self, near: UUID) -> UUID:
        return UUID(int=self.new().int & ~_SLOT_BITS | near.int & _SLOT_BITS)


def show_id(prefix: Prefix, value: UUID) -> str:
    """The public form of an id."""
    return f"{prefix}_{value.hex}"


def read_id(prefix: Prefix, text: str) -> UUID | None:
    """The UUID behind a public id, or None if ``text`` is not an id of this kind."""
    head, _, tail = text.partition("_")
    if head != prefix or len(tail) != 32:
        return None
    try:
        value = UUID(hex=tail)
    except ValueError:
        return None
    return value if value.hex == tail else None
