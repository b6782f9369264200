"""Offers in payments, function by function: what is asked, what is kept, who pays, what counts, what stays priced."""

import doctest
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace
from tests.unit.offer_facts import (
    BANK,
    CAMPAIGN,
    SLOT,
    THREE,
    TO_BANK,
    TO_ISSUER,
    TO_MERCHANT,
    applied,
    kept,
    line,
    offered,
    share,
)
from tests.unit.plan_facts import (
    CARD,
    ISSUER,
    MERCHANT,
    NEW,
    NOW,
    PLACE,
    PROGRAMME,
    STORE,
    card,
    facts,
    lot,
    payment,
    refused,
)
from tests.unit.promotion_facts import campaign, compiled, conditions, group, off, percent
from tests.unit.test_promotions_load import bonus, offer

from kaquan.ledger import Effect, Leg
from kaquan.payments import Load, PaymentKind, Spend, budgets
from kaquan.payments.budgets import Rests, Used, budget_key, budget_use, used_of
from kaquan.payments.limits import Maxima, TrailUse, Usage, Use, Uses, moment_of
from kaquan.payments.price import (
    Parties,
    basket_of,
    bonus_sources,
    check_basket,
    fund_legs,
    funding_of,
    keep,
    load_of,
    local_time,
    part_legs,
    price_again,
    price_sold,
    price_spend,
    price_top_up,
    sum_fundings,
    with_budgets,
)
from kaquan.payments.types import AccountName, Facts, OfferFacts, PaymentFacts, Unopened
from kaquan.promotions import (
    Basket,
    Budget,
    BudgetMetric,
    BudgetPeriod,
    BudgetReturn,
    BudgetScope,
    BudgetUse,
    Conditions,
    FunderKind,
    Holder,
    OnReturn,
    OutsideOffer,
    StackingPolicy,
    compile_campaigns,
)
from kaquan.promotions.price import DAY_CAP_ID

AT = NOW - timedelta(hours=3)
ZONE = "Asia/Shanghai"
MOMENT = moment_of(AT, ZONE)
KNOWN = facts(card([lot(1, 500_00)]))
SHOP = replace(PLACE, trade="grocery", district="310101")


def spend(amount_fen: int = 100_00, **other: Any) -> Spend:
    return Spend(CARD, amount_fen, SHOP, AT)._replace(**other)


def of(known: Facts) -> OfferFacts:
    assert known.offers is not None
    return known.offers


# What a till tells


@pytest.mark.parametrize(
    ("told", "field", "allowed", "allowed_zh"),
    [
        ({"lines": (line(1, 60_00), line(2, 40_01))}, "lines", "must sum to amount_fen, exactly",
         "各行金额之和应等于 amount_fen"),
        ({"lines": (line(1, 60_00), line(1, 40_00))}, "lines", "must have a number each, every number once",
         "行号不得重复"),
        ({"voucher_ids": (BANK, BANK)}, "vouchers", "must name each voucher once", "同一张券不得重复"),
        ({"outside": (OutsideOffer("a", "", 60_00), OutsideOffer("b", "", 40_00))}, "outside_offers",
         "must be less than amount_fen together", "合计应小于 amount_fen"),
    ],
)  # fmt: skip
def test_a_basket_that_does_not_go_together(told: dict[str, Any], field: str, allowed: str, allowed_zh: str) -> None:
    refused(check_basket(spend(**told)), "invalid_field", field, allowed=allowed, allowed_zh=allowed_zh)  # type: ignore[arg-type]


def test_a_basket_that_does() -> None:
    outside = (OutsideOffer("a", "", 60_00), OutsideOffer("b", "", 39_99))
    told = spend(lines=(line(1, 60_00), line(2, 40_00)), voucher_ids=(BANK, CARD), outside=outside)
    assert check_basket(told) is None
    assert check_basket(spend()) is None


