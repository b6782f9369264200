"""Bad input to the POSTs that move value: the exact problem, and nothing moved."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import httpx
import msgspec
import pytest
from tests.contract.api import MAX_BODY_BYTES, problem
from tests.served import litestar_of
from tests.town import HandClock, Town, audits_hold

from kaquan import cards, parties
from kaquan.doors.http.money import MoneyFront
from kaquan.kit.clock import SystemClock
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.money import MAX_FEN
from kaquan.parties import IssuedKey, Mode, Scope
from kaquan.settings import Settings

EVERYTHING = (
    "ledger_account",
    "ledger_lot",
    "ledger_transaction",
    "ledger_entry",
    "ledger_idempotency",
    "evidence_leaf",
    "payments_payment",
)


class Shop:
    """A town over HTTP, with a card, a purchase and an authorization in it."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.front = MoneyFront(town.apps[0], litestar_of(town.apps[0]))
        self.clients: list[httpx.AsyncClient] = []

    async def open(self) -> "Shop":
        self.card = await self.town.new_card(load_fen=1_000, bonus_fen=100)
        self.card_id = show_id(Prefix.CARD, self.card)
        self.terminal_id = show_id(Prefix.TERMINAL, self.town.places[0].terminal_id)
        self.paid = (await self.town.purchase(self.card, 200)).body["id"]
        self.held = (await self.town.authorize(self.card, 200)).body["id"]
        self.client = await self.client_of(*Scope)
        self.good: dict[str, dict[str, Any]] = {
            "/v1/purchases": {"card_id": self.card_id, "amount_fen": 10, "terminal_id": self.terminal_id},
            "/v1/authorizations": {"card_id": self.card_id, "amount_fen": 10, "terminal_id": self.terminal_id},
            f"/v1/authorizations/{self.held}/capture": {"amount_fen": 10},
            f"/v1/authorizations/{self.held}/void": {},
            "/v1/refunds": {"payment_id": self.paid, "amount_fen": 10},
            "/v1/loads": {"card_id": self.card_id, "amount_fen": 10},
        }
        return self

    async def client_of(self, *scopes: Scope, mode: Mode = Mode.LIVE) -> httpx.AsyncClient:
        app = self.town.apps[0]
        key = await parties.issue_key(
            app.pool, app.clock, app.ids, book=self.town.books[mode], name="till", scopes=list(scopes)
        )
        assert isinstance(key, IssuedKey)
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(cast(Any, self.front)),
            base_url="http://kaquan.test",
            headers={"authorization": f"Bearer {key.token}"},
        )
        self.clients.append(client)
        return client

    def key(self) -> dict[str, str]:
        return {"idempotency-key": self.town.ids.new().hex}

    async def state(self) -> list[Any]:
        """All that could have moved."""
        rows: list[Any] = [await self.town.held(self.card)]
        async with self.town.apps[0].pool.connection() as connection:
            for table in EVERYTHING:
                cursor = await connection.execute(f"SELECT count(*), sum(hashtext(t::text)) FROM {table} t".encode())
                rows += await cursor.fetchall()
        return rows

    async def refused(
        self, path: str, content: Any, status: int, code: str, field: str | None = None, **headers: Any
    ) -> dict[str, Any]:
        """Assert that it is refused so and that nothing moved."""
        before = await self.state()
        answer = await self.client.post(path, content=content, headers={**self.key(), **headers})
        told = problem(answer, status, code, field)
        assert await self.state() == before
        return told


@pytest.fixture
async def shop(database: str) -> AsyncIterator[Shop]:
    town = await Town.found(database, clock=SystemClock(), settings=Settings(max_body_bytes=MAX_BODY_BYTES))
    opened = await Shop(town).open()
    yield opened
    for client in opened.clients:
        await client.aclose()
    await town.close()
    await audits_hold(database)


def with_(body: dict[str, Any], **changes: Any) -> bytes:
    return msgspec.json.encode({**body, **changes})


async def test_the_good_requests_are_good(shop: Shop) -> None:
    paths = sorted(shop.good, key=lambda path: path.endswith("void"))
    for path in paths:
        answer = await shop.client.post(path, content=with_(shop.good[path]), headers=shop.key())
        expected = 409 if path.endswith("void") else 200 if "capture" in path else 201
        assert answer.status_code == expected, answer.text


