"""Budgets of campaigns are counted as limits are, in the posting call (ADR 0016). This is what is known of their rest.

A payment for which a budget leaves no room is planned again without the offers of that budget, and goes on. So that not
every payment after the last one has to find that out at the database, what was read is remembered for a moment.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from kaquan.payments.limits import Maxima, Moment, Usage, Use, usage_key
from kaquan.promotions import BudgetUse

REMEMBERED_S = 1.0
"""How long a rest is believed: what is given back meanwhile is seen this much later."""

MAX_REMEMBERED = 20_000

Counted = Sequence[tuple[BudgetUse, Use]]
"""What a payment counts in budgets, and as what."""


class Used(NamedTuple):
    """What was used of a budget in the period that is asked for."""

    fen: int
    times: int


class _Rest(NamedTuple):
    fen: int | None
    times: int | None
    until: float


def budget_use(use: BudgetUse, moment: Moment, card_id: UUID) -> Use:
    """What a payment counts in a budget, as it counts in a limit. A whole life is one period that never ends.

    >>> from datetime import UTC, datetime
    >>> from kaquan.payments.limits import moment_of
    >>> now = moment_of(datetime(2026, 3, 1, 18, tzinfo=UTC), "Asia/Shanghai")
    >>> all_time = BudgetUse(UUID(int=1), UUID(int=2), None, "total", 500, None, 10_000)
    >>> _, amount_fen, day, month, year, maxima, is_shared = budget_use(all_time, now, UUID(int=3))
    >>> amount_fen, day, month, year, maxima.year_count, is_shared
    (500, 0, 0, 0, 10000, True)
    """
    key = budget_key(use.budget_id, use.subject_id, use.period)
    is_shared = use.subject_id != card_id
    if use.period == "total":
        return Use(key, use.amount_fen, 0, 0, 0, Maxima(year_fen=use.max_fen, year_count=use.max_count), is_shared)
    maxima = Maxima(**{f"{use.period}_fen": use.max_fen, f"{use.period}_count": use.max_count})
    return Use(key, use.amount_fen, moment.day, moment.month, moment.year, maxima, is_shared)


def budget_key(budget_id: UUID, subject_id: UUID | None, period: str) -> UUID:
    """What a budget, or a subject's part of it, is counted by."""
    return usage_key(budget_id, subject_id or budget_id, f"budget/{period}")


def used_of(period: str, use: Use, usage: Usage | None) -> Used:
    """What was used of a budget in the period that a use falls into."""
    if usage is None:
        return Used(0, 0)
    then, fen, count, now = {
        "day": (usage.day, usage.day_fen, usage.day_count, use.day),
        "month": (usage.month, usage.month_fen, usage.month_count, use.month),
    }.get(period, (usage.year, usage.year_fen, usage.year_count, use.year))
    return Used(fen, count) if then >= now else Used(0, 0)


class Rests:
    """What is left of budgets that did not leave room a moment ago. One per desk."""

    def __init__(self) -> None:
        self._known: dict[UUID, _Rest] = {}

    def learn(self, counted: Counted, usage: Mapping[UUID, Usage], *, at: float) -> None:
        """Remember what was read for a payment."""
        if len(self._known) > MAX_REMEMBERED:
            self._known.clear()
        for budget, use in counted:
            used = used_of(budget.period, use, usage.get(use.key))
            self._known[use.key] = _Rest(
                None if budget.max_fen is None else budget.max_fen - used.fen,
                None if budget.max_count is None else budget.max_count - used.times,
                at + REMEMBERED_S,
            )

    def lacking(self, counted: Counted, *, at: float) -> list[tuple[BudgetUse, Use, int]]:
        """Those that are known not to leave room for this payment, and how much or how often they still do."""
        found = []
        for budget, use in counted if self._known else ():
            rest = self._known.get(use.key)
            if rest is None or rest.until < at:
                continue
            if rest.fen is not None and budget.amount_fen > rest.fen:
                found.append((budget, use, max(rest.fen, 0)))
            elif rest.times is not None and rest.times < 1:
                found.append((budget, use, 0))
        return found
