"""Vouchers around the posting of payments: read, decide, lock, post, settle (ADR 0032).

A voucher may be in another slot than the card. What a plan redeems is locked for its transaction before that is posted,
and settled after; whatever dies in between leaves a lock, which :func:`kaquan.vouchers.sweep_locks` ends when
:func:`find_outcome` has made sure that the payment was posted or never will be. What a refund gives back of
vouchers, and what a payment grants, is written in the commit of the payment.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from msgspec.structs import replace

from kaquan.cards import SYSTEM
from kaquan.kit.clock import Clock
from kaquan.kit.db import Connection, Pool
from kaquan.kit.ids import Ids
from kaquan.kit.outcomes import NOT_FOUND, Refusal
from kaquan.ledger import slot_of
from kaquan.payments import store
from kaquan.payments.give import voucher_amounts
from kaquan.payments.kept import Kept, PartKind
from kaquan.payments.types import CardFacts, OfferFacts, Plan, Redeeming, Spend, VoucherFacts
from kaquan.points import change_earning, keep_earnings
from kaquan.promotions import CompiledOffer, VoucherInHand
from kaquan.vouchers import (
    LOCK_FOR,
    Ask,
    Granted,
    Redeemed,
    Returned,
    Telling,
    Template,
    Voucher,
    check_use,
    compile_template,
    issue_grants,
    load_all_templates,
    lock_vouchers,
    read_vouchers_named,
    return_vouchers,
    revoke_grants,
    settle_vouchers,
    sweep_locks,
)

MAX_OF_ONE_TEMPLATE = 20
"""Vouchers of a template that one basket may redeem."""

_ASIDE: dict[str, Any] = {"order": 1_000, "group": "", "max_vouchers": MAX_OF_ONE_TEMPLATE}


class Templates:
    """Templates of vouchers in memory, compiled; they never change. One per desk."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._known: dict[UUID, tuple[Template, CompiledOffer]] = {}

    async def load(self, book_id: int, ids: Collection[UUID]) -> dict[UUID, tuple[Template, CompiledOffer]]:
        """Those of ``ids`` that the book has."""
        if not self._known.keys() >= set(ids):
            for template in (await load_all_templates(self._pool, book_id=book_id)).values():
                self._known[template.id] = (template, _compile(template))
        found = {id_: self._known[id_] for id_ in ids if id_ in self._known}
        return {id_: one for id_, one in found.items() if one[0].book_id == book_id}


def _compile(template: Template, face_fen: int | None = None) -> CompiledOffer:
    """The effect of a template's vouchers as an offer. Unless the template says otherwise it goes with the offers of
    campaigns, after them, on what they left of the price."""
    return compile_template(replace(template, offer_stacking={**_ASIDE, **template.offer_stacking}), face_fen=face_fen)


def _facts_of(voucher: Voucher, template: Template, offer: CompiledOffer) -> VoucherFacts:
    """A voucher with what it promises: one of an amount of its own takes that off."""
    own = voucher.face_fen != template.face_fen
    return VoucherFacts(voucher, template, _compile(template, voucher.face_fen) if own else offer)


async def load_vouchers(
    connection: Connection,
    templates: Templates,
    asked: Mapping[int, Sequence[UUID]],
    *,
    slots: Sequence[int],
) -> dict[UUID, VoucherFacts]:
    """The vouchers that are asked for, by book, with what they promise."""
    found: dict[UUID, VoucherFacts] = {}
    for book_id, ids in asked.items():
        home = sorted({slot_of(id_, slots) for id_ in ids})
        read = await read_vouchers_named(connection, book_id=book_id, slots=home, ids=ids)
        known = await templates.load(book_id, {voucher.template_id for voucher in read})
        found.update({voucher.id: _facts_of(voucher, *known[voucher.template_id]) for voucher in read})
    return found


def take_in_hand(
    offers: OfferFacts, command: Spend, card: CardFacts, *, now: datetime
) -> tuple[VoucherInHand, ...] | Refusal:
    """The vouchers of a spend, if each may be redeemed by this card. Refused: ``not_found``, what
    :func:`kaquan.vouchers.check_use` refuses."""
    taken = []
    for voucher_id in command.voucher_ids:
        found = offers.vouchers.get(voucher_id)
        if found is None or found.voucher.book_id != card.book_id:
            return NOT_FOUND.refuse("vouchers", what="voucher")
        refusal = check_use(
            found.voucher, found.template, holders=holders_of(card), district=command.place.district, now=now,
            field="vouchers",
        )  # fmt: skip
        if refusal is not None:
            return refusal
        taken.append(in_hand(found))
    return tuple(taken)


def holders_of(card: CardFacts) -> list[UUID]:
    """Whose vouchers may be redeemed with a card."""
    return [card.id] if card.customer_id is None else [card.id, card.customer_id]


def in_hand(found: VoucherFacts) -> VoucherInHand:
    """A voucher as it is priced."""
    return VoucherInHand(found.voucher.id, found.template.id, found.offer)


