"""``/v1/programmes``, ``/v1/batches``, ``/v1/cards`` as a client sees them."""

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from stdnum import luhn
from tests.contract.api import MAX_BODY_BYTES, Api, problem

from kaquan.cards import CardFinder, Press, run_batch, unfinished_batches
from kaquan.guesses import Guard
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids
from kaquan.parties import Directory, Mode, Scope
from kaquan.policy import Policy
from kaquan.settings import Settings
from kaquan.vault import Keyring

SLOTS = (0,)
UNKNOWN = "0" * 32


@pytest.fixture
async def api(pool: Pool, clock: Clock, ids: Ids, tmp_path: Path) -> AsyncIterator[Api]:
    keyring = Keyring.create(tmp_path / "keyring.json")
    app = SimpleNamespace(
        settings=Settings(max_body_bytes=MAX_BODY_BYTES),
        pool=pool,
        clock=clock,
        ids=ids,
        directory=Directory(pool),
        keyring=keyring,
        slots=SLOTS,
        finder=CardFinder(pool, keyring, SLOTS),
        policy=Policy(pool),
        guesses=Guard(pool, clock, limit=50, window_s=3_600),
    )
    served = Api(cast(Any, app))
    yield served
    await served.close()


async def made(client: httpx.AsyncClient, path: str, **body: Any) -> dict[str, Any]:
    response = await client.post(path, json=body)
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def new_programme(client: httpx.AsyncClient, code: str = "red", **body: Any) -> dict[str, Any]:
    issuers = (await client.get("/v1/issuers")).json()["data"]
    issuer = (
        issuers[0] if issuers else await made(client, "/v1/issuers", code="i", name="发卡方", time_zone="Asia/Shanghai")
    )
    terms = {"name": "红卡", "currency": "CNY", "number_prefix": "888801", **body}
    return await made(client, "/v1/programmes", issuer_id=issuer["id"], code=code, **terms)


async def new_card(client: httpx.AsyncClient, programme: dict[str, Any]) -> dict[str, Any]:
    return await made(client, "/v1/cards", programme_id=programme["id"], form="digital")


async def cards_of(client: httpx.AsyncClient, query: str = "") -> list[dict[str, Any]]:
    response = await client.get(f"/v1/cards{query}")
    assert response.status_code == 200, response.text
    rows: list[dict[str, Any]] = response.json()["data"]
    return rows


async def test_a_programme_is_created_and_read_back(live: httpx.AsyncClient) -> None:
    programme = await new_programme(live, max_balance_fen=100_000, bonus_valid_days=90)
    assert programme["id"].startswith("prog_")
    assert programme["created_at"].endswith("Z")
    assert {name: programme[name] for name in ("spend_order", "authorization_ttl_s", "accepted_places")} == {
        "spend_order": ["bonus", "principal"],
        "authorization_ttl_s": 604_800,
        "accepted_places": 0,
    }
    assert (programme["time_zone"], programme["principal_valid_days"]) == ("Asia/Shanghai", None)
    assert (await live.get(f"/v1/programmes/{programme['id']}")).json() == programme
    for query in ("", "?code=red", f"?issuer_id={programme['issuer_id']}", "?limit=1"):
        page = (await live.get(f"/v1/programmes{query}")).json()
        assert page == {"data": [programme], "next_cursor": None}
    assert (await live.get("/v1/programmes?code=blue")).json()["data"] == []
    ((line),) = (await live.get(f"/v1/audit-trail?subject={programme['id']}")).json()["data"]
    assert (line["kind"], line["before"]) == ("programme.created", None)
    told = ("issuer_id", "code", "currency", "number_prefix", "max_balance_fen", "bonus_valid_days", "spend_order")
    assert {name: line["after"][name] for name in told} == {name: programme[name] for name in told}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("currency", "cny"),
        ("currency", 1),
        ("number_prefix", "888"),
        ("spend_order", ["bonus"]),
        ("spend_order", []),
        ("max_balance_fen", 0),
        ("max_balance_fen", 10**30),
        ("authorization_ttl_s", 1),
        ("principal_valid_days", 0),
        ("name", "a\x00b"),
        ("code", "two words"),
        ("issuer_id", "iss_1"),
    ],
)
async def test_a_bad_term_is_named_and_makes_nothing(live: httpx.AsyncClient, field: str, value: object) -> None:
    programme = await new_programme(live)
    body = {
        "issuer_id": programme["issuer_id"],
        "code": "blue",
        "name": "蓝卡",
        "currency": "CNY",
        "number_prefix": "8888",
        field: value,
    }
    problem(await live.post("/v1/programmes", json=body), 400, "invalid_field", field)
    assert (await live.get("/v1/programmes")).json()["data"] == [programme]


