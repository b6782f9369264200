"""What cards are made of: programmes, batches, cards, and what is asked of them."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from kaquan.kit.clock import Clock
from kaquan.kit.ids import Ids
from kaquan.kit.paging import DEFAULT_LIMIT


class Pocket(StrEnum):
    """The kinds of value behind a card, each in an account of its own."""

    PRINCIPAL = "principal"
    """Paid for by the holder."""
    BONUS = "bonus"
    """Given with a load."""
    RESTRICTED = "restricted"
    """Loaded for some trades, merchants or stores alone: spent there first, and nowhere else."""

    @property
    def account_kind(self) -> str:
        """The kind of the ledger account that is this pocket; its owner is the card."""
        return f"card_{self.value}"


class CardStatus(StrEnum):
    """Where a card is in its life."""

    ISSUED = "issued"
    """Made, without pockets: nothing can be loaded or spent yet."""
    ACTIVE = "active"
    BLOCKED = "blocked"
    """By the operator, by risk or by a court; unblocking leads back to where it was."""
    LOST = "lost"
    """Its holder's loss report is in effect."""
    GIFTED = "gifted"
    """On its way to another person, who has not claimed it yet: nobody can spend it."""
    REPLACED = "replaced"
    """Another card has taken its place; it never comes back."""
    CLOSED = "closed"
    """For ever."""
    EXPIRED = "expired"


class CardEvent(StrEnum):
    """What can happen to a card."""

    RECORDED = "recorded"
    """It was found like this when the log of events began."""
    ACTIVATED = "activated"
    REGISTERED = "registered"
    UNBOUND = "unbound"
    BLOCKED = "blocked"
    UNBLOCKED = "unblocked"
    LOSS_REPORTED = "loss_reported"
    LOSS_EFFECTIVE = "loss_effective"
    FOUND = "found"
    GIFT_OFFERED = "gift_offered"
    GIFT_CLAIMED = "gift_claimed"
    GIFT_CANCELLED = "gift_cancelled"
    GIFT_EXPIRED = "gift_expired"
    REPLACED = "replaced"
    CLOSED = "closed"
    EXPIRED = "expired"
    EXTENDED = "extended"
    SET_ASIDE = "set_aside"
    """For a sale: until it is delivered nothing else is done with it."""
    SALE_ENDED = "sale_ended"
    """It was set aside for a sale that came to nothing."""
    SOLD = "sold"
    RELEASED = "released"
    """Value that nobody could use any more left it for its holder."""
    PIN_SET = "pin_set"
    PIN_CHANGED = "pin_changed"
    PIN_LOCKED = "pin_locked"
    PIN_UNLOCKED = "pin_unlocked"
    PIN_FORGOTTEN = "pin_forgotten"
    NUMBER_REVEALED = "number_revealed"
    TRANSFERRED_OUT = "transferred_out"
    TRANSFERRED_IN = "transferred_in"
    TRANSFER_ABANDONED = "transfer_abandoned"


class CardClass(StrEnum):
    """Whether it is known whose card it is, which decides what may be on it and what its holder may ask for."""

    REGISTERED = "registered"
    UNREGISTERED = "unregistered"


class CardForm(StrEnum):
    """What the holder holds."""

    DIGITAL = "digital"
    PHYSICAL = "physical"


class BlockReason(StrEnum):
    """Why a card was blocked: by the operator or by risk; a holder's loss report is another thing."""

    OPERATOR = "operator"
    RISK = "risk"
    SUSPECTED_FRAUD = "suspected_fraud"
    LEGAL_ORDER = "legal_order"


Acceptance = tuple[UUID, UUID | None]
"""Where a programme is accepted: at one store of a merchant or, when that is None, at all of its stores."""


DEFAULT_PIN_ATTEMPTS = 5


class OperatingMode(StrEnum):
    """How the cards of a programme are operated: who may take them follows from it."""

    CLOSED_LOOP = "closed_loop"
    """The issuer, its group or its brand alone."""
    OPEN_ALLIANCE = "open_alliance"
    """Independent merchants, which is payment business and needs a licence."""
    HYBRID = "hybrid"
    """The issuer's own network and, with a licence, independent merchants."""