def test_what_is_priced_is_told_by_the_place_the_programme_and_the_till() -> None:
    known = offered(KNOWN, compiled(off()))
    outside = (OutsideOffer("a", "", 1),)
    assert basket_of(known, of(known), spend(outside=outside), (), occurred_at=AT) == Basket(
        NEW, datetime(2026, 3, 1, 14, 30), PROGRAMME, MERCHANT, STORE, "grocery", "310101",  # noqa: DTZ001
        (line(1, 100_00),), Holder(CARD), (), outside,
    )  # fmt: skip
    goods = (line(3, 1), line(4, 2))
    assert basket_of(known, of(known), spend(lines=goods), (), occurred_at=AT).lines == goods
    assert local_time(AT, "UTC") == datetime(2026, 3, 1, 6, 30)  # noqa: DTZ001


@pytest.mark.parametrize(
    "told",
    [
        {"merchant_ids": [MERCHANT]}, {"store_ids": [STORE]}, {"trades": ["grocery"]}, {"programme_ids": [PROGRAMME]},
        {"weekdays": [7]}, {"days_of_month": [1]}, {"districts": ["310101"]},
    ],
    ids=lambda told: next(iter(told)),
)  # fmt: skip
def test_an_offer_is_given_where_and_when_it_holds(told: dict[str, list[Any]]) -> None:
    known = offered(KNOWN, compiled(off(conditions=conditions(**told))))
    priced = price_spend(known, of(known), spend(), (), occurred_at=AT, moment=MOMENT)
    assert priced is not None
    assert priced.pricing.payable_fen == 90_00


def test_nothing_is_kept_of_nothing() -> None:
    known = offered(KNOWN, compiled(off()))

    def price(command: Spend, **facts_: Any) -> Any:
        return price_spend(known, of(known)._replace(**facts_), command, (), occurred_at=AT, moment=MOMENT)

    assert price(spend(99_99)) is None
    for told in ({"lines": (line(1, 99_99),)}, {"outside": (OutsideOffer("a", "", 1),)}, {"points": 100}):
        assert price(spend(99_99, **told)).pricing.applied == ()
    assert price(spend(), exhausted=frozenset({DAY_CAP_ID})) is None


def test_an_offer_whose_budget_is_used_up_gives_nothing() -> None:
    known = offered(KNOWN, compiled(off(), budgets=BUDGETS))
    used_up = of(known)._replace(exhausted=frozenset({of(known).campaigns.offers[0].budgets[0].id}))
    assert price_spend(known, used_up, spend(), (), occurred_at=AT, moment=MOMENT) is None
    bonuses = offered(KNOWN, compiled(bonus(), budgets=BUDGETS))
    used_up = of(bonuses)._replace(exhausted=used_up.exhausted)
    assert price_top_up(bonuses, used_up, Load(CARD, 500_00, 0, AT), occurred_at=AT, moment=MOMENT) is None
    presale = campaign(offer("presale", "p", off_bp=1_000, from_fen=500_00), number=2)
    both = offered(KNOWN, compile_campaigns([campaign(bonus(stacking=group("")), budgets=BUDGETS), presale]))
    used_up = of(both)._replace(exhausted=used_up.exhausted)
    sold = Load(CARD, 500_00, 0, AT, sale_id=BANK)
    assert price_top_up(both, used_up, sold, occurred_at=AT, moment=MOMENT) is None


# What is kept


def test_what_is_taken_off_outside_is_spread_over_the_lines() -> None:
    known = offered(KNOWN, compiled(off(), funders=THREE))
    command = spend(
        110_00, lines=(line(1, 70_00), line(2, 40_00)), outside=(OutsideOffer("a", "", 6), OutsideOffer("b", "", 5))
    )
    basket = basket_of(known, of(known), command, (), occurred_at=AT)
    priced = price_spend(known, of(known), command, (), occurred_at=AT, moment=MOMENT)
    assert priced is not None
    assert priced.kept.outside_fen == (7, 4)
    assert priced.kept.lines == command.lines
    assert priced.kept.applied == (applied(10_00),)
    assert sum(one.amount_fen for one in priced.kept.shares) == 10_00
    assert keep(basket, priced.pricing, moment=MOMENT) == priced.kept  # type: ignore[arg-type]


BUDGETS = (
    Budget(name="all", metric=BudgetMetric.AMOUNT, maximum=1_000_00),
    Budget(name="card", metric=BudgetMetric.COUNT, maximum=2, scope=BudgetScope.CARD, period=BudgetPeriod.DAY),
)