async def test_a_programme_needs_an_issuer_and_a_code_of_its_own(live: httpx.AsyncClient) -> None:
    programme = await new_programme(live)
    body = {"code": "red", "name": "n", "currency": "CNY", "number_prefix": "8888"}
    taken = await live.post("/v1/programmes", json={**body, "issuer_id": programme["issuer_id"]})
    assert programme["id"] in problem(taken, 409, "already_exists", "code")["detail_zh"]
    unknown = await live.post("/v1/programmes", json={**body, "code": "x", "issuer_id": f"iss_{UNKNOWN}"})
    problem(unknown, 404, "not_found", "issuer_id")
    assert (await live.get("/v1/programmes")).json()["data"] == [programme]


async def test_acceptance(live: httpx.AsyncClient) -> None:
    programme = await new_programme(live)
    merchants = [await made(live, "/v1/merchants", code=f"m{n}", name="m") for n in range(3)]
    stores = [
        await made(live, "/v1/stores", merchant_id=merchant["id"], code=merchant["code"], name="s")
        for merchant in merchants
    ]
    address = f"/v1/programmes/{programme['id']}/acceptance"
    places = [
        {"merchant_id": merchants[0]["id"]},
        {"merchant_id": merchants[1]["id"], "store_id": stores[1]["id"]},
    ]
    changed = await live.post(address, json={"add": places})
    assert (changed.status_code, changed.json()) == (200, {**programme, "accepted_places": 2})
    first = (await live.get(f"{address}?limit=1")).json()
    second = (await live.get(f"{address}?limit=1&cursor={first['next_cursor']}")).json()
    assert first["data"] + second["data"] == [
        {"merchant_id": merchants[1]["id"], "whole": False, "store_ids": [stores[1]["id"]]},
        {"merchant_id": merchants[0]["id"], "whole": True, "store_ids": []},
    ]
    assert second["next_cursor"] is None
    before = (await live.get(address)).json()
    wrong = {"merchant_id": merchants[2]["id"], "store_id": stores[1]["id"]}
    refused = await live.post(address, json={"remove": places, "add": [wrong]})
    problem(refused, 422, "store_of_another_merchant", "add[0].store_id")
    refused = await live.post(address, json={"add": [{"merchant_id": f"mer_{UNKNOWN}"}]})
    problem(refused, 404, "not_found", "add[0].merchant_id")
    assert (await live.get(address)).json() == before
    for as_it_is in ({"add": places}, {"remove": places, "add": places}, {"remove": [wrong]}, {}):
        assert (await live.post(address, json=as_it_is)).status_code == 200
    assert (await live.get(address)).json() == before
    changed = await live.post(address, json={"remove": places, "add_trades": ["bakery"]})
    assert changed.json() == {**programme, "accepted_trades": ["bakery"]}
    lines = (await live.get(f"/v1/audit-trail?subject={programme['id']}&kind=acceptance.changed")).json()["data"]
    shown = {"merchant_ids": [merchants[0]["id"]], "store_ids": [stores[1]["id"]]}
    assert [(line["before"], line["after"]) for line in lines] == [(shown, {"trades": ["bakery"]}), (None, shown)]
    assert (await live.get(address)).json() == {"data": [], "next_cursor": None}
    problem(await live.post(f"/v1/programmes/prog_{UNKNOWN}/acceptance", json={}), 404, "not_found", "id")
    problem(await live.get(f"/v1/programmes/prog_{UNKNOWN}/acceptance"), 404, "not_found", "id")


