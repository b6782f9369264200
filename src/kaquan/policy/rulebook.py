"""Ask rules: which one binds, of law and of the house, at a place, on a day, for a kind of card.

Of the rows that apply, a narrower one displaces a wider one of the same jurisdiction (a row for remote sales the one
for all sales). All that remain bind at once: the nation's and the province's, the law's and the house's. Then the
strictest answers: for caps, custody and retention that is what ``rules.md`` section 4 asks for, and for refunds, whose
metrics are duties of the issuer, the strictest is the one most favourable to the consumer. Among rows as strict as each
other the law stands before the house, the nearer jurisdiction before the wider, the narrower row before the wider.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

from kaquan.policy.metrics import Metric, Operator
from kaquan.policy.places import chain_of, on_one_chain
from kaquan.policy.types import Confidence, Fact, Question, Reach, Rule, Scheme, Standing

MAX_REMEMBERED = 10_000
"""Answers that a rule book keeps; beyond it, it begins anew."""

_LOWER_IS_STRICTER = (Operator.AT_MOST, Operator.FROM, Operator.MAY)
_RANK = {Confidence.PRIMARY: 0, Confidence.COMPUTED: 1, Confidence.SECONDARY: 2}
_CRITERIA = Reach.__struct_fields__


class RuleBook:
    """Rules compiled for asking. Immutable, but for the answers that it remembers."""

    def __init__(self, law: Iterable[Rule], house: Iterable[Rule] = ()) -> None:
        self.rules: tuple[Rule, ...] = tuple(sorted((*law, *house), key=lambda rule: (rule.id, rule.effective_from)))
        self._binding: dict[Metric, list[Rule]] = defaultdict(list)
        self._advisory: dict[Metric, list[Rule]] = defaultdict(list)
        for rule in self.rules:
            kept = self._advisory if rule.standing is Standing.ADVISORY else self._binding
            kept[rule.metric].append(rule)
        self._answers: dict[Question, Fact | None] = {}

    def ask(self, question: Question) -> Fact | None:
        """What binds, or None where no rule of law or house says anything. Advisory rows never answer."""
        try:
            return self._answers[question]
        except KeyError:
            pass
        if len(self._answers) >= MAX_REMEMBERED:
            self._answers.clear()
        self._answers[question] = fact = self._find(question)
        return fact

    def advise(self, question: Question) -> tuple[Rule, ...]:
        """The advisory rows that would apply: drafts and figures that nobody verified. They bind nobody."""
        return tuple(self._matching(self._advisory, question))

    def _find(self, question: Question) -> Fact | None:
        found = self._matching(self._binding, question)
        binding = [rule for rule in found if not any(_displaces(other, rule) for other in found)]
        if not binding:
            return None
        first, *others = sorted(binding, key=_precedence)
        return Fact(first, tuple(others))

    def _matching(self, rules: dict[Metric, list[Rule]], question: Question) -> list[Rule]:
        if question.metric not in rules:
            return []
        places = chain_of(question.jurisdiction)
        schemes = self._schemes(question)
        return [
            rule
            for rule in rules[question.metric]
            if rule.jurisdiction in places and rule.holds_on(question.on) and _applies(rule.reach, question, schemes)
        ]

    def _schemes(self, question: Question) -> tuple[Scheme, ...]:
        """The scheme that was asked about, and the one whose rules it follows there by law, if any."""
        if question.scheme is None:
            return ()
        if question.metric is not Metric.TREATED_AS_SCHEME:
            followed = self.ask(question._replace(metric=Metric.TREATED_AS_SCHEME))
            if followed is not None:
                return question.scheme, Scheme(str(followed.value))
        return (question.scheme,)


def ask(rules: Iterable[Rule], question: Question) -> Fact | None:
    """The answer of ``rules`` to one question; whoever asks often keeps a :class:`RuleBook`."""
    return RuleBook(rules).ask(question)


def is_weaker(metric: Metric, value: int | str, than: int | str) -> bool:
    """Whether ``value`` is less strict than another; where there is no more or less, whether it differs."""
    if isinstance(value, int) and isinstance(than, int) and metric.operator is not Operator.IS:
        return value > than if metric.operator in _LOWER_IS_STRICTER else value < than
    return value != than


def meet(one: Rule, other: Rule) -> bool:
    """Whether some question is answered by both: one metric, one place, one day, one kind of card."""
    return (
        one.metric is other.metric
        and on_one_chain(one.jurisdiction, other.jurisdiction)
        and days_overlap(one, other)
        and all(_meet_in(getattr(one.reach, name), getattr(other.reach, name)) for name in _CRITERIA)
    )


def days_overlap(one: Rule, other: Rule) -> bool:
    """Whether two rules have a day in common."""
    return (one.effective_to is None or other.effective_from <= one.effective_to) and (
        other.effective_to is None or one.effective_from <= other.effective_to
    )


def find_overlaps(rules: Sequence[Rule]) -> list[tuple[Rule, Rule]]:
    """Pairs of rules, of one set, that say the same thing twice for some day: one id, or one metric, place and reach.

    An advisory row may stand beside a binding one. The second of a pair is the later in ``rules``.
    """
    groups: dict[object, list[Rule]] = defaultdict(list)
    for rule in rules:
        groups[rule.id].append(rule)
        reach = tuple(frozenset(getattr(rule.reach, name)) for name in _CRITERIA)
        groups[rule.metric, rule.jurisdiction, reach, rule.standing].append(rule)
    # by identity: two equal rows are two rows
    found: dict[tuple[int, int], tuple[Rule, Rule]] = {}
    for group in groups.values():
        for one, other in combinations(group, 2):
            if days_overlap(one, other):
                found.setdefault((id(one), id(other)), (one, other))
    return list(found.values())


def _applies(reach: Reach, question: Question, schemes: tuple[Scheme, ...]) -> bool:
    return (
        (not reach.scheme or any(scheme in reach.scheme for scheme in schemes))
        and (not reach.issuer_class or question.issuer_class in reach.issuer_class)
        and (not reach.card_class or question.card_class in reach.card_class)
        and (not reach.buyer or question.buyer in reach.buyer)
        and (not reach.channel or question.channel in reach.channel)
        and (not reach.industry or question.industry in reach.industry)
        and (not reach.condition or not question.conditions.isdisjoint(reach.condition))
    )


def _displaces(narrow: Rule, wide: Rule) -> bool:
    """Whether ``narrow`` is the special rule to the general ``wide``: of one jurisdiction, one standing."""
    return (
        narrow.jurisdiction == wide.jurisdiction
        and narrow.standing is wide.standing
        and all(_lies_in(getattr(narrow.reach, name), getattr(wide.reach, name)) for name in _CRITERIA)
        and not all(_lies_in(getattr(wide.reach, name), getattr(narrow.reach, name)) for name in _CRITERIA)
    )


def _lies_in(inner: tuple[Any, ...], outer: tuple[Any, ...]) -> bool:
    return not outer or (bool(inner) and set(inner) <= set(outer))


def _meet_in(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return not one or not other or not set(one).isdisjoint(other)


def _precedence(rule: Rule) -> tuple[object, ...]:
    strictness = 0
    if isinstance(rule.value, int) and rule.operator is not Operator.IS:
        strictness = rule.value if rule.operator in _LOWER_IS_STRICTER else -rule.value
    return (
        strictness,
        rule.standing is Standing.HOUSE,
        -len(chain_of(rule.jurisdiction)),
        -sum(bool(getattr(rule.reach, name)) for name in _CRITERIA),
        _RANK.get(rule.confidence, len(_RANK)),
        rule.id,
        rule.effective_from,
    )
