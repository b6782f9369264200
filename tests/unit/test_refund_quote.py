"""The refund calculator on the worked vectors of the court interpretation, and what holds for every refund."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kaquan.closing.refund_quote import LoadFacts, RefundFacts, RefundQuote, last_day, print_quote, quote_refund
from kaquan.closing.refund_rules import Cause, Figure, Limit, RefundRules, Rule, RulesError, read_refund_rules
from kaquan.kit.outcomes import Refusal

SPC = "法释〔2025〕4号"
VALUES = [
    Figure("base", "paid less spent", "CN-SPC-REF-BASE", f"{SPC} art 15"),
    Figure("no_clawback", "never below zero", "CN-SPC-REF-FLOOR", f"{SPC} art 20"),
    Figure("term", "by remaining days", "CN-SPC-REF-TIME", f"{SPC} art 22"),
    Figure("cooling_off_days", 7, "CN-SPC-07D", f"{SPC} art 14"),
    Figure("pricing.withdrawal", "charged", "CN-SPC-07D", f"{SPC} art 14"),
    Figure("pricing.issuer", "charged", "CN-SPC-REF-OPER", f"{SPC} art 18"),
    Figure("pricing.holder", "list", "CN-SPC-REF-CONS", f"{SPC} art 19"),
    Figure("interest.issuer", "lpr_1y", "CN-SPC-INT-OPER", f"{SPC} art 16"),
    Figure("interest.holder", "deposit_1y", "CN-SPC-INT-CONS", f"{SPC} art 16"),
    Figure("custody_rate", "custody", "CN-SPC-INT-CUST", f"{SPC} art 16"),
    Figure("interest_from", "end of contract", "CN-SPC-INT-FROM", f"{SPC} art 17"),
    Figure("year_days", 365, "HOUSE-YEAR", "house rule"),
    Figure("rate.lpr_1y.2025-01-20", 310, "CN-SPC-INT-OPER", "LPR of the day"),
    Figure("rate.lpr_1y.2025-05-20", 300, "CN-SPC-INT-OPER", "LPR of the day"),
    Figure("rate.deposit_1y.2015-10-24", 150, "CN-SPC-INT-CONS", "benchmark"),
    Figure("rate.custody.2025-01-01", 35, "CN-SPC-INT-CUST", "the bank"),
    Figure("cash_limit_fen", 10_000, "CN-SP-REF-02", "商务部令2012年第9号 art 21"),
]
RULES = read_refund_rules(VALUES)
JIANGSU = read_refund_rules(
    [
        *VALUES,
        Figure("cooling_off_days", 15, "JS-15D-01", "江苏省预付卡管理规定"),
        Figure("costs_deductible", "yes", "JS-15D-01", "江苏省预付卡管理规定"),
    ]
)
DAY = date(2025, 6, 1)


def load(number: int = 1, **facts: Any) -> LoadFacts:
    return LoadFacts(**{"load_id": UUID(int=number), "paid_on": DAY, "paid_fen": 100_000, **facts})


def quote(cause: Cause, *loads: LoadFacts, rules: RefundRules = RULES, **facts: Any) -> RefundQuote:
    asked: dict[str, Any] = {"requested_on": DAY + timedelta(days=100), "as_of": DAY + timedelta(days=100), **facts}
    made = quote_refund(rules, RefundFacts(cause=cause, loads=loads, **asked))
    assert isinstance(made, RefundQuote), made
    return made


def refused(
    code: str, field: str, cause: Cause, *loads: LoadFacts, rules: RefundRules = RULES,
    details: dict[str, str] | None = None, **facts: Any,
) -> None:  # fmt: skip
    asked: dict[str, Any] = {"requested_on": DAY + timedelta(days=100), "as_of": DAY + timedelta(days=100), **facts}
    made = quote_refund(rules, RefundFacts(cause=cause, loads=loads, **asked))
    assert isinstance(made, Refusal), made
    assert (made.code, made.field) == (code, field)
    if details is not None:
        assert made.details == details
    assert made.message("en")
    assert made.message("zh")


# The worked vectors of domain/rules.md, section 3 ("Refund test vectors"), on 法释〔2025〕4号 arts 14, 15, 18-20, 22


@pytest.mark.parametrize(
    ("vector", "cause", "facts", "refund_fen", "rule_id"),
    [
        ("1 issuer", Cause.ISSUER, {"given_fen": 20_000, "spent_fen": 60_000}, 50_000, "CN-SPC-REF-OPER"),
        ("1 holder", Cause.HOLDER, {"given_fen": 20_000, "spent_fen": 60_000}, 40_000, "CN-SPC-REF-CONS"),
        ("2 issuer", Cause.ISSUER, {"given_fen": 20_000, "spent_fen": 110_000}, 8_333, "CN-SPC-REF-OPER"),
        ("2 holder", Cause.HOLDER, {"given_fen": 20_000, "spent_fen": 110_000}, 0, "CN-SPC-REF-FLOOR"),
        ("3 issuer", Cause.ISSUER, {"spent_fen": 40_000, "discount_fen": 10_000}, 60_000, "CN-SPC-REF-OPER"),
        ("3 holder", Cause.HOLDER, {"spent_fen": 40_000, "discount_fen": 10_000}, 50_000, "CN-SPC-REF-CONS"),
        (
            "4 term", Cause.ISSUER,
            {"paid_fen": 120_000, "term_days": 365, "used_days": 100}, 87_123, "CN-SPC-REF-TIME",
        ),
    ],
)  # fmt: skip
def test_the_worked_vectors(vector: str, cause: Cause, facts: dict[str, int], refund_fen: int, rule_id: str) -> None:
    made = quote(cause, load(**facts))
    assert (made.amount_fen, made.principal_fen, made.interest_fen) == (refund_fen, refund_fen, 0), vector
    assert rule_id in {line.rule_id for line in made.lines}
    assert made.lines[-1].value == refund_fen


def test_the_seventh_day_and_not_the_eighth() -> None:
    """Vector 5: paid 2026-05-01, asked for on or before 2026-05-08."""
    paid = load(paid_on=date(2026, 5, 1))
    made = quote(Cause.WITHDRAWAL, paid, requested_on=date(2026, 5, 8), as_of=date(2026, 5, 8))
    assert made.amount_fen == 100_000
    assert next(line for line in made.lines if line.name == "cooling_off").value == "2026-05-08"
    refused("cooling_off_over", "cause", Cause.WITHDRAWAL, paid, requested_on=date(2026, 5, 9))
    assert last_day(date(2026, 5, 1), Limit(7, Rule("r", "s"))) == date(2026, 5, 8)


def test_jiangsu_gives_fifteen_days_and_lets_costs_be_deducted() -> None:
    late: dict[str, Any] = {"requested_on": DAY + timedelta(days=15), "as_of": DAY + timedelta(days=15)}
    assert quote(Cause.WITHDRAWAL, load(), rules=JIANGSU, **late).amount_fen == 100_000
    assert quote(Cause.WITHDRAWAL, load(), rules=JIANGSU, costs_fen=1_200, **late).amount_fen == 98_800
    assert quote(Cause.WITHDRAWAL, load(), rules=JIANGSU, costs_fen=200_000, **late).amount_fen == 0
    refused("cooling_off_over", "cause", Cause.WITHDRAWAL, load(), **late)
    soon: dict[str, Any] = {"requested_on": DAY, "as_of": DAY}
    refused("costs_not_deductible", "costs_fen", Cause.WITHDRAWAL, load(), costs_fen=1, **soon)
    refused("costs_not_deductible", "costs_fen", Cause.HOLDER, load(), rules=JIANGSU, costs_fen=1)


def test_each_load_has_its_own_cooling_off_time() -> None:
    old = load(1, paid_on=DAY - timedelta(days=90), given_fen=20_000, spent_fen=60_000)
    young = load(2, given_fen=20_000, spent_fen=60_000)
    made = quote(Cause.WITHDRAWAL, young, old, requested_on=DAY, as_of=DAY)
    assert [(one.cause, one.refund_fen) for one in made.loads] == [(Cause.HOLDER, 40_000), (Cause.WITHDRAWAL, 50_000)]
    refused(
        "cooling_off_over", "cause", Cause.WITHDRAWAL, load(had_before=True), requested_on=DAY, as_of=DAY
    )  # fmt: skip


def test_no_load_pays_for_another() -> None:
    overspent, untouched = load(1, spent_fen=90_000, discount_fen=50_000), load(2)
    assert quote(Cause.HOLDER, overspent, untouched).amount_fen == 100_000


def test_interest_is_that_of_the_day_of_payment_and_of_custody() -> None:
    ended: dict[str, Any] = {"ended_on": DAY, "as_of": DAY + timedelta(days=73)}
    # 1,000.00 at 3.00 % for 73 days of 365
    assert quote(Cause.ISSUER, load(), **ended).interest_fen == 600
    assert quote(Cause.ISSUER, load(paid_on=date(2025, 5, 19)), **ended).interest_fen == 620
    assert quote(Cause.HOLDER, load(), **ended).interest_fen == 300
    # 400.00 in custody at 0.35 %: 0.28; 600.00 at 3.00 %: 3.60
    made = quote(Cause.ISSUER, load(), custody_fen=40_000, **ended)
    assert (made.interest_fen, made.principal_fen, made.amount_fen) == (28 + 360, 100_000, 100_388)
    assert quote(Cause.ISSUER, load(), ended_on=DAY, as_of=DAY).interest_fen == 0
    assert quote(Cause.ISSUER, load()).interest_fen == 0
    refused("refund_rule_missing", "cause", Cause.ISSUER, load(paid_on=date(2024, 1, 1)), **ended)
    refused("refund_rule_missing", "cause", Cause.VOID, load())


SEVENTY_THREE_DAYS: dict[str, Any] = {"ended_on": DAY, "as_of": DAY + timedelta(days=73)}


def interest_of(made: RefundQuote) -> list[tuple[str, int | str]]:
    return [(line.expression, line.value) for line in made.lines if line.name == "interest"]


def test_interest_of_custody_alone_and_of_the_day_of_payment_alone() -> None:
    """A withdrawal has no rate of its own: only what lies in custody bears interest."""
    withdrawn = quote(Cause.WITHDRAWAL, load(), custody_fen=40_000, requested_on=DAY, **SEVENTY_THREE_DAYS)
    assert interest_of(withdrawn) == [("400.00 × 0.35% × 73 ÷ 365", 28)]
    assert withdrawn.interest_fen == 28
    nobody = RULES._replace(custody_rate=None)
    unkept = quote(Cause.ISSUER, load(), rules=nobody, custody_fen=40_000, **SEVENTY_THREE_DAYS)
    assert interest_of(unkept) == [("1000.00 × 3.00% × 73 ÷ 365", 600)]
    assert interest_of(quote(Cause.ISSUER, load(), **SEVENTY_THREE_DAYS)) == [("1000.00 × 3.00% × 73 ÷ 365", 600)]
    # neither: then nothing is asked of years and beginnings
    silent = nobody._replace(year_days=None, interest_from=None)
    assert quote(Cause.WITHDRAWAL, load(), rules=silent, requested_on=DAY, **SEVENTY_THREE_DAYS).interest_fen == 0


def test_one_day_bears_interest() -> None:
    assert interest_of(quote(Cause.ISSUER, load(), ended_on=DAY, as_of=DAY + timedelta(days=1))) == [
        ("1000.00 × 3.00% × 1 ÷ 365", 8)
    ]


@pytest.mark.parametrize(
    ("cause", "rules", "load_facts", "what"),
    [
        (Cause.VOID, RULES, {}, "pricing.void"),
        (Cause.ISSUER, RULES._replace(term=None), {"term_days": 10}, "term"),
        (Cause.ISSUER, RULES._replace(year_days=None), {}, "year_days"),
        (Cause.ISSUER, RULES._replace(interest_from=None), {}, "interest_from"),
        (Cause.ISSUER, RULES, {"paid_on": date(2025, 1, 19)}, "rate.lpr_1y.2025-01-19"),
    ],
)
def test_a_rule_that_is_missing_is_named(
    cause: Cause, rules: RefundRules, load_facts: dict[str, Any], what: str
) -> None:
    refused(
        "refund_rule_missing", "cause", cause, load(**load_facts), rules=rules, details={"what": what},
        **SEVENTY_THREE_DAYS,
    )  # fmt: skip
    assert quote(Cause.ISSUER, load(), rules=RULES._replace(term=None)).amount_fen == 100_000


def test_a_cooling_off_time_that_is_over_says_when_and_by_which_rule() -> None:
    by = {
        "rule": "CN-SPC-07D", "source": f"{SPC} art 14", "basis": f"rule CN-SPC-07D: {SPC} art 14",
        "basis_zh": f"规则 CN-SPC-07D：{SPC} art 14",
    }  # fmt: skip
    earlier = load(1, paid_on=DAY - timedelta(days=9))
    refused("cooling_off_over", "cause", Cause.WITHDRAWAL, earlier, load(2), details={"last_day": "2025-06-08", **by})
    none = RULES._replace(cooling_off=())
    refused(
        "cooling_off_over", "cause", Cause.WITHDRAWAL, load(), rules=none, requested_on=DAY,
        details={"last_day": "-", "basis": "no rule allows any", "basis_zh": "无规则允许"},
    )  # fmt: skip
    assert quote(Cause.ISSUER, load(), rules=none).amount_fen == 100_000
    twice = RULES._replace(cooling_off=(Limit(7, Rule("law", "l")), Limit(7, Rule("own", "o"))))
    made = quote(Cause.WITHDRAWAL, load(), rules=twice, requested_on=DAY)
    assert made.lines[0].rule_id == "law", "of two as long the first counts"


def test_goods_that_were_given_are_a_decision_of_a_person() -> None:
    made = quote(Cause.HOLDER, load(1), load(2, spent_fen=99_999), goods_fen=5_000)
    assert made.amount_fen == 100_001 - 5_000
    assert next(line for line in made.lines if line.name == "goods").value == -5_000
    assert quote(Cause.HOLDER, load(spent_fen=99_999), goods_fen=5_000).amount_fen == 0


def test_the_formula_can_be_printed() -> None:
    made = quote(Cause.ISSUER, load(given_fen=20_000, spent_fen=110_000))
    assert print_quote(made).splitlines() == [
        f"Paid: 1000.00 = 1000.00  [CN-SPC-REF-BASE; {SPC} art 15]",
        "Deducted for what was spent: 1100.00 × 1000.00 ÷ (1000.00 + 200.00) = 916.67"
        f"  [CN-SPC-REF-OPER; {SPC} art 18]",
        f"Left of this load: 1000.00 - 916.67 = 83.33  [CN-SPC-REF-BASE; {SPC} art 15]",
        f"Refund: 83.33 + 0.00 = 83.33  [CN-SPC-REF-BASE; {SPC} art 15]",
    ]
    assert "已兑付金额" in print_quote(made, "zh")
    assert "max(0, 1000.00 - 1100.00)" in print_quote(quote(Cause.HOLDER, load(given_fen=20_000, spent_fen=110_000)))


@pytest.mark.parametrize(
    ("figure", "name"),
    [
        (Figure("base", "again", "r", "s"), "base"),
        (Figure("unheard", 1, "r", "s"), "unheard"),
        (Figure("pricing.nobody", "list", "r", "s"), "pricing.nobody"),
        (Figure("pricing.void", "free", "r", "s"), "pricing.void"),
        (Figure("cooling_off_days", "seven", "r", "s"), "cooling_off_days"),
        (Figure("rate.lpr_1y.yesterday", 1, "r", "s"), "rate.lpr_1y.yesterday"),
        (Figure("interest.void", "unheard", "r", "s"), "interest.void"),
        (Figure("costs_deductible", "perhaps", "r", "s"), "costs_deductible"),
    ],
)
def test_values_that_make_no_rules_are_named(figure: Figure, name: str) -> None:
    with pytest.raises(RulesError) as caught:
        read_refund_rules([*VALUES, figure])
    assert caught.value.name == name


def test_what_rules_need() -> None:
    for missing in ("base", "no_clawback", "year_days", "interest_from"):
        with pytest.raises(RulesError, match=missing):
            read_refund_rules([figure for figure in VALUES if figure.name != missing])
    with pytest.raises(RulesError, match="pricing"):
        read_refund_rules([figure for figure in VALUES if "." not in figure.name and figure.name != "custody_rate"])


# What holds for every refund

AMOUNT = st.integers(0, 10**7)
CAUSES = st.sampled_from([Cause.ISSUER, Cause.HOLDER])


@st.composite
def loads(draw: st.DrawFn, most: int = 4) -> tuple[LoadFacts, ...]:
    made = []
    for number in range(draw(st.integers(1, most))):
        paid_fen, given_fen = draw(AMOUNT), draw(AMOUNT)
        made.append(
            load(
                number,
                paid_on=DAY - timedelta(days=draw(st.integers(0, 100))),
                paid_fen=paid_fen,
                given_fen=given_fen,
                spent_fen=draw(st.integers(0, paid_fen + given_fen)),
                discount_fen=draw(AMOUNT),
            )
        )
    return tuple(made)


@given(loads(), CAUSES, AMOUNT, AMOUNT)
def test_never_more_than_was_paid_nor_than_is_left(
    held: tuple[LoadFacts, ...], cause: Cause, custody_fen: int, goods_fen: int
) -> None:
    made = quote(cause, *held, custody_fen=custody_fen, goods_fen=goods_fen, ended_on=DAY)
    assert 0 <= made.principal_fen <= sum(one.paid_fen for one in held)
    for one, refund in zip(sorted(held, key=lambda one: (one.paid_on, one.load_id)), made.loads, strict=True):
        assert 0 <= refund.refund_fen <= min(one.paid_fen, one.paid_fen + one.given_fen - one.spent_fen)
    assert made.amount_fen == made.principal_fen + made.interest_fen
    assert 0 <= made.interest_fen <= made.principal_fen // 100 + len(held) * 2


@given(loads(), CAUSES, st.data())
def test_who_spends_more_is_refunded_no_more(held: tuple[LoadFacts, ...], cause: Cause, data: st.DataObject) -> None:
    n = data.draw(st.integers(0, len(held) - 1))
    most = held[n].paid_fen + held[n].given_fen
    spent_fen = data.draw(st.integers(held[n].spent_fen, most))
    more = list(held)
    more[n] = replace(held[n], spent_fen=spent_fen)
    assert quote(cause, *more).amount_fen <= quote(cause, *held).amount_fen


@given(loads(), CAUSES)
def test_nothing_is_left_of_what_was_spent_whole(held: tuple[LoadFacts, ...], cause: Cause) -> None:
    whole = [load(n, paid_fen=one.paid_fen, given_fen=one.given_fen, spent_fen=one.paid_fen + one.given_fen)
             for n, one in enumerate(held)]  # fmt: skip
    assert quote(cause, *whole).amount_fen == 0


@given(loads(), CAUSES, AMOUNT, AMOUNT, st.randoms(use_true_random=False))
def test_the_order_of_loads_is_nothing(
    held: tuple[LoadFacts, ...], cause: Cause, custody_fen: int, goods_fen: int, chance: Any
) -> None:
    mixed = list(held)
    chance.shuffle(mixed)
    facts: dict[str, Any] = {"custody_fen": custody_fen, "goods_fen": goods_fen, "ended_on": DAY}
    made = quote(cause, *held, **facts)
    assert quote(cause, *mixed, **facts) == made
    assert quote(cause, *mixed, **facts).hash == made.hash


@given(loads())
def test_a_cause_of_the_issuer_never_gives_less(held: tuple[LoadFacts, ...]) -> None:
    assert quote(Cause.ISSUER, *held).principal_fen >= quote(Cause.HOLDER, *held).principal_fen
