"""Drafts beside live traffic: what payments were priced by is priced again with each draft, by the same functions.

A worker does that, moments later, from what was kept with the payment (:mod:`.seen`) and from what was in force then:
so the payment waits for nothing, and the draft sees what the live campaigns saw. Its budgets are counted in counters of
its own. Nothing else is written (ADR 0036).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

import structlog

from kaquan.kit.db import Connection, Pool, is_outage
from kaquan.payments import store
from kaquan.payments.price import price_sold
from kaquan.payments.redeem import Templates
from kaquan.payments.seen import Seen, read_seen, sum_given
from kaquan.payments.simulate import over_whole_time
from kaquan.payments.store import ShadowRow, ShadowUse
from kaquan.promotions import (
    DAY_CAP_ID,
    Basket,
    BudgetUse,
    Campaign,
    CompiledCampaigns,
    FunderKind,
    GrantKind,
    LoadFacts,
    LoadPricing,
    Past,
    Pricing,
    Shadow,
    Share,
    Skipped,
    StackingPolicy,
    VoucherInHand,
    compile_campaigns,
    load_past,
    load_shadowed,
    price_basket,
    run_beside,
)
from kaquan.promotions.outcomes import OFFER_LIMIT_REACHED
from kaquan.promotions.replay import Key, key_of

_log = structlog.get_logger(__name__)

CHUNK = 500
"""Payments that are priced and written in one commit."""

TOGETHER = UUID(int=0)
"""Whose part a budget of all together is."""

Used = Mapping[Key, tuple[int, int]]
"""Minor units and payments that a draft has used of its budgets."""


class Fate(StrEnum):
    """What became of a draft in a payment."""

    APPLIED = "applied"
    HELD_BACK = "held_back"
    """The holder is in its control group."""
    OVER_BUDGET = "over_budget"
    """Its budgets left no room."""
    SKIPPED = "skipped"


class Shadowed(NamedTuple):
    """A payment as it would have been with a draft."""

    pricing: Pricing | LoadPricing
    fate: Fate
    uses: tuple[tuple[Key, BudgetUse], ...]
    """What it would have counted in the draft's budgets."""
    lacking: tuple[Key, ...]
    """The draft's budgets that left no room."""
    skipped: tuple[Skipped, ...]
    """The draft's offers that would not have applied."""


def price_shadow(
    compiled: CompiledCampaigns, draft_id: UUID, at: Basket | LoadFacts, *, exhausted: frozenset[UUID], is_sold: bool,
    used: Used,
) -> Shadowed:  # fmt: skip
    """What a payment would have cost with a draft in place of what is in force of its campaign. Pure.

    ``exhausted`` are budgets that left no room for it when it was made; the draft's own are counted by ``used``.
    """
    own = {one.id for offer in compiled.offers if offer.campaign_id == draft_id for one in offer.budgets}
    over = exhausted - own
    lacking: dict[Key, None] = {}
    while True:
        pricing = _price(compiled, at, over, is_sold=is_sold)
        uses = tuple(
            (key_of(use, at.local, is_alone=False), use) for use in pricing.uses if use.campaign_id == draft_id
        )
        full = [(key, use.budget_id) for key, use in uses if not _fits(use, *used.get(key, (0, 0)))]
        if not full:
            break
        lacking |= dict.fromkeys(key for key, _ in full)
        over = over | {budget_id for _, budget_id in full}
    fate = Fate.SKIPPED
    if any(one.campaign_id == draft_id for one in pricing.applied):
        fate = Fate.APPLIED
    elif lacking:
        fate = Fate.OVER_BUDGET
    elif draft_id in pricing.held_back:
        fate = Fate.HELD_BACK
    skipped = tuple(one for one in pricing.skipped if one.campaign_id == draft_id)
    if DAY_CAP_ID in over:
        skipped = tuple(
            Skipped(draft_id, offer.name, None, OFFER_LIMIT_REACHED.code)
            for offer in compiled.offers
            if offer.campaign_id == draft_id and offer.is_for_loads is isinstance(at, LoadFacts)
        )
    return Shadowed(pricing, fate, uses, tuple(lacking), skipped)


