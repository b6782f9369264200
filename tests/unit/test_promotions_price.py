"""What baskets cost with campaigns: the rules of price.py, one by one."""

from datetime import datetime
from uuid import UUID

import pytest
from tests.unit.promotion_facts import (
    CARD,
    HALVES,
    ISSUER,
    MERCHANT,
    NOON,
    PERSON,
    STORE,
    basket,
    campaign,
    compiled,
    conditions,
    group,
    line,
    off,
    percent,
)

from kaquan.promotions import (
    FIRST_PURCHASE_ID,
    Asks,
    Base,
    Basket,
    Birthday,
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
    Holder,
    Hours,
    Offer,
    OutsideOffer,
    Pricing,
    Stacking,
    StackingPolicy,
    VoucherInHand,
    compile_campaigns,
    compile_offer,
    price_basket,
)

VOUCHER = UUID(int=900)


def why(pricing: Pricing) -> dict[str, str]:
    return {skipped.offer: skipped.why for skipped in pricing.skipped}


def applied(pricing: Pricing) -> list[tuple[str, int]]:
    return [(one.offer, one.discount_fen) for one in pricing.applied]


def hand(offer: Offer, number: int = 0) -> VoucherInHand:
    made = compile_offer(
        offer,
        campaign_id=UUID(int=77),
        version=1,
        code="V",
        starts_at=datetime.fromisoformat("2026-01-01"),
        ends_at=datetime.fromisoformat("2027-01-01"),
        funders=ISSUER,
    )
    return VoucherInHand(UUID(int=VOUCHER.int + number), UUID(int=78), made)


def test_without_campaigns_a_basket_costs_what_it_costs() -> None:
    pricing = price_basket(compile_campaigns([]), basket(30_00, 20_00))
    assert pricing == Pricing(50_00, 0, 50_00, (), (), (), ())


def test_a_discount_is_spread_over_lines_and_funders_to_the_fen() -> None:
    pricing = price_basket(compiled(off(), funders=HALVES), basket(33_33, 33_33, 33_34))
    assert (pricing.discount_fen, pricing.payable_fen) == (10_00, 90_00)
    by_line = {number: sum(s.amount_fen for s in pricing.shares if s.line == number) for number in (1, 2, 3)}
    by_funder = {funder: sum(s.amount_fen for s in pricing.shares if s.funder == funder) for funder in HALVES}
    assert by_line == {1: 333, 2: 333, 3: 334}
    assert by_funder == dict.fromkeys(HALVES, 5_00)


def test_three_funders_of_one_fen_each() -> None:
    third = (
        Funder(FunderKind.PARTY, UUID(int=1), 3_334),
        *(Funder(FunderKind.PARTY, UUID(int=n), 3_333) for n in (2, 3)),
    )
    pricing = price_basket(compiled(off(from_fen=1, off_fen=3), funders=third), basket(1, 1, 1))
    assert sorted((s.line, s.amount_fen) for s in pricing.shares) == [(1, 1), (2, 1), (3, 1)]
    assert {s.funder for s in pricing.shares} == set(third)


def test_of_a_group_the_best_for_the_holder_applies_and_the_other_says_so() -> None:
    pricing = price_basket(compiled(off(), percent(off_bp=500)), basket(100_00), explain=True)
    assert applied(pricing) == [("off", 10_00)]
    assert why(pricing) == {"percent": "offer_group_taken"}
    assert applied(price_basket(compiled(off(), percent(off_bp=500)), basket(300_00))) == [("percent", 15_00)]


def test_of_two_that_are_worth_the_same_the_rank_decides() -> None:
    one, two = off("a"), off("b")
    for offers in ((one, two), (two, one)):
        assert applied(price_basket(compiled(*offers), basket(100_00))) == [("a", 10_00)]
    late = off("a", stacking=Stacking(order=200))
    assert applied(price_basket(compiled(late, two), basket(100_00))) == [("b", 10_00)]


def test_offers_without_a_group_stack_in_their_order_on_what_is_left() -> None:
    nine = percent(stacking=group("", order=1))
    ten = off(stacking=group("", order=2))
    assert applied(price_basket(compiled(ten, nine), basket(110_00))) == [("percent", 11_00)]  # 99 is below 100
    both = price_basket(compiled(ten, nine), basket(200_00))
    assert applied(both) == [("percent", 20_00), ("off", 10_00)]


