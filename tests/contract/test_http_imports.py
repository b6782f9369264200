"""``/v1/card-imports`` as a client sees them."""

from typing import Any

import httpx
import pytest
from tests.contract.api import Api, problem
from tests.contract.test_http_cards import new_programme

from kaquan.cards import Press
from kaquan.cards.numbers import draw_numbers
from kaquan.imports import run_import, unfinished_imports
from kaquan.parties import Mode, Scope


async def run(api: Api) -> None:
    app = api.app
    press = Press(app.keyring, app.slots, app.ids)
    for book_id, import_id in await unfinished_imports(app.pool):
        await run_import(app.pool, press, app.clock, book_id=book_id, import_id=import_id)


async def send(client: httpx.AsyncClient, programme: dict[str, Any], text: str | bytes, **query: str) -> httpx.Response:
    params = {"programme_id": programme["id"], "name": "old cards", **query}
    content = text.encode() if isinstance(text, str) else text
    return await client.post("/v1/card-imports", params=params, content=content)


def rows(numbers: list[str]) -> str:
    return "卡号,余额,赠送\n" + "\n".join(f"{number},12.50,1" for number in numbers)


async def test_a_file_is_checked_applied_and_reversed(api: Api, live: httpx.AsyncClient) -> None:
    programme = await new_programme(live)
    numbers = draw_numbers("888801", 5)
    made = await send(live, programme, rows(numbers))
    assert made.status_code == 201, made.text
    body = made.json()
    assert (body["status"], body["line_count"], body["principal_fen"], body["bonus_fen"], body["problems"]) == (
        "checked",
        5,
        6_250,
        500,
        [],
    )
    address = f"/v1/card-imports/{body['id']}"
    assert (await live.post("/v1/cards/search", json={"number": numbers[0]})).json()["data"] == []
    problem(await live.post(f"{address}/reverse"), 409, "import_not_applied", "id")
    started = await live.post(f"{address}/apply")
    assert (started.status_code, started.json()["status"]) == (200, "applying")
    await run(api)
    done = (await live.get(address)).json()
    assert (done["status"], done["lines"]) == ("applied", {"applied": 5})
    (card,) = (await live.post("/v1/cards/search", json={"number": numbers[0]})).json()["data"]
    assert card["status"] == "active"
    pockets = (await live.get(f"/v1/cards/{card['id']}/accounts")).json()["data"]
    assert {pocket["pocket"]: pocket["available_fen"] for pocket in pockets} == {
        "principal": 1_250,
        "bonus": 100,
        "restricted": 0,
    }
    assert (await live.get(f"{address}/used-cards")).json()["data"] == []
    back = await live.post(f"{address}/reverse")
    assert (back.status_code, back.json()["status"]) == (200, "reversing")
    await run(api)
    assert (await live.get(address)).json()["lines"] == {"reversed": 5}
    problem(await live.post(f"{address}/apply"), 409, "import_already_reversed", "id")
    listed = (await live.get("/v1/card-imports")).json()["data"]
    assert [found["id"] for found in listed] == [body["id"]]
    assert (await live.get("/v1/card-imports", params={"name": "other"})).json()["data"] == []


async def test_every_bad_line_is_told_and_nothing_is_made(live: httpx.AsyncClient) -> None:
    programme = await new_programme(live)
    numbers = draw_numbers("888801", 3)
    text = rows(numbers) + f"\n{numbers[0]},1,1\n12345678901234,x,1\n"
    made = await send(live, programme, text)
    assert made.status_code == 201
    body = made.json()
    assert (body["status"], body["line_count"], body["bad_line_count"], body["problem_count"]) == ("refused", 5, 2, 3)
    assert [(found["line"], found["column"]) for found in body["problems"]] == [(5, "卡号"), (6, "卡号"), (6, "余额")]
    assert numbers[0] not in made.text
    problem(await live.post(f"/v1/card-imports/{body['id']}/apply"), 409, "import_has_bad_lines", "id")
    errors = await live.get(f"/v1/card-imports/{body['id']}/errors")
    lines = errors.content.decode("utf-8-sig").splitlines()
    assert len(lines) == 4
    assert lines[1].startswith("5,卡号,888801*********")
    assert (await live.get("/v1/cards")).json()["data"] == []


async def test_what_is_refused(api: Api, live: httpx.AsyncClient) -> None:
    programme = await new_programme(live)
    text = rows(draw_numbers("888801", 1))
    problem(await send(live, programme, ""), 422, "file_unreadable", "file")
    problem(await send(live, programme, b"PK\x03\x04"), 422, "file_unreadable", "file")
    problem(await send(live, programme, "a,b\n1,2"), 422, "column_missing", "file")
    problem(await send(live, programme, text, columns="x=y"), 400, "invalid_field", "columns")
    problem(await send(live, programme, text, columns="number=nowhere"), 422, "column_missing", "file")
    problem(await send(live, programme, text, programme_id=f"prog_{'0' * 32}"), 404, "not_found", "programme_id")
    problem(await send(live, programme, text, name=""), 400, "invalid_field", "name")
    problem(await send(live, programme, text, other="x"), 400, "invalid_field", "other")
    large = await send(live, programme, b"x" * (api.app.settings.max_import_bytes + 1))
    problem(large, 413, "body_too_large")
    assert (await live.get("/v1/card-imports")).json()["data"] == []
    assert (await send(live, programme, text)).status_code == 201
    problem(await send(live, programme, rows(draw_numbers("888801", 1))), 409, "already_exists", "name")
    unknown = f"/v1/card-imports/imp_{'0' * 32}"
    for method, path in (
        ("GET", ""),
        ("GET", "/errors"),
        ("GET", "/used-cards"),
        ("POST", "/apply"),
        ("POST", "/reverse"),
    ):
        problem(await live.request(method, unknown + path), 404, "not_found", "id")


async def test_another_book_sees_nothing(api: Api, live: httpx.AsyncClient) -> None:
    made = await send(live, await new_programme(live), rows(draw_numbers("888801", 1)))
    stranger = await api.client_of((await api.books())[Mode.TEST])
    address = f"/v1/card-imports/{made.json()['id']}"
    for method, path in (("GET", ""), ("GET", "/errors"), ("POST", "/apply"), ("POST", "/reverse")):
        problem(await stranger.request(method, address + path), 404, "not_found", "id")
    assert (await stranger.get("/v1/card-imports")).json()["data"] == []


@pytest.mark.parametrize("scope", [Scope.CARDS_READ, Scope.CARDS_WRITE])
async def test_a_key_without_the_scope_imports_nothing(api: Api, scope: Scope) -> None:
    book = (await api.books())[Mode.LIVE]
    programme = await new_programme(await api.client_of(book))
    client = await api.client_of(book, scope)
    problem(await send(client, programme, rows(draw_numbers("888801", 1))), 403, "forbidden")
