"""``kaquan campaigns`` and ``kaquan replay``: files are checked whole, and what is asked wrongly is said."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.contract.command import run as run_command
from tests.contract.test_cli import environment
from tests.store.test_offers import buy
from tests.town import HandClock, Town, keyring_file
from typer.testing import CliRunner

from kaquan.doors.cli.commands.replay import replay
from kaquan.doors.cli.entry import app
from kaquan.doors.cli.failures import CommandError
from kaquan.kit.clock import SystemClock
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.parties import IssuedKey, Mode, Scope, issue_key
from kaquan.payments import price_seen
from kaquan.policy import house_template
from kaquan.promotions import CampaignTerms, Hand, create_campaign, read_campaign


def file(folder: Path, **told: Any) -> Path:
    path = folder / "campaign.json"
    whole = {
        "code": "MAY",
        "name": "五一",
        "issuer_id": "iss_" + "0" * 32,
        "starts_at": "2026-05-01T00:00:00",
        "ends_at": "2026-05-06T00:00:00",
        "offers": [{"name": "充500送50", "kind": "load_bonus", "params": {"tiers": [[50_000, 5_000]]}}],
    }
    path.write_text(json.dumps(whole | told), "utf-8")
    return path


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["campaigns", *words])
    return done.exit_code, done.stdout


def test_a_file_that_may_be_stored(tmp_path: Path) -> None:
    assert run("check", str(file(tmp_path)), "--json") == (0, '{"faults":[]}\n')


def test_every_fault_of_a_file_and_the_rules_of_a_house(tmp_path: Path) -> None:
    code, said = run("check", str(file(tmp_path, ends_at="2026-04-30T00:00:00", control_bp=9_000)), "--json")
    assert (code, [fault["field"] for fault in json.loads(said)["faults"]]) == (1, ["ends_at", "control_bp"])
    house = tmp_path / "house.csv"
    house.write_text(house_template(), "utf-8")
    code, said = run("check", str(file(tmp_path)), "--house", str(house))
    assert code == 1
    assert "HOUSE-REBATE-8" in said


def test_every_kind_is_listed() -> None:
    code, said = run("kinds", "--json")
    assert code == 0
    assert {"amount_off", "red_packet"} <= {kind["name"] for kind in json.loads(said)}


def test_a_replay_of_what_is_no_campaign_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="--campaign"):
        replay()
    with pytest.raises(CommandError, match="control_bp"):
        replay(campaign=[file(tmp_path, control_bp=9_000)])
    with pytest.raises(CommandError, match="--from"):
        replay(campaign=[file(tmp_path)], book="shop")


async def test_a_book_is_replayed_by_two_processes(database: str, tmp_path: Path) -> None:
    town = await Town.found(database, clock=HandClock(datetime.now(UTC)))
    for number in range(4):
        card = await town.new_card(load_fen=500_00)
        await buy(town, card, 60_00, 40_00 + number)
    async with town.apps[0].pool.connection() as connection:
        query = "SELECT t.name FROM parties_tenant t JOIN parties_book b ON b.tenant_id = t.id WHERE b.id = %s"
        row = await (await connection.execute(query, (town.book_id,))).fetchone()
    assert row is not None
    name = row[0]
    before = await town.count("ledger_entry")
    offer = {"name": "满减", "kind": "amount_off", "params": {"tiers": [[10_000, 1_000]]}}
    budget = {"name": "三次", "metric": "count", "maximum": 3}
    issuer = show_id(Prefix.ISSUER, town.issuer.id)
    path = file(tmp_path, issuer_id=issuer, offers=[offer], budgets=[budget], control_bp=0)
    now = datetime.now(UTC)
    days = [f"--from={now - timedelta(days=1):%Y-%m-%d}", f"--to={now + timedelta(days=1):%Y-%m-%d}"]
    env = environment(tmp_path, database)
    words = ["replay", "--book", name, "--campaign", str(path), *days, "--json"]
    done = await asyncio.to_thread(run_command, *words, env=env)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    (campaign,) = report["campaigns"]
    assert (report["baskets"], campaign["baskets"], campaign["by_funder"]) == (4, 3, {"issuer": 30_00})
    assert [end["budget"] for end in report["ended"]] == ["三次"]
    assert await town.count("ledger_entry") == before
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"issuer_id": "iss_" + "0" * 32}), "utf-8")
    stranger = await asyncio.to_thread(run_command, *words[:-1], env=env)
    assert stranger.returncode != 0
    assert "issuer" in stranger.stderr
    unknown = ["replay", "--book", "nobody", "--campaign", str(path), *days]
    refused = await asyncio.to_thread(run_command, *unknown, env=env)
    assert refused.returncode != 0
    assert "nobody" in refused.stderr
    await town.close()


async def test_a_draft_runs_beside_live_traffic_by_command(database: str, tmp_path: Path) -> None:
    town = await Town.found(database, clock=SystemClock())
    process = town.apps[0]
    made = await issue_key(
        process.pool, process.clock, process.ids, book=town.books[Mode.LIVE], name="cli", scopes=list(Scope)
    )
    assert isinstance(made, IssuedKey)
    keyring_file(tmp_path / "keyring.json")
    env = {**environment(tmp_path, database), "KAQUAN_OPERATOR_TOKEN": made.token}
    now = datetime.now(UTC)
    offer = {"name": "满减", "kind": "amount_off", "params": {"tiers": [[10_000, 1_000]]}}
    ends = {"starts_at": f"{now:%Y-%m-%dT00:00:00}", "ends_at": f"{now + timedelta(days=30):%Y-%m-%dT00:00:00}"}
    path = file(tmp_path, issuer_id=show_id(Prefix.ISSUER, town.issuer.id), offers=[offer], control_bp=0, **ends)
    terms = read_campaign(path.read_bytes())
    assert isinstance(terms, CampaignTerms)
    draft = await create_campaign(process.pool, Hand(process.clock, town.ids), book_id=town.book_id, terms=terms)
    assert not isinstance(draft, Refusal)
    id_ = show_id(Prefix.CAMPAIGN, draft.id)

    async def ask(*words: str) -> tuple[int, str]:
        done = await asyncio.to_thread(run_command, "campaigns", "shadow", *words, env=env)
        return done.returncode, done.stdout + done.stderr

    until = f"--until={now + timedelta(days=3):%Y-%m-%d}"
    code, said = await ask("start", id_, "--version", "1", until)
    assert (code, "runs until" in said) == (0, True), said
    again, why = await ask("start", id_, "--version", "1", until)
    assert again != 0
    assert "beside live traffic" in why
    await process.refresh()
    card = await town.new_card(load_fen=500_00)
    await buy(town, card, 100_00)
    assert await price_seen(process.pool, slots=process.slots) == 2
    code, said = await ask("report", id_)
    assert (code, "1 would have applied" in said, "10.00" in said) == (0, True, True), said
    code, said = await ask("payments", id_, "--fate", "applied", "--json")
    assert (code, [row["discount_fen"] for row in json.loads(said)]) == (0, [10_00]), said
    code, said = await ask("end", id_, "--json")
    assert (code, json.loads(said)["running"]) == (0, False)
    await town.close()
