"""What is kept of a request tells nobody the number that was in it, and a retry is known through every rotation."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace
from tests.conftest import make_database
from tests.contract.api import Api, problem
from tests.contract.test_http_cards import made, new_programme

from kaquan import rotation
from kaquan.app import App
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool, open_pool
from kaquan.kit.ids import Ids
from kaquan.ledger import hash_request
from kaquan.parties import Mode
from kaquan.settings import Settings
from kaquan.vault import (
    Keyring,
    Ring,
    add_lookup_key,
    add_seal_key,
    create_ring,
    drop_old_lookup_keys,
    new_key,
    new_ring,
    read_ring,
    replace_ring,
    retire_seal_key,
)


@pytest.fixture
def conninfo(server: str, ids: Ids) -> str:
    """Of its own for each test: a rotation is about every card of an installation."""
    return make_database(server, f"test_requests_{ids.new().hex}")


class Shop:
    """A till that names a card by its number, and server processes that start when they are asked for."""

    def __init__(self, pool: Pool, clock: Clock, ids: Ids, path: Path) -> None:
        self.pool, self.clock, self.ids, self.path = pool, clock, ids, path
        self.served: list[Api] = []

    async def start(self) -> Api:
        app = App(Settings(), self.pool, Keyring.load(self.path), (0,), clock=self.clock, ids=self.ids)
        await app.refresh()
        app.desk.start()
        self.served.append(Api(app))
        return self.served[-1]

    async def open(self) -> "Shop":
        api = await self.start()
        book = (await api.books())[Mode.LIVE]
        self.token = (await api.key(book)).token
        client = api.client(self.token)
        programme = await new_programme(client)
        card = await made(client, "/v1/cards", programme_id=programme["id"], form="digital")
        assert (await client.post(f"/v1/cards/{card['id']}/activate")).status_code == 200
        self.card_id = card["id"]
        self.number = (await client.get(f"/v1/cards/{card['id']}/number")).json()["number"]
        await api.app.refresh()
        return self

    async def load(self, api: Api, amount_fen: int = 500, *, key: str = "load") -> httpx.Response:
        body = {"card_number": self.number, "amount_fen": amount_fen}
        return await api.client(self.token).post("/v1/loads", json=body, headers={"Idempotency-Key": key})

    def change(self, how: Any) -> None:
        ring, protection = read_ring(self.path, None)
        replace_ring(self.path, how(ring), protection)

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        async with self.pool.connection() as connection:
            return await (await connection.execute(query.encode())).fetchall()

    async def balance_fen(self) -> int:
        (row,) = await self.rows("SELECT coalesce(sum(credits_posted), 0) FROM ledger_account WHERE kind LIKE 'card%'")
        return int(row[0])

    async def close(self) -> None:
        for api in self.served:
            await api.close()
            await api.app.desk.close()


@pytest.fixture
async def shop(conninfo: str, clock: Clock, ids: Ids, tmp_path: Path) -> AsyncIterator[Shop]:
    create_ring(tmp_path / "keyring.json", new_ring())
    async with open_pool(conninfo) as pool:
        opened = await Shop(pool, clock, ids, tmp_path / "keyring.json").open()
        yield opened
        await opened.close()


async def test_a_number_leaves_no_trace_that_can_be_tried_out(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    api = shop.served[0]
    client = api.client(shop.token)
    body = {"card_number": shop.number, "amount_fen": 500}
    request = client.build_request("POST", "/v1/loads", json=body, headers={"idempotency-key": "traceless"})
    sent = request.read()
    assert (await client.send(request)).status_code == 201
    refused = await shop.load(api, 10**13, key="too much")
    assert refused.status_code == 400
    # a refusal that is kept
    for path in ("purchases", "authorizations"):
        unknown = {**body, "terminal_id": f"term_{'0' * 32}"}
        told = await client.post(f"/v1/{path}", json=unknown, headers={"idempotency-key": path})
        problem(told, 404, "not_found", "terminal_id")
    hashes = {bytes(row[0]) for row in await shop.rows("SELECT request_hash FROM ledger_idempotency")}
    hashes |= {bytes(row[0]) for row in await shop.rows("SELECT request_hash FROM ledger_transaction")}
    plain = hash_request("POST", "/v1/loads", sent)
    assert api.app.keyring.hide_request(plain) in hashes
    assert plain not in hashes
    assert shop.number not in caplog.text
    tables = await shop.rows("SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'public'")
    for (table,) in tables:
        (row,) = await shop.rows(
            f"SELECT count(*) FROM {table} AS t WHERE position('{shop.number}' IN t::text) > 0"
            f" OR position('{shop.number.encode().hex()}' IN t::text) > 0"  # in what bytea shows
        )
        assert row == (0,), table


async def test_a_retry_is_known_again_after_every_key_has_changed(shop: Shop) -> None:
    before_fen = await shop.balance_fen()
    first = await shop.load(shop.served[0])
    assert first.status_code == 201
    shop.change(lambda ring: add_seal_key(ring, key=new_key(), cipher="sm4-gcm"))
    shop.change(lambda ring: add_lookup_key(ring, key=new_key(), mac="hmac-sm3"))
    keyring = Keyring.load(shop.path)
    report = await rotation.reseal(shop.pool, keyring, slots=(0,), progress=lambda what, count: None)
    assert report.lookups_moved, report
    shop.change(drop_old_lookup_keys)
    used = await rotation.seal_ids_in_use(shop.pool)
    for key_id in [key for key in keyring.seal_ids if key not in used]:
        shop.change(partial(retire_seal_key, key_id=key_id, in_use=used))
    rotated = await shop.start()
    again = await shop.load(rotated)
    assert (again.status_code, again.content) == (201, first.content)
    problem(await shop.load(rotated, 501), 422, "idempotency_key_reused", "Idempotency-Key")
    assert await shop.balance_fen() == before_fen + 500


async def test_under_a_ring_with_another_pepper_a_retry_is_refused_and_moves_nothing(shop: Shop) -> None:
    """Which no command makes: what was kept cannot be told from another request, so it is not done again."""
    assert (await shop.load(shop.served[0])).status_code == 201
    before_fen = await shop.balance_fen()

    def spoil(ring: Ring) -> Ring:
        return replace(ring, pepper=replace(ring.pepper, key=new_key()))

    shop.change(spoil)
    problem(await shop.load(await shop.start()), 422, "idempotency_key_reused", "Idempotency-Key")
    assert await shop.balance_fen() == before_fen
