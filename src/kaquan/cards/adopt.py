"""Take foreign cards in: cards that were made elsewhere keep their numbers, and are active at once.

Both verbs work in the transaction of their caller, so that a card comes in with its balance, or not at all.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from kaquan.cards import store
from kaquan.cards.issue import Press
from kaquan.cards.store import Run, block_adopted_cards, hold_cards
from kaquan.cards.types import CardForm, Hand, Pocket, Programme
from kaquan.kit.db import Connection

__all__ = ["adopt_cards", "block_adopted_cards", "hold_cards"]


async def adopt_cards(
    connection: Connection,
    press: Press,
    hand: Hand,
    *,
    programme: Programme,
    numbers: Sequence[tuple[UUID, str]],
    at: datetime,
) -> dict[UUID, dict[Pocket, int]]:
    """Make cards of these ids and numbers; the accounts of the pockets of each, which nothing has touched yet.

    A card whose number is another one's already is not made and not in the answer.
    """
    made = [press.make_one(card_id, number) for card_id, number in numbers]
    run = Run(programme.book_id, programme.id, None, CardForm.PHYSICAL, at, programme.version)
    return await store.adopt_cards(connection, made, run, hand, currency=programme.currency)
