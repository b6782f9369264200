"""Drafts beside live traffic on the real database: several slots, several workers, and vouchers in hand."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest
from tests.store.test_budget_returns import SLOTS
from tests.store.test_offers import buy, campaign, put_in_force, ten_off
from tests.store.test_offers_give_points import fifty_points
from tests.store.test_offers_points import give_points
from tests.store.test_offers_vouchers import Shop
from tests.town import HandClock, Town, audits_hold

from kaquan.kit.outcomes import Refusal
from kaquan.parties import Mode
from kaquan.payments import ShadowReport, price_seen, report_budgets, report_shadow
from kaquan.promotions import (
    Budget,
    BudgetMetric,
    BudgetScope,
    Campaign,
    Hand,
    KeptCampaign,
    Offer,
    Shadow,
    create_campaign,
    publish_campaign,
    start_shadow,
)
from kaquan.promotions.kinds.percent_off import PercentOff


@pytest.fixture(params=[(0,), SLOTS], ids=["one_slot", "four_slots"])
async def town(request: pytest.FixtureRequest, database: str, database_of_four_slots: str) -> AsyncIterator[Town]:
    conninfo = database if len(request.param) == 1 else database_of_four_slots
    town = await Town.found(conninfo, clock=HandClock(), slots=request.param)
    yield town
    await town.close()


async def shadow(town: Town, of: Campaign) -> tuple[KeptCampaign, Shadow]:
    app = town.apps[0]
    hand = Hand(app.clock, town.ids)
    made = await create_campaign(app.pool, hand, book_id=town.book_id, terms=of.terms)
    assert not isinstance(made, Refusal), made
    until = app.clock.now() + timedelta(days=3)
    started = await start_shadow(app.pool, hand, book_id=town.book_id, id_=made.id, version=1, until=until)
    assert not isinstance(started, Refusal), started
    await app.refresh()
    return made, started


async def told(town: Town, made: KeptCampaign, started: Shadow) -> ShadowReport:
    return await report_shadow(town.apps[0].pool, started, made.newest.terms, slots=town.apps[0].slots)


async def test_two_workers_price_each_payment_once_and_budgets_end_exactly(town: Town) -> None:
    seven = Budget(name="七次", metric=BudgetMetric.COUNT, maximum=7)
    once = Budget(name="每卡一次", metric=BudgetMetric.COUNT, maximum=2, scope=BudgetScope.CARD)
    cards = [await town.new_card(load_fen=900_00) for _ in range(6)]
    made, started = await shadow(town, campaign(town, ten_off(), budgets=(seven, once)))
    bought = await asyncio.gather(*(buy(town, card, 100_00) for card in cards for _ in range(3)))
    assert [one.body["amount_fen"] for one in bought] == [100_00] * 18
    assert (await told(town, made, started)).waiting == 18
    app = town.apps[0]
    assert sum(await asyncio.gather(*(price_seen(app.pool, slots=app.slots) for _ in range(3)))) == 18
    report = await told(town, made, started)
    assert (report.waiting, report.sums.purchases, report.sums.applied, report.sums.over_budget) == (0, 18, 7, 11)
    assert report.sums.discount_fen == 70_00
    used = {(one.name, one.subject_id): one.used for one in report.budgets}
    assert used["七次", None] == 7
    assert sum(count for (name, _), count in used.items() if name == "每卡一次") == 7
    assert max(count for (name, _), count in used.items() if name == "每卡一次") <= 2
    assert await price_seen(app.pool, slots=app.slots) == 0
    await audits_hold(town.conninfo)


async def test_budgets_of_points_are_told_in_points(town: Town) -> None:
    app = town.apps[0]
    await give_points(town)
    budget = Budget(name="积分", metric=BudgetMetric.POINTS, maximum=120)
    cards = [await town.new_card(load_fen=900_00) for _ in range(3)]
    made, started = await shadow(town, campaign(town, fifty_points(), budgets=(budget,)))
    for card in cards:
        await buy(town, card, 100_00)
    assert await price_seen(app.pool, slots=app.slots) == 3
    report = await told(town, made, started)
    assert (report.sums.applied, report.sums.over_budget, report.sums.points) == (2, 1, 100)
    assert [(one.used, one.maximum) for one in report.budgets] == [(100, 120)]
    hand = Hand(app.clock, town.ids)
    live = await publish_campaign(app.pool, hand, book_id=town.book_id, id_=made.id, version=1)
    assert isinstance(live, KeptCampaign), live
    await app.refresh()
    assert (await buy(town, cards[0], 100_00)).body["points_earned"] == 150
    (standing,) = await report_budgets(app.pool, live, slots=app.slots, now=app.clock.now())
    assert (standing.used, standing.left) == (50, 70)


async def test_a_draft_sees_the_vouchers_that_were_in_hand(town: Town) -> None:
    clock = town.apps[0].clock
    assert isinstance(clock, HandClock)
    shop = Shop(town, clock)
    card = await town.new_card(load_fen=900_00)
    (voucher,) = await shop.give(await shop.template(from_fen=90_00, off_fen=20_00), card)
    half = Offer(name="五折", kind="percent_off", params=PercentOff(off_bp=5_000))
    made, started = await shadow(town, campaign(town, half))
    paid = await buy(town, card, 100_00, voucher_ids=(voucher,))
    assert paid.body["amount_fen"] == 80_00
    app = town.apps[0]
    assert await price_seen(app.pool, slots=app.slots) == 1
    report = await told(town, made, started)
    # beside the draft 50.00 is left, for which the voucher is not good
    assert (report.sums.discount_fen, report.sums.others_fen, report.sums.gave_fen) == (50_00, 0, 20_00)
    assert (report.sums.winners, report.sums.won_fen) == (1, 30_00)


async def test_a_book_that_cannot_be_priced_stops_no_other(town: Town) -> None:
    app = town.apps[0]
    made, started = await shadow(town, campaign(town, ten_off()))
    card = await town.new_card(load_fen=900_00)
    await buy(town, card, 100_00)
    other = town.books[Mode.TEST].id
    async with app.pool.connection() as connection:
        query = "INSERT INTO payments_seen VALUES (%s, %s, %s, %s, '[]')"
        slot = town.slot_of(card)
        await connection.execute(query, (slot, UUID(int=1), other, app.clock.now()))
        assert await price_seen(app.pool, slots=app.slots) == 2
        assert (await told(town, made, started)).sums.applied == 1
        assert await town.count(f"payments_seen WHERE book_id = {other}") == 1
        await connection.execute("DELETE FROM payments_seen WHERE book_id = %s", (other,))


async def test_a_book_without_a_shadow_keeps_nothing(town: Town) -> None:
    put_in_force(town, campaign(town, ten_off()))
    card = await town.new_card(load_fen=900_00)
    before = await town.count("payments_seen")
    assert (await buy(town, card, 100_00)).body["amount_fen"] == 90_00
    assert await town.count("payments_seen") == before
