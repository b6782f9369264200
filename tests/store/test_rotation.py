"""Keys changed with cards in use: every card is found at every moment, and a stopped job goes on."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from msgspec.structs import replace
from tests.conftest import make_database
from tests.town import any_customer

from kaquan import cards, notices, parties, rotation
from kaquan.cards import (
    Card,
    CardFinder,
    CardForm,
    Hand,
    NewBatch,
    NewCard,
    NewProgramme,
    OfferedGift,
    PinStatus,
    Pocket,
    Press,
)
from kaquan.cards import store as cards_store
from kaquan.cards.store import NUMBER_SEALED
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool, open_pool
from kaquan.kit.ids import Ids
from kaquan.kit.outcomes import Refusal
from kaquan.notices.endpoints import open_secret
from kaquan.parties import customers
from kaquan.parties.customers import (
    Customer,
    CustomerChange,
    CustomerSearch,
    Document,
    NewCustomer,
    PersonalField,
    Retention,
)
from kaquan.parties.identity import DocumentKind
from kaquan.rotation import store as rotation_store
from kaquan.rotation.store import Change
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
    assert await rotation_store.post_sealed(world.pool, NUMBER_SEALED, [Change(row, newer, ())], slot=SLOTS[0]) == 1
    late = world.keyring.seal(b"late", row.context.bytes)
    assert await rotation_store.post_sealed(world.pool, NUMBER_SEALED, [Change(row, late, ())], slot=SLOTS[0]) == 0
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


RESIDENT = Document(DocumentKind.RESIDENT_ID, "11010519491231002X")
OTHER = Document(DocumentKind.RESIDENT_ID, "360426199101010071")
PHONE = "+8613812345678"


class People:
    """Customers of a world."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def add(self, **told: Any) -> Customer | Refusal:
        world = self.world
        return await customers.create_customer(
            world.pool, world.keyring, world.clock, world.ids, book_id=world.book_id, new=NewCustomer(**told)
        )

    async def added(self, **told: Any) -> Customer:
        made = await self.add(**told)
        assert isinstance(made, Customer), made
        return made

    async def found(self, keyring: Keyring | None = None, **by: str) -> list[UUID]:
        keyring = keyring or self.world.keyring
        result = await customers.find_customers(self.world.pool, keyring, book_id=self.world.book_id, **by)
        assert not isinstance(result, Refusal)
        return [customer.id for customer in result]

    async def listed(self, last4: str) -> list[UUID]:
        search = CustomerSearch(last4=last4)
        page = await customers.list_customers(
            self.world.pool, self.world.keyring, book_id=self.world.book_id, search=search
        )
        return [customer.id for customer in page.data]

    async def check(self, customer: Customer, keyring: Keyring | None = None) -> None:
        """The customer is found by all that they are found by."""
        assert await self.found(keyring, phone=PHONE) == [customer.id]
        assert await self.found(keyring, document_number=RESIDENT.number) == [customer.id]
        assert await self.listed(PHONE[-4:]) == await self.listed(RESIDENT.number[-4:]) == [customer.id]


async def test_customers_are_found_and_open_through_every_rotation(world: World) -> None:
    people = People(world)
    customer = await people.added(name="张三", phone=PHONE, document=RESIDENT)
    gone = await people.added(name="李四", phone="+8613812345679", document=OTHER)
    kept = Retention(
        fields=frozenset({PersonalField.NAME, PersonalField.DOCUMENT}),
        until=world.clock.now() + timedelta(days=1),
        rule="AML",
    )
    forgotten = await customers.forget_customer(
        world.pool, world.keyring, world.clock, world.ids, book_id=world.book_id, id_=gone.id, retention=kept
    )
    assert isinstance(forgotten, Customer)
    server = Keyring.load(world.path)
    world.change(lambda ring: add_seal_key(ring, key=new_key(), cipher="sm4-gcm"))
    world.change(lambda ring: add_lookup_key(ring, key=new_key(), mac="hmac-sm3"))
    server.refresh()

    # while both look-up keys stand
    await people.check(customer, server)
    again = await people.add(name="张三", document=RESIDENT)
    assert isinstance(again, Refusal)
    assert again.code == "already_exists"
    newer = await people.added(name="王五")
    change = CustomerChange(document=RESIDENT)
    corrected = await customers.correct_customer(
        world.pool, world.keyring, world.clock, world.ids, book_id=world.book_id, id_=newer.id, change=change
    )
    assert isinstance(corrected, Refusal)
    assert (corrected.code, corrected.field) == ("already_exists", "document.number")
    assert await people.found(document_number=RESIDENT.number) == [customer.id]

    report = await world.reseal(chunk=1)
    assert (report.unreadable, report.lookups_moved) == ({}, True)
    await people.check(customer, server)
    world.change(drop_old_lookup_keys)
    assert await rotation.seal_ids_in_use(world.pool) == {"k2"}
    world.change(lambda ring: retire_seal_key(ring, "k1", in_use=()))
    await people.check(customer)
    again = await people.add(name="张三", document=RESIDENT)
    assert isinstance(again, Refusal)
    assert again.code == "already_exists"
    # who is forgotten is found by nothing, and what is kept of them opens
    assert await people.found(document_number=OTHER.number) == []
    shown = await customers.get_customer(world.pool, world.keyring, book_id=world.book_id, id_=gone.id)
    assert isinstance(shown, Customer)
    assert shown.document_masked == forgotten.document_masked
    assert (await world.reseal()).resealed == 0


