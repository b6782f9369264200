"""``kaquan operator`` and ``kaquan approval`` as an operator runs them."""

import os
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import make_database
from tests.contract.test_cli import document, environment, sentence

from kaquan.kit.clock import SystemClock
from kaquan.kit.db import open_pool
from kaquan.kit.ids import Prefix, SystemIds, read_id, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.parties import Mode, get_tenant
from kaquan.parties.staff import ApprovalKind, NewApproval, propose
from kaquan.parties.trail import Actor

CARD = "card_" + "0" * 32
SHOP = ("--tenant", "江都")


@pytest.fixture(scope="module")
def url(server: str) -> str:
    return make_database(server, f"test_cli_people_{os.getpid()}")


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory, url: str) -> dict[str, str]:
    folder: Path = tmp_path_factory.mktemp("people")
    return environment(folder / "home", url)


async def proposal(url: str, operator: str) -> str:
    async with open_pool(url) as pool:
        tenant = await get_tenant(pool, "江都")
        assert tenant is not None
        made = await propose(
            pool,
            SystemClock(),
            SystemIds(),
            book_id=tenant[1][Mode.TEST].id,
            new=NewApproval(kind=ApprovalKind.UNBLOCKING, subject=CARD, payload={}, reason="已找回", ttl_s=600),
            by=Actor(operator_id=read_id(Prefix.OPERATOR, operator)),
        )
    assert not isinstance(made, Refusal)
    return show_id(Prefix.APPROVAL, made.id)


async def test_people_are_hired_and_agree(env: dict[str, str], url: str) -> None:
    assert "There is no tenant 江都" in sentence("operator", "list", *SHOP, env=env)
    document("key", "create", *SHOP, "--name", "office", env=env)

    def hire(code: str, role: str) -> Any:
        return document("operator", "create", code, *SHOP, "--name", code, "--role", role, env=env)

    wang, li = hire("wang", "service_desk"), hire("li", "approver")
    assert wang["roles"] == ["service_desk"]
    told = sentence("operator", "create", "li", *SHOP, "--name", "x", "--role", "admin", env=env)
    assert li["id"] in told
    told = sentence("operator", "create", "x", *SHOP, "--name", "x", "--role", "admin", "--store", "s1", env=env)
    assert told.startswith("--store: must be an id")
    listed = document("operator", "list", *SHOP, env=env)
    assert [operator["code"] for operator in listed] == ["li", "wang"]

    keys = {code: document("operator", "key", code, *SHOP, env=env)["token"] for code in ("wang", "li")}
    as_wang = {**env, "KAQUAN_OPERATOR_TOKEN": keys["wang"]}
    as_li = {**env, "KAQUAN_OPERATOR_TOKEN": keys["li"]}
    first, second = await proposal(url, wang["id"]), await proposal(url, wang["id"])
    assert "KAQUAN_OPERATOR_TOKEN: must hold" in sentence("approval", "list", env=env)
    assert "approvals:decide" in sentence("approval", "approve", first, env=as_wang)
    assert "appr_" in sentence("approval", "approve", "first", env=as_li)
    assert document("approval", "approve", first, "--reason", "属实", env=as_li)["decided_by"] == li["id"]
    assert document("approval", "reject", second, env=as_li)["status"] == "rejected"
    assert "can no longer be decided on" in sentence("approval", "reject", first, env=as_li)
    approved = document("approval", "list", "--status", "approved", env=as_wang)
    assert [(found["id"], found["subject"], found["reason"]) for found in approved] == [(first, CARD, "已找回")]

    assert document("operator", "suspend", "li", *SHOP, env=env)["status"] == "suspended"
    assert "KAQUAN_OPERATOR_TOKEN: must hold" in sentence("approval", "list", env=as_li)
    assert document("operator", "resume", "li", *SHOP, env=env)["status"] == "active"
    assert len(document("approval", "list", env=as_li)) == 2
    assert "There is no operator nobody" in sentence("operator", "key", "nobody", *SHOP, env=env)
