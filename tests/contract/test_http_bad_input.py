"""Whatever a client sends, it is told which field is wrong and what it allows; nothing is done."""

from typing import Any

import httpx
import msgspec
import pytest
from tests.contract.api import MAX_BODY_BYTES, Api, problem

from kaquan.doors.http.application import create_litestar

MERCHANT = {"code": "m1", "name": "红旗连锁"}


async def nothing_was_made(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/merchants")).json() == {"data": [], "next_cursor": None}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({**MERCHANT, "code": 1}, "code"),
        ({**MERCHANT, "code": None}, "code"),
        ({**MERCHANT, "code": ""}, "code"),
        ({**MERCHANT, "code": "a b"}, "code"),
        ({**MERCHANT, "code": "a\n"}, "code"),
        ({**MERCHANT, "code": "é"}, "code"),
        ({**MERCHANT, "code": "x" * 65}, "code"),
        ({**MERCHANT, "name": ""}, "name"),
        ({**MERCHANT, "name": "a\u0000b"}, "name"),
        ({**MERCHANT, "name": "a\n"}, "name"),
        ({**MERCHANT, "name": "名" * 201}, "name"),
        ({**MERCHANT, "name": ["a"]}, "name"),
        ({**MERCHANT, "trade": 10**400}, "trade"),
        ({"code": "m1"}, "name"),
        ({}, "code"),
        ({**MERCHANT, "color": "red"}, "color"),
        ({**MERCHANT, "id": "mer_1"}, "id"),
        ([], "body"),
        ("x", "body"),
        (None, "body"),
        (5, "body"),
    ],
)
async def test_a_wrong_field_is_named(live: httpx.AsyncClient, body: Any, field: str) -> None:
    response = await live.post("/v1/merchants", content=msgspec.json.encode(body))
    problem(response, 400, "invalid_field", field)
    await nothing_was_made(live)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"not json",
        b'{"code":"m1","name":"x"} x',
        b'{"code":"m1","name":"\xff\xfe"}',
        b'{"code":"m1","name":"\xed\xa0\x80"}',
        b'{"code":"m1","name":"\\ud800"}',
        b'{"code":"m1","name":"\\ud800 x"}',
        b'{"code":"m1","name":"\\udc00"}',
        b'{"code":"m1","name":NaN}',
        b"\x00",
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        b"code=m1&name=x",
    ],
)
async def test_what_is_not_json_in_utf8_is_refused(live: httpx.AsyncClient, body: bytes) -> None:
    problem(await live.post("/v1/merchants", content=body), 400, "malformed_json")
    await nothing_was_made(live)


async def test_deep_nesting_is_refused(live: httpx.AsyncClient) -> None:
    deep = b'{"code":"m1","name":"x","trade":' + b"[" * 1_500 + b"]" * 1_500 + b"}"
    problem(await live.post("/v1/merchants", content=deep), 400, "invalid_field", "trade")


@pytest.mark.parametrize("announced", [True, False])
async def test_a_large_body_is_refused_at_its_limit(live: httpx.AsyncClient, announced: bool) -> None:
    body = msgspec.json.encode({**MERCHANT, "name": "x" * MAX_BODY_BYTES})

    async def chunks() -> Any:
        for start in range(0, len(body), 100):
            yield body[start : start + 100]

    response = await live.post("/v1/merchants", content=body if announced else chunks())
    told = problem(response, 413, "body_too_large")
    assert str(MAX_BODY_BYTES) in told["detail"]
    await nothing_was_made(live)


async def test_a_body_at_its_limit_is_read(live: httpx.AsyncClient) -> None:
    body = msgspec.json.encode(MERCHANT)
    padded = body + b" " * (MAX_BODY_BYTES - len(body))
    assert (await live.post("/v1/merchants", content=padded)).status_code == 201


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("colour=red", "colour"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=-1", "limit"),
        ("limit=1.5", "limit"),
        ("limit=", "limit"),
        ("limit=" + "9" * 400, "limit"),
        ("limit=%EF%BC%91", "limit"),
        ("limit=1&limit=1", "limit"),
        ("cursor=x", "cursor"),
        ("cursor=%00", "cursor"),
        ("cursor=" + "A" * 5_000, "cursor"),
        ("created_after=yesterday", "created_after"),
        ("created_after=2026-01-31", "created_after"),
        ("created_after=2026-01-31T08:00:00", "created_after"),
        ("created_before=5", "created_before"),
        ("code=%00", "code"),
        ("name=%00", "name"),
        ("name=%ff", "query"),
        ("&".join(f"a{number}=1" for number in range(100)), "query"),
    ],
)
async def test_a_wrong_query_parameter_is_named(live: httpx.AsyncClient, query: str, field: str) -> None:
    url = live.build_request("GET", "/v1/merchants").url.copy_with(raw_path=f"/v1/merchants?{query}".encode())
    problem(await live.get(url), 400, "invalid_field", field)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00"])
