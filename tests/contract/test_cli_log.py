"""``kaquan log`` as an operator runs it."""

import asyncio
import os
from pathlib import Path

import psycopg
import pytest
from tests.conftest import make_database
from tests.contract.test_cli import document, environment, kaquan, sentence
from tests.store.test_evidence_log import IDS, Log

from kaquan.evidence import Sequencer, compare_checkpoint, get_keys, open_checkpoint
from kaquan.kit.clock import SystemClock
from kaquan.kit.db import open_pool
from kaquan.vault import Keyring


async def sequence(conninfo: str, keyring: Path, *, leaves: int) -> None:
    """Leaves, and a worker for a moment."""
    async with open_pool(conninfo) as pool:
        await Log(conninfo, pool).write(leaves)
        sequencer = Sequencer(pool, SystemClock(), IDS, (0,))
        while (step := await sequencer.step(Keyring.load(keyring).log_signers)).leaves or step.more:
            pass


async def compare(conninfo: str, note: str) -> None:
    """An altered tile is seen, and a log of another name; then it is mended."""
    async with open_pool(conninfo) as pool:
        outside = open_checkpoint(note, await get_keys(pool))
        assert (await compare_checkpoint(pool, outside)).holds
        assert not (await compare_checkpoint(pool, outside._replace(origin="another"))).holds
        with psycopg.connect(conninfo) as owner:
            before = owner.execute("SELECT hashes FROM evidence_tile").fetchone()
            for damage in ("overlay(hashes PLACING sha256('x') FROM 33)", "substr(hashes, 1, 32)"):
                owner.execute(f"UPDATE evidence_tile SET hashes = {damage}".encode())
                owner.commit()
                found = await compare_checkpoint(pool, outside)
                assert (found.holds, found.rewound) == (False, False)
            owner.execute("UPDATE evidence_tile SET hashes = %s", before)


def test_the_log_its_keys_and_outside_checkpoints(
    server: str, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    folder = tmp_path_factory.mktemp("log")
    folder.chmod(0o711)
    conninfo = make_database(server, f"test_cli_log_{os.getpid()}")
    ring = folder / "keyring.json"
    Keyring.create(ring)
    env = environment(folder, conninfo, KAQUAN_KEYRING=str(ring))
    asyncio.run(sequence(conninfo, ring, leaves=5))
    first = document("log", "status", env=env)
    assert (first["size"], [key["signs"] for key in first["keys"]]) == (6, [True])
    old_key = first["keys"][0]["key"]

    # a key is changed
    assert document("log", "rotate", env=env) == {"signers": ["g1", "g2"]}
    assert "not signed by another key" in sentence("log", "retire", "g1", env=env)
    asyncio.run(sequence(conninfo, ring, leaves=2))
    assert document("log", "retire", "g1", env=env) == {"signers": ["g2"]}
    with psycopg.connect(conninfo) as connection:
        kept = connection.execute("SELECT note FROM evidence_log").fetchone()
    assert kept is not None
    asyncio.run(sequence(conninfo, ring, leaves=2))
    after = document("log", "status", env=env)
    assert (after["size"], [key["signs"] for key in after["keys"]]) == (11, [False, True])

    # an outside checkpoint, of when both keys signed
    file = tmp_path / "checkpoint"
    file.write_text(kept[0])
    check = ["log", "check", str(file), "--key", old_key]
    assert document(*check, env=env) == {
        "origin": first["origin"], "outside_size": 9, "size": 11, "rewound": False, "holds": True,
    }  # fmt: skip
    asyncio.run(compare(conninfo, kept[0]))
    with psycopg.connect(conninfo) as owner:
        owner.execute("UPDATE evidence_log SET size = 7")
    rewound = kaquan(*check, env=env)
    assert (rewound.returncode, "rewound: the log has 7" in rewound.stdout) == (1, True)
