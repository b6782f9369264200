"""What points are: how they are earned, kept and spent, and who has them."""

from collections.abc import Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

import msgspec

from kaquan.kit.paging import DEFAULT_LIMIT
from kaquan.ledger import Guard, Leg, NewLot

CURRENCY = "PTS"
"""The currency of points in the ledger; its minor unit is one point."""

WHOLE_BP = 10_000


class AccountKind(StrEnum):
    """The kinds of accounts in ``PTS``. A member's are the first three, the others the issuer's or a partner's."""

    POINTS = "points"
    """What can be spent, in lots that expire."""
    PENDING = "points_pending"
    """What was earned and waits until the goods can no longer be brought back, in a lot for each purchase."""
    DEBT = "points_debt"
    """What a refund should have taken back and was spent already; what is earned next pays it."""
    GRANTED = "points_granted"
    """What purchases earned, less what their refunds took back."""
    SPENT = "points_spent"
    """What was paid with."""
    EXPIRED = "points_expired"
    ADJUSTED = "points_adjusted"
    BENEFITS = "points_benefits"
    """What was given for benefits."""
    OFFERED = "points_offered"
    """What offers gave, less what refunds took back; whoever pays for the offer owns it."""
    EXCHANGED = "points_exchanged"
    """What went to a partner, less what came from there; the partner's."""


OFFERED = AccountKind.OFFERED.value

MEMBER_KINDS = (AccountKind.POINTS, AccountKind.PENDING, AccountKind.DEBT)


class Rounding(StrEnum):
    """What becomes of a part of a point; a purchase is rounded once, not line by line."""

    DOWN = "down"
    HALF_UP = "half_up"


class ClawbackMode(StrEnum):
    """What becomes of points that a refund takes back and that were spent already."""

    DEBT = "debt"
    """They are owed: what is earned next pays them."""
    ZERO = "zero"
    """They are let go."""
    REFUND = "refund"
    """Their value is taken from the money that is refunded."""


class TierMetric(StrEnum):
    """What lifts a member into a tier."""

    POINTS = "points"
    SPEND = "spend"


class EarningRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``points`` for each ``per_fen`` paid for what it names; empty names everything. The first rule that holds counts.

    ``points`` 0: these goods, trades or places earn nothing.
    """

    name: str
    points: int
    per_fen: int
    trades: frozenset[str] = frozenset()
    merchant_ids: frozenset[UUID] = frozenset()
    store_ids: frozenset[UUID] = frozenset()
    categories: frozenset[str] = frozenset()


class Multiplier(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``factor_bp`` (20,000: twice) on days and for tiers; of several that hold the highest counts, they do not add
    up."""

    name: str
    factor_bp: int
    tiers: frozenset[str] = frozenset()
    weekdays: frozenset[int] = frozenset()
    """1: Monday … 7: Sunday."""
    days_of_month: frozenset[int] = frozenset()
    birthday_month: bool = False
    first_day: date | None = None
    last_day: date | None = None


class TierRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A tier, reached from ``least`` points or fen in the window on."""

    name: str
    least: int


class PointsTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the cards of a programme earn, keep and spend points.

    Without an earning rule that holds nothing is earned. What is paid with points, by vouchers or by discounts earns
    none; what buys cards or loads them is no purchase and earns none. ``pending_days`` after the day of the purchase
    points can be spent. They end at the end of the day ``valid_days`` after they were earned, or at the end of the
    ``valid_years``-th calendar year after that one; without either never. ``spend_points`` are worth ``spend_fen``;
    0: points are no tender.
    """

    rules: tuple[EarningRule, ...]
    multipliers: tuple[Multiplier, ...] = ()
    rounding: Rounding = Rounding.DOWN
    earn_on_bonus: bool = False
    """Whether value that was given, and not paid for, earns when it is spent."""
    pending_days: int = 0
    valid_days: int | None = None
    valid_years: int | None = None
    spend_points: int = 0
    spend_fen: int = 0
    spend_least: int = 1
    """How many points one payment takes at the least."""
    spend_step: int = 1
    """Payments take a multiple of it."""
    spend_max_bp: int = WHOLE_BP
    """Which share of a payment points may pay at the most."""
    clawback: ClawbackMode = ClawbackMode.DEBT
    tiers: tuple[TierRule, ...] = ()
    """From the lowest up."""
    tier_metric: TierMetric = TierMetric.POINTS
    tier_window_days: int = 365
    tier_keep_days: int = 365
    """How long a tier that was reached stays at the least."""
    remind_days: int = 30
    """How long before its end a holder is told of a lot."""


class TermsVersion(msgspec.Struct, frozen=True):
    """One version of the terms of a programme, in force from ``effective_from`` until the next one is."""

    book_id: int
    programme_id: UUID
    version: int
    terms: PointsTerms
    effective_from: datetime
    created_by: str
    created_at: datetime


# --- facts


class BoughtLine(NamedTuple):
    """A line of a purchase: what was paid for it in money, after every discount and without points."""

    number: int
    categories: frozenset[str]
    paid_fen: int


class Bought(NamedTuple):
    """What a purchase is, as far as earning looks. ``local`` is the wall clock in the issuer's zone.

    A purchase without lines is one line. What the bonus pocket paid is left out of ``paid_fen`` by the caller unless
    ``earn_on_bonus``.
    """

    local: datetime
    merchant_id: UUID
    store_id: UUID
    trade: str | None
    lines: Sequence[BoughtLine]
    tier: str | None = None
    birth_month: int | None = None


class Account(NamedTuple):
    """An account of a member as it was read; its version guards what is decided on it."""

    id: int
    version: int
    posted: int
    reserved: int

    @property
    def available(self) -> int:
        return self.posted - self.reserved