def test_on_the_list_price_the_order_makes_no_difference() -> None:
    offers = [
        percent(stacking=group("", order=1, base=Base.LIST)),
        off(stacking=group("", order=2, base=Base.LIST)),
    ]
    other = [percent(stacking=group("", order=2, base=Base.LIST)), off(stacking=group("", order=1, base=Base.LIST))]
    assert price_basket(compiled(*offers), basket(110_00)).discount_fen == 21_00
    assert price_basket(compiled(*other), basket(110_00)).discount_fen == 21_00


def test_one_that_stands_alone_replaces_the_others_only_where_it_is_worth_more() -> None:
    alone = percent("alone", off_bp=2_000, most_fen=30_00, stacking=Stacking(alone=True))
    book = compiled(alone, off(stacking=group("")), percent(stacking=group("")))
    assert applied(price_basket(book, basket(120_00))) == [("alone", 24_00)]
    much = price_basket(book, basket(400_00), explain=True)
    assert applied(much) == [("off", 10_00), ("percent", 39_00)]
    assert why(much) == {"alone": "offer_stands_alone"}
    assert why(price_basket(book, basket(120_00), explain=True)) == dict.fromkeys(
        ("off", "percent"), "offer_stands_alone"
    )


def test_offers_from_outside_come_off_first_and_take_their_groups() -> None:
    bank = OutsideOffer("某银行满减", "standard", 20_00)
    pricing = price_basket(compiled(off(), percent(stacking=group(""))), basket(100_00, outside=(bank,)), explain=True)
    assert (pricing.discount_fen, pricing.payable_fen) == (8_00, 72_00)
    assert why(pricing) == {"off": "offer_group_taken"}


def test_an_offer_from_outside_is_never_more_than_the_basket() -> None:
    pricing = price_basket(compiled(percent()), basket(5_00, outside=(OutsideOffer("bank", "", 9_00),)))
    assert (pricing.discount_fen, pricing.payable_fen) == (0, 0)


@pytest.mark.parametrize(
    ("policy", "discount_fen"),
    [
        (StackingPolicy(max_discount_bp=1_000), 10_00),
        (StackingPolicy(max_discount_fen=12_34), 12_34),
        (StackingPolicy(max_offers=1), 50_00),
        (StackingPolicy(max_day_fen=1), 1),
    ],
)
def test_the_policy_cuts_what_a_basket_gets(policy: StackingPolicy, discount_fen: int) -> None:
    stack = group("")
    book = compiled(
        percent("a", off_bp=5_000, stacking=stack), percent("b", off_bp=5_000, stacking=stack), policy=policy
    )
    pricing = price_basket(book, basket(60_00, 40_00), explain=True)
    assert pricing.discount_fen == discount_fen == sum(share.amount_fen for share in pricing.shares)
    assert why(pricing) == {"b": "offer_limit_reached"}


def test_a_discount_of_a_holders_day_is_a_budget() -> None:
    pricing = price_basket(compiled(off(), policy=StackingPolicy(max_day_fen=50_00)), basket(100_00))
    assert [(use.subject_id, use.period, use.amount_fen, use.max_fen) for use in pricing.uses] == [
        (PERSON, "day", 10_00, 50_00)
    ]


BUDGETS = (
    Budget(name="总额", metric=BudgetMetric.AMOUNT, maximum=1_000_00),
    Budget(name="每人每日", metric=BudgetMetric.COUNT, maximum=2, scope=BudgetScope.HOLDER, period=BudgetPeriod.DAY),
)


def test_what_applies_is_counted_in_the_budgets_of_its_campaign_once() -> None:
    book = compiled(off(stacking=group("")), percent(stacking=group("")), budgets=BUDGETS)
    pricing = price_basket(book, basket(200_00))
    amount, count = pricing.uses
    assert amount[1:] == (campaign().id, None, "total", 29_00, 1_000_00, None, False, BudgetReturn.WHOLE)
    assert count[1:] == (campaign().id, PERSON, "day", 29_00, None, 2, True, BudgetReturn.WHOLE)
    assert isinstance(amount, BudgetUse)
    assert price_basket(book, basket(5, 4)).uses == ()


