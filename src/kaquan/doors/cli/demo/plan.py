"""What the demo will send, decided before anything is sent: loads, and lanes that keep each card's order.

The loads are ours: the data say nothing about how a household pays.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, time

import msgspec

from kaquan.doors.cli.demo.year import ZONE, Basket

LOAD_STEP_FEN = 1_000
"""Loads are whole multiples of ten dollars, as people load cards."""


class Load(msgspec.Struct, frozen=True, gc=False):
    """Money put on a household's card: at the first minute of a month in New York, or at the till."""

    household_id: int
    amount_fen: int
    occurred_at: datetime
    local_date: date


Step = Load | Basket


def plan_loads(purchases: Iterable[Basket], *, cap_fen: Callable[[int], int]) -> list[Load]:
    """The least loads, in steps of ``LOAD_STEP_FEN``, with which every card can pay what it buys.

    At the start of each month a card gets what it will spend in that month, less what is left on it; where that is more
    than a card of its household may hold (``cap_fen``), the rest follows at the till, when it is needed. ``purchases``
    are in the order of time.
    """
    bought: defaultdict[int, defaultdict[date, list[Basket]]] = defaultdict(lambda: defaultdict(list))
    for basket in purchases:
        bought[basket.household_id][basket.local_date.replace(day=1)].append(basket)
    loads = []
    for household_id, by_month in bought.items():
        left_fen, most_fen = 0, cap_fen(household_id)
        for month in sorted(by_month):
            due_fen = sum(basket.amount_fen for basket in by_month[month])
            midnight = datetime.combine(month, time(), ZONE).astimezone(UTC)
            if load_fen := _next_load(due_fen, left_fen, most_fen):
                loads.append(Load(household_id, load_fen, midnight, month))
                left_fen += load_fen
            for basket in by_month[month]:
                if left_fen < basket.amount_fen:
                    load_fen = _next_load(due_fen, left_fen, most_fen)
                    loads.append(Load(household_id, load_fen, basket.occurred_at, basket.local_date))
                    left_fen += load_fen
                left_fen -= basket.amount_fen
                due_fen -= basket.amount_fen
    return loads


def _next_load(due_fen: int, left_fen: int, most_fen: int) -> int:
    """What is missing, up to the next step, or as many steps as the card can take."""
    steps = -(-max(due_fen - left_fen, 0) // LOAD_STEP_FEN)
    return min(steps, (most_fen - left_fen) // LOAD_STEP_FEN) * LOAD_STEP_FEN


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
