"""What a refund brings back of a priced basket, to the fen: lines, funders, grants, vouchers, and what is left."""

from typing import Any
from uuid import UUID

import pytest
from tests.unit.promotion_facts import basket
from tests.unit.promotion_facts import line as goods

from kaquan.promotions import (
    Applied,
    Funder,
    FunderKind,
    Grant,
    GrantKind,
    OnReturn,
    Pricing,
    Share,
    keep_pricing,
    price_refund,
    price_refund_of,
)
from kaquan.promotions.refund import KeptLine, KeptPricing, basket_left

CAMPAIGN, OTHER, VOUCHER, TEMPLATE = (UUID(int=number) for number in range(1, 5))
ONE, TWO = Funder(FunderKind.ISSUER, None, 5_000), Funder(FunderKind.MERCHANT, None, 5_000)
SHARE, THRESHOLD, KEEP = OnReturn.SHARE, OnReturn.THRESHOLD, OnReturn.KEEP


def share(line: int, amount_fen: int, funder: Funder = ONE, *, voucher_id: UUID | None = None, **more: Any) -> Share:
    told: dict[str, Any] = {"campaign_id": CAMPAIGN, "offer": "off", **more}
    return Share(line=line, voucher_id=voucher_id, funder=funder, amount_fen=amount_fen, **told)


def applied(fen: int, on_return: OnReturn = SHARE, *, voucher_id: UUID | None = None, **more: Any) -> Applied:
    told: dict[str, Any] = {"campaign_id": CAMPAIGN, "offer": "off", **more}
    return Applied(version=1, voucher_id=voucher_id, discount_fen=fen, on_return=on_return, **told)


def vouchers(count: int, fen: int, on_return: OnReturn = SHARE, **more: Any) -> Grant:
    told: dict[str, Any] = {"campaign_id": CAMPAIGN, "offer": "gift", "template_id": TEMPLATE, **more}
    return Grant(kind=GrantKind.VOUCHERS, amount_fen=fen, count=count, on_return=on_return, **told)


def bonus(fen: int, on_return: OnReturn = SHARE, **more: Any) -> Grant:
    told: dict[str, Any] = {"campaign_id": CAMPAIGN, "offer": "bonus", **more}
    return Grant(kind=GrantKind.BONUS, amount_fen=fen, on_return=on_return, **told)


def priced(*shares: Share, discount_fen: int = 0, payable_fen: int = 0, **more: Any) -> Pricing:
    told: dict[str, Any] = {"applied": (), "grants": (), "uses": (), **more}
    return Pricing(amount_fen=100_00, discount_fen=discount_fen, payable_fen=payable_fen, shares=shares, **told)


KEPT = KeptPricing(
    (KeptLine(1, 60_00, 48_00, 6_00), KeptLine(2, 40_00, 32_00, 4_00)),
    (share(1, 3_00), share(1, 3_00, TWO), share(2, 2_00), share(2, 2_00, TWO)),
    (vouchers(3, 15_00), bonus(10_00)),
    (applied(10_00),),
)
"""Two lines of 60.00 and 40.00, 10.00 off outside and 10.00 off by two funders."""


def test_what_is_kept_of_a_basket() -> None:
    of = basket(goods(1, 60_00), goods(2, 40_00))
    told = priced(*KEPT.shares, discount_fen=10_00, payable_fen=80_00, applied=KEPT.applied, grants=KEPT.grants)
    assert keep_pricing(of, told) == KEPT
    plain = keep_pricing(of, priced(payable_fen=100_00))
    assert plain.lines == (KeptLine(1, 60_00, 60_00, 0), KeptLine(2, 40_00, 40_00, 0))
    assert (KEPT.amount_fen, KEPT.paid_fen, KEPT.asks_again) == (100_00, 80_00, False)
    assert KEPT._replace(applied=(applied(1), applied(1, THRESHOLD))).asks_again is True


