"""Parts of a priced payment to the fen: what is captured or given back, what is left, and how it is written down."""

from typing import Any
from uuid import UUID

import pytest
from tests.unit.offer_facts import TO_BANK, TO_ISSUER, applied, kept, line, share, voucher_grant

from kaquan.payments.kept import KeptPart, KeptTender, PartKind
from kaquan.payments.part import (
    Left,
    after,
    all_of,
    is_all,
    minus,
    money_of,
    nets_of,
    nothing,
    part_of_lines,
    part_of_money,
    uncaptured,
    unrefunded,
    whole,
)
from kaquan.promotions import Grant, GrantKind, OnReturn, Pricing

CAPTURE, VOID, REFUND = PartKind.CAPTURE, PartKind.VOID, PartKind.REFUND
BONUS = Grant(UUID(int=1_001), "bonus", GrantKind.BONUS, 8_00)
KEPT = kept(
    [line(4, 60_00), line(7, 40_00)],
    outside=[6_00, 4_00],
    applied=(applied(10_00),),
    shares=(share(4, 4_00), share(4, 2_00, TO_BANK), share(7, 4_00)),
    grants=(voucher_grant(4, 20_00), BONUS),
    tender=KeptTender(800, 8_00, ((1, 800),)),
)
"""Of 100.00 the store took 10.00 off, funders pay 10.00, points 8.00 and the card 72.00."""
WHOLE = Left([60_00, 40_00], [6_00, 4_00], [4_00, 2_00, 4_00], [(20_00, 4), (8_00, 0)], [8_00])
HALF = KeptPart(
    CAPTURE, ((4, 30_00, 3_00), (7, 20_00, 2_00)), ((0, 2_00), (1, 1_00), (2, 2_00)), ((0, 10_00, 2), (1, 4_00, 0)),
    False, 4_00,
)  # fmt: skip
HALF_LEFT = Left([30_00, 20_00], [3_00, 2_00], [2_00, 1_00, 2_00], [(10_00, 2), (4_00, 0)], [4_00])


def part(what: PartKind) -> KeptPart:
    return HALF._replace(what=what)


def test_all_and_nothing() -> None:
    assert whole(KEPT) == WHOLE
    assert nothing(KEPT) == Left([0, 0], [0, 0], [0, 0, 0], [(0, 0), (0, 0)], [0])
    assert (whole(KEPT).is_empty, nothing(KEPT).is_empty) == (False, True)
    assert Left([0, 1], [], [], [], [0]).is_empty is False
    assert whole(kept([line(1, 5)])).points == [0]


def test_what_is_neither_captured_nor_given_up() -> None:
    assert uncaptured(KEPT, []) == WHOLE
    assert uncaptured(KEPT, [part(CAPTURE)]) == HALF_LEFT
    assert uncaptured(KEPT, [part(CAPTURE), part(VOID)]) == nothing(KEPT)
    assert uncaptured(KEPT, [part(CAPTURE), part(REFUND)]) == HALF_LEFT


def test_what_was_spent_and_is_not_given_back() -> None:
    assert unrefunded(KEPT, [], authorized=False) == WHOLE
    assert unrefunded(KEPT, [part(REFUND)], authorized=False) == HALF_LEFT
    assert unrefunded(KEPT, [], authorized=True) == nothing(KEPT)
    assert unrefunded(KEPT, [part(CAPTURE), part(VOID)], authorized=True) == HALF_LEFT
    assert unrefunded(KEPT, [part(CAPTURE), part(REFUND)], authorized=True) == nothing(KEPT)
    assert unrefunded(KEPT, [part(CAPTURE)], authorized=False) == WHOLE


def test_a_part_by_money_takes_of_everything_alike() -> None:
    assert part_of_money(KEPT, WHOLE, 36_00, what=CAPTURE) == HALF
    assert part_of_money(KEPT, WHOLE, 72_00, what=REFUND) == all_of(KEPT, WHOLE, what=REFUND)
    assert part_of_money(KEPT, HALF_LEFT, 36_00, what=REFUND) == part(REFUND)
    # points pay the same share, rounded down
    assert part_of_money(KEPT, WHOLE, 1_00, what=CAPTURE).points_fen == 11


def test_all_that_is_left_as_a_part() -> None:
    assert all_of(KEPT, WHOLE, what=VOID) == KeptPart(
        VOID, ((4, 60_00, 6_00), (7, 40_00, 4_00)), ((0, 4_00), (1, 2_00), (2, 4_00)), ((0, 20_00, 4), (1, 8_00, 0)),
        False, 8_00,
    )  # fmt: skip
    some = Left([0, 40_00], [0, 4_00], [0, 0, 4_00], [(0, 0), (8_00, 0)], [0])
    assert all_of(KEPT, some, what=REFUND) == KeptPart(
        REFUND, ((7, 40_00, 4_00),), ((2, 4_00),), ((1, 8_00, 0),), False, 0
    )  # fmt: skip
    worthless = Left([0, 0], [0, 0], [0, 0, 0], [(0, 1), (0, 0)], [0])
    assert all_of(KEPT, worthless, what=REFUND).grants == ((0, 0, 1),)


