"""The ledger's posting call on a real database: each item whole or refused alone, and history that nobody can alter."""

import os
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.conftest import make_database

from kaquan.kit.db import Connection, Pool, open_pool, sql_state
from kaquan.kit.ids import SystemIds
from kaquan.ledger import (
    Account,
    AccountSpec,
    Answer,
    Effect,
    FloorRule,
    Guard,
    Item,
    Leg,
    NewLot,
    Posting,
    PostStatus,
    RequestKey,
    hash_key,
    hash_request,
    open_accounts,
    post_batch,
    read_slots,
)
from kaquan.ledger.store import read_accounts_of_owner, read_answers, read_transaction

APPLIED, ANSWERED, STALE, FLOOR = PostStatus
IDS = SystemIds()
AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


class Desk:
    """Accounts of one card, shop and issuer of a book of its own, and short ways to post on them."""

    def __init__(self, connection: Connection, slot: int) -> None:
        self.connection, self.slot = connection, slot
        self.book_id = IDS.new().int % 2**31
        self.card, self.shop, self.issuer, self.campaign = (IDS.new() for _ in range(4))

    async def open(self) -> "Desk":
        self.pocket = await self.account(self.card, "card_principal", FloorRule.CREDIT, lotted=True)
        self.payable = await self.account(self.shop, "merchant_payable")
        self.clearing = await self.account(self.issuer, "load_clearing")
        # a limited hot account, that nobody guards by its version
        self.budget = await self.account(self.campaign, "budget", FloorRule.CREDIT)
        return self

    async def account(self, owner: UUID, kind: str, floor: FloorRule = FloorRule.NONE, *, lotted: bool = False) -> int:
        asked = AccountSpec(self.book_id, owner, kind, "CNY", floor, lotted)
        return (await open_accounts(self.connection, slot=self.slot, asked=[asked]))[0]

    def posting(self, legs: Sequence[Leg], guards: Sequence[Guard] = (), **other: Any) -> Posting:
        return Posting(IDS.new(), "test", AT, list(legs), guards, **other)

    async def post(self, *items: Posting | Item, at: datetime = AT) -> list[PostStatus]:
        batch = [item if isinstance(item, Item) else Item(self.book_id, item) for item in items]
        return await post_batch(self.connection, batch, slot=self.slot, recorded_at=at)

    async def read(self, owner: UUID, kind: str) -> Account:
        found = await read_accounts_of_owner(self.connection, book_id=self.book_id, owner_id=owner, slots=[self.slot])
        return next(account for account in found if account.kind == kind)

    async def pocket_now(self) -> Account:
        return await self.read(self.card, "card_principal")

    async def guard(self) -> Guard:
        return Guard(self.pocket, (await self.pocket_now()).version)

    async def give(self, amount_fen: int, *, lot: int = 1) -> None:
        legs = [Leg(Effect.POST, self.clearing, None, self.pocket, lot, amount_fen)]
        lots = [NewLot(self.pocket, lot, amount_fen, 0, None)]
        assert await self.post(self.posting(legs, [await self.guard()], lots=lots)) == [APPLIED]

    def pay(self, amount_fen: int, *, lot: int = 1, effect: Effect = Effect.POST) -> Leg:
        return Leg(effect, self.pocket, lot, self.payable, None, amount_fen)

    async def everything(self) -> list[tuple[Any, ...]]:
        """All that a book holds, to show that nothing moved."""
        rows: list[tuple[Any, ...]] = []
        for query in (
            "SELECT * FROM ledger_account WHERE book_id = %(book)s ORDER BY id",
            "SELECT * FROM ledger_transaction WHERE book_id = %(book)s ORDER BY id",
            "SELECT e.* FROM ledger_entry e JOIN ledger_transaction t ON t.slot = e.slot AND t.id = e.transaction_id"
            " WHERE t.book_id = %(book)s ORDER BY e.transaction_id, e.leg",
            "SELECT l.* FROM ledger_lot l JOIN ledger_account a ON a.slot = l.slot AND a.id = l.account_id"
            " WHERE a.book_id = %(book)s ORDER BY l.account_id, l.lot",
            "SELECT count(*) FROM ledger_idempotency",
            "SELECT count(*) FROM evidence_leaf",
        ):
            rows += await (await self.connection.execute(query, {"book": self.book_id})).fetchall()
        return rows


