"""Propose a change of rules: checked whole against the law and the rules that are there, decided by a second person."""

from datetime import date
from uuid import UUID

from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids
from kaquan.kit.outcomes import Refusal
from kaquan.policy import store
from kaquan.policy.check_rules import NextRules, effective_law, plan_rules
from kaquan.policy.files import FileFormat, LineProblem, read_rule_file
from kaquan.policy.law import released_law
from kaquan.policy.outcomes import RULE_FILE_INVALID, invalid, missing
from kaquan.policy.types import Change, Ending, NewChange, Rule, Standing

MAX_NOTE = 500
MAX_LINES_SHOWN = 50
"""Bad lines that one refusal spells out; the others it counts."""


async def propose_change(
    pool: Pool, clock: Clock, ids: Ids, *, book_id: int, actor_id: UUID, today: date, new: NewChange
) -> Change | Refusal:
    """A proposal by ``actor_id``; nothing changes before somebody else approves it.

    ``today`` is the day in the issuer's time zone. Refused, the first that is wrong: ``unknown_rule``,
    ``rule_in_the_past``, ``rules_overlap``, ``house_rule_weaker_than_law``, ``invalid_field``, and ``not_found``
    (issuer_id).
    """
    if not new.add and not new.end:
        return invalid("add", "must hold a rule, or end one", allowed_zh="应至少新增或终止一条规则")
    planned = await load_next_rules(
        pool, book_id=book_id, issuer_id=new.issuer_id, add=new.add, end=new.end, today=today
    )
    if (refusal := first_problem(planned)) is not None:
        return refusal
    return await _post(pool, clock, ids, book_id=book_id, actor_id=actor_id, new=new)


async def check_file(
    pool: Pool, *, book_id: int, issuer_id: UUID | None, text: str, file_format: FileFormat, today: date
) -> tuple[tuple[Rule, ...], list[LineProblem]]:
    """The rules of a file as they would be proposed, and everything that stands against them, line by line."""
    standing = Standing.LAW if issuer_id is None else Standing.HOUSE
    read = read_rule_file(text, file_format, standing=standing)
    rules = tuple(rule for _, rule in read.rules)
    planned = await load_next_rules(pool, book_id=book_id, issuer_id=issuer_id, add=rules, end=(), today=today)
    lines = [line for line, _ in read.rules]
    problems = read.problems + [
        LineProblem(lines[problem.position] if lines else 1, problem.refusal) for problem in planned.problems
    ]
    return rules, sorted(problems, key=lambda problem: problem.line)


async def import_file(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    *,
    book_id: int,
    issuer_id: UUID | None,
    actor_id: UUID,
    today: date,
    note: str,
    text: str,
    file_format: FileFormat,
) -> Change | Refusal:
    """Propose all rules of a file as one change, or none of them.

    Refused: ``rule_file_invalid``, which tells every bad line, and ``not_found`` (issuer_id).
    """
    rules, problems = await check_file(
        pool, book_id=book_id, issuer_id=issuer_id, text=text, file_format=file_format, today=today
    )
    if problems:
        return refuse_lines(problems)
    new = NewChange(issuer_id=issuer_id, note=note, add=rules)
    return await _post(pool, clock, ids, book_id=book_id, actor_id=actor_id, new=new)


def refuse_lines(problems: list[LineProblem]) -> Refusal:
    """The one refusal for a file: its bad lines by number."""
    shown, more = problems[:MAX_LINES_SHOWN], len(problems) - MAX_LINES_SHOWN
    en = [f"line {line}: {refusal.message('en')}" for line, refusal in shown]
    zh = [f"第 {line} 行：{refusal.message('zh')}" for line, refusal in shown]
    if more > 0:
        en.append(f"and {more} more")
        zh.append(f"另有 {more} 处")
    count = len({line for line, _ in problems})
    return RULE_FILE_INVALID.refuse("content", count=count, lines="; ".join(en), lines_zh="；".join(zh))


async def load_next_rules(
    pool: Pool,
    *,
    book_id: int,
    issuer_id: UUID | None,
    add: tuple[Rule, ...],
    end: tuple[Ending, ...],
    today: date,
) -> NextRules:
    """The rule set that a change would make now, or what stands against it."""
    law = await store.load_rule_set(pool, book_id=book_id, issuer_id=None)
    before = law if issuer_id is None else await store.load_rule_set(pool, book_id=book_id, issuer_id=issuer_id)
    released = released_law()
    return plan_rules(before, law=effective_law(released, law), released=released, add=add, end=end, today=today)


def first_problem(planned: NextRules) -> Refusal | None:
    """What a change is refused for, with the field in which it was sent; None when nothing is wrong."""
    for name, problems in (("end", planned.ending_problems), ("add", planned.problems)):
        for position, refusal in problems:
            field = name if refusal.field == name else f"{name}[{position}].{refusal.field}"
            return Refusal(refusal.outcome, field, refusal.details)
    return None


async def _post(
    pool: Pool, clock: Clock, ids: Ids, *, book_id: int, actor_id: UUID, new: NewChange
) -> Change | Refusal:
    change = Change(
        ids.new(), book_id, new.issuer_id, new.note, new.add, new.end, proposed_by=actor_id, proposed_at=clock.now()
    )
    refused_by = await store.post_change(pool, change)
    if refused_by is None:
        return change
    assert refused_by == "policy_change_issuer", refused_by
    return missing("issuer", "issuer_id")
