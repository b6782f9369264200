"""Limits over HTTP: set, listed, replaced, ended, refused."""

from typing import Any

import httpx
import pytest
from tests.contract.api import Api, problem

from kaquan.parties import Mode, Scope


@pytest.fixture
async def client(api: Api) -> httpx.AsyncClient:
    return await api.client_of((await api.books())[Mode.TEST], *Scope)


@pytest.fixture
async def programme(client: httpx.AsyncClient) -> str:
    issuer = await client.post("/v1/issuers", json={"code": "i", "name": "I", "time_zone": "Asia/Shanghai"})
    made = await client.post(
        "/v1/programmes",
        json={"issuer_id": issuer.json()["id"], "code": "p", "name": "P", "currency": "CNY", "number_prefix": "8888"},
    )
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


def terms(programme: str, **changes: Any) -> dict[str, Any]:
    return {
        "programme_id": programme,
        "name": "每日",
        "movement": "spend",
        "scope": "card",
        "metric": "amount",
        "period": "day",
        "maximum": 500_00,
    } | changes


async def test_a_limit_is_set_found_replaced_and_ended(client: httpx.AsyncClient, programme: str) -> None:
    night = {"starts": "22:00", "ends": "06:00"}
    made = await client.post("/v1/limits", json=terms(programme, hours=night, holder="unregistered"))
    assert made.status_code == 201, made.text
    first = made.json()
    assert (first["hours"], first["holder"], first["ended_at"]) == (night, "unregistered", None)
    replaced = await client.post(f"/v1/limits/{first['id']}/replace", json=terms(programme, maximum=1))
    second = replaced.json()
    assert (second["replaces_id"], second["maximum"]) == (first["id"], 1)
    listed = (await client.get("/v1/limits", params={"programme_id": programme})).json()["data"]
    assert [row["id"] for row in listed] == [second["id"], first["id"]]
    in_force = (await client.get("/v1/limits", params={"programme_id": programme, "status": "in_force"})).json()["data"]
    assert [row["id"] for row in in_force] == [second["id"]]
    ended = await client.post(f"/v1/limits/{second['id']}/end")
    assert ended.json()["ended_at"] is not None
    assert (await client.post(f"/v1/limits/{second['id']}/end")).json() == ended.json()
    again = await client.post(f"/v1/limits/{second['id']}/replace", json=terms(programme))
    problem(again, 409, "limit_ended")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"period": "trailing"}, "trailing_s"),
        ({"trailing_s": 60}, "trailing_s"),
        ({"period": "transaction", "metric": "count"}, "metric"),
        ({"hours": {"starts": "22:00", "ends": "22:00"}}, "hours"),
        ({"hours": {"starts": "24:00", "ends": "22:00"}}, "hours.starts"),
        ({"maximum": -1}, "maximum"),
        ({"scope": "planet"}, "scope"),
        ({"name": ""}, "name"),
    ],
)
async def test_bad_terms_are_refused_by_field(
    client: httpx.AsyncClient, programme: str, changes: dict[str, Any], field: str
) -> None:
    problem(await client.post("/v1/limits", json=terms(programme, **changes)), 400, "invalid_field", field)
    assert (await client.get("/v1/limits")).json()["data"] == []


async def test_a_limit_is_of_a_programme_of_this_book(api: Api, client: httpx.AsyncClient, programme: str) -> None:
    live = await api.client_of((await api.books())[Mode.LIVE], *Scope)
    problem(await live.post("/v1/limits", json=terms(programme)), 404, "not_found", "programme_id")
    made = (await client.post("/v1/limits", json=terms(programme))).json()
    problem(await live.get(f"/v1/limits/{made['id']}"), 404, "not_found", "id")
    problem(await live.post(f"/v1/limits/{made['id']}/end"), 404, "not_found", "id")
    assert (await client.get(f"/v1/limits/{made['id']}")).json() == made


CIRCLE = {"kind": "within", "latitude_udeg": 31_240_000, "longitude_udeg": 121_490_000, "radius_m": 5_000}
TRAVEL = {"kind": "travel", "max_speed_kmh": 120, "grace_m": 2_000}


async def test_place_rules_are_set_listed_and_ended(client: httpx.AsyncClient, programme: str) -> None:
    named = {"programme_id": programme, "name": "city"}
    circle = (await client.post("/v1/place-rules", json=named | CIRCLE)).json()
    travel = (await client.post("/v1/place-rules", json=named | TRAVEL)).json()
    assert (circle["radius_m"], travel["max_speed_kmh"], travel["radius_m"]) == (5_000, 120, None)
    ended = (await client.post(f"/v1/place-rules/{circle['id']}/end")).json()
    assert ended["ended_at"] is not None
    assert (await client.get(f"/v1/place-rules/{circle['id']}")).json() == ended
    listed = (await client.get("/v1/place-rules", params={"status": "in_force", "programme_id": programme})).json()
    assert listed["data"] == [travel]


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        (CIRCLE | {"radius_m": None}, "radius_m"),
        (CIRCLE | {"grace_m": 5}, "grace_m"),
        (TRAVEL | {"max_speed_kmh": None}, "max_speed_kmh"),
        (TRAVEL | {"latitude_udeg": 1}, "latitude_udeg"),
        (CIRCLE | {"latitude_udeg": 90_000_001}, "latitude_udeg"),
        (CIRCLE | {"kind": "near"}, "kind"),
    ],
)
async def test_bad_place_rules_are_refused_by_field(
    client: httpx.AsyncClient, programme: str, terms: dict[str, Any], field: str
) -> None:
    answered = await client.post("/v1/place-rules", json={"programme_id": programme, "name": "x"} | terms)
    problem(answered, 400, "invalid_field", field)
    assert (await client.get("/v1/place-rules", params={"programme_id": programme})).json()["data"] == []
