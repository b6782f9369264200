"""Who is told of the end of a programme, and who is refunded. Amounts in minor units of the programme's currency."""

from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

import msgspec

from kaquan.cards import CardStatus
from kaquan.closing.types import Payee, PayoutStatus
from kaquan.kit.paging import DEFAULT_LIMIT
from kaquan.parties.trail import Actor


class Occasion(StrEnum):
    """What a holder is told."""

    ANNOUNCED = "announced"
    REMINDER = "reminder"
    """So many days before the last day, as the closing terms of the programme say."""
    WITHDRAWN = "withdrawn"


class Publication(msgspec.Struct, frozen=True):
    """Where an end was made public: what holders are told whom nobody knows.

    ``reference`` finds it again: an address, an issue and page. ``in_time`` tells whether it left the days of notice
    that bound the end.
    """

    id: UUID
    book_id: int
    end_id: UUID
    medium: str
    reference: str
    published_on: date
    noted_by: str
    noted_at: datetime
    in_time: bool


class NewPublication(msgspec.Struct, frozen=True, kw_only=True):
    """A publication to be noted."""

    medium: str
    reference: str
    published_on: date


class DeliveryState(StrEnum):
    """What became of a message."""

    DELIVERED = "delivered"
    PENDING = "pending"
    DEAD = "dead"
    """Given up, until somebody sends it again."""
    CONSOLE = "console"
    """No endpoint wants such messages: it stands on the console alone."""


class Told(NamedTuple):
    """A line of the log: this holder was told this, by this notice."""

    card_id: UUID
    customer_id: UUID
    occasion: Occasion
    days: int
    notice_id: UUID
    told_at: datetime
    delivery: DeliveryState
    delivered_at: datetime | None


class ToldSearch(msgspec.Struct, frozen=True, kw_only=True):
    """What the log is narrowed to; None does not narrow. Newest first, beginning after ``after_id``, a notice."""

    limit: int = DEFAULT_LIMIT
    after_id: UUID | None = None
    card_id: UUID | None = None
    occasion: Occasion | None = None


class RefundState(StrEnum):
    """How far the refund of a card is."""

    OPEN = "open"
    """Nobody has said to whom it is paid: it stays owed."""
    PAYEE_KNOWN = "payee_known"
    """The job refunds it when the programme has ended."""
    REFUSED = "refused"
    """The job tried; ``problem`` says why not."""
    CLOSED = "closed"
    """The card is closed for its refund, which is not paid yet, or there was nothing to pay."""
    PAID = "paid"
    NOTHING = "nothing"
    """The card holds nothing."""


class RefundLine(msgspec.Struct, frozen=True):
    """A card on the list of refunds.

    ``paid_fen`` and ``given_fen`` are what is left of what was paid and of what was given, swept value with it.
    ``due_fen`` is what is refunded by the rules of the day, interest with it; None: it cannot be calculated, and
    ``problem`` is the code of why not. Of a closed card they are what its closing was calculated with.
    """

    card_id: UUID
    number_last4: str
    status: CardStatus
    customer_id: UUID | None
    name_masked: str | None
    phone_masked: str | None
    paid_fen: int
    given_fen: int
    due_fen: int | None
    interest_fen: int
    state: RefundState
    problem: str | None
    account_last4: str | None
    payout_id: UUID | None


class Which(StrEnum):
    """Which cards of a programme are listed."""

    ALL = "all"
    OWED = "owed"
    """Only those that are not closed and hold value."""


class RefundSearch(msgspec.Struct, frozen=True, kw_only=True):
    """What the list of refunds is narrowed to. Newest cards first, beginning after ``after_id``."""

    limit: int = DEFAULT_LIMIT
    after_id: UUID | None = None
    which: Which = Which.ALL


class Settled(NamedTuple):
    """What is known of the refund of a card beside what it holds."""

    card_id: UUID
    closed_fen: int | None
    closed_interest_fen: int | None
    payout_id: UUID | None
    payout_status: PayoutStatus | None
    account_last4: str | None
    failure: str | None


class Liability(msgspec.Struct, frozen=True):
    """What a programme owes its holders. ``paid_fen`` and ``given_fen`` are on the cards and swept from them;
    ``refundable_fen`` was calculated when cards were closed and is not paid out yet."""

    currency: str
    open_cards: int
    paid_fen: int
    given_fen: int
    closed_cards: int
    refunded_fen: int
    paid_out_fen: int
    payees_known: int
    payees_refused: int


class GivenPayee(NamedTuple):
    """To whom the rest of a card is paid: an account in the holder's name."""

    card_id: UUID
    payee: Payee


class DuePayee(NamedTuple):
    """A card that the job refunds now, on behalf of who named its payee."""

    id: UUID
    card_id: UUID
    end_id: UUID
    book_id: int
    last_day: date
    payee_sealed: bytes
    by: Actor
