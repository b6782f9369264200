"""Identifiers: UUIDv7 made here (RFC 9562), shown to clients with a typed prefix such as ``card_``.

An id is ``<prefix>_<32 hex digits>``. The prefix makes a wrong id in the wrong field visible to a person and
refusable by a door before the database is asked.
"""

import os
import time
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID, SafeUUID

from kaquan.kit.clock import Clock

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
    EXPORT = "exp"
    IMPORT = "imp"
    LIMIT = "lim"
    PLACE_RULE = "plr"
    OPERATOR = "opr"
    APPROVAL = "appr"
    ACTION = "act"
    CUSTOMER = "cus"
    EVENT = "evt"
    TRANSFER = "tra"
    GIFT = "gift"
    POLICY_CHANGE = "pol"
    NOTICE = "ntc"
    ENDPOINT = "whe"
    PAYOUT = "pay"
    SALE = "sale"
    TOP_UP = "top"
    SALE_PAYMENT = "spay"
    PROGRAMME_END = "pend"
    BUYER_LIST = "blst"
    FUNDER = "fun"
    CAMPAIGN = "camp"
    VOUCHER_TEMPLATE = "vtpl"
    VOUCHER_BATCH = "vbat"
    VOUCHER = "vou"
    POINTS_PARTNER = "ptp"
    POINTS_BENEFIT = "ptb"


class Ids(Protocol):
    """Makes ids."""

    def new(self) -> UUID:
        """A UUIDv7 that was never given before."""
        ...

    def new_near(self, near: UUID) -> UUID:
        """A new id whose last six bits are those of ``near``, so that both lead to the same slot."""
        ...


class SystemIds:
    """UUIDv7 from this machine's clock, or another one, and its random source; later ids of one process sort later."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._now_ns = time.time_ns if clock is None else lambda: int(clock.now().timestamp() * 1_000) * 1_000_000
        self._last_ms = 0
        self._counter = 0

    def _next(self) -> int:
        # RFC 9562 section 6.2, method 1: a 12-bit counter orders ids made in the same millisecond, and a
        # clock that steps back does not bring earlier ids.
        now_ms = self._now_ns() // 1_000_000
        if now_ms > self._last_ms:
            self._last_ms, self._counter = now_ms, 0
        else:
            self._counter += 1
            if self._counter > 0xFFF:
                self._last_ms, self._counter = self._last_ms + 1, 0
        random_62 = int.from_bytes(os.urandom(8), "big") & 0x3FFF_FFFF_FFFF_FFFF
        return self._last_ms << 80 | 7 << 76 | self._counter << 64 | 2 << 62 | random_62

    def new(self) -> UUID:
        return uuid_from(self._next())

    def new_near(self, near: UUID) -> UUID:
        return uuid_from(self._next() & ~_SLOT_BITS | near.int & _SLOT_BITS)


def uuid_from(number: int) -> UUID:
    """``UUID(int=number)`` without the checks of its constructor, which cost more than making the number."""
    made = object.__new__(UUID)
    object.__setattr__(made, "int", number)
    object.__setattr__(made, "is_safe", SafeUUID.unknown)
    return made


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


MARGIN = timedelta(minutes=1)
"""How far the time in an id may be from the time at which its row was recorded: ids are made a moment before, and by
several machines. More than any request waits."""

LAST_ID = UUID(int=(1 << 128) - 1)
"""No id is made beyond it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS = (1 << 48) - 1


def first_id(at: datetime, *, margin: timedelta = timedelta()) -> UUID:
    """The lowest UUIDv7 of the millisecond ``margin`` after ``at``: where an index by id comes to that time."""
    since_epoch_ms = (at - _EPOCH + margin) // timedelta(milliseconds=1)
    return UUID(int=min(max(since_epoch_ms, 0), _LAST_MS) << 80)