def _price(
    compiled: CompiledCampaigns, at: Basket | LoadFacts, exhausted: frozenset[UUID], *, is_sold: bool
) -> Pricing | LoadPricing:
    campaigns = compiled
    if DAY_CAP_ID in exhausted:  # of the holder, who gets no discount any more that day
        campaigns = CompiledCampaigns((), compiled.policy)
        at = at if isinstance(at, LoadFacts) else at._replace(vouchers=())
    if isinstance(at, LoadFacts):
        return price_sold(campaigns, at, exhausted=exhausted, is_sold=is_sold, explain=True)
    return price_basket(campaigns, at, exhausted=exhausted, explain=True)


def _fits(use: BudgetUse, fen: int, count: int) -> bool:
    return (use.max_fen is None or fen + use.amount_fen <= use.max_fen) and (
        use.max_count is None or count < use.max_count
    )


def tell_row(shadow: Shadow, found: store.SeenRow, seen: Seen, shadowed: Shadowed) -> ShadowRow:
    """What is written of it. Pure."""
    id_, pricing = shadow.campaign_id, shadowed.pricing
    given = dict(sum_given(pricing.applied, pricing.grants))
    gave = dict(seen.gave)
    funders = _sum_funders(seen, [share for share in pricing.shares if share.campaign_id == id_])
    return ShadowRow(
        slot=found.slot,
        book_id=shadow.book_id,
        campaign_id=id_,
        number=shadow.number,
        transaction_id=found.transaction_id,
        recorded_at=found.recorded_at,
        day=seen.local.date(),
        is_load=seen.is_load,
        store_id=seen.store_id,
        holder_id=seen.holder.id,
        amount_fen=seen.amount_fen,
        fate=shadowed.fate,
        discount_fen=sum(one.discount_fen for one in pricing.applied if one.campaign_id == id_),
        granted_fen=sum(
            grant.amount_fen
            for grant in pricing.grants
            if grant.campaign_id == id_ and grant.kind is not GrantKind.POINTS
        ),
        points=sum(
            grant.amount_fen for grant in pricing.grants if grant.campaign_id == id_ and grant.kind is GrantKind.POINTS
        ),
        others_fen=sum(fen for campaign, fen in given.items() if campaign != id_),
        gave_own_fen=gave.pop(id_, 0),
        gave_fen=sum(gave.values()),
        funder_kinds=[kind for kind, _ in funders],
        funder_ids=[party for _, party in funders],
        funder_fen=list(funders.values()),
        offers=[one.offer for one in shadowed.skipped],
        whys=[one.why for one in shadowed.skipped],
    )


def _sum_funders(seen: Seen, shares: Sequence[Share]) -> dict[tuple[str, UUID], int]:
    """Who would have paid what of the draft's discounts."""
    sums: dict[tuple[str, UUID], int] = {}
    for share in shares:
        kind, party = share.funder.kind, share.funder.party_id
        if kind is FunderKind.MERCHANT and seen.merchant_id is None:
            kind = FunderKind.ISSUER
        if kind is not FunderKind.PARTY:
            party = seen.issuer_id if kind is FunderKind.ISSUER else seen.merchant_id
        assert party is not None, "a party outside is named"
        sums[kind, party] = sums.get((kind, party), 0) + share.amount_fen
    return sums


async def price_seen(pool: Pool, *, slots: Sequence[int]) -> int:
    """Price what was kept with the drafts that ran beside it, the oldest first; how many payments. For the worker: any
    number at once, since each holds the shadows of a book while it works on them. A book that fails stops no other, and
    is tried again by the next run."""
    done = 0
    templates = Templates(pool)
    failed: list[int] = []
    while True:
        async with pool.connection() as connection:
            book_id = await store.find_seen_book(connection, slots=slots, but=failed)
        if book_id is None:
            return done
        try:
            async with pool.connection() as connection, connection.transaction():
                done += await _Teller(templates, book_id).tell(connection, slots=slots)
        except Exception as error:
            if is_outage(error):
                raise
            _log.error("payments could not be priced with drafts", exc_info=error, book=book_id)
            failed.append(book_id)