def redeeming(offers: OfferFacts, kept: Kept) -> tuple[Redeeming, ...]:
    """The vouchers that took something off. One that had no effect stays its holder's."""
    return tuple(
        Redeeming(one.voucher_id, offers.vouchers[one.voucher_id].voucher.version, one.discount_fen)
        for one in kept.applied
        if one.voucher_id is not None and one.discount_fen
    )


class Locked(NamedTuple):
    """What was locked for which transactions of a batch, and those that did not get all they want."""

    held: dict[UUID, tuple[Redeeming, ...]]
    lacking: set[UUID]


async def lock(
    connection: Connection, plans: Sequence[Plan | Refusal], *, slots: Sequence[int], at: datetime
) -> Locked:
    """Lock what these plans redeem."""
    wanted = {plan.posting.transaction_id: plan.redeems for plan in plans if isinstance(plan, Plan) and plan.redeems}
    if not wanted:
        return Locked({}, set())
    asked = [Ask(one.voucher_id, id_, one.version) for id_, redeems in wanted.items() for one in redeems]
    got = await lock_vouchers(connection, asked, slots=slots, at=at, until=at + LOCK_FOR)
    return Locked({id_: wanted[id_] for id_ in got}, wanted.keys() - got)


async def settle_locks(
    connection: Connection,
    locked: Locked,
    *,
    posted: Collection[UUID],
    slots: Sequence[int],
    ids: Ids,
    at: datetime,
) -> None:
    """End the locks of payments of which it is known whether they were posted."""
    if not locked.held:
        return
    redeemed, released = [], []
    for transaction_id, redeems in locked.held.items():
        for one in redeems:
            if transaction_id in posted:
                redeemed.append(Redeemed(one.voucher_id, transaction_id, one.amount_fen))
            else:
                released.append((one.voucher_id, transaction_id))
    async with connection.transaction():
        await settle_vouchers(
            connection, redeemed=redeemed, released=released, slots=slots, telling=Telling(ids, at, SYSTEM)
        )


async def write_givings(
    connection: Connection,
    templates: Templates,
    plans: Sequence[Plan],
    *,
    slots: Sequence[int],
    ids: Ids,
    at: datetime,
) -> bool:
    """Write, in the commit of their payments, what these give and take besides value; False if what a plan was decided
    on is not so any more: then nothing may be posted."""
    telling = Telling(ids, at, SYSTEM)
    returned = [
        Returned(
            voucher_id, plan.receipt.payment.original_id or plan.receipt.payment.id, plan.posting.transaction_id, fen
        )
        for plan in plans
        for voucher_id, fen in plan.returns
    ]
    if returned:
        await return_vouchers(connection, returned, slots=slots, telling=telling)
    # together: while a batch holds the issuer's accounts, the other lane waits for them
    await keep_earnings(connection, [earning for plan in plans for was, earning in plan.earnings if was is None])
    for plan in plans:
        for giving in plan.gives:
            known = await templates.load(giving.book_id, [giving.template_id])
            if giving.template_id not in known:
                continue  # a campaign that names a template which is not there grants nothing
            granted = Granted(
                known[giving.template_id][0],
                giving.holder,
                giving.card_id,
                giving.payment_id,
                giving.pieces,
                giving.amount_fen,
                giving.due_at,
            )
            await issue_grants(connection, [granted], slots=slots, telling=telling)
        for was, earning in plan.earnings:
            if was is not None and not await change_earning(connection, was, earning):
                return False
        for one in plan.instalments:
            await store.insert_instalment(
                connection, one, slot=slot_of(one.card_id, slots), id_=ids.new_near(one.card_id), at=at
            )
        for giving in plan.revokes:
            await revoke_grants(
                connection,
                slot=slot_of(giving.card_id, slots),
                transaction_id=giving.payment_id,
                template_id=giving.template_id,
                count=giving.pieces,
                telling=telling,
            )
    return True


async def sweep(pool: Pool, clock: Clock, ids: Ids, *, slots: Sequence[int]) -> int:
    """End the locks that dead processes left; how many. For the worker."""

    async def find_outcome(book_id: int, transaction_id: UUID) -> Mapping[UUID, int] | None:
        """What each voucher of a payment took off that did not come back since; None if it will never be posted."""
        slot = slot_of(transaction_id, slots)
        async with pool.connection() as connection:
            if await store.give_up(connection, slot=slot, transaction_id=transaction_id, at=clock.now()):
                return None
            kept, parts = await store.read_pricing(connection, slot=slot, transaction_id=transaction_id)
        if kept is None:
            return {}
        took = dict(voucher_amounts(kept, [(at, share.amount_fen) for at, share in enumerate(kept.shares)]))
        for part in parts:
            if part.what is not PartKind.CAPTURE:
                for voucher_id, amount_fen in voucher_amounts(kept, part.shares):
                    took[voucher_id] -= amount_fen
        return took

    return await sweep_locks(pool, clock, ids, slots=slots, find_outcome=find_outcome)
