"""Whether a campaign may be: its own sense, and what law and house say. Every fault is told, with its field. Pure."""

import re
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from typing import Any

import msgspec

from kaquan.kit.outcomes import INVALID_FIELD, Refusal
from kaquan.policy import Metric, Question, RuleBook, is_weaker, show_demand, show_source, show_value
from kaquan.promotions.kind import Fault, LoadKind, find_kinds
from kaquan.promotions.outcomes import CAMPAIGN_BREAKS_RULE
from kaquan.promotions.terms import (
    Budget,
    BudgetMetric,
    CampaignTerms,
    Conditions,
    Offer,
    Stacking,
    StackingPolicy,
)
from kaquan.promotions.tiers import check_amount, check_count
from kaquan.promotions.types import BudgetReturn, Funder, FunderKind

MAX_OFFERS = 50
MAX_BUDGETS = 20
MAX_FUNDERS = 10
MAX_NAME = 80
MAX_LABEL = 64
MAX_CONTROL_BP = 5_000
MAX_LIFE = timedelta(days=3 * 366)
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_DAY_MINUTES = 24 * 60


def check_campaign(terms: CampaignTerms) -> list[Refusal]:
    """Everything that makes no sense, as ``invalid_field``; empty: the campaign may be stored."""
    faults = [
        *_check_names(terms),
        *_check_time(terms),
        *check_funders("funders", terms.funders),
        *_check_budgets(terms.budgets),
    ]
    if not 0 <= terms.control_bp <= MAX_CONTROL_BP:
        faults.append(Fault("control_bp", f"must be from 0 to {MAX_CONTROL_BP}", f"应为 0 至 {MAX_CONTROL_BP}"))
    if not 1 <= len(terms.offers) <= MAX_OFFERS:
        faults.append(Fault("offers", f"must be 1 to {MAX_OFFERS} offers", f"应为 1 至 {MAX_OFFERS} 项优惠"))
    for place, offer in enumerate(terms.offers):
        faults += [fault._replace(field=f"offers[{place}].{fault.field}") for fault in check_offer(offer)]
    return [INVALID_FIELD.refuse(fault.field, allowed=fault.allowed, allowed_zh=fault.allowed_zh) for fault in faults]


def check_offer(offer: Offer) -> list[Fault]:
    """What is wrong with one offer: its parameters, conditions, stacking, funders."""
    kind: Any = find_kinds()[offer.kind]
    faults = [*_check_name("name", offer.name)]
    faults += [fault._replace(field=f"params.{fault.field}") for fault in kind.check(offer.params)]
    faults += [fault._replace(field=f"conditions.{fault.field}") for fault in _check_conditions(offer.conditions)]
    faults += [fault._replace(field=f"stacking.{fault.field}") for fault in _check_stacking(offer.stacking)]
    if offer.funders:
        faults += check_funders("funders", offer.funders)
    if isinstance(kind, LoadKind) and offer.conditions.goods != Conditions().goods:
        faults.append(Fault("conditions.goods", "must be absent: a top-up has no goods", "充值优惠不能限定商品"))
    return faults


def _check_names(terms: CampaignTerms) -> Iterator[Fault]:
    if not _CODE.fullmatch(terms.code):
        yield Fault("code", "must be 1 to 40 letters, digits, _ or -", "应为 1 至 40 位字母、数字、_ 或 -")
    yield from _check_name("name", terms.name)
    for part, names in (("offers", [one.name for one in terms.offers]), ("budgets", [b.name for b in terms.budgets])):
        for place, name in enumerate(names):
            if name in names[:place]:
                yield Fault(f"{part}[{place}].name", "must be another than those before", "名称不得重复")


def _check_name(field: str, name: str) -> Iterator[Fault]:
    if not 1 <= len(name.strip()) <= MAX_NAME:
        yield Fault(field, f"must be 1 to {MAX_NAME} characters", f"应为 1 至 {MAX_NAME} 个字符")


