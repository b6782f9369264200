"""What evidence costs: purchases beside a sequencer that works and one that waits, how soon a leaf is in a signed
checkpoint, and how fast the whole is audited."""

import asyncio
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

from rich.progress import Progress

from kaquan.audit import run_audits
from kaquan.doors.bench import store
from kaquan.doors.bench.figures import Figure, Goal, figure_of
from kaquan.doors.bench.http import CARDS, FUNDS_FEN, LANES, MERCHANTS, WARM_UP_S, Purchases, serving
from kaquan.doors.bench.ledger import Flow, open_pockets
from kaquan.doors.bench.seed import activate_cards, issue_cards, make_town
from kaquan.doors.bench.stand import BenchError, Stand
from kaquan.doors.load import Caller, LoadResult, call_all, latency_of, read_address, run_load
from kaquan.evidence import get_head
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool, open_pool
from kaquan.kit.ids import Ids
from kaquan.vault import Keyring

ROUNDS = ("without", "with", "with", "without")
"""The order of the windows: what a growing database costs falls on both alike."""

RATE = 8_000
BATCH = 256
"""Transactions of a commit while leaves are made at a steady rate: thirty-one commits a second."""
POSTING_LANES = 3
"""Sessions that post: while one waits for its commit the other one works, as in a server."""

WATCH_S = 0.02
DRAIN_S = 120.0


