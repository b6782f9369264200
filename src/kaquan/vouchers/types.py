"""What a voucher is, what it promises, and what happened to it."""

from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from kaquan.cards import Pocket
from kaquan.kit.paging import DEFAULT_LIMIT
from kaquan.parties.identity import IdentityLevel
from kaquan.promotions import Funder


class VoucherKind(StrEnum):
    """What a voucher is to its holder."""

    VALUE = "value"
    """An amount off: 代金券、满减券."""
    PERCENT = "percent"
    """A share off: 折扣券."""
    GOODS = "goods"
    """Goods, whole or at a special price: 兑换券、提货券."""


class VoucherStatus(StrEnum):
    """Where a voucher is in its life."""

    ISSUED = "issued"
    """Made, and nobody's yet: whoever has its code may claim it."""
    HELD = "held"
    LOCKED = "locked"
    """A payment wants to redeem it and is not posted yet."""
    REDEEMED = "redeemed"
    LOADED = "loaded"
    """Its face value was paid into a pocket of a card."""
    EXPIRED = "expired"
    CANCELLED = "cancelled"


OUTSTANDING = frozenset({VoucherStatus.ISSUED, VoucherStatus.HELD, VoucherStatus.LOCKED})
"""A voucher may still be used."""


class VoucherEvent(StrEnum):
    """What can happen to a voucher."""

    CLAIMED = "claimed"
    """By its code, or out of what a template has for everybody."""
    ASSIGNED = "assigned"
    """Given to a holder by the issuer, by a file."""
    GRANTED = "granted"
    """Given with a payment or a load, by an offer."""
    TRANSFERRED = "transferred"
    REDEEMED = "redeemed"
    RETURNED = "returned"
    """All of what it took off came back: the holder has it again, unless its template says otherwise."""
    PART_RETURNED = "part_returned"
    LOADED = "loaded"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    REVOKED = "revoked"
    """The payment that it was granted with was given back."""


class HolderKind(StrEnum):
    """Whose a voucher may be."""

    CARD = "card"
    CUSTOMER = "customer"


class HeldBy(NamedTuple):
    """Who holds a voucher: a person, or a card of which nobody knows whose it is."""

    kind: HolderKind
    id: UUID


class Eligibility(msgspec.Struct, frozen=True):
    """Who may claim a voucher; what is None or empty asks nothing. Government vouchers are given by such rules."""

    min_level: IdentityLevel | None = None
    """How well the person must be known."""
    segments: frozenset[str] = frozenset()
    """One of these is enough."""
    min_age: int | None = None
    max_age: int | None = None


class Person(NamedTuple):
    """What is known of who wants a voucher, as far as :class:`Eligibility` looks; None and empty: not known."""

    level: IdentityLevel | None = None
    segments: frozenset[str] = frozenset()
    age: int | None = None


class NewTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """What vouchers shall promise.

    ``offer_kind``, ``offer_params``, ``offer_conditions`` and ``offer_stacking`` are the effect: an offer of a
    promotions kind, as in a campaign file; ``face_fen`` is what one is worth at most (0 where that is no amount).
    Exactly one of ``valid_until``, the end of the last day, and ``valid_days``, after the day of the claim, says when
    one ends. ``load_pocket``: into which pocket of a card it may be paid instead.
    """

    issuer_id: UUID
    code: str
    name: str
    kind: VoucherKind
    currency: str
    face_fen: int
    offer_kind: str
    offer_params: dict[str, Any]
    funders: tuple[Funder, ...]
    offer_conditions: dict[str, Any] = {}
    offer_stacking: dict[str, Any] = {}
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    valid_days: int | None = None
    max_per_holder: int | None = None
    transferable: bool = False
    returnable: bool = True
    load_pocket: Pocket | None = None
    district: str | None = None
    eligibility: Eligibility | None = None


class Template(msgspec.Struct, frozen=True):
    """What vouchers of it promise; never changed, only ended: then none is issued or claimed any more."""

    id: UUID
    book_id: int
    issuer_id: UUID
    code: str
    name: str
    kind: VoucherKind
    currency: str
    face_fen: int
    offer_kind: str
    offer_params: dict[str, Any]
    offer_conditions: dict[str, Any]
    offer_stacking: dict[str, Any]
    funders: tuple[Funder, ...]
    time_zone: str
    valid_from: datetime | None
    valid_until: datetime | None
    valid_days: int | None
    max_per_holder: int | None
    transferable: bool
    returnable: bool
    load_pocket: Pocket | None
    district: str | None
    eligibility: Eligibility | None
    created_at: datetime
    ended_at: datetime | None = None


