"""What the ledger is told and what it tells: accounts, postings, statuses."""

from collections.abc import Sequence
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import NamedTuple
from uuid import UUID

import msgspec


class FloorRule(StrEnum):
    """Which counters may not exceed the others."""

    NONE = "none"
    """A hot account that is only added up: a merchant's payable, an expense."""
    CREDIT = "credit"
    """Debits, the pending ones included, never exceed credits: value owed to somebody, such as a card pocket."""
    DEBIT = "debit"
    """Credits, the pending ones included, never exceed debits: value that we hold."""


class Effect(StrEnum):
    """What a leg does to the four counters of its two accounts."""

    POST = "post"
    """Value moves: posted counters grow."""
    RESERVE = "reserve"
    """Value is set aside: pending counters grow."""
    CAPTURE = "capture"
    """Reserved value moves: pending counters shrink, posted counters grow."""
    RELEASE = "release"
    """Reserved value is given back: pending counters shrink."""


class PostStatus(IntEnum):
    """What became of one item of a batch; see ``ledger_post_batch_v1``."""

    APPLIED = 0
    """Posted (or, for an item that moves nothing, its answer is remembered)."""
    ANSWERED = 1
    """The request key has its answer already; nothing moved now."""
    STALE = 2
    """A guard or a lot no longer holds; nothing moved; plan again on fresh facts."""
    FLOOR = 3
    """It would take an account through its floor; nothing moved."""


class AccountSpec(NamedTuple):
    """An account to open. An owner has at most one account of a kind and currency in a slot."""

    book_id: int
    owner_id: UUID
    kind: str
    currency: str
    floor_rule: FloorRule = FloorRule.NONE
    lotted: bool = False


class Leg(NamedTuple):
    """One movement from ``debit_account`` to ``credit_account``; lots are named where an account keeps lots."""

    effect: Effect
    debit_account: int
    debit_lot: int | None
    credit_account: int
    credit_lot: int | None
    amount_fen: int


class Guard(NamedTuple):
    """A fact that a decision relied on: the account was at this version.

    The posting need not move the account: its version then moves on all the same, so that of two postings which each
    rely on what the other moves, one is decided again.

    ``version`` None: whatever its version, the account must stay above its floor; the database looks at the items of a
    batch in their order. That is for accounts that many move at once, such as a budget. (Floors hold without a guard
    too; naming the account saves the attempt that would fail.)
    """

    account_id: int
    version: int | None


class NewLot(NamedTuple):
    """A lot that a posting opens; its value comes by legs. ``paid_fen`` and ``given_fen`` are those of its load."""

    account_id: int
    lot: int
    paid_fen: int
    given_fen: int
    expires_at: datetime | None


class Posting(NamedTuple):
    """A transaction to post: all legs apply or none."""

    transaction_id: UUID
    kind: str
    effective_at: datetime
    legs: list[Leg]
    guards: Sequence[Guard] = ()
    lots: Sequence[NewLot] = ()
    related_id: UUID | None = None
    place_id: UUID | None = None
    reference: str | None = None
    detail: bytes | None = None
    """SHA-256 of what the caller keeps about it in the same commit, in its leaf; the caller writes it to
    ``ledger_detail``."""


class RequestKey(NamedTuple):
    """What a client named its request. ``key_hash`` finds it (see :func:`kaquan.ledger.hash_key`)."""

    key: str
    key_hash: UUID
    request_hash: bytes


class Answer(NamedTuple):
    """The answer to a request as its door gave it: HTTP status and body."""

    status: int
    body: bytes


class Item(NamedTuple):
    """One item of a batch: a posting, or None to remember an answer alone (a decline); both under one key."""

    book_id: int
    posting: Posting | None
    request: RequestKey | None = None
    answer: Answer | None = None


class Account(msgspec.Struct, frozen=True):
    """An account with its counters, in minor units of its currency."""

    slot: int
    id: int
    book_id: int
    owner_id: UUID
    kind: str
    currency: str
    floor_rule: FloorRule
    lotted: bool
    debits_posted: int
    credits_posted: int
    debits_pending: int
    credits_pending: int
    version: int

    @property
    def posted_fen(self) -> int:
        """What has moved, on the account's own side (credit, unless its floor rule is debit)."""
        sign = -1 if self.floor_rule is FloorRule.DEBIT else 1
        return sign * (self.credits_posted - self.debits_posted)

    @property
    def available_fen(self) -> int:
        """What may still be taken: posted less what is reserved."""
        taken = self.credits_pending if self.floor_rule is FloorRule.DEBIT else self.debits_pending
        return self.posted_fen - taken


class Lot(NamedTuple):
    """A lot that holds something free: ``available_fen`` is what is neither spent nor reserved."""

    account_id: int
    lot: int
    origin_transaction_id: UUID
    paid_fen: int
    given_fen: int
    expires_at: datetime | None
    available_fen: int


class Entry(msgspec.Struct, frozen=True):
    """One leg of a posted transaction; balances after are those of the sides that have a floor."""

    leg: int
    effect: Effect
    debit_account: int
    debit_lot: int | None
    credit_account: int
    credit_lot: int | None
    amount_fen: int
    debit_balance_after: int | None
    credit_balance_after: int | None


class Transaction(msgspec.Struct, frozen=True):
    """A posted transaction; it is never changed."""

    slot: int
    id: UUID
    book_id: int
    kind: str
    related_id: UUID | None
    place_id: UUID | None
    reference: str | None
    effective_at: datetime
    recorded_at: datetime
    request_key: str | None
    entries: list[Entry]
    detail: bytes | None = None
    """SHA-256 of what a room above keeps about it; told of a transaction that is read alone."""
