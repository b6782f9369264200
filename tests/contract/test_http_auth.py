"""Who is let in, and how far: keys, modes, scopes, tenants."""

import logging

import pytest
from tests.contract.api import Api, problem

from kaquan.doors.http.operation import operation_of
from kaquan.parties import Mode, Scope, revoke_key

MERCHANT = {"code": "m1", "name": "红旗连锁", "trade": "grocery"}


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic a2FxdWFuOng=",
        "kq_live_x",
        "Bearer kq_live_x",
        f"Bearer kq_live_{'0' * 32}_{'A' * 43}",
        "Bearer \xff\xfe",
    ],
)
async def test_without_a_key_nothing_is_said(api: Api, authorization: str | None) -> None:
    headers = [] if authorization is None else [(b"authorization", authorization.encode("latin-1"))]
    response = await api.client().get("/v1/merchants", headers=headers)
    problem(response, 401, "unauthenticated")
    assert response.headers["www-authenticate"].startswith("Bearer")


async def test_a_key_is_one_book_in_one_mode(api: Api) -> None:
    books = await api.books()
    token = (await api.key(books[Mode.LIVE])).token
    foreign = (await api.key(books[Mode.TEST])).token
    head, mode, key_id, secret = token.split("_", 3)
    assert (await api.client(token).get("/v1/merchants")).status_code == 200
    for wrong in (
        f"{head}_test_{key_id}_{secret}",
        f"{head}_{mode}_{key_id}_{foreign.split('_', 3)[3]}",
        f"{head}_{mode}_{key_id}_{secret[:-1]}",
    ):
        problem(await api.client(wrong).get("/v1/merchants"), 401, "unauthenticated")


async def test_a_new_key_works_at_once_and_a_revoked_one_stops(api: Api) -> None:
    book = (await api.books())[Mode.LIVE]
    key = await api.key(book)
    client = api.client(key.token)
    assert (await client.get("/v1/merchants")).status_code == 200
    await revoke_key(api.app.pool, api.app.clock, api.app.ids, book_id=book.id, key_id=key.key.id)
    await api.app.directory.refresh()
    problem(await client.post("/v1/merchants", json=MERCHANT), 401, "unauthenticated")
    assert (await (await api.client_of(book)).get("/v1/merchants")).json()["data"] == []


async def test_a_scope_is_asked_for(api: Api) -> None:
    book = (await api.books())[Mode.LIVE]
    reader = await api.client_of(book, Scope.MERCHANTS_READ)
    body = problem(await reader.post("/v1/merchants", json=MERCHANT), 403, "forbidden")
    assert "merchants:write" in body["detail"]
    assert (await reader.get("/v1/merchants")).json()["data"] == []
    writer = await api.client_of(book, Scope.MERCHANTS_WRITE)
    assert (await writer.post("/v1/merchants", json=MERCHANT)).status_code == 201
    problem(await writer.get("/v1/merchants"), 403, "forbidden")


async def test_the_scope_is_checked_before_the_body_is_read(api: Api) -> None:
    reader = await api.client_of((await api.books())[Mode.LIVE], Scope.MERCHANTS_READ)
    problem(await reader.post("/v1/merchants", content=b"{"), 403, "forbidden")


def test_only_these_addresses_ask_for_no_key(api: Api) -> None:
    public = set()
    for route in api.litestar.routes:
        for handler in getattr(route, "route_handlers", []):
            operation = operation_of(handler)
            if operation is not None and operation.scope is None:
                public.add(route.path)
    log = {"/log/checkpoint", "/log/keys", "/log/keys/announcements", "/log/tile/{level:str}/{place:path}"}
    log |= {"/log/sm/checkpoint", "/log/sm/tile/{level:str}/{place:path}"}
    assert public == {"/healthz", "/readyz", "/metrics", "/v1/openapi.json", *log}


async def test_tenants_and_modes_never_meet(api: Api) -> None:
    mine, theirs = await api.books(), await api.books()
    client = await api.client_of(mine[Mode.LIVE])
    merchant = (await client.post("/v1/merchants", json=MERCHANT)).json()
    store = (
        await client.post("/v1/stores", json={"merchant_id": merchant["id"], "code": "s1", "name": "一号店"})
    ).json()
    terminal = (await client.post("/v1/terminals", json={"store_id": store["id"], "code": "t1"})).json()
    issuer = (
        await client.post("/v1/issuers", json={"code": "i1", "name": "发卡方", "time_zone": "Asia/Shanghai"})
    ).json()
    addresses = [
        f"/v1/merchants/{merchant['id']}",
        f"/v1/stores/{store['id']}",
        f"/v1/terminals/{terminal['id']}",
        f"/v1/issuers/{issuer['id']}",
    ]
    for book in (mine[Mode.TEST], theirs[Mode.LIVE], theirs[Mode.TEST]):
        stranger = await api.client_of(book)
        for address in addresses:
            problem(await stranger.get(address), 404, "not_found", "id")
            listed = await stranger.get(address.rpartition("/")[0])
            assert listed.json() == {"data": [], "next_cursor": None}
        for address in (addresses[0], addresses[1], addresses[3]):
            problem(await stranger.patch(address, json={"name": "stolen"}), 404, "not_found", "id")
        problem(await stranger.post(f"{addresses[2]}/block"), 404, "not_found", "id")
        problem(
            await stranger.post("/v1/stores", json={"merchant_id": merchant["id"], "code": "x", "name": "x"}),
            404,
            "not_found",
            "merchant_id",
        )
        problem(
            await stranger.post("/v1/terminals", json={"store_id": store["id"], "code": "x"}),
            404,
            "not_found",
            "store_id",
        )
    for address, made in zip(addresses, (merchant, store, terminal, issuer), strict=True):
        assert (await client.get(address)).json() == made
        assert (await client.get(address.rpartition("/")[0])).json()["data"] == [made]


async def test_no_token_is_logged(
    api: Api, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    token = (await api.key((await api.books())[Mode.LIVE])).token
    client = api.client(token)
    await client.get("/v1/merchants")
    await api.app.pool.close()  # what is unexpected is logged too
    problem(await client.post("/v1/merchants", json=MERCHANT), 503, "unavailable")
    said = capfd.readouterr()
    secret = token.split("_", 3)[3]
    assert secret not in caplog.text + said.out + said.err
