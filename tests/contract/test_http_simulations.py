"""Drafts over recorded purchases, and what a campaign did, over HTTP: figures by hand, limits, and what refuses."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from tests.contract.api import Api, problem
from tests.store.test_offers import lines
from tests.town import HandClock, Town

from kaquan.doors.http.fields import uuid_of
from kaquan.kit.ids import Prefix, SystemIds, show_id
from kaquan.parties import Mode
from kaquan.payments import History, Spend, simulate
from kaquan.promotions import NO_POLICY, Campaign, is_in_control, read_terms

START = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
"""Nine in the morning of a Monday in Shanghai."""


class Market:
    """A town with two shops whose clock moves by hand, in the ids too."""

    def __init__(self, town: Town, clock: HandClock, client: httpx.AsyncClient, other: httpx.AsyncClient) -> None:
        self.town, self.clock, self.client, self.other = town, clock, client, other

    async def buy(self, card_id: UUID, *amounts: int, shop: int = 0) -> UUID:
        place = self.town.places[shop]
        told = await self.town.ask(Spend(card_id, sum(amounts), place, self.clock.now(), lines=lines(*amounts)))
        assert told.status == 201, told
        return told.payment_id

    def file(self, *offers: dict[str, Any], **told: Any) -> dict[str, Any]:
        """满100减10 in January 2030, unless told otherwise."""
        return {
            "code": "JAN",
            "name": "活动",
            "issuer_id": show_id(Prefix.ISSUER, self.town.issuer.id),
            "starts_at": "2030-01-01T00:00:00",
            "ends_at": "2030-02-01T00:00:00",
            "offers": list(offers)
            or [{"name": "满100减10", "kind": "amount_off", "params": {"tiers": [[10_000, 1_000]]}}],
            "control_bp": 0,
        } | told

    async def publish(self, **told: Any) -> str:
        """The id of a campaign that is in force for ten days."""
        until = f"{START + timedelta(days=10):%Y-%m-%dT00:00:00}"
        file = self.file(**{"starts_at": "2026-01-01T00:00:00", "ends_at": until, **told})
        made = await self.client.post("/v1/campaigns", json=file)
        assert made.status_code == 201, made.text
        done = await self.client.post(f"/v1/campaigns/{made.json()['id']}/publish", json={"version": 1})
        assert done.status_code == 200, done.text
        await self.town.apps[0].refresh()
        return str(made.json()["id"])

    async def simulate(self, *files: dict[str, Any], **told: Any) -> httpx.Response:
        body = {"from": f"{START:%Y-%m-%dT%H:%M:%SZ}", "to": "2027-01-01T00:00:00Z", "campaigns": files, **told}
        return await self.client.post("/v1/simulations", json=body)

    async def rows(self) -> dict[str, int]:
        tables = "payments_payment", "payments_usage", "promotions_campaign", "promotions_version", "ledger_entry"
        return {table: await self.town.count(table) for table in tables}


@pytest.fixture
async def market(database: str) -> AsyncIterator[Market]:
    clock = HandClock(START)
    town = await Town.found(database, clock=clock, shops=2)
    app = town.apps[0]
    town.ids = app.ids = app.desk._ids = SystemIds(clock)
    api = Api(app)
    clients = [await api.client_of(town.books[mode]) for mode in (Mode.LIVE, Mode.TEST)]
    yield Market(town, clock, *clients)
    await api.close()
    await town.close()


async def test_a_simulation_tells_cost_reach_and_the_end_of_a_budget_and_writes_nothing(market: Market) -> None:
    one, two = await market.town.new_card(load_fen=2_000_00), await market.town.new_card(load_fen=2_000_00)
    await market.buy(one, 60_00, 40_00)
    await market.buy(one, 99_99)
    gone = await market.buy(two, 150_00, shop=1)
    await market.town.refund(gone)
    await market.buy(two, 200_00, shop=1)
    await market.buy(two, 100_00, shop=1)
    before = await market.rows()
    budget = {"name": "总额", "metric": "count", "maximum": 2}
    funders = [["issuer", None, 7_500], ["merchant", None, 2_500]]
    told = await market.simulate(market.file(budgets=[budget], funders=funders))
    assert told.status_code == 200, told.text
    report = told.json()
    assert (report["baskets"], report["amount_fen"]) == (4, 499_99)  # without what was given back whole
    (draft,) = report["campaigns"]
    merchants = [show_id(Prefix.MERCHANT, place.merchant_id) for place in market.town.places]
    stores = [show_id(Prefix.STORE, place.store_id) for place in market.town.places]
    assert (draft["baskets"], draft["holders"], draft["discount_fen"], draft["alone_fen"]) == (2, 2, 20_00, None)
    assert draft["by_funder"] == {"issuer": 15_00, **{f"merchant {one}": 2_50 for one in merchants}}
    assert {store: own["discount_fen"] for store, own in draft["by_store"].items()} == dict.fromkeys(stores, 10_00)
    (ended,) = report["ended"]
    assert (ended["budget"], ended["subject"], ended["ended_at"][:10]) == ("总额", None, "2026-03-02")
    assert report["change"] == {"winners": 2, "won_fen": 20_00, "losers": 0, "lost_fen": 0}
    assert any("whatever their own dates" in assumption for assumption in report["assumptions"])
    own_dates = (await market.simulate(market.file(), whole_time=False)).json()
    assert (own_dates["drafts_fen"], own_dates["baskets"]) == (0, 4)
    # lines are kept where the till told them
    goods = {"name": "sku", "kind": "percent_off", "params": {"off_bp": 5_000}}
    goods["conditions"] = {"goods": {"skus": ["sku-2"]}}
    assert (await market.simulate(market.file(goods))).json()["drafts_fen"] == 20_00
    assert await market.rows() == before


async def test_what_running_campaigns_lose_to_a_draft_is_told(market: Market) -> None:
    running = await market.publish(budgets=[{"name": "一次", "metric": "count", "maximum": 2}])
    card = await market.town.new_card(load_fen=2_000_00)
    for _ in range(3):
        await market.buy(card, 100_00)
    better = {"name": "八折", "kind": "percent_off", "params": {"off_bp": 2_000}}
    report = (await market.simulate(market.file(better, code="FEB"))).json()
    draft, other = report["campaigns"]
    assert (draft["discount_fen"], other["discount_fen"], other["alone_fen"]) == (60_00, 0, 20_00)
    assert (report["running_alone_fen"], report["running_fen"]) == (20_00, 0)
    # the budget of what runs ends without the draft too: its end is no gain by it
    assert report["change"] == {"winners": 3, "won_fen": 40_00, "losers": 0, "lost_fen": 0}
    # another version of what runs takes its place
    worse = {"name": "满100减1", "kind": "amount_off", "params": {"tiers": [[10_000, 100]]}}
    changed = await market.client.put(f"/v1/campaigns/{running}", json=market.file(worse))
    assert changed.status_code == 200, changed.text
    report = (await market.simulate(campaign_ids=[running])).json()
    (draft,) = report["campaigns"]
    assert (draft["discount_fen"], draft["alone_fen"]) == (3_00, 20_00)
    assert report["change"] == {"winners": 1, "won_fen": 1_00, "losers": 2, "lost_fen": 18_00}
    assert list(report["change_by_store"]) == [show_id(Prefix.STORE, market.town.places[0].store_id)]


async def test_a_first_purchase_is_the_first_of_all_and_what_is_not_priced_is_said(market: Market) -> None:
    old, new = await market.town.new_card(load_fen=900_00), await market.town.new_card(load_fen=900_00)
    await market.buy(old, 100_00)
    market.clock.move(timedelta(days=1))
    since = f"{market.clock.now():%Y-%m-%dT%H:%M:%SZ}"
    market.clock.move(timedelta(minutes=5))
    for card in (old, new, new):
        await market.buy(card, 100_00)
    first = {"name": "首单", "kind": "amount_off", "params": {"tiers": [[10_000, 1_000]]}}
    first["conditions"] = {"first_purchase": True}
    load = {"name": "充500送50", "kind": "load_bonus", "params": {"tiers": [[50_000, 1_000]]}}
    report = (await market.simulate(market.file(first, load), **{"from": since})).json()
    assert (report["baskets"], report["drafts_fen"]) == (3, 10_00)
    assert any("JAN 充500送50" in assumption for assumption in report["assumptions"])


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"to": "2026-01-01T00:00:00Z"}, "to"),
        ({"to": "2026-01-01"}, "to"),
        ({"campaigns": []}, "campaign_ids"),
        ({"campaign_ids": ["sto_1"]}, "campaign_ids[0]"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_what_cannot_be_simulated_is_refused_by_field(market: Market, told: dict[str, Any], field: str) -> None:
    before = await market.rows()
    problem(await market.simulate(market.file(), **{"campaigns": [market.file()], **told}), 400, "invalid_field", field)
    assert await market.rows() == before


async def test_files_are_checked_and_books_are_apart(market: Market) -> None:
    wrong = await market.simulate(market.file(ends_at="2020-01-01T00:00:00"))
    assert (wrong.status_code, wrong.json()["code"]) == (422, "campaign_file_wrong")
    there = await market.publish()
    card = await market.town.new_card(load_fen=900_00)
    await market.buy(card, 100_00)
    body = {"from": "2026-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"}
    elsewhere = await market.other.post("/v1/simulations", json={**body, "campaign_ids": [there]})
    problem(elsewhere, 404, "not_found", "campaign_ids[0]")
    strange = await market.other.post("/v1/simulations", json={**body, "campaigns": [market.file()]})
    problem(strange, 404, "not_found", "campaigns[0].issuer_id")
    problem(await market.other.get(f"/v1/campaigns/{there}/effect", params=body), 404, "not_found", "id")


async def test_more_purchases_than_may_be_are_refused_by_number(market: Market) -> None:
    card = await market.town.new_card(load_fen=900_00)
    for _ in range(3):
        await market.buy(card, 100_00)
    app = market.town.apps[0]
    until = START + timedelta(days=1)
    places = app.directory.book(market.town.book_id).places
    history = History(
        app.pool, app.slots, market.town.book_id, START, until, app.programmes.get, lambda _, terminal: places[terminal]
    )
    terms = read_terms(market.file())
    assert not isinstance(terms, list)
    drafts = [Campaign(UUID(int=1), 1, terms)]
    refused: Any = await simulate(history, drafts, [], NO_POLICY, whole_time=True, maximum=2)
    assert (refused.code, refused.details["maximum"]) == ("too_many_purchases", 2)
    report: Any = await simulate(history, drafts, [], NO_POLICY, whole_time=True, maximum=3)
    assert report.drafts_fen == 30_00


def _week(begin: datetime) -> dict[str, str]:
    return {"from": f"{begin:%Y-%m-%dT%H:%M:%SZ}", "to": f"{begin + timedelta(days=7):%Y-%m-%dT%H:%M:%SZ}"}


async def test_an_effect_is_the_difference_to_the_control_group(market: Market) -> None:
    cards = [await market.town.new_card(load_fen=500_00) for _ in range(100)]
    market.clock.move(timedelta(days=5))
    begin = market.clock.now()
    # told before it began, so that it is in the time before
    nothing = {"name": "没有", "kind": "amount_off", "params": {"tiers": [[99_999_900, 1]]}}
    await asyncio.gather(*(market.buy(card, 10_00 + n * 10) for n, card in enumerate(cards[1:])))
    market.clock.move(timedelta(minutes=5))
    id_ = await market.publish(offers=[nothing], control_bp=5_000)
    published = market.clock.now()
    address = f"/v1/campaigns/{id_}/effect"
    held = [is_in_control(uuid_of(id_), 5_000, card) for card in cards]
    market.clock.move(timedelta(minutes=5))
    # who has the campaign buys for 3.00 more than before, the others as before
    await asyncio.gather(
        *(market.buy(card, 10_00 + n * 10 + (0 if held[n + 1] else 3_00)) for n, card in enumerate(cards[1:]))
    )
    market.clock.move(timedelta(days=3))
    before = await market.rows()
    told = await market.client.get(address, params=_week(begin - timedelta(days=1)))
    assert told.status_code == 200, told.text
    effect = told.json()
    # the first card bought nothing before, so it is in neither group
    assert (effect["treated_holders"], effect["control_holders"]) == (held[1:].count(False), held[1:].count(True))
    assert abs(datetime.fromisoformat(effect["from"]) - published) < timedelta(minutes=1)
    found = effect["effect"]
    assert 2_90 < found["difference_fen"] < 3_10
    assert found["low_fen"] <= found["difference_fen"] <= found["high_fen"]
    assert 0.5 < found["explained"] <= 1
    assert effect["why"] is None
    assert await market.rows() == before


async def test_an_effect_that_cannot_be_told_says_why(market: Market) -> None:
    card = await market.town.new_card(load_fen=500_00)
    await market.buy(card, 10_00)
    market.clock.move(timedelta(hours=1))
    begin = market.clock.now()
    alone, few = await market.publish(), await market.publish(code="FEB", control_bp=1_000)
    market.clock.move(timedelta(days=1))
    told = (await market.client.get(f"/v1/campaigns/{alone}/effect", params=_week(begin))).json()
    assert (told["effect"], told["why"], told["treated_holders"]) == (None, "no_control_group", 1)
    assert told["statement"]
    assert told["statement_zh"]
    told = (await market.client.get(f"/v1/campaigns/{few}/effect", params=_week(begin))).json()
    assert (told["effect"], told["why"]) == (None, "too_few_holders")
    assert told["treated_holders"] + told["control_holders"] == 1
    past = _week(begin - timedelta(days=30))
    problem(await market.client.get(f"/v1/campaigns/{few}/effect", params=past), 400, "invalid_field", "from")
    draft = (await market.client.post("/v1/campaigns", json=market.file(code="MAR"))).json()["id"]
    refused = await market.client.get(f"/v1/campaigns/{draft}/effect", params=_week(begin))
    problem(refused, 409, "campaign_not_in_state")
    problem(await market.client.get(f"/v1/campaigns/{few}/effect"), 400, "invalid_field", "from")


async def test_only_purchases_with_cards_of_the_drafts_issuers_are_looked_at(market: Market) -> None:
    town, app = market.town, market.town.apps[0]
    card = await town.new_card(load_fen=900_00)
    await market.buy(card, 100_00)
    made = await market.client.post("/v1/issuers", json={"code": "two", "name": "另一家", "time_zone": "Asia/Shanghai"})
    assert made.status_code == 201, made.text
    other = {"issuer_id": made.json()["id"], "code": "TWO"}
    report = (await market.simulate(market.file(**other))).json()
    assert (report["baskets"], report["drafts_fen"]) == (0, 0)
    # beside a draft of the other issuer it is for the cards of its own
    report = (await market.simulate(market.file(), market.file(**other))).json()
    assert (report["baskets"], [one["discount_fen"] for one in report["campaigns"]]) == (1, [10_00, 0])
    assert app.programmes.of_issuer(town.book_id, uuid_of(other["issuer_id"])) == frozenset()


async def test_a_draft_that_could_not_be_published_is_refused_with_its_rule(market: Market) -> None:
    packet = {
        "name": "红包",
        "kind": "red_packet",
        "params": {"from_fen": 10**10, "least_fen": 1, "most_fen": 50_001_00},
    }
    before = await market.rows()
    refused = await market.simulate(market.file(), market.file(packet, packet | {"name": "又"}, code="FEB"))
    told = refused.json()
    assert (refused.status_code, told["code"]) == (409, "campaign_breaks_rule")
    assert [one["field"] for one in (told, *told["also"])] == [f"campaigns[1].offers[{n}].params" for n in (0, 1)]
    assert "CN-PROMO-01" in told["detail"]
    wrong = await market.simulate(market.file(ends_at="2020-01-01T00:00:00"))
    assert [one["field"] for one in wrong.json()["also"]] == ["campaigns[0].ends_at"]
    nobody = show_id(Prefix.ISSUER, UUID(int=7))
    problem(await market.simulate(market.file(issuer_id=nobody)), 404, "not_found", "campaigns[0].issuer_id")
    assert await market.rows() == before