def test_goods_that_come_back_bring_their_part_of_everything() -> None:
    back = price_refund(KEPT, {2: 20_00})
    assert (back.paid_fen, back.outside_fen) == (16_00, 2_00)
    assert back.shares == (share(2, 1_00), share(2, 1_00, TWO))
    # of three vouchers 2.4 stay, begun ones whole: none comes back; of the bonus a fifth
    assert back.grants == (bonus(2_00),)
    assert back.vouchers == ()
    assert back.left == KeptPricing(
        (KeptLine(1, 60_00, 48_00, 6_00), KeptLine(2, 20_00, 16_00, 2_00)),
        (share(1, 3_00), share(1, 3_00, TWO), share(2, 1_00), share(2, 1_00, TWO)),
        (vouchers(3, 15_00), bonus(8_00)),
        (applied(10_00),),
    )
    two = price_refund(KEPT, {1: 60_00})
    assert two.grants == (vouchers(1, 5_00), bonus(6_00))
    assert two.left.grants == (vouchers(2, 10_00), bonus(4_00))
    assert two.shares == (share(1, 3_00), share(1, 3_00, TWO))
    assert two.left.lines == (KeptLine(1, 0, 0, 0), KeptLine(2, 40_00, 32_00, 4_00))


def test_several_lines_are_summed() -> None:
    back = price_refund(KEPT, {1: 30_00, 2: 20_00})
    assert (back.paid_fen, back.outside_fen) == (24_00 + 16_00, 3_00 + 2_00)
    assert [one.amount_fen for one in back.shares] == [1_50, 1_50, 1_00, 1_00]


def test_nothing_brings_nothing_and_all_brings_all() -> None:
    none = price_refund(KEPT, {1: 0})
    assert (none.paid_fen, none.outside_fen, none.shares, none.grants, none.left) == (0, 0, (), (), KEPT)
    whole = price_refund(KEPT, {1: 60_00, 2: 40_00})
    assert (whole.paid_fen, whole.outside_fen, whole.shares, whole.grants) == (
        80_00, 10_00, KEPT.shares, KEPT.grants
    )  # fmt: skip
    assert whole.left == KeptPricing((KeptLine(1, 0, 0, 0), KeptLine(2, 0, 0, 0)), (), (), KEPT.applied)


def test_money_brings_the_same_part_of_every_line() -> None:
    back = price_refund_of(KEPT, 20_00)
    assert (back.paid_fen, back.outside_fen) == (20_00, 1_50 + 1_00)
    assert [one.amount_fen for one in back.shares] == [75, 75, 50, 50]
    assert back.left.lines == (KeptLine(1, 45_00, 36_00, 4_50), KeptLine(2, 30_00, 24_00, 3_00))
    # of 100.00 there are 75.00 left: 2.25 vouchers, begun ones whole
    assert (back.grants, back.left.grants) == ((bonus(2_50),), (vouchers(3, 15_00), bonus(7_50)))
    assert price_refund_of(KEPT, 80_00) == price_refund(KEPT, {1: 60_00, 2: 40_00})
    odd = price_refund_of(KEPT, 1)
    assert (odd.outside_fen, odd.shares, odd.left.lines[0]) == (0, (), KeptLine(1, 59_99, 47_99, 6_00))


@pytest.mark.parametrize("wrong", [{1: 60_01}, {1: -1}, {3: 1}])
def test_more_than_is_left_is_a_bug_of_the_caller(wrong: dict[int, int]) -> None:
    ((number, fen),) = wrong.items()
    with pytest.raises(ValueError, match=f"^line {number}: there are not {fen} left of it$"):
        price_refund(KEPT, wrong)
    for money in (80_01, -1):
        with pytest.raises(ValueError, match=f"^there are not {money} left to pay back$"):
            price_refund_of(KEPT, money)


def again(*offers: Applied, grants: tuple[Grant, ...] = ()) -> Pricing:
    """What the goods that stay would earn."""
    return priced(discount_fen=sum(one.discount_fen for one in offers), applied=offers, grants=grants)


