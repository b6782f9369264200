"""Campaigns over HTTP: written whole, published by two, versioned, ended; and what refuses."""

from typing import Any

import httpx
import pytest
from tests.contract.api import Api, problem
from tests.contract.office import Office

from kaquan.parties import Mode, Scope


@pytest.fixture
async def office(api: Api) -> Office:
    return await Office.open(api)


@pytest.fixture
async def issuer(office: Office) -> str:
    made = await office.make("/v1/issuers", code="i", name="I", time_zone="Asia/Shanghai")
    return str(made["id"])


def file(issuer: str, **told: Any) -> dict[str, Any]:
    """满100减10 over all of this century."""
    return {
        "code": "MAY",
        "name": "五一满减",
        "issuer_id": issuer,
        "starts_at": "2020-05-01T00:00:00",
        "ends_at": "2022-05-06T00:00:00",
        "offers": [{"name": "满100减10", "kind": "amount_off", "params": {"tiers": [[10_000, 1_000]]}}],
        "budgets": [{"name": "总额", "metric": "amount", "maximum": 1_000_000}],
    } | told


LONG = {"starts_at": "2026-01-01T00:00:00", "ends_at": "2028-12-31T00:00:00"}


async def test_a_campaign_is_written_published_by_two_changed_and_ended(office: Office, issuer: str) -> None:
    made = await office.make("/v1/campaigns", **file(issuer, **LONG))
    address = f"/v1/campaigns/{made['id']}"
    assert (made["status"], made["newest"]["version"], made["published"]) == ("draft", 1, None)
    assert made["newest"]["terms"]["offers"][0]["params"]["tiers"] == [[10_000, 1_000]]
    problem(await office.li.post(f"{address}/publish", json={"version": 1}), 403, "approval_required", "approval_id")
    approval_id = await office.approval("campaign", made["id"], {"version": 1})
    published = await office.li.post(f"{address}/publish", json={"version": 1, "approval_id": approval_id})
    assert published.status_code == 200, published.text
    assert published.json()["status"] == "live"
    assert published.json()["published"]["approval_id"] == approval_id
    body = {"version": 1, "approval_id": approval_id}
    problem(await office.li.post(f"{address}/publish", json=body), 409, "campaign_not_in_state")
    better = file(issuer, name="更好", **LONG)
    changed = (await office.li.put(address, json=better)).json()
    assert (changed["newest"]["version"], changed["published"]["version"]) == (2, 1)
    problem(await office.system.post(f"{address}/publish", json={"version": 1}), 409, "campaign_changed", "version")
    assert (await office.system.post(f"{address}/publish", json={"version": 2})).json()["published"]["version"] == 2
    versions = (await office.li.get(f"{address}/versions")).json()["data"]
    assert [(one["version"], one["terms"]["name"]) for one in versions] == [(2, "更好"), (1, "五一满减")]
    problem(await office.li.post(f"{address}/end"), 403, "approval_required", "approval_id")
    ended = (await office.system.post(f"{address}/end")).json()
    assert ended["status"] == "ended"
    assert (await office.system.get(address)).json() == ended
    problem(await office.system.post(f"{address}/end"), 409, "campaign_not_in_state")
    problem(await office.system.put(address, json=file(issuer, **LONG)), 409, "campaign_not_in_state")
    kinds = [row["kind"] for row in (await office.system.get("/v1/audit-trail")).json()["data"]]
    assert [kind for kind in kinds if kind.startswith("campaign.")] == [
        "campaign.ended", "campaign.published", "campaign.changed", "campaign.published", "campaign.created",
    ]  # fmt: skip


async def test_every_fault_of_a_file_is_told_and_nothing_is_stored(office: Office, issuer: str) -> None:
    wrong = file(
        issuer,
        ends_at="2020-04-30T00:00:00",
        offers=[
            {"name": "a", "kind": "amount_off", "params": {"tiers": [[10_000, 1_000], [10_000, 2_000]]}},
            {"name": "b", "kind": "percent_off", "params": {"off_bp": 10_001}},
        ],
    )
    response = await office.system.post("/v1/campaigns", json=wrong)
    assert (response.status_code, response.json()["code"]) == (422, "campaign_file_wrong")
    told = [(one["field"], one["detail_zh"] != "") for one in response.json()["also"]]
    fields = ["ends_at", "offers[0].params.tiers[1].from_fen", "offers[1].params.off_bp"]
    assert told == [(field, True) for field in fields]
    checked = (await office.system.post("/v1/campaigns/check", json=wrong)).json()
    assert [fault["field"] for fault in checked["faults"]] == fields
    assert (await office.system.post("/v1/campaigns/check", json=file(issuer))).json() == {"faults": []}
    assert (await office.system.get("/v1/campaigns")).json()["data"] == []


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"code": "五一"}, "code"),
        ({"issuer_id": "sto_1"}, "issuer_id"),
        ({"offers": "all"}, "offers"),
        ({"colour": "red"}, "colour"),
        ({"control_bp": "10"}, "control_bp"),
    ],
)
async def test_what_is_no_campaign_is_refused_by_field(
    office: Office, issuer: str, told: dict[str, Any], field: str
) -> None:
    problem(await office.system.post("/v1/campaigns", json=file(issuer, **told)), 400, "invalid_field", field)


