"""Offers in a payment, purely: what a basket costs with them, who pays what of it, and which entries say so.

Every fen of a discount is an entry out of the account ``discount_expense`` of one campaign and one funder. What the
issuer or a party outside pays goes to the merchant's payable: the merchant gets it. What the merchant pays of its own
goods goes to its account ``merchant_discount``: nobody owes it anything for that, and its payable stays what it is owed
(ADR 0032).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from kaquan.kit.ids import uuid_from
from kaquan.kit.money import allocate
from kaquan.kit.outcomes import INVALID_FIELD, Refusal
from kaquan.ledger import Effect, Leg
from kaquan.payments.budgets import budget_use
from kaquan.payments.kept import Kept, KeptUse
from kaquan.payments.limits import Moment, Use, Uses
from kaquan.payments.types import AccountName, Facts, Funding, Load, OfferFacts, Payment, PaymentFacts, Spend, Unopened
from kaquan.promotions import (
    DAY_CAP_ID,
    EMPTY,
    Basket,
    BudgetReturn,
    BudgetUse,
    CompiledCampaigns,
    Funder,
    FunderKind,
    Line,
    LoadFacts,
    LoadPricing,
    OnReturn,
    Pricing,
    VoucherInHand,
    price_basket,
    price_load,
)

BONUS_EXPENSE = "bonus_expense"
DISCOUNT_EXPENSE = "discount_expense"
MERCHANT_DISCOUNT = "merchant_discount"
MERCHANT_PAYABLE = "merchant_payable"

_NO_GOODS: frozenset[str] = frozenset()


class Priced(NamedTuple):
    """What a spend or a load costs with offers, and what is kept of that."""

    pricing: Pricing | LoadPricing
    kept: Kept

    @property
    def counted(self) -> tuple[tuple[BudgetUse, Use], ...]:
        """What it counts in budgets."""
        return tuple(zip(self.pricing.uses, (one.use for one in self.kept.uses), strict=True))


def check_basket(command: Spend) -> Refusal | None:
    """Whether what a till tells of a basket goes together. Refused: ``invalid_field``."""
    if command.lines:
        if sum(line.amount_fen for line in command.lines) != command.amount_fen:
            return INVALID_FIELD.refuse(
                "lines", allowed="must sum to amount_fen, exactly", allowed_zh="各行金额之和应等于 amount_fen"
            )
        if len({line.number for line in command.lines}) < len(command.lines):
            return INVALID_FIELD.refuse(
                "lines", allowed="must have a number each, every number once", allowed_zh="行号不得重复"
            )
    if len(set(command.voucher_ids)) < len(command.voucher_ids):
        return INVALID_FIELD.refuse("vouchers", allowed="must name each voucher once", allowed_zh="同一张券不得重复")
    if command.outside and sum(one.amount_fen for one in command.outside) >= command.amount_fen:
        return INVALID_FIELD.refuse(
            "outside_offers", allowed="must be less than amount_fen together", allowed_zh="合计应小于 amount_fen"
        )
    return None


def basket_of(
    facts: Facts,
    offers: OfferFacts,
    command: Spend,
    vouchers: tuple[VoucherInHand, ...],
    *,
    occurred_at: datetime,
) -> Basket:
    """What is priced, for a live purchase and for a quote."""
    place, programme = command.place, facts.programme
    assert programme is not None, "a card's programme is always known"
    return Basket(
        facts.transaction_id,
        local_time(occurred_at, programme.time_zone),
        programme.id,
        place.merchant_id,
        place.store_id,
        place.trade,
        place.district,
        command.lines or (Line(1, "", _NO_GOODS, 1, command.amount_fen),),
        offers.holder,
        vouchers,
        command.outside,
    )


def local_time(at: datetime, time_zone: str) -> datetime:
    """The wall clock in the issuer's zone, which the hours of offers are meant by."""
    return at.astimezone(_zone(time_zone)).replace(tzinfo=None)


_zone = lru_cache(maxsize=256)(ZoneInfo)


def price_spend(
    facts: Facts,
    offers: OfferFacts,
    command: Spend,
    vouchers: tuple[VoucherInHand, ...],
    *,
    occurred_at: datetime,
    moment: Moment,
) -> Priced | None:
    """What a spend costs with the offers that are in force; None if nothing has an effect and nothing is told of the
    goods: then nothing is kept."""
    basket = basket_of(facts, offers, command, vouchers, occurred_at=occurred_at)
    campaigns = offers.campaigns
    if DAY_CAP_ID in offers.exhausted:  # of the holder, who gets no discount any more today
        campaigns, basket = EMPTY, basket._replace(vouchers=())
    pricing = price_basket(campaigns, basket, exhausted=offers.exhausted)
    if not (pricing.applied or command.lines or command.outside or command.points):
        return None
    return Priced(pricing, keep(basket, pricing, moment=moment))


