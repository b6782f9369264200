"""The audits of offers find what was changed behind them, and nothing else."""

from collections.abc import AsyncIterator

import psycopg
import pytest
from tests.store.test_offers import THREE_WAYS, buy, campaign, put_in_force, ten_off
from tests.store.test_offers_points import give_points
from tests.town import HandClock, Town

from kaquan.audit import run_audits
from kaquan.promotions import Budget, BudgetMetric, Offer, Stacking
from kaquan.promotions.kinds.points_gift import PointsGift, Tier

NAMES = ["pricing", "budgets"]

DAMAGES = {
    "a pricing that says another amount": (
        "UPDATE payments_pricing SET kept = convert_to(replace(convert_from(kept, 'UTF8'), '6000', '6001'), 'UTF8')"
        " WHERE original_id IS NULL",
        "UPDATE payments_pricing SET kept = convert_to(replace(convert_from(kept, 'UTF8'), '6001', '6000'), 'UTF8')"
        " WHERE original_id IS NULL",
        {"pricing"},
    ),
    "a pricing that is not there": (
        "CREATE TABLE gone AS SELECT * FROM payments_pricing WHERE original_id IS NOT NULL;"
        "DELETE FROM payments_pricing WHERE original_id IS NOT NULL",
        "INSERT INTO payments_pricing SELECT * FROM gone;DROP TABLE gone",
        {"pricing"},
    ),
    "a discount that another campaign paid": (
        "CREATE TABLE funders AS SELECT * FROM payments_funder;"
        "UPDATE payments_funder SET campaign_id = gen_random_uuid()",
        "DELETE FROM payments_funder;INSERT INTO payments_funder SELECT * FROM funders;DROP TABLE funders",
        {"pricing"},
    ),
    "points that nobody promised": (
        "UPDATE ledger_entry SET amount_fen = amount_fen + 1 WHERE debit_account IN"
        " (SELECT id FROM ledger_account WHERE kind = 'points_offered')",
        "UPDATE ledger_entry SET amount_fen = amount_fen - 1 WHERE debit_account IN"
        " (SELECT id FROM ledger_account WHERE kind = 'points_offered')",
        {"pricing"},
    ),
    "a budget that was counted down": (
        "UPDATE payments_usage SET year_count = year_count - 1 WHERE year = 0",
        "UPDATE payments_usage SET year_count = year_count + 1 WHERE year = 0",
        {"budgets"},
    ),
    "a budget that was counted up": (
        "UPDATE payments_usage SET year_fen = year_fen + 1 WHERE year = 0",
        "UPDATE payments_usage SET year_fen = year_fen - 1 WHERE year = 0",
        {"budgets"},
    ),
}


@pytest.fixture
async def town(database: str) -> AsyncIterator[Town]:
    town = await Town.found(database, clock=HandClock())
    yield town
    await town.close()


async def test_the_audits_see_what_was_damaged_and_nothing_else(town: Town) -> None:
    many = Budget(name="多次", metric=BudgetMetric.COUNT, maximum=100)
    gift = Offer(
        name="送", kind="points_gift", params=PointsGift(tiers=(Tier(1_00, 9),)), stacking=Stacking(group="points")
    )
    await give_points(town)
    put_in_force(town, campaign(town, ten_off(funders=THREE_WAYS), gift, budgets=(many,)))
    card = await town.new_card(load_fen=900_00)
    kept, returned = [await buy(town, card, 60_00, 40_00) for _ in range(2)]
    assert kept.status == 201
    await town.refund(returned.payment_id, 12_34)
    report = await run_audits(town.conninfo)
    assert report.holds, [(audit.name, audit.findings) for audit in report.audits if not audit.holds]
    assert {audit.name: audit.checked for audit in report.audits}["pricing"] == 3
    for name, (damage, repair, seen) in DAMAGES.items():
        with psycopg.connect(town.conninfo, autocommit=True) as connection:
            for statement in damage.split(";"):
                connection.execute(statement.encode())
            report = await run_audits(town.conninfo, names=NAMES)
            assert {audit.name for audit in report.audits if not audit.holds} == seen, name
            for statement in repair.split(";"):
                connection.execute(statement.encode())
    report = await run_audits(town.conninfo, names=NAMES)
    assert report.holds, [(audit.name, audit.findings) for audit in report.audits if not audit.holds]