async def test_a_card_from_issue_to_unblock(live: httpx.AsyncClient) -> None:
    programme = await new_programme(live, currency="USD")
    issued = await new_card(live, programme)
    assert issued["id"].startswith("card_")
    assert issued["number_masked"].startswith("**** **** **** ")
    assert len(issued["number_masked"]) == 19
    assert (issued["status"], issued["status_reason"], issued["batch_id"]) == ("issued", None, None)
    address = f"/v1/cards/{issued['id']}"
    goes_on = {"programme_status": "active", "programme_ending": None}
    assert (await live.get(address)).json() == {**issued, **goes_on}
    assert (await live.get(f"{address}/accounts")).json()["data"] == []

    response = await live.post(f"{address}/activate")
    active = response.json()
    assert (response.status_code, active["status"]) == (200, "active")
    assert (await live.post(f"{address}/activate")).content == response.content
    pockets = (await live.get(f"{address}/accounts")).json()["data"]
    assert [(row["pocket"], row["currency"], row["posted_fen"], row["available_fen"]) for row in pockets] == [
        ("principal", "USD", 0, 0),
        ("bonus", "USD", 0, 0),
    ]
    assert all(row["id"].startswith("acc_0_") for row in pockets)

    response = await live.post(f"{address}/block", json={"reason": "suspected_fraud"})
    blocked = response.json()
    assert blocked == {**active, "status": "blocked", "status_reason": "suspected_fraud"}
    assert (await live.post(f"{address}/block", json={"reason": "suspected_fraud"})).json() == blocked
    other_reason = await live.post(f"{address}/block", json={"reason": "operator"})
    problem(other_reason, 409, "card_already_blocked", "reason")
    problem(await live.post(f"{address}/activate"), 409, "card_blocked")
    assert (await live.get(address)).json() == {**blocked, **goes_on}
    for _ in range(2):
        assert (await live.post(f"{address}/unblock")).json() == active


async def test_bad_requests_about_cards(live: httpx.AsyncClient) -> None:
    programme = await new_programme(live)
    card = await new_card(live, programme)
    for body, field in (
        ({"programme_id": programme["id"], "form": "paper"}, "form"),
        ({"programme_id": programme["id"]}, "form"),
        ({"programme_id": "prog_1", "form": "digital"}, "programme_id"),
        ({"programme_id": programme["id"], "form": "digital", "number": "8"}, "number"),
    ):
        problem(await live.post("/v1/cards", json=body), 400, "invalid_field", field)
    unknown = await live.post("/v1/cards", json={"programme_id": f"prog_{UNKNOWN}", "form": "digital"})
    problem(unknown, 404, "not_found", "programme_id")
    for reason in ("lost", "", None, 1):
        blocked = await live.post(f"/v1/cards/{card['id']}/block", json={"reason": reason})
        problem(blocked, 400, "invalid_field", "reason")
    for verb, body in (("activate", {}), ("unblock", {}), ("block", {"reason": "risk"})):
        problem(await live.post(f"/v1/cards/card_{UNKNOWN}/{verb}", json=body), 404, "not_found", "id")
        problem(await live.post(f"/v1/cards/card_1/{verb}", json=body), 400, "invalid_field", "id")
    for tail in ("", "/number", "/accounts"):
        problem(await live.get(f"/v1/cards/card_{UNKNOWN}{tail}"), 404, "not_found", "id")
    for query in ("last4=12", "status=away", "batch_id=1", "number=8888", "limit=0", "cursor=%20"):
        field = query.split("=")[0]
        problem(await live.get(f"/v1/cards?{query}"), 400, "invalid_field", field)
    assert await cards_of(live) == [card]


