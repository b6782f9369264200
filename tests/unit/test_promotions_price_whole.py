"""Pricings whole: every field of shares, grants, uses and reasons; and the caps and orders where each cuts."""

from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace
from tests.unit.promotion_facts import (
    CARD,
    HALVES,
    MERCHANT,
    PERSON,
    STORE,
    basket,
    campaign,
    compiled,
    conditions,
    group,
    line,
    load,
    off,
    percent,
)
from tests.unit.test_promotions_load import bonus, offer
from tests.unit.test_promotions_price import VOUCHER, hand

from kaquan.promotions import (
    Applied,
    Base,
    Basket,
    Budget,
    BudgetMetric,
    BudgetPeriod,
    BudgetReturn,
    BudgetScope,
    BudgetUse,
    CompiledCampaigns,
    Conditions,
    Funder,
    FunderKind,
    Goods,
    Grant,
    GrantKind,
    Holder,
    LoadPricing,
    Offer,
    OnReturn,
    OutsideOffer,
    Pricing,
    Share,
    Stacking,
    StackingPolicy,
    VoucherInHand,
    compile_campaigns,
    price_basket,
    price_load,
)
from kaquan.promotions.gifts import VoucherGift
from kaquan.promotions.kinds.gift_vouchers import GiftVouchers, Tier
from kaquan.promotions.kinds.nth_item import NthItem
from kaquan.promotions.kinds.points_gift import PointsGift
from kaquan.promotions.kinds.points_gift import Tier as PointsTier
from kaquan.promotions.price import DAY_CAP_ID

C1 = campaign().id
FREE = group("")
EMPTY = compile_campaigns([])
TEMPLATE = UUID(int=5)


def reasons(pricing: Pricing | LoadPricing) -> list[tuple[str, UUID | None, str, dict[str, Any]]]:
    return [(one.offer, one.voucher_id, one.why, dict(one.detail)) for one in pricing.skipped]


def skipped(book: CompiledCampaigns, of: Basket, **more: Any) -> list[tuple[str, UUID | None, str, dict[str, Any]]]:
    return reasons(price_basket(book, of, explain=True, **more))


def worth(pricing: Pricing) -> list[tuple[str, int]]:
    return [(one.offer, one.discount_fen) for one in pricing.applied]


def gift(name: str = "gift", from_fen: int = 100_00, face_fen: int = 25_00, count: int = 2, **more: Any) -> Offer:
    given = VoucherGift(template_id=TEMPLATE, face_fen=face_fen, valid_days=30, count=count)
    return Offer(name=name, kind="gift_vouchers", params=GiftVouchers(tiers=(Tier(from_fen, given),)), **more)


def test_a_basket_whole() -> None:
    budgets = (
        Budget(name="all", metric=BudgetMetric.AMOUNT, maximum=1_000_00),
        Budget(name="s", metric=BudgetMetric.COUNT, maximum=5, scope=BudgetScope.STORE, period=BudgetPeriod.MONTH),
        Budget(name="m", metric=BudgetMetric.COUNT, maximum=6, scope=BudgetScope.MERCHANT, period=BudgetPeriod.YEAR),
        Budget(name="c", metric=BudgetMetric.COUNT, maximum=7, scope=BudgetScope.CARD, period=BudgetPeriod.DAY),
        Budget(name="h", metric=BudgetMetric.COUNT, maximum=8, scope=BudgetScope.HOLDER),
    )
    book = compiled(
        off(on_return=OnReturn.THRESHOLD), gift(stacking=FREE, on_return=OnReturn.KEEP), budgets=budgets,
        funders=HALVES, policy=StackingPolicy(max_day_fen=50_00),
    )  # fmt: skip
    ids = [one.id for one in book.offers[0].budgets]
    assert price_basket(book, basket(line(3, 60_00), line(7, 60_00))) == Pricing(
        120_00,
        10_00,
        110_00,
        (
            Share(3, C1, "off", None, HALVES[0], 2_50),
            Share(7, C1, "off", None, HALVES[0], 2_50),
            Share(3, C1, "off", None, HALVES[1], 2_50),
            Share(7, C1, "off", None, HALVES[1], 2_50),
        ),
        (
            Applied(C1, 1, "gift", None, 0, OnReturn.KEEP),
            Applied(C1, 1, "off", None, 10_00, OnReturn.THRESHOLD),
        ),
        (Grant(C1, "gift", GrantKind.VOUCHERS, 50_00, TEMPLATE, 2, (), HALVES, None, OnReturn.KEEP),),
        (
            BudgetUse(ids[0], C1, None, "total", 60_00, 1_000_00, None, False),
            BudgetUse(ids[1], C1, STORE, "month", 60_00, None, 5, False),
            BudgetUse(ids[2], C1, MERCHANT, "year", 60_00, None, 6, False),
            BudgetUse(ids[3], C1, CARD, "day", 60_00, None, 7, True),
            BudgetUse(ids[4], C1, PERSON, "total", 60_00, None, 8, True),
            BudgetUse(DAY_CAP_ID, UUID(int=0), PERSON, "day", 10_00, 50_00, None, True),
        ),
    )


