"""The year's coupons as offers: what their barcodes tell, and how a redemption is held against what was recorded."""

from datetime import date, datetime
from uuid import UUID

import pytest
from tests.unit.promotion_facts import basket, line

from kaquan.doors.cli.demo.baskets import card_of
from kaquan.doors.cli.demo.coupons import (
    CouponYear,
    Fate,
    Redemption,
    is_store_coupon,
    offer_of,
    reconcile,
)
from kaquan.promotions import Basket, Holder, find_kinds

ONE_DOLLAR, TWO_FOR_ONE, UNKNOWN = 51111122276, 51111122233, 51111122299
OWN = 10000085207
DAY = date(2017, 3, 10)


def year(*redeemed: int, recorded: dict[tuple[int, int], int], baskets: list[Basket]) -> CouponYear:
    return CouponYear(
        windows={1: (date(2017, 3, 1), date(2017, 3, 31))},
        recipients=frozenset({(1, 7)}),
        goods={(upc, 1): frozenset({"milk", "tea"}) for upc in (ONE_DOLLAR, TWO_FOR_ONE, UNKNOWN, OWN)},
        redemptions=[Redemption(number, 7, upc, 1, DAY) for number, upc in enumerate(redeemed, start=1)],
        baskets=baskets,
        recorded={(UUID(int=transaction), number): fen for (transaction, number), fen in recorded.items()},
    )


def visit(number: int, *skus: str, hour: int = 9) -> Basket:
    return basket(
        *(line(place, 3_00, sku=sku) for place, sku in enumerate(skus, start=1)),
        transaction_id=UUID(int=number),
        local=datetime(2017, 3, 10, hour),  # noqa: DTZ001
        holder=Holder(card_of(7)),
    )


@pytest.mark.parametrize(
    ("redeemed", "recorded", "baskets", "fate", "ours"),
    [
        (ONE_DOLLAR, {(1, 1): 100}, [visit(1, "milk")], Fate.EXACT, 100),
        (ONE_DOLLAR, {(2, 2): 100}, [visit(1, "beer"), visit(2, "beer", "tea", hour=18)], Fate.EXACT, 100),
        (ONE_DOLLAR, {(1, 1): 50}, [visit(1, "milk")], Fate.OTHER_AMOUNT, 100),
        (ONE_DOLLAR, {(1, 2): 100}, [visit(1, "milk", "beer")], Fate.NOT_ON_ITS_GOODS, 100),
        (ONE_DOLLAR, {}, [visit(1, "beer")], Fate.GOODS_NOT_BOUGHT, 0),
        (TWO_FOR_ONE, {(1, 1): 100}, [visit(1, "milk", "tea")], Fate.EXACT, 100),
        (TWO_FOR_ONE, {(1, 1): 100}, [visit(1, "milk")], Fate.TOO_FEW_PIECES, 0),
        (OWN, {(1, 1): 40}, [visit(1, "milk")], Fate.STORE_COUPON, 0),
        (UNKNOWN, {}, [visit(1, "milk")], Fate.UNKNOWN_VALUE, 0),
    ],
)
def test_each_class(
    redeemed: int, recorded: dict[tuple[int, int], int], baskets: list[Basket], fate: Fate, ours: int
) -> None:
    report = reconcile(year(redeemed, recorded=recorded, baskets=baskets))
    assert {name: found[:2] for name, found in report.by_fate.items() if found[0]} == {fate.value: (1, ours)}
    assert report.in_window == report.redemptions == 1
    assert report.recorded_fen == report.recorded_on_redeemed_fen + report.recorded_elsewhere_fen


def test_two_coupons_on_the_same_goods_are_held_against_the_record_together() -> None:
    report = reconcile(year(ONE_DOLLAR, TWO_FOR_ONE, recorded={(1, 1): 200}, baskets=[visit(1, "milk", "tea")]))
    assert report.by_fate["exact"] == (2, 200, 200)


def test_who_was_not_sent_a_campaign_or_comes_too_late_is_refused() -> None:
    told = year(ONE_DOLLAR, recorded={}, baskets=[visit(1, "milk")])
    late = [told.redemptions[0]._replace(day=date(2017, 4, 1)), told.redemptions[0]._replace(household_id=8)]
    report = reconcile(CouponYear(told.windows, told.recipients, told.goods, late, told.baskets, told.recorded))
    assert (report.in_window, report.by_fate["refused"][0]) == (0, 2)


def test_what_a_barcode_tells() -> None:
    assert not is_store_coupon(ONE_DOLLAR)
    assert is_store_coupon(OWN)
    assert offer_of(UNKNOWN, frozenset()) is None
    for upc, kind in ((ONE_DOLLAR, "pieces_off"), (51111122201, "fixed_price"), (51111122214, "nth_item")):
        offer = offer_of(upc, frozenset({"milk"}))
        assert offer is not None
        assert offer.kind == kind
        assert isinstance(offer.params, find_kinds()[kind].params)
