"""What a replay came to, told for people: cost by funder, reach, who wins and loses, and when budgets end."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import TypeVar
from uuid import UUID

import msgspec

from kaquan.promotions.compile import budget_id
from kaquan.promotions.replay import Change, Ended, Key, Reach, Tally
from kaquan.promotions.terms import BudgetScope, Campaign
from kaquan.promotions.types import FunderKind

STORES_TOLD = 10
"""How many stores are told by name; the others together."""
OTHERS = "others"

Told = TypeVar("Told", Change, Reach)


class BudgetEnd(msgspec.Struct, frozen=True):
    """A budget that is used up: since when, by the wall clock of the issuer."""

    campaign: str
    budget: str
    period: str
    """Which day, month or year; empty: in all."""
    subject: str | None
    """Of which store or merchant; null: all together."""
    ended_at: datetime


class CampaignReplay(msgspec.Struct, frozen=True):
    """What one campaign would have given."""

    code: str
    is_draft: bool
    baskets: int
    holders: int
    amount_fen: int
    """Of these baskets at list price."""
    discount_fen: int
    granted_fen: int
    """The face value of vouchers that it would have granted."""
    alone_fen: int | None
    """The discount that a running campaign gives without the drafts; null: it does not run."""
    by_funder: dict[str, int]
    """Discounts by kind and id of who pays them."""
    by_store: dict[str, Reach]
    """The ten stores with the most, then the others together."""
    by_segment: dict[str, Reach]


class ReplayReport(msgspec.Struct, frozen=True):
    """Cost and reach. It tells nothing of what holders would have done otherwise: only a control group does."""

    first: date
    last: date
    baskets: int
    amount_fen: int
    running_alone_fen: int
    """What the running campaigns give without the drafts."""
    running_fen: int
    """What they give beside them."""
    drafts_fen: int
    held_back_baskets: int
    """Of holders in a control group that would have got something."""
    change: Change
    """Baskets that get more or less discount than without the drafts."""
    change_by_store: dict[str, Change]
    """The ten stores with the greatest change, then the others together."""
    change_by_segment: dict[str, Change]
    campaigns: list[CampaignReplay]
    ended: list[BudgetEnd]
    assumptions: list[str]


def make_report(
    tally: Tally,
    ended: Ended,
    drafts: Sequence[Campaign],
    running: Sequence[Campaign],
    *,
    first: date,
    last: date,
    assumptions: Sequence[str],
    show_store: Callable[[UUID], str],
    show_party: Callable[[str, str], str],
) -> ReplayReport:
    """The report. ``show_store`` and ``show_party`` name a store or merchant, and a funder by kind and id."""
    names = {
        budget_id(campaign.id, budget.name): (campaign.terms.code, budget.name, budget.scope)
        for campaign in (*running, *drafts)
        for budget in campaign.terms.budgets
    }

    def subject_of(key: Key) -> str | None:
        if key.subject_id is None:
            return None
        is_merchant = names[key.budget_id][2] is BudgetScope.MERCHANT
        return show_party(FunderKind.MERCHANT, key.subject_id.hex) if is_merchant else show_store(key.subject_id)

    return ReplayReport(
        first,
        last,
        tally.baskets,
        tally.amount_fen,
        tally.running_alone_fen,
        tally.running_fen,
        tally.drafts_fen,
        tally.held_back,
        tally.change,
        _most({show_store(id_): one for id_, one in tally.store_changes.items()}, _changed, Change()),
        dict(sorted(tally.segment_changes.items())),
        [
            *(_campaign(tally, one, running, show_store, show_party, is_draft=True) for one in drafts),
            *(
                _campaign(tally, one, running, show_store, show_party, is_draft=False)
                for one in running
                if all(one.id != draft.id for draft in drafts)
            ),
        ],
        [
            BudgetEnd(*names[key.budget_id][:2], key.period, subject_of(key), since)
            for key, (since, _) in sorted(ended.items(), key=lambda one: one[1])
            if not key.is_alone
        ],
        list(assumptions),
    )


def _campaign(
    tally: Tally,
    campaign: Campaign,
    running: Sequence[Campaign],
    show_store: Callable[[UUID], str],
    show_party: Callable[[str, str], str],
    *,
    is_draft: bool,
) -> CampaignReplay:
    id_ = campaign.id
    reach = tally.campaigns.get(id_, Reach())
    stores = {show_store(store): own for (one, store), own in tally.stores.items() if one == id_}
    return CampaignReplay(
        campaign.terms.code,
        is_draft,
        reach.baskets,
        len(tally.holders.get(id_, ())),
        reach.amount_fen,
        reach.discount_fen,
        reach.granted_fen,
        tally.alone.get(id_, 0) if any(one.id == id_ for one in running) else None,
        {
            show_party(kind, party): fen
            for (one, kind, party), fen in sorted(tally.funders.items(), key=lambda item: item[0][1:])
            if one == id_
        },
        _most(stores, lambda own: own.discount_fen, Reach()),
        dict(sorted((name, own) for (one, name), own in tally.segments.items() if one == id_)),
    )


def _changed(change: Change) -> int:
    return change.won_fen + change.lost_fen


def _most(stores: Mapping[str, Told], weight: Callable[[Told], int], rest: Told) -> dict[str, Told]:
    """The heaviest by name, the others added up in ``rest``."""
    ranked = sorted(stores.items(), key=lambda item: (-weight(item[1]), item[0]))
    told = dict(ranked[:STORES_TOLD])
    for _, own in ranked[STORES_TOLD:]:
        rest.add(own)
    return {**told, OTHERS: rest} if len(ranked) > STORES_TOLD else told
