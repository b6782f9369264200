"""Programmes under the law, over HTTP: terms, acceptance, versions by the eyes of two, the restricted pocket."""

from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from tests.contract.api import Api, problem
from tests.contract.test_http_parties import made

from kaquan.kit.ids import Prefix, read_id
from kaquan.parties import Book, IssuedKey, Mode, Scope, issue_key

OURS, THEIRS = "91350100M000100Y43", "91110000000000001H"
CLOSED = {"operating_mode": "closed_loop", "card_class": "registered", "max_balance_fen": 500_000}


class Office:
    """A test book with an issuer, an operator who proposes and an approver."""

    def __init__(self, api: Api, book: Book, client: httpx.AsyncClient) -> None:
        self.api, self.book, self.client = api, book, client
        self.issuer: dict[str, Any] = {}
        self.people: dict[str, httpx.AsyncClient] = {}

    async def open(self) -> "Office":
        self.issuer = await made(
            self.client, "/v1/issuers", code="i", name="发卡方", time_zone="Asia/Shanghai",
            issuer_class="group", legal_code=OURS, province="CN-SH",
        )  # fmt: skip
        for code, role in (("wang", "operator"), ("li", "approver")):
            operator = await made(self.client, "/v1/operators", code=code, name=code, roles=[role])
            app = self.api.app
            issued = await issue_key(
                app.pool, app.clock, app.ids, book=self.book, name=code, scopes=Scope,
                operator_id=read_id(Prefix.OPERATOR, operator["id"]),
            )  # fmt: skip
            assert isinstance(issued, IssuedKey)
            self.people[code] = self.api.client(issued.token)
        return self

    def terms(self, **terms: Any) -> dict[str, Any]:
        return {
            "issuer_id": self.issuer["id"], "code": "red", "name": "红卡", "currency": "CNY",
            "number_prefix": "888801", **terms,
        }  # fmt: skip

    async def programme(self, **terms: Any) -> dict[str, Any]:
        return await made(self.client, "/v1/programmes", **self.terms(**terms))

    async def programmes(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = (await self.client.get("/v1/programmes")).json()["data"]
        return listed

    async def shop(self, code: str, **of_merchant: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """A merchant with a store and a terminal."""
        merchant = await made(self.client, "/v1/merchants", code=code, name=code, **of_merchant)
        store = await made(self.client, "/v1/stores", merchant_id=merchant["id"], code=code, name=code)
        return merchant, store, await made(self.client, "/v1/terminals", store_id=store["id"], code=code)

    async def approval(self, programme: dict[str, Any], **change: Any) -> str:
        """The id of an approval of a change, which one proposed and another approved."""
        proposed = await made(
            self.people["wang"], "/v1/approvals", kind="programme_change", subject=programme["id"], payload=change,
            reason="新条款",
        )  # fmt: skip
        approved = await self.people["li"].post(f"/v1/approvals/{proposed['id']}/approve", json={})
        assert approved.status_code == 200, approved.text
        id_: str = proposed["id"]
        return id_

    async def change(self, programme: dict[str, Any], approval_id: str, **change: Any) -> httpx.Response:
        return await self.client.patch(f"/v1/programmes/{programme['id']}", json={"approval_id": approval_id, **change})

    async def versions(self, programme: dict[str, Any]) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = (await self.client.get(f"/v1/programmes/{programme['id']}/versions")).json()[
            "data"
        ]
        return listed

    async def card(self, programme: dict[str, Any]) -> dict[str, Any]:
        """A card, active."""
        card = await made(self.client, "/v1/cards", programme_id=programme["id"], form="digital")
        activated = await self.client.post(f"/v1/cards/{card['id']}/activate")
        assert activated.status_code == 200, activated.text
        answer: dict[str, Any] = activated.json()
        return answer

    async def pay(self, path: str, **body: Any) -> httpx.Response:
        key = {"idempotency-key": self.api.app.ids.new().hex}
        return await self.client.post(f"/v1/{path}", json=body, headers=key)

    async def pockets(self, card: dict[str, Any]) -> dict[str, int]:
        rows = (await self.client.get(f"/v1/cards/{card['id']}/accounts")).json()["data"]
        return {row["pocket"]: row["available_fen"] for row in rows}


@pytest.fixture
async def office(api: Api) -> Office:
    book = (await api.books())[Mode.TEST]
    return await Office(api, book, await api.client_of(book)).open()


async def test_terms_are_read_back(office: Office) -> None:
    merchant, store, _ = await office.shop("m1", legal_code=OURS, trade="canteen")
    terms = {
        **CLOSED,
        "denominations_fen": [10_000, 50_000],
        "custom_range_fen": [1_000, 100_000],
        "restricted_to": {"trades": ["canteen"], "merchant_ids": [merchant["id"]], "store_ids": [store["id"]]},
    }
    programme = await office.programme(**terms, clauses={"cooling_off_days": 15, "no_refund_clause_allowed": False})
    assert {name: programme[name] for name in terms} == terms
    assert programme["clauses"]["cooling_off_days"] == 15
    assert programme["clauses"]["no_refund_clause_allowed"] is False
    assert programme["clauses"]["custody_share_bp"] is None
    assert (programme["version"], programme["accepted_trades"]) == (1, [])
    assert programme["effective_from"] == programme["created_at"]
    assert await office.programmes() == [programme]


async def test_terms_that_break_the_law_are_refused_with_every_rule(office: Office) -> None:
    five_years = office.terms(**{**CLOSED, "principal_valid_days": 5 * 365})
    body = problem(await office.client.post("/v1/programmes", json=five_years), 422, "terms_break_rule",
                   "principal_valid_days")  # fmt: skip
    assert "CN-SP-EXP-01" in body["detail"]
    assert "P1" in body["detail"] or "国办发" in body["detail"]
    both = {**five_years, "max_balance_fen": 600_000}
    response = await office.client.post("/v1/programmes", json=both)
    body = response.json()
    assert (response.status_code, body["code"], body["field"]) == (422, "terms_break_rule", "max_balance_fen")
    assert "CN-SP-CAP-01" in body["detail"]
    (also,) = body["also"]
    assert (also["code"], also["field"]) == ("terms_break_rule", "principal_valid_days")
    assert (body["rule"], also["rule"]) == ("CN-SP-CAP-01", "CN-SP-EXP-01")
    assert body["source"] in body["detail"]
    assert "CN-SP-EXP-01" in also["detail"]
    assert "CN-SP-EXP-01" in also["detail_zh"]
    alliance = office.terms(**{**CLOSED, "operating_mode": "open_alliance"})
    body = (await office.client.post("/v1/programmes", json=alliance)).json()
    assert (body["code"], body["field"]) == ("terms_break_rule", "operating_mode")
    assert "CN-SCHEME-03" in body["detail"]
    assert await office.programmes() == []


async def test_a_house_rule_holds_at_once(office: Office) -> None:
    today = office.api.app.clock.now().astimezone(ZoneInfo("Asia/Shanghai")).date().isoformat()
    fields = {
        "id": "HOUSE-CAP", "jurisdiction": "CN", "metric": "card_balance_cap_fen", "value": 90_000, "action": "reject",
        "effective_from": today, "source": "手册", "title_zh": "上限", "title_en": "cap",
    }  # fmt: skip
    client = office.client
    proposal = {"issuer_id": office.issuer["id"], "note": "n", "add": [fields]}
    response = await client.post("/v1/policy/changes", json=proposal)
    assert response.status_code == 201, response.text
    other = await office.api.client_of(office.book)
    approved = await other.post(f"/v1/policy/changes/{response.json()['id']}/approve", json={"reason": "同意"})
    assert approved.status_code == 200, approved.text
    body = problem(await client.post("/v1/programmes", json=office.terms(**CLOSED)), 422, "terms_break_rule",
                   "max_balance_fen")  # fmt: skip
    assert "HOUSE-CAP" in body["detail"]
    assert await office.programmes() == []


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("operating_mode", "closed", "operating_mode"),
        ("card_class", "anonymous", "card_class"),
        ("denominations_fen", [100, 50], "denominations_fen"),
        ("denominations_fen", [0], "denominations_fen[0]"),
        ("custom_range_fen", [100], "custom_range_fen"),
        ("custom_range_fen", [100, 50], "custom_range_fen[1]"),
        ("restricted_to", {}, "restricted_to"),
        ("restricted_to", {"cities": []}, "restricted_to.cities"),
        ("clauses", {"cooling_off_days": -1}, "clauses.cooling_off_days"),
        ("clauses", {"custody_share_bp": True}, "clauses.custody_share_bp"),
    ],
)
async def test_a_wrong_term_is_named(office: Office, field: str, value: object, named: str) -> None:
    problem(
        await office.client.post("/v1/programmes", json=office.terms(**{field: value})), 400, "invalid_field", named
    )
    assert await office.programmes() == []