async def test_a_ceiling_of_the_law_names_its_rule(office: Office, issuer: str) -> None:
    packet = {"from_fen": 100_000_000_00, "least_fen": 1, "most_fen": 50_001_00}
    offers = [{"name": "红包", "kind": "red_packet", "params": packet}]
    response = await office.system.post("/v1/campaigns", json=file(issuer, offers=offers))
    problem(response, 409, "campaign_breaks_rule", "offers[0].params")
    assert "CN-PROMO-01" in response.json()["detail"]
    checked = (await office.system.post("/v1/campaigns/check", json=file(issuer, offers=offers))).json()
    assert [fault["code"] for fault in checked["faults"]] == ["campaign_breaks_rule"]


async def test_a_time_that_is_over_is_not_published(office: Office, issuer: str) -> None:
    made = await office.make("/v1/campaigns", **file(issuer))
    address = f"/v1/campaigns/{made['id']}"
    problem(await office.system.post(f"{address}/publish", json={"version": 1}), 400, "invalid_field", "ends_at")
    assert (await office.system.get(address)).json()["published"] is None


async def test_campaigns_are_of_one_book(api: Api, office: Office, issuer: str) -> None:
    made = await office.make("/v1/campaigns", **file(issuer, **LONG))
    other = await api.client_of((await api.books())[Mode.TEST], *Scope)
    address = f"/v1/campaigns/{made['id']}"
    for answered in (
        await other.get(address),
        await other.get(f"{address}/versions"),
        await other.post(f"{address}/publish", json={"version": 1}),
        await other.post(f"{address}/end"),
    ):
        problem(answered, 404, "not_found", "id")
    problem(await other.post("/v1/campaigns", json=file(issuer)), 404, "not_found", "issuer_id")
    assert (await other.get("/v1/campaigns")).json()["data"] == []
    listed = (await office.system.get("/v1/campaigns", params={"code": "MAY", "issuer_id": issuer})).json()["data"]
    assert listed == [made]


async def test_a_code_is_used_once(office: Office, issuer: str) -> None:
    await office.make("/v1/campaigns", **file(issuer))
    problem(await office.system.post("/v1/campaigns", json=file(issuer)), 409, "already_exists", "code")


async def test_the_stacking_policy_is_changed_by_two(office: Office) -> None:
    before = (await office.system.get("/v1/stacking-policy")).json()
    assert before == {"max_discount_bp": 10_000, "max_discount_fen": None, "max_offers": None, "max_day_fen": None}
    wanted = {"max_discount_bp": 5_000, "max_offers": 3}
    problem(await office.li.put("/v1/stacking-policy", json=wanted), 403, "approval_required", "approval_id")
    assert (await office.system.get("/v1/stacking-policy")).json() == before
    approval_id = await office.approval("campaign", f"camp_{0:032x}", wanted)
    changed = await office.li.put("/v1/stacking-policy", json={**wanted, "approval_id": approval_id})
    assert changed.json() == before | wanted
    assert (await office.system.get("/v1/stacking-policy")).json() == before | wanted


async def test_every_kind_tells_its_parameters(office: Office) -> None:
    kinds = (await office.system.get("/v1/offer-kinds")).json()["data"]
    assert {"amount_off", "red_packet", "fixed_price"} <= {kind["name"] for kind in kinds}
    assert all(kind["params"]["$defs"] for kind in kinds)
    assert {kind["prices"] for kind in kinds} == {"purchase", "load"}


async def test_without_the_scope_nothing_is_written_or_read(api: Api, issuer: str) -> None:
    nobody = await api.client_of((await api.books())[Mode.LIVE], Scope.PAYMENTS_READ)
    assert isinstance(nobody, httpx.AsyncClient)
    problem(await nobody.post("/v1/campaigns", json=file(issuer)), 403, "forbidden")
    problem(await nobody.get("/v1/campaigns"), 403, "forbidden")
