"""Drafts beside live traffic over HTTP: what they would have done, by hand; that nothing moves; and what refuses."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from tests.contract.api import Api, problem
from tests.contract.test_http_simulations import START, Market
from tests.store.test_offers import lines
from tests.town import HandClock, Town, audits_hold

from kaquan.kit.ids import Prefix, SystemIds, show_id
from kaquan.parties import Mode
from kaquan.payments import Load, Spend, price_seen

UNTIL = f"{START + timedelta(days=5):%Y-%m-%dT%H:%M:%SZ}"


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


async def draft(market: Market, *offers: dict[str, Any], **told: Any) -> str:
    made = await market.client.post("/v1/campaigns", json=market.file(*offers, **told))
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def start(market: Market, campaign: str, version: int = 1, until: str = UNTIL) -> httpx.Response:
    started = await market.client.post(f"/v1/campaigns/{campaign}/shadow", json={"version": version, "until": until})
    await market.town.apps[0].refresh()
    return started


async def price(market: Market) -> int:
    return await price_seen(market.town.apps[0].pool, slots=market.town.apps[0].slots)


async def report(market: Market, campaign: str, **query: Any) -> dict[str, Any]:
    told = await market.client.get(f"/v1/campaigns/{campaign}/shadow", params=query)
    assert told.status_code == 200, told.text
    found: dict[str, Any] = told.json()
    return found


async def moved(market: Market) -> dict[str, int]:
    tables = (
        "payments_payment",
        "payments_usage",
        "ledger_entry",
        "ledger_account",
        "payments_pricing",
        "payments_exhausted",
    )
    return {table: await market.town.count(table) for table in tables}


async def test_a_draft_beside_live_traffic_tells_what_it_would_have_done_and_nothing_moves(
    market: Market, database: str
) -> None:
    one, two = await market.town.new_card(load_fen=2_000_00), await market.town.new_card(load_fen=2_000_00)
    budget = {"name": "三十", "metric": "amount", "maximum": 30_00}
    funders = [["issuer", None, 7_500], ["merchant", None, 2_500]]
    campaign = await draft(market, budgets=[budget], funders=funders)
    await market.buy(one, 100_00)  # before it
    started = await start(market, campaign)
    assert started.status_code == 201, started.text
    assert (started.json()["number"], started.json()["running"]) == (1, True)
    for card, fen, shop in ((one, 100_00, 0), (one, 99_99, 0), (two, 200_00, 1), (two, 100_00, 1), (one, 100_00, 0)):
        answer = await market.town.ask(Spend(card, fen, market.town.places[shop], market.clock.now()))
        assert (answer.status, answer.body["amount_fen"]) == (201, fen)  # nothing is taken off
    assert (await report(market, campaign))["waiting"] == 5
    before = await moved(market)
    assert await price(market) == 5
    assert await moved(market) == before
    assert await market.town.count("payments_seen") == 0
    told = await report(market, campaign)
    assert (told["purchases"], told["applied"], told["over_budget"], told["discount_fen"]) == (5, 3, 1, 30_00)
    assert (told["amount_fen"], told["holders"], told["winners"], told["won_fen"]) == (599_99, 2, 3, 30_00)
    merchants = [show_id(Prefix.MERCHANT, place.merchant_id) for place in market.town.places]
    by_funder = {(day["day"], day["funder_id"]): day["discount_fen"] for day in told["by_day"]}
    issuer = show_id(Prefix.ISSUER, market.town.issuer.id)
    assert by_funder == {
        ("2026-03-02", issuer): 22_50, ("2026-03-02", merchants[0]): 2_50, ("2026-03-02", merchants[1]): 5_00,
    }  # fmt: skip
    stores = [show_id(Prefix.STORE, place.store_id) for place in market.town.places]
    assert {store["store_id"]: store["payments"] for store in told["by_store"]} == {stores[0]: 1, stores[1]: 2}
    assert {(skip["why"], skip["count"]) for skip in told["skipped"]} == {
        ("offer_below_threshold", 1), ("offer_budget_exhausted", 1),
    }  # fmt: skip
    (used,) = told["budgets"]
    assert (used["name"], used["used"], used["left"], used["exhausted_at"][:10]) == ("三十", 30_00, 0, "2026-03-02")

    page = (await market.client.get(f"/v1/campaigns/{campaign}/shadow/transactions", params={"limit": 2})).json()
    assert [row["fate"] for row in page["data"]] == ["over_budget", "applied"]
    address = f"/v1/campaigns/{campaign}/shadow/transactions"
    rest = (await market.client.get(address, params={"cursor": page["next_cursor"]})).json()
    assert [row["fate"] for row in rest["data"]] == ["applied", "skipped", "applied"]
    assert rest["data"][1]["skipped"] == [{"offer": "满100减10", "why": "offer_below_threshold"}]
    why = (await market.client.get(address, params={"why": "offer_budget_exhausted"})).json()["data"]
    assert [row["fate"] for row in why] == ["over_budget"]
    await audits_hold(database)


async def test_it_is_priced_beside_what_runs_in_place_of_its_own_version(market: Market) -> None:
    card = await market.town.new_card(load_fen=5_000_00)
    own = await market.publish(code="OWN", budgets=[{"name": "一次", "metric": "count", "maximum": 1}])
    other = {"name": "满100减6", "kind": "amount_off", "params": {"tiers": [[10_000, 600]]}}
    await market.publish(offers=[other], code="OTHER")
    changed = market.file(
        {"name": "满200减40", "kind": "amount_off", "params": {"tiers": [[20_000, 4_000]]}}, code="OWN"
    )
    assert (await market.client.put(f"/v1/campaigns/{own}", json=changed)).status_code == 200
    assert (await start(market, own, 2)).status_code == 201
    paid = []
    for fen in (100_00, 200_00):
        answer = await market.town.ask(Spend(card, fen, market.town.places[0], market.clock.now()))
        paid.append(answer.body["amount_fen"])
    assert paid == [90_00, 194_00]  # its own version once, then the other
    # what runs changes before the worker comes: it was priced beside what ran then
    half = {"name": "五折", "kind": "percent_off", "params": {"off_bp": 5_000}}
    await market.publish(offers=[half], code="LATE")
    await price(market)
    told = await report(market, own)
    assert (told["applied"], told["discount_fen"], told["gave_own_fen"]) == (1, 40_00, 10_00)
    # without its own version the other has the first; with the draft it has not the second
    assert (told["others_fen"], told["gave_fen"]) == (6_00, 6_00)
    assert (told["winners"], told["won_fen"], told["losers"], told["lost_fen"]) == (1, 34_00, 1, 4_00)


async def test_loads_and_control_groups_are_seen(market: Market) -> None:
    cards = [await market.town.new_card(load_fen=100_00) for _ in range(6)]
    load = {"name": "充500送30", "kind": "load_bonus", "params": {"tiers": [[50_000, 3_000]]}}
    campaign = await draft(market, load, control_bp=5_000)
    await start(market, campaign)
    for card in cards:
        answer = await market.town.ask(Load(card, 500_00, 0, market.clock.now()))
        assert answer.status == 201
    await price(market)
    told = await report(market, campaign)
    assert (told["loads"], told["purchases"], told["applied"] + told["held_back"]) == (6, 0, 6)
    assert told["granted_fen"] == 30_00 * told["applied"]
    assert {one["why"] for one in told["skipped"]} <= {"offer_held_back"}
    assert sum(one["count"] for one in told["skipped"]) == told["held_back"]


async def test_it_ends_by_its_time_by_hand_and_by_its_publication(market: Market) -> None:
    card = await market.town.new_card(load_fen=2_000_00)
    campaign = await draft(market, starts_at="2028-01-01T00:00:00")
    soon = f"{START + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    assert (await start(market, campaign, until=soon)).status_code == 201
    await market.buy(card, 100_00)
    market.clock.move(timedelta(hours=2))
    await market.buy(card, 100_00)
    assert await price(market) == 1  # nothing is kept after its time
    assert (await report(market, campaign))["purchases"] == 1

    assert (await start(market, campaign)).json()["number"] == 2
    address = f"/v1/campaigns/{campaign}/shadow"
    ended = await market.client.delete(address)
    assert (ended.status_code, ended.json()["running"]) == (200, False)
    problem(await market.client.delete(address), 404, "no_shadow")
    await market.town.apps[0].refresh()
    await market.buy(card, 100_00)
    assert await market.town.count("payments_seen") == 0

    assert (await start(market, campaign)).json()["number"] == 3
    done = await market.client.post(f"/v1/campaigns/{campaign}/publish", json={"version": 1})
    assert done.status_code == 200
    told = await report(market, campaign)
    assert (told["shadow"]["number"], told["shadow"]["running"]) == (3, False)
    assert (await report(market, campaign, number=1))["purchases"] == 1
    problem(await start(market, campaign), 409, "campaign_not_in_state")
    kinds = [row["kind"] for row in (await market.client.get("/v1/audit-trail")).json()["data"]]
    assert kinds.count("campaign.shadow_started") == 3
    assert kinds.count("campaign.shadow_ended") == 1


async def test_it_is_ended_by_a_server_whose_clock_is_behind(market: Market) -> None:
    campaign = await draft(market)
    started = (await start(market, campaign)).json()["started_at"]
    market.clock.move(timedelta(seconds=-12))
    ended = await market.client.delete(f"/v1/campaigns/{campaign}/shadow")
    assert (ended.status_code, ended.json()["running"], ended.json()["ended_at"]) == (200, False, started)


async def test_what_may_not_run_beside_is_refused_and_nothing_starts(market: Market) -> None:
    campaign = await draft(market)
    address = f"/v1/campaigns/{campaign}/shadow"
    problem(await market.client.get(address), 404, "no_shadow")
    problem(await market.client.get(f"{address}/transactions"), 404, "no_shadow")
    problem(await start(market, campaign, 2), 409, "campaign_changed", "version")
    for until in ("2026-03-01T00:00:00Z", "2026-12-01T00:00:00Z"):
        problem(await start(market, campaign, until=until), 400, "invalid_field", "until")
    problem(await market.other.post(address, json={"version": 1, "until": UNTIL}), 404, "not_found", "id")
    missing = show_id(Prefix.CAMPAIGN, market.town.ids.new())
    problem(await start(market, missing), 404, "not_found", "id")
    shadows = f"promotions_shadow WHERE book_id = {market.town.book_id}"
    assert await market.town.count(shadows) == 0
    assert (await start(market, campaign)).status_code == 201
    problem(await start(market, campaign), 409, "shadow_running")
    for number in range(4):
        assert (await start(market, await draft(market, code=f"C{number}"))).status_code == 201
    problem(await start(market, await draft(market, code="C9")), 409, "too_many_shadows")
    assert await market.town.count(shadows) == 5
    problem(await market.client.get(address, params={"number": 2}), 404, "not_found", "number")
    ended = await market.client.post(f"/v1/campaigns/{campaign}/end")
    assert ended.status_code == 200
    assert (await report(market, campaign))["shadow"]["running"] is False


async def test_a_payment_does_not_fail_where_it_cannot_be_seen(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    card = await market.town.new_card(load_fen=500_00)
    await start(market, await draft(market))

    async def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("no room")

    monkeypatch.setattr("kaquan.payments.store.insert_seen", fail)
    answer = await market.town.ask(Spend(card, 100_00, market.town.places[0], market.clock.now(), lines=lines(100_00)))
    assert (answer.status, answer.body["amount_fen"]) == (201, 100_00)
    assert await market.town.count("payments_seen") == 0
    assert await market.town.available_fen(card) == 400_00
