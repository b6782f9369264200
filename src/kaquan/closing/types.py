"""What ends and how: holdings of a card, terms, closings, payouts. Amounts in minor units of the card's currency."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

import msgspec

from kaquan.cards import SYSTEM, Card, CardStatus, Hand, Pocket, Programme
from kaquan.closing.refund_quote import RefundQuote
from kaquan.closing.refund_rules import Cause, Figure, RefundRules, RulesError
from kaquan.kit.clock import Clock
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.kit.paging import DEFAULT_LIMIT
from kaquan.parties.trail import Actor


def person_of(by: Actor) -> UUID:
    """Who acts, as four eyes count: an operator is one person with all of their keys; else it is the key."""
    person = by.operator_id or by.key_id
    assert person is not None, "only people close cards and settle payouts"
    return person


def hand_of(clock: Clock, ids: Ids, by: Actor) -> Hand:
    """Who acts, for the events of a card."""
    return Hand(clock, ids, SYSTEM if by.key_id is None else show_id(Prefix.KEY, by.key_id))


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a programme says of the end of its value.

    ``remind_days``: so many days before a lot ends its holder is reminded, each once. ``dormant_months``: a card that
    holds value and has not moved for so long is dormant (None: never). No fee follows from either: that of cards which
    nobody uses is among the fees of the programme.
    ``refund_values`` are the named values of its refund rules.
    """

    remind_days: tuple[int, ...] = ()
    dormant_months: int | None = None
    refund_values: tuple[Figure, ...] = ()


class LotHeld(NamedTuple):
    """A lot of a card. ``swept_fen`` was taken from it after its end and not given back."""

    account_id: int
    pocket: Pocket
    lot: int
    origin_id: UUID
    originated_at: datetime
    paid_fen: int
    given_fen: int
    expires_at: datetime | None
    remaining_fen: int
    reserved_fen: int
    swept_fen: int


class PocketHeld(NamedTuple):
    """A pocket of a card with the version that its lots were read at."""

    account_id: int
    pocket: Pocket
    version: int
    posted_fen: int
    reserved_fen: int


class Swept(NamedTuple):
    """What one sweep took from a lot and is not given back."""

    transaction_id: UUID
    account_id: int
    lot: int
    source_account_id: int
    amount_fen: int
    returned_fen: int

    @property
    def left_fen(self) -> int:
        return self.amount_fen - self.returned_fen


class Holding(NamedTuple):
    """A card with everything that it holds and that was taken from it after its end: one moment."""

    card: Card
    programme: Programme
    pockets: list[PocketHeld]
    lots: list[LotHeld]
    swept: list[Swept]
    has_transfer: bool = False
    """Whether balance is on its way from the card or to it."""

    @property
    def reserved_fen(self) -> int:
        return sum(pocket.reserved_fen for pocket in self.pockets)


class RefundAsk(msgspec.Struct, frozen=True, kw_only=True):
    """What a refund is asked with. Days are days in the issuer's zone.

    ``discounts`` says for a load how much more what was bought from it would have cost at list price.
    """

    cause: Cause
    requested_on: date | None = None
    ended_on: date | None = None
    had_before: bool = False
    custody_fen: int = 0
    costs_fen: int = 0
    goods_fen: int = 0
    discounts: dict[UUID, int] = {}


RulesOf = Callable[[Holding, date], Awaitable[RefundRules | RulesError]]
"""Gives the rules by which a card is refunded on a day, or what they lack."""


class PayoutMethod(StrEnum):
    """How a refund reaches its holder."""

    BANK_TRANSFER = "bank_transfer"
    """To an account in the holder's own name."""
    CASH = "cash"
    """Only up to the limit of the rules."""


class Payee(msgspec.Struct, frozen=True, kw_only=True):
    """Who is paid. ``holder_name`` is the name on the document that was shown; it never shows in a ``repr``."""

    method: PayoutMethod
    holder_name: str
    account_name: str | None = None
    account_number: str | None = None
    bank_name: str | None = None

    def __repr__(self) -> str:
        return f"Payee(method={self.method.value})"


class PayoutStatus(StrEnum):
    """Where a payout is."""

    PENDING = "pending"
    PAID = "paid"
    FAILED = "failed"


class Payout(msgspec.Struct, frozen=True):
    """An instruction to pay a refund out. The payee is sealed; ``transaction_id`` is that of the closing."""

    slot: int
    id: UUID
    book_id: int
    card_id: UUID
    transaction_id: UUID
    method: PayoutMethod
    currency: str
    amount_fen: int
    payee_sealed: bytes
    account_last4: str | None
    payable_account_id: int
    due_on: date | None
    status: PayoutStatus
    made_by: UUID
    checked_by: UUID | None
    payment_reference: str | None
    failure: str | None
    paid_transaction_id: UUID | None
    created_at: datetime
    changed_at: datetime
    version: int


class PayoutSearch(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of payouts is narrowed to; None does not narrow. Newest first, beginning after ``after_id``."""

    limit: int = DEFAULT_LIMIT
    after_id: UUID | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    card_id: UUID | None = None
    status: PayoutStatus | None = None


class Closed(msgspec.Struct, frozen=True):
    """A card that was closed, with its refund. ``transaction_id`` None: it held nothing and is due nothing."""

    card_id: UUID
    transaction_id: UUID | None
    quote: RefundQuote
    quote_hash: bytes
    payout: Payout | None
    closed_by: UUID
    closed_at: datetime


class Extended(msgspec.Struct, frozen=True):
    """Lots of a card that end later now; ``returned_fen`` had been swept and is back on the card."""

    card_id: UUID
    expires_at: datetime
    lot_count: int
    returned_fen: int
    transaction_id: UUID | None


class Released(msgspec.Struct, frozen=True):
    """What lay on a replaced card without a living successor: ``amount_fen`` of it is owed to the holder, ``given_fen``
    goes back to where it was given from."""

    card_id: UUID
    transaction_id: UUID
    amount_fen: int
    given_fen: int
    payout: Payout | None
    reason: str
    approval_id: UUID
    released_by: UUID
    released_at: datetime


class LotName(NamedTuple):
    """A lot as clients name it."""

    pocket: Pocket
    lot: int


def lots_of(holding: Holding, names: Sequence[LotName]) -> list[LotHeld]:
    """The lots of a card with these names; those that it does not have are left out."""
    wanted = set(names)
    return [lot for lot in holding.lots if (lot.pocket, lot.lot) in wanted]


class ExpiredLot(NamedTuple):
    """A lot that has ended, as it was read; ``available_fen`` is neither spent nor set aside."""

    account_id: int
    lot: int
    version: int
    book_id: int
    currency: str
    card_id: UUID
    status: CardStatus
    issuer_id: UUID
    time_zone: str
    origin_id: UUID
    expires_at: datetime
    available_fen: int


class EndingLot(NamedTuple):
    """A lot that ends within a threshold that its holder was not reminded of."""

    account_id: int
    lot: int
    book_id: int
    currency: str
    card_id: UUID
    time_zone: str
    expires_at: datetime
    available_fen: int
    threshold_days: int


class DormantCard(NamedTuple):
    """An active card with value that has not moved since ``last_moved_at``."""

    card_id: UUID
    book_id: int
    currency: str
    time_zone: str
    last_moved_at: datetime
    amount_fen: int
