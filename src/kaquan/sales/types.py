"""What is sold and to whom. Amounts in minor units of the sale's currency.

A *sale* is of cards, a *top-up* onto a card; both are purchases, and each is a row of the register of purchasers.
"""

from collections.abc import Callable
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

import msgspec

from kaquan.imports import LineProblem
from kaquan.kit.paging import DEFAULT_LIMIT
from kaquan.parties.customers import Personal
from kaquan.parties.identity import IdentityLevel
from kaquan.policy import Buyer, CardClass, Channel, IssuerClass, RuleBook, Scheme

MAX_LINES = 50
MAX_SALE_CARDS = 2_000
"""Cards of one sale: taking it back is one commit."""
MAX_PAYMENTS = 50
DEFAULT_OPEN_S = 7 * 86_400
MAX_OPEN_S = 90 * 86_400
"""How long cards are set aside for a sale of which nothing is paid."""

RulesOf = Callable[[int, UUID], RuleBook]
"""What binds an issuer of a book."""


class SaleKind(StrEnum):
    """What is bought."""

    SALE = "sale"
    """Cards, which it makes active."""
    TOP_UP = "top_up"
    """Value onto a card that is active already."""


class SaleStatus(StrEnum):
    """Where a purchase is."""

    OPEN = "open"
    """Its cards are set aside; it is not paid in full."""
    PAID = "paid"
    """In full; its cards are not all delivered yet."""
    DELIVERED = "delivered"
    """Every card is active and holds its face value."""
    REFUNDED = "refunded"
    """Taken back: its cards are closed for ever."""
    CANCELLED = "cancelled"
    """Never delivered; its cards may be sold again."""


class ItemStatus(StrEnum):
    """Where a card of a purchase is."""

    RESERVED = "reserved"
    FAILED = "failed"
    """It could not be delivered; it is tried again when somebody asks."""
    DELIVERED = "delivered"
    REFUNDED = "refunded"
    RELEASED = "released"


class Review(StrEnum):
    """Of a sale whose buyer is on a list that asks for it."""

    PENDING = "pending"
    """It is not paid before somebody has looked."""
    CLEARED = "cleared"


class BuyerListAction(StrEnum):
    """What becomes of a purchase of somebody on a list."""

    REFUSE = "refuse"
    REVIEW = "review"


class BuyerListStatus(StrEnum):
    """Where a list is."""

    CHECKED = "checked"
    """Kept, and not in force yet."""
    ACTIVE = "active"
    ENDED = "ended"


class PayMethod(StrEnum):
    """With what a purchase is paid."""

    CASH = "cash"
    BANK_TRANSFER = "bank_transfer"
    DEBIT_CARD = "debit_card"
    CREDIT_CARD = "credit_card"
    ONLINE = "online"
    """Out of an account at a payment service."""


# --- what is asked


class NewLine(msgspec.Struct, frozen=True, kw_only=True):
    """Cards of one programme and face value: those of ``card_ids``, or ``card_count`` of a finished batch, or so many
    digital cards that are made for it. All amounts are of one card; what is not paid of its face is given, and
    ``fee_fen`` is paid beside: the ``issue_fen`` of the terms, named so that it is agreed to."""

    programme_id: UUID
    face_fen: int
    price_fen: int
    card_ids: tuple[UUID, ...] = ()
    batch_id: UUID | None = None
    card_count: int | None = None
    fee_fen: int = 0


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """Who buys, where, and what they agreed to. ``customer_id`` None: nobody asked; ``agent_id`` is who buys for
    another."""

    buyer: Buyer
    channel: Channel
    customer_id: UUID | None = None
    agent_id: UUID | None = None
    contract_version: str | None = None
    reference: str | None = None


class NewSale(Terms, frozen=True, kw_only=True):
    """A sale to be made. If nothing of it is paid for ``expires_in_s`` it ends by itself and its cards are free."""

    lines: tuple[NewLine, ...]
    expires_in_s: int = DEFAULT_OPEN_S


class BankAccount(msgspec.Struct, frozen=True, kw_only=True):
    """One side of a bank transfer. It leaves no trace in a ``repr``."""

    account_name: str
    account_number: str
    bank_name: str

    def __repr__(self) -> str:
        return "BankAccount(...)"


class NewPayment(msgspec.Struct, frozen=True, kw_only=True):
    """Money that was received for a purchase."""

    method: PayMethod
    amount_fen: int
    payer: BankAccount | None = None
    payee: BankAccount | None = None
    reference: str | None = None


class NewTopUp(Terms, frozen=True, kw_only=True):
    """A top-up to be made: ``face_fen`` comes onto the card, for one payment, of which ``fee_fen`` is for the
    service."""

    card_id: UUID
    face_fen: int
    payment: NewPayment
    fee_fen: int = 0


