"""The fee for a new card: a term of its programme, held against the rules, and really charged."""

from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from tests.contract.api import Api, problem
from tests.contract.office import Office

NONE = {"replacement_fen": 0, "issue_fen": 0, "load_fen": 0, "dormancy_fen": 0, "dormancy_after_months": 0}


@pytest.fixture
async def office(api: Api) -> Office:
    return await Office.open(api)


async def replace(office: Office, card: str, key: str, **body: Any) -> httpx.Response:
    return await office.system.post(
        f"/v1/cards/{card}/replace", json={"reason": "丢失", **body}, headers={"idempotency-key": key}
    )


async def held(office: Office, card: str) -> dict[str, int]:
    rows = (await office.system.get(f"/v1/cards/{card}/accounts")).json()["data"]
    return {row["pocket"]: row["posted_fen"] for row in rows}


async def test_the_fee_is_taken_before_the_balance_moves(office: Office) -> None:
    programme = await office.programme(fees={"replacement_fen": 500})
    assert programme["fees"] == {**NONE, "replacement_fen": 500}
    card = await office.card(programme, load_fen=2_000, bonus_fen=300)
    await office.make(f"/v1/cards/{card}/report-loss", proof="小票 1")
    response = await replace(office, card, "r1")
    assert response.status_code == 201, response.text
    done = response.json()
    fee = done["fee"]
    assert (fee["kind"], fee["amount_fen"], fee["currency"]) == ("replacement", 500, "CNY")
    assert done["transfer"]["amount_fen"] == 1_800
    assert await held(office, card) == {"principal": 0, "bonus": 0}
    assert await held(office, done["new"]["id"]) == {"principal": 1_500, "bonus": 300}
    again = await replace(office, card, "r1")
    assert (again.status_code, again.content) == (201, response.content), "byte for byte"
    assert await held(office, done["new"]["id"]) == {"principal": 1_500, "bonus": 300}

    items = (await office.system.get(f"/v1/cards/{card}/timeline")).json()["data"]
    (charged,) = [item for item in items if item["kind"] == "fee"]
    assert (charged["id"], charged["amount_fen"], charged["title_zh"]) == (fee["transaction_id"], -500, "收取手续费")
    (replaced,) = [item for item in items if item["kind"] == "replaced"]
    assert replaced["details"]["fee_fen"] == 500
    assert replaced["details"]["fee_transaction_id"] == fee["transaction_id"]
    transaction = (await office.system.get(f"/v1/transactions/{fee['transaction_id']}")).json()
    assert [(entry["debit"]["kind"], entry["credit"]["kind"]) for entry in transaction["entries"]] == [
        ("card_principal", "issuer_fees")
    ]
    account = transaction["entries"][0]["debit"]["account_id"]
    lines = (await office.system.get(f"/v1/accounts/{account}/statement")).json()["data"]
    assert ("fee", -500) in [(line["kind"], line["amount_fen"]) for line in lines]


async def test_a_card_that_cannot_pay_is_not_replaced_until_the_fee_is_waived(office: Office) -> None:
    card = await office.card(await office.programme(fees={"replacement_fen": 500}), load_fen=499, bonus_fen=9_000)
    before = (await office.system.get(f"/v1/cards/{card}")).json()
    refused = await replace(office, card, "r1")
    told = problem(refused, 409, "fee_not_covered")
    assert "499" in told["detail"]
    assert (await office.system.get(f"/v1/cards/{card}")).json() == before
    assert await held(office, card) == {"principal": 499, "bonus": 9_000}
    done = (await replace(office, card, "r2", waive_fee=True)).json()
    assert done["fee"] is None
    assert await held(office, done["new"]["id"]) == {"principal": 499, "bonus": 9_000}
    items = (await office.system.get(f"/v1/cards/{card}/timeline")).json()["data"]
    assert [item["details"]["fee_waived_fen"] for item in items if item["kind"] == "replaced"] == [500]


async def test_a_gift_and_a_programme_without_a_fee_cost_nothing(office: Office) -> None:
    plain = await office.programme()
    assert plain["fees"] == NONE
    assert (await replace(office, await office.card(plain, load_fen=100), "r1")).json()["fee"] is None
    costly = await office.make(
        "/v1/programmes", issuer_id=plain["issuer_id"], code="q", name="Q", currency="CNY", number_prefix="8889",
        fees={"replacement_fen": 500},
    )  # fmt: skip
    card = await office.card(costly, load_fen=1_000)
    offered = await office.make(f"/v1/cards/{card}/gifts")
    customer = await office.make("/v1/customers", name="王敏")
    claimed = await office.make("/v1/gifts/claim", token=offered["token"], customer_id=customer["id"])
    assert await held(office, claimed["card"]["id"]) == {"principal": 1_000, "bonus": 0}


async def test_a_card_pays_the_fee_of_the_terms_that_it_was_issued_under(office: Office) -> None:
    programme = await office.programme(fees={"replacement_fen": 100})
    old = await office.card(programme, load_fen=1_000)
    change = {"fees": {"replacement_fen": 200}}
    approved = await office.approval("programme_change", programme["id"], change)
    changed = await office.li.patch(f"/v1/programmes/{programme['id']}", json={**change, "approval_id": approved})
    assert changed.json()["fees"] == {**NONE, "replacement_fen": 200}
    versions = (await office.system.get(f"/v1/programmes/{programme['id']}/versions")).json()["data"]
    assert [version["fees"]["replacement_fen"] for version in versions] == [200, 100]
    new = await office.card(programme, load_fen=1_000)
    fees = [(await replace(office, card, card)).json()["fee"]["amount_fen"] for card in (old, new)]
    assert fees == [100, 200]


