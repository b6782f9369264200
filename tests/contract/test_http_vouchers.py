"""``/v1/voucher-templates``, ``/v1/voucher-batches`` and ``/v1/vouchers`` as a client sees them."""

import io
from typing import Any

import httpx
import openpyxl
import pytest
from tests.contract.api import Api, problem
from tests.contract.office import Office

from kaquan.parties import Mode, Scope
from kaquan.vouchers import Mint, run_batch, unfinished_batches

UNKNOWN = "0" * 32


@pytest.fixture
async def office(api: Api) -> Office:
    return await Office.open(api)


async def run(api: Api) -> None:
    """What the worker does."""
    app = api.app
    for book_id, batch_id in await unfinished_batches(app.pool):
        await run_batch(app.pool, Mint(app.keyring, app.slots, app.ids), app.clock, book_id=book_id, batch_id=batch_id)


def terms(programme: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "issuer_id": programme["issuer_id"],
        "code": "v10",
        "name": "满100减10",
        "kind": "value",
        "currency": "CNY",
        "face_fen": 1_000,
        "offer_kind": "amount_off",
        "offer_params": {"tiers": [[10_000, 1_000]]},
        "funders": [{"kind": "issuer", "share_bp": 10_000}],
        "valid_days": 30,
        **changes,
    }


async def stock(office: Office, template: dict[str, Any], count: int, **how: Any) -> dict[str, Any]:
    """A finished batch."""
    made = await office.make(
        "/v1/voucher-batches",
        **{"template_id": template["id"], "name": office.api.app.ids.new().hex, "voucher_count": count, **how},
    )
    await run(office.api)
    done: dict[str, Any] = (await office.system.get(f"/v1/voucher-batches/{made['id']}")).json()
    assert done["issued_count"] == count
    return done


async def claim(office: Office, template: dict[str, Any], key: str, **who: Any) -> httpx.Response:
    address = f"/v1/voucher-templates/{template['id']}/claim"
    return await office.system.post(address, json=who, headers={"idempotency-key": key})


