"""What there was of cards, their events and vouchers before these had leaves: the migration commits to all of it."""

import os

import psycopg
import pytest
from tests.conftest import make_database
from tests.store.test_tampering import Objects
from tests.town import HandClock

from kaquan.audit import run_audits
from kaquan.kit.db import open_pool
from kaquan.migrations import run_sql

UNDO = """
DROP TABLE evidence_issue, evidence_start;
DROP FUNCTION cards_record_v1, evidence_issue_v1, vouchers_record_v2;
CREATE FUNCTION vouchers_record_v1() RETURNS void LANGUAGE sql AS '';
DROP INDEX cards_event_by_id, vouchers_event_by_id;
"""
OLD = """
INSERT INTO cards_card (slot, id, book_id, programme_id, form, status, number_last4, number_sealed, created_at, version)
SELECT 0, md5('card' || n)::uuid, 1, md5('p')::uuid, 'digital', 'active', lpad(n::text, 4, '0'), '', now(), 1
FROM generate_series(1, 300) AS n;
INSERT INTO cards_event (slot, card_id, id, book_id, kind, at, actor, reason, status, version, details)
SELECT slot, id, md5('event' || id)::uuid, 1, 'activated', created_at, 'key_1', '卡', 'active', 1, '{"b": 1, "a": [2]}'
FROM cards_card;
INSERT INTO vouchers_voucher (slot, id, book_id, template_id, status, face_fen, created_at)
SELECT 0, md5('voucher' || n)::uuid, 1, md5('t')::uuid, 'issued', 500, now() FROM generate_series(1, 20) AS n;
"""


@pytest.fixture(scope="module")
def database(server: str) -> str:
    conninfo = make_database(server, f"test_before_the_log_{os.getpid()}")
    with psycopg.connect(conninfo, autocommit=True) as owner:
        for statements in (UNDO, OLD, run_sql("0032")):
            owner.execute(statements.encode())
    return conninfo


async def test_old_rows_have_one_leaf_and_new_ones_their_own(database: str) -> None:
    with psycopg.connect(database) as owner:
        started = owner.execute("SELECT what, size FROM evidence_start ORDER BY what").fetchall()
        assert started == [("card", 300), ("card_event", 300), ("voucher", 20)]
        assert owner.execute("SELECT count(*) FROM evidence_leaf").fetchone() == (3,)
    names = ["card_events", "voucher_events", "issues", "starts", "leaves"]
    report = await run_audits(database, names=names)
    assert report.holds, report.audits
    objects = Objects(HandClock())
    async with open_pool(database) as pool:
        await objects.begin(pool)
        await objects.go_on(pool)
    report = await run_audits(database, names=names)
    assert report.holds, [audit for audit in report.audits if not audit.holds]


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE cards_event SET reason = 'x' WHERE card_id = md5('card7')::uuid", "every card_event before the log"),
        ("UPDATE cards_event SET at = at - interval '1 s' WHERE card_id = md5('card7')::uuid",
         "every card_event before the log"),
        ("DELETE FROM cards_event WHERE card_id = md5('card7')::uuid", "every card_event before the log"),
        ("INSERT INTO cards_event SELECT slot, card_id, md5('x')::uuid, book_id, 'blocked', at, actor, reason, status,"
         " 2, details FROM cards_event WHERE card_id = md5('card7')::uuid", "every card_event before the log"),
        ("UPDATE cards_card SET number_last4 = 'x' WHERE id = md5('card7')::uuid", "every card before the log"),
        ("DELETE FROM cards_card WHERE id = md5('card7')::uuid", "every card before the log"),
        ("UPDATE vouchers_voucher SET face_fen = 5000 WHERE id = md5('voucher7')::uuid",
         "every voucher before the log"),
        ("DELETE FROM evidence_start WHERE what = 'card'", "transaction of the leaf"),
        ("UPDATE evidence_start SET size = 299 WHERE what = 'card'", "leaf_hash"),
    ],
)  # fmt: skip
async def test_an_edit_of_what_is_old_is_found(database: str, statement: str, named: str) -> None:
    report = None
    with psycopg.connect(database, autocommit=True) as owner:
        tables = ("cards_event", "cards_card", "vouchers_voucher", "evidence_start")
        for table in tables:
            owner.execute(f"CREATE TABLE kept_{table} AS SELECT * FROM {table}".encode())
        try:
            assert owner.execute(statement.encode()).rowcount == 1
            report = await run_audits(database, names=["starts", "leaves", "card_events", "issues"])
        finally:
            for table in tables:
                owner.execute(f"TRUNCATE {table}; INSERT INTO {table} SELECT * FROM kept_{table}".encode())
                owner.execute(f"DROP TABLE kept_{table}".encode())
    assert named in {finding.what for audit in report.audits for finding in audit.findings}
