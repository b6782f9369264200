"""Offers in payments on the real database: who pays for each fen, budgets, part captures and refunds."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from tests.town import HandClock, Told, Town, audits_hold

from kaquan.payments import Refund, Spend
from kaquan.payments.price import funding_of
from kaquan.promotions import (
    Budget,
    BudgetMetric,
    Campaign,
    CampaignTerms,
    Funder,
    FunderKind,
    Line,
    Offer,
    OutsideOffer,
    compile_campaigns,
)
from kaquan.promotions.kinds.amount_off import AmountOff, Tier
from kaquan.promotions.kinds.percent_off import PercentOff

BANK = UUID(int=0xBA)
THREE_WAYS = (
    Funder(FunderKind.ISSUER, None, 5_000),
    Funder(FunderKind.MERCHANT, None, 3_000),
    Funder(FunderKind.PARTY, BANK, 2_000),
)


@pytest.fixture
async def town(database: str) -> AsyncIterator[Town]:
    town = await Town.found(database, clock=HandClock())
    yield town
    await town.close()


def campaign(town: Town, *offers: Offer, budgets: tuple[Budget, ...] = (), **terms: Any) -> Campaign:
    made = CampaignTerms(
        code="spring",
        name="春季活动",
        issuer_id=town.issuer.id,
        starts_at=datetime(2026, 1, 1),  # noqa: DTZ001  (a wall clock)
        ends_at=datetime(2027, 1, 1),  # noqa: DTZ001
        offers=offers,
        budgets=budgets,
        control_bp=0,
        **terms,
    )
    return Campaign(town.ids.new(), 1, made)


def put_in_force(town: Town, *campaigns: Campaign) -> None:
    compiled = compile_campaigns(campaigns)
    for app in town.apps:
        app.desk._known = app.desk._known._replace(campaigns=lambda _book, _issuer: compiled)


def ten_off(from_fen: int = 100_00, off_fen: int = 10_00, *, name: str = "满减", **how: Any) -> Offer:
    return Offer(name=name, kind="amount_off", params=AmountOff(tiers=(Tier(from_fen, off_fen),)), **how)


def lines(*amounts: int) -> tuple[Line, ...]:
    return tuple(Line(n, f"sku-{n}", frozenset({"food"}), 1, fen) for n, fen in enumerate(amounts, start=1))


async def buy(town: Town, card_id: UUID, *amounts: int, **other: Any) -> Told:
    spend = Spend(card_id, sum(amounts), town.places[0], town._now(), lines=lines(*amounts))
    return await town.ask(spend._replace(**other))


async def balances(town: Town) -> dict[tuple[str, str], tuple[int, int]]:
    """What every account of the book holds, by owner and kind, with what is reserved of it."""
    async with town.apps[0].pool.connection() as connection:
        cursor = await connection.execute(
            "SELECT owner_id, kind, sum(credits_posted - debits_posted), sum(debits_pending + credits_pending)"
            " FROM ledger_account WHERE book_id = %s GROUP BY owner_id, kind",
            (town.book_id,),
        )
        found = {(row[0].hex, row[1]): (int(row[2]), int(row[3])) for row in await cursor.fetchall()}
    return {name: held for name, held in found.items() if held != (0, 0)}


async def funded(town: Town, of: Campaign) -> dict[str, int]:
    """What each funder has paid, the merchant's own account last."""
    merchant = town.places[0].merchant_id
    parties = {"issuer": town.issuer.id, "merchant": merchant, "party": BANK}
    paid = {}
    for kind, party in parties.items():
        held = await town.held(funding_of(of.id, FunderKind(kind), party).id)
        paid[kind] = -held["discount_expense"].posted_fen if held else 0
    own = (await town.held(merchant)).get("merchant_discount")
    return {**paid, "own": own.posted_fen if own else 0}


async def test_each_fen_of_a_discount_is_an_entry_of_whoever_pays_it(town: Town, database: str) -> None:
    spring = campaign(town, ten_off(funders=THREE_WAYS))
    put_in_force(town, spring)
    card = await town.new_card(load_fen=500_00)
    before = await balances(town)
    told = await buy(town, card, 60_00, 40_01)
    assert (told.status, told.body["amount_fen"], told.body["balance_fen"]) == (201, 90_01, 409_99)
    assert await funded(town, spring) == {"issuer": 5_00, "merchant": 3_00, "party": 2_00, "own": 3_00}
    shop = await town.held(town.places[0].merchant_id)
    # the shop is owed the goods less what it gives itself
    assert shop["merchant_payable"].posted_fen == 100_01 - 3_00
    await audits_hold(database)

    part = await town.refund(told.payment_id, 30_00)
    assert (part.status, part.body["amount_fen"]) == (201, 30_00)
    paid = await funded(town, spring)
    assert sum(paid.values()) - paid["own"] == 6_72  # 30.00 of 90.01 takes 3.33 of 10.00 back, each share rounded down
    await audits_hold(database)
    rest = await town.refund(told.payment_id)
    assert (rest.status, rest.body["amount_fen"], rest.body["balance_fen"]) == (201, 60_01, 500_00)
    assert await balances(town) == before
    await audits_hold(database)


