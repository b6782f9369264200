"""Campaigns as they are priced with: everything that does not depend on the basket is done once, here.

A snapshot of one book that is never changed; who holds it takes another one when the campaigns have. It keeps for
places and days that were asked for which offers are on at which minute: that is memory, not state.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta
from enum import Flag, auto
from hashlib import sha256
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from msgspec.structs import replace

from kaquan.kit.ids import uuid_from
from kaquan.kit.money import MAX_FEN
from kaquan.kit.outcomes import Refusal
from kaquan.promotions.kind import Bounds, Effects, LoadKind, PurchaseKind, find_kinds
from kaquan.promotions.outcomes import OFFER_NOT_FOR_HOLDER, OFFER_NOT_HERE, OFFER_NOT_NOW, OFFER_WITHOUT_POINTS
from kaquan.promotions.terms import (
    ALL_GOODS,
    NO_POLICY,
    Base,
    Birthday,
    BudgetMetric,
    BudgetPeriod,
    BudgetScope,
    Campaign,
    CampaignTerms,
    Conditions,
    Goods,
    Offer,
    StackingPolicy,
)
from kaquan.promotions.types import Basket, BudgetReturn, Funder, Line, LoadFacts, OnReturn

MAX_PLACES = 20_000
"""How many places of a day are remembered."""

_FIRSTS = UUID(int=0)
"""Owns the budgets of firsts, and is the campaign of their uses: they are of the book."""


class Asks(Flag):
    """What offers ask of a holder: only that is read for them."""

    NOTHING = 0
    FIRST_PURCHASE = auto()
    FIRST_LOAD = auto()
    BIRTHDAY = auto()
    SEGMENTS = auto()
    TIER = auto()


_ANY = Bounds(1, MAX_FEN, MAX_FEN)
_LOW_64 = (1 << 64) - 1
_DAY_MINUTES = 24 * 60
_WEEK = timedelta(days=3)


class CompiledBudget(NamedTuple):
    """A budget as payments count it. ``id`` is the same in all versions of its campaign."""

    id: UUID
    scope: BudgetScope
    period: BudgetPeriod
    max_fen: int | None
    """Where ``is_points``, points."""
    max_count: int | None
    on_return: BudgetReturn = BudgetReturn.WHOLE
    is_points: bool = False


class CompiledOffer(msgspec.Struct, frozen=True, eq=False):
    """An offer of a campaign, or of a voucher template, ready to be applied."""

    campaign_id: UUID
    version: int
    name: str
    kind: str
    is_for_loads: bool
    rank: tuple[int, str, str]
    """Its place in the order: ``order``, the campaign's code, its name."""
    params: Any
    effects: Callable[[Any, Any], Effects]
    applies: Callable[[Any, Any], Refusal | None]
    bounds: Bounds
    goods: Goods
    group: str
    alone: bool
    is_of_list: bool
    max_vouchers: int
    funders: tuple[Funder, ...]
    on_return: OnReturn
    budgets: tuple[CompiledBudget, ...]
    budget_ids: frozenset[UUID]
    most_fen: int | None
    """More than this the budgets never have."""
    control_bp: int
    control_key: int
    starts_at: datetime
    ends_at: datetime
    conditions: Conditions
    asks_holder: bool
    gives_points: bool = False
    most_points: int | None = None
    """As ``most_fen``, of points."""
    asks: Asks = Asks.NOTHING
    bit: int = 0
    """That of its goods among those of its book; 0: all goods, or those of a voucher."""

    @property
    def sight(self) -> int:
        """Offers of one basket with the same number look at the same goods at the same prices."""
        if self.bit or self.goods == ALL_GOODS:
            return self.bit << 1 | self.is_of_list
        return -(id(self.goods) << 1 | self.is_of_list)

    @property
    def first_id(self) -> UUID | None:
        """The budget of what a holder has once only: a first purchase, a first top-up."""
        if not self.asks & _EITHER_FIRST:
            return None
        return FIRST_LOAD_ID if self.is_for_loads else FIRST_PURCHASE_ID

    def as_applied(self) -> "CompiledOffer":
        """The offer for goods of a payment that it applied to: who, where and when held then, and chance was with it.
        Only its goods and thresholds are asked again."""
        return replace(
            self,
            conditions=Conditions(goods=self.goods),
            starts_at=datetime.min,  # noqa: DTZ901  (wall clocks)
            ends_at=datetime.max,  # noqa: DTZ901
            asks_holder=False,
            asks=Asks.NOTHING,
            control_bp=0,
        )

    def why_not_now(self, local: datetime) -> Refusal | None:
        """Refused: ``offer_not_now``."""
        return None if self.is_on(local) else OFFER_NOT_NOW.refuse()

    def is_on(self, local: datetime) -> bool:
        """Whether dates, days and hours hold. The days are those of the clock, also after midnight."""
        if not self.starts_at <= local < self.ends_at or not self.is_on_day(local.date()):
            return False
        hours, minute = self.conditions.hours, local.hour * 60 + local.minute
        return not hours or any(part.holds_at(minute) for part in hours)

    def is_on_day(self, day: date) -> bool:
        """Whether weekday and day of the month hold."""
        weekdays, days = self.conditions.weekdays, self.conditions.days_of_month
        return (not weekdays or day.isoweekday() in weekdays) and (not days or day.day in days)

    def why_not_here(self, at: Basket | LoadFacts) -> Refusal | None:
        """Refused: ``offer_not_here``."""
        return None if self.is_here(at) else OFFER_NOT_HERE.refuse()

    def is_here(self, at: Basket | LoadFacts) -> bool:
        """Whether programme, merchant, store, trade and district hold."""
        wanted = self.conditions
        return (
            (not wanted.programme_ids or at.programme_id in wanted.programme_ids)
            and (not wanted.merchant_ids or at.merchant_id in wanted.merchant_ids)
            and (not wanted.store_ids or at.store_id in wanted.store_ids)
            and (not wanted.trades or at.trade in wanted.trades)
            and (not wanted.districts or at.district in wanted.districts)
        )

    def why_not_holder(self, at: Basket | LoadFacts) -> Refusal | None:
        """Refused: ``offer_without_points``, ``offer_not_for_holder`` with the condition that does not hold."""
        wanted, holder = self.conditions, at.holder
        failed = None
        if self.gives_points and not holder.collects:
            return OFFER_WITHOUT_POINTS.refuse()
        if wanted.segments and wanted.segments.isdisjoint(holder.segments):
            failed = "segments"
        elif wanted.except_segments and not wanted.except_segments.isdisjoint(holder.segments):
            failed = "except_segments"
        elif wanted.tiers and holder.tier not in wanted.tiers:
            failed = "tiers"
        elif wanted.first_purchase and not _is_first(at):
            failed = "first_purchase"
        elif wanted.birthday is not None and not _has_birthday(wanted.birthday, holder.birthday, at.local.date()):
            failed = "birthday"
        return None if failed is None else OFFER_NOT_FOR_HOLDER.refuse(condition=failed)

    def holds_back(self, holder_draw: int) -> bool:
        """Whether a holder is in the control group of the campaign: chance that stays the same over its life.

        Multiply-shift hashing: the high half of the draw times an odd number of the campaign's own.
        """
        return _is_drawn(holder_draw, self.control_key, self.control_bp)


