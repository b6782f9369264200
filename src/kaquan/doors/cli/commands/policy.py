"""``kaquan policy``: the rules of this release, asked and checked without a database; and a book's changes of rules,
proposed by one person and decided by another.

What shows a rule is the HTTP door's; it is loaded by the commands that show one, since Litestar comes with it.
"""

import sys
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import typer

from kaquan.app import read_slots_of
from kaquan.doors.cli.asking import TOKEN_VARIABLE
from kaquan.doors.cli.commands.approval import as_operator, id_of
from kaquan.doors.cli.failures import CommandError
from kaquan.doors.cli.output import AsJson, print_json
from kaquan.kit.clock import SystemClock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Prefix, SystemIds
from kaquan.kit.outcomes import Refusal
from kaquan.kit.paging import MAX_LIMIT
from kaquan.parties import Principal, Scope, get_issuer, keys_of_person
from kaquan.policy import (
    LAW_TIME_ZONE,
    Buyer,
    CardClass,
    Change,
    Channel,
    Condition,
    FileFormat,
    Industry,
    IssuerClass,
    LineProblem,
    Metric,
    Question,
    Rule,
    RuleBook,
    Scheme,
    Search,
    Standing,
    Subject,
    approve_change,
    chain_of,
    check_house,
    check_overlaps,
    get_change,
    house_template,
    import_file,
    list_changes,
    read_jurisdiction,
    read_rule_file,
    reject_change,
    released_law,
    show_demand,
    show_source,
)

policy_app = typer.Typer(
    help=f"Rules of law and of the house; for changes of rules your key is read from {TOKEN_VARIABLE}. 规则",
    no_args_is_help=True,
)

Place = Annotated[str, typer.Option("--in", help="Country or province of issue: CN, CN-31, CN-SH.")]
Day = Annotated[
    datetime | None, typer.Option("--on", formats=["%Y-%m-%d"], help="The day; today in Shanghai without it.")
]
ChangeArgument = Annotated[str, typer.Argument(metavar="CHANGE", help="pol_… as changes shows it.")]
House = Annotated[Path | None, typer.Option(help="A file of house rules (.csv or .json) that binds too.")]


@policy_app.command()
def ask(
    metric: Annotated[Metric, typer.Argument(help="What is asked; see `kaquan policy metrics`.", metavar="METRIC")],
    place: Place = "CN",
    on: Day = None,
    scheme: Annotated[Scheme | None, typer.Option(help="Legal type of the programme.")] = None,
    issuer_class: Annotated[IssuerClass | None, typer.Option(help="Class of the issuer.")] = None,
    card_class: Annotated[CardClass | None, typer.Option(help="Whether it is known whose card it is.")] = None,
    buyer: Annotated[Buyer | None, typer.Option(help="Who buys.")] = None,
    channel: Annotated[Channel | None, typer.Option(help="Where it is sold.")] = None,
    industry: Annotated[Industry | None, typer.Option(help="Trade of the issuer.")] = None,
    condition: Annotated[
        list[Condition] | None, typer.Option(help="A circumstance that holds; may be repeated.")
    ] = None,
    house: House = None,
    as_json: AsJson = False,
) -> None:
    """Which rule binds, with its value and its source. 查询规则"""
    from kaquan.doors.http.policy import show_rule

    rules = RuleBook(released_law(), () if house is None else _house_rules(house))
    question = Question(
        metric,
        _place(place),
        _day(on),
        scheme=scheme,
        issuer_class=issuer_class,
        card_class=card_class,
        buyer=buyer,
        channel=channel,
        industry=industry,
        conditions=frozenset(condition or ()),
    )
    fact, advisory = rules.ask(question), rules.advise(question)
    if as_json:
        print_json(
            {
                "metric": metric,
                "jurisdiction": question.jurisdiction,
                "on": question.on,
                "fact": None if fact is None else show_rule(fact.rule),
                "also": [] if fact is None else [show_rule(rule) for rule in fact.also],
                "advisory": [show_rule(rule) for rule in advisory],
            }
        )
        return
    print(f"{metric.en} / {metric.zh}")
    if fact is None:
        print("No rule says anything of this. / 没有适用的规则。")
    for rule in () if fact is None else (fact.rule, *fact.also):
        _print_rule(rule)
    for rule in advisory:
        _print_rule(rule)


