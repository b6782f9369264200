"""Rules in words: values with their units, what an operator allows, and sources by their titles; in both languages."""

from kaquan.policy.metrics import Metric, Operator, Unit
from kaquan.policy.sources import describe_source
from kaquan.policy.types import Rule

_UNITS = {
    Unit.COUNT: ("", ""),
    Unit.DAYS: (" days", " 天"),
    Unit.WORKING_DAYS: (" working days", " 个工作日"),
    Unit.MONTHS: (" months", " 个月"),
    Unit.YEARS: (" years", " 年"),
    Unit.HOURS: (" hours", " 小时"),
    Unit.DAY_OF_MONTH: (" (day of the month)", " 日"),
    Unit.MONTH_DAY: (" (month and day)", "（月-日）"),
    Unit.CODE: ("", ""),
}
_OPERATORS = {
    Operator.AT_MOST: ("at most {}", "不超过 {}"),
    Operator.AT_LEAST: ("at least {}", "不少于 {}"),
    Operator.FROM: ("from {}", "自 {} 起"),
    Operator.MUST: ("required: {}", "必须：{}"),
    Operator.MAY: ("allowed: {}", "允许：{}"),
    Operator.IS: ("{}", "{}"),
}


def show_value(metric: Metric, value: int | str) -> tuple[str, str]:
    """A value with its unit, in English and Chinese.

    >>> show_value(Metric.CARD_BALANCE_CAP, 500_000)
    ('CNY 5,000', '5,000 元')
    >>> show_value(Metric.CUSTODY_SHARE, 1_250)
    ('12.5 %', '12.5%')
    """
    if isinstance(value, str):
        en, zh = _UNITS[metric.unit]
        return value + en, value + zh
    match metric.unit:
        case Unit.FEN:
            return f"CNY {_hundredths(value)}", f"{_hundredths(value)} 元"
        case Unit.USD_CENT:
            return f"USD {_hundredths(value)}", f"{_hundredths(value)} 美元"
        case Unit.BP:
            return f"{_hundredths(value)} %", f"{_hundredths(value)}%"
        case Unit.FLAG:
            return ("yes", "是") if value else ("no", "否")
        case Unit.MINUTE_OF_DAY:
            clock = f"{value // 60:02}:{value % 60:02}"
            return clock, clock
    en, zh = _UNITS[metric.unit]
    return f"{value:,}{en}", f"{value:,}{zh}"


def _hundredths(value: int) -> str:
    whole, part = divmod(value, 100)
    return f"{whole:,}" if part == 0 else f"{whole:,}.{part:02}".rstrip("0")


def show_demand(rule: Rule) -> tuple[str, str]:
    """What a rule demands of its metric, in English and Chinese: at least 3 years."""
    (en, zh), (wrap_en, wrap_zh) = show_value(rule.metric, rule.value), _OPERATORS[rule.operator]
    return wrap_en.format(en), wrap_zh.format(zh)


def show_source(rule: Rule) -> str:
    """The sources of a rule by their titles, with the articles."""
    return describe_source(rule.source)
