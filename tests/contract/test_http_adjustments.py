"""``/v1/adjustments``: corrections by hand, always by two."""

import asyncio
from typing import Any

import httpx
import pytest
from tests.contract.api import Api, problem
from tests.contract.office import Office

from kaquan.parties import Mode, Scope

UNKNOWN = "0" * 32


@pytest.fixture
async def office(api: Api) -> Office:
    return await Office.open(api)


def wanted(card: str, **changes: Any) -> dict[str, Any]:
    return {
        "card_id": card,
        "pocket": "principal",
        "direction": "credit",
        "amount_fen": 1_500,
        "reason": "load_error",
        "note": "少充一笔，见工单 17",
        **changes,
    }


async def adjust(client: httpx.AsyncClient, key: str, body: dict[str, Any], **more: Any) -> httpx.Response:
    return await client.post("/v1/adjustments", json={**body, **more}, headers={"idempotency-key": key})


async def pockets(office: Office, card: str) -> dict[str, int]:
    rows = (await office.system.get(f"/v1/cards/{card}/accounts")).json()["data"]
    return {row["pocket"]: row["posted_fen"] for row in rows}


async def made(office: Office, card: str, **changes: Any) -> dict[str, Any]:
    """An adjustment as two made it."""
    body = wanted(card, **changes)
    approved = await office.approval("adjustment", card, body)
    response = await adjust(office.li, approved, body, approval_id=approved)
    assert response.status_code == 201, response.text
    shown: dict[str, Any] = response.json()
    return shown


async def test_two_adjust_a_card_and_everybody_sees_it(office: Office) -> None:
    card = await office.card(await office.programme(), load_fen=1_000, bonus_fen=100)
    body = wanted(card)
    approved = await office.approval("adjustment", card, body)
    response = await adjust(office.li, "a1", body, approval_id=approved)
    assert response.status_code == 201, response.text
    credit = response.json()
    assert {name: credit[name] for name in body} == body
    assert (credit["approval_id"], credit["currency"]) == (approved, "CNY")
    again = await adjust(office.li, "a1", body, approval_id=approved)
    assert (again.status_code, again.content) == (201, response.content), "byte for byte"
    assert await pockets(office, card) == {"principal": 2_500, "bonus": 100}

    debit = await made(office, card, pocket="bonus", direction="debit", amount_fen=100, reason="dispute", note="撤销")
    assert await pockets(office, card) == {"principal": 2_500, "bonus": 0}

    listed = "/v1/adjustments"
    for query, expected in (
        ("", [debit, credit]),
        (f"?card_id={card}", [debit, credit]),
        ("?reason=dispute", [debit]),
        ("?direction=credit", [credit]),
        ("?limit=1", [debit]),
        (f"?card_id=card_{UNKNOWN}", []),
    ):
        assert (await office.system.get(listed + query)).json()["data"] == expected
    assert (await office.system.get(f"{listed}/{credit['id']}")).json() == credit
    problem(await office.system.get(f"{listed}/txn_{UNKNOWN}"), 404, "not_found", "id")

    # the timeline, the statement and the trail tell of it
    items = (await office.system.get(f"/v1/cards/{card}/timeline")).json()["data"][:2]
    assert [(one["id"], one["kind"], one["title_zh"], one["amount_fen"], one["reference"]) for one in items] == [
        (debit["id"], "adjustment", "人工调账", -100, "撤销"),
        (credit["id"], "adjustment", "人工调账", 1_500, body["note"]),
    ]
    transaction = (await office.system.get(f"/v1/transactions/{credit['id']}")).json()
    assert [(entry["debit"]["kind"], entry["credit"]["kind"]) for entry in transaction["entries"]] == [
        ("adjustments", "card_principal")
    ]
    account = next(
        row for row in (await office.system.get(f"/v1/cards/{card}/accounts")).json()["data"]
        if row["pocket"] == "principal"
    )  # fmt: skip
    lines = (await office.system.get(f"/v1/accounts/{account['id']}/statement")).json()["data"]
    assert ("adjustment", 1_500) in [(line["kind"], line["amount_fen"]) for line in lines]
    told = await office.trail("card.adjusted")
    assert [(row["subject"], row["after"]["transaction_id"]) for row in told] == [
        (card, debit["id"]), (card, credit["id"]),
    ]  # fmt: skip
    assert all(row["operator_id"] is not None for row in told)