def test_a_use_of_a_budget_is_counted_as_a_limit_is() -> None:
    known = offered(KNOWN, compiled(off(), budgets=BUDGETS))
    priced = price_spend(known, of(known), spend(), (), occurred_at=AT, moment=MOMENT)
    assert priced is not None
    all_, own = priced.kept.uses
    assert all_.use == Use(
        budget_key(all_.budget_id, None, "total"), 10_00, 0, 0, 0, Maxima(year_fen=1_000_00), True
    )  # fmt: skip
    assert own.use == Use(
        budget_key(own.budget_id, CARD, "day"), 10_00, 20260301, 202603, 2026, Maxima(day_count=2), False
    )  # fmt: skip
    assert [(budget.budget_id, use) for budget, use in priced.counted] == [
        (all_.budget_id, all_.use), (own.budget_id, own.use)
    ]  # fmt: skip
    limits = Uses([own.use], [TrailUse(CARD, 1, 2, 3, None)])
    assert with_budgets(limits, priced.kept) == Uses([own.use, all_.use, own.use], limits.trails)
    assert with_budgets(None, priced.kept) == Uses([all_.use, own.use], [])
    assert with_budgets(limits, kept([line(1, 1)])) is limits
    assert with_budgets(None, kept([line(1, 1)])) is None


# Who pays


def test_who_a_funder_is() -> None:
    here = Parties(ISSUER, MERCHANT)
    assert here.fund(CAMPAIGN, TO_ISSUER) == funding_of(CAMPAIGN, FunderKind.ISSUER, ISSUER)
    assert here.fund(CAMPAIGN, TO_MERCHANT) == funding_of(CAMPAIGN, FunderKind.MERCHANT, MERCHANT)
    assert here.fund(CAMPAIGN, TO_BANK) == funding_of(CAMPAIGN, FunderKind.PARTY, BANK)
    nowhere = Parties(ISSUER, None)
    assert nowhere.fund(CAMPAIGN, TO_MERCHANT) == funding_of(CAMPAIGN, FunderKind.ISSUER, ISSUER)
    assert nowhere.fund(CAMPAIGN, TO_BANK) == funding_of(CAMPAIGN, FunderKind.PARTY, BANK)
    assert len({here.fund(campaign_id, who).id for campaign_id in (CAMPAIGN, BANK) for who in THREE}) == 6


def test_what_each_pays_is_summed_and_nothing_is_left_out() -> None:
    parts = [(CAMPAIGN, TO_ISSUER, 3), (CAMPAIGN, TO_BANK, 0), (CAMPAIGN, TO_MERCHANT, 2), (CAMPAIGN, TO_ISSUER, 4)]
    who = Parties(ISSUER, MERCHANT)
    assert sum_fundings(who, parts) == {who.fund(CAMPAIGN, TO_ISSUER): 7, who.fund(CAMPAIGN, TO_MERCHANT): 2}


WHO = Parties(ISSUER, MERCHANT)
SUMS = {WHO.fund(CAMPAIGN, one): fen for one, fen in ((TO_ISSUER, 5), (TO_MERCHANT, 3))}
NAMES = [
    AccountName(SLOT, owner, kind, "CNY")
    for owner, kind in (
        (WHO.fund(CAMPAIGN, TO_ISSUER).id, "discount_expense"),
        (MERCHANT, "merchant_payable"),
        (WHO.fund(CAMPAIGN, TO_MERCHANT).id, "discount_expense"),
        (MERCHANT, "merchant_discount"),
    )
]


@pytest.mark.parametrize("back", [False, True])
def test_the_entries_of_funders_go_out_and_come_back_between_the_same_accounts(back: bool) -> None:
    known = KNOWN._replace(opened={name: number for number, name in enumerate(NAMES, start=61)})
    ends = [(61, 62, 5), (63, 64, 3)]
    assert fund_legs(
        known, Effect.RESERVE, SUMS, slot=SLOT, merchant_id=MERCHANT, currency="CNY", back=back
    ) == [
        Leg(Effect.RESERVE, *((shop, None, expense) if back else (expense, None, shop)), None, fen)
        for expense, shop, fen in ends
    ]  # fmt: skip


