"""Points in payments: earned with what money paid, a tender, given back and taken back by refunds."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from tests.store.test_offers import THREE_WAYS, balances, buy, campaign, put_in_force, ten_off
from tests.town import HandClock, Town, audits_hold

from kaquan import points
from kaquan.kit.outcomes import Refusal
from kaquan.payments import Refund
from kaquan.points import EarningRule, PointsTerms, member_id

RULE = EarningRule(name="基本", points=1, per_fen=100)


@pytest.fixture
async def town(database: str) -> AsyncIterator[Town]:
    town = await Town.found(database, clock=HandClock())
    yield town
    await town.close()


async def give_points(town: Town, **how: object) -> None:
    app = town.apps[0]
    terms = PointsTerms(rules=(RULE,), spend_points=10, spend_fen=100, **how)  # type: ignore[arg-type]
    done = await points.set_terms(
        app.pool, app.clock, town.ids, book_id=town.book_id, programme_id=town.programme.id, terms=terms
    )
    assert not isinstance(done, Refusal), done


async def held(town: Town, card_id: UUID) -> dict[str, int]:
    found = await town.held(member_id(card_id))
    return {kind: one.posted_fen for kind, one in found.items() if one.posted_fen}


async def test_a_purchase_earns_by_what_money_paid_and_its_refund_takes_it_back(town: Town, database: str) -> None:
    await give_points(town)
    put_in_force(town, campaign(town, ten_off(funders=THREE_WAYS)))
    card = await town.new_card(load_fen=500_00)
    before = await balances(town)
    told = await buy(town, card, 60_00, 40_00)
    assert (told.status, told.body["amount_fen"]) == (201, 90_00)
    assert await held(town, card) == {"points": 90}
    await audits_hold(database)
    await town.ask(Refund(told.payment_id, None, town._now(), lines=((2, 40_00),)))
    assert await held(town, card) == {"points": 54}
    await town.refund(told.payment_id)
    assert await held(town, card) == {}
    assert await balances(town) == before
    await audits_hold(database)


async def test_a_purchase_without_a_basket_earns_too(town: Town, database: str) -> None:
    await give_points(town, pending_days=7)
    card = await town.new_card(load_fen=500_00)
    before = await balances(town)
    told = await town.purchase(card, 30_00)
    assert await held(town, card) == {"points_pending": 30}
    await town.refund(told.payment_id, 10_00)
    assert await held(town, card) == {"points_pending": 20}
    await town.refund(told.payment_id)
    assert await balances(town) == before
    await audits_hold(database)


async def test_points_pay_and_come_back(town: Town, database: str) -> None:
    await give_points(town)
    card = await town.new_card(load_fen=900_00)
    await town.purchase(card, 200_00)
    assert await held(town, card) == {"points": 200}
    before = await balances(town)
    told = await buy(town, card, 60_00, 40_00, points=150)
    assert (told.status, told.body["amount_fen"]) == (201, 85_00)
    assert await held(town, card) == {"points": 50 + 85}
    await audits_hold(database)
    part = await town.refund(told.payment_id, 17_00)
    assert part.body["amount_fen"] == 17_00
    assert await held(town, card) == {"points": 135 - 16 + 30}  # what is taken of each line is rounded down
    rest = await town.refund(told.payment_id)
    assert rest.body["amount_fen"] == 68_00
    assert await held(town, card) == {"points": 200}
    assert await balances(town) == before
    await audits_hold(database)


async def test_points_that_are_not_there_pay_nothing(town: Town) -> None:
    card = await town.new_card(load_fen=900_00)
    before = await balances(town)
    assert (await buy(town, card, 60_00, points=10)).code == "points_not_offered"
    await give_points(town)
    assert (await buy(town, card, 60_00, points=10)).code == "points_too_few"
    assert await balances(town) == before


async def test_points_that_were_spent_are_owed(town: Town, database: str) -> None:
    await give_points(town)
    card = await town.new_card(load_fen=900_00)
    first = await town.purchase(card, 200_00)
    spent = await buy(town, card, 100_00, points=200)
    assert spent.body["amount_fen"] == 80_00
    assert await held(town, card) == {"points": 80}
    await town.refund(first.payment_id)
    assert await held(town, card) == {"points_debt": 120}
    await town.purchase(card, 150_00)
    assert await held(town, card) == {"points": 30}
    await audits_hold(database)
