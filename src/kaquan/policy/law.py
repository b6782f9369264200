"""The rows of law that come with the release: ``rules/cn.csv``, and examples of other countries."""

from functools import cache
from importlib import resources

from kaquan.policy.files import FileFormat, read_rule_file
from kaquan.policy.rulebook import RuleBook, find_overlaps
from kaquan.policy.sources import read_source
from kaquan.policy.types import Rule, Standing

_FILES = ("cn.csv", "foreign.csv")

LAW_TIME_ZONE = "Asia/Shanghai"
"""Whose days are those of the law that comes with the release; an issuer's rules have the days of its own zone."""


class RuleFileError(Exception):
    """The rules that came with the release are wrong: it was built wrongly."""


@cache
def released_law() -> tuple[Rule, ...]:
    """Every row, advisory ones too. Raises RuleFileError if the file breaks a rule of files."""
    rules: tuple[Rule, ...] = ()
    for name in _FILES:
        text = resources.files("kaquan.policy").joinpath(f"rules/{name}").read_text("utf-8")
        read = read_rule_file(text, FileFormat.CSV, standing=Standing.LAW)
        if read.problems:
            raise RuleFileError("; ".join(f"{name}:{line}: {refusal.message()}" for line, refusal in read.problems))
        rules += tuple(rule for _, rule in read.rules)
    if unknown := [rule.id for rule in rules if read_source(rule.source) is None]:
        raise RuleFileError(f"sources that are not in sources.csv: {', '.join(unknown)}")
    if overlaps := find_overlaps(rules):
        raise RuleFileError("; ".join(f"{one.id} overlaps {other.id}" for one, other in overlaps))
    return rules


@cache
def released_book() -> RuleBook:
    """The law as it came, compiled; of a book that changed nothing and an issuer without house rules."""
    return RuleBook(released_law())


def house_template() -> str:
    """A file of house rules to begin with, as the five businesses have them: none of it is law."""
    return resources.files("kaquan.policy").joinpath("rules/house-template.csv").read_text("utf-8")
