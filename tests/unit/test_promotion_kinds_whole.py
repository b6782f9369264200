"""What each kind of offer says and gives, whole: faults of parameters, reasons, effects and bounds, at their edges."""

from datetime import date
from typing import Any
from uuid import UUID

import msgspec
import pytest
from tests.unit.promotion_params import TEMPLATE

from kaquan.kit.money import MAX_FEN
from kaquan.promotions import GrantKind, Line, find_kinds
from kaquan.promotions.gifts import VoucherGift, check_gift
from kaquan.promotions.kind import NOTHING, Bounds, Effects, Fault, Gift, Seen
from kaquan.promotions.kinds.monthly_return import months_after
from kaquan.promotions.pieces import by_line, count, dearest_first
from kaquan.promotions.tiers import (
    MAX_POINTS,
    check_amount,
    check_bp,
    check_count,
    check_each_time,
    check_most,
    check_tiers,
    most_share_bp,
)
from kaquan.promotions.worked import basket, top_up

FRIEND = UUID(int=7)
DAYS = {"template_id": str(TEMPLATE), "valid_days": 30}


def seen(*lines: tuple[str, int, int]) -> Seen:
    """Lines of (product, pieces, amount)."""
    of = [Line(n, sku, frozenset({f"of {sku}"}), pieces, fen) for n, (sku, pieces, fen) in enumerate(lines, start=1)]
    return Seen(of, [one.amount_fen for one in of], sum(one.amount_fen for one in of))


def told(kind: str, **params: Any) -> tuple[Any, Any]:
    """The kind and its parameters."""
    found: Any = find_kinds()[kind]
    return found, msgspec.convert(params, found.params)


def effects(kind: str, of: Any, **params: Any) -> Effects:
    found, made = told(kind, **params)
    got: Effects = found.effects(made, of)
    why = found.applies(made, of)
    assert (why is None) is (bool(got.off_fen) or bool(got.gifts))
    return got


def reason(kind: str, of: Any, **params: Any) -> tuple[str, dict[str, Any]]:
    found, made = told(kind, **params)
    why = found.applies(made, of)
    assert found.effects(made, of) == NOTHING
    return why.code, why.details


# Checks that kinds share


def test_tiers_are_some_and_ascend() -> None:
    number = Fault("tiers", "must be 1 to 20 tiers", "应为 1 至 20 档")
    assert check_tiers("x", []) == [number]
    assert check_tiers("x", [(n, n) for n in range(1, 22)]) == [number]
    assert check_tiers("x", [(n, n) for n in range(1, 21)]) == []
    assert check_tiers("x", [(100, 10), (100, 10)]) == [
        Fault("tiers[1].from_fen", "must be above that of the tier before: tiers may not overlap",
              "应高于上一档：档位不得重叠"),
        Fault("tiers[1].x", "must be above that of the tier before", "应高于上一档"),
    ]  # fmt: skip
    assert check_tiers("x", [(100, 10), (101, 11), (102, 12)]) == []
    assert [fault.field for fault in check_tiers("x", [(100, 10), (200, 20), (150, 15)])] == [
        "tiers[2].from_fen", "tiers[2].x"
    ]  # fmt: skip
    assert [fault.field for fault in check_tiers("x", [(0, 0)])] == ["tiers[0].from_fen", "tiers[0].x"]


def test_a_tier_gives_at_most_a_share_of_its_threshold() -> None:
    assert check_tiers("x", [(100, 5)], most_bp=500) == []
    assert check_tiers("x", [(100, 6)], most_bp=550) == [
        Fault("tiers[0].x", "must be at most 5.5 % of from_fen", "不得超过 from_fen 的 5.5%")
    ]
    assert check_tiers("x", [(100, 101)]) == []


