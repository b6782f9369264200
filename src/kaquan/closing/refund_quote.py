"""The refund calculator: what a holder is paid when a card ends, with the formula line by line.

Pure, in whole fen, with every rounding written:

- what is deducted is rounded to the nearest fen, half a fen down (towards the holder);
- interest is rounded to the nearest fen for each load, half a fen up (towards the holder);
- what is deducted from all loads together is split over them by :func:`kaquan.kit.money.allocate`, the oldest first.

Each load is a payment of its own: it has its own cooling-off time, its own ratio of paid to given value and its own
rate, and none can take from what another is due. Rules: 法释〔2025〕4号 articles 14 to 22, which come as
:class:`RefundRules`.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

import msgspec

from kaquan.closing.outcomes import COOLING_OFF_OVER, COSTS_NOT_DEDUCTIBLE, REFUND_RULE_MISSING
from kaquan.closing.refund_rules import Cause, CauseRule, Limit, Pricing, RefundRules, Rule, cite
from kaquan.kit.money import allocate
from kaquan.kit.outcomes import Refusal

BP = 10_000
"""Basis points of a whole."""


class LoadFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One load of a card and what became of it.

    ``spent_fen`` is what was taken of the paid and the given value together, as charged at the till;
    ``discount_fen`` how much more the same would have cost at list price. ``term_days`` with ``used_days``: a card
    for a time, without value that is spent. ``had_before``: the holder had received the same from somebody before
    the contract, which ends the right to withdraw.
    """

    load_id: UUID
    paid_on: date
    paid_fen: int
    given_fen: int = 0
    spent_fen: int = 0
    discount_fen: int = 0
    term_days: int | None = None
    used_days: int = 0
    had_before: bool = False


class RefundFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a refund is calculated from.

    ``requested_on`` is the day on which the holder asked, ``ended_on`` that on which the contract ended (interest
    begins there; None: none), ``as_of`` that for which it is calculated. ``custody_fen`` of what was paid lies in a
    custody account and bears its rate. ``costs_fen`` are reasonable costs of the issuer, ``goods_fen`` what a person
    decided for goods that were given with the card and not returned.
    """

    cause: Cause
    requested_on: date
    as_of: date
    loads: tuple[LoadFacts, ...]
    ended_on: date | None = None
    custody_fen: int = 0
    costs_fen: int = 0
    goods_fen: int = 0


class Line(msgspec.Struct, frozen=True):
    """One term of the formula. ``expression`` is how ``value`` comes about; ``unit`` is fen, days or date."""

    name: str
    load_id: str | None
    label_en: str
    label_zh: str
    expression: str
    value: int | str
    unit: str
    rule_id: str | None
    source: str | None


class LoadRefund(msgspec.Struct, frozen=True):
    """What is refunded of one load, interest apart."""

    load_id: str
    cause: Cause
    refund_fen: int
    interest_fen: int


class RefundQuote(msgspec.Struct, frozen=True):
    """A refund with its formula. ``amount_fen`` is ``principal_fen`` and ``interest_fen``."""

    cause: Cause
    requested_on: date
    as_of: date
    amount_fen: int
    principal_fen: int
    interest_fen: int
    loads: tuple[LoadRefund, ...]
    lines: tuple[Line, ...]

    @property
    def encoded(self) -> bytes:
        """The quote as it is kept and hashed: JSON, the same bytes for the same quote."""
        return msgspec.json.encode(self)

    @property
    def hash(self) -> bytes:
        """SHA-256 of :attr:`encoded`: what the holder agreed to, and what is recorded when it is posted."""
        return sha256(self.encoded).digest()


class _Counted(NamedTuple):
    facts: LoadFacts
    cause: Cause
    rule: CauseRule
    refund_fen: int


def quote_refund(rules: RefundRules, facts: RefundFacts) -> RefundQuote | Refusal:
    """Calculate a refund.

    Refused: ``refund_rule_missing`` (no rule is known for the cause, for cards for a time, or no rate for a day),
    ``cooling_off_over`` (a withdrawal, and no load is in time), ``costs_not_deductible``.
    """
    loads = sorted(facts.loads, key=lambda load: (load.paid_on, load.load_id))
    longest = max(rules.cooling_off, key=lambda limit: limit.value, default=None)
    lines: list[Line] = []
    counted: list[_Counted] = []
    for load in loads:
        cause = _cause_of(load, facts, longest)
        if cause not in rules.causes:
            return REFUND_RULE_MISSING.refuse("cause", what=f"pricing.{cause.value}")
        if load.term_days is not None and rules.term is None:
            return REFUND_RULE_MISSING.refuse("cause", what="term")
        if facts.cause is Cause.WITHDRAWAL and longest is not None:
            lines.append(_cooling_off_line(load, longest))
        rule = rules.causes[cause]
        refund_fen = _count_load(rules, rule, load, lines)
        counted.append(_Counted(load, cause, rule, refund_fen))
    if facts.cause is Cause.WITHDRAWAL and not any(one.cause is Cause.WITHDRAWAL for one in counted):
        last = max((last_day(load.paid_on, longest) for load in loads if longest is not None), default=None)
        return COOLING_OFF_OVER.refuse(
            "cause",
            last_day="-" if last is None else last.isoformat(),
            **cite(None if longest is None else longest.rule),
        )
    if facts.costs_fen and (rules.costs is None or facts.cause is not Cause.WITHDRAWAL):
        return COSTS_NOT_DEDUCTIBLE.refuse("costs_fen")
    refunds = _deduct(rules, facts, counted, lines)
    interest = _interest(rules, facts, counted, refunds, lines)
    if isinstance(interest, Refusal):
        return interest
    principal_fen, interest_fen = sum(refunds), sum(interest)
    lines.append(
        Line(
            "amount", None, "Refund", "应退金额",
            f"{yuan(principal_fen)} + {yuan(interest_fen)}", principal_fen + interest_fen, "fen",
            rules.base.rule_id, rules.base.source,
        )
    )  # fmt: skip
    return RefundQuote(
        facts.cause,
        facts.requested_on,
        facts.as_of,
        principal_fen + interest_fen,
        principal_fen,
        interest_fen,
        tuple(
            LoadRefund(one.facts.load_id.hex, one.cause, refund_fen, bears_fen)
            for one, refund_fen, bears_fen in zip(counted, refunds, interest, strict=True)
        ),
        tuple(lines),
    )


def last_day(paid_on: date, limit: Limit) -> date:
    """The last day on which a payment can be withdrawn from: the day of payment does not count."""
    return paid_on + timedelta(days=limit.value)


def print_quote(quote: RefundQuote, language: str = "en") -> str:
    """The formula for people, a line for each term, in ``en`` or ``zh``."""
    shown = []
    for line in quote.lines:
        label = line.label_zh if language == "zh" else line.label_en
        value = yuan(line.value) if line.unit == "fen" and isinstance(line.value, int) else str(line.value)
        rule = f"  [{line.rule_id}; {line.source}]" if line.rule_id is not None else ""
        shown.append(f"{label}: {line.expression} = {value}{rule}")
    return "\n".join(shown)


def yuan(fen: int) -> str:
    """An amount for people: hundredths after a point.

    >>> yuan(8333)
    '83.33'
    """
    return f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02}"


def nearest_down(numerator: int, denominator: int) -> int:
    """A fraction, not below zero, to the nearest whole number, a half down.

    >>> [nearest_down(n, 4) for n in (1, 2, 3, 6)]
    [0, 0, 1, 1]
    """
    return -((denominator - 2 * numerator) // (2 * denominator))


def nearest_up(numerator: int, denominator: int) -> int:
    """A fraction, not below zero, to the nearest whole number, a half up.

    >>> [nearest_up(n, 4) for n in (1, 2, 3, 6)]
    [0, 1, 1, 2]
    """
    return (2 * numerator + denominator) // (2 * denominator)


def _cause_of(load: LoadFacts, facts: RefundFacts, longest: Limit | None) -> Cause:
    """A withdrawal that comes too late for this load is a reason of the holder's."""
    if facts.cause is not Cause.WITHDRAWAL:
        return facts.cause
    in_time = longest is not None and facts.requested_on <= last_day(load.paid_on, longest) and not load.had_before
    return Cause.WITHDRAWAL if in_time else Cause.HOLDER


def _cooling_off_line(load: LoadFacts, limit: Limit) -> Line:
    return Line(
        "cooling_off", load.load_id.hex, "Last day to withdraw", "冷静期截止日",
        f"{load.paid_on.isoformat()} + {limit.value}", last_day(load.paid_on, limit).isoformat(), "date",
        limit.rule.rule_id, limit.rule.source,
    )  # fmt: skip


