"""What an operator may not do alone: unblocking a card and issuing a batch."""

import asyncio
from typing import Any

import pytest
from tests.contract.api import Api, problem
from tests.contract.office import Office

from kaquan.doors.http.fields import uuid_of
from kaquan.parties import IssuedKey, Scope, issue_key

UNKNOWN = "0" * 32


@pytest.fixture
async def office(api: Api) -> Office:
    return await Office.open(api)


async def test_an_operator_blocks_alone_and_unblocks_with_another(office: Office) -> None:
    card = await office.card(await office.programme())
    address = f"/v1/cards/{card}"
    blocked = (await office.li.post(f"{address}/block", json={"reason": "risk"})).json()
    assert blocked["status"] == "blocked"

    async def still_blocked() -> None:
        assert blocked.items() <= (await office.system.get(address)).json().items()

    problem(await office.li.post(f"{address}/unblock"), 403, "approval_required", "approval_id")
    proposed = await office.proposal("unblocking", card, {})
    with_it = f"{address}/unblock?approval_id={proposed}"
    problem(await office.li.post(with_it), 409, "approval_not_approved", "approval_id")
    await office.approve(proposed)
    await still_blocked()
    for kind, subject, payload in (
        ("unblocking", f"card_{UNKNOWN}", {}),
        ("adjustment", card, {}),
        ("unblocking", card, {"note": "x"}),
    ):
        other = await office.approval(kind, subject, payload)
        refused = await office.li.post(f"{address}/unblock?approval_id={other}")
        problem(refused, 409, "approval_for_something_else", "approval_id")
    unknown = await office.li.post(f"{address}/unblock?approval_id=appr_{UNKNOWN}")
    problem(unknown, 404, "not_found", "approval_id")
    problem(await office.li.post(f"{address}/unblock?approval_id=x"), 400, "invalid_field", "approval_id")
    await still_blocked()

    done = await office.li.post(with_it)
    assert (done.status_code, done.json()["status"]) == (200, "active")
    assert await office.status_of(proposed) == "executed"
    events = (await office.system.get(f"{address}/timeline")).json()["data"]
    assert [event["kind"] for event in events][:2] == ["unblocked", "blocked"]

    # used once: a block of today is not undone by the approval of yesterday
    await office.li.post(f"{address}/block", json={"reason": "risk"})
    problem(await office.li.post(with_it), 409, "approval_not_approved", "approval_id")
    assert (await office.system.get(address)).json()["status"] == "blocked"
    # a system has its own control
    assert (await office.make(f"{address}/unblock"))["status"] == "active"


async def test_a_card_that_is_not_blocked_uses_no_approval(office: Office) -> None:
    card = await office.card(await office.programme())
    approved = await office.approval("unblocking", card, {})
    done = await office.li.post(f"/v1/cards/{card}/unblock?approval_id={approved}")
    assert done.json()["status"] == "active"
    assert await office.status_of(approved) == "approved"


async def test_one_approval_unblocks_once_however_many_ask(office: Office) -> None:
    card = await office.card(await office.programme())
    await office.li.post(f"/v1/cards/{card}/block", json={"reason": "risk"})
    approved = await office.approval("unblocking", card, {})
    address = f"/v1/cards/{card}/unblock?approval_id={approved}"
    answers = await asyncio.gather(*(office.li.post(address) for _ in range(6)))
    assert {answer.json()["status"] for answer in answers if answer.status_code == 200} == {"active"}
    events = (await office.system.get(f"/v1/cards/{card}/timeline")).json()["data"]
    assert [event["kind"] for event in events].count("unblocked") == 1