async def test_the_restricted_pocket_names_places_of_the_book(office: Office) -> None:
    for field, id_ in (("merchant_ids", "mer_" + "0" * 32), ("store_ids", "sto_" + "0" * 32)):
        body = office.terms(restricted_to={field: [id_]})
        response = await office.client.post("/v1/programmes", json=body)
        problem(response, 404, "not_found", f"restricted_to.{field}")
    assert await office.programmes() == []


async def test_a_merchant_outside_the_scheme_is_not_let_in(office: Office) -> None:
    programme = await office.programme(**CLOSED)
    ours, _, _ = await office.shop("ours", legal_code=OURS)
    theirs, store, _ = await office.shop("theirs", legal_code=THEIRS, trade="bakery")
    nobody, _, _ = await office.shop("nobody")
    address = f"/v1/programmes/{programme['id']}/acceptance"
    for place in ({"merchant_id": theirs["id"]}, {"merchant_id": theirs["id"], "store_id": store["id"]},
                  {"merchant_id": nobody["id"]}):  # fmt: skip
        refused = await office.client.post(address, json={"add": [{"merchant_id": ours["id"]}, place]})
        body = problem(refused, 409, "merchant_outside_scheme", "add[1].merchant_id")
        assert "CN-SCHEME-01" in body["detail"]
        assert "L4" in body["detail"] or "单用途" in body["detail"]
    problem(await office.client.post(address, json={"add_trades": ["bakery"]}), 409, "merchant_outside_scheme",
            "add_trades")  # fmt: skip
    assert (await office.client.get(address)).json()["data"] == []
    assert await office.programmes() == [programme]
    added = await office.client.post(address, json={"add": [{"merchant_id": ours["id"]}]})
    assert (added.status_code, added.json()["accepted_places"]) == (200, 1)