def test_bounds_of_single_fields() -> None:
    assert check_each_time(True, [1, 2]) == [Fault("each_time", "needs exactly one tier", "每满赠减只能设一档")]
    assert check_each_time(False, [1, 2]) == check_each_time(True, [1]) == []
    wrong = [Fault("f", "must be from 1 to 10000 (100 %)", "应为 1 至 10000（100%）")]
    assert [check_bp("f", bp) for bp in (0, 1, 10_000, 10_001)] == [wrong, [], [], wrong]
    wrong = [Fault("f", f"must be from 1 to {MAX_FEN}", f"应为 1 至 {MAX_FEN}")]
    assert [check_amount("f", fen) for fen in (0, 1, MAX_FEN, MAX_FEN + 1)] == [wrong, [], [], wrong]
    assert check_amount("f", 0, least=0) == []
    assert check_amount("f", -1, least=0) == [Fault("f", f"must be from 0 to {MAX_FEN}", f"应为 0 至 {MAX_FEN}")]
    assert [check_most(most) for most in (None, 1)] == [[], []]
    assert check_most(0) == [Fault("most_fen", f"must be from 1 to {MAX_FEN}", f"应为 1 至 {MAX_FEN}")]
    wrong = [Fault("f", "must be from 1 to 10000", "应为 1 至 10000")]
    assert [check_count("f", n) for n in (None, 0, 1, 10_000, 10_001)] == [[], wrong, [], [], wrong]
    wrong = [Fault("f", "must be from 2 to 3", "应为 2 至 3")]
    assert [check_count("f", n, least=2, most=3) for n in (1, 2, 3, 4)] == [wrong, [], [], wrong]
    assert most_share_bp([(100, 5), (300, 20)]) == 667
    assert most_share_bp([(100, 10), (300, 20)]) == 1_000


def test_a_gift_of_vouchers() -> None:
    gift = VoucherGift(template_id=TEMPLATE, face_fen=25_00, valid_days=30, count=2)
    assert gift.worth_fen == 50_00
    assert gift.times(3) == Gift(GrantKind.VOUCHERS, 150_00, TEMPLATE, 6)
    assert check_gift("g", gift) == []
    edges = {
        "count": (0, 1, 1_000, 1_001),
        "valid_days": (0, 1, 36_500, 36_501),
        "face_fen": (0, 1, MAX_FEN, MAX_FEN + 1),
    }
    for name, values in edges.items():
        told_ = [check_gift("g", msgspec.structs.replace(gift, **{name: value})) for value in values]
        assert [[fault.field for fault in one] for one in told_] == [[f"g.{name}"], [], [], [f"g.{name}"]]


def test_pieces_are_counted_from_the_dearest_down() -> None:
    of = seen(("a", 2, 10_00), ("b", 1, 7_00), ("c", 3, 15_00), ("d", 1, 5_00))
    assert [one.line.sku for one in dearest_first(of)] == ["b", "a", "c", "d"]
    assert [one.place for one in dearest_first(of)] == [1, 0, 2, 3]
    assert count(of) == 7
    close = seen(("a", 10**7, 3_333_331), ("b", 10**7, 3_333_339))
    assert [one.line.sku for one in dearest_first(close)] == ["a", "b"], "the same to a millionth of a fen"
    third = dearest_first(seen(("a", 3, 10_00)))[0]
    assert [third.cost_fen(taken) for taken in range(4)] == [0, 333, 666, 1_000]
    assert by_line(of, [(0, 5), (2, 1), (0, 2)]) == [7, 0, 1, 0]


# Parameters


def fen(field: str, least: int = 1) -> Fault:
    return Fault(field, f"must be from {least} to {MAX_FEN}", f"应为 {least} 至 {MAX_FEN}")


def number(field: str, least: int, most: int) -> Fault:
    return Fault(field, f"must be from {least} to {most}", f"应为 {least} 至 {most}")


def share(field: str) -> Fault:
    return Fault(field, "must be from 1 to 10000 (100 %)", "应为 1 至 10000（100%）")


ONE_TIER = Fault("each_time", "needs exactly one tier", "每满赠减只能设一档")