def test_an_offer_whose_budget_is_used_up_is_left_out() -> None:
    book = compiled(off(), budgets=BUDGETS)
    (use, _) = price_basket(book, basket(100_00)).uses
    pricing = price_basket(book, basket(100_00), exhausted=frozenset({use.budget_id}), explain=True)
    assert (pricing.payable_fen, why(pricing)) == (100_00, {"off": "offer_budget_exhausted"})


def test_no_campaign_gives_more_than_its_smallest_budget() -> None:
    small = (Budget(name="small", metric=BudgetMetric.AMOUNT, maximum=15_00),)
    book = compiled(off(stacking=group("")), percent(off_bp=5_000, stacking=group("")), budgets=small)
    assert applied(price_basket(book, basket(200_00))) == [("off", 10_00), ("percent", 5_00)]


@pytest.mark.parametrize(
    ("told", "there", "reason"),
    [
        (conditions(weekdays=[5]), {}, None),
        (conditions(weekdays=[6]), {}, "offer_not_now"),
        (conditions(days_of_month=[15]), {}, None),
        (conditions(days_of_month=[8]), {}, "offer_not_now"),
        (Conditions(hours=(Hours(11 * 60, 13 * 60),)), {}, None),
        (Conditions(hours=(Hours(12 * 60 + 1, 13 * 60),)), {}, "offer_not_now"),
        (Conditions(hours=(Hours(22 * 60, 12 * 60),)), {}, "offer_not_now"),
        (Conditions(hours=(Hours(22 * 60, 12 * 60 + 1),)), {}, None),
        (Conditions(starts_at=NOON), {}, None),
        (Conditions(ends_at=NOON), {}, "offer_not_now"),
        (conditions(store_ids=[STORE], merchant_ids=[MERCHANT], trades=["grocery"]), {}, None),
        (conditions(store_ids=[CARD]), {}, "offer_not_here"),
        (conditions(districts=["310101"]), {"district": None}, "offer_not_here"),
        (conditions(trades=["cinema"]), {}, "offer_not_here"),
        (conditions(segments=["new"]), {}, "offer_not_for_holder"),
        (conditions(segments=["new"]), {"holder": Holder(CARD, segments=frozenset({"new", "x"}))}, None),
        (conditions(except_segments=["x"]), {"holder": Holder(CARD, segments=frozenset("x"))}, "offer_not_for_holder"),
        (conditions(tiers=["gold"]), {"holder": Holder(CARD, tier="gold")}, None),
        (conditions(tiers=["gold"]), {}, "offer_not_for_holder"),
        (Conditions(first_purchase=True), {}, "offer_not_for_holder"),
        (Conditions(first_purchase=True), {"holder": Holder(CARD, bought_before=False)}, None),
        (Conditions(birthday=Birthday.DAY), {"holder": Holder(CARD, birthday=(5, 15))}, None),
        (Conditions(birthday=Birthday.DAY), {"holder": Holder(CARD, birthday=(5, 16))}, "offer_not_for_holder"),
        (Conditions(birthday=Birthday.WEEK), {"holder": Holder(CARD, birthday=(5, 18))}, None),
        (Conditions(birthday=Birthday.WEEK), {"holder": Holder(CARD, birthday=(5, 19))}, "offer_not_for_holder"),
        (Conditions(birthday=Birthday.MONTH), {"holder": Holder(CARD, birthday=(5, 31))}, None),
        (Conditions(birthday=Birthday.MONTH), {}, "offer_not_for_holder"),
        (Conditions(goods=Goods(skus=frozenset({"milk"}))), {}, "offer_not_for_goods"),
    ],
)  # fmt: skip
def test_conditions(told: Conditions, there: dict[str, object], reason: str | None) -> None:
    pricing = price_basket(compiled(off(conditions=told)), basket(100_00, **there), explain=True)
    assert why(pricing).get("off") == reason
    assert pricing.discount_fen == (0 if reason else 10_00)


def test_who_was_born_on_29_february_has_a_birthday_every_year() -> None:
    leap = {"holder": Holder(CARD, birthday=(2, 29)), "local": datetime.fromisoformat("2026-02-28T10:00")}
    assert price_basket(
        compiled(off(conditions=Conditions(birthday=Birthday.DAY))), basket(100_00, **leap)
    ).discount_fen