async def test_an_operator_issues_a_batch_with_another(office: Office) -> None:
    programme = await office.programme(number_prefix="88888888")
    wanted: dict[str, Any] = {"programme_id": programme["id"], "name": "春节", "form": "physical", "card_count": 10}

    async def batches() -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = (await office.system.get("/v1/batches")).json()["data"]
        return rows

    problem(await office.li.post("/v1/batches", json=wanted), 403, "approval_required", "approval_id")
    proposed = await office.proposal("batch_issue", programme["id"], wanted)
    with_it = wanted | {"approval_id": proposed}
    problem(await office.li.post("/v1/batches", json=with_it), 409, "approval_not_approved", "approval_id")
    await office.approve(proposed)
    more = with_it | {"card_count": 11}
    problem(await office.li.post("/v1/batches", json=more), 409, "approval_for_something_else", "approval_id")
    unknown = wanted | {"approval_id": f"appr_{UNKNOWN}"}
    problem(await office.li.post("/v1/batches", json=unknown), 404, "not_found", "approval_id")
    assert (await batches(), await office.trail("batch.created")) == ([], [])
    # what cannot be done uses no approval
    huge = {**wanted, "card_count": 10_001}
    too_many = await office.approval("batch_issue", programme["id"], huge)
    response = await office.li.post("/v1/batches", json=huge | {"approval_id": too_many})
    problem(response, 422, "number_space_too_small", "card_count")
    assert (await office.status_of(too_many), await batches()) == ("approved", [])

    done = await office.li.post("/v1/batches", json=with_it)
    assert done.status_code == 201, done.text
    assert await office.status_of(proposed) == "executed"
    problem(await office.li.post("/v1/batches", json=with_it), 409, "already_exists", "name")
    (told,) = await office.trail("batch.created")
    assert (told["subject"], told["after"]["card_count"]) == (done.json()["id"], 10)

    # a system has its own control; the trail tells of it too
    made = await office.make("/v1/batches", **{**wanted, "name": "端午"})
    assert [batch["id"] for batch in await batches()] == [made["id"], done.json()["id"]]
    assert [row["operator_id"] is None for row in await office.trail("batch.created")] == [True, False]


async def test_an_operator_sets_closing_terms_with_another(office: Office) -> None:
    programme = await office.programme()
    address = f"/v1/programmes/{programme['id']}/closing-terms"
    wanted = {"remind_days": [7, 30], "dormant_months": 12}
    bare = (await office.system.get(address)).json()

    problem(await office.li.put(address, json=wanted), 403, "approval_required", "approval_id")
    proposed = await office.proposal("closing_terms", programme["id"], wanted)
    with_it = wanted | {"approval_id": proposed}
    problem(await office.li.put(address, json=with_it), 409, "approval_not_approved", "approval_id")
    await office.approve(proposed)
    other = with_it | {"dormant_months": 11}
    problem(await office.li.put(address, json=other), 409, "approval_for_something_else", "approval_id")
    # nor does an approval of another change of the programme do
    change = await office.approval("programme_change", programme["id"], wanted)
    response = await office.li.put(address, json=wanted | {"approval_id": change})
    problem(response, 409, "approval_for_something_else", "approval_id")
    problem(await office.li.put(address, json=with_it | {"remind_days": [7, 7]}), 400, "invalid_field", "remind_days")
    assert (await office.system.get(address)).json() == bare
    assert await office.trail("closing_terms.changed") == []

    done = await office.li.put(address, json=with_it)
    assert (done.status_code, await office.status_of(proposed)) == (200, "executed")
    assert (await office.system.get(address)).json() == {
        "remind_days": [30, 7],
        "dormant_months": 12,
        "refund_values": [],
    }
    (told,) = await office.trail("closing_terms.changed")
    assert (told["subject"], told["before"]) == (programme["id"], {"remind_days": [], "dormant_months": None})
    assert told["after"] == {"remind_days": [30, 7], "dormant_months": 12}

    # what is so already needs nothing more, and a system has its own control
    same = await office.approval("closing_terms", programme["id"], wanted)
    assert (await office.li.put(address, json=wanted | {"approval_id": same})).status_code == 200
    assert await office.status_of(same) == "approved"
    assert (await office.system.put(address, json={"dormant_months": 12})).status_code == 200
    told = (await office.trail("closing_terms.changed"))[0]
    assert (told["before"], told["after"]) == ({"remind_days": [30, 7]}, {"remind_days": []})


PAYEE = {
    "method": "bank_transfer",
    "holder_name": "王敏",
    "account_name": "王敏",
    "account_number": "6222020200012345678",
    "bank_name": "某银行",
}


