"""Whether a payment costs more when five million were made before it. Takes minutes; run once, recorded."""

import uvloop
from rich.progress import Progress

from kaquan.doors.bench import store
from kaquan.doors.bench.engine import best_update, measure_engine
from kaquan.doors.bench.figures import Figure, Goal
from kaquan.doors.bench.ledger import BATCH, Flow, open_pockets
from kaquan.doors.bench.stand import Stand
from kaquan.kit.clock import Clock
from kaquan.kit.db import open_pool
from kaquan.kit.ids import Ids

FEW = 100_000
MANY = 5_000_000
FILL_STEP = 250_000
SETTLED_AFTER_S = 30.0
"""Right after a checkpoint the first touch of each page is logged whole. A server has one every quarter of an hour, a
bench makes one to begin cleanly: the rate is taken this much later; the rate right after it is a figure of its own."""


def measure_growth(
    stand: Stand, *, seconds: float, ids: Ids, clock: Clock, bar: Progress, many: int = MANY
) -> tuple[list[Figure], list[Goal]]:
    """The ledger's rate, and the engine's beside it, after 100,000 transactions and after ``many``."""
    task = bar.add_task("transactions 流水", total=many)
    fill_rates: list[float] = []

    async def begin() -> Flow:
        async with open_pool(stand.conninfo) as pool, pool.connection() as connection:
            pockets = await open_pockets(connection, ids=ids, clock=clock)
        return Flow(pockets, entries=1, batch=BATCH, ids=ids, clock=clock)

    async def fill_and_measure(goal: int) -> Figure:
        async with open_pool(stand.conninfo) as pool, pool.connection() as connection:
            while flow.posted < goal:
                rate, _ = await flow.run(connection, until=min(goal, flow.posted + FILL_STEP))
                fill_rates.append(round(rate, 1))
                bar.update(task, completed=flow.posted)
            store.settle(stand.conninfo)
            how = f"one entry, batches of {BATCH}, after {goal:,} transactions"
            figures.append(
                await flow.measure(
                    connection,
                    f"ledger_after_{goal}_and_checkpoint",
                    f"{how}, in the first seconds after a checkpoint",
                    seconds=seconds,
                )
            )
            await flow.run(connection, seconds=SETTLED_AFTER_S)
            return await flow.measure(connection, f"ledger_after_{goal}", how, seconds=seconds)

    figures: list[Figure] = []
    flow = uvloop.run(begin())
    rates: list[float] = []
    goals: list[Goal] = []
    for goal in (FEW, many):
        ours = uvloop.run(fill_and_measure(goal))
        store.settle(stand.conninfo)
        engine = measure_engine(stand, seconds=seconds, tpc_b=False)
        figures.append(ours)
        figures += [Figure(f"{figure.name}_after_{goal}", figure.rate_per_s, figure.how) for figure in engine]
        rates.append(ours.rate_per_s)
        goals.append(
            Goal(f"ledger / one-row UPDATE after {goal:,}", 0.6, ours.rate_per_s / best_update(engine), "ratio")
        )
    mean = sum(fill_rates) / len(fill_rates)
    figures.append(Figure("fill", round(mean, 1), f"while filling to {many:,}", facts={"rates": fill_rates}))
    return figures, [Goal(f"rate after {many:,} / after {FEW:,}", 0.85, rates[1] / rates[0], "ratio"), *goals]