async def test_goods_come_back_with_what_was_taken_off_them(town: Town, database: str) -> None:
    spring = campaign(town, ten_off(funders=THREE_WAYS))
    put_in_force(town, spring)
    card = await town.new_card(load_fen=500_00)
    before = await balances(town)
    told = await buy(town, card, 60_00, 40_00)
    assert told.body["amount_fen"] == 90_00
    back = await town.ask(Refund(told.payment_id, None, town._now(), lines=((2, 40_00),)))
    assert (back.status, back.body["amount_fen"]) == (201, 36_00)
    moved = await balances(town)
    for wrong, code in (((2, 1),), "refund_exceeds_line"), (((3, 1),), "lines_not_known"):
        refused = await town.ask(Refund(told.payment_id, None, town._now(), lines=wrong))
        assert refused.code == code
    assert await balances(town) == moved
    rest = await town.ask(Refund(told.payment_id, None, town._now(), lines=((1, 20_00), (1, 40_00))))
    assert (rest.status, rest.body["amount_fen"]) == (201, 54_00)
    assert await balances(town) == before
    again = await town.refund(told.payment_id)
    assert again.code == "refund_exceeds_payment"
    await audits_hold(database)


async def test_a_budget_ends_at_exactly_its_uses_and_purchases_go_on(town: Town, database: str) -> None:
    three = Budget(name="三次", metric=BudgetMetric.COUNT, maximum=3)
    spring = campaign(town, ten_off(), budgets=(three,))
    put_in_force(town, spring)
    cards = [await town.new_card(load_fen=500_00) for _ in range(8)]
    told = await asyncio.gather(*(buy(town, card, 100_00) for card in cards))
    assert sorted(one.body["amount_fen"] for one in told) == [90_00] * 3 + [100_00] * 5
    assert await town.count("payments_exhausted") == 1
    assert await town.count("notices_notice WHERE event = 'budget.exhausted'") == 1

    with_offer = next(one for one in told if one.body["amount_fen"] == 90_00)
    await town.refund(with_offer.payment_id)
    await asyncio.sleep(1.1)  # what is left is believed for a second
    told = await asyncio.gather(*(buy(town, card, 100_00) for card in cards[:2]))
    assert sorted(one.body["amount_fen"] for one in told) == [90_00, 100_00]
    await audits_hold(database)


async def test_an_authorization_is_priced_once_and_captured_in_parts(town: Town, database: str) -> None:
    once = Budget(name="一次", metric=BudgetMetric.COUNT, maximum=1)
    spring = campaign(town, ten_off(funders=THREE_WAYS), budgets=(once,))
    put_in_force(town, spring)
    card = await town.new_card(load_fen=500_00)
    before = await balances(town)
    told = await buy(town, card, 70_00, 30_00, authorize=True)
    assert (told.status, told.body["amount_fen"]) == (201, 90_00)
    await audits_hold(database)
    voided = await town.void(told.payment_id)
    assert voided.status == 200
    assert await balances(town) == before

    told = await buy(town, card, 70_00, 30_00, authorize=True)
    assert told.body["amount_fen"] == 90_00  # the use came back with the void
    put_in_force(town)
    captured = await town.capture(told.payment_id, 31_01, final=False)
    assert (captured.status, captured.body["captured_fen"]) == (200, 31_01)
    await audits_hold(database)
    captured = await town.capture(told.payment_id, 20_00)
    assert (captured.body["captured_fen"], captured.body["status"]) == (51_01, "completed")
    await audits_hold(database)
    for amount_fen in (7, 12_34, None):
        refund = await town.refund(told.payment_id, amount_fen)
        assert refund.status == 201, refund
    assert await balances(town) == before
    await audits_hold(database)


async def test_what_a_store_takes_off_is_no_entry_of_ours(town: Town, database: str) -> None:
    half = Offer(name="五折", kind="percent_off", params=PercentOff(off_bp=5_000))
    spring = campaign(town, half)
    put_in_force(town, spring)
    card = await town.new_card(load_fen=500_00)
    before = await balances(town)
    told = await buy(town, card, 60_00, 40_00, outside=(OutsideOffer("店庆", "", 20_00),))
    assert told.body["amount_fen"] == 40_00
    assert (await funded(town, spring))["issuer"] == 40_00
    assert (await town.held(town.places[0].merchant_id))["merchant_payable"].posted_fen == 80_00
    for amount_fen in (13_33, None):
        assert (await town.refund(told.payment_id, amount_fen)).status == 201
    assert await balances(town) == before
    await audits_hold(database)


async def test_a_purchase_that_costs_nothing_is_a_payment(town: Town, database: str) -> None:
    spring = campaign(town, ten_off(10_00, 10_00, funders=THREE_WAYS))
    put_in_force(town, spring)
    card = await town.new_card(load_fen=1_00)
    before = await balances(town)
    told = await buy(town, card, 10_00)
    assert (told.status, told.body["amount_fen"], told.body["balance_fen"]) == (201, 0, 1_00)
    back = await town.refund(told.payment_id)
    assert (back.status, back.body["amount_fen"]) == (201, 0)
    assert await balances(town) == before
    await audits_hold(database)


async def test_without_an_effect_nothing_is_kept(town: Town) -> None:
    put_in_force(town, campaign(town, ten_off()))
    card = await town.new_card(load_fen=500_00)
    before = await town.count("payments_pricing")
    assert (await town.purchase(card, 99_99)).body["amount_fen"] == 99_99
    assert await town.count("payments_pricing") == before