async def test_amounts(shop: Shop) -> None:
    for amount in (0, -1, 1.5, 10.0, True, "10", None, [10], MAX_FEN + 1, 2**63, 10**400, -(2**64)):
        for path in ("/v1/purchases", "/v1/authorizations", "/v1/loads"):
            body = with_(shop.good[path])
            raw = str(amount) if isinstance(amount, int) and not isinstance(amount, bool) else None
            content = (
                body.replace(b'"amount_fen":10', b'"amount_fen":' + raw.encode())
                if raw is not None
                else with_(shop.good[path], amount_fen=amount)
            )
            await shop.refused(path, content, 400, "invalid_field", "amount_fen")
    for path in ("/v1/refunds", f"/v1/authorizations/{shop.held}/capture"):
        for amount in (0, -1, 1.5, True, "10", MAX_FEN + 1):
            await shop.refused(path, with_(shop.good[path], amount_fen=amount), 400, "invalid_field", "amount_fen")
    for bonus in (-1, 1.5, False, "1", None, MAX_FEN + 1):
        await shop.refused(
            "/v1/loads", with_(shop.good["/v1/loads"], bonus_fen=bonus), 400, "invalid_field", "bonus_fen"
        )
    for literal in (b"1e2", b"1E400", b"10.0", b"0.1e2"):
        content = with_(shop.good["/v1/loads"]).replace(b":10", b":" + literal)
        await shop.refused("/v1/loads", content, 400, "invalid_field", "amount_fen")
    for literal in (b"NaN", b"Infinity", b"+10", b"1_0"):
        content = with_(shop.good["/v1/loads"]).replace(b":10", b":" + literal)
        await shop.refused("/v1/loads", content, 400, "malformed_json")


async def test_fields(shop: Shop) -> None:
    purchase = shop.good["/v1/purchases"]
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"color": "red"}, "color"),
        ({"expires_in_s": 60}, "expires_in_s"),
        ({"terminal_id": None}, "terminal_id"),
        ({"terminal_id": 5}, "terminal_id"),
        ({"terminal_id": shop.card_id}, "terminal_id"),
        ({"terminal_id": shop.terminal_id + "\n"}, "terminal_id"),
        ({"card_id": shop.terminal_id}, "card_id"),
        ({"card_id": shop.card_id.upper()}, "card_id"),
        ({"card_id": ""}, "card_id"),
        ({"card_id": None}, "card_id"),
        ({"card_number": "8888010000000000000"}, "card_id"),
        ({"card_id": None, "card_number": "1" * 12}, "card_number"),
        ({"card_id": None, "card_number": "1" * 20}, "card_number"),
        ({"card_id": None, "card_number": "１" * 19}, "card_number"),
        ({"card_id": None, "card_number": 8888010000000000000}, "card_number"),
        ({"reference": ""}, "reference"),
        ({"reference": "x" * 129}, "reference"),
        ({"reference": "a\u0000b"}, "reference"),
        ({"reference": "a\n"}, "reference"),
        ({"reference": 7}, "reference"),
        ({"occurred_at": "yesterday"}, "occurred_at"),
        ({"occurred_at": "2026-01-31T08:00:00"}, "occurred_at"),
        ({"occurred_at": 5}, "occurred_at"),
        ({"occurred_at": "1999-12-31T23:59:59Z"}, "occurred_at"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "occurred_at"),
        ({"occurred_at": "9999-12-31T23:59:59-14:00"}, "occurred_at"),
        ({"occurred_at": (datetime.now(UTC) + timedelta(minutes=6)).isoformat()}, "occurred_at"),
    ]
    for changes, field in wrong:
        await shop.refused("/v1/purchases", with_(purchase, **changes), 400, "invalid_field", field)
    for left_out in ("amount_fen", "terminal_id"):
        body = {name: value for name, value in purchase.items() if name != left_out}
        await shop.refused("/v1/purchases", with_(body), 400, "invalid_field", left_out)
    for expires_in_s in (0, -1, 30 * 86_400 + 1, 1.5, True, "60"):
        content = with_(shop.good["/v1/authorizations"], expires_in_s=expires_in_s)
        await shop.refused("/v1/authorizations", content, 400, "invalid_field", "expires_in_s")
    for final in (0, "true", None):
        path = f"/v1/authorizations/{shop.held}/capture"
        await shop.refused(path, with_({}, final=final), 400, "invalid_field", "final")
    await shop.refused(f"/v1/authorizations/{shop.held}/void", b'{"amount_fen":1}', 400, "invalid_field", "amount_fen")
    for payment_id in (shop.card_id, "txn_", 5, None):
        await shop.refused("/v1/refunds", with_({}, payment_id=payment_id), 400, "invalid_field", "payment_id")


