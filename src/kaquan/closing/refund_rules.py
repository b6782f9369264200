"""What a refund is calculated by: figures of law and of the house, each with where it stands. No figure is in code."""

from collections.abc import Iterable, Sequence
from datetime import date
from enum import StrEnum
from typing import NamedTuple

import msgspec


class Cause(StrEnum):
    """Why a card ends; it decides at which price what was spent is deducted."""

    WITHDRAWAL = "withdrawal"
    """The holder changed their mind within the cooling-off time."""
    ISSUER = "issuer"
    """The issuer broke the contract, moved or closed."""
    HOLDER = "holder"
    """A reason of the holder's."""
    EXPIRY = "expiry"
    """The value expired."""
    PROGRAMME_END = "programme_end"
    """The programme is ended by its issuer."""
    VOID = "void"
    """The contract is void or was annulled."""


class Pricing(StrEnum):
    """At which price what was spent is deducted from what was paid."""

    CHARGED = "charged"
    """As charged at the till, and of value that was partly given only the paid part."""
    LIST = "list"
    """As it would have cost without the discount, and without the ratio of paid to given."""


class Rule(msgspec.Struct, frozen=True):
    """Where something stands: the id of the rule's row, and its source."""

    rule_id: str
    source: str


class Figure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One named value with where it stands. ``value`` is a number, or the word for a choice."""

    name: str
    value: int | str
    rule_id: str
    source: str

    @property
    def rule(self) -> Rule:
        return Rule(self.rule_id, self.source)


class Limit(NamedTuple):
    """A number with the rule that sets it."""

    value: int
    rule: Rule


def cite(rule: Rule | None) -> dict[str, str]:
    """The details of a refusal that a rule asks for; None: no rule says anything of it."""
    if rule is None:
        return {"basis": "no rule allows any", "basis_zh": "无规则允许"}
    return {
        "rule": rule.rule_id,
        "source": rule.source,
        "basis": f"rule {rule.rule_id}: {rule.source}",
        "basis_zh": f"规则 {rule.rule_id}：{rule.source}",
    }


class CauseRule(NamedTuple):
    """How a cause is calculated: the price, and which rate bears interest (None: no interest)."""

    pricing: Pricing
    rule: Rule
    rate: str | None = None


class DatedRate(NamedTuple):
    """An interest rate by the year, in basis points, in force from a day on."""

    name: str
    from_date: date
    rate_bp: int
    rule: Rule


class RefundRules(NamedTuple):
    """Everything that a refund is calculated by. Made by :func:`read_refund_rules`.

    ``cooling_off`` are days after the day of payment; of several the longest counts, which favours the holder.
    ``cash_limit`` is the largest amount, included, that may be paid out in cash; ``deadline`` days until a payout is
    due, and ``withdrawal_deadline`` of a withdrawal. ``custody_rate`` names the rate that money in a custody account
    earned. ``wait`` are the months after the purchase before a holder who wishes is refunded, and ``barred`` is why no
    holder who wishes is: both are the law's alone, and no terms change them.
    """

    base: Rule
    no_clawback: Rule
    causes: dict[Cause, CauseRule]
    term: Rule | None = None
    cooling_off: tuple[Limit, ...] = ()
    costs: Rule | None = None
    interest_from: Rule | None = None
    rates: tuple[DatedRate, ...] = ()
    custody_rate: str | None = None
    year_days: int | None = None
    cash_limit: Limit | None = None
    deadline: Limit | None = None
    withdrawal_deadline: Limit | None = None
    wait: Limit | None = None
    barred: Rule | None = None

    def deadline_of(self, cause: Cause) -> Limit | None:
        """Days until a payout of this cause is due; the shorter where two rules say something of a withdrawal."""
        known = [limit for limit in (self.deadline, self.withdrawal_deadline) if limit is not None]
        if cause is not Cause.WITHDRAWAL:
            return self.deadline
        return min(known, key=lambda limit: limit.value, default=None)

    def rate_at(self, name: str, day: date) -> DatedRate | None:
        """The rate of this name in force on a day."""
        known = [rate for rate in self.rates if rate.name == name and rate.from_date <= day]
        return max(known, key=lambda rate: rate.from_date, default=None)


class RulesError(ValueError):
    """The named values make no rules; the message names what is wrong."""

    def __init__(self, name: str, allowed: str, allowed_zh: str) -> None:
        super().__init__(f"{name}: {allowed}")
        self.name, self.allowed, self.allowed_zh = name, allowed, allowed_zh


VALUES = {
    "base": "what was paid less what was spent (a word: the rule's name)",
    "no_clawback": "the holder never owes anything",
    "term": "cards for a time are refunded by the days that remain",
    "cooling_off_days": "days after the day of payment; may be given several times",
    "costs_deductible": "whether costs are deducted from a withdrawal: yes or no",
    "interest_from": "interest begins when the contract ended",
    "year_days": "the days of a year that interest is counted by",
    "custody_rate": "the name of the rate of a custody account",
    "cash_limit_fen": "the most that may be paid out in cash",
    "deadline_days": "days until a payout is due",
    "withdrawal_deadline_days": "days until the payout of a withdrawal is due",
    "pricing.CAUSE": "charged or list",
    "interest.CAUSE": "the name of a rate",
    "rate.NAME.YYYY-MM-DD": "basis points by the year from that day on",
}
"""The names of values, and what each means."""


_CEILINGS = ("cash_limit_fen", "deadline_days", "withdrawal_deadline_days")
_FLOORS = ("cooling_off_days",)


def is_weaker(own: Figure, law: Figure) -> bool:
    """Whether what a programme gives its holders is less than the law does, for one name.

    An interest rate may be agreed upon (法释〔2025〕4号 article 16), and words that have no more or less are no weaker.
    """
    if isinstance(own.value, int) and isinstance(law.value, int):
        if own.name in _CEILINGS:
            return own.value > law.value
        return own.name in _FLOORS and own.value < law.value
    return own.name.startswith("pricing.") and (own.value, law.value) == (Pricing.LIST, Pricing.CHARGED)


def join_law(own: Sequence[Figure], law: Sequence[Figure]) -> list[Figure]:
    """The values that bind: the law's, where the programme has none, the same or a weaker one, and the programme's.

    Both stand where a name may be given several times, and the one that favours the holder counts.
    """
    legal = {figure.name: figure for figure in law if figure.name not in _FLOORS}
    kept = [
        figure
        for figure in own
        if figure.name not in legal or not (figure.value == legal[figure.name].value or _yields(figure, legal))
    ]
    named = {figure.name for figure in kept if figure.name not in _FLOORS}
    return [*(figure for figure in law if figure.name not in named), *kept]


def _yields(own: Figure, legal: dict[str, Figure]) -> bool:
    """Whether the law's value stands and not the programme's."""
    return own.name in ("base", "no_clawback", "term", "interest_from") or is_weaker(own, legal[own.name])


def read_refund_rules(values: Iterable[Figure], law: Sequence[Figure] = ()) -> RefundRules:
    """The rules that the named values of a programme and those of the law make; the names are those of :data:`VALUES`.

    Raises RulesError for a name that is unknown or given twice, a value that its name does not allow, and when
    ``base``, ``no_clawback`` or every ``pricing`` is missing.
    """
    own = list(values)
    _check_twice(own)
    given = join_law(own, law)
    once: dict[str, Figure] = {}
    pricing: dict[Cause, Figure] = {}
    interest: dict[Cause, Figure] = {}
    cooling_off: list[Limit] = []
    rates: list[DatedRate] = []
    for figure in given:
        head, _, tail = figure.name.partition(".")
        if figure.name == "cooling_off_days":
            cooling_off.append(_number(figure))
        elif head in ("pricing", "interest") and tail in set(Cause):
            _put(pricing if head == "pricing" else interest, Cause(tail), figure)
        elif head == "rate":
            rates.append(_rate(figure, tail))
        elif head in VALUES and not tail:
            _put(once, head, figure)
        else:
            raise RulesError(figure.name, "is not the name of a value", "不是可用的名称")
    for name in ("base", "no_clawback"):
        if name not in once:
            raise RulesError(name, "is required", "必填")
    if not pricing:
        raise RulesError("pricing", "is required for one cause at least", "至少须为一种原因提供")
    _check_rates(own, rates, once)
    limits = {name: _number(once[name]) for name in ("year_days", *_CEILINGS) if name in once}
    costs = once.get("costs_deductible")
    if costs is not None and costs.value not in ("yes", "no"):
        raise RulesError(costs.name, "must be yes or no", "应为 yes 或 no")
    custody = once.get("custody_rate")
    return RefundRules(
        base=once["base"].rule,
        no_clawback=once["no_clawback"].rule,
        causes={
            cause: CauseRule(_pricing(figure), figure.rule, str(interest[cause].value) if cause in interest else None)
            for cause, figure in pricing.items()
        },
        term=once["term"].rule if "term" in once else None,
        cooling_off=tuple(cooling_off),
        costs=costs.rule if costs is not None and costs.value == "yes" else None,
        interest_from=once["interest_from"].rule if "interest_from" in once else None,
        rates=tuple(rates),
        custody_rate=None if custody is None else str(custody.value),
        year_days=limits["year_days"].value if "year_days" in limits else None,
        cash_limit=limits.get("cash_limit_fen"),
        deadline=limits.get("deadline_days"),
        withdrawal_deadline=limits.get("withdrawal_deadline_days"),
    )


def _put(known: dict[Cause, Figure] | dict[str, Figure], name: Cause | str, figure: Figure) -> None:
    if name in known:
        raise RulesError(figure.name, "is given twice", "重复出现")
    known[name] = figure  # type: ignore[index]


def _number(figure: Figure) -> Limit:
    if not isinstance(figure.value, int) or figure.value < 0 or (figure.name == "year_days" and figure.value == 0):
        raise RulesError(figure.name, "must be a number, not below zero", "应为不小于零的数字")
    return Limit(figure.value, figure.rule)


def _pricing(figure: Figure) -> Pricing:
    if figure.value not in set(Pricing):
        raise RulesError(figure.name, "must be charged or list", "应为 charged 或 list")
    return Pricing(figure.value)


def _rate(figure: Figure, tail: str) -> DatedRate:
    name, _, day = tail.partition(".")
    try:
        from_date = date.fromisoformat(day)
    except ValueError:
        raise RulesError(figure.name, "must be rate.NAME.YYYY-MM-DD", "应为 rate.名称.YYYY-MM-DD") from None
    limit = _number(figure)
    return DatedRate(name, from_date, limit.value, limit.rule)


def _check_twice(own: Sequence[Figure]) -> None:
    seen: set[str] = set()
    for figure in own:
        if figure.name in seen and figure.name not in _FLOORS and not figure.name.startswith("rate."):
            raise RulesError(figure.name, "is given twice", "重复出现")
        seen.add(figure.name)


def _check_rates(own: Sequence[Figure], rates: Sequence[DatedRate], once: dict[str, Figure]) -> None:
    """What a programme itself says of interest is whole; a rate that the law names may come when it is asked for."""
    names = {rate.name for rate in rates}
    asked = [figure for figure in own if figure.name.startswith("interest.") or figure.name == "custody_rate"]
    for figure in asked:
        if figure.value not in names:
            raise RulesError(figure.name, "must name a rate that is given", "须为已提供的利率名称")
    for name in ("year_days", "interest_from"):
        if asked and name not in once:
            raise RulesError(name, "is required where there is interest", "有利息时必填")
