"""What holds of every set of campaigns and every basket, and of every sequence of refunds."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.promotion_facts import HALVES, basket, campaign, off, percent
from tests.unit.promotion_params import Chance, chances

from kaquan.promotions import (
    EMPTY,
    Base,
    Basket,
    BudgetMetric,
    Campaign,
    GrantKind,
    Offer,
    OnReturn,
    Pricing,
    Stacking,
    StackingPolicy,
    compile_campaigns,
    keep_pricing,
    price_basket,
    price_refund,
    price_refund_of,
)
from kaquan.promotions.compile import budget_id
from kaquan.promotions.gifts import VoucherGift
from kaquan.promotions.kinds.gift_vouchers import GiftVouchers, Tier
from kaquan.promotions.refund import KeptPricing, basket_left


@given(chance=chances)
def test_a_pricing_adds_up(chance: Chance) -> None:
    campaigns, of, policy = chance.campaigns(), chance.basket(), chance.policy()
    compiled = compile_campaigns(campaigns, policy)
    pricing = price_basket(compiled, of)
    outside_fen = min(of.amount_fen, sum(one.amount_fen for one in of.outside))
    assert pricing.amount_fen == of.amount_fen
    assert pricing.payable_fen == of.amount_fen - outside_fen - pricing.discount_fen >= 0
    assert (
        pricing.discount_fen
        == sum(s.amount_fen for s in pricing.shares)
        == sum(a.discount_fen for a in pricing.applied)
    )
    assert all(share.amount_fen > 0 for share in pricing.shares)
    kept = keep_pricing(of, pricing)
    assert all(line.paid_fen >= 0 for line in kept.lines)
    assert kept.paid_fen == pricing.payable_fen
    _caps_hold(campaigns, policy, of, pricing, outside_fen)


def _caps_hold(
    campaigns: list[Campaign], policy: StackingPolicy, of: Basket, pricing: Pricing, outside_fen: int
) -> None:
    if pricing.discount_fen:
        assert pricing.discount_fen + outside_fen <= of.amount_fen * policy.max_discount_bp // 10_000
    for most_fen in (policy.max_discount_fen, policy.max_day_fen):
        assert most_fen is None or pricing.discount_fen <= most_fen
    assert policy.max_offers is None or len(pricing.applied) <= policy.max_offers
    of_points = {
        budget_id(campaign.id, budget.name)
        for campaign in campaigns
        for budget in campaign.terms.budgets
        if budget.metric is BudgetMetric.POINTS
    }
    for use in pricing.uses:
        grants = [grant for grant in pricing.grants if grant.campaign_id == use.campaign_id]
        given_fen = sum(a.discount_fen for a in pricing.applied if use.campaign_id in (a.campaign_id, UUID(int=0)))
        given_fen += sum(grant.amount_fen for grant in grants if grant.kind is not GrantKind.POINTS)
        points = sum(grant.amount_fen for grant in grants if grant.kind is GrantKind.POINTS)
        assert use.amount_fen == (points if use.budget_id in of_points else given_fen)
        assert use.max_fen is None or use.amount_fen <= use.max_fen
    applied = {one.campaign_id for one in pricing.applied}
    counted = {use.campaign_id for use in pricing.uses if use.campaign_id != UUID(int=0)}
    assert counted == {one.id for one in campaigns if one.terms.budgets} & applied
    grouped = [one.offer for one in pricing.applied if one.voucher_id is None]
    assert len(grouped) == len({(one.campaign_id, one.offer) for one in pricing.applied if one.voucher_id is None})


@given(chance=chances)
def test_explaining_changes_nothing_and_leaves_nobody_out(chance: Chance) -> None:
    campaigns, of, policy = chance.campaigns(), chance.basket(), chance.policy()
    compiled = compile_campaigns(campaigns, policy)
    told = price_basket(compiled, of, explain=True)
    assert told._replace(skipped=()) == price_basket(compiled, of)
    names: set[tuple[UUID, str, UUID | None]] = {
        (c.id, offer.name, None) for c in campaigns for offer in c.terms.offers
    }
    names |= {(v.offer.campaign_id, v.offer.name, v.voucher_id) for v in of.vouchers}
    applied = {(one.campaign_id, one.offer, one.voucher_id) for one in told.applied}
    skipped = [(one.campaign_id, one.offer, one.voucher_id) for one in told.skipped]
    assert len(skipped) == len(set(skipped))
    assert applied | set(skipped) == names
    assert not applied & set(skipped)


@given(chance=chances)
def test_the_order_in_which_campaigns_and_vouchers_come_makes_no_difference(chance: Chance) -> None:
    campaigns, of = chance.campaigns(), chance.basket()
    other = compile_campaigns(chance.turned(campaigns))
    turned = of._replace(vouchers=tuple(chance.turned(of.vouchers)))
    assert price_basket(other, turned) == price_basket(compile_campaigns(campaigns), of)


@given(chance=chances, one=st.integers(1, 3), two=st.integers(1, 3))
def test_offers_on_the_list_price_give_the_same_in_any_order(chance: Chance, one: int, two: int) -> None:
    """As long as no line is used up."""
    of = chance.lines()

    def price(first: int, second: int) -> int:
        return price_basket(
            compile_campaigns([campaign(
                percent(off_bp=3_000, stacking=Stacking(order=first, group="", base=Base.LIST)),
                off(from_fen=20_00, off_fen=5_00, stacking=Stacking(order=second, group="", base=Base.LIST)),
            )]),
            basket(*of),
        ).discount_fen  # fmt: skip

    assert price(one, two) == price(two, one)


@given(chance=chances)
def test_refunds_bring_everything_back_whatever_their_sequence(chance: Chance) -> None:
    of = chance.basket()
    compiled = compile_campaigns(chance.campaigns())
    pricing = price_basket(compiled, of)
    kept = keep_pricing(of, pricing)
    paid = outside = 0
    back: dict[tuple[object, ...], int] = {}
    granted = 0
    returned_vouchers: list[UUID] = []
    for turn in range(6):
        is_last = turn == 5
        if chance.one(True, False) and not is_last:
            refund = price_refund_of(kept, chance.number(0, kept.paid_fen))
            amounts = None
        else:
            amounts = {
                line.number: line.amount_fen if is_last else chance.number(0, line.amount_fen) for line in kept.lines
            }
            again = price_basket(compiled, basket_left(of, kept, amounts)) if kept.asks_again else None
            refund = price_refund(kept, amounts, again=again)
        _adds_up(kept, refund.left, refund.paid_fen, refund.outside_fen, sum(s.amount_fen for s in refund.shares))
        paid, outside = paid + refund.paid_fen, outside + refund.outside_fen
        for share in refund.shares:
            back[share[:-1]] = back.get(share[:-1], 0) + share.amount_fen
        granted += sum(grant.amount_fen for grant in refund.grants)
        returned_vouchers += refund.vouchers
        kept = refund.left
    assert paid == pricing.payable_fen
    assert outside == pricing.amount_fen - pricing.discount_fen - pricing.payable_fen
    assert back == {share[:-1]: share.amount_fen for share in pricing.shares}
    taken = [grant.amount_fen for grant in pricing.grants if grant.on_return is not OnReturn.KEEP]
    if of.amount_fen:
        assert granted == sum(taken)
        assert sorted(returned_vouchers) == sorted(one.voucher_id for one in pricing.applied if one.voucher_id)
    assert kept.amount_fen == 0
    assert (kept.shares, kept.grants) == ((), ())


def _adds_up(before: KeptPricing, left: KeptPricing, paid_fen: int, outside_fen: int, shares_fen: int) -> None:
    assert paid_fen >= 0
    assert before.amount_fen - left.amount_fen == paid_fen + outside_fen + shares_fen
    assert before.paid_fen - left.paid_fen == paid_fen
    for line in left.lines:
        off = sum(share.amount_fen for share in left.shares if share.line == line.number)
        assert line.amount_fen == line.paid_fen + line.outside_fen + off
        assert min(line) >= 0


@given(chance=chances)
def test_below_the_threshold_the_discount_is_taken_from_the_refund(chance: Chance) -> None:
    """满20减5: what stays has its part as long as it reaches 20, else none; no refund is below nothing."""
    compiled = compile_campaigns([campaign(off(from_fen=20_00, off_fen=5_00, on_return=OnReturn.THRESHOLD))])
    bought = basket(*chance.lines())
    kept = keep_pricing(bought, price_basket(compiled, bought))
    amounts = {line.number: chance.number(0, line.amount_fen) for line in kept.lines}
    again = price_basket(compiled, basket_left(bought, kept, amounts))
    refund = price_refund(kept, amounts, again=again)
    left_fen = sum(share.amount_fen for share in refund.left.shares)
    assert left_fen <= again.discount_fen or refund.paid_fen == 0
    if again.discount_fen:
        assert refund == price_refund(kept, amounts)
    elif refund.paid_fen:
        assert kept.paid_fen - refund.paid_fen == refund.left.amount_fen


def test_a_refund_of_more_than_is_left_is_a_bug_of_the_caller() -> None:
    bought = basket(10_00, 20_00)
    kept = keep_pricing(bought, price_basket(EMPTY, bought))
    for wrong in ({1: 10_01}, {1: -1}, {3: 1}):
        with pytest.raises(ValueError, match="left of it"):
            price_refund(kept, wrong)
    with pytest.raises(ValueError, match="left to pay back"):
        price_refund_of(kept, 30_01)


def test_half_of_a_basket_brings_half_of_everything_back() -> None:
    """满300送50 twice and 满100减10: of a part, the holder keeps what the rest pays for."""
    gift = Offer(
        name="gift",
        kind="gift_vouchers",
        params=GiftVouchers(
            tiers=(Tier(100_00, VoucherGift(template_id=UUID(int=5), face_fen=25_00, valid_days=30)),), each_time=True
        ),
        stacking=Stacking(group="", base=Base.LIST),
    )
    compiled = compile_campaigns([campaign(off(off_fen=10_00), gift, funders=HALVES)])
    bought = basket(200_00, 200_00)
    pricing = price_basket(compiled, bought)
    assert [(grant.count, grant.amount_fen) for grant in pricing.grants] == [(4, 100_00)]
    refund = price_refund(keep_pricing(bought, pricing), {2: 200_00})
    assert refund.paid_fen == 195_00
    assert [share.amount_fen for share in refund.shares] == [2_50, 2_50]
    assert [(grant.count, grant.amount_fen) for grant in refund.grants] == [(2, 50_00)]
    assert [(grant.count, grant.amount_fen) for grant in refund.left.grants] == [(2, 50_00)]
    rest = price_refund_of(refund.left, 195_00)
    assert (rest.left.amount_fen, rest.left.grants, rest.grants[0].count) == (0, (), 2)