async def test_an_operator_closes_alone_what_is_refunded_whole(office: Office) -> None:
    card = await office.card(await office.programme(), load_fen=10_000, bonus_fen=500)
    address = f"/v1/cards/{card}"
    quote = (await office.li.post(f"{address}/refund-quote", json={"cause": "holder"})).json()
    assert quote["amount_fen"] == 10_000
    body = {"cause": "holder", "quote_hash": quote["quote_hash"], "payee": PAYEE}
    closed = await office.li.post(f"{address}/close", json=body, headers={"idempotency-key": "c1"})
    assert closed.status_code == 200, closed.text
    # the second person is the payout's
    payout = f"/v1/payouts/{closed.json()['payout']['id']}/mark-paid"
    paid = {"payment_reference": "bank 1"}
    problem(await office.li.post(payout, json=paid, headers={"idempotency-key": "c2"}), 403, "four_eyes", "id")
    done = await office.wang.post(payout, json=paid, headers={"idempotency-key": "c3"})
    assert done.json()["status"] == "paid"


async def test_what_a_closing_takes_from_a_holder_takes_two(office: Office) -> None:
    card = await office.card(await office.programme(), load_fen=10_000)
    address = f"/v1/cards/{card}"
    asked = {"cause": "holder", "goods_fen": 4_000}
    quote = (await office.li.post(f"{address}/refund-quote", json=asked)).json()
    assert quote["amount_fen"] == 6_000
    body = {**asked, "quote_hash": quote["quote_hash"], "payee": PAYEE}

    async def close(key: str, **more: Any) -> Any:
        return await office.li.post(f"{address}/close", json={**body, **more}, headers={"idempotency-key": key})

    problem(await close("1"), 403, "approval_required", "approval_id")
    whole = {"kind": "closing", "subject": card, "payload": body, "reason": "costs"}
    problem(await office.li.post("/v1/approvals", json=whole), 400, "invalid_field", "payload.payee")
    assert (await office.system.get("/v1/approvals")).json()["data"] == [], "no account is kept in clear"
    allowed = {name: value for name, value in body.items() if name != "payee"}
    proposed = await office.proposal("closing", card, allowed)
    problem(await close("2", approval_id=proposed), 409, "approval_not_approved", "approval_id")
    await office.approve(proposed)
    other = await office.approval("closing", card, {**allowed, "goods_fen": 4_001})
    problem(await close("3", approval_id=other), 409, "approval_for_something_else", "approval_id")
    assert (await office.system.get(address)).json()["status"] == "active"
    pockets = (await office.system.get(f"{address}/accounts")).json()["data"]
    assert sum(pocket["posted_fen"] for pocket in pockets) == 10_000
    assert (await office.system.get("/v1/payouts")).json()["data"] == []

    closed = await close("4", approval_id=proposed)
    assert closed.status_code == 200, closed.text
    assert (closed.json()["payout"]["amount_fen"], await office.status_of(proposed)) == (6_000, "executed")
    again = await close("4", approval_id=proposed)
    assert again.content == closed.content


async def test_one_person_with_two_keys_is_one_person(office: Office) -> None:
    programme = await office.programme()
    listed = (await office.system.get("/v1/operators", params={"code": "li"})).json()["data"]
    app = office.api.app
    issued = await issue_key(
        app.pool, app.clock, app.ids, book=office.book, name="li again", scopes=Scope,
        operator_id=uuid_of(listed[0]["id"]),
    )  # fmt: skip
    assert isinstance(issued, IssuedKey)
    again = office.api.client(issued.token)
    rule = {
        "id": "HOUSE-FEE", "jurisdiction": "CN", "metric": "load_fee_cap_fen", "value": 300, "action": "reject",
        "effective_from": "2099-01-01", "source": "card charter", "title_zh": "充值费上限", "title_en": "cap",
    }  # fmt: skip
    asked = {"issuer_id": programme["issuer_id"], "note": "限额", "add": [rule]}
    change = (await office.li.post("/v1/policy/changes", json=asked)).json()
    address = f"/v1/policy/changes/{change['id']}"
    for client in (office.li, again):
        problem(await client.post(f"{address}/approve", json={"reason": "ok"}), 403, "second_person_required")
    assert (await office.system.get(address)).json() == change
    done = await office.wang.post(f"{address}/approve", json={"reason": "ok"})
    assert done.json()["status"] == "approved"
