"""Issue cards: make one, with its number, its seal and its look-up."""

import asyncio
import secrets
from uuid import UUID

import msgspec

from kaquan.cards import store
from kaquan.cards.ends import check_going_on
from kaquan.cards.numbers import Draw, draw_numbers
from kaquan.cards.outcomes import NUMBER_SPACE_TOO_SMALL, missing
from kaquan.cards.store import Lookup, MadeCard, Run
from kaquan.cards.types import Card, CardForm, NewCard, Programme, Search
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import slot_of
from kaquan.vault import Keyring

MAX_DRAWS = 8
"""A number is drawn again so many times if it is taken; with room in the prefix, once is a rarity."""


class Press(msgspec.Struct, frozen=True):
    """What making a card takes: keys, the slots of the installation, ids, and an unguessable source."""

    keyring: Keyring
    slots: tuple[int, ...]
    ids: Ids
    draw: Draw = secrets.token_bytes

    def make(self, prefix: str, count: int, *, near: UUID | None = None) -> list[MadeCard]:
        """``count`` cards under ``prefix``, stored nowhere yet, in the slot of ``near`` if that is given.

        Long counts belong in a thread.
        """
        return [
            self.make_one(self.ids.new() if near is None else self.ids.new_near(near), number)
            for number in draw_numbers(prefix, count, self.draw)
        ]

    def make_one(self, card_id: UUID, number: str) -> MadeCard:
        """The card of this id with this number."""
        return MadeCard(
            slot_of(card_id, self.slots),
            card_id,
            number[-4:],
            self.keyring.seal(number.encode(), card_id.bytes),
            tuple(
                Lookup(slot_of(lookup, self.slots), lookup, key_id) for key_id, lookup in self.keyring.lookups(number)
            ),
        )


async def issue_card(pool: Pool, press: Press, clock: Clock, *, book_id: int, new: NewCard) -> Card | Refusal:
    """A new card, issued and not yet active, under the newest version of its programme's terms.

    Refused: ``not_found`` (programme_id), ``programme_stopped``, ``number_space_too_small``.
    """
    found = await store.load_programmes(pool, book_id, Search(), new.programme_id)
    if not found:
        return missing("programme", "programme_id")
    (programme,) = found
    now = clock.now()
    if (refused := check_going_on(programme, now, field="programme_id")) is not None:
        return refused
    run = Run(book_id, programme.id, None, new.form, now, programme.version)
    for _ in range(MAX_DRAWS):
        (made,) = press.make(programme.number_prefix, 1)
        if await store.post_cards(pool, [made], run):
            return await _read_back(pool, made, book_id=book_id)
    return NUMBER_SPACE_TOO_SMALL.refuse("programme_id", prefix=programme.number_prefix, room=0, wanted=1)


async def issue_cards(
    pool: Pool, press: Press, clock: Clock, *, programme: Programme, form: CardForm, card_count: int
) -> list[Card] | Refusal:
    """So many new cards under these terms, issued and not yet active, a few commits in all.

    A thread makes them. Refused: ``programme_stopped``, ``number_space_too_small``; some may be made then, which nobody
    has.
    """
    now = clock.now()
    if (refused := check_going_on(programme, now, field="programme_id")) is not None:
        return refused
    run = Run(programme.book_id, programme.id, None, form, now, programme.version)
    cards: list[Card] = []
    for _ in range(MAX_DRAWS):
        made = await asyncio.to_thread(press.make, programme.number_prefix, card_count - len(cards))
        stored = [store.made_card(one, run) for one in made]
        if await store.post_cards(pool, made, run) < len(made):  # hardly ever: a number was taken
            there = [await store.load_card(pool, book_id=run.book_id, slot=one.slot, card_id=one.id) for one in made]
            stored = [card for card in there if card is not None]
        cards += stored
        if len(cards) == card_count:
            return cards
    return NUMBER_SPACE_TOO_SMALL.refuse(
        "programme_id", prefix=programme.number_prefix, room=0, wanted=card_count - len(cards)
    )


async def _read_back(pool: Pool, made: MadeCard, *, book_id: int) -> Card:
    card = await store.load_card(pool, book_id=book_id, slot=made.slot, card_id=made.id)
    assert card is not None, UUID(int=made.id.int)
    return card
