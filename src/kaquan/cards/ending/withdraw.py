"""Withdraw the end of a programme before anything has stopped."""

from uuid import UUID

from kaquan.cards.change import Permission
from kaquan.cards.create_programme import name_of
from kaquan.cards.ending import store
from kaquan.cards.ending.outcomes import END_NOT_WITHDRAWABLE
from kaquan.cards.ending.types import EndStatus, ProgrammeEnd
from kaquan.cards.outcomes import missing
from kaquan.cards.store import post_together
from kaquan.kit.clock import Clock
from kaquan.kit.db import Connection, Pool
from kaquan.kit.ids import Ids, Prefix
from kaquan.kit.outcomes import BUSY, Refusal
from kaquan.parties.staff import Approve
from kaquan.parties.trail import Actor, record_action


async def withdraw_end(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    *,
    book_id: int,
    end_id: UUID,
    reason: str,
    by: Actor,
    approve: Approve | None = None,
) -> ProgrammeEnd | Refusal:
    """Take an announced end back; one that is withdrawn for this reason stays as it is and is the answer.

    ``approve`` is asked in the commit. Refused: ``not_found``, ``end_not_withdrawable``, what ``approve`` refuses,
    ``busy``.
    """
    found = await store.load_end(pool, book_id=book_id, id_=end_id)
    if found is None:
        return missing("programme end")
    now = clock.now()
    status = found.status_at(now)
    if status is not EndStatus.ANNOUNCED:
        same = status is EndStatus.WITHDRAWN and found.withdrawal_reason == reason
        return found if same else END_NOT_WITHDRAWABLE.refuse("id", status=status.value)

    async def record(connection: Connection) -> bool:
        await record_action(
            connection, clock, ids, book_id=book_id, by=by, kind="programme_end.withdrawn",
            prefix=Prefix.PROGRAMME_END, subject_id=end_id, before={"stops_at": found.stops_at},
            after={"reason": reason},
        )  # fmt: skip
        return True

    permission = Permission(approve)
    withdrawn = store.withdraw(found, by=name_of(by), reason=reason, at=now)
    if not await post_together(pool, withdrawn, permission.claim, record) and permission.refused is not None:
        return permission.refused
    after = await store.load_end(pool, book_id=book_id, id_=end_id)
    assert after is not None, "ends are never removed"
    return after if after.withdrawal_reason == reason else BUSY.refuse()
