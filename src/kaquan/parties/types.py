"""Who takes part: tenants and their books, API keys, issuers, merchants, stores, terminals."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

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
    CARDS_WRITE = "cards:write"
    CARDS_READ = "cards:read"
    CARDS_REVEAL = "cards:reveal"
    CARDS_PRODUCE = "cards:produce"
    CARDS_IMPORT = "cards:import"
    CARDS_ENQUIRE = "cards:enquire"
    PROGRAMMES_WRITE = "programmes:write"
    PROGRAMMES_READ = "programmes:read"
    MERCHANTS_WRITE = "merchants:write"
    MERCHANTS_READ = "merchants:read"
    LEDGER_READ = "ledger:read"
    BACKDATE = "backdate"


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


class IssuedKey(msgspec.Struct, frozen=True):
    """A key as it is handed over, once: ``token`` is nowhere else and leaves no trace in a ``repr``."""

    key: ApiKey
    token: str

    def __repr__(self) -> str:
        return f"IssuedKey(key={self.key.id}, token=...)"


class Issuer(msgspec.Struct, frozen=True):
    """Who owes the value on a card; its time zone says when a day ends."""

    id: UUID
    book_id: int
    code: str
    name: str
    time_zone: str
    created_at: datetime


class Merchant(msgspec.Struct, frozen=True):
    """Who takes cards. ``trade`` is what it deals in, in the tenant's own words."""

    id: UUID
    book_id: int
    code: str
    name: str
    trade: str | None
    created_at: datetime


class Store(msgspec.Struct, frozen=True):
    """Where a merchant takes cards."""

    id: UUID
    book_id: int
    merchant_id: UUID
    code: str
    name: str
    created_at: datetime


class Terminal(msgspec.Struct, frozen=True):
    """With what device a store takes cards."""

    id: UUID
    book_id: int
    store_id: UUID
    code: str
    status: TerminalStatus
    created_at: datetime


class Principal(msgspec.Struct, frozen=True):
    """Who asks: a key, the book it belongs to, and what it may do there."""

    key_id: UUID
    book_id: int
    mode: Mode
    scopes: frozenset[str]


class Place(msgspec.Struct, frozen=True):
    """A terminal with the store and the merchant it stands for."""

    terminal_id: UUID
    store_id: UUID
    merchant_id: UUID
    status: str


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
