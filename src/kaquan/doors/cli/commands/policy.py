"""``kaquan policy``: the rules of this release, asked and checked without a database.

What shows a rule is the HTTP door's; it is loaded by the commands that show one, since Litestar comes with it.
"""

import sys
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from kaquan.doors.cli.failures import CommandError
from kaquan.doors.cli.output import AsJson, print_json
from kaquan.kit.clock import SystemClock
from kaquan.policy import (
    LAW_TIME_ZONE,
    Buyer,
    CardClass,
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
    Standing,
    Subject,
    chain_of,
    check_house,
    check_overlaps,
    house_template,
    read_jurisdiction,
    read_rule_file,
    released_law,
    show_demand,
    show_source,
)

policy_app = typer.Typer(help="Rules of law and of the house. 规则", no_args_is_help=True)

Place = Annotated[str, typer.Option("--in", help="Country or province of issue: CN, CN-31, CN-SH.")]
Day = Annotated[
    datetime | None, typer.Option("--on", formats=["%Y-%m-%d"], help="The day; today in Shanghai without it.")
]
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


def _check(file: Path) -> tuple[list[Rule], list[LineProblem]]:
    file_format = FileFormat.JSON if file.suffix.lower() == ".json" else FileFormat.CSV
    try:
        text = file.read_text("utf-8")
    except UnicodeDecodeError:
        raise CommandError(f"{file} is not a text in UTF-8. / 文件不是 UTF-8 文本。") from None
    read = read_rule_file(text, file_format, standing=Standing.HOUSE)
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
