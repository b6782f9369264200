"""What if: drafts over recorded baskets, by the very function that prices a purchase. Cost and reach, never an effect.

What holders would have done with an offer is not in a record of what they did without it: a replay says what would have
been given for the same baskets, by whom, to whom, and when budgets would have ended. Nothing is written.

Baskets are shared out by holder, so that what one holder may have is counted in one place; what all have together is
counted chunk by chunk. Inside a chunk every share is priced first; where they would go beyond a budget together, it
ends at the first basket that does not fit, and the chunk is priced again. So the report is the same however many share.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple
from uuid import UUID

import msgspec
from msgspec.structs import replace

from kaquan.promotions.compile import EMPTY, CompiledBudget, CompiledCampaigns
from kaquan.promotions.price import DAY_CAP_ID, price_basket
from kaquan.promotions.terms import BudgetScope, Campaign
from kaquan.promotions.types import Basket, BudgetUse, FunderKind, GrantKind, Pricing


class Key(NamedTuple):
    """What a use of a budget is counted under."""

    budget_id: UUID
    subject_id: UUID | None
    """Whose part of it."""
    period: str
    """Which day, month or year; empty: in all."""
    is_alone: bool = False
    """Whether the running campaigns used it without the drafts."""


_CAMPAIGN_AND_FUNDER = attrgetter("campaign_id", "funder")

_PERIOD_LENGTHS = {"total": 0, "year": 4, "month": 7, "day": 10}

Ended = dict[Key, tuple[datetime, UUID]]
"""From which basket on a budget is used up."""


class Shared(NamedTuple):
    """What a basket uses of a budget that holders share."""

    at: tuple[datetime, UUID]
    """When, and which basket: of two at one time the lower id is first."""
    key: Key
    amount_fen: int
    max_fen: int | None
    max_count: int | None


class Reach(msgspec.Struct):
    """What a campaign gave in baskets of one kind: all, those of a store, those of a segment."""

    baskets: int = 0
    amount_fen: int = 0
    """Of these baskets at list price."""
    discount_fen: int = 0
    granted_fen: int = 0

    def add(self, other: "Reach") -> None:
        """Both together."""
        self.baskets += other.baskets
        self.amount_fen += other.amount_fen
        self.discount_fen += other.discount_fen
        self.granted_fen += other.granted_fen


class Change(msgspec.Struct):
    """Baskets that get another discount than without the drafts."""

    winners: int = 0
    won_fen: int = 0
    losers: int = 0
    """Where a draft takes the place of something better, or leaves a budget or a cap less room for it."""
    lost_fen: int = 0

    def add(self, other: "Change") -> None:
        """Both together."""
        self.winners += other.winners
        self.won_fen += other.won_fen
        self.losers += other.losers
        self.lost_fen += other.lost_fen

    def count(self, difference_fen: int) -> None:
        """One more basket."""
        if difference_fen > 0:
            self.winners += 1
            self.won_fen += difference_fen
        elif difference_fen < 0:
            self.losers += 1
            self.lost_fen -= difference_fen


class Tally(msgspec.Struct):
    """What a share of the baskets came to."""

    baskets: int = 0
    amount_fen: int = 0
    running_alone_fen: int = 0
    """What the running campaigns give without the drafts."""
    running_fen: int = 0
    """What they give beside them."""
    drafts_fen: int = 0
    held_back: int = 0
    """Baskets of holders in a control group that would have got something."""
    change: Change = msgspec.field(default_factory=Change)
    store_changes: dict[UUID, Change] = {}
    segment_changes: dict[str, Change] = {}
    alone: dict[UUID, int] = {}
    """What each running campaign gives without the drafts."""
    campaigns: dict[UUID, Reach] = {}
    holders: dict[UUID, set[UUID]] = {}
    funders: dict[tuple[UUID, str, str], int] = {}
    """By campaign, kind and id of the funder."""
    stores: dict[tuple[UUID, UUID], Reach] = {}
    segments: dict[tuple[UUID, str], Reach] = {}

    def add(self, other: "Tally") -> None:
        """Both together."""
        for field in ("baskets", "amount_fen", "running_alone_fen", "running_fen", "drafts_fen", "held_back"):
            setattr(self, field, getattr(self, field) + getattr(other, field))
        self.change.add(other.change)
        for store_id, change in other.store_changes.items():
            self.store_changes.setdefault(store_id, Change()).add(change)
        for name, change in other.segment_changes.items():
            self.segment_changes.setdefault(name, Change()).add(change)
        for id_, fen in other.alone.items():
            self.alone[id_] = self.alone.get(id_, 0) + fen
        for id_, holders in other.holders.items():
            self.holders.setdefault(id_, set()).update(holders)
        for funder, fen in other.funders.items():
            self.funders[funder] = self.funders.get(funder, 0) + fen
        for id_, reach in other.campaigns.items():
            self.campaigns.setdefault(id_, Reach()).add(reach)
        for place, reach in other.stores.items():
            self.stores.setdefault(place, Reach()).add(reach)
        for segment, reach in other.segments.items():
            self.segments.setdefault(segment, Reach()).add(reach)


class Replayer:
    """Prices the baskets of some holders, chunk by chunk: :meth:`price` until :meth:`keep`."""

    def __init__(self, running: CompiledCampaigns, both: CompiledCampaigns, drafts: frozenset[UUID]) -> None:
        self._running, self._both, self._drafts = running, both, drafts
        self._has_running = bool(running)
        self._budgets = {False: _shared_budgets(both), True: _shared_budgets(running)}
        self._ended: dict[bool, list[CompiledBudget]] = {}
        """Those of them that are used up somewhere."""
        self._own: dict[Key, tuple[int, int]] = {}
        self._pending: list[tuple[Basket, Pricing, Pricing | None]] = []
        self._pending_own: dict[Key, tuple[int, int]] = {}
        self.tally = Tally()

    def price(self, baskets: Iterable[Basket], ended: Ended) -> list[Shared]:
        """Price a chunk, oldest first, as if ``ended`` were all that is used up; what it uses of shared budgets.

        The running campaigns are priced by themselves too, with budgets of their own: what ends without the drafts is
        no loss by them.
        """
        self._pending, self._pending_own = [], {}
        shared: list[Shared] = []
        ids = {key.budget_id for key in ended}
        self._ended = {of: [one for one in budgets if one.id in ids] for of, budgets in self._budgets.items()}
        for basket in baskets:
            alone = self._price(self._running, basket, ended, shared, is_alone=True) if self._has_running else None
            self._pending.append((basket, self._price(self._both, basket, ended, shared, is_alone=False), alone))
        return shared

    def _price(
        self, compiled: CompiledCampaigns, basket: Basket, ended: Ended, shared: list[Shared], *, is_alone: bool
    ) -> Pricing:
        exhausted = _over(basket, ended, self._ended[is_alone], is_alone=is_alone) if ended else frozenset()
        while True:
            if DAY_CAP_ID in exhausted:  # of the holder, who gets no discount any more that day
                compiled = EMPTY
            pricing = price_basket(compiled, basket, exhausted=exhausted)
            over = {use.budget_id for use in pricing.uses if _is_own(use) and self._is_over(use, basket, is_alone)}
            if not over:
                break
            exhausted |= over
        for use in pricing.uses:
            key = key_of(use, basket.local, is_alone=is_alone)
            if _is_own(use):
                fen, count = self._used(key)
                self._pending_own[key] = (fen + use.amount_fen, count + 1)
            else:
                at = (basket.local, basket.transaction_id)
                shared.append(Shared(at, key, use.amount_fen, use.max_fen, use.max_count))
        return pricing

    def _used(self, key: Key) -> tuple[int, int]:
        return self._pending_own.get(key) or self._own.get(key) or (0, 0)

    def _is_over(self, use: BudgetUse, basket: Basket, is_alone: bool) -> bool:
        fen, count = self._used(key_of(use, basket.local, is_alone=is_alone))
        return _does_not_fit(fen + use.amount_fen, count + 1, use.max_fen, use.max_count)

    def keep(self) -> None:
        """Count the chunk as it was priced last."""
        self._own |= self._pending_own
        for basket, pricing, alone in self._pending:
            self._count(basket, pricing, alone)
        self._pending = []

    def _count(self, basket: Basket, pricing: Pricing, alone: Pricing | None) -> None:
        tally = self.tally
        alone_fen = 0
        if alone is not None and alone.applied:
            alone_fen = alone.discount_fen
            for one in alone.applied:
                tally.alone[one.campaign_id] = tally.alone.get(one.campaign_id, 0) + one.discount_fen
        tally.baskets += 1
        tally.amount_fen += pricing.amount_fen
        tally.running_alone_fen += alone_fen
        tally.held_back += not self._drafts.isdisjoint(pricing.held_back)
        drafts_fen = 0
        if pricing.applied:
            given: dict[UUID, Reach] = {}
            for one in pricing.applied:
                reach = given.setdefault(one.campaign_id, Reach(1, pricing.amount_fen))
                reach.discount_fen += one.discount_fen
                if one.campaign_id in self._drafts:
                    drafts_fen += one.discount_fen
            for grant in pricing.grants:
                if grant.kind is not GrantKind.POINTS:  # which are no money
                    given[grant.campaign_id].granted_fen += grant.amount_fen
            for (campaign_id, paying), shares in groupby(pricing.shares, key=_CAMPAIGN_AND_FUNDER):
                party_id = basket.merchant_id if paying.kind is FunderKind.MERCHANT else paying.party_id
                funder = (campaign_id, paying.kind.value, "" if party_id is None else party_id.hex)
                tally.funders[funder] = tally.funders.get(funder, 0) + sum([share.amount_fen for share in shares])
            for id_, reach in given.items():
                tally.campaigns.setdefault(id_, Reach()).add(reach)
                tally.holders.setdefault(id_, set()).add(basket.holder.id)
                tally.stores.setdefault((id_, basket.store_id), Reach()).add(reach)
                for segment in basket.holder.segments:
                    tally.segments.setdefault((id_, segment), Reach()).add(reach)
        tally.drafts_fen += drafts_fen
        tally.running_fen += pricing.discount_fen - drafts_fen
        if difference_fen := pricing.discount_fen - alone_fen:
            tally.change.count(difference_fen)
            tally.store_changes.setdefault(basket.store_id, Change()).count(difference_fen)
            for segment in basket.holder.segments:
                tally.segment_changes.setdefault(segment, Change()).count(difference_fen)


class Budgets:
    """What all shares use together of the budgets that holders share."""

    def __init__(self) -> None:
        self._used: dict[Key, tuple[int, int]] = {}
        self.ended: Ended = {}

    def check(self, shared: Sequence[Shared]) -> bool:
        """Whether a chunk fits. If it does, it is counted; if not, the first budget that ends is in ``ended``."""
        used: dict[Key, tuple[int, int]] = {}
        for one in sorted(shared, key=lambda use: use.at):
            fen, count = used.get(one.key) or self._used.get(one.key, (0, 0))
            if _does_not_fit(fen + one.amount_fen, count + 1, one.max_fen, one.max_count):
                self.ended[one.key] = one.at
                return False
            used[one.key] = (fen + one.amount_fen, count + 1)
        self._used |= used
        return True

    def used_fen(self, key: Key) -> int:
        """What was used of a budget."""
        return self._used.get(key, (0, 0))[0]


def _does_not_fit(fen: int, count: int, max_fen: int | None, max_count: int | None) -> bool:
    return (max_fen is not None and fen > max_fen) or (max_count is not None and count > max_count)


def _is_own(use: BudgetUse) -> bool:
    """Whether it is a holder's or a card's: those are in one share."""
    return use.subject_id is not None and use.is_of_holder


def _over(basket: Basket, ended: Ended, budgets: Iterable[CompiledBudget], *, is_alone: bool) -> frozenset[UUID]:
    """Which of these budgets are used up for a basket, asked one by one: parts of many days and stores may be."""
    at, local = (basket.local, basket.transaction_id), basket.local
    subjects = {BudgetScope.ALL: None, BudgetScope.STORE: basket.store_id, BudgetScope.MERCHANT: basket.merchant_id}
    periods = {name: period_of(name, local) for name in _PERIOD_LENGTHS}
    over = []
    for budget in budgets:
        since = ended.get(Key(budget.id, subjects[budget.scope], periods[budget.period], is_alone))
        if since is not None and since <= at:
            over.append(budget.id)
    return frozenset(over)


def _shared_budgets(compiled: CompiledCampaigns) -> tuple[CompiledBudget, ...]:
    """The budgets that holders share."""
    of_holders = (BudgetScope.HOLDER, BudgetScope.CARD)
    found = {budget.id: budget for offer in compiled.offers for budget in offer.budgets}
    return tuple(budget for budget in found.values() if budget.scope not in of_holders)


def period_of(name: str, local: datetime) -> str:
    """Which day, month or year of the issuer's zone; empty for all time."""
    return local.isoformat()[: _PERIOD_LENGTHS[name]]