@pytest.mark.parametrize(
    ("kind", "params", "faults"),
    [
        ("amount_off", {"tiers": [[100, 101]]}, [
            Fault("tiers[0].off_fen", "must be at most 100 % of from_fen", "不得超过 from_fen 的 100%")]),
        ("amount_off", {"tiers": [[1, 1], [9, 2]], "each_time": True, "most_fen": 0}, [ONE_TIER, fen("most_fen")]),
        ("percent_off", {"off_bp": 0, "from_fen": -1, "most_fen": 0}, [
            share("off_bp"), fen("from_fen", 0), fen("most_fen")]),
        ("nth_item", {"nth": 1, "off_bp": 0, "most_times": 0}, [
            number("nth", 2, 100), share("off_bp"), number("most_times", 1, 10_000)]),
        ("nth_item", {"nth": 101, "off_bp": 1}, [number("nth", 2, 100)]),
        ("fixed_price", {"parts": [], "price_fen": -1, "most_times": 1_001}, [
            fen("price_fen", 0), number("most_times", 1, 1_000),
            Fault("parts", "must be 1 to 20 parts", "应为 1 至 20 项")]),
        ("fixed_price", {"parts": [{}] * 21, "price_fen": 0}, [
            Fault("parts", "must be 1 to 20 parts", "应为 1 至 20 项")]),
        ("fixed_price", {"parts": [{"pieces": 0}, {"pieces": 101}], "price_fen": 0}, [
            number("parts[0].pieces", 1, 100), number("parts[1].pieces", 1, 100)]),
        ("pieces_off", {"tiers": [[0, 0]], "most_times": 0}, [
            fen("tiers[0].from_pieces"), fen("tiers[0].off_fen"), number("most_times", 1, 10_000)]),
        ("pieces_off", {"tiers": [[1, 1], [2, 2]], "each_time": True}, [ONE_TIER]),
        ("gift_vouchers", {"tiers": [[1, {"face_fen": 0, **DAYS}], [2, {"face_fen": 5, **DAYS}]], "each_time": True,
                           "most_times": 0}, [
            fen("tiers[0].gift.face_fen"), ONE_TIER, number("most_times", 1, 10_000), fen("tiers[0].gift.face_fen")]),
        ("load_bonus", {"tiers": [[100, 101]], "most_fen": 0}, [
            Fault("tiers[0].bonus_fen", "must be at most 100 % of from_fen", "不得超过 from_fen 的 100%"),
            fen("most_fen")]),
        ("load_bonus", {"tiers": [[1, 1], [9, 2]], "each_time": True}, [ONE_TIER]),
        ("load_rebate", {"tiers": [[1, 10_001]], "face_fen": 10, "most_fen": 9, **DAYS}, [
            share("tiers[0].rebate_bp"), Fault("most_fen", "must be at least face_fen", "不得低于单张面额")]),
        ("load_rebate", {"tiers": [[1, 1]], "face_fen": 0, "most_fen": 0, "template_id": str(TEMPLATE),
                         "valid_days": 0}, [fen("face_fen"), number("valid_days", 1, 36_500), fen("most_fen")]),
        ("load_rebate", {"tiers": [[1, 0], [2, 1]], "face_fen": 10, "most_fen": 10, **DAYS}, [
            fen("tiers[0].rebate_bp"), share("tiers[0].rebate_bp")]),
        ("load_rebate", {"tiers": [], "face_fen": 10, "most_fen": 10, **DAYS}, [
            Fault("tiers", "must be 1 to 20 tiers", "应为 1 至 20 档")]),
        ("monthly_return", {"from_fen": 0, "return_bp": 0, "months": 0, "most_fen": 0}, [
            fen("from_fen"), share("return_bp"), number("months", 1, 60), fen("most_fen")]),
        ("monthly_return", {"from_fen": 1, "return_bp": 1, "months": 61}, [number("months", 1, 60)]),
        ("red_packet", {"from_fen": 0, "least_fen": 0, "most_fen": 0}, [
            fen("from_fen"), fen("least_fen"), fen("most_fen")]),
        ("red_packet", {"from_fen": 1, "least_fen": 5, "most_fen": 4}, [
            Fault("most_fen", "must be at least least_fen", "不得低于 least_fen")]),
        ("presale", {"off_bp": 0, "from_fen": 0, "most_fen": 0}, [share("off_bp"), fen("from_fen"), fen("most_fen")]),
        ("invitation", {"from_fen": 0, "inviter_fen": 0, "invited_fen": -1}, [
            fen("from_fen"), fen("inviter_fen"), fen("invited_fen", 0)]),
        ("invitation", {"from_fen": 1, "inviter_fen": -1, "inviter_points": MAX_POINTS + 1,
                        "invited_points": MAX_POINTS + 1}, [
            fen("inviter_fen", 0), number("inviter_points", 0, MAX_POINTS), number("invited_points", 0, MAX_POINTS)]),
        ("invitation", {"from_fen": 1, "inviter_points": -1, "invited_points": -1}, [
            number("inviter_points", 0, MAX_POINTS), number("invited_points", 0, MAX_POINTS)]),
        ("points_gift", {"tiers": [[1, 0]], "most_points": 0}, [
            fen("tiers[0].points"), number("most_points", 1, MAX_POINTS)]),
        ("points_gift", {"tiers": [[1, 1], [2, MAX_POINTS + 1]], "each_time": True, "most_points": MAX_POINTS + 1}, [
            ONE_TIER, number("most_points", 1, MAX_POINTS), number("tiers[1].points", 1, MAX_POINTS)]),
    ],
)  # fmt: skip
def test_what_is_said_of_parameters_that_cannot_be(kind: str, params: dict[str, Any], faults: list[Fault]) -> None:
    found, made = told(kind, **params)
    assert found.check(made) == faults


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("amount_off", {"tiers": [[100, 100]], "each_time": True, "most_fen": 1}),
        ("percent_off", {"off_bp": 10_000, "from_fen": 0, "most_fen": 1}),
        ("nth_item", {"nth": 2, "off_bp": 1, "most_times": 1}),
        ("nth_item", {"nth": 100, "off_bp": 1, "most_times": 10_000}),
        ("fixed_price", {"parts": [{"pieces": 1}, {"pieces": 100}], "price_fen": 0, "most_times": 1_000}),
        ("fixed_price", {"parts": [{}] * 20, "price_fen": 0}),
        ("pieces_off", {"tiers": [[1, 1]], "each_time": True, "most_times": 10_000}),
        ("gift_vouchers", {"tiers": [[1, {"face_fen": 5, **DAYS}]], "each_time": True, "most_times": 10_000}),
        ("load_bonus", {"tiers": [[100, 100]], "each_time": True, "most_fen": 1}),
        ("load_rebate", {"tiers": [[1, 10_000]], "face_fen": 10, "most_fen": 10, **DAYS}),
        ("monthly_return", {"from_fen": 1, "return_bp": 1, "months": 60, "most_fen": 1}),
        ("red_packet", {"from_fen": 1, "least_fen": 1, "most_fen": 1}),
        ("presale", {"off_bp": 10_000, "from_fen": 1, "most_fen": 1}),
        ("invitation", {"from_fen": 1, "inviter_fen": 1, "invited_fen": 0}),
        ("invitation", {"from_fen": 1, "inviter_points": 1}),
        ("invitation", {"from_fen": 1, "inviter_points": MAX_POINTS, "invited_points": MAX_POINTS}),
        ("points_gift", {"tiers": [[1, 1]], "each_time": True, "most_points": 1}),
        ("points_gift", {"tiers": [[1, 1], [2, MAX_POINTS]], "most_points": MAX_POINTS}),
    ],
)
def test_parameters_at_their_edges(kind: str, params: dict[str, Any]) -> None:
    found, made = told(kind, **params)
    assert found.check(made) == []