class _Teller:
    """One commit's work on a book: what is compiled and counted once for all of its payments."""

    def __init__(self, templates: Templates, book_id: int) -> None:
        self._templates, self._book_id = templates, book_id
        self._compiled: dict[tuple[UUID, int, tuple[tuple[UUID, int], ...], StackingPolicy], CompiledCampaigns] = {}
        self._used: dict[tuple[UUID, int], dict[Key, tuple[int, int]]] = {}
        self._changed: dict[tuple[UUID, int], set[Key]] = {}
        self._ended: dict[tuple[UUID, int], dict[Key, datetime]] = {}

    async def tell(self, connection: Connection, *, slots: Sequence[int]) -> int:
        await store.hold_shadows(connection, book_id=self._book_id)
        rows = await store.load_seen(connection, book_id=self._book_id, slots=slots, limit=CHUNK)
        if not rows:
            return 0
        seen_all = [read_seen(row.seen) for row in rows]
        times = [row.recorded_at for row in rows]
        found = await load_shadowed(connection, book_id=self._book_id, since=min(times), until=max(times))
        shadows = [shadow for shadow, _ in found]
        drafts = {(shadow.campaign_id, shadow.number): over_whole_time(draft) for shadow, draft in found}
        subjects = sorted({id_ for seen in seen_all for id_ in _subjects(seen)})
        for shadow in shadows:
            used = await store.load_shadow_used(connection, shadow, subjects=subjects)
            self._used[shadow.campaign_id, shadow.number] = used
        past = await load_past(connection, book_id=self._book_id)
        told: list[ShadowRow] = []
        for row, seen in zip(rows, seen_all, strict=True):
            on = [one for one in shadows if one.is_on(row.recorded_at)]
            on = [one for one in on if drafts[one.campaign_id, one.number].terms.issuer_id == seen.issuer_id]
            at = await self._facts(row, seen) if on else None
            for shadow in on:
                assert at is not None
                told.append(self._tell_one(shadow, drafts[shadow.campaign_id, shadow.number], row, seen, at, past))
        await store.insert_shadow_rows(connection, told)
        await store.write_shadow_used(connection, self._uses())
        await store.delete_seen(connection, rows)
        return len(rows)

    async def _facts(self, row: store.SeenRow, seen: Seen) -> Basket | LoadFacts:
        if seen.is_load:
            return seen.load(row.transaction_id)
        templates = await self._templates.load(self._book_id, {one.template_id for one in seen.vouchers})
        vouchers = tuple(VoucherInHand(one.id, one.template_id, templates[one.template_id][1]) for one in seen.vouchers)
        return seen.basket(row.transaction_id, vouchers)

    def _tell_one(
        self, shadow: Shadow, draft: Campaign, row: store.SeenRow, seen: Seen, at: Basket | LoadFacts, past: Past
    ) -> ShadowRow:
        name = shadow.campaign_id, shadow.number
        used, exhausted = self._used[name], frozenset(seen.exhausted)
        shadowed = price_shadow(
            self._beside(draft, row.recorded_at, past, seen.issuer_id), draft.id, at,
            exhausted=exhausted, is_sold=seen.is_sold, used=used,
        )  # fmt: skip
        changed = self._changed.setdefault(name, set())
        for key, use in shadowed.uses:
            fen, count = used.get(key, (0, 0))
            used[key] = (fen + use.amount_fen, count + 1)
            changed.add(key)
        ended = self._ended.setdefault(name, {})
        for key in shadowed.lacking:
            ended.setdefault(key, row.recorded_at)
            used.setdefault(key, (0, 0))
            changed.add(key)
        return tell_row(shadow, row, seen, shadowed)

    def _beside(self, draft: Campaign, at: datetime, past: Past, issuer_id: UUID) -> CompiledCampaigns:
        running, policy = past.at(at, issuer_id)
        versions = tuple((one.id, one.version) for one in running)
        name = draft.id, draft.version, versions, policy
        known = self._compiled.get(name)
        if known is None:
            known = self._compiled[name] = compile_campaigns(run_beside(running, [draft]), policy)
        return known

    def _uses(self) -> list[ShadowUse]:
        """What has changed."""
        return [
            ShadowUse(
                self._book_id, campaign_id, number, key.budget_id, key.subject_id or TOGETHER, key.period,
                *self._used[campaign_id, number][key], self._ended.get((campaign_id, number), {}).get(key),
            )
            for (campaign_id, number), keys in self._changed.items()
            for key in sorted(keys, key=lambda key: (key.budget_id.int, (key.subject_id or TOGETHER).int, key.period))
        ]  # fmt: skip


def _subjects(seen: Seen) -> tuple[UUID, ...]:
    """Whose parts of budgets a payment may count in."""
    places = [id_ for id_ in (seen.store_id, seen.merchant_id) if id_ is not None]
    return (TOGETHER, seen.holder.id, seen.holder.card_id, *places)
