"""The demo against a real server over real sockets: a few households of the year, paid to the cent."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from kaquan.doors.bench.http import serving
from kaquan.doors.bench.stand import Stand
from kaquan.doors.cli.demo.furnish import DemoError
from kaquan.doors.cli.demo.holders import Group, read_described
from kaquan.doors.cli.demo.run import run_demo
from kaquan.doors.cli.demo.summary import verdict
from kaquan.doors.cli.demo.year import Basket, facts_of, read_year
from kaquan.kit.clock import Clock
from kaquan.kit.db import open_pool
from kaquan.kit.ids import Ids
from kaquan.kit.outcomes import Refusal
from kaquan.parties import Mode, Scope, create_tenant, issue_key
from kaquan.vault import Keyring

HOUSEHOLDS = 12


@pytest.fixture(scope="module")
def part_of_the_year() -> list[Basket]:
    year = read_year()
    chosen = set(sorted({basket.household_id for basket in year})[:HOUSEHOLDS])
    return [basket for basket in year if basket.household_id in chosen]


@pytest.fixture
def address(database: str, tmp_path: Path) -> Iterator[str]:
    keyring = tmp_path / "keyring.json"
    Keyring.create(keyring)
    with serving(Stand(database, tmp_path), keyring, workers=2) as served:
        yield served


@pytest.fixture
def token(database: str, clock: Clock, ids: Ids) -> str:
    async def make() -> str:
        async with open_pool(database) as pool:
            made = await create_tenant(pool, clock, ids, name=f"demo {ids.new()}")
            assert not isinstance(made, Refusal)
            key = await issue_key(pool, clock, ids, book=made[1][Mode.TEST], name="demo", scopes=Scope)
            assert not isinstance(key, Refusal)
            return key.token

    return asyncio.run(make())


def test_a_part_of_the_year_is_paid_to_the_cent(address: str, token: str, part_of_the_year: list[Basket]) -> None:
    described = read_described() & {basket.household_id for basket in part_of_the_year}
    run = run_demo(address, token, label="first", year=part_of_the_year, described=described, lanes=8)
    assert verdict(run.summary, audits_hold=True) == []
    assert run.summary.paid.count == facts_of(part_of_the_year).purchases > 300
    assert run.summary.wrong_balances == 0
    assert run.example_balance_fen > 0

    groups = run.summary.groups
    assert {group: figures.cards for group, figures in groups.items()} == {
        Group.REGISTERED: len(described),
        Group.UNREGISTERED: HOUSEHOLDS - len(described),
    }
    assert 0 < len(described) < HOUSEHOLDS
    assert sum(figures.paid.total_fen for figures in groups.values()) == run.summary.paid.total_fen
    titles = [line.title for line in run.summary.timeline]
    assert titles[:4] == ["Card issued", "Card activated", "Number revealed", "Registered to a person"]
    assert titles[4:6] == ["Loaded", "Paid"]
    assert sum(line.amount_fen or 0 for line in run.summary.timeline) >= 0

    # another label is another demo beside it; the same label is refused before anything moves
    again = run_demo(address, token, label="second", year=part_of_the_year, lanes=8)
    assert verdict(again.summary, audits_hold=True) == []
    with pytest.raises(DemoError, match="already_exists"):
        run_demo(address, token, label="second", year=part_of_the_year, lanes=8)


def test_a_key_without_the_rights_is_one_sentence(address: str, part_of_the_year: list[Basket]) -> None:
    with pytest.raises(DemoError, match=r"POST /v1/issuers: 401 .*unauthenticated"):
        run_demo(address, "kq_test_nobody", label="none", year=part_of_the_year)
