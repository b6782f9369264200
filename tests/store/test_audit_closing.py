"""The audits of value that ends: silent on what the rooms wrote, loud about what was changed behind them."""

import os
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
from tests.conftest import make_database
from tests.store.test_closing import HOLDER, SLOTS, TERMS, close, extend, mark_paid, move, sweep, today
from tests.town import HandClock, Town

from kaquan import closing
from kaquan.audit import run_audits

NAMES = ["closed_cards", "payouts", "expired_lots"]


@pytest.fixture(scope="module")
def own_database(server: str) -> str:
    return make_database(server, f"test_audit_closing_{os.getpid()}", SLOTS)


@pytest.fixture
async def town(own_database: str) -> AsyncIterator[Town]:
    """A town where every way to end has happened."""
    town = await Town.found(own_database, clock=HandClock(), slots=SLOTS, principal_valid_days=30)
    app = town.apps[0]
    await closing.set_terms(
        app.pool, app.clock, app.ids, app.policy, book_id=town.book_id, programme_id=town.programme.id, terms=TERMS
    )
    swept, extended, closed = [await town.new_card(load_fen=10_000, bonus_fen=100) for _ in range(3)]
    pending = await town.new_card(load_fen=5_000)
    assert (await close(town, pending, HOLDER)).code is None
    move(town, timedelta(days=31))
    assert await sweep(town) == 3
    assert (await extend(town, extended, today(town) + timedelta(days=9))).code is None
    told = await close(town, closed, HOLDER)
    assert (await mark_paid(town, UUID(told.body["payout"]["id"]))).code is None
    assert swept
    yield town
    await town.close()


DAMAGES = {
    "a sweep that took too much": (
        "UPDATE closing_expired_lot SET amount_fen = amount_fen - 1 WHERE returned_fen = 0",
        "UPDATE closing_expired_lot SET amount_fen = amount_fen + 1 WHERE returned_fen = 0",
        {"expired_lots"},
    ),
    "a sweep that left something": (
        "ALTER TABLE closing_expired_lot DROP CONSTRAINT closing_expired_lot_whole;"
        "UPDATE closing_expired_lot SET remaining_after_fen = 1",
        "UPDATE closing_expired_lot SET remaining_after_fen = 0;"
        "ALTER TABLE closing_expired_lot ADD CONSTRAINT closing_expired_lot_whole"
        " CHECK (remaining_after_fen = reserved_after_fen)",
        {"expired_lots"},
    ),
    "expired value given back in a record only": (
        "UPDATE closing_expired_lot SET returned_fen = 1 WHERE returned_fen = 0",
        "UPDATE closing_expired_lot SET returned_fen = 0 WHERE returned_fen = 1",
        {"expired_lots"},
    ),
    "a sweep without a record": (
        "CREATE TABLE kept AS SELECT * FROM closing_expired_lot; DELETE FROM closing_expired_lot",
        "INSERT INTO closing_expired_lot SELECT * FROM kept; DROP TABLE kept",
        {"expired_lots"},
    ),
    "a closed card that is open again": (
        "UPDATE cards_card SET status = 'active', version = -1 WHERE status = 'closed'",
        "UPDATE cards_card SET status = 'closed', version = 2 WHERE version = -1",
        {"closed_cards"},
    ),
    "a card that was closed by nobody": (
        "UPDATE cards_card SET status = 'closed', version = -1 WHERE status = 'active'",
        "UPDATE cards_card SET status = 'active', version = 1 WHERE version = -1",
        {"closed_cards"},
    ),
    "a refund that was written larger": (
        "UPDATE closing_closure SET amount_fen = amount_fen + 1",
        "UPDATE closing_closure SET amount_fen = amount_fen - 1",
        {"closed_cards"},
    ),
    "a quote that was rewritten": (
        "UPDATE closing_closure SET quote = quote || ' '",
        "UPDATE closing_closure SET quote = substr(quote, 1, length(quote) - 1)",
        {"closed_cards"},
    ),
    "a payout that was raised": (
        "UPDATE closing_payout SET amount_fen = amount_fen + 1",
        "UPDATE closing_payout SET amount_fen = amount_fen - 1",
        {"payouts"},
    ),
    "a payout made twice": (
        "INSERT INTO closing_payout SELECT slot, gen_random_uuid(), book_id, card_id, transaction_id, method, currency,"
        " amount_fen, payee_sealed, 'copy', payable_account_id, due_on, 'pending', made_by, NULL, NULL, NULL, NULL,"
        " created_at, changed_at, 0 FROM closing_payout",
        "DELETE FROM closing_payout WHERE account_last4 = 'copy'",
        {"payouts"},
    ),
    "a payment that no payout knows": (
        "ALTER TABLE closing_payout DROP CONSTRAINT closing_payout_evidence;"
        "UPDATE closing_payout SET status = 'pending', version = -1 WHERE status = 'paid'",
        "UPDATE closing_payout SET status = 'paid', version = 1 WHERE version = -1",
        {"payouts"},
    ),
}


async def test_the_audits_see_what_was_damaged_and_nothing_else(town: Town) -> None:
    report = await run_audits(town.conninfo)
    assert report.holds, [(audit.name, audit.findings) for audit in report.audits if not audit.holds]
    checked = {audit.name: audit.checked for audit in report.audits}
    assert [checked[name] for name in NAMES] == [2, 2, 3]
    for name, (damage, repair, seen) in DAMAGES.items():
        with psycopg.connect(town.conninfo, autocommit=True) as connection:
            for statement in damage.split(";"):
                connection.execute(statement.encode())
            report = await run_audits(town.conninfo, names=NAMES)
            assert {audit.name for audit in report.audits if not audit.holds} == seen, name
            for statement in repair.split(";"):
                connection.execute(statement.encode())
    report = await run_audits(town.conninfo)
    assert report.holds, [(audit.name, audit.findings) for audit in report.audits if not audit.holds]
