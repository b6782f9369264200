"""Purchases over HTTP, one request each, against a server of its own with everything switched on."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from kaquan.doors.bench import store
from kaquan.doors.bench.figures import Figure, Goal, figure_of
from kaquan.doors.bench.seed import TEN_LIMITS, activate_cards, issue_cards, make_town, set_limits
from kaquan.doors.bench.stand import BenchError, Stand
from kaquan.doors.load import Caller, LoadError, call_all, read_address, run_load
from kaquan.kit.clock import Clock
from kaquan.kit.db import open_pool
from kaquan.kit.ids import Ids
from kaquan.vault import Keyring

CARDS = 100_000
FEW_CARDS = 1_000
MERCHANTS = 2_800
LANES = 64
FEW_LANES = 8
WARM_UP_S = 3.0
FUNDS_FEN = 10**9
CARD_STRIDE = 48_271
"""Prime to the numbers of cards: a card comes again only after all others have paid."""

START_S = 60.0
STOP_S = 30.0


async def measure_http(
    stand: Stand,
    keyring: Keyring,
    keyring_path: Path,
    *,
    seconds: float,
    workers: int,
    ids: Ids,
    clock: Clock,
    card_count: int = CARDS,
) -> tuple[list[Figure], list[Goal]]:
    """Uniform at 64 connections and at 8, all at one merchant, with 1,000 cards only, and with ten limits on each."""
    async with open_pool(stand.conninfo, max_size=8) as pool:
        town = await make_town(pool, merchants=MERCHANTS, ids=ids, clock=clock)
        batch_id = await issue_cards(pool, town, keyring, count=card_count, name="bench", ids=ids, clock=clock)
        numbers = await activate_cards(pool, town, keyring, batch_id=batch_id, ids=ids, clock=clock)
    with serving(stand, keyring_path, workers=workers) as address:
        caller = Caller(read_address(address), token=town.token)
        await call_all(caller.address, [_load(caller, number) for number in numbers], lanes=LANES)
        store.settle(stand.conninfo)
        terminals = town.terminals
        scenes = {
            "uniform": (numbers, terminals, LANES, f"{card_count:,} cards, {MERCHANTS:,} merchants"),
            "few_lanes": (numbers, terminals, FEW_LANES, f"{card_count:,} cards, {MERCHANTS:,} merchants"),
            "hot_merchant": (numbers, terminals[:1], LANES, f"{card_count:,} cards, one merchant"),
            "few_cards": (numbers[:FEW_CARDS], terminals, LANES, f"{FEW_CARDS:,} cards, all merchants"),
            "limits": (numbers, terminals, LANES, f"{len(TEN_LIMITS)} limits on card, person and terminal"),
        }
        figures = {}
        for name, (of_numbers, at_terminals, lanes, what) in scenes.items():
            if name == "limits":
                async with open_pool(stand.conninfo, role=None) as pool:
                    await set_limits(pool, town, ids=ids, clock=clock)
            feed = Purchases(caller, of_numbers, at_terminals, label=name)
            load = await run_load(caller.address, feed, lanes=lanes, seconds=seconds, warm_up_s=WARM_UP_S)
            if set(load.by_status) != {201}:
                raise BenchError(f"Not every purchase was paid: {load.by_status} {feed.refusal}")
            how = f"{what}, {lanes} connections, {workers} server processes"
            figures[name] = figure_of(f"http_{name}", load, how=how)
    return list(figures.values()), _goals(figures)


def _goals(figures: dict[str, Figure]) -> list[Goal]:
    uniform, few_lanes = figures["uniform"], figures["few_lanes"]
    assert uniform.latency is not None
    assert few_lanes.latency is not None

    def share(name: str) -> float:
        return figures[name].rate_per_s / uniform.rate_per_s

    return [
        Goal(f"purchases over HTTP, {LANES} connections", 8_000, uniform.rate_per_s, "purchases/s"),
        Goal(f"p99 at {LANES} connections", 30, uniform.latency.p99_ms, "ms", at_most=True),
        Goal(f"median at {FEW_LANES} connections", 3, few_lanes.latency.p50_ms, "ms", at_most=True),
        Goal("one hot merchant / uniform", 0.8, share("hot_merchant"), "ratio"),
        Goal(f"{FEW_CARDS:,} cards / uniform", 0.7, share("few_cards"), "ratio"),
        Goal(f"{len(TEN_LIMITS)} limits / uniform", 0.8, share("limits"), "ratio"),
    ]


class Purchases:
    """A feed of small purchases, card after card, without end."""

    def __init__(self, caller: Caller, numbers: Sequence[str], terminals: Sequence[str], *, label: str) -> None:
        self._caller = caller
        self._numbers = numbers
        self._terminals = terminals
        self._label = label
        self._turn = 0
        self.refusal: str | None = None

    def next(self, lane: int) -> bytes | None:
        self._turn = turn = self._turn + 1
        number = self._numbers[turn * CARD_STRIDE % len(self._numbers)]
        terminal = self._terminals[turn % len(self._terminals)]
        body = f'{{"card_number":"{number}","amount_fen":{turn % 97 + 1},"terminal_id":"{terminal}"}}'
        return self._caller.post("/v1/purchases", body.encode(), key=f"{self._label}-{turn}")

    def answered(self, lane: int, status: int, body: bytes, latency_ns: int) -> None:
        if status != 201 and self.refusal is None:
            self.refusal = body.decode(errors="replace")


def _load(caller: Caller, number: str) -> bytes:
    body = f'{{"card_number":"{number}","amount_fen":{FUNDS_FEN}}}'
    return caller.post("/v1/loads", body.encode(), key=f"load-{number}")


@contextlib.contextmanager
def serving(stand: Stand, keyring_path: Path, *, workers: int) -> Iterator[str]:
    """``kaquan serve`` on a free port over this database, stopped at the end; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {
        "KAQUAN_DATABASE_URL": stand.conninfo,
        "KAQUAN_HOME": str(stand.folder),
        "KAQUAN_KEYRING": str(keyring_path),
        "KAQUAN_HOST": "127.0.0.1",
        "KAQUAN_PORT": str(port),
        "KAQUAN_WORKERS": str(workers),
    }
    command = [str(Path(sys.executable).with_name("kaquan")), "serve"]
    log = stand.folder / "serve.log"
    with log.open("wb") as output:
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=output)  # noqa: S603
    try:
        _await_ready(server, port, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(STOP_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _await_ready(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0) as talk:
            talk.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            if talk.recv(64).startswith(b"HTTP/1.1 200"):
                return
        time.sleep(0.1)
    raise LoadError(f"The server did not become ready: {log.read_text(errors='replace')[-2_000:].strip()}")