async def test_a_voucher_from_its_template_to_a_card(office: Office) -> None:
    programme = await office.programme()
    city = await office.make("/v1/funders", code="city", name="市商务局", kind="government")
    assert (await office.system.get(f"/v1/funders/{city['id']}")).json() == city
    assert (await office.system.get("/v1/funders?code=city")).json()["data"] == [city]
    template = await office.make(
        "/v1/voucher-templates",
        **terms(
            programme,
            funders=[{"kind": "party", "share_bp": 10_000, "funder_id": city["id"]}],
            load_pocket="bonus",
            district="黄浦区",
            max_per_holder=2,
            transferable=True,
        ),
    )
    assert (await office.system.get("/v1/voucher-templates?code=v10")).json()["data"] == [template]
    batch = await stock(office, template, 3)
    assert (await office.system.get(f"/v1/voucher-batches?name={batch['name']}")).json()["data"] == [batch]

    listed = (await office.system.get(f"/v1/vouchers?batch_id={batch['id']}")).json()["data"]
    assert [one["status"] for one in listed] == ["issued"] * 3
    voucher = listed[0]
    address = f"/v1/vouchers/{voucher['id']}"
    code = (await office.system.post(f"{address}/reveal")).json()["code"]
    assert voucher["code_masked"] == f"****{code[-4:]}"
    assert code not in (await office.system.get(address)).text
    assert [row["subject"] for row in await office.trail("voucher.code_revealed")] == [voucher["id"]]

    giver, taker = await office.card(programme), await office.card(programme)
    claimed = await office.system.post("/v1/vouchers/claim", json={"code": code.lower(), "card_id": giver})
    assert claimed.status_code == 200, claimed.text
    assert (claimed.json()["status"], claimed.json()["card_id"]) == ("held", giver)
    found = await office.system.post("/v1/vouchers/search", json={"code": code})
    assert found.json() == claimed.json()
    problem(
        await office.system.post("/v1/vouchers/claim", json={"code": code, "card_id": taker}),
        409, "voucher_not_usable", "code",
    )  # fmt: skip

    moved = await office.system.post(f"{address}/transfer", json={"from_card_id": giver, "card_id": taker})
    assert (moved.status_code, moved.json()["card_id"]) == (200, taker)
    keys = {"idempotency-key": "load"}
    loaded = await office.system.post(f"{address}/load", json={"card_id": taker}, headers=keys)
    assert (loaded.status_code, loaded.json()["amount_fen"]) == (201, 1_000)
    again = await office.system.post(f"{address}/load", json={"card_id": taker}, headers=keys)
    assert (again.status_code, again.content) == (201, loaded.content), "byte for byte"
    rows = (await office.system.get(f"/v1/cards/{taker}/accounts")).json()["data"]
    assert {row["pocket"]: row["posted_fen"] for row in rows}["bonus"] == 1_000
    assert (await office.system.get(f"/v1/transactions/{loaded.json()['id']}")).json()["kind"] == "voucher_load"
    assert (await office.system.get(f"/v1/cards/{taker}/timeline")).json()["data"][0]["title_zh"] == "券充入"

    events = (await office.system.get(f"{address}/events")).json()["data"]
    assert [(one["kind"], one["to_status"], one["card_id"]) for one in events] == [
        ("loaded", "loaded", taker), ("transferred", "held", taker), ("claimed", "held", giver),
    ]  # fmt: skip
    assert events[0]["transaction_id"] == loaded.json()["id"]

    liability = (await office.system.get("/v1/voucher-reports/liability")).json()["data"]
    assert {row["status"]: row["voucher_count"] for row in liability} == {"issued": 2, "loaded": 1}
    (row,) = (await office.system.get("/v1/voucher-reports/funding")).json()["data"]
    assert (row["funder_id"], row["district"], row["loaded_fen"], row["outstanding_fen"]) == (
        city["id"], "黄浦区", 1_000, 2_000,
    )  # fmt: skip
    sheet = await office.system.get("/v1/voucher-reports/funding?form=csv")
    lines = sheet.content.decode("utf-8-sig").splitlines()
    assert lines[0].startswith("funder_kind,funder_id,district,")
    assert lines[1].startswith(f"party,{city['id']},黄浦区,")
    book = openpyxl.load_workbook(
        io.BytesIO((await office.system.get("/v1/voucher-reports/funding?form=xlsx")).content)
    )
    assert [cell.value for cell in list(book.worksheets[0].rows)[1]][:3] == ["party", city["id"], "黄浦区"]
    long_ago = (await office.system.get("/v1/voucher-reports/liability?at=2020-01-01T00:00:00Z")).json()
    assert long_ago["data"] == []


async def test_what_is_for_everybody_is_claimed_once_for_a_key(office: Office) -> None:
    programme = await office.programme()
    template = await office.make("/v1/voucher-templates", **terms(programme, max_per_holder=3))
    await stock(office, template, 3, code_length=None)
    card, other = await office.card(programme), await office.card(programme)
    first = await claim(office, template, "c1", card_id=card, voucher_count=2)
    assert first.status_code == 200, first.text
    assert len(first.json()["data"]) == 2
    assert (await claim(office, template, "c1", card_id=card, voucher_count=2)).content == first.content
    problem(await claim(office, template, "c1", card_id=card), 422, "idempotency_key_reused", "Idempotency-Key")
    problem(await claim(office, template, "c2", card_id=card, voucher_count=2), 409, "voucher_limit_reached", "holder")
    problem(await claim(office, template, "c3", card_id=other, voucher_count=2), 409, "vouchers_gone", "template_id")
    problem(await claim(office, template, "c4"), 400, "invalid_field", "card_id")
    problem(await claim(office, template, "c5", card_id=f"card_{UNKNOWN}"), 404, "not_found", "card_id")
    listed = (await office.system.get(f"/v1/vouchers?card_id={card}")).json()["data"]
    assert len(listed) == 2
    assert (await office.system.get(f"/v1/vouchers?card_id={other}")).json()["data"] == []
    ended = await office.system.post(f"/v1/voucher-templates/{template['id']}/end")
    assert ended.json()["ended_at"] is not None
    problem(await claim(office, template, "c6", card_id=other), 409, "voucher_template_ended", "template_id")