async def test_a_number_is_shown_only_to_who_may_reveal_it(api: Api) -> None:
    book = (await api.books())[Mode.LIVE]
    every = await api.client_of(book)
    card = await new_card(every, await new_programme(every))
    everything_else = [scope for scope in Scope if scope is not Scope.CARDS_REVEAL]
    curious = await api.client_of(book, *everything_else)
    address = f"/v1/cards/{card['id']}/number"
    problem(await curious.get(address), 403, "forbidden")
    revealed = (await every.get(address)).json()
    assert set(revealed) == {"id", "number"}
    number = revealed["number"]
    assert luhn.is_valid(number)
    assert number.startswith("888801")
    assert number[-4:] == card["number_masked"][-4:]
    for path in ("/v1/cards", f"/v1/cards/{card['id']}", f"/v1/cards/{card['id']}/accounts"):
        assert number not in (await curious.get(path)).text
    found = await curious.post("/v1/cards/search", json={"number": number})
    assert (found.status_code, found.json()) == (200, {"data": [card], "next_cursor": None})
    assert number not in found.text


async def test_cards_are_searched(api: Api, live: httpx.AsyncClient) -> None:
    red, blue = await new_programme(live), await new_programme(live, "blue")
    made_cards = [await new_card(live, red if n % 2 else blue) for n in range(4)]
    newest_first = made_cards[::-1]
    assert await cards_of(live) == newest_first
    assert await cards_of(live, f"?programme_id={red['id']}") == newest_first[0::2]
    last4 = made_cards[0]["number_masked"][-4:]
    assert made_cards[0] in await cards_of(live, f"?last4={last4}&programme_id={blue['id']}&status=issued")
    assert await cards_of(live, "?status=active") == []
    assert await cards_of(live, "?created_before=2020-01-01T00:00:00Z") == []
    page = (await live.get("/v1/cards?limit=3")).json()
    assert page["data"] + await cards_of(live, f"?limit=3&cursor={page['next_cursor']}") == newest_first
    nobody = await live.post("/v1/cards/search", json={"number": "8" * 19})
    assert nobody.json() == {"data": [], "next_cursor": None}
    for number in ("8" * 12, "８" * 19, "8" * 19 + "\n", 8):
        refused = await live.post("/v1/cards/search", json={"number": number})
        problem(refused, 400, "invalid_field", "number")


async def test_a_batch_is_created_and_shows_how_far_it_is(api: Api, live: httpx.AsyncClient) -> None:
    programme = await new_programme(live)
    body = {"programme_id": programme["id"], "name": "2026 春", "form": "physical", "card_count": 250}
    batch = await made(live, "/v1/batches", **body)
    assert batch["id"].startswith("bat_")
    assert {**body, "issued_count": 0, "finished_at": None}.items() <= batch.items()
    address = f"/v1/batches/{batch['id']}"
    assert (await live.get(address)).json() == batch
    for query in ("", "?name=2026%20%E6%98%A5", f"?programme_id={programme['id']}"):
        assert (await live.get(f"/v1/batches{query}")).json()["data"] == [batch]
    app = api.app
    for book_id, batch_id in await unfinished_batches(app.pool):
        if batch_id.hex in batch["id"]:
            press = Press(app.keyring, app.slots, app.ids)
            await run_batch(app.pool, press, app.clock, book_id=book_id, batch_id=batch_id)
    finished = (await live.get(address)).json()
    assert finished["issued_count"] == 250
    assert finished["finished_at"].endswith("Z")
    cards = await cards_of(live, f"?batch_id={batch['id']}&limit=200")
    assert len(cards) == 200
    assert {card["batch_id"] for card in cards} == {batch["id"]}


