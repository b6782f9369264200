"""What if: drafts over the purchases that the book has recorded, by the functions that price live ones.

Nothing is written. It tells cost and reach, never an effect: see :mod:`kaquan.promotions.replay`.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from msgspec.structs import replace

from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.payments.history import History, check_size, read_baskets
from kaquan.promotions import (
    Asks,
    Basket,
    Budgets,
    Campaign,
    CompiledCampaigns,
    FunderKind,
    Replayer,
    ReplayReport,
    StackingPolicy,
    Tally,
    compile_campaigns,
    find_kinds,
    for_issuers,
    make_report,
    run_beside,
)
from kaquan.promotions.kind import LoadKind
from kaquan.promotions.replay import Ended

MAX_SIMULATED = 20_000
"""How many purchases one request may ask for: seconds of one processor, with 20 campaigns."""

ASSUMPTIONS = (
    "Every holder buys what was bought; no uplift is assumed.",
    "Purchases are those recorded in this time with cards of the drafts' issuers, at list price, with the lines that "
    "the till told; without lines a purchase is one line of no named goods. What was voided or given back whole is "
    "left out, what was given back in part counts whole, an authorization as it was asked for.",
    "Cards, places and programmes are as they are now, and so are birthdays, segments and tiers of holders; of a card "
    "that is not registered there is neither birthday nor segment. Who bought before is as it was then.",
    "Vouchers that were redeemed then are not; what the store or a bank took off then still comes off.",
    "Running campaigns are the published versions of now, each within its own time; campaigns that somebody has ended "
    "are not among them. Budgets begin unused.",
)
WHOLE_TIME = "Drafts are in force for the whole time, whatever their own dates; weekdays and hours hold."
OWN_TIME = "Drafts are in force within their own dates alone."
NOT_PRICED = "Offers for top-ups are not priced: {names}."

_ALWAYS = (datetime(1, 1, 2), datetime(9999, 12, 30))  # noqa: DTZ001  (wall clocks)


async def simulate(
    history: History,
    drafts: Sequence[Campaign],
    running: Sequence[Campaign],
    policy: StackingPolicy,
    *,
    whole_time: bool,
    maximum: int = MAX_SIMULATED,
) -> ReplayReport | Refusal:
    """What ``drafts`` would have given beside ``running``: with ``whole_time`` whatever their own dates.

    Refused: ``too_many_purchases``.
    """
    if whole_time:
        drafts = [over_whole_time(draft) for draft in drafts]
    if history.issuers is not None:
        drafts, running = for_issuers(drafts, history.issuers), for_issuers(running, history.issuers)
    if (refused := await check_size(history, maximum=maximum)) is not None:
        return refused
    both = compile_campaigns(run_beside(running, drafts), policy)
    replayer = Replayer(compile_campaigns(running, policy), both, frozenset(draft.id for draft in drafts))
    budgets = Budgets()
    async for baskets in read_baskets(history, asks=asks_of(both)):
        # beside the event loop, which has payments to answer
        await asyncio.to_thread(_price, replayer, budgets, baskets)
    return report_of(history, replayer.tally, budgets.ended, drafts, running, whole_time=whole_time)


def _price(replayer: Replayer, budgets: Budgets, baskets: Sequence[Basket]) -> None:
    """One basket after the other, so that a budget ends at one without the others being priced again."""
    for basket in baskets:
        one = [basket]
        while not budgets.check(replayer.price(one, budgets.ended)):
            pass
        replayer.keep()


def asks_of(campaigns: CompiledCampaigns) -> Asks:
    """What a simulation wants to know of holders: what offers ask, and their segments, which it reports by."""
    return campaigns.asks_of_purchases | Asks.SEGMENTS


def over_whole_time(draft: Campaign) -> Campaign:
    """The draft as if it had always been in force, and its offers with it."""
    offers = tuple(
        replace(offer, conditions=replace(offer.conditions, starts_at=None, ends_at=None))
        for offer in draft.terms.offers
    )
    return replace(draft, terms=replace(draft.terms, starts_at=_ALWAYS[0], ends_at=_ALWAYS[1], offers=offers))


def report_of(
    history: History,
    tally: Tally,
    ended: Ended,
    drafts: Sequence[Campaign],
    running: Sequence[Campaign],
    *,
    whole_time: bool,
) -> ReplayReport:
    """The report of a book's replay, which names stores, merchants and funders by their ids."""
    assumptions = [*ASSUMPTIONS, WHOLE_TIME if whole_time else OWN_TIME]
    kinds = find_kinds()
    names = [
        f"{draft.terms.code} {offer.name}"
        for draft in drafts
        for offer in draft.terms.offers
        if isinstance(kinds[offer.kind], LoadKind)
    ]
    if names:
        assumptions.append(NOT_PRICED.format(names=", ".join(names)))
    return make_report(
        tally,
        ended,
        drafts,
        running,
        first=history.since.date(),
        last=(history.until - timedelta.resolution).date(),
        assumptions=assumptions,
        show_store=lambda id_: show_id(Prefix.STORE, id_),
        show_party=_show_party,
    )


def _show_party(kind: str, party: str) -> str:
    prefix = Prefix.MERCHANT if kind == FunderKind.MERCHANT else Prefix.FUNDER
    return f"{kind} {show_id(prefix, UUID(party))}" if party else kind
