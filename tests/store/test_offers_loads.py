"""Top-up offers: bonuses out of the accounts of who pays, vouchers, instalments, packets, invitations."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.store.test_offers import BANK, campaign, put_in_force
from tests.store.test_offers_vouchers import Shop
from tests.town import HandClock, Told, Town, audits_hold

from kaquan.payments import Load
from kaquan.payments.instalments import give_instalments
from kaquan.payments.price import funding_of
from kaquan.promotions import Budget, BudgetMetric, Funder, FunderKind, Offer
from kaquan.promotions.kinds import invitation, load_bonus, load_rebate, monthly_return, presale, red_packet

BOTH = (Funder(FunderKind.ISSUER, None, 7_000), Funder(FunderKind.PARTY, BANK, 3_000))


@pytest.fixture
async def town(database: str) -> AsyncIterator[Town]:
    town = await Town.found(database, clock=HandClock())
    yield town
    await town.close()


async def load(town: Town, card_id: UUID, amount_fen: int, **other: Any) -> Told:
    return await town.ask(Load(card_id, amount_fen, 0, town._now())._replace(**other))


async def bonus_of(town: Town, campaign_id: UUID, kind: FunderKind, party_id: UUID) -> int:
    held = await town.held(funding_of(campaign_id, kind, party_id).id)
    return -held["bonus_expense"].posted_fen if held else 0


async def give(town: Town) -> int:
    app = town.apps[0]
    return await give_instalments(app.pool, app.clock, town.ids, app.programmes.get, slots=app.slots)


async def test_a_bonus_comes_from_who_pays_for_it(town: Town, database: str) -> None:
    tier = load_bonus.Tier(500_00, 30_00)
    spring = campaign(
        town,
        Offer(name="满500送30", kind="load_bonus", params=load_bonus.LoadBonus(tiers=(tier,)), funders=BOTH),
        budgets=(Budget(name="一次", metric=BudgetMetric.COUNT, maximum=1),),
    )
    put_in_force(town, spring)
    card = await town.new_card()
    assert (await load(town, card, 499_99)).body["bonus_fen"] == 0
    told = await load(town, card, 500_00)
    assert (told.status, told.body["amount_fen"], told.body["bonus_fen"]) == (201, 500_00, 30_00)
    assert told.body["pricing"]["grants"][0]["amount_fen"] == 30_00
    assert await bonus_of(town, spring.id, FunderKind.ISSUER, town.issuer.id) == 21_00
    assert await bonus_of(town, spring.id, FunderKind.PARTY, BANK) == 9_00
    assert (await town.held(card))["card_bonus"].posted_fen == 30_00
    assert (await load(town, card, 500_00)).body["bonus_fen"] == 0  # the budget is used up
    await audits_hold(database)


async def test_what_is_sold_below_its_value_is_paid_as_principal(town: Town, database: str) -> None:
    early = Offer(name="预售", kind="presale", params=presale.Presale(off_bp=1_000, from_fen=0))
    put_in_force(town, campaign(town, early))
    card = await town.new_card()
    told = await load(town, card, 100_00)
    assert (told.body["amount_fen"], told.body["bonus_fen"], told.body["balance_fen"]) == (90_00, 10_00, 100_00)
    assert told.body["pricing"]["payable_fen"] == 90_00
    sold = await load(town, card, 100_00, sale_id=town.ids.new())  # which has its price
    assert (sold.body["amount_fen"], sold.body["bonus_fen"]) == (100_00, 0)
    await audits_hold(database)


async def test_a_monthly_return_is_given_on_its_days_once(town: Town, database: str) -> None:
    params = monthly_return.MonthlyReturn(from_fen=100_00, return_bp=1_000, months=3)
    put_in_force(town, campaign(town, Offer(name="月返", kind="monthly_return", params=params, funders=BOTH)))
    card = await town.new_card()
    told = await load(town, card, 100_01)
    assert told.body["bonus_fen"] == 0
    assert await give(town) == 0
    clock = town.apps[0].clock
    assert isinstance(clock, HandClock)
    for days, given_fen in ((31, 334), (31, 667), (31, 1_000), (62, 1_000)):
        clock.move(timedelta(days=days))
        await give(town)
        assert await give(town) == 0
        assert (await town.held(card))["card_bonus"].posted_fen == given_fen
    await audits_hold(database)


async def test_an_invitation_is_rewarded_with_the_first_load(town: Town, database: str) -> None:
    params = invitation.Invitation(from_fen=50_00, inviter_fen=8_00, invited_fen=5_00)
    put_in_force(town, campaign(town, Offer(name="邀请", kind="invitation", params=params)))
    inviter, card = await town.new_card(), await town.new_card()
    told = await load(town, card, 60_00, invited_by=inviter)
    assert told.body["bonus_fen"] == 5_00
    assert await give(town) == 1
    assert (await town.held(inviter))["card_bonus"].posted_fen == 8_00
    again = await load(town, card, 60_00, invited_by=inviter)
    assert again.body["bonus_fen"] == 0
    assert await give(town) == 0
    await audits_hold(database)


async def test_a_packet_is_within_its_bounds(town: Town, database: str) -> None:
    params = red_packet.RedPacket(from_fen=10_00, least_fen=1_00, most_fen=5_00)
    put_in_force(town, campaign(town, Offer(name="红包", kind="red_packet", params=params)))
    card = await town.new_card()
    drawn = {(await load(town, card, 10_00)).body["bonus_fen"] for _ in range(8)}
    assert all(1_00 <= fen <= 5_00 for fen in drawn)
    assert len(drawn) > 1
    await audits_hold(database)


async def test_a_rebate_comes_as_vouchers(town: Town, database: str) -> None:
    shop = Shop(town, town.apps[0].clock)  # type: ignore[arg-type]
    template = await shop.template()
    params = load_rebate.LoadRebate(
        tiers=(load_rebate.Tier(500_00, 800),),
        template_id=template.id,
        face_fen=20_00,
        valid_days=30,
        most_fen=100_00,
    )
    put_in_force(town, campaign(town, Offer(name="返券", kind="load_rebate", params=params)))
    card = await town.new_card()
    assert (await load(town, card, 500_00)).status == 201
    assert len(await shop.of(card)) == 2
    await audits_hold(database)
