"""Who takes part: tenants and their books, API keys, issuers, merchants, stores, terminals."""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from kaquan.kit.paging import DEFAULT_LIMIT


class Mode(StrEnum):
    """Whether a book holds real value or is for trying things out."""

    LIVE = "live"
    TEST = "test"


class Scope(StrEnum):
    """What an API key may do."""

    PAYMENTS_WRITE = "payments:write"
    PAYMENTS_READ = "payments:read"
    LOADS_WRITE = "loads:write"
    REFUNDS_WRITE = "refunds:write"
    ADJUSTMENTS_WRITE = "adjustments:write"
    CARDS_WRITE = "cards:write"
    CARDS_READ = "cards:read"
    CARDS_REVEAL = "cards:reveal"
    CARDS_PRODUCE = "cards:produce"
    CARDS_IMPORT = "cards:import"
    CARDS_ENQUIRE = "cards:enquire"
    PROGRAMMES_WRITE = "programmes:write"
    PROGRAMMES_READ = "programmes:read"
    LIMITS_WRITE = "limits:write"
    CAMPAIGNS_WRITE = "campaigns:write"
    CAMPAIGNS_READ = "campaigns:read"
    MERCHANTS_WRITE = "merchants:write"
    MERCHANTS_READ = "merchants:read"
    CUSTOMERS_WRITE = "customers:write"
    CUSTOMERS_READ = "customers:read"
    CUSTOMERS_REVEAL = "customers:reveal"
    CUSTOMERS_FORGET = "customers:forget"
    OPERATORS_WRITE = "operators:write"
    OPERATORS_READ = "operators:read"
    APPROVALS_PROPOSE = "approvals:propose"
    APPROVALS_DECIDE = "approvals:decide"
    APPROVALS_READ = "approvals:read"
    AUDIT_READ = "audit:read"
    LEDGER_READ = "ledger:read"
    CARDS_CLOSE = "cards:close"
    PAYOUTS_WRITE = "payouts:write"
    PAYOUTS_READ = "payouts:read"
    NOTICES_WRITE = "notices:write"
    NOTICES_READ = "notices:read"
    POLICY_READ = "policy:read"
    POLICY_WRITE = "policy:write"
    POLICY_APPROVE = "policy:approve"
    SALES_WRITE = "sales:write"
    SALES_READ = "sales:read"
    SALES_REFUND = "sales:refund"
    VOUCHERS_WRITE = "vouchers:write"
    VOUCHERS_READ = "vouchers:read"
    VOUCHERS_REVEAL = "vouchers:reveal"
    POINTS_WRITE = "points:write"
    POINTS_READ = "points:read"
    BACKDATE = "backdate"


class IssuerClass(StrEnum):
    """What kind of issuer the law takes one for (CN-SP-CLASS-01 to 04)."""

    GROUP = "group"
    BRAND = "brand"
    SCALE = "scale"
    OTHER = "other"


class TerminalStatus(StrEnum):
    """Whether a terminal may take cards."""

    ACTIVE = "active"
    BLOCKED = "blocked"


class Tenant(msgspec.Struct, frozen=True):
    """A business that runs on this installation and sees nothing of the others."""

    id: UUID
    name: str
    created_at: datetime


class Book(msgspec.Struct, frozen=True):
    """One tenant in one mode; every row of the product belongs to one."""

    id: int
    tenant_id: UUID
    mode: Mode
    version: int


class ApiKey(msgspec.Struct, frozen=True):
    """What is kept of an API key; its secret is not."""

    id: UUID
    book_id: int
    name: str
    secret_hash: bytes
    scopes: frozenset[str]
    created_at: datetime
    revoked_at: datetime | None
    operator_id: UUID | None = None
    """Whose it is; a key of nobody belongs to a system."""


class IssuedKey(msgspec.Struct, frozen=True):
    """A key as it is handed over, once: ``token`` is nowhere else and leaves no trace in a ``repr``."""

    key: ApiKey
    token: str

    def __repr__(self) -> str:
        return f"IssuedKey(key={self.key.id}, token=...)"


class Issuer(msgspec.Struct, frozen=True):
    """Who owes the value on a card; its time zone says when a day ends.

    ``legal_code`` is the unified social credit code of its legal entity, ``group_code`` that of the legal person who
    controls it. ``province`` is where it issues (ISO 3166-2), ``calendar`` the name of the working-day calendar by
    which its due dates are counted. ``payment_licence`` is the licence of whoever holds the funds, itself or a partner.
    """

    id: UUID
    book_id: int
    code: str
    name: str
    time_zone: str
    created_at: datetime
    issuer_class: IssuerClass | None = None
    legal_name: str | None = None
    legal_code: str | None = None
    group_code: str | None = None
    brand: str | None = None
    province: str | None = None
    filing_number: str | None = None
    filed_on: date | None = None
    business_started_on: date | None = None
    calendar: str | None = None
    payment_licence: str | None = None
    version: int = 1


