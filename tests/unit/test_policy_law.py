"""The rows of law that come with the release: consistent in themselves, and what they say at places and on days."""

from datetime import date
from itertools import pairwise

import pytest
from tests.unit.policy_rules import question

from kaquan.policy import (
    COLUMNS,
    Buyer,
    CardClass,
    Channel,
    Condition,
    Confidence,
    FileFormat,
    Industry,
    IssuerClass,
    Metric,
    RuleBook,
    Scheme,
    Standing,
    Unit,
    check_house,
    check_overlaps,
    house_template,
    read_rule_file,
    read_source,
    released_book,
    released_law,
    show_demand,
    show_source,
)

REGISTERED, UNREGISTERED = CardClass.REGISTERED, CardClass.UNREGISTERED


def test_every_row_is_typed_and_has_a_source() -> None:
    law = released_law()
    assert len(law) > 150
    for rule in law:
        assert rule.standing is not Standing.HOUSE
        sources = read_source(rule.source)
        assert sources, rule.id
        assert isinstance(rule.value, str) == (rule.unit in (Unit.CODE, Unit.MONTH_DAY)), rule.id
        assert all(show_demand(rule)), rule.id
        assert show_source(rule), rule.id
        assert rule.effective_to is None or rule.effective_from <= rule.effective_to
        if {source.key for source in sources} == {"MEM"}:
            assert rule.confidence is Confidence.MEMORY, rule.id


def test_parts_of_a_row_have_its_name() -> None:
    ids = {rule.id for rule in released_law()}
    for id_ in ids:
        whole, _, part = id_.partition(".")
        assert whole
        assert part == "" or part.islower() or part.isdigit()


def test_rows_of_one_id_follow_each_other_without_overlap() -> None:
    by_id: dict[str, list[tuple[date, date | None]]] = {}
    for rule in released_law():
        by_id.setdefault(rule.id, []).append((rule.effective_from, rule.effective_to))
    for id_, periods in by_id.items():
        for (_, ends), (begins, _) in pairwise(sorted(periods, key=lambda period: period[0])):
            assert ends is not None, id_
            assert ends < begins, id_


def test_advisory_rows_never_answer() -> None:
    advisory = [rule for rule in released_law() if rule.standing is Standing.ADVISORY]
    assert {rule.id for rule in advisory} >= {
        "CN-SP-KYC-03", "CN-SP-BAL-03", "CN-SP-BAL-04", "CN-SP-RPT-02", "CN-SP-RPT-03", "CN-MP-FEE", "CN-MP-TOP-02",
        "CN-AML-LVT-DUE", "CN-AML-STR-DUE", "CN-LOCAL-DRAFT", "CN-INV-SD-03",
    }  # fmt: skip
    book = RuleBook(advisory)
    for rule in advisory:
        reach = rule.reach
        asked = question(
            rule.metric,
            rule.jurisdiction,
            rule.effective_from,
            scheme=reach.scheme[0] if reach.scheme else None,
            issuer_class=reach.issuer_class[0] if reach.issuer_class else None,
            card_class=reach.card_class[0] if reach.card_class else None,
            conditions=frozenset(reach.condition),
        )
        assert book.ask(asked) is None
        assert rule in book.advise(asked)


