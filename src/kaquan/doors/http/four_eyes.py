"""What an operator may not do alone: the approval that a request names is executed in the commit of what it allows."""

from collections.abc import Mapping
from typing import Any

import msgspec

from kaquan.doors.http.fields import ApprovalId, uuid_of
from kaquan.doors.http.request import ApiRequest, actor_of, app_of
from kaquan.kit.db import Connection
from kaquan.kit.outcomes import Refusal
from kaquan.parties.outcomes import APPROVAL_FOR_SOMETHING_ELSE, APPROVAL_NOT_APPROVED, APPROVAL_REQUIRED
from kaquan.parties.staff import ApprovalKind, Approve, claim_approval

APPROVED = (APPROVAL_REQUIRED, APPROVAL_NOT_APPROVED, APPROVAL_FOR_SOMETHING_ELSE)
"""What a request that needs an approval may be refused for."""


class ApprovalQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An operator's request names the approval that allows it."""

    approval_id: ApprovalId | None = None


def payload_of(body: bytes) -> dict[str, Any]:
    """What must have been approved: a body that was decoded before, as it was sent, without ``approval_id``."""
    return {name: value for name, value in msgspec.json.decode(body).items() if name != "approval_id"}


def four_eyes(
    request: ApiRequest, *, kind: ApprovalKind, subject: str, payload: Mapping[str, Any], approval_id: str | None
) -> Approve | Refusal | None:
    """What claims the approval on the connection of the change; None where none is needed.

    A key of an operator needs one; a key of nobody belongs to a system, which has its own control. ``payload`` is the
    body without ``approval_id``, as it was sent: it must be what was approved. Refused: ``approval_required``.
    """
    if approval_id is None:
        return None if request.user.operator_id is None else APPROVAL_REQUIRED.refuse("approval_id", kind=kind.value)
    id_, app = uuid_of(approval_id), app_of(request)

    async def approve(connection: Connection) -> Refusal | None:
        claimed = await claim_approval(
            connection,
            app.clock,
            app.ids,
            book_id=request.user.book_id,
            id_=id_,
            kind=kind,
            subject=subject,
            payload=payload,
            by=actor_of(request),
        )
        return claimed if isinstance(claimed, Refusal) else None

    return approve


def always_two(
    request: ApiRequest, *, kind: ApprovalKind, subject: str, payload: Mapping[str, Any], approval_id: str | None
) -> Approve | Refusal:
    """As :func:`four_eyes`, for what a key of nobody may not do alone either. Refused: ``approval_required``."""
    approve = four_eyes(request, kind=kind, subject=subject, payload=payload, approval_id=approval_id)
    return APPROVAL_REQUIRED.refuse("approval_id", kind=kind.value) if approve is None else approve
