"""The engine's limit: how many of the smallest durable updates the same PostgreSQL makes in the same minute.

A payment system on PostgreSQL is slow or fast only in comparison with this.
"""

import asyncio
import re
import subprocess
import tempfile
from pathlib import Path

from kaquan.doors.bench import store
from kaquan.doors.bench.figures import Figure
from kaquan.doors.bench.stand import BenchError, Stand
from kaquan.kit.embedded import EmbeddedPostgresError, binary

CLIENTS = (8, 32)
TPC_B_SCALE = 10
THREADS = 2

SHORTEST_S = 3
"""pgbench counts connecting as part of its time, and 32 connections take a while on a busy machine."""


def measure_engine(stand: Stand, *, seconds: float, tpc_b: bool = True) -> list[Figure]:
    """One-row ``UPDATE … RETURNING`` over 1,000 rows, and pgbench's TPC-B, at 8 and at 32 clients.

    By pgbench where there is one; else the update alone, by our own clients, which cost more than pgbench's:
    the figure says which it was.
    """
    store.make_engine_table(stand.conninfo)
    try:
        pgbench: Path | None = binary("pgbench")
    except EmbeddedPostgresError:
        pgbench = None
    figures = [_one_row_update(stand, pgbench=pgbench, clients=clients, seconds=seconds) for clients in CLIENTS]
    if pgbench is not None and tpc_b:
        _run(stand, pgbench, "--initialize", "--quiet", f"--scale={TPC_B_SCALE}")
        for clients in CLIENTS:
            rate, _ = _timed(stand, pgbench, clients=clients, seconds=seconds)
            how = f"pgbench's own transaction, {clients} clients, scale {TPC_B_SCALE}"
            figures.append(Figure(f"tpc_b_{clients}", rate, how))
    return figures


def best_update(figures: list[Figure]) -> float:
    """The engine's limit: the best rate of one-row updates."""
    return max(figure.rate_per_s for figure in figures if figure.name.startswith("one_row_update"))


def _one_row_update(stand: Stand, *, pgbench: Path | None, clients: int, seconds: float) -> Figure:
    name, how = f"one_row_update_{clients}", f"one-row UPDATE … RETURNING, {clients} clients"
    if pgbench is None:
        rate = asyncio.run(store.update_rows(stand.conninfo, clients=clients, seconds=seconds))
        return Figure(name, round(rate, 1), f"{how}, of our own in Python")
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(f"\\set row random(1, {store.ENGINE_ROWS})\n{store.UPDATE_ONE_ROW.format(id=':row')};\n")
        script.flush()
        rate, wait_ms = _timed(stand, pgbench, f"--file={script.name}", clients=clients, seconds=seconds)
    return Figure(name, rate, f"{how}, of pgbench", facts={"mean_ms": wait_ms})


def _timed(stand: Stand, pgbench: Path, *options: str, clients: int, seconds: float) -> tuple[float, float]:
    """Transactions per second and the mean wait in milliseconds."""
    said = _run(
        stand, pgbench, "--no-vacuum", "--protocol=prepared", f"--client={clients}", f"--jobs={THREADS}",
        f"--time={max(SHORTEST_S, round(seconds))}", *options,
    )  # fmt: skip
    rate = re.search(r"^tps = ([\d.]+)", said, re.MULTILINE)
    wait = re.search(r"^latency average = ([\d.]+) ms", said, re.MULTILINE)
    if rate is None or wait is None:
        raise BenchError(f"pgbench said nothing that can be read: {said.strip()}")
    return float(rate[1]), float(wait[1])


def _run(stand: Stand, pgbench: Path, *options: str) -> str:
    # Only what a client program needs: our environment may hold keys that it must not see.
    environment = {"LC_ALL": "C", **store.program_environment(stand.conninfo)}
    done = subprocess.run([pgbench, *options], env=environment, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        raise BenchError(f"pgbench failed: {done.stderr.strip()}")
    return done.stdout