async def test_bodies_that_are_no_json_objects(shop: Shop) -> None:
    for path in shop.good:
        for content in (b"", b"{", b"\xff\xfe", b"\x00", b"\xef\xbb\xbf{}"):
            await shop.refused(path, content, 400, "malformed_json")
        for content in (b"[]", b"null", b"5", b'"x"'):
            await shop.refused(path, content, 400, "invalid_field", "body")
        await shop.refused(path, b"[" * 2_000 + b"]" * 2_000, 400, "invalid_field", "body")


async def test_bodies_that_are_too_large(shop: Shop) -> None:
    purchase = with_(shop.good["/v1/purchases"])
    large = purchase + b" " * (MAX_BODY_BYTES - len(purchase) + 1)

    async def chunks(body: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(body), 100):
            yield body[start : start + 100]

    await shop.refused("/v1/purchases", large, 413, "body_too_large")
    await shop.refused("/v1/purchases", chunks(large), 413, "body_too_large")
    await shop.refused("/v1/purchases", b"x" * 10**6, 413, "body_too_large")
    for content in (large[:-1], chunks(purchase)):
        assert (await shop.client.post("/v1/purchases", content=content, headers=shop.key())).status_code == 201


async def test_keys(shop: Shop) -> None:
    purchase = with_(shop.good["/v1/purchases"])
    before = await shop.state()
    for path, body in shop.good.items():
        problem(await shop.client.post(path, json=body), 400, "idempotency_key_missing", "Idempotency-Key")
    for key in (b"", b" ", b"a b", b"x" * 256, b"\xe9", "钥匙".encode(), b"\x01", b'""', b"\x7f"):
        headers = [(b"idempotency-key", key)]
        answer = await shop.client.post("/v1/purchases", content=purchase, headers=headers)
        problem(answer, 400, "idempotency_key_missing", "Idempotency-Key")
    assert await shop.state() == before
    for key in (b"x" * 255, b"!~,(){}\\'", b'"quoted"'):
        answer = await shop.client.post("/v1/purchases", content=purchase, headers=[(b"idempotency-key", key)])
        assert answer.status_code == 201, (key, answer.text)
    again = await shop.client.post("/v1/purchases", content=purchase, headers=[(b"idempotency-key", b"quoted")])
    first = await shop.client.post("/v1/purchases", content=purchase, headers=[(b"idempotency-key", b'"quoted"')])
    assert (again.status_code, again.content) == (201, first.content)


async def test_a_key_belongs_to_one_request(shop: Shop) -> None:
    headers = shop.key()
    body = shop.good["/v1/purchases"]
    first = await shop.client.post("/v1/purchases", content=with_(body), headers=headers)
    assert first.status_code == 201
    before = await shop.state()
    for path, content in [
        ("/v1/purchases", with_(body, amount_fen=11)),
        ("/v1/purchases", with_(body) + b" "),
        ("/v1/purchases", with_(body, amount_fen=MAX_FEN)),
        ("/v1/authorizations", with_(body)),
        ("/v1/loads", with_(shop.good["/v1/loads"])),
        ("/v1/refunds", with_(shop.good["/v1/refunds"])),
        (f"/v1/authorizations/{shop.held}/capture", b"{}"),
    ]:
        answer = await shop.client.post(path, content=content, headers=headers)
        problem(answer, 422, "idempotency_key_reused", "Idempotency-Key")
    again = await shop.client.post("/v1/purchases", content=with_(body), headers=headers)
    assert (again.status_code, again.content) == (201, first.content)
    assert await shop.state() == before