# Effects and reasons

TWO_TIERS = {"tiers": [[100_00, 10_00], [300_00, 50_00]]}


@pytest.mark.parametrize(
    ("kind", "of", "params", "off_fen", "by_line"),
    [
        ("amount_off", basket(100_00), TWO_TIERS, 10_00, None),
        ("amount_off", basket(299_99), TWO_TIERS, 10_00, None),
        ("amount_off", basket(300_00), TWO_TIERS, 50_00, None),
        ("amount_off", basket(300_00), {**TWO_TIERS, "most_fen": 49_00}, 49_00, None),
        ("amount_off", basket(299_99), {"tiers": [[100_00, 10_00]], "each_time": True}, 20_00, None),
        ("percent_off", basket(100_00), {"off_bp": 1_250, "from_fen": 100_00}, 12_50, None),
        ("percent_off", basket(1_01), {"off_bp": 100}, 1, None),
        ("percent_off", basket(100_00), {"off_bp": 1_250, "most_fen": 12_49}, 12_49, None),
        ("percent_off", basket(1_00), {"off_bp": 100}, 1, None),
        ("nth_item", seen(("a", 1, 40_00), ("b", 1, 30_00)), {"nth": 2, "off_bp": 5_000}, 15_00, [0, 15_00]),
        ("nth_item", seen(("a", 3, 30_00), ("b", 2, 18_00)), {"nth": 2, "off_bp": 5_000}, 5_00 + 4_50, [5_00, 4_50]),
        ("nth_item", seen(("a", 4, 40_00), ("b", 2, 18_00)), {"nth": 2, "off_bp": 5_000, "most_times": 2}, 10_00,
         [10_00, 0]),
        ("nth_item", seen(("a", 2, 40_00), ("b", 1, 18_00), ("a", 2, 30_00)),
         {"nth": 4, "off_bp": 10_000, "same_sku": True}, 15_00, [0, 0, 15_00]),
        ("nth_item", seen(("a", 2, 40_00), ("b", 2, 18_00)),
         {"nth": 2, "off_bp": 10_000, "same_sku": True, "most_times": 1}, 20_00, [20_00, 0]),
        ("nth_item", seen(("a", 3, 1_00)), {"nth": 3, "off_bp": 5_000}, 16, [16]),
        ("fixed_price", seen(("a", 1, 68_00), ("b", 2, 60_00)),
         {"parts": [{"skus": ["a"]}, {"skus": ["b"], "pieces": 2}], "price_fen": 99_00}, 29_00, [15_41, 13_59]),
        ("fixed_price", seen(("a", 2, 20_00), ("b", 1, 5_00)), {"parts": [{"categories": ["of a"]}], "price_fen": 6_00},
         8_00, [8_00, 0]),
        ("fixed_price", seen(("a", 3, 10_00)), {"parts": [{"pieces": 1}], "price_fen": 3_00, "most_times": 2}, 66,
         [66]),
        ("fixed_price", seen(("a", 1, 10_00), ("b", 1, 8_00), ("c", 1, 2_00)),
         {"parts": [{"pieces": 1}], "price_fen": 3_00}, 12_00, [7_00, 5_00, 0]),
        ("fixed_price", seen(("a", 2, 20_00), ("b", 2, 16_00)),
         {"parts": [{"skus": ["a", "b"], "pieces": 3}], "price_fen": 0}, 28_00, [20_00, 8_00]),
        ("pieces_off", seen(("a", 2, 20_00)), {"tiers": [[2, 5_00], [3, 9_00]]}, 5_00, None),
        ("pieces_off", seen(("a", 2, 20_00), ("b", 1, 1_00)), {"tiers": [[2, 5_00], [3, 9_00]]}, 9_00, None),
        ("pieces_off", seen(("a", 5, 90_00)), {"tiers": [[2, 5_00]], "each_time": True}, 10_00, None),
        ("pieces_off", seen(("a", 5, 90_00)), {"tiers": [[2, 5_00]], "each_time": True, "most_times": 1}, 5_00, None),
        ("pieces_off", seen(("a", 5, 90_00)), {"tiers": [[2, 5_00]]}, 5_00, None),
        ("fixed_price", seen(("a", 1, 3_33)), {"parts": [{}], "price_fen": 3_32}, 1, [1]),
        ("pieces_off", seen(("a", 2, 4_00)), {"tiers": [[2, 5_00]]}, 4_00, None),
        ("presale", top_up(500_00), {"off_bp": 333, "from_fen": 500_00}, 16_65, None),
        ("presale", top_up(500_00), {"off_bp": 333, "from_fen": 1, "most_fen": 16_64}, 16_64, None),
    ],
)  # fmt: skip
def test_what_is_off(kind: str, of: Any, params: dict[str, Any], off_fen: int, by_line: list[int] | None) -> None:
    assert effects(kind, of, **params) == Effects(off_fen, by_line)


