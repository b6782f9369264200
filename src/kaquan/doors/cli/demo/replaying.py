"""Replay drafts over the year in several processes: each reads and prices the baskets of its own households."""

from collections.abc import Sequence
from datetime import date, datetime
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any
from uuid import UUID

import msgspec

from kaquan.doors.cli.demo.baskets import read_baskets
from kaquan.promotions import Basket, Campaign, compile_campaigns
from kaquan.promotions.compile import budget_id
from kaquan.promotions.replay import Budgets, Ended, Reach, Replayer, Shared, Tally

DAYS_A_CHUNK = 7


class BudgetEnd(msgspec.Struct, frozen=True):
    """A budget that is used up: since when."""

    campaign: str
    budget: str
    period: str
    """Which day, month or year; empty: in all."""
    store: str | None
    ended_at: datetime


class CampaignReplay(msgspec.Struct, frozen=True):
    """What one campaign would have given."""

    code: str
    is_draft: bool
    baskets: int
    holders: int
    amount_fen: int
    discount_fen: int
    granted_fen: int
    by_funder: dict[str, int]
    by_store: dict[str, tuple[int, int]]
    """Baskets and discount; the ten stores with the most, then the rest together."""
    by_segment: dict[str, tuple[int, int]]


class ReplayReport(msgspec.Struct, frozen=True):
    """Cost and reach. It tells nothing of what holders would have done otherwise: only a control group does."""

    first: date
    last: date
    baskets: int
    amount_fen: int
    running_alone_fen: int
    running_fen: int
    drafts_fen: int
    worse_off_baskets: int
    worse_off_fen: int
    held_back_baskets: int
    campaigns: list[CampaignReplay]
    ended: list[BudgetEnd]
    assumption: str = "Every holder buys what was bought; no uplift is assumed."


def replay_year(
    drafts: Sequence[Campaign],
    running: Sequence[Campaign] = (),
    *,
    first: date,
    last: date,
    processes: int = 2,
) -> ReplayReport:
    """What ``drafts`` would have given from ``first`` to ``last`` beside ``running``. Raises YearError."""
    context = get_context("fork")
    pipes: list[Any] = []
    workers = []
    for number in range(processes):
        ours, theirs = context.Pipe()
        job = (list(drafts), list(running), first, last, (number, processes), theirs)
        worker = context.Process(target=_work, args=job, daemon=True)
        worker.start()
        theirs.close()
        pipes.append(ours)
        workers.append(worker)
    try:
        budgets = _lead(pipes, days=range(first.toordinal(), last.toordinal() + 1, DAYS_A_CHUNK))
        tally = Tally()
        for pipe in pipes:
            tally.add(_heard(pipe))
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()
    return _report(tally, drafts, running, budgets, first, last)


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
    drafts: list[Campaign],
    running: list[Campaign],
    first: date,
    last: date,
    share: tuple[int, int],
    pipe: "Connection[Any, Any]",
) -> None:
    """One process: its baskets, priced when it is asked to and counted when it is told so."""
    try:
        baskets, _ = read_baskets(first=first, last=last, share=share)
        both = compile_campaigns([*running, *drafts])
        replayer = Replayer(compile_campaigns(running), both, frozenset(draft.id for draft in drafts))
        chunks: dict[int, list[Basket]] = {}
        for basket in baskets:
            since = basket.local.toordinal() - first.toordinal()
            chunks.setdefault(first.toordinal() + since // DAYS_A_CHUNK * DAYS_A_CHUNK, []).append(basket)
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


def _report(
    tally: Tally,
    drafts: Sequence[Campaign],
    running: Sequence[Campaign],
    budgets: Budgets,
    first: date,
    last: date,
) -> ReplayReport:
    names = {
        budget_id(campaign.id, budget.name): (campaign.terms.code, budget.name)
        for campaign in (*drafts, *running)
        for budget in campaign.terms.budgets
    }
    ended = [
        BudgetEnd(*names[id_], period, None if subject is None else _store(subject), since)
        for (id_, subject, period), (since, _) in sorted(budgets.ended.items(), key=lambda one: one[1])
    ]
    return ReplayReport(
        first,
        last,
        tally.baskets,
        tally.amount_fen,
        tally.running_alone_fen,
        tally.running_fen,
        tally.drafts_fen,
        tally.losers,
        tally.lost_fen,
        tally.held_back,
        [_campaign(tally, one, is_draft=one in drafts) for one in (*drafts, *running)],
        ended,
    )


def _campaign(tally: Tally, campaign: Campaign, *, is_draft: bool) -> CampaignReplay:
    id_ = campaign.id
    reach = tally.campaigns.get(id_, Reach())
    stores = {_store(store): reach for (one, store), reach in tally.stores.items() if one == id_}
    ranked = sorted(stores.items(), key=lambda item: (-item[1].discount_fen, item[0]))
    by_store = {name: (own.baskets, own.discount_fen) for name, own in ranked[:10]}
    if rest := ranked[10:]:
        by_store["others"] = (sum(own.baskets for _, own in rest), sum(own.discount_fen for _, own in rest))
    segments = sorted((name, own) for (one, name), own in tally.segments.items() if one == id_)
    return CampaignReplay(
        campaign.terms.code,
        is_draft,
        reach.baskets,
        len(tally.holders.get(id_, ())),
        reach.amount_fen,
        reach.discount_fen,
        reach.granted_fen,
        {
            f"{kind} {party}".strip(): fen
            for (one, kind, party), fen in sorted(tally.funders.items(), key=lambda item: item[0][1:])
            if one == id_
        },
        by_store,
        {name: (own.baskets, own.discount_fen) for name, own in segments},
    )


def _store(id_: UUID) -> str:
    return str(id_.int & (1 << 96) - 1)
