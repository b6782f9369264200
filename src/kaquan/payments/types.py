"""Commands, facts, plans and receipts of payments. All frozen; amounts in minor units of the card's currency."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

import msgspec

from kaquan.cards import CardStatus, PinState, Pocket, Programme
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import Answer, Posting, RequestKey
from kaquan.parties import Place
from kaquan.payments.kept import Kept, KeptPart
from kaquan.payments.limits import NO_LIMITS, LimitSet, UsageFacts, Use, Uses
from kaquan.payments.places import LastPlace, PlaceRule
from kaquan.points import Earning, IssuerAccounts, Member, TermsVersion
from kaquan.promotions import (
    BudgetUse,
    CompiledCampaigns,
    CompiledOffer,
    FunderKind,
    GrantKind,
    Holder,
    Line,
    OutsideOffer,
    Watch,
)
from kaquan.vouchers import HeldBy, Template, Voucher


class PaymentKind(StrEnum):
    """What a client asked for."""

    PURCHASE = "purchase"
    AUTHORIZATION = "authorization"
    REFUND = "refund"
    LOAD = "load"


class PaymentStatus(StrEnum):
    """Where a payment is."""

    OPEN = "open"
    """An authorization that can still be captured."""
    COMPLETED = "completed"
    VOIDED = "voided"
    EXPIRED = "expired"


class Spend(NamedTuple):
    """Pay at a terminal: a purchase, or an authorization when ``expires_at`` is set."""

    card_id: UUID
    amount_fen: int
    place: Place
    occurred_at: datetime | None = None
    """When it happened at the till; None: now."""
    reference: str | None = None
    authorize: bool = False
    expires_in_s: int | None = None
    """How long an authorization stays open; None: as the programme says."""
    not_before: datetime | None = None
    """The earliest ``occurred_at`` that this client may name; None: any."""
    pin: PinState = PinState.NOT_GIVEN
    device_id: UUID | None = None
    """What the holder pays with, when the till knows it; only for limits."""
    lines: tuple[Line, ...] = ()
    """The basket, which sums to ``amount_fen``; empty: the till tells none, it is one line of goods unknown."""
    voucher_ids: tuple[UUID, ...] = ()
    """What the holder wants to redeem."""
    outside: tuple[OutsideOffer, ...] = ()
    """Discounts that are given already; together less than ``amount_fen``."""
    points: int = 0
    """How many points shall pay a part of it."""


class Capture(NamedTuple):
    """Turn an authorization, or a part, into a spend; a final capture gives the rest back."""

    payment_id: UUID
    amount_fen: int | None
    final: bool
    occurred_at: datetime | None = None


class Void(NamedTuple):
    """Cancel what is not captured of an authorization. ``expired``: its time has passed (the system asks)."""

    payment_id: UUID
    occurred_at: datetime | None = None
    expired: bool = False


class Refund(NamedTuple):
    """Return value of a captured spend to the pockets it came from; None: all that is left to refund."""

    payment_id: UUID
    amount_fen: int | None
    occurred_at: datetime | None = None
    reference: str | None = None
    not_before: datetime | None = None
    lines: tuple[tuple[int, int], ...] = ()
    """The goods that came back: the number of a line of the payment, and how much of it at list price. With them
    ``amount_fen`` is None: what the holder gets follows."""


class Load(NamedTuple):
    """Add money to a card against a payment, and perhaps a bonus that is not paid for."""

    card_id: UUID
    amount_fen: int
    bonus_fen: int
    occurred_at: datetime | None = None
    reference: str | None = None
    place: Place | None = None
    not_before: datetime | None = None
    device_id: UUID | None = None
    pocket: Pocket = Pocket.PRINCIPAL
    """Where the money goes: the principal or the restricted pocket."""
    sale_id: UUID | None = None
    """The paid sale or top-up that it comes from, if any."""
    fee_fen: int = 0
    """Paid beside the amount for the service, as was agreed to: it goes to the issuer and never onto the card."""
    invited_by: UUID | None = None
    """The card of whoever invited the holder."""
    cap_fen: int | None = None
    """The most that the card may hold after it, by the rules that its purchase was judged by; the cap of the programme
    holds besides."""


Command = Spend | Capture | Void | Refund | Load


class LotFacts(NamedTuple):
    """What may be taken from one lot of a pocket."""

    lot: int
    available_fen: int
    paid_fen: int
    given_fen: int
    expires_at: datetime | None


class PocketFacts(NamedTuple):
    """A pocket of a card and its spendable lots, in lot order."""

    pocket: Pocket
    account_id: int
    version: int
    posted_fen: int
    reserved_fen: int
    lots: list[LotFacts]

    @property
    def available_fen(self) -> int:
        """What is neither spent nor reserved, expired lots included."""
        return self.posted_fen - self.reserved_fen


class CardFacts(NamedTuple):
    """A card as it was read for one batch."""

    id: UUID
    book_id: int
    programme_id: UUID
    status: CardStatus
    expires_at: datetime | None
    book_version: int
    pockets: dict[Pocket, PocketFacts]
    customer_id: UUID | None = None
    """Whose card it is; None: unregistered."""
    last_place: LastPlace | None = None
    """Where it was spent last; None also when nobody asked."""
    terms_version: int = 1
    """The version of its programme's terms that it was issued under."""


