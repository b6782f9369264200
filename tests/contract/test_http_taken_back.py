"""Sales that two people take back from a price on, and value that they release, as clients see it."""

from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from tests.contract.api import Api, problem
from tests.contract.office import Office
from tests.contract.test_http_closing import PAYEE, furnish
from tests.contract.test_http_sales import order, programme


@pytest.fixture
async def office(api: Api) -> Office:
    return await Office.open(api)


async def ask(office: Office, client: httpx.AsyncClient, path: str, **body: Any) -> httpx.Response:
    return await client.post(path, json=body, headers={"idempotency-key": office.api.app.ids.new().hex})


async def rule(office: Office, issuer: str, fen: int) -> None:
    """A house rule of two people."""
    today = office.api.app.clock.now().astimezone(ZoneInfo("Asia/Shanghai")).date().isoformat()
    fields = {
        "id": "HOUSE-BACK", "jurisdiction": "CN", "metric": "sale_refund_approval_from_fen", "value": fen,
        "action": "hold", "effective_from": today, "source": "内控手册", "title_zh": "退售审批", "title_en": "refunds",
    }  # fmt: skip
    change = await office.make("/v1/policy/changes", issuer_id=issuer, note="n", add=[fields])
    other = await office.api.client_of(office.book)
    approved = await other.post(f"/v1/policy/changes/{change['id']}/approve", json={"reason": "同意"})
    assert approved.status_code == 200, approved.text


async def test_from_a_price_on_two_people_take_a_sale_back(office: Office) -> None:
    sold = await programme(office.system)
    issuer = (await office.system.get(f"/v1/programmes/{sold}")).json()["issuer_id"]
    await rule(office, issuer, 90_000)

    async def delivered(count: int) -> str:
        sale = await office.make("/v1/sales", **order(sold, count))
        address = f"/v1/sales/{sale['id']}"
        await office.make(f"{address}/payments", amount_fen=48_000 * count, method="debit_card")
        assert (await office.make(f"{address}/deliver"))["status"] == "delivered"
        return address

    small, large = await delivered(1), await delivered(2)
    alone = await ask(office, office.li, f"{small}/refund", reason="退货")
    assert (alone.status_code, alone.json()["status"]) == (200, "refunded")
    told = problem(
        await ask(office, office.li, f"{large}/refund", reason="退货"), 403, "approval_required", "approval_id"
    )
    assert (told["rule"], told["source"]) == ("HOUSE-BACK", "内控手册")
    proposed = await office.proposal("sale_refund", large.rsplit("/")[-1], {"reason": "退货"})
    body = {"reason": "退货", "approval_id": proposed}
    problem(await ask(office, office.li, f"{large}/refund", **body), 409, "approval_not_approved", "approval_id")
    await office.approve(proposed)
    problem(
        await ask(office, office.li, f"{large}/refund", **{**body, "reason": "别的"}),
        409, "approval_for_something_else", "approval_id",
    )  # fmt: skip
    assert (await office.system.get(large)).json()["status"] == "delivered"
    assert await office.status_of(proposed) == "approved"
    done = await ask(office, office.li, f"{large}/refund", **body)
    assert (done.status_code, done.json()["status"]) == (200, "refunded"), done.text
    assert await office.status_of(proposed) == "executed"


async def test_what_nobody_can_use_is_released_by_two(office: Office) -> None:
    town = await furnish(office.system)
    old, issuer = town["card"], (await office.system.get(f"/v1/programmes/{town['programme']}")).json()["issuer_id"]
    assert issuer
    merchant = await office.make("/v1/merchants", code="m", name="M")
    store = await office.make("/v1/stores", merchant_id=merchant["id"], code="s", name="S")
    terminal = await office.make("/v1/terminals", store_id=store["id"], code="t")
    await office.make(f"/v1/programmes/{town['programme']}/acceptance", add=[{"merchant_id": merchant["id"]}])
    spent = await office.make("/v1/purchases", card_id=old, terminal_id=terminal["id"], amount_fen=24_000)
    new = (await office.make(f"/v1/cards/{old}/replace", reason="损坏"))["new"]["id"]
    quote = await office.make(f"/v1/cards/{new}/refund-quote", cause="issuer")
    await office.make(f"/v1/cards/{new}/close", cause="issuer", quote_hash=quote["quote_hash"], payee=PAYEE)
    await office.make("/v1/refunds", payment_id=spent["id"])
    address, wanted = f"/v1/cards/{old}/release", {"reason": "退货", "payee": PAYEE}
    problem(await ask(office, office.system, address, **wanted), 403, "approval_required", "approval_id")
    problem(await ask(office, office.li, address, **wanted), 403, "approval_required", "approval_id")
    problem(await ask(office, office.li, address, reason="退货", payees=[]), 400, "invalid_field", "payees")
    approval = await office.approval("value_release", old, {"reason": "退货"})
    nobody = {**wanted, "payee": {**PAYEE, "account_name": "李雷"}, "approval_id": approval}
    problem(await ask(office, office.li, address, **nobody), 409, "payee_not_holder", "payee.account_name")
    done = await ask(office, office.li, address, **wanted, approval_id=approval)
    assert done.status_code == 200, done.text
    told = done.json()
    # of 1,000.00 paid and 200.00 given five sixths were paid for
    assert (told["amount_fen"], told["given_fen"], told["payout"]["amount_fen"]) == (20_000, 4_000, 20_000)
    assert await office.status_of(approval) == "executed"
    assert "6222" not in (await office.system.get(f"/v1/approvals/{approval}")).text
    (line,) = await office.trail("value.released")
    assert line["after"]["amount_fen"] == 20_000
    problem(await ask(office, office.li, address, **wanted, approval_id=approval), 409, "nothing_to_release", "id")
    timeline = (await office.system.get(f"/v1/cards/{old}/timeline")).json()["data"]
    assert {item["kind"] for item in timeline} >= {"released", "release", "refund", "replaced"}
