"""Sales, top-ups and the register of purchasers as a client sees them."""

from typing import Any

import httpx
import pytest
from tests.contract.api import Api, problem

from kaquan.kit.ids import SystemIds
from kaquan.parties import Mode, Scope

IDS = SystemIds()
UNKNOWN = "0" * 32
TRANSFER: dict[str, Any] = {
    "method": "bank_transfer",
    "payer": {"account_name": "王敏", "account_number": "6222020200012345678", "bank_name": "某银行"},
    "payee": {"account_name": "发卡方", "account_number": "1234567890123", "bank_name": "另一银行"},
}


async def ask(client: httpx.AsyncClient, path: str, *, key: str | None = None, **body: Any) -> httpx.Response:
    return await client.post(path, json=body, headers={"idempotency-key": key or IDS.new().hex})


async def made(client: httpx.AsyncClient, path: str, **body: Any) -> dict[str, Any]:
    response = await ask(client, path, **body)
    assert response.status_code in (200, 201), response.text
    answer: dict[str, Any] = response.json()
    return answer


async def programme(client: httpx.AsyncClient, **terms: Any) -> str:
    """A programme whose cards are sold."""
    issuer = await made(client, "/v1/issuers", code=IDS.new().hex, name="发卡方", time_zone="Asia/Shanghai")
    made_ = await made(
        client, "/v1/programmes", issuer_id=issuer["id"], code=IDS.new().hex, name="红卡", currency="CNY",
        number_prefix="888801", activation="paid_sale", denominations_fen=[50_000, 100_000], max_balance_fen=100_000,
        **terms,
    )  # fmt: skip
    assert made_["activation"] == "paid_sale"
    return str(made_["id"])


def order(programme_id: str, count: int = 1, **more: Any) -> dict[str, Any]:
    line = {"programme_id": programme_id, "face_fen": 50_000, "price_fen": 48_000, "card_count": count}
    return {"contract_version": "2026-01", "lines": [{**line, **more.pop("line", {})}], **more}


async def test_a_sale_from_order_to_refund(live: httpx.AsyncClient) -> None:
    sold = await programme(live)
    sale = await made(live, "/v1/sales", **order(sold, 2, reference="订单-7"))
    assert (sale["status"], sale["card_count"], sale["face_fen"], sale["price_fen"]) == ("open", 2, 100_000, 96_000)
    address = f"/v1/sales/{sale['id']}"
    problem(await ask(live, f"{address}/deliver"), 409, "sale_status_forbids", "id")
    paid = await made(live, f"{address}/payments", amount_fen=96_000, reference="回单", **TRANSFER)
    assert (paid["status"], paid["paid_fen"]) == ("paid", 96_000)
    done = await made(live, f"{address}/deliver")
    assert done["status"] == "delivered"

    shown = (await live.get(address)).json()
    assert shown["cards"] == {"reserved": 0, "failed": 0, "delivered": 2, "refunded": 0, "released": 0}
    (payment,) = shown["payments"]
    assert (payment["method"], payment["amount_fen"], payment["payer_masked"]) == ("bank_transfer", 96_000, "**** 5678")
    assert "6222020200012345678" not in str(shown)
    page = (await live.get(f"{address}/cards", params={"limit": 1})).json()
    rest = (await live.get(f"{address}/cards", params={"limit": 1, "cursor": page["next_cursor"]})).json()
    assert rest["next_cursor"] is None
    for item in (*page["data"], *rest["data"]):
        card = (await live.get(f"/v1/cards/{item['card_id']}")).json()
        assert (card["status"], item["status"]) == ("active", "delivered")
        load = (await live.get(f"/v1/loads/{item['load_id']}")).json()
        assert (load["amount_fen"], load["bonus_fen"], load["reference"]) == (48_000, 2_000, sale["id"])

    taken = await made(live, f"{address}/refund", reason="未使用退货")
    assert (taken["status"], taken["end_reason"]) == ("refunded", "未使用退货")
    card = (await live.get(f"/v1/cards/{page['data'][0]['card_id']}")).json()
    assert card["status"] == "closed"
    problem(await ask(live, f"{address}/refund", reason="again"), 409, "sale_status_forbids", "id")