async def test_one_document_taken_in_under_both_keys_stops_the_move(world: World) -> None:
    """A process that has not read the ring again took somebody in whom another one had taken in under the new key."""
    people = People(world)
    behind = Keyring.load(world.path)
    world.change(lambda ring: add_lookup_key(ring, key=new_key(), mac="hmac-sha256"))
    first = await people.added(name="张三", phone=PHONE, document=RESIDENT)
    world.keyring, ahead = behind, world.keyring
    second = await people.added(name="张三", document=RESIDENT)
    third = await people.added(name="李四", document=OTHER)
    world.keyring = ahead
    report = await world.reseal()
    assert not report.lookups_moved
    assert await people.found(document_number=RESIDENT.number) == [second.id, first.id]
    assert await people.found(document_number=OTHER.number) == [third.id]
    await customers.forget_customer(
        world.pool, world.keyring, world.clock, world.ids, book_id=world.book_id, id_=second.id, retention=None
    )
    assert (await world.reseal()).lookups_moved
    assert await people.found(document_number=RESIDENT.number) == [first.id]


async def test_pins_gifts_and_kept_requests_stay_good_through_every_rotation(world: World) -> None:
    issued = await cards.issue_card(
        world.pool,
        world.press(),
        world.clock,
        book_id=world.book_id,
        new=NewCard(programme_id=world.programme_id, form=CardForm.DIGITAL),
    )
    assert isinstance(issued, Card)
    hand = Hand(world.clock, world.ids, "test")
    about: dict[str, Any] = {"book_id": world.book_id, "slots": SLOTS, "card_id": issued.id}
    await cards.activate_card(world.pool, hand, **about)
    set_ = await cards.set_pin(world.pool, hand, world.keyring, **about, pin="135792")
    assert isinstance(set_, PinStatus)
    before = world.keyring.hide_request(b"request"), world.keyring.subject("6222021234567890")
    registered = await cards.register_card(world.pool, hand, any_customer, **about, customer_id=UUID(int=1))
    assert isinstance(registered, Card)
    offered = await cards.offer_gift(world.pool, hand, world.keyring, **about, message="生日快乐", expires_in_s=3_600)
    assert isinstance(offered, OfferedGift), offered
    endpoint = await notices.create_endpoint(
        world.pool, world.clock, world.ids, world.keyring, book_id=world.book_id, address="https://example.com/",
        events=(), allow_private=True,
    )  # fmt: skip
    assert not isinstance(endpoint, Refusal), endpoint

    for lookup in (False, True):
        if lookup:
            world.change(lambda ring: add_lookup_key(ring, key=new_key(), mac="hmac-sm3"))
        world.change(lambda ring: add_seal_key(ring, key=new_key(), cipher="sm4-gcm"))
        report = await world.reseal()
        assert (report.unreadable, report.lookups_moved) == ({}, True)
        if lookup:
            world.change(drop_old_lookup_keys)
        used = await rotation.seal_ids_in_use(world.pool)
        for key_id in [key for key in world.keyring.seal_ids if key not in used]:
            world.change(partial(retire_seal_key, key_id=key_id, in_use=used))
    assert (world.keyring.seal_ids, world.keyring.lookup_ids) == (("k3",), ("l2",))
    fresh = Keyring.load(world.path)
    assert (fresh.hide_request(b"request"), fresh.subject("6222021234567890")) == before
    for pin, right in (("135792", True), ("246801", False)):
        assert await cards.check_chosen_pin(world.pool, hand, fresh, **about, pin=pin) is right
    ((sealed, gift_id),) = await world.rows("SELECT message_sealed, id FROM cards_gift")
    assert fresh.open(bytes(sealed), gift_id.bytes).decode() == "生日快乐"
    ((sealed, id_),) = await world.rows("SELECT secret_sealed, id FROM notices_endpoint")
    assert open_secret(fresh, bytes(sealed), id_) == endpoint.secret


async def test_the_application_may_write_no_other_column(world: World) -> None:
    await world.issue(1)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await world.rows("UPDATE cards_card SET number_last4 = '0000' RETURNING 1")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await world.rows("UPDATE cards_number SET key_id = 'l9' RETURNING 1")
