"""The audits of vouchers and points find what somebody changed behind the product, and nothing else."""

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from tests.conftest import make_database
from tests.store.test_points import Club
from tests.store.test_vouchers import SLOTS, Shop
from tests.town import KEYRING, HandClock, Town, audits_hold

from kaquan import vouchers
from kaquan.audit import run_audits
from kaquan.cards import Pocket
from kaquan.ledger import Answer, RequestKey, hash_key
from kaquan.rotation import reseal
from kaquan.vault import Keyring, Ring
from kaquan.vault.ring_file import LookupKey, SealKey


@pytest.fixture
async def own_database(server: str) -> str:
    return make_database(server, f"test_audit_vouchers_{os.getpid()}_{datetime.now(UTC).timestamp():.6f}", SLOTS)


@pytest.fixture
async def town(own_database: str) -> AsyncIterator[Town]:
    made = await Town.found(own_database, clock=HandClock(), slots=SLOTS)
    yield made
    await made.close()


async def found(conninfo: str, *, by: str, statement: str) -> list[tuple[str, str]]:
    """What the audits say after a superuser's statement, which is taken back: audit and what."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        changed = connection.execute(statement).rowcount
        assert changed == 1, statement
    report = await run_audits(conninfo, names=[by])
    return [(audit.name, finding.what) for audit in report.audits for finding in audit.findings]


async def test_vouchers_that_were_altered_are_found(town: Town, own_database: str) -> None:
    clock = town.apps[0].clock
    assert isinstance(clock, HandClock)
    shop = Shop(town, clock)
    card = await town.new_card()
    held, loaded = await shop.held(max_per_holder=2), await shop.held(shop.card(card), load_pocket=Pocket.BONUS)
    key = RequestKey("k", hash_key(town.book_id, "k"), bytes(32))
    done = await vouchers.load_voucher(
        shop.app.pool, shop.hand, **shop.args, voucher_id=loaded.id, card_id=card, key=key,
        render=lambda _: Answer(201, b""),
    )  # fmt: skip
    assert isinstance(done, Answer)
    for by, statement, what in (
        ("voucher_events", f"UPDATE vouchers_voucher SET holder_id = gen_random_uuid() WHERE id = '{held.id}'",
         "status and holder"),
        ("voucher_events",
         f"UPDATE vouchers_event SET face_fen = 1 WHERE kind = 'loaded' AND voucher_id = '{loaded.id}'",
         "leaf_hash"),
        ("voucher_loads", f"UPDATE vouchers_voucher SET face_fen = 1 WHERE id = '{loaded.id}'", "loaded"),
        ("voucher_batches", f"UPDATE vouchers_batch SET issued_count = 0 WHERE id = '{held.batch_id}'",
         "vouchers of a batch"),
        ("voucher_batches", f"UPDATE vouchers_claimed SET claimed = 0 WHERE template_id = '{held.template_id}'",
         "vouchers of a holder"),
    ):  # fmt: skip
        assert (by, what) in await found(own_database, by=by, statement=statement)
    stray = "INSERT INTO evidence_leaf (slot, transaction_id, leaf_hash) VALUES (3, gen_random_uuid(), sha256('x'))"
    assert await found(own_database, by="leaves", statement=stray) == [("leaves", "transaction of the leaf")]


async def test_events_are_in_their_order_whatever_the_clock_of_a_server_says(town: Town, own_database: str) -> None:
    clock = town.apps[0].clock
    assert isinstance(clock, HandClock)
    shop = Shop(town, clock)
    card = await town.new_card()
    held = await shop.held(shop.card(card), load_pocket=Pocket.BONUS)
    clock.move(timedelta(minutes=-1))  # the next request comes to a server that is slow
    key = RequestKey("k", hash_key(town.book_id, "k"), bytes(32))
    done = await vouchers.load_voucher(
        shop.app.pool, shop.hand, **shop.args, voucher_id=held.id, card_id=card, key=key,
        render=lambda _: Answer(201, b""),
    )  # fmt: skip
    assert isinstance(done, Answer)
    with psycopg.connect(own_database) as connection:
        rows = connection.execute("SELECT number, kind FROM vouchers_event ORDER BY at").fetchall()
    assert rows == [(2, "loaded"), (1, "claimed")]
    await audits_hold(own_database)
    swapped = "UPDATE vouchers_event SET number = 0 WHERE kind = 'loaded'"
    assert ("voucher_events", "beginning of an event") in await found(
        own_database, by="voucher_events", statement=swapped
    )


async def test_points_that_were_altered_are_found(town: Town, own_database: str) -> None:
    clock = town.apps[0].clock
    assert isinstance(clock, HandClock)
    club = Club(town, clock)
    await club.set_terms()
    card = await town.new_card()
    purchase = await club.buy(card, 10_000)
    await club.refund(card, purchase, {1: 5_000})
    assert isinstance(await club.adjust(card, 70), Answer)
    for by, statement, what in (
        ("points_earnings", f"UPDATE points_earning SET taken = 49 WHERE id = '{purchase}'", "points taken back"),
        ("points_earnings", f"UPDATE points_earning SET matured = true WHERE id = '{purchase}'", "waiting"),
        ("points_deeds", "UPDATE points_deed SET points = 71", "points"),
    ):
        assert (by, what) in await found(own_database, by=by, statement=statement)


async def test_codes_are_found_after_the_look_up_key_was_changed(town: Town) -> None:
    clock = town.apps[0].clock
    assert isinstance(clock, HandClock)
    shop = Shop(town, clock)
    template = await shop.template()
    codes = await shop.codes(await shop.batch(template, 20))
    old = bytes(range(32))
    seals, pepper = (SealKey("k1", "aes-256-gcm", old),), LookupKey("p1", "hmac-sha256", old)
    both = (LookupKey("l1", "hmac-sha256", old), LookupKey("l2", "hmac-sha256", bytes(32)))
    rotating = Keyring.of(Ring("k1", seals, both, pepper))
    for ring in (rotating, Keyring.of(Ring("k1", seals, both[1:], pepper))):
        for code in codes if ring is rotating else ():
            assert isinstance(
                await vouchers.find_by_code(shop.app.pool, ring, **shop.args, code=code), vouchers.Voucher
            )
        if ring is rotating:
            await reseal(shop.app.pool, ring, slots=SLOTS, progress=lambda *_: None)
        for code in codes:
            assert isinstance(
                await vouchers.find_by_code(shop.app.pool, ring, **shop.args, code=code), vouchers.Voucher
            )
    assert KEYRING.lookup(codes[0]) != rotating.lookup(codes[0])