async def test_a_trade_is_accepted_and_a_stranger_of_it_passed_over(office: Office) -> None:
    programme = await office.programme(**CLOSED)
    _, _, terminal = await office.shop("ours", legal_code=OURS, trade="bakery")
    _, _, cinema = await office.shop("cinema", legal_code=OURS, trade="cinema")
    address = f"/v1/programmes/{programme['id']}/acceptance"
    added = await office.client.post(address, json={"add_trades": ["bakery"]})
    assert (added.status_code, added.json()["accepted_trades"]) == (200, ["bakery"])
    _, _, late = await office.shop("late", legal_code=THEIRS, trade="bakery")
    card = await office.card(programme)
    assert (await office.pay("loads", card_id=card["id"], amount_fen=1_000)).status_code == 201
    spend = {"card_id": card["id"], "amount_fen": 100}
    assert (await office.pay("purchases", terminal_id=terminal["id"], **spend)).status_code == 201
    for elsewhere in (cinema, late):
        problem(await office.pay("purchases", terminal_id=elsewhere["id"], **spend), 409, "not_accepted_here",
                "terminal_id")  # fmt: skip
    assert await office.pockets(card) == {"principal": 900, "bonus": 0}
    removed = await office.client.post(address, json={"remove_trades": ["bakery"]})
    assert removed.json()["accepted_trades"] == []
    problem(await office.pay("purchases", terminal_id=terminal["id"], **spend), 409, "not_accepted_here", "terminal_id")


