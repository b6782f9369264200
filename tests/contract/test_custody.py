"""The chain of custody, at both doors: what is written is verified by the single file, and refused where it must be."""

import asyncio
import io
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from tests.conftest import make_database
from tests.contract.api import Api, problem
from tests.contract.test_cli import document, environment, kaquan, sentence
from tests.contract.test_http_log import sequence
from tests.contract.test_http_payments_read import NOBODY, Shop, shop
from tests.contract.test_http_sales import made as paid
from tests.contract.test_http_sales import order, programme
from tests.store.test_audit import Till
from tests.store.test_evidence_log import IDS
from tests.unit.test_custody_bundle import single_file

from kaquan.custody import export_object, export_period
from kaquan.evidence import Sequencer
from kaquan.kit.clock import SystemClock
from kaquan.kit.db import open_pool
from kaquan.kit.ids import Prefix, read_id
from kaquan.kit.outcomes import Refusal
from kaquan.parties import Mode, Scope
from kaquan.vault import Keyring

__all__ = ["shop"]

DAY = timedelta(days=1)


async def verified(api: Api, response: httpx.Response) -> tuple[dict[str, Any], list[Any]]:
    assert response.status_code == 200, response.text
    assert int(response.headers["content-length"]) == len(response.content)
    key = (await api.client().get("/log/keys")).text.split()[-1]
    events: list[Any] = []
    found = single_file.Reader(io.BytesIO(response.content), [single_file.read_key(key)], events.append).read()
    return found, events


def period(begins: datetime, ends: datetime) -> dict[str, str]:
    return {"begins": begins.isoformat(), "ends": ends.isoformat()}


async def test_a_card_has_its_chain_of_custody(api: Api, shop: Shop) -> None:
    path = f"/v1/evidence/object?object={shop.card_id}"
    assert problem(await shop.client.get(path), 409, "receipt_not_ready")["retryable"]
    await sequence(api)
    found, events = await verified(api, await shop.client.get(path))
    assert (found["object"], found["entries"], found["facts"], found["checkpoints"]) == (shop.card_id, 6, 0, 1)
    kinds = [event[0] for event in events]
    activated = kinds.index("kaquan-card/1")
    assert f"card_{events[activated][3]}" == shop.card_id
    assert events[activated][5:7] == ["activated", "active"]
    word, actor, reason, details = events[activated + 1]
    assert (word, actor[:4], reason, details) == ("opening", "key_", None, {})
    issue = kinds.index("kaquan-issue/1")
    assert (events[issue][4], events[issue][9]) == ("card", 1)
    assert events[issue + 1][:2] == ["issued with it", shop.card_id.removeprefix("card_")]
    entries = [event for event in events if event[0] == "kaquan-leaf/1"]
    assert {f"txn_{entry[2]}" for entry in entries} == {payment["id"] for payment in shop.paid.values()}
    assert sorted(entry[4] for entry in entries) == ["authorization", "load", "purchase", "refund"]


async def test_a_transaction_has_what_goes_back_to_it(api: Api, shop: Shop) -> None:
    await sequence(api)
    for asked in ("purchases", "refunds"):
        path = f"/v1/evidence/object?object={shop.paid[asked]['id']}"
        _, events = await verified(api, await shop.client.get(path))
        assert {f"txn_{event[2]}" for event in events} == {shop.paid["purchases"]["id"], shop.paid["refunds"]["id"]}


async def test_a_batch_has_its_own(api: Api, shop: Shop, database: str) -> None:
    red = (await shop.get("/v1/programmes"))["data"][0]
    body = {"programme_id": red["id"], "name": "b1", "form": "digital", "card_count": 2}
    batch = await shop.client.post("/v1/batches", json=body)
    assert batch.status_code == 201, batch.text
    await sequence(api)
    path = f"/v1/evidence/object?object={batch.json()['id']}"
    found, events = await verified(api, await shop.client.get(path))
    assert (found["entries"], [event[3] for event in events]) == (0, ["created"])