async def measure_purchases(
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
    """Purchases over HTTP in windows, with the sequencer at work and with its lock held away from it."""
    async with open_pool(stand.conninfo, max_size=8) as pool:
        town = await make_town(pool, merchants=MERCHANTS, ids=ids, clock=clock)
        batch_id = await issue_cards(pool, town, keyring, count=card_count, name="bench", ids=ids, clock=clock)
        numbers = await activate_cards(pool, town, keyring, batch_id=batch_id, ids=ids, clock=clock)
        with serving(stand, keyring_path, workers=workers) as address:
            caller = Caller(read_address(address), token=town.token)
            loads = [
                caller.post(
                    "/v1/loads", f'{{"card_number":"{number}","amount_fen":{FUNDS_FEN}}}'.encode(), key=f"load-{number}"
                )
                for number in numbers
            ]
            await call_all(caller.address, loads, lanes=LANES)
            windows: dict[str, list[LoadResult]] = {name: [] for name in ROUNDS}
            taken = dict.fromkeys(ROUNDS, 0)
            for turn, name in enumerate(ROUNDS):
                await _drain(pool)
                store.settle(stand.conninfo)
                held = store.sequencer_held(stand.conninfo) if name == "without" else nullcontext()
                feed = Purchases(caller, numbers, town.terminals, label=f"{name}-{turn}")
                async with held:
                    before = await _size(pool)
                    load = await run_load(caller.address, feed, lanes=LANES, seconds=seconds, warm_up_s=WARM_UP_S)
                    taken[name] += await _size(pool) - before
                if set(load.by_status) != {201}:
                    raise BenchError(f"Not every purchase was paid: {load.by_status} {feed.refusal}")
                windows[name].append(load)
    if taken["without"] or not taken["with"]:
        raise BenchError(f"The sequencer did not work and wait as it should: {taken}")
    figures, rates = [], {}
    for name, results in windows.items():
        rates[name] = sum(load.rate_per_s for load in results) / len(results)
        how = f"purchases over HTTP {name} the sequencer, {LANES} connections, best of {len(results)} windows for waits"
        best = max(results, key=lambda load: load.rate_per_s)
        figure = figure_of(f"http_{name}_log", best, how=how, windows=[round(load.rate_per_s, 1) for load in results])
        figures.append(figure)
    return figures, [Goal("purchases with evidence / without", 0.9, rates["with"] / rates["without"], "ratio")]


class _Seen(NamedTuple):
    """At a moment: how many transactions were posted, and how many leaves the signed log had."""

    at: float
    posted: int
    logged: int


async def measure_log(
    stand: Stand, keyring_path: Path, *, seconds: float, ids: Ids, clock: Clock, bar: Progress
) -> tuple[list[Figure], list[Goal]]:
    """Leaves at a steady rate for so long, each until it is in a signed checkpoint; then the audit of all of them."""
    async with open_pool(stand.conninfo) as pool:
        async with pool.connection() as connection:
            pockets = await open_pockets(connection, ids=ids, clock=clock)
        flow = Flow(pockets, entries=1, batch=BATCH, ids=ids, clock=clock)
        with serving(stand, keyring_path, workers=1):
            await _drain(pool)
            store.settle(stand.conninfo)
            task = bar.add_task("leaves 存证叶", total=seconds)
            seen, waits_ns, sent_s = await _post_steadily(
                pool, flow, seconds=seconds, tell=lambda gone: bar.update(task, completed=gone)
            )
            await _drain(pool)
        report = await run_audits(stand.conninfo, names=["leaves", "log"])
    rate = flow.posted / sent_s
    backlog = [moment.posted - moment.logged for moment in seen]
    share = max(1, len(backlog) // 5)
    early, late = sum(backlog[:share]) / share, sum(backlog[-share:]) / share
    latency = latency_of(waits_ns)
    how = f"leaves posted at {RATE:,}/s for {seconds:g} s, until each is in a signed checkpoint"
    facts = {
        "leaves": flow.posted,
        "backlog_first_fifth": round(early),
        "backlog_last_fifth": round(late),
        "backlog_max": max(backlog),
        "wait_max_ms": round(max(waits_ns) / 1e6, 1),
    }
    if not report.holds:
        raise BenchError("The audit does not hold over what the bench made.")
    checked = sum(result.checked for result in report.audits) // len(report.audits)
    audited = checked / (report.duration_ms / 1000)
    return [
        Figure("log_leaves", round(rate, 1), how, latency, facts),
        Figure("audit_evidence", round(audited, 1), f"entries audited, {checked:,} of them: leaves and log at once"),
    ], [
        Goal("leaves posted while the log is watched", RATE * 0.98, rate, "leaves/s"),
        Goal("leaf in a signed checkpoint, p99", 1_000, latency.p99_ms, "ms", at_most=True),
        Goal("leaf in a signed checkpoint, worst", None, max(waits_ns) / 1e6, "ms", at_most=True),
        Goal("backlog, last fifth less first", RATE * 0.2, late - early, "leaves", at_most=True),
        Goal("entries audited", 100_000, audited, "entries/s"),
    ]


async def _post_steadily(
    pool: Pool, flow: Flow, *, seconds: float, tell: Callable[[float], None]
) -> tuple[list[_Seen], list[int], float]:
    """Post batches at their times, and watch the log. Leaves are not in the order in which their commits are answered:
    one is taken to be in the log when all that were sent before its answer are."""
    before = await _size(pool)
    started = time.perf_counter()
    commits: list[tuple[float, int]] = []
    seen: list[_Seen] = []
    posting, sent = True, 0

    async def lane() -> None:
        nonlocal sent
        async with pool.connection() as connection:
            while (due := sent / RATE) < seconds:
                sent += BATCH
                await asyncio.sleep(max(0.0, started + due - time.perf_counter()))
                await flow.post(connection)
                commits.append((time.perf_counter(), sent))

    async def post() -> None:
        nonlocal posting
        await asyncio.gather(*(lane() for _ in range(POSTING_LANES)))
        posting = False

    async def watch() -> None:
        while posting or seen[-1].logged < flow.posted:
            await asyncio.sleep(WATCH_S)
            posted, logged = flow.posted, await _size(pool) - before
            seen.append(_Seen(time.perf_counter(), posted, logged))
            tell(min(seconds, posted / RATE))
            if seen[-1].at - started > seconds + DRAIN_S:
                raise BenchError(f"The log does not keep up: {posted - logged:,} leaves wait.")

    seen.append(_Seen(started, 0, 0))
    await asyncio.gather(post(), watch())
    waits_ns, moment = [], 0
    for at, before_it in commits:
        while seen[moment].logged < before_it:
            moment += 1
        waits_ns.append(max(0, int((seen[moment].at - at) * 1e9)))
    during = [one for one in seen if one.at <= commits[-1][0]]
    return during, waits_ns, commits[-1][0] - started


async def _size(pool: Pool) -> int:
    head = await get_head(pool)
    return 0 if head is None else head.size


async def _drain(pool: Pool) -> None:
    """Wait until the log has taken every leaf. Raises BenchError when it does not come to an end."""
    end = time.monotonic() + DRAIN_S
    async with pool.connection() as connection:
        while time.monotonic() < end:
            if await _size(pool) == await store.count_leaves(connection):
                return
            await asyncio.sleep(0.1)
    raise BenchError("The log does not take the leaves that wait.")
