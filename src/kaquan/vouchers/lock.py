"""What a payment does with vouchers: lock them before it is posted, settle them after it, give back what is refunded.

A voucher may be in another slot than the payment, so this is two steps: whatever dies in between leaves a lock, and
:func:`sweep_locks` ends it after it has made sure that the payment was posted or never will be.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from kaquan.kit.clock import Clock
from kaquan.kit.db import Connection, Pool
from kaquan.kit.ids import Ids
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import slot_of
from kaquan.vouchers import store
from kaquan.vouchers.claim import unusable
from kaquan.vouchers.outcomes import VOUCHER_ELSEWHERE, VOUCHER_EXPIRED, VOUCHER_NOT_HELD, VOUCHER_NOT_YET
from kaquan.vouchers.store import Telling
from kaquan.vouchers.types import Ask, Redeemed, Returned, Template, Voucher, VoucherStatus

LOCK_FOR = timedelta(minutes=1)
"""How long a lock lasts until somebody looks what became of its payment: longer than any payment takes."""

CHUNK = 500

SYSTEM = "system"

FindOutcome = Callable[[int, UUID], Awaitable[Mapping[UUID, int] | None]]
"""What became of a payment (book, transaction): what each of its vouchers took off, or None if it was not posted, and
from now on cannot be."""


def check_use(
    voucher: Voucher,
    template: Template,
    *,
    holders: Collection[UUID],
    district: str | None,
    now: datetime,
    field: str = "voucher_ids",
) -> Refusal | None:
    """Whether a voucher can be redeemed by who pays: ``holders`` are the card and the person whose it is, ``district``
    is that of the store. One for a district is for no store of which none is known.

    A locked one counts as held: the lock itself decides. Refused: ``voucher_not_held``, ``voucher_not_usable``,
    ``voucher_not_yet``, ``voucher_expired``, ``voucher_elsewhere``.
    """
    if voucher.holder is not None and voucher.holder.id not in holders:
        return VOUCHER_NOT_HELD.refuse(field)
    if voucher.status not in (VoucherStatus.HELD, VoucherStatus.LOCKED):
        return unusable(voucher, field)
    if voucher.valid_from is not None and voucher.valid_from > now:
        return VOUCHER_NOT_YET.refuse(field, valid_from=voucher.valid_from.isoformat())
    if voucher.valid_until is not None and voucher.valid_until <= now:
        return VOUCHER_EXPIRED.refuse(field, valid_until=voucher.valid_until.isoformat())
    if template.district is not None and template.district != district:
        return VOUCHER_ELSEWHERE.refuse(field, district=template.district)
    return None


async def lock_vouchers(
    connection: Connection, asked: Sequence[Ask], *, slots: Sequence[int], at: datetime, until: datetime
) -> set[UUID]:
    """Lock vouchers for transactions; the transactions that have every one they asked for.

    What another transaction has locked, redeemed or changed since it was decided on is not locked, and a transaction
    that lacks one keeps none. However many ask at once, one gets it; who asks again for the same transaction has it.
    """
    if not asked:
        return set()
    rows = sorted((slot_of(one.voucher_id, slots), *one) for one in set(asked))
    locked = await store.lock(connection, rows, at=at, until=until)
    lacking = {by for _, voucher_id, by, _ in rows if (voucher_id, by) not in locked}
    await store.release(connection, [(slot, id_, by) for slot, id_, by, _ in rows if by in lacking])
    return {one.transaction_id for one in asked} - lacking


async def settle_vouchers(
    connection: Connection,
    *,
    redeemed: Sequence[Redeemed],
    released: Sequence[tuple[UUID, UUID]],
    slots: Sequence[int],
    telling: Telling,
) -> list[UUID]:
    """End locks, in the caller's transaction: ``redeemed`` by posted payments, ``released`` (voucher, transaction) by
    others, and where a voucher took nothing off: it is not used up. Told twice it is done once. Those that were
    redeemed now."""
    await store.release(connection, [(slot_of(id_, slots), id_, by) for id_, by in sorted(released)])
    return await store.redeem(
        connection,
        [(slot_of(one.voucher_id, slots), *one) for one in sorted(redeemed)],
        telling,
    )


async def return_vouchers(
    connection: Connection, returned: Sequence[Returned], *, slots: Sequence[int], telling: Telling
) -> list[UUID]:
    """Note, in the caller's transaction, what of vouchers' discounts came back by refunds and voids; those for which it
    was noted now.

    A voucher of which all came back is its holder's again, unless its template says that it is used up, with the
    validity that it had. Told twice it is done once.
    """
    return await store.give_back(
        connection, [(slot_of(one.voucher_id, slots), *one) for one in sorted(returned)], telling
    )


async def sweep_locks(pool: Pool, clock: Clock, ids: Ids, *, slots: Sequence[int], find_outcome: FindOutcome) -> int:
    """End locks whose process died; how many. For the worker, any number at once."""
    done = 0
    for slot in slots:
        async with pool.connection() as connection:
            locks = await store.load_old_locks(connection, slot=slot, at=clock.now(), limit=CHUNK)
        for book_id, by in sorted({(book_id, by) for _, _, by, book_id in locks}):
            took = await find_outcome(book_id, by) or {}
            mine = [id_ for _, id_, transaction_id, _ in locks if transaction_id == by]
            async with pool.connection() as connection, connection.transaction():
                await settle_vouchers(
                    connection,
                    redeemed=[Redeemed(id_, by, took[id_]) for id_ in mine if took.get(id_, 0) > 0],
                    released=[(id_, by) for id_ in mine if took.get(id_, 0) == 0],
                    slots=slots,
                    telling=Telling(ids, clock.now(), SYSTEM),
                )
            done += len(mine)
    return done
