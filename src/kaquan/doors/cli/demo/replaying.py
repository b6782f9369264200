"""Replay drafts over baskets in several processes: each reads and prices the baskets of its own holders."""

from collections.abc import Callable, Sequence
from datetime import date
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from kaquan.doors.cli.demo.baskets import read_baskets
from kaquan.promotions import NO_POLICY, Basket, Campaign, StackingPolicy, compile_campaigns
from kaquan.promotions.replay import Budgets, Ended, Replayer, Shared, Tally, run_beside
from kaquan.promotions.replay_report import ReplayReport, make_report

DAYS_A_CHUNK = 7

Read = Callable[[tuple[int, int]], Sequence[Basket]]
"""The baskets of the holders of one share, ``(number, shares)``, oldest first."""


def replay_year(
    drafts: Sequence[Campaign],
    running: Sequence[Campaign] = (),
    *,
    first: date,
    last: date,
    processes: int = 2,
) -> ReplayReport:
    """What ``drafts`` would have given from ``first`` to ``last`` beside ``running``. Raises YearError."""
    tally, ended = replay_baskets(
        lambda share: read_baskets(first=first, last=last, share=share)[0],
        drafts,
        running,
        first=first,
        last=last,
        processes=processes,
    )
    return make_report(
        tally,
        ended,
        drafts,
        running,
        first=first,
        last=last,
        assumptions=["Every holder buys what was bought; no uplift is assumed."],
        show_store=lambda id_: str(id_.int & (1 << 96) - 1),
        show_party=lambda kind, party: f"{kind} {party}".strip(),
    )


def replay_baskets(
    read: Read,
    drafts: Sequence[Campaign],
    running: Sequence[Campaign],
    policy: StackingPolicy = NO_POLICY,
    *,
    first: date,
    last: date,
    processes: int,
    days_a_chunk: int = DAYS_A_CHUNK,
) -> tuple[Tally, Ended]:
    """What baskets of these days come to, shared out among processes; and since when budgets are used up.

    A chunk of so many days is priced again for each budget that ends in it.
    """
    context = get_context("fork")
    pipes: list[Any] = []
    workers = []
    for number in range(processes):
        ours, theirs = context.Pipe()
        job = (read, list(drafts), list(running), policy, (first, last, days_a_chunk), (number, processes), theirs)
        worker = context.Process(target=_work, args=job, daemon=True)
        worker.start()
        theirs.close()
        pipes.append(ours)
        workers.append(worker)
    try:
        budgets = _lead(pipes, days=range(first.toordinal(), last.toordinal() + 1, days_a_chunk))
        tally = Tally()
        for pipe in pipes:
            tally.add(_heard(pipe))
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()
    return tally, budgets.ended


def _lead(pipes: Sequence[Any], days: range) -> Budgets:
    """Have every worker price chunk by chunk until each chunk fits into what is left of the budgets."""
    budgets = Budgets()
    for day in days:
        while True:
            for pipe in pipes:
                pipe.send((day, budgets.ended))
            shared: list[Shared] = [one for pipe in pipes for one in _heard(pipe)]
            if budgets.check(shared):
                break
        for pipe in pipes:
            pipe.send(None)
    for pipe in pipes:
        pipe.send((None, budgets.ended))
    return budgets


def _heard(pipe: Any) -> Any:
    said = pipe.recv()
    if isinstance(said, Exception):
        raise said
    return said


def _work(
    read: Read,
    drafts: list[Campaign],
    running: list[Campaign],
    policy: StackingPolicy,
    days: tuple[date, date, int],
    share: tuple[int, int],
    pipe: "Connection[Any, Any]",
) -> None:
    """One process: its baskets, priced when it is asked to and counted when it is told so."""
    try:
        first, last, days_a_chunk = days[0].toordinal(), days[1].toordinal(), days[2]
        both = compile_campaigns(run_beside(running, drafts), policy)
        replayer = Replayer(compile_campaigns(running, policy), both, frozenset(draft.id for draft in drafts))
        chunks: dict[int, list[Basket]] = {}
        for basket in read(share):
            # what the till had sold before the range and told within it is in the first chunk
            since = min(max(basket.local.toordinal(), first), last) - first
            chunks.setdefault(first + since // days_a_chunk * days_a_chunk, []).append(basket)
        while True:
            day, ended = pipe.recv()
            if day is None:
                break
            again: tuple[int, Ended] | None = (day, ended)
            while again is not None:
                pipe.send(replayer.price(chunks.get(day, ()), again[1]))
                again = pipe.recv()
            replayer.keep()
        pipe.send(replayer.tally)
    except Exception as error:
        pipe.send(error)