def bonus(amount_fen: int, **more: Any) -> Gift:
    return Gift(GrantKind.BONUS, amount_fen, **more)


def points(number_: int, **more: Any) -> Gift:
    return Gift(GrantKind.POINTS, number_, **more)


def vouchers(count_: int, amount_fen: int) -> Gift:
    return Gift(GrantKind.VOUCHERS, amount_fen, TEMPLATE, count_)


REBATE = {"tiers": [[100_00, 500], [200_00, 1_000]], "face_fen": 3_00, "most_fen": 29_00, **DAYS}
GIFTS = {"tiers": [[100_00, {"face_fen": 5_00, "count": 2, **DAYS}], [300_00, {"face_fen": 20_00, **DAYS}]]}
EACH = {"tiers": [[100_00, {"face_fen": 5_00, "count": 2, **DAYS}]], "each_time": True}
MONTHLY = {"from_fen": 100_00, "return_bp": 333, "months": 2}
INVITED = {"from_fen": 100_00, "inviter_fen": 20_00, "invited_fen": 10_00}
POINTS = {"tiers": [[100_00, 50], [300_00, 200]]}
EACH_POINTS = {"tiers": [[100_00, 50]], "each_time": True, "most_points": 120}


@pytest.mark.parametrize(
    ("kind", "of", "params", "gifts"),
    [
        ("gift_vouchers", basket(100_00), GIFTS, (vouchers(2, 10_00),)),
        ("gift_vouchers", basket(300_00), GIFTS, (vouchers(1, 20_00),)),
        ("gift_vouchers", basket(299_99), EACH, (vouchers(4, 20_00),)),
        ("gift_vouchers", basket(299_99), {**EACH, "most_times": 1}, (vouchers(2, 10_00),)),
        ("load_bonus", top_up(100_00), TWO_TIERS, (bonus(10_00),)),
        ("load_bonus", top_up(300_00), TWO_TIERS, (bonus(50_00),)),
        ("load_bonus", top_up(299_99), {"tiers": [[100_00, 10_00]], "each_time": True}, (bonus(20_00),)),
        ("load_bonus", top_up(300_00), {**TWO_TIERS, "most_fen": 49_00}, (bonus(49_00),)),
        ("load_bonus", top_up(299_99), {"tiers": [[100_00, 10_00]]}, (bonus(10_00),)),
        ("load_rebate", top_up(100_00), REBATE, (vouchers(1, 3_00),)),
        ("load_rebate", top_up(200_00), REBATE, (vouchers(6, 18_00),)),
        ("load_rebate", top_up(900_00), REBATE, (vouchers(9, 27_00),)),
        ("monthly_return", top_up(100_00), MONTHLY, (bonus(3_33, due_on=(date(2026, 2, 28), date(2026, 3, 31))),)),
        ("monthly_return", top_up(100_00), {**MONTHLY, "most_fen": 3_00, "months": 1},
         (bonus(3_00, due_on=(date(2026, 2, 28),)),)),
        ("red_packet", top_up(100_00, draw=0), {"from_fen": 100_00, "least_fen": 3, "most_fen": 6}, (bonus(3),)),
        ("red_packet", top_up(100_00, draw=2**64 - 1), {"from_fen": 1, "least_fen": 3, "most_fen": 6}, (bonus(6),)),
        ("red_packet", top_up(100_00, draw=2**62 - 1), {"from_fen": 1, "least_fen": 3, "most_fen": 6}, (bonus(3),)),
        ("red_packet", top_up(100_00, draw=2**62), {"from_fen": 1, "least_fen": 3, "most_fen": 6}, (bonus(4),)),
        ("invitation", top_up(100_00, is_first=True, invited_by=FRIEND), INVITED,
         (bonus(20_00, card_id=FRIEND), bonus(10_00))),
        ("invitation", top_up(100_00, is_first=True, invited_by=FRIEND), {**INVITED, "invited_fen": 0},
         (bonus(20_00, card_id=FRIEND),)),
        ("invitation", top_up(100_00, is_first=True, invited_by=FRIEND),
         {**INVITED, "inviter_points": 200, "invited_points": 100},
         (bonus(20_00, card_id=FRIEND), points(200, card_id=FRIEND), bonus(10_00), points(100))),
        ("points_gift", basket(100_00), POINTS, (points(50),)),
        ("points_gift", basket(299_99), POINTS, (points(50),)),
        ("points_gift", basket(300_00), POINTS, (points(200),)),
        ("points_gift", basket(300_00), {**POINTS, "most_points": 199}, (points(199),)),
        ("points_gift", basket(299_99), EACH_POINTS, (points(100),)),
        ("points_gift", basket(300_00), EACH_POINTS, (points(120),)),
    ],
)  # fmt: skip
def test_what_is_given_beside(kind: str, of: Any, params: dict[str, Any], gifts: tuple[Gift, ...]) -> None:
    assert effects(kind, of, **params) == Effects(gifts=gifts)


