"""What offers use of budgets and who pays for them, over HTTP: figures by hand, and that they agree with the books."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import openpyxl
import pytest
from tests.contract.api import Api, problem
from tests.contract.test_http_simulations import START, Market
from tests.store.test_offers import lines
from tests.town import HandClock, Town, audits_hold

from kaquan.kit.ids import Prefix, SystemIds, show_id
from kaquan.parties import Mode
from kaquan.payments import Load, Refund, Spend


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


async def costs(market: Market, campaign: str, **query: Any) -> dict[tuple[str, str], tuple[int, int, int]]:
    told = await market.client.get(f"/v1/campaigns/{campaign}/costs", params=query)
    assert told.status_code == 200, told.text
    return {
        (row["funder_id"][:4], row["kind"]): (row["given_fen"], row["taken_back_fen"], row["net_fen"])
        for row in told.json()["data"]
    }


async def in_the_books(market: Market) -> dict[tuple[str, str, str], int]:
    """What every account of a funder of the book was debited less what it was credited."""
    async with market.town.apps[0].pool.connection() as connection:
        cursor = await connection.execute(
            "SELECT f.kind, f.party_id, a.kind, sum(a.debits_posted - a.credits_posted) FROM payments_funder f"
            " JOIN ledger_account a ON a.owner_id = f.id WHERE f.book_id = %s GROUP BY 1, 2, 3",
            (market.town.book_id,),
        )
        rows = await cursor.fetchall()
    return {(row[0], row[1].hex, row[2].removesuffix("_expense")): int(row[3]) for row in rows if row[3]}


async def test_costs_are_the_entries_of_the_funders(market: Market, database: str) -> None:
    bank = await market.client.post("/v1/funders", json={"code": "bank", "name": "某银行", "kind": "bank"})
    assert bank.status_code == 201, bank.text
    bank_id = bank.json()["id"]
    funders = [["issuer", None, 5_000], ["merchant", None, 3_000], ["party", bank_id.partition("_")[2], 2_000]]
    load = {"name": "充500送30", "kind": "load_bonus", "params": {"tiers": [[50_000, 3_000]]}}
    cut = {"name": "满100减10", "kind": "amount_off", "params": {"tiers": [[10_000, 1_000]]}, "funders": funders}
    campaign = await market.publish(offers=[cut, load])
    card = await market.town.new_card(load_fen=100_00)
    assert (await market.town.ask(Load(card, 500_00, 0, market.clock.now()))).status == 201
    first = await market.buy(card, 60_00, 40_00)
    market.clock.move(timedelta(hours=1))
    noon = f"{market.clock.now():%Y-%m-%dT%H:%M:%SZ}"
    market.clock.move(timedelta(minutes=1))
    back = await market.town.ask(Refund(first, None, market.clock.now(), lines=((2, 40_00),)))
    assert back.status == 201
    held = await market.town.authorize(card, 100_00)
    assert held.status == 201
    assert await costs(market, campaign) == {
        ("iss_", "discount"): (5_00, 2_00, 3_00), ("mer_", "discount"): (3_00, 1_20, 1_80),
        ("fun_", "discount"): (2_00, 80, 1_20), ("iss_", "bonus"): (30_00, 0, 30_00),
    }  # fmt: skip
    assert (await costs(market, campaign, to=noon))["iss_", "discount"] == (5_00, 0, 5_00)
    assert await costs(market, campaign, **{"from": noon}) == {
        ("iss_", "discount"): (0, 2_00, -2_00),
        ("mer_", "discount"): (0, 1_20, -1_20),
        ("fun_", "discount"): (0, 80, -80),
    }
    rows = (await market.client.get(f"/v1/campaigns/{campaign}/costs")).json()["data"]
    assert sum(row["reserved_fen"] for row in rows) == 10_00

    # what is told of every funder is what the books say, to the fen
    told = (await market.client.get("/v1/campaign-reports/funding")).json()["data"]
    found = {(row["funder_kind"], row["funder_id"].partition("_")[2], row["kind"]): row["net_fen"] for row in told}
    assert found == await in_the_books(market)
    assert {(row["campaign_id"], row["code"], row["voucher_template_id"]) for row in told} == {(campaign, "JAN", None)}
    before = (await market.client.get("/v1/campaign-reports/funding", params={"at": noon})).json()["data"]
    assert sum(row["net_fen"] for row in before) == 40_00
    await audits_hold(database)

    files = "/v1/campaign-reports/funding", f"/v1/campaigns/{campaign}/costs"
    for address, shown in zip(files, (told, rows), strict=True):
        table = await market.client.get(address, params={"form": "csv"})
        assert table.content.startswith(b"\xef\xbb\xbf")
        read = list(csv.DictReader(io.StringIO(table.content.decode("utf-8-sig"))))
        assert [int(row["net_fen"]) for row in read] == [row["net_fen"] for row in shown]
        book = openpyxl.load_workbook(io.BytesIO((await market.client.get(address, params={"form": "xlsx"})).content))
        assert book.active is not None
        assert book.active.max_row == 1 + len(shown)


async def test_granted_vouchers_are_told_by_who_pays_and_what_refunds_took_back(market: Market) -> None:
    template = await market.client.post(
        "/v1/voucher-templates",
        json={
            "code": "T50", "name": "五十元券", "kind": "value", "currency": "CNY", "face_fen": 50_00, "valid_days": 30,
            "issuer_id": show_id(Prefix.ISSUER, market.town.issuer.id), "offer_kind": "amount_off",
            "offer_params": {"tiers": [[50_00, 50_00]]}, "funders": [{"kind": "issuer", "share_bp": 10_000}],
        },
    )  # fmt: skip
    assert template.status_code == 201, template.text
    gift = {"template_id": template.json()["id"], "face_fen": 50_00, "valid_days": 30, "count": 2}
    offer = {"name": "满300送券", "kind": "gift_vouchers", "params": {"tiers": [[30_000, gift]]}}
    campaign = await market.publish(offers=[offer])
    card = await market.town.new_card(load_fen=900_00)
    paid = await market.buy(card, 300_00)
    assert await costs(market, campaign) == {("iss_", "vouchers"): (100_00, 0, 100_00)}
    assert (await market.town.refund(paid)).status == 201
    assert await costs(market, campaign) == {("iss_", "vouchers"): (100_00, 100_00, 0)}


async def test_budgets_tell_what_is_used_and_by_whom(market: Market) -> None:
    budgets = [
        {"name": "总额", "metric": "amount", "maximum": 40_00, "on_return": "share"},
        {"name": "每卡", "metric": "count", "maximum": 3, "scope": "card"},
        {"name": "每店每日", "metric": "amount", "maximum": 30_00, "scope": "store", "period": "day"},
    ]
    campaign = await market.publish(budgets=budgets)
    cards = [await market.town.new_card(load_fen=900_00) for _ in range(3)]
    payments = [await market.buy(cards[n], 100_00, shop=shop) for n, shop in ((0, 0), (0, 0), (1, 1), (2, 1))]
    assert (await market.buy(cards[0], 100_00)) is not None  # nothing is left
    address = f"/v1/campaigns/{campaign}/budgets"
    told = (await market.client.get(address)).json()["data"]
    assert [(one["name"], one["used"], one["left"], one["exhausted"]) for one in told] == [
        ("总额", 40_00, 0, True), ("每卡", None, None, False), ("每店每日", None, None, False),
    ]  # fmt: skip
    assert told[0]["exhausted_at"][:10] == "2026-03-02"
    assert [one["when"] for one in told] == [0, 0, 20260302]
    by_card = f"{address}/{told[1]['id']}/users"
    page = (await market.client.get(by_card, params={"limit": 2})).json()
    assert page["data"][0] == {"id": show_id(Prefix.CARD, cards[0]), "used": 2, "left": 1}
    rest = (await market.client.get(by_card, params={"cursor": page["next_cursor"]})).json()
    shown = {show_id(Prefix.CARD, card) for card in cards}
    assert {row["id"] for row in (*page["data"], *rest["data"])} == shown
    assert rest["next_cursor"] is None
    stores = (await market.client.get(f"{address}/{told[2]['id']}/users")).json()["data"]
    assert {row["id"]: row["used"] for row in stores} == {
        show_id(Prefix.STORE, place.store_id): 20_00 for place in market.town.places
    }
    assert (await market.town.refund(payments[0], 45_00)).status == 201
    told = (await market.client.get(address)).json()["data"]
    assert (told[0]["used"], told[0]["left"], told[0]["exhausted"]) == (35_00, 5_00, True)
    assert (await market.client.get(f"{address}/{told[0]['id']}/users")).json()["data"] == []
    market.clock.move(timedelta(days=1))
    assert (await market.client.get(f"{address}/{told[2]['id']}/users")).json()["data"] == []
    problem(await market.client.get(f"{address}/{'0' * 32}/users"), 404, "not_found", "budget_id")
    problem(await market.client.get(f"{address}/all/users"), 400, "invalid_field", "budget_id")
    problem(await market.other.get(address), 404, "not_found", "id")
    problem(await market.other.get(f"/v1/campaigns/{campaign}/costs"), 404, "not_found", "id")
    wrong = {"from": "2026-03-02T00:00:00Z", "to": "2026-03-01T00:00:00Z"}
    problem(await market.client.get(f"/v1/campaigns/{campaign}/costs", params=wrong), 400, "invalid_field", "to")
    assert (await market.other.get("/v1/campaign-reports/funding")).json()["data"] == []
    missing = show_id(Prefix.CAMPAIGN, UUID(int=3))
    problem(await market.client.get(f"/v1/campaigns/{missing}/budgets"), 404, "not_found", "id")


async def test_a_policy_of_returns_is_checked(market: Market) -> None:
    wrong = market.file(budgets=[{"name": "次数", "metric": "count", "maximum": 3, "on_return": "share"}])
    refused = await market.client.post("/v1/campaigns", json=wrong)
    assert (refused.status_code, [one["field"] for one in refused.json()["also"]]) == (422, ["budgets[0].on_return"])
    unknown = market.file(budgets=[{"name": "次数", "metric": "count", "maximum": 3, "on_return": "half"}])
    refused = await market.client.post("/v1/campaigns", json=unknown)
    assert [one["field"] for one in refused.json()["also"]] == ["budgets[0].on_return"]
    assert (await market.client.get("/v1/campaigns")).json()["data"] == []
    card = await market.town.new_card(load_fen=100_00)
    told = await market.town.ask(Spend(card, 100_00, market.town.places[0], market.clock.now(), lines=lines(100_00)))
    assert told.body["amount_fen"] == 100_00
