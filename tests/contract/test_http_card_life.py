"""``/v1/cards/{id}/…`` and ``/v1/gifts`` as a client sees them, and spends that ask for a PIN."""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any, cast

import httpx
import psycopg
import pytest
from argon2 import PasswordHasher
from tests.conftest import make_database
from tests.contract.api import problem
from tests.served import litestar_of
from tests.town import Town, audits_hold

from kaquan import cards, parties
from kaquan.cards import Press, Replacement
from kaquan.doors.http.fields import uuid_of
from kaquan.doors.http.money import MoneyFront
from kaquan.doors.http.once import keep_first, make_key
from kaquan.guesses import Guard
from kaquan.kit.clock import SystemClock
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import Answer, RequestKey, hash_request
from kaquan.parties import IssuedKey, Mode, Scope

ANNA, BO = f"cus_{'a' * 32}", f"cus_{'b' * 32}"
UNKNOWN = "0" * 32
PIN, OTHER_PIN = "135792", "975318"


class Desk:
    """A town over HTTP through two server processes, with a card in it."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.fronts = [MoneyFront(app, litestar_of(app)) for app in town.apps]
        self.clients: list[httpx.AsyncClient] = []
        self.people: dict[str, str] = {}

    async def open(self) -> "Desk":
        self.terminal_id = show_id(Prefix.TERMINAL, self.town.places[0].terminal_id)
        self.client, self.second = await self.client_of(*Scope), await self.client_of(*Scope, process=1)
        self.card = await self.new_card(load_fen=1_000)
        for person in (ANNA, BO):
            self.people[person] = done(await self.client.post("/v1/customers", json={}), 201)["id"]
        return self

    async def client_of(self, *scopes: Scope, mode: Mode = Mode.LIVE, process: int = 0) -> httpx.AsyncClient:
        app = self.town.apps[process]
        key = await parties.issue_key(
            app.pool, app.clock, app.ids, book=self.town.books[mode], name="test", scopes=scopes
        )
        assert isinstance(key, IssuedKey)
        transport = httpx.ASGITransport(cast(Any, self.fronts[process]))
        client = httpx.AsyncClient(
            transport=transport,
            base_url="http://kaquan.test",
            headers={"authorization": f"Bearer {key.token}"},
        )
        self.clients.append(client)
        return client

    async def new_card(self, **how: Any) -> str:
        return show_id(Prefix.CARD, await self.town.new_card(**how))

    async def ask(
        self,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        key: str | None = None,
        client: httpx.AsyncClient | None = None,
    ) -> httpx.Response:
        headers = {"idempotency-key": key} if key is not None else {}
        known = {
            name: self.people.get(value, value) if name == "customer_id" else value
            for name, value in (body or {}).items()
        }
        return await (client or self.client).post(path, json=known, headers=headers)

    async def of_card(self, verb: str, body: dict[str, Any] | None = None, **how: Any) -> httpx.Response:
        return await self.ask(f"/v1/cards/{self.card}/{verb}", body, **how)

    async def purchase(self, amount_fen: int, *, key: str | None = None, **how: Any) -> httpx.Response:
        client = how.pop("client", None)
        body = {"card_id": self.card, "amount_fen": amount_fen, "terminal_id": self.terminal_id, **how}
        name = key or self.town.ids.new().hex
        return await self.ask("/v1/purchases", body, key=name, client=client)

    async def everything(self) -> list[int]:
        return [
            await self.town.count(table)
            for table in ("cards_card", "cards_event", "cards_transfer", "cards_gift", "cards_pin", "ledger_entry")
        ]


@pytest.fixture
async def desk(database: str) -> AsyncIterator[Desk]:
    town = await Town.found(database, clock=SystemClock(), processes=2, pin_required_above_fen=500, pin_max_attempts=3)
    opened = await Desk(town).open()
    yield opened
    for client in opened.clients:
        await client.aclose()
    await town.close()


def done(response: httpx.Response, status: int = 200) -> dict[str, Any]:
    assert response.status_code == status, response.text
    body: dict[str, Any] = response.json()
    return body


async def test_a_card_lives_through_everything(desk: Desk) -> None:
    registered = done(await desk.of_card("register", {"customer_id": ANNA}))
    assert (registered["card_class"], registered["customer_id"]) == ("registered", desk.people[ANNA])
    problem(await desk.of_card("register", {"customer_id": BO}), 409, "card_registered", "customer_id")
    assert done(await desk.of_card("pin", {"pin": PIN})) == {"card_id": desk.card, "is_set": True, "is_locked": False}
    lost = done(await desk.of_card("report-loss", {"cause": "stolen"}))
    assert lost["status"] == "lost"
    assert lost["loss_effective_at"] == lost["loss_reported_at"]
    problem(await desk.purchase(100, client=desk.second), 409, "card_lost", "card_id")
    problem(await desk.of_card("unbind", {"reason": "x"}), 409, "card_lost")
    found = done(await desk.of_card("found", {"pin": PIN}))
    assert (found["status"], found["loss_effective_at"]) == ("active", None)
    done(await desk.of_card("block", {"reason": "legal_order", "note": "法院协助执行"}))
    done(await desk.of_card("unblock"))
    timeline = done(await desk.client.get(f"/v1/cards/{desk.card}/timeline"))
    kinds = ["unblocked", "blocked", "found", "loss_reported", "pin_set", "registered", "load", "activated", "issued"]
    assert [item["kind"] for item in timeline["data"]] == kinds
    blocked = timeline["data"][1]
    assert (blocked["reason"], blocked["status"], blocked["title_zh"]) == ("法院协助执行", "blocked", "冻结")
    assert blocked["actor"].startswith("key_")
    assert blocked["details"] == {"block_reason": "legal_order"}
    load = timeline["data"][6]
    assert (load["amount_fen"], load["source"], load["id"][:4]) == (1_000, "transaction", "txn_")
    first = done(await desk.client.get(f"/v1/cards/{desk.card}/timeline?limit=4"))
    rest = done(await desk.client.get(f"/v1/cards/{desk.card}/timeline?limit=9&cursor={first['next_cursor']}"))
    assert first["data"] + rest["data"] == timeline["data"]
    listed = done(await desk.client.get(f"/v1/cards?customer_id={desk.people[ANNA]}"))
    assert [card["id"] for card in listed["data"]] == [desk.card]
    assert done(await desk.of_card("unbind", {"reason": "转卖"}))["card_class"] == "unregistered"
    assert PIN not in str(timeline)


async def test_a_spend_above_the_limit_asks_for_the_pin(desk: Desk) -> None:
    assert (await desk.purchase(500)).status_code == 201
    before = await desk.everything()
    problem(await desk.purchase(501), 403, "pin_required", "pin")
    problem(await desk.purchase(501, pin=PIN), 409, "pin_not_set", "pin")
    for pin in ("12345", "abcdef", 135792, "1357920"):
        problem(await desk.purchase(501, pin=pin), 400, "invalid_field", "pin")
    assert await desk.everything() == before
    await desk.town.load(uuid_of(desk.card), 10_000)
    done(await desk.of_card("pin", {"pin": PIN}))
    assert (await desk.purchase(501, pin=PIN)).status_code == 201
    assert (await desk.purchase(400, pin=OTHER_PIN)).status_code == 201  # it is not asked for: it is not looked at
    wrong = await desk.purchase(501, pin=OTHER_PIN, key="guess")
    problem(wrong, 403, "pin_wrong", "pin")
    for _ in range(5):  # the same request again is no further guess
        assert (await desk.purchase(501, pin=OTHER_PIN, key="guess", client=desk.second)).content == wrong.content
    assert not done(await desk.client.get(f"/v1/cards/{desk.card}/pin"))["is_locked"]
    right = await desk.purchase(501, pin=PIN, key="paid")
    done(await desk.of_card("pin", {"pin": "246813", "current_pin": PIN}))
    assert (await desk.purchase(501, pin=PIN, key="paid")).content == right.content
    problem(await desk.purchase(502, pin=PIN, key="paid"), 422, "idempotency_key_reused", "Idempotency-Key")
    await audits_hold(desk.town.conninfo)


async def test_wrong_pins_are_counted_against_the_till(desk: Desk) -> None:
    for app in desk.town.apps:
        app.guesses = Guard(app.pool, app.clock, limit=2, window_s=3_600)
    desk.second.headers["authorization"] = desk.client.headers["authorization"]  # one key at both processes
    await desk.town.load(uuid_of(desk.card), 10_000)
    done(await desk.of_card("pin", {"pin": PIN}))
    counted = await desk.town.count("guesses_caller")
    assert (await desk.purchase(501, pin=PIN)).status_code == 201
    assert await desk.town.count("guesses_caller") == counted, "who is right is written down nowhere"
    problem(await desk.purchase(501, pin=OTHER_PIN), 403, "pin_wrong", "pin")
    assert (await desk.purchase(501, pin=PIN)).status_code == 201  # so that the PIN itself is not locked
    problem(await desk.purchase(501, pin="420000"), 403, "pin_wrong", "pin")
    before = await desk.everything()
    # the third wrong one is not told, here or at another process, and not even a right one is looked at then
    for client in (desk.client, desk.second, desk.client):
        problem(await desk.purchase(501, pin="420001", client=client), 429, "too_many_wrong_answers")
    problem(await desk.purchase(501, pin=PIN), 429, "too_many_wrong_answers")
    assert await desk.everything() == before
    assert (await desk.purchase(500)).status_code == 201, "without a PIN nothing is guessed"


@pytest.fixture
async def lonely_desk(server: str) -> AsyncIterator[Desk]:
    """In a database of its own, which may have cards that nobody made."""
    conninfo = make_database(server, f"test_guesses_{os.getpid()}")
    town = await Town.found(conninfo, clock=SystemClock(), pin_required_above_fen=500, pin_max_attempts=3)
    desk = Desk(town)
    yield desk
    for client in desk.clients:
        await client.aclose()
    await town.close()


async def test_one_pin_on_many_cards_gets_fifty_answers_at_every_door(lonely_desk: Desk) -> None:
    """The lock of a card does not see it: each card is asked once."""
    desk, guesses, limit = lonely_desk, 300, 50
    desk.terminal_id = show_id(Prefix.TERMINAL, desk.town.places[0].terminal_id)
    desk.client = await desk.client_of(*Scope)
    desk.card = await desk.new_card(load_fen=1_000)
    conninfo, mine = desk.town.conninfo, uuid_of(desk.card)
    done(await desk.of_card("pin", {"pin": PIN}))
    with psycopg.connect(conninfo) as owner:  # copies of a card that is reported lost, each with somebody's PIN
        columns = "slot, book_id, programme_id, terms_version, status, form, number_sealed, number_last4, created_at"
        made = owner.execute(
            f"INSERT INTO cards_card (id, activated_at, {columns}, loss_reported_at, loss_due_at)"
            f" SELECT gen_random_uuid(), activated_at, {columns}, created_at, created_at + interval '9 days'"
            " FROM cards_card, generate_series(1, %s) WHERE id = %s RETURNING id, slot, book_id",
            (guesses, mine),
        ).fetchall()
        kept = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("somebody's")  # quick to compare
        with owner.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO cards_pin (card_id, slot, book_id, hash, set_at) VALUES (%s, %s, %s, %s, now())",
                [(*card, kept) for card in made],
            )
    ids = [show_id(Prefix.CARD, id_) for id_, _, _ in made]

    async def change(client: httpx.AsyncClient, card: str) -> httpx.Response:
        return await desk.ask(f"/v1/cards/{card}/pin", {"pin": OTHER_PIN, "current_pin": PIN}, client=client)

    async def find(client: httpx.AsyncClient, card: str) -> httpx.Response:
        return await desk.ask(f"/v1/cards/{card}/found", {"pin": PIN}, client=client)

    async def spend(client: httpx.AsyncClient, card: str, path: str = "purchases") -> httpx.Response:
        body = {"card_id": card, "amount_fen": 501, "terminal_id": desk.terminal_id, "pin": PIN}
        return await desk.ask(f"/v1/{path}", body, key=f"{path}-{card}", client=client)

    async def reserve(client: httpx.AsyncClient, card: str) -> httpx.Response:
        return await spend(client, card, "authorizations")

    for number, door in enumerate((change, find, spend, reserve)):
        client = await desk.client_of(*Scope)
        answers = []
        for start in range(0, guesses, 20):
            at = (start + 75 * number) % guesses  # others first, so that no card is asked so often that it locks
            answers += await asyncio.gather(*(door(client, card) for card in (ids + ids)[at : at + 20]))
        codes = [told.json()["code"] for told in answers]
        assert codes[0] == "pin_wrong", answers[0].text
        assert (codes.count("pin_wrong"), codes.count("too_many_wrong_answers")) == (limit, guesses - limit), door
        # not even the right PIN is looked at now, and what asks for none goes on
        problem(await door(client, desk.card), 429, "too_many_wrong_answers")
        assert (await desk.ask("/v1/cards/search", {"number": "8" * 19})).status_code == 200
        assert not done(await desk.client.get(f"/v1/cards/{desk.card}/pin"))["is_locked"]


async def test_whom_a_shop_asks_for_is_counted_apart_where_a_pin_is_asked(desk: Desk) -> None:
    for app in desk.town.apps:
        app.guesses = Guard(app.pool, app.clock, limit=1, window_s=3_600)
    done(await desk.of_card("pin", {"pin": PIN}))
    wrong = {"pin": "246813", "current_pin": OTHER_PIN}
    path = f"/v1/cards/{desk.card}/pin"
    before = await desk.everything()
    headers = {"Kaquan-Client": "10.0.0.1"}
    problem(await desk.client.post(path, json=wrong, headers=headers), 403, "pin_wrong", "current_pin")
    for client in (desk.client, desk.client):
        problem(await client.post(path, json=wrong, headers=headers), 429, "too_many_wrong_answers")
    told = await desk.client.post(path, json=wrong, headers={"Kaquan-Client": "a b"})
    problem(told, 400, "invalid_field", "Kaquan-Client")
    assert await desk.everything() == before
    changed = {"pin": "246813", "current_pin": PIN}
    assert (await desk.client.post(path, json=changed, headers={"Kaquan-Client": "10.0.0.2"})).status_code == 200
    locked = Guard(desk.town.apps[0].pool, desk.town.apps[0].clock, limit=4, window_s=3_600)
    desk.town.apps[0].guesses = locked
    # a PIN that is locked is no way around the counting either
    codes = []
    for _ in range(6):
        told = await desk.client.post(path, json=wrong, headers={"Kaquan-Client": "10.0.0.3"})
        codes.append(told.json()["code"])
    assert codes == ["pin_wrong"] * 3 + ["pin_locked"] + ["too_many_wrong_answers"] * 2


async def test_guesses_at_tills_of_two_processes_lock_the_pin(desk: Desk) -> None:
    done(await desk.of_card("pin", {"pin": PIN}))
    told = await asyncio.gather(
        *(
            desk.purchase(501, pin=f"{420_000 + number}", client=(desk.client, desk.second)[number % 2])
            for number in range(64)
        )
    )
    codes = sorted(response.json()["code"] for response in told)
    assert codes == ["pin_locked"] * 61 + ["pin_wrong"] * 3
    problem(await desk.purchase(501, pin=PIN), 409, "pin_locked", "pin")
    assert (await desk.purchase(100)).status_code == 201
    problem(await desk.of_card("pin", {"pin": "246813", "current_pin": PIN}), 409, "pin_locked", "current_pin")
    assert done(await desk.of_card("pin/unlock", {"reason": "到店核验"})) == {
        "card_id": desk.card,
        "is_set": True,
        "is_locked": False,
    }
    assert (await desk.purchase(501, pin=PIN)).status_code == 201


async def test_a_pin_leaves_no_trace_that_can_be_tried_out(desk: Desk) -> None:
    done(await desk.of_card("pin", {"pin": PIN}))
    body = {"card_id": desk.card, "amount_fen": 501, "terminal_id": desk.terminal_id, "pin": PIN}
    request = desk.client.build_request("POST", "/v1/purchases", json=body, headers={"idempotency-key": "traceless"})
    sent = request.read()
    assert (await desk.client.send(request)).status_code == 201
    async with desk.town.apps[0].pool.connection() as connection:
        rows = await (await connection.execute("SELECT request_hash FROM ledger_idempotency")).fetchall()
    assert hash_request("POST", "/v1/purchases", sent) not in {row[0] for row in rows}


async def test_a_replacement_is_answered_once(desk: Desk) -> None:
    done(await desk.of_card("register", {"customer_id": ANNA}))
    problem(await desk.of_card("replace", {"reason": "x"}), 400, "idempotency_key_missing", "Idempotency-Key")
    first = await desk.of_card("replace", {"reason": "损坏"}, key="replace-1")
    body = done(first, 201)
    assert body["old"]["status"] == "replaced"
    assert body["old"]["replaced_by_card_id"] == body["new"]["id"]
    assert body["new"]["replaces_card_id"] == desk.card
    assert (body["new"]["status"], body["new"]["customer_id"]) == ("active", desk.people[ANNA])
    assert (body["transfer"]["status"], body["transfer"]["amount_fen"]) == ("completed", 1_000)
    again = await desk.of_card("replace", {"reason": "损坏"}, key="replace-1", client=desk.second)
    assert (again.status_code, again.content) == (201, first.content)
    other = await desk.of_card("replace", {"reason": "别的"}, key="replace-1")
    problem(other, 422, "idempotency_key_reused", "Idempotency-Key")
    late = await desk.of_card("replace", {"reason": "再来"}, key="replace-2")
    problem(late, 409, "card_replaced")
    assert (await desk.of_card("replace", {"reason": "再来"}, key="replace-2")).content == late.content
    problem(await desk.purchase(10), 409, "card_replaced", "card_id")
    pockets = done(await desk.client.get(f"/v1/cards/{body['new']['id']}/accounts"))["data"]
    assert sum(pocket["available_fen"] for pocket in pockets) == 1_000
    await audits_hold(desk.town.conninfo)


async def test_a_refusal_that_the_same_request_caused_is_not_its_answer(desk: Desk) -> None:
    """It arrives twice at once; the one that comes second looked for the first one before that had done it."""
    app, card_id = desk.town.apps[0], uuid_of(desk.card)
    key = make_key(app, desk.town.book_id, "twice", f"/v1/cards/{desk.card}/replace", b"{}")
    press = Press(app.keyring, app.slots, app.ids)
    looked = 0

    async def replace(asked: RequestKey | None) -> Replacement | Refusal:
        return await cards.replace_card(
            app.pool, desk.town.hand(), press,
            book_id=desk.town.book_id, slots=app.slots, card_id=card_id, reason="damaged", key=asked,
        )  # fmt: skip

    async def work(asked: RequestKey) -> Answer | Refusal:
        nonlocal looked
        looked += 1
        if looked == 1:
            assert isinstance(await replace(asked), Replacement), "what the other one did meanwhile"
            refused = await replace(None)  # what is seen without having looked for the key
            assert isinstance(refused, Refusal)
            assert refused.code == "card_replaced"
            return refused
        done = await replace(asked)
        assert isinstance(done, Replacement)
        return Answer(201, show_id(Prefix.CARD, done.new.id).encode())

    answer = await keep_first(app, near=card_id, book_id=desk.town.book_id, key=key, work=work)
    assert isinstance(answer, Answer)
    assert answer.status == 201
    assert (await desk.client.get(f"/v1/cards/{desk.card}")).json()["replaced_by_card_id"] == answer.body.decode()
    assert await keep_first(app, near=card_id, book_id=desk.town.book_id, key=key, work=work) == answer
    assert looked == 2


async def test_a_transfer_is_answered_once(desk: Desk) -> None:
    target = await desk.new_card()
    refused = await desk.of_card("transfer", {"to_card_id": target}, key="t-0")
    problem(refused, 409, "cards_do_not_match", "to_card_id")
    for card in (desk.card, target):
        done(await desk.ask(f"/v1/cards/{card}/register", {"customer_id": ANNA}))
    # a refusal is an answer too
    assert (await desk.of_card("transfer", {"to_card_id": target}, key="t-0")).content == refused.content
    told = await asyncio.gather(
        *(
            desk.of_card("transfer", {"to_card_id": target}, key="t-1", client=(desk.client, desk.second)[n % 2])
            for n in range(8)
        )
    )
    assert {response.status_code for response in told} == {201}
    assert len({response.content for response in told}) == 1
    moved = told[0].json()
    assert (moved["kind"], moved["status"], moved["amount_fen"]) == ("balance", "completed", 1_000)
    assert (moved["from_card_id"], moved["to_card_id"]) == (desk.card, target)
    problem(await desk.of_card("transfer", {"to_card_id": target}, key="t-2"), 409, "nothing_to_transfer")
    timeline = done(await desk.client.get(f"/v1/cards/{target}/timeline"))["data"]
    assert [item["kind"] for item in timeline][:2] in (["transferred_in", "transfer"], ["transfer", "transferred_in"])
    transaction = next(item for item in timeline if item["kind"] == "transfer")
    seen = done(await desk.client.get(f"/v1/transactions/{transaction['id']}"))
    assert seen["entries"][0]["credit"]["lot"] < 0
    await audits_hold(desk.town.conninfo)


async def test_a_gift_is_made_and_claimed(desk: Desk) -> None:
    offered = done(await desk.of_card("gifts", {"message": "祝你\n生日快乐", "expires_in_s": 3_600}), 201)
    assert offered["gift"]["status"] == "open"
    problem(await desk.purchase(10), 409, "card_in_gift", "card_id")
    problem(await desk.of_card("replace", {"reason": "x"}, key="g"), 409, "card_in_gift")
    claim = {"token": offered["token"], "customer_id": BO}
    wrong = f"gift_{offered['gift']['id'][5:]}_{'A' * 43}"
    problem(await desk.ask("/v1/gifts/claim", {**claim, "token": wrong}), 404, "not_found", "token")
    claimed = done(await desk.ask("/v1/gifts/claim", claim))
    assert (claimed["message"], claimed["card"]["customer_id"]) == ("祝你\n生日快乐", desk.people[BO])
    assert claimed["gift"]["status"] == "claimed"
    assert claimed["card"]["id"] != desk.card
    assert done(await desk.ask("/v1/gifts/claim", claim, client=desk.second)) == claimed
    problem(await desk.ask("/v1/gifts/claim", {**claim, "customer_id": ANNA}), 409, "gift_not_open", "token")
    problem(await desk.ask(f"/v1/gifts/{offered['gift']['id']}/cancel"), 409, "gift_not_open")
    desk.card = claimed["card"]["id"]
    second = done(await desk.of_card("gifts"), 201)
    assert done(await desk.ask(f"/v1/gifts/{second['gift']['id']}/cancel"))["status"] == "cancelled"
    assert (await desk.purchase(10)).status_code == 201
    await audits_hold(desk.town.conninfo)


_BAD: list[tuple[str, dict[str, Any], str]] = [
    ("register", {}, "customer_id"),
    ("register", {"customer_id": "cus_1"}, "customer_id"),
    ("register", {"customer_id": ANNA, "name": "x"}, "name"),
    ("unbind", {"reason": ""}, "reason"),
    ("unbind", {"reason": "x" * 501}, "reason"),
    ("pin", {"pin": "12345"}, "pin"),
    ("pin", {"pin": PIN, "current_pin": 1}, "current_pin"),
    ("pin/unlock", {"reason": "x", "forget": "yes"}, "forget"),
    ("pin/unlock", {}, "reason"),
    ("report-loss", {"cause": "eaten"}, "cause"),
    ("report-loss", {"cause": "lost", "proof": ""}, "proof"),
    ("found", {}, "pin"),
    ("found", {"pin": PIN, "reason": "x"}, "pin"),
    ("replace", {"reason": "x", "new_card_id": "card_1"}, "new_card_id"),
    ("replace", {"reason": "a\nb"}, "reason"),
    ("transfer", {}, "to_card_id"),
    ("transfer", {"to_card_id": 5}, "to_card_id"),
    ("gifts", {"message": "x" * 501}, "message"),
    ("gifts", {"message": "\x00"}, "message"),
    ("gifts", {"expires_in_s": 59}, "expires_in_s"),
]


async def test_bad_input_is_named_and_changes_nothing(desk: Desk) -> None:
    before = await desk.everything()
    for number, (verb, body, field) in enumerate(_BAD):
        problem(await desk.of_card(verb, body, key=f"bad-{number}"), 400, "invalid_field", field)
        assert await desk.everything() == before, (verb, body)


_VERBS: list[tuple[str, dict[str, Any]]] = [
    ("register", {"customer_id": ANNA}),
    ("unbind", {"reason": "x"}),
    ("pin", {"pin": PIN}),
    ("pin/unlock", {"reason": "x"}),
    ("report-loss", {"proof": "x"}),
    ("found", {"reason": "x"}),
    ("replace", {"reason": "x"}),
    ("transfer", {"to_card_id": f"card_{UNKNOWN}"}),
    ("gifts", {}),
]


async def test_each_verb_asks_for_its_scope_its_book_and_a_card(desk: Desk) -> None:
    before = await desk.everything()
    reader = await desk.client_of(*(scope for scope in Scope if scope is not Scope.CARDS_WRITE))
    test = await desk.client_of(*Scope, mode=Mode.TEST)
    for number, (verb, body) in enumerate(_VERBS):
        key = f"k-{number}"
        problem(await desk.of_card(verb, body, key=key, client=reader), 403, "forbidden")
        problem(await desk.of_card(verb, body, key=f"{key}-test", client=test), 404, "not_found", "id")
        problem(await desk.ask(f"/v1/cards/card_{UNKNOWN}/{verb}", body, key=f"{key}-none"), 404, "not_found", "id")
        problem(await desk.ask(f"/v1/cards/card_1/{verb}", body, key=f"{key}-bad"), 400, "invalid_field", "id")
        assert await desk.everything() == before, verb


@pytest.mark.parametrize("new_number", [True, False])
async def test_a_gift_whose_loss_was_reported_is_claimed_by_nobody(desk: Desk, new_number: bool) -> None:
    """Whoever found the link must not get the card under another number either."""
    offered = done(await desk.of_card("gifts"), 201)
    claim = {"token": offered["token"], "customer_id": BO, "new_number": new_number}
    done(await desk.of_card("report-loss", {"proof": "小票 1"}))
    before = await desk.everything()
    problem(await desk.ask("/v1/gifts/claim", claim), 409, "card_lost")
    assert await desk.everything() == before
    done(await desk.of_card("found", {"reason": "找回"}))
    assert done(await desk.ask("/v1/gifts/claim", claim))["card"]["customer_id"] == desk.people[BO]
    await audits_hold(desk.town.conninfo)


async def test_gifts_and_timelines_keep_to_their_book(desk: Desk) -> None:
    offered = done(await desk.of_card("gifts"), 201)
    test = await desk.client_of(*Scope, mode=Mode.TEST)
    claim = {"token": offered["token"], "customer_id": BO}
    before = await desk.everything()
    problem(await desk.ask("/v1/gifts/claim", claim, client=test), 404, "not_found", "token")
    problem(await desk.ask("/v1/gifts/claim", {**claim, "token": "x y"}), 400, "invalid_field", "token")
    problem(await desk.ask(f"/v1/gifts/{offered['gift']['id']}/cancel", client=test), 404, "not_found", "id")
    problem(await test.get(f"/v1/cards/{desk.card}/timeline"), 404, "not_found", "id")
    problem(await desk.client.get(f"/v1/cards/{desk.card}/timeline?limit=0"), 400, "invalid_field", "limit")
    assert await desk.everything() == before


async def test_terms_of_a_programme_keep_to_the_house_rules(desk: Desk) -> None:
    programme = done(await desk.client.get(f"/v1/programmes/{show_id(Prefix.PROGRAMME, desk.town.programme.id)}"))
    assert (programme["pin_required_above_fen"], programme["pin_max_attempts"]) == (500, 3)
    terms = {"issuer_id": programme["issuer_id"], "code": "x", "name": "x", "currency": "CNY", "number_prefix": "7777"}
    before = await desk.town.count("cards_programme")
    for field, value in (
        ("pin_required_above_fen", -1),
        ("pin_max_attempts", 0),
        ("pin_max_attempts", 11),
        ("loss_effective_within_s", 48 * 3_600 + 1),
    ):
        problem(await desk.client.post("/v1/programmes", json={**terms, field: value}), 400, "invalid_field", field)
    assert await desk.town.count("cards_programme") == before