def is_in_control(campaign_id: UUID, control_bp: int, holder_id: UUID) -> bool:
    """Whether a holder is in the control group of a campaign."""
    return _is_drawn(draw_of(holder_id), _control_key(campaign_id), control_bp)


def _is_drawn(holder_draw: int, control_key: int, control_bp: int) -> bool:
    return ((holder_draw * control_key & _LOW_64) >> 32) * 10_000 >> 32 < control_bp


def _control_key(campaign_id: UUID) -> int:
    return draw_of(campaign_id, "control") | 1


def draw_of(*parts: UUID | str) -> int:
    """64 bits that nobody chooses and everybody can find again: the first of SHA-256 over the parts."""
    said = b"".join(part.bytes if isinstance(part, UUID) else part.encode() for part in parts)
    return int.from_bytes(sha256(said).digest()[:8], "big")


def budget_id(owner_id: UUID, name: str) -> UUID:
    """The id of a budget: the first half of SHA-256 over its campaign's id and its name."""
    return uuid_from(int.from_bytes(sha256(owner_id.bytes + b"budget/" + name.encode()).digest()[:16], "big"))


FIRST_PURCHASE_ID = budget_id(_FIRSTS, "first_purchase")
FIRST_LOAD_ID = budget_id(_FIRSTS, "first_load")
"""The budgets of what a holder has once only, whichever offers of the book give something for it. A use of them is
counted like any other, so that of two first purchases at one moment one is."""
_EITHER_FIRST = Asks.FIRST_PURCHASE | Asks.FIRST_LOAD


