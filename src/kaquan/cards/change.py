"""Change a card's status: activate, block, unblock."""

from collections.abc import Callable
from uuid import UUID

from kaquan.cards import store
from kaquan.cards.life import plan_activation, plan_block, plan_unblock
from kaquan.cards.outcomes import missing
from kaquan.cards.types import BlockReason, Card, Pocket, Search
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.outcomes import BUSY, Refusal
from kaquan.ledger import AccountSpec, FloorRule, slot_of

MAX_PLANS = 8
"""A change that was decided on a card that has changed since is decided again so many times."""


async def activate_card(
    pool: Pool, clock: Clock, *, book_id: int, slots: tuple[int, ...], card_id: UUID
) -> Card | Refusal:
    """Make a card spendable: its pockets are opened in the commit that makes it active.

    An active card stays as it is and is the answer. Refused: ``not_found``, ``card_blocked``, ``card_closed``.
    """
    at = clock.now()
    return await _change(
        pool,
        lambda card: plan_activation(card, at=at),
        book_id=book_id,
        slots=slots,
        card_id=card_id,
        opens=True,
    )


async def block_card(
    pool: Pool, *, book_id: int, slots: tuple[int, ...], card_id: UUID, reason: BlockReason
) -> Card | Refusal:
    """Block a card: payments that were decided before and are not posted yet will not be.

    A card that is blocked for this reason stays as it is and is the answer.
    Refused: ``not_found``, ``card_already_blocked`` (for another reason), ``card_closed``.
    """
    return await _change(
        pool, lambda card: plan_block(card, reason=reason), book_id=book_id, slots=slots, card_id=card_id
    )


async def unblock_card(pool: Pool, *, book_id: int, slots: tuple[int, ...], card_id: UUID) -> Card | Refusal:
    """Take a card back to where it was before it was blocked; one that is not blocked stays as it is.

    Refused: ``not_found``, ``card_closed``.
    """
    return await _change(pool, plan_unblock, book_id=book_id, slots=slots, card_id=card_id)


async def _change(
    pool: Pool,
    plan: Callable[[Card], Card | Refusal],
    *,
    book_id: int,
    slots: tuple[int, ...],
    card_id: UUID,
    opens: bool = False,
) -> Card | Refusal:
    for _ in range(MAX_PLANS):
        card = await store.load_card(pool, book_id=book_id, slot=slot_of(card_id, slots), card_id=card_id)
        if card is None:
            return missing("card")
        after = plan(card)
        if isinstance(after, Refusal) or after == card:
            return after
        opening = await _pockets(pool, card) if opens else ()
        if await store.post_change(pool, card, after, opening=opening):
            return after
    return BUSY.refuse()


async def _pockets(pool: Pool, card: Card) -> list[AccountSpec]:
    (programme,) = await store.load_programmes(pool, card.book_id, Search(), card.programme_id)
    return [
        AccountSpec(card.book_id, card.id, pocket.account_kind, programme.currency, FloorRule.CREDIT, lotted=True)
        for pocket in Pocket
    ]