@pytest.fixture(scope="module")
def one_slot(server: str) -> str:
    """A database of our own: what is posted here is no whole payment, so audits would find fault with it."""
    return make_database(server, f"test_posting_{os.getpid()}")


@pytest.fixture(scope="module")
def four_slots(server: str) -> str:
    return make_database(server, f"test_posting_slots_{os.getpid()}", (3, 17, 40, 62))


@pytest.fixture(params=["one slot", "four slots"])
async def desk(request: pytest.FixtureRequest, one_slot: str, four_slots: str) -> AsyncIterator[Desk]:
    one = request.param == "one slot"
    async with open_pool(one_slot if one else four_slots) as pool, pool.connection() as connection:
        slots = await read_slots(connection)
        assert slots == ((0,) if one else (3, 17, 40, 62))
        yield await Desk(connection, slots[-1]).open()


def key_of(desk: Desk, name: str, body: bytes = b"{}") -> RequestKey:
    return RequestKey(name, hash_key(desk.book_id, name), hash_request("POST", "/v1/x", body))


# Accounts


async def test_an_account_is_opened_once(desk: Desk) -> None:
    before = await desk.everything()
    assert await desk.account(desk.card, "card_principal", FloorRule.CREDIT, lotted=True) == desk.pocket
    specs = [
        AccountSpec(desk.book_id, owner, kind, "CNY")
        for owner, kind in [(desk.shop, "merchant_payable"), (desk.issuer, "load_clearing")]
    ]
    twice = [*specs, *reversed(specs)]
    found = await open_accounts(desk.connection, slot=desk.slot, asked=twice)
    assert found == [desk.payable, desk.clearing, desk.clearing, desk.payable]
    assert await desk.everything() == before


async def test_accounts_differ_by_owner_kind_and_currency(desk: Desk) -> None:
    owner = IDS.new()
    specs = [
        AccountSpec(desk.book_id, owner, "a", "CNY"),
        AccountSpec(desk.book_id, owner, "a", "USD"),
        AccountSpec(desk.book_id, owner, "b", "CNY"),
        AccountSpec(desk.book_id, IDS.new(), "a", "CNY"),
    ]
    assert len(set(await open_accounts(desk.connection, slot=desk.slot, asked=specs))) == 4


# One transaction


async def test_a_posting_moves_counters_lots_entries_and_leaf(desk: Desk) -> None:
    await desk.give(100)
    posting = desk.posting(
        [desk.pay(30), desk.pay(20)], [await desk.guard()], reference='a "b", (c) {d} \\e 红', place_id=desk.shop
    )
    assert await desk.post(posting) == [APPLIED]
    pocket, payable = await desk.pocket_now(), await desk.read(desk.shop, "merchant_payable")
    assert (pocket.posted_fen, pocket.debits_pending, pocket.version) == (50, 0, 2)
    assert (payable.credits_posted, payable.debits_posted) == (50, 0)
    read = await read_transaction(
        desk.connection, book_id=desk.book_id, slot=desk.slot, transaction_id=posting.transaction_id
    )
    assert read is not None
    assert (read.kind, read.reference, read.place_id, read.effective_at, read.recorded_at) == (
        "test",
        'a "b", (c) {d} \\e 红',
        desk.shop,
        AT,
        AT,
    )
    assert [(entry.leg, entry.amount_fen, entry.debit_balance_after) for entry in read.entries] == [
        (1, 30, 70),
        (2, 20, 50),
    ]
    assert {entry.credit_balance_after for entry in read.entries} == {None}  # a hot account is never read
    assert await lots_of(desk) == [(1, 50, 0)]
    leaves = await desk.connection.execute(
        "SELECT octet_length(leaf_hash), octet_length(salt) FROM evidence_leaf WHERE transaction_id = %s",
        (posting.transaction_id,),
    )
    assert await leaves.fetchall() == [(32, 16)]


