"""Put a new card in the place of an old one: linked both ways, the balance moved, the old one ended for ever.

One commit makes the new card spendable, ends the old one and stores the intent of the transfer; from its answer on the
old card is refused. Then the transfer is carried out, by this caller or by the worker.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple
from uuid import UUID

from msgspec.structs import replace

from kaquan.cards import store
from kaquan.cards.change import MAX_PLANS, event_of, pocket_accounts, programme_of
from kaquan.cards.issue import Press
from kaquan.cards.life import plan_replacement
from kaquan.cards.outcomes import REPLACEMENT_NOT_USABLE, missing
from kaquan.cards.store import Run, Write
from kaquan.cards.transfer import begun_under, finish_transfer, new_transfer
from kaquan.cards.types import (
    Card,
    CardEvent,
    CardForm,
    CardStatus,
    Hand,
    Programme,
    Replacement,
    Transfer,
    TransferKind,
)
from kaquan.kit.db import Pool
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import BUSY, Refusal
from kaquan.ledger import RequestKey, slot_of


class Successor(NamedTuple):
    """A card that can take another's place, issued, and what must be written first if it was just made."""

    card: Card
    writes: Sequence[Write]


class Claim(NamedTuple):
    """For whom a card in a gift is replaced, and what else is written then, given the new card."""

    customer_id: UUID
    also: Callable[[Card], Sequence[Write]]


def check_successor(old: Card, new: Card) -> Refusal | None:
    """Whether a card of a batch can take ``old``'s place. Refused: ``replacement_not_usable``."""
    usable = (
        new.status is CardStatus.ISSUED
        and new.programme_id == old.programme_id
        and new.form is old.form
        and new.customer_id is None
        and new.loss_reported_at is None
        and new.id != old.id
    )
    return None if usable else REPLACEMENT_NOT_USABLE.refuse("new_card_id")


async def replace_card(
    pool: Pool,
    hand: Hand,
    press: Press,
    *,
    book_id: int,
    slots: tuple[int, ...],
    card_id: UUID,
    new_card_id: UUID | None = None,
    reason: str,
    key: RequestKey | None = None,
    claim: Claim | None = None,
) -> Replacement | Refusal:
    """Replace a card, active, lost or expired; under the same ``key`` it is replaced once.

    Without ``new_card_id`` a digital card is made for a digital one; a physical card takes one of a batch. The new card
    is the holder's; it has no PIN yet. What an authorization has set aside on the old card follows when it is given
    back, and so does what is refunded later.
    Refused: ``not_found``, ``replacement_not_usable``, the codes of cards that cannot be replaced, ``busy`` (also when
    every number that was drawn is taken).
    """
    slot = slot_of(card_id, slots)
    for _ in range(MAX_PLANS):
        if key is not None:
            begun = await begun_under(pool, book_id=book_id, slot=slot, key=key)
            if isinstance(begun, Refusal):
                return begun
            if begun is not None:
                return await _finish(pool, hand, slots=slots, transfer=begun)
        old = await store.load_card(pool, book_id=book_id, slot=slot, card_id=card_id)
        if old is None:
            return missing("card")
        programme = await programme_of(pool, old)
        if isinstance(early := plan_replacement(old, by=old.id, claimed=claim is not None), Refusal):
            return early
        successor = await _successor(pool, hand, press, programme, slots=slots, old=old, new_card_id=new_card_id)
        if isinstance(successor, Refusal):
            return successor
        transfer = new_transfer(hand, TransferKind.REPLACEMENT, source=old, target_id=successor.card.id, key=key)
        writes = _writes(hand, programme, old, successor, transfer, reason=reason, claim=claim)
        if await store.post_together(pool, *writes):
            return await _finish(pool, hand, slots=slots, transfer=transfer)
    return BUSY.refuse()


async def _successor(
    pool: Pool,
    hand: Hand,
    press: Press,
    programme: Programme,
    *,
    slots: tuple[int, ...],
    old: Card,
    new_card_id: UUID | None,
) -> Successor | Refusal:
    if new_card_id is not None:
        new = await store.load_card(pool, book_id=old.book_id, slot=slot_of(new_card_id, slots), card_id=new_card_id)
        if new is None:
            return missing("card", "new_card_id")
        return check_successor(old, new) or Successor(new, ())
    if old.form is not CardForm.DIGITAL:
        return REPLACEMENT_NOT_USABLE.refuse("new_card_id")
    run = Run(old.book_id, programme.id, None, old.form, hand.clock.now())
    (made,) = press.make(programme.number_prefix, 1, near=old.id)
    return Successor(store.made_card(made, run), [store.make_card(made, run)])


def _writes(
    hand: Hand,
    programme: Programme,
    old: Card,
    successor: Successor,
    transfer: Transfer,
    *,
    reason: str,
    claim: Claim | None,
) -> list[Write]:
    now = hand.clock.now()
    ended = plan_replacement(old, by=successor.card.id, claimed=claim is not None)
    assert not isinstance(ended, Refusal), "it was planned a moment ago"
    customer_id = old.customer_id if claim is None else claim.customer_id
    new = replace(
        successor.card,
        status=CardStatus.ACTIVE,
        activated_at=now,
        customer_id=customer_id,
        registered_at=None if customer_id is None else now,
        expires_at=None if old.status is CardStatus.EXPIRED else old.expires_at,
        replaces_id=old.id,
        version=successor.card.version + 1,
    )
    linked = {"replaces_card_id": show_id(Prefix.CARD, old.id)}
    began = event_of(hand, CardEvent.ACTIVATED, new, reason, linked)
    replaced = event_of(
        hand, CardEvent.REPLACED, ended, reason, {"new_card_id": show_id(Prefix.CARD, successor.card.id)}
    )
    return [
        *successor.writes,
        store.change(successor.card, new, began, opening=pocket_accounts(new, currency=programme.currency)),
        store.change(old, ended, replaced),
        store.add_transfer(transfer),
        *(() if claim is None else claim.also(new)),
    ]


async def _finish(pool: Pool, hand: Hand, *, slots: tuple[int, ...], transfer: Transfer) -> Replacement | Refusal:
    finished = await finish_transfer(pool, hand, slots=slots, transfer=transfer)
    if isinstance(finished, Refusal):
        # the cards are exchanged whatever becomes of the answer: the worker goes on with the balance
        finished = transfer
    cards = []
    for card_id in (finished.from_card_id, finished.to_card_id):
        slot = slot_of(card_id, slots)
        card = await store.load_card(pool, book_id=finished.book_id, slot=slot, card_id=card_id)
        assert card is not None, "cards are never removed"
        cards.append(card)
    return Replacement(cards[0], cards[1], finished)
