"""What a purchase earns, and in which tier somebody is: pure.

Worked examples of a programme that gives a point for each yuan, twice for fresh goods on Wednesdays, none for tobacco:

>>> from datetime import datetime
>>> from uuid import UUID
>>> terms = PointsTerms(
...     rules=(
...         EarningRule(name="烟", points=0, per_fen=100, categories=frozenset({"烟"})),
...         EarningRule(name="基本", points=1, per_fen=100),
...     ),
...     multipliers=(Multiplier(name="周三双倍", factor_bp=20_000, weekdays=frozenset({3})),),
... )
>>> def on(day, *lines):
...     bought = [BoughtLine(n, frozenset({kind}), fen) for n, (kind, fen) in enumerate(lines, 1)]
...     return price_points(terms, Bought(datetime(2026, 3, day), UUID(int=1), UUID(int=2), None, bought))
>>> on(3, ("菜", 12_99)).points, on(3, ("菜", 12_99), ("果", 1)).points  # rounded once, not line by line
(12, 13)
>>> on(4, ("菜", 12_99), ("烟", 50_00)).points, on(4, ("菜", 12_99), ("烟", 50_00)).basis_fen  # a Wednesday
(25, 1299)
>>> [part.points for part in on(3, ("菜", 50_00), ("果", 25_50), ("肉", 25_50)).parts]
[50, 26, 25]
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from math import floor
from zoneinfo import ZoneInfo

from kaquan.cards import end_of_day
from kaquan.kit.money import MAX_FEN, allocate
from kaquan.kit.outcomes import Refusal
from kaquan.points.outcomes import invalid
from kaquan.points.types import (
    WHOLE_BP,
    Bought,
    BoughtLine,
    Earned,
    EarningRule,
    LinePoints,
    Multiplier,
    PointsTerms,
    Rounding,
)

NOTHING_EARNED = Earned(0, 0, WHOLE_BP, ())

MAX_FACTOR_BP = 1_000_000


def price_points(terms: PointsTerms, bought: Bought) -> Earned:
    """What a purchase earns. The parts are split as :func:`kaquan.kit.money.allocate` splits."""
    factor_bp = max(
        (one.factor_bp for one in terms.multipliers if _holds_now(one, bought)),
        default=WHOLE_BP,
    )
    exact: list[Fraction] = []
    lines: list[BoughtLine] = []
    for line in bought.lines:
        rule = next((one for one in terms.rules if _holds_for(one, bought, line)), None)
        if rule is not None and rule.points and line.paid_fen > 0:
            lines.append(line)
            exact.append(Fraction(line.paid_fen * rule.points * factor_bp, rule.per_fen * WHOLE_BP))
    if not lines:
        return NOTHING_EARNED
    whole = sum(exact, Fraction())
    points = floor(whole + Fraction(1, 2)) if terms.rounding is Rounding.HALF_UP else floor(whole)
    scale = _common(exact)
    parts = allocate(points, [int(one * scale) for one in exact])
    return Earned(
        points,
        sum(line.paid_fen for line in lines),
        factor_bp,
        tuple(LinePoints(line.number, line.paid_fen, part) for line, part in zip(lines, parts, strict=True)),
    )


def _common(parts: Sequence[Fraction]) -> int:
    """A number that makes all of them whole."""
    scale = 1
    for part in parts:
        scale *= (part * scale).denominator
    return scale


def _holds_for(rule: EarningRule, bought: Bought, line: BoughtLine) -> bool:
    return (
        (not rule.trades or bought.trade in rule.trades)
        and (not rule.merchant_ids or bought.merchant_id in rule.merchant_ids)
        and (not rule.store_ids or bought.store_id in rule.store_ids)
        and (not rule.categories or not rule.categories.isdisjoint(line.categories))
    )


def _holds_now(one: Multiplier, bought: Bought) -> bool:
    day = bought.local.date()
    return (
        (not one.tiers or bought.tier in one.tiers)
        and (not one.weekdays or day.isoweekday() in one.weekdays)
        and (not one.days_of_month or day.day in one.days_of_month)
        and (not one.birthday_month or bought.birth_month == day.month)
        and (one.first_day is None or one.first_day <= day)
        and (one.last_day is None or day <= one.last_day)
    )


def due_of(parts: Sequence[LinePoints], returned: Mapping[int, int]) -> int:
    """How many of a purchase's points are to be given back when so much of each line was brought back: rounded down for
    each line, all of a line that came back whole.

    >>> due_of((LinePoints(1, 5_000, 51), LinePoints(2, 2_550, 25)), {1: 2_500, 2: 2_550})
    50
    """
    return sum(
        part.points * min(returned.get(part.number, 0), part.basis_fen) // part.basis_fen
        for part in parts
        if part.basis_fen
    )


def assess_tier(terms: PointsTerms, reached: int) -> str | None:
    """The highest tier that so many points (or fen) in the window reach; None: none.

    >>> from kaquan.points.types import TierRule
    >>> terms = PointsTerms(rules=(), tiers=(TierRule(name="银", least=1_000), TierRule(name="金", least=5_000)))
    >>> [assess_tier(terms, points) for points in (999, 1_000, 7_000)]
    [None, '银', '金']
    """
    return next((tier.name for tier in reversed(terms.tiers) if reached >= tier.least), None)


def rank_of(terms: PointsTerms, tier: str | None) -> int:
    """The place of a tier: more is better; 0 for none, and for one that there is no more."""
    return next((place for place, one in enumerate(terms.tiers, start=1) if one.name == tier), 0)


def check_terms(terms: PointsTerms) -> Refusal | None:
    """Whether terms can be. Refused: ``invalid_field`` with the field."""
    for number, rule in enumerate(terms.rules):
        if not 0 <= rule.points <= 10**6 or not 1 <= rule.per_fen <= MAX_FEN:
            return invalid(
                f"rules[{number}]",
                "must give 0 to 1000000 points for each 1 fen or more",
                allowed_zh="积分或金额超出范围",
            )
    for number, one in enumerate(terms.multipliers):
        if not 0 <= one.factor_bp <= MAX_FACTOR_BP:
            return invalid(
                f"multipliers[{number}].factor_bp",
                f"must be from 0 to {MAX_FACTOR_BP}",
                allowed_zh=f"应为 0 至 {MAX_FACTOR_BP}",
            )
        if not one.weekdays <= set(range(1, 8)) or not one.days_of_month <= set(range(1, 32)):
            return invalid(f"multipliers[{number}]", "there is no such day", allowed_zh="日期不存在")
        if one.first_day is not None and one.last_day is not None and one.last_day < one.first_day:
            return invalid(
                f"multipliers[{number}].last_day", "must not be before first_day", allowed_zh="不得早于 first_day"
            )
    tiers = {tier.name for tier in terms.tiers}
    unknown = {tier for one in terms.multipliers for tier in one.tiers} - tiers
    if unknown:
        names = ", ".join(sorted(unknown))
        return invalid("multipliers", f"there is no tier {names}", allowed_zh=f"没有等级 {names}")
    least = [tier.least for tier in terms.tiers]
    if len(tiers) < len(terms.tiers) or least != sorted(set(least)) or any(one < 0 for one in least):
        return invalid("tiers", "must rise, each name once", allowed_zh="须逐级递增且名称不重复")
    return _check_keeping(terms) or _check_spending(terms)


def _check_keeping(terms: PointsTerms) -> Refusal | None:
    if terms.valid_days is not None and terms.valid_years is not None:
        return invalid(
            "valid_days", "give valid_days or valid_years", allowed_zh="valid_days 与 valid_years 只能取其一"
        )
    for name, low, high in (
        ("pending_days", 0, 365),
        ("valid_days", 1, 36_500),
        ("valid_years", 0, 100),
        ("tier_window_days", 1, 3_650),
        ("tier_keep_days", 0, 3_650),
        ("remind_days", 0, 365),
    ):
        value = getattr(terms, name)
        if value is not None and not low <= value <= high:
            return invalid(name, f"must be from {low} to {high}", allowed_zh=f"应为 {low} 至 {high}")
    if terms.valid_days is not None and terms.valid_days <= terms.pending_days:
        return invalid("valid_days", "must be more than pending_days", allowed_zh="须大于 pending_days")
    return None


def _check_spending(terms: PointsTerms) -> Refusal | None:
    if (terms.spend_points == 0) != (terms.spend_fen == 0) or terms.spend_points < 0 or terms.spend_fen < 0:
        return invalid(
            "spend_points", "give spend_points and spend_fen, or neither", allowed_zh="须与 spend_fen 同时给出"
        )
    if not 1 <= terms.spend_max_bp <= WHOLE_BP:
        return invalid("spend_max_bp", f"must be from 1 to {WHOLE_BP}", allowed_zh=f"应为 1 至 {WHOLE_BP}")
    if terms.spend_step < 1 or terms.spend_least < 1:
        return invalid("spend_step", "must be at least 1", allowed_zh="至少为 1")
    if terms.spend_points and terms.spend_step * terms.spend_fen % terms.spend_points:
        return invalid("spend_step", "must be worth whole fen", allowed_zh="每步积分须折合整数分")
    return None


def end_of_points(terms: PointsTerms, earned_at: datetime, *, time_zone: str) -> datetime | None:
    """When points end that were earned at this moment, in the issuer's zone; None: never."""
    if terms.valid_days is not None:
        return end_of_day(earned_at, valid_days=terms.valid_days, time_zone=time_zone)
    if terms.valid_years is not None:
        zone = ZoneInfo(time_zone)
        year = earned_at.astimezone(zone).year + terms.valid_years + 1
        return datetime(year, 1, 1, tzinfo=zone).astimezone(earned_at.tzinfo)
    return None
