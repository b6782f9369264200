"""Every kind of offer, found by itself: its worked examples, and what all kinds must hold."""

import doctest
from importlib import import_module
from pkgutil import iter_modules
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.promotion_params import PARAMS, PURCHASE_KINDS, TEMPLATE, lines

from kaquan.promotions import find_kinds, kinds
from kaquan.promotions.kind import LoadKind, PurchaseKind, Seen
from kaquan.promotions.worked import top_up

MODULES = [found.name for found in iter_modules(kinds.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_the_worked_examples_of_a_kind_come_out(name: str) -> None:
    failed, tried = doctest.testmod(import_module(f"kaquan.promotions.kinds.{name}"))
    assert failed == 0
    assert tried >= 4


@pytest.mark.parametrize("name", MODULES)
def test_a_kind_is_one_file_with_its_own_struct(name: str) -> None:
    kind = find_kinds()[name]
    assert isinstance(kind, PurchaseKind | LoadKind)
    assert kind.params.__module__ == f"kaquan.promotions.kinds.{name}"
    assert kind.params.__struct_config__.frozen
    assert kind.params.__struct_config__.forbid_unknown_fields
    assert kind.en
    assert kind.zh


@pytest.mark.parametrize("name", MODULES)
@given(data=st.data())
@settings(max_examples=30)
def test_parameters_that_are_allowed_have_no_fault(name: str, data: st.DataObject) -> None:
    params = data.draw(PARAMS[name])
    kind: Any = find_kinds()[name]
    assert kind.check(params) == []
    assert msgspec.convert(msgspec.to_builtins(params), type(params)) == params


@pytest.mark.parametrize("name", PURCHASE_KINDS)
@given(data=st.data())
@settings(max_examples=30)
def test_a_purchase_kind_gives_what_it_may(name: str, data: st.DataObject) -> None:
    """Something exactly when there is no reason against it, within its bounds, and on no line more than it costs."""
    kind: Any = find_kinds()[name]
    params, of = data.draw(PARAMS[name]), data.draw(lines())
    amounts = [line.amount_fen for line in of]
    seen = Seen(of, amounts, sum(amounts))
    effects, bounds = kind.effects(params, seen), kind.bounds(params)
    nothing = effects.off_fen == 0 and effects.gifts == ()
    assert nothing is (kind.applies(params, seen) is not None)
    assert nothing or seen.amount_fen >= bounds.least_fen
    assert effects.worth_fen <= bounds.most_fen
    assert effects.worth_fen * 10_000 <= bounds.most_bp * seen.amount_fen
    if effects.by_line is not None:
        assert sum(effects.by_line) == effects.off_fen
        assert all(0 <= off <= line.amount_fen for off, line in zip(effects.by_line, of, strict=True))


@pytest.mark.parametrize("name", [name for name in MODULES if name not in PURCHASE_KINDS])
@settings(max_examples=30)
@given(data=st.data(), amount_fen=st.integers(1, 100_00), draw=st.integers(0, 2**64 - 1), is_first=st.booleans())
def test_a_load_kind_gives_what_it_may(
    name: str, data: st.DataObject, amount_fen: int, draw: int, is_first: bool
) -> None:
    kind: Any = find_kinds()[name]
    params = data.draw(PARAMS[name])
    seen = top_up(amount_fen, draw=draw, is_first=is_first, invited_by=UUID(int=9))
    effects, rebate_bp = kind.effects(params, seen), kind.rebate_bp(params)
    nothing = effects.off_fen == 0 and effects.gifts == ()
    assert nothing is (kind.applies(params, seen) is not None)
    assert rebate_bp is None or effects.worth_fen * 10_000 <= rebate_bp * amount_fen


@pytest.mark.parametrize(
    ("name", "told", "faults"),
    [
        ("amount_off", {"tiers": []}, ["tiers"]),
        ("amount_off", {"tiers": [[100, 10], [100, 20]]}, ["tiers[1].from_fen"]),
        ("amount_off", {"tiers": [[100, 20], [200, 10]]}, ["tiers[1].off_fen"]),
        ("amount_off", {"tiers": [[100, 101]]}, ["tiers[0].off_fen"]),
        ("amount_off", {"tiers": [[100, 10], [200, 30]], "each_time": True}, ["each_time"]),
        ("amount_off", {"tiers": [[100, 10]], "most_fen": 0}, ["most_fen"]),
        ("percent_off", {"off_bp": 10_001, "from_fen": -1}, ["off_bp", "from_fen"]),
        ("nth_item", {"nth": 1, "off_bp": 0, "most_times": 0}, ["nth", "off_bp", "most_times"]),
        ("fixed_price", {"parts": [], "price_fen": -1}, ["price_fen", "parts"]),
        ("fixed_price", {"parts": [{"pieces": 0}], "price_fen": 1}, ["parts[0].pieces"]),
        ("pieces_off", {"tiers": [[2, 10], [2, 20]], "most_times": 0}, ["tiers[1].from_pieces", "most_times"]),
        ("gift_vouchers", {"tiers": [[100, {"template_id": str(TEMPLATE), "face_fen": 0, "valid_days": 0}]]},
         ["tiers[0].gift.face_fen", "tiers[0].gift.face_fen", "tiers[0].gift.valid_days"]),
        ("load_bonus", {"tiers": [[100, 101]]}, ["tiers[0].bonus_fen"]),
        ("load_rebate", {"tiers": [[100, 10_001]], "template_id": str(TEMPLATE), "face_fen": 10, "valid_days": 9,
                         "most_fen": 5}, ["tiers[0].rebate_bp", "most_fen"]),
        ("monthly_return", {"from_fen": 1, "return_bp": 0, "months": 61}, ["return_bp", "months"]),
        ("red_packet", {"from_fen": 1, "least_fen": 5, "most_fen": 4}, ["most_fen"]),
        ("presale", {"off_bp": 0, "from_fen": 0}, ["off_bp", "from_fen"]),
        ("presale", {"off_bp": 10_001, "from_fen": 1}, ["off_bp"]),
        ("nth_item", {"nth": 2, "off_bp": 10_001}, ["off_bp"]),
        ("monthly_return", {"from_fen": 1, "return_bp": 10_001, "months": 6}, ["return_bp"]),
        ("load_bonus", {"tiers": [[100, 5], [100, 6]]}, ["tiers[1].from_fen"]),
        ("load_bonus", {"tiers": [[200, 5], [100, 6]]}, ["tiers[1].from_fen"]),
        ("load_rebate", {"tiers": [[100, 100], [100, 200]], "template_id": str(TEMPLATE), "face_fen": 1,
                         "valid_days": 9, "most_fen": 5}, ["tiers[1].from_fen"]),
        ("gift_vouchers", {"tiers": [[100, {"template_id": str(TEMPLATE), "face_fen": fen, "valid_days": 9}]
                                     for fen in (5, 6)]}, ["tiers[1].from_fen"]),
        ("invitation", {"from_fen": 0, "inviter_fen": 0, "invited_fen": -1},
         ["from_fen", "inviter_fen", "invited_fen"]),
        ("invitation", {"from_fen": 1, "inviter_fen": -1, "inviter_points": 5, "invited_points": -1},
         ["inviter_fen", "invited_points"]),
        ("points_gift", {"tiers": [[100, 10], [100, 20]]}, ["tiers[1].from_fen"]),
        ("points_gift", {"tiers": [[100, 20], [200, 10]], "each_time": True}, ["tiers[1].points", "each_time"]),
        ("points_gift", {"tiers": [[100, 0]], "most_points": 0}, ["tiers[0].points", "most_points"]),
        ("points_gift", {"tiers": [[100, 1_000_000_001]]}, ["tiers[0].points"]),
    ],
)  # fmt: skip
def test_parameters_that_are_not_allowed_name_each_field(name: str, told: dict[str, Any], faults: list[str]) -> None:
    kind: Any = find_kinds()[name]
    assert [fault.field for fault in kind.check(msgspec.convert(told, kind.params))] == faults