def test_a_top_up_whole() -> None:
    presale = offer("presale", "p", off_bp=1_000, from_fen=500_00, stacking=FREE)
    nobody = offer("presale", "n", off_bp=1_000, from_fen=600_00, stacking=group("other"))
    later = bonus(told=conditions(weekdays=[6]))
    budget = (Budget(name="all", metric=BudgetMetric.AMOUNT, maximum=1_000_00),)
    book = compiled(presale, bonus(name="b"), later, nobody, budgets=budget, funders=HALVES)
    (budget_,) = book.offers[0].budgets
    assert price_load(book, load(500_00), explain=True) == LoadPricing(
        500_00,
        50_00,
        450_00,
        (Share(1, C1, "p", None, HALVES[0], 25_00), Share(1, C1, "p", None, HALVES[1], 25_00)),
        (Applied(C1, 1, "b", None, 0), Applied(C1, 1, "p", None, 50_00)),
        (Grant(C1, "b", GrantKind.BONUS, 30_00, None, 1, (), HALVES),),
        (BudgetUse(budget_.id, C1, None, "total", 80_00, 1_000_00, None),),
        price_load(book, load(500_00), explain=True).skipped,
    )
    assert reasons(price_load(book, load(500_00), explain=True)) == [
        ("n", None, "offer_below_threshold", {"amount_fen": 500_00, "needed_fen": 600_00}),
        ("o", None, "offer_not_now", {}),
    ]
    assert price_load(book, load(500_00)).skipped == ()


def test_a_top_up_is_nowhere_or_at_a_store() -> None:
    budget = (
        Budget(name="s", metric=BudgetMetric.COUNT, maximum=5, scope=BudgetScope.STORE),
        Budget(name="m", metric=BudgetMetric.COUNT, maximum=5, scope=BudgetScope.MERCHANT),
    )
    book = compiled(bonus(), budgets=budget)
    assert [use.subject_id for use in price_load(book, load(500_00)).uses] == [None, None]
    there = load(500_00, merchant_id=MERCHANT, store_id=STORE)
    assert [use.subject_id for use in price_load(book, there).uses] == [STORE, MERCHANT]


# Reasons


def test_reasons_of_groups_and_of_standing_alone() -> None:
    assert skipped(compiled(off(), percent(off_bp=500)), basket(100_00)) == [
        ("percent", None, "offer_group_taken", {"group": "standard", "winner": "off"})
    ]
    bank = OutsideOffer("bank", "standard", 1)
    assert skipped(compiled(off()), basket(120_00, outside=(bank,))) == [
        ("off", None, "offer_group_taken", {"group": "standard", "winner": "bank"})
    ]
    alone = percent("alone", off_bp=2_000, stacking=Stacking(alone=True))
    stacked = (off(stacking=FREE), percent(off_bp=500, stacking=FREE))
    assert skipped(compiled(alone, *stacked), basket(120_00)) == [
        (name, None, "offer_stands_alone", {"winner": "alone"}) for name in ("off", "percent")
    ]
    small = percent("alone", off_bp=1_000, stacking=Stacking(alone=True))
    assert skipped(compiled(small, *stacked), basket(120_00)) == [
        ("alone", None, "offer_stands_alone", {"winner": "off, percent"})
    ]
    # one that stands alone is in no group, whatever it says
    assert worth(price_basket(compiled(small, off(off_fen=5_00)), basket(120_00))) == [("alone", 12_00)]


def test_reasons_of_goods_holders_and_budgets() -> None:
    dairy = Conditions(goods=Goods(categories=frozenset({"dairy"})))
    assert skipped(compiled(off(conditions=dairy)), basket(100_00)) == [("off", None, "offer_not_for_goods", {})]
    assert skipped(compiled(off(conditions=conditions(tiers=["gold"]))), basket(100_00)) == [
        ("off", None, "offer_not_for_holder", {"condition": "tiers"})
    ]
    assert skipped(compiled(off()), basket(99_99)) == [
        ("off", None, "offer_below_threshold", {"amount_fen": 99_99, "needed_fen": 100_00})
    ]
    budgets = (Budget(name="b", metric=BudgetMetric.COUNT, maximum=1),)
    book = compiled(off(), budgets=budgets)
    used_up = frozenset({book.offers[0].budgets[0].id})
    assert skipped(book, basket(100_00), exhausted=used_up) == [("off", None, "offer_budget_exhausted", {})]
    assert price_basket(book, basket(100_00), exhausted=frozenset({STORE})).discount_fen == 10_00
    assert skipped(compiled(off(), control_bp=10_000), basket(100_00)) == [("off", None, "offer_held_back", {})]
    assert skipped(compiled(off(conditions=conditions(store_ids=[CARD]))), basket(100_00)) == [
        ("off", None, "offer_not_here", {})
    ]


def test_reasons_of_limits() -> None:
    two = (percent("a", off_bp=5_000, stacking=FREE), percent("b", off_bp=5_000, stacking=FREE))
    limit = "offer_limit_reached"
    assert skipped(compiled(*two, policy=StackingPolicy(max_offers=1)), basket(100_00)) == [
        ("b", None, limit, {"limit": "max_offers"})
    ]
    assert skipped(compiled(*two, policy=StackingPolicy(max_discount_fen=50_00)), basket(100_00)) == [
        ("b", None, limit, {"limit": "max_discount"})
    ]
    all_of_it = percent("a", off_bp=10_000, stacking=FREE)
    assert skipped(compiled(all_of_it, two[1]), basket(100_00)) == [("b", None, "offer_no_effect", {})]
    listed = percent("b", off_bp=5_000, stacking=Stacking(group="", base=Base.LIST))
    assert skipped(compiled(all_of_it, listed), basket(100_00)) == [("b", None, "offer_no_effect", {})]
    left = off("b", stacking=FREE)
    assert skipped(compiled(percent("a", stacking=FREE), left), basket(105_00)) == [
        ("b", None, "offer_below_threshold", {"amount_fen": 94_50, "needed_fen": 100_00})
    ]