async def test_a_sale_has_its_own(api: Api, live: httpx.AsyncClient) -> None:
    sold = await programme(live)
    sale = await paid(live, "/v1/sales", **order(sold, 2))
    await paid(live, f"/v1/sales/{sale['id']}/payments", amount_fen=96_000, method="cash")
    await paid(live, f"/v1/sales/{sale['id']}/deliver")
    await sequence(api)
    found, events = await verified(api, await live.get(f"/v1/evidence/object?object={sale['id']}"))
    assert (found["entries"], found["facts"]) == (2, 6)
    assert sorted(event[3] for event in events if event[0] == "kaquan-fact/1") == [
        "created", "delivered", "item", "item", "paid", "payment",
    ]  # fmt: skip
    assert {event[4] for event in events if event[0] == "kaquan-leaf/1"} == {"load"}


async def test_a_period_shows_its_book_and_hides_the_others(api: Api, shop: Shop) -> None:
    await sequence(api)
    now = api.app.clock.now()
    response = await shop.client.get("/v1/evidence/period", params=period(now - DAY, now + DAY))
    found, events = await verified(api, response)
    assert {f"txn_{event[2]}" for event in events if event[0] == "kaquan-leaf/1"} == {
        payment["id"] for payment in shop.paid.values()
    }
    assert found["size"] == found["entries"] + found["hidden"]
    (book,) = {event[3] for event in events if event[0] == "kaquan-leaf/1"}
    assert found["book"] == book
    whole = io.BytesIO()
    done = await export_period(
        api.app.pool,
        api.app.clock,
        api.app.keyring.log_signers,
        begins=now - DAY,
        ends=now + DAY,
        stream=whole,
    )
    assert not isinstance(done, Refusal)
    assert (done.hidden, done.entries) == (0, done.size)


