"""Operators, their roles, and what two of them agree on."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from kaquan.kit.paging import DEFAULT_LIMIT


class Role(StrEnum):
    """What somebody does for the tenant; several may be one person's."""

    CASHIER = "cashier"
    STORE_MANAGER = "store_manager"
    SERVICE_DESK = "service_desk"
    OPERATOR = "operator"
    APPROVER = "approver"
    AUDITOR = "auditor"
    ADMIN = "admin"


class OperatorStatus(StrEnum):
    """Whether the keys of an operator are taken."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


class Operator(msgspec.Struct, frozen=True):
    """Somebody who works for the tenant. ``store_ids`` is where they may act, None everywhere."""

    id: UUID
    book_id: int
    code: str
    name: str
    roles: frozenset[Role]
    store_ids: frozenset[UUID] | None
    status: OperatorStatus
    created_at: datetime
    version: int = 1


class OperatorChange(msgspec.Struct, frozen=True, kw_only=True):
    """What of an operator changes; UNSET leaves it. ``store_ids`` None lets them act everywhere."""

    name: str | UnsetType = UNSET
    roles: frozenset[Role] | UnsetType = UNSET
    store_ids: frozenset[UUID] | UnsetType | None = UNSET
    status: OperatorStatus | UnsetType = UNSET


class OperatorSearch(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of operators is narrowed to; None does not narrow."""

    limit: int = DEFAULT_LIMIT
    after_id: UUID | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    code: str | None = None
    role: Role | None = None
    status: OperatorStatus | None = None


class ApprovalKind(StrEnum):
    """What needs a second person."""

    BATCH_ISSUE = "batch_issue"
    BATCH_EXPORT = "batch_export"
    """Another production file of a batch; the payload says in which form and to whose key."""
    ADJUSTMENT = "adjustment"
    LIMIT_CHANGE = "limit_change"
    UNBLOCKING = "unblocking"
    CLOSING = "closing"
    """Of a card that leaves the issuer a part of what was paid."""
    CLOSING_TERMS = "closing_terms"
    VALUE_RELEASE = "value_release"
    """Of a replaced card that no living card follows."""
    SALE_REFUND = "sale_refund"
    """From the price on that the issuer's rules name."""
    BUYER_LIST = "buyer_list"
    """Of names that are screened at sales: put into force, or ended."""
    SALE_REVIEW = "sale_review"
    """Of a sale whose buyer is on a list: it may go on."""
    POLICY_CHANGE = "policy_change"
    PROGRAMME_CHANGE = "programme_change"
    PROGRAMME_END = "programme_end"
    """Of a programme (the subject is the programme), or its withdrawal (the subject is the end)."""
    VOUCHER_ISSUE = "voucher_issue"
    VOUCHER_CANCELLING = "voucher_cancelling"
    CAMPAIGN = "campaign"
    """Publishing a version of a campaign, ending one, or changing the stacking policy."""
    POINTS_ADJUSTMENT = "points_adjustment"


class ApprovalStatus(StrEnum):
    """How far a proposal has come."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    EXECUTED = "executed"


class NewApproval(msgspec.Struct, frozen=True, kw_only=True):
    """A proposal: do what ``payload`` says to ``subject`` (a public id), because of ``reason``, within ``ttl_s``."""

    kind: ApprovalKind
    subject: str
    payload: Mapping[str, Any]
    reason: str
    ttl_s: int


class Approval(msgspec.Struct, frozen=True):
    """A proposal and what became of it. ``payload`` is JSON with sorted keys, ``payload_hash`` its SHA-256."""

    book_id: int
    id: UUID
    kind: ApprovalKind
    subject: str
    payload: str
    payload_hash: bytes
    reason: str
    proposed_by: UUID
    proposed_at: datetime
    expires_at: datetime
    status: ApprovalStatus
    decided_by: UUID | None
    decided_at: datetime | None
    decided_why: str | None
    executed_at: datetime | None

    def status_at(self, now: datetime) -> ApprovalStatus:
        """The status at ``now``: a proposal that was not executed in time is expired before anybody writes it down."""
        is_open = self.status in (ApprovalStatus.PROPOSED, ApprovalStatus.APPROVED)
        return ApprovalStatus.EXPIRED if is_open and now >= self.expires_at else self.status


class ApprovalSearch(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of proposals is narrowed to; None does not narrow. ``status`` is as it is at the time of asking."""

    limit: int = DEFAULT_LIMIT
    after_id: UUID | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    kind: ApprovalKind | None = None
    subject: str | None = None
    status: ApprovalStatus | None = None
    proposed_by: UUID | None = None
