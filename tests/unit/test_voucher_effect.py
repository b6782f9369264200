"""Which effects a template may have, what is said of others, and the offer that a voucher is."""

from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from tests.unit.test_vouchers_rules import template

from kaquan.promotions import Base, Funder, FunderKind, find_kinds
from kaquan.promotions.kind import PurchaseKind
from kaquan.promotions.kinds.amount_off import AmountOff, Tier
from kaquan.vouchers import NewTemplate, VoucherKind
from kaquan.vouchers.effect import check_effect, compile_template

FUNDERS = (Funder(FunderKind.ISSUER, None, 10_000),)


def new(**changes: Any) -> NewTemplate:
    told: dict[str, Any] = {
        "issuer_id": UUID(int=2), "code": "v", "name": "v", "kind": VoucherKind.VALUE, "currency": "CNY",
        "face_fen": 1_000, "offer_kind": "amount_off", "offer_params": {"tiers": [[10_000, 1_000]]},
        "funders": FUNDERS, **changes,
    }  # fmt: skip
    return NewTemplate(**told)


NAMES = ", ".join(sorted(name for name, kind in find_kinds().items() if isinstance(kind, PurchaseKind)))
NUL = ("must not contain NUL", "不得含有空字符")


@pytest.mark.parametrize(
    ("changes", "field", "allowed"),
    [
        ({"offer_kind": "unheard"}, "offer_kind", (f"must be one of: {NAMES}", f"应为以下之一：{NAMES}")),
        ({"offer_kind": "load_bonus"}, "offer_kind", (f"must be one of: {NAMES}", f"应为以下之一：{NAMES}")),
        ({"offer_params": {"tiers": "x\0"}}, "offer_params", NUL),
        ({"offer_conditions": {"trades": ["x\0"]}}, "offer_conditions", NUL),
        ({"offer_stacking": {"group": "x\0"}}, "offer_stacking", NUL),
        ({"offer_params": {"tiers": [[100, 101]]}}, "offer_params.tiers[0].off_fen",
         ("must be at most 100 % of from_fen", "不得超过 from_fen 的 100%")),
        ({"face_fen": 999}, "face_fen", ("must be what it takes off: 1000", "应等于减免金额 1000")),
        ({"face_fen": 500, "offer_params": {"tiers": [[1_000, 500], [2_000, 1_000]]}}, "face_fen",
         ("must be what it takes off: 1000", "应等于减免金额 1000")),
    ],
)  # fmt: skip
def test_an_effect_that_cannot_be(changes: dict[str, Any], field: str, allowed: tuple[str, str]) -> None:
    told = check_effect(new(**changes))
    assert told is not None
    assert (told.code, told.field) == ("invalid_field", field)
    assert told.details == {"allowed": allowed[0], "allowed_zh": allowed[1]}


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"offer_params": {}}, "offer_params", "tiers"),
        ({"offer_conditions": {"weekdays": "often"}}, "offer_conditions", "weekdays"),
        ({"offer_stacking": {"order": "first"}}, "offer_stacking", "order"),
    ],
)
def test_what_is_no_effect_at_all_is_named(changes: dict[str, Any], field: str, says: str) -> None:
    told = check_effect(new(**changes))
    assert told is not None
    assert (told.code, told.field) == ("invalid_field", field)
    assert says in told.details["allowed"]
    assert told.details["allowed_zh"] == told.details["allowed"]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"offer_params": {"tiers": [[1_000, 500], [2_000, 1_000]]}},
        {"face_fen": 0, "offer_params": {"tiers": [[10_000, 1_000]], "each_time": True}},
        {"face_fen": 0, "kind": VoucherKind.GOODS},
        {"face_fen": 0, "kind": VoucherKind.PERCENT, "offer_kind": "percent_off", "offer_params": {"off_bp": 1_000}},
        {"face_fen": 7, "offer_kind": "percent_off", "offer_params": {"off_bp": 1_000}},
        {"offer_conditions": {"trades": ["x"]}, "offer_stacking": {"group": ""}},
    ],
)
def test_an_effect_that_can_be(changes: dict[str, Any]) -> None:
    assert check_effect(new(**changes)) is None


def test_a_voucher_as_an_offer() -> None:
    made = compile_template(
        template(id=UUID(int=6), code="C", offer_conditions={"trades": ["x"]}, offer_stacking={"base": "list"})
    )
    assert (made.campaign_id, made.version, made.name, made.kind) == (UUID(int=6), 1, "C", "amount_off")
    assert made.rank == (100, "C", "C")
    assert made.params == AmountOff(tiers=(Tier(10_000, 1_000),))
    assert (made.conditions.trades, made.is_of_list) == (frozenset({"x"}), Base.LIST is Base.LIST)
    assert (made.funders, made.budgets, made.control_bp) == (FUNDERS, (), 0)
    assert (made.starts_at, made.ends_at) == (datetime.min, datetime.max)  # noqa: DTZ901


@pytest.mark.parametrize(
    ("changes", "face_fen", "tiers"),
    [
        ({}, None, [(10_000, 1_000)]),
        ({}, 1_000, [(10_000, 1_000)]),
        ({}, 250, [(10_000, 250)]),
        ({"offer_params": {"tiers": [[1_000, 500], [2_000, 1_000]]}}, 250, [(1_000, 500), (2_000, 1_000)]),
    ],
)
def test_a_face_value_of_its_own_is_what_it_takes_off(
    changes: dict[str, Any], face_fen: int | None, tiers: list[tuple[int, int]]
) -> None:
    assert list(compile_template(template(**changes), face_fen=face_fen).params.tiers) == tiers
    share = compile_template(template(offer_kind="percent_off", offer_params={"off_bp": 5}), face_fen=250)
    assert share.params.off_bp == 5
