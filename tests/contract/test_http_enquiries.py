"""Guessing at the doors: who is told what, how often, and by which work."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import httpx
import psycopg
import pytest
from tests.contract.api import Api, problem
from tests.contract.test_http_cards import made, new_programme
from tests.unit.test_vault_envelope import KEYS, opened, public_pem

from kaquan.cards import Press, run_batch, unfinished_batches
from kaquan.guesses import Guard
from kaquan.kit.outcomes import Refusal
from kaquan.parties import Mode
from kaquan.vault import Keyring

LIMIT = 50
CHOSEN = "135792"
PEM = public_pem(KEYS["x25519"])


class Printed:
    """A batch as its printer knows it, and the client that made it."""

    def __init__(self, api: Api, client: httpx.AsyncClient, rows: list[list[str]], ids: dict[str, str]) -> None:
        self.api, self.client, self.rows, self.ids = api, client, rows, ids

    async def enquire(self, client_name: str | None = None, **body: Any) -> httpx.Response:
        headers = {} if client_name is None else {"Kaquan-Client": client_name}
        return await self.client.post("/v1/card-enquiries", json=body, headers=headers)


async def issue(api: Api) -> None:
    app = api.app
    for book_id, batch_id in await unfinished_batches(app.pool):
        press = Press(app.keyring, app.slots, app.ids)
        assert not isinstance(await run_batch(app.pool, press, app.clock, book_id=book_id, batch_id=batch_id), Refusal)


@pytest.fixture
async def printed(api: Api) -> Printed:
    client = await api.client_of((await api.books())[Mode.LIVE])
    programme = await new_programme(client)
    batch = await made(client, "/v1/batches", programme_id=programme["id"], name="n", form="physical", card_count=8)
    await issue(api)
    file = await client.post(f"/v1/batches/{batch['id']}/production-file", json={"public_key": PEM, "with_pin": True})
    assert file.status_code == 200, file.text
    rows = [line.split(",")[1:] for line in opened(file.content, KEYS["x25519"]).decode().split("\r\n")[1:-1]]
    ids = {}
    for number, _, _ in rows:
        found = (await client.post("/v1/cards/search", json={"number": number})).json()["data"]
        ids[number] = found[0]["id"]
        assert (await client.post(f"/v1/cards/{found[0]['id']}/activate")).status_code == 200
    return Printed(api, client, rows, ids)


async def test_a_holder_is_told_the_balance(printed: Printed) -> None:
    number, secret, pin = printed.rows[0]
    await printed.api.app.refresh()
    loaded = await printed.client.post(
        "/v1/loads",
        json={"card_number": number, "amount_fen": 5_000, "bonus_fen": 300},
        headers={"Idempotency-Key": "k"},
    )
    assert loaded.status_code == 201, loaded.text
    typed = f"{secret[:4].lower()} {secret[4:8]}-{secret[8:]}"
    for proof in ({"secret": secret}, {"secret": typed}, {"pin": pin}):
        told = await printed.enquire(number=number, **proof)
        assert told.status_code == 200, told.text
        assert told.json() == {
            "number_masked": f"888801*********{number[-4:]}",
            "currency": "CNY",
            "available_fen": 5_300,
            "expires_at": None,
            "usable_until": None,
        }


@contextmanager
def work(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What is asked of the database and of the keys, in order, without the values."""
    done: list[str] = []
    execute = psycopg.AsyncConnection.execute
    names = ("lookup", "lookups", "seal", "open", "subject", "peppered")
    kept = {name: getattr(Keyring, name) for name in names}

    async def executed(connection: Any, query: Any, *arguments: Any, **named: Any) -> Any:
        done.append(str(query))
        return await execute(connection, query, *arguments, **named)

    def counted(name: str) -> Any:
        def call(keyring: Keyring, value: Any, *arguments: Any) -> Any:
            done.append(f"{name} {len(value)}")
            return kept[name](keyring, value, *arguments)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(psycopg.AsyncConnection, "execute", executed)
        for name in names:
            patch.setattr(Keyring, name, counted(name))
        yield done


