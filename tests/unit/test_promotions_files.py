"""Campaign files: read whole, every fault with its field; ceilings of law and house with their rules."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from msgspec.structs import replace
from tests.unit.promotion_facts import HALVES, campaign, conditions, off, percent
from tests.unit.promotion_params import Chance

from kaquan.kit.outcomes import Refusal
from kaquan.policy import FileFormat, RuleBook, Standing, house_template, read_rule_file, released_law
from kaquan.promotions import Budget, BudgetMetric, CampaignTerms, check_rules, find_kinds, read_campaign, show_terms

ISSUER = UUID(int=77)
DAY = {"starts_at": "2026-05-01T00:00:00", "ends_at": "2026-05-02T00:00:00"}


def offer(kind: str = "percent_off", name: str = "o", **params: Any) -> dict[str, Any]:
    return {"name": name, "kind": kind, "params": params or {"off_bp": 1_000}}


def file(*offers: dict[str, Any], **told: Any) -> bytes:
    whole = {"code": "MAY", "name": "五一", "issuer_id": f"iss_{ISSUER.hex}", **DAY, "offers": offers or [offer()]}
    return msgspec.json.encode(whole | told)


def fields(text: bytes) -> list[str | None]:
    read = read_campaign(text)
    assert isinstance(read, list), read
    assert {fault.code for fault in read} == {"invalid_field"}
    assert all(fault.message("zh") and fault.message() for fault in read)
    return [fault.field for fault in read]


def test_a_file_is_read_and_what_is_shown_is_read_again_as_the_same() -> None:
    read = read_campaign(file(budgets=[{"name": "总额", "metric": "amount", "maximum": 1_000_000}]))
    assert isinstance(read, CampaignTerms)
    assert read.issuer_id == ISSUER
    assert read.starts_at == datetime.fromisoformat("2026-05-01T00:00")
    assert read_campaign(msgspec.json.encode(show_terms(read))) == read


def test_ids_are_written_as_the_api_shows_them() -> None:
    bank, shop = UUID(int=7), UUID(int=8)
    funders = [["issuer", None, 4_000], ["party", f"fun_{bank.hex}", 6_000]]
    one = offer() | {"funders": funders, "conditions": {"merchant_ids": [f"mer_{shop.hex}"]}}
    read = read_campaign(file(one, funders=funders))
    assert isinstance(read, CampaignTerms)
    for found in (read.funders, read.offers[0].funders):
        assert [funder.party_id for funder in found] == [None, bank]
    assert read.offers[0].conditions.merchant_ids == {shop}
    assert fields(file(funders=[["party", f"mer_{bank.hex}", 10_000]])) == ["funders[0][1]"]


def test_whatever_may_be_is_the_same_after_a_file() -> None:
    for number in range(200):
        for one in Chance(number).campaigns():
            named = {budget.name: budget for budget in one.terms.budgets}
            terms = replace(one.terms, budgets=tuple(named.values()))
            assert read_campaign(msgspec.json.encode(show_terms(terms))) == terms


def test_every_fault_is_told_with_its_field() -> None:
    assert fields(b"{") == ["file"]
    assert fields(b"[]") == ["file"]
    assert fields(file(colour="red")) == ["file"]
    assert fields(file({"name": "a", "kind": "x", "params": {}}, offer(off_bp="10"), {"kind": "percent_off"})) == [
        "offers[0].kind",
        "offers[1].params.off_bp",
        "offers[2]",
    ]
    overlapping: dict[str, Any] = {"tiers": [[100_00, 10_00], [100_00, 20_00]]}
    assert fields(
        file(
            offer(off_bp=10_001),
            offer("amount_off", **overlapping),
            code="五一",
            ends_at="2026-05-01T00:00:00",
            control_bp=5_001,
            funders=[["issuer", None, 9_000]],
            budgets=[{"name": "", "metric": "amount", "maximum": 0}],
        )
    ) == [
        "code",
        "offers[1].name",
        "ends_at",
        "funders",
        "budgets[0].name",
        "budgets[0].maximum",
        "control_bp",
        "offers[0].params.off_bp",
        "offers[1].params.tiers[1].from_fen",
    ]


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"starts_at": "2026-05-01T00:00:00Z"}, "starts_at"),
        ({"ends_at": "2026-05-02T00:00:30"}, "ends_at"),
        ({"ends_at": "2036-05-02T00:00:00"}, "ends_at"),
        ({"offers": []}, "offers"),
        ({"offers": 3}, "offers"),
        ({"issuer_id": "sto_" + ISSUER.hex}, "issuer_id"),
        ({"funders": [["party", None, 10_000]]}, "funders[0].party_id"),
        ({"funders": [["issuer", str(ISSUER), 10_000]]}, "funders[0].party_id"),
        ({"funders": [["issuer", None, 5_000], ["issuer", None, 5_000]]}, "funders"),
        ({"budgets": [{"name": "a", "metric": "amount", "maximum": 1}] * 2}, "budgets[1].name"),
        ({"budgets": [{"name": "a", "metric": "weight", "maximum": 1}]}, "budgets[0].metric"),
        ({"offers": [offer() | {"conditions": {"weekdays": [0]}}]}, "offers[0].conditions.weekdays"),
        ({"offers": [offer() | {"conditions": {"days_of_month": [32]}}]}, "offers[0].conditions.days_of_month"),
        ({"offers": [offer() | {"conditions": {"hours": [[540, 540]]}}]}, "offers[0].conditions.hours[0]"),
        ({"offers": [offer() | {"conditions": {"starts_at": "2026-04-30T00:00:00"}}]},
         "offers[0].conditions.starts_at"),
        ({"offers": [offer() | {"conditions": {"ends_at": "2026-05-01T01:00:00Z"}}]}, "offers[0].conditions.ends_at"),
        ({"offers": [offer() | {"conditions": {"ends_at": "2026-05-01T00:00:00"}}]}, "offers[0].conditions.ends_at"),
        ({"offers": [offer() | {"conditions": {"starts_at": "2026-05-01T12:00:00", "ends_at": "2026-05-01T11:00:00"}}]},
         "offers[0].conditions.ends_at"),
        ({"budgets": [{"name": "a", "metric": "count", "maximum": 1, "on_return": "share"}]}, "budgets[0].on_return"),
        ({"budgets": [{"name": "a", "metric": "amount", "maximum": 1, "on_return": "none"}]}, "budgets[0].on_return"),
        ({"offers": [offer() | {"conditions": {"goods": {"skus": ["a"], "except_skus": ["a"]}}}]},
         "offers[0].conditions.goods.except_skus"),
        ({"offers": [offer() | {"conditions": {"segments": ["a", " b"]}}]}, "offers[0].conditions.segments"),
        ({"offers": [offer() | {"conditions": {"except_segments": [""]}}]}, "offers[0].conditions.except_segments"),
        ({"offers": [offer() | {"conditions": {"districts": ["x" * 65]}}]}, "offers[0].conditions.districts"),
        ({"offers": [offer() | {"stacking": {"max_vouchers": 0}}]}, "offers[0].stacking.max_vouchers"),
        ({"offers": [offer("presale", off_bp=1_000, from_fen=1) | {"conditions": {"goods": {"skus": ["a"]}}}]},
         "offers[0].conditions.goods"),
    ],
)  # fmt: skip
def test_one_fault(told: dict[str, Any], field: str) -> None:
    assert fields(file(**told)) == [field]


def house() -> RuleBook:
    read = read_rule_file(house_template(), FileFormat.CSV, standing=Standing.HOUSE)
    assert not read.problems
    return RuleBook(released_law(), tuple(rule for _, rule in read.rules))


def broken(*offers: dict[str, Any], rules: RuleBook | None = None) -> list[tuple[str | None, Any]]:
    terms = read_campaign(file(*offers))
    assert isinstance(terms, CampaignTerms), terms
    found: list[Refusal] = check_rules(rules or house(), terms, jurisdiction="CN", on=date(2026, 5, 1))
    assert {refusal.code for refusal in found} <= {"campaign_breaks_rule"}
    return [(refusal.field, refusal.details["rule"]) for refusal in found]


def test_a_rebate_is_held_to_the_ceiling_of_the_house() -> None:
    template = str(UUID(int=5))
    rebate: dict[str, Any] = {"template_id": template, "face_fen": 1_000, "most_fen": 5_000}
    assert broken(offer("load_bonus", tiers=[[500_00, 30_00]])) == []
    assert broken(offer("load_bonus", tiers=[[500_00, 40_01]])) == [("offers[0].params", "HOUSE-REBATE-8")]
    assert broken(offer("load_rebate", tiers=[[500_00, 900]], valid_days=91, **rebate)) == [
        ("offers[0].params", "HOUSE-REBATE-8"),
        ("offers[0].params.valid_days", "HOUSE-VOUCHER-90"),
    ]
    gift = {"template_id": template, "face_fen": 50_00, "valid_days": 180}
    assert broken(offer("gift_vouchers", tiers=[[300_00, gift]])) == [
        ("offers[0].params.tiers[0][1].valid_days", "HOUSE-VOUCHER-90")
    ]


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("presale", {"off_bp": 801, "from_fen": 100_00}),
        ("monthly_return", {"from_fen": 100_00, "return_bp": 801, "months": 12}),
        ("red_packet", {"from_fen": 100_00, "least_fen": 1, "most_fen": 8_01}),
        ("load_bonus", {"tiers": [[100_00, 8_00], [200_00, 16_01]]}),
    ],
)
def test_every_kind_of_rebate_is_held_to_the_ceiling(kind: str, params: dict[str, Any]) -> None:
    assert broken(offer(kind, **params)) == [("offers[0].params", "HOUSE-REBATE-8")]
    assert broken(offer(kind, **params), rules=RuleBook(released_law())) == []


def test_a_prize_by_chance_is_held_to_the_ceiling_of_law() -> None:
    packet = offer("red_packet", from_fen=10_000_000_00, least_fen=1, most_fen=50_001_00)
    assert broken(packet, rules=RuleBook(released_law())) == [("offers[0].params", "CN-PROMO-01")]
    assert broken(offer("red_packet", from_fen=1_000_00, least_fen=1, most_fen=50_00)) == []


def test_budgets_and_shares_of_the_facts_are_allowed() -> None:
    terms = campaign(
        off(funders=HALVES, conditions=conditions(weekdays=[1, 7])),
        percent(),
        budgets=(Budget(name="b", metric=BudgetMetric.COUNT, maximum=1),),
    ).terms
    assert read_campaign(msgspec.json.encode(show_terms(terms))) == terms
    assert set(find_kinds()) >= {"amount_off", "percent_off"}
