"""What top-ups cost and bring: the same rules as for baskets, with chance that can be drawn again."""

from datetime import date
from typing import Any
from uuid import UUID

from tests.unit.promotion_facts import CARD, HALVES, basket, compiled, group, load, off

from kaquan.promotions import (
    FIRST_LOAD_ID,
    Asks,
    Budget,
    BudgetMetric,
    Conditions,
    GrantKind,
    Holder,
    LoadPricing,
    Offer,
    Stacking,
    find_kinds,
    price_basket,
    price_load,
)

FRIEND = UUID(int=4_711)


def offer(kind: str, name: str = "o", *, stacking: Stacking | None = None, told: Any = None, **params: Any) -> Offer:
    return Offer(
        name=name,
        kind=kind,
        params=find_kinds()[kind].params(**params),
        stacking=stacking or Stacking(),
        conditions=told or Conditions(),
    )


def bonus(from_fen: int = 500_00, bonus_fen: int = 30_00, **more: Any) -> Offer:
    from kaquan.promotions.kinds.load_bonus import Tier

    return offer("load_bonus", tiers=(Tier(from_fen, bonus_fen),), **more)


def why(pricing: LoadPricing) -> dict[str, str]:
    return {one.offer: one.why for one in pricing.skipped}


def test_a_bonus_is_a_grant_with_its_funders_and_costs_nothing_less() -> None:
    pricing = price_load(compiled(bonus(), funders=HALVES), load(500_00))
    (grant,) = pricing.grants
    assert (grant.kind, grant.amount_fen, grant.funders, grant.card_id) == (GrantKind.BONUS, 30_00, HALVES, None)
    assert (pricing.payable_fen, pricing.discount_fen, pricing.shares) == (500_00, 0, ())
    assert [(one.offer, one.discount_fen) for one in pricing.applied] == [("o", 0)]


def test_a_presale_is_a_discount_and_stacks_with_a_bonus_of_no_group() -> None:
    presale = offer("presale", "p", off_bp=1_000, from_fen=500_00)
    pricing = price_load(compiled(presale, bonus(stacking=group("")), funders=HALVES), load(500_00))
    assert (pricing.payable_fen, pricing.discount_fen) == (450_00, 50_00)
    assert sum(share.amount_fen for share in pricing.shares) == 50_00
    assert {share.line for share in pricing.shares} == {1}
    assert [grant.amount_fen for grant in pricing.grants] == [30_00]


def test_of_a_group_the_best_for_the_holder_applies() -> None:
    presale = offer("presale", "p", off_bp=500, from_fen=500_00)
    pricing = price_load(compiled(presale, bonus()), load(500_00), explain=True)
    assert [grant.amount_fen for grant in pricing.grants] == [30_00]
    assert why(pricing) == {"p": "offer_group_taken"}


def test_the_packet_of_a_transaction_is_the_same_whenever_it_is_drawn() -> None:
    book = compiled(offer("red_packet", from_fen=100_00, least_fen=1, most_fen=50_00))
    drawn = {
        number: price_load(book, load(100_00, transaction_id=UUID(int=number))).grants[0].amount_fen
        for number in range(500)
    }
    again = {
        number: price_load(book, load(100_00, transaction_id=UUID(int=number))).grants[0].amount_fen for number in drawn
    }
    assert again == drawn
    assert min(drawn.values()) >= 1
    assert max(drawn.values()) <= 50_00
    assert len(set(drawn.values())) > 400
    assert 22_00 < sum(drawn.values()) / 500 < 28_00


def test_what_is_granted_is_counted_in_the_budget_and_never_beyond_it() -> None:
    budget = (Budget(name="b", metric=BudgetMetric.AMOUNT, maximum=25_00),)
    pricing = price_load(compiled(bonus(), budgets=budget), load(500_00), explain=True)
    assert (pricing.grants, pricing.uses) == ((), ())
    assert why(pricing) == {"o": "offer_budget_exhausted"}
    (use,) = price_load(compiled(bonus(bonus_fen=25_00), budgets=budget), load(500_00)).uses
    assert (use.amount_fen, use.max_fen) == (25_00, 25_00)


def test_an_invitation_brings_both_their_bonus() -> None:
    book = compiled(offer("invitation", from_fen=100_00, inviter_fen=20_00, invited_fen=10_00))
    pricing = price_load(book, load(100_00, is_first=True, invited_by=FRIEND))
    assert [(grant.card_id, grant.amount_fen) for grant in pricing.grants] == [(FRIEND, 20_00), (None, 10_00)]
    assert [use.budget_id for use in pricing.uses] == [FIRST_LOAD_ID]
    assert (book.asks_of_loads, book.asks_of_purchases) == (Asks.FIRST_LOAD, Asks.NOTHING)
    assert compiled(bonus()).asks_of_loads == Asks.NOTHING
    alone = price_load(book, load(100_00, is_first=True), explain=True)
    assert (alone.grants, why(alone)) == ((), {"o": "offer_not_for_holder"})


def test_a_monthly_return_says_when_its_parts_are_due() -> None:
    (grant,) = price_load(
        compiled(offer("monthly_return", from_fen=100_00, return_bp=500, months=2)), load(200_00)
    ).grants
    assert (grant.amount_fen, grant.due_on) == (10_00, (date(2026, 6, 15), date(2026, 7, 15)))


def test_the_first_top_up_and_the_control_group() -> None:
    first = compiled(bonus(told=Conditions(first_purchase=True)))
    assert price_load(first, load(500_00)).grants == ()
    assert len(price_load(first, load(500_00, is_first=True)).grants) == 1
    held = compiled(bonus(), control_bp=5_000)
    got = [bool(price_load(held, load(500_00, holder=Holder(UUID(int=n)))).grants) for n in range(400)]
    assert 150 < sum(got) < 250


def test_offers_of_top_ups_and_of_purchases_do_not_mix() -> None:
    book = compiled(bonus(), off())
    assert [one.offer for one in price_load(book, load(500_00), explain=True).applied] == ["o"]
    priced = price_basket(book, basket(500_00), explain=True)
    assert [one.offer for one in priced.applied] == ["off"]
    assert priced.skipped == ()
    assert price_load(book, load(1_00, holder=Holder(CARD)), explain=True).skipped[0].why == "offer_below_threshold"