BELOW = "offer_below_threshold"
FEW, NO_EFFECT, NOT_FOR = "offer_too_few_pieces", "offer_no_effect", "offer_not_for_holder"


@pytest.mark.parametrize(
    ("kind", "of", "params", "code", "details"),
    [
        ("amount_off", basket(99_99), TWO_TIERS, BELOW, {"amount_fen": 99_99, "needed_fen": 100_00}),
        ("percent_off", basket(99_99), {"off_bp": 1_000, "from_fen": 100_00}, BELOW,
         {"amount_fen": 99_99, "needed_fen": 100_00}),
        ("percent_off", basket(99), {"off_bp": 100}, NO_EFFECT, {}),
        ("nth_item", seen(("a", 2, 9_00)), {"nth": 3, "off_bp": 1_000}, FEW, {"pieces": 2, "needed": 3}),
        ("nth_item", seen(("a", 2, 9_00), ("b", 2, 9_00)), {"nth": 3, "off_bp": 1_000, "same_sku": True}, FEW,
         {"pieces": 4, "needed": 3}),
        ("nth_item", seen(("a", 3, 0)), {"nth": 3, "off_bp": 1_000}, NO_EFFECT, {}),
        ("fixed_price", seen(("a", 2, 9_00)), {"parts": [{"pieces": 2}, {"pieces": 1}], "price_fen": 0}, FEW,
         {"pieces": 2, "needed": 3}),
        ("fixed_price", seen(("a", 2, 9_00)), {"parts": [{"skus": ["b"]}], "price_fen": 0}, FEW,
         {"pieces": 2, "needed": 1}),
        ("fixed_price", seen(("a", 2, 9_00)), {"parts": [{"pieces": 2}], "price_fen": 9_00}, NO_EFFECT, {}),
        # the odd fen of the third piece is not worth a set
        ("fixed_price", seen(("a", 3, 10_00)), {"parts": [{}], "price_fen": 3_33}, NO_EFFECT, {}),
        ("pieces_off", seen(("a", 1, 9_00)), {"tiers": [[2, 1], [3, 2]]}, FEW, {"pieces": 1, "needed": 2}),
        ("pieces_off", seen(("a", 2, 0)), {"tiers": [[2, 1]]}, NO_EFFECT, {}),
        ("gift_vouchers", basket(99_99), GIFTS, BELOW, {"amount_fen": 99_99, "needed_fen": 100_00}),
        ("load_bonus", top_up(99_99), TWO_TIERS, BELOW, {"amount_fen": 99_99, "needed_fen": 100_00}),
        ("load_rebate", top_up(99_99), REBATE, BELOW, {"amount_fen": 99_99, "needed_fen": 100_00}),
        ("load_rebate", top_up(100_00), {**REBATE, "face_fen": 5_01}, NO_EFFECT, {}),
        ("monthly_return", top_up(99_99), MONTHLY, BELOW, {"amount_fen": 99_99, "needed_fen": 100_00}),
        ("monthly_return", top_up(30), {**MONTHLY, "from_fen": 30}, NO_EFFECT, {}),
        ("red_packet", top_up(99), {"from_fen": 100, "least_fen": 3, "most_fen": 6}, BELOW,
         {"amount_fen": 99, "needed_fen": 100}),
        ("presale", top_up(99_99), {"off_bp": 1, "from_fen": 100_00}, BELOW,
         {"amount_fen": 99_99, "needed_fen": 100_00}),
        ("presale", top_up(99), {"off_bp": 100, "from_fen": 1}, NO_EFFECT, {}),
        ("invitation", top_up(100_00, is_first=True), INVITED, NOT_FOR, {"condition": "invited_by"}),
        ("invitation", top_up(100_00, invited_by=FRIEND), INVITED, NOT_FOR, {"condition": "is_first"}),
        ("invitation", top_up(99_99, is_first=True, invited_by=FRIEND), INVITED, BELOW,
         {"amount_fen": 99_99, "needed_fen": 100_00}),
        ("points_gift", basket(99_99), POINTS, BELOW, {"amount_fen": 99_99, "needed_fen": 100_00}),
    ],
)  # fmt: skip
def test_why_there_is_nothing(kind: str, of: Any, params: dict[str, Any], code: str, details: dict[str, Any]) -> None:
    assert reason(kind, of, **params) == (code, details)