async def lots_of(desk: Desk) -> list[tuple[int, int, int]]:
    cursor = await desk.connection.execute(
        "SELECT lot, remaining_fen, reserved_fen FROM ledger_lot WHERE slot = %s AND account_id = %s ORDER BY lot",
        (desk.slot, desk.pocket),
    )
    return [(row[0], row[1], row[2]) for row in await cursor.fetchall()]


async def test_reserve_capture_release_in_parts(desk: Desk) -> None:
    await desk.give(100)
    for effect, amount_fen, posted, pending, lot in [
        (Effect.RESERVE, 60, 100, 60, (1, 100, 60)),
        (Effect.CAPTURE, 25, 75, 35, (1, 75, 35)),
        (Effect.RELEASE, 10, 75, 25, (1, 75, 25)),
        (Effect.CAPTURE, 25, 50, 0, (1, 50, 0)),
    ]:
        posting = desk.posting([desk.pay(amount_fen, effect=effect)], [await desk.guard()])
        assert await desk.post(posting) == [APPLIED]
        pocket, payable = await desk.pocket_now(), await desk.read(desk.shop, "merchant_payable")
        assert (pocket.posted_fen, pocket.debits_pending, pocket.credits_pending) == (posted, pending, 0)
        assert (payable.credits_posted, payable.credits_pending) == (100 - posted, pending)
        assert await lots_of(desk) == [lot]


async def test_capture_and_release_in_one_transaction(desk: Desk) -> None:
    await desk.give(100)
    await desk.post(desk.posting([desk.pay(60, effect=Effect.RESERVE)], [await desk.guard()]))
    legs = [desk.pay(45, effect=Effect.CAPTURE), desk.pay(15, effect=Effect.RELEASE)]
    assert await desk.post(desk.posting(legs, [await desk.guard()])) == [APPLIED]
    pocket = await desk.pocket_now()
    assert (pocket.posted_fen, pocket.debits_pending) == (55, 0)
    assert await lots_of(desk) == [(1, 55, 0)]


async def test_value_that_comes_back_goes_to_its_lot(desk: Desk) -> None:
    await desk.give(10)
    await desk.give(20, lot=2)
    await desk.post(desk.posting([desk.pay(10), desk.pay(5, lot=2)], [await desk.guard()]))
    back = [
        Leg(Effect.POST, desk.payable, None, desk.pocket, 2, 3),
        Leg(Effect.POST, desk.payable, None, desk.pocket, 1, 4),
    ]
    posting = desk.posting(back, [await desk.guard()])
    assert await desk.post(posting) == [APPLIED]
    assert await lots_of(desk) == [(1, 4, 0), (2, 18, 0)]
    read = await read_transaction(
        desk.connection, book_id=desk.book_id, slot=desk.slot, transaction_id=posting.transaction_id
    )
    assert read is not None
    assert [entry.credit_balance_after for entry in read.entries] == [18, 22]


# Guards


async def test_a_stale_guard_refuses_its_item_alone(desk: Desk) -> None:
    await desk.give(100)
    old = Guard(desk.pocket, (await desk.pocket_now()).version - 1)
    before = await desk.everything()
    assert await desk.post(desk.posting([desk.pay(10)], [old])) == [STALE]
    assert await desk.everything() == before
    other = desk.posting([Leg(Effect.POST, desk.clearing, None, desk.payable, None, 7)])
    assert await desk.post(desk.posting([desk.pay(10)], [old]), other, desk.posting([desk.pay(1)], [old])) == [
        STALE,
        APPLIED,
        STALE,
    ]
    assert (await desk.pocket_now()).posted_fen == 100
    assert (await desk.read(desk.shop, "merchant_payable")).credits_posted == 7