@pytest.mark.parametrize(
    ("asked", "rule_id", "value"),
    [
        # caps, expiry, identity and cash of single-purpose cards
        (question(Metric.CARD_BALANCE_CAP, card_class=REGISTERED), "CN-SP-CAP-01", 500_000),
        (question(Metric.CARD_BALANCE_CAP, card_class=UNREGISTERED), "CN-SP-CAP-02", 100_000),
        (question(Metric.EXPIRY_ALLOWED, card_class=REGISTERED), "CN-SP-EXP-01", 0),
        (question(Metric.VALIDITY_MIN_YEARS, card_class=UNREGISTERED), "CN-SP-EXP-02", 3),
        (question(Metric.REAL_NAME_FROM, card_class=REGISTERED), "CN-SP-KYC-01", 0),
        (question(Metric.REAL_NAME_FROM, card_class=UNREGISTERED), "CN-SP-KYC-02", 1_000_000),
        (question(Metric.CASH_REFUSED_FROM, buyer=Buyer.ORGANISATION), "CN-SP-CASH-01", 500_000),
        (question(Metric.CASH_REFUSED_FROM, buyer=Buyer.PERSON, channel=Channel.COUNTER), "CN-SP-CASH-02", 5_000_000),
        (question(Metric.CASH_REFUSED_FROM, buyer=Buyer.PERSON, channel=Channel.REMOTE), "CN-SP-CASH-03", 0),
        (question(Metric.CASH_REFUND_CAP), "CN-SP-REF-02", 10_000),
        (question(Metric.BALANCE_CAP_OF_REVENUE, industry=Industry.CATERING), "CN-SP-BAL-01", 4_000),
        (question(Metric.BALANCE_CAP_OF_REVENUE, industry=Industry.RESIDENT_SERVICES), "CN-SP-BAL-02", 10_000),
        # custody by class of the issuer
        (question(Metric.CUSTODY_SHARE, issuer_class=IssuerClass.SCALE), "CN-SP-CUST-01", 2_000),
        (question(Metric.CUSTODY_SHARE, issuer_class=IssuerClass.GROUP), "CN-SP-CUST-02", 3_000),
        (question(Metric.CUSTODY_SHARE, issuer_class=IssuerClass.BRAND), "CN-SP-CUST-03", 4_000),
        (question(Metric.CUSTODY_SHARE, issuer_class=IssuerClass.OTHER), "CN-SP-CUST-04", 0),
        # Shanghai, Beijing, Jiangsu
        (question(Metric.COOLING_OFF_DAYS, "CN-31"), "CN-SPC-07D", 7),
        (question(Metric.COOLING_OFF_DAYS, "CN-11"), "CN-SPC-07D", 7),
        (question(Metric.COOLING_OFF_DAYS, "CN-32"), "JS-15D-01", 15),
        (question(Metric.COOLING_OFF_DAYS, "CN-32", date(2022, 1, 1)), "JS-15D-01", 15),
        (
            question(
                Metric.COOLING_OFF_DAYS, "CN-11", date(2023, 1, 1), conditions=frozenset({Condition.UNUSED_CARD})
            ),
            "BJ-7D-01",
            7,
        ),
        (question(Metric.COOLING_OFF_REFUND_DUE_DAYS, "CN-11"), "BJ-7D-01.due", 5),
        (question(Metric.REFUND_DUE_DAYS, "CN-11"), "BJ-15D-01", 15),
        (question(Metric.TRANSACTION_RECORD_YEARS, "CN-11"), "BJ-REC-01", 3),
        (question(Metric.CLOSING_NOTICE_DAYS, "CN-31"), "SH-CLOSE-01", 30),
        (question(Metric.CLOSING_NOTICE_DAYS, "CN-32"), "CN-SP-END-01", 30),
        (question(Metric.SPENDING_REPORT_DUE, "CN-31"), "SH-RPT-01", 25),
        (question(Metric.FILING_DUE_DAYS, "CN-32"), "JS-FILE-01", 30),
        (
            question(Metric.CARD_BALANCE_CAP, "CN-31", scheme=Scheme.MALL, card_class=REGISTERED),
            "CN-SP-CAP-01",
            500_000,
        ),
        # licensed institutions
        (question(Metric.CUSTODY_SHARE, scheme=Scheme.MULTI_PURPOSE), "CN-MP-FUND-01", 10_000),
        (question(Metric.CUSTOMER_RECORD_YEARS, scheme=Scheme.MULTI_PURPOSE), "CN-AML-REC-01", 10),
        (question(Metric.LARGE_CASH_FROM, scheme=Scheme.MULTI_PURPOSE), "CN-AML-LVT-CASH", 5_000_000),
        (
            question(Metric.LARGE_TRANSFER_FROM, scheme=Scheme.MULTI_PURPOSE, buyer=Buyer.PERSON),
            "CN-AML-LVT-PDOM",
            50_000_000,
        ),
        (
            question(
                Metric.LARGE_TRANSFER_FROM,
                scheme=Scheme.MULTI_PURPOSE,
                buyer=Buyer.PERSON,
                conditions=frozenset({Condition.CROSS_BORDER}),
            ),
            "CN-AML-LVT-PX",
            20_000_000,
        ),
    ],
    ids=lambda value: str(value) if not isinstance(value, tuple) else "",
)  # fmt: skip
def test_the_law_answers(asked: object, rule_id: str, value: int) -> None:
    fact = released_book().ask(asked)  # type: ignore[arg-type]
    assert fact is not None
    assert (fact.rule_id, fact.value) == (rule_id, value)
    assert read_source(fact.rule.source)


