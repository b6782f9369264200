"""What a superuser can do to history, to balances, to the log and to its published files: all of it is found and named.

Each edit is looked for by the whole audit (``kaquan audit evidence`` with the published folder), and by the turns that
the worker makes: ``at once`` by the next one, ``in turn`` when it comes to this part of the log again, or by the
``whole`` audit alone, since it is not about leaves.
"""

import asyncio
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
import pytest
from msgspec import structs
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.store.test_audit import AT, IDS, Till
from tests.store.test_evidence_log import FIRST, SECOND
from tests.town import HandClock

from kaquan.audit import AuditResult, Finding, Followed, check_published, follow_log, run, run_audits
from kaquan.cards import CardEvent, CardForm, CardStatus, Event
from kaquan.cards import store as cards
from kaquan.evidence import Checkpoint, Sequencer, sign_note
from kaquan.evidence.tiles import grow
from kaquan.kit.db import Connection, Pool, open_pool
from kaquan.ledger import Effect, Item, Leg, Posting
from kaquan.ledger.store import _SQL as SQL
from kaquan.ledger.store import batch_params
from kaquan.migrations import migrate
from kaquan.vault import LogSigner
from kaquan.vouchers import HeldBy, HolderKind, VoucherEvent, VoucherStatus
from kaquan.vouchers import store as vouchers

TABLES = (
    "evidence_log", "evidence_key", "evidence_entry", "evidence_tile", "evidence_checkpoint", "evidence_horizon",
    "evidence_leaf", "ledger_transaction", "ledger_entry", "ledger_account", "ledger_lot", "payments_payment",
    "audit_anchor", "cards_card", "cards_number", "cards_event", "vouchers_voucher", "vouchers_event", "evidence_issue",
)  # fmt: skip
OLD, NEW = 260, 280
"""Leaves when the worker last made a turn, and leaves now."""
FORGER = LogSigner("g1", b"f" * 32)
SIGNERS = (FIRST, SECOND)


class Book:
    """A database with a log of real transactions, published in a folder, of which a part was audited."""

    def __init__(self, conninfo: str, folder: Path) -> None:
        self.conninfo, self.folder, self.kept = conninfo, folder, folder.with_name("kept")
        self.clock = HandClock()
        self.ids: list[UUID] = []
        self.objects = Objects(self.clock)

    async def fill(self) -> None:
        with psycopg.connect(self.conninfo, autocommit=True) as owner:
            till = Till(owner, book_id=1, slot=0, currency="CNY")
            till.load(100_000, 0)
            async with open_pool(self.conninfo) as pool:
                sequencer = Sequencer(pool, self.clock, IDS, (0,), directory=self.folder)
                for size, signers in ((100, (FIRST,)), (OLD, SIGNERS), (270, SIGNERS), (NEW, SIGNERS)):
                    # the keys have leaves of their own
                    (there,) = self.row(owner, "SELECT count(*) FROM evidence_leaf")
                    missing = size - there - (size in (100, OLD))
                    if size == OLD:
                        await self.objects.begin(pool)
                        (there,) = self.row(owner, "SELECT count(*) FROM evidence_leaf")
                        self.move(owner, till, size - there - 1)
                    else:
                        for _ in range(missing - (size == NEW) * Objects.LATER):
                            till.purchase(principal_fen=7, bonus_fen=0)
                        if size == NEW:
                            await self.objects.go_on(pool)
                    while (step := await sequencer.step(signers)).leaves or step.more:
                        pass
                    self.clock.move(timedelta(minutes=2))
                    if size == OLD:
                        assert (await self.follow()).holds
            self.ids = [row[0] for row in owner.execute("SELECT transaction_id FROM evidence_entry ORDER BY log_index")]
            for table in TABLES:
                owner.execute(f"CREATE TABLE kept_{table} AS SELECT * FROM {table}".encode())
        shutil.copytree(self.folder, self.kept)

    @staticmethod
    def move(owner: psycopg.Connection[Any], till: Till, count: int) -> None:
        """Many transactions at once."""
        legs = [Leg(Effect.POST, till.expense, None, till.payable, None, 3)]
        items = [Item(1, Posting(IDS.new(), "fee", AT, legs)) for _ in range(count)]
        params = batch_params(items, slot=0, recorded_at=AT)
        assert set(owner.execute(SQL["post_batch"], params).fetchall()[0][0]) == {0}

    @staticmethod
    def row(owner: psycopg.Connection[Any], statement: str) -> tuple[Any, ...]:
        found = owner.execute(statement.encode()).fetchone()
        assert found is not None
        return tuple(found)

    def damage(self, statements: str) -> None:
        with psycopg.connect(self.conninfo) as owner:
            for statement in filter(str.strip, statements.split(";")):
                assert owner.execute(statement.encode()).rowcount != 0, statement

    def mend(self) -> None:
        with psycopg.connect(self.conninfo) as owner:
            owner.execute(f"TRUNCATE {', '.join(TABLES)}".encode())
            for table in TABLES:
                owner.execute(f"INSERT INTO {table} SELECT * FROM kept_{table}".encode())
        shutil.rmtree(self.folder)
        shutil.copytree(self.kept, self.folder)

    async def audit(self) -> list[tuple[str, Finding]]:
        """The whole: the first findings of each audit, in their order."""
        report = await run_audits(self.conninfo, names=["evidence"])
        results = (*report.audits, await check_published(self.conninfo, self.folder))
        return [(result.name, finding) for result in results for finding in result.findings]

    async def follow(self, recheck: int = 0) -> Followed:
        async with open_pool(self.conninfo) as pool:
            return await follow_log(pool, self.clock, SIGNERS, (0,), recheck=recheck)