def test_every_account_that_is_not_open_is_named_at_once() -> None:
    def legs(*opened: AccountName) -> Any:
        known = KNOWN._replace(opened=dict.fromkeys(opened, 61))
        return fund_legs(known, Effect.POST, SUMS, slot=SLOT, merchant_id=MERCHANT, currency="CNY")

    issuer, merchant = SUMS
    assert legs() == Unopened(tuple(NAMES), (issuer, merchant))
    assert legs(NAMES[0], NAMES[1], NAMES[3]) == Unopened((NAMES[2],), (merchant,))
    assert legs(NAMES[0], NAMES[2], NAMES[3]) == Unopened((NAMES[1],), (issuer,))


def test_a_part_is_paid_as_the_whole_was() -> None:
    """Shares 1 and 2 by position, out of the account of the slot of the payment."""
    of_three = kept([line(1, 100)], shares=(share(1, 50), share(1, 30, TO_MERCHANT), share(1, 20)))
    known = KNOWN._replace(opened={name: number for number, name in enumerate(NAMES, start=61)})
    found = PaymentFacts(payment(slot=SLOT), [], of_three)
    assert part_legs(known, found, Effect.RELEASE, [(1, 3), (2, 4)]) == [
        Leg(Effect.RELEASE, 63, None, 64, None, 3), Leg(Effect.RELEASE, 61, None, 62, None, 4)
    ]  # fmt: skip
    assert part_legs(known, found, Effect.POST, [(0, 5)], back=True) == [Leg(Effect.POST, 62, None, 61, None, 5)]
    with pytest.raises(AssertionError, match="it was priced"):
        part_legs(known, found._replace(kept=None), Effect.POST, [])


def test_bonuses_come_from_accounts_of_their_own() -> None:
    names = [AccountName(SLOT, one.id, "bonus_expense", "CNY") for one in SUMS]
    known = KNOWN._replace(opened={names[0]: 71, names[1]: 72})
    assert bonus_sources(known, SUMS, slot=SLOT, currency="CNY") == [(71, 5), (72, 3)]
    half = KNOWN._replace(opened={names[0]: 71})
    assert bonus_sources(half, SUMS, slot=SLOT, currency="CNY") == Unopened((names[1],), (list(SUMS)[1],))
    assert bonus_sources(KNOWN, {}, slot=SLOT, currency="CNY") == []


# Top-ups


def top_up(known: Facts, command: Load, **more: Any) -> Any:
    return price_top_up(known, of(known)._replace(**more), command, occurred_at=AT, moment=MOMENT)


def test_a_top_up_is_priced_where_it_is_and_may_be_nowhere() -> None:
    known = offered(KNOWN, compiled(bonus(told=conditions(trades=["grocery"], merchant_ids=[MERCHANT]))))
    priced = top_up(known, Load(CARD, 500_00, 0, AT, None, SHOP))
    assert [grant.amount_fen for grant in priced.kept.grants] == [30_00]
    assert (priced.kept.lines, priced.kept.outside_fen) == ((line(1, 500_00),), (0,))
    assert (priced.kept.applied, priced.kept.shares) == (priced.pricing.applied, ())
    assert top_up(known, Load(CARD, 500_00, 0, AT)) is None
    for told in ({"store_ids": [STORE]}, {"districts": ["310101"]}):
        there = offered(KNOWN, compiled(bonus(told=conditions(**told))))
        assert top_up(there, Load(CARD, 500_00, 0, AT, None, SHOP)) is not None
        assert top_up(there, Load(CARD, 500_00, 0, AT)) is None
    of_day = offered(KNOWN, compiled(bonus(told=conditions(days_of_month=[1], programme_ids=[PROGRAMME]))))
    assert top_up(of_day, Load(CARD, 500_00, 0, AT)) is not None
    assert top_up(of_day, Load(CARD, 499_99, 0, AT)) is None


def test_a_first_top_up_and_an_invitation() -> None:
    first = offered(KNOWN, compiled(bonus(told=Conditions(first_purchase=True))))
    assert top_up(first, Load(CARD, 500_00, 0, AT)) is None
    assert top_up(first, Load(CARD, 500_00, 0, AT), is_first_load=True) is not None
    invites = offered(KNOWN, compiled(offer("invitation", from_fen=100_00, inviter_fen=20_00)))
    priced = top_up(invites, Load(CARD, 100_00, 0, AT, invited_by=BANK), is_first_load=True)
    assert [(grant.card_id, grant.amount_fen) for grant in priced.kept.grants] == [(BANK, 20_00)]


