"""Which values bind where a programme and the law both say something, what is said of values that make no rules, and
the whole formula of a refund as it is kept and printed."""

from datetime import date, timedelta
from uuid import UUID

import pytest
from tests.unit.test_refund_quote import DAY, JIANGSU, RULES, SPC, VALUES, load, quote

from kaquan.closing.refund_quote import Line, LoadRefund, RefundQuote, print_quote
from kaquan.closing.refund_rules import (
    Cause,
    CauseRule,
    DatedRate,
    Figure,
    Limit,
    Pricing,
    RefundRules,
    Rule,
    RulesError,
    is_weaker,
    join_law,
    read_refund_rules,
)


def figure(name: str, value: int | str, whose: str) -> Figure:
    return Figure(name, value, whose, f"source of {whose}")


@pytest.mark.parametrize(
    ("name", "own", "law", "weaker"),
    [
        ("cash_limit_fen", 101, 100, True),
        ("cash_limit_fen", 100, 100, False),
        ("deadline_days", 16, 15, True),
        ("deadline_days", 14, 15, False),
        ("withdrawal_deadline_days", 8, 7, True),
        ("cooling_off_days", 6, 7, True),
        ("cooling_off_days", 7, 7, False),
        ("cooling_off_days", 8, 7, False),
        ("year_days", 360, 365, False),
        ("year_days", 366, 365, False),
        ("pricing.holder", "list", "charged", True),
        ("pricing.holder", "charged", "list", False),
        ("pricing.holder", "list", "list", False),
        ("interest.holder", "list", "charged", False),
    ],
)
def test_what_is_less_than_the_law_gives(name: str, own: int | str, law: int | str, weaker: bool) -> None:
    assert is_weaker(figure(name, own, "own"), figure(name, law, "law")) is weaker


@pytest.mark.parametrize(
    ("name", "own", "law", "binds"),
    [
        ("base", "ours", "theirs", ["law"]),
        ("no_clawback", "ours", "theirs", ["law"]),
        ("term", "ours", "theirs", ["law"]),
        ("interest_from", "ours", "theirs", ["law"]),
        ("deadline_days", 14, 15, ["own"]),
        ("deadline_days", 15, 15, ["law"]),
        ("deadline_days", 16, 15, ["law"]),
        ("year_days", 360, 365, ["own"]),
        ("pricing.holder", "charged", "list", ["own"]),
        ("pricing.holder", "list", "charged", ["law"]),
        # the longest counts, whoever gives it
        ("cooling_off_days", 5, 7, ["law", "own"]),
        ("cooling_off_days", 7, 7, ["law", "own"]),
    ],
)
def test_whose_value_binds(name: str, own: int | str, law: int | str, binds: list[str]) -> None:
    joined = join_law([figure(name, own, "own")], [figure(name, law, "law")])
    assert [one.rule_id for one in joined] == binds
    assert [one.value for one in joined] == [{"own": own, "law": law}[whose] for whose in binds]


def test_a_word_and_a_number_are_not_compared() -> None:
    for own, law in ((16, "fifteen"), ("sixteen", 15)):
        assert is_weaker(figure("deadline_days", own, "own"), figure("deadline_days", law, "law")) is False


def test_what_only_one_of_them_says_binds() -> None:
    own, law = figure("year_days", 360, "own"), figure("cash_limit_fen", 100, "law")
    assert join_law([own], [law]) == [law, own]
    assert join_law([], [law]) == [law]
    assert join_law([own], []) == [own]


