"""What the refusals of a purchase say, whole: who, why, by which rule, in both languages; and which rules are asked."""

from typing import Any

from tests.unit.policy_rules import law, rule
from tests.unit.test_sales_check import (
    KNOWN,
    MULTI,
    ORGANISATION,
    REGISTERED,
    SINGLE,
    UNREGISTERED,
    facts,
    figure,
    line,
    why,
)

from kaquan.kit.outcomes import Refusal
from kaquan.parties.identity import IdentityLevel
from kaquan.policy import Confidence, IssuerClass, Metric, Rule, RuleBook, released_book, released_law, show_source
from kaquan.sales import DayFacts, PayMethod, SaleFacts, SaleKind, Tender, check_payment, check_sale
from kaquan.sales.check import first_of, unregistered_fen

HALF = IdentityLevel.CONTACT
BARE = (Tender(PayMethod.BANK_TRANSFER, has_accounts=False),)


def refusal(asked: SaleFacts, rules: RuleBook | None = None) -> Refusal:
    """The only one."""
    (only,) = check_sale(rules or released_book(), asked).refusals
    return only


def details(rule_id: str, **more: Any) -> dict[str, Any]:
    """Those of a refusal by a released row."""
    (found,) = [one for one in released_law() if one.id == rule_id]
    return {"rule": rule_id, "source": show_source(found), **more}


def book(*rules: Rule) -> RuleBook:
    """These rules and no law."""
    return RuleBook([], rules)


def test_of_a_cap() -> None:
    assert refusal(facts(line(100_001))).details == details(
        "CN-SP-CAP-02", balance_fen=100_001, allowed="at most CNY 1,000", allowed_zh="不超过 1,000 元"
    )


def test_of_a_rebate() -> None:
    own = rule("HOUSE-8", metric=Metric.REBATE_CAP, value=800, scheme=(SINGLE,), card_class=(UNREGISTERED,))
    told = refusal(facts(line(10_801, price_fen=10_000)), book(own))
    assert told.details == {
        "rule": "HOUSE-8", "source": "board 2026-1", "bonus_fen": 801, "price_fen": 10_000,
        "allowed": "at most 8 %", "allowed_zh": "不超过 8%",
    }  # fmt: skip
    assert why(facts(line(10_801, price_fen=10_000, scheme=MULTI)), book(own)) == []
    assert why(facts(line(10_801, price_fen=10_000, card_class=REGISTERED)), book(own)) == []


BUYER = {"who": "the buyer", "who_zh": "购卡人"}
AGENT = {"who": "the agent", "who_zh": "代理人"}
FROM_TEN_THOUSAND = {"allowed": "from CNY 10,000", "allowed_zh": "自 10,000 元 起"}
REQUIRED = {"allowed": "required: yes", "allowed_zh": "必须：是"}


def test_of_a_buyer_and_an_agent_whom_nobody_knows() -> None:
    because = {
        "because": "a purchase of 1000000 fen on unregistered cards",
        "because_zh": "本次不记名卡购买 1000000 分",
    }
    told = check_sale(released_book(), facts(line(50_000, 20), agent_level=HALF)).refusals
    assert [(one.field, one.details) for one in told] == [
        ("customer_id", details("CN-SP-KYC-02", **FROM_TEN_THOUSAND, **BUYER, **because)),
        ("agent_id", details("CN-SP-KYC-02.agent", **REQUIRED, **AGENT, **because)),
    ]


def test_of_purchases_that_are_one_together() -> None:
    because = {
        "because": "2 purchases of this day and this one are 1000000 fen",
        "because_zh": "当日已购 2 次，连同本次共 1000000 分",
    }
    told = check_sale(released_book(), facts(line(50_000, 2), day=DayFacts(2, 900_000), agent_level=HALF)).refusals
    assert [(one.field, one.details) for one in told] == [
        ("customer_id", details("CN-SP-KYC-02", **FROM_TEN_THOUSAND, **BUYER, **because)),
        ("agent_id", details("CN-SP-KYC-02.agent", **REQUIRED, **AGENT, **because)),
    ]


def test_of_one_purchase_too_many() -> None:
    often = rule(
        "HOUSE-OFTEN", metric=Metric.NEAR_LIMIT_PURCHASES_PER_DAY, value=3, scheme=(SINGLE,), card_class=(UNREGISTERED,)
    )
    rules = RuleBook(released_law(), [often])
    because = {"because": "purchase number 4 of this day", "because_zh": "当日第 4 次购卡"}
    told = check_sale(rules, facts(line(100), day=DayFacts(3, 300), agent_level=HALF)).refusals
    assert [(one.field, one.details) for one in told] == [
        ("customer_id", {
            "rule": "HOUSE-OFTEN", "source": "board 2026-1", "allowed": "at most 3", "allowed_zh": "不超过 3",
            **BUYER, **because,
        }),
        ("agent_id", details("CN-SP-KYC-02.agent", **REQUIRED, **AGENT, **because)),
    ]  # fmt: skip
    assert why(facts(line(100, scheme=MULTI), day=DayFacts(3, 300)), rules) == []
    assert why(facts(line(100, card_class=REGISTERED), day=DayFacts(3, 300)), book(often)) == []