def _print_rule(rule: Rule) -> None:
    demand, demand_zh = show_demand(rule)
    mark = "advisory, not law / 仅供参考，非法规: " if rule.standing is Standing.ADVISORY else ""
    days = f"{rule.effective_from} – {rule.effective_to or ''}".rstrip()
    print(f"{mark}{rule.id} ({rule.jurisdiction}, {rule.confidence}, {days}): {rule.metric}: {demand} / {demand_zh}")
    print(f"  {rule.title_en} / {rule.title_zh}\n  {show_source(rule)}")


@policy_app.command("list")
def show_list(
    subject: Annotated[Subject | None, typer.Option(help="Only rules about this.")] = None,
    place: Annotated[str | None, typer.Option("--in", help="Only rules that hold there: CN, CN-31, CN-SH.")] = None,
    on: Annotated[
        datetime | None, typer.Option("--on", formats=["%Y-%m-%d"], help="Only rules that hold on this day.")
    ] = None,
    advisory: Annotated[bool, typer.Option("--advisory", help="Advisory rows too, which are not law.")] = False,
    as_json: AsJson = False,
) -> None:
    """The rules that came with this release. 规则列表"""
    from kaquan.doors.http.policy import show_rule

    places = None if place is None else chain_of(_place(place))
    found = [
        rule
        for rule in released_law()
        if (subject is None or rule.subject is subject)
        and (places is None or rule.jurisdiction in places)
        and (on is None or rule.holds_on(on.date()))
        and (advisory or rule.standing is Standing.LAW)
    ]
    if as_json:
        print_json([show_rule(rule) for rule in found])
        return
    for rule in found:
        _print_rule(rule)


@policy_app.command()
def metrics(as_json: AsJson = False) -> None:
    """Everything that can be asked. 指标"""
    if as_json:
        print_json(
            [{"metric": one, "subject": one.subject, "unit": one.unit, "en": one.en, "zh": one.zh} for one in Metric]
        )
        return
    for one in Metric:
        print(f"{one.subject:10}  {one:40}  {one.en} / {one.zh}")


@policy_app.command()
def check(
    file: Annotated[Path, typer.Argument(help="House rules as .csv or .json.")],
    as_json: AsJson = False,
) -> None:
    """Check a file of house rules against itself and the law, whole; fails if a line is bad. 校验自定规则"""
    from kaquan.doors.http.policy import FileReport, show_line

    rules, problems = _check(file)
    if as_json:
        print_json(FileReport(len(rules), [show_line(problem) for problem in problems]))
    else:
        for line, refusal in problems:
            print(f"{file}:{line}: {refusal.message('en')} / {refusal.message('zh')}")
        if not problems:
            print(f"{file}: {len(rules)} rules, all of them may stand. / {len(rules)} 条规则，均可采用。")
    if problems:
        raise typer.Exit(1)


@policy_app.command()
def template() -> None:
    """Print a file of house rules to begin with; none of it is law. 自定规则模板"""
    sys.stdout.write(house_template())


@policy_app.command()
def propose(
    file: Annotated[Path, typer.Argument(help="Rules as .csv or .json: of the house, or of law without --issuer.")],
    note: Annotated[str, typer.Option(help="Why.")],
    issuer: Annotated[str | None, typer.Option(help="iss_…: whose house rules they are.")] = None,
    as_json: AsJson = False,
) -> None:
    """Propose all rules of a file as one change, or none; another person approves it. 提交规则变更"""
    from kaquan.doors.http.policy import show_change

    text, file_format = _text(file), _format(file)
    issuer_id = None if issuer is None else id_of(Prefix.ISSUER, issuer, "--issuer")

    async def work(pool: Pool, who: Principal) -> Change | Refusal:
        today = await _today(pool, who.book_id, issuer_id)
        if isinstance(today, Refusal):
            return today
        return await import_file(
            pool, SystemClock(), SystemIds(), book_id=who.book_id, issuer_id=issuer_id, actor_id=who.key_id,
            today=today, note=note, text=text, file_format=file_format,
        )  # fmt: skip

    _print_change(show_change(as_operator(Scope.POLICY_WRITE, work)), as_json=as_json)