def test_days_until_a_payout_is_due() -> None:
    rule = Rule("r", "s")
    long, short = Limit(15, rule), Limit(7, rule)
    rules = RULES._replace(deadline=long, withdrawal_deadline=short)
    assert (rules.deadline_of(Cause.WITHDRAWAL), rules.deadline_of(Cause.HOLDER)) == (short, long)
    rules = RULES._replace(deadline=short, withdrawal_deadline=long)
    assert (rules.deadline_of(Cause.WITHDRAWAL), rules.deadline_of(Cause.HOLDER)) == (short, short)
    rules = RULES._replace(deadline=None, withdrawal_deadline=long)
    assert (rules.deadline_of(Cause.WITHDRAWAL), rules.deadline_of(Cause.HOLDER)) == (long, None)
    rules = RULES._replace(deadline=long, withdrawal_deadline=None)
    assert (rules.deadline_of(Cause.WITHDRAWAL), rules.deadline_of(Cause.HOLDER)) == (long, long)
    assert RULES._replace(deadline=None).deadline_of(Cause.WITHDRAWAL) is None
    other = Limit(7, Rule("r2", "s2"))
    assert RULES._replace(deadline=short, withdrawal_deadline=other).deadline_of(Cause.WITHDRAWAL) == short


def test_the_rate_of_a_day() -> None:
    assert RULES.rate_at("lpr_1y", date(2025, 1, 19)) is None
    assert [
        rate.rate_bp if (rate := RULES.rate_at("lpr_1y", day)) else None
        for day in (date(2025, 1, 20), date(2025, 5, 19), date(2025, 5, 20), date(2026, 1, 1))
    ] == [310, 310, 300, 300]
    assert RULES.rate_at("unheard", DAY) is None
    twice = [DatedRate("x", DAY, rate_bp, Rule("r", "s")) for rate_bp in (150, 310)]
    assert RULES._replace(rates=tuple(twice)).rate_at("x", DAY) == twice[0], "of one day the first counts"


def test_the_whole_of_the_rules() -> None:
    more = [
        figure("cooling_off_days", 15, "js"), figure("costs_deductible", "yes", "costs"),
        figure("deadline_days", 10, "d"), figure("withdrawal_deadline_days", 5, "w"),
    ]  # fmt: skip

    def rule(id_: str, article: int) -> Rule:
        return Rule(id_, f"{SPC} art {article}")

    assert read_refund_rules([*VALUES, *more]) == RefundRules(
        base=rule("CN-SPC-REF-BASE", 15),
        no_clawback=rule("CN-SPC-REF-FLOOR", 20),
        causes={
            Cause.WITHDRAWAL: CauseRule(Pricing.CHARGED, rule("CN-SPC-07D", 14), None),
            Cause.ISSUER: CauseRule(Pricing.CHARGED, rule("CN-SPC-REF-OPER", 18), "lpr_1y"),
            Cause.HOLDER: CauseRule(Pricing.LIST, rule("CN-SPC-REF-CONS", 19), "deposit_1y"),
        },
        term=rule("CN-SPC-REF-TIME", 22),
        cooling_off=(Limit(7, rule("CN-SPC-07D", 14)), Limit(15, more[0].rule)),
        costs=more[1].rule,
        interest_from=rule("CN-SPC-INT-FROM", 17),
        rates=(
            DatedRate("lpr_1y", date(2025, 1, 20), 310, Rule("CN-SPC-INT-OPER", "LPR of the day")),
            DatedRate("lpr_1y", date(2025, 5, 20), 300, Rule("CN-SPC-INT-OPER", "LPR of the day")),
            DatedRate("deposit_1y", date(2015, 10, 24), 150, Rule("CN-SPC-INT-CONS", "benchmark")),
            DatedRate("custody", date(2025, 1, 1), 35, Rule("CN-SPC-INT-CUST", "the bank")),
        ),
        custody_rate="custody",
        year_days=365,
        cash_limit=Limit(10_000, Rule("CN-SP-REF-02", "商务部令2012年第9号 art 21")),
        deadline=Limit(10, more[2].rule),
        withdrawal_deadline=Limit(5, more[3].rule),
    )


LEAST = [figure("base", "x", "b"), figure("no_clawback", "x", "n"), figure("pricing.holder", "list", "p")]


