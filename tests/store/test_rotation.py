"""Keys changed with cards in use: every card is found at every moment, and a stopped job goes on."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from msgspec.structs import replace
from tests.conftest import make_database

from kaquan import cards, parties, rotation
from kaquan.cards import CardFinder, CardForm, NewBatch, NewCard, NewProgramme, Pocket, Press
from kaquan.cards import store as cards_store
from kaquan.cards.store import NUMBER_SEALED
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool, open_pool
from kaquan.kit.ids import Ids
from kaquan.kit.outcomes import Refusal
from kaquan.rotation import store as rotation_store
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
)

SLOTS = (3, 17, 40, 62)
CARDS = 150


class StoppedError(Exception):
    """What kills a job in these tests."""


class World:
    """A database of its own, since a rotation is about every card of an installation."""

    def __init__(self, pool: Pool, clock: Clock, ids: Ids, path: Path) -> None:
        self.pool, self.clock, self.ids, self.path = pool, clock, ids, path
        self.keyring = Keyring.load(path)
        self.numbers: dict[UUID, str] = {}

    async def open(self) -> "World":
        created = await parties.create_tenant(self.pool, self.clock, self.ids, name=f"tenant {self.ids.new()}")
        assert not isinstance(created, Refusal)
        self.book_id = created[1][parties.Mode.LIVE].id
        issuer = await parties.create_issuer(
            self.pool, self.clock, self.ids, book_id=self.book_id, code="i", name="i", time_zone="Asia/Shanghai"
        )
        assert not isinstance(issuer, Refusal)
        terms = NewProgramme(
            issuer_id=issuer.id,
            code="p",
            name="p",
            currency="CNY",
            number_prefix="8888",
            spend_order=tuple(Pocket),
            max_balance_fen=None,
            authorization_ttl_s=60,
            principal_valid_days=None,
            bonus_valid_days=None,
        )
        made = await cards.create_programme(self.pool, self.clock, self.ids, book_id=self.book_id, new=terms)
        assert not isinstance(made, Refusal)
        self.programme_id = made.id
        return self

    def press(self) -> Press:
        return Press(self.keyring, SLOTS, self.ids)

    async def issue(self, count: int = CARDS) -> None:
        new = NewBatch(
            programme_id=self.programme_id, name=str(self.ids.new()), form=CardForm.PHYSICAL, card_count=count
        )
        batch = await cards.create_batch(self.pool, self.clock, self.ids, book_id=self.book_id, slots=SLOTS, new=new)
        assert not isinstance(batch, Refusal)
        done = await cards.run_batch(self.pool, self.press(), self.clock, book_id=self.book_id, batch_id=batch.id)
        assert not isinstance(done, Refusal)
        await self.learn()

    async def learn(self) -> None:
        for card_id, sealed in await self.rows("SELECT id, number_sealed FROM cards_card"):
            self.numbers[card_id] = self.keyring.open(bytes(sealed), card_id.bytes).decode()

    def change(self, how: Any) -> Ring:
        ring, protection = read_ring(self.path, None)
        after: Ring = how(ring)
        replace_ring(self.path, after, protection)
        self.keyring.refresh()
        return after

    async def reseal(self, *, chunk: int = 40) -> rotation.Report:
        return await rotation.reseal(
            self.pool, self.keyring, slots=SLOTS, progress=lambda what, count: None, chunk=chunk
        )

    async def status(self) -> rotation.Status:
        return await rotation.load_status(self.pool, self.keyring, slots=SLOTS)

    async def rows(self, query: str, *params: object) -> list[tuple[Any, ...]]:
        async with self.pool.connection() as connection:
            return await (await connection.execute(query, params)).fetchall()

    async def check(self, keyring: Keyring | None = None) -> None:
        """Every card is found by its number, and its number opens."""
        keyring = keyring or self.keyring
        finder = CardFinder(self.pool, keyring, SLOTS)
        found = await finder.resolve(list(self.numbers.values()))
        assert [None if card is None else card[1] for card in found] == list(self.numbers)
        for card_id, sealed in await self.rows("SELECT id, number_sealed FROM cards_card"):
            assert keyring.open(bytes(sealed), card_id.bytes).decode() == self.numbers[card_id]


@pytest.fixture
async def world(server: str, clock: Clock, ids: Ids, tmp_path: Path) -> AsyncIterator[World]:
    conninfo = make_database(server, f"rotation_{ids.new().hex}", SLOTS)
    path = tmp_path / "keyring.json"
    create_ring(path, new_ring())
    async with open_pool(conninfo) as pool:
        yield await World(pool, clock, ids, path).open()


async def test_values_are_sealed_under_the_new_key(world: World) -> None:
    await world.issue()
    running = Keyring.load(world.path)  # a server process, which is never restarted
    world.change(lambda ring: add_seal_key(ring, key=new_key(), cipher="sm4-gcm"))
    before = await world.status()
    assert [(column.column, column.by_key, column.stale_count) for column in before.columns if column.by_key] == [
        ("cards_card.number_sealed", {"k1": CARDS}, CARDS)
    ]
    assert not before.is_done
    await world.issue(10)
    report = await world.reseal()
    assert (report.resealed, report.copied_lookups, report.unreadable) == (CARDS, 0, {})
    after = await world.status()
    assert [column.by_key for column in after.columns if column.by_key] == [{"k2": CARDS + 10}]
    assert after.is_done
    assert await rotation.seal_ids_in_use(world.pool) == {"k2"}
    await world.check()
    await world.check(running)
    assert (await world.reseal()).resealed == 0


@pytest.mark.parametrize("chunks", [0, 1, 3])
async def test_a_killed_reseal_goes_on(world: World, chunks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.issue()
    world.change(lambda ring: add_seal_key(ring, key=new_key(), cipher="aes-256-gcm"))
    left = [None] * chunks
    post = rotation_store.post_sealed

    async def post_and_die(*arguments: Any, **named: Any) -> int:
        if not left:
            raise StoppedError
        left.pop()
        return await post(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(rotation_store, "post_sealed", post_and_die)
        with pytest.raises(StoppedError):
            await world.reseal(chunk=20)
    await world.check()
    done = sum(column.by_key.get("k2", 0) for column in (await world.status()).columns)
    assert done <= 20 * chunks
    assert (await world.reseal(chunk=20)).resealed == CARDS - done
    assert (await world.status()).is_done
    await world.check()


async def test_two_jobs_at_once_and_a_value_that_changes_meanwhile(world: World) -> None:
    await world.issue()
    world.change(lambda ring: add_seal_key(ring, key=new_key(), cipher="aes-256-gcm"))
    reports = await asyncio.gather(world.reseal(chunk=15), world.reseal(chunk=15))
    assert sum(report.resealed for report in reports) == CARDS
    await world.check()
    # what somebody else wrote after it was read stays
    world.change(lambda ring: add_seal_key(ring, key=new_key(), cipher="sm4-gcm"))
    (row, *_) = await rotation_store.load_rows(world.pool, NUMBER_SEALED, slot=SLOTS[0], after=(), header=None, limit=1)
    newer = world.keyring.seal(b"newer", row.context.bytes)
    assert await rotation_store.post_sealed(world.pool, NUMBER_SEALED, [(row, newer, None)], slot=SLOTS[0]) == 1
    late = world.keyring.seal(b"late", row.context.bytes)
    assert await rotation_store.post_sealed(world.pool, NUMBER_SEALED, [(row, late, None)], slot=SLOTS[0]) == 0
    ((kept,),) = await world.rows("SELECT number_sealed FROM cards_card WHERE id = %s", row.context)
    assert bytes(kept) == newer


async def test_a_look_up_key_is_changed_with_cards_in_use(world: World) -> None:
    await world.issue()
    server = Keyring.load(world.path)
    world.change(lambda ring: add_lookup_key(ring, key=new_key(), mac="hmac-sm3"))
    server.refresh()
    await world.check(server)
    await world.issue(10)  # under both keys
    assert (await world.status()).lookups == {"l1": CARDS + 10, "l2": 10}

    finder = CardFinder(world.pool, server, SLOTS, max_known=0)
    numbers = list(world.numbers.values())
    stop = asyncio.Event()

    async def search() -> int:
        rounds = 0
        while not stop.is_set():
            assert None not in await finder.resolve(numbers)
            rounds += 1
        return rounds

    searching = asyncio.create_task(search())
    report = await world.reseal(chunk=10)
    stop.set()
    assert await searching > 1
    assert (report.copied_lookups, report.dropped_lookups, report.lookups_moved) == (CARDS, CARDS + 10, True)
    assert (await world.status()).lookups == {"l2": CARDS + 10}
    world.change(drop_old_lookup_keys)
    await world.check()
    await world.check(server)
    assert (await world.status()).is_done


async def test_look_ups_stay_while_a_process_does_not_know_the_new_key(world: World) -> None:
    behind = Keyring.load(world.path)
    world.change(lambda ring: add_lookup_key(ring, key=new_key(), mac="hmac-sha256"))
    await world.issue(20)
    copied = cards_store.load_numbers_to_copy

    async def copy_then_issue(*arguments: Any, **named: Any) -> Any:
        found = await copied(*arguments, **named)
        if not found and named["slot"] == SLOTS[-1]:
            press = Press(behind, SLOTS, world.ids)
            new = NewCard(programme_id=world.programme_id, form=CardForm.DIGITAL)
            card = await cards.issue_card(world.pool, press, world.clock, book_id=world.book_id, new=new)
            assert not isinstance(card, Refusal)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cards_store, "load_numbers_to_copy", copy_then_issue)
        report = await world.reseal()
    assert (report.lookups_moved, report.dropped_lookups) == (False, 0)
    await world.learn()
    await world.check()
    again = await world.reseal()
    assert (again.copied_lookups, again.lookups_moved) == (1, True)
    await world.check()


async def test_a_value_that_does_not_open_is_told_and_left(world: World) -> None:
    await world.issue(20)
    ((card_id, slot),) = await world.rows("SELECT id, slot FROM cards_card LIMIT 1")
    async with world.pool.connection() as connection:
        await connection.execute(
            "UPDATE cards_card SET number_sealed = set_byte(number_sealed, 20, 7) WHERE id = %s AND slot = %s",
            (card_id, slot),
        )
    world.change(lambda ring: add_seal_key(ring, key=new_key(), cipher="aes-256-gcm"))
    world.change(lambda ring: add_lookup_key(ring, key=new_key(), mac="hmac-sha256"))
    report = await world.reseal()
    assert report.unreadable == {"cards_card.number_sealed": 1}
    assert not report.lookups_moved


async def test_a_number_that_is_taken_under_one_key_is_not_given_twice(world: World) -> None:
    await world.issue(5)
    ((number, *_),) = [list(world.numbers.values())]
    world.change(lambda ring: add_lookup_key(ring, key=new_key(), mac="hmac-sha256"))
    drawn = int(number[4:18])
    press = replace(world.press(), draw=lambda size: drawn.to_bytes(8, "little") * (size // 8))
    before = await world.rows("SELECT * FROM cards_number ORDER BY 1, 2")
    new = NewCard(programme_id=world.programme_id, form=CardForm.DIGITAL)
    result = await cards.issue_card(world.pool, press, world.clock, book_id=world.book_id, new=new)
    assert isinstance(result, Refusal)
    assert result.code == "number_space_too_small"
    assert await world.rows("SELECT * FROM cards_number ORDER BY 1, 2") == before
    await world.check()


async def test_the_application_may_write_no_other_column(world: World) -> None:
    await world.issue(1)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await world.rows("UPDATE cards_card SET number_last4 = '0000' RETURNING 1")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await world.rows("UPDATE cards_number SET key_id = 'l9' RETURNING 1")