def test_what_was_sold_at_a_price_has_that_price() -> None:
    """A presale makes a top-up cheaper; of one that was sold already only the bonus beside it is given."""
    presale = offer("presale", "p", off_bp=1_000, from_fen=500_00)
    policy = StackingPolicy(max_day_fen=100_00)
    book = compile_campaigns([campaign(presale, bonus(stacking=group("")), budgets=BUDGETS)], policy)
    known = offered(KNOWN, book)
    at_once = top_up(known, Load(CARD, 500_00, 0, AT))
    assert (at_once.pricing.payable_fen, [one.offer for one in at_once.kept.applied]) == (450_00, ["o", "p"])
    assert [use.use.amount_fen for use in at_once.kept.uses] == [80_00, 80_00, 50_00]
    assert at_once.kept.uses[1].use.is_shared is False
    sold = top_up(known, Load(CARD, 500_00, 0, AT, sale_id=BANK))
    assert (sold.pricing.payable_fen, [one.offer for one in sold.kept.applied]) == (500_00, ["o"])
    assert [use.use.amount_fen for use in sold.kept.uses] == [30_00, 30_00]
    budget_id = sold.kept.uses[0].budget_id
    assert top_up(known, Load(CARD, 500_00, 0, AT, sale_id=BANK), exhausted=frozenset({budget_id})) is None
    assert top_up(known, Load(CARD, 500_00, 0, AT), exhausted=frozenset({DAY_CAP_ID})) is None
    only = offered(KNOWN, compiled(presale))
    assert top_up(only, Load(CARD, 500_00, 0, AT, sale_id=BANK)) is None


def test_why_an_offer_gives_nothing_with_a_top_up_is_told_to_who_asks() -> None:
    presale = offer("presale", "p", off_bp=1_000, from_fen=500_00, stacking=group(""))
    known = offered(KNOWN, compiled(presale, bonus(from_fen=600_00)))
    load = load_of(known, of(known), Load(CARD, 500_00, 0, AT), occurred_at=AT)
    for is_sold, payable_fen in ((False, 450_00), (True, 500_00)):
        told = price_sold(of(known).campaigns, load, exhausted=frozenset(), is_sold=is_sold, explain=True)
        assert (told.payable_fen, [(one.offer, one.why) for one in told.skipped]) == (
            payable_fen, [("o", "offer_below_threshold")]
        )  # fmt: skip
        silent = price_sold(of(known).campaigns, load, exhausted=frozenset(), is_sold=is_sold)
        assert silent == told._replace(skipped=())


# What stays is priced again


PAID = payment(PaymentKind.PURCHASE, slot=SLOT, occurred_at=AT)
GOODS = (line(1, 40_00), line(2, 80_00))
EARNED = kept(GOODS, applied=(applied(10_00, on_return=OnReturn.THRESHOLD),))


def again(known: Facts, of_kept: Any = EARNED, of_payment: Any = PAID, goods: Any = GOODS) -> Any:
    return price_again(known, of_payment, of_kept, goods)


def test_goods_that_stay_are_priced_with_the_offers_that_applied() -> None:
    other = percent("other", stacking=group(""))
    known = offered(KNOWN, compiled(off(), other))
    assert again(known).discount_fen == 10_00, "and with no other"
    assert again(known, goods=GOODS[1:]).discount_fen == 0
    both = kept(GOODS, applied=(*EARNED.applied, applied(11_00, offer="other")))
    assert [one.discount_fen for one in again(known, both).applied] == [10_00, 11_00]


