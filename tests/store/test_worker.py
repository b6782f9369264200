"""What the worker does: authorizations expire, batches are issued, old answers go, checkpoints are kept."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from procrastinate.schema import SchemaManager
from psycopg.conninfo import make_conninfo
from tests.conftest import make_database
from tests.store.test_cosigning import served
from tests.town import HandClock, Town, audits_hold

from kaquan import cards
from kaquan.app import read_witnesses
from kaquan.cards import CardForm, NewBatch
from kaquan.doors.worker.log import keep_cosigned
from kaquan.doors.worker.process import work
from kaquan.evidence import (
    Algorithm,
    LogKey,
    NoteError,
    Witness,
    WitnessPolicy,
    create_witness,
    get_checkpoint,
    get_keys,
    open_checkpoint,
)
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import forget_answers, take_checkpoints
from kaquan.migrations import run_sql
from kaquan.payments.expire import expire_overdue
from kaquan.settings import Settings, SettingsError
from kaquan.vault import LogSigner

SLOTS = (3, 40)


@pytest.fixture(scope="module")
def own_database(server: str) -> str:
    """The jobs look at every book of a database, so these tests have one of their own."""
    return make_database(server, f"test_worker_{os.getpid()}", SLOTS)


@pytest.fixture
async def town(own_database: str) -> AsyncIterator[Town]:
    town = await Town.found(own_database, clock=HandClock(), slots=SLOTS, processes=2, shops=2)
    yield town
    await town.close()


def move(town: Town, by: timedelta) -> datetime:
    clock = town.apps[0].clock
    assert isinstance(clock, HandClock)
    clock.move(by)
    return clock.now()


async def rows(town: Town, statement: str) -> list[tuple[Any, ...]]:
    async with town.apps[0].pool.connection() as connection:
        return await (await connection.execute(statement.encode())).fetchall()


async def statuses(town: Town) -> list[str]:
    return [
        row[0]
        for row in await rows(
            town,
            f"SELECT status::text FROM payments_payment WHERE book_id = {town.book_id} AND kind = 'authorization'"
            " ORDER BY id",
        )
    ]


# Expiry


async def test_an_authorization_expires_once_whoever_asks(town: Town) -> None:
    card_ids = [await town.new_card(load_fen=10_000) for _ in range(6)]
    for card_id in card_ids:
        assert (await town.authorize(card_id, 4_000, expires_in_s=60)).status == 201
    late = await town.authorize(card_ids[0], 1_000, expires_in_s=3_600)
    now = move(town, timedelta(seconds=59))
    assert await asyncio.gather(*(expire_overdue(app.desk, app.pool, SLOTS, now) for app in town.apps)) == [0, 0]
    assert await town.available_fen(card_ids[1]) == 6_000

    now = move(town, timedelta(seconds=2))
    ended = await asyncio.gather(*(expire_overdue(app.desk, app.pool, SLOTS, now) for app in town.apps))
    assert sum(ended) == len(card_ids)
    assert [await town.available_fen(card_id) for card_id in card_ids] == [9_000, *[10_000] * 5]
    assert (await statuses(town)) == ["expired"] * 6 + ["open"]
    assert await expire_overdue(town.apps[0].desk, town.apps[0].pool, SLOTS, now) == 0
    assert (await town.capture(late.payment_id)).status == 200
    await audits_hold(town.conninfo)


async def test_what_was_captured_stays_captured(town: Town) -> None:
    card_id = await town.new_card(load_fen=10_000)
    held = await town.authorize(card_id, 5_000, expires_in_s=60)
    assert (await town.capture(held.payment_id, 2_000, final=False)).status == 200
    assert await town.available_fen(card_id) == 5_000
    now = move(town, timedelta(seconds=61))
    assert await expire_overdue(town.apps[0].desk, town.apps[0].pool, SLOTS, now) == 1
    assert await town.available_fen(card_id) == 8_000
    assert await statuses(town) == ["completed"]
    await audits_hold(town.conninfo)


# Jobs


async def test_two_workers_share_the_jobs_and_take_over_from_a_killed_one(town: Town) -> None:
    held = await town.authorize(await town.new_card(load_fen=1_000), 1_000, expires_in_s=60)
    move(town, timedelta(seconds=61))
    app = town.apps[0]
    new = NewBatch(programme_id=town.programme.id, name="gifts", form=CardForm.PHYSICAL, card_count=12_000)
    batch = await cards.create_batch(app.pool, app.clock, app.ids, book_id=town.book_id, slots=SLOTS, new=new)
    assert not isinstance(batch, Refusal)
    with psycopg.connect(make_conninfo(town.conninfo, options="-c search_path=jobs")) as connection:
        connection.execute(
            "WITH killed AS ("
            " INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 hour') RETURNING id) "
            "INSERT INTO procrastinate_jobs (queue_name, task_name, lock, queueing_lock, args, status, worker_id) "
            "SELECT 'default', 'issue_batches', 'issue_batches', 'issue_batches', '{\"timestamp\": 0}', 'doing', id"
            " FROM killed"
        )
    stop = asyncio.Event()
    async with asyncio.timeout(60), asyncio.TaskGroup() as workers:
        for one in town.apps:
            workers.create_task(work(one, town.conninfo, stop))
        checkpoint: str | Refusal = ""
        while batch.finished_at is None or await statuses(town) != ["expired"] or isinstance(checkpoint, Refusal):
            await asyncio.sleep(0.2)
            checkpoint = await get_checkpoint(app.pool)  # they keep the log besides
            found = await cards.get_batch(app.pool, book_id=town.book_id, batch_id=batch.id)
            assert not isinstance(found, Refusal)
            batch = found
        stop.set()
    assert isinstance(checkpoint, str)
    assert open_checkpoint(checkpoint, await get_keys(app.pool)).size > 0
    assert batch.issued_count == batch.card_count == 12_000
    ((issued,),) = await rows(town, f"SELECT count(*) FROM cards_card WHERE batch_id = '{batch.id}'")
    assert issued == 12_000
    assert (await town.capture(held.payment_id)).code == "authorization_not_open"
    assert await rows(town, "SELECT task_name FROM jobs.procrastinate_jobs WHERE status IN ('doing', 'failed')") == []
    await audits_hold(town.conninfo)


def test_the_schema_of_the_queue_is_that_of_its_library() -> None:
    assert SchemaManager.get_schema().strip() in run_sql("0006")


# Upkeep of the ledger


async def test_old_answers_are_forgotten_and_nothing_else(town: Town) -> None:
    card_id = await town.new_card(load_fen=10_000)
    assert (await town.purchase(card_id, 100, key="old")).status == 201
    between = move(town, timedelta(days=1))
    move(town, timedelta(days=1))
    first = await town.purchase(card_id, 200, key="young")
    history = await town.count("ledger_transaction"), await town.count("ledger_entry")
    before = await town.count("ledger_idempotency")

    forgotten = await asyncio.gather(*(forget_answers(app.pool, SLOTS, before=between) for app in town.apps))
    assert sum(forgotten) == before - await town.count("ledger_idempotency") >= 2  # the load and the purchase
    assert (await town.count("ledger_transaction"), await town.count("ledger_entry")) == history
    await audits_hold(town.conninfo)

    again = await town.purchase(card_id, 200, key="young", body=b"")
    assert (again.status, again.code) == (422, "idempotency_key_reused")
    assert await town.available_fen(card_id) == 9_700
    assert (await town.purchase(card_id, 100, key="old")).status == 201  # a key may be used anew
    assert await town.available_fen(card_id) == 9_600
    assert first.status == 201
    await audits_hold(town.conninfo)


async def test_nobody_else_may_forget(town: Town) -> None:
    before = await town.count("ledger_idempotency")
    for table in ("ledger_idempotency", "ledger_forgotten", "ledger_checkpoint", "ledger_entry"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await rows(town, f"DELETE FROM {table} RETURNING 1")
    assert await town.count("ledger_idempotency") == before


async def test_checkpoints_are_what_the_accounts_had(town: Town) -> None:
    async def live() -> dict[int, tuple[int, ...]]:
        return {
            row[0]: row[1:]
            for row in await rows(
                town,
                "SELECT id, debits_posted, credits_posted, debits_pending, credits_pending FROM ledger_account"
                f" WHERE floor_rule = 'none' AND book_id = {town.book_id} AND version > 0",
            )
        }

    async def kept() -> dict[int, tuple[int, ...]]:
        """The newest checkpoint of each account of the town."""
        return {
            row[0]: row[1:]
            for row in await rows(
                town,
                "SELECT DISTINCT ON (c.account_id) c.account_id, c.debits_posted, c.credits_posted, c.debits_pending,"
                " c.credits_pending FROM ledger_checkpoint c JOIN ledger_account a ON a.id = c.account_id"
                f" WHERE a.book_id = {town.book_id} ORDER BY c.account_id, c.taken_at DESC",
            )
        }

    pool = town.apps[0].pool
    first_id = await town.new_card(load_fen=10_000, bonus_fen=500)
    card_ids = [first_id] + [await town.new_card(load_fen=5_000) for _ in range(5)]
    for card_id in card_ids:
        await town.purchase(card_id, 300, shop=0)
    held = await town.authorize(first_id, 2_000, shop=1)
    assert await kept() == {}
    early = town.apps[0].clock.now()
    await take_checkpoints(pool, SLOTS, now=early)
    assert await kept() == {}, "what is younger than a minute may still be on its way"

    await take_checkpoints(pool, SLOTS, now=move(town, timedelta(seconds=61)))
    assert await kept() == await live() != {}
    later = move(town, timedelta(days=1))
    await take_checkpoints(pool, SLOTS, now=later)
    assert await take_checkpoints(pool, SLOTS, now=later) == 0, "nothing has moved"

    await town.capture(held.payment_id, 1_500)
    refunded = await town.purchase(card_ids[1], 700, shop=1)
    await town.refund(refunded.payment_id, 200)
    now = move(town, timedelta(seconds=61))
    await asyncio.gather(*(take_checkpoints(app.pool, SLOTS, now=now) for app in town.apps))
    assert await kept() == await live()
    await audits_hold(town.conninfo)


async def test_the_worker_has_the_log_cosigned(town: Town, tmp_path: Path) -> None:
    app = town.apps[0]
    create_witness(tmp_path / "w1", "witness.example/w1", b"w" * 32)
    witness = Witness(tmp_path / "w1", app.clock, lambda seed: LogSigner("w", seed))
    while not isinstance(await get_checkpoint(app.pool), str):
        await app.sequencer.step(app.keyring.log_signers)
    for key in await get_keys(app.pool):
        witness.follow(key)
    async with served(witness) as url:
        (tmp_path / "policy").write_text(f"witness w1 {witness.key.text} {url}\nquorum w1\n")
        policy = read_witnesses(Settings(log_witnesses=tmp_path / "policy"))
        assert policy is not None
        app.witnesses = policy
        stop = asyncio.Event()
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            group.create_task(work(app, town.conninfo, stop))
            checkpoint = await get_checkpoint(app.pool)
            while not is_cosigned(checkpoint, await get_keys(app.pool), policy):
                await asyncio.sleep(0.1)
                checkpoint = await get_checkpoint(app.pool)
            stop.set()
        # another worker without witnesses publishes what is signed
        app.witnesses = None
        await keep_cosigned(app, asyncio.Event())
        assert not is_cosigned(await get_checkpoint(app.pool), await get_keys(app.pool), policy)
    witness.close()


def is_cosigned(note: str | Refusal, keys: list[LogKey], policy: WitnessPolicy) -> bool:
    try:
        return isinstance(note, str) and open_checkpoint(note, keys, policy).size > 0
    except NoteError:
        return False


@pytest.mark.parametrize("content", [None, "nonsense", "quorum none", "\udcff"])
def test_a_policy_of_witnesses_that_is_none(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "policy"
    if content is not None:
        path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(SettingsError, match="KAQUAN_LOG_WITNESSES"):
        read_witnesses(Settings(log_witnesses=path))
    key = LogKey("witness.example/w1", b"k" * 32, Algorithm.COSIGNATURE)
    path.write_text(f"witness w1 {key.text}\nquorum w1\n")  # nobody knows where it is
    with pytest.raises(SettingsError, match="address"):
        read_witnesses(Settings(log_witnesses=path))
