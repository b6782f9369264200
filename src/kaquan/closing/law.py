"""What the law, and the issuer's house, say of a refund: asked of policy, as named values with rule and source."""

from collections.abc import Callable
from datetime import date
from uuid import UUID

from kaquan.cards import Card, CardForm, Pocket, Programme, jurisdiction_of, scheme_of
from kaquan.closing import store
from kaquan.closing.refund_rules import (
    Cause,
    Figure,
    Limit,
    Pricing,
    RefundRules,
    Rule,
    RulesError,
    read_refund_rules,
)
from kaquan.closing.types import Holding, RulesOf
from kaquan.kit.db import Pool
from kaquan.kit.outcomes import Refusal
from kaquan.parties import Issuer, get_issuer
from kaquan.policy import (
    CardClass,
    Condition,
    Fact,
    IssuerClass,
    Metric,
    Policy,
    Question,
    Scheme,
    show_source,
)

_PRICES = {"discounted": Pricing.CHARGED, "list": Pricing.LIST}
_BY_OPERATOR = (Cause.ISSUER, Cause.PROGRAMME_END)
_BY_CONSUMER = (Cause.HOLDER,)

_NUMBERS = {
    "cooling_off_days": Metric.COOLING_OFF_DAYS,
    "cash_limit_fen": Metric.CASH_REFUND_CAP,
    "deadline_days": Metric.REFUND_DUE_DAYS,
    "withdrawal_deadline_days": Metric.COOLING_OFF_REFUND_DUE_DAYS,
}
_DUTIES = {
    "base": Metric.REFUND_PAID_LESS_REDEEMED,
    "term": Metric.REFUND_BY_TIME_LEFT,
    "interest_from": Metric.REFUND_INTEREST_FROM_END,
}


def law_question(issuer: Issuer, programme: Programme, *, on: date) -> Question:
    """What policy is asked of a programme's refunds, but for the metric and the card.

    A programme that has not declared how it is run is taken for what its issuer may do: with a payment licence,
    multi-purpose.
    """
    licensed = issuer.payment_licence is not None
    return Question(
        Metric.REFUND_PAID_LESS_REDEEMED,
        jurisdiction_of(issuer),
        on,
        scheme=scheme_of(programme.operating_mode, licensed=licensed)
        or (Scheme.MULTI_PURPOSE if licensed else Scheme.SINGLE_PURPOSE),
        issuer_class=None if issuer.issuer_class is None else IssuerClass(issuer.issuer_class.value),
    )


def of_card(question: Question, holding: Holding) -> Question:
    """The question for one card: its class, its form, and whether it was ever spent from."""
    card = holding.card
    conditions = {_form_of(card)}
    if all(
        lot.remaining_fen + lot.swept_fen == (lot.given_fen if lot.pocket is Pocket.BONUS else lot.paid_fen)
        for lot in holding.lots
    ):
        conditions.add(Condition.UNUSED_CARD)
    return question._replace(card_class=CardClass(card.card_class.value), conditions=frozenset(conditions))


def _form_of(card: Card) -> Condition:
    return Condition.DIGITAL_CARD if card.form is CardForm.DIGITAL else Condition.PHYSICAL_CARD


def legal_figures(policy: Policy, book_id: int, issuer_id: UUID, question: Question) -> list[Figure]:
    """The values that law and house give, each with the id of its rule; a name without a rule is left out."""

    def ask(metric: Metric, *conditions: Condition) -> Fact | None:
        asked = question._replace(metric=metric, conditions=question.conditions.union(conditions))
        return policy.ask(book_id, issuer_id, asked)

    figures: list[Figure] = []

    def put(name: str, value: int | str, fact: Fact) -> None:
        figures.append(Figure(name, value, fact.rule_id, show_source(fact.rule)))

    for name, metric in _DUTIES.items():
        if (fact := ask(metric)) is not None and fact.yes:
            put(name, metric.value, fact)
    for name, metric in _NUMBERS.items():
        if (fact := ask(metric)) is not None:
            put(name, fact.number, fact)
            if metric is Metric.COOLING_OFF_DAYS:
                # who withdraws in time gets what was paid; what was spent meanwhile counts as it was charged
                put(f"pricing.{Cause.WITHDRAWAL.value}", Pricing.CHARGED.value, fact)
    if (fact := ask(Metric.REFUND_CLAWBACK_ALLOWED, Condition.CONSUMER_CAUSE)) is not None and not fact.yes:
        put("no_clawback", fact.rule.metric.value, fact)
    for condition, causes in ((Condition.OPERATOR_CAUSE, _BY_OPERATOR), (Condition.CONSUMER_CAUSE, _BY_CONSUMER)):
        price, rate = ask(Metric.REDEEMED_VALUE_PRICE, condition), ask(Metric.REFUND_INTEREST_SOURCE, condition)
        for cause in causes:
            if price is not None and str(price.value) in _PRICES:
                put(f"pricing.{cause.value}", _PRICES[str(price.value)].value, price)
            if rate is not None:
                put(f"interest.{cause.value}", str(rate.value), rate)
    if (fact := ask(Metric.REFUND_INTEREST_SOURCE, Condition.CUSTODY_FUNDS)) is not None:
        put("custody_rate", str(fact.value), fact)
    return figures


RulesAt = Callable[[Holding, date], RefundRules | RulesError]
"""The rules by which a card of one programme is refunded on a day, or what they lack."""


async def programme_rules(pool: Pool, policy: Policy, programme: Programme) -> RulesAt:
    """The rules of a programme's refunds as it is now: read once for any number of its cards."""
    issuer = await get_issuer(pool, book_id=programme.book_id, id_=programme.issuer_id)
    assert not isinstance(issuer, Refusal), "a programme has an issuer"
    terms = await store.load_terms(pool, book_id=programme.book_id, programme_id=programme.id)

    def rules_at(holding: Holding, on: date) -> RefundRules | RulesError:
        question = of_card(law_question(issuer, programme, on=on), holding)
        law = legal_figures(policy, programme.book_id, issuer.id, question)
        try:
            rules = read_refund_rules(() if terms is None else terms.refund_values, law)
        except RulesError as missing:
            return missing
        return with_redemption(policy, programme.book_id, issuer.id, question, rules)

    return rules_at


def with_redemption(
    policy: Policy, book_id: int, issuer_id: UUID, question: Question, rules: RefundRules
) -> RefundRules:
    """The rules with what the law says of when a holder who wishes may be refunded at all (CN-MP-RED-01)."""
    wait = policy.ask(book_id, issuer_id, question._replace(metric=Metric.REDEMPTION_WAIT_MONTHS))
    allowed = policy.ask(book_id, issuer_id, question._replace(metric=Metric.REDEMPTION_ALLOWED))
    return rules._replace(
        wait=None if wait is None else Limit(wait.number, Rule(wait.rule_id, show_source(wait.rule))),
        barred=None if allowed is None or allowed.yes else Rule(allowed.rule_id, show_source(allowed.rule)),
    )


def refund_rules(pool: Pool, policy: Policy) -> RulesOf:
    """The rules of a card's refund: the law where its issuer issues, and what its programme says besides or better."""

    async def rules_of(holding: Holding, on: date) -> RefundRules | RulesError:
        return (await programme_rules(pool, policy, holding.programme))(holding, on)

    return rules_of