class Lot(NamedTuple):
    """A lot that holds something free."""

    lot: int
    origin_id: UUID
    expires_at: datetime | None
    available: int


class Member(NamedTuple):
    """A card that collects points, with its accounts and the lots of those that keep lots."""

    id: UUID
    slot: int
    book_id: int
    card_id: UUID
    programme_id: UUID
    issuer_id: UUID
    tier: str | None
    tier_until: datetime | None
    points: Account
    pending: Account
    debt: Account
    lots: Sequence[Lot] = ()
    """Of ``points``."""
    pending_lots: Sequence[Lot] = ()

    @property
    def owed(self) -> int:
        """What is to be earned before anything can be kept."""
        return self.debt.posted


# --- decisions


class LinePoints(NamedTuple):
    """What a line paid and its part of the points of a purchase."""

    number: int
    basis_fen: int
    points: int


class Earned(NamedTuple):
    """What a purchase earns. ``parts`` sum to ``points``, and are what a refund takes back."""

    points: int
    basis_fen: int
    factor_bp: int
    parts: tuple[LinePoints, ...]


class PointsMove(NamedTuple):
    """What a posting must carry for points to move: to be added to its legs, guards and lots."""

    legs: list[Leg]
    guards: list[Guard]
    lots: list[NewLot]


class Earning(msgspec.Struct, frozen=True):
    """What a purchase or a capture earned, as it is kept; the id is that of its transaction. ``points`` is what its
    ``parts`` earned and what offers ``granted``; ``returned`` is by line what refunds brought back of it."""

    slot: int
    id: UUID
    book_id: int
    member_id: UUID
    terms_version: int
    points: int
    basis_fen: int
    parts: tuple[LinePoints, ...]
    returned: dict[int, int]
    returned_fen: int
    taken: int
    lot: int | None
    matures_at: datetime | None
    matured: bool
    at: datetime
    payment_id: UUID | None = None
    """Of a capture: its authorization."""
    granted: int = 0
    granted_taken: int = 0
    """What of ``taken`` is of ``granted``."""


class Clawback(NamedTuple):
    """What a refund takes back: ``points`` in all, of which ``owed`` became debt and ``waived`` was let go.

    ``from_refund_fen`` is to be taken from the money of the refund; ``after`` is the earning as it is then kept.
    """

    points: int
    move: PointsMove
    owed: int
    waived: int
    from_refund_fen: int
    after: Earning


class Tender(NamedTuple):
    """Points that pay ``amount_fen`` of a purchase. ``parts`` are lots with how much of each, the soonest end first."""

    points: int
    amount_fen: int
    move: PointsMove
    parts: tuple[tuple[int, int], ...]


class IssuerAccounts(NamedTuple):
    """The issuer's accounts of points in a slot, by number."""

    granted: int
    spent: int
    expired: int
    adjusted: int
    benefits: int


# --- partners, benefits, deeds


class NewPartner(msgspec.Struct, frozen=True, kw_only=True):
    """With whom points are exchanged: ``out_points`` of ours become ``out_units`` of theirs, ``in_units`` of theirs
    ``in_points`` of ours. A direction without a rate is closed. ``currency`` is what their units are called."""

    code: str
    name: str
    currency: str
    out_points: int | None = None
    out_units: int | None = None
    in_units: int | None = None
    in_points: int | None = None


class Partner(msgspec.Struct, frozen=True):
    """A partner as it is kept."""

    id: UUID
    book_id: int
    code: str
    name: str
    currency: str
    out_points: int | None
    out_units: int | None
    in_units: int | None
    in_points: int | None
    created_at: datetime
    ended_at: datetime | None = None


class NewBenefit(msgspec.Struct, frozen=True, kw_only=True):
    """Something that members may take: for points or for nothing, some of them, on some days, so many times."""

    programme_id: UUID
    code: str
    name: str
    cost_points: int
    tiers: frozenset[str] = frozenset()
    birthday_only: bool = False
    """In the month of the holder's birthday."""
    max_per_year: int | None = None
    stock: int | None = None
    template_id: UUID | None = None
    """What is given, if it is vouchers; else whoever gives it knows."""
    voucher_count: int | None = None


class Benefit(msgspec.Struct, frozen=True):
    """A benefit as it is kept, with how many were taken."""

    id: UUID
    book_id: int
    programme_id: UUID
    code: str
    name: str
    cost_points: int
    tiers: frozenset[str]
    birthday_only: bool
    max_per_year: int | None
    stock: int | None
    taken: int
    created_at: datetime
    ended_at: datetime | None = None
    template_id: UUID | None = None
    voucher_count: int | None = None


class DeedKind(StrEnum):
    """What moved points beside purchases."""

    ADJUSTMENT = "adjustment"
    EXCHANGE_OUT = "exchange_out"
    EXCHANGE_IN = "exchange_in"
    BENEFIT = "benefit"


class Deed(msgspec.Struct, frozen=True):
    """An adjustment, an exchange or a benefit taken; ``points`` is what the member gained. ``subject_id`` is the
    partner or the benefit, ``units`` what moved on the partner's side. The id is that of the transaction."""

    slot: int
    id: UUID
    book_id: int
    member_id: UUID
    kind: DeedKind
    points: int
    subject_id: UUID | None
    units: int | None
    reference: str | None
    approval_id: UUID | None
    made_by: str
    made_at: datetime


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """What a list is narrowed to; None does not narrow."""

    limit: int = DEFAULT_LIMIT
    after_id: UUID | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    code: str | None = None
    programme_id: UUID | None = None


class Standing(NamedTuple):
    """What a member has: to spend, still waiting, owed; and what of it ends next."""

    member: Member
    spendable: int
    pending: int
    owed: int
    next_end: datetime | None
    next_end_points: int