def test_what_is_counted_for_a_real_name_is_of_its_class_and_day() -> None:
    """Registered and unregistered cards each have their line, and only the latter are summed over a day."""
    named = rule("R", metric=Metric.REAL_NAME_FROM, value=1_000, card_class=(REGISTERED,))
    nameless = rule("U", metric=Metric.REAL_NAME_FROM, value=1_000, card_class=(UNREGISTERED,))
    rules = book(named, nameless)
    assert why(facts(line(600, card_class=REGISTERED), line(600)), rules) == []
    assert why(facts(line(1_000, card_class=REGISTERED), line(600)), rules)[0][2] == "R"
    assert why(facts(line(600, card_class=REGISTERED), line(1_000)), rules)[0][2] == "U"
    assert why(facts(line(600, card_class=REGISTERED), day=DayFacts(9, 900)), rules) == []


def test_a_scheme_without_a_rule_does_not_hide_the_next() -> None:
    only = book(rule("M", metric=Metric.REAL_NAME_FROM, value=100, scheme=(MULTI,)))
    assert why(facts(line(60), line(60, scheme=MULTI)), only) == [("real_name_required", "customer_id", "M")]


def test_an_alert_is_of_unregistered_cards_and_their_scheme() -> None:
    draft = law(
        "DRAFT", metric=Metric.NEAR_LIMIT_PURCHASES_PER_DAY, value=3, scheme=(SINGLE,), confidence=Confidence.DRAFT
    )
    rules, often = RuleBook([draft]), DayFacts(3, 300)
    assert check_sale(rules, facts(line(100), line(100), day=often)).alerts == (draft,)
    assert check_sale(rules, facts(line(100, scheme=MULTI), day=often)).alerts == ()
    assert check_sale(rules, facts(line(100, card_class=REGISTERED), day=often)).alerts == ()


def test_a_rule_for_a_class_of_issuers_is_asked_about_that_class() -> None:
    brand = book(rule("BRAND", issuer_class=(IssuerClass.BRAND,)))
    over = facts(line(80_001), issuer_class=IssuerClass.BRAND)
    assert why(over, brand) == [("card_cap_exceeded", "lines[0].face_fen", "BRAND")]
    assert why(facts(line(80_001), issuer_class=IssuerClass.GROUP), brand) == []
    assert why(facts(line(80_001)), brand) == []


def test_of_cash_the_lowest_line_is_told() -> None:
    """A multi-purpose top-up has two: that of purchases, and a lower one of top-ups."""
    asked = facts(
        line(figure("CN-MP-CASH-01.person"), scheme=MULTI, card_class=REGISTERED), kind=SaleKind.TOP_UP,
        pay=PayMethod.CASH, customer_level=KNOWN,
    )  # fmt: skip
    (told,) = check_payment(released_book(), asked)
    assert told.field == "payment.method"
    assert told.details == details(
        "CN-MP-TOP-01", amount_fen=5_000_000, allowed="from CNY 5,000", allowed_zh="自 5,000 元 起"
    )


def test_of_a_credit_card_that_the_terms_forbid() -> None:
    told = refusal(facts(line(100, credit_card_allowed=False), pay=PayMethod.CREDIT_CARD))
    assert told.details == {
        "rule": "clauses.credit_card_allowed", "source": "programme terms", "source_zh": "卡种条款"
    }  # fmt: skip


def test_a_payment_without_its_accounts() -> None:
    (told,) = check_payment(released_book(), facts(line(100), tenders=BARE))
    assert (told.code, told.field, told.details) == (
        "transfer_accounts_required", "payer", details("CN-SP-CASH-04", **REQUIRED)
    )  # fmt: skip


def test_the_first_refusal_names_the_others() -> None:
    assert first_of(()) is None
    one, two, three = check_sale(
        released_book(), facts(line(100_001, 10), contract_version=None, buyer=ORGANISATION, customer_level=KNOWN)
    ).refusals
    assert [one.code, two.code, three.code] == ["card_cap_exceeded", "real_name_required", "contract_required"]
    assert first_of((one,)) == one
    first = first_of((one, two, three))
    assert first is not None
    assert (first.code, first.field) == ("card_cap_exceeded", "lines[0].face_fen")
    assert first.details == {**one.details, "also": (two, three)}
    assert "also" not in one.details


def test_what_buys_value_on_unregistered_cards() -> None:
    """By face or price, whichever is more, all cards of a line."""
    bought = facts(line(100, 3, price_fen=90), line(100, 2, price_fen=110), line(5_000, card_class=REGISTERED))
    assert unregistered_fen(bought) == 300 + 220