def load_of(facts: Facts, offers: OfferFacts, command: Load, *, occurred_at: datetime) -> LoadFacts:
    """What is priced of a top-up."""
    place, programme = command.place, facts.programme
    assert programme is not None, "a card's programme is always known"
    return LoadFacts(
        facts.transaction_id,
        local_time(occurred_at, programme.time_zone),
        programme.id,
        command.amount_fen,
        offers.holder,
        None if place is None else place.merchant_id,
        None if place is None else place.store_id,
        None if place is None else place.trade,
        None if place is None else place.district,
        offers.is_first_load,
        command.invited_by,
    )


def price_sold(
    campaigns: CompiledCampaigns, load: LoadFacts, *, exhausted: frozenset[UUID], is_sold: bool, explain: bool = False
) -> LoadPricing:
    """What a top-up costs and brings. ``is_sold``: its price was agreed to before, and no offer makes it less."""
    pricing = price_load(campaigns, load, exhausted=exhausted, explain=explain)
    if pricing.discount_fen and is_sold:
        cheaper = {(one.campaign_id, one.offer) for one in pricing.applied if one.discount_fen}
        others = [one for one in campaigns.offers if (one.campaign_id, one.name) not in cheaper]
        pricing = price_load(CompiledCampaigns(others, campaigns.policy), load, exhausted=exhausted, explain=explain)
    return pricing


def price_top_up(
    facts: Facts, offers: OfferFacts, command: Load, *, occurred_at: datetime, moment: Moment
) -> Priced | None:
    """What a top-up costs and brings with the offers that are in force; None if nothing has an effect. What was sold at
    a price already has that price."""
    load = load_of(facts, offers, command, occurred_at=occurred_at)
    campaigns = EMPTY if DAY_CAP_ID in offers.exhausted else offers.campaigns
    pricing = price_sold(campaigns, load, exhausted=offers.exhausted, is_sold=command.sale_id is not None)
    if not pricing.applied:
        return None
    uses = keep_uses(pricing.uses, moment=moment, card_id=offers.holder.card_id)
    line = Line(1, "", _NO_GOODS, 1, command.amount_fen)
    return Priced(pricing, Kept((line,), (0,), pricing.applied, pricing.shares, pricing.grants, uses))


def price_again(facts: Facts, payment: Payment, kept: Kept, lines: Sequence[Line]) -> Pricing | None:
    """What the goods that stay would have cost, with the offers that applied, as they were then; None where no offer is
    earned by them, or one of these is not known any more: then each comes back by its share, which is never less for
    the holder. Who, where and when held then, whatever the holder, the store and the clock are now."""
    earned = [one for one in kept.applied if one.on_return is OnReturn.THRESHOLD]
    offers, programme = facts.offers, facts.programme
    if not earned or offers is None or programme is None or payment.merchant_id is None or payment.store_id is None:
        return None
    applied = {(one.campaign_id, one.version, one.offer) for one in kept.applied}
    again = [one.as_applied() for one in offers.campaigns.offers if (one.campaign_id, one.version, one.name) in applied]
    names = {(one.campaign_id, one.version, one.name) for one in again}
    if any((one.campaign_id, one.version, one.offer) not in names for one in earned):
        return None
    basket = Basket(
        payment.id,
        local_time(payment.occurred_at, programme.time_zone),
        programme.id,
        payment.merchant_id,
        payment.store_id,
        None,
        None,
        tuple(lines),
        offers.holder,
    )
    return price_basket(CompiledCampaigns(again, offers.campaigns.policy), basket)


def keep(basket: Basket, pricing: Pricing, *, moment: Moment) -> Kept:
    """A pricing as it is kept. What is taken off outside is spread over the lines as it was for our offers."""
    lines = basket.lines
    outside_fen = sum(one.amount_fen for one in basket.outside)
    spread = allocate(outside_fen, [line.amount_fen for line in lines]) if outside_fen else [0] * len(lines)
    uses = keep_uses(pricing.uses, moment=moment, card_id=basket.holder.card_id)
    return Kept(lines, tuple(spread), pricing.applied, pricing.shares, pricing.grants, uses)


def keep_uses(uses: Iterable[BudgetUse], *, moment: Moment, card_id: UUID) -> tuple[KeptUse, ...]:
    """What a payment counts in budgets, as it is kept with it."""
    return tuple(
        KeptUse(
            use.budget_id,
            budget_use(use, moment, card_id),
            use.on_return,
            None if use.on_return is BudgetReturn.WHOLE else use.campaign_id,
        )
        for use in uses
    )


