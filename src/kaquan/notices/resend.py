"""Send again: one notice, or a time's worth of them to one endpoint."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import slot_of
from kaquan.notices import store
from kaquan.notices.endpoints import get_endpoint
from kaquan.notices.look_up import get_notice
from kaquan.notices.types import FullNotice


async def resend_notice(
    pool: Pool, clock: Clock, *, book_id: int, slots: Sequence[int], id_: UUID
) -> FullNotice | Refusal:
    """Send a notice again, under its old id, to every active endpoint that wants its event; delivered or not.

    Endpoints that came after it get it too. Refused: ``not_found``.
    """
    found = await get_notice(pool, book_id=book_id, slots=slots, id_=id_)
    if isinstance(found, Refusal):
        return found
    await store.send_again(pool, found.notice, slot=slot_of(id_, slots), at=clock.now())
    return await get_notice(pool, book_id=book_id, slots=slots, id_=id_)


async def replay_range(
    pool: Pool,
    clock: Clock,
    *,
    book_id: int,
    slots: Sequence[int],
    endpoint_id: UUID,
    created_after: datetime,
    created_before: datetime,
    only_dead: bool,
) -> int | Refusal:
    """Send an endpoint again what was written between two times (both exclusive): what is dead, or everything that it
    wants; how many. Refused: ``not_found``."""
    found = await get_endpoint(pool, book_id=book_id, id_=endpoint_id)
    if isinstance(found, Refusal):
        return found
    return await store.replay(
        pool,
        found,
        slots=slots,
        created_after=created_after,
        created_before=created_before,
        only_dead=only_dead,
        at=clock.now(),
    )
