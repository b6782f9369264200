"""Batches in a real database: every card once, whoever runs the job and whenever it is stopped."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from msgspec.structs import replace
from stdnum import luhn

from kaquan import cards, parties
from kaquan.cards import (
    Batch,
    CardForm,
    NewBatch,
    NewProgramme,
    Pocket,
    Press,
    Programme,
    Search,
    store,
)
from kaquan.cards.store import MadeCard
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.vault import Keyring

SLOTS = (0, 7, 21, 63)
CHUNK = 100


class StoppedError(Exception):
    """What kills a runner in these tests."""


class StoppingPress(Press, frozen=True):
    """A press that breaks down after some chunks."""

    chunks_left: list[None] = msgspec.field(default_factory=list)

    def make(self, prefix: str, count: int, *, near: UUID | None = None) -> list[MadeCard]:
        if not self.chunks_left:
            raise StoppedError
        self.chunks_left.pop()
        return super().make(prefix, count)


class World:
    """A book with a programme."""

    def __init__(self, pool: Pool, clock: Clock, ids: Ids, keyring: Keyring) -> None:
        self.pool, self.clock, self.ids, self.keyring = pool, clock, ids, keyring
        self.press = Press(keyring, SLOTS, ids)

    async def open(self) -> "World":
        created = await parties.create_tenant(self.pool, self.clock, self.ids, name=f"tenant {self.ids.new()}")
        assert not isinstance(created, Refusal)
        self.book_id = created[1][parties.Mode.TEST].id
        issuer = await parties.create_issuer(
            self.pool,
            self.clock,
            self.ids,
            book_id=self.book_id,
            code="i",
            name="i",
            time_zone="Asia/Shanghai",
        )
        assert not isinstance(issuer, Refusal)
        self.issuer_id = issuer.id
        self.programme = await self.make_programme("8888")
        return self

    async def make_programme(self, prefix: str) -> Programme:
        terms = NewProgramme(
            issuer_id=self.issuer_id,
            code=f"p{prefix}",
            name="p",
            currency="CNY",
            number_prefix=prefix,
            spend_order=tuple(Pocket),
            max_balance_fen=None,
            authorization_ttl_s=60,
            principal_valid_days=None,
            bonus_valid_days=None,
        )
        made = await cards.create_programme(self.pool, self.clock, self.ids, book_id=self.book_id, new=terms)
        assert isinstance(made, Programme)
        return made

    async def create(self, card_count: int, **fields: Any) -> Batch | Refusal:
        new = NewBatch(programme_id=self.programme.id, name="first", form=CardForm.PHYSICAL, card_count=card_count)
        return await cards.create_batch(
            self.pool, self.clock, self.ids, book_id=self.book_id, slots=SLOTS, new=replace(new, **fields)
        )

    async def batch(self, card_count: int, **fields: Any) -> Batch:
        made = await self.create(card_count, **fields)
        assert isinstance(made, Batch), made
        return made

    async def run(self, batch: Batch, press: Press | None = None) -> Batch | Refusal:
        return await cards.run_batch(
            self.pool,
            press or self.press,
            self.clock,
            book_id=self.book_id,
            batch_id=batch.id,
            chunk_cards=CHUNK,
        )

    async def counted(self, batch: Batch) -> Batch:
        found = await cards.get_batch(self.pool, book_id=self.book_id, batch_id=batch.id)
        assert isinstance(found, Batch)
        return found

    async def rows(self, sql: str, *params: object) -> list[tuple[Any, ...]]:
        async with self.pool.connection() as connection:
            return await (await connection.execute(sql, params)).fetchall()

    async def check(self, batch: Batch) -> None:
        """As many cards as are counted, each with a number of its own by which it is found."""
        rows = await self.rows(
            "SELECT c.slot, c.id, c.number_sealed, c.number_last4, n.slot, n.lookup, c.form, c.status, c.programme_id"
            " FROM cards_card c LEFT JOIN cards_number n ON n.card_id = c.id AND n.card_slot = c.slot"
            " WHERE c.batch_id = %s AND c.book_id = %s",
            batch.id,
            self.book_id,
        )
        assert len(rows) == (await self.counted(batch)).issued_count
        numbers = set()
        for slot, card_id, sealed, last4, lookup_slot, lookup, *rest in rows:
            number = self.keyring.open(sealed, card_id.bytes).decode()
            numbers.add(number)
            assert luhn.is_valid(number)
            assert number.startswith("8888")
            assert number.endswith(last4)
            assert self.keyring.lookup(number) == lookup
            assert {slot, lookup_slot} <= set(SLOTS)
            assert rest == ["physical", "issued", batch.programme_id]
        assert len(numbers) == len(rows)
        ((orphans,),) = await self.rows(
            "SELECT count(*) FROM cards_number n WHERE NOT EXISTS"
            " (SELECT FROM cards_card c WHERE c.slot = n.card_slot AND c.id = n.card_id)"
        )
        assert orphans == 0


@pytest.fixture(scope="session")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    return Keyring.create(Path(tmp_path_factory.mktemp("keyring")) / "keyring.json")


@pytest.fixture
async def world(pool: Pool, clock: Clock, ids: Ids, keyring: Keyring) -> World:
    return await World(pool, clock, ids, keyring).open()


def refused(result: object, code: str, field: str) -> Refusal:
    assert isinstance(result, Refusal), result
    assert (result.code, result.field) == (code, field)
    return result


async def test_a_batch_is_issued_whole(world: World) -> None:
    batch = await world.batch(1_050)
    assert (batch.issued_count, batch.finished_at) == (0, None)
    assert (world.book_id, batch.id) in await cards.unfinished_batches(world.pool)
    done = await world.run(batch)
    assert isinstance(done, Batch)
    assert done.issued_count == 1_050
    assert done.finished_at is not None
    assert done == await world.counted(batch)
    assert (world.book_id, batch.id) not in await cards.unfinished_batches(world.pool)
    await world.check(batch)
    assert await world.run(batch) == done
    await world.check(batch)
    page = await cards.list_cards(
        world.pool, book_id=world.book_id, slots=SLOTS, search=Search(batch_id=batch.id, limit=200)
    )
    assert len(page.data) == 200
    assert {card.batch_id for card in page.data} == {batch.id}


async def test_a_runner_that_breaks_down_is_taken_over(world: World) -> None:
    batch = await world.batch(1_000)
    for chunks in (1, 3, 2):
        stopping = StoppingPress(world.keyring, SLOTS, world.ids, chunks_left=[None] * chunks)
        before = (await world.counted(batch)).issued_count
        with pytest.raises(StoppedError):
            await world.run(batch, stopping)
        assert (await world.counted(batch)).issued_count == before + chunks * CHUNK
        await world.check(batch)
    done = await world.run(batch)
    assert isinstance(done, Batch)
    assert done.issued_count == 1_000
    await world.check(batch)


@pytest.mark.parametrize("step", ["lock_batch", "copy_numbers", "copy_cards", "advance_batch"])
async def test_a_chunk_that_is_stopped_between_its_steps_leaves_nothing(
    world: World, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = await world.batch(300)
    broken = {**store._QUERIES, step: "SELECT broken_off"}
    with monkeypatch.context() as patch:
        patch.setattr(store, "_QUERIES", broken)
        with pytest.raises(Exception, match=r"broken_off|COPY"):
            await world.run(batch)
    assert (await world.counted(batch)).issued_count == 0
    await world.check(batch)
    assert await world.rows("SELECT 1 FROM cards_card WHERE batch_id = %s", batch.id) == []
    assert isinstance(await world.run(batch), Batch)
    await world.check(batch)


async def test_cancelled_at_any_moment_and_run_again(world: World) -> None:
    batch = await world.batch(2_000)
    for n in range(12):
        runner = asyncio.create_task(world.run(batch))
        await asyncio.sleep(0.004 * n)
        runner.cancel()
        await asyncio.gather(runner, return_exceptions=True)
        assert (await world.counted(batch)).issued_count % CHUNK == 0
        await world.check(batch)
    done = await world.run(batch)
    assert isinstance(done, Batch)
    assert done.issued_count == 2_000
    await world.check(batch)


async def test_runners_at_once_share_the_work(world: World) -> None:
    batch = await world.batch(1_530)
    done = await asyncio.gather(*(world.run(batch) for _ in range(3)))
    assert all(isinstance(result, Batch) and result.issued_count == 1_530 for result in done)
    assert len({result.finished_at for result in done if isinstance(result, Batch)}) == 1
    await world.check(batch)


async def test_numbers_that_meet_are_drawn_again(world: World) -> None:
    batch = await world.batch(500)
    state = 1

    def draw(size: int) -> bytes:
        nonlocal state
        words = []
        for _ in range(size // 8):
            state = (state * 5 + 3) % 2_048  # a source so poor that it repeats itself
            words.append((state // 2 + 10_000).to_bytes(8, "little"))
        return b"".join(words)

    done = await world.run(batch, replace(world.press, draw=draw))
    assert isinstance(done, Batch)
    assert done.issued_count == 500
    await world.check(batch)


async def test_a_prefix_that_is_full_stops_the_job_with_what_was_issued(world: World) -> None:
    batch = await world.batch(300)
    result = await world.run(batch, replace(world.press, draw=lambda size: b"\x09" * size))
    refused(result, "number_space_too_small", "id")
    assert (await world.counted(batch)).issued_count == 1
    await world.check(batch)


async def test_a_batch_that_would_make_numbers_guessable_is_refused(world: World) -> None:
    small = await world.make_programme("77777777")
    before = await world.rows("SELECT count(*) FROM cards_batch")
    result = refused(await world.create(10_001, programme_id=small.id), "number_space_too_small", "card_count")
    assert "10001" in result.message("en")
    assert "10001" in result.message("zh")
    assert await world.rows("SELECT count(*) FROM cards_batch") == before
    # what is promised counts before it is issued
    await world.batch(9_900, programme_id=small.id)
    refused(await world.create(101, programme_id=small.id, name="second"), "number_space_too_small", "card_count")
    issued = await world.batch(100, programme_id=small.id, name="second")
    assert isinstance(await world.run(issued), Batch)
    refused(await world.create(1, programme_id=small.id, name="third"), "number_space_too_small", "card_count")


async def test_what_a_batch_is_refused_for(world: World) -> None:
    made = await world.batch(10)
    before = await world.rows("SELECT * FROM cards_batch ORDER BY id")
    taken = refused(await world.create(10), "already_exists", "name")
    assert show_id(Prefix.BATCH, made.id) in taken.message("en")
    for count in (0, -1, 10_000_001):
        refused(await world.create(count, name="x"), "invalid_field", "card_count")
    refused(await world.create(10, name="x", programme_id=UUID(int=1)), "not_found", "programme_id")
    other = await World(world.pool, world.clock, world.ids, world.keyring).open()
    refused(await other.create(10, programme_id=world.programme.id), "not_found", "programme_id")
    refused(await other.run(made), "not_found", "id")
    refused(await cards.get_batch(world.pool, book_id=other.book_id, batch_id=made.id), "not_found", "id")
    assert await world.rows("SELECT * FROM cards_batch ORDER BY id") == before
    page = await cards.list_batches(world.pool, book_id=world.book_id, search=Search(name="first"))
    assert page.data == [made]
