"""Claim an approval: the deed it allows is done once, in the transaction that claims it."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from kaquan.kit.clock import Clock
from kaquan.kit.db import Connection, Pool
from kaquan.kit.ids import Ids, Prefix
from kaquan.kit.outcomes import BUSY, Refusal
from kaquan.parties.outcomes import APPROVAL_FOR_SOMETHING_ELSE, APPROVAL_NOT_APPROVED, missing
from kaquan.parties.staff import store
from kaquan.parties.staff.propose import hash_payload
from kaquan.parties.staff.types import Approval, ApprovalKind, ApprovalStatus
from kaquan.parties.trail import Actor, record_action

Approve = Callable[[Connection], Awaitable[Refusal | None]]
"""Claims an approval in the transaction of what it allows; a refusal if it does not allow that."""


async def claim_approval(
    connection: Connection,
    clock: Clock,
    ids: Ids,
    *,
    book_id: int,
    id_: UUID,
    kind: ApprovalKind,
    subject: str,
    payload: Mapping[str, Any],
    by: Actor,
) -> Approval | Refusal:
    """The approval, executed from here on if the transaction of ``connection`` commits; given back if it does not.

    ``kind``, ``subject`` (a public id) and ``payload`` are what the caller is about to do: they must be what was
    approved, to the letter of the payload's JSON. Whoever comes second waits for the first to commit and is refused.
    Refused: ``not_found`` (approval_id), ``approval_not_approved``, ``approval_for_something_else``, ``busy``; nothing
    was written then, and the caller does not do it.
    """
    now = clock.now()
    executed = await store.claim(
        connection,
        {
            "book_id": book_id,
            "id": id_,
            "kind": kind,
            "subject": subject,
            "payload_hash": hash_payload(payload),
            "now": now,
        },
    )
    if executed is not None:
        await record_action(
            connection,
            clock,
            ids,
            book_id=book_id,
            by=by,
            kind="approval.executed",
            prefix=Prefix.APPROVAL,
            subject_id=id_,
            before={"status": ApprovalStatus.APPROVED},
            after={"status": ApprovalStatus.EXECUTED},
        )
        return executed
    found = await store.read_approval(connection, book_id=book_id, id_=id_)
    refused = _refusal_of(found, kind=kind, subject=subject, payload=payload, now=now)
    # what would be right now was wrong a moment ago, when it was claimed
    return refused or BUSY.refuse()


async def check_approval(
    pool: Pool,
    clock: Clock,
    *,
    book_id: int,
    id_: UUID,
    kind: ApprovalKind,
    subject: str,
    payload: Mapping[str, Any],
) -> Refusal | None:
    """Whether :func:`claim_approval` would be refused now: to be asked before long work, and claimed after it.

    Refused: as there.
    """
    async with pool.connection() as connection:
        found = await store.read_approval(connection, book_id=book_id, id_=id_)
    return _refusal_of(found, kind=kind, subject=subject, payload=payload, now=clock.now())


def _refusal_of(
    found: Approval | None, *, kind: ApprovalKind, subject: str, payload: Mapping[str, Any], now: datetime
) -> Refusal | None:
    if found is None:
        return missing("approval", "approval_id")
    if found.status_at(now) is not ApprovalStatus.APPROVED:
        return APPROVAL_NOT_APPROVED.refuse("approval_id", status=found.status_at(now))
    if (found.kind, found.subject, found.payload_hash) != (kind, subject, hash_payload(payload)):
        return APPROVAL_FOR_SOMETHING_ELSE.refuse("approval_id")
    return None