def test_a_part_by_goods_takes_what_belongs_to_them() -> None:
    back = part_of_lines(KEPT, WHOLE, {7: 40_00}, again=None)
    assert (back.what, back.lines, back.shares) == (REFUND, ((7, 40_00, 4_00),), ((2, 4_00),))
    # of the vouchers 2.4 stay, which is 3 whole ones, and of the bonus three fifths
    assert back.grants == ((0, 5_00, 1), (1, 3_20, 0))
    # of 80.00 that card and points paid these goods are 32.00
    assert back.points_fen == 3_20
    assert money_of(back) == 40_00 - 4_00 - 4_00 - 3_20
    # of 4.05 that were paid of it, so of 80.00, are 40.5 fen of points
    assert part_of_lines(KEPT, WHOLE, {7: 5_06}, again=None).points_fen == 40
    both = part_of_lines(KEPT, WHOLE, {4: 60_00, 7: 40_00}, again=None)
    assert both == all_of(KEPT, WHOLE, what=REFUND)
    assert part_of_lines(KEPT, after(KEPT, WHOLE, back), {4: 60_00}, again=None).points_fen == 4_80


def test_goods_that_cost_nothing_bring_no_points_back() -> None:
    free = kept([line(1, 5_00), line(2, 5_00)], applied=(applied(10_00),), shares=(share(1, 5_00), share(2, 5_00)))
    assert part_of_lines(free, whole(free), {1: 5_00}, again=None).points_fen == 0


def test_goods_that_stay_and_earn_nothing_more_take_their_discount_back() -> None:
    threshold = kept(
        [line(1, 60_00), line(2, 60_00)],
        applied=(applied(12_00, on_return=OnReturn.THRESHOLD),),
        shares=(share(1, 6_00), share(2, 6_00)),
        grants=(voucher_grant(4, 20_00, on_return=OnReturn.THRESHOLD),),
    )
    none = Pricing(60_00, 0, 60_00, (), (), (), ())
    back = part_of_lines(threshold, whole(threshold), {2: 60_00}, again=none)
    assert back.shares == ((0, 6_00), (1, 6_00))
    assert back.grants == ((0, 20_00, 4),)
    assert money_of(back) == 48_00
    assert money_of(part_of_lines(threshold, whole(threshold), {2: 60_00}, again=None)) == 54_00


def test_parts_that_are_everything_and_those_that_are_not() -> None:
    assert is_all(WHOLE, all_of(KEPT, WHOLE, what=VOID)) is True
    assert is_all(WHOLE, HALF) is False
    assert is_all(HALF_LEFT, HALF) is True


def test_money_is_what_nobody_else_paid() -> None:
    assert money_of(all_of(KEPT, WHOLE, what=CAPTURE)) == 72_00
    assert money_of(HALF) == 36_00


def test_positions_that_keep_something() -> None:
    assert minus([5, 3, 0], [(0, 5), (1, 1)]) == ((1, 2),)
    assert minus([5], []) == ((0, 5),)
    assert minus([5, 5], [(1, 2), (1, 2)]) == ((0, 5), (1, 1))


def test_what_is_left_after_a_part_and_what_was_there_stays_as_it_was() -> None:
    before = Left(*[list(one) for one in WHOLE])  # type: ignore[arg-type]
    assert after(KEPT, before, HALF) == HALF_LEFT
    assert before == WHOLE


def test_what_card_and_points_paid_line_by_line() -> None:
    assert nets_of(KEPT, WHOLE) == [48_00, 32_00]
    assert nets_of(KEPT, HALF_LEFT) == [24_00, 16_00]


@pytest.mark.parametrize(
    "grants",
    [
        (voucher_grant(4, 20_00), voucher_grant(4, 20_00)._replace(offer="other")),
        (BONUS, voucher_grant(4, 20_00)),
        (voucher_grant(4, 20_00)._replace(card_id=UUID(int=1)), voucher_grant(4, 20_00)),
        (voucher_grant(4, 20_00)._replace(template_id=UUID(int=6)), voucher_grant(4, 20_00)),
        (voucher_grant(4, 20_00)._replace(campaign_id=UUID(int=6)), voucher_grant(4, 20_00)),
    ],
)
def test_a_grant_is_known_by_its_name(grants: tuple[Grant, Grant]) -> None:
    """One of them is kept by its holder whatever comes back, and only the other is written down, at its place."""
    for stays in (0, 1):
        of = [
            one._replace(on_return=OnReturn.KEEP) if place == stays else one for place, one in enumerate(grants)
        ]  # fmt: skip
        known = kept([line(1, 10_00), line(2, 10_00)], grants=tuple(of))
        back = part_of_lines(known, whole(known), {1: 10_00}, again=None)
        other = grants[1 - stays]
        assert back.grants == ((1 - stays, other.amount_fen // 2, 2 if other.kind is GrantKind.VOUCHERS else 0),)


def test_grants_are_found_in_their_order() -> None:
    """Behind two that stay; and of two of one name each at its own place."""
    stay = [voucher_grant(4, 20_00, on_return=OnReturn.KEEP)._replace(offer=name) for name in "ab"]
    last = kept([line(1, 10_00), line(2, 10_00)], grants=(*stay, voucher_grant(4, 20_00)))
    assert part_of_lines(last, whole(last), {1: 10_00}, again=None).grants == ((2, 10_00, 2),)
    twins = kept([line(1, 10_00), line(2, 10_00)], grants=(BONUS, voucher_grant(4, 20_00), voucher_grant(2, 6_00)))
    assert part_of_lines(twins, whole(twins), {1: 10_00}, again=None).grants == (
        (0, 4_00, 0), (1, 10_00, 2), (2, 3_00, 1)
    )  # fmt: skip


def test_shares_of_one_line_are_known_by_who_pays() -> None:
    shares = (share(1, 1_00, TO_BANK), share(1, 3_00, TO_ISSUER), share(2, 2_00, TO_BANK))
    known = kept([line(1, 10_00), line(2, 10_00)], applied=(applied(6_00),), shares=shares)
    some: Any = part_of_lines(known, whole(known), {1: 5_00}, again=None)
    assert some.shares == ((0, 50), (1, 1_50))