async def test_two_items_of_a_batch_that_guard_one_account(desk: Desk) -> None:
    await desk.give(100)
    guard = await desk.guard()
    first, second = (desk.posting([desk.pay(80)], [guard]) for _ in range(2))
    assert await desk.post(first, second) == [APPLIED, STALE]
    assert (await desk.pocket_now()).posted_fen == 20
    assert await lots_of(desk) == [(1, 20, 0)]


async def test_a_guard_on_an_account_that_is_not_moved(desk: Desk) -> None:
    await desk.give(100)
    bonus = await desk.account(desk.card, "card_bonus", FloorRule.CREDIT, lotted=True)
    seen = await desk.read(desk.card, "card_bonus")
    relied_on = Guard(bonus, seen.version)
    spend = desk.posting([desk.pay(30)], [await desk.guard(), relied_on])
    assert await desk.post(spend) == [APPLIED]
    after = await desk.read(desk.card, "card_bonus")
    assert after == replace(seen, version=seen.version + 1)
    read = await read_transaction(
        desk.connection, book_id=desk.book_id, slot=desk.slot, transaction_id=spend.transaction_id
    )
    assert read is not None
    assert [(entry.amount_fen, entry.debit_balance_after) for entry in read.entries] == [(30, 70)]
    before = await desk.everything()
    assert await desk.post(desk.posting([desk.pay(30)], [await desk.guard(), relied_on])) == [STALE]
    assert await desk.everything() == before
    fresh = Guard(bonus, after.version)
    guards = [await desk.guard(), fresh]
    first, second = (desk.posting([desk.pay(5)], guards) for _ in range(2))
    assert await desk.post(first, second) == [APPLIED, STALE]


async def test_of_two_that_guard_what_the_other_moves_one_is_stale(desk: Desk) -> None:
    """In one batch and in two: neither sees what the other does, and both may not be."""
    bonus = await desk.account(desk.card, "card_bonus", FloorRule.CREDIT, lotted=True)
    both = [await desk.guard(), Guard(bonus, 0)]
    into = [
        desk.posting(
            [Leg(Effect.POST, desk.clearing, None, account, 1, 60)], both, lots=[NewLot(account, 1, 60, 0, None)]
        )
        for account in (desk.pocket, bonus)
    ]
    assert await desk.post(*into) == [APPLIED, STALE]
    assert await desk.post(into[1]) == [STALE]
    assert (await desk.read(desk.card, "card_bonus")).posted_fen == 0


async def test_only_a_moved_account_has_a_limit(desk: Desk) -> None:
    before = await desk.everything()
    with pytest.raises(ValueError, match="floor"):
        await desk.post(desk.posting([desk.pay(1)], [Guard(2**40, None)]))
    assert await desk.everything() == before


async def test_balances_after_skip_what_was_refused(desk: Desk) -> None:
    await desk.give(100)
    guard = await desk.guard()
    stale = desk.posting([desk.pay(50)], [Guard(desk.pocket, 99)])
    good = desk.posting([desk.pay(10)], [guard])
    statuses = await desk.post(stale, good)
    assert statuses[0] == STALE
    if statuses[1] == STALE:  # it came second on the pocket; it is planned again alone
        assert await desk.post(good) == [APPLIED]
    read = await read_transaction(
        desk.connection, book_id=desk.book_id, slot=desk.slot, transaction_id=good.transaction_id
    )
    assert read is not None
    assert read.entries[0].debit_balance_after == 90