async def test_what_is_asked_for_must_be_there_and_ones_own(api: Api, shop: Shop) -> None:
    await sequence(api)
    client = shop.client
    path = "/v1/evidence/object"
    for name, status, code in (
        (f"card_{NOBODY}", 404, "not_found"),
        (f"txn_{NOBODY}", 404, "not_found"),
        (f"sale_{NOBODY}", 404, "not_found"),
        (f"top_{NOBODY}", 404, "not_found"),
        (f"bat_{NOBODY}", 404, "not_found"),
        (f"mer_{NOBODY}", 400, "not_a_custody_object"),
        ("card_12", 400, "not_a_custody_object"),
        ("x", 400, "invalid_field"),
    ):
        problem(await client.get(path, params={"object": name}), status, code, "object")
    problem(await client.get(path), 400, "invalid_field", "object")
    books = await api.books()
    for foreign in (await api.client_of(books[Mode.LIVE]), await api.client_of(books[Mode.TEST])):
        problem(await foreign.get(path, params={"object": shop.card_id}), 404, "not_found", "object")
    poor = await api.client_of(books[Mode.LIVE], Scope.CARDS_READ)
    problem(await poor.get(path, params={"object": shop.card_id}), 403, "forbidden")
    problem(await poor.get("/v1/evidence/period"), 403, "forbidden")
    at = datetime(2026, 3, 1, tzinfo=UTC)
    problem(await client.get("/v1/evidence/period", params=period(at, at)), 400, "invalid_field", "ends")
    problem(await client.get("/v1/evidence/period", params={"begins": "x"}), 400, "invalid_field", "begins")
    ages = period(datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
    await verified(api, await client.get("/v1/evidence/period", params=ages))


async def test_too_much_is_refused(api: Api, shop: Shop) -> None:
    await sequence(api)
    app, stream = api.app, io.BytesIO()
    how: dict[str, Any] = {"stream": stream, "max_events": 3}
    signers = app.keyring.log_signers
    refused = await export_object(app.pool, app.clock, signers, name=shop.card_id, slots=app.slots, **how)
    assert isinstance(refused, Refusal)
    assert refused.code == "bundle_too_large"
    now = app.clock.now()
    for book_id in (None, (await shop_book(api, shop))):
        refused = await export_period(app.pool, app.clock, signers, begins=now - DAY, ends=now, book_id=book_id, **how)
        assert isinstance(refused, Refusal)
        assert refused.code == "bundle_too_large"


async def shop_book(api: Api, shop: Shop) -> int:
    found, _ = await verified(api, await shop.client.get(f"/v1/evidence/object?object={shop.card_id}"))
    return int(found["book"])


async def test_nothing_altered_is_handed_out(api: Api, shop: Shop, database: str) -> None:
    await sequence(api)
    payment = shop.paid["purchases"]["id"]
    id_ = read_id(Prefix.TRANSACTION, payment)
    now = api.app.clock.now()
    with psycopg.connect(database) as owner:
        owner.execute("UPDATE ledger_entry SET amount_fen = amount_fen + 1 WHERE transaction_id = %s", (id_,))
    try:
        for response in (
            await shop.client.get(f"/v1/evidence/object?object={shop.card_id}"),
            await shop.client.get("/v1/evidence/period", params=period(now - DAY, now + DAY)),
        ):
            assert payment in problem(response, 409, "event_contradicted")["detail"]
    finally:
        with psycopg.connect(database) as owner:
            owner.execute("UPDATE ledger_entry SET amount_fen = amount_fen - 1 WHERE transaction_id = %s", (id_,))


async def fill(conninfo: str, keyring: Path) -> str:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        till = Till(connection, book_id=1, slot=0, currency="CNY")
        till.load(1_000, 200)
        purchase = till.purchase(principal_fen=100, bonus_fen=50)
        till.refund(purchase, 30, captured_fen=150)
    async with open_pool(conninfo) as pool:
        sequencer = Sequencer(pool, SystemClock(), IDS, (0,))
        while (step := await sequencer.step(Keyring.load(keyring).log_signers)).leaves or step.more:
            pass
    return f"txn_{purchase.hex}"


def test_bundles_by_command(server: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("evidence")
    folder.chmod(0o711)
    conninfo = make_database(server, f"test_cli_evidence_{os.getpid()}")
    ring = folder / "keyring.json"
    Keyring.create(ring)
    env = environment(folder, conninfo, KAQUAN_KEYRING=str(ring))
    purchase = asyncio.run(fill(conninfo, ring))
    key = single_file.read_key(document("log", "status", env=env)["keys"][0]["key"])
    one, all_ = folder / "one", folder / "all"
    done = document("evidence", "export", str(one), "--object", purchase, env=env)
    assert (done["entries"], done["facts"], done["bytes"]) == (2, 0, one.stat().st_size)
    with one.open("rb") as stream:
        assert single_file.Reader(stream, [key], lambda event: None).read()["entries"] == 2
    times = ("--from", "2020-01-01T00:00:00+08:00", "--to", "2099-01-01T00:00:00+08:00")
    done = document("evidence", "export", str(all_), *times, env=env)
    assert (done["entries"], done["hidden"], done["old_size"], done["size"]) == (4, 0, 0, 4)
    with all_.open("rb") as stream:
        assert single_file.Reader(stream, [key], lambda event: None).read()["hidden"] == 0
    told = kaquan("evidence", "export", str(folder / "two"), "--object", purchase, env=env)
    assert "2 entries" in told.stdout

    report = document("audit", "evidence", env=env)
    assert report["holds"]
    assert [audit["name"] for audit in report["audits"]][:2] == ["leaves", "log"]
    unpublished = {**env, "KAQUAN_LOG_DIRECTORY": str(folder / "published")}
    failed = kaquan("audit", "evidence", "--json", env=unpublished)
    assert failed.returncode == 1
    (published,) = [audit for audit in json.loads(failed.stdout)["audits"] if not audit["holds"]]
    assert (published["name"], published["findings"][0]["what"]) == ("published", "checkpoint")

    # nothing is overwritten, and no half file is left
    before = one.read_bytes()
    assert "not overwritten" in sentence("evidence", "export", str(one), "--object", purchase, env=env)
    assert one.read_bytes() == before
    other = str(folder / "three")
    assert "no chain of custody" in sentence("evidence", "export", other, "--object", "mer_1", env=env)
    assert "no such object" in sentence("evidence", "export", other, "--object", f"txn_{NOBODY}", env=env)
    assert "Name an object" in sentence("evidence", "export", other, env=env)
    assert "Name an object" in sentence("evidence", "export", other, "--from", times[1], env=env)
    assert "must be after" in sentence("evidence", "export", other, "--from", times[3], "--to", times[1], env=env)
    assert "time with its zone" in sentence("evidence", "export", other, "--from", "yesterday", *times[2:], env=env)
    with psycopg.connect(conninfo) as owner:
        owner.execute("UPDATE ledger_entry SET amount_fen = amount_fen + 1 WHERE leg = 1")
    assert "was altered after the fact" in sentence("evidence", "export", other, *times, env=env)
    assert sorted(path.name for path in folder.glob("*") if path.is_file()) == sorted(
        {"all", "keyring.json", "one", "two"} | {path.name for path in folder.glob("keyring.json.*")}
    )
