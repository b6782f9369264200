"""Transfer a voucher: its holder gives it to another one, once and whole."""

from collections.abc import Sequence
from uuid import UUID

from kaquan.cards import Hand
from kaquan.kit.db import Pool, post_together
from kaquan.kit.outcomes import BUSY, Refusal
from kaquan.vouchers import store
from kaquan.vouchers.claim import Limit, check_eligibility, unusable
from kaquan.vouchers.find import get_voucher
from kaquan.vouchers.outcomes import NOT_TRANSFERABLE, VOUCHER_EXPIRED, VOUCHER_NOT_HELD
from kaquan.vouchers.store import Telling
from kaquan.vouchers.templates import get_template
from kaquan.vouchers.types import HeldBy, Person, Template, Voucher, VoucherEvent, VoucherStatus

MAX_TRIES = 8


def check_transfer(
    voucher: Voucher, template: Template, *, giver: HeldBy, person: Person, voucher_is_over: bool
) -> Refusal | None:
    """Whether ``giver`` may give a voucher to ``person``. Refused: ``voucher_not_held``, ``voucher_not_usable``,
    ``voucher_expired``, ``voucher_not_transferable``, ``voucher_not_eligible``."""
    if voucher.status is not VoucherStatus.HELD:
        return unusable(voucher, "id")
    if voucher.holder != giver:
        return VOUCHER_NOT_HELD.refuse("from")
    if voucher_is_over:
        return VOUCHER_EXPIRED.refuse("id", valid_until=str(voucher.valid_until))
    if not template.transferable:
        return NOT_TRANSFERABLE.refuse("id")
    return None if template.eligibility is None else check_eligibility(template.eligibility, person)


async def transfer_voucher(
    pool: Pool,
    hand: Hand,
    *,
    book_id: int,
    slots: Sequence[int],
    voucher_id: UUID,
    giver: HeldBy,
    taker: HeldBy,
    person: Person,
) -> Voucher | Refusal:
    """The voucher, held by ``taker`` from now on; ``person`` is what is known of them.

    What they hold already is the answer again. A limit for each holder counts what was claimed and what was received.
    Refused: ``not_found``, as :func:`check_transfer`, ``voucher_limit_reached``, ``busy``.
    """
    for _ in range(MAX_TRIES):
        voucher = await get_voucher(pool, book_id=book_id, slots=slots, voucher_id=voucher_id)
        if isinstance(voucher, Refusal) or voucher.holder == taker:
            return voucher
        template = await get_template(pool, book_id=book_id, id_=voucher.template_id)
        assert not isinstance(template, Refusal), "templates are never removed"
        now = hand.clock.now()
        is_over = voucher.valid_until is not None and voucher.valid_until <= now
        refused = check_transfer(voucher, template, giver=giver, person=person, voucher_is_over=is_over)
        if refused is not None:
            return refused
        limit = Limit(template, taker, slots, count=1)
        moved = store.move(
            voucher, VoucherEvent.TRANSFERRED, to=VoucherStatus.HELD, holder=taker,
            telling=Telling(hand.ids, now, hand.actor),
        )  # fmt: skip
        if await post_together(pool, limit.count_in, moved):
            return await get_voucher(pool, book_id=book_id, slots=slots, voucher_id=voucher_id)
        if limit.refused is not None:
            return limit.refused
    return BUSY.refuse()