class Activation(StrEnum):
    """How cards become active and are loaded."""

    DIRECT = "direct"
    """By whoever may activate and load cards."""
    PAID_SALE = "paid_sale"
    """Only by a sale or a top-up that was paid."""


class Restriction(msgspec.Struct, frozen=True, kw_only=True):
    """Where the restricted pocket may be spent: at stores of these trades, at these merchants, at these stores."""

    trades: frozenset[str] = frozenset()
    merchant_ids: frozenset[UUID] = frozenset()
    store_ids: frozenset[UUID] = frozenset()

    def allows(self, merchant_id: UUID, store_id: UUID, trade: str | None) -> bool:
        """Whether restricted value may be spent at this store."""
        return trade in self.trades or merchant_id in self.merchant_ids or store_id in self.store_ids


class Clauses(msgspec.Struct, frozen=True, kw_only=True):
    """What the contract with the holder says besides; None: it says nothing of it. Shares are in basis points.

    Flags ask whether the contract has the clause: ``no_refund_clause_allowed`` is true where it says that nothing is
    refunded. The law is asked under the same names (:class:`kaquan.policy.Terms`).
    """

    custody_share_bp: int | None = None
    guarantee_share_bp: int | None = None
    cooling_off_days: int | None = None
    cooling_off_refund_due_days: int | None = None
    refund_due_days: int | None = None
    cash_refund_cap_fen: int | None = None
    closing_notice_days: int | None = None
    terms_change_notice_days: int | None = None
    fee_change_notice_days: int | None = None
    rebate_cap_bp: int | None = None
    loss_report_required: bool | None = None
    """Whether loss reports and re-issue are offered."""
    overdraft_allowed: bool | None = None
    credit_card_allowed: bool | None = None
    """Whether cards may be bought by credit card."""
    forfeit_at_expiry_allowed: bool | None = None
    no_refund_clause_allowed: bool | None = None
    transfer_ban_allowed: bool | None = None
    replacement_exclusion_allowed: bool | None = None
    unilateral_change_allowed: bool | None = None
    interest_to_holders_allowed: bool | None = None


class Fees(msgspec.Struct, frozen=True, kw_only=True):
    """What is paid to the issuer for a service; 0 is nothing.

    Out of the card: ``replacement_fen`` for a new card in the place of one that is in use or lost, and ``dormancy_fen``
    for each month once nothing has moved on it for ``dormancy_after_months``. Beside what is paid for value, and never
    on the card: ``issue_fen`` for a card that is sold, ``load_fen`` for a load or a top-up.
    """

    replacement_fen: int = 0
    issue_fen: int = 0
    load_fen: int = 0
    dormancy_fen: int = 0
    dormancy_after_months: int = 0


class ProgrammeTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What of a programme has versions: a card keeps those that it was issued under. See :class:`Programme`."""

    spend_order: tuple[Pocket, ...]
    max_balance_fen: int | None
    authorization_ttl_s: int
    principal_valid_days: int | None
    bonus_valid_days: int | None
    pin_required_above_fen: int | None = None
    pin_max_attempts: int = DEFAULT_PIN_ATTEMPTS
    loss_effective_within_s: int = 0
    operating_mode: OperatingMode | None = None
    card_class: CardClass | None = None
    denominations_fen: tuple[int, ...] = ()
    custom_range_fen: tuple[int, int] | None = None
    restricted_to: Restriction | None = None
    clauses: Clauses = Clauses()
    fees: Fees = Fees()
    activation: Activation = Activation.DIRECT


class ProgrammeStatus(StrEnum):
    """Whether a programme goes on."""

    ACTIVE = "active"
    ENDING = "ending"
    """Its end is announced; everything goes on until it stops."""
    STOPPED = "stopped"
    """Nothing is sold, issued, activated or loaded any more; the cards are used up."""
    ENDED = "ended"
    """The last day is over: nothing is spent. What is left is owed, and refunded."""


class Ending(msgspec.Struct, frozen=True):
    """The announced end of a programme. ``ends_at`` is the end of ``last_day`` where the issuer is."""

    id: UUID
    announced_at: datetime
    stops_at: datetime
    last_day: date
    ends_at: datetime

    def status_at(self, now: datetime) -> ProgrammeStatus:
        if now < self.stops_at:
            return ProgrammeStatus.ENDING
        return ProgrammeStatus.STOPPED if now < self.ends_at else ProgrammeStatus.ENDED


class NewProgramme(ProgrammeTerms, frozen=True, kw_only=True):
    """A programme to be made. ``create_programme`` says what each term may be."""

    issuer_id: UUID
    code: str
    name: str
    currency: str
    number_prefix: str


class Programme(msgspec.Struct, frozen=True):
    """The terms under which cards exist.

    ``spend_order`` is the order in which a purchase empties the pockets; ``max_balance_fen`` the most that a
    card may hold, all pockets together (None: no limit); ``authorization_ttl_s`` how long an authorization
    stays open unless it says otherwise; ``*_valid_days`` how long loaded value lives (None: for ever), ending
    with a day in ``time_zone``, the issuer's. A spend of more than ``pin_required_above_fen`` asks for the PIN (None:
    none does), which is locked after ``pin_max_attempts`` wrong guesses in a row. ``loss_effective_within_s`` is how
    long the loss report of a physical card may take to be effective.

    ``operating_mode`` and ``card_class`` None are not declared: what the law says of one alone is not asked.
    ``denominations_fen`` and ``custom_range_fen`` (least, most) are the face values that cards are sold with (neither:
    any); what is paid for one is another matter. ``restricted_to`` says where the restricted pocket is spent (None:
    cards have none). ``activation`` says whether a card comes to life and to value by a paid sale alone. These terms
    are ``version``, in force since ``effective_from``. ``accepts``, ``accepted_trades`` and ``ending`` are the same
    under every version; ``outsiders`` are merchants of those trades whose legal entity does not fit the mode.
    """

    id: UUID
    book_id: int
    issuer_id: UUID
    code: str
    name: str
    currency: str
    number_prefix: str
    spend_order: tuple[Pocket, ...]
    max_balance_fen: int | None
    authorization_ttl_s: int
    principal_valid_days: int | None
    bonus_valid_days: int | None
    time_zone: str
    created_at: datetime
    accepts: frozenset[Acceptance] = frozenset()
    pin_required_above_fen: int | None = None
    pin_max_attempts: int = DEFAULT_PIN_ATTEMPTS
    loss_effective_within_s: int = 0
    operating_mode: OperatingMode | None = None
    card_class: CardClass | None = None
    denominations_fen: tuple[int, ...] = ()
    custom_range_fen: tuple[int, int] | None = None
    restricted_to: Restriction | None = None
    clauses: Clauses = Clauses()
    version: int = 1
    effective_from: datetime | None = None
    accepted_trades: frozenset[str] = frozenset()
    outsiders: frozenset[UUID] = frozenset()
    fees: Fees = Fees()
    activation: Activation = Activation.DIRECT
    ending: Ending | None = None

    def status_at(self, now: datetime) -> ProgrammeStatus:
        """Whether the programme goes on."""
        return ProgrammeStatus.ACTIVE if self.ending is None else self.ending.status_at(now)

    def accepts_at(self, merchant_id: UUID, store_id: UUID, trade: str | None = None) -> bool:
        """Whether its cards are taken at this store of this merchant, which deals in ``trade``."""
        return (
            (merchant_id, None) in self.accepts
            or (merchant_id, store_id) in self.accepts
            or (trade in self.accepted_trades and merchant_id not in self.outsiders)
        )

    def spend_order_at(self, merchant_id: UUID, store_id: UUID, trade: str | None = None) -> tuple[Pocket, ...]:
        """The pockets that may be spent at this store, in the order in which a purchase empties them.

        The restricted pocket is among them only where its value may be spent, first unless the order names it.
        """
        restricted_to = self.restricted_to
        if restricted_to is not None and restricted_to.allows(merchant_id, store_id, trade):
            if Pocket.RESTRICTED in self.spend_order:
                return self.spend_order
            return (Pocket.RESTRICTED, *self.spend_order)
        if Pocket.RESTRICTED not in self.spend_order:
            return self.spend_order
        return tuple(pocket for pocket in self.spend_order if pocket is not Pocket.RESTRICTED)

    @property
    def terms(self) -> ProgrammeTerms:
        """What of it has versions."""
        return ProgrammeTerms(**{name: getattr(self, name) for name in ProgrammeTerms.__struct_fields__})

    @property
    def pockets(self) -> tuple[Pocket, ...]:
        """The pockets that its cards have."""
        return tuple(pocket for pocket in Pocket if pocket is not Pocket.RESTRICTED or self.restricted_to is not None)


class TermsVersion(msgspec.Struct, frozen=True):
    """One version of a programme's terms. ``changed_by`` is an API key (``key_…``) or ``system``; ``approval_id`` the
    approval by which it came to be, None for the first."""

    programme_id: UUID
    version: int
    book_id: int
    terms: ProgrammeTerms
    effective_from: datetime
    changed_by: str
    approval_id: UUID | None
    created_at: datetime


class AcceptedMerchant(msgspec.Struct, frozen=True):
    """Where a programme is accepted at one merchant: at the whole of it, at single stores, or both."""

    merchant_id: UUID
    whole: bool
    store_ids: tuple[UUID, ...]


class NewCard(msgspec.Struct, frozen=True, kw_only=True):
    """A card to be made."""

    programme_id: UUID
    form: CardForm


class Card(msgspec.Struct, frozen=True):
    """A card as it is kept, without its number: only the last four digits are in clear.

    ``version`` grows with every change. ``status`` follows from the other facts (:mod:`kaquan.cards.life`):
    ``status_reason`` is why it is blocked, ``lost_at`` since when a loss report is in effect (reported at
    ``loss_reported_at``, promised by ``loss_due_at``), ``gift_id`` the gift by which it is on its way to somebody.
    ``replaces_id`` and ``replaced_by_id`` link it with the card before and after it.
    """

    slot: int
    id: UUID
    book_id: int
    programme_id: UUID
    batch_id: UUID | None
    form: CardForm
    status: CardStatus
    status_reason: BlockReason | None
    number_last4: str
    expires_at: datetime | None
    created_at: datetime
    activated_at: datetime | None
    version: int
    customer_id: UUID | None = None
    registered_at: datetime | None = None
    loss_reported_at: datetime | None = None
    loss_due_at: datetime | None = None
    lost_at: datetime | None = None
    gift_id: UUID | None = None
    replaces_id: UUID | None = None
    replaced_by_id: UUID | None = None
    terms_version: int = 1
    """The version of its programme's terms that it was issued under."""
    sale_id: UUID | None = None
    """The sale that it is set aside for, until that delivers it or ends."""

    @property
    def card_class(self) -> CardClass:
        """Registered when it is known whose card it is."""
        return CardClass.UNREGISTERED if self.customer_id is None else CardClass.REGISTERED