def key_of(use: BudgetUse, local: datetime, *, is_alone: bool) -> Key:
    """What a use is counted under."""
    return Key(use.budget_id, use.subject_id, period_of(use.period, local), is_alone)


def run_beside(running: Iterable[Campaign], drafts: Sequence[Campaign]) -> list[Campaign]:
    """The drafts with what runs anyway; a draft of a running campaign takes the place of what is in force of it."""
    own = {draft.id for draft in drafts}
    return [*(one for one in running if one.id not in own), *drafts]


def for_issuers(campaigns: Iterable[Campaign], programmes: Mapping[UUID, frozenset[UUID]]) -> list[Campaign]:
    """The campaigns of these issuers, every offer for the cards of its issuer's programmes alone, as it is live."""
    found = []
    for campaign in campaigns:
        own = programmes.get(campaign.terms.issuer_id)
        if own is None:
            continue
        offers = []
        for offer in campaign.terms.offers:
            wanted = offer.conditions.programme_ids
            if here := (own & wanted if wanted else own):
                offers.append(replace(offer, conditions=replace(offer.conditions, programme_ids=here)))
        found.append(replace(campaign, terms=replace(campaign.terms, offers=tuple(offers))))
    return found


def by_chunks(baskets: Sequence[Basket], days: int = 7) -> list[list[Basket]]:
    """Baskets, oldest first, by spans of so many days."""
    chunks: dict[int, list[Basket]] = defaultdict(list)
    for basket in baskets:
        chunks[basket.local.toordinal() // days].append(basket)
    return [chunks[number] for number in sorted(chunks)]
