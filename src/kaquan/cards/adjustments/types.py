"""What an adjustment is."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from kaquan.cards.types import Pocket
from kaquan.kit.paging import DEFAULT_LIMIT


class Direction(StrEnum):
    """Which way value moves, as the holder sees it."""

    CREDIT = "credit"
    """Onto the card."""
    DEBIT = "debit"
    """Off the card."""


class AdjustmentReason(StrEnum):
    """Why somebody corrects a card by hand."""

    LOAD_ERROR = "load_error"
    """A load of a wrong amount or to a wrong card."""
    PAYMENT_ERROR = "payment_error"
    """A payment that was taken twice, wrongly or not at all."""
    SYSTEM_ERROR = "system_error"
    DISPUTE = "dispute"
    """What a complaint or a mediation ended in."""
    GOODWILL = "goodwill"
    LEGAL_ORDER = "legal_order"
    OTHER = "other"


class NewAdjustment(msgspec.Struct, frozen=True, kw_only=True):
    """An adjustment to be made. ``note`` says in words what ``reason`` stands for here."""

    card_id: UUID
    pocket: Pocket
    direction: Direction
    amount_fen: int
    reason: AdjustmentReason
    note: str


class Adjustment(msgspec.Struct, frozen=True):
    """An adjustment that was made; ``id`` is that of its transaction. ``made_by`` is an API key (``key_…``)."""

    slot: int
    id: UUID
    book_id: int
    card_id: UUID
    pocket: Pocket
    direction: Direction
    amount_fen: int
    currency: str
    reason: AdjustmentReason
    note: str
    approval_id: UUID
    made_by: str
    made_at: datetime


class AdjustmentSearch(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of adjustments is narrowed to; None does not narrow. Newest first, beginning after ``after_id``."""

    limit: int = DEFAULT_LIMIT
    after_id: UUID | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    card_id: UUID | None = None
    reason: AdjustmentReason | None = None
    direction: Direction | None = None
