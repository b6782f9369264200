"""How much of a campaign's budgets is used: from the very counters that payments are held to."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from kaquan.kit.db import Pool
from kaquan.kit.ids import MARGIN, Prefix, first_id
from kaquan.kit.outcomes import NOT_FOUND, Refusal
from kaquan.kit.paging import DEFAULT_LIMIT, Page, cut_page
from kaquan.ledger import slot_of
from kaquan.payments import store
from kaquan.payments.budgets import Used, budget_key, used_of
from kaquan.payments.limits import Maxima, Moment, Use, moment_of
from kaquan.payments.read import read_budget
from kaquan.promotions import Budget, BudgetMetric, BudgetPeriod, BudgetScope, CampaignTerms, KeptCampaign
from kaquan.promotions.compile import budget_id


class BudgetStanding(NamedTuple):
    """A budget now. Of one that each holder (card, store, merchant) has for itself, ``used`` is None: who used what is
    asked for by :func:`list_budget_users`."""

    id: UUID
    budget: Budget
    when: int
    """The day, month or year that is counted in, as 20260131, 202601 or 2026; 0: all time."""
    used: int | None
    exhausted_at: datetime | None
    """When it first left no room for a payment, in this period."""

    @property
    def left(self) -> int | None:
        """What it still has."""
        return None if self.used is None else max(self.budget.maximum - self.used, 0)

    @property
    def is_exhausted(self) -> bool:
        """Whether nothing is left, or what is left was too little for a payment."""
        return self.left == 0 or self.exhausted_at is not None


class BudgetUser(NamedTuple):
    """What one subject used of its part of a budget in the period of now."""

    prefix: Prefix
    """Of which kind its id is: a holder is a person or, unregistered, a card."""
    id: UUID
    used: int


def terms_counted(campaign: KeptCampaign) -> CampaignTerms:
    """The terms whose budgets are counted: those in force, before the first publication the newest."""
    return (campaign.published or campaign.newest).terms


async def report_budgets(
    pool: Pool, campaign: KeptCampaign, *, slots: Sequence[int], now: datetime
) -> list[BudgetStanding]:
    """Each budget of a campaign as it stands."""
    moment = moment_of(now, campaign.time_zone)
    told = []
    for budget in terms_counted(campaign).budgets:
        id_, when = budget_id(campaign.id, budget.name), when_of(budget.period, moment)
        used = None
        if budget.scope is BudgetScope.ALL:
            found = await read_budget(
                pool, slots=slots, budget_id=id_, subject_id=None, period=budget.period, moment=moment
            )
            used = _by_metric(budget, found)
        async with pool.connection() as connection:
            since = await store.read_exhausted(connection, book_id=campaign.book_id, budget_id=id_, period=when)
        told.append(BudgetStanding(id_, budget, when, used, since))
    return told


async def list_budget_users(
    pool: Pool,
    campaign: KeptCampaign,
    *,
    slots: Sequence[int],
    asked_id: UUID,
    now: datetime,
    limit: int = DEFAULT_LIMIT,
    after_id: UUID | None = None,
) -> Page[BudgetUser] | Refusal:
    """Who used a budget that each subject has for itself, in the period of now: those who used most first.

    Refused: ``not_found`` (budget_id). A budget of all together has no users of parts: the page is empty.
    """
    budgets = {budget_id(campaign.id, one.name): one for one in terms_counted(campaign).budgets}
    budget = budgets.get(asked_id)
    if budget is None:
        return NOT_FOUND.refuse("budget_id", what="budget")
    if budget.scope is BudgetScope.ALL:
        return Page([])
    moment = moment_of(now, campaign.time_zone)
    subjects: dict[UUID, tuple[Prefix, UUID, int]] = {}
    for slot in slots:
        params = {
            "slot": slot,
            "book_id": campaign.book_id,
            "from_id": first_id(campaign.created_at, margin=-MARGIN),
            "budget": asked_id.hex,
            "needle": f'"{asked_id.hex}"'.encode(),
            "day": moment.day if budget.period is BudgetPeriod.DAY else None,
            "month": moment.month if budget.period is BudgetPeriod.MONTH else None,
            "year": moment.year if budget.period is BudgetPeriod.YEAR else None,
        }
        async with pool.connection() as connection:
            rows = await store.load_budget_keys(connection, params)
        for key, is_shared, *ids in rows:
            candidates = zip((Prefix.CARD, Prefix.CUSTOMER, Prefix.STORE, Prefix.MERCHANT), ids, strict=True)
            for prefix, id_ in candidates:
                if id_ is not None and budget_key(asked_id, id_, budget.period) == key:
                    subjects[key] = (prefix, id_, slot_of(key, slots) if is_shared else slot)
    found = []
    for home in slots:
        keys = [key for key, (_, _, own) in subjects.items() if own == home]
        async with pool.connection() as connection:
            usage = await store.read_counters(connection, slot=home, keys=keys)
        for key in keys:
            use = _use_now(key, budget.period, moment)
            used = _by_metric(budget, used_of(budget.period, use, usage.get(key)))
            if used:
                found.append(BudgetUser(*subjects[key][:2], used))
    found.sort(key=lambda user: (-user.used, user.id.int))
    places = {user.id: place for place, user in enumerate(found)}
    begin = 0 if after_id is None else places.get(after_id, len(found) - 1) + 1
    rest = found[begin : begin + limit + 1]
    return cut_page(rest, limit=limit, last_id=rest[limit - 1].id if len(rest) > limit else None)


def when_of(period: BudgetPeriod, moment: Moment) -> int:
    """Which day, month or year it is, as budgets are counted."""
    return {"day": moment.day, "month": moment.month, "year": moment.year}.get(period, 0)


def _use_now(key: UUID, period: BudgetPeriod, moment: Moment) -> Use:
    if period is BudgetPeriod.TOTAL:
        return Use(key, 0, 0, 0, 0, Maxima())
    return Use(key, 0, moment.day, moment.month, moment.year, Maxima())


def _by_metric(budget: Budget, used: Used) -> int:
    return used.times if budget.metric is BudgetMetric.COUNT else used.fen  # or points
