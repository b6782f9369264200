"""``kaquan vouchers`` and ``kaquan points`` as an operator runs them, one after the other."""

import asyncio
import os
from pathlib import Path

import pytest
from tests.conftest import make_database
from tests.contract.test_cli import document, environment, sentence
from tests.unit.test_vault_envelope import KEYS, private_pem, public_pem

from kaquan import parties, vouchers
from kaquan.kit.clock import SystemClock
from kaquan.kit.db import open_pool
from kaquan.kit.ids import Prefix, SystemIds, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.promotions import Funder, FunderKind
from kaquan.vault import Keyring


async def furnish(conninfo: str) -> str:
    """A template of the tenant ``shop``."""
    ids, clock = SystemIds(), SystemClock()
    async with open_pool(conninfo) as pool:
        created = await parties.create_tenant(pool, clock, ids, name="shop")
        assert not isinstance(created, Refusal)
        book_id = created[1][parties.Mode.LIVE].id
        issuer = await parties.create_issuer(
            pool, clock, ids, book_id=book_id, code="i", name="i", time_zone="Asia/Shanghai"
        )
        assert not isinstance(issuer, Refusal)
        new = vouchers.NewTemplate(
            issuer_id=issuer.id, code="v10", name="满100减10", kind=vouchers.VoucherKind.VALUE, currency="CNY",
            face_fen=1_000, offer_kind="amount_off", offer_params={"tiers": [[10_000, 1_000]]},
            funders=(Funder(FunderKind.ISSUER, None, 10_000),), valid_days=30,
        )  # fmt: skip
        template = await vouchers.create_template(pool, clock, ids, book_id=book_id, new=new)
        assert not isinstance(template, Refusal)
        return show_id(Prefix.VOUCHER_TEMPLATE, template.id)


@pytest.fixture(scope="module")
def made(server: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], Path, str]:
    """The environment of a command, a folder and a template."""
    folder = tmp_path_factory.mktemp("vouchers")
    folder.chmod(0o711)
    conninfo = make_database(server, f"test_cli_vouchers_{os.getpid()}")
    Keyring.create(folder / "keyring.json")
    template = asyncio.run(furnish(conninfo))
    return environment(folder, conninfo, KAQUAN_KEYRING=str(folder / "keyring.json")), folder, template


def test_codes_are_made_and_given_out_sealed(made: tuple[dict[str, str], Path, str]) -> None:
    env, folder, template = made
    issue = ["vouchers", "issue", template, "--count", "30", "--name", "first"]
    told = document(*issue, env=env)
    assert (told["issued_count"], told["template"]) == (30, template)
    assert document(*issue, env=env) == told, "the same name goes on, it does not begin again"
    (folder / "reader.pub").write_text(public_pem(KEYS["x25519"]))
    (folder / "reader.pem").write_bytes(private_pem(KEYS["x25519"]))
    sealed, clear = folder / "codes.kqe", folder / "codes.csv"
    export = ["vouchers", "export", told["batch"], str(sealed), "--to", str(folder / "reader.pub")]
    assert document(*export, env=env)["voucher_count"] == 30
    assert "already" in sentence(*export, env=env)
    assert sealed.stat().st_mode & 0o777 == 0o600
    document("production", "open", str(sealed), str(clear), "--key", str(folder / "reader.pem"), env=env)
    lines = clear.read_text().splitlines()
    assert (lines[0], len(lines)) == ("voucher,code,valid_until", 31)
    assert all(len(line.split(",")[1]) == 19 for line in lines[1:])
    assert "no voucher template" in sentence("vouchers", "issue", "vtpl_x", "--count", "1", "--name", "n", env=env)


def test_files_and_reports(made: tuple[dict[str, str], Path, str]) -> None:
    env, folder, template = made
    codes = folder / "foreign.csv"
    codes.write_text("券码\nALPHA-1\nALPHA-2\n")
    assert document("vouchers", "import", template, str(codes), env=env)["issued_count"] == 2
    assert "already" in sentence("vouchers", "import", template, str(codes), env=env)
    people = folder / "people.csv"
    people.write_text("card\nnobody\n")
    assert "line 2" in sentence("vouchers", "assign", template, str(people), env=env)
    (row,) = document("vouchers", "report", "--tenant", "shop", env=env)
    assert (row["template_id"], row["funder_kind"], row["outstanding_count"]) == (template, "issuer", 32)
    assert document("vouchers", "report", "--tenant", "shop", "--at", "2020-01-01", env=env) == []
    assert document("points", "liability", "--tenant", "shop", env=env)["outstanding"] == 0
    assert "no tenant" in sentence("points", "liability", "--tenant", "nobody", env=env)
