"""Recorded purchases read as baskets: whole, once, in order, over slots and chunks."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from tests.store.test_offers import buy, campaign, put_in_force, ten_off
from tests.town import HandClock, Town

from kaquan.payments import History, read_baskets
from kaquan.promotions import Asks, Basket, OutsideOffer


@pytest.fixture
async def town(database_of_four_slots: str) -> AsyncIterator[Town]:
    slots = (3, 17, 40, 62)
    town = await Town.found(database_of_four_slots, clock=HandClock(datetime.now(UTC)), slots=slots)
    yield town
    await town.close()


async def read(town: Town, *, asks: Asks = Asks.NOTHING, chunk: int = 2) -> list[Basket]:
    app = town.apps[0]
    places = app.directory.book(town.book_id).places
    now = datetime.now(UTC)
    history = History(
        app.pool,
        app.slots,
        town.book_id,
        now - timedelta(hours=1),
        now + timedelta(hours=1),
        app.programmes.get,
        lambda _, terminal: places.get(terminal),
    )
    return [basket async for some in read_baskets(history, asks=asks, chunk=chunk) for basket in some]


async def test_every_purchase_is_read_once_and_in_order(town: Town) -> None:
    cards = [await town.new_card(load_fen=500_00) for _ in range(7)]
    while len({town.slot_of(card) for card in cards}) == 1:
        cards.append(await town.new_card(load_fen=500_00))
    made = [(await town.purchase(card, 10_00 + n)).payment_id for n, card in enumerate(cards)]
    made.append((await town.authorize(cards[0], 30_00)).payment_id)
    voided = await town.authorize(cards[1], 40_00)
    await town.void(voided.payment_id)
    gone = await town.purchase(cards[2], 50_00)
    await town.refund(gone.payment_id)
    part = await town.purchase(cards[3], 60_00)
    await town.refund(part.payment_id, 20_00)
    made.append(part.payment_id)
    for chunk in (1, 2, 100):
        baskets = await read(town, chunk=chunk)
        assert [basket.transaction_id for basket in baskets] == made
    assert [basket.amount_fen for basket in baskets] == [*(10_00 + n for n in range(7)), 30_00, 60_00]
    firsts = [
        basket.transaction_id
        for basket in await read(town, asks=Asks.FIRST_PURCHASE)
        if not basket.holder.bought_before
    ]
    assert firsts == made[:7]


async def test_a_basket_is_as_the_till_told_it_at_list_price(town: Town) -> None:
    put_in_force(town, campaign(town, ten_off()))
    card = await town.new_card(load_fen=500_00)
    told = await buy(town, card, 90_00, 35_00, outside=(OutsideOffer("店庆", "standard", 5_00),))
    assert told.body["amount_fen"] == 120_00  # the outside offer has taken the group
    again = await buy(town, card, 90_00, 35_00)
    assert again.body["amount_fen"] == 115_00
    one, two = await read(town)
    assert [(line.sku, line.amount_fen) for line in one.lines] == [("sku-1", 90_00), ("sku-2", 35_00)]
    assert (one.lines, one.amount_fen) == (two.lines, 125_00)
    assert [(offer.group, offer.amount_fen) for offer in one.outside] == [("", 5_00)]
    assert (two.outside, two.store_id, two.holder.card_id) == ((), town.places[0].store_id, card)