@pytest.fixture(scope="module")
def made(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Book]:
    name = f"{conninfo_to_dict(database)['dbname']}_tampering"
    conninfo = make_conninfo(database, dbname=name)
    with psycopg.connect(database, autocommit=True) as server:
        server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
        server.execute(f"CREATE DATABASE {name}".encode())
        migrate(conninfo)
        book = Book(conninfo, tmp_path_factory.mktemp("log") / "log")
        book.folder.mkdir()
        asyncio.run(book.fill())
        yield book
        server.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def book(made: Book) -> Iterator[Book]:
    yield made
    made.mend()


@pytest.fixture(autouse=True)
def pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Audits that are in pieces go through some leaves at a time, as they do through a large book."""
    monkeypatch.setattr(run, "PIECE", 40)


async def test_an_honest_book_holds(book: Book) -> None:
    assert len(book.ids) == NEW
    assert await book.audit() == []
    first = await book.follow(recheck=256)
    assert (first.holds, first.old_size, first.size, first.rechecked_from, first.rechecked_to) == (
        True, OLD, NEW, 0, 256,
    )  # fmt: skip
    second = await book.follow(recheck=256)
    assert (second.holds, second.old_size, second.size, second.rechecked_from, second.rechecked_to) == (
        True, NEW, NEW, 256, NEW,
    )  # fmt: skip
    third = await book.follow(recheck=256)
    assert (third.holds, third.rechecked_from, third.rechecked_to) == (True, 0, 256)


class Objects:
    """Cards and vouchers, with what happens to them before the turn of the worker and after it."""

    LATER = 4

    def __init__(self, clock: HandClock) -> None:
        self.telling = vouchers.Telling(IDS, clock.now(), "key_1", "as asked")
        self.at = clock.now()

    async def begin(self, pool: Pool) -> None:
        run = cards.Run(1, IDS.new(), IDS.new(), CardForm.DIGITAL, self.at, 1)
        made = [self.made(f"100{n}") for n in range(5)]
        assert await cards.post_cards(pool, made, run) == 5
        self.card, other = made[0].id, made[1].id
        await self.happen(pool, self.card, CardEvent.ACTIVATED, CardStatus.ACTIVE, 1)
        await self.happen(pool, self.card, CardEvent.BLOCKED, CardStatus.BLOCKED, 2, reason="lost it", block_reason="x")
        await self.happen(pool, other, CardEvent.ACTIVATED, CardStatus.ACTIVE, 1)
        async with pool.connection() as connection:
            issued = vouchers.Run(1, IDS.new(), IDS.new(), None, self.at)
            some = [
                vouchers.NewVoucher(0, IDS.new(), None, IDS.new(), b"sealed", f"200{n}", 500, None, None)
                for n in range(3)
            ]
            await vouchers.write_vouchers(connection, some, issued)
            self.voucher = some[0].id
        await self.move(pool, VoucherEvent.CLAIMED, VoucherStatus.HELD, IDS.new())

    async def go_on(self, pool: Pool) -> None:
        await self.happen(pool, self.card, CardEvent.UNBLOCKED, CardStatus.ACTIVE, 3)
        run = cards.Run(1, IDS.new(), None, CardForm.DIGITAL, self.at, 1)
        assert await cards.post_cards(pool, [self.made("3001"), self.made("3002")], run) == 2
        await self.move(pool, VoucherEvent.TRANSFERRED, VoucherStatus.HELD, IDS.new())
        await self.move(pool, VoucherEvent.CANCELLED, VoucherStatus.CANCELLED, None)

    def made(self, last4: str) -> cards.MadeCard:
        return cards.MadeCard(0, IDS.new(), last4, b"sealed", (cards.Lookup(0, IDS.new(), "l1"),))

    async def happen(
        self, pool: Pool, card: UUID, kind: CardEvent, status: CardStatus, version: int, *, reason: str | None = None,
        **details: str,
    ) -> None:  # fmt: skip
        event = Event(0, card, IDS.new(), 1, kind, self.at, "key_1", reason, status, version, details)

        async def change(connection: Connection) -> bool:
            await connection.execute(
                "UPDATE cards_card SET status = %s, version = %s WHERE id = %s", (status, version, card)
            )
            return True

        assert await cards.post_together(pool, change, cards.add_event(event))

    async def move(self, pool: Pool, kind: VoucherEvent, to: VoucherStatus, holder: UUID | None) -> None:
        (voucher,) = await vouchers.load_vouchers_named(pool, book_id=1, slots=[0], ids=[self.voucher])
        held = None if holder is None else HeldBy(HolderKind.CUSTOMER, holder)
        async with pool.connection() as connection, connection.transaction():
            assert await vouchers.move(voucher, kind, to=to, holder=held, telling=self.telling)(connection)


class Edit(NamedTuple):
    """What is done; the audit that tells of it first, the fact it names and at which entry; who of the worker's turns
    sees it."""

    sql: str
    audit: str
    what: str
    at: int | str | None
    seen: str


def id_at(index: int) -> str:
    return f"(SELECT transaction_id FROM evidence_entry WHERE log_index = {index})"


def tx(index: int, change: str) -> str:
    return f"UPDATE ledger_transaction SET {change} WHERE id = {id_at(index)}"


def entry(index: int, change: str) -> str:
    return f"UPDATE ledger_entry SET {change} WHERE transaction_id = {id_at(index)}"


def leaf(index: int, change: str) -> str:
    return f"UPDATE evidence_leaf SET {change} WHERE transaction_id = {id_at(index)}"


NEXT, TURN, WHOLE = "at once", "in turn", "whole"
SOON = "'02a20148-f98f-7000-877f-8531b7374843'"
ROW = "'01a20148-f98f-7000-877f-8531b7374843'"
_COPY = (
    f"INSERT INTO ledger_transaction SELECT slot, {ROW}, book_id, kind, related_id, place_id, NULL, effective_at,"
    f" recorded_at, NULL, NULL FROM ledger_transaction WHERE id = {id_at(40)};"
    f" INSERT INTO ledger_entry SELECT slot, {ROW}, leg, effect, debit_account, debit_lot, credit_account, credit_lot,"
    f" amount_fen, debit_balance_after, credit_balance_after FROM ledger_entry WHERE transaction_id = {id_at(40)}"
)
_TAIL = "(SELECT transaction_id FROM evidence_entry WHERE log_index >= 275)"
_CUT = (
    f"DELETE FROM ledger_entry WHERE transaction_id IN {_TAIL}; DELETE FROM ledger_transaction WHERE id IN {_TAIL};"
    f" DELETE FROM evidence_leaf WHERE transaction_id IN {_TAIL}; DELETE FROM evidence_entry WHERE log_index >= 275"
)
_MIN = "(SELECT min(size) FROM evidence_checkpoint)"
_BACK = (
    f"DELETE FROM evidence_checkpoint WHERE size > {_MIN}; DELETE FROM evidence_entry WHERE log_index >= {_MIN};"
    " DELETE FROM evidence_tile WHERE number > 0 OR level > 0;"
    f" UPDATE evidence_tile SET hashes = substr(hashes, 1, 32 * {_MIN}::integer);"
    " UPDATE evidence_log SET (size, root, note) = (SELECT size, root, note FROM evidence_checkpoint)"
)


def happened(kind: str, change: str) -> str:
    return f"UPDATE cards_event SET {change} WHERE kind = '{kind}' AND details = '{_OF[kind]}'"


_OF = {"blocked": '{"block_reason": "x"}', "unblocked": "{}"}
_CARD = "'03a20148-f98f-7000-877f-8531b7374843'"
_EVENT = (
    "INSERT INTO cards_event SELECT slot, card_id, {id}, book_id, 'closed', at, actor, reason, status, version, details"
    " FROM cards_event WHERE kind = 'blocked'"
)
_NEW_CARD = (
    "INSERT INTO cards_card (slot, id, book_id, programme_id, batch_id, form, status, number_last4, number_sealed,"
    " created_at, terms_version) SELECT slot, {id}, book_id, programme_id, batch_id, form, 'issued', '9999', '',"
    " created_at, 1 FROM cards_card WHERE number_last4 = '1004'"
)
OF_OBJECTS: dict[str, Edit] = {
    # events of cards
    "an event of a card of another kind": Edit(
        happened("blocked", "kind = 'unblocked'"), "card_events", "leaf_hash", "blocked", TURN
    ),
    "an event of a card re-dated": Edit(
        happened("blocked", "at = at - interval '1 day'"), "card_events", "leaf_hash", "blocked", TURN
    ),
    "a new event of a card re-dated": Edit(
        happened("unblocked", "at = at - interval '1 day'"), "card_events", "leaf_hash", "unblocked", NEXT
    ),
    "an event of a card by somebody else": Edit(
        happened("blocked", "actor = 'key_2'"), "card_events", "leaf_hash", "blocked", TURN
    ),
    "another reason": Edit(happened("blocked", "reason = 'stolen'"), "card_events", "leaf_hash", "blocked", TURN),
    "a reason removed": Edit(happened("blocked", "reason = NULL"), "card_events", "leaf_hash", "blocked", TURN),
    "other details": Edit(
        happened("blocked", "details = details || jsonb_build_object('by', 1)"), "card_events", "leaf_hash", "blocked",
        TURN,
    ),
    "another status after an event": Edit(
        happened("blocked", "status = 'active'"), "card_events", "leaf_hash", "blocked", TURN
    ),
    "another version after an event": Edit(
        happened("blocked", "version = 7"), "card_events", "leaf_hash", "blocked", TURN
    ),
    "an event of another card": Edit(
        happened("blocked", f"card_id = {_CARD}"), "card_events", "leaf_hash", "blocked", TURN
    ),
    "two events of a card exchanged": Edit(
        "UPDATE cards_event SET kind = 'x' WHERE kind = 'blocked';"
        " UPDATE cards_event AS e SET kind = 'blocked' FROM cards_event AS x"
        " WHERE x.kind = 'x' AND e.kind = 'activated' AND x.card_id = e.card_id;"
        " UPDATE cards_event SET kind = 'activated' WHERE kind = 'x'",
        "card_events", "leaf_hash", None, TURN,
    ),
    "an event of a card removed": Edit(
        "DELETE FROM cards_event WHERE kind = 'blocked'", "leaves", "transaction of the leaf", "blocked", TURN
    ),
    "a new event of a card removed": Edit(
        "DELETE FROM cards_event WHERE kind = 'unblocked'", "leaves", "transaction of the leaf", "unblocked", NEXT
    ),
    "an event of a card inserted": Edit(_EVENT.format(id=SOON), "card_events", "leaf", None, NEXT),
    "an event of a card inserted into the past": Edit(_EVENT.format(id=ROW), "card_events", "leaf", None, WHOLE),
    "an event of a card inserted with a leaf": Edit(
        f"{_EVENT.format(id=ROW)}; INSERT INTO evidence_leaf SELECT 0, {ROW}, leaf_hash, salt FROM evidence_leaf"
        f" WHERE transaction_id = {id_at(40)}",
        "card_events", "leaf_hash", None, WHOLE,
    ),
    # issues
    "a card of another programme": Edit(
        f"UPDATE cards_card SET programme_id = {ROW} WHERE number_last4 = '1003'", "issues", "card as it was issued",
        "issued", TURN,
    ),
    "a card issued on another day": Edit(
        "UPDATE cards_card SET created_at = created_at - interval '1 day' WHERE number_last4 = '1003'", "issues",
        "card as it was issued", "issued", TURN,
    ),
    "a new card issued on another day": Edit(
        "UPDATE cards_card SET created_at = created_at - interval '1 day' WHERE number_last4 = '3002'", "issues",
        "card as it was issued", "issued later", NEXT,
    ),
    "a card of another number": Edit(
        "UPDATE cards_card SET number_last4 = '7777' WHERE number_last4 = '1003'", "issues", "card as it was issued",
        "issued", TURN,
    ),
    "a card removed": Edit(
        "DELETE FROM cards_card WHERE number_last4 = '1003'", "issues", "card as it was issued", "issued", TURN
    ),
    "a card inserted": Edit(_NEW_CARD.format(id=_CARD), "issues", "issue", None, NEXT),
    "a card inserted into the past": Edit(_NEW_CARD.format(id=ROW), "issues", "issue", None, WHOLE),
    "a card inserted with its issue": Edit(
        f"{_NEW_CARD.format(id=_CARD)}; UPDATE evidence_issue SET ids = ids || {_CARD}::uuid,"
        " last4 = last4 || '9999'::text WHERE last4[1] = '1000'",
        "issues", "leaf_hash", "issued", TURN,
    ),
    "cards of an issue in another order": Edit(
        "UPDATE evidence_issue SET ids = ids[1:3] || ids[5] || ids[4], last4 = last4[1:3] || last4[5] || last4[4]"
        " WHERE last4[1] = '1000'",
        "issues", "leaf_hash", "issued", TURN,
    ),
    "an issue re-dated with its cards": Edit(
        "UPDATE evidence_issue SET at = at - interval '1 day' WHERE last4[1] = '1000';"
        " UPDATE cards_card SET created_at = created_at - interval '1 day' WHERE number_last4 LIKE '10__'",
        "issues", "leaf_hash", "issued", TURN,
    ),
    "an issue removed": Edit(
        "DELETE FROM evidence_issue WHERE last4[1] = '1000'", "leaves", "transaction of the leaf", None, NEXT
    ),
    "a voucher of another value": Edit(
        "UPDATE vouchers_voucher SET face_fen = 5000 WHERE code_last4 = '2001'", "issues", "voucher as it was issued",
        "vouchers issued", TURN,
    ),
    "a voucher removed": Edit(
        "DELETE FROM vouchers_voucher WHERE code_last4 = '2001'", "issues", "voucher as it was issued",
        "vouchers issued", TURN,
    ),
    "a voucher inserted": Edit(
        f"INSERT INTO vouchers_voucher (slot, id, book_id, template_id, status, face_fen, created_at) SELECT slot,"
        f" {SOON}, book_id, template_id, 'issued', 500, created_at FROM vouchers_voucher WHERE code_last4 = '2001'",
        "issues", "issue", None, NEXT,
    ),
    # events of vouchers
    "an event of a voucher re-dated": Edit(
        "UPDATE vouchers_event SET at = at - interval '1 day' WHERE kind = 'claimed'", "voucher_events", "leaf_hash",
        "claimed", TURN,
    ),
    "a new event of a voucher re-dated": Edit(
        "UPDATE vouchers_event SET at = at - interval '1 day' WHERE kind = 'cancelled'", "voucher_events", "leaf_hash",
        "cancelled", NEXT,
    ),
    "an event of a voucher of another holder": Edit(
        f"UPDATE vouchers_event SET holder_id = {ROW} WHERE kind = 'claimed'", "voucher_events", "leaf_hash", "claimed",
        TURN,
    ),
    "an event of a voucher by somebody else": Edit(
        "UPDATE vouchers_event SET actor = 'key_2' WHERE kind = 'claimed'", "voucher_events", "leaf_hash", "claimed",
        TURN,
    ),
    "another reason of an event of a voucher": Edit(
        "UPDATE vouchers_event SET reason = NULL WHERE kind = 'cancelled'", "voucher_events", "leaf_hash", "cancelled",
        NEXT,
    ),
    "an event of a voucher removed": Edit(
        "DELETE FROM vouchers_event WHERE kind = 'claimed'", "leaves", "transaction of the leaf", "claimed", TURN
    ),
    "an event of a voucher inserted": Edit(
        f"INSERT INTO vouchers_event SELECT slot, voucher_id, {SOON}, book_id, template_id, 'transferred', 'held',"
        " 'held', at, actor, holder_kind, holder_id, NULL, 0, face_fen, reason FROM vouchers_event"
        " WHERE kind = 'claimed'",
        "voucher_events", "", None, NEXT,
    ),
}  # fmt: skip

EDITS: dict[str, Edit] = {
    # rows of transactions
    "a new transaction re-dated": Edit(
        tx(265, "recorded_at = recorded_at - interval '1 day'"), "leaves", "leaf_hash", 265, NEXT
    ),
    "an old transaction re-dated": Edit(
        tx(50, "recorded_at = recorded_at - interval '1 day'"), "leaves", "leaf_hash", 50, TURN
    ),
    "another time of occurrence": Edit(
        tx(50, "effective_at = effective_at + interval '1 microsecond'"), "leaves", "leaf_hash", 50, TURN
    ),
    "another kind": Edit(tx(51, "kind = 'adjustment'"), "leaves", "leaf_hash", 51, TURN),
    "another reference": Edit(tx(52, "reference = 'x'"), "leaves", "leaf_hash", 52, TURN),
    "a reference removed": Edit(tx(266, "reference = NULL"), "leaves", "leaf_hash", 266, NEXT),
    "another request key": Edit(tx(53, "request_key = 'x'"), "leaves", "leaf_hash", 53, TURN),
    "another place": Edit(tx(54, f"place_id = {ROW}"), "leaves", "leaf_hash", 54, TURN),
    "another relation": Edit(tx(55, f"related_id = {ROW}"), "leaves", "leaf_hash", 55, TURN),
    "another book": Edit(tx(56, "book_id = 2"), "leaves", "leaf_hash", 56, TURN),
    "another id": Edit(tx(57, f"id = {ROW}"), "leaves", "leaf", None, TURN),
    "an old transaction removed": Edit(
        f"DELETE FROM ledger_entry WHERE transaction_id = {id_at(58)};"
        f" DELETE FROM ledger_transaction WHERE id = {id_at(58)}",
        "leaves", "transaction of the leaf", 58, TURN,
    ),
    "a new transaction removed": Edit(
        f"DELETE FROM ledger_entry WHERE transaction_id = {id_at(270)};"
        f" DELETE FROM ledger_transaction WHERE id = {id_at(270)}",
        "leaves", "transaction of the leaf", 270, NEXT,
    ),
    "a transaction inserted": Edit(_COPY.replace(ROW, SOON), "leaves", "leaf", None, NEXT),
    "a transaction inserted into the past": Edit(_COPY, "leaves", "leaf", None, WHOLE),
    "a transaction inserted with a leaf": Edit(
        f"{_COPY}; INSERT INTO evidence_leaf (slot, transaction_id, leaf_hash) SELECT 0, {ROW}, leaf_hash"
        f" FROM evidence_leaf WHERE transaction_id = {id_at(40)}",
        "leaves", "leaf_hash", None, WHOLE,
    ),
    # entries
    "another amount": Edit(entry(60, "amount_fen = amount_fen + 1"), "leaves", "leaf_hash", 60, TURN),
    "another amount, new": Edit(entry(268, "amount_fen = amount_fen + 1"), "leaves", "leaf_hash", 268, NEXT),
    "another account debited": Edit(
        entry(61, "debit_account = (SELECT max(id) FROM ledger_account)"), "leaves", "leaf_hash", 61, TURN
    ),
    "two sides exchanged": Edit(
        entry(62, "debit_account = credit_account, credit_account = debit_account"), "leaves", "leaf_hash", 62, TURN
    ),
    "another lot": Edit(entry(63, "debit_lot = 9"), "leaves", "leaf_hash", 63, TURN),
    "another effect": Edit(entry(64, "effect = 'capture'"), "leaves", "leaf_hash", 64, TURN),
    "another leg number": Edit(entry(65, "leg = 2"), "leaves", "leaf_hash", 65, TURN),
    "an entry removed": Edit(
        f"DELETE FROM ledger_entry WHERE transaction_id = {id_at(66)}", "leaves", "leaf_hash", 66, TURN
    ),
    "an entry inserted": Edit(
        "INSERT INTO ledger_entry SELECT slot, transaction_id, 2, effect, debit_account, debit_lot, credit_account,"
        f" credit_lot, 1, NULL, NULL FROM ledger_entry WHERE transaction_id = {id_at(67)}",
        "leaves", "leaf_hash", 67, TURN,
    ),
    # balances
    "another balance after": Edit(
        entry(70, "debit_balance_after = debit_balance_after + 1"), "running_balance", "balance", 70, WHOLE
    ),
    "another balance": Edit(
        "UPDATE ledger_account SET credits_posted = credits_posted + 1000 WHERE kind = 'card_principal'",
        "counters", "credits_posted", None, WHOLE,
    ),
    "another reserved amount": Edit(
        "UPDATE ledger_account SET debits_pending = debits_pending + 5 WHERE kind = 'card_principal'",
        "counters", "debits_pending", None, WHOLE,
    ),
    "value in a lot": Edit(
        "UPDATE ledger_lot SET remaining_fen = remaining_fen + 1", "lots", "remaining_fen or posted_fen", None, WHOLE
    ),
    # leaves and salts
    "another leaf": Edit(leaf(80, "leaf_hash = sha256('x')"), "leaves", "leaf_hash", 80, TURN),
    "another leaf, new": Edit(leaf(271, "leaf_hash = sha256('x')"), "leaves", "leaf_hash", 271, NEXT),
    "another salt": Edit(leaf(81, "salt = decode(repeat('00', 16), 'hex')"), "leaves", "leaf_hash", 81, TURN),
    "a salt removed": Edit(leaf(82, "salt = NULL"), "leaves", "leaf_hash", 82, TURN),
    "a false commitment": Edit(leaf(83, "salt = NULL, commitment = sha256('x')"), "leaves", "leaf_hash", 83, TURN),
    "a leaf removed": Edit(
        f"DELETE FROM evidence_leaf WHERE transaction_id = {id_at(84)}", "leaves", "leaf", 84, NEXT
    ),
    # the order of the log
    "entries of the log exchanged": Edit(
        "UPDATE evidence_entry SET log_index = 9999 WHERE log_index = 90;"
        " UPDATE evidence_entry SET log_index = 90 WHERE log_index = 91;"
        " UPDATE evidence_entry SET log_index = 91 WHERE log_index = 9999",
        "log", "leaf_hash", 90, TURN,
    ),
    "entries of the log exchanged, new": Edit(
        "UPDATE evidence_entry SET log_index = 9999 WHERE log_index = 272;"
        " UPDATE evidence_entry SET log_index = 272 WHERE log_index = 273;"
        " UPDATE evidence_entry SET log_index = 273 WHERE log_index = 9999",
        "log", "leaf_hash", 272, NEXT,
    ),
    "an entry of the log removed": Edit(
        "DELETE FROM evidence_entry WHERE log_index = 92", "log", "log_index", 93, NEXT
    ),
    "the tail cut off": Edit(_CUT, "log", "entries under the checkpoint", 275, NEXT),
    # tiles
    "a hash in a full tile": Edit(
        "UPDATE evidence_tile SET hashes = overlay(hashes PLACING sha256('x') FROM 1) WHERE level = 0 AND number = 0",
        "log", "leaf_hash", 0, TURN,
    ),
    "a hash in the growing tile": Edit(
        "UPDATE evidence_tile SET hashes = overlay(hashes PLACING sha256('x') FROM 1) WHERE level = 0 AND number = 1",
        "log", "leaf_hash", 256, NEXT,
    ),
    "a tile above": Edit(
        "UPDATE evidence_tile SET hashes = sha256('x') WHERE level = 1", "log", "tile of level 1", 0, NEXT
    ),
    "a tile removed": Edit(
        "DELETE FROM evidence_tile WHERE level = 0 AND number = 0", "log", "hash in the tile of level 0", 0, TURN
    ),
    "a leaf with its tile": Edit(
        f"{leaf(5, chr(39).join(('leaf_hash = sha256(', 'x', ')')))}; UPDATE evidence_tile"
        " SET hashes = overlay(hashes PLACING sha256('x') FROM 161) WHERE level = 0 AND number = 0",
        "leaves", "leaf_hash", 5, TURN,
    ),
    # the head, checkpoints, keys
    "the log rewound": Edit(_BACK, "log", "entry of the leaf", None, NEXT),
    "another root": Edit("UPDATE evidence_log SET root = sha256('x')", "log", "head", None, NEXT),
    "another size": Edit("UPDATE evidence_log SET size = 279", "log", "size of the log", 279, NEXT),
    "an old checkpoint as the head": Edit(
        "UPDATE evidence_log SET note = (SELECT note FROM evidence_checkpoint ORDER BY size LIMIT 1)", "log", "head",
        None, NEXT,
    ),
    "a kept checkpoint altered": Edit(
        f"UPDATE evidence_checkpoint SET root = sha256('x') WHERE size = {NEW}", "log", "checkpoint", None, NEXT
    ),
    "a key swapped": Edit(
        "UPDATE evidence_key SET public_key = sha256('x') WHERE replaces IS NULL", "log", "leaf_hash of the key", None,
        WHOLE,
    ),
    "a key added": Edit(
        f"INSERT INTO evidence_key VALUES ({ROW}, 0, sha256('x'), NULL, now())", "log", "entry of the key", None, WHOLE
    ),
    # the anchor of the worker's turns
    "the anchor moved on": Edit(f"UPDATE audit_anchor SET size = {NEW}", "", "size of the anchor", None, NEXT),
    "the anchor altered": Edit(
        "UPDATE audit_anchor SET note = replace(note, '260', '270')", "", "anchor of the audit", None, NEXT
    ),
}  # fmt: skip


async def seen_by(book: Book) -> tuple[str, Followed | None]:
    """Which turn of the worker sees it."""
    followed = await book.follow()
    if not followed.holds:
        return NEXT, followed
    followed = await book.follow(recheck=1 << 20)
    return (WHOLE, None) if followed.holds else (TURN, followed)


EDITS |= OF_OBJECTS

_PLACES = """
SELECT kind, id FROM cards_event WHERE kind IN ('blocked', 'unblocked')
UNION ALL SELECT kind, id FROM vouchers_event
UNION ALL SELECT CASE last4[1] WHEN '1000' THEN 'issued' WHEN '3001' THEN 'issued later' ELSE 'vouchers issued' END, id
FROM evidence_issue
"""


@pytest.mark.parametrize("name", EDITS)
async def test_an_edit_is_found_and_named(book: Book, name: str) -> None:
    edit = EDITS[name]
    with psycopg.connect(book.conninfo) as owner:
        places = {kind: book.ids.index(id_) for kind, id_ in owner.execute(_PLACES.encode()).fetchall()}
    at = places[edit.at] if isinstance(edit.at, str) else edit.at
    names = {id_.hex: index for index, id_ in enumerate(book.ids)}

    def index_of(finding: Finding) -> Any:
        told = finding.ids
        at = told.get("log_index")
        id_ = told.get("transaction_id") or told.get("event_id") or told.get("issue_id")
        return names.get(str(id_).removeprefix("txn_")) if at is None else at

    book.damage(edit.sql)
    found = await book.audit()
    seen, followed = await seen_by(book)
    shown = [(audit, finding.what, index_of(finding)) for audit, finding in found[:4]]
    if edit.audit:
        assert shown[0][0] == edit.audit, (shown, seen)
        assert shown[0][1].startswith(tuple(edit.what.split(" or "))), (shown, seen)  # both, in any order
        if at is not None:
            assert shown[0][2] == at, shown
    else:
        assert shown == []
        assert followed is not None
        assert followed.findings[0].what == edit.what
    told = None if followed is None else [(one.what, index_of(one)) for one in followed.findings[:3]]
    assert seen == edit.seen, told
    if followed is not None and at is not None and edit.audit in ("leaves", "card_events", "voucher_events", "issues"):
        assert index_of(followed.findings[0]) == at, told


async def test_a_forged_log_is_found(book: Book) -> None:
    """Every leaf, tile and root fits; the signatures are of another key, which was put in the place of the true one."""
    with psycopg.connect(book.conninfo) as owner:
        origin = book.row(owner, "SELECT origin FROM evidence_log")[0]
        leaves = [
            row[0]
            for row in owner.execute(
                "SELECT leaf_hash FROM evidence_entry JOIN evidence_leaf USING (slot, transaction_id)"
                " ORDER BY log_index"
            )
        ]
        leaves[77] = b"f" * 32
        grown = grow(0, {}, leaves)
        owner.execute(leaf(77, "leaf_hash = %s").encode(), (leaves[77],))
        for (level, number), hashes in grown.tiles.items():
            owner.execute(
                "UPDATE evidence_tile SET hashes = %s WHERE level = %s AND number = %s", (hashes, level, number)
            )
        for size in [row[0] for row in owner.execute("SELECT size FROM evidence_checkpoint").fetchall()]:
            root = grow(0, {}, leaves[:size]).root
            note = sign_note(Checkpoint(origin, size, root).text, origin, [FORGER])
            owner.execute("UPDATE evidence_checkpoint SET root = %s, note = %s WHERE size = %s", (root, note, size))
        note = sign_note(Checkpoint(origin, NEW, grown.root).text, origin, [FORGER])
        owner.execute("UPDATE evidence_log SET root = %s, note = %s", (grown.root, note))
        owner.execute("UPDATE evidence_key SET public_key = %s WHERE replaces IS NULL", (FORGER.public,))
    whats = {(audit, finding.what) for audit, finding in await book.audit()}
    assert ("leaves", "leaf_hash") in whats
    assert ("log", "leaf_hash of the key") in whats
    followed = await book.follow()
    assert followed.findings[0].what == "head"


FILES: dict[str, tuple[str, str, int | None]] = {
    "a hash in a tile": ("tile/0/000", "flip", 3),
    "a hash in the growing tile": (f"tile/0/001.p/{NEW - 256}", "flip", 259),
    "a tile above": ("tile/1/000.p/1", "flip0", 0),
    "a tile removed": ("tile/0/000", "remove", 0),
    "the growing tile removed": (f"tile/0/001.p/{NEW - 256}", "remove", 256),
    "a tile cut off": ("tile/0/000", "cut", 255),
    "a tile lengthened": ("tile/0/000", "lengthen", 256),
    "tiles exchanged": ("tile/0/000", "exchange", 0),
    "a tile too many": ("tile/0/002", "add", 512),
    "a file that is none of the log": ("tile/0/leaves", "add", None),
    "the checkpoint removed": ("checkpoint", "remove", None),
    "the checkpoint altered": ("checkpoint", "alter", None),
    "the checkpoint of another key": ("checkpoint", "forge", None),
    "the checkpoint of a longer log": ("checkpoint", "longer", NEW),
    "the checkpoint of another root": ("checkpoint", "other", None),
}
"""The file; what is done to it; the first entry that is named."""


def tamper(book: Book, path: Path, how: str) -> None:
    content = path.read_bytes() if path.exists() else b""
    origin = (book.folder / "checkpoint").read_text().partition("\n")[0]
    if how == "remove":
        path.unlink()
    elif how in ("flip", "flip0"):
        place = 0 if how == "flip0" else 32 * 3
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    elif how == "cut":
        path.write_bytes(content[:-32])
    elif how == "lengthen":
        path.write_bytes(content + bytes(32))
    elif how == "exchange":
        path.write_bytes(content[32:] + content[:32])
    elif how == "add":
        path.write_bytes(bytes(8192))
    elif how == "alter":
        path.write_bytes(content.replace(str(NEW).encode(), str(NEW - 1).encode()))
    else:
        signers = [FORGER] if how == "forge" else list(SIGNERS)
        size = NEW + 1 if how == "longer" else NEW
        path.write_text(sign_note(Checkpoint(origin, size, b"r" * 32).text, origin, signers))


@pytest.mark.parametrize("name", FILES)
async def test_an_edit_of_a_published_file_is_found_and_named(book: Book, name: str) -> None:
    file, how, index = FILES[name]
    tamper(book, book.folder / file, how)
    found = await check_published(book.conninfo, book.folder)
    assert not found.holds
    first = found.findings[0]
    assert (first.ids["file"], first.ids.get("log_index")) == (file, index), found.findings[:3]


def test_edits_are_many() -> None:
    assert len(EDITS) + len(FILES) + 1 >= 90


@pytest.mark.parametrize(
    "log",
    [
        "SELECT",
        "DELETE FROM evidence_entry",
        "UPDATE evidence_entry SET log_index = -log_index",
        "DELETE FROM evidence_entry WHERE log_index > 100",
    ],
    ids=["as it is", "empty", "backwards", "cut off"],
)
async def test_pieces_find_what_the_whole_does(book: Book, monkeypatch: pytest.MonkeyPatch, log: str) -> None:
    """Each leaf and transaction is in one piece, wherever the log says that they part."""
    book.damage(
        "UPDATE evidence_leaf SET leaf_hash = sha256(leaf_hash);"
        "DELETE FROM evidence_leaf WHERE transaction_id IN (SELECT id FROM ledger_transaction ORDER BY id LIMIT 20);"
        "DELETE FROM ledger_transaction WHERE id IN (SELECT id FROM ledger_transaction ORDER BY id DESC LIMIT 30)"
    )
    book.damage(log)
    results: list[AuditResult] = []
    for leaves in (10**9, 40, 7, 1):
        monkeypatch.setattr(run, "PIECE", leaves)
        (result,) = (await run_audits(book.conninfo, names=["leaves"])).audits
        results.append(structs.replace(result, duration_ms=0))
    assert results[0].finding_count > results[0].checked > 200
    for result in results:
        assert structs.replace(result, findings=()) == structs.replace(results[0], findings=())
        assert len({finding.ids["transaction_id"] for finding in result.findings}) == 100


async def test_an_anchor_is_not_moved_over_what_is_wrong(book: Book) -> None:
    book.damage(tx(265, "recorded_at = recorded_at - interval '1 day'"))
    for _ in range(2):
        followed = await book.follow()
        assert (followed.holds, followed.old_size) == (False, OLD)
    book.damage(tx(265, "recorded_at = recorded_at + interval '1 day'"))
    assert (await book.follow()).holds
    assert (await book.follow()).old_size == NEW


async def test_a_long_way_is_gone_in_turns(book: Book) -> None:
    book.damage("DELETE FROM audit_anchor")
    sizes = []
    async with open_pool(book.conninfo) as pool:
        for _ in range(4):
            followed = await follow_log(pool, book.clock, SIGNERS, (0,), new=150, recheck=0)
            assert followed.holds
            sizes.append(followed.size)
    assert sizes[-1] == NEW
    assert sizes == sorted(sizes)
    assert sizes[0] < NEW