def test_the_least_that_makes_rules() -> None:
    assert read_refund_rules(LEAST) == RefundRules(
        LEAST[0].rule, LEAST[1].rule, {Cause.HOLDER: CauseRule(Pricing.LIST, LEAST[2].rule)}
    )
    assert read_refund_rules([*LEAST, figure("costs_deductible", "no", "c")]).costs is None
    at_once = figure("deadline_days", 0, "d")
    assert read_refund_rules([*LEAST, at_once]).deadline == Limit(0, at_once.rule)
    rates = [figure("rate.x.2025-01-01", rate_bp, "r") for rate_bp in (150, 310)]
    assert [rate.rate_bp for rate in read_refund_rules([*LEAST, *rates]).rates] == [150, 310]
    assert read_refund_rules(LEAST[:2], [LEAST[2]]) == read_refund_rules(LEAST)


@pytest.mark.parametrize(
    ("values", "name", "allowed", "allowed_zh"),
    [
        (LEAST[1:], "base", "is required", "必填"),
        ([LEAST[0], LEAST[2]], "no_clawback", "is required", "必填"),
        (LEAST[:2], "pricing", "is required for one cause at least", "至少须为一种原因提供"),
        ([*LEAST, figure("unheard", 1, "u")], "unheard", "is not the name of a value", "不是可用的名称"),
        ([*LEAST, figure("base.x", 1, "u")], "base.x", "is not the name of a value", "不是可用的名称"),
        ([*LEAST, LEAST[2]], "pricing.holder", "is given twice", "重复出现"),
        ([*LEAST, figure("year_days", 0, "y")], "year_days", "must be a number, not below zero", "应为不小于零的数字"),
        ([*LEAST, figure("deadline_days", -1, "y")], "deadline_days", "must be a number, not below zero",
         "应为不小于零的数字"),
        ([*LEAST, figure("costs_deductible", 1, "c")], "costs_deductible", "must be yes or no", "应为 yes 或 no"),
        ([*LEAST[:2], figure("pricing.void", "free", "p")], "pricing.void", "must be charged or list",
         "应为 charged 或 list"),
        ([*LEAST, figure("rate.x.y", 1, "r")], "rate.x.y", "must be rate.NAME.YYYY-MM-DD", "应为 rate.名称.YYYY-MM-DD"),
        ([*LEAST, figure("rate.x.y.2025-01-01", 1, "r")], "rate.x.y.2025-01-01", "must be rate.NAME.YYYY-MM-DD",
         "应为 rate.名称.YYYY-MM-DD"),
        ([*LEAST, figure("interest.holder", "x", "i")], "interest.holder", "must name a rate that is given",
         "须为已提供的利率名称"),
        ([*LEAST, figure("rate.x.2025-01-01", 1, "r"), figure("custody_rate", "x", "i")], "year_days",
         "is required where there is interest", "有利息时必填"),
    ],
)  # fmt: skip
def test_what_is_said_of_values_that_make_no_rules(
    values: list[Figure], name: str, allowed: str, allowed_zh: str
) -> None:
    with pytest.raises(RulesError) as caught:
        read_refund_rules(values)
    assert (caught.value.name, caught.value.allowed, caught.value.allowed_zh) == (name, allowed, allowed_zh)
    assert str(caught.value) == f"{name}: {allowed}"


def test_the_law_may_say_a_thing_once_and_a_programme_what_the_law_says_once() -> None:
    for values, law in ((LEAST[1:], [LEAST[0], LEAST[0]]), ([LEAST[0], *LEAST], LEAST)):
        with pytest.raises(RulesError) as caught:
            read_refund_rules(values, law)
        assert (caught.value.name, caught.value.allowed, caught.value.allowed_zh) == (
            "base", "is given twice", "重复出现"
        )  # fmt: skip


# The whole formula