async def test_nobody_adjusts_alone_not_even_a_system(office: Office) -> None:
    card = await office.card(await office.programme(), load_fen=1_000)
    body = wanted(card)
    problem(await office.li.post("/v1/adjustments", json=body), 400, "idempotency_key_missing", "Idempotency-Key")
    problem(await adjust(office.li, "1", body), 403, "approval_required", "approval_id")
    problem(await adjust(office.system, "2", body), 403, "approval_required", "approval_id")
    proposed = await office.proposal("adjustment", card, body)
    problem(await adjust(office.li, "3", body, approval_id=proposed), 409, "approval_not_approved", "approval_id")
    await office.approve(proposed)
    changes: list[dict[str, Any]] = [{"amount_fen": 1_501}, {"reason": "dispute"}, {"note": "x"}]
    for number, change in enumerate(changes):
        refused = await adjust(office.li, f"4-{number}", body | change, approval_id=proposed)
        problem(refused, 409, "approval_for_something_else", "approval_id")
    unknown = await adjust(office.li, "5", body, approval_id=f"appr_{UNKNOWN}")
    problem(unknown, 404, "not_found", "approval_id")
    assert await pockets(office, card) == {"principal": 1_000, "bonus": 0}
    assert (await office.system.get("/v1/adjustments")).json()["data"] == []
    assert await office.trail("card.adjusted") == []
    # a system carries out what two agreed on
    assert (await adjust(office.system, "6", body, approval_id=proposed)).status_code == 201
    # once, whatever the key
    problem(await adjust(office.li, "7", body, approval_id=proposed), 409, "approval_not_approved", "approval_id")
    assert await pockets(office, card) == {"principal": 2_500, "bonus": 0}


async def test_the_floor_the_cap_and_the_card_hold(office: Office) -> None:
    programme = await office.programme(max_balance_fen=2_000)
    card = await office.card(programme, load_fen=1_000)
    issued = await office.make("/v1/cards", programme_id=programme["id"], form="digital")
    impossible: list[tuple[str, dict[str, Any], int, str, str]] = [
        (card, {"amount_fen": 1_001}, 409, "adjustment_exceeds_cap", "amount_fen"),
        (card, {"direction": "debit", "amount_fen": 1_001}, 409, "adjustment_exceeds_balance", "amount_fen"),
        (card, {"direction": "debit", "pocket": "bonus"}, 409, "adjustment_exceeds_balance", "amount_fen"),
        (card, {"pocket": "restricted"}, 400, "invalid_field", "pocket"),
        (issued["id"], {}, 409, "card_not_active", "card_id"),
        (f"card_{UNKNOWN}", {}, 404, "not_found", "card_id"),
    ]
    for number, (subject, change, status, code, field) in enumerate(impossible):
        body = wanted(subject, **change)
        approved = await office.approval("adjustment", subject, body)
        problem(await adjust(office.li, str(number), body, approval_id=approved), status, code, field)
        assert await office.status_of(approved) == "approved", "what is refused uses nothing"
    malformed: list[tuple[dict[str, Any], str]] = [
        ({"amount_fen": 0}, "amount_fen"),
        ({"amount_fen": -1}, "amount_fen"),
        ({"amount_fen": "5"}, "amount_fen"),
        ({"direction": "both"}, "direction"),
        ({"reason": "because"}, "reason"),
        ({"note": ""}, "note"),
        ({"note": "a\nb"}, "note"),
        ({"pocket": "points"}, "pocket"),
        ({"balance_fen": 5}, "balance_fen"),
    ]
    for number, (change, field) in enumerate(malformed):
        problem(await adjust(office.li, f"bad-{number}", wanted(card) | change), 400, "invalid_field", field)
    assert await pockets(office, card) == {"principal": 1_000, "bonus": 0}
    assert (await office.system.get("/v1/adjustments")).json()["data"] == []
    # a blocked card can be wrong too
    await office.make(f"/v1/cards/{card}/block", reason="risk")
    await made(office, card, direction="debit", amount_fen=1_000)
    assert await pockets(office, card) == {"principal": 0, "bonus": 0}


async def test_debits_that_race_never_go_below_nothing(office: Office) -> None:
    card = await office.card(await office.programme(), load_fen=1_000)
    bodies = [wanted(card, direction="debit", amount_fen=400, note=f"n{number}") for number in range(5)]
    approvals = [await office.approval("adjustment", card, body) for body in bodies]
    answers = await asyncio.gather(
        *(
            adjust(office.li, approval_id, body, approval_id=approval_id)
            for body, approval_id in zip(bodies, approvals, strict=True)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [201, 201, 409, 409, 409]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"adjustment_exceeds_balance"}
    assert await pockets(office, card) == {"principal": 200, "bonus": 0}
    assert sorted([await office.status_of(one) for one in approvals]) == ["approved"] * 3 + ["executed"] * 2


async def test_one_approval_under_many_keys_adjusts_once(office: Office) -> None:
    card = await office.card(await office.programme(), load_fen=1_000)
    body = wanted(card)
    approved = await office.approval("adjustment", card, body)
    answers = await asyncio.gather(*(adjust(office.li, f"k{n}", body, approval_id=approved) for n in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert await pockets(office, card) == {"principal": 2_500, "bonus": 0}


async def test_scopes_and_books_keep_apart(office: Office, api: Api) -> None:
    card = await office.card(await office.programme(), load_fen=1_000)
    credit = await made(office, card)
    reader = await api.client_of(office.book, Scope.PAYMENTS_READ)
    problem(await adjust(reader, "1", wanted(card)), 403, "forbidden")
    writer = await api.client_of(office.book, Scope.ADJUSTMENTS_WRITE)
    problem(await writer.get("/v1/adjustments"), 403, "forbidden")
    stranger = await api.client_of((await api.books())[Mode.LIVE])
    assert (await stranger.get("/v1/adjustments")).json()["data"] == []
    problem(await stranger.get(f"/v1/adjustments/{credit['id']}"), 404, "not_found", "id")