def test_a_campaign_that_has_given_all_it_may_gives_no_more() -> None:
    small = (Budget(name="small", metric=BudgetMetric.AMOUNT, maximum=10_00),)
    book = compiled(off(stacking=FREE), percent(off_bp=5_000, stacking=FREE), budgets=small)
    told = price_basket(book, basket(200_00), explain=True)
    assert (worth(told), reasons(told)) == ([("off", 10_00)], [("percent", None, "offer_budget_exhausted", {})])
    assert [use.amount_fen for use in told.uses] == [10_00]
    two = compile_campaigns(
        [campaign(off(stacking=FREE), budgets=small), campaign(percent(stacking=FREE), number=2, budgets=small)]
    )
    assert worth(price_basket(two, basket(105_00))) == [("off", 10_00), ("percent", 9_50)]


def test_a_gift_counts_in_a_budget_before_the_discount_beside_it() -> None:
    for maximum, given in ((60_00, 60_00), (55_00, 55_00), (50_00, 50_00), (49_99, 10_00)):
        cap = (Budget(name="cap", metric=BudgetMetric.AMOUNT, maximum=maximum),)
        book = compiled(gift("a", stacking=FREE), off("b", stacking=FREE), budgets=cap)
        told = price_basket(book, basket(100_00))
        assert [use.amount_fen for use in told.uses] == [given]
        assert told.discount_fen == min(10_00, given - 50_00 if given >= 50_00 else 10_00)


def test_reasons_are_told_only_to_who_asks() -> None:
    elsewhere = off("x", conditions=conditions(store_ids=[CARD]))
    for book in (compiled(off()), compiled(elsewhere), compiled(off(), elsewhere)):
        assert price_basket(book, basket(1)).skipped == ()
    told = price_basket(compiled(off(), elsewhere), basket(1), explain=True).skipped
    assert [(one.campaign_id, one.offer, one.why) for one in told] == [
        (C1, "off", "offer_below_threshold"), (C1, "x", "offer_not_here")
    ]  # fmt: skip


def test_every_offer_beyond_the_last_has_its_reason() -> None:
    three = [percent(name, stacking=FREE) for name in "abc"]
    told = skipped(compiled(*three, policy=StackingPolicy(max_offers=1)), basket(9_00))
    assert [(one[0], one[3]) for one in told] == [
        ("b", {"limit": "max_offers"}), ("c", {"limit": "max_offers"})
    ]  # fmt: skip


def test_an_offer_that_comes_to_nothing_stops_no_other() -> None:
    a, c = percent("a", stacking=FREE), percent("c", stacking=FREE)
    nothing = off("b", stacking=FREE)
    assert worth(price_basket(compiled(a, nothing, c), basket(105_00))) == [("a", 10_50), ("c", 9_45)]
    small = (Budget(name="small", metric=BudgetMetric.AMOUNT, maximum=10_00),)
    poor = campaign(off("a", stacking=FREE), off("b", stacking=FREE), budgets=small)
    rich = campaign(percent("c", stacking=FREE), number=2, budgets=BUDGET)
    told = price_basket(compile_campaigns([poor, rich]), basket(200_00))
    assert worth(told) == [("a", 10_00), ("c", 19_00)]
    both = compile_campaigns([campaign(a, c, budgets=BUDGET), rich])
    assert [use.amount_fen for use in price_basket(both, basket(100_00)).uses] == [19_00, 8_10]


BUDGET = (Budget(name="b", metric=BudgetMetric.AMOUNT, maximum=1_000_00),)


# Vouchers


def test_a_voucher_that_cannot_be_used_stops_no_other() -> None:
    late = hand(off("v", stacking=FREE, conditions=conditions(weekdays=[6])), 1)
    small = hand(off("w", from_fen=999_00, stacking=FREE), 2)
    good = hand(off("x", stacking=FREE), 3)
    for other in (late, small):
        assert worth(price_basket(EMPTY, basket(100_00, vouchers=(other, good)))) == [("x", 10_00)]


def test_a_voucher_that_stands_alone_may_be_worth_more_than_a_budget_leaves() -> None:
    poor = (Budget(name="b", metric=BudgetMetric.AMOUNT, maximum=5_00),)
    alone = hand(off("v", stacking=Stacking(alone=True)))
    told = price_basket(compiled(off(off_fen=20_00), budgets=poor), basket(100_00, vouchers=(alone,)))
    assert worth(told) == [("v", 10_00)]