@pytest.mark.parametrize(
    ("told", "asks"),
    [
        (conditions(store_ids=[STORE], districts=["310101"], weekdays=[5]), Asks.NOTHING),
        (Conditions(first_purchase=True), Asks.FIRST_PURCHASE),
        (Conditions(birthday=Birthday.MONTH), Asks.BIRTHDAY),
        (conditions(segments=["a"]), Asks.SEGMENTS),
        (conditions(except_segments=["a"]), Asks.SEGMENTS),
        (conditions(tiers=["gold"], segments=["a"]), Asks.SEGMENTS | Asks.TIER),
    ],
)
def test_a_book_asks_what_its_offers_ask(told: Conditions, asks: Asks) -> None:
    book = compiled(off(conditions=told), off("plain"))
    assert (book.asks_of_purchases, book.asks_of_loads) == (asks, Asks.NOTHING)


def test_a_first_purchase_is_used_once_whichever_offers_ask() -> None:
    first = Conditions(first_purchase=True)
    two = [off("a", conditions=first), off("b", from_fen=50_00, conditions=first, stacking=Stacking(group=""))]
    book = compiled(*two, off("c", off_fen=1_00, stacking=Stacking(group="c")))
    new = basket(100_00, holder=Holder(CARD, PERSON, bought_before=False))
    pricing = price_basket(book, new)
    assert pricing.uses == (BudgetUse(FIRST_PURCHASE_ID, UUID(int=0), PERSON, "total", 0, None, 1, True),)
    used = price_basket(book, new, exhausted=frozenset({FIRST_PURCHASE_ID}), explain=True)
    assert [one.offer for one in used.applied] == ["c"]
    assert used.uses == ()
    told = [(one.offer, one.why, dict(one.detail)) for one in used.skipped]
    assert told == [(name, "offer_not_for_holder", {"condition": "first_purchase"}) for name in ("a", "b")]


def test_an_offer_that_applied_asks_for_goods_alone() -> None:
    dairy = Goods(categories=frozenset({"dairy"}))
    wanted = Conditions(
        segments=frozenset("x"), birthday=Birthday.DAY, first_purchase=True, tiers=frozenset("y"),
        store_ids=frozenset({CARD}), weekdays=frozenset({1}), ends_at=NOON, goods=dairy,
    )  # fmt: skip
    book = compiled(off(conditions=wanted), control_bp=5_000)
    milk = line(1, 100_00, categories=("dairy",))
    again = CompiledCampaigns([one.as_applied() for one in book.offers], book.policy)
    for holder in (Holder(UUID(int=number)) for number in range(50)):
        assert price_basket(book, basket(milk, holder=holder)).applied == ()
        assert price_basket(again, basket(milk, holder=holder)).discount_fen == 10_00
        assert price_basket(again, basket(line(1, 99_99, categories=("dairy",)), holder=holder)).applied == ()
        assert price_basket(again, basket(line(1, 100_00), holder=holder)).applied == ()


def test_an_offer_counts_and_discounts_its_own_goods_alone() -> None:
    dairy = Goods(categories=frozenset({"dairy"}), except_skus=frozenset({"butter"}))
    lines = (
        line(1, 60_00, sku="milk", categories=("dairy", "fresh")),
        line(2, 30_00, sku="butter", categories=("dairy",)),
        line(3, 90_00, sku="beer", categories=("drinks",)),
    )
    book = compiled(off(conditions=Conditions(goods=dairy)))
    pricing = price_basket(book, basket(*lines), explain=True)
    assert pricing.skipped[0].why == "offer_below_threshold"
    assert dict(pricing.skipped[0].detail) == {"amount_fen": 60_00, "needed_fen": 100_00}
    more = price_basket(book, basket(*lines, line(4, 40_00, categories=("dairy",))))
    assert [(share.line, share.amount_fen) for share in more.shares] == [(1, 6_00), (4, 4_00)]


def test_all_but_some_goods() -> None:
    no_tobacco = Conditions(goods=Goods(except_categories=frozenset({"tobacco"})))
    pricing = price_basket(
        compiled(percent(conditions=no_tobacco)), basket(line(1, 50_00, categories=("tobacco",)), line(2, 10_00))
    )
    assert [(share.line, share.amount_fen) for share in pricing.shares] == [(2, 1_00)]