def _check_time(terms: CampaignTerms) -> list[Fault]:
    """The campaign's time, and that of each offer within it."""
    faults = [*_check_clock("starts_at", terms.starts_at), *_check_clock("ends_at", terms.ends_at)]
    for place, offer in enumerate(terms.offers):
        own = offer.conditions
        for name, at in (("starts_at", own.starts_at), ("ends_at", own.ends_at)):
            faults += [] if at is None else _check_clock(f"offers[{place}].conditions.{name}", at)
    if faults:
        return faults
    faults += _check_window("", terms.starts_at, terms.ends_at)
    if terms.ends_at - terms.starts_at > MAX_LIFE:
        faults.append(Fault("ends_at", f"must be at most {MAX_LIFE.days} days later", f"活动最长 {MAX_LIFE.days} 天"))
    for place, offer in enumerate(terms.offers):
        field, own = f"offers[{place}].conditions.", offer.conditions
        if own.starts_at is not None and own.starts_at < terms.starts_at:
            faults.append(Fault(f"{field}starts_at", "must not be before the campaign's", "不得早于活动开始"))
        if own.ends_at is not None and own.ends_at > terms.ends_at:
            faults.append(Fault(f"{field}ends_at", "must not be after the campaign's", "不得晚于活动结束"))
        if own.starts_at is not None or own.ends_at is not None:
            faults += _check_window(field, own.starts_at or terms.starts_at, own.ends_at or terms.ends_at)
    return faults


def _check_clock(field: str, at: datetime) -> list[Fault]:
    if at.tzinfo is None and not at.second and not at.microsecond:
        return []
    return [
        Fault(
            field,
            "must be a wall clock of whole minutes without a zone, such as 2026-05-01T00:00:00",
            "应为不带时区、精确到分钟的当地时间，例如 2026-05-01T00:00:00",
        )
    ]


def _check_window(prefix: str, starts_at: datetime, ends_at: datetime) -> Iterator[Fault]:
    if ends_at <= starts_at:
        yield Fault(f"{prefix}ends_at", "must be after starts_at", "须晚于 starts_at")


def check_funders(field: str, funders: tuple[Funder, ...]) -> list[Fault]:
    """Who pays: their shares are the whole, and only somebody outside has an id."""
    faults = []
    if not 1 <= len(funders) <= MAX_FUNDERS or sum(funder.share_bp for funder in funders) != 10_000:
        faults.append(Fault(field, "the shares must sum to 10000", "各方比例之和应为 10000"))
    if len({funder[:2] for funder in funders}) != len(funders):
        faults.append(Fault(field, "must name each funder once", "出资方不得重复"))
    for place, funder in enumerate(funders):
        if not 0 < funder.share_bp <= 10_000:
            faults.append(Fault(f"{field}[{place}].share_bp", "must be from 1 to 10000", "应为 1 至 10000"))
        if (funder.kind is FunderKind.PARTY) is (funder.party_id is None):
            faults.append(
                Fault(
                    f"{field}[{place}].party_id",
                    "must be there for a party, and only for a party",
                    "仅外部出资方须填写，且必须填写",
                )
            )
    return faults


def _check_budgets(budgets: tuple[Budget, ...]) -> Iterator[Fault]:
    if len(budgets) > MAX_BUDGETS:
        yield Fault("budgets", f"must be at most {MAX_BUDGETS}", f"最多 {MAX_BUDGETS} 项")
    for place, budget in enumerate(budgets):
        yield from _check_name(f"budgets[{place}].name", budget.name)
        yield from check_amount(f"budgets[{place}].maximum", budget.maximum)
        if budget.on_return is BudgetReturn.SHARE and budget.metric is not BudgetMetric.AMOUNT:
            yield Fault(
                f"budgets[{place}].on_return", "share is for budgets of amounts", "share 仅适用于金额预算（amount）"
            )


def _check_conditions(told: Conditions) -> Iterator[Fault]:
    if not told.weekdays <= set(range(1, 8)):
        yield Fault("weekdays", "must be from 1 (Monday) to 7 (Sunday)", "应为 1（周一）至 7（周日）")
    if not told.days_of_month <= set(range(1, 32)):
        yield Fault("days_of_month", "must be from 1 to 31", "应为 1 至 31")
    for place, part in enumerate(told.hours):
        fits = 0 <= part.from_minute < _DAY_MINUTES and 0 <= part.to_minute <= _DAY_MINUTES
        if not fits or part.from_minute == part.to_minute:
            yield Fault(
                f"hours[{place}]",
                "must be two different minutes of the day, from 0 to 1439 and to 1440",
                "应为当日两个不同的分钟数：起 0 至 1439，止不超过 1440",
            )
    goods = told.goods
    if goods.skus & goods.except_skus:
        yield Fault("goods.except_skus", "must not be among skus", "不得与 skus 重复")
    if goods.categories & goods.except_categories:
        yield Fault("goods.except_categories", "must not be among categories", "不得与 categories 重复")
    for name in ("districts", "segments", "except_segments"):
        if any(not 1 <= len(one) <= MAX_LABEL or one != one.strip() for one in getattr(told, name)):
            yield Fault(
                name,
                f"must be 1 to {MAX_LABEL} characters each, without spaces around",
                f"每项应为 1 至 {MAX_LABEL} 个字符，首尾不得有空格",
            )
    if told.segments & told.except_segments:
        yield Fault("except_segments", "must not be among segments", "不得与 segments 重复")