def test_vouchers_have_their_time_and_place_and_number() -> None:
    told: list[tuple[dict[str, Any], str]] = [
        ({"weekdays": [6]}, "offer_not_now"), ({"store_ids": [CARD]}, "offer_not_here")
    ]  # fmt: skip
    for where, code in told:
        ticket = hand(off("v", conditions=conditions(**where)))
        priced = price_basket(EMPTY, basket(100_00, vouchers=(ticket,)), explain=True)
        assert (priced.discount_fen, reasons(priced)) == (0, [("v", VOUCHER, code, {})])
    three = tuple(hand(off("v", from_fen=1, stacking=group("", max_vouchers=2)), n) for n in range(3))
    priced = price_basket(EMPTY, basket(100_00, vouchers=three), explain=True)
    assert reasons(priced) == [("v", three[2].voucher_id, "offer_limit_reached", {"limit": "max_vouchers"})]
    assert priced.discount_fen == 20_00


def test_vouchers_of_two_offers_are_counted_apart() -> None:
    one, two = hand(off("v", from_fen=1, stacking=FREE), 1), hand(off("w", from_fen=1, stacking=FREE), 2)
    assert price_basket(EMPTY, basket(100_00, vouchers=(one, two))).discount_fen == 20_00


def test_a_voucher_in_a_group_that_is_taken_outside_stays_with_its_holder() -> None:
    bank = OutsideOffer("bank", "standard", 1)
    priced = price_basket(EMPTY, basket(120_00, vouchers=(hand(off("v")),), outside=(bank,)), explain=True)
    assert reasons(priced) == [("v", VOUCHER, "offer_group_taken", {"group": "standard", "winner": "bank"})]
    other = OutsideOffer("bank", "other", 1)
    assert price_basket(EMPTY, basket(120_00, vouchers=(hand(off("v")),), outside=(other,))).discount_fen == 10_00


def test_a_voucher_as_good_as_an_offer_yields_to_the_lower_rank() -> None:
    """The voucher's campaign code is V, which comes after C1."""
    same = price_basket(compiled(off("z")), basket(100_00, vouchers=(hand(off("a")),)))
    assert [(one.offer, one.voucher_id) for one in same.applied] == [("z", None)]
    first = hand(off("a", stacking=Stacking(order=1)))
    assert [one.voucher_id for one in price_basket(compiled(off("z")), basket(100_00, vouchers=(first,))).applied] == [
        VOUCHER
    ]


def test_of_two_vouchers_of_one_group_the_better_counts_and_else_the_older() -> None:
    small, large = hand(off("s", off_fen=5_00), 1), hand(off("l", off_fen=8_00), 2)
    for both in ((small, large), (large, small)):
        priced = price_basket(EMPTY, basket(100_00, vouchers=both), explain=True)
        assert [one.voucher_id for one in priced.applied] == [large.voucher_id]
        assert reasons(priced) == [("s", small.voucher_id, "offer_group_taken", {"group": "standard", "winner": "l"})]
    ticket = off("v", stacking=Stacking(max_vouchers=2))
    twins = (hand(ticket, 2), hand(ticket, 1))
    priced = price_basket(EMPTY, basket(100_00, vouchers=twins), explain=True)
    assert [one.voucher_id for one in priced.applied] == [twins[1].voucher_id]


def test_a_voucher_that_stands_alone() -> None:
    alone = hand(off("v", off_fen=30_00, stacking=Stacking(alone=True)))
    assert worth(price_basket(compiled(off()), basket(100_00, vouchers=(alone,)))) == [("v", 30_00)]
    little = hand(off("v", off_fen=3_00, stacking=Stacking(alone=True)))
    assert worth(price_basket(compiled(off()), basket(100_00, vouchers=(little,)))) == [("off", 10_00)]


def test_a_voucher_is_never_held_back_by_a_control_group() -> None:
    made = hand(off("v"))
    held = VoucherInHand(made.voucher_id, made.template_id, compiled(off("v"), control_bp=10_000).offers[0])
    assert price_basket(EMPTY, basket(100_00, vouchers=(held,))).discount_fen == 10_00


# Choosing


TEA, OIL = (Conditions(goods=Goods(skus=frozenset({sku}))) for sku in ("tea", "oil"))