@pytest.mark.parametrize(
    ("kind", "params", "bounds"),
    [
        ("amount_off", TWO_TIERS, Bounds(100_00, 1_667, 50_00)),
        ("amount_off", {**TWO_TIERS, "most_fen": 40_00}, Bounds(100_00, 1_667, 40_00)),
        ("amount_off", {"tiers": [[100_00, 10_00]]}, Bounds(100_00, 1_000, 10_00)),
        ("amount_off", {"tiers": [[300, 10]], "each_time": True}, Bounds(300, 334, MAX_FEN)),
        ("amount_off", {"tiers": [[300, 10]], "each_time": True, "most_fen": 9}, Bounds(300, 334, 9)),
        ("gift_vouchers", GIFTS, Bounds(100_00, 1_000, 20_00)),
        ("gift_vouchers", {**EACH, "most_times": 3}, Bounds(100_00, 1_000, 30_00)),
        ("gift_vouchers", EACH, Bounds(100_00, 1_000, 10_00 * MAX_FEN)),
        ("gift_vouchers", {"tiers": [[300, {"face_fen": 10, **DAYS}]]}, Bounds(300, 334, 10)),
        ("pieces_off", {"tiers": [[2, 5], [3, 9]]}, Bounds(1, 10_000, 9)),
        ("pieces_off", {"tiers": [[2, 5]], "each_time": True, "most_times": 3}, Bounds(1, 10_000, 15)),
        ("pieces_off", {"tiers": [[2, 5]], "each_time": True}, Bounds(1, 10_000, 5 * MAX_FEN)),
        ("percent_off", {"off_bp": 1_250}, Bounds(1, 1_250, MAX_FEN)),
        ("percent_off", {"off_bp": 1_250, "from_fen": 5, "most_fen": 7}, Bounds(5, 1_250, 7)),
        ("points_gift", POINTS, Bounds(100_00, 0, 0)),
    ],
)
def test_what_is_known_before_the_goods_are(kind: str, params: dict[str, Any], bounds: Bounds) -> None:
    found, made = told(kind, **params)
    assert found.bounds(made) == bounds


@pytest.mark.parametrize(
    ("day", "months", "then"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2026, 1, 31), 12, date(2027, 1, 31)),
        (date(2026, 12, 15), 1, date(2027, 1, 15)),
        (date(2026, 11, 30), 1, date(2026, 12, 30)),
        (date(2027, 12, 31), 2, date(2028, 2, 29)),
    ],
)
def test_months_later(day: date, months: int, then: date) -> None:
    assert months_after(day, months) == then
