"""Benefits of members that are vouchers: taken and given in one commit. Points know no vouchers, nor these points."""

from uuid import UUID

from kaquan import points
from kaquan.cards import Hand, get_card
from kaquan.kit.clock import Clock
from kaquan.kit.db import Connection, Pool, Write
from kaquan.kit.ids import Ids
from kaquan.kit.outcomes import NOT_FOUND, Refusal
from kaquan.ledger import Answer, RequestKey
from kaquan.parties.trail import SYSTEM, Actor
from kaquan.points import Benefit, Deed, NewBenefit
from kaquan.vouchers import (
    Granted,
    HeldBy,
    HolderKind,
    Telling,
    Template,
    get_template,
    issue_grants,
)
from kaquan.vouchers.outcomes import TEMPLATE_ENDED


async def create_benefit(
    pool: Pool, clock: Clock, ids: Ids, *, book_id: int, new: NewBenefit, by: Actor = SYSTEM
) -> Benefit | Refusal:
    """A new benefit, perhaps of vouchers. Refused: ``not_found`` (template_id), ``voucher_template_ended``, what
    :func:`kaquan.points.create_benefit` refuses."""
    if new.template_id is not None:
        template = await get_template(pool, book_id=book_id, id_=new.template_id, field="template_id")
        if isinstance(template, Refusal):
            return template
        if template.ended_at is not None:
            return TEMPLATE_ENDED.refuse("template_id")
    return await points.create_benefit(pool, clock, ids, book_id=book_id, new=new, by=by)


async def take_benefit(
    pool: Pool,
    hand: Hand,
    *,
    book_id: int,
    slots: tuple[int, ...],
    card_id: UUID,
    benefit_id: UUID,
    birth_month: int | None,
    key: RequestKey,
    render: points.RenderDeed,
) -> Answer | Refusal:
    """Take a benefit, and get its vouchers if that is what it gives: the holder of the card, if it is registered, else
    the card. A template that has ended since still gives what the benefit promised.

    Refused: what :func:`kaquan.points.take_benefit` refuses.
    """
    card = await get_card(pool, book_id=book_id, slots=slots, card_id=card_id)
    if isinstance(card, Refusal):
        return NOT_FOUND.refuse("card_id", what="card")
    found = await points.get_benefit(pool, book_id=book_id, id_=benefit_id)
    if isinstance(found, Refusal):
        return NOT_FOUND.refuse("benefit_id", what="benefit")
    template: Template | None = None
    if found.template_id is not None:
        known = await get_template(pool, book_id=book_id, id_=found.template_id, field="benefit_id")
        if isinstance(known, Refusal):
            return known
        template = known
    holder = HeldBy(HolderKind.CARD, card_id)
    if card.customer_id is not None:
        holder = HeldBy(HolderKind.CUSTOMER, card.customer_id)

    def give(benefit: Benefit, deed: Deed) -> Write:
        async def write(connection: Connection) -> bool:
            if template is not None and benefit.voucher_count is not None:
                count = benefit.voucher_count
                granted = Granted(template, holder, card_id, deed.id, count, template.face_fen * count)
                await issue_grants(
                    connection, [granted], slots=slots, telling=Telling(hand.ids, deed.made_at, hand.actor)
                )
            return True

        return write

    return await points.take_benefit(
        pool,
        hand,
        book_id=book_id,
        slots=slots,
        card_id=card_id,
        benefit_id=benefit_id,
        birth_month=birth_month,
        key=key,
        render=render,
        give=give,
    )
