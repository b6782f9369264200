"""What the demo will send, decided before anything is sent: loads, and lanes that keep each card's order.

The loads are ours: the data say nothing about how a household pays.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time

import msgspec

from kaquan.doors.cli.demo.year import ZONE, Basket

LOAD_STEP_FEN = 1_000
"""Loads are whole multiples of ten dollars, as people load cards."""


class Load(msgspec.Struct, frozen=True, gc=False):
    """Money put on a household's card at the first minute of a month in New York."""

    household_id: int
    amount_fen: int
    occurred_at: datetime
    local_date: date


Step = Load | Basket


def plan_loads(purchases: Iterable[Basket]) -> list[Load]:
    """The least loads, in steps of ``LOAD_STEP_FEN``, with which every card can pay what it buys.

    At the start of each month a card gets what it will spend in that month, less what is left on it.
    """
    spent_fen: defaultdict[int, Counter[date]] = defaultdict(Counter)
    for basket in purchases:
        spent_fen[basket.household_id][basket.local_date.replace(day=1)] += basket.amount_fen
    loads = []
    for household_id, by_month in spent_fen.items():
        left_fen = 0
        for month in sorted(by_month):
            short_fen = max(by_month[month] - left_fen, 0)
            load_fen = -(-short_fen // LOAD_STEP_FEN) * LOAD_STEP_FEN
            left_fen += load_fen - by_month[month]
            if load_fen:
                midnight = datetime.combine(month, time(), ZONE).astimezone(UTC)
                loads.append(Load(household_id, load_fen, midnight, month))
    return loads


def plan_lanes(steps: Iterable[Step], *, lanes: int) -> list[list[Step]]:
    """Share ``steps`` out so that all of one card lie in one lane, in the order of time, a load first.

    The busiest cards are dealt first, each to the lane with the least to do, so that all lanes end together.
    """
    of_card: defaultdict[int, list[Step]] = defaultdict(list)
    for step in steps:
        of_card[step.household_id].append(step)
    shares: list[tuple[int, int, list[Step]]] = [(0, number, []) for number in range(lanes)]
    for card in sorted(of_card.values(), key=len, reverse=True):
        count, number, share = heapq.heappop(shares)
        share.extend(card)
        heapq.heappush(shares, (count + len(card), number, share))
    return [sorted(share, key=_moment) for _, _, share in sorted(shares, key=lambda entry: entry[1])]


def liability_by_day(moves: Sequence[tuple[date, int]]) -> dict[date, int]:
    """What the issuer owes at the end of each day, from the first to the last on which value moved."""
    if not moves:
        return {}
    moved_fen: Counter[date] = Counter()
    for day, amount_fen in moves:
        moved_fen[day] += amount_fen
    owed_fen = 0
    owed: dict[date, int] = {}
    for ordinal in range(min(moved_fen).toordinal(), max(moved_fen).toordinal() + 1):
        day = date.fromordinal(ordinal)
        owed_fen += moved_fen[day]
        owed[day] = owed_fen
    return owed


def _moment(step: Step) -> tuple[datetime, int]:
    return step.occurred_at, step.basket_id if isinstance(step, Basket) else 0
