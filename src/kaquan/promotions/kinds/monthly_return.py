"""按月返还: a bonus that comes in equal monthly parts; the remainder is in the first, and a day that a month does not
have is its last.

>>> from kaquan.promotions.worked import effects, top_up
>>> gives = MonthlyReturn(from_fen=500_00, return_bp=600, months=3)  # 满500返6%，分三个月
>>> effects(gives, top_up(400_00)).gifts
()
>>> (gift,) = effects(gives, top_up(500_00)).gifts
>>> gift.amount_fen, [str(day) for day in gift.due_on]  # 1 月 31 日充值
(3000, ['2026-02-28', '2026-03-31', '2026-04-30'])
>>> gives = MonthlyReturn(from_fen=500_00, return_bp=600, months=3, most_fen=50_00)
>>> effects(gives, top_up(1_000_00)).worth_fen
5000
"""

from calendar import monthrange
from datetime import date

import msgspec

from kaquan.kit.outcomes import Refusal
from kaquan.promotions.kind import NOTHING, Effects, Fault, Gift, LoadKind, SeenLoad
from kaquan.promotions.outcomes import OFFER_BELOW_THRESHOLD, OFFER_NO_EFFECT
from kaquan.promotions.tiers import check_amount, check_bp, check_count, check_most
from kaquan.promotions.types import GrantKind


class MonthlyReturn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``return_bp`` of 10,000 of a top-up of ``from_fen`` or more, over ``months``, the first a month after it."""

    from_fen: int
    return_bp: int
    months: int
    most_fen: int | None = None


def check(params: MonthlyReturn) -> list[Fault]:
    """A share, a threshold, up to five years."""
    return [
        *check_amount("from_fen", params.from_fen),
        *check_bp("return_bp", params.return_bp),
        *check_count("months", params.months, most=60),
        *check_most(params.most_fen),
    ]


def applies(params: MonthlyReturn, seen: SeenLoad) -> Refusal | None:
    """Refused: ``offer_below_threshold``, ``offer_no_effect`` (less than a fen)."""
    amount_fen = seen.facts.amount_fen
    if amount_fen < params.from_fen:
        return OFFER_BELOW_THRESHOLD.refuse(amount_fen=amount_fen, needed_fen=params.from_fen)
    return None if effects(params, seen).gifts else OFFER_NO_EFFECT.refuse()


def effects(params: MonthlyReturn, seen: SeenLoad) -> Effects:
    """The bonus with the days of its parts."""
    amount_fen = seen.facts.amount_fen
    if amount_fen < params.from_fen:
        return NOTHING
    bonus_fen = amount_fen * params.return_bp // 10_000
    if params.most_fen is not None:
        bonus_fen = min(bonus_fen, params.most_fen)
    if not bonus_fen:
        return NOTHING
    today = seen.facts.local.date()
    due_on = tuple(months_after(today, months) for months in range(1, params.months + 1))
    return Effects(gifts=(Gift(GrantKind.BONUS, bonus_fen, due_on=due_on),))


def months_after(day: date, months: int) -> date:
    """The same day so many months later, or the last day of that month."""
    years, month = divmod(day.month - 1 + months, 12)
    return date(day.year + years, month + 1, min(day.day, monthrange(day.year + years, month + 1)[1]))


KIND = LoadKind(
    name="monthly_return",
    en="A bonus in monthly parts",
    zh="按月返还",
    params=MonthlyReturn,
    check=check,
    applies=applies,
    effects=effects,
    rebate_bp=lambda params: params.return_bp,
)
