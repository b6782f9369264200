"""Every audit on a real book: silent on what the ledger wrote, loud about what was changed behind it."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow
from tests.store import test_audit_closing, test_audit_sales

from kaquan.audit import AuditReport, find_audits, run_audits, store
from kaquan.kit.db import number_field, open_pool, rows_literal, text_field, time_field, uuid_field
from kaquan.kit.ids import Prefix, SystemIds, show_id
from kaquan.ledger import (
    Answer,
    Effect,
    FloorRule,
    Guard,
    Item,
    Leg,
    NewLot,
    Posting,
    RequestKey,
    hash_key,
    hash_request,
)
from kaquan.ledger.store import batch_params
from kaquan.migrations import migrate

IDS = SystemIds()
AT = datetime(2025, 3, 1, 9, 30, tzinfo=UTC)
SLOTS = (0, 7)
Sync = psycopg.Connection[TupleRow]


class Till:
    """Posts payments of one card through the posting functions, as the payments room would plan them."""

    def __init__(self, connection: Sync, *, book_id: int, slot: int, currency: str) -> None:
        self.connection, self.book_id, self.slot, self.currency = connection, book_id, slot, currency
        self.card, self.merchant, self.issuer = IDS.new(), IDS.new(), IDS.new()
        self.principal = self.open(self.card, "card_principal", FloorRule.CREDIT, lotted=True)
        self.bonus = self.open(self.card, "card_bonus", FloorRule.CREDIT, lotted=True)
        self.payable = self.open(self.merchant, "merchant_payable")
        self.custody = self.open(self.issuer, "custody_bank", FloorRule.DEBIT)
        self.expense = self.open(self.issuer, "bonus_expense")
        self.lots = 0

    def open(self, owner: UUID, kind: str, floor: FloorRule = FloorRule.NONE, *, lotted: bool = False) -> int:
        row = self.connection.execute(
            "SELECT account_id FROM ledger_open_accounts_v1(%s::smallint, %s::integer[], %s, %s, %s, %s, %s)",
            (self.slot, [self.book_id], [owner], [kind], [self.currency], [floor.value], [lotted]),
        ).fetchone()
        assert row is not None
        return int(row[0])

    def version(self, table: str, id_: int | UUID) -> int:
        row = self.connection.execute(
            sql.SQL("SELECT version FROM {} WHERE slot = %s AND id = %s").format(sql.Identifier(table)),
            (self.slot, id_),
        ).fetchone()
        assert row is not None
        return int(row[0])

    def post(
        self,
        kind: str,
        legs: list[Leg],
        *,
        lots: Sequence[NewLot] = (),
        payment: dict[str, Any] | None = None,
        change: tuple[UUID, str, int, int] | None = None,
        original: UUID | None = None,
    ) -> UUID:
        """Post a transaction, with a new payment or the change (id, status, captured, refunded) of one."""
        id_ = IDS.new()
        key = f'key "{id_.hex[-6:]}"'
        request = RequestKey(key, hash_key(self.book_id, key), hash_request("POST", "/v1/x", id_.bytes))
        moved = {account for leg in legs for account in (leg.debit_account, leg.credit_account)}
        guards = [
            Guard(account, self.version("ledger_account", account))
            for account in (self.principal, self.bonus, self.custody)
            if account in moved
        ]
        posting = Posting(id_, kind, AT, legs, guards, list(lots), original, self.merchant, f"order №{id_.hex[-4:]}\\")
        params = batch_params(
            [Item(self.book_id, posting, request, Answer(201, b'{"ok":true}'))],
            slot=self.slot,
            recorded_at=AT + timedelta(microseconds=id_.int % 1_000_000),
        )
        new, changes = [], []
        if payment is not None:
            row = {"status": "completed", "bonus_fen": 0, "captured_fen": payment["amount_fen"], **payment}
            new.append(
                f"(1,{id_.hex},{self.book_id},{kind},{row['status']},{self.card.hex},{self.merchant.hex},,,"
                f"{uuid_field(original)},{self.currency},{row['amount_fen']},{row['bonus_fen']},"
                f"{row['captured_fen']},{text_field(None)},{time_field(None)},{AT.isoformat()})"
            )
        if change is not None:
            changed, status, captured, refunded = change
            version = self.version("payments_payment", changed)
            changes.append(f"(1,{changed.hex},{number_field(version)},{status},{captured},{refunded})")
        statuses = self.connection.execute(
            "SELECT payments_post_batch_v1(%(slot)s::smallint, %(recorded_at)s, %(items)s::ledger_item_v1[],"
            " %(answers)s::bytea[], %(legs)s::ledger_leg_v1[], %(new_lots)s::ledger_new_lot_v1[],"
            " %(versioned)s::integer, %(lots)s::integer, %(others)s::integer, %(limited)s::bigint[],"
            " %(status)s::smallint[],"
            " %(new)s::payments_new_v1[], %(changes)s::payments_change_v1[])",
            {**params, "new": rows_literal(new), "changes": rows_literal(changes)},
        ).fetchone()
        assert statuses == ([0],)
        return id_

    def load(self, amount_fen: int, bonus_fen: int) -> UUID:
        self.lots += 1
        legs = [Leg(Effect.POST, self.custody, None, self.principal, self.lots, amount_fen)]
        lots = [NewLot(self.principal, self.lots, amount_fen, bonus_fen, None)]
        if bonus_fen:
            legs.append(Leg(Effect.POST, self.expense, None, self.bonus, self.lots, bonus_fen))
            lots.append(NewLot(self.bonus, self.lots, amount_fen, bonus_fen, AT + timedelta(days=90)))
        return self.post("load", legs, lots=lots, payment={"amount_fen": amount_fen, "bonus_fen": bonus_fen})

    def purchase(self, *, principal_fen: int, bonus_fen: int, lot: int = 1) -> UUID:
        legs = [Leg(Effect.POST, self.principal, lot, self.payable, None, principal_fen)]
        if bonus_fen:
            legs.append(Leg(Effect.POST, self.bonus, lot, self.payable, None, bonus_fen))
        amount_fen = principal_fen + bonus_fen
        return self.post("purchase", legs, payment={"amount_fen": amount_fen})

    def refund(self, original: UUID, amount_fen: int, *, captured_fen: int, lot: int = 1) -> UUID:
        return self.post(
            "refund",
            [Leg(Effect.POST, self.payable, None, self.principal, lot, amount_fen)],
            payment={"amount_fen": amount_fen},
            change=(original, "completed", captured_fen, amount_fen),
            original=original,
        )

    def authorize(self, amount_fen: int, *, lot: int = 1) -> UUID:
        legs = [Leg(Effect.RESERVE, self.principal, lot, self.payable, None, amount_fen)]
        return self.post("authorization", legs, payment={"amount_fen": amount_fen, "captured_fen": 0, "status": "open"})

    def capture(self, authorization: UUID, amount_fen: int, *, release_fen: int = 0, lot: int = 1) -> UUID:
        legs = [Leg(Effect.CAPTURE, self.principal, lot, self.payable, None, amount_fen)]
        if release_fen:
            legs.append(Leg(Effect.RELEASE, self.principal, lot, self.payable, None, release_fen))
        status = "completed" if release_fen else "open"
        change = (authorization, status, amount_fen, 0)
        return self.post("capture", legs, change=change, original=authorization)

    def void(self, authorization: UUID, amount_fen: int, *, lot: int = 1) -> UUID:
        legs = [Leg(Effect.RELEASE, self.principal, lot, self.payable, None, amount_fen)]
        return self.post("void", legs, change=(authorization, "voided", 0, 0), original=authorization)


def fill(connection: Sync) -> dict[str, Any]:
    """Every kind of movement, on cards of two slots and two books; ids that damages speak of, by name."""
    till = Till(connection, book_id=1, slot=0, currency="CNY")
    first = till.load(1_000, 200)
    till.load(500, 0)
    purchase = till.purchase(principal_fen=100, bonus_fen=200)
    refund = till.refund(purchase, 60, captured_fen=300)
    other = till.purchase(principal_fen=50, bonus_fen=0, lot=2)
    held = till.authorize(400)
    capture = till.capture(held, 100)

    far = Till(connection, book_id=1, slot=7, currency="CNY")
    far.load(500, 0)
    final = far.authorize(200)
    far.capture(final, 150, release_fen=50)
    far.void(far.authorize(100), 100)

    foreign = Till(connection, book_id=2, slot=0, currency="USD")
    foreign.load(100, 0)
    foreign.purchase(principal_fen=100, bonus_fen=0)
    names = ("principal", "bonus", "payable", "custody", "expense", "card")
    return {
        **{name: getattr(till, name) for name in names},
        "first": first,
        "purchase": purchase,
        "refund": refund,
        "other": other,
        "held": held,
        "capture": capture,
        "final": final,
        "foreign_payable": foreign.payable,
        "nobody": IDS.new(),
        "transfer": IDS.new(),
    }


class Book:
    """A database of its own, and the ids in it."""

    def __init__(self, conninfo: str, ids: dict[str, Any]) -> None:
        self.conninfo, self.ids = conninfo, ids

    def damage(self, statements: str) -> None:
        """Change rows as only the owner of the database can. ``:name`` stands for the id of that name."""
        for name in sorted(self.ids, key=len, reverse=True):
            value = self.ids[name]
            statements = statements.replace(f":{name}", str(value) if isinstance(value, int) else f"'{value}'")
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            for statement in statements.split(";"):
                connection.execute(statement.encode())

    def show(self, name: str) -> str:
        """The public form of a named id."""
        value = self.ids[name]
        if isinstance(value, int):
            return f"acc_0_{value}"
        prefixes = {"card": Prefix.CARD, "transfer": Prefix.TRANSFER}
        return show_id(prefixes.get(name, Prefix.TRANSACTION), value)


@pytest.fixture(scope="module")
def filled(database: str) -> Iterator[Book]:
    """A filled book, made once; tests get copies of it."""
    name = f"{conninfo_to_dict(database)['dbname']}_audit"
    conninfo = make_conninfo(database, dbname=name)
    with psycopg.connect(database, autocommit=True) as server:
        server.execute(f"DROP DATABASE IF EXISTS {name}".encode())
        server.execute(f"CREATE DATABASE {name}".encode())
        migrate(conninfo, slots=SLOTS)
        with psycopg.connect(conninfo, autocommit=True) as connection:
            ids = fill(connection)
        yield Book(conninfo, ids)
        server.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def book(database: str, filled: Book) -> Iterator[Book]:
    """A copy of the filled book that a test may damage."""
    original = str(conninfo_to_dict(filled.conninfo)["dbname"])
    with psycopg.connect(database, autocommit=True) as server:
        server.execute(f"DROP DATABASE IF EXISTS {original}_copy WITH (FORCE)".encode())
        server.execute(f"CREATE DATABASE {original}_copy TEMPLATE {original}".encode())
        yield Book(make_conninfo(database, dbname=f"{original}_copy"), filled.ids)
        server.execute(f"DROP DATABASE {original}_copy WITH (FORCE)".encode())


def failed(report: AuditReport) -> set[str]:
    return {result.name for result in report.audits if not result.holds}


async def test_a_book_that_only_the_ledger_wrote_holds(book: Book) -> None:
    report = await run_audits(book.conninfo)
    assert [result for result in report.audits if result.findings] == []
    assert report.holds
    assert [result.name for result in report.audits] == list(find_audits())
    checked = {result.name: result.checked for result in report.audits}
    assert checked["leaves"] == checked["idempotency"] == 14
    assert (checked["entries"], checked["payments"], checked["lots"]) == (17, 11, 5)
    assert msgspec.json.decode(msgspec.json.encode(report), type=AuditReport) == report


async def test_an_empty_book_holds(book: Book) -> None:
    book.damage(
        "TRUNCATE ledger_account, ledger_lot, ledger_transaction, ledger_entry, ledger_idempotency,"
        " evidence_leaf, payments_payment"
    )
    report = await run_audits(book.conninfo)
    assert report.holds
    assert {result.checked for result in report.audits} == {0}


# What is done, the audits that see it (no other does), and an id that one of them names: (audit, field, id).
DAMAGES: dict[str, tuple[str, set[str], tuple[str, str, str]]] = {
    "money made on one account": (
        "UPDATE ledger_account SET credits_posted = credits_posted + 1 WHERE id = :payable",
        {"zero_sum", "counters"},
        ("counters", "account_id", "payable"),
    ),
    "money moved between two accounts": (
        "UPDATE ledger_account SET credits_posted = credits_posted + 1 WHERE id IN (:payable);"
        "UPDATE ledger_account SET debits_posted = debits_posted + 1 WHERE id = :expense",
        {"counters"},
        ("counters", "account_id", "expense"),
    ),
    "an account without its entries": (
        "DELETE FROM ledger_account WHERE id = :payable",
        {"zero_sum", "counters", "entries", "pending"},
        ("counters", "account_id", "payable"),
    ),
    "value moved between two lots": (
        "UPDATE ledger_lot SET remaining_fen = remaining_fen + CASE lot WHEN 1 THEN 5 ELSE -5 END"
        " WHERE account_id = :principal",
        {"lots"},
        ("lots", "account_id", "principal"),
    ),
    "a lot that holds more than its pocket": (
        "UPDATE ledger_lot SET remaining_fen = remaining_fen + 5 WHERE account_id = :bonus",
        {"lots"},
        ("lots", "account_id", "bonus"),
    ),
    "a reservation forgotten on its lot": (
        "UPDATE ledger_lot SET reserved_fen = 0 WHERE account_id = :principal",
        {"lots"},
        ("lots", "account_id", "principal"),
    ),
    "a lot taken away": (
        "DELETE FROM ledger_lot WHERE account_id = :bonus",
        {"lots"},
        ("lots", "account_id", "bonus"),
    ),
    "an account through its floor": (
        "ALTER TABLE ledger_account DROP CONSTRAINT ledger_account_floor;"
        "UPDATE ledger_account SET debits_posted = debits_posted + 9000 WHERE id = :bonus;"
        "UPDATE ledger_account SET credits_posted = credits_posted + 9000 WHERE id = :payable",
        {"floors", "counters", "lots", "running_balance"},
        ("floors", "account_id", "bonus"),
    ),
    "a lot through its floor": (
        "ALTER TABLE ledger_lot DROP CONSTRAINT ledger_lot_floor;"
        "UPDATE ledger_lot SET reserved_fen = remaining_fen + 1 WHERE account_id = :bonus",
        {"floors", "lots"},
        ("floors", "account_id", "bonus"),
    ),
    "a floor that was broken once": (
        "UPDATE ledger_entry SET debit_balance_after = -5 WHERE transaction_id = :other",
        {"floors", "running_balance"},
        ("floors", "transaction_id", "other"),
    ),
    "an authorization closed without release": (
        "UPDATE payments_payment SET status = 'voided' WHERE id = :held",
        {"pending"},
        ("pending", "payment_id", "held"),
    ),
    "an authorization closed, seen on its card": (
        "UPDATE payments_payment SET status = 'completed' WHERE id = :held",
        {"pending"},
        ("pending", "card_id", "card"),
    ),
    "an authorization opened again": (
        "UPDATE payments_payment SET status = 'open' WHERE id = :final",
        {"pending"},
        ("pending", "payment_id", "final"),
    ),
    "a reservation that nobody asked for": (
        "UPDATE ledger_account SET debits_pending = debits_pending + 1 WHERE id = :principal;"
        "UPDATE ledger_account SET credits_pending = credits_pending + 1 WHERE id = :payable",
        {"pending", "counters", "lots"},
        ("pending", "card_id", "card"),
    ),
    "another time on a transaction": (
        "UPDATE ledger_transaction SET effective_at = effective_at + interval '1 microsecond' WHERE id = :other",
        {"leaves"},
        ("leaves", "transaction_id", "other"),
    ),
    "another reference on a transaction": (
        "UPDATE ledger_transaction SET reference = 'forged' WHERE id = :other",
        {"leaves"},
        ("leaves", "transaction_id", "other"),
    ),
    "another leaf": (
        "UPDATE evidence_leaf SET leaf_hash = sha256('forged') WHERE transaction_id = :first",
        {"leaves"},
        ("leaves", "transaction_id", "first"),
    ),
    "a leaf taken away": (
        "DELETE FROM evidence_leaf WHERE transaction_id = :first",
        {"leaves"},
        ("leaves", "transaction_id", "first"),
    ),
    "a leaf of nothing": (
        "INSERT INTO evidence_leaf (slot, transaction_id, leaf_hash) VALUES (0, :nobody, sha256(''))",
        {"leaves"},
        ("leaves", "transaction_id", "nobody"),
    ),
    "another amount on an entry": (
        "UPDATE ledger_entry SET amount_fen = amount_fen + 1 WHERE transaction_id = :other",
        {"counters", "lots", "leaves", "running_balance", "payments"},
        ("leaves", "transaction_id", "other"),
    ),
    "a refund hidden on its purchase": (
        "UPDATE payments_payment SET refunded_fen = 0 WHERE id = :purchase",
        {"refunds"},
        ("refunds", "payment_id", "purchase"),
    ),
    "more refunded than was paid": (
        "ALTER TABLE payments_payment DROP CONSTRAINT payments_payment_amounts;"
        "UPDATE payments_payment SET captured_fen = 59 WHERE id = :purchase",
        {"refunds"},
        ("refunds", "payment_id", "purchase"),
    ),
    "a capture hidden on its authorization": (
        "UPDATE payments_payment SET captured_fen = 0 WHERE id = :held",
        {"refunds", "pending"},
        ("refunds", "payment_id", "held"),
    ),
    "a refund of another purchase": (
        "UPDATE payments_payment SET original_id = :other WHERE id = :refund",
        {"refunds"},
        ("refunds", "payment_id", "other"),
    ),
    "a refund of nothing": (
        "UPDATE payments_payment SET original_id = NULL WHERE id = :refund",
        {"refunds"},
        ("refunds", "payment_id", "refund"),
    ),
    "an answer under another request": (
        "UPDATE ledger_idempotency SET request_hash = sha256('forged') WHERE transaction_id = :other",
        {"idempotency"},
        ("idempotency", "transaction_id", "other"),
    ),
    "an answer under another key": (
        "UPDATE ledger_idempotency SET key_hash = :nobody WHERE transaction_id = :other",
        {"idempotency"},
        ("idempotency", "transaction_id", "other"),
    ),
    "an answer of nothing": (
        "UPDATE ledger_idempotency SET transaction_id = :nobody WHERE transaction_id = :other",
        {"idempotency"},
        ("idempotency", "transaction_id", "nobody"),
    ),
    "an answer forgotten": (
        "DELETE FROM ledger_idempotency WHERE transaction_id = :other",
        {"idempotency"},
        ("idempotency", "transaction_id", "other"),
    ),
    "two transactions under one key": (
        "UPDATE ledger_transaction SET request_key = (SELECT request_key FROM ledger_transaction WHERE id = "
        ":first)"
        " WHERE id = :other",
        {"idempotency", "leaves"},
        ("idempotency", "transaction_id", "other"),
    ),
    "another balance on an entry": (
        "UPDATE ledger_entry SET debit_balance_after = debit_balance_after + 1 WHERE transaction_id = :other",
        {"running_balance"},
        ("running_balance", "transaction_id", "other"),
    ),
    "another balance on an account that holds": (
        "UPDATE ledger_entry SET debit_balance_after = debit_balance_after + 1 WHERE debit_account = :custody"
        " AND transaction_id = :first",
        {"running_balance"},
        ("running_balance", "account_id", "custody"),
    ),
    "a balance missing": (
        "UPDATE ledger_entry SET debit_balance_after = NULL WHERE transaction_id = :other",
        {"running_balance"},
        ("running_balance", "transaction_id", "other"),
    ),
    "a balance where none belongs": (
        "UPDATE ledger_entry SET credit_balance_after = 1 WHERE transaction_id = :other",
        {"running_balance"},
        ("running_balance", "transaction_id", "other"),
    ),
    "a transaction taken away": (
        "DELETE FROM ledger_transaction WHERE id = :other;"
        "DELETE FROM evidence_leaf WHERE transaction_id = :other;"
        "DELETE FROM ledger_idempotency WHERE transaction_id = :other;"
        "DELETE FROM payments_payment WHERE id = :other",
        {"entries"},
        ("entries", "transaction_id", "other"),
    ),
    "the entries taken away": (
        "DELETE FROM ledger_entry WHERE transaction_id = :other",
        {"entries", "counters", "lots", "leaves", "running_balance", "payments"},
        ("entries", "transaction_id", "other"),
    ),
    "an entry into another book": (
        "UPDATE ledger_entry SET credit_account = :foreign_payable WHERE transaction_id = :other",
        {"entries", "counters", "leaves"},
        ("entries", "transaction_id", "other"),
    ),
    "an account of another currency": (
        "UPDATE ledger_account SET currency = 'USD' WHERE id = :expense",
        {"entries", "zero_sum"},
        ("entries", "transaction_id", "first"),
    ),
    "another amount on a payment": (
        "UPDATE payments_payment SET bonus_fen = bonus_fen + 1 WHERE id = :first",
        {"payments"},
        ("payments", "payment_id", "first"),
    ),
    "a payment of another card": (
        "UPDATE payments_payment SET card_id = :nobody WHERE id = :other",
        {"payments"},
        ("payments", "payment_id", "other"),
    ),
    "a payment of another book": (
        "UPDATE payments_payment SET book_id = 2 WHERE id = :other",
        {"payments"},
        ("payments", "payment_id", "other"),
    ),
    "a payment in another currency": (
        "UPDATE payments_payment SET currency = 'USD' WHERE id = :other",
        {"payments"},
        ("payments", "payment_id", "other"),
    ),
    "a payment taken away": (
        "DELETE FROM payments_payment WHERE id = :other",
        {"payments"},
        ("payments", "payment_id", "other"),
    ),
    "a payment without a transaction": (
        "INSERT INTO payments_payment (slot, id, book_id, kind, status, card_id, currency, amount_fen, captured_fen,"
        " occurred_at, created_at) SELECT slot, :nobody, book_id, 'load', status, card_id, currency, 100, 100,"
        " occurred_at, created_at FROM payments_payment WHERE id = :first",
        {"payments"},
        ("payments", "payment_id", "nobody"),
    ),
    "a card made active by hand": (
        "INSERT INTO cards_card (slot, id, book_id, programme_id, form, status, number_last4, number_sealed,"
        " created_at) VALUES (0, :card, 1, :nobody, 'digital', 'active', '1234', '', now())",
        {"card_life", "issues"},
        ("card_life", "card_id", "card"),
    ),
    "a replaced card with its value still on it": (
        "INSERT INTO cards_card (slot, id, book_id, programme_id, form, status, number_last4, number_sealed,"
        " created_at) VALUES (0, :card, 1, :nobody, 'digital', 'replaced', '1234', '', now());"
        "INSERT INTO cards_event (slot, card_id, id, book_id, kind, at, actor, status, version, details)"
        " VALUES (0, :card, :nobody, 1, 'replaced', now(), 'somebody', 'replaced', 0, '{}')",
        {"card_life", "card_events", "issues"},
        ("card_life", "card_id", "card"),
    ),
    "a transfer that moved nothing": (
        "INSERT INTO cards_transfer (slot, id, book_id, kind, status, from_card_id, to_card_id, amount_fen, out_id,"
        " actor, created_at) VALUES (0, :transfer, 1, 'balance', 'completed', :card, :nobody, 5, :first, 'x', now())",
        {"transfers"},
        ("transfers", "transfer_id", "transfer"),
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_damage_is_found_and_named(book: Book, damage: str) -> None:
    statements, seen_by, (audit, field, name) = DAMAGES[damage]
    book.damage(statements)
    report = await run_audits(book.conninfo)
    assert failed(report) == seen_by
    assert not report.holds
    (result,) = [result for result in report.audits if result.name == audit]
    assert book.show(name) in {finding.ids.get(field) for finding in result.findings}
    assert result.finding_count == len(result.findings)
    assert all(finding.expected != finding.actual for finding in result.findings)


def test_every_audit_is_shown_to_find_something() -> None:
    damages = (*test_audit_closing.DAMAGES.values(), *test_audit_sales.DAMAGES.values())
    elsewhere = {seen for _, _, seen_by in damages for seen in seen_by}
    seen = elsewhere.union(*(seen_by for _, seen_by, _ in DAMAGES.values()))
    # those in test_policy.py, test_adjustments.py, test_fees.py, test_audit_sales.py, test_audit_log.py,
    # test_sm_log.py, test_audit_offers.py, test_audit_vouchers.py, test_offers_give_points.py, test_programme_ends.py,
    # test_left_behind.py and test_before_the_log.py
    others = {"policy", "adjustments", "fees", "sales", "log", "log_sm", "left_behind", "programme_ends", "pricing"}
    others |= {"budgets", "voucher_loads", "voucher_events", "voucher_batches", "points_deeds", "points_earnings"}
    others |= {"points_tenders", "starts"}
    assert seen | others == set(find_audits())


async def test_a_finding_states_both_values(book: Book) -> None:
    book.damage("UPDATE payments_payment SET refunded_fen = 61 WHERE id = :purchase")
    report = await run_audits(book.conninfo, names=["refunds"])
    values = {(finding.what, finding.expected, finding.actual) for finding in report.audits[0].findings}
    assert values == {("refunded_fen", "60", 61), ("sum of its refunds", "61", 60)}


async def test_many_findings_are_counted_and_the_first_are_shown(book: Book) -> None:
    with psycopg.connect(book.conninfo, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO evidence_leaf SELECT 0, gen_random_uuid(), sha256('') FROM generate_series(1, "
            "12345);"
            "INSERT INTO ledger_transaction (slot, id, book_id, kind, effective_at, recorded_at)"
            " SELECT 0, gen_random_uuid(), 1, 'fee', now(), now() FROM generate_series(1, 150)"
        )
    report = await run_audits(book.conninfo, names=["leaves", "entries", "leaves"])
    evidence, entries = report.audits
    assert (evidence.finding_count, len(evidence.findings)) == (12345 + 150, 100)
    assert (entries.finding_count, len(entries.findings)) == (150, 100)


async def test_all_audits_speak_of_one_moment_and_leave_payments_alone(book: Book) -> None:
    told: list[tuple[str, int, int]] = []

    def pay_meanwhile(name: str, done: int, total: int) -> None:
        told.append((name, done, total))
        with psycopg.connect(book.conninfo, autocommit=True) as connection:
            Till(connection, book_id=1, slot=0, currency="CNY").load(100, 0)

    report = await run_audits(book.conninfo, names=["zero_sum", "counters"], progress=pay_meanwhile)
    assert report.holds
    assert told == [("zero_sum", 0, 2), ("counters", 0, 2), ("", 2, 2)]  # two at once
    assert [result.checked for result in report.audits] == [15, 17]
    assert report.as_of.utcoffset() == timedelta(0)
    assert (await run_audits(book.conninfo, names=["zero_sum"])).audits[0].checked == 30


async def test_a_pool_serves_as_well_and_gets_its_connection_back_as_it_was(book: Book) -> None:
    async with open_pool(book.conninfo, max_size=1) as pool:
        async with pool.connection() as connection:
            before = await (await connection.execute("SELECT pg_backend_pid()")).fetchone()
        assert (await run_audits(pool)).holds
        async with pool.connection() as connection:
            assert await (await connection.execute("SELECT pg_backend_pid()")).fetchone() == before
            shown = await (await connection.execute("SHOW statement_timeout")).fetchone()
    assert shown == ("10s",)


async def test_an_audit_cannot_write(book: Book) -> None:
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        async with store.open_snapshot(book.conninfo) as ((connection,), _):
            await connection.execute("INSERT INTO cards_number VALUES (0, gen_random_uuid(), 0, gen_random_uuid())")
