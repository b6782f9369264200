"""Cancel vouchers: one, or what of a batch nobody has claimed; by two persons."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from kaquan.cards import Hand
from kaquan.cards.change import Permission
from kaquan.kit.db import Connection, Pool, Write, post_together
from kaquan.kit.ids import Prefix
from kaquan.kit.outcomes import BUSY, Refusal
from kaquan.parties.staff import Approve
from kaquan.parties.trail import Actor, record_action
from kaquan.vouchers import store
from kaquan.vouchers.claim import unusable
from kaquan.vouchers.find import get_batch, get_voucher
from kaquan.vouchers.store import Telling
from kaquan.vouchers.types import Voucher, VoucherBatch, VoucherEvent, VoucherStatus

MAX_TRIES = 8
CHUNK = 10_000


async def cancel_voucher(
    pool: Pool,
    hand: Hand,
    *,
    book_id: int,
    slots: Sequence[int],
    voucher_id: UUID,
    reason: str,
    by: Actor,
    approve: Approve | None = None,
) -> Voucher | Refusal:
    """Make a voucher void that is nobody's or held; a cancelled one is the answer again.

    ``approve`` is asked in the commit of the change. Refused: ``not_found``, ``voucher_not_usable``, what ``approve``
    refuses, ``busy``.
    """
    for _ in range(MAX_TRIES):
        voucher = await get_voucher(pool, book_id=book_id, slots=slots, voucher_id=voucher_id)
        if isinstance(voucher, Refusal) or voucher.status is VoucherStatus.CANCELLED:
            return voucher
        if voucher.status not in (VoucherStatus.ISSUED, VoucherStatus.HELD):
            return unusable(voucher, "id")
        permission = Permission(approve)
        done = await post_together(
            pool,
            store.move(
                voucher, VoucherEvent.CANCELLED, to=VoucherStatus.CANCELLED, holder=voucher.holder,
                telling=Telling(hand.ids, hand.clock.now(), hand.actor, reason),
            ),
            permission.claim,
            _tell(hand, book_id, by, "voucher.cancelled", Prefix.VOUCHER, voucher_id, {"reason": reason}),
        )  # fmt: skip
        if done:
            return await get_voucher(pool, book_id=book_id, slots=slots, voucher_id=voucher_id)
        if permission.refused is not None:
            return permission.refused
    return BUSY.refuse()


async def cancel_batch(
    pool: Pool,
    hand: Hand,
    *,
    book_id: int,
    slots: Sequence[int],
    batch_id: UUID,
    reason: str,
    by: Actor,
    approve: Approve | None = None,
) -> tuple[VoucherBatch, int] | Refusal:
    """Make void what of a batch nobody has claimed, and make no more of it, all in one commit; and how many vouchers.

    Refused: ``not_found``, what ``approve`` refuses.
    """
    batch = await get_batch(pool, book_id=book_id, batch_id=batch_id)
    if isinstance(batch, Refusal):
        return batch
    permission = Permission(approve)
    ended = 0

    async def end(connection: Connection) -> bool:
        nonlocal ended
        for slot in slots:
            while True:
                some = await store.end_some(
                    connection, VoucherEvent.CANCELLED, slot=slot, to=VoucherStatus.CANCELLED, limit=CHUNK,
                    telling=Telling(hand.ids, hand.clock.now(), hand.actor, reason), book_id=book_id, batch_id=batch_id,
                )  # fmt: skip
                ended += some
                if some < CHUNK:
                    break
        return True

    done = await post_together(
        pool,
        permission.claim,
        # first, so that no runner makes more of it meanwhile
        store.stop_batch(book_id=book_id, batch_id=batch_id, at=hand.clock.now()),
        end,
        _tell(hand, book_id, by, "voucher_batch.cancelled", Prefix.VOUCHER_BATCH, batch_id, {"reason": reason}),
    )
    if not done:
        assert permission.refused is not None
        return permission.refused
    after = await get_batch(pool, book_id=book_id, batch_id=batch_id)
    assert not isinstance(after, Refusal), "batches are never removed"
    return after, ended


def _tell(
    hand: Hand, book_id: int, by: Actor, kind: str, prefix: Prefix, subject_id: UUID, after: dict[str, Any]
) -> Write:
    async def write(connection: Connection) -> bool:
        await record_action(
            connection, hand.clock, hand.ids, book_id=book_id, by=by, kind=kind, prefix=prefix, subject_id=subject_id,
            after=after,
        )  # fmt: skip
        return True

    return write
