"""Buyers are held against lists that two people put into force."""

from typing import Any

import httpx
import pytest
from tests.contract.api import Api, problem
from tests.contract.office import Office
from tests.contract.test_http_sales import order, programme

WANG = {"kind": "resident_id", "number": "11010519491231002X"}


@pytest.fixture
async def office(api: Api) -> Office:
    return await Office.open(api)


async def upload(office: Office, text: str, action: str = "refuse", name: str = "制裁名单") -> httpx.Response:
    return await office.li.post(
        "/v1/buyer-lists",
        params={"name": name, "source": "公告〔2026〕1号", "listed_on": "2026-01-05", "action": action},
        content=text.encode(),
    )


async def change(office: Office, list_id: str, do: str, **body: Any) -> httpx.Response:
    return await office.li.post(f"/v1/buyer-lists/{list_id}/{do}", json=body)


async def in_force(office: Office, text: str, action: str = "refuse", name: str = "制裁名单") -> str:
    made = (await upload(office, text, action, name)).json()["buyer_list"]
    approval = await office.approval("buyer_list", made["id"], {"do": "apply"})
    done = await change(office, made["id"], "apply", approval_id=approval)
    assert (done.status_code, done.json()["status"]) == (200, "active"), done.text
    return str(made["id"])


async def buy(office: Office, sold: str, customer: str | None) -> httpx.Response:
    body = order(sold) if customer is None else order(sold, customer_id=customer)
    return await office.system.post("/v1/sales", json=body, headers={"idempotency-key": office.api.app.ids.new().hex})


async def person(office: Office, name: str, **more: Any) -> str:
    return str((await office.make("/v1/customers", name=name, **more))["id"])


async def test_a_list_is_kept_whole_applied_by_two_and_refuses(office: Office) -> None:
    bad = await upload(office, "name,document\n王小明,1\n李雷,E1234567\n")
    assert bad.status_code == 200
    told = bad.json()
    assert (told["buyer_list"], told["line_count"], told["bad_line_count"]) == (None, 2, 1)
    assert [(one["line"], one["column"]) for one in told["problems"]] == [(2, "document")]
    assert (await office.system.get("/v1/buyer-lists")).json()["data"] == []
    problem(await upload(office, "colour\nred\n"), 422, "column_missing", "file")

    sold = await programme(office.system)
    wang = await person(office, "王小明", document=WANG)
    namesake = await person(office, "王 小明")
    other = await person(office, "韩梅梅")
    made = (await upload(office, "name,document\n王小明,11010519491231002x\n张伟,\n")).json()["buyer_list"]
    assert (made["status"], made["entry_count"]) == ("checked", 2)
    assert (await buy(office, sold, wang)).status_code == 201, "it is not in force"
    problem(await change(office, made["id"], "apply"), 403, "approval_required", "approval_id")
    assert (await office.system.get(f"/v1/buyer-lists/{made['id']}")).json() == made
    problem(await office.system.get(f"/v1/buyer-lists/blst_{'0' * 32}"), 404, "not_found", "id")
    for_end = await office.approval("buyer_list", made["id"], {"do": "end"})
    other_way = await change(office, made["id"], "apply", approval_id=for_end)
    problem(other_way, 409, "approval_for_something_else", "approval_id")
    approval = await office.approval("buyer_list", made["id"], {"do": "apply"})
    assert (await change(office, made["id"], "apply", approval_id=approval)).json()["status"] == "active"
    problem(await change(office, made["id"], "apply", approval_id=approval), 409, "buyer_list_status_forbids", "id")

    count = len((await office.system.get("/v1/sales")).json()["data"])
    told = problem(await buy(office, sold, wang), 403, "buyer_listed", "customer_id")
    assert "公告〔2026〕1号" in told["detail_zh"]
    problem(await buy(office, sold, namesake), 403, "buyer_listed", "customer_id")  # nothing tells them apart
    assert len((await office.system.get("/v1/sales")).json()["data"]) == count
    assert (await buy(office, sold, other)).status_code == 201
    assert (await buy(office, sold, None)).status_code == 201

    async with office.api.app.pool.connection() as connection:
        kept = await (await connection.execute("SELECT * FROM sales_list_entry")).fetchall()
    assert "王小明" not in repr(kept)
    assert "110105" not in repr(kept)
    # the next list of its name takes its place
    later = await in_force(office, "name\n张伟\n")
    listed = {one["id"]: one["status"] for one in (await office.system.get("/v1/buyer-lists")).json()["data"]}
    assert listed == {later: "active", made["id"]: "ended"}
    assert (await buy(office, sold, wang)).status_code == 201
    ended = await office.approval("buyer_list", later, {"do": "end"})
    assert (await change(office, later, "end", approval_id=ended)).json()["status"] == "ended"
    assert [line["kind"] for line in await office.trail("buyer_list.ended")] == ["buyer_list.ended"]


async def test_a_list_that_asks_for_a_look_holds_the_sale(office: Office) -> None:
    sold = await programme(office.system)
    zhang = await person(office, "张伟")
    await in_force(office, "name\n张 伟\n", action="review")
    made = await buy(office, sold, zhang)
    assert (made.status_code, made.json()["review"]) == (201, "pending")
    address, paying = f"/v1/sales/{made.json()['id']}", {"amount_fen": 48_000, "method": "debit_card"}
    headers = {"idempotency-key": "pay"}
    problem(await office.system.post(f"{address}/payments", json=paying, headers=headers), 409, "sale_in_review", "id")
    problem(await office.li.post(f"{address}/clear", json={"reason": "重名"}), 403, "approval_required", "approval_id")
    approval = await office.approval("sale_review", made.json()["id"], {"reason": "重名"})
    cleared = await office.li.post(f"{address}/clear", json={"reason": "重名", "approval_id": approval})
    assert (cleared.status_code, cleared.json()["review"]) == (200, "cleared"), cleared.text
    again = await office.li.post(f"{address}/clear", json={"reason": "重名", "approval_id": approval})
    problem(again, 409, "sale_not_in_review", "id")
    paid = await office.system.post(f"{address}/payments", json=paying, headers={"idempotency-key": "pay-again"})
    assert (paid.status_code, paid.json()["status"]) == (201, "paid"), paid.text
