"""``kaquan programme`` as an operator runs it."""

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.conftest import make_database
from tests.contract.test_cli import document, environment, sentence
from tests.contract.test_cli_keys_and_files import furnish

from kaquan.kit.clock import SystemClock
from kaquan.kit.db import open_pool
from kaquan.kit.ids import Prefix, SystemIds, read_id, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.parties import Mode, get_tenant
from kaquan.parties.staff import ApprovalKind, NewApproval, propose
from kaquan.parties.trail import Actor
from kaquan.vault import Keyring

UNKNOWN = "0" * 32


@pytest.fixture(scope="module")
def made(server: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], Path, str, str]:
    """The environment of a command, a folder, a programme, the database."""
    folder = tmp_path_factory.mktemp("programme")
    folder.chmod(0o711)
    conninfo = make_database(server, f"test_cli_programme_{os.getpid()}")
    keyring = Keyring.create(folder / "keyring.json")
    programme, _ = asyncio.run(furnish(conninfo, keyring))
    return environment(folder, conninfo, KAQUAN_KEYRING=str(folder / "keyring.json")), folder, programme, conninfo


async def proposal(url: str, operator: str, payload: dict[str, str]) -> str:
    async with open_pool(url) as pool:
        tenant = await get_tenant(pool, "printed")
        assert tenant is not None
        asked = await propose(
            pool,
            SystemClock(),
            SystemIds(),
            book_id=tenant[1][Mode.LIVE].id,
            new=NewApproval(
                kind=ApprovalKind.PROGRAMME_END, subject=payload["programme_id"], payload=payload, reason="停业",
                ttl_s=600,
            ),
            by=Actor(operator_id=read_id(Prefix.OPERATOR, operator)),
        )  # fmt: skip
    assert not isinstance(asked, Refusal)
    return show_id(Prefix.APPROVAL, asked.id)


async def test_a_programme_is_ended_listed_exported_and_goes_on(made: tuple[dict[str, str], Path, str, str]) -> None:
    env, folder, programme, url = made
    shop = ("--tenant", "printed", "--mode", "live")
    keys = {}
    for code in ("li", "wang"):
        hired = document("operator", "create", code, *shop, "--name", code, "--role", "admin", env=env)
        keys[code] = hired["id"], {
            **env, "KAQUAN_OPERATOR_TOKEN": document("operator", "key", code, *shop, env=env)["token"]
        }  # fmt: skip
    (li, as_li), (_, as_wang) = keys["li"], keys["wang"]
    text = folder / "notice.txt"
    text.write_text("本卡种将终止。\n", "utf-8")
    now = datetime.now(UTC)
    last_day, stops_at = (now + timedelta(days=32)).date().isoformat(), (now + timedelta(days=1)).isoformat()
    ask = ["programme", "end", programme, "--reason", "停业", "--announcement", str(text), "--stops-at", stops_at]
    assert "KAQUAN_OPERATOR_TOKEN: must hold" in sentence(*ask, "--last-day", last_day, env=env)
    assert "approval" in sentence(*ask, "--last-day", last_day, env=as_li)
    assert "--stops-at" in sentence(*ask[:-1], "tomorrow", "--last-day", last_day, env=as_li)
    payload = {
        "programme_id": programme, "last_day": last_day, "reason": "停业", "announcement": "本卡种将终止。",
        "stops_at": stops_at,
    }  # fmt: skip
    approval = await proposal(url, li, payload)
    document("approval", "approve", approval, env=as_wang)
    too_soon = (now + timedelta(days=3)).date().isoformat()
    assert "CN-SP-END-01" in sentence(*ask, "--last-day", too_soon, "--approval", approval, env=as_li)
    end = document(*ask, "--last-day", last_day, "--approval", approval, env=as_li)
    assert (end["status"], end["notice_days"], end["last_day"]) == ("announced", 30, last_day)
    assert document("programme", "ends", env=as_wang) == [end]

    file = folder / "refunds.xlsx"
    told = document("programme", "refunds", end["id"], str(file), "--which", "owed", env=as_li)
    assert (told["open_cards"], told["currency"]) == (0, "CNY")
    assert file.stat().st_mode & 0o777 == 0o600
    assert "FILE" in sentence("programme", "refunds", end["id"], str(folder / "x.pdf"), env=as_li)
    assert "no such programme end" in sentence(
        "programme", "refunds", f"pend_{UNKNOWN}", str(folder / "y.csv"), env=as_li
    )  # fmt: skip
    assert not (folder / "y.csv").exists()
    assert document("programme", "notices", end["id"], env=as_li) == []
    assert "approval" in sentence("programme", "withdraw", end["id"], "--reason", "不停了", env=as_li)


def test_rules_are_proposed_by_one_and_approved_by_another(made: tuple[dict[str, str], Path, str, str]) -> None:
    env, folder, _, _ = made
    shop = ("--tenant", "printed", "--mode", "live")
    people = {}
    for code in ("qian", "he"):
        document("operator", "create", code, *shop, "--name", code, "--role", "admin", env=env)
        people[code] = {**env, "KAQUAN_OPERATOR_TOKEN": document("operator", "key", code, *shop, env=env)["token"]}
    qian, he = people["qian"], people["he"]
    file = folder / "law.csv"
    head = (
        "id,jurisdiction,scheme,issuer_class,card_class,buyer,channel,industry,condition,metric,value,action,"
        "effective_from,effective_to,source,confidence,title_zh,title_en,note\n"
    )
    row = "LOCAL-1,CN-31,,,,,,,,closing_notice_days,{},notify,2027-01-01,,local notice,P,公告,Notice,\n"
    file.write_text(head + row.format("x"), "utf-8")
    told = sentence("policy", "propose", str(file), "--note", "新规", env=qian)
    assert "line 2" in told
    file.write_text(head + row.format(45), "utf-8")
    change = document("policy", "propose", str(file), "--note", "新规", env=qian)
    assert (change["status"], change["version"]) == ("proposed", None)
    assert "second person" in sentence("policy", "approve", change["id"], "--reason", "x", env=qian)
    done = document("policy", "approve", change["id"], "--reason", "同意", env=he)
    assert (done["status"], done["version"]) == ("approved", 1)
    assert "already" in sentence("policy", "reject", change["id"], "--reason", "x", env=he)
    assert document("policy", "changes", env=he) == [done]
