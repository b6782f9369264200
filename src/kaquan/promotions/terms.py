"""What a campaign promises: the structs of a campaign file. Which of them are allowed is :mod:`.check`'s.

A *kind* gives something for goods or for a load (``kinds/``). Who, where, when and for which goods are *conditions*,
which every offer can carry: a member day, a birthday, hours and weekdays, a trade, a store, a district, the first
purchase, a segment. So a new kind has all conditions, and a new condition is one of all kinds.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from kaquan.promotions.types import BudgetReturn, Funder, FunderKind, OnReturn

ISSUER_ALONE = (Funder(FunderKind.ISSUER, None, 10_000),)


class Birthday(StrEnum):
    """When an offer for birthdays is given."""

    DAY = "day"
    WEEK = "week"
    """Three days before to three days after."""
    MONTH = "month"


class Hours(NamedTuple):
    """A part of each day, in minutes since midnight; past midnight when it ends before it begins."""

    from_minute: int
    to_minute: int

    def holds_at(self, minute: int) -> bool:
        if self.from_minute < self.to_minute:
            return self.from_minute <= minute < self.to_minute
        return minute >= self.from_minute or minute < self.to_minute


class Goods(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which lines of a basket an offer looks at; empty: all of them.

    A line is in by its product or by one of its categories, and out by one of those that are excluded.
    """

    skus: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    except_skus: frozenset[str] = frozenset()
    except_categories: frozenset[str] = frozenset()

    def holds(self, sku: str, categories: frozenset[str]) -> bool:
        """Whether goods are among them."""
        if sku in self.except_skus or not self.except_categories.isdisjoint(categories):
            return False
        return not (self.skus or self.categories) or sku in self.skus or not self.categories.isdisjoint(categories)


ALL_GOODS = Goods()


class Conditions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who, where, when and for which goods. All that are told must hold; of the values of one, any."""

    starts_at: datetime | None = None
    """The wall clock in the issuer's zone, from when; else when the campaign starts."""
    ends_at: datetime | None = None
    """Until when, excluded; else when the campaign ends."""
    weekdays: frozenset[int] = frozenset()
    """1: Monday … 7: Sunday."""
    days_of_month: frozenset[int] = frozenset()
    """The member day: such as the 8th, 18th and 28th."""
    hours: tuple[Hours, ...] = ()
    programme_ids: frozenset[UUID] = frozenset()
    merchant_ids: frozenset[UUID] = frozenset()
    store_ids: frozenset[UUID] = frozenset()
    trades: frozenset[str] = frozenset()
    districts: frozenset[str] = frozenset()
    goods: Goods = ALL_GOODS
    birthday: Birthday | None = None
    first_purchase: bool = False
    """The first purchase; of a top-up offer, the first top-up."""
    segments: frozenset[str] = frozenset()
    except_segments: frozenset[str] = frozenset()
    tiers: frozenset[str] = frozenset()


NO_CONDITIONS = Conditions()


class Base(StrEnum):
    """What a threshold and a percentage are counted of."""

    LIST = "list"
    """What the goods cost before every offer: the order of offers makes no difference to it."""
    RUNNING = "running"
    """What they cost after the offers before it."""


class Stacking(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How an offer goes together with others.

    Of a ``group`` one offer applies: the one that is worth most to the holder by itself. Offers without a group (empty)
    go with everything. One that stands ``alone`` applies instead of all others together, where it is worth more.
    Offers apply by ``order``, the lower first; then by the campaign's code and their name.
    """

    order: int = 100
    group: str = "standard"
    alone: bool = False
    base: Base = Base.RUNNING
    max_vouchers: int = 1
    """How many vouchers of this offer one basket may redeem; those beyond are left with the holder."""


class Offer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One rule. ``params`` is the struct of its ``kind``."""

    name: str
    kind: str
    params: Any
    conditions: Conditions = NO_CONDITIONS
    stacking: Stacking = Stacking()
    funders: tuple[Funder, ...] = ()
    """Who pays; empty: the campaign's."""
    on_return: OnReturn = OnReturn.SHARE


class BudgetMetric(StrEnum):
    """What a budget counts."""

    AMOUNT = "amount"
    COUNT = "count"
    POINTS = "points"


class BudgetScope(StrEnum):
    """Whose use is counted together."""

    ALL = "all"
    HOLDER = "holder"
    CARD = "card"
    STORE = "store"
    MERCHANT = "merchant"


class BudgetPeriod(StrEnum):
    """Over what it is counted, in the issuer's zone."""

    TOTAL = "total"
    DAY = "day"
    MONTH = "month"
    YEAR = "year"


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The most that a campaign gives: minor units of discounts and grants together, points, or payments that it applied
    to.

    A payment that would go beyond it is made without the campaign: an offer is given whole or not at all. What was
    counted under one policy of returns is given back under that one, whatever the next version says.
    """

    name: str
    metric: BudgetMetric
    maximum: int
    scope: BudgetScope = BudgetScope.ALL
    period: BudgetPeriod = BudgetPeriod.TOTAL
    on_return: BudgetReturn = BudgetReturn.WHOLE


class CampaignTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a version of a campaign promises, and so what a campaign file holds."""

    code: str
    """Its short name in the book; breaks ties between offers of the same order."""
    name: str
    issuer_id: UUID
    starts_at: datetime
    """The wall clock in the issuer's zone, whole minutes."""
    ends_at: datetime
    """Excluded."""
    offers: tuple[Offer, ...]
    budgets: tuple[Budget, ...] = ()
    funders: tuple[Funder, ...] = ISSUER_ALONE
    control_bp: int = 1_000
    """The share of holders who get nothing of it, so that its effect can be known."""


class StackingPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What binds all campaigns of a book together in one basket. Offers from outside count in it."""

    max_discount_bp: int = 10_000
    """Of the basket at list price."""
    max_discount_fen: int | None = None
    max_offers: int | None = None
    max_day_fen: int | None = None
    """What one holder gets in discounts on one day: a budget like others."""


NO_POLICY = StackingPolicy()


class Campaign(msgspec.Struct, frozen=True):
    """A version of a campaign, as it is compiled."""

    id: UUID
    version: int
    terms: CampaignTerms
