"""``kaquan vault``, ``batch``, ``production`` and ``import`` as an operator runs them, one after the other."""

import asyncio
import os
from pathlib import Path

import psycopg
import pytest
from tests.conftest import make_database
from tests.contract.test_cli import document, environment, kaquan, sentence
from tests.town import HandClock
from tests.unit.test_vault_envelope import KEYS, private_pem, public_pem

from kaquan import cards, parties
from kaquan.cards import CardForm, NewBatch, NewProgramme, Pocket, Press
from kaquan.cards.numbers import draw_numbers
from kaquan.kit.db import open_pool
from kaquan.kit.ids import Prefix, SystemIds, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.vault import Keyring


async def furnish(conninfo: str, keyring: Keyring) -> tuple[str, str]:
    """A programme, and a finished batch of physical cards."""
    ids, clock = SystemIds(), HandClock()
    async with open_pool(conninfo) as pool:
        created = await parties.create_tenant(pool, clock, ids, name="printed")
        assert not isinstance(created, Refusal)
        book_id = created[1][parties.Mode.LIVE].id
        issuer = await parties.create_issuer(
            pool, clock, ids, book_id=book_id, code="i", name="i", time_zone="Asia/Shanghai"
        )
        assert not isinstance(issuer, Refusal)
        terms = NewProgramme(
            issuer_id=issuer.id,
            code="p",
            name="p",
            currency="CNY",
            number_prefix="8888",
            spend_order=tuple(Pocket),
            max_balance_fen=None,
            authorization_ttl_s=60,
            principal_valid_days=None,
            bonus_valid_days=None,
        )
        programme = await cards.create_programme(pool, clock, ids, book_id=book_id, new=terms)
        assert not isinstance(programme, Refusal)
        new = NewBatch(programme_id=programme.id, name="n", form=CardForm.PHYSICAL, card_count=30)
        batch = await cards.create_batch(pool, clock, ids, book_id=book_id, slots=(0,), new=new)
        assert not isinstance(batch, Refusal)
        done = await cards.run_batch(pool, Press(keyring, (0,), ids), clock, book_id=book_id, batch_id=batch.id)
        assert not isinstance(done, Refusal)
        return show_id(Prefix.PROGRAMME, programme.id), show_id(Prefix.BATCH, batch.id)


@pytest.fixture(scope="module")
def made(server: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], Path, str, str]:
    """The environment of a command, a folder, a programme and a batch."""
    folder = tmp_path_factory.mktemp("files")
    folder.chmod(0o711)
    conninfo = make_database(server, f"test_cli_files_{os.getpid()}")
    keyring = Keyring.create(folder / "keyring.json")
    programme, batch = asyncio.run(furnish(conninfo, keyring))
    return environment(folder, conninfo, KAQUAN_KEYRING=str(folder / "keyring.json")), folder, programme, batch


def test_a_batch_is_given_out_once_and_opened(made: tuple[dict[str, str], Path, str, str]) -> None:
    env, folder, _, batch = made
    (folder / "printer.pub").write_text(public_pem(KEYS["x25519"]))
    (folder / "printer.pem").write_bytes(private_pem(KEYS["x25519"]))
    sealed, clear = folder / "batch.kqe", folder / "cards.txt"
    export = ["batch", "export", batch, str(sealed), "--to", str(folder / "printer.pub"), "--kind", "fixed_width"]
    report = document(*export, "--with-pin", env=env)
    assert report["card_count"] == 30
    assert sealed.stat().st_mode & 0o777 == 0o600
    told = document("production", "open", str(sealed), str(clear), "--key", str(folder / "printer.pem"), env=env)
    assert (told["batch"], told["card_count"], told["bytes"]) == (batch, 30, clear.stat().st_size)
    assert [len(line) for line in clear.read_text().splitlines()] == [45] * 30
    export[3] = str(folder / "second.kqe")
    assert "approval" in sentence(*export, env=env)
    assert "already" in sentence("production", "open", str(sealed), str(clear), "--key", "x", env=env)
    cut = folder / "cut.kqe"
    cut.write_bytes(sealed.read_bytes()[:-1])
    other = folder / "other.txt"
    assert "altered" in sentence(
        "production", "open", str(cut), str(other), "--key", str(folder / "printer.pem"), env=env
    )
    assert not other.exists()
    assert not list(folder.glob("*.part"))


def test_cards_are_imported(made: tuple[dict[str, str], Path, str, str]) -> None:
    env, folder, programme, _ = made
    numbers = draw_numbers("8888", 4)
    file, errors = folder / "old.csv", folder / "wrong.csv"
    file.write_text("卡号,余额\n" + "".join(f"{number},10\n" for number in numbers) + "123,x\n", "utf-8")
    checked = kaquan(
        "import", "cards", str(file), "--programme", programme, "--dry-run", "--errors", str(errors), env=env
    )
    assert checked.returncode == 1
    assert "5 lines, 4 good" in checked.stdout
    assert len(errors.read_text("utf-8-sig").splitlines()) == 3
    file.write_text("卡号,余额\n" + "".join(f"{number},10\n" for number in numbers), "utf-8")
    ask = ["import", "cards", str(file), "--programme", programme]
    assert document(*ask, "--dry-run", env=env)["principal_fen"] == 4_000
    done = document(*ask, env=env)
    assert done["lines"] == {"applied": 4}
    assert document(*ask, env=env) == done, "run again it goes on, and there is nothing left"
    assert "no programme" in sentence("import", "cards", str(file), "--programme", "prog_1", env=env)
    assert document("audit", env=env)["holds"] is True


def test_keys_are_changed(made: tuple[dict[str, str], Path, str, str]) -> None:
    env, folder, _, _ = made
    before = document("vault", "status", env=env)
    assert (before["seal_keys"], before["lookup_keys"]) == (["k1"], ["l1"])
    assert document("vault", "rotate", "--cipher", "sm4-gcm", env=env) == {"key": "k2", "lookup": False}
    assert document("vault", "rotate", "--lookup", "--mac", "hmac-sm3", env=env) == {"key": "l2", "lookup": True}
    assert "still" in sentence("vault", "retire", "k1", env=env)
    report = document("vault", "reseal", env=env)
    count = before["card_count"]
    assert (report["copied_lookups"], report["dropped_lookups"], report["unreadable"]) == (count, count, {})
    assert report["resealed"] >= count
    after = document("vault", "status", env=env)
    assert (after["lookup_keys"], after["lookups"]) == (["l2"], {"l2": count})
    assert {key for column in after["columns"] for key in column["by_key"]} == {"k2"}
    assert document("vault", "retire", "k1", env=env)["seal_keys"] == ["k2"]
    after = document("vault", "status", env=env)
    assert "no cipher" in sentence("vault", "rotate", "--cipher", "rot13", env=env)
    sealed = {**env, "KAQUAN_KEYRING_PASSPHRASE": "correct horse"}
    assert "KAQUAN_KEYRING_PASSPHRASE" in sentence("vault", "protect", env=env)
    assert document("vault", "protect", env=sealed) == {"protected": True}
    assert "KAQUAN_KEYRING_PASSPHRASE" in sentence("vault", "status", env=env)
    assert document("vault", "status", env=sealed) == after
    assert document("vault", "protect", "--remove", env=sealed) == {"protected": False}
    assert document("vault", "status", env=env) == after
    assert (folder / "keyring.json").stat().st_mode & 0o777 == 0o600
    with psycopg.connect(env["KAQUAN_DATABASE_URL"]) as connection:
        found = connection.execute("SELECT count(*) FROM cards_number WHERE key_id <> 'l2'").fetchone()
    assert found == (0,)
