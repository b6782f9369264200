"""``/v1/points`` as a client sees it."""

from typing import Any

import httpx
import pytest
from tests.contract.api import Api, problem
from tests.contract.office import Office
from tests.contract.test_http_vouchers import terms as voucher_terms

from kaquan.parties import Mode, Scope

UNKNOWN = "0" * 32

TERMS: dict[str, Any] = {
    "rules": [{"name": "基本", "points": 1, "per_fen": 100}],
    "multipliers": [{"name": "会员日", "factor_bp": 20_000, "days_of_month": [8, 18, 28], "tiers": ["金"]}],
    "tiers": [{"name": "金", "least": 1_000}],
    "pending_days": 7,
    "valid_years": 1,
    "spend_points": 100,
    "spend_fen": 100,
}


@pytest.fixture
async def office(api: Api) -> Office:
    return await Office.open(api)


async def club(office: Office) -> tuple[dict[str, Any], str]:
    """A programme with points, and a card of it."""
    programme = await office.programme()
    await office.make(f"/v1/points/programmes/{programme['id']}/terms", **TERMS)
    return programme, await office.card(programme)


async def adjust(office: Office, card: str, points: int) -> dict[str, Any]:
    """An adjustment as two made it."""
    body = {"card_id": card, "points": points, "note": "补积分"}
    approved = await office.approval("points_adjustment", card, body)
    told = await send(office.li, "adjustments", approved, body, approval_id=approved)
    assert told.status_code == 201, told.text
    made: dict[str, Any] = told.json()
    return made


async def send(client: httpx.AsyncClient, address: str, key: str, body: dict[str, Any], **more: Any) -> httpx.Response:
    return await client.post(f"/v1/points/{address}", json={**body, **more}, headers={"idempotency-key": key})


async def balance(office: Office, card: str) -> int:
    return int((await office.system.get(f"/v1/points/cards/{card}")).json()["spendable"])


async def test_terms_are_set_in_versions(office: Office) -> None:
    programme = await office.programme()
    address = f"/v1/points/programmes/{programme['id']}/terms"
    assert (await office.system.get(address)).json()["data"] == []
    card = await office.card(programme)
    problem(await office.system.get(f"/v1/points/cards/{card}"), 409, "points_not_offered", "card_id")
    first = await office.make(address, **TERMS)
    assert (first["version"], first["terms"]["rules"][0]["points"]) == (1, 1)
    later = await office.make(address, **{**TERMS, "effective_from": "2036-01-01T00:00:00Z"})
    assert (await office.system.get(address)).json()["data"] == [later, first]
    told = (await office.system.get(f"/v1/points/cards/{card}")).json()
    assert told == {
        "card_id": card, "spendable": 0, "pending": 0, "owed": 0, "next_end": None, "next_end_points": 0, "tier": None,
        "tier_until": None,
    }  # fmt: skip
    for changes, field in (
        ({"rules": [{"name": "x", "points": 1, "per_fen": 0}]}, "rules[0].per_fen"),
        ({"multipliers": [{"name": "x", "factor_bp": 1, "tiers": ["银"]}]}, "multipliers"),
        ({"valid_days": 30}, "valid_days"),
        ({"spend_fen": 0}, "spend_points"),
        ({"effective_from": "2020-01-01T00:00:00Z"}, "effective_from"),
        ({"surprise": 1}, "surprise"),
    ):
        problem(await office.system.post(address, json={**TERMS, **changes}), 400, "invalid_field", field)
    assert len((await office.system.get(address)).json()["data"]) == 2
    unknown = f"/v1/points/programmes/prog_{UNKNOWN}/terms"
    problem(await office.system.post(unknown, json=TERMS), 404, "not_found", "programme_id")


async def test_two_adjust_and_one_is_told_so(office: Office) -> None:
    _, card = await club(office)
    body = {"card_id": card, "points": 500, "note": "补积分"}
    problem(await send(office.li, "adjustments", "a0", body), 403, "approval_required", "approval_id")
    problem(await send(office.system, "adjustments", "a1", body), 403, "approval_required", "approval_id")
    approved = await office.approval("points_adjustment", card, body)
    problem(
        await send(office.li, "adjustments", "a2", {**body, "points": 600}, approval_id=approved),
        409, "approval_for_something_else", "approval_id",
    )  # fmt: skip
    assert await balance(office, card) == 0
    told = await send(office.li, "adjustments", "a3", body, approval_id=approved)
    assert (told.status_code, told.json()["points"]) == (201, 500)
    again = await send(office.li, "adjustments", "a3", body, approval_id=approved)
    assert again.content == told.content, "byte for byte"
    assert await balance(office, card) == 500
    assert (await office.system.get(f"/v1/points/cards/{card}/deeds")).json()["data"] == [told.json()]
    assert [row["subject"] for row in await office.trail("points.adjusted")] == [card]
    taken = await adjust(office, card, -200)
    assert taken["points"] == -200
    problem(await send(office.li, "adjustments", "a4", {**body, "points": 0}), 400, "invalid_field", "points")
    liability = (await office.system.get("/v1/points/liability")).json()
    assert (liability["outstanding"], liability["adjusted"]) == (300, 300)
    before = await office.system.get("/v1/points/liability?at=2020-01-01T00:00:00Z")
    assert before.json()["outstanding"] == 0
    statement = (await office.system.get(f"/v1/transactions/{told.json()['id']}")).json()
    assert [(leg["debit"]["kind"], leg["credit"]["kind"]) for leg in statement["entries"]] == [
        ("points_adjusted", "points")
    ]