def _check_stacking(told: Stacking) -> list[Fault]:
    faults = check_count("max_vouchers", told.max_vouchers, most=100)
    faults += check_count("order", told.order, least=0, most=1_000_000)
    if len(told.group) > MAX_NAME:
        faults.append(Fault("group", f"must be at most {MAX_NAME} characters", f"最多 {MAX_NAME} 个字符"))
    return faults


def check_rules(rules: RuleBook, terms: CampaignTerms, *, jurisdiction: str, on: date) -> list[Refusal]:
    """What law and house say: ceilings on rebates of loads, on the life of vouchers, on prizes by chance.

    Each ``campaign_breaks_rule`` names the field, the rule and its source. Advisory rows refuse nothing.
    """
    found = []
    for field, metric, value in _asked(terms):
        fact = rules.ask(Question(metric, jurisdiction, on))
        if fact is not None and is_weaker(metric, value, fact.number):
            (said, said_zh), (demand, demand_zh) = show_value(metric, value), show_demand(fact.rule)
            found.append(
                CAMPAIGN_BREAKS_RULE.refuse(
                    field,
                    allowed=f"{said} is not allowed: {demand}",
                    allowed_zh=f"{said_zh} 不符合规定：{demand_zh}",
                    rule=fact.rule_id,
                    source=show_source(fact.rule),
                )
            )
    return found


def _asked(terms: CampaignTerms) -> Iterator[tuple[str, Metric, int]]:
    for place, offer in enumerate(terms.offers):
        kind = find_kinds()[offer.kind]
        field = f"offers[{place}].params"
        if isinstance(kind, LoadKind):
            rebate_bp, prize_fen = kind.rebate_bp(offer.params), kind.prize_fen(offer.params)
            if rebate_bp is not None:
                yield field, Metric.REBATE_CAP, rebate_bp
            if prize_fen is not None:
                yield field, Metric.LOTTERY_PRIZE_CAP, prize_fen
        for path, days in _voucher_lives(msgspec.to_builtins(offer.params), field):
            yield path, Metric.VOUCHER_VALIDITY_MAX_DAYS, days


def _voucher_lives(told: Any, path: str) -> Iterator[tuple[str, int]]:
    """Wherever in the parameters the life of vouchers is told."""
    items: Iterable[tuple[str, Any]] = ()
    if isinstance(told, dict):
        items = ((f"{path}.{name}", value) for name, value in told.items())
    elif isinstance(told, list | tuple):
        items = ((f"{path}[{place}]", value) for place, value in enumerate(told))
    for name, value in items:
        if name.endswith(".valid_days"):
            yield name, value
        else:
            yield from _voucher_lives(value, name)


def check_policy(policy: StackingPolicy) -> Refusal | None:
    """Whether a stacking policy makes sense. Refused: ``invalid_field``."""
    faults: list[Fault] = []
    if not 0 <= policy.max_discount_bp <= 10_000:
        faults.append(Fault("max_discount_bp", "must be from 0 to 10000 (100 %)", "应为 0 至 10000（100%）"))
    if policy.max_discount_fen is not None:
        faults += check_amount("max_discount_fen", policy.max_discount_fen, least=0)
    if policy.max_day_fen is not None:
        faults += check_amount("max_day_fen", policy.max_day_fen)
    faults += check_count("max_offers", policy.max_offers, most=100)
    return next((INVALID_FIELD.refuse(f.field, allowed=f.allowed, allowed_zh=f.allowed_zh) for f in faults), None)
