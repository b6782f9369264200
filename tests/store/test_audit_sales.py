"""The audit of purchases: silent on what the room wrote, loud about what was changed behind it."""

import os
from collections.abc import AsyncIterator

import psycopg
import pytest
from tests.conftest import make_database
from tests.store.test_sales import SLOTS, cards_of, deliver, delivered, line, order, pay, refund, sold, top_up
from tests.town import HandClock, Town

from kaquan.audit import run_audits
from kaquan.cards import Activation
from kaquan.sales import Sale


@pytest.fixture(scope="module")
def own_database(server: str) -> str:
    return make_database(server, f"test_audit_sales_{os.getpid()}", SLOTS)


@pytest.fixture
async def town(own_database: str) -> AsyncIterator[Town]:
    """A town where a sale is in every status."""
    town = await Town.found(own_database, clock=HandClock(), slots=SLOTS, processes=2, activation=Activation.PAID_SALE)
    kept = await delivered(town, line(town, 1_000, 2, price_fen=900))
    taken = await delivered(town, line(town, 1_000, 2, price_fen=900))
    assert isinstance(await refund(town, taken), Sale)
    part = await sold(town, order(line(town, 2_000, 2)))
    assert isinstance(await pay(town, part, 1_500), Sale)
    stuck = await sold(town, order(line(town, 3_000, 2)))
    assert isinstance(await pay(town, stuck), Sale)
    await town.block((await cards_of(town, stuck))[0].card_id)
    assert isinstance(await deliver(town, stuck), Sale)
    assert isinstance(await top_up(town, (await cards_of(town, kept))[0].card_id, 500), Sale)
    yield town
    await town.close()


DAMAGES = {
    "a payment that was raised": (
        "UPDATE sales_payment SET amount_fen = amount_fen + 1",
        "UPDATE sales_payment SET amount_fen = amount_fen - 1",
        {"sales"},
    ),
    "a sale that says it was paid": (
        "UPDATE sales_sale SET paid_fen = paid_fen + 1 WHERE status = 'open'",
        "UPDATE sales_sale SET paid_fen = paid_fen - 1 WHERE status = 'open'",
        {"sales"},
    ),
    "a sale of another price": (
        "UPDATE sales_sale SET price_fen = price_fen + 1, face_fen = face_fen + 1 WHERE status = 'open'",
        "UPDATE sales_sale SET price_fen = price_fen - 1, face_fen = face_fen - 1 WHERE status = 'open'",
        {"sales"},
    ),
    "a card that is sold cheaper behind the till": (
        "UPDATE sales_item SET price_fen = price_fen - 1, face_fen = face_fen - 1 WHERE status = 'delivered'",
        "UPDATE sales_item SET price_fen = price_fen + 1, face_fen = face_fen + 1 WHERE status = 'delivered'",
        {"sales"},
    ),
    "a delivery that never was": (
        "UPDATE sales_item SET status = 'delivered', load_id = sale_id, tries = -1 WHERE status = 'failed'",
        "UPDATE sales_item SET status = 'failed', load_id = NULL, tries = 1 WHERE tries = -1",
        {"sales"},
    ),
    "a sale that says it is delivered": (
        "UPDATE sales_sale SET status = 'delivered', version = -1 WHERE status = 'paid'",
        "UPDATE sales_sale SET status = 'paid', version = 2 WHERE version = -1",
        {"sales"},
    ),
    "a card that was taken back with its value": (
        "CREATE TABLE kept_refunds AS SELECT * FROM sales_item;UPDATE sales_item SET refund_id = NULL",
        "UPDATE sales_item i SET refund_id = k.refund_id FROM kept_refunds k WHERE (k.card_id, k.sale_id) ="
        " (i.card_id, i.sale_id);DROP TABLE kept_refunds",
        {"sales"},
    ),
    "a load made twice": (
        "INSERT INTO payments_payment (slot, id, book_id, kind, status, card_id, currency, amount_fen, bonus_fen,"
        " captured_fen, reference, occurred_at, created_at, version) SELECT slot, gen_random_uuid(), book_id,"
        " kind, status, card_id, currency, amount_fen, bonus_fen, captured_fen, reference, occurred_at, created_at, -1"
        " FROM payments_payment WHERE kind = 'load'",
        "DELETE FROM payments_payment WHERE version = -1",
        {"sales"},
    ),
    "a card in two sales": (
        "DROP INDEX sales_item_sold;INSERT INTO sales_item (slot, card_id, sale_id, book_id, kind, line, face_fen,"
        " price_fen, tries) SELECT slot, card_id, gen_random_uuid(), book_id, kind, line, face_fen, price_fen, -1"
        " FROM sales_item WHERE status = 'reserved'",
        "DELETE FROM sales_item WHERE tries = -1;CREATE UNIQUE INDEX sales_item_sold ON sales_item (slot, card_id)"
        " WHERE kind = 'sale' AND status <> 'released'",
        {"sales"},
    ),
    "a card that its sale let go of": (
        "UPDATE cards_card SET sale_id = NULL, expires_at = '2001-01-01' WHERE sale_id IS NOT NULL",
        "UPDATE cards_card c SET sale_id = i.sale_id, expires_at = NULL FROM sales_item i"
        " WHERE i.card_id = c.id AND c.expires_at = '2001-01-01'",
        {"sales"},
    ),
    "a card that no sale holds any more": (
        "UPDATE cards_card SET sale_id = id WHERE sale_id IS NULL",
        "UPDATE cards_card SET sale_id = NULL WHERE sale_id = id",
        {"sales"},
    ),
    "a card closed without its sale": (
        "UPDATE sales_item SET status = 'released', tries = -1 WHERE status = 'refunded'",
        "UPDATE sales_item SET status = 'refunded', tries = 0 WHERE tries = -1",
        {"sales", "closed_cards"},
    ),
}


async def test_the_audit_sees_what_was_damaged_and_nothing_else(town: Town) -> None:
    report = await run_audits(town.conninfo)
    assert report.holds, [(audit.name, audit.findings) for audit in report.audits if not audit.holds]
    assert {audit.name: audit.checked for audit in report.audits}["sales"] == 5
    for name, (damage, repair, seen) in DAMAGES.items():
        with psycopg.connect(town.conninfo, autocommit=True) as connection:
            for statement in damage.split(";"):
                connection.execute(statement.encode())
            report = await run_audits(town.conninfo, names=["sales", "closed_cards"])
            assert {audit.name for audit in report.audits if not audit.holds} == seen, name
            for statement in repair.split(";"):
                connection.execute(statement.encode())
    report = await run_audits(town.conninfo)
    assert report.holds, [(audit.name, audit.findings) for audit in report.audits if not audit.holds]