def by_threshold(*offers: Applied) -> KeptPricing:
    return KEPT._replace(applied=offers, grants=())


def test_what_the_goods_that_stay_have_not_earned_is_taken_from_the_refund() -> None:
    """40.00 come back, with 32.00 paid; of 6.00 that stay with the rest, it earned 2.50: 3.50 more are taken."""
    kept = by_threshold(applied(10_00, THRESHOLD))
    back = price_refund(kept, {2: 40_00}, again=again(applied(2_50)))
    assert back.paid_fen == 32_00 - 3_50
    assert back.shares == (share(1, 1_75), share(1, 1_75, TWO), share(2, 2_00), share(2, 2_00, TWO))
    assert back.left.lines == (KeptLine(1, 60_00, 51_50, 6_00), KeptLine(2, 0, 0, 0))
    assert back.left.shares == (share(1, 1_25), share(1, 1_25, TWO))
    all_of_it = price_refund(kept, {2: 40_00}, again=again())
    assert all_of_it.paid_fen == 32_00 - 6_00
    assert all_of_it.left.lines == (KeptLine(1, 60_00, 54_00, 6_00), KeptLine(2, 0, 0, 0))
    for enough in (6_00, 7_00):
        assert price_refund(kept, {2: 40_00}, again=again(applied(enough))) == price_refund(kept, {2: 40_00})


def test_never_more_is_taken_than_comes_back() -> None:
    kept = by_threshold(applied(10_00, THRESHOLD))
    back = price_refund(kept, {2: 5_00}, again=again())
    assert back.paid_fen == 0
    assert sum(one.amount_fen for one in back.shares) == 50 + 4_00
    assert back.left.paid_fen == 80_00


def test_only_offers_by_the_threshold_are_taken_and_each_by_its_name() -> None:
    assert price_refund(by_threshold(applied(10_00)), {2: 40_00}, again=again()).paid_fen == 32_00
    two = by_threshold(applied(10_00), applied(5_00, THRESHOLD, offer="other"))
    kept = two._replace(shares=(*two.shares, share(1, 5_00, offer="other")))
    back = price_refund(kept, {2: 40_00}, again=again(applied(9_00)))
    assert back.paid_fen == 32_00 - 5_00
    assert back.shares == (share(2, 2_00), share(2, 2_00, TWO), share(1, 5_00, offer="other"))
    for name in ({"campaign_id": OTHER}, {"offer": "x"}, {"voucher_id": VOUCHER}):
        foreign = price_refund(by_threshold(applied(10_00, THRESHOLD)), {2: 40_00}, again=again(applied(6_00, **name)))
        assert foreign.paid_fen == 32_00 - 6_00
    both = by_threshold(applied(10_00, THRESHOLD), applied(5_00, THRESHOLD, offer="other"))
    both = both._replace(shares=(*both.shares, share(1, 5_00, offer="other")))
    assert price_refund(both, {2: 40_00}, again=again()).paid_fen == 32_00 - 6_00 - 5_00
    assert price_refund(both, {2: 40_00}, again=again(applied(6_00))).paid_fen == 32_00 - 5_00


def test_grants_by_the_threshold_are_those_that_are_still_earned() -> None:
    gifts = (vouchers(4, 20_00, THRESHOLD), bonus(10_00, THRESHOLD), bonus(8_00, THRESHOLD, card_id=OTHER))
    kept = KEPT._replace(grants=gifts)
    now = (vouchers(1, 5_00), bonus(3_00), bonus(1_00))
    back = price_refund(kept, {2: 40_00}, again=again(grants=now))
    assert back.grants == (vouchers(3, 15_00, THRESHOLD), bonus(6_00, THRESHOLD), bonus(8_00, THRESHOLD, card_id=OTHER))
    assert back.left.grants == (vouchers(1, 5_00, THRESHOLD), bonus(4_00, THRESHOLD))
    # never more stays than the part of the goods
    much = (vouchers(9, 45_00), bonus(99_00), bonus(99_00, card_id=OTHER))
    assert price_refund(kept, {2: 40_00}, again=again(grants=much)) == price_refund(kept, {2: 40_00})
    by_share = KEPT._replace(grants=(vouchers(4, 20_00), bonus(10_00)))
    assert price_refund(by_share, {2: 40_00}, again=again()).left.grants == (vouchers(3, 15_00), bonus(6_00))
    for other in ({"campaign_id": OTHER}, {"offer": "x"}, {"template_id": OTHER}, {"card_id": OTHER}):
        stays = price_refund(
            KEPT._replace(grants=gifts[:1]), {2: 40_00}, again=again(grants=(vouchers(4, 1, **other),))
        )
        assert stays.left.grants == ()