async def test_only_those_whom_it_is_for_claim_a_government_voucher(office: Office) -> None:
    programme = await office.programme()
    template = await office.make(
        "/v1/voucher-templates",
        **terms(programme, eligibility={"min_level": "contact", "segments": ["本区居民"], "min_age": 60}),
    )
    await stock(office, template, 1, code_length=None)
    card = await office.card(programme)
    person = await office.make("/v1/customers", name="王小明", phone="13912345678")
    ok = {"segments": ["本区居民"], "age": 70}
    for number, who in enumerate(({"card_id": card, **ok}, {"customer_id": person["id"], **ok})):
        problem(await claim(office, template, f"e{number}", **who), 409, "voucher_not_eligible", "holder")
    assert (await office.system.get(f"/v1/vouchers?customer_id={person['id']}")).json()["data"] == []


async def test_a_labelled_customer_claims_without_telling_so(office: Office) -> None:
    programme = await office.programme()
    template = await office.make("/v1/voucher-templates", **terms(programme, eligibility={"segments": ["本区居民"]}))
    await stock(office, template, 1, code_length=None)
    person = await office.make("/v1/customers", name="王小明")
    asked = await claim(office, template, "s1", customer_id=person["id"])
    problem(asked, 409, "voucher_not_eligible", "holder")
    await office.system.put(f"/v1/customers/{person['id']}/segments", json={"segments": ["本区居民"]})
    assert (await claim(office, template, "s2", customer_id=person["id"])).status_code == 200
    assert len((await office.system.get(f"/v1/vouchers?customer_id={person['id']}")).json()["data"]) == 1


async def test_operators_need_a_second_person(office: Office) -> None:
    programme = await office.programme()
    template = await office.make("/v1/voucher-templates", **terms(programme))
    body = {"template_id": template["id"], "name": "两人批次", "voucher_count": 2}
    problem(await office.li.post("/v1/voucher-batches", json=body), 403, "approval_required", "approval_id")
    approved = await office.approval("voucher_issue", template["id"], body)
    made = await office.li.post("/v1/voucher-batches", json={**body, "approval_id": approved})
    assert made.status_code == 201, made.text
    await run(office.api)
    (one, other) = (await office.system.get(f"/v1/vouchers?batch_id={made.json()['id']}")).json()["data"]

    why = {"reason": "印错了"}
    address = f"/v1/vouchers/{one['id']}/cancel"
    problem(await office.li.post(address, json=why), 403, "approval_required", "approval_id")
    for_other = await office.approval("voucher_cancelling", other["id"], why)
    problem(
        await office.li.post(address, json={**why, "approval_id": for_other}),
        409, "approval_for_something_else", "approval_id",
    )  # fmt: skip
    assert (await office.system.get(f"/v1/vouchers/{one['id']}")).json()["status"] == "issued"
    approved = await office.approval("voucher_cancelling", one["id"], why)
    done = await office.li.post(address, json={**why, "approval_id": approved})
    assert (done.status_code, done.json()["status"]) == (200, "cancelled")
    assert await office.status_of(approved) == "executed"

    batch = made.json()["id"]
    approved = await office.approval("voucher_cancelling", batch, why)
    done = await office.li.post(f"/v1/voucher-batches/{batch}/cancel", json={**why, "approval_id": approved})
    assert (done.status_code, done.json()["cancelled_count"]) == (200, 1)
    assert [row["subject"] for row in await office.trail("voucher_batch.cancelled")] == [batch]


