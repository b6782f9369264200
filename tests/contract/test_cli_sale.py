"""``kaquan sale`` and ``kaquan api`` as whoever sells runs them: the API in the process of the command."""

import asyncio
import csv
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.conftest import make_database
from tests.contract.test_cli import document, environment, kaquan, sentence
from tests.town import Town, audits_hold, keyring_file

from kaquan.cards import Activation
from kaquan.kit.clock import SystemClock
from kaquan.kit.ids import Prefix, show_id
from kaquan.parties import IssuedKey, Mode, Scope, issue_key


class Counter(NamedTuple):
    conninfo: str
    env: dict[str, str]
    programme: str
    card: str


@pytest.fixture(scope="module")
def counter(server: str, tmp_path_factory: pytest.TempPathFactory) -> Counter:
    """A programme whose cards are sold, a card of it that is issued, and a key."""
    home: Path = tmp_path_factory.mktemp("cli-sale")
    keyring_file(home / "keyring.json")
    conninfo = make_database(server, f"test_cli_sale_{os.getpid()}")

    async def furnish() -> tuple[str, str, str]:
        town = await Town.found(conninfo, clock=SystemClock(), activation=Activation.PAID_SALE)
        app = town.apps[0]
        card = await town.new_card(active=False)
        made = await issue_key(
            app.pool, app.clock, app.ids, book=town.books[Mode.LIVE], name="counter", scopes=list(Scope)
        )
        assert isinstance(made, IssuedKey)
        await town.close()
        return made.token, show_id(Prefix.PROGRAMME, town.programme.id), show_id(Prefix.CARD, card)

    token, programme, card = asyncio.run(furnish())
    env = {**environment(home, conninfo), "KAQUAN_OPERATOR_TOKEN": token}
    return Counter(conninfo, env, programme, card)


def sold(counter: Counter, *options: str) -> Any:
    return document(
        "sale", "create", "--programme", counter.programme, "--face-fen", "5000", "--contract", "2026-1", *options,
        env=counter.env,
    )  # fmt: skip


def test_cards_are_sold_paid_delivered_topped_up_and_taken_back(counter: Counter, tmp_path: Path) -> None:
    env = counter.env
    sale = sold(counter, "--price-fen", "4800", "--count", "2", "--key", "one")
    assert (sale["status"], sale["card_count"], sale["price_fen"]) == ("open", 2, 9_600)
    paid = document("sale", "pay", sale["id"], "--amount-fen", "9600", "--method", "debit_card", env=env)
    assert paid["status"] == "paid"
    assert document("sale", "deliver", sale["id"], env=env)["status"] == "delivered"
    card = document("api", "get", f"/v1/sales/{sale['id']}/cards", env=env)["data"][0]["card_id"]
    topped = document(
        "sale", "top-up", "--card", card, "--face-fen", "300", "--method", "debit_card", "--contract", "2026-1",
        env=env,
    )  # fmt: skip
    assert (topped["status"], topped["paid_fen"]) == ("delivered", 300)
    assert "was used since" in sentence("sale", "refund", sale["id"], "--reason", "退货", env=env)

    other = sold(counter, "--card", counter.card)
    assert other["status"] == "open"
    refused = kaquan("api", "post", f"/v1/cards/{counter.card}/activate", "--json", env=env)
    assert refused.returncode == 1
    assert json.loads(refused.stderr.splitlines()[-1])["code"] in ("card_in_sale", "sale_required")
    assert document("sale", "cancel", other["id"], "--reason", "不要了", env=env)["status"] == "cancelled"
    out = tmp_path / "register.csv"
    told = document("sale", "register", "--out", str(out), "--reveal", "检查", env=env)
    assert told == {"file": str(out), "purchases": 2}
    assert out.stat().st_mode & 0o777 == 0o600
    with out.open(encoding="utf-8-sig", newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert [line["id"] for line in lines] == [other["id"], sale["id"]]
    assert (lines[1]["payments"], lines[1]["buyer_name"]) == ("debit_card 9600", "")
    asyncio.run(audits_hold(counter.conninfo))


def test_a_refusal_is_a_sentence_or_the_problem_document(counter: Counter) -> None:
    env = counter.env
    body = ("sale", "create", "--programme", counter.programme, "--face-fen", "2000000", "--contract", "1")
    told = kaquan(*body, "--json", env=env)
    assert (told.returncode, told.stdout) == (1, "")
    problem = json.loads(told.stderr.splitlines()[-1])
    assert problem["code"] in ("card_cap_exceeded", "real_name_required")
    assert problem["rule"] in problem["detail"]
    assert problem["source"] in problem["detail"]
    assert sentence("sale", "create", env=env).startswith("--programme: is needed")
    assert sentence("api", "get", "/health", env=env).startswith("/health: must begin with /v1/")
    assert "KAQUAN_OPERATOR_TOKEN" in sentence("sale", "list", env={**env, "KAQUAN_OPERATOR_TOKEN": ""})


def test_a_list_is_checked_whole(counter: Counter, tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text("name,document\n张伟,\n,12\n", "utf-8")
    options = ("--name", "a", "--source", "b", "--listed-on", "2026-01-05")
    bad = kaquan("sale", "upload-list", str(file), *options, env=counter.env)
    assert bad.returncode == 1
    assert f"{file}:3: document" in bad.stderr.replace("\n", "")
    file.write_text("name,document\n张伟,\n", "utf-8")
    told = document("sale", "upload-list", str(file), *options, env=counter.env)
    assert (told["line_count"], told["buyer_list"]["status"]) == (1, "checked")