def _count_load(rules: RefundRules, rule: CauseRule, load: LoadFacts, lines: list[Line]) -> int:
    """What is refunded of a load before what all loads bear together; its lines are added."""
    load_id = load.load_id.hex
    paid = yuan(load.paid_fen)
    lines.append(Line("paid", load_id, "Paid", "已付本金", paid, load.paid_fen, "fen", *_at(rules.base)))
    if load.term_days is not None:
        assert rules.term is not None
        used = min(load.used_days, load.term_days)
        redeemed_fen = nearest_down(load.paid_fen * used, load.term_days)
        expression, at = f"{paid} × {used} ÷ {load.term_days}", rules.term
    elif rule.pricing is Pricing.LIST:
        redeemed_fen, at = load.spent_fen + load.discount_fen, rule.rule
        expression = yuan(load.spent_fen) + (f" + {yuan(load.discount_fen)}" if load.discount_fen else "")
    elif load.given_fen:
        whole = load.paid_fen + load.given_fen
        redeemed_fen, at = nearest_down(load.spent_fen * load.paid_fen, whole), rule.rule
        expression = f"{yuan(load.spent_fen)} × {paid} ÷ ({paid} + {yuan(load.given_fen)})"
    else:
        redeemed_fen, expression, at = load.spent_fen, yuan(load.spent_fen), rule.rule
    lines.append(Line("redeemed", load_id, "Deducted for what was spent", "已兑付金额", expression,
                      redeemed_fen, "fen", *_at(at)))  # fmt: skip
    refund_fen = max(0, load.paid_fen - redeemed_fen)
    floored = redeemed_fen > load.paid_fen
    expression = f"{paid} - {yuan(redeemed_fen)}"
    lines.append(
        Line(
            "remaining", load_id, "Left of this load", "本笔应退",
            f"max(0, {expression})" if floored else expression, refund_fen, "fen",
            *_at(rules.no_clawback if floored else rules.base),
        )
    )  # fmt: skip
    return refund_fen


def _at(rule: Rule) -> tuple[str, str]:
    return rule.rule_id, rule.source


def _deduct(rules: RefundRules, facts: RefundFacts, counted: Sequence[_Counted], lines: list[Line]) -> list[int]:
    """What is left of each load after costs and goods; never below zero."""
    refunds = [one.refund_fen for one in counted]
    for name, en, zh, asked_fen, rule in (
        ("costs", "Reasonable costs", "合理费用", facts.costs_fen, rules.costs),
        ("goods", "Goods given and not returned", "未退回的赠品", facts.goods_fen, None),
    ):
        if not asked_fen:
            continue
        total_fen = sum(refunds)
        deducted_fen = min(asked_fen, total_fen)
        lines.append(
            Line(
                name, None, en, zh, f"min({yuan(asked_fen)}, {yuan(total_fen)})", -deducted_fen, "fen",
                *((None, None) if rule is None else _at(rule)),
            )
        )  # fmt: skip
        parts = allocate(deducted_fen, refunds)
        refunds = [refund - part for refund, part in zip(refunds, parts, strict=True)]
    return refunds


def _interest(
    rules: RefundRules,
    facts: RefundFacts,
    counted: Sequence[_Counted],
    refunds: Sequence[int],
    lines: list[Line],
) -> list[int] | Refusal:
    """The interest of each load from the day the contract ended: on its part in custody at the custody account's rate,
    on the rest at the rate of the day of payment."""
    days = 0 if facts.ended_on is None else (facts.as_of - facts.ended_on).days
    if days <= 0 or (not any(one.rule.rate is not None for one in counted) and rules.custody_rate is None):
        return [0] * len(counted)
    assert facts.ended_on is not None
    if rules.year_days is None or rules.interest_from is None:
        what = "year_days" if rules.year_days is None else "interest_from"
        return REFUND_RULE_MISSING.refuse("cause", what=what)
    lines.append(
        Line(
            "interest_days", None, "Days of interest", "计息天数",
            f"{facts.as_of.isoformat()} - {facts.ended_on.isoformat()}", days, "days", *_at(rules.interest_from),
        )
    )  # fmt: skip
    kept = [0] * len(counted)
    if rules.custody_rate is not None and any(refunds):
        kept = allocate(min(facts.custody_fen, sum(refunds)), refunds)
    interest: list[int] = []
    for one, refund_fen, kept_fen in zip(counted, refunds, kept, strict=True):
        earned_fen = 0
        for base_fen, name, day in (
            (kept_fen, rules.custody_rate, facts.ended_on),
            (refund_fen - kept_fen, one.rule.rate, one.facts.paid_on),
        ):
            if name is None or not base_fen:
                continue
            rate = rules.rate_at(name, day)
            if rate is None:
                return REFUND_RULE_MISSING.refuse("cause", what=f"rate.{name}.{day.isoformat()}")
            part_fen = nearest_up(base_fen * rate.rate_bp * days, BP * rules.year_days)
            lines.append(
                Line(
                    "interest", one.facts.load_id.hex, f"Interest at {name}", f"利息（{name}）",
                    f"{yuan(base_fen)} × {rate.rate_bp // 100}.{rate.rate_bp % 100:02}% × {days} ÷ {rules.year_days}",
                    part_fen, "fen", *_at(rate.rule),
                )
            )  # fmt: skip
            earned_fen += part_fen
        interest.append(earned_fen)
    return interest
