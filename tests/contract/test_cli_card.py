"""``kaquan card`` as an operator runs it."""

import asyncio
import os
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.conftest import make_database
from tests.contract.test_cli import document, environment, kaquan, sentence
from tests.town import Town, audits_hold, keyring_file

from kaquan import parties
from kaquan.kit.clock import SystemClock
from kaquan.kit.ids import Prefix, show_id


class Furnished(NamedTuple):
    conninfo: str
    env: dict[str, str]
    tenant: str
    cards: list[str]


@pytest.fixture(scope="module")
def furnished(server: str, tmp_path_factory: pytest.TempPathFactory) -> Furnished:
    """A database with a tenant and two cards of its live book."""
    home: Path = tmp_path_factory.mktemp("cli-card")
    keyring_file(home / "keyring.json")
    conninfo = make_database(server, f"test_cli_card_{os.getpid()}")

    async def furnish() -> tuple[str, list[str]]:
        town = await Town.found(conninfo, clock=SystemClock())
        made = [show_id(Prefix.CARD, await town.new_card(load_fen=1_000)) for _ in range(2)]
        tenants = await parties.list_tenants(town.apps[0].pool)
        await town.close()
        return tenants[0].name, made

    tenant, made = asyncio.run(furnish())
    return Furnished(conninfo, environment(home, conninfo), tenant, made)


def test_a_card_is_blocked_and_told_of(furnished: Furnished) -> None:
    card, of = furnished.cards[0], ["--tenant", furnished.tenant, "--mode", "live"]
    env = furnished.env
    blocked = document("card", "block", card, *of, "--reason", "legal_order", env=env)
    assert (blocked["id"], blocked["status"], blocked["status_reason"]) == (card, "blocked", "legal_order")
    assert "unblock it first" in sentence("card", "block", card, *of, "--reason", "risk", env=env)
    lines = document("card", "timeline", card, *of, env=env)
    assert [line["kind"] for line in lines] == ["blocked", "load", "activated", "issued"]
    assert (lines[0]["actor"], lines[1]["amount_fen"]) == ("command_line", 1_000)
    told = kaquan("card", "timeline", card, *of, "--limit", "2", env=env)
    assert told.returncode == 0
    assert "冻结" in told.stdout
    assert "制卡" not in told.stdout
    asyncio.run(audits_hold(furnished.conninfo))


def test_a_loss_is_reported(furnished: Furnished) -> None:
    card, of = furnished.cards[1], ["--tenant", furnished.tenant, "--mode", "live"]
    env = furnished.env
    assert "not registered" in sentence("card", "report-loss", card, *of, env=env)
    lost = document("card", "report-loss", card, *of, "--cause", "stolen", "--proof", "17", env=env)
    assert lost["status"] == "lost"
    assert lost["loss_effective_at"]
    assert document("card", "report-loss", card, *of, env=env) == lost


def test_a_card_that_is_not_there(furnished: Furnished) -> None:
    env, of = furnished.env, ["--tenant", furnished.tenant]
    assert sentence("card", "timeline", "card_1", *of, env=env).startswith("card_1 is no id of a card")
    assert "no such card" in sentence("card", "block", furnished.cards[0], *of, env=env)  # it is of the live book
    nobody = sentence("card", "timeline", furnished.cards[0], "--tenant", "nobody", env=env)
    assert nobody.startswith("There is no tenant nobody")
    wrong = kaquan("card", "block", furnished.cards[0], *of, "--reason", "mood", env=env)
    assert wrong.returncode == 2