async def test_a_fee_that_a_rule_forbids_is_refused_with_the_rule(office: Office, api: Api) -> None:
    programme = await office.programme()
    today = api.app.clock.now().astimezone(ZoneInfo("Asia/Shanghai")).date()
    rule = {
        "id": "HOUSE-FEE", "jurisdiction": "CN", "metric": "replacement_fee_cap_fen", "value": 300,
        "action": "reject", "effective_from": today.isoformat(), "source": "card charter art 9",
        "title_zh": "换卡费不超过三元", "title_en": "A new card costs three yuan at the most",
    }  # fmt: skip
    change = await office.make("/v1/policy/changes", issuer_id=programme["issuer_id"], note="换卡费", add=[rule])
    approver = await api.client_of(office.book)
    decided = await approver.post(f"/v1/policy/changes/{change['id']}/approve", json={"reason": "同意"})
    assert decided.status_code == 200, decided.text
    wanted = {
        "issuer_id": programme["issuer_id"], "code": "q", "name": "Q", "currency": "CNY", "number_prefix": "8889",
        "fees": {"replacement_fen": 301},
    }  # fmt: skip
    told = problem(
        await office.system.post("/v1/programmes", json=wanted), 422, "terms_break_rule", "fees.replacement_fen"
    )
    assert "HOUSE-FEE" in told["detail"]
    for fees, field in (
        ({"replacement_fen": -1}, "fees.replacement_fen"),
        ({"replacement_fen": "5"}, "fees.replacement_fen"),
        ({"load_bp": 5}, "fees.load_bp"),
    ):
        bad = await office.system.post("/v1/programmes", json={**wanted, "fees": fees})
        problem(bad, 400, "invalid_field", field)
    assert len((await office.system.get("/v1/programmes")).json()["data"]) == 1
    allowed = await office.make("/v1/programmes", **{**wanted, "fees": {"replacement_fen": 300}})
    assert allowed["fees"] == {**NONE, "replacement_fen": 300}


async def test_fees_beside_the_price_are_terms_and_are_agreed_to(office: Office) -> None:
    programme = await office.programme(fees={"issue_fen": 500, "load_fen": 100}, clauses={"rebate_cap_bp": 0})
    assert programme["fees"] == {**NONE, "issue_fen": 500, "load_fen": 100}
    card = await office.card(programme)
    asked = {"card_id": card, "amount_fen": 1_000}
    told = problem(
        await office.system.post("/v1/loads", json=asked, headers={"idempotency-key": "a"}), 409, "fee_not_agreed",
        "fee_fen",
    )  # fmt: skip
    assert "100" in told["detail"]
    assert await held(office, card) == {"principal": 0, "bonus": 0}
    load = await office.make("/v1/loads", **asked, fee_fen=100)
    assert (load["amount_fen"], load["fee_fen"]) == (1_000, 100)
    assert await held(office, card) == {"principal": 1_000, "bonus": 0}
    entries = (await office.system.get(f"/v1/transactions/{load['id']}")).json()["entries"]
    assert ("load_clearing", "issuer_fees", 100) in [
        (entry["debit"]["kind"], entry["credit"]["kind"], entry["amount_fen"]) for entry in entries
    ]
    line = {"programme_id": programme["id"], "face_fen": 2_000, "price_fen": 2_000, "card_count": 2}
    order = {"contract_version": "1", "lines": [line]}
    problem(
        await office.system.post("/v1/sales", json=order, headers={"idempotency-key": "b"}), 409, "fee_not_agreed",
        "lines[0].fee_fen",
    )  # fmt: skip
    sale = await office.make("/v1/sales", contract_version="1", lines=[{**line, "fee_fen": 500}])
    assert (sale["price_fen"], sale["fee_fen"], sale["lines"][0]["fee_fen"]) == (4_000, 1_000, 500)
    paid = await office.make(f"/v1/sales/{sale['id']}/payments", method="cash", amount_fen=5_000)
    assert (paid["status"], paid["paid_fen"]) == ("paid", 5_000)


async def test_a_fee_for_not_using_a_card_is_refused_where_the_law_bars_it(office: Office) -> None:
    plain = await office.programme()
    wanted = {
        "issuer_id": plain["issuer_id"], "code": "q", "name": "Q", "currency": "CNY", "number_prefix": "8889",
        "card_class": "registered", "operating_mode": "closed_loop", "max_balance_fen": 500_000,
        "fees": {"dormancy_fen": 100, "dormancy_after_months": 12},
    }  # fmt: skip
    told = problem(
        await office.system.post("/v1/programmes", json=wanted), 422, "terms_break_rule", "fees.dormancy_fen"
    )
    assert "CN-SP-EXP-01" in told["detail"]
    for fees in ({"dormancy_fen": 100}, {"dormancy_after_months": 12}):
        bad = await office.system.post("/v1/programmes", json={**wanted, "fees": fees})
        problem(bad, 400, "invalid_field", "fees.dormancy_after_months")
    assert len((await office.system.get("/v1/programmes")).json()["data"]) == 1