async def test_a_touched_account_makes_decisions_stale(desk: Desk) -> None:
    await desk.give(100)
    guard = await desk.guard()
    await desk.connection.execute("SELECT ledger_touch_accounts_v1(%s::smallint, %s)", (desk.slot, desk.card))
    before = await desk.everything()
    assert await desk.post(desk.posting([desk.pay(10)], [guard])) == [STALE]
    assert await desk.everything() == before
    assert guard.version is not None
    assert (await desk.pocket_now()).version == guard.version + 1


async def test_a_guard_on_an_account_that_is_not_there(desk: Desk) -> None:
    nowhere = Leg(Effect.POST, 2**40, 1, desk.payable, None, 10)
    assert await desk.post(desk.posting([nowhere], [Guard(2**40, 0)])) == [STALE]


# Floors


async def fill_budget(desk: Desk, amount_fen: int) -> None:
    assert await desk.post(give_back(desk, amount_fen)) == [APPLIED]


def give_back(desk: Desk, amount_fen: int) -> Posting:
    leg = Leg(Effect.POST, desk.clearing, None, desk.budget, None, amount_fen)
    return desk.posting([leg], [Guard(desk.budget, None)])


def grant(desk: Desk, amount_fen: int, effect: Effect = Effect.POST) -> Posting:
    return desk.posting([Leg(effect, desk.budget, None, desk.payable, None, amount_fen)], [Guard(desk.budget, None)])


async def budget_of(desk: Desk) -> tuple[int, int]:
    account = await desk.read(desk.campaign, "budget")
    return account.posted_fen, account.available_fen


async def test_a_limited_hot_account_is_checked_whatever_its_version(desk: Desk) -> None:
    await fill_budget(desk, 100)
    assert await desk.post(*(grant(desk, 25) for _ in range(4))) == [APPLIED] * 4
    before = await desk.everything()
    assert await desk.post(grant(desk, 1)) == [FLOOR]
    assert await desk.everything() == before
    assert await budget_of(desk) == (0, 0)


async def test_when_the_set_does_not_fit_it_goes_item_by_item(desk: Desk) -> None:
    await fill_budget(desk, 100)
    statuses = await desk.post(
        grant(desk, 60),
        grant(desk, 60),
        grant(desk, 40, Effect.RESERVE),
        give_back(desk, 10),
        grant(desk, 11),
        grant(desk, 10),
    )
    assert statuses == [APPLIED, FLOOR, APPLIED, APPLIED, FLOOR, APPLIED]
    assert await budget_of(desk) == (40, 0)


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
@given(st.integers(0, 60), st.lists(st.tuples(st.integers(1, 40), st.booleans(), st.booleans()), max_size=8))
async def test_a_budget_is_spent_in_order_and_never_below_its_floor(
    desk: Desk, start_fen: int, asked: list[tuple[int, bool, bool]]
) -> None:
    fresh = await Desk(desk.connection, desk.slot).open()
    if start_fen:
        await fill_budget(fresh, start_fen)
    left, expected, postings = start_fen, [], []
    whole = sum(amount for amount, gives, _ in asked if not gives)
    for amount_fen, gives, reserve in asked:
        if gives:
            postings.append(give_back(fresh, amount_fen))
        else:
            postings.append(grant(fresh, amount_fen, Effect.RESERVE if reserve else Effect.POST))
        fits = gives or amount_fen <= left or whole <= start_fen
        left += (amount_fen if gives else -amount_fen) if fits else 0
        expected.append(APPLIED if fits else FLOOR)
    if postings:
        assert await fresh.post(*postings) == expected
    assert (await budget_of(fresh))[1] == left >= 0


async def test_a_debit_floor(desk: Desk) -> None:
    vault = await desk.account(desk.issuer, "custody_bank", FloorRule.DEBIT)
    guards = [Guard(vault, None)]
    into = Leg(Effect.POST, vault, None, desk.payable, None, 100)
    assert await desk.post(desk.posting([into], guards)) == [APPLIED]
    out = Leg(Effect.POST, desk.payable, None, vault, None, 70)
    assert await desk.post(desk.posting([out], guards), desk.posting([out], guards)) == [APPLIED, FLOOR]
    assert (await desk.read(desk.issuer, "custody_bank")).available_fen == 30