class Hand(NamedTuple):
    """Who does something to a card, and what tells its time and makes its ids.

    ``actor`` is an API key (``key_…``), ``system`` or ``command_line``; it stands in the card's events.
    """

    clock: Clock
    ids: Ids
    actor: str


SYSTEM = "system"
"""The actor of what nobody asked for: the worker."""


class Event(msgspec.Struct, frozen=True):
    """Something that happened to a card. ``status`` and ``version`` are the card's after it, where it changed."""

    slot: int
    card_id: UUID
    id: UUID
    book_id: int
    kind: CardEvent
    at: datetime
    actor: str
    reason: str | None
    status: CardStatus | None
    version: int | None
    details: dict[str, Any]


class Tenure(msgspec.Struct, frozen=True):
    """When a card was somebody's: from ``begins`` (None: since it was made) to before ``ends`` (None: it still is)."""

    slot: int
    card_id: UUID
    begins: datetime | None
    ends: datetime | None


class TransferKind(StrEnum):
    """Why balance goes from one card to another."""

    REPLACEMENT = "replacement"
    BALANCE = "balance"
    """A person puts two of their cards together."""
    FORWARD = "forward"
    """What came back to a card that was replaced, such as a refund, goes on to its successor."""


class TransferStatus(StrEnum):
    """How far a transfer is."""

    OPEN = "open"
    """Nothing has moved yet."""
    OUT = "out"
    """It has left the one card and is not on the other yet: they are in different slots."""
    COMPLETED = "completed"
    ABANDONED = "abandoned"
    """Nothing moved and nothing will; or what had left came back, since the other card was closed meanwhile."""


