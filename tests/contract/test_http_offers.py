"""Baskets, vouchers and offers over HTTP: what is paid, who pays the rest, and bad input."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from tests.contract.api import Api, problem
from tests.store.test_offers import THREE_WAYS, balances, campaign, put_in_force, ten_off
from tests.store.test_offers_points import give_points
from tests.store.test_offers_vouchers import Shop
from tests.town import HandClock, Town, audits_hold

from kaquan.kit.ids import Prefix, show_id
from kaquan.parties import Mode
from kaquan.points import ClawbackMode
from kaquan.promotions import Budget, BudgetMetric


class Till:
    """A till of a town, over HTTP."""

    def __init__(self, town: Town, client: httpx.AsyncClient, card_id: UUID) -> None:
        self.town, self.client, self.card_id = town, client, card_id

    async def post(self, address: str, **body: Any) -> httpx.Response:
        return await self.client.post(address, json=body, headers={"idempotency-key": self.town.ids.new().hex})

    async def buy(self, amount_fen: int, address: str = "/v1/purchases", **body: Any) -> httpx.Response:
        place = self.town.places[0].terminal_id
        who = {"card_id": show_id(Prefix.CARD, self.card_id), "terminal_id": show_id(Prefix.TERMINAL, place)}
        return await self.post(address, **{**who, "amount_fen": amount_fen, **body})


@pytest.fixture
async def till(database: str) -> AsyncIterator[Till]:
    town = await Town.found(database, clock=HandClock())
    api = Api(town.apps[0])
    yield Till(town, await api.client_of(town.books[Mode.LIVE]), await town.new_card(load_fen=500_00))
    await api.close()
    await town.close()


GOODS = [{"number": 1, "sku": "6901", "categories": ["food"], "amount_fen": 60_00}, {"number": 2, "amount_fen": 40_00}]


async def test_a_purchase_tells_what_is_paid_and_who_pays_the_rest(till: Till, database: str) -> None:
    spring = campaign(till.town, ten_off(funders=THREE_WAYS))
    put_in_force(till.town, spring)
    made = await till.buy(100_00, lines=GOODS)
    assert made.status_code == 201
    body = made.json()
    assert (body["amount_fen"], body["balance_fen"]) == (90_00, 410_00)
    pricing = body["pricing"]
    assert [pricing[name] for name in ("amount_fen", "outside_fen", "discount_fen", "payable_fen")] == [
        100_00,
        0,
        10_00,
        90_00,
    ]
    (offer,) = pricing["offers"]
    assert (offer["offer"], offer["campaign_id"], offer["voucher_id"]) == ("满减", f"camp_{spring.id.hex}", None)
    assert [(one["kind"], one["amount_fen"]) for one in offer["funders"]] == [
        ("issuer", 5_00),
        ("merchant", 3_00),
        ("party", 2_00),
    ]
    assert [line["payable_fen"] for line in pricing["lines"]] == [54_00, 36_00]
    assert (await till.client.get(f"/v1/purchases/{body['id']}")).json()["pricing"] == pricing

    back = await till.post("/v1/refunds", payment_id=body["id"], lines=[{"number": 2, "amount_fen": 40_00}])
    assert back.status_code == 201
    assert (back.json()["amount_fen"], back.json()["pricing"]["discount_fen"]) == (36_00, 4_00)
    await audits_hold(database)


async def test_a_purchase_without_offers_tells_no_pricing(till: Till) -> None:
    made = await till.buy(100_00)
    assert made.status_code == 201
    assert "pricing" not in made.json()


async def test_a_voucher_is_named_by_its_id(till: Till) -> None:
    shop = Shop(till.town, till.town.apps[0].clock)  # type: ignore[arg-type]
    (voucher_id,) = await shop.give(await shop.template(), till.card_id)
    named = show_id(Prefix.VOUCHER, voucher_id)
    made = await till.buy(100_00, vouchers=[named])
    assert (made.status_code, made.json()["amount_fen"]) == (201, 80_00)
    assert made.json()["pricing"]["offers"][0]["voucher_id"] == named
    problem(await till.buy(100_00, vouchers=[named]), 409, "voucher_not_usable", "vouchers")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"lines": [{"number": 1, "amount_fen": 99_99}]}, "lines"),
        ({"lines": [{"number": 1, "amount_fen": 60_00}, {"number": 1, "amount_fen": 40_00}]}, "lines"),
        ({"lines": []}, "lines"),
        ({"lines": [{"number": 0, "amount_fen": 100_00}]}, "lines[0].number"),
        ({"lines": [{"number": 1, "amount_fen": 100_00, "quantity": 0}]}, "lines[0].quantity"),
        ({"outside_offers": [{"name": "店庆", "amount_fen": 100_00}]}, "outside_offers"),
        ({"vouchers": ["vou_" + "0" * 32] * 2}, "vouchers"),
    ],
)
async def test_a_basket_that_does_not_go_together_is_refused(till: Till, body: dict[str, Any], field: str) -> None:
    before = await balances(till.town)
    problem(await till.buy(100_00, **body), 400, "invalid_field", field)
    assert await balances(till.town) == before


async def test_what_is_not_there_is_refused(till: Till) -> None:
    before = await balances(till.town)
    problem(await till.buy(100_00, vouchers=["vou_" + "0" * 32]), 404, "not_found", "vouchers")
    problem(await till.buy(100_00, vouchers=["ABCD-EFGH"]), 404, "not_found", "vouchers")
    made = (await till.buy(100_00)).json()
    both = {"lines": [{"number": 1, "amount_fen": 1}], "amount_fen": 1}
    problem(await till.post("/v1/refunds", payment_id=made["id"], **both), 400, "invalid_field", "lines")
    unknown = [{"number": 1, "amount_fen": 1}]
    problem(await till.post("/v1/refunds", payment_id=made["id"], lines=unknown), 409, "lines_not_known", "lines")
    await till.post("/v1/refunds", payment_id=made["id"])
    assert await balances(till.town) == before


async def quote(till: Till, amount_fen: int, **body: Any) -> httpx.Response:
    place, card = till.town.places[0].terminal_id, till.card_id
    who = {"card_id": show_id(Prefix.CARD, card), "terminal_id": show_id(Prefix.TERMINAL, place)}
    return await till.client.post("/v1/quotes", json={**who, "amount_fen": amount_fen, **body})


async def test_a_quote_is_the_price_and_says_why_the_rest_does_not_apply(till: Till) -> None:
    once = Budget(name="一次", metric=BudgetMetric.COUNT, maximum=1)
    spring = campaign(till.town, ten_off(), budgets=(once,))
    high = campaign(till.town, ten_off(1_000_00, 200_00, name="满1000"))
    put_in_force(till.town, spring, high)
    shop = Shop(till.town, till.town.apps[0].clock)  # type: ignore[arg-type]
    (first,) = await shop.give(await shop.template(), till.card_id)
    (second,) = await shop.give(await shop.template(from_fen=300_00), till.card_id)
    before = await balances(till.town), await till.town.count("ledger_account")
    told = await quote(till, 100_00, lines=GOODS, try_vouchers=True)
    assert told.status_code == 200, told.text
    body = told.json()
    assert (body["pricing"]["payable_fen"], body["available_fen"]) == (90_00, 500_00)
    (skipped,) = [one for one in body["skipped"] if one["offer"] == "满1000"]
    assert skipped["why"]["code"] == "offer_below_threshold"
    assert {one["voucher_id"]: one["discount_fen"] for one in body["vouchers"]} == {
        show_id(Prefix.VOUCHER, first): 20_00,
        show_id(Prefix.VOUCHER, second): 0,
    }
    assert (await balances(till.town), await till.town.count("ledger_account")) == before
    with_voucher = await quote(till, 100_00, vouchers=[show_id(Prefix.VOUCHER, first)])
    assert with_voucher.json()["pricing"]["payable_fen"] == 70_00

    assert (await till.buy(100_00, lines=GOODS)).json()["amount_fen"] == 90_00
    spent = (await quote(till, 100_00)).json()
    assert spent["pricing"]["payable_fen"] == 100_00
    assert "offer_budget_exhausted" in {one["why"]["code"] for one in spent["skipped"]}


async def test_a_quote_is_refused_as_a_purchase_is(till: Till) -> None:
    wrong = [{"number": 1, "amount_fen": 1}]
    problem(await quote(till, 100_00, lines=wrong), 400, "invalid_field", "lines")
    problem(await quote(till, 100_00, vouchers=["vou_" + "0" * 32]), 404, "not_found", "vouchers")
    problem(await quote(till, 100_00, card_id="card_" + "0" * 32), 404, "not_found", "card_id")
    await till.town.block(till.card_id)
    problem(await quote(till, 100_00), 409, "card_blocked", "card_id")


async def test_points_are_earned_and_pay(till: Till, database: str) -> None:
    await give_points(till.town)
    earned = (await till.buy(100_00)).json()
    assert earned["points_earned"] == 100
    paid = (await till.buy(100_00, points=100)).json()
    assert (paid["amount_fen"], paid["points_earned"]) == (90_00, 90)
    assert (paid["pricing"]["points"], paid["pricing"]["points_fen"]) == (100, 10_00)
    back = (await till.post("/v1/refunds", payment_id=paid["id"])).json()
    assert (back["amount_fen"], back["pricing"]["points"], back["points_earned"]) == (90_00, 100, -90)
    before = await balances(till.town)
    problem(await till.buy(100_00, points=500), 409, "points_too_few", "points")
    problem(await till.buy(100_00, "/v1/authorizations", points=500), 409, "points_too_few", "points")
    assert await balances(till.town) == before
    await audits_hold(database)


async def test_points_pay_an_authorization_and_captures_earn(till: Till, database: str) -> None:
    await give_points(till.town)
    await till.buy(100_00)
    before = await balances(till.town)
    opened = (await till.buy(50_00, "/v1/authorizations", points=100)).json()
    assert (opened["amount_fen"], opened["pricing"]["points"], "points_earned" in opened) == (40_00, 100, False)
    part = (await till.post(f"/v1/authorizations/{opened['id']}/capture", amount_fen=20_00, final=False)).json()
    assert (part["captured_fen"], part["points_earned"]) == (20_00, 20)
    problem(await till.buy(50_00, points=100), 409, "points_too_few", "points")
    ended = (await till.post(f"/v1/authorizations/{opened['id']}/void")).json()
    assert ended["status"] == "completed"
    back = (await till.post("/v1/refunds", payment_id=opened["id"])).json()
    assert (back["amount_fen"], back["pricing"]["points"], back["points_earned"]) == (20_00, 50, -20)
    assert await balances(till.town) == before
    await audits_hold(database)


async def test_a_refund_says_what_it_keeps_back(till: Till, database: str) -> None:
    await give_points(till.town, clawback=ClawbackMode.REFUND)
    first = (await till.buy(100_00)).json()
    await till.buy(10_00, points=100)
    back = (await till.post("/v1/refunds", payment_id=first["id"])).json()
    assert (back["amount_fen"], back["withheld_fen"], back["points_earned"]) == (100_00, 10_00, -100)
    assert back["pockets"] == [{"pocket": "principal", "amount_fen": 90_00}]
    read = (await till.client.get(f"/v1/transactions/{back['id']}")).json()
    moved = [(one["debit"]["kind"], one["credit"]["kind"], one["amount_fen"]) for one in read["entries"]]
    assert moved == [
        ("merchant_payable", "card_principal", 100_00),
        ("card_principal", "points_expense", 10_00),
    ]
    await audits_hold(database)
