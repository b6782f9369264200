"""Customers, as they are kept and as they are shown."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from kaquan.kit.paging import DEFAULT_LIMIT
from kaquan.parties.identity import CheckResult, DocumentKind, IdentityLevel
from kaquan.parties.trail import Action


class PersonalField(StrEnum):
    """What of a customer is personal."""

    NAME = "name"
    PHONE = "phone"
    DOCUMENT = "document"


class Document(msgspec.Struct, frozen=True):
    """The number that identifies a customer. It leaves no trace in a ``repr``."""

    kind: DocumentKind
    number: str

    def __repr__(self) -> str:
        return f"Document({self.kind}, ...)"


class Personal(msgspec.Struct, frozen=True):
    """What a customer's record holds in clear; ``phone`` is in E.164, ``birthday`` month and day. It leaves no trace
    in a ``repr``."""

    name: str | None = None
    phone: str | None = None
    document: Document | None = None
    birthday: tuple[int, int] | None = None

    def __repr__(self) -> str:
        return "Personal(...)"


class NewCustomer(Personal, frozen=True):
    """What is told of somebody new, as they wrote it."""


class CustomerChange(msgspec.Struct, frozen=True, kw_only=True):
    """What of a customer is corrected; UNSET leaves it as it is, None takes it away."""

    name: str | UnsetType | None = UNSET
    phone: str | UnsetType | None = UNSET
    document: Document | UnsetType | None = UNSET
    birthday: tuple[int, int] | UnsetType | None = UNSET

    def __repr__(self) -> str:
        return "CustomerChange(...)"


class SealedCustomer(msgspec.Struct, frozen=True):
    """A row: what is personal is sealed, what it is found by is a keyed HMAC."""

    book_id: int
    id: UUID
    name: bytes | None
    phone: bytes | None
    document_kind: DocumentKind | None
    document: bytes | None
    phone_lookup: UUID | None
    phone_last4: UUID | None
    document_lookup: UUID | None
    document_last4: UUID | None
    level: IdentityLevel
    created_at: datetime
    forgotten_at: datetime | None = None
    retained_until: datetime | None = None
    retained_by: str | None = None
    version: int = 1
    birthday: int | None = None
    """As MMDD."""
    segments: tuple[str, ...] = ()


class Customer(msgspec.Struct, frozen=True):
    """A customer as anybody may see them who may see customers: everything personal is masked (CN-MASK)."""

    book_id: int
    id: UUID
    name_masked: str | None
    phone_masked: str | None
    document_kind: DocumentKind | None
    document_masked: str | None
    level: IdentityLevel
    created_at: datetime
    forgotten_at: datetime | None
    retained_until: datetime | None
    retained_by: str | None
    birthday_masked: str | None = None
    segments: tuple[str, ...] = ()
    """What operators label them with, sorted."""


class CustomerSearch(msgspec.Struct, frozen=True, kw_only=True):
    """What a list is narrowed to; None does not narrow. ``last4`` are the last four of the phone or the document."""

    limit: int = DEFAULT_LIMIT
    after_id: UUID | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    level: IdentityLevel | None = None
    last4: str | None = None
    segment: str | None = None


class Segment(msgspec.Struct, frozen=True):
    """A label, and how many customers of a book have it."""

    name: str
    customers: int


class LevelReason(StrEnum):
    """Why a level changed."""

    VERIFIED = "verified"
    CORRECTED = "corrected"
    FORGOTTEN = "forgotten"


class LevelChange(msgspec.Struct, frozen=True):
    """A level as it became, and by which provider when it was verified."""

    book_id: int
    customer_id: UUID
    id: UUID
    level: IdentityLevel
    reason: LevelReason
    provider: str | None
    at: datetime


class Attempt(msgspec.Struct, frozen=True):
    """A check by a provider. ``result`` and ``code`` (the provider's, or ``timeout``) are None while it runs."""

    book_id: int
    customer_id: UUID
    id: UUID
    level: IdentityLevel
    provider: str
    started_at: datetime
    result: CheckResult | None = None
    code: str | None = None
    ended_at: datetime | None = None


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What a check needs and no record keeps. ``bank_phone``, reserved with the bank, is else the customer's phone."""

    bank_card_number: str | None = None
    bank_phone: str | None = None
    face_token: str | None = None

    def __repr__(self) -> str:
        return "Proof(...)"


class Verification(msgspec.Struct, frozen=True):
    """How a check ended. ``level`` is the customer's after it; ``checks_left`` may still fail before it is locked."""

    attempt: Attempt
    level: IdentityLevel
    checks_left: int


class Retention(msgspec.Struct, frozen=True):
    """What the law asks to keep of somebody who is forgotten: these fields, until then, by this rule."""

    fields: frozenset[PersonalField]
    rule: str
    until: datetime


class CustomerExport(msgspec.Struct, frozen=True):
    """Everything that this room holds on a person, in clear, for that person (CN-PI-RIGHTS)."""

    customer: Customer
    personal: Personal
    levels: list[LevelChange]
    attempts: list[Attempt]
    actions: list[Action]

    def __repr__(self) -> str:
        return f"CustomerExport({self.customer.id}, ...)"
