"""Propose something that another person must allow."""

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec

from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix
from kaquan.kit.outcomes import INVALID_FIELD, Refusal
from kaquan.parties.outcomes import OPERATOR_REQUIRED, missing
from kaquan.parties.staff import store
from kaquan.parties.staff.types import Approval, ApprovalStatus, NewApproval
from kaquan.parties.trail import Actor, new_action


async def propose(
    pool: Pool, clock: Clock, ids: Ids, *, book_id: int, new: NewApproval, by: Actor
) -> Approval | Refusal:
    """A proposal of the operator ``by``. Refused: ``operator_required``, ``not_found`` (no such operator here),
    ``invalid_field`` (payload.payee: a payload is kept in clear, and nobody's account is).
    """
    if by.operator_id is None:
        return OPERATOR_REQUIRED.refuse()
    if "payee" in new.payload:
        return INVALID_FIELD.refuse("payload.payee", allowed="must be left out", allowed_zh="不得填写")
    payload = canonical(new.payload)
    now = clock.now()
    approval = Approval(
        book_id=book_id,
        id=ids.new(),
        kind=new.kind,
        subject=new.subject,
        payload=payload,
        payload_hash=_hash(payload),
        reason=new.reason,
        proposed_by=by.operator_id,
        proposed_at=now,
        expires_at=now + timedelta(seconds=new.ttl_s),
        status=ApprovalStatus.PROPOSED,
        decided_by=None,
        decided_at=None,
        decided_why=None,
        executed_at=None,
    )
    action = new_action(
        clock,
        ids,
        book_id=book_id,
        by=by,
        kind="approval.proposed",
        prefix=Prefix.APPROVAL,
        subject_id=approval.id,
        after={"kind": new.kind, "subject": new.subject, "payload_sha256": approval.payload_hash.hex()},
    )
    return approval if await store.post_approval(pool, approval, action) else missing("operator", "operator_id")


def canonical(payload: Mapping[str, Any]) -> str:
    """The one text of a payload: JSON with sorted keys and no spaces."""
    return msgspec.json.encode(payload, order="sorted").decode()


def hash_payload(payload: Mapping[str, Any]) -> bytes:
    """The SHA-256 of a payload's one text, by which what is done is compared with what was approved."""
    return _hash(canonical(payload))


def decider_of(by: Actor) -> UUID | Refusal:
    """Whose decision it is. Refused: ``operator_required``."""
    return OPERATOR_REQUIRED.refuse() if by.operator_id is None else by.operator_id


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