async def test_a_change_takes_the_eyes_of_two_and_a_card_keeps_its_terms(office: Office) -> None:
    programme = await office.programme(**CLOSED)
    old = await office.card(programme)
    change = {"max_balance_fen": 300_000, "clauses": {"cooling_off_days": 15}}
    approval_id = await office.approval(programme, **change)
    response = await office.change(programme, approval_id, **change)
    assert response.status_code == 200, response.text
    changed = response.json()
    assert (changed["version"], changed["max_balance_fen"], changed["clauses"]["cooling_off_days"]) == (2, 300_000, 15)
    assert (await office.client.get(f"/v1/programmes/{programme['id']}")).json() == changed
    versions = await office.versions(programme)
    assert [(row["version"], row["max_balance_fen"], row["approval_id"]) for row in versions] == [
        (2, 300_000, approval_id),
        (1, 500_000, None),
    ]
    assert all(row["changed_by"].startswith("key_") for row in versions)
    new = await office.card(programme)
    assert (old["terms_version"], new["terms_version"]) == (1, 2)
    load = {"amount_fen": 400_000}
    problem(await office.pay("loads", card_id=new["id"], **load), 409, "balance_cap_exceeded", "amount_fen")
    assert (await office.pay("loads", card_id=old["id"], **load)).status_code == 201
    assert await office.pockets(new) == {"principal": 0, "bonus": 0}
    replaced = await office.client.post(
        f"/v1/cards/{old['id']}/replace", json={"reason": "磨损"},
        headers={"idempotency-key": office.api.app.ids.new().hex},
    )  # fmt: skip
    assert replaced.status_code in (200, 201), replaced.text
    successor = (await office.client.get(f"/v1/cards/{old['id']}")).json()["replaced_by_card_id"]
    assert (await office.client.get(f"/v1/cards/{successor}")).json()["terms_version"] == 1
    trail = (await office.client.get("/v1/audit-trail?kind=programme.changed")).json()["data"]
    ((line),) = trail
    assert line["subject"] == programme["id"]
    assert (line["before"]["max_balance_fen"], line["after"]["max_balance_fen"]) == (500_000, 300_000)
    # the approval is used
    problem(await office.change(programme, approval_id, max_balance_fen=1), 409, "approval_not_approved", "approval_id")
    # what is so already takes none
    assert (await office.change(programme, approval_id, **change)).json() == changed
    assert len(await office.versions(programme)) == 2


async def test_what_a_change_is_refused_for(office: Office) -> None:
    programme = await office.programme(**CLOSED)
    theirs, _, _ = await office.shop("theirs", legal_code=THEIRS)
    ours, _, _ = await office.shop("ours", legal_code=OURS)
    approval_id = await office.approval(programme, max_balance_fen=400_000)
    refuse: list[tuple[dict[str, Any], int, str, str]] = [
        ({"max_balance_fen": 300_000}, 409, "approval_for_something_else", "approval_id"),
        ({"max_balance_fen": 600_000}, 422, "terms_break_rule", "max_balance_fen"),
        ({"principal_valid_days": 1_825}, 422, "terms_break_rule", "principal_valid_days"),
        ({"max_balance_fen": 0}, 400, "invalid_field", "max_balance_fen"),
        ({"operating_mode": None}, 400, "invalid_field", "operating_mode"),
        ({"currency": "USD"}, 400, "invalid_field", "currency"),
        ({"clauses": {"nothing": 1}}, 400, "invalid_field", "clauses.nothing"),
        ({"restricted_to": {"store_ids": ["sto_" + "0" * 32]}}, 404, "not_found", "restricted_to.store_ids"),
    ]
    before = await office.versions(programme)
    for change, status, code, field in refuse:
        problem(await office.change(programme, approval_id, **change), status, code, field)
    unknown = await office.change(programme, "appr_" + "0" * 32, max_balance_fen=400_000)
    problem(unknown, 404, "not_found", "approval_id")
    missing = await office.client.patch(f"/v1/programmes/{programme['id']}", json={"max_balance_fen": 400_000})
    problem(missing, 400, "invalid_field", "approval_id")
    nobody = {"id": "prog_" + "0" * 32}
    problem(await office.change(nobody, approval_id, max_balance_fen=400_000), 404, "not_found", "id")
    problem(await office.client.get(f"/v1/programmes/{nobody['id']}/versions"), 404, "not_found", "id")
    reader = await office.api.client_of(office.book, Scope.PROGRAMMES_READ)
    denied = await reader.patch(f"/v1/programmes/{programme['id']}", json={"approval_id": approval_id})
    problem(denied, 403, "forbidden")
    assert await office.versions(programme) == before
    assert await office.programmes() == [programme]
    # none of it used the approval
    assert (await office.change(programme, approval_id, max_balance_fen=400_000)).status_code == 200

    open_ = await office.programme(code="blue", number_prefix="888802")
    address = f"/v1/programmes/{open_['id']}/acceptance"
    for merchant in (theirs, ours):
        assert (await office.client.post(address, json={"add": [{"merchant_id": merchant["id"]}]})).status_code == 200
    declare = {"operating_mode": "closed_loop"}
    approval_id = await office.approval(open_, **declare)
    body = problem(await office.change(open_, approval_id, **declare), 409, "merchant_outside_scheme", "operating_mode")
    assert "CN-SCHEME-01" in body["detail"]
    assert len(await office.versions(open_)) == 1
    removed = await office.client.post(address, json={"remove": [{"merchant_id": theirs["id"]}]})
    assert removed.status_code == 200
    assert (await office.change(open_, approval_id, **declare)).json()["operating_mode"] == "closed_loop"