@policy_app.command()
def changes(as_json: AsJson = False) -> None:
    """The newest 200 changes of rules of your book. 规则变更列表"""
    from kaquan.doors.http.policy import show_change

    async def work(pool: Pool, who: Principal) -> list[Change]:
        return (await list_changes(pool, book_id=who.book_id, search=Search(limit=MAX_LIMIT))).data

    found = [show_change(change) for change in as_operator(Scope.POLICY_READ, work)]
    if as_json:
        print_json(found)
        return
    for change in found:
        _print_change(change, as_json=False)


@policy_app.command("approve")
def allow(
    change_id: ChangeArgument,
    reason: Annotated[str, typer.Option(help="Why.")],
    as_json: AsJson = False,
) -> None:
    """Approve a change that another person proposed; its rules hold on their days. 批准规则变更"""
    from kaquan.doors.http.policy import show_change

    subject = id_of(Prefix.POLICY_CHANGE, change_id, "CHANGE")

    async def work(pool: Pool, who: Principal) -> Change | Refusal:
        found = await get_change(pool, book_id=who.book_id, change_id=subject)
        if isinstance(found, Refusal):
            return found
        today = await _today(pool, who.book_id, found.issuer_id)
        if isinstance(today, Refusal):
            return today
        return await approve_change(
            pool, SystemClock(), book_id=who.book_id, change_id=subject, actor_id=who.key_id, today=today,
            reason=reason, slots=await read_slots_of(pool),
            own_keys=await keys_of_person(pool, book_id=who.book_id, key_id=who.key_id),
        )  # fmt: skip

    _print_change(show_change(as_operator(Scope.POLICY_APPROVE, work)), as_json=as_json)


@policy_app.command("reject")
def refuse(
    change_id: ChangeArgument,
    reason: Annotated[str, typer.Option(help="Why.")],
    as_json: AsJson = False,
) -> None:
    """Reject a change, or withdraw your own. 驳回规则变更"""
    from kaquan.doors.http.policy import show_change

    subject = id_of(Prefix.POLICY_CHANGE, change_id, "CHANGE")

    async def work(pool: Pool, who: Principal) -> Change | Refusal:
        return await reject_change(
            pool, SystemClock(), book_id=who.book_id, change_id=subject, actor_id=who.key_id, reason=reason
        )

    _print_change(show_change(as_operator(Scope.POLICY_APPROVE, work)), as_json=as_json)


async def _today(pool: Pool, book_id: int, issuer_id: UUID | None) -> date | Refusal:
    """The day where an issuer is; without one that of the law. Refused: ``not_found``."""
    zone = LAW_TIME_ZONE
    if issuer_id is not None:
        found = await get_issuer(pool, book_id=book_id, id_=issuer_id)
        if isinstance(found, Refusal):
            return found
        zone = found.time_zone
    return SystemClock().now().astimezone(ZoneInfo(zone)).date()


def _print_change(change: Any, *, as_json: bool) -> None:
    if as_json:
        print_json(change)
        return
    rules = ", ".join(rule.id for rule in change.add) or "-"
    print(f"{change.id} · {change.status} · {rules} · {change.note}")


def _format(file: Path) -> FileFormat:
    return FileFormat.JSON if file.suffix.lower() == ".json" else FileFormat.CSV


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError:
        raise CommandError(f"{file} is not a text in UTF-8. / 文件不是 UTF-8 文本。") from None


def _check(file: Path) -> tuple[list[Rule], list[LineProblem]]:
    read = read_rule_file(_text(file), _format(file), standing=Standing.HOUSE)
    rules = [rule for _, rule in read.rules]
    against = [*check_overlaps(rules), *check_house(rules, released_law())]
    problems = read.problems + [LineProblem(read.rules[found.position][0], found.refusal) for found in against]
    return rules, sorted(problems, key=lambda problem: problem.line)


def _house_rules(file: Path) -> list[Rule]:
    rules, problems = _check(file)
    if problems:
        line, refusal = problems[0]
        raise CommandError(f"{file}:{line}: {refusal.message('en')} / {refusal.message('zh')}")
    return rules


def _place(text: str) -> str:
    found = read_jurisdiction(text)
    if found is None:
        raise CommandError(f"There is no place {text}: name one such as CN, CN-31 or CN-SH. / 没有这个地区代码。")
    return found


def _day(given: Any) -> date:
    if given is not None:
        day: date = given.date()
        return day
    return SystemClock().now().astimezone(ZoneInfo(LAW_TIME_ZONE)).date()