def test_the_control_group_is_stable_and_of_about_its_share() -> None:
    book = compiled(off(), control_bp=1_000)
    held = set()
    for number in range(4_000):
        one = basket(100_00, holder=Holder(UUID(int=number)), transaction_id=UUID(int=number))
        pricing = price_basket(book, one)
        assert (pricing.held_back == ()) is (pricing.discount_fen == 10_00)
        again = price_basket(book, one._replace(local=NOON.replace(month=9), transaction_id=UUID(int=1)))
        assert again.held_back == pricing.held_back
        if pricing.held_back:
            held.add(number)
    assert 320 < len(held) < 480
    assert price_basket(book, basket(99_00, holder=Holder(UUID(int=min(held))))).held_back == ()


def test_two_campaigns_have_two_control_groups() -> None:
    books = [compiled(off(), control_bp=5_000, number=number) for number in (1, 2)]
    both = [
        tuple(bool(price_basket(book, basket(100_00, holder=Holder(UUID(int=n)))).held_back) for book in books)
        for n in range(1_000)
    ]
    assert all(180 < both.count(pair) < 320 for pair in ((True, True), (True, False), (False, True), (False, False)))


def test_a_voucher_that_has_no_effect_is_left_with_the_holder() -> None:
    pricing = price_basket(compile_campaigns([]), basket(50_00, vouchers=(hand(off("v")),)), explain=True)
    assert (pricing.applied, pricing.payable_fen) == ((), 50_00)
    assert [(skipped.voucher_id, skipped.why) for skipped in pricing.skipped] == [(VOUCHER, "offer_below_threshold")]


def test_vouchers_of_one_offer_are_used_up_to_their_number_the_older_first() -> None:
    ticket = off("v", from_fen=1, off_fen=10_00, stacking=group("", max_vouchers=2))
    pricing = price_basket(
        compile_campaigns([]), basket(100_00, vouchers=tuple(hand(ticket, n) for n in (2, 0, 1))), explain=True
    )
    assert [one.voucher_id for one in pricing.applied] == [UUID(int=900), UUID(int=901)]
    assert [(one.voucher_id, one.why) for one in pricing.skipped] == [(UUID(int=902), "offer_limit_reached")]
    assert {share.voucher_id for share in pricing.shares} == {UUID(int=900), UUID(int=901)}


def test_a_voucher_competes_in_its_group_with_the_offers_of_campaigns() -> None:
    voucher = hand(off("v", off_fen=20_00))
    both = price_basket(compiled(off()), basket(100_00, vouchers=(voucher,)), explain=True)
    assert applied(both) == [("v", 20_00)]
    weaker = price_basket(compiled(off(off_fen=30_00)), basket(100_00, vouchers=(voucher,)), explain=True)
    assert applied(weaker) == [("off", 30_00)]
    assert [(one.voucher_id, one.why) for one in weaker.skipped] == [(VOUCHER, "offer_group_taken")]


def test_a_voucher_for_goods_that_no_campaign_knows() -> None:
    tea = hand(percent("tea", off_bp=10_000, conditions=Conditions(goods=Goods(skus=frozenset({"tea"})))))
    pricing = price_basket(
        compiled(off(conditions=Conditions(goods=Goods(skus=frozenset({"milk"}))))),
        basket(line(1, 8_00, sku="tea"), line(2, 5_00), vouchers=(tea,)),
    )
    assert [(share.line, share.amount_fen, share.voucher_id) for share in pricing.shares] == [(1, 8_00, VOUCHER)]


def test_a_whole_day_turn_by_turn() -> None:
    book = compiled(percent(conditions=Conditions(hours=(Hours(9 * 60, 10 * 60), Hours(23 * 60, 1 * 60)))))

    def at(clock: str) -> Basket:
        return basket(10_00, local=datetime.fromisoformat(f"2026-05-15T{clock}"))

    on = {clock: price_basket(book, at(clock)).discount_fen > 0 for clock in
          ("00:00", "00:59", "01:00", "08:59", "09:00", "09:59", "10:00", "22:59", "23:00", "23:59")}  # fmt: skip
    assert [clock for clock, is_on in on.items() if is_on] == ["00:00", "00:59", "09:00", "09:59", "23:00", "23:59"]


def test_many_lines_of_nothing() -> None:
    assert price_basket(compiled(off(), percent()), basket(0, 0, 0)).payable_fen == 0
    assert price_basket(compiled(off(), percent()), basket()).payable_fen == 0
