"""What notices are made of: messages, endpoints, deliveries, attempts."""

from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from kaquan.kit.paging import DEFAULT_LIMIT
from kaquan.notices.events import Event

CONSOLE = UUID(int=0)
"""Stands for the console where a delivery names its endpoint."""


class EndpointStatus(StrEnum):
    """Whether an endpoint is delivered to. While it is disabled what is due to it waits, and what is
    written then too."""

    ACTIVE = "active"
    DISABLED = "disabled"
    REMOVED = "removed"


class DeliveryStatus(StrEnum):
    """Where a delivery is."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"
    """Given up, until somebody sends it again."""


class NewNotice(NamedTuple):
    """A notice to write. Its id leads to ``slot``, that of its card (:meth:`kaquan.kit.ids.Ids.new_near`).

    ``data`` is what it tells: JSON, with public ids and without a secret, a card number or an identity.
    """

    slot: int
    id: UUID
    book_id: int
    event: Event
    card_id: UUID | None
    data: dict[str, Any]


class Notice(msgspec.Struct, frozen=True):
    """A notice as it was written; ``body`` is the message, the same bytes for every attempt."""

    slot: int
    id: UUID
    book_id: int
    event: str
    card_id: UUID | None
    body: str
    created_at: datetime


class Delivery(msgspec.Struct, frozen=True):
    """A notice on its way to one endpoint (or the console)."""

    endpoint_id: UUID
    kind: str
    status: DeliveryStatus
    attempt_count: int
    next_at: datetime | None
    delivered_at: datetime | None


class Attempt(msgspec.Struct, frozen=True):
    """One try to deliver. ``failure`` is a word for what went wrong; None: it was taken."""

    endpoint_id: UUID
    attempt: int
    attempted_at: datetime
    duration_ms: int
    http_status: int | None
    failure: str | None


class FullNotice(msgspec.Struct, frozen=True):
    """A notice with its deliveries and every attempt of them."""

    notice: Notice
    deliveries: list[Delivery]
    attempts: list[Attempt]


class Endpoint(msgspec.Struct, frozen=True):
    """Where notices of a book are delivered to. ``events`` empty: every event. Secrets are sealed."""

    id: UUID
    book_id: int
    kind: str
    address: str
    events: tuple[str, ...]
    status: EndpointStatus
    secret_sealed: bytes
    old_secret_sealed: bytes | None
    old_secret_until: datetime | None
    created_at: datetime


class MadeEndpoint(msgspec.Struct, frozen=True):
    """An endpoint with its secret, which is shown this once and leaves no trace in a ``repr``."""

    endpoint: Endpoint
    secret: str

    def __repr__(self) -> str:
        return f"MadeEndpoint(endpoint={self.endpoint.id}, secret=...)"


class NoticeSearch(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of notices is narrowed to; None does not narrow. Newest first, beginning after ``after_id``."""

    limit: int = DEFAULT_LIMIT
    after_id: UUID | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    event: str | None = None
    card_id: UUID | None = None