async def test_whatever_is_wrong_the_answer_and_the_work_are_the_same(
    printed: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    (right, blocked, inactive, other_book, chosen, blocked_chosen), client = printed.rows[:6], printed.client
    for number, _, _ in (chosen, blocked_chosen):
        set_ = await client.post(f"/v1/cards/{printed.ids[number]}/pin", json={"pin": CHOSEN})
        assert set_.status_code == 200, set_.text
    assert (await printed.enquire(number=chosen[0], pin=CHOSEN)).status_code == 200
    for number, _, _ in (blocked, blocked_chosen):
        told = await client.post(f"/v1/cards/{printed.ids[number]}/block", json={"reason": "risk"})
        assert told.status_code == 200
    other = await printed.api.client_of((await printed.api.books())[Mode.TEST])
    programme = await new_programme(client, "second", number_prefix="888802")
    card = await made(client, "/v1/cards", programme_id=programme["id"], form="digital")
    no_secret = (await client.get(f"/v1/cards/{card['id']}/number")).json()["number"]
    unknown = ("8888010000000000003", "0" * 12, "123456")
    cases: dict[str, tuple[httpx.AsyncClient, dict[str, str]]] = {}
    for kind, at in (("secret", 1), ("pin", 2)):
        wrong = {"secret": "Z" * 12, "pin": "000000"}[kind]
        cases |= {
            f"wrong number, {kind}": (client, {"number": unknown[0], kind: unknown[at]}),
            f"no number at all, {kind}": (client, {"number": "1" * 19, kind: unknown[at]}),
            f"wrong {kind}": (client, {"number": right[0], kind: wrong}),
            f"blocked, right {kind}": (client, {"number": blocked[0], kind: blocked[at]}),
            f"blocked, wrong {kind}": (client, {"number": blocked[0], kind: wrong}),
            f"another book's, right {kind}": (other, {"number": other_book[0], kind: other_book[at]}),
            f"no {kind}": (client, {"number": no_secret, kind: wrong}),
        }
    cases |= {
        "first PIN, where another one was chosen": (client, {"number": chosen[0], "pin": chosen[2]}),
        "blocked, right chosen pin": (client, {"number": blocked_chosen[0], "pin": CHOSEN}),
        **{f"wrong chosen pin {n}": (client, {"number": chosen[0], "pin": "000000"}) for n in range(5)},
    }
    answers: set[tuple[int, bytes, str]] = set()
    worked: dict[str, list[str]] = {}
    for name, (asking, body) in cases.items():
        await asking.get("/v1/cards")  # the session's own statements are behind it
        with work(monkeypatch) as done:
            told = await asking.post("/v1/card-enquiries", json=body)
        problem(told, 403, "card_not_confirmed")
        headers = {field: value for field, value in told.headers.items() if field != "x-request-id"}
        answers.add((told.status_code, told.content, repr(sorted(headers.items()))))
        worked[name] = done
    assert len(answers) == 1
    first = worked["wrong number, secret"]
    assert sum(step.startswith(("seal", "open")) for step in first) == 4
    assert len([step for step in first if "cards_" in step or "ledger_" in step or "guesses_" in step]) >= 4
    for kind in ("secret", "pin"):
        same = worked[f"wrong number, {kind}"]
        assert {name: done for name, done in worked.items() if kind in name.lower() and done != same} == {}
    assert sum(step.startswith("peppered") for step in worked["wrong number, pin"]) == 1
    # five wrong ones lock a PIN that was chosen
    problem(await printed.enquire(number=chosen[0], pin=CHOSEN), 403, "card_not_confirmed")
    assert inactive[0] != right[0]
    # asked again, what is known of numbers makes no difference
    with work(monkeypatch) as done:
        await client.post("/v1/card-enquiries", json={"number": right[0], "secret": "Z" * 12})
    assert done == first


async def test_guessed_numbers_get_fifty_answers_at_every_door(printed: Printed) -> None:
    numbers = [f"{8888 * 10**15 + n * 7919:019d}" for n in range(300)]
    await printed.api.app.refresh()

    async def search(client: httpx.AsyncClient, number: str) -> httpx.Response:
        return await client.post("/v1/cards/search", json={"number": number})

    async def load(client: httpx.AsyncClient, number: str) -> httpx.Response:
        return await client.post(
            "/v1/loads", json={"card_number": number, "amount_fen": 1}, headers={"Idempotency-Key": number}
        )

    async def enquire(client: httpx.AsyncClient, number: str) -> httpx.Response:
        return await client.post("/v1/card-enquiries", json={"number": number, "pin": "123456"})

    (book,) = [printed.api.app.directory.authenticate(printed.client.headers["authorization"].split()[1])]
    assert book is not None
    for door, wrong in ((search, 200), (load, 404), (enquire, 403)):
        client = await printed.api.client_of(cast(Any, (await _book(printed.api, book.book_id))))
        answers = []
        for start in range(0, len(numbers), 30):
            answers += await asyncio.gather(*(door(client, number) for number in numbers[start : start + 30]))
        statuses = [told.status_code for told in answers]
        assert (statuses.count(wrong), statuses.count(429)) == (LIMIT, len(numbers) - LIMIT), door
        refusal = next(told for told in answers if told.status_code == 429)
        problem(refusal, 429, "too_many_wrong_answers")
        assert 1 <= int(refusal.headers["retry-after"]) <= 72
        # not even a right one is answered now
        problem(await search(client, printed.rows[0][0]), 429, "too_many_wrong_answers")
        found = await search(printed.client, printed.rows[0][0])
        assert len(found.json()["data"]) == 1, "others are answered"


async def _book(api: Api, book_id: int) -> Any:
    from kaquan.parties import get_tenant, list_tenants

    for tenant in await list_tenants(api.app.pool):
        found = await get_tenant(api.app.pool, tenant.name)
        for book in found[1].values() if found else ():
            if book.id == book_id:
                return book
    raise AssertionError(book_id)


async def test_a_number_of_another_book_is_told_as_one_that_there_is_not(printed: Printed) -> None:
    client = await printed.api.client_of((await printed.api.books())[Mode.TEST])
    await printed.api.app.refresh()
    bodies = []
    for number in (printed.rows[0][0], "8888010000000000003"):
        for _ in range(2):  # the second time by the kept answer
            told = await client.post(
                "/v1/loads", json={"card_number": number, "amount_fen": 1}, headers={"Idempotency-Key": number}
            )
            problem(told, 404, "not_found", "card_number")
            bodies.append(told.content)
    assert len(set(bodies)) == 1


async def test_clients_behind_a_key_are_counted_apart_and_so_is_a_number(printed: Printed) -> None:
    number = printed.rows[0][0]
    for n in range(LIMIT):
        problem(await printed.enquire(f"10.0.0.{n}", number=number, pin="000000"), 403, "card_not_confirmed")
    told = await printed.enquire("10.0.1.1", number=number, pin=printed.rows[0][2])
    problem(told, 429, "too_many_wrong_answers")
    other = printed.rows[1]
    assert (await printed.enquire("10.0.0.1", number=other[0], secret=other[1])).status_code == 200
    assert isinstance(printed.api.app.guesses, Guard)


async def test_what_an_enquiry_may_not_be(printed: Printed) -> None:
    number, secret, pin = printed.rows[0]
    for body, field in (
        ({"number": number}, "secret"),
        ({"number": number, "secret": secret, "pin": pin}, "secret"),
        ({"number": "1234", "pin": pin}, "number"),
        ({"number": number, "pin": "12"}, "pin"),
        ({"number": number, "secret": ""}, "secret"),
        ({"number": number, "pin": pin, "x": 1}, "x"),
    ):
        problem(await printed.client.post("/v1/card-enquiries", json=body), 400, "invalid_field", field)
    for client in ("", "a b", "x" * 65):
        told = await printed.enquire(client, number=number, pin=pin)
        problem(told, 400, "invalid_field", "Kaquan-Client")


async def test_a_production_file_over_http(printed: Printed, api: Api) -> None:
    client = printed.client
    batch = (await client.get("/v1/batches")).json()["data"][0]
    files = (await client.get(f"/v1/batches/{batch['id']}/production-files")).json()["data"]
    assert [(file["turn"], file["kind"], file["card_count"], file["with_pin"]) for file in files] == [
        (1, "csv", 8, True)
    ]
    address = f"/v1/batches/{batch['id']}/production-file"
    problem(await client.post(address, json={"public_key": PEM}), 409, "already_exported", "id")
    told = await client.post(address, json={"public_key": PEM, "approval_id": "a"})
    problem(told, 400, "invalid_field", "approval_id")
    told = await client.post(address, json={"public_key": PEM, "approval_id": f"appr_{'0' * 32}"})
    problem(told, 404, "not_found", "approval_id")
    problem(await client.post(address, json={"public_key": "x"}), 400, "invalid_field", "public_key")
    problem(await client.post(address, json={"public_key": PEM, "kind": "xml"}), 400, "invalid_field", "kind")
    unknown = f"/v1/batches/bat_{'0' * 32}/production-file"
    problem(await client.post(unknown, json={"public_key": PEM}), 404, "not_found", "id")
    stranger = await api.client_of((await api.books())[Mode.TEST])
    problem(await stranger.post(address, json={"public_key": PEM}), 404, "not_found", "id")
    problem(await stranger.get(f"{address}s"), 404, "not_found", "id")
    assert (await client.get(f"/v1/batches/{batch['id']}/production-files")).json()["data"] == files