def test_a_shanghai_line_lapsed_and_its_draft_is_only_advice() -> None:
    above = {"issuer_class": IssuerClass.SCALE, "conditions": frozenset({Condition.ABOVE_WARNING_LINE})}
    book = released_book()
    before = book.ask(question(Metric.CUSTODY_SHARE, "CN-31", date(2024, 4, 30), **above))
    assert before is not None
    assert (before.rule_id, before.value) == ("SH-WARN-01", 4_000)
    assert [rule.id for rule in before.also] == ["CN-SP-CUST-01"]
    later = question(Metric.CUSTODY_SHARE, "CN-31", date(2024, 5, 1), **above)
    after = book.ask(later)
    assert after is not None
    assert (after.rule_id, after.value) == ("CN-SP-CUST-01", 2_000)
    assert [(rule.id, rule.confidence) for rule in book.advise(later)] == [("SH-WARN-01", Confidence.DRAFT)]


def test_a_rule_holds_from_its_first_day() -> None:
    book = released_book()
    assert book.ask(question(Metric.COOLING_OFF_DAYS, "CN-31", date(2025, 4, 30))) is None
    first = book.ask(question(Metric.COOLING_OFF_DAYS, "CN-31", date(2025, 5, 1)))
    assert first is not None
    assert first.rule_id == "CN-SPC-07D"


def test_what_is_not_said_is_not_known() -> None:
    book = released_book()
    assert book.ask(question(Metric.CARD_BALANCE_CAP)) is None, "registered or not?"
    assert book.ask(question(Metric.CARD_BALANCE_CAP, scheme=None, card_class=REGISTERED)) is None
    assert book.ask(question(Metric.CARD_BALANCE_CAP, "US", card_class=REGISTERED)) is None
    assert book.ask(question(Metric.LARGE_CASH_FROM)) is None, "single-purpose issuers are not obliged"


def test_house_rules_of_the_articles_are_no_law() -> None:
    """30 % guarantee, 90-day vouchers, 8 % rebate, 22:00, 48 h, 10 % retention, 12 % fee: an issuer's own."""
    house = {
        Metric.GUARANTEE_SHARE, Metric.VOUCHER_VALIDITY_MAX_DAYS, Metric.REBATE_CAP, Metric.NIGHT_FROM,
        Metric.NIGHT_PAYMENT_CAP, Metric.LOSS_REPORT_EFFECT_HOURS, Metric.SETTLEMENT_RETENTION, Metric.BUYBACK_FEE_CAP,
    }  # fmt: skip
    assert not [rule.id for rule in released_law() if rule.metric in house]
    read = read_rule_file(house_template(), FileFormat.CSV, standing=Standing.HOUSE)
    assert read.problems == []
    rules = [rule for _, rule in read.rules]
    assert {rule.metric for rule in rules} == house
    assert {rule.standing for rule in rules} == {Standing.HOUSE}
    assert check_overlaps(rules) == []
    assert check_house(rules, released_law()) == []
    assert "source" in COLUMNS