async def test_the_schema_is_the_last_line_of_defence(desk: Desk) -> None:
    """A plan that believed in more than there is: the database refuses, and the whole call is undone."""
    await desk.give(100)
    before = await desk.everything()
    with pytest.raises(psycopg.errors.CheckViolation):
        await desk.post(desk.posting([desk.pay(101)], [await desk.guard()]))
    assert await desk.everything() == before


async def test_a_capture_of_more_than_is_reserved_is_refused_by_the_schema(desk: Desk) -> None:
    await desk.give(100)
    await desk.post(desk.posting([desk.pay(10, effect=Effect.RESERVE)], [await desk.guard()]))
    before = await desk.everything()
    for effect in (Effect.CAPTURE, Effect.RELEASE):
        with pytest.raises(psycopg.errors.CheckViolation):
            await desk.post(desk.posting([desk.pay(11, effect=effect)], [await desk.guard()]))
    assert await desk.everything() == before


# What is not there, or somebody else's


@pytest.mark.parametrize("amount_fen", [0, -5])
async def test_an_amount_is_above_zero(desk: Desk, amount_fen: int) -> None:
    before = await desk.everything()
    leg = Leg(Effect.POST, desk.clearing, None, desk.payable, None, amount_fen)
    with pytest.raises(psycopg.errors.CheckViolation):
        await desk.post(desk.posting([leg]))
    assert await desk.everything() == before


async def test_an_account_that_is_not_there(desk: Desk) -> None:
    before = await desk.everything()
    for leg in (
        Leg(Effect.POST, desk.clearing, None, 2**40, None, 5),
        Leg(Effect.POST, 2**40, None, desk.payable, None, 5),
    ):
        with pytest.raises(psycopg.Error) as caught:
            await desk.post(desk.posting([leg]))
        assert sql_state(caught.value) == "KQ001"
    assert await desk.everything() == before


async def test_an_account_of_another_book(desk: Desk) -> None:
    other = await Desk(desk.connection, desk.slot).open()
    before = [*await desk.everything(), *await other.everything()]
    with pytest.raises(psycopg.Error) as caught:
        await desk.post(desk.posting([Leg(Effect.POST, desk.clearing, None, other.payable, None, 5)]))
    assert sql_state(caught.value) == "KQ001"
    assert [*await desk.everything(), *await other.everything()] == before


async def test_a_lot_that_is_not_there(desk: Desk) -> None:
    await desk.give(100)
    before = await desk.everything()
    with pytest.raises(psycopg.Error) as caught:
        await desk.post(desk.posting([desk.pay(5, lot=77)], [await desk.guard()]))
    assert sql_state(caught.value) == "KQ001"
    assert await desk.everything() == before


async def test_one_lot_of_two_is_not_there(desk: Desk) -> None:
    await desk.give(100)
    before = await desk.everything()
    with pytest.raises(psycopg.Error) as caught:
        await desk.post(desk.posting([desk.pay(5), desk.pay(5, lot=77)], [await desk.guard()]))
    assert sql_state(caught.value) == "KQ001"
    assert await desk.everything() == before


async def test_an_account_with_a_floor_that_no_guard_names(desk: Desk) -> None:
    await fill_budget(desk, 10)
    before = await desk.everything()
    assert await desk.post(desk.posting([Leg(Effect.POST, desk.budget, None, desk.payable, None, 11)])) == [FLOOR]
    assert await desk.everything() == before