class Transfer(msgspec.Struct, frozen=True):
    """Balance that goes from a card to another: an intent, carried out in steps that may be done again."""

    slot: int
    id: UUID
    book_id: int
    kind: TransferKind
    status: TransferStatus
    from_card_id: UUID
    to_card_id: UUID
    amount_fen: int
    out_id: UUID | None
    in_id: UUID | None
    abandoned_for: str | None
    actor: str
    key_hash: UUID | None
    request_hash: bytes | None
    created_at: datetime
    finished_at: datetime | None


class FeeKind(StrEnum):
    """What a fee was for."""

    REPLACEMENT = "replacement"
    DORMANCY = "dormancy"


class Fee(msgspec.Struct, frozen=True):
    """A fee that a card paid; ``id`` is that of its transaction, ``transfer_id`` that of a replacement's balance."""

    slot: int
    id: UUID
    book_id: int
    card_id: UUID
    kind: FeeKind
    amount_fen: int
    currency: str
    transfer_id: UUID | None
    charged_at: datetime


class Replacement(msgspec.Struct, frozen=True):
    """A card with its successor, the transfer of the balance, and the fee that was taken of it before."""

    old: Card
    new: Card
    transfer: Transfer
    fee: Fee | None = None


class GiftStatus(StrEnum):
    """Where a gift is."""

    OPEN = "open"
    CLAIMED = "claimed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Gift(msgspec.Struct, frozen=True):
    """A card on its way to another person. Its message is sealed, and of its secret only a hash is kept."""

    slot: int
    id: UUID
    book_id: int
    card_id: UUID
    status: GiftStatus
    message_sealed: bytes | None
    secret_hash: bytes
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    claimed_by: UUID | None
    new_card_id: UUID | None


class OfferedGift(msgspec.Struct, frozen=True):
    """A gift as it was made: ``token`` is shown now and never again."""

    gift: Gift
    token: str

    def __repr__(self) -> str:
        return f"OfferedGift(gift={self.gift.id}, token=...)"


class ClaimedGift(msgspec.Struct, frozen=True):
    """A gift that has come to its new holder: their card, and what was written to them."""

    gift: Gift
    card: Card
    message: str | None


class PinState(StrEnum):
    """What is known of the PIN that came with a spend."""

    NOT_GIVEN = "not_given"
    RIGHT = "right"
    WRONG = "wrong"
    LOCKED = "locked"
    NOT_SET = "not_set"


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """What a list is narrowed to; None does not narrow. Newest first, beginning after ``after_id``.

    Both times are exclusive. A criterion that a noun does not have is ignored by its list.
    """

    limit: int = DEFAULT_LIMIT
    after_id: UUID | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    code: str | None = None
    name: str | None = None
    issuer_id: UUID | None = None
    programme_id: UUID | None = None
    batch_id: UUID | None = None
    last4: str | None = None
    status: CardStatus | None = None
    customer_id: UUID | None = None


class NewBatch(msgspec.Struct, frozen=True, kw_only=True):
    """A production run to be made. ``face_fen`` is the face value that its cards are made for, None: any of their
    terms."""

    programme_id: UUID
    name: str
    form: CardForm
    card_count: int
    face_fen: int | None = None


class Batch(msgspec.Struct, frozen=True):
    """A production run: ``issued_count`` of ``card_count`` cards are made, all of them at ``finished_at``."""

    id: UUID
    book_id: int
    programme_id: UUID
    name: str
    form: CardForm
    card_count: int
    issued_count: int
    created_at: datetime
    finished_at: datetime | None
    terms_version: int = 1
    """Of all of its cards."""
    face_fen: int | None = None
    """The only face value that they are sold with; None: any of their terms."""