async def test_far_times_are_only_times(live: httpx.AsyncClient, moment: str) -> None:
    for parameter in ("created_after", "created_before"):
        assert (await live.get(f"/v1/merchants?{parameter}={moment}")).status_code == 200


async def test_an_enum_says_its_values(live: httpx.AsyncClient) -> None:
    told = problem(await live.get("/v1/terminals?status=broken"), 400, "invalid_field", "status")
    assert "active, blocked" in told["detail"]
    assert "active, blocked" in told["detail_zh"]


async def test_an_unknown_field_says_the_fields(live: httpx.AsyncClient) -> None:
    told = problem(await live.post("/v1/merchants", json={"codes": 1}), 400, "invalid_field", "codes")
    assert "code, name, trade" in told["detail"]


@pytest.mark.parametrize(
    "id_",
    [
        "x",
        "1",
        "sto_" + "0" * 32,
        "mer_" + "0" * 31,
        "mer_" + "0" * 33,
        "mer_" + "G" * 32,
        "mer_" + "A" * 32,
        "mer_%00" + "0" * 31,
        "mer_" + "0" * 32 + "%0A",
        "%ff",
        "x" * 5_000,
    ],
)
async def test_an_id_of_another_kind_is_refused(live: httpx.AsyncClient, id_: str) -> None:
    problem(await live.get(f"/v1/merchants/{id_}"), 400, "invalid_field", "id")
    problem(await live.patch(f"/v1/merchants/{id_}", json={}), 400, "invalid_field", "id")


async def test_an_id_of_another_kind_in_a_body_is_refused(live: httpx.AsyncClient) -> None:
    body = {"merchant_id": "sto_" + "0" * 32, "code": "s1", "name": "x"}
    told = problem(await live.post("/v1/stores", json=body), 400, "invalid_field", "merchant_id")
    assert "mer_" in told["detail"]


async def test_an_unknown_id_is_not_found(live: httpx.AsyncClient) -> None:
    problem(await live.get("/v1/merchants/mer_" + "0" * 32), 404, "not_found", "id")


@pytest.mark.parametrize("path", ["/", "/v1", "/v2/merchants", "/v1/merchants/a/b", "/v1/none", "/schema", "/%00"])
async def test_an_unknown_address_is_not_found(live: httpx.AsyncClient, path: str) -> None:
    problem(await live.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/v1/merchants", "GET, POST"),
        ("PUT", "/v1/merchants/mer_" + "0" * 32, "GET, PATCH"),
        ("OPTIONS", "/v1/merchants", "GET, POST"),
        ("TRACE", "/v1/merchants", "GET, POST"),
        ("BREW", "/v1/merchants", "GET, POST"),
        ("POST", "/healthz", "GET"),
        ("GET", f"/v1/terminals/term_{'0' * 32}/block", "POST"),
    ],
)
async def test_another_method_is_told_the_right_ones(
    live: httpx.AsyncClient, method: str, path: str, allow: str
) -> None:
    response = await live.request(method, path)
    problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == allow


async def test_an_address_served_in_front_is_known(api: Api) -> None:
    api.litestar = create_litestar(api.app, {"/v1/authorizations/{id}/capture": {"post": {"responses": {}}}})
    response = await api.client().get("/v1/authorizations/txn_1/capture")
    problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "POST"


async def test_an_outage_is_said_without_a_traceback(api: Api, live: httpx.AsyncClient) -> None:
    assert (await live.get("/v1/merchants")).status_code == 200
    await api.app.pool.close()
    response = await live.get("/v1/merchants")
    assert problem(response, 503, "unavailable")["retryable"] is True
    assert response.headers["retry-after"] == "1"


async def test_a_bug_is_said_without_its_words(api: Api, live: httpx.AsyncClient) -> None:
    api.litestar.state["kaquan"] = None
    response = await live.get("/v1/merchants")
    problem(response, 500, "internal_error")
    assert "NoneType" not in response.text
