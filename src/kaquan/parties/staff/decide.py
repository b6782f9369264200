"""Approve, reject or withdraw a proposal."""

from datetime import datetime
from uuid import UUID

from msgspec.structs import replace

from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix
from kaquan.kit.outcomes import BUSY, Refusal
from kaquan.parties.outcomes import APPROVAL_NOT_OPEN, FOUR_EYES, NOT_YOUR_PROPOSAL
from kaquan.parties.staff import store
from kaquan.parties.staff.find import get_approval
from kaquan.parties.staff.propose import decider_of
from kaquan.parties.staff.types import Approval, ApprovalStatus
from kaquan.parties.trail import Actor, new_action


async def approve(
    pool: Pool, clock: Clock, ids: Ids, *, book_id: int, id_: UUID, reason: str | None = None, by: Actor
) -> Approval | Refusal:
    """Allow what another operator proposed; it may then be executed once, until it expires.

    Refused: ``operator_required``, ``not_found``, ``four_eyes`` (one's own proposal), ``approval_not_open``.
    """
    return await _decide(pool, clock, ids, book_id=book_id, id_=id_, to=ApprovalStatus.APPROVED, reason=reason, by=by)


async def reject(
    pool: Pool, clock: Clock, ids: Ids, *, book_id: int, id_: UUID, reason: str | None = None, by: Actor
) -> Approval | Refusal:
    """Refuse what another operator proposed.

    Refused: ``operator_required``, ``not_found``, ``four_eyes`` (one's own proposal: withdraw it),
    ``approval_not_open``.
    """
    return await _decide(pool, clock, ids, book_id=book_id, id_=id_, to=ApprovalStatus.REJECTED, reason=reason, by=by)


async def withdraw(
    pool: Pool, clock: Clock, ids: Ids, *, book_id: int, id_: UUID, reason: str | None = None, by: Actor
) -> Approval | Refusal:
    """Take one's own proposal back, approved or not, as long as it was not executed.

    Refused: ``operator_required``, ``not_found``, ``not_your_proposal``, ``approval_not_open``.
    """
    return await _decide(pool, clock, ids, book_id=book_id, id_=id_, to=ApprovalStatus.WITHDRAWN, reason=reason, by=by)


def plan_decision(
    approval: Approval, *, to: ApprovalStatus, operator_id: UUID, reason: str | None, now: datetime
) -> Approval | Refusal:
    """The proposal after the decision of an operator, or why it cannot be theirs."""
    status = approval.status_at(now)
    if to is ApprovalStatus.WITHDRAWN:
        if approval.proposed_by != operator_id:
            return NOT_YOUR_PROPOSAL.refuse()
        if status not in (ApprovalStatus.PROPOSED, ApprovalStatus.APPROVED):
            return APPROVAL_NOT_OPEN.refuse(status=status)
        return replace(approval, status=to, decided_why=reason)
    if approval.proposed_by == operator_id:
        return FOUR_EYES.refuse()
    if status is not ApprovalStatus.PROPOSED:
        return APPROVAL_NOT_OPEN.refuse(status=status)
    return replace(approval, status=to, decided_by=operator_id, decided_at=now, decided_why=reason)


async def _decide(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    *,
    book_id: int,
    id_: UUID,
    to: ApprovalStatus,
    reason: str | None,
    by: Actor,
) -> Approval | Refusal:
    decider = decider_of(by)
    if isinstance(decider, Refusal):
        return decider
    for _ in range(store.TRIES):
        before = await get_approval(pool, book_id=book_id, id_=id_)
        if isinstance(before, Refusal):
            return before
        after = plan_decision(before, to=to, operator_id=decider, reason=reason, now=clock.now())
        if isinstance(after, Refusal):
            return after
        action = new_action(
            clock,
            ids,
            book_id=book_id,
            by=by,
            kind=f"approval.{to}",
            prefix=Prefix.APPROVAL,
            subject_id=id_,
            before={"status": before.status},
            after={"status": to},
        )
        if await store.post_decision(pool, after, was=before.status, action=action):
            return after
    return BUSY.refuse()
