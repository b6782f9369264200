"""Check rules against each other and against the law, whole: the pure part of every change of rules."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import NamedTuple

from msgspec.structs import replace

from kaquan.kit.outcomes import Refusal
from kaquan.policy.files import MAX_RULES
from kaquan.policy.outcomes import (
    HOUSE_RULE_WEAKER_THAN_LAW,
    RULE_IN_THE_PAST,
    RULES_OVERLAP,
    UNKNOWN_RULE,
    invalid,
)
from kaquan.policy.rulebook import find_overlaps, is_weaker, meet
from kaquan.policy.types import Ending, Rule, RuleSet, Standing
from kaquan.policy.words import show_demand, show_source, show_value


class RuleProblem(NamedTuple):
    """What is wrong with a rule that is to be added, by its place among them; or with an ending."""

    position: int
    refusal: Refusal


class NextRules(NamedTuple):
    """A rule set after a change, or all that stands against the change."""

    rules: RuleSet
    problems: list[RuleProblem]
    """About rules to add."""
    ending_problems: list[RuleProblem]
    """About rules to end."""


def plan_rules(
    before: RuleSet, *, law: Sequence[Rule], released: Sequence[Rule], add: Sequence[Rule], end: Sequence[Ending],
    today: date,
) -> NextRules:  # fmt: skip
    """The rule set that a change makes of ``before``.

    ``law`` is all that holds as law in the book (with what the book itself added), ``released`` what came with the
    release. Endings are done first, so that one change can end a rule and add its successor. No house rule may begin or
    end before ``today``: what was decided is not decided again. The days of law are its own, and it is often learnt of
    late. Refused, all of it told: ``unknown_rule``, ``rule_in_the_past``, ``rules_overlap``,
    ``house_rule_weaker_than_law``, ``invalid_field``.
    """
    ended, ending_problems = _end(before, released, end, today)
    if before.issuer_id is None:
        problems = _overlaps(effective_law(released, ended), add)
    else:
        problems = [
            RuleProblem(position, _past("effective_from", rule.effective_from, today))
            for position, rule in enumerate(add)
            if rule.effective_from < today
        ]
        problems += _overlaps(ended.rules, add) + check_house(add, law)
    if len(ended.rules) + len(add) > MAX_RULES:
        allowed = f"would bring the rules to more than {MAX_RULES}"
        problems.append(RuleProblem(0, invalid("add", allowed, allowed_zh=f"规则总数将超过 {MAX_RULES} 条")))
    after = replace(ended, version=before.version + 1, rules=ended.rules + tuple(add))
    return NextRules(after, sorted(problems, key=lambda problem: problem.position), ending_problems)


def check_house(rules: Sequence[Rule], law: Iterable[Rule]) -> list[RuleProblem]:
    """House rules that are weaker than a row of law which they meet, or that take a law row's name."""
    rows = [rule for rule in law if rule.standing is Standing.LAW]
    names = {rule.id for rule in law}
    found: list[RuleProblem] = []
    for position, rule in enumerate(rules):
        if rule.id in names:
            allowed = f"{rule.id} is the name of a row of law"
            found.append(RuleProblem(position, invalid("id", allowed, allowed_zh=f"{rule.id} 是法规条目的编号")))
        found += [
            RuleProblem(position, _weaker(rule, row))
            for row in rows
            if meet(rule, row) and is_weaker(rule.metric, rule.value, row.value)
        ]
    return found


def check_overlaps(rules: Sequence[Rule]) -> list[RuleProblem]:
    """Rules of one file that say the same thing twice for some day, by the place of the later one."""
    return _overlaps((), rules)


def effective_law(released: Iterable[Rule], own: RuleSet) -> tuple[Rule, ...]:
    """The law of a book: what came with the release, as the book ended it, and what the book added.

    When a later release brings a row that the book had added itself, under the same id for the same days, the book's
    own row stands: a second person approved it.
    """
    ends = {(ending.rule_id, ending.effective_from): ending.effective_to for ending in own.endings}
    mine = {rule.id: rule for rule in own.rules}
    kept = []
    for rule in released:
        ended = ends.get((rule.id, rule.effective_from))
        row = rule if ended is None else replace(rule, effective_to=ended)
        if row.id not in mine or not find_overlaps([row, *(one for one in own.rules if one.id == row.id)]):
            kept.append(row)
    return (*kept, *own.rules)


def _end(
    before: RuleSet, released: Sequence[Rule], end: Sequence[Ending], today: date
) -> tuple[RuleSet, list[RuleProblem]]:
    rules = {(rule.id, rule.effective_from): rule for rule in before.rules}
    rows = {(rule.id, rule.effective_from): rule for rule in released} if before.issuer_id is None else {}
    endings = {(ending.rule_id, ending.effective_from): ending for ending in before.endings}
    problems: list[RuleProblem] = []
    for position, ending in enumerate(end):
        key = (ending.rule_id, ending.effective_from)
        rule = rules.get(key) or rows.get(key)
        if rule is None:
            refusal = UNKNOWN_RULE.refuse("rule_id", rule=ending.rule_id, begins=ending.effective_from.isoformat())
            problems.append(RuleProblem(position, refusal))
            continue
        last = endings[key].effective_to if key in endings else rule.effective_to
        if before.issuer_id is not None and min(ending.effective_to, last or date.max) < today:
            problems.append(
                RuleProblem(position, _past("effective_to", min(ending.effective_to, last or date.max), today))
            )
        elif not rule.effective_from <= ending.effective_to <= (last or date.max):
            until, until_zh = (f" to {last}", f"至 {last}") if last else (" on", "起")
            allowed = f"must be a day of {rule.id}, which holds from {rule.effective_from}{until}"
            zh = f"应在 {rule.id} 的有效期内（{rule.effective_from} {until_zh}）"
            problems.append(RuleProblem(position, invalid("effective_to", allowed, allowed_zh=zh)))
        elif key in rules:
            rules[key] = replace(rule, effective_to=ending.effective_to)
        else:
            endings[key] = ending
    return replace(before, rules=tuple(rules.values()), endings=tuple(endings.values())), problems


def _overlaps(standing: Sequence[Rule], add: Sequence[Rule]) -> list[RuleProblem]:
    # by identity: two equal rows are two rows
    places = {id(rule): n for n, rule in enumerate(add)}
    found: dict[int, RuleProblem] = {}
    for one, other in find_overlaps([*standing, *add]):
        position = places.get(id(other))
        if position is not None and position not in found:
            found[position] = RuleProblem(
                position,
                RULES_OVERLAP.refuse(
                    "effective_from",
                    id=other.id,
                    begins=other.effective_from.isoformat(),
                    other=one.id,
                    other_begins=one.effective_from.isoformat(),
                    other_ends=one.effective_to.isoformat() if one.effective_to else "further notice",
                    other_ends_zh=one.effective_to.isoformat() if one.effective_to else "未定",
                    source=show_source(one),
                ),
            )
    return list(found.values())


def _weaker(rule: Rule, row: Rule) -> Refusal:
    (house, house_zh), (law, law_zh) = show_value(rule.metric, rule.value), show_demand(row)
    return HOUSE_RULE_WEAKER_THAN_LAW.refuse(
        "value",
        id=rule.id,
        house=house,
        house_zh=house_zh,
        law=law,
        law_zh=law_zh,
        rule=row.id,
        source=show_source(row),
    )


def _past(field: str, day: date, today: date) -> Refusal:
    return RULE_IN_THE_PAST.refuse(field, day=day.isoformat(), today=today.isoformat())