class BatchSource(StrEnum):
    """How the vouchers of a batch came about."""

    MADE = "made"
    IMPORTED = "imported"
    """With codes that somebody else made."""
    ASSIGNED = "assigned"
    """Given to holders by a file."""


class NewVoucherBatch(msgspec.Struct, frozen=True, kw_only=True):
    """Vouchers to be made. ``code_length`` counts the check characters; None: without codes, for whoever asks first."""

    template_id: UUID
    name: str
    voucher_count: int
    code_length: int | None


class VoucherBatch(msgspec.Struct, frozen=True):
    """Vouchers that came about together, as far as they have."""

    id: UUID
    book_id: int
    template_id: UUID
    name: str
    source: BatchSource
    voucher_count: int
    issued_count: int
    code_length: int | None
    created_by: str
    created_at: datetime
    finished_at: datetime | None


class Voucher(msgspec.Struct, frozen=True):
    """One voucher. Its code is shown by its last four only.

    ``redeemed_fen`` is what it took off and ``returned_fen`` what of that came back; ``granted_by`` the payment or load
    that it was given with.
    """

    slot: int
    id: UUID
    book_id: int
    template_id: UUID
    batch_id: UUID | None
    status: VoucherStatus
    holder: HeldBy | None
    code_last4: str | None
    face_fen: int
    valid_from: datetime | None
    valid_until: datetime | None
    locked_by: UUID | None
    locked_until: datetime | None
    redeemed_by: UUID | None
    redeemed_fen: int
    returned_fen: int
    granted_by: UUID | None
    created_at: datetime
    version: int


class Happened(msgspec.Struct, frozen=True):
    """An event of a voucher; ``amount_fen`` is what moved by it, ``holder`` who has it after it."""

    id: UUID
    voucher_id: UUID
    kind: VoucherEvent
    from_status: VoucherStatus
    to_status: VoucherStatus
    at: datetime
    actor: str
    holder: HeldBy | None
    transaction_id: UUID | None
    amount_fen: int
    face_fen: int
    reason: str | None


class VoucherSearch(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of vouchers is narrowed to; None does not narrow. Newest first, beginning after ``after_id``."""

    limit: int = DEFAULT_LIMIT
    after_id: UUID | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    template_id: UUID | None = None
    batch_id: UUID | None = None
    holder_id: UUID | None = None
    status: VoucherStatus | None = None
    code_last4: str | None = None


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of templates or batches is narrowed to; None does not narrow."""

    limit: int = DEFAULT_LIMIT
    after_id: UUID | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    code: str | None = None
    name: str | None = None
    template_id: UUID | None = None


# --- what payments ask


class Ask(NamedTuple):
    """A voucher that a payment wants to redeem. ``version`` is that of the voucher it decided on; None: any."""

    voucher_id: UUID
    transaction_id: UUID
    version: int | None = None


class Redeemed(NamedTuple):
    """A voucher that a posted payment redeemed, and what it took off (more than nothing)."""

    voucher_id: UUID
    transaction_id: UUID
    amount_fen: int


class Returned(NamedTuple):
    """What of a voucher's discount came back: with the refund or the void ``transaction_id`` of ``payment_id``."""

    voucher_id: UUID
    payment_id: UUID
    transaction_id: UUID
    amount_fen: int


class Granted(NamedTuple):
    """Vouchers that a payment or load gives: ``voucher_count`` of a template, worth ``amount_fen`` together.

    ``due_at`` are the moments from which they can be used, in instalments of equal parts (one more in the first ones);
    empty: at once. ``near`` is the card, in whose slot they are.
    """

    template: Template
    holder: HeldBy
    near: UUID
    transaction_id: UUID
    voucher_count: int
    amount_fen: int
    due_at: tuple[datetime, ...] = ()


# --- reports


class LiabilityRow(NamedTuple):
    """Vouchers of one template in one status at a moment: how many, their face value, and what they took off."""

    template_id: UUID
    status: VoucherStatus
    voucher_count: int
    face_fen: int
    redeemed_fen: int
