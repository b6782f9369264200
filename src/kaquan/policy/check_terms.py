"""Check a programme's terms against the rules that bind it."""

from collections.abc import Callable
from datetime import date

import msgspec

from kaquan.kit.outcomes import Refusal
from kaquan.policy.metrics import Metric, Operator
from kaquan.policy.outcomes import TERMS_BREAK_RULE
from kaquan.policy.rulebook import RuleBook, is_weaker
from kaquan.policy.types import (
    CardClass,
    Condition,
    Fact,
    Industry,
    IssuerClass,
    Question,
    Scheme,
)
from kaquan.policy.words import show_demand, show_source, show_value

_DAYS_PER_YEAR = 365


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a programme promises and demands, as far as rules look at it. None: the terms say nothing of it.

    Without a ``scheme`` or a ``card_class`` the rules that depend on it are not asked.

    ``cap_fen`` None means that a card may hold any amount, and ``validity_days`` None that it never expires; those two
    are looked at always. ``jurisdiction`` is the place of issue and ``on`` the day from which the terms hold.
    """

    jurisdiction: str
    on: date
    scheme: Scheme | None
    issuer_class: IssuerClass | None = None
    industry: Industry | None = None
    card_class: CardClass | None
    conditions: frozenset[Condition] = frozenset()
    cap_fen: int | None = None
    denominations_fen: tuple[int, ...] = ()
    validity_days: int | None = None
    custody_share_bp: int | None = None
    guarantee_share_bp: int | None = None
    cooling_off_days: int | None = None
    cooling_off_refund_due_days: int | None = None
    refund_due_days: int | None = None
    cash_refund_cap_fen: int | None = None
    closing_notice_days: int | None = None
    terms_change_notice_days: int | None = None
    fee_change_notice_days: int | None = None
    replacement_fee_fen: int | None = None
    issue_fee_fen: int | None = None
    load_fee_fen: int | None = None
    dormancy_fee_fen: int | None = None
    dormancy_fee_after_months: int | None = None
    rebate_cap_bp: int | None = None
    voucher_validity_max_days: int | None = None
    lottery_prize_cap_fen: int | None = None
    loss_report_required: bool | None = None
    """Whether loss reports and re-issue are offered."""
    overdraft_allowed: bool | None = None
    credit_card_allowed: bool | None = None
    forfeit_at_expiry_allowed: bool | None = None
    no_refund_clause_allowed: bool | None = None
    transfer_ban_allowed: bool | None = None
    replacement_exclusion_allowed: bool | None = None
    unilateral_change_allowed: bool | None = None
    interest_to_holders_allowed: bool | None = None


_PLAIN: dict[str, Metric] = {
    "custody_share_bp": Metric.CUSTODY_SHARE,
    "guarantee_share_bp": Metric.GUARANTEE_SHARE,
    "cooling_off_days": Metric.COOLING_OFF_DAYS,
    "cooling_off_refund_due_days": Metric.COOLING_OFF_REFUND_DUE_DAYS,
    "refund_due_days": Metric.REFUND_DUE_DAYS,
    "cash_refund_cap_fen": Metric.CASH_REFUND_CAP,
    "closing_notice_days": Metric.CLOSING_NOTICE_DAYS,
    "terms_change_notice_days": Metric.TERMS_CHANGE_NOTICE,
    "fee_change_notice_days": Metric.FEE_CHANGE_NOTICE,
    "replacement_fee_fen": Metric.REPLACEMENT_FEE_CAP,
    "issue_fee_fen": Metric.ISSUE_FEE_CAP,
    "load_fee_fen": Metric.LOAD_FEE_CAP,
    "dormancy_fee_fen": Metric.DORMANCY_FEE_CAP,
    "dormancy_fee_after_months": Metric.DORMANCY_FEE_WAIT_MONTHS,
    "rebate_cap_bp": Metric.REBATE_CAP,
    "voucher_validity_max_days": Metric.VOUCHER_VALIDITY_MAX_DAYS,
    "lottery_prize_cap_fen": Metric.LOTTERY_PRIZE_CAP,
    "loss_report_required": Metric.LOSS_REPORT_REQUIRED,
    "overdraft_allowed": Metric.OVERDRAFT_ALLOWED,
    "credit_card_allowed": Metric.CREDIT_CARD_ALLOWED,
    "forfeit_at_expiry_allowed": Metric.FORFEIT_AT_EXPIRY_ALLOWED,
    "no_refund_clause_allowed": Metric.NO_REFUND_CLAUSE_ALLOWED,
    "transfer_ban_allowed": Metric.TRANSFER_BAN_ALLOWED,
    "replacement_exclusion_allowed": Metric.REPLACEMENT_EXCLUSION_ALLOWED,
    "unilateral_change_allowed": Metric.UNILATERAL_CHANGE_ALLOWED,
    "interest_to_holders_allowed": Metric.INTEREST_TO_HOLDERS_ALLOWED,
}
"""Terms whose value is compared with that of one metric."""

_FEES: dict[str, tuple[Metric, ...]] = {
    "issue_fee_fen": (Metric.ISSUE_FEE_ALLOWED,),
    "load_fee_fen": (Metric.LOAD_FEE_ALLOWED,),
    # what wanes because time passes has an end, and is forfeited by it: a card that may have none, or may not be
    # forfeited at its end, pays for no time either
    "dormancy_fee_fen": (Metric.DORMANCY_FEE_ALLOWED, Metric.EXPIRY_ALLOWED, Metric.FORFEIT_AT_EXPIRY_ALLOWED),
}
"""Fees, with what must be allowed for each."""

Ask = Callable[[Metric], Fact | None]


def check_terms(rules: RuleBook, terms: Terms) -> list[Refusal]:
    """Every term that breaks a rule of law or of the house: ``terms_break_rule`` with the rule and its source.

    The list is empty when the terms may stand. Advisory rows refuse nothing.
    """

    def ask(metric: Metric) -> Fact | None:
        return rules.ask(
            Question(
                metric,
                terms.jurisdiction,
                terms.on,
                scheme=terms.scheme,
                issuer_class=terms.issuer_class,
                card_class=terms.card_class,
                industry=terms.industry,
                conditions=terms.conditions,
            )
        )

    found = [*_check_amounts(terms, ask), *_check_validity(terms, ask), *_check_fees(terms, ask)]
    for field, metric in _PLAIN.items():
        value: int | None = getattr(terms, field)
        fact = None if value is None else ask(metric)
        if value is not None and fact is not None and is_weaker(metric, int(value), fact.value):
            found.append(_refuse(field, fact, metric, int(value)))
    return found


def _check_amounts(terms: Terms, ask: Ask) -> list[Refusal]:
    fact = ask(Metric.CARD_BALANCE_CAP)
    if fact is None:
        return []
    found = []
    if terms.cap_fen is None:
        demand, demand_zh = show_demand(fact.rule)
        allowed = f"must be set, since a card may hold {demand}"
        found.append(_because(fact, "cap_fen", allowed, f"须设定限额，单张卡{demand_zh}"))
    elif terms.cap_fen > fact.number:
        found.append(_refuse("cap_fen", fact, fact.rule.metric, terms.cap_fen))
    for position, denomination_fen in enumerate(terms.denominations_fen):
        if denomination_fen > fact.number:
            found.append(_refuse(f"denominations_fen[{position}]", fact, fact.rule.metric, denomination_fen))
    return found


def _check_validity(terms: Terms, ask: Ask) -> list[Refusal]:
    if terms.validity_days is None:
        return []
    allowed = ask(Metric.EXPIRY_ALLOWED)
    if allowed is not None and not allowed.yes:
        en = f"must be absent: a card of this kind may have no expiry, and these terms set {terms.validity_days:,} days"
        zh = f"不得设定：此类卡不得设有效期，而条款设定 {terms.validity_days:,} 天"
        return [_because(allowed, "validity_days", en, zh)]
    years = ask(Metric.VALIDITY_MIN_YEARS)
    if years is None:
        return []
    least = longest_days(years.number)
    if terms.validity_days >= least:
        return []
    demand, demand_zh = show_demand(years.rule)
    en = f"{terms.validity_days:,} days are too few: {demand}, which are up to {least:,} days with leap years"
    zh = f"{terms.validity_days:,} 天过短：有效期{demand_zh}（含闰年最多 {least:,} 天）"
    return [_because(years, "validity_days", en, zh)]


def fee_is_barred(ask: Ask, field: str) -> Fact | None:
    """The rule that allows no such fee at all; None where none speaks against it."""
    for metric in _FEES[field]:
        fact = ask(metric)
        if fact is not None and not fact.yes:
            return fact
    return None


def _check_fees(terms: Terms, ask: Ask) -> list[Refusal]:
    found = []
    for field in _FEES:
        fact = None if getattr(terms, field) is None else fee_is_barred(ask, field)
        if fact is not None:
            en, zh = f"must be 0: {fact.rule.title_en}", f"应为 0：{fact.rule.title_zh}"
            found.append(_because(fact, field, en, zh))
    return found


def longest_days(years: int) -> int:
    """The days of the longest span of so many years: a leap day falls into every fourth year at the most.

    >>> longest_days(3), longest_days(5)
    (1096, 1827)
    """
    return years * _DAYS_PER_YEAR + -(-years // 4)


def _refuse(field: str, fact: Fact, metric: Metric, value: int) -> Refusal:
    (said, said_zh), (demand, demand_zh) = show_value(metric, value), show_demand(fact.rule)
    if metric.operator in (Operator.MUST, Operator.MAY):
        return _because(
            fact, field, f"{fact.rule.metric.en}: {demand}, not {said}", f"{metric.zh}：{demand_zh}，而非{said_zh}"
        )
    return _because(fact, field, f"{said} is not allowed: {demand}", f"{said_zh} 不符合规定：{demand_zh}")


def _because(fact: Fact, field: str, allowed: str, allowed_zh: str) -> Refusal:
    return TERMS_BREAK_RULE.refuse(
        field, allowed=allowed, allowed_zh=allowed_zh, rule=fact.rule_id, source=show_source(fact.rule)
    )
