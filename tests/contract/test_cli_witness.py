"""``kaquan witness`` as whoever watches a log runs it: a process, a file, and no database."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from tests.contract.test_cli import KAQUAN, document, environment, free_port, sentence
from tests.unit.test_witness import KEY, checkpoint, request

from kaquan.evidence import Algorithm, open_note, read_key


@contextmanager
def serving(file: Path, port: int, env: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    command = [str(KAQUAN), "witness", "serve", str(file), "--port", str(port), "--json"]
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()


def test_a_witness_from_its_making_to_its_restart(tmp_path: Path) -> None:
    env = environment(tmp_path / "home")
    file, port = tmp_path / "w1", free_port()
    made = document("witness", "init", str(file), "--name", "witness.example/w1", env=env)
    key = read_key(made["key"])
    assert (key.name, key.algorithm, made["logs"]) == ("witness.example/w1", Algorithm.COSIGNATURE, [])
    assert "no key of a log" in sentence("witness", "follow", str(file), "x", env=env)
    assert "Ed25519" in sentence("witness", "follow", str(file), made["key"], env=env)
    followed = document("witness", "follow", str(file), KEY.text, env=env)
    assert followed["logs"] == [{"origin": KEY.name, "size": 0, "keys": [KEY.text]}]

    with serving(file, port, env) as (process, told):
        assert told == {"address": f"http://127.0.0.1:{port}", "key": made["key"]}
        answer = httpx.post(f"{told['address']}/add-checkpoint", content=request(0, 5))
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
        assert open_note(checkpoint(5) + answer.text, [key])[1] == [key]
        conflict = httpx.post(f"{told['address']}/add-checkpoint", content=request(0, 7))
        assert (conflict.status_code, conflict.text) == (409, "5\n")
        assert conflict.headers["content-type"] == "text/x.tlog.size"
        wrong = httpx.get(f"{told['address']}/add-checkpoint")
        assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
        assert httpx.post(f"{told['address']}/checkpoint").status_code == 404
        assert httpx.post(f"{told['address']}/add-checkpoint", content=b"x" * 70_000).status_code == 413
        assert "Another process has the witness" in sentence("witness", "show", str(file), env=env)
        process.kill()  # what it cosigned is on the disk
        process.wait(10)
    assert document("witness", "show", str(file), env=env)["logs"][0]["size"] == 5
    with serving(file, port, env) as (_, told):
        assert httpx.post(f"{told['address']}/add-checkpoint", content=request(0, 5)).status_code == 409
        assert httpx.post(f"{told['address']}/add-checkpoint", content=request(5, 9)).status_code == 200