async def test_a_programme_of_the_other_book_is_not_there(office: Office) -> None:
    programme = await office.programme()
    stranger = await office.api.client_of((await office.api.books())[Mode.TEST])
    problem(await stranger.get(f"/v1/programmes/{programme['id']}/versions"), 404, "not_found", "id")
    approval_id = await office.approval(programme, max_balance_fen=1)
    refused = await stranger.patch(
        f"/v1/programmes/{programme['id']}", json={"approval_id": approval_id, "max_balance_fen": 1}
    )
    problem(refused, 404, "not_found", "id")
    assert len(await office.versions(programme)) == 1


async def test_the_restricted_pocket(office: Office) -> None:
    programme = await office.programme(restricted_to={"trades": ["canteen"]})
    address = f"/v1/programmes/{programme['id']}/acceptance"
    merchants = [await office.shop(code, trade=code) for code in ("canteen", "cinema")]
    (_, _, canteen), (_, _, cinema) = merchants
    places = [{"merchant_id": merchant["id"]} for merchant, _, _ in merchants]
    assert (await office.client.post(address, json={"add": places})).status_code == 200
    card = await office.card(programme)
    assert await office.pockets(card) == {"principal": 0, "bonus": 0, "restricted": 0}
    assert (await office.pay("loads", card_id=card["id"], amount_fen=500, pocket="restricted")).status_code == 201
    assert (await office.pay("loads", card_id=card["id"], amount_fen=1_000, bonus_fen=50)).status_code == 201
    loaded = {"principal": 1_000, "bonus": 50, "restricted": 500}
    assert await office.pockets(card) == loaded
    spend = {"card_id": card["id"]}
    refused = await office.pay("purchases", terminal_id=cinema["id"], amount_fen=1_051, **spend)
    problem(refused, 402, "insufficient_funds", "amount_fen")
    assert await office.pockets(card) == loaded
    response = await office.pay("purchases", terminal_id=canteen["id"], amount_fen=520, **spend)
    assert response.status_code == 201, response.text
    paid = response.json()
    assert {row["pocket"]: row["amount_fen"] for row in paid["pockets"]} == {"restricted": 500, "bonus": 20}
    assert (await office.pay("purchases", terminal_id=cinema["id"], amount_fen=1_030, **spend)).status_code == 201
    assert await office.pockets(card) == {"principal": 0, "bonus": 0, "restricted": 0}
    assert (await office.pay("refunds", payment_id=paid["id"])).status_code == 201
    assert await office.pockets(card) == {"principal": 0, "bonus": 20, "restricted": 500}
    (pocket,) = [
        row
        for row in (await office.client.get(f"/v1/cards/{card['id']}/accounts")).json()["data"]
        if row["pocket"] == "restricted"
    ]
    statement = await office.client.get(f"/v1/accounts/{pocket['id']}/statement")
    assert statement.status_code == 200, statement.text
    assert len(statement.json()["data"]) == 3

    plain = await office.programme(code="plain", number_prefix="888802")
    other = await office.card(plain)
    refused = await office.pay("loads", card_id=other["id"], amount_fen=1, pocket="restricted")
    problem(refused, 409, "pocket_not_offered", "pocket")
    wrong = await office.pay("loads", card_id=other["id"], amount_fen=1, pocket="bonus")
    problem(wrong, 400, "invalid_field", "pocket")
    assert await office.pockets(other) == {"principal": 0, "bonus": 0}
