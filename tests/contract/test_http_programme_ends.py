"""The end of a programme over HTTP and at the command line."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from tests.contract.api import Api, problem
from tests.contract.office import Office

from kaquan.parties import Mode

UNKNOWN = "0" * 32
PAYEE = {"holder_name": "王敏", "account_name": "王敏", "account_number": "6222020200012345678", "bank_name": "某银行"}


@pytest.fixture
async def office(api: Api) -> Office:
    return await Office.open(api)


def day(days: int) -> str:
    return (datetime.now(UTC) + timedelta(hours=8, days=days)).date().isoformat()


def decision(programme: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "programme_id": programme["id"],
        "last_day": day(31),
        "reason": "停业",
        "announcement": "本卡种将终止。",
        "stops_at": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
        **more,
    }


async def test_an_operator_ends_a_programme_with_another(office: Office) -> None:
    programme = await office.programme()
    address, asked = "/v1/programme-ends", decision(programme)
    problem(await office.li.post(address, json=asked), 403, "approval_required", "approval_id")
    proposed = await office.proposal("programme_end", programme["id"], asked)
    problem(
        await office.li.post(address, json={**asked, "approval_id": proposed}), 409, "approval_not_approved",
        "approval_id",
    )  # fmt: skip
    await office.approve(proposed)
    other = {**asked, "last_day": day(40), "approval_id": proposed}
    problem(await office.li.post(address, json=other), 409, "approval_for_something_else", "approval_id")
    assert (await office.system.get(address)).json()["data"] == []
    assert (await office.system.get(f"/v1/programmes/{programme['id']}")).json()["status"] == "active"

    made = await office.li.post(address, json={**asked, "approval_id": proposed})
    assert made.status_code == 201, made.text
    end = made.json()
    assert (end["status"], end["notice_days"], end["notice_rule"]) == ("announced", 30, "CN-SP-END-01")
    assert end["notice_source"]
    again = await office.li.post(address, json={**asked, "approval_id": proposed})
    assert (again.status_code, again.json()) == (201, end)  # a second click
    assert await office.status_of(proposed) == "executed"
    problem(await office.system.post(address, json=decision(programme)), 409, "programme_ends_already", "programme_id")
    shown = (await office.system.get(f"/v1/programmes/{programme['id']}")).json()
    assert (shown["status"], shown["ending"]["id"], shown["ending"]["last_day"]) == ("ending", end["id"], day(31))
    card = await office.card(programme, load_fen=100)
    shown_card = (await office.system.get(f"/v1/cards/{card}")).json()
    assert (shown_card["programme_status"], shown_card["programme_ending"]) == ("ending", shown["ending"])
    listed = (await office.system.get("/v1/programmes")).json()["data"]
    assert [one["status"] for one in listed] == ["ending"]
    assert (await office.system.get(address, params={"programme_id": programme["id"]})).json()["data"] == [end]

    withdrawal = f"{address}/{end['id']}/withdraw"
    problem(await office.li.post(withdrawal, json={"reason": "不停了"}), 403, "approval_required", "approval_id")
    allowed = await office.approval("programme_end", end["id"], {"reason": "不停了"})
    withdrawn = await office.li.post(withdrawal, json={"reason": "不停了", "approval_id": allowed})
    assert (withdrawn.status_code, withdrawn.json()["status"]) == (200, "withdrawn")
    assert (await office.system.get(f"/v1/programmes/{programme['id']}")).json()["ending"] is None
    problem(await office.system.post(withdrawal, json={"reason": "x"}), 409, "end_not_withdrawable", "id")


async def test_bad_input_names_its_field_and_ends_nothing(office: Office) -> None:
    programme = await office.programme()
    address = "/v1/programme-ends"
    for change, status, code, field in (
        ({"last_day": day(29)}, 409, "notice_too_short", "last_day"),
        ({"last_day": "tomorrow"}, 400, "invalid_field", "last_day"),
        ({"last_day": "2999-01-01"}, 400, "invalid_field", "last_day"),
        ({"stops_at": "2020-01-01T00:00:00Z"}, 400, "invalid_field", "stops_at"),
        ({"stops_at": "2027-01-01T00:00:00"}, 400, "invalid_field", "stops_at"),
        ({"reason": ""}, 400, "invalid_field", "reason"),
        ({"announcement": "x\n"}, 400, "invalid_field", "announcement"),
        ({"programme_id": f"prog_{UNKNOWN}"}, 404, "not_found", "programme_id"),
        ({"why": 1}, 400, "invalid_field", "why"),
    ):
        problem(await office.system.post(address, json=decision(programme, **change)), status, code, field)
    assert (await office.system.get(address)).json()["data"] == []
    for path in ("", "/notices", "/refunds", "/refund-file", "/liability"):
        problem(await office.system.get(f"{address}/pend_{UNKNOWN}{path}"), 404, "not_found", "id")


async def test_what_follows_from_an_end_is_read_and_exported(office: Office, api: Api) -> None:
    programme = await office.programme()
    card = await office.card(programme, load_fen=10_000, bonus_fen=500)
    person = await office.make("/v1/customers", name="王敏", phone="13800138000")
    await office.make(f"/v1/cards/{card}/register", customer_id=person["id"])
    end = await office.make("/v1/programme-ends", **decision(programme))
    address = f"/v1/programme-ends/{end['id']}"

    paper = {"medium": "解放日报", "reference": "A4", "published_on": day(0)}
    for _ in range(2):
        noted = (await office.system.post(f"{address}/publications", json=paper)).json()["data"]
        assert [(one["medium"], one["in_time"]) for one in noted] == [("解放日报", True)]
    assert (await office.system.get(address)).json()["publications"] == noted
    assert (await office.system.get(f"{address}/notices")).json() == {"data": [], "next_cursor": None}

    (line,) = (await office.system.get(f"{address}/refunds")).json()["data"]
    assert (line["paid_fen"], line["given_fen"], line["due_fen"], line["state"]) == (10_000, 500, 10_000, "open")
    assert line["name_masked"] != "王敏"
    given = {"payees": [{"card_id": card, **PAYEE}]}
    wrong = {"payees": [{"card_id": card, **PAYEE, "account_name": "李雷"}]}
    problem(await office.system.post(f"{address}/payees", json=wrong), 409, "payee_not_holder",
            "payees[0].account_name")  # fmt: skip
    problem(await office.system.post(f"{address}/payees", json={"payees": []}), 400, "invalid_field", "payees")
    assert (await office.system.post(f"{address}/payees", json=given)).json() == {"given": 1}
    (line,) = (await office.system.get(f"{address}/refunds", params={"which": "owed"})).json()["data"]
    assert (line["state"], line["account_last4"]) == ("payee_known", "5678")
    owed = (await office.system.get(f"{address}/liability")).json()
    assert (owed["open_cards"], owed["paid_fen"], owed["given_fen"], owed["payees_known"]) == (1, 10_000, 500, 1)

    for form, begins in (("csv", "﻿card".encode()), ("xlsx", b"PK")):
        file = await office.system.get(f"{address}/refund-file", params={"form": form})
        assert file.status_code == 200
        assert file.headers["content-disposition"] == f'attachment; filename="{end["id"]}.refunds.{form}"'
        assert file.content.startswith(begins)
        assert b"6222020200012345678" not in file.content
    problem(await office.system.get(f"{address}/refund-file", params={"form": "pdf"}), 400, "invalid_field", "form")

    test_book = (await api.books())[Mode.TEST]
    stranger = await api.client_of(test_book)
    for path in ("", "/refunds", "/liability", "/notices"):
        problem(await stranger.get(f"{address}{path}"), 404, "not_found", "id")
    assert date.fromisoformat(end["last_day"]) > date.today()  # noqa: DTZ011
