"""What the law and the house say to a programme: to its terms, and to where its cards are taken. Pure.

What a programme does not declare cannot be judged: without ``operating_mode`` no rule of a scheme is asked, without
``card_class`` none of a class of cards, and an issuer without a province is asked about by the law of the nation alone.
"""

from collections.abc import Iterable
from datetime import date
from uuid import UUID

from msgspec.structs import asdict, replace

from kaquan.cards.types import OperatingMode, ProgrammeTerms
from kaquan.kit.outcomes import Refusal
from kaquan.parties import Issuer, Merchant, Scheme, SchemeRule, SchemeRules, fit_scheme
from kaquan.policy import (
    LAW_JURISDICTION,
    CardClass,
    IssuerClass,
    Metric,
    Question,
    RuleBook,
    Terms,
    check_terms,
    read_jurisdiction,
    show_source,
)
from kaquan.policy import Scheme as LegalScheme
from kaquan.policy.outcomes import TERMS_BREAK_RULE

_FIELDS = {
    "cap_fen": "max_balance_fen",
    "validity_days": "principal_valid_days",
    "replacement_fee_fen": "fees.replacement_fen",
    "issue_fee_fen": "fees.issue_fen",
    "load_fee_fen": "fees.load_fen",
    "dormancy_fee_fen": "fees.dormancy_fen",
    "dormancy_fee_after_months": "fees.dormancy_after_months",
}
"""What policy calls a term that has another name here."""

_MODES = {
    OperatingMode.CLOSED_LOOP: Scheme.CLOSED_LOOP,
    OperatingMode.OPEN_ALLIANCE: Scheme.OPEN_ALLIANCE,
    OperatingMode.HYBRID: Scheme.HYBRID,
}


def scheme_of(mode: OperatingMode | None, *, licensed: bool) -> LegalScheme | None:
    """The legal type of a programme's cards, or None while it is not declared.

    Cards that independent merchants take are multi-purpose (CN-SCHEME-03). A hybrid without a licence has no
    independent merchants, since none is let in, and is single-purpose (CN-SCHEME-01) until it has one.
    """
    if mode is None:
        return None
    if mode is OperatingMode.OPEN_ALLIANCE or (mode is OperatingMode.HYBRID and licensed):
        return LegalScheme.MULTI_PURPOSE
    return LegalScheme.SINGLE_PURPOSE


def jurisdiction_of(issuer: Issuer) -> str:
    """Where an issuer issues: its province, or the nation while that is not known."""
    known = None if issuer.province is None else read_jurisdiction(issuer.province)
    return known or LAW_JURISDICTION


def check_law(rules: RuleBook, issuer: Issuer, terms: ProgrammeTerms, *, on: date) -> Refusal | None:
    """None when the terms may stand from ``on``; else ``terms_break_rule`` with the rule and its source.

    The refusal is about the first term that breaks a rule; its detail ``also`` lists those about the others.
    """
    found = [*_check_licence(rules, issuer, terms, on=on), *check_terms(rules, terms_of(issuer, terms, on=on))]
    named = [_rename(terms, refusal) for refusal in found]
    if len(named) < 2:
        return named[0] if named else None
    first, *others = named
    return replace(first, details={**first.details, "also": tuple(others)})


def terms_of(issuer: Issuer, terms: ProgrammeTerms, *, on: date) -> Terms:
    """The terms as policy looks at them. The two ends of a range are face values like any other."""
    return Terms(
        jurisdiction=jurisdiction_of(issuer),
        on=on,
        scheme=scheme_of(terms.operating_mode, licensed=issuer.payment_licence is not None),
        issuer_class=None if issuer.issuer_class is None else IssuerClass(issuer.issuer_class.value),
        card_class=None if terms.card_class is None else CardClass(terms.card_class.value),
        cap_fen=terms.max_balance_fen,
        denominations_fen=(*terms.denominations_fen, *(terms.custom_range_fen or ())),
        validity_days=terms.principal_valid_days,
        replacement_fee_fen=terms.fees.replacement_fen or None,
        issue_fee_fen=terms.fees.issue_fen or None,
        load_fee_fen=terms.fees.load_fen or None,
        dormancy_fee_fen=terms.fees.dormancy_fen or None,
        dormancy_fee_after_months=terms.fees.dormancy_after_months or None,
        **asdict(terms.clauses),
    )


def _check_licence(rules: RuleBook, issuer: Issuer, terms: ProgrammeTerms, *, on: date) -> Iterable[Refusal]:
    if terms.operating_mode is not OperatingMode.OPEN_ALLIANCE or issuer.payment_licence is not None:
        return
    question = Question(Metric.LICENCE_REQUIRED, jurisdiction_of(issuer), on, scheme=LegalScheme.MULTI_PURPOSE)
    fact = rules.ask(question)
    if fact is not None and fact.yes:
        yield TERMS_BREAK_RULE.refuse(
            "operating_mode",
            allowed="an open alliance needs a payment licence, and the issuer has none",
            allowed_zh="开放联盟须持有支付业务许可，而发卡方未登记牌照",
            rule=fact.rule_id,
            source=show_source(fact.rule),
        )


def _rename(terms: ProgrammeTerms, refusal: Refusal) -> Refusal:
    """The refusal under the name that the term has here."""
    field = refusal.field or ""
    if field.startswith("denominations_fen["):
        beyond = int(field[len("denominations_fen[") : -1]) - len(terms.denominations_fen)
        field = field if beyond < 0 else f"custom_range_fen[{beyond}]"
    elif hasattr(terms.clauses, field):
        field = f"clauses.{field}"
    return replace(refusal, field=_FIELDS.get(field, field))


def check_merchants(
    rules: RuleBook, issuer: Issuer, mode: OperatingMode | None, merchants: Iterable[Merchant], *, on: date
) -> dict[UUID, Refusal]:
    """The merchants that the mode of a programme keeps out: ``merchant_outside_scheme`` with the rule and its source.

    Where no law says who may take cards, nobody is kept out.
    """
    if mode is None:
        return {}
    place = jurisdiction_of(issuer)
    own = rules.ask(Question(Metric.OWN_NETWORK_ONLY, place, on, scheme=LegalScheme.SINGLE_PURPOSE))
    licence = rules.ask(Question(Metric.LICENCE_REQUIRED, place, on, scheme=LegalScheme.MULTI_PURPOSE))
    fact = own if mode is OperatingMode.CLOSED_LOOP else licence
    if fact is None or not fact.yes:
        return {}
    rule = SchemeRule(fact.rule_id, show_source(fact.rule))
    scheme_rules = SchemeRules(own_network=rule, licence=rule)  # the mode looks at one of them only
    found = {
        merchant.id: fit_scheme(_MODES[mode], issuer=issuer, merchant=merchant, rules=scheme_rules)
        for merchant in merchants
    }
    return {merchant_id: refusal for merchant_id, refusal in found.items() if refusal is not None}