def test_a_grant_that_is_kept_is_never_taken() -> None:
    kept = KEPT._replace(grants=(vouchers(4, 20_00, KEEP),))
    part = price_refund(kept, {2: 40_00})
    assert (part.grants, part.left.grants) == ((), kept.grants)
    whole = price_refund(kept, {1: 60_00, 2: 40_00})
    assert (whole.grants, whole.left.grants) == ((), ())


def test_a_voucher_comes_back_when_nothing_is_left_of_what_it_took_off() -> None:
    redeemed = applied(4_00, voucher_id=VOUCHER)
    kept = KEPT._replace(
        shares=(share(1, 6_00), share(2, 4_00, voucher_id=VOUCHER)), applied=(applied(6_00), redeemed), grants=()
    )
    part = price_refund(kept, {2: 39_00})
    assert (part.vouchers, part.left.applied) == ((), kept.applied)
    assert price_refund(kept, {1: 60_00}).vouchers == ()
    back = price_refund(kept, {2: 40_00})
    assert back.vouchers == (VOUCHER,)
    assert back.left.applied == (applied(6_00),)
    # one that gave without taking off comes back with the last of the goods
    lines = (KeptLine(1, 60_00, 48_00, 6_00), KeptLine(2, 40_00, 36_00, 4_00))
    gave = kept._replace(lines=lines, shares=kept.shares[:1], applied=(applied(6_00), applied(0, voucher_id=VOUCHER)))
    assert price_refund(gave, {2: 40_00}).vouchers == ()
    last = price_refund(gave, {1: 60_00, 2: 40_00})
    assert (last.vouchers, last.left.applied) == ((VOUCHER,), (applied(6_00),))


def test_vouchers_that_do_not_split_evenly() -> None:
    """Of three worth 10.00 together one goes and two stay, each rounded down."""
    back = price_refund(KEPT._replace(grants=(vouchers(3, 10_00),)), {1: 60_00})
    assert (back.grants, back.left.grants) == ((vouchers(1, 3_33),), (vouchers(2, 6_66),))
    assert isinstance(back.grants[0].amount_fen, int)


def test_a_basket_without_a_price_brings_nothing() -> None:
    free = KeptPricing((KeptLine(1, 0, 0, 0),), (), (vouchers(4, 20_00),), ())
    back = price_refund(free, {1: 0})
    assert (back.paid_fen, back.grants, back.left.grants) == (0, (vouchers(4, 20_00),), ())


def test_the_goods_that_stay() -> None:
    of = basket(goods(1, 60_00, quantity=6), goods(2, 40_00, quantity=3), goods(3, 5_00))
    kept = KEPT._replace(lines=(*KEPT.lines, KeptLine(3, 5_00, 5_00, 0)))
    left = basket_left(of, kept, {1: 30_00, 2: 13_33, 3: 5_00})
    assert left == of._replace(lines=(goods(1, 30_00, quantity=3), goods(2, 26_67, quantity=3)))
    assert basket_left(of, kept, {}) == of
    gone = kept._replace(lines=kept.lines[:1])
    assert basket_left(of, gone, {1: 50_00}).lines == (goods(1, 10_00, quantity=1),)