@pytest.mark.parametrize(
    ("passed", "of", "best"),
    [
        # its goods are not there, or too few of them
        (off("p", from_fen=10_00, off_fen=9_00, conditions=TEA), basket(line(1, 100_00, sku="oil")), 10_00),
        (off("p", from_fen=50_00, off_fen=49_00, conditions=TEA),
         basket(line(1, 20_00, sku="tea"), line(2, 100_00, sku="oil")), 10_00),
        (off("p", from_fen=150_00, off_fen=149_00), basket(line(1, 100_00, sku="oil")), 10_00),
        # it is not for this holder
        (off("p", from_fen=10_00, off_fen=9_90, conditions=conditions(tiers=["gold"])),
         basket(line(1, 100_00, sku="oil")), 10_00),
        # it gives nothing
        (Offer(name="p", kind="nth_item", params=NthItem(nth=2, off_bp=10_000)), basket(line(1, 100_00, sku="oil")),
         10_00),
        # it is worth less
        (off("p", from_fen=10_00, off_fen=5_00), basket(line(1, 100_00, sku="oil")), 10_00),
    ],
)  # fmt: skip
def test_an_offer_of_a_group_that_is_passed_over_hides_no_other(passed: Offer, of: Basket, best: int) -> None:
    for other in (percent("b"), percent("b", conditions=OIL)):
        assert worth(price_basket(compiled(passed, other), of)) in ([("b", best)], [("b", of.amount_fen // 10)])


def test_of_a_group_the_best_is_found_whatever_comes_before() -> None:
    first = off("a", from_fen=6_00, off_fen=5_00)
    capped = percent("b", off_bp=5_000, most_fen=3_00)
    assert worth(price_basket(compiled(first, capped, percent("c")), basket(100_00))) == [("c", 10_00)]
    twins = (off("a", from_fen=20_00), off("b", from_fen=25_00))
    assert worth(price_basket(compiled(*twins, percent("c", off_bp=1_500)), basket(100_00))) == [("c", 15_00)]
    spent = campaign(off("a", from_fen=10_00, off_fen=9_90), budgets=BUDGET)
    book = compile_campaigns([spent, campaign(percent("c"), number=2)])
    used_up = frozenset({book.offers[0].budgets[0].id})
    assert worth(price_basket(book, basket(100_00), exhausted=used_up)) == [("c", 10_00)]


SMALLER = percent("z")
"""Of 100.00 ten off: looked at last wherever the other may be worth more."""


@pytest.mark.parametrize(
    "passed",
    [
        off("p", from_fen=100_00, off_fen=50_00, conditions=conditions(tiers=["gold"])),
        Offer(name="p", kind="nth_item", params=NthItem(nth=2, off_bp=10_000)),
    ],
)
def test_one_that_could_be_worth_more_and_is_not_for_this_basket_hides_no_other(passed: Offer) -> None:
    assert worth(price_basket(compiled(passed, SMALLER), basket(100_00))) == [("z", 10_00)]


def test_one_that_others_took_the_goods_of_hides_no_other() -> None:
    """Of 120.00 a bank takes 30.00 off: 90.00 are too few for the first, and enough for the second."""
    bank = (OutsideOffer("bank", "other", 30_00),)
    book = compiled(off("p", off_fen=50_00), SMALLER)
    assert worth(price_basket(book, basket(120_00, outside=bank))) == [("z", 9_00)]


def test_one_whose_budget_is_used_up_hides_no_other() -> None:
    book = compile_campaigns([campaign(off("p", off_fen=50_00), budgets=BUDGET), campaign(SMALLER, number=2)])
    used_up = frozenset({one.budgets[0].id for one in book.offers if one.budgets})
    assert worth(price_basket(book, basket(100_00), exhausted=used_up)) == [("z", 10_00)]


def test_one_that_is_worth_no_more_hides_no_better_one() -> None:
    """Of 120.00 the first is worth 12.00, the second 9.60 though its bound is above that, and the third 15.00."""
    three = (percent("a"), percent("b", off_bp=800), off("c", off_fen=15_00))
    assert worth(price_basket(compiled(*three), basket(120_00))) == [("c", 15_00)]
    # of 80.00 and 20.00 the second piece is 10.00 cheaper by either
    twins = [Offer(name=name, kind="nth_item", params=NthItem(nth=2, off_bp=5_000)) for name in "ab"]
    assert worth(price_basket(compiled(*twins, off("c", off_fen=12_00)), basket(80_00, 20_00))) == [("c", 12_00)]
    assert worth(price_basket(compiled(*twins), basket(80_00, 20_00))) == [("a", 10_00)]


def test_one_that_stands_alone_and_is_worth_as_much_replaces_nothing() -> None:
    alone = percent("alone", stacking=Stacking(alone=True))
    assert worth(price_basket(compiled(alone, off()), basket(100_00))) == [("off", 10_00)]


def test_an_offer_from_outside_takes_its_own_group_alone_and_none_for_nothing() -> None:
    other = (OutsideOffer("bank", "other", 1),)
    assert price_basket(compiled(off()), basket(120_00, outside=other)).discount_fen == 10_00
    nothing = (OutsideOffer("bank", "standard", 0),)
    assert price_basket(compiled(off()), basket(120_00, outside=nothing)).discount_fen == 10_00


def test_a_group_that_is_taken_outside_hides_no_other() -> None:
    book = compiled(*(off(name, off_fen=5_00, stacking=Stacking(group=name)) for name in ("one", "two")))
    for taken in ("one", "two"):
        bank = (OutsideOffer("bank", taken, 1),)
        assert price_basket(book, basket(120_00, outside=bank)).discount_fen == 5_00


def test_offers_by_list_prices_are_not_missed_where_something_was_taken_off_before() -> None:
    by_list = [
        off(name, off_fen=5_00, conditions=goods, stacking=Stacking(group="", base=Base.LIST))
        for name, goods in (("t", TEA), ("o", OIL))
    ]
    bank = (OutsideOffer("bank", "other", 10_00),)
    of = basket(line(1, 100_00, sku="tea"), line(2, 100_00, sku="oil"), outside=bank)
    assert price_basket(compiled(*by_list), of).discount_fen == 10_00


def test_an_offer_that_is_passed_over_hides_no_other_of_its_group() -> None:
    for_tea = off("a", off_fen=20_00, conditions=TEA)
    assert worth(price_basket(compiled(for_tea, off("b")), basket(120_00))) == [("b", 10_00)]
    half = percent("b", off_bp=500)
    assert worth(price_basket(compiled(percent("a"), half, off("c", off_fen=20_00)), basket(120_00))) == [("c", 20_00)]


def test_pieces_of_some_goods_after_another_offer() -> None:
    half = percent("a", off_bp=5_000, stacking=Stacking(order=1, group=""))
    pairs = Offer(
        name="b", kind="nth_item", params=NthItem(nth=2, off_bp=10_000), conditions=TEA,
        stacking=Stacking(order=2, group=""),
    )  # fmt: skip
    of = basket(line(1, 90_00), line(2, 40_00, sku="tea"), line(3, 30_00, sku="tea"))
    assert worth(price_basket(compiled(pairs), of)) == [("b", 30_00)]
    assert worth(price_basket(compiled(half, pairs), of)) == [("a", 80_00), ("b", 15_00)]
    everything = Offer(
        name="b", kind="nth_item", params=NthItem(nth=3, off_bp=10_000), stacking=Stacking(order=2, group="")
    )
    assert worth(price_basket(compiled(half, everything), of)) == [("a", 80_00), ("b", 15_00)]


def test_an_offer_that_others_leave_exactly_its_threshold_for() -> None:
    first = percent("a", stacking=Stacking(order=1, group=""))
    book = compiled(first, off("b", from_fen=180_00, stacking=Stacking(order=2, group="")))
    assert worth(price_basket(book, basket(200_00))) == [("a", 20_00), ("b", 10_00)]
    assert worth(price_basket(book, basket(199_99))) == [("a", 19_99), ("b", 10_00)]
    assert worth(price_basket(book, basket(199_98))) == [("a", 19_99)]


def test_what_is_given_counts_as_much_as_what_is_off() -> None:
    book = compiled(off(off_fen=40_00), gift())
    assert [one.offer for one in price_basket(book, basket(100_00)).applied] == ["gift"]
    dear = compiled(off(off_fen=60_00), gift())
    assert [one.offer for one in price_basket(dear, basket(100_00)).applied] == ["off"]


def test_goods_are_taken_before_groups_compete() -> None:
    """The one that is worth more in all is worth less of its own goods."""
    tea = Conditions(goods=Goods(skus=frozenset({"tea"})))
    book = compiled(percent("half", off_bp=5_000, conditions=tea), percent("tenth", off_bp=1_000))
    of = basket(line(1, 10_00, sku="tea"), line(2, 90_00, sku="oil"))
    assert worth(price_basket(book, of)) == [("tenth", 10_00)]
    of = basket(line(1, 21_00, sku="tea"), line(2, 79_00, sku="oil"))
    assert worth(price_basket(book, of)) == [("half", 10_50)]
    of = basket(line(1, 20_00, sku="tea"), line(2, 80_00, sku="oil"))
    assert worth(price_basket(book, of)) == [("half", 10_00)], "of two that are worth the same the rank decides"
    below = compiled(off("tea", from_fen=50_00, off_fen=40_00, conditions=tea), percent("tenth"))
    assert worth(price_basket(below, of)) == [("tenth", 10_00)]


def test_an_offer_on_the_list_price_sees_what_goods_cost_before_every_other() -> None:
    first = percent("a", off_bp=5_000, stacking=Stacking(order=1, group=""))
    of_list = off("b", off_fen=20_00, stacking=Stacking(order=2, group="", base=Base.LIST))
    assert worth(price_basket(compiled(first, of_list), basket(100_00))) == [("a", 50_00), ("b", 20_00)]
    bank = (OutsideOffer("bank", "", 10_00),)
    assert worth(price_basket(compiled(of_list), basket(100_00, outside=bank))) == [("b", 20_00)]
    assert worth(price_basket(compiled(off("b", stacking=FREE)), basket(100_00, outside=bank))) == []


def test_an_offer_by_line_takes_no_more_of_a_line_than_it_costs_by_then() -> None:
    second = Offer(
        name="b", kind="nth_item", params=NthItem(nth=2, off_bp=10_000),
        stacking=Stacking(order=2, group="", base=Base.LIST),
    )  # fmt: skip
    half = percent("a", off_bp=5_000, stacking=Stacking(order=1, group=""))
    told = price_basket(compiled(half, second), basket(line(1, 40_00), line(2, 30_00)))
    assert worth(told) == [("a", 35_00), ("b", 15_00)]
    assert [(one.line, one.amount_fen) for one in told.shares] == [(1, 20_00), (2, 15_00), (2, 15_00)]


def test_a_discount_is_of_its_own_goods_wherever_they_stand() -> None:
    tea = Conditions(goods=Goods(skus=frozenset({"tea"})))
    goods = (line(1, 30_00, sku="oil"), line(2, 40_00, sku="tea"), line(3, 20_00), line(4, 60_00, sku="tea"))
    told = price_basket(compiled(off(conditions=tea, stacking=FREE), percent(stacking=FREE)), basket(*goods))
    assert [(one.offer, one.line, one.amount_fen) for one in told.shares] == [
        ("off", 2, 4_00), ("off", 4, 6_00),
        ("percent", 1, 3_00), ("percent", 2, 3_60), ("percent", 3, 2_00), ("percent", 4, 5_40),
    ]  # fmt: skip


def test_three_funders_get_whole_parts_of_each_line() -> None:
    third = tuple(Funder(FunderKind.PARTY, UUID(int=n), bp) for n, bp in ((1, 5_000), (2, 3_000), (3, 2_000)))
    told = price_basket(compiled(off(off_fen=9), funders=third), basket(70_00, 30_00))
    assert [(one.line, one.funder.party_id, one.amount_fen) for one in told.shares] == [
        (1, UUID(int=1), 3), (2, UUID(int=1), 1), (1, UUID(int=2), 2), (2, UUID(int=2), 1), (1, UUID(int=3), 1),
        (2, UUID(int=3), 1),
    ]  # fmt: skip


# Caps


@pytest.mark.parametrize(
    ("policy", "outside_fen", "discount_fen"),
    [
        (StackingPolicy(max_discount_bp=3_333), 0, 33_33),
        (StackingPolicy(max_discount_bp=3_333), 10_00, 23_33),
        (StackingPolicy(max_discount_fen=30_00), 10_00, 20_00),
        (StackingPolicy(max_discount_fen=5_00), 10_00, 0),
        (StackingPolicy(max_day_fen=30_00, max_discount_fen=40_00), 0, 30_00),
        (StackingPolicy(max_day_fen=40_00, max_discount_fen=30_00), 0, 30_00),
        (StackingPolicy(), 0, 50_00),
        (StackingPolicy(), 10_00, 45_00),
    ],
)
def test_outside_offers_count_in_the_caps_of_the_policy(
    policy: StackingPolicy, outside_fen: int, discount_fen: int
) -> None:
    outside = (OutsideOffer("bank", "", outside_fen),) if outside_fen else ()
    told = price_basket(compiled(percent(off_bp=5_000), policy=policy), basket(100_00, outside=outside))
    assert (told.discount_fen, told.payable_fen) == (discount_fen, 100_00 - outside_fen - discount_fen)


def test_a_share_of_the_basket_is_rounded_down() -> None:
    book = compiled(percent(off_bp=5_000), policy=StackingPolicy(max_discount_bp=3_333))
    told = price_basket(book, basket(100_01))
    assert told.discount_fen == 33_33
    assert isinstance(told.discount_fen, int)


def test_a_day_cap_counts_discounts_alone() -> None:
    book = compiled(gift(), policy=StackingPolicy(max_day_fen=50_00))
    assert price_basket(book, basket(100_00)).uses == ()
    load_book = compiled(offer("presale", off_bp=1_000, from_fen=1), policy=StackingPolicy(max_day_fen=50_00))
    (use,) = price_load(load_book, load(100_00)).uses
    assert use == BudgetUse(DAY_CAP_ID, UUID(int=0), PERSON, "day", 10_00, 50_00, None, True)


def test_an_offer_from_outside_alone() -> None:
    told = price_basket(EMPTY, basket(60_00, 40_00, outside=(OutsideOffer("a", "", 3), OutsideOffer("b", "g", 4))))
    assert told == Pricing(100_00, 0, 99_93, (), (), (), ())


def test_a_gift_is_given_where_no_discount_is_left() -> None:
    """Not even the one before it got any."""
    stacked = [off("a", stacking=FREE), percent("b", stacking=FREE), gift("c", stacking=FREE)]
    told = price_basket(compiled(*stacked, policy=StackingPolicy(max_discount_fen=10_00)), basket(200_00))
    assert worth(told) == [("a", 10_00), ("c", 0)]
    assert [one.amount_fen for one in told.grants] == [50_00]


# Control groups


def test_who_is_held_back_is_told_where_the_offer_would_have_applied() -> None:
    weak, strong = percent(off_bp=500), off(off_fen=20_00)
    both = compile_campaigns([campaign(weak, control_bp=10_000), campaign(strong, number=2)])
    assert price_basket(both, basket(100_00)).held_back == ()
    lost = compile_campaigns([campaign(weak, number=2), campaign(strong, control_bp=10_000)])
    told = price_basket(lost, basket(100_00), explain=True)
    assert (told.held_back, worth(told)) == ((C1,), [("percent", 5_00)])
    same = compile_campaigns([campaign(off("a"), control_bp=10_000), campaign(off("b"), number=2)])
    assert price_basket(same, basket(100_00)).held_back == (C1,)
    alone = off(off_fen=1_00, stacking=Stacking(alone=True))
    held = compile_campaigns([campaign(alone, control_bp=10_000), campaign(strong, number=2)])
    assert price_basket(held, basket(100_00)).held_back == (C1,)
    less = off("a", from_fen=6_00, off_fen=5_00)
    beaten = compile_campaigns([campaign(less, control_bp=10_000), campaign(percent(off_bp=2_000), number=2)])
    assert price_basket(beaten, basket(100_00)).held_back == ()
    two = compiled(off(stacking=FREE), percent(stacking=FREE), control_bp=10_000)
    assert price_basket(two, basket(100_00)).held_back == (C1,)
    # half of the second piece is 10.00, which could have been more than the 20.00 that the winner gives
    second = Offer(name="a", kind="nth_item", params=NthItem(nth=2, off_bp=5_000))
    after = compile_campaigns([campaign(second, control_bp=10_000), campaign(strong, number=2)])
    told = price_basket(after, basket(80_00, 20_00))
    assert (told.held_back, worth(told)) == ((), [("off", 20_00)])
    assert price_basket(after, basket(50_00, 49_99)).held_back == (C1,), "below the winner's threshold it is the best"


def test_who_is_of_the_control_group_follows_from_the_holder() -> None:
    book = compiled(off(), control_bp=5_000)
    for number in range(20):
        card = UUID(int=number)
        alone = price_basket(book, basket(100_00, holder=Holder(card))).held_back
        assert price_basket(book, basket(100_00, holder=Holder(CARD, card))).held_back == alone


def test_who_is_held_back_of_a_top_up_is_told() -> None:
    told = price_load(compiled(bonus(), control_bp=10_000), load(500_00))
    assert (told.held_back, told.grants) == ((C1,), ())


# Chance


def test_a_packet_is_drawn_by_the_transaction_and_the_offer() -> None:
    packet: dict[str, Any] = {"from_fen": 1, "least_fen": 1, "most_fen": 1_000_000}
    book = compiled(
        offer("red_packet", "x", stacking=FREE, **packet), offer("red_packet", "y", stacking=FREE, **packet)
    )

    def drawn(number: int) -> list[int]:
        return [one.amount_fen for one in price_load(book, load(1, transaction_id=UUID(int=number))).grants]

    one, two = drawn(1)
    assert one != two
    assert drawn(1) == [one, two]
    assert not {one, two} & set(drawn(2))
    other = compiled(offer("red_packet", "x", **packet), number=2)
    assert price_load(other, load(1, transaction_id=UUID(int=1))).grants[0].amount_fen not in (one, two)


def test_offers_of_top_ups_see_the_whole_top_up_after_others() -> None:
    presale = offer("presale", "a", off_bp=5_000, from_fen=500_00, stacking=Stacking(order=1, group=""))
    told = price_load(compiled(presale, bonus(stacking=Stacking(order=2, group=""))), load(500_00))
    assert [one.amount_fen for one in told.grants] == [30_00]
    twice = offer("presale", "b", off_bp=6_000, from_fen=1, stacking=Stacking(order=2, group=""))
    both = price_load(compiled(presale, twice), load(500_00))
    assert (both.discount_fen, both.payable_fen) == (500_00, 0)


def test_what_is_not_on_here_is_told_once() -> None:
    elsewhere = off("x", conditions=conditions(store_ids=[CARD]))
    late = off("y", conditions=conditions(weekdays=[7]))
    assert skipped(compiled(elsewhere, late), basket(100_00)) == [
        ("x", None, "offer_not_here", {}), ("y", None, "offer_not_now", {})
    ]  # fmt: skip
    both = off("z", conditions=Conditions(weekdays=frozenset({7}), store_ids=frozenset({CARD})))
    assert skipped(compiled(both), basket(100_00)) == [("z", None, "offer_not_now", {})]


# Points


def gives(name: str, points: int, **more: Any) -> Offer:
    return Offer(
        name=name, kind="points_gift", params=PointsGift(tiers=(PointsTier(100_00, points),)), stacking=FREE, **more
    )


def points_of(pricing: Pricing) -> list[tuple[str, int]]:
    return [(one.offer, one.amount_fen) for one in pricing.grants]


def test_a_budget_of_points_is_never_gone_beyond_and_hides_no_other() -> None:
    budget = Budget(name="p", metric=BudgetMetric.POINTS, maximum=100, on_return=BudgetReturn.SHARE)
    amount = Budget(name="a", metric=BudgetMetric.AMOUNT, maximum=50)
    book = compiled(gives("a", 60), gives("b", 41), gives("c", 40), budgets=(budget, amount))
    told = price_basket(book, basket(120_00), explain=True)
    assert points_of(told) == [("a", 60), ("c", 40)]
    assert reasons(told) == [("b", None, "offer_budget_exhausted", {})]
    ids = {one.id: one.is_points for one in book.offers[0].budgets}
    assert [(use.amount_fen, use.max_fen, use.on_return) for use in told.uses if ids[use.budget_id]] == [
        (100, 100, BudgetReturn.SHARE)
    ]
    assert [use.amount_fen for use in told.uses if not ids[use.budget_id]] == [0]
    assert told.payable_fen == 120_00


def test_a_budget_of_points_counts_points_alone() -> None:
    """All of it may be given at once, and a discount uses none of it."""
    budget = (Budget(name="p", metric=BudgetMetric.POINTS, maximum=60),)
    alone = price_basket(compiled(gives("a", 60), budgets=budget), basket(120_00))
    assert (points_of(alone), [use.amount_fen for use in alone.uses]) == ([("a", 60)], [60])
    assert price_basket(compiled(gives("a", 61), budgets=budget), basket(120_00)).grants == ()
    for book in (compiled(off(), budgets=budget), compiled(gift(), budgets=budget)):
        assert [use.amount_fen for use in price_basket(book, basket(120_00)).uses] == [0]


def test_points_are_no_money() -> None:
    cheap = Budget(name="a", metric=BudgetMetric.AMOUNT, maximum=10_00)
    book = compiled(gives("a", 5_000), off("b", stacking=FREE), budgets=(cheap,))
    told = price_basket(book, basket(120_00))
    assert (points_of(told), worth(told)) == ([("a", 5_000)], [("a", 0), ("b", 10_00)])
    alone = gives("a", 5_000)
    alone = replace(alone, stacking=Stacking(alone=True))
    assert worth(price_basket(compiled(alone, off("b")), basket(120_00))) == [("b", 10_00)]


def test_who_collects_no_points_is_given_none() -> None:
    nobody = basket(120_00, holder=Holder(CARD, PERSON, collects=False))
    assert price_basket(compiled(gives("a", 60)), nobody).grants == ()