async def test_points_are_exchanged_with_a_partner(office: Office) -> None:
    _, card = await club(office)
    await adjust(office, card, 1_000)
    new = {"code": "air", "name": "航空", "currency": "MILES", "out_points": 10, "out_units": 3}
    partner = await office.make("/v1/points/partners", **new)
    assert (await office.system.get("/v1/points/partners?code=air")).json()["data"] == [partner]
    problem(await office.system.post("/v1/points/partners", json=new), 409, "already_exists", "code")
    problem(
        await office.system.post("/v1/points/partners", json={**new, "code": "b", "out_units": None}),
        400, "invalid_field", "out_points",
    )  # fmt: skip
    body = {"card_id": card, "partner_id": partner["id"], "reference": "R1"}
    told = await send(office.system, "exchanges", "e1", body, points=200)
    assert (told.status_code, told.json()["units"], told.json()["partner_id"]) == (201, 60, partner["id"])
    assert (await send(office.system, "exchanges", "e1", body, points=200)).content == told.content
    problem(await send(office.system, "exchanges", "e2", body, points=201), 409, "points_exchange_not_whole", "points")
    problem(await send(office.system, "exchanges", "e3", body, points=900), 409, "points_too_few", "points")
    problem(await send(office.system, "exchanges", "e4", body, units=1), 409, "points_exchange_closed", "partner_id")
    problem(await send(office.system, "exchanges", "e5", body), 400, "invalid_field", "points")
    assert await balance(office, card) == 800


async def test_benefits_are_taken_for_points(office: Office) -> None:
    programme, card = await club(office)
    await adjust(office, card, 100)
    new = {"programme_id": programme["id"], "code": "park", "name": "停车券", "cost_points": 60}
    benefit = await office.make("/v1/points/benefits", **new)
    assert (await office.system.get(f"/v1/points/benefits?programme_id={programme['id']}")).json()["data"] == [benefit]
    problem(await office.system.post("/v1/points/benefits", json=new), 409, "already_exists", "code")
    address = f"benefits/{benefit['id']}/take"
    told = await send(office.system, address, "b1", {"card_id": card})
    assert (told.status_code, told.json()["points"], told.json()["benefit_id"]) == (201, -60, benefit["id"])
    problem(await send(office.system, address, "b2", {"card_id": card}), 409, "points_too_few", "points")
    assert await balance(office, card) == 40
    golden = await office.make("/v1/points/benefits", **{**new, "code": "gold", "tiers": ["金"], "cost_points": 0})
    problem(
        await send(office.system, f"benefits/{golden['id']}/take", "b3", {"card_id": card}),
        409, "points_benefit_not_for_member", "benefit_id",
    )  # fmt: skip
    assert len((await office.system.get(f"/v1/points/cards/{card}/deeds")).json()["data"]) == 2


async def test_a_benefit_may_give_vouchers(office: Office) -> None:
    programme, card = await club(office)
    await adjust(office, card, 100)
    new = {"programme_id": programme["id"], "code": "v", "name": "换券", "cost_points": 60}
    problem(
        await office.system.post("/v1/points/benefits", json={**new, "voucher_count": 2}),
        400, "invalid_field", "voucher_count",
    )  # fmt: skip
    template = await office.make("/v1/voucher-templates", **voucher_terms(programme))
    problem(
        await office.system.post("/v1/points/benefits", json={**new, "template_id": f"vtpl_{UNKNOWN}"}),
        404, "not_found", "template_id",
    )  # fmt: skip
    benefit = await office.make("/v1/points/benefits", **new, template_id=template["id"])
    assert (benefit["template_id"], benefit["voucher_count"]) == (template["id"], 1)
    address = f"benefits/{benefit['id']}/take"
    told = await send(office.system, address, "v1", {"card_id": card})
    assert (told.status_code, told.json()["points"]) == (201, -60)
    again = await send(office.system, address, "v1", {"card_id": card})
    assert again.content == told.content
    held = (await office.system.get(f"/v1/vouchers?card_id={card}")).json()["data"]
    assert [(one["template_id"], one["status"], one["face_fen"]) for one in held] == [(template["id"], "held", 1_000)]
    problem(await send(office.system, address, "v2", {"card_id": card}), 409, "points_too_few", "points")
    assert len((await office.system.get(f"/v1/vouchers?card_id={card}")).json()["data"]) == 1


async def test_books_and_scopes_are_kept_apart(api: Api, office: Office) -> None:
    programme, card = await club(office)
    stranger = await api.client_of((await api.books())[Mode.LIVE])
    problem(await stranger.get(f"/v1/points/cards/{card}"), 404, "not_found", "card_id")
    problem(
        await stranger.post(f"/v1/points/programmes/{programme['id']}/terms", json=TERMS),
        404, "not_found", "programme_id",
    )  # fmt: skip
    reader = await api.client_of(office.book, Scope.POINTS_READ)
    assert (await reader.get(f"/v1/points/cards/{card}")).status_code == 200
    problem(await reader.post("/v1/points/partners", json={}), 403, "forbidden")