@lru_cache(maxsize=65_536)
def funding_of(campaign_id: UUID, kind: FunderKind, party_id: UUID) -> Funding:
    """Whose accounts the discounts of a campaign are in that this party pays: an owner of its own. Its id is the first
    half of SHA-256 over the campaign, the kind and the party."""
    digest = sha256(campaign_id.bytes + kind.encode() + party_id.bytes).digest()
    return Funding(uuid_from(int.from_bytes(digest[:16], "big")), campaign_id, kind, party_id)


def with_budgets(uses: Uses | None, kept: Kept) -> Uses | None:
    """What counts in limits, and in budgets with them."""
    budgets = [one.use for one in kept.uses]
    if not budgets:
        return uses
    return Uses(budgets, []) if uses is None else Uses([*uses.calendar, *budgets], uses.trails)


class Parties(NamedTuple):
    """Who an issuer and a merchant are that funders are only named by."""

    issuer_id: UUID
    merchant_id: UUID | None

    def fund(self, campaign_id: UUID, funder: Funder) -> Funding:
        """Who pays, by name. What a merchant funds of a load that is made at none the issuer pays."""
        if funder.kind is FunderKind.ISSUER or (funder.kind is FunderKind.MERCHANT and self.merchant_id is None):
            return funding_of(campaign_id, FunderKind.ISSUER, self.issuer_id)
        if funder.kind is FunderKind.MERCHANT:
            assert self.merchant_id is not None
            return funding_of(campaign_id, funder.kind, self.merchant_id)
        assert funder.party_id is not None, "a party outside is named"
        return funding_of(campaign_id, funder.kind, funder.party_id)


def sum_fundings(parties: Parties, parts: Iterable[tuple[UUID, Funder, int]]) -> dict[Funding, int]:
    """What each pays together of (campaign, funder, amount); those that pay nothing are left out."""
    sums: dict[Funding, int] = {}
    for campaign_id, funder, amount_fen in parts:
        if amount_fen:
            funding = parties.fund(campaign_id, funder)
            sums[funding] = sums.get(funding, 0) + amount_fen
    return sums


def fund_legs(
    facts: Facts,
    effect: Effect,
    sums: Mapping[Funding, int],
    *,
    slot: int,
    merchant_id: UUID,
    currency: str,
    back: bool = False,
) -> list[Leg] | Unopened:
    """The entries that say who pays what of the discounts of a payment; ``back``: who gets what back of it."""
    legs: list[Leg] = []
    missing: list[AccountName] = []
    unknown: list[Funding] = []
    for funding, amount_fen in sums.items():
        is_own = funding.kind is FunderKind.MERCHANT
        expense = AccountName(slot, funding.id, DISCOUNT_EXPENSE, currency)
        shop = AccountName(slot, merchant_id, MERCHANT_DISCOUNT if is_own else MERCHANT_PAYABLE, currency)
        debit, credit = (facts.opened.get(name) for name in ((shop, expense) if back else (expense, shop)))
        if debit is None or credit is None:
            missing += [name for name in (expense, shop) if name not in facts.opened]
            unknown.append(funding)
        else:
            legs.append(Leg(effect, debit, None, credit, None, amount_fen))
    return Unopened(tuple(missing), tuple(unknown)) if missing else legs


def bonus_sources(
    facts: Facts, given: Mapping[Funding, int], *, slot: int, currency: str
) -> list[tuple[int, int]] | Unopened:
    """The accounts that bonuses come from, with what comes from each."""
    names = {funding: AccountName(slot, funding.id, BONUS_EXPENSE, currency) for funding in given}
    missing = [funding for funding, name in names.items() if name not in facts.opened]
    if missing:
        return Unopened(tuple(names[funding] for funding in missing), tuple(missing))
    return [(facts.opened[names[funding]], amount_fen) for funding, amount_fen in given.items()]


def part_legs(
    facts: Facts, found: PaymentFacts, effect: Effect, shares: Sequence[tuple[int, int]], *, back: bool = False
) -> list[Leg] | Unopened:
    """The same for a part of a priced payment: the amounts of some of its shares."""
    payment, kept, programme = found.payment, found.kept, facts.programme
    assert kept is not None, "it was priced"
    assert programme is not None, "a card's programme is always known"
    assert payment.merchant_id is not None, "what is spent is spent at a merchant"
    parties = Parties(programme.issuer_id, payment.merchant_id)
    parts = [(kept.shares[at].campaign_id, kept.shares[at].funder, amount_fen) for at, amount_fen in shares]
    return fund_legs(
        facts,
        effect,
        sum_fundings(parties, parts),
        slot=payment.slot,
        merchant_id=payment.merchant_id,
        currency=payment.currency,
        back=back,
    )