async def test_times(shop: Shop) -> None:
    no_backdate = await shop.client_of(*(scope for scope in Scope if scope is not Scope.BACKDATE))
    now = datetime.now(UTC)
    before = await shop.town.held(shop.card)
    early = with_(shop.good["/v1/purchases"], occurred_at=(now - timedelta(minutes=6)).isoformat())
    problem(
        await no_backdate.post("/v1/purchases", content=early, headers=shop.key()),
        403,
        "backdating_forbidden",
        "occurred_at",
    )
    assert await shop.town.held(shop.card) == before
    assert (await shop.client.post("/v1/purchases", content=early, headers=shop.key())).status_code == 201
    # an offset that PostgreSQL does not know is still a time
    for text in (now.isoformat(), f"{now + timedelta(hours=23, minutes=59):%Y-%m-%dT%H:%M:%S}+23:59"):
        for path in ("/v1/purchases", "/v1/loads"):
            body = with_(shop.good[path], occurred_at=text)
            answer = await no_backdate.post(path, content=body, headers=shop.key())
            assert answer.status_code == 201, answer.text
            told = datetime.fromisoformat(answer.json()["occurred_at"])
            assert abs(told - now) < timedelta(seconds=1)
            assert answer.json()["occurred_at"].endswith("Z")


async def test_a_retry_is_never_too_late(database: str) -> None:
    clock = HandClock()
    shop = await Shop(await Town.found(database, clock=clock)).open()
    till = await shop.client_of(Scope.PAYMENTS_WRITE)
    for changes, status in (({}, 201), ({"amount_fen": 10**6}, 402)):
        body = with_(shop.good["/v1/purchases"], occurred_at=clock.at.isoformat(), **changes)
        key = shop.key()
        first = await till.post("/v1/purchases", content=body, headers=key)
        assert first.status_code == status
        held = await shop.town.held(shop.card)
        clock.move(timedelta(days=1))
        again = await till.post("/v1/purchases", content=body, headers=key)
        assert (again.status_code, again.content) == (status, first.content)
        assert await shop.town.held(shop.card) == held
        # but what is asked for the first time is too old now
        told = await till.post("/v1/purchases", content=body, headers=shop.key())
        problem(told, 403, "backdating_forbidden", "occurred_at")
        assert await shop.town.held(shop.card) == held
    await shop.town.close()


async def test_a_load_may_be_backdated_to_the_first_day(shop: Shop) -> None:
    body = with_(shop.good["/v1/loads"], occurred_at="2000-01-01T00:00:00Z")
    answer = await shop.client.post("/v1/loads", content=body, headers=shop.key())
    assert answer.status_code == 201


async def test_what_is_not_there_or_of_another_book(shop: Shop) -> None:
    unknown = "0" * 32
    missing: list[tuple[str, dict[str, Any], str]] = [
        ("/v1/purchases", {"card_id": f"card_{unknown}"}, "card_id"),
        ("/v1/purchases", {"card_id": None, "card_number": "8888010000000000000"}, "card_number"),
        ("/v1/purchases", {"terminal_id": f"term_{unknown}"}, "terminal_id"),
        ("/v1/loads", {"card_id": f"card_{unknown}"}, "card_id"),
        ("/v1/loads", {"terminal_id": f"term_{unknown}"}, "terminal_id"),
        ("/v1/refunds", {"payment_id": f"txn_{unknown}"}, "payment_id"),
        (f"/v1/authorizations/txn_{unknown}/capture", {}, "payment_id"),
        (f"/v1/authorizations/txn_{unknown}/void", {}, "payment_id"),
    ]
    for path, changes, field in missing:
        held = await shop.town.held(shop.card)
        answer = await shop.client.post(path, content=with_(shop.good.get(path, {}), **changes), headers=shop.key())
        problem(answer, 404, "not_found", field)
        assert await shop.town.held(shop.card) == held
    test = await shop.client_of(*Scope, mode=Mode.TEST)
    held = await shop.town.held(shop.card)
    for path, body in shop.good.items():
        answer = await test.post(path, content=with_(body), headers=shop.key())
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
    assert await shop.town.held(shop.card) == held


async def test_scopes(shop: Shop) -> None:
    needed = {"/v1/refunds": Scope.REFUNDS_WRITE, "/v1/loads": Scope.LOADS_WRITE}
    before = await shop.state()
    for path, body in shop.good.items():
        scope = needed.get(path, Scope.PAYMENTS_WRITE)
        client = await shop.client_of(*(other for other in Scope if other is not scope))
        told = problem(await client.post(path, content=with_(body), headers=shop.key()), 403, "forbidden")
        assert scope in told["detail"]
        client.headers["authorization"] = "Bearer kq_live_x"
        problem(await client.post(path, content=with_(body), headers=shop.key()), 401, "unauthenticated")
        del client.headers["authorization"]
        problem(await client.post(path, content=with_(body), headers=shop.key()), 401, "unauthenticated")
    assert await shop.state() == before