async def test_an_account_of_another_slot(four_slots: str) -> None:
    async with open_pool(four_slots) as pool, pool.connection() as connection:
        here, there = await Desk(connection, 3).open(), await Desk(connection, 17).open()
        there.book_id = here.book_id
        with pytest.raises(psycopg.Error) as caught:
            await here.post(here.posting([Leg(Effect.POST, here.clearing, None, there.payable, None, 5)]))
        assert sql_state(caught.value) == "KQ001"
        assert (await here.read(here.issuer, "load_clearing")).debits_posted == 0


# Keys


async def test_a_key_has_one_answer(desk: Desk) -> None:
    await desk.give(100)
    key = key_of(desk, 'k "1", \\ (x) {y}')
    first = Item(desk.book_id, desk.posting([desk.pay(10)], [await desk.guard()]), key, Answer(201, b"\x00first\xff"))
    assert await desk.post(first) == [APPLIED]
    before = await desk.everything()
    later = AT + timedelta(seconds=1)
    again = Item(desk.book_id, desk.posting([desk.pay(10)], [await desk.guard()]), key, Answer(201, b"second"))
    declined = Item(desk.book_id, None, key, Answer(402, b"declined"))
    for item in (again, declined):
        assert await desk.post(item, at=later) == [ANSWERED]
        assert await desk.everything() == before
    kept = await read_answers(desk.connection, slot=desk.slot, key_hashes=[key.key_hash, IDS.new()])
    assert kept == {key.key_hash: (key.request_hash, Answer(201, b"\x00first\xff"))}
    read = await desk.connection.execute(
        "SELECT request_key FROM ledger_transaction WHERE book_id = %s AND request_key IS NOT NULL", (desk.book_id,)
    )
    assert await read.fetchall() == [(key.key,)]


async def test_a_decline_is_remembered(desk: Desk) -> None:
    await desk.give(100)
    key = key_of(desk, "declined")
    assert await desk.post(Item(desk.book_id, None, key, Answer(402, b"no"))) == [APPLIED]
    paid = Item(desk.book_id, desk.posting([desk.pay(10)], [await desk.guard()]), key, Answer(201, b"yes"))
    before = await desk.everything()
    assert await desk.post(paid, at=AT + timedelta(seconds=1)) == [ANSWERED]
    assert await desk.everything() == before


async def test_a_key_that_was_refused_as_stale_is_free(desk: Desk) -> None:
    await desk.give(100)
    key = key_of(desk, "later")
    stale = Item(desk.book_id, desk.posting([desk.pay(10)], [Guard(desk.pocket, 99)]), key, Answer(201, b"1"))
    assert await desk.post(stale) == [STALE]
    fresh = Item(desk.book_id, desk.posting([desk.pay(10)], [await desk.guard()]), key, Answer(201, b"2"))
    assert await desk.post(fresh) == [APPLIED]


async def test_one_key_twice_in_a_batch_is_applied_once(desk: Desk) -> None:
    key = key_of(desk, "twice")
    leg = Leg(Effect.POST, desk.clearing, None, desk.payable, None, 5)
    items = [Item(desk.book_id, desk.posting([leg]), key, Answer(201, b"%d" % n)) for n in range(2)]
    assert sorted(await desk.post(*items)) == [APPLIED, ANSWERED]
    assert (await desk.read(desk.shop, "merchant_payable")).credits_posted == 5


async def test_books_do_not_share_keys(desk: Desk) -> None:
    other = await Desk(desk.connection, desk.slot).open()
    for one in (desk, other):
        leg = Leg(Effect.POST, one.clearing, None, one.payable, None, 5)
        item = Item(one.book_id, one.posting([leg]), key_of(one, "shared"), Answer(201, one.card.bytes))
        assert await one.post(item) == [APPLIED]


# A batch of everything