def _asks_of(wanted: Conditions, kind: PurchaseKind[Any] | LoadKind[Any]) -> Asks:
    is_for_loads = isinstance(kind, LoadKind)
    asks = Asks.NOTHING
    if wanted.first_purchase or (isinstance(kind, LoadKind) and kind.asks_first):
        asks |= Asks.FIRST_LOAD if is_for_loads else Asks.FIRST_PURCHASE
    if wanted.birthday is not None:
        asks |= Asks.BIRTHDAY
    if wanted.segments or wanted.except_segments:
        asks |= Asks.SEGMENTS
    if wanted.tiers:
        asks |= Asks.TIER
    return asks


def _is_first(at: Basket | LoadFacts) -> bool:
    return at.is_first if isinstance(at, LoadFacts) else not at.holder.bought_before


def _has_birthday(wanted: Birthday, birthday: tuple[int, int] | None, today: date) -> bool:
    """Who was born on 29 February has a birthday on the 28th in other years."""
    if birthday is None:
        return False
    month, day = birthday
    if wanted is Birthday.MONTH:
        return today.month == month
    days = []
    for year in (today.year - 1, today.year, today.year + 1):
        try:
            days.append(date(year, month, day))
        except ValueError:
            days.append(date(year, month, 28))
    return today in days if wanted is Birthday.DAY else any(abs(one - today) <= _WEEK for one in days)


def compile_offer(
    offer: Offer,
    *,
    campaign_id: UUID,
    version: int,
    code: str,
    starts_at: datetime,
    ends_at: datetime,
    funders: tuple[Funder, ...],
    budgets: tuple[CompiledBudget, ...] = (),
    control_bp: int = 0,
) -> CompiledOffer:
    """An offer that was checked (:mod:`.check`), as part of a campaign or as the effect of a voucher template.

    ``starts_at`` and ``ends_at`` are those of the campaign; the offer's own may be within.
    """
    kind = find_kinds()[offer.kind]
    wanted, stacking = offer.conditions, offer.stacking
    maxima = [budget.max_fen for budget in budgets if budget.max_fen is not None and not budget.is_points]
    most_points = [budget.max_fen for budget in budgets if budget.max_fen is not None and budget.is_points]
    gives_points = kind.gives_points(offer.params)
    asks = _asks_of(wanted, kind)
    firsts = {FIRST_LOAD_ID if asks & Asks.FIRST_LOAD else FIRST_PURCHASE_ID} if asks & _EITHER_FIRST else set()
    return CompiledOffer(
        campaign_id=campaign_id,
        version=version,
        name=offer.name,
        kind=offer.kind,
        is_for_loads=isinstance(kind, LoadKind),
        rank=(stacking.order, code, offer.name),
        params=offer.params,
        effects=kind.effects,
        applies=kind.applies,
        bounds=_ANY if isinstance(kind, LoadKind) else kind.bounds(offer.params),
        goods=wanted.goods,
        group=stacking.group,
        alone=stacking.alone,
        is_of_list=stacking.base is Base.LIST,
        max_vouchers=stacking.max_vouchers,
        funders=offer.funders or funders,
        on_return=offer.on_return,
        budgets=budgets,
        budget_ids=frozenset(budget.id for budget in budgets) | firsts,
        most_fen=min(maxima, default=None),
        control_bp=control_bp,
        control_key=_control_key(campaign_id),
        starts_at=max(starts_at, wanted.starts_at or starts_at),
        ends_at=min(ends_at, wanted.ends_at or ends_at),
        conditions=wanted,
        asks_holder=bool(
            wanted.segments
            or wanted.except_segments
            or wanted.tiers
            or wanted.first_purchase
            or wanted.birthday is not None
            or gives_points
        ),
        gives_points=gives_points,
        most_points=min(most_points, default=None),
        asks=asks,
    )


def compile_campaign(campaign: Campaign) -> list[CompiledOffer]:
    """Every offer of one version of a campaign."""
    terms = campaign.terms
    budgets = compile_budgets(campaign.id, terms)
    return [
        compile_offer(
            offer,
            campaign_id=campaign.id,
            version=campaign.version,
            code=terms.code,
            starts_at=terms.starts_at,
            ends_at=terms.ends_at,
            funders=terms.funders,
            budgets=budgets,
            control_bp=terms.control_bp,
        )
        for offer in terms.offers
    ]