async def test_one_key_is_one_sale_one_payment_one_refund(live: httpx.AsyncClient) -> None:
    sold = await programme(live)
    steps: list[tuple[str, dict[str, Any]]] = [("/v1/sales", order(sold))]
    first = await ask(live, *steps[0][:1], key="one", **steps[0][1])
    address = f"/v1/sales/{first.json()['id']}"
    steps += [
        (f"{address}/payments", {"amount_fen": 48_000, "method": "cash"}),
        (f"{address}/deliver", {}),
        (f"{address}/refund", {"reason": "退货"}),
    ]
    for path, body in steps:
        key = "one" if path == "/v1/sales" else path
        answers = [await ask(live, path, key=key, **body) for _ in range(2)]
        assert answers[0].status_code in (200, 201), answers[0].text
        assert answers[0].content == answers[1].content
        other = {**body, **({"reference": "other"} if path == "/v1/sales" else {})}
        if other != body:
            problem(await ask(live, path, key=key, **other), 422, "idempotency_key_reused", "Idempotency-Key")
        problem(await live.post(path, json=body), 400, "idempotency_key_missing", "Idempotency-Key")
    assert len((await live.get("/v1/sales")).json()["data"]) == 1


async def test_cards_that_are_sold_come_to_life_no_other_way(live: httpx.AsyncClient) -> None:
    sold = await programme(live)
    card = await made(live, "/v1/cards", programme_id=sold, form="digital")
    problem(await live.post(f"/v1/cards/{card['id']}/activate"), 409, "sale_required", "id")
    sale = await made(live, "/v1/sales", **order(sold, line={"card_count": None, "card_ids": [card["id"]]}))
    await made(live, f"/v1/sales/{sale['id']}/payments", amount_fen=48_000, method="cash")
    await made(live, f"/v1/sales/{sale['id']}/deliver")
    problem(await ask(live, "/v1/loads", card_id=card["id"], amount_fen=100), 409, "sale_required", "card_id")
    top_up = await made(
        live, "/v1/top-ups", card_id=card["id"], face_fen=1_000, contract_version="2026-01",
        payment={"method": "cash", "amount_fen": 900},
    )  # fmt: skip
    assert (top_up["status"], top_up["paid_fen"], top_up["id"][:4]) == ("delivered", 900, "top_")
    shown = (await live.get(f"/v1/top-ups/{top_up['id']}")).json()
    assert [payment["amount_fen"] for payment in shown["payments"]] == [900]
    pockets = (await live.get(f"/v1/cards/{card['id']}/accounts")).json()["data"]
    assert sum(pocket["available_fen"] for pocket in pockets) == 51_000
    found = (await live.get("/v1/top-ups", params={"card_id": card["id"]})).json()["data"]
    assert [one["id"] for one in found] == [top_up["id"]]
    # a top-up is no sale
    problem(await live.get(f"/v1/sales/sale_{top_up['id'][4:]}"), 404, "not_found", "id")
    problem(await ask(live, f"/v1/sales/sale_{top_up['id'][4:]}/refund", reason="x"), 404, "not_found", "id")