class SpentLeg(NamedTuple):
    """What a payment has done so far between one lot of a pocket and one other account, in the order of its legs."""

    account_id: int
    lot: int | None
    other_account: int
    reserved_fen: int
    captured_fen: int
    refunded_fen: int
    expired: bool = False
    """Whether the lot has ended."""


class Payment(msgspec.Struct, frozen=True):
    """A payment as it stands. ``captured_fen`` is what was spent (for a load and a refund: all of it)."""

    slot: int
    id: UUID
    book_id: int
    kind: PaymentKind
    status: PaymentStatus
    card_id: UUID
    merchant_id: UUID | None
    store_id: UUID | None
    terminal_id: UUID | None
    original_id: UUID | None
    currency: str
    amount_fen: int
    bonus_fen: int
    captured_fen: int
    refunded_fen: int
    reference: str | None
    expires_at: datetime | None
    occurred_at: datetime
    created_at: datetime
    version: int


class PaymentFacts(NamedTuple):
    """A payment that is to change, with what it moved."""

    payment: Payment
    legs: list[SpentLeg]
    """Of the card's pockets."""
    kept: Kept | None = None
    """How it was priced; None: without offers."""
    parts: tuple[KeptPart, ...] = ()
    """What was captured and given back of that, in the order in which it was."""


class Accounts(NamedTuple):
    """The accounts on the other side of a card's pockets, in the card's slot."""

    merchant_payable: int
    load_clearing: int
    bonus_expense: int
    issuer_fees: int = 0
    """Known where a fee is to be paid."""


class Facts(NamedTuple):
    """What one command is decided on: nothing else is looked at, no clock, no chance."""

    now: datetime
    transaction_id: UUID
    book_id: int
    card: CardFacts | None
    programme: Programme | None
    payment: PaymentFacts | None
    accounts: Accounts
    limits: LimitSet = NO_LIMITS
    """Those that hold for this movement of this card."""
    usage: UsageFacts | None = None
    """What was used of them; None: not looked at, the database will tell when there is too little left."""
    place_rules: tuple[PlaceRule, ...] = ()
    """Those that hold for a spend of this card."""
    offers: "OfferFacts | None" = None
    """None: there is nothing to price, neither a campaign nor a voucher nor a discount from outside."""
    points: "PointsFacts | None" = None
    """None: the programme gives none, or nothing is earned and spent by this."""
    opened: "Opened" = {}  # noqa: RUF012  (read only)
    """Accounts of funders and the like that are open in the slot."""
    trade: str | None = None
    """Of a capture: what the store of the payment deals in."""


class PointsFacts(NamedTuple):
    """What a payment earns and spends points by."""

    versions: Sequence[TermsVersion]
    """Of the programme's terms, the newest last."""
    in_force: TermsVersion | None
    member: Member
    issuer: IssuerAccounts
    earnings: Sequence[Earning] = ()
    """Of a refund: what its purchase, or each capture of its authorization, earned."""
    birth_month: int | None = None
    """Of the holder; told only where the terms ask."""


class AccountName(NamedTuple):
    """An account of one who is neither the card nor the place, in the card's slot and currency."""

    slot: int
    owner_id: UUID
    kind: str
    currency: str


Opened = Mapping[AccountName, int]


class OfferFacts(NamedTuple):
    """What a payment is priced with."""

    campaigns: CompiledCampaigns
    holder: Holder
    slot: int
    """Of the card: where accounts of funders are."""
    vouchers: Mapping[UUID, "VoucherFacts"] = {}
    """Those that the command names, as far as they are there."""
    exhausted: frozenset[UUID] = frozenset()
    """Budgets that are known to have nothing left for it."""
    is_first_load: bool = False
    """Of a load: whether the card (the person) was never loaded before; told only where an offer asks."""
    watch: Watch | None = None
    """The drafts that run beside it; None: none."""