async def test_files_are_done_whole(office: Office) -> None:
    programme = await office.programme()
    template = await office.make("/v1/voucher-templates", **terms(programme))
    card = await office.card(programme)
    how = {"template_id": template["id"], "name": "发给大家"}

    async def send(address: str, text: str | bytes, **query: str) -> httpx.Response:
        content = text.encode() if isinstance(text, str) else text
        return await office.system.post(f"/v1/voucher-batches/{address}", params={**how, **query}, content=content)

    bad = await send("assign", f"card,count\n{card},2\ncard_{UNKNOWN},1\n")
    told = problem(bad, 422, "voucher_file_has_bad_lines", "file")
    assert "line 3" in told["detail"]
    assert (await office.system.get(f"/v1/vouchers?card_id={card}")).json()["data"] == []
    problem(await send("assign", b"\x00\x01"), 422, "file_unreadable", "file")
    problem(await send("assign", "name\nx\n"), 400, "invalid_field", "file")
    good = await send("assign", f"card,count\n{card},2\n")
    assert (good.status_code, good.json()["issued_count"]) == (201, 2)
    problem(await send("assign", f"card,count\n{card},2\n"), 409, "already_exists", "name")
    assert len((await office.system.get(f"/v1/vouchers?card_id={card}")).json()["data"]) == 2

    codes = "code\nHELLO-1\nHELLO-2\n"
    taken = await send("import", codes, name="外来")
    assert (taken.status_code, taken.json()["source"]) == (201, "imported")
    problem(await send("import", codes, name="再来"), 422, "voucher_file_has_bad_lines", "file")
    claimed = await office.system.post("/v1/vouchers/claim", json={"code": "hello 1", "card_id": card})
    assert claimed.json()["code_masked"] == "****LLO1"


async def test_guesses_are_counted(office: Office) -> None:
    programme = await office.programme()
    card = await office.card(programme)
    limit = office.api.app.settings.max_wrong_numbers
    for _ in range(limit):
        problem(
            await office.system.post("/v1/vouchers/claim", json={"code": "WRONG", "card_id": card}),
            404, "not_found", "code",
        )  # fmt: skip
    for body in ({"code": "WRONG"}, {"code": "OTHER"}):
        told = await office.system.post("/v1/vouchers/search", json=body)
        problem(told, 429, "too_many_wrong_answers")


async def test_books_and_scopes_are_kept_apart(api: Api, office: Office) -> None:
    programme = await office.programme()
    template = await office.make("/v1/voucher-templates", **terms(programme))
    await stock(office, template, 1)
    (voucher,) = (await office.system.get("/v1/vouchers")).json()["data"]
    code = (await office.system.post(f"/v1/vouchers/{voucher['id']}/reveal")).json()["code"]
    stranger = await api.client_of((await api.books())[Mode.LIVE])
    for address in (f"/v1/vouchers/{voucher['id']}", f"/v1/voucher-templates/{template['id']}"):
        problem(await stranger.get(address), 404, "not_found", "id")
    problem(await stranger.post("/v1/vouchers/search", json={"code": code}), 404, "not_found", "code")
    problem(await stranger.post(f"/v1/vouchers/{voucher['id']}/reveal"), 404, "not_found", "id")
    assert (await stranger.get("/v1/vouchers")).json()["data"] == []
    reader = await api.client_of(office.book, Scope.VOUCHERS_READ)
    assert (await reader.get(f"/v1/vouchers/{voucher['id']}")).status_code == 200
    problem(await reader.post(f"/v1/vouchers/{voucher['id']}/reveal"), 403, "forbidden")
    problem(await reader.post("/v1/vouchers/claim", json={"code": code, "card_id": "x"}), 403, "forbidden")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"face_fen": -1}, "face_fen"),
        ({"funders": []}, "funders"),
        ({"funders": [{"kind": "issuer", "share_bp": 9_999}]}, "funders"),
        ({"valid_until": "2030-01-01T00:00:00Z"}, "valid_until"),
        ({"offer_kind": "nothing"}, "offer_kind"),
        ({"offer_params": {"tiers": "all"}}, "offer_params"),
        ({"offer_params": {"tiers": [[10_000, 20_000]]}}, "offer_params.tiers[0].off_fen"),
        ({"load_pocket": "principal"}, "load_pocket"),
        ({"offer_conditions": {"segments": ["\0"]}}, "offer_conditions"),
        ({"offer_conditions": {"segments": "all"}}, "offer_conditions"),
        ({"surprise": 1}, "surprise"),
    ],
)
async def test_bad_templates_are_refused_with_their_field(office: Office, changes: dict[str, Any], field: str) -> None:
    programme = await office.programme()
    told = await office.system.post("/v1/voucher-templates", json=terms(programme, **changes))
    assert told.status_code == 400, told.text
    assert told.json()["field"] == field
    assert (await office.system.get("/v1/voucher-templates")).json()["data"] == []