async def test_a_refusal_names_the_rule_and_its_source_and_what_else_is_wrong(live: httpx.AsyncClient) -> None:
    sold = await programme(live)
    response = await ask(live, "/v1/sales", **order(sold, 20, contract_version=None))
    body = response.json()
    assert (response.status_code, body["code"], body["field"]) == (422, "real_name_required", "customer_id")
    assert "CN-SP-KYC-02" in body["detail"]
    assert "规则 CN-SP-KYC-02" in body["detail_zh"]
    assert body["rule"] == "CN-SP-KYC-02"
    assert f"规则 {body['rule']}：{body['source']}" in body["detail_zh"]
    assert [(one["code"], one["field"]) for one in body["also"]] == [("contract_required", "contract_version")]
    assert all(one["rule"] in one["detail"] and one["source"] in one["detail"] for one in body["also"])
    remote = await made(live, "/v1/sales", **order(sold, channel="remote"))
    told = problem(
        await ask(live, f"/v1/sales/{remote['id']}/payments", amount_fen=48_000, method="cash"), 422, "cash_refused",
        "method",
    )  # fmt: skip
    assert "CN-SP-CASH-03" in told["detail"]
    assert (await live.get(f"/v1/sales/{remote['id']}")).json()["paid_fen"] == 0
    cancelled = await made(live, f"/v1/sales/{remote['id']}/cancel", reason="不要了")
    assert cancelled["status"] == "cancelled"


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"lines": []}, "invalid_field", "lines"),
        ({"line": {"face_fen": 0}}, "invalid_field", "lines[0].face_fen"),
        ({"line": {"price_fen": 50_001}}, "invalid_field", "lines[0].price_fen"),
        ({"line": {"card_count": None}}, "invalid_field", "lines[0].card_ids"),
        ({"line": {"card_count": 2_001}}, "invalid_field", "lines[0].card_count"),
        ({"line": {"face_fen": 60_000}}, "face_value_not_allowed", "lines[0].face_fen"),
        ({"line": {"batch_id": f"bat_{UNKNOWN}"}}, "not_found", "lines[0].batch_id"),
        ({"line": {"programme_id": f"prog_{UNKNOWN}"}}, "not_found", "lines[0].programme_id"),
        ({"line": {"card_count": None, "card_ids": [f"card_{UNKNOWN}"]}}, "not_found", "lines[0].card_ids[0]"),
        ({"line": {"colour": "red"}}, "invalid_field", "lines[0].colour"),
        ({"customer_id": f"cus_{UNKNOWN}"}, "not_found", "customer_id"),
        ({"buyer": "robot"}, "invalid_field", "buyer"),
        ({"channel": "pigeon"}, "invalid_field", "channel"),
    ],
)
async def test_a_bad_order_is_refused_by_its_field(
    live: httpx.AsyncClient, change: dict[str, Any], code: str, field: str
) -> None:
    asked = order(await programme(live), **change)
    response = await ask(live, "/v1/sales", **asked)
    assert response.status_code in (400, 404, 422), response.text
    problem(response, response.status_code, code, field)
    assert (await live.get("/v1/sales")).json()["data"] == []


async def test_lists_are_narrowed_and_cut(live: httpx.AsyncClient) -> None:
    sold = await programme(live)
    ids = [(await made(live, "/v1/sales", **order(sold, reference=f"r{n}")))["id"] for n in range(3)]

    async def found(**query: Any) -> list[str]:
        answer = await live.get("/v1/sales", params=query)
        assert answer.status_code == 200, answer.text
        return [one["id"] for one in answer.json()["data"]]

    assert await found() == ids[::-1]
    assert await found(reference="r1") == [ids[1]]
    assert await found(status="open") == ids[::-1]
    assert await found(status="paid") == []
    assert await found(customer_id=f"cus_{UNKNOWN}") == []
    assert await found(card_id=f"card_{UNKNOWN}") == []
    page = (await live.get("/v1/sales", params={"limit": 2})).json()
    rest = await found(limit=2, cursor=page["next_cursor"])
    assert [one["id"] for one in page["data"]] + rest == ids[::-1]


async def test_who_bought_is_revealed_with_a_reason_and_a_trace(api: Api) -> None:
    book = (await api.books())[Mode.LIVE]
    live = await api.client_of(book)
    sold = await programme(live)
    sale = await made(live, "/v1/sales", **order(sold))
    address = f"/v1/sales/{sale['id']}"
    problem(await live.post(f"{address}/purchaser", json={"reason": "核查"}), 404, "not_found", "id")
    await made(live, f"{address}/payments", amount_fen=48_000, **TRANSFER)
    shown = (await live.post(f"{address}/purchaser", json={"reason": "核查"})).json()
    assert (shown["buyer"], shown["agent"]) == (None, None)
    assert shown["accounts"][0]["payer"] == TRANSFER["payer"]
    trail = (await live.get("/v1/audit-trail", params={"subject": sale["id"]})).json()["data"]
    assert [one["kind"] for one in trail] == ["purchaser.revealed", "sale.paid", "sale.created"]
    assert "6222020200012345678" not in str(trail)

    clerk = await api.client_of(book, Scope.SALES_WRITE, Scope.SALES_READ)
    for path, body in ((f"{address}/purchaser", {"reason": "x"}), (f"{address}/refund", {"reason": "x"})):
        problem(await ask(clerk, path, **body), 403, "forbidden")
    other = await api.client_of((await api.books())[Mode.LIVE])
    for path in (address, f"{address}/cards"):
        problem(await other.get(path), 404, "not_found", "id")
    problem(await ask(other, f"{address}/refund", reason="x"), 404, "not_found", "id")