def test_the_whole_of_a_withdrawal_with_costs_and_goods() -> None:
    day = DAY + timedelta(days=15)
    made = quote(
        Cause.WITHDRAWAL, load(spent_fen=40_000, given_fen=20_000), rules=JIANGSU, costs_fen=1_200, goods_fen=800,
        requested_on=day, as_of=day,
    )  # fmt: skip
    id_, js = UUID(int=1).hex, ("JS-15D-01", "江苏省预付卡管理规定")
    base = ("CN-SPC-REF-BASE", f"{SPC} art 15")
    assert made == RefundQuote(
        Cause.WITHDRAWAL,
        day,
        day,
        64_667,
        64_667,
        0,
        (LoadRefund(id_, Cause.WITHDRAWAL, 64_667, 0),),
        (
            Line("cooling_off", id_, "Last day to withdraw", "冷静期截止日", "2025-06-01 + 15", "2025-06-16", "date",
                 *js),
            Line("paid", id_, "Paid", "已付本金", "1000.00", 100_000, "fen", *base),
            Line("redeemed", id_, "Deducted for what was spent", "已兑付金额",
                 "400.00 × 1000.00 ÷ (1000.00 + 200.00)", 33_333, "fen", "CN-SPC-07D", f"{SPC} art 14"),
            Line("remaining", id_, "Left of this load", "本笔应退", "1000.00 - 333.33", 66_667, "fen", *base),
            Line("costs", None, "Reasonable costs", "合理费用", "min(12.00, 666.67)", -1_200, "fen", *js),
            Line("goods", None, "Goods given and not returned", "未退回的赠品", "min(8.00, 654.67)", -800, "fen",
                 None, None),
            Line("amount", None, "Refund", "应退金额", "646.67 + 0.00", 64_667, "fen", *base),
        ),
    )  # fmt: skip
    printed = print_quote(made).splitlines()
    assert printed[0] == "Last day to withdraw: 2025-06-01 + 15 = 2025-06-16  [JS-15D-01; 江苏省预付卡管理规定]"
    assert printed[5] == "Goods given and not returned: min(8.00, 654.67) = -8.00"
    assert print_quote(made, "zh").splitlines()[5] == "未退回的赠品: min(8.00, 654.67) = -8.00"


def test_the_whole_of_interest() -> None:
    made = quote(Cause.ISSUER, load(spent_fen=40_000), ended_on=DAY, as_of=DAY + timedelta(days=73), custody_fen=20_000)
    id_, days = UUID(int=1).hex, ("CN-SPC-INT-FROM", f"{SPC} art 17")
    assert made.lines[3:6] == (
        Line("interest_days", None, "Days of interest", "计息天数", "2025-08-13 - 2025-06-01", 73, "days", *days),
        Line("interest", id_, "Interest at custody", "利息（custody）", "200.00 × 0.35% × 73 ÷ 365", 14, "fen",
             "CN-SPC-INT-CUST", "the bank"),
        Line("interest", id_, "Interest at lpr_1y", "利息（lpr_1y）", "400.00 × 3.00% × 73 ÷ 365", 240, "fen",
             "CN-SPC-INT-OPER", "LPR of the day"),
    )  # fmt: skip
    assert made.loads == (LoadRefund(id_, Cause.ISSUER, 60_000, 254),)
    assert (made.amount_fen, made.interest_fen) == (60_254, 254)
    assert made.lines[-1] == Line(
        "amount", None, "Refund", "应退金额", "600.00 + 2.54", 60_254, "fen", "CN-SPC-REF-BASE", f"{SPC} art 15"
    )
    assert print_quote(made).splitlines()[3].startswith("Days of interest: 2025-08-13 - 2025-06-01 = 73  [")


def test_list_prices_and_remaining_days_are_written_out() -> None:
    dear = quote(Cause.HOLDER, load(spent_fen=40_000, discount_fen=10_000)).lines[1]
    assert (dear.expression, dear.value, dear.rule_id) == ("400.00 + 100.00", 50_000, "CN-SPC-REF-CONS")
    plain = quote(Cause.HOLDER, load(spent_fen=40_000)).lines[1]
    assert (plain.expression, plain.value) == ("400.00", 40_000)
    timed = quote(Cause.ISSUER, load(paid_fen=120_000, term_days=365, used_days=400)).lines
    assert (timed[1].expression, timed[1].value) == ("1200.00 × 365 ÷ 365", 120_000)
    assert (timed[2].expression, timed[2].rule_id) == ("1200.00 - 1200.00", "CN-SPC-REF-BASE")
