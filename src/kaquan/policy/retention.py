"""For how long records are kept: the rows of law and of the house about it, as one table. Pure."""

from kaquan.policy.metrics import Metric, Subject, Unit
from kaquan.policy.rulebook import RuleBook
from kaquan.policy.types import Fact, Question

RECORDS = tuple(
    metric for metric in Metric if metric.subject is Subject.RECORD and metric.unit in (Unit.YEARS, Unit.MONTHS)
)
"""The kinds of records that are kept for a time."""


def retention_table(rules: RuleBook, question: Question) -> list[tuple[Question, Fact | None]]:
    """For each kind of record how long it is kept where ``question`` asks; None where no rule says anything."""
    asked = [question._replace(metric=metric) for metric in RECORDS]
    return [(each, rules.ask(each)) for each in asked]
