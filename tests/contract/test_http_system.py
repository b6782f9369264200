"""Health, readiness, figures and the OpenAPI document."""

import re

import httpx
import msgspec
import psycopg
import pytest
from litestar.routes import HTTPRoute
from tests.contract.api import Api, problem

from kaquan.doors.http.application import create_litestar
from kaquan.doors.http.money import ROUTES
from kaquan.doors.http.openapi import describe_refusals
from kaquan.doors.http.operation import operation_of
from kaquan.doors.http.problems import problem_bytes
from kaquan.kit.outcomes import BUSY, OUTCOMES, Refusal
from kaquan.migrations import newest_revision

_REVISION, _FLOOR = "version_num FROM alembic_version", "revision FROM schema_floor"


async def test_health_needs_no_database_and_readiness_does(api: Api) -> None:
    client = api.client()
    assert (await client.get("/readyz")).json() == {"status": "ok"}
    await api.app.pool.close()
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    problem(await client.get("/readyz"), 503, "unavailable")


@pytest.mark.parametrize(
    ("revision", "floor", "code"),
    [
        ("0028", "0033", "wrong_schema"),
        ("9999", "9999", "release_too_old"),
        ("9999", "0033", None),
    ],
)
async def test_readiness_is_of_the_schema(api: Api, database: str, revision: str, floor: str, code: str | None) -> None:
    with psycopg.connect(database, autocommit=True) as owner:
        kept = [owner.execute(f"SELECT {what}".encode()).fetchone() for what in (_REVISION, _FLOOR)]

        def put(revision: str, floor: str) -> None:
            owner.execute("UPDATE alembic_version SET version_num = %s", (revision,))
            owner.execute("UPDATE schema_floor SET revision = %s", (floor,))

        put(revision, floor)
        try:
            answer = await api.client().get("/readyz")
        finally:
            put(*(row[0] for row in kept if row is not None))
    if code is None:
        assert answer.json() == {"status": "ok"}
    else:
        detail = problem(answer, 503, code)["detail"]
        assert revision in detail
        assert newest_revision() in detail


async def test_requests_are_counted_by_route_not_by_address(live: httpx.AsyncClient) -> None:
    id_ = "mer_" + "0" * 31 + "7"
    await live.get(f"/v1/merchants/{id_}")
    response = await live.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    assert 'kaquan_http_requests_total{method="GET",route="/v1/merchants/{id}",status="404"}' in response.text
    assert 'kaquan_http_request_seconds_count{route="/v1/merchants/{id}"}' in response.text
    assert id_ not in response.text


async def test_the_document_describes_every_route(api: Api) -> None:
    document = (await api.client().get("/v1/openapi.json")).json()
    assert document["openapi"] == "3.1.0"
    described = {(path, method.upper()) for path, item in document["paths"].items() for method in item}
    served = {
        (re.sub(r":\w+", "", route.path_format), method)
        for route in api.litestar.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if operation_of(handler) is not None
        for method in handler.http_methods
    }
    served |= {(route.address, "POST") for route in ROUTES}
    assert described == served
    ids = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    assert len(ids) == len(set(ids))


async def test_every_reference_of_the_document_leads_somewhere(api: Api) -> None:
    document = (await api.client().get("/v1/openapi.json")).json()

    def walk(node: object) -> None:
        if isinstance(node, dict):
            if isinstance(reference := node.get("$ref"), str):
                found = document
                for step in reference.removeprefix("#/").split("/"):
                    found = found[step]
            for inner in node.values():
                walk(inner)
        elif isinstance(node, list):
            for inner in node:
                walk(inner)

    walk(document)


async def test_an_operation_lists_its_refusals(api: Api) -> None:
    document = (await api.client().get("/v1/openapi.json")).json()
    create = document["paths"]["/v1/stores"]["post"]
    codes = {
        status: answer["content"]["application/problem+json"]["schema"]["allOf"][1]["properties"]["code"]["enum"]
        for status, answer in create["responses"].items()
        if status != "201"
    }
    assert codes == {
        "400": ["invalid_field", "malformed_json"],
        "401": ["unauthenticated"],
        "403": ["forbidden", "store_out_of_scope"],
        "404": ["not_found"],
        "409": ["already_exists"],
        "413": ["body_too_large"],
        "500": ["internal_error"],
        "503": ["unavailable"],
    }
    assert create["security"] == [{"key": []}]
    parameters = {parameter["name"]: parameter for parameter in document["paths"]["/v1/stores"]["get"]["parameters"]}
    assert set(parameters) == {
        "limit",
        "cursor",
        "created_after",
        "created_before",
        "merchant_id",
        "code",
        "name",
    }
    assert parameters["limit"]["schema"]["maximum"] == 200


async def test_what_is_served_in_front_is_merged(api: Api) -> None:
    item = {"post": {"operationId": "create_purchase", "responses": describe_refusals([BUSY])}}
    api.litestar = create_litestar(api.app, {"/v1/purchases": item}, {"Purchase": {"type": "object"}})
    document = (await api.client().get("/v1/openapi.json")).json()
    assert document["paths"]["/v1/purchases"]["post"] == item["post"]
    assert document["components"]["schemas"]["Purchase"] == {"type": "object"}
    with pytest.raises(ValueError, match="Problem"):
        create_litestar(api.app, {}, {"Problem": {"type": "object"}})


def test_every_outcome_has_a_whole_problem_document() -> None:
    for outcome in OUTCOMES.values():
        details = dict.fromkeys(("field", "allowed", "what", "value", "existing"), "x")
        fields = {text.split("}")[0] for text in outcome.en.split("{")[1:]}
        refusal = Refusal(outcome, "a_field", {**details, **dict.fromkeys(fields, "x")})
        status, body = problem_bytes(refusal)
        document = msgspec.json.decode(body)
        assert document["status"] == status == outcome.http_status
        assert document["code"] == outcome.code
        assert "{" not in document["detail"] + document["detail_zh"]
