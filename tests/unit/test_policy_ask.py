"""Which rule binds, on rules made by hand; and that it is the same whatever the order of the rules."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.policy_rules import DAY, law, question, rule

from kaquan.policy import (
    CRITERIA,
    Buyer,
    CardClass,
    Condition,
    Confidence,
    Metric,
    Question,
    Reach,
    Rule,
    RuleBook,
    Scheme,
    Standing,
    ask,
    chain_of,
    check_house,
    check_overlaps,
    is_weaker,
    read_jurisdiction,
)

CAP = question(Metric.CARD_BALANCE_CAP, "CN-31", card_class=CardClass.UNREGISTERED)


def answer(*rules: Rule, asked: Question = CAP) -> str | None:
    fact = ask(rules, asked)
    return None if fact is None else fact.rule_id


def test_a_narrower_row_displaces_a_wider_one() -> None:
    wide, narrow = law("L-WIDE", value=100), law("L-NARROW", value=500, card_class=(CardClass.UNREGISTERED,))
    assert answer(wide, narrow) == "L-NARROW"
    assert answer(wide, narrow, asked=CAP._replace(card_class=CardClass.REGISTERED)) == "L-WIDE"


def test_of_the_nation_and_the_province_the_stricter_binds() -> None:
    nation = law("L-CN", value=300)
    assert answer(nation, law("L-SH", value=200, jurisdiction="CN-31")) == "L-SH"
    assert answer(nation, law("L-SH", value=400, jurisdiction="CN-31")) == "L-CN"
    assert answer(nation, law("L-SH", value=300, jurisdiction="CN-31")) == "L-SH", "the nearer one when they agree"
    assert answer(nation, law("L-BJ", value=200, jurisdiction="CN-11")) == "L-CN"


def test_rows_neither_of_which_is_narrower_both_bind() -> None:
    by_class = law("L-CLASS", value=300, card_class=(CardClass.UNREGISTERED,))
    by_buyer = law("L-BUYER", value=200, buyer=(Buyer.PERSON,))
    fact = ask([by_class, by_buyer], CAP._replace(buyer=Buyer.PERSON))
    assert fact is not None
    assert (fact.rule_id, [other.id for other in fact.also]) == ("L-BUYER", ["L-CLASS"])


def test_the_house_binds_where_it_is_stricter_and_the_law_where_it_is_not() -> None:
    row = law("L-CAP", value=1_000)
    assert answer(row, rule("H-CAP", value=800)) == "H-CAP"
    assert answer(row, rule("H-CAP", value=1_000)) == "L-CAP", "the law is named when they agree"
    assert answer(row, rule("H-CAP", value=1_200)) == "L-CAP", "the law grew stricter after the house rule was made"


@pytest.mark.parametrize(
    ("metric", "strict", "weak"),
    [
        (Metric.CARD_BALANCE_CAP, 1, 2),
        (Metric.COOLING_OFF_DAYS, 15, 7),
        (Metric.REAL_NAME_FROM, 0, 10_000),
        (Metric.LOSS_REPORT_REQUIRED, 1, 0),
        (Metric.EXPIRY_ALLOWED, 0, 1),
    ],
)
def test_each_operator_knows_what_is_stricter(metric: Metric, strict: int, weak: int) -> None:
    assert is_weaker(metric, weak, strict)
    assert not is_weaker(metric, strict, weak)
    assert not is_weaker(metric, strict, strict)
    rows = law("L-1", metric=metric, value=weak), law("L-2", metric=metric, value=strict, jurisdiction="CN-31")
    assert answer(*rows, asked=question(metric, "CN-31")) == "L-2"


def test_what_has_no_more_or_less_may_only_be_the_same() -> None:
    assert is_weaker(Metric.REFUND_INTEREST_SOURCE, "lpr_1y", "custody_account")
    assert not is_weaker(Metric.REFUND_INTEREST_SOURCE, "lpr_1y", "lpr_1y")


def test_conditions_must_be_stated() -> None:
    row = law("L-NEW", value=10, condition=(Condition.NEW_FIRM, Condition.SERIOUS_RISK))
    assert answer(row) is None
    assert answer(row, asked=CAP._replace(conditions=frozenset({Condition.NIGHT}))) is None
    assert answer(row, asked=CAP._replace(conditions=frozenset({Condition.NIGHT, Condition.NEW_FIRM}))) == "L-NEW"


def test_advice_never_answers() -> None:
    for confidence in (Confidence.MEMORY, Confidence.DRAFT):
        row = law("L-DRAFT", value=10, confidence=confidence)
        assert answer(row) is None
        assert answer(row, law("L-CAP", value=500)) == "L-CAP"
        assert RuleBook([row]).advise(CAP) == (row,)


def test_both_ends_of_a_period_belong_to_it() -> None:
    row = law("L-CAP", value=10, effective_from=DAY, effective_to=DAY + timedelta(days=2))
    assert [
        answer(row, asked=CAP._replace(on=DAY + timedelta(days=days))) is not None for days in (-1, 0, 1, 2, 3)
    ] == [False, True, True, True, False]


def test_places() -> None:
    assert [read_jurisdiction(text) for text in ("CN", "CN-31", "CN-SH", "CN-JS", "US-CA", "CN-32-10")] == [
        "CN", "CN-31", "CN-31", "CN-32", "US-CA", "CN-32-10",
    ]  # fmt: skip
    assert [read_jurisdiction(text) for text in ("", "cn", "CN-", "CN-99", "CN-XX", "CHN", "CN-31\n")] == [None] * 7
    assert chain_of("CN-32-10") == ("CN-32-10", "CN-32", "CN")


def test_overlaps_are_found_by_name_and_by_meaning() -> None:
    ends = DAY + timedelta(days=10)
    first = rule("H-1", effective_to=ends)
    assert check_overlaps([first, rule("H-1", value=7, effective_from=ends + timedelta(days=1))]) == []
    (found,) = check_overlaps([first, rule("H-1", value=7, effective_from=ends)])
    assert (found.position, found.refusal.code, found.refusal.field) == (1, "rules_overlap", "effective_from")
    assert "H-1" in found.refusal.message("en")
    assert ends.isoformat() in found.refusal.message("zh")
    (found,) = check_overlaps([first, rule("H-2", effective_from=ends)])
    assert (found.position, found.refusal.code) == (1, "rules_overlap")
    assert check_overlaps([first, rule("H-2", card_class=(CardClass.REGISTERED,))]) == []
    assert [found.position for found in check_overlaps([rule("H-1"), rule("H-1"), rule("H-1")])] == [1, 2]


def test_a_house_rule_weaker_than_law_is_refused_with_the_row() -> None:
    rows = [law("L-CAP", value=1_000, card_class=(CardClass.UNREGISTERED,), scheme=(Scheme.SINGLE_PURPOSE,))]
    (found,) = check_house([rule("H-CAP", value=1_200)], rows)
    assert (found.position, found.refusal.code, found.refusal.field) == (0, "house_rule_weaker_than_law", "value")
    for language in ("en", "zh"):
        assert "L-CAP" in found.refusal.message(language)
        assert "国办发〔2011〕25号" in found.refusal.message(language)
    assert check_house([rule("H-CAP", value=1_000)], rows) == []
    assert check_house([rule("H-CAP", value=1_200, card_class=(CardClass.REGISTERED,))], rows) == []
    assert check_house([rule("H-CAP", value=1_200, scheme=(Scheme.MULTI_PURPOSE,))], rows) == []
    assert check_house([rule("H-CAP", value=1_200, jurisdiction="US")], rows) == []
    assert check_house([rule("H-CAP", value=1_200, jurisdiction="CN-31")], rows) != []
    over = [law("L-CAP", value=1_000, effective_to=DAY - timedelta(days=1))]
    assert check_house([rule("H-CAP", value=1_200)], over) == []
    assert check_house([rule("H-CAP", value=1_200)], [law("L-CAP", value=1, confidence=Confidence.DRAFT)]) == []


def test_a_house_rule_may_not_take_the_name_of_a_law_row() -> None:
    (found,) = check_house([rule("L-CAP", value=1)], [law("L-CAP", value=1_000)])
    assert (found.refusal.code, found.refusal.field) == ("invalid_field", "id")


# --- whatever the order

METRICS = st.sampled_from([Metric.CARD_BALANCE_CAP, Metric.COOLING_OFF_DAYS, Metric.EXPIRY_ALLOWED])
PLACES = st.sampled_from(["CN", "CN-31", "CN-11"])
DAYS = st.integers(0, 40).map(lambda days: date(2026, 1, 1) + timedelta(days=days))


def some(values: Iterable[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(st.sampled_from(list(values)), unique=True, max_size=2).map(tuple)


@st.composite
def rules(draw: st.DrawFn) -> list[Rule]:
    made = []
    for number in range(draw(st.integers(0, 8))):
        begins = draw(DAYS)
        made.append(
            rule(
                f"R-{number}",
                metric=draw(METRICS),
                value=draw(st.integers(0, 3)),
                jurisdiction=draw(PLACES),
                effective_from=begins,
                effective_to=draw(st.none() | st.integers(0, 20).map(timedelta).map(begins.__add__)),
                confidence=draw(st.sampled_from(list(Confidence))),
                scheme=draw(some(Scheme)),
                card_class=draw(some(CardClass)),
                buyer=draw(some(Buyer)),
            )
        )
    return made


QUESTIONS = st.builds(
    Question,
    METRICS,
    PLACES,
    DAYS,
    scheme=st.none() | st.sampled_from(list(Scheme)),
    card_class=st.none() | st.sampled_from(list(CardClass)),
    buyer=st.none() | st.sampled_from(list(Buyer)),
)


@given(rules(), QUESTIONS, st.randoms(use_true_random=False))
def test_an_answer_does_not_depend_on_the_order_nor_on_what_was_asked_before(
    made: list[Rule], asked: Question, chance: Any
) -> None:
    first = ask(made, asked)
    shuffled = list(made)
    chance.shuffle(shuffled)
    book = RuleBook(shuffled)
    assert book.ask(asked) == first
    assert book.ask(asked) == first
    half = len(made) // 2
    assert RuleBook(made[:half], made[half:]).ask(asked) == first


@given(rules(), QUESTIONS)
def test_nothing_that_binds_is_stricter_than_the_answer(made: list[Rule], asked: Question) -> None:
    fact = ask(made, asked)
    if fact is None:
        return
    assert fact.rule.standing is not Standing.ADVISORY
    for other in (fact.rule, *fact.also):
        assert other.holds_on(asked.on)
        assert other.jurisdiction in chain_of(asked.jurisdiction)
        assert not is_weaker(asked.metric, fact.value, other.value)


@given(rules(), QUESTIONS, st.integers(0, 3))
def test_a_house_rule_never_loosens_an_answer(made: list[Rule], asked: Question, value: int) -> None:
    rows = [row for row in made if row.standing is Standing.LAW]
    before = ask(rows, asked)
    after = RuleBook(rows, [rule("H-NEW", metric=asked.metric, value=value, effective_from=date(2025, 1, 1))]).ask(
        asked
    )
    assert after is not None
    if before is not None:
        assert not is_weaker(asked.metric, after.value, before.value)


def test_reach_has_the_criteria_of_files() -> None:
    assert Reach.__struct_fields__ == tuple(CRITERIA)
