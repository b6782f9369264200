"""Give out what is printed on the cards of a batch: numbers, secrets, first PINs. The caller leaves the trace."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from kaquan.cards import store
from kaquan.cards.issue import Press
from kaquan.cards.store import PIN_CONTEXT, SECRET_CONTEXT, SealedCard
from kaquan.kit.db import Pool
from kaquan.vault import draw_card_secret, draw_pin

CHUNK = 2_000


class PrintedCard(NamedTuple):
    """What a card printer is told of one card. ``pin`` None: it has none from production."""

    number: str
    secret: str
    pin: str | None

    def __repr__(self) -> str:
        return "PrintedCard(...)"


async def print_cards(
    pool: Pool,
    press: Press,
    *,
    book_id: int,
    batch_id: UUID,
    with_pin: bool,
    at: datetime,
    chunk: int = CHUNK,
) -> AsyncIterator[list[PrintedCard]]:
    """The cards of a batch in clear, chunk by chunk. Secrets (and PINs) are made for the cards that have none.

    Secrets that were made stay: who begins again gets the same. Two who begin at once get the same too.
    """
    for slot in press.slots:
        after_id = UUID(int=0)
        while True:
            load = {"book_id": book_id, "batch_id": batch_id, "slot": slot, "after_id": after_id, "limit": chunk}
            cards = await store.load_sealed_cards(pool, **load)  # type: ignore[arg-type]
            if not cards:
                break
            made = await asyncio.to_thread(_make_missing, press, cards, with_pin)
            if made:
                await store.post_secrets(pool, made, book_id=book_id, created_at=at)
                # read again: somebody else may have been first
                cards = await store.load_sealed_cards(pool, **load)  # type: ignore[arg-type]
            yield await asyncio.to_thread(_open, press, cards, with_pin)
            after_id = cards[-1].id


def _make_missing(press: Press, cards: list[SealedCard], with_pin: bool) -> list[tuple[int, UUID, bytes, bytes | None]]:
    made = []
    for card in cards:
        if card.secret is None or (with_pin and card.pin is None):
            secret = press.keyring.seal(draw_card_secret(press.draw).encode(), card.id.bytes + SECRET_CONTEXT)
            pin = press.keyring.seal(draw_pin(press.draw).encode(), card.id.bytes + PIN_CONTEXT) if with_pin else None
            made.append((card.slot, card.id, secret, pin))
    return made


def _open(press: Press, cards: list[SealedCard], with_pin: bool) -> list[PrintedCard]:
    opened = []
    for card in cards:
        assert card.secret is not None, "made above"
        pin = None
        if with_pin and card.pin is not None:
            pin = press.keyring.open(card.pin, card.id.bytes + PIN_CONTEXT).decode("ascii")
        opened.append(
            PrintedCard(
                press.keyring.open(card.number, card.id.bytes).decode("ascii"),
                press.keyring.open(card.secret, card.id.bytes + SECRET_CONTEXT).decode("ascii"),
                pin,
            )
        )
    return opened