async def test_addresses_and_methods(shop: Shop) -> None:
    body = with_(shop.good["/v1/purchases"])
    for path in ("/v1/authorizations/x/capture", f"/v1/authorizations/{shop.card_id}/void"):
        await shop.refused(path, b"{}", 400, "invalid_field", "id")
    await shop.refused("/v1/purchases?x=1", body, 400, "invalid_field", "query")
    before = await shop.state()
    for path in ("/v1/authorizations//capture", "/v1/authorizations/a/b/capture", "/v1/purchases/", "/v1/purchase"):
        answer = await shop.client.post(path, content=body, headers=shop.key())
        assert answer.status_code in (400, 404, 405), path
        assert answer.headers["content-type"] == "application/problem+json"
    for path in shop.good:
        for method in ("PUT", "DELETE", "PATCH"):
            problem(await shop.client.request(method, path), 405, "method_not_allowed")
    for path in (f"/v1/authorizations/{shop.held}/capture", f"/v1/authorizations/{shop.held}/void"):
        problem(await shop.client.get(path), 405, "method_not_allowed")
    assert await shop.state() == before


async def test_refusals_of_the_desk_move_nothing(shop: Shop) -> None:
    await shop.town.block(shop.card)
    held = await shop.town.held(shop.card)
    for path in ("/v1/purchases", "/v1/authorizations", "/v1/loads"):
        answer = await shop.client.post(path, content=with_(shop.good[path]), headers=shop.key())
        problem(answer, 409, "card_blocked", "card_id")
    await shop.town.unblock(shop.card)
    for path, changes, status, code, field in [
        ("/v1/purchases", {"amount_fen": 701}, 402, "insufficient_funds", "amount_fen"),
        ("/v1/refunds", {"amount_fen": 201}, 409, "refund_exceeds_payment", "amount_fen"),
        ("/v1/refunds", {"payment_id": shop.held}, 409, "not_refundable", "payment_id"),
        (
            f"/v1/authorizations/{shop.held}/capture",
            {"amount_fen": 201},
            409,
            "capture_exceeds_authorization",
            "amount_fen",
        ),
        (f"/v1/authorizations/{shop.paid}/void", {}, 409, "authorization_not_open", "payment_id"),
    ]:
        body = {**shop.good.get(path, {}), **changes}
        problem(await shop.client.post(path, content=with_(body), headers=shop.key()), status, code, field)
    assert await shop.town.held(shop.card) == held
    card = show_id(Prefix.CARD, await shop.town.new_card(active=False))
    content = with_(shop.good["/v1/purchases"], card_id=card)
    problem(
        await shop.client.post("/v1/purchases", content=content, headers=shop.key()), 409, "card_not_active", "card_id"
    )


async def test_a_terminal_that_is_blocked_or_where_the_card_is_not_taken(shop: Shop) -> None:
    town, body = shop.town, with_(shop.good["/v1/purchases"])
    pool, clock, ids, place = town.apps[0].pool, town.apps[0].clock, town.ids, town.places[0]
    await parties.change_terminal(
        pool, clock, ids, book_id=town.book_id, id_=place.terminal_id, status=parties.TerminalStatus.BLOCKED
    )
    held = await town.held(shop.card)
    answer = await shop.client.post("/v1/purchases", content=body, headers=shop.key())
    problem(answer, 409, "terminal_blocked", "terminal_id")
    await parties.change_terminal(
        pool, clock, ids, book_id=town.book_id, id_=place.terminal_id, status=parties.TerminalStatus.ACTIVE
    )
    removed = [(place.merchant_id, None)]
    await cards.change_acceptance(
        pool, clock, ids, book_id=town.book_id, programme_id=town.programme.id, remove=removed
    )
    answer = await shop.client.post("/v1/purchases", content=body, headers=shop.key())
    problem(answer, 409, "not_accepted_here", "terminal_id")
    assert await town.held(shop.card) == held
