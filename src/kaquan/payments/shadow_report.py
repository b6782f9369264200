"""What a draft beside live traffic would have done so far: told from what the worker wrote payment by payment."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from kaquan.kit.db import Pool
from kaquan.kit.paging import DEFAULT_LIMIT, Page, cut_page
from kaquan.payments import store
from kaquan.payments.store import ShadowRow
from kaquan.promotions import CampaignTerms, Shadow
from kaquan.promotions.compile import compile_budgets
from kaquan.promotions.terms import BudgetMetric, BudgetPeriod, BudgetScope

STORES_TOLD = 10
"""How many stores are told by name; the others together."""

ASSUMPTIONS = (
    "Every holder buys what was bought: what a draft would have changed in that, no record tells.",
    "Purchases count as they were made, authorizations as they were asked for; what was voided or given back later "
    "gives no use of the draft's budgets back.",
    "The draft is taken as in force for the whole time of its shadow, whatever its own dates; weekdays and hours hold.",
    "Budgets of other campaigns are as they were for the payment itself; vouchers that the draft would have granted "
    "are redeemed by nobody.",
)


class ShadowSums(NamedTuple):
    """Sums over what was seen, in minor units. ``others_fen`` is what everything else would have given beside the
    draft, ``gave_fen`` what it gave, ``gave_own_fen`` what the version in force of the same campaign gave."""

    purchases: int
    loads: int
    amount_fen: int
    applied: int
    held_back: int
    over_budget: int
    holders: int
    discount_fen: int
    granted_fen: int
    points: int
    others_fen: int
    gave_own_fen: int
    gave_fen: int
    winners: int
    won_fen: int
    losers: int
    lost_fen: int
    first_at: datetime | None
    last_at: datetime | None
    first_applied_at: datetime | None
    last_applied_at: datetime | None


class ShadowDay(NamedTuple):
    """What one funder would have paid on a day."""

    day: date
    kind: str
    party_id: UUID
    discount_fen: int


class ShadowStore(NamedTuple):
    """What would have been given in a store; None: the others together, or top-ups that are made at none."""

    store_id: UUID | None
    payments: int
    discount_fen: int
    granted_fen: int


class ShadowSkip(NamedTuple):
    """How often an offer would not have applied, for a reason of ``promotions/outcomes.py``."""

    offer: str
    why: str
    times: int


class ShadowBudget(NamedTuple):
    """What would have been used of a budget, or of the part of one subject, in a period."""

    name: str
    metric: BudgetMetric
    scope: BudgetScope
    period: BudgetPeriod
    maximum: int
    subject_id: UUID | None
    when: str
    used: int
    exhausted_at: datetime | None


class ShadowReport(NamedTuple):
    """All of it. ``waiting`` payments are not priced yet."""

    shadow: Shadow
    waiting: int
    sums: ShadowSums
    days: list[ShadowDay]
    stores: list[ShadowStore]
    others: ShadowStore | None
    skips: list[ShadowSkip]
    budgets: list[ShadowBudget]


class ShadowSearch(NamedTuple):
    """Which payments of a shadow: the newest first, beginning after ``after_id``. None does not narrow."""

    limit: int = DEFAULT_LIMIT
    after_id: UUID | None = None
    fate: str | None = None
    why: str | None = None
    day: date | None = None


async def report_shadow(pool: Pool, shadow: Shadow, terms: CampaignTerms, *, slots: Sequence[int]) -> ShadowReport:
    """What a shadow has found so far."""
    budgets = {one.id: own for one, own in zip(compile_budgets(shadow.campaign_id, terms), terms.budgets, strict=True)}
    async with pool.connection() as connection:
        sums = ShadowSums(*await store.sum_shadow(connection, shadow, slots=slots))
        days = [ShadowDay(*row) for row in await store.sum_shadow_days(connection, shadow, slots=slots)]
        stores = [ShadowStore(*row) for row in await store.sum_shadow_stores(connection, shadow, slots=slots)]
        skips = [ShadowSkip(*row) for row in await store.sum_shadow_skips(connection, shadow, slots=slots)]
        used = await store.list_shadow_budgets(connection, shadow)
        waiting = await store.count_seen(connection, shadow, slots=slots)
    rest = stores[STORES_TOLD:]
    others = None
    if rest:
        others = ShadowStore(
            None, sum(one.payments for one in rest), sum(one.discount_fen for one in rest),
            sum(one.granted_fen for one in rest),
        )  # fmt: skip
    told = [
        ShadowBudget(
            own.name, own.metric, own.scope, own.period, own.maximum, subject_id if subject_id.int else None, when,
            count if own.metric is BudgetMetric.COUNT else fen, exhausted_at,
        )
        for budget_id, subject_id, when, fen, count, exhausted_at in used
        for own in (budgets[budget_id],)
    ]  # fmt: skip
    return ShadowReport(shadow, waiting, sums, days, stores[:STORES_TOLD], others, skips, told)


async def list_shadow_payments(
    pool: Pool, shadow: Shadow, *, slots: Sequence[int], search: ShadowSearch
) -> Page[ShadowRow]:
    """The payments that a shadow has seen, the newest first."""
    async with pool.connection() as connection:
        rows = await store.list_shadow_rows(connection, shadow, slots=slots, search={**search._asdict()})
    last_id = rows[search.limit - 1].transaction_id if len(rows) > search.limit else None
    return cut_page(rows, limit=search.limit, last_id=last_id)
