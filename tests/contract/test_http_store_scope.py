"""An operator of some stores acts at those: wherever a door knows the store, it asks."""

from typing import Any

import httpx
import pytest
from tests.contract.api import Api, problem
from tests.contract.office import Office


class Street:
    """Two stores of one merchant, a terminal each; the operator is of the first."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.stores: list[str] = []
        self.terminals: list[str] = []
        self.card: str
        self.clerk: httpx.AsyncClient

    @classmethod
    async def open(cls, api: Api) -> "Street":
        office = await Office.open(api)
        street = cls(office)
        merchant = await office.make("/v1/merchants", code="m", name="m")
        for code in ("a", "b"):
            store = await office.make("/v1/stores", merchant_id=merchant["id"], code=code, name=code)
            terminal = await office.make("/v1/terminals", store_id=store["id"], code=code)
            street.stores.append(store["id"])
            street.terminals.append(terminal["id"])
        programme = await office.programme()
        await office.make(f"/v1/programmes/{programme['id']}/acceptance", add=[{"merchant_id": merchant["id"]}])
        await api.app.refresh()
        street.card = await office.card(programme, load_fen=10_000)
        street.clerk = await office.hire("clerk", store_ids=[street.stores[0]])
        return street

    async def ask(self, address: str, **body: Any) -> httpx.Response:
        """The clerk asks."""
        return await self.clerk.post(address, json=body, headers={"idempotency-key": self.office.api.app.ids.new().hex})

    async def balance_fen(self) -> int:
        rows = (await self.office.system.get(f"/v1/cards/{self.card}/accounts")).json()["data"]
        return sum(row["available_fen"] for row in rows)


@pytest.fixture
async def street(api: Api) -> Street:
    return await Street.open(api)


async def test_what_another_store_began_is_not_gone_on_with(street: Street) -> None:
    here, there = street.terminals
    spend = {"card_id": street.card, "amount_fen": 1_000}
    elsewhere = await street.office.make("/v1/purchases", **spend, terminal_id=there)
    held = await street.office.make("/v1/authorizations", **spend, terminal_id=there)
    before = await street.balance_fen()
    for address, body in (
        ("/v1/purchases", {**spend, "terminal_id": there}),
        ("/v1/authorizations", {**spend, "terminal_id": there}),
        (f"/v1/authorizations/{held['id']}/capture", {}),
        (f"/v1/authorizations/{held['id']}/void", {}),
        ("/v1/refunds", {"payment_id": elsewhere["id"]}),
        ("/v1/refunds", {"payment_id": held["id"]}),
        ("/v1/loads", {"card_id": street.card, "amount_fen": 100, "terminal_id": there}),
    ):
        answer = await street.ask(address, **body)
        assert (answer.status_code, answer.json()["code"]) == (403, "store_out_of_scope"), address
    # a load at no terminal would be one at any store
    nowhere = await street.ask("/v1/loads", card_id=street.card, amount_fen=100)
    problem(nowhere, 403, "store_out_of_scope", "terminal_id")
    assert await street.balance_fen() == before
    seen = (await street.office.system.get(f"/v1/authorizations/{held['id']}")).json()
    assert (seen["status"], seen["captured_fen"]) == ("open", 0)

    # at their own store they do all of it, and a payment that is not there is not there
    bought = (await street.ask("/v1/purchases", **spend, terminal_id=here)).json()
    assert (await street.ask("/v1/refunds", payment_id=bought["id"])).status_code == 201
    own = (await street.ask("/v1/authorizations", **spend, terminal_id=here)).json()
    assert (await street.ask(f"/v1/authorizations/{own['id']}/capture")).status_code == 200
    assert (await street.ask("/v1/loads", card_id=street.card, amount_fen=100, terminal_id=here)).status_code == 201
    problem(await street.ask("/v1/refunds", payment_id=f"txn_{'0' * 32}"), 404, "not_found", "payment_id")
    # whoever acts everywhere goes on with everything
    assert (await street.office.make("/v1/refunds", payment_id=elsewhere["id"]))["amount_fen"] == 1_000


async def test_terminals_and_stores_of_others_are_left_alone(street: Street) -> None:
    mine, others = street.stores
    here, there = street.terminals
    merchant = (await street.office.system.get(f"/v1/stores/{mine}")).json()["merchant_id"]
    for address, body in (
        ("/v1/stores", {"merchant_id": merchant, "code": "c", "name": "c"}),
        ("/v1/terminals", {"store_id": others, "code": "x"}),
        (f"/v1/terminals/{there}/block", {}),
        (f"/v1/terminals/{there}/unblock", {}),
    ):
        problem(await street.ask(address, **body), 403, "store_out_of_scope")
    assert (await street.office.system.get(f"/v1/terminals/{there}")).json()["status"] == "active"
    assert len((await street.office.system.get("/v1/terminals")).json()["data"]) == 2
    assert len((await street.office.system.get("/v1/stores")).json()["data"]) == 2
    assert (await street.ask("/v1/terminals", store_id=mine, code="x")).status_code == 201
    assert (await street.ask(f"/v1/terminals/{here}/block")).json()["status"] == "blocked"
    problem(await street.ask(f"/v1/terminals/term_{'0' * 32}/block"), 404, "not_found", "id")