def test_goods_are_not_priced_again_where_nothing_asks_or_an_offer_is_not_known_any_more() -> None:
    known = offered(KNOWN, compiled(off()))
    assert again(known, kept(GOODS, applied=(applied(10_00),))) is None
    assert again(KNOWN) is None
    assert again(known._replace(programme=None)) is None
    assert again(known, of_payment=replace(PAID, merchant_id=None)) is None
    assert again(known, of_payment=replace(PAID, store_id=None)) is None
    for gone in ({"version": 2}, {"offer": "gone"}, {"campaign_id": BANK}):
        assert again(known, kept(GOODS, applied=(applied(10_00, on_return=OnReturn.THRESHOLD, **gone),))) is None
    # one that comes back by its share may be gone
    rest = kept(GOODS, applied=(*EARNED.applied, applied(5_00, offer="gone")))
    assert again(known, rest).discount_fen == 10_00


@pytest.mark.parametrize(
    "told",
    [
        {"merchant_ids": [MERCHANT]}, {"store_ids": [STORE]}, {"trades": ["grocery"]}, {"programme_ids": [PROGRAMME]},
        {"weekdays": [7]},
    ],
    ids=lambda told: next(iter(told)),
)  # fmt: skip
def test_goods_are_priced_again_as_they_were_where_and_when_they_were_bought(told: dict[str, list[Any]]) -> None:
    known = offered(KNOWN._replace(now=NOW + timedelta(days=3)), compiled(off(conditions=conditions(**told))))
    assert again(known).discount_fen == 10_00


def test_a_first_purchase_stays_the_first_and_caps_hold_when_it_is_priced_again() -> None:
    first = off(conditions=Conditions(first_purchase=True))
    known = offered(KNOWN, compiled(first, policy=StackingPolicy(max_discount_fen=4_00)))
    assert of(known).holder.bought_before is True
    assert again(known).discount_fen == 4_00


def test_goods_that_all_stay_cost_what_they_did_and_count_where_they_did() -> None:
    told = [Budget(name=one.value, metric=BudgetMetric.AMOUNT, maximum=100_00, scope=one) for one in BudgetScope]
    book = compiled(off(on_return=OnReturn.THRESHOLD), budgets=tuple(told))
    known = offered(KNOWN, book)
    first = price_spend(known, of(known), spend(120_00, lines=GOODS), (), occurred_at=AT, moment=MOMENT)
    assert first is not None
    assert first.pricing.discount_fen == 10_00
    assert again(known, first.kept) == first.pricing


# Budgets


def test_what_returns_give_back_is_kept_with_a_use_unless_it_is_the_whole() -> None:
    told = [Budget(name=one.value, metric=BudgetMetric.AMOUNT, maximum=100_00, on_return=one) for one in BudgetReturn]
    known = offered(KNOWN, compiled(off(), budgets=tuple(told)))
    priced = price_spend(known, of(known), spend(), (), occurred_at=AT, moment=MOMENT)
    assert priced is not None
    assert [(one.on_return, one.campaign_id) for one in priced.kept.uses] == [
        (BudgetReturn.WHOLE, None), (BudgetReturn.SHARE, CAMPAIGN), (BudgetReturn.KEEP, CAMPAIGN)
    ]  # fmt: skip
    assert [one.budget_id for one in priced.kept.uses] == [one.id for one in of(known).campaigns.offers[0].budgets]
    assert [one.use.amount_fen for one in priced.kept.uses] == [10_00] * 3
    daily: dict[str, Any] = {"maximum": 100_00, "period": BudgetPeriod.DAY, "on_return": BudgetReturn.SHARE}
    shared = [
        Budget(name=one.value, metric=BudgetMetric.AMOUNT, scope=one, **daily)
        for one in (BudgetScope.ALL, BudgetScope.CARD)
    ]
    known = offered(KNOWN, compiled(off(), budgets=tuple(shared)))
    priced = price_spend(known, of(known), spend(), (), occurred_at=AT, moment=MOMENT)
    assert priced is not None
    assert [(one.use.day, one.use.maxima.day_fen, one.use.is_shared) for one in priced.kept.uses] == [
        (MOMENT.day, 100_00, True), (MOMENT.day, 100_00, False)
    ]  # fmt: skip


def test_a_budget_of_a_subject_is_another_than_that_of_all() -> None:
    keys = {budget_key(BANK, who, period) for who in (None, CARD, MERCHANT) for period in ("day", "total")}
    assert len(keys) == 6
    assert budget_key(BANK, None, "day") == budget_key(BANK, BANK, "day")
    failed, tried = doctest.testmod(budgets)
    assert (failed, tried > 3) == (0, True)