# --- what is kept


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line as it was sold; all amounts are of one card."""

    programme_id: UUID
    batch_id: UUID | None
    card_count: int
    face_fen: int
    price_fen: int
    fee_fen: int = 0
    cap_fen: int | None = None
    """Of a top-up: the most that the rules let the card hold, which the load is held to."""


class Sale(msgspec.Struct, frozen=True):
    """A purchase as it is kept. ``real_name_rule`` is why its buyer had to be identified, ``alerts`` are advisory rules
    that would have asked for more. ``version`` grows with every change."""

    book_id: int
    id: UUID
    kind: SaleKind
    status: SaleStatus
    issuer_id: UUID
    currency: str
    channel: Channel
    buyer: Buyer
    customer_id: UUID | None
    agent_id: UUID | None
    contract_version: str | None
    reference: str | None
    lines: tuple[Line, ...]
    card_count: int
    face_fen: int
    price_fen: int
    unregistered_fen: int
    paid_fen: int
    real_name_rule: str | None
    alerts: tuple[str, ...]
    purchaser_sealed: bytes | None
    keep_until: datetime | None
    erased_at: datetime | None
    made_by: str
    created_at: datetime
    paid_at: datetime | None
    delivered_at: datetime | None
    ended_at: datetime | None
    end_reason: str | None
    key_hash: UUID
    request_hash: bytes
    end_key_hash: UUID | None
    version: int
    expires_at: datetime | None
    """When it ends if nothing of it is paid by then; None: never."""
    fee_fen: int = 0
    review: Review | None = None
    """Whether somebody must look at it, or has; None: nobody."""

    @property
    def due_fen(self) -> int:
        """What is to be paid: for the value, and beside it."""
        return self.price_fen + self.fee_fen


class Item(msgspec.Struct, frozen=True):
    """A card of a purchase."""

    slot: int
    card_id: UUID
    sale_id: UUID
    book_id: int
    kind: SaleKind
    line: int
    face_fen: int
    price_fen: int
    status: ItemStatus
    tries: int
    failure: str | None
    load_id: UUID | None
    refund_id: UUID | None
    delivered_at: datetime | None
    fee_fen: int = 0

    @property
    def bonus_fen(self) -> int:
        """What is given: the part of the face that is not paid."""
        return self.face_fen - self.price_fen


class Payment(msgspec.Struct, frozen=True):
    """Money that was received for a purchase. Both accounts are sealed."""

    book_id: int
    sale_id: UUID
    id: UUID
    method: PayMethod
    amount_fen: int
    accounts_sealed: bytes | None
    payer_last4: str | None
    reference: str | None
    made_by: str
    key_hash: UUID
    request_hash: bytes
    paid_at: datetime


class SaleShown(NamedTuple):
    """A purchase with what was paid for it and how many of its cards are in each status."""

    sale: Sale
    payments: list[Payment]
    items: dict[ItemStatus, int]


class Purchaser(msgspec.Struct, frozen=True, kw_only=True):
    """Who bought, as they were known at the purchase. It leaves no trace in a ``repr``."""

    buyer: Personal | None = None
    agent: Personal | None = None

    def __repr__(self) -> str:
        return "Purchaser(...)"


class PaymentAccounts(msgspec.Struct, frozen=True, kw_only=True):
    """Both accounts of one payment. It leaves no trace in a ``repr``."""

    payment_id: UUID
    payer: BankAccount | None = None
    payee: BankAccount | None = None

    def __repr__(self) -> str:
        return "PaymentAccounts(...)"


class Revealed(NamedTuple):
    """What the register holds sealed of a purchase, in clear."""

    purchaser: Purchaser
    accounts: list[PaymentAccounts]


class SaleSearch(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of purchases is narrowed to; None does not narrow. Newest first, beginning after ``after_id``."""

    limit: int = DEFAULT_LIMIT
    after_id: UUID | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    kind: SaleKind | None = None
    status: SaleStatus | None = None
    customer_id: UUID | None = None
    card_id: UUID | None = None
    reference: str | None = None


class BuyerList(msgspec.Struct, frozen=True):
    """A list of names, with what becomes of their purchases. ``key_id`` is the look-up key that it is kept under."""

    book_id: int
    id: UUID
    name: str
    source: str
    listed_on: date
    action: BuyerListAction
    status: BuyerListStatus
    entry_count: int
    sha256: str
    key_id: str
    made_by: str
    made_at: datetime
    applied_at: datetime | None
    ended_at: datetime | None


class ListLine(NamedTuple):
    """A good line of a list, in clear. It leaves no trace in a ``repr``."""

    line: int
    name: str | None
    document: str | None

    def __repr__(self) -> str:
        return f"ListLine({self.line})"


class ListEntry(NamedTuple):
    """What is kept of a line: look-ups, which tell nobody what it said."""

    line: int
    name: UUID | None
    document: UUID | None


class CheckedList(NamedTuple):
    """A file that was checked whole."""

    lines: list[ListLine]
    problems: list[LineProblem]
    sha256: str


# --- what is judged


class LineFacts(NamedTuple):
    """What of a line the rules look at. Amounts are of one card, ``balance_fen`` is what it holds before."""

    scheme: Scheme
    card_class: CardClass
    card_count: int
    face_fen: int
    price_fen: int
    balance_fen: int = 0
    credit_card_allowed: bool | None = None
    """What the contract with the holder says of it."""


class DayFacts(NamedTuple):
    """What the buyer bought before on this day on unregistered cards: how often, and their face values."""

    purchases: int = 0
    face_fen: int = 0


class Tender(NamedTuple):
    """A payment as the rules look at it."""

    method: PayMethod
    has_accounts: bool


class SaleFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a purchase is judged on: nothing else is looked at. ``on`` is the day in the issuer's zone.

    A level None: nobody is named.
    """

    kind: SaleKind
    jurisdiction: str
    on: date
    issuer_class: IssuerClass | None
    buyer: Buyer
    channel: Channel
    lines: tuple[LineFacts, ...]
    customer_level: IdentityLevel | None = None
    agent_level: IdentityLevel | None = None
    day: DayFacts = DayFacts()
    contract_version: str | None = None
    tenders: tuple[Tender, ...] = ()
