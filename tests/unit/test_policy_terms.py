"""A programme's terms against the law and the house."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.policy_rules import DAY, rule

from kaquan.kit.outcomes import Refusal
from kaquan.policy import (
    CardClass,
    IssuerClass,
    Metric,
    RuleBook,
    Scheme,
    Terms,
    check_terms,
    released_book,
    released_law,
)
from kaquan.policy.check_terms import longest_days


def terms(**changed: Any) -> Terms:
    """Terms of a registered single-purpose card that may stand everywhere, but for ``changed``."""
    return Terms(
        **{
            "jurisdiction": "CN",
            "on": DAY,
            "scheme": Scheme.SINGLE_PURPOSE,
            "card_class": CardClass.REGISTERED,
            "cap_fen": 500_000,
            **changed,
        }
    )


def broken(asked: Terms, rules: RuleBook | None = None) -> list[tuple[str, str]]:
    """Field and rule of each refusal, all of which say in both languages where the rule stands."""
    found = check_terms(rules or released_book(), asked)
    for refusal in found:
        assert refusal.code == "terms_break_rule"
        for language in ("en", "zh"):
            said = refusal.message(language)
            assert refusal.details["rule"] in said
            assert refusal.details["source"] in said
            assert "{" not in said
    return [(refusal.field or "", refusal.details["rule"]) for refusal in found]


def test_lawful_terms_stand() -> None:
    assert broken(terms()) == []
    unregistered = terms(card_class=CardClass.UNREGISTERED, cap_fen=100_000, denominations_fen=(10_000, 100_000))
    assert broken(unregistered) == []


def test_a_five_year_limit_on_a_registered_card() -> None:
    (refusal,) = check_terms(released_book(), terms(validity_days=5 * 365))
    assert (refusal.code, refusal.field, refusal.details["rule"]) == (
        "terms_break_rule", "validity_days", "CN-SP-EXP-01",
    )  # fmt: skip
    assert "国办发〔2011〕25号" in refusal.message("en")
    assert "不得设有效期" in refusal.message("zh")


def test_six_thousand_on_a_registered_card() -> None:
    (refusal,) = check_terms(released_book(), terms(cap_fen=600_000))
    assert (refusal.field, refusal.details["rule"]) == ("cap_fen", "CN-SP-CAP-01")
    assert "CNY 6,000 is not allowed: at most CNY 5,000" in refusal.message("en")
    assert "不超过 5,000 元" in refusal.message("zh")
    assert "国办发〔2011〕25号" in refusal.message("zh")


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"cap_fen": None}, [("cap_fen", "CN-SP-CAP-01")]),
        ({"cap_fen": 500_001}, [("cap_fen", "CN-SP-CAP-01")]),
        ({"denominations_fen": (500_000, 500_001)}, [("denominations_fen[1]", "CN-SP-CAP-01")]),
        (
            {"card_class": CardClass.UNREGISTERED, "cap_fen": 100_001, "validity_days": 1_095},
            [("cap_fen", "CN-SP-CAP-02"), ("validity_days", "CN-SP-EXP-02")],
        ),
        ({"card_class": CardClass.UNREGISTERED, "cap_fen": 100_000, "validity_days": 1_096}, []),
        ({"custody_share_bp": 3_999, "issuer_class": IssuerClass.BRAND}, [("custody_share_bp", "CN-SP-CUST-03")]),
        ({"custody_share_bp": 0, "issuer_class": IssuerClass.OTHER}, []),
        ({"cooling_off_days": 7}, []),
        ({"cooling_off_days": 6}, [("cooling_off_days", "CN-SPC-07D")]),
        ({"cooling_off_days": 14, "jurisdiction": "CN-32"}, [("cooling_off_days", "JS-15D-01")]),
        ({"refund_due_days": 16, "jurisdiction": "CN-11"}, [("refund_due_days", "BJ-15D-01")]),
        ({"refund_due_days": 16, "jurisdiction": "CN-31"}, []),
        ({"closing_notice_days": 29, "jurisdiction": "CN-31"}, [("closing_notice_days", "SH-CLOSE-01")]),
        ({"no_refund_clause_allowed": True}, [("no_refund_clause_allowed", "CN-SPC-VOID.refund")]),
        ({"no_refund_clause_allowed": False}, []),
        ({"loss_report_required": False}, [("loss_report_required", "CN-SP-LOSS-01")]),
        ({"forfeit_at_expiry_allowed": True}, [("forfeit_at_expiry_allowed", "CN-SPC-REACT")]),
        ({"cash_refund_cap_fen": 10_001}, [("cash_refund_cap_fen", "CN-SP-REF-02")]),
        ({"lottery_prize_cap_fen": 5_000_001}, [("lottery_prize_cap_fen", "CN-PROMO-01")]),
        ({"rebate_cap_bp": 5_000, "voucher_validity_max_days": 900}, []),
        (
            {"scheme": Scheme.MULTI_PURPOSE, "credit_card_allowed": True, "overdraft_allowed": True},
            [("overdraft_allowed", "CN-MP-CUR-01"), ("credit_card_allowed", "CN-MP-CC-01")],
        ),
        (
            {"scheme": Scheme.MULTI_PURPOSE, "terms_change_notice_days": 29},
            [("terms_change_notice_days", "CN-MP-TERMS")],
        ),
        ({"scheme": Scheme.MULTI_PURPOSE, "fee_change_notice_days": 0}, []),  # only a draft says thirty
    ],
)  # fmt: skip
def test_each_term_is_looked_at(changed: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert broken(terms(**changed)) == expected


def test_every_broken_term_is_told_at_once() -> None:
    found = broken(terms(cap_fen=600_000, validity_days=1_825, cooling_off_days=0, no_refund_clause_allowed=True))
    assert [field for field, _ in found] == ["cap_fen", "validity_days", "cooling_off_days", "no_refund_clause_allowed"]


def test_the_house_binds_too() -> None:
    house = [rule("H-REBATE", metric=Metric.REBATE_CAP, value=800), rule("H-CAP", value=300_000)]
    rules = RuleBook(released_law(), house)
    found: list[Refusal] = check_terms(rules, terms(cap_fen=400_000, rebate_cap_bp=900))
    assert [(refusal.field, refusal.details["rule"], refusal.details["source"]) for refusal in found] == [
        ("cap_fen", "H-CAP", "board 2026-1"),
        ("rebate_cap_bp", "H-REBATE", "board 2026-1"),
    ]


@given(st.integers(0, 30), st.dates(min_value=DAY.replace(year=1904), max_value=DAY.replace(year=2200)))
def test_so_many_days_are_never_less_than_so_many_years(years: int, begins: Any) -> None:
    try:
        ends = begins.replace(year=begins.year + years)
    except ValueError:  # the 29th of February
        ends = begins.replace(year=begins.year + years, month=3, day=1)
    assert longest_days(years) >= (ends - begins).days


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        # what wanes with time has an end, and a registered card may have none
        ({"dormancy_fee_fen": 100, "dormancy_fee_after_months": 12}, [("dormancy_fee_fen", "CN-SP-EXP-01")]),
        (
            {"card_class": CardClass.UNREGISTERED, "cap_fen": 100_000, "dormancy_fee_fen": 100},
            [("dormancy_fee_fen", "CN-SP-EXP-03")],
        ),
        (
            {"scheme": Scheme.MULTI_PURPOSE, "dormancy_fee_fen": 100},
            [("dormancy_fee_fen", "CN-MP-EXP-01")],
        ),
        ({"issue_fee_fen": 500, "load_fee_fen": 100}, []),
        ({"jurisdiction": "US-NY", "issue_fee_fen": 1, "load_fee_fen": 1, "dormancy_fee_fen": 1}, []),
        (
            {"jurisdiction": "US-CA", "issue_fee_fen": 1, "load_fee_fen": 1, "dormancy_fee_fen": 1},
            [("issue_fee_fen", "US-CA.issue"), ("load_fee_fen", "US-CA.load"), ("dormancy_fee_fen", "US-CA.dormancy")],
        ),
    ],
)
def test_a_fee_stands_only_where_no_rule_bars_it(changed: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert broken(terms(**changed)) == expected


def test_a_house_rule_bounds_a_fee_and_how_long_a_card_must_sleep() -> None:
    house = RuleBook(
        released_law(),
        [
            rule("H-LOAD", metric=Metric.LOAD_FEE_CAP, value=50),
            rule("H-ISSUE", metric=Metric.ISSUE_FEE_ALLOWED, value=0),
            rule("H-SLEEP", metric=Metric.DORMANCY_FEE_WAIT_MONTHS, value=24),
        ],
    )
    asked = terms(jurisdiction="CN", load_fee_fen=51, issue_fee_fen=1, dormancy_fee_after_months=12)
    assert broken(asked, house) == [
        ("issue_fee_fen", "H-ISSUE"), ("load_fee_fen", "H-LOAD"), ("dormancy_fee_after_months", "H-SLEEP"),
    ]  # fmt: skip
