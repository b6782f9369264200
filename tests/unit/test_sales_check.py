"""Whether a purchase may be: the released rows of law on both sides of each line, in the order of the flow."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.policy_rules import rule

from kaquan.kit.outcomes import Refusal
from kaquan.parties.identity import IdentityLevel
from kaquan.policy import Buyer, CardClass, Channel, Metric, RuleBook, Scheme, Unit, released_book, released_law
from kaquan.sales import DayFacts, LineFacts, PayMethod, SaleFacts, SaleKind, Tender, check_payment, check_sale

DAY = date(2026, 3, 1)
SINGLE, MULTI = Scheme.SINGLE_PURPOSE, Scheme.MULTI_PURPOSE
REGISTERED, UNREGISTERED = CardClass.REGISTERED, CardClass.UNREGISTERED
KNOWN = IdentityLevel.DOCUMENT
ORGANISATION, PERSON = Buyer.ORGANISATION, Buyer.PERSON


def line(
    face_fen: int, count: int = 1, *, scheme: Scheme = SINGLE, card_class: CardClass = UNREGISTERED, **more: Any
) -> LineFacts:
    return LineFacts(scheme, card_class, count, face_fen, more.pop("price_fen", face_fen), **more)


def facts(*lines: LineFacts, pay: PayMethod | None = None, **more: Any) -> SaleFacts:
    """A person buys at the counter with the contract accepted, but for ``more``."""
    return SaleFacts(
        **{
            "kind": SaleKind.SALE,
            "jurisdiction": "CN-31",
            "on": DAY,
            "issuer_class": None,
            "buyer": PERSON,
            "channel": Channel.COUNTER,
            "lines": lines,
            "contract_version": "2026-01",
            "tenders": () if pay is None else (Tender(pay, has_accounts=True),),
            **more,
        }
    )


def why(asked: SaleFacts, rules: RuleBook | None = None) -> list[tuple[str, str | None, str]]:
    """The refusals of a purchase: code, field, rule; each names its source in both languages."""
    refusals = check_sale(rules or released_book(), asked).refusals
    for refusal in refusals:
        assert refusal.details["source"] in refusal.message()
        assert refusal.details["source"] in refusal.message("zh")
        assert "{" not in refusal.message() + refusal.message("zh")
    return [(refusal.code, refusal.field, refusal.details["rule"]) for refusal in refusals]


def figure(rule_id: str) -> int:
    """The figure of a released row, so that a test has none of its own."""
    (found,) = [one for one in released_law() if one.id == rule_id]
    assert isinstance(found.value, int)
    assert found.metric.unit in (Unit.FEN, Unit.COUNT)
    return found.value


@pytest.mark.parametrize(
    ("rule_id", "scheme", "card_class"),
    [
        ("CN-SP-CAP-01", SINGLE, REGISTERED),
        ("CN-SP-CAP-02", SINGLE, UNREGISTERED),
        ("CN-MP-CAP-01.registered", MULTI, REGISTERED),
        ("CN-MP-CAP-01.unregistered", MULTI, UNREGISTERED),
    ],
)
def test_a_card_holds_no_more_than_its_cap_after_credit(rule_id: str, scheme: Scheme, card_class: CardClass) -> None:
    cap_fen = figure(rule_id)
    kind: dict[str, Any] = {"scheme": scheme, "card_class": card_class}
    assert why(facts(line(cap_fen, **kind), customer_level=KNOWN)) == []
    over = ("card_cap_exceeded", "lines[0].face_fen", rule_id)
    assert why(facts(line(cap_fen + 1, **kind), customer_level=KNOWN)) == [over]
    top_up: dict[str, Any] = {"kind": SaleKind.TOP_UP, "customer_level": KNOWN}
    assert why(facts(line(100, balance_fen=cap_fen - 100, **kind), **top_up)) == []
    assert why(facts(line(101, balance_fen=cap_fen - 100, **kind), **top_up)) == [
        ("card_cap_exceeded", "face_fen", rule_id)
    ]


def test_registered_cards_are_bought_by_name_at_any_amount() -> None:
    bought = line(1, card_class=REGISTERED)
    assert why(facts(bought)) == [("real_name_required", "customer_id", "CN-SP-KYC-01")]
    assert why(facts(bought, customer_level=IdentityLevel.CONTACT)) == [
        ("real_name_required", "customer_id", "CN-SP-KYC-01")
    ]
    assert why(facts(bought, customer_level=KNOWN)) == []
    assert why(facts(bought, customer_level=KNOWN, agent_level=IdentityLevel.CONTACT)) == [
        ("real_name_required", "agent_id", "CN-SP-KYC-01.agent")
    ]
    assert why(facts(bought, customer_level=KNOWN, agent_level=KNOWN)) == []


@pytest.mark.parametrize(("rule_id", "scheme"), [("CN-SP-KYC-02", SINGLE), ("CN-MP-KYC-01.unregistered", MULTI)])
def test_from_the_line_on_unregistered_cards_are_bought_by_name(rule_id: str, scheme: Scheme) -> None:
    from_fen = figure(rule_id)
    at_line = line(from_fen // 100, 100, scheme=scheme)
    below = (line(from_fen // 100, 99, scheme=scheme), line(from_fen // 100 - 1, scheme=scheme))
    assert why(facts(*below)) == []
    assert why(facts(at_line)) == [("real_name_required", "customer_id", rule_id)]
    check = check_sale(released_book(), facts(at_line, customer_level=KNOWN))
    assert check.refusals == ()
    assert check.real_name is not None
    assert check.real_name.rule_id == rule_id


def test_an_organisation_buys_through_somebody_who_is_known() -> None:
    bought = line(figure("CN-SP-KYC-02") // 100, 100)
    assert why(facts(bought, buyer=ORGANISATION, customer_level=KNOWN)) == [
        ("real_name_required", "agent_id", "CN-SP-KYC-02.agent")
    ]
    assert why(facts(bought, buyer=ORGANISATION, customer_level=KNOWN, agent_level=KNOWN)) == []


def test_splitting_does_not_help() -> None:
    """Purchases of one day count as one: the last fen below the line, and the first one on it."""
    from_fen = figure("CN-SP-KYC-02")
    bought = line(50_000, 2)
    assert why(facts(bought, day=DayFacts(2, from_fen - 100_001))) == []
    assert why(facts(bought, day=DayFacts(2, from_fen - 100_000))) == [
        ("real_name_required", "customer_id", "CN-SP-KYC-02")
    ]
    # what was bought on registered cards, or buys one now, has nothing to do with it
    assert why(facts(line(100, card_class=REGISTERED), day=DayFacts(9, from_fen), customer_level=KNOWN)) == []


def test_a_discount_brings_no_purchase_below_a_line() -> None:
    from_fen = figure("CN-SP-KYC-02")
    bought = line(from_fen // 100, 100, price_fen=from_fen // 100 - 500)
    assert why(facts(bought)) == [("real_name_required", "customer_id", "CN-SP-KYC-02")]


def test_a_draft_on_how_often_one_buys_alerts_and_a_house_rule_refuses() -> None:
    most = figure("CN-SP-KYC-03")
    often, seldom = DayFacts(most, 3_000), DayFacts(most - 1, 3_000)
    assert why(facts(line(1_000), day=often)) == []
    alerts = check_sale(released_book(), facts(line(1_000), day=often)).alerts
    assert [alert.id for alert in alerts] == ["CN-SP-KYC-03"]
    assert check_sale(released_book(), facts(line(1_000), day=seldom)).alerts == ()
    own = RuleBook(
        released_law(),
        [rule("HOUSE-SPLIT", metric=Metric.NEAR_LIMIT_PURCHASES_PER_DAY, value=most, card_class=(UNREGISTERED,))],
    )
    assert why(facts(line(1_000), day=seldom), own) == []
    assert why(facts(line(1_000), day=often), own) == [("real_name_required", "customer_id", "HOUSE-SPLIT")]
    assert why(facts(line(1_000), day=often, customer_level=KNOWN), own) == []


@pytest.mark.parametrize(
    ("rule_id", "scheme", "buyer"),
    [
        ("CN-SP-CASH-01", SINGLE, ORGANISATION),
        ("CN-SP-CASH-02", SINGLE, PERSON),
        ("CN-MP-CASH-01.organisation", MULTI, ORGANISATION),
        ("CN-MP-CASH-01.person", MULTI, PERSON),
    ],
)
def test_from_the_line_on_no_cash(rule_id: str, scheme: Scheme, buyer: Buyer) -> None:
    from_fen = figure(rule_id)
    who = {"buyer": buyer, "customer_level": KNOWN, "agent_level": KNOWN}
    at_line, below = line(from_fen // 100, 100, scheme=scheme), line(from_fen // 100 - 1, 100, scheme=scheme)
    assert why(facts(below, pay=PayMethod.CASH, **who)) == []
    assert why(facts(at_line, pay=PayMethod.CASH, **who)) == [("cash_refused", "method", rule_id)]
    assert why(facts(at_line, pay=PayMethod.BANK_TRANSFER, **who)) == []


def test_remote_sales_take_no_cash_at_any_amount() -> None:
    remote = {"channel": Channel.REMOTE}
    assert why(facts(line(1), pay=PayMethod.CASH, **remote)) == [("cash_refused", "method", "CN-SP-CASH-03")]
    assert why(facts(line(1), pay=PayMethod.ONLINE, **remote)) == []
    assert why(facts(line(1), pay=PayMethod.CASH)) == []


def test_a_multi_purpose_top_up_has_a_cash_line_of_its_own() -> None:
    from_fen = figure("CN-MP-TOP-01")
    top_up: dict[str, Any] = {"kind": SaleKind.TOP_UP, "customer_level": KNOWN, "pay": PayMethod.CASH}
    kind: dict[str, Any] = {"scheme": MULTI, "card_class": REGISTERED}
    assert why(facts(line(from_fen - 1, **kind), **top_up)) == []
    assert why(facts(line(from_fen, **kind), **top_up)) == [("cash_refused", "payment.method", "CN-MP-TOP-01")]
    assert why(facts(line(from_fen, **kind), customer_level=KNOWN, pay=PayMethod.CASH)) == []


def test_credit_cards_never_pay_for_multi_purpose_cards() -> None:
    credit = PayMethod.CREDIT_CARD
    refused = [("credit_card_refused", "method", "CN-MP-CC-01")]
    assert why(facts(line(100, scheme=MULTI), pay=credit)) == refused
    assert why(facts(line(100, scheme=MULTI), pay=PayMethod.DEBIT_CARD)) == []
    assert why(facts(line(100), pay=credit)) == []
    by_terms = check_sale(released_book(), facts(line(100, credit_card_allowed=False), pay=credit)).refusals
    assert [(one.code, one.field, one.details["rule"]) for one in by_terms] == [
        ("credit_card_refused", "method", "clauses.credit_card_allowed")
    ]


def test_the_contract_is_accepted_first() -> None:
    assert why(facts(line(100), contract_version=None)) == [("contract_required", "contract_version", "CN-CON-01")]
    before = date(2024, 6, 30)
    assert why(facts(line(100), contract_version=None, on=before)) == [
        ("contract_required", "contract_version", "CN-SP-DOC-01")
    ]
    assert why(facts(line(100, scheme=MULTI), contract_version=None, on=before)) == []


def test_both_accounts_of_a_transfer_are_recorded() -> None:
    bare = (Tender(PayMethod.BANK_TRANSFER, has_accounts=False),)
    assert why(facts(line(100), tenders=bare)) == [("transfer_accounts_required", "payer", "CN-SP-CASH-04")]
    assert why(facts(line(100, scheme=MULTI), tenders=bare)) == []
    assert why(facts(line(100), tenders=(Tender(PayMethod.DEBIT_CARD, has_accounts=False),))) == []


def test_a_house_may_cap_what_is_given() -> None:
    own = RuleBook(released_law(), [rule("HOUSE-REBATE-8", metric=Metric.REBATE_CAP, value=800)])
    assert why(facts(line(10_800, price_fen=10_000)), own) == []
    assert why(facts(line(10_801, price_fen=10_000)), own) == [
        ("rebate_too_high", "lines[0].price_fen", "HOUSE-REBATE-8")
    ]


def test_everything_is_refused_at_once_in_the_order_of_the_flow() -> None:
    asked = facts(
        line(figure("CN-SP-CAP-02") + 1, 60),
        pay=PayMethod.CASH,
        contract_version=None,
    )
    assert [code for code, _, _ in why(asked)] == [
        "card_cap_exceeded",
        "real_name_required",
        "cash_refused",
        "contract_required",
    ]


def test_a_payment_is_judged_by_its_own_rules_alone() -> None:
    asked = facts(line(figure("CN-SP-CASH-02") // 100, 100), pay=PayMethod.CASH, contract_version=None)
    (refused,) = check_payment(released_book(), asked)
    assert isinstance(refused, Refusal)
    assert refused.code == "cash_refused"


def test_the_law_of_the_day_is_asked() -> None:
    asked = facts(line(figure("CN-SP-CAP-02") + 1), on=date(2011, 5, 22), contract_version=None)
    assert why(asked) == []


@given(st.lists(st.integers(1, 100_000), min_size=1, max_size=12))
def test_no_order_of_purchases_buys_more_namelessly_than_one(amounts: list[int]) -> None:
    """Whoever stays nameless stays below the line in all, however it is cut."""
    from_fen, day = figure("CN-SP-KYC-02"), DayFacts()
    for amount_fen in amounts:
        if not check_sale(released_book(), facts(line(amount_fen, 10), day=day)).refusals:
            day = DayFacts(day.purchases + 1, day.face_fen + amount_fen * 10)
    assert day.face_fen < from_fen