@pytest.mark.parametrize("period", ["day", "month", "year"])
def test_a_budget_of_a_period_counts_in_that_period(period: str) -> None:
    both = BudgetUse(BANK, CAMPAIGN, CARD, period, 5, 100, 7)
    use = budget_use(both, MOMENT, CARD)
    assert use == Use(
        budget_key(BANK, CARD, period), 5, 20260301, 202603, 2026,
        Maxima(**{f"{period}_fen": 100, f"{period}_count": 7}), False,
    )  # fmt: skip
    assert budget_use(both, MOMENT, MERCHANT).is_shared is True
    total = budget_use(both._replace(period="total"), MOMENT, CARD)
    assert total.maxima == Maxima(year_fen=100, year_count=7)
    assert total.is_shared is False


USAGE = Usage(20260301, 11, 1, 202603, 22, 2, 2026, 33, 3)


@pytest.mark.parametrize(
    ("period", "now", "used"),
    [
        ("day", {}, Used(11, 1)),
        ("day", {"day": 20260302}, Used(0, 0)),
        ("day", {"day": 20260228}, Used(11, 1)),
        ("month", {}, Used(22, 2)),
        ("month", {"month": 202604}, Used(0, 0)),
        ("year", {}, Used(33, 3)),
        ("year", {"year": 2027}, Used(0, 0)),
        ("total", {"year": 0}, Used(33, 3)),
    ],
)
def test_what_was_used_is_of_the_period_that_a_use_falls_into(period: str, now: dict[str, int], used: Used) -> None:
    use = Use(BANK, 5, 20260301, 202603, 2026, Maxima())._replace(**now)  # type: ignore[arg-type]
    assert used_of(period, use, USAGE) == used
    assert used_of(period, use, None) == Used(0, 0)


def counted(amount_fen: int = 5, max_fen: int | None = None, max_count: int | None = None) -> tuple[BudgetUse, Use]:
    budget = BudgetUse(BANK, CAMPAIGN, None, "day", amount_fen, max_fen, max_count)
    return budget, budget_use(budget, MOMENT, CARD)


@pytest.mark.parametrize(
    ("one", "lacks"),
    [
        (counted(5, max_fen=16), None),
        (counted(5, max_fen=15), 4),
        (counted(5, max_fen=11), 0),
        (counted(5, max_fen=3), 0),
        (counted(5, max_count=2), None),
        (counted(5, max_count=1), 0),
        (counted(5, max_fen=16, max_count=1), 0),
        (counted(5), None),
    ],
)
def test_a_budget_that_is_known_to_leave_no_room_is_told_for_a_moment(
    one: tuple[BudgetUse, Use], lacks: int | None
) -> None:
    rests = Rests()
    assert rests.lacking([one], at=10.0) == []
    rests.learn([one], {one[1].key: USAGE}, at=10.0)
    told = [] if lacks is None else [(*one, lacks)]
    assert rests.lacking([one], at=10.0) == told
    assert rests.lacking([one], at=11.0) == told
    assert rests.lacking([one], at=11.1) == []
    other = budget_use(one[0]._replace(subject_id=CARD), MOMENT, CARD)
    assert rests.lacking([(one[0], other), one], at=10.0) == told


def test_what_is_remembered_is_forgotten_before_it_is_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    most = 5
    monkeypatch.setattr(budgets, "MAX_REMEMBERED", most)
    rests = Rests()
    one = counted(5, max_fen=11)
    rests.learn([one], {}, at=10.0)
    assert rests.lacking([counted(12, max_fen=11)], at=10.0) == [(*counted(12, max_fen=11), 11)]
    many = [(one[0], one[1]._replace(key=UUID(int=number))) for number in range(most - 1)]
    rests.learn(many, {}, at=10.0)
    rests.learn([], {}, at=10.0)
    big = counted(12, max_fen=11)
    assert rests.lacking([big], at=10.0) != []
    rests.learn([(one[0], one[1]._replace(key=UUID(int=most)))], {}, at=10.0)
    assert rests.lacking([big], at=10.0) != []
    rests.learn([], {}, at=10.0)
    assert rests.lacking([big], at=10.0) == []