class HolderFacts(NamedTuple):
    """What is known of whose card it is; what no offer asks is as if it were not known."""

    birthday: tuple[int, int] | None = None
    """Month and day."""
    segments: frozenset[str] = frozenset()
    tier: str | None = None
    """Of the card as a member."""
    bought_before: bool = True
    """With any card of the person."""
    loaded_before: bool = True


class VoucherFacts(NamedTuple):
    """A voucher as it was read, with what it promises."""

    voucher: Voucher
    template: Template
    offer: CompiledOffer


class Redeeming(NamedTuple):
    """A voucher that a payment redeems: what it takes off, and the version that this was decided on."""

    voucher_id: UUID
    version: int
    amount_fen: int


class Giving(NamedTuple):
    """Vouchers that a payment grants, or that its refund takes back; ``due_at``: in instalments, from then on."""

    book_id: int
    template_id: UUID
    payment_id: UUID
    card_id: UUID
    holder: HeldBy
    pieces: int
    amount_fen: int
    due_at: tuple[datetime, ...] = ()


class Instalment(NamedTuple):
    """A bonus or points for a card on a day, out of the accounts of who pays for it, with what each pays."""

    book_id: int
    card_id: UUID
    payment_id: UUID
    campaign_id: UUID
    due_at: datetime | None
    """None: as soon as may be."""
    amount_fen: int
    funders: tuple[UUID, ...]
    parts_fen: tuple[int, ...]
    what: GrantKind = GrantKind.BONUS


class PocketAmount(msgspec.Struct, frozen=True):
    """How much of a payment moved in one pocket."""

    pocket: Pocket
    amount_fen: int


class Receipt(msgspec.Struct, frozen=True):
    """A payment with what this request moved in each pocket and what the card has available after it."""

    payment: Payment
    pockets: list[PocketAmount]
    balance_fen: int
    kept: Kept | None = None
    """How the payment was priced, or the payment that is refunded."""
    part: KeptPart | None = None
    """What of that a refund gave back."""
    points_earned: int = 0
    """Below zero: what a refund took back."""
    withheld_fen: int = 0
    """What a refund kept of its money for points that were spent."""
    fee_fen: int = 0
    """What was paid beside a load."""


class Plan(NamedTuple):
    """A decision as data: what to post, which payment rows to write and to change, what to answer."""

    posting: Posting
    receipt: Receipt
    new: Payment | None = None
    changed: Payment | None = None
    """As it will be; its version is one more than that which the decision was made on."""
    uses: Uses | None = None
    """What it counts in; None: nothing."""
    last_place: LastPlace | None = None
    """Where the card is now, if a rule wants to know the next time."""
    kept: bytes | None = None
    """How it was priced, or what it takes or gives back of a pricing; None: without offers."""
    original_id: UUID | None = None
    """The payment whose pricing that is a part of."""
    gives_back: tuple[Use, ...] = ()
    """What it counted in and does not any more."""
    budgets: tuple[tuple[BudgetUse, Use], ...] = ()
    """Those of its uses that are of budgets."""
    redeems: tuple[Redeeming, ...] = ()
    returns: tuple[tuple[UUID, int], ...] = ()
    """What comes back of vouchers' discounts."""
    gives: tuple[Giving, ...] = ()
    revokes: tuple[Giving, ...] = ()
    instalments: tuple[Instalment, ...] = ()
    earnings: tuple[tuple[Earning | None, Earning], ...] = ()
    """What it earns; of a refund: each earning as it was, and what becomes of it."""
    seen: bytes | None = None
    """What it was priced by, where a draft runs beside it."""

    @property
    def gives_besides(self) -> bool:
        """Whether anything but value comes or goes with it."""
        return bool(self.returns or self.gives or self.revokes or self.instalments or self.earnings)


class Funding(NamedTuple):
    """One who pays for offers of a campaign: the owner of an account."""

    id: UUID
    campaign_id: UUID
    kind: FunderKind
    party_id: UUID


class Unopened(NamedTuple):
    """There is no plan yet: these accounts must be open first."""

    accounts: tuple[AccountName, ...]
    fundings: tuple[Funding, ...]


class Request(NamedTuple):
    """One command on its way through the desk. ``render`` makes the answer that is kept with the key."""

    book_id: int
    command: Command
    key: RequestKey | None
    render: Callable[["Receipt | Refusal"], Answer]
