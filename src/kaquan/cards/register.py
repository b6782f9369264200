"""Bind a card to a person, and take it from them again. A registered card is of another class."""

from collections.abc import Awaitable, Callable
from uuid import UUID

from kaquan.cards.change import apply_change
from kaquan.cards.life import plan_registration, plan_unbinding
from kaquan.cards.look_up import get_card
from kaquan.cards.types import Card, CardEvent, Hand
from kaquan.kit.db import Pool
from kaquan.kit.outcomes import Refusal

CustomerCheck = Callable[[int, UUID], Awaitable[Refusal | None]]
"""Tells why this book does not let a card be bound to this customer (there is none, or the person may have no more)."""


async def register_card(
    pool: Pool,
    hand: Hand,
    check: CustomerCheck,
    *,
    book_id: int,
    slots: tuple[int, ...],
    card_id: UUID,
    customer_id: UUID,
) -> Card | Refusal:
    """Make a card the customer's; one that is theirs already stays as it is.

    Refused: ``not_found``, what ``check`` refuses, ``card_registered``, the codes of cards that are not active.
    """
    card = await get_card(pool, book_id=book_id, slots=slots, card_id=card_id)
    if isinstance(card, Refusal):
        return card
    if (refused := await check(book_id, customer_id)) is not None:
        return refused
    at = hand.clock.now()
    return await apply_change(
        pool,
        hand,
        CardEvent.REGISTERED,
        lambda card: plan_registration(card, customer_id=customer_id, at=at),
        book_id=book_id,
        slots=slots,
        card_id=card_id,
        details={"customer_id": customer_id.hex},
    )


async def unbind_card(
    pool: Pool, hand: Hand, *, book_id: int, slots: tuple[int, ...], card_id: UUID, reason: str
) -> Card | Refusal:
    """Make a card unregistered; one that is nobody's stays as it is.

    Refused: ``not_found``, ``loss_report_pending``, the codes of cards that are not active.
    """
    return await apply_change(
        pool,
        hand,
        CardEvent.UNBOUND,
        plan_unbinding,
        book_id=book_id,
        slots=slots,
        card_id=card_id,
        reason=reason,
    )
