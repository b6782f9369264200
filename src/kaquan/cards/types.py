"""What cards are made of: programmes, batches, cards, and what is asked of them."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from kaquan.kit.paging import DEFAULT_LIMIT


class Pocket(StrEnum):
    """The kinds of value behind a card, each in an account of its own."""

    PRINCIPAL = "principal"
    """Paid for by the holder."""
    BONUS = "bonus"
    """Given with a load."""

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
    """By the operator or by risk; unblocking leads back to where it was."""
    CLOSED = "closed"
    """For ever: its pockets are empty and stay so."""


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


class NewProgramme(msgspec.Struct, frozen=True, kw_only=True):
    """The terms of a programme to be made. ``create_programme`` says what each may be."""

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


class Programme(msgspec.Struct, frozen=True):
    """The terms under which cards exist.

    ``spend_order`` is the order in which a purchase empties the pockets; ``max_balance_fen`` the most that a
    card may hold, all pockets together (None: no limit); ``authorization_ttl_s`` how long an authorization
    stays open unless it says otherwise; ``*_valid_days`` how long loaded value lives (None: for ever), ending
    with a day in ``time_zone``, the issuer's.
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

    def accepts_at(self, merchant_id: UUID, store_id: UUID) -> bool:
        """Whether its cards are taken at this store of this merchant."""
        return (merchant_id, None) in self.accepts or (merchant_id, store_id) in self.accepts


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

    ``version`` grows with every change of status.
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


class NewBatch(msgspec.Struct, frozen=True, kw_only=True):
    """A production run to be made."""

    programme_id: UUID
    name: str
    form: CardForm
    card_count: int


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