async def test_each_item_of_a_batch_is_applied_or_refused_alone(desk: Desk) -> None:
    await desk.give(100)
    await fill_budget(desk, 10)
    guard = await desk.guard()
    known = key_of(desk, "known")
    hot = Leg(Effect.POST, desk.clearing, None, desk.payable, None, 1)
    assert await desk.post(Item(desk.book_id, desk.posting([hot]), known, Answer(201, b"1"))) == [APPLIED]
    later = AT + timedelta(seconds=1)
    statuses = await desk.post(
        desk.posting([hot]),
        Item(desk.book_id, desk.posting([hot]), known, Answer(201, b"2")),
        desk.posting([desk.pay(40)], [guard]),
        grant(desk, 11),
        Item(desk.book_id, None, key_of(desk, "no"), Answer(402, b"no")),
        desk.posting([hot, desk.pay(1)], [Guard(desk.pocket, 99)]),
        grant(desk, 10),
        at=later,
    )
    assert statuses == [APPLIED, ANSWERED, APPLIED, FLOOR, APPLIED, STALE, APPLIED]
    assert (await desk.pocket_now()).posted_fen == 60
    assert (await desk.read(desk.shop, "merchant_payable")).credits_posted == 1 + 1 + 40 + 10
    assert await budget_of(desk) == (0, 0)


async def test_a_hot_account_is_folded_into_one_update(desk: Desk) -> None:
    version = (await desk.read(desk.shop, "merchant_payable")).version
    hot = Leg(Effect.POST, desk.clearing, None, desk.payable, None, 3)
    assert await desk.post(*(desk.posting([hot]) for _ in range(50))) == [APPLIED] * 50
    account = await desk.read(desk.shop, "merchant_payable")
    assert (account.credits_posted, account.version) == (150, version + 1)


# Rights


TABLES = (
    "ledger_entry",
    "ledger_transaction",
    "ledger_account",
    "ledger_lot",
    "ledger_idempotency",
    "ledger_checkpoint",
    "ledger_slot",
    "evidence_leaf",
    "payments_payment",
)


@pytest.mark.parametrize("table", TABLES)
async def test_the_application_cannot_alter_history(pool: Pool, table: str) -> None:
    async with pool.connection() as connection:
        column = await connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum = 1", (table,)
        )
        row = await column.fetchone()
        assert row is not None
        for statement in (
            f"UPDATE {table} SET {row[0]} = {row[0]}",
            f"DELETE FROM {table}",
            f"INSERT INTO {table} DEFAULT VALUES",
            f"TRUNCATE {table}",
            f"SELECT * FROM {table} FOR UPDATE",
            f"ALTER TABLE {table} ADD x integer",
            f"DROP TABLE {table}",
            f"CREATE TRIGGER t BEFORE INSERT ON {table} EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await connection.execute(statement.encode())
        await connection.execute(f"SELECT * FROM {table} LIMIT 1".encode())


@pytest.mark.parametrize("table", ["ledger_entry", "ledger_transaction", "evidence_leaf"])
async def test_not_even_the_posting_functions_can_rewrite_history(database: str, table: str) -> None:
    async with open_pool(database, role="kaquan_ledger") as pool, pool.connection() as connection:
        for statement in (f"UPDATE {table} SET slot = slot", f"DELETE FROM {table}", f"TRUNCATE {table}"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await connection.execute(statement.encode())


async def test_only_the_application_may_call_the_posting_functions(database: str) -> None:
    """Nothing of ours is executable by everyone who can connect."""
    async with open_pool(database, role=None) as pool, pool.connection() as connection:
        found = await connection.execute(
            "SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef"
            " AND (p.proacl IS NULL OR EXISTS (SELECT FROM aclexplode(p.proacl) a WHERE a.grantee = 0))"
        )
        assert await found.fetchall() == []
        definers = await connection.execute(
            "SELECT p.proname, p.proowner::regrole::text, p.proconfig FROM pg_proc p"
            " WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef"
        )
        rows = await definers.fetchall()
        assert {owner for _, owner, _ in rows} == {"kaquan_ledger"}
        for name, _, config in rows:
            assert any(option.startswith("search_path=public, pg_temp") for option in config), name
