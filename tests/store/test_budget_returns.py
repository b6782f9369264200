"""What refunds, voids and expired authorizations give back of budgets, under each policy, also at one moment."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from tests.store.test_offers import THREE_WAYS, buy, campaign, put_in_force, ten_off
from tests.town import HandClock, Town, audits_hold

from kaquan.payments import Refund, read_budget
from kaquan.payments.expire import expire_overdue
from kaquan.payments.limits import moment_of
from kaquan.payments.price import funding_of
from kaquan.promotions import Budget, BudgetMetric, BudgetReturn, BudgetScope, Campaign, FunderKind
from kaquan.promotions.compile import budget_id

EVERY = {one: Budget(name=one, metric=BudgetMetric.AMOUNT, maximum=1_000_00, on_return=one) for one in BudgetReturn}


SLOTS = (3, 17, 40, 62)


@pytest.fixture(params=[(0,), SLOTS], ids=["one_slot", "four_slots"])
async def town(request: pytest.FixtureRequest, database: str, database_of_four_slots: str) -> AsyncIterator[Town]:
    conninfo = database if len(request.param) == 1 else database_of_four_slots
    town = await Town.found(conninfo, clock=HandClock(), slots=request.param)
    yield town
    await town.close()


async def used(town: Town, of: Campaign, name: str = "") -> tuple[int, int]:
    app = town.apps[0]
    found = await read_budget(
        app.pool, slots=app.slots, budget_id=budget_id(of.id, name), subject_id=None, period="total",
        moment=moment_of(app.clock.now(), "Asia/Shanghai"),
    )  # fmt: skip
    return found.fen, found.times


async def all_used(town: Town, of: Campaign) -> dict[str, tuple[int, int]]:
    return {str(one): await used(town, of, one) for one in BudgetReturn}


async def test_a_refund_gives_back_what_each_budget_says(town: Town) -> None:
    spring = campaign(town, ten_off(funders=THREE_WAYS), budgets=tuple(EVERY.values()))
    put_in_force(town, spring)
    card = await town.new_card(load_fen=500_00)
    told = await buy(town, card, 60_00, 40_00)
    whole = dict.fromkeys(("whole", "share", "keep"), (10_00, 1))
    assert await all_used(town, spring) == whole
    assert (await town.ask(Refund(told.payment_id, None, town._now(), lines=((2, 40_00),)))).status == 201
    assert await all_used(town, spring) == whole | {"share": (6_00, 1)}
    refused = await town.refund(told.payment_id, 54_01)
    assert refused.code == "refund_exceeds_payment"
    assert await all_used(town, spring) == whole | {"share": (6_00, 1)}
    assert (await town.refund(told.payment_id)).status == 201
    assert await all_used(town, spring) == {"whole": (0, 0), "share": (0, 0), "keep": (10_00, 1)}
    await audits_hold(town.conninfo)


async def test_a_void_an_expiry_and_a_part_capture_give_back_what_each_budget_says(town: Town) -> None:
    spring = campaign(town, ten_off(funders=THREE_WAYS), budgets=tuple(EVERY.values()))
    put_in_force(town, spring)
    card = await town.new_card(load_fen=900_00)
    voided, expired, captured = [(await buy(town, card, 100_00, authorize=True)).payment_id for _ in range(3)]
    assert (await town.void(voided)).status == 200
    assert await all_used(town, spring) == {"whole": (20_00, 2), "share": (20_00, 2), "keep": (30_00, 3)}
    assert (await town.capture(captured, 45_00)).body["status"] == "completed"
    assert await used(town, spring, "share") == (15_00, 2)  # half of it never will be
    town.apps[0].clock.move(timedelta(days=1))  # type: ignore[attr-defined]
    app = town.apps[0]
    assert await expire_overdue(app.desk, app.pool, app.slots, app.clock.now()) >= 1
    assert await all_used(town, spring) == {"whole": (10_00, 1), "share": (5_00, 1), "keep": (30_00, 3)}
    assert expired != voided
    for amount_fen in (9_99, None):
        assert (await town.refund(captured, amount_fen)).status == 201
    assert await all_used(town, spring) == {"whole": (0, 0), "share": (0, 0), "keep": (30_00, 3)}
    await audits_hold(town.conninfo)


async def test_a_budget_that_gets_shares_back_is_never_exceeded_nor_below_zero(town: Town) -> None:
    """Purchases and refunds of parts at one moment: what is used is what is given, and never more than there is."""
    fifty = Budget(name="五十", metric=BudgetMetric.AMOUNT, maximum=50_00, on_return=BudgetReturn.SHARE)
    spring = campaign(town, ten_off(), budgets=(fifty,))
    put_in_force(town, spring)
    cards = [await town.new_card(load_fen=900_00) for _ in range(10)]
    seen: list[int] = []

    async def shop(number: int) -> None:
        for turn in range(3):
            told = await buy(town, cards[number], 50_00, 50_00)
            assert told.status == 201
            fen, times = await used(town, spring, "五十")
            assert 0 <= fen <= 50_00
            assert times >= 0
            seen.append(fen)
            if turn % 2 == 0:
                back = Refund(told.payment_id, None, town._now(), lines=((1 + number % 2, 50_00),))
                assert (await town.ask(back)).status == 201
            if number % 3 == 0:
                assert (await town.refund(told.payment_id)).status == 201

    await asyncio.gather(*(shop(number) for number in range(len(cards))))
    assert max(seen) > 0
    # once reservations are settled, what is used is what is given
    await audits_hold(town.conninfo)
    fen, _ = await used(town, spring, "五十")
    held = await town.held(funding_of(spring.id, FunderKind.ISSUER, town.issuer.id).id)
    assert fen == -held["discount_expense"].posted_fen


async def test_a_part_of_a_holder_comes_back_to_the_holder(town: Town) -> None:
    each = Budget(
        name="每人", metric=BudgetMetric.AMOUNT, maximum=15_00, scope=BudgetScope.CARD, on_return=BudgetReturn.SHARE
    )
    put_in_force(town, campaign(town, ten_off(), budgets=(each,)))
    one, two = await town.new_card(load_fen=900_00), await town.new_card(load_fen=900_00)
    told = await buy(town, one, 100_00)
    assert told.body["amount_fen"] == 90_00
    assert (await buy(town, one, 100_00)).body["amount_fen"] == 100_00
    assert (await buy(town, two, 100_00)).body["amount_fen"] == 90_00
    assert (await town.refund(told.payment_id, 45_00)).status == 201
    await asyncio.sleep(1.1)  # what is left is believed for a second
    assert (await buy(town, one, 100_00)).body["amount_fen"] == 90_00
    await audits_hold(town.conninfo)