class IssuerProfile(msgspec.Struct, frozen=True, kw_only=True):
    """What may be told of an issuer at any time; UNSET leaves it as it is, None takes it away."""

    issuer_class: IssuerClass | UnsetType | None = UNSET
    legal_name: str | UnsetType | None = UNSET
    legal_code: str | UnsetType | None = UNSET
    group_code: str | UnsetType | None = UNSET
    brand: str | UnsetType | None = UNSET
    province: str | UnsetType | None = UNSET
    filing_number: str | UnsetType | None = UNSET
    filed_on: date | UnsetType | None = UNSET
    business_started_on: date | UnsetType | None = UNSET
    calendar: str | UnsetType | None = UNSET
    payment_licence: str | UnsetType | None = UNSET


class IssuerChange(IssuerProfile, frozen=True, kw_only=True):
    """What of an issuer changes."""

    name: str | UnsetType = UNSET


class Merchant(msgspec.Struct, frozen=True):
    """Who takes cards. ``trade`` is what it deals in, in the tenant's own words.

    ``legal_code`` is the unified social credit code of its legal entity, ``group_code`` that of the legal person who
    controls it, ``brand`` the franchise that it belongs to.
    """

    id: UUID
    book_id: int
    code: str
    name: str
    trade: str | None
    created_at: datetime
    legal_name: str | None = None
    legal_code: str | None = None
    group_code: str | None = None
    brand: str | None = None
    version: int = 1


class MerchantProfile(msgspec.Struct, frozen=True, kw_only=True):
    """What may be told of a merchant at any time; UNSET leaves it as it is, None takes it away."""

    legal_name: str | UnsetType | None = UNSET
    legal_code: str | UnsetType | None = UNSET
    group_code: str | UnsetType | None = UNSET
    brand: str | UnsetType | None = UNSET


class MerchantChange(MerchantProfile, frozen=True, kw_only=True):
    """What of a merchant changes."""

    name: str | UnsetType = UNSET
    trade: str | UnsetType = UNSET


class Store(msgspec.Struct, frozen=True):
    """Where a merchant takes cards. ``latitude_udeg`` and ``longitude_udeg`` are millionths of a degree (WGS 84).

    ``district`` is where it is in the words that offers and vouchers use: a name, or a code of a division.
    """

    id: UUID
    book_id: int
    merchant_id: UUID
    code: str
    name: str
    created_at: datetime
    trade: str | None = None
    latitude_udeg: int | None = None
    longitude_udeg: int | None = None
    version: int = 1
    district: str | None = None


class StoreProfile(msgspec.Struct, frozen=True, kw_only=True):
    """What may be told of a store at any time; UNSET leaves it as it is, None takes it away."""

    trade: str | UnsetType | None = UNSET
    latitude_udeg: int | UnsetType | None = UNSET
    longitude_udeg: int | UnsetType | None = UNSET
    district: str | UnsetType | None = UNSET


class StoreChange(StoreProfile, frozen=True, kw_only=True):
    """What of a store changes."""

    name: str | UnsetType = UNSET


class Terminal(msgspec.Struct, frozen=True):
    """With what device a store takes cards."""

    id: UUID
    book_id: int
    store_id: UUID
    code: str
    status: TerminalStatus
    created_at: datetime


class Principal(msgspec.Struct, frozen=True):
    """Who asks: a key, the book it belongs to, and what it may do there.

    A key of an operator may do what both the key and the operator's roles allow, at ``store_ids`` (None: everywhere).
    """

    key_id: UUID
    book_id: int
    mode: Mode
    scopes: frozenset[str]
    operator_id: UUID | None = None
    store_ids: frozenset[UUID] | None = None


class Place(msgspec.Struct, frozen=True):
    """A terminal with the store and the merchant it stands for."""

    terminal_id: UUID
    store_id: UUID
    merchant_id: UUID
    status: str
    latitude_udeg: int | None = None
    longitude_udeg: int | None = None
    trade: str | None = None
    """What the store deals in, or else its merchant."""
    district: str | None = None
    """Where the store is; None: not told."""


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """What a list is narrowed to; None does not narrow. Newest first, beginning after ``after_id``.

    ``name`` is the beginning of a name; times are compared with the creation, ``created_after`` exclusive and
    ``created_before`` exclusive too. A criterion that a noun does not have is ignored by its list.
    """

    limit: int = DEFAULT_LIMIT
    after_id: UUID | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    code: str | None = None
    name: str | None = None
    merchant_id: UUID | None = None
    store_id: UUID | None = None
    status: TerminalStatus | None = None


class FunderKind(StrEnum):
    """What somebody is who pays for discounts and subsidies, being neither issuer nor merchant."""

    BANK = "bank"
    SUPPLIER = "supplier"
    GOVERNMENT = "government"
    PARTNER = "partner"


class Funder(msgspec.Struct, frozen=True):
    """Somebody outside who pays for what campaigns and vouchers give."""

    id: UUID
    book_id: int
    code: str
    name: str
    kind: FunderKind
    legal_code: str | None
    created_at: datetime