async def test_what_a_batch_is_refused_for(live: httpx.AsyncClient) -> None:
    programme = await new_programme(live, number_prefix="88888888")
    body = {"programme_id": programme["id"], "name": "b", "form": "digital", "card_count": 10_001}
    problem(await live.post("/v1/batches", json=body), 422, "number_space_too_small", "card_count")
    for count in (0, -1, 10**7 + 1, 10**30, "10", 1.5):
        refused = await live.post("/v1/batches", json={**body, "card_count": count})
        problem(refused, 400, "invalid_field", "card_count")
    unknown = await live.post("/v1/batches", json={**body, "programme_id": f"prog_{UNKNOWN}"})
    problem(unknown, 404, "not_found", "programme_id")
    assert (await live.get("/v1/batches")).json()["data"] == []
    batch = await made(live, "/v1/batches", **{**body, "card_count": 10})
    taken = await live.post("/v1/batches", json={**body, "card_count": 10})
    assert batch["id"] in problem(taken, 409, "already_exists", "name")["detail"]
    assert (await live.get("/v1/batches")).json()["data"] == [batch]
    problem(await live.get(f"/v1/batches/bat_{UNKNOWN}"), 404, "not_found", "id")


async def test_live_and_test_never_meet(api: Api) -> None:
    books = await api.books()
    live, test = [await api.client_of(books[mode]) for mode in (Mode.LIVE, Mode.TEST)]
    programme = await new_programme(live)
    card = await new_card(live, programme)
    number = (await live.get(f"/v1/cards/{card['id']}/number")).json()["number"]
    for path in (f"/v1/programmes/{programme['id']}", f"/v1/cards/{card['id']}/number"):
        problem(await test.get(path), 404, "not_found", "id")
    problem(await test.post(f"/v1/cards/{card['id']}/activate"), 404, "not_found", "id")
    refused = await test.post("/v1/cards", json={"programme_id": programme["id"], "form": "digital"})
    problem(refused, 404, "not_found", "programme_id")
    assert (await test.post("/v1/cards/search", json={"number": number})).json()["data"] == []
    for path in ("/v1/programmes", "/v1/cards", "/v1/batches"):
        assert (await test.get(path)).json()["data"] == []
    assert await cards_of(live) == [card]


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/v1/programmes", Scope.PROGRAMMES_READ),
        ("POST", "/v1/programmes", Scope.PROGRAMMES_WRITE),
        ("POST", f"/v1/programmes/prog_{UNKNOWN}/acceptance", Scope.PROGRAMMES_WRITE),
        ("GET", "/v1/batches", Scope.CARDS_READ),
        ("POST", "/v1/batches", Scope.CARDS_WRITE),
        ("GET", "/v1/cards", Scope.CARDS_READ),
        ("POST", "/v1/cards", Scope.CARDS_WRITE),
        ("POST", "/v1/cards/search", Scope.CARDS_READ),
        ("POST", f"/v1/cards/card_{UNKNOWN}/activate", Scope.CARDS_WRITE),
        ("POST", f"/v1/cards/card_{UNKNOWN}/block", Scope.CARDS_WRITE),
        ("POST", f"/v1/cards/card_{UNKNOWN}/unblock", Scope.CARDS_WRITE),
        ("GET", f"/v1/cards/card_{UNKNOWN}/number", Scope.CARDS_REVEAL),
        ("GET", f"/v1/cards/card_{UNKNOWN}/accounts", Scope.CARDS_READ),
    ],
)
async def test_each_address_asks_for_its_scope(api: Api, method: str, path: str, scope: Scope) -> None:
    book = (await api.books())[Mode.LIVE]
    others = await api.client_of(book, *(other for other in Scope if other is not scope))
    body = problem(await others.request(method, path, json={}), 403, "forbidden")
    assert scope in body["detail"]
    only = await api.client_of(book, scope)
    assert (await only.request(method, path, json={})).status_code != 403
    problem(await api.client().request(method, path, json={}), 401, "unauthenticated")