def compile_budgets(campaign_id: UUID, terms: CampaignTerms) -> tuple[CompiledBudget, ...]:
    """The budgets of a campaign, with the ids by which they are counted."""
    return tuple(
        CompiledBudget(
            budget_id(campaign_id, budget.name),
            budget.scope,
            budget.period,
            None if budget.metric is BudgetMetric.COUNT else budget.maximum,
            budget.maximum if budget.metric is BudgetMetric.COUNT else None,
            budget.on_return,
            budget.metric is BudgetMetric.POINTS,
        )
        for budget in terms.budgets
    )


class Entry(NamedTuple):
    """An offer with what is asked of it first: for most offers that is all."""

    bound_fen: int
    """It is never worth more to the baskets that it is entered for."""
    bit: int
    sight: int
    least_fen: int
    most_bp: int
    most_fen: int
    offer: CompiledOffer


def enter(offer: CompiledOffer, below_fen: int = MAX_FEN + 1) -> Entry:
    """The entry of an offer, for baskets of less than so much."""
    bound_fen = min(offer.bounds.most_fen, below_fen * offer.bounds.most_bp // 10_000)
    return Entry(bound_fen, offer.bit, offer.sight, *offer.bounds, offer)


class Ladder:
    """The offers of a group that baskets of so much reach, in the order of what they can be worth to them: whoever goes
    down it may stop where that is less than what was found, and so asks few offers for their effects."""

    __slots__ = ("_froms", "_steps")

    def __init__(self, offers: Sequence[CompiledOffer]) -> None:
        self._froms = sorted({offer.bounds.least_fen for offer in offers})
        # what is a share of the price has no bound above the last threshold: some steps more tell them apart
        self._froms += [self._froms[-1] << doubled for doubled in range(1, 5)]
        self._steps = []
        for from_fen, below_fen in zip(self._froms, [*self._froms[1:], MAX_FEN + 1], strict=True):
            reached = [enter(offer, below_fen) for offer in offers if offer.bounds.least_fen <= from_fen]
            self._steps.append(sorted(reached, key=_BOUND, reverse=True))

    def at(self, amount_fen: int) -> Sequence[Entry]:
        """The entries for a basket of so much."""
        step = bisect_right(self._froms, amount_fen)
        return self._steps[step - 1] if step else ()


_BOUND = attrgetter("bound_fen")


class Plan:
    """The offers that are on at a place and a minute, sorted for choosing."""

    __slots__ = ("alone", "free", "groups", "offers")

    def __init__(self, offers: Sequence[CompiledOffer]) -> None:
        self.offers = tuple(offers)
        self.alone = [(enter(offer),) for offer in offers if offer.alone]
        self.free = [(enter(offer),) for offer in offers if not offer.alone and not offer.group]
        groups: dict[str, list[CompiledOffer]] = {}
        for offer in offers:
            if offer.group and not offer.alone:
                groups.setdefault(offer.group, []).append(offer)
        self.groups = [(group, Ladder(several)) for group, several in groups.items()]


NO_PLAN = Plan(())


class CompiledCampaigns:
    """All campaigns of a book that may apply now or soon, ready to price with. Empty: nothing is in force."""

    __slots__ = (
        "all_goods_bits",
        "asks_of_loads",
        "asks_of_purchases",
        "bits",
        "category_bits",
        "loads",
        "loads_give_points",
        "offers",
        "policy",
        "purchases",
        "sku_bits",
    )

    def __init__(self, offers: Sequence[CompiledOffer], policy: StackingPolicy) -> None:
        # Which goods there are among those of all offers is found line by line, by one look-up for each name.
        several = {offer.goods: None for offer in offers if offer.goods != ALL_GOODS}
        self.bits = {goods: 1 << position for position, goods in enumerate(several)}
        self.offers = tuple(
            replace(offer, bit=self.bits.get(offer.goods, 0)) for offer in sorted(offers, key=lambda offer: offer.rank)
        )
        self.policy = policy
        self.purchases = Calendar([offer for offer in self.offers if not offer.is_for_loads])
        self.loads = Calendar([offer for offer in self.offers if offer.is_for_loads])
        self.asks_of_purchases = join_asks(offer for offer in self.offers if not offer.is_for_loads)
        self.asks_of_loads = join_asks(offer for offer in self.offers if offer.is_for_loads)
        self.loads_give_points = any(offer.gives_points for offer in self.offers if offer.is_for_loads)
        self.all_goods_bits = 0
        self.sku_bits: dict[str, tuple[int, int]] = {}
        self.category_bits: dict[str, tuple[int, int]] = {}
        for goods, bit in self.bits.items():
            if not goods.skus and not goods.categories:
                self.all_goods_bits |= bit
            _add_bit(self.sku_bits, goods.skus, bit, 0)
            _add_bit(self.sku_bits, goods.except_skus, 0, bit)
            _add_bit(self.category_bits, goods.categories, bit, 0)
            _add_bit(self.category_bits, goods.except_categories, 0, bit)

    def __bool__(self) -> bool:
        return bool(self.offers)

    def line_bits(self, lines: Sequence[Line]) -> list[int]:
        """Of each line the ``bits`` of the goods that it is among."""
        sku_bits, category_bits = self.sku_bits, self.category_bits
        found = []
        for line in lines:
            holds, lacks = sku_bits.get(line.sku, _NEITHER)
            holds |= self.all_goods_bits
            for category in line.categories:
                more = category_bits.get(category)
                if more is not None:
                    holds |= more[0]
                    lacks |= more[1]
            found.append(holds & ~lacks)
        return found


def join_asks(offers: Iterable[CompiledOffer]) -> Asks:
    """What any of these offers asks."""
    asks = Asks.NOTHING
    for offer in offers:
        asks |= offer.asks
    return asks


_NEITHER = (0, 0)


def _add_bit(into: dict[str, tuple[int, int]], names: Iterable[str], holds: int, lacks: int) -> None:
    for name in names:
        known = into.get(name, _NEITHER)
        into[name] = (known[0] | holds, known[1] | lacks)


def compile_campaigns(campaigns: Iterable[Campaign], policy: StackingPolicy = NO_POLICY) -> CompiledCampaigns:
    """The snapshot of a book; one version of each campaign."""
    return CompiledCampaigns([offer for campaign in campaigns for offer in compile_campaign(campaign)], policy)


_Place = tuple[UUID, UUID | None, str | None, str | None]
"""Programme, store (else merchant), trade, district."""

_Turns = tuple[list[int], list[Plan]]
"""From which minutes of a day on which offers are on."""


class Calendar:
    """Which offers are on, at a place and a minute."""

    __slots__ = ("_day", "_here", "_offers", "_places", "_plans", "_turns")

    def __init__(self, offers: Sequence[CompiledOffer]) -> None:
        self._offers = offers
        self._day: date | None = None
        self._here: dict[_Place, tuple[CompiledOffer, ...]] = {}
        """By place, whatever the day."""
        self._places: dict[_Place, _Turns] = {}
        """By place, on this day. Most places have the same offers, and so the same plans:"""
        self._turns: dict[tuple[CompiledOffer, ...], _Turns] = {}
        self._plans: dict[tuple[CompiledOffer, ...], Plan] = {}

    def at(self, at: Basket | LoadFacts) -> Plan:
        """Those whose place and time hold; what they ask of goods and holder is not yet asked."""
        if not self._offers:
            return NO_PLAN
        local = at.local
        day = local.date()
        if len(self._here) > MAX_PLACES:
            self._here, self._day = {}, None
        if day != self._day:
            self._day, self._places, self._turns, self._plans = day, {}, {}, {}
        place = (at.programme_id, at.store_id or at.merchant_id, at.trade, at.district)
        turns = self._places.get(place)
        if turns is None:
            here = self._here.get(place)
            if here is None:
                here = self._here[place] = tuple(offer for offer in self._offers if offer.is_here(at))
            turns = self._turns.get(here)
            if turns is None:
                turns = self._turns[here] = self._plan_day(here, day)
            self._places[place] = turns
        minutes, plans = turns
        return plans[bisect_right(minutes, local.hour * 60 + local.minute) - 1]

    def _plan_day(self, offers: Sequence[CompiledOffer], day: date) -> "_Turns":
        """From which minutes of the day on which offers are on."""
        midnight = datetime.combine(day, datetime.min.time())
        tomorrow = midnight + timedelta(days=1)
        today = [one for one in offers if one.starts_at < tomorrow and one.ends_at > midnight and one.is_on_day(day)]
        turns = {0}
        for offer in today:
            turns |= {at.hour * 60 + at.minute for at in (offer.starts_at, offer.ends_at) if at.date() == day}
            turns |= {minute % _DAY_MINUTES for part in offer.conditions.hours for minute in part}
        minutes, plans = sorted(turns), []
        for minute in minutes:
            on = tuple(offer for offer in today if offer.is_on(midnight + timedelta(minutes=minute)))
            if (plan := self._plans.get(on)) is None:
                plan = self._plans[on] = Plan(on)
            plans.append(plan)
        return minutes, plans


EMPTY = CompiledCampaigns((), NO_POLICY)
"""A book without campaigns."""
