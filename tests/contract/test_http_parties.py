"""``/v1/issuers``, ``/v1/merchants``, ``/v1/stores``, ``/v1/terminals`` as a client sees them."""

from typing import Any

import httpx
import pytest
from tests.contract.api import problem


async def made(client: httpx.AsyncClient, path: str, **body: Any) -> dict[str, Any]:
    response = await client.post(path, json=body)
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def test_a_place_is_built_and_read_back(live: httpx.AsyncClient) -> None:
    issuer = await made(live, "/v1/issuers", code="i1", name="发卡方", time_zone="Asia/Shanghai")
    merchant = await made(live, "/v1/merchants", code="m1", name="红旗连锁")
    store = await made(live, "/v1/stores", merchant_id=merchant["id"], code="s1", name="一号店")
    terminal = await made(live, "/v1/terminals", store_id=store["id"], code="t1")
    legal = {"legal_name", "legal_code", "group_code", "brand"}
    filing = {"issuer_class", "province", "filing_number", "filed_on", "business_started_on", "calendar"}
    assert set(issuer) == {"id", "code", "name", "time_zone", "created_at", "payment_licence", *legal, *filing}
    assert set(merchant) == {"id", "code", "name", "trade", "created_at", *legal}
    assert set(store) == {
        "id", "merchant_id", "code", "name", "created_at", "trade", "latitude_udeg", "longitude_udeg", "district",
    }  # fmt: skip
    assert set(terminal) == {"id", "store_id", "code", "status", "created_at"}
    assert merchant["created_at"].endswith("Z")
    assert (merchant["trade"], terminal["status"]) == (None, "active")
    for path, thing in (
        ("issuers", issuer),
        ("merchants", merchant),
        ("stores", store),
        ("terminals", terminal),
    ):
        response = await live.get(f"/v1/{path}/{thing['id']}")
        assert (response.status_code, response.json()) == (200, thing)
        assert response.headers["cache-control"] == "no-store"
        assert (await live.get(f"/v1/{path}?code={thing['code']}")).json()["data"] == [thing]


async def test_a_code_is_taken_once(live: httpx.AsyncClient) -> None:
    merchant = await made(live, "/v1/merchants", code="m1", name="first")
    response = await live.post("/v1/merchants", json={"code": "m1", "name": "second"})
    body = problem(response, 409, "already_exists", "code")
    assert merchant["id"] in body["detail"]
    assert merchant["id"] in body["detail_zh"]
    assert (await live.get("/v1/merchants")).json()["data"] == [merchant]


async def test_an_unknown_time_zone_is_refused(live: httpx.AsyncClient) -> None:
    response = await live.post("/v1/issuers", json={"code": "i", "name": "n", "time_zone": "Mars/Base"})
    problem(response, 400, "invalid_field", "time_zone")
    assert (await live.get("/v1/issuers")).json()["data"] == []


async def test_names_change_and_codes_do_not(live: httpx.AsyncClient) -> None:
    merchant = await made(live, "/v1/merchants", code="m1", name="old", trade="grocery")
    address = f"/v1/merchants/{merchant['id']}"
    assert (await live.patch(address, json={})).json() == merchant
    changed = (await live.patch(address, json={"name": "new"})).json()
    assert changed == {**merchant, "name": "new"}
    problem(await live.patch(address, json={"code": "m2"}), 400, "invalid_field", "code")
    problem(await live.patch(address, json={"name": None}), 400, "invalid_field", "name")
    assert (await live.get(address)).json() == changed


async def test_a_terminal_is_blocked_and_unblocked(live: httpx.AsyncClient) -> None:
    merchant = await made(live, "/v1/merchants", code="m1", name="红旗连锁")
    store = await made(live, "/v1/stores", merchant_id=merchant["id"], code="s1", name="一号店")
    terminal = await made(live, "/v1/terminals", store_id=store["id"], code="t1")
    address = f"/v1/terminals/{terminal['id']}"
    for verb, status in (
        ("block", "blocked"),
        ("block", "blocked"),
        ("unblock", "active"),
        ("unblock", "active"),
    ):
        response = await live.post(f"{address}/{verb}")
        assert (response.status_code, response.json()) == (200, {**terminal, "status": status})
    problem(await live.post(f"/v1/terminals/term_{'0' * 32}/block"), 404, "not_found", "id")


@pytest.mark.parametrize("limit", [1, 3, 4, 5, 12, 200])
async def test_pages_are_complete(live: httpx.AsyncClient, limit: int) -> None:
    merchants = [await made(live, "/v1/merchants", code=f"m{number}", name="x") for number in range(12)]
    seen: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = (await live.get(f"/v1/merchants?limit={limit}{cursor}")).json()
        assert 0 < len(page["data"]) <= limit
        seen += page["data"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == merchants[::-1]


async def test_lists_are_narrowed(live: httpx.AsyncClient) -> None:
    first = await made(live, "/v1/merchants", code="m1", name="红旗连锁")
    second = await made(live, "/v1/merchants", code="m2", name="江都")
    store = await made(live, "/v1/stores", merchant_id=second["id"], code="s1", name="一号店")
    terminal = await made(live, "/v1/terminals", store_id=store["id"], code="t1")

    async def listed(path: str) -> Any:
        return (await live.get(path)).json()["data"]

    assert await listed("/v1/merchants?name=红旗") == [first]
    assert await listed(f"/v1/merchants?created_after={first['created_at']}") == [second]
    assert await listed(f"/v1/merchants?created_before={second['created_at']}") == [first]
    assert await listed(f"/v1/stores?merchant_id={second['id']}") == [store]
    assert await listed(f"/v1/stores?merchant_id={first['id']}") == []
    assert await listed(f"/v1/terminals?merchant_id={second['id']}&status=active") == [terminal]
    assert await listed(f"/v1/terminals?store_id={store['id']}&status=blocked") == []
