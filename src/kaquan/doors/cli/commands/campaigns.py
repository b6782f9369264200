"""``kaquan campaigns``: campaign files checked without a database, the kinds of offers, drafts beside live traffic."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from kaquan.doors.cli.asking import TOKEN_VARIABLE, Desk, at_the_desk
from kaquan.doors.cli.failures import CommandError
from kaquan.doors.cli.output import AsJson, print_json, show_fen
from kaquan.kit.outcomes import Refusal
from kaquan.payments import Fate
from kaquan.policy import (
    LAW_JURISDICTION,
    FileFormat,
    RuleBook,
    Standing,
    read_jurisdiction,
    read_rule_file,
    released_law,
)
from kaquan.promotions import check_rules, find_kinds, read_campaign
from kaquan.promotions.kind import PurchaseKind

campaign_app = typer.Typer(help="Campaign files and kinds of offers. 活动", no_args_is_help=True)


class FaultView(msgspec.Struct, frozen=True):
    """What is wrong with a campaign."""

    code: str
    field: str | None
    detail: str
    detail_zh: str


class KindView(msgspec.Struct, frozen=True):
    """A kind of offer."""

    name: str
    prices: str
    en: str
    zh: str


@campaign_app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A campaign file (.json).")],
    place: Annotated[str, typer.Option("--in", help="Where the issuer issues: CN, CN-31, CN-SH.")] = LAW_JURISDICTION,
    house: Annotated[Path | None, typer.Option(help="A file of house rules (.csv or .json) that bind too.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check a campaign as a whole, against itself and the rules; fails if there is a fault. 校验活动文件"""
    jurisdiction = read_jurisdiction(place)
    if jurisdiction is None:
        raise CommandError(f"There is no place {place}: name one such as CN, CN-31 or CN-SH. / 没有这个地区代码。")
    read = read_campaign(file.read_bytes())
    if isinstance(read, list):
        faults = read
    else:
        rules = _rules(house)
        faults = check_rules(rules, read, jurisdiction=jurisdiction, on=read.starts_at.date())
    if as_json:
        print_json({"faults": [_view(fault) for fault in faults]})
    else:
        for fault in faults:
            print(f"{file}: {fault.message('en')} / {fault.message('zh')}")
        if not faults:
            print(f"{file}: it may be stored. / 可以保存。")
    if faults:
        raise typer.Exit(1)


@campaign_app.command()
def kinds(as_json: AsJson = False) -> None:
    """Every kind of offer. 优惠类型"""
    found = [
        KindView(name, "purchase" if isinstance(kind, PurchaseKind) else "load", kind.en, kind.zh)
        for name, kind in sorted(find_kinds().items())
    ]
    if as_json:
        print_json(found)
        return
    for one in found:
        print(f"{one.name:16}  {one.prices:8}  {one.en} / {one.zh}")


shadow_app = typer.Typer(
    help=f"Drafts beside live traffic; your key is read from {TOKEN_VARIABLE}. 影子运行", no_args_is_help=True
)
campaign_app.add_typer(shadow_app, name="shadow")

CampaignId = Annotated[str, typer.Argument(metavar="ID", help="camp_… of the campaign.")]
Number = Annotated[int | None, typer.Option(min=1, help="Which of its shadows; the newest without it.")]


@shadow_app.command("start")
def start_shadow(
    campaign: CampaignId,
    version: Annotated[int, typer.Option(min=1, help="The newest version, a draft.")],
    until: Annotated[datetime, typer.Option(formats=["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"], help="Until when, UTC.")],
    as_json: AsJson = False,
) -> None:
    """Let a draft run beside live traffic: it is recorded what it would have done, and nothing moves. 开始影子运行"""
    body = {"version": version, "until": until.replace(tzinfo=UTC)}
    _print_shadow(at_the_desk(lambda desk: desk.ask("POST", _shadow(campaign), body)), as_json=as_json)


@shadow_app.command("end")
def end_shadow(campaign: CampaignId, as_json: AsJson = False) -> None:
    """End it before its time; what it found is kept. 结束影子运行"""
    _print_shadow(at_the_desk(lambda desk: desk.ask("DELETE", _shadow(campaign))), as_json=as_json)


@shadow_app.command("report")
def report_shadow(campaign: CampaignId, number: Number = None, as_json: AsJson = False) -> None:
    """What the draft would have done so far. 影子运行报告"""
    told = at_the_desk(lambda desk: desk.ask("GET", _shadow(campaign), number=number))
    if as_json:
        print_json(told)
        return
    _print_shadow(told["shadow"], as_json=False)
    print(
        f"{told['purchases']:,} purchases 消费, {told['loads']:,} top-ups 充值: {told['applied']:,} would have applied "
        f"适用, {told['held_back']:,} of control groups 对照组, {told['over_budget']:,} without budget 预算不足; "
        f"discount 优惠 {show_fen(told['discount_fen'])}, granted 赠送 {show_fen(told['granted_fen'])}; "
        f"{told['waiting']:,} wait 待处理"
    )
    for day in told["by_day"]:
        print(f"{day['day']}  {day['funder_kind']:8}  {day['funder_id']}  {show_fen(day['discount_fen'])}")
    for skip in told["skipped"]:
        print(f"{skip['count']:,} × {skip['offer']}: {skip['why']}")
    for budget in told["budgets"]:
        if budget["exhausted_at"] is not None:
            print(f"{budget['name']} {budget['when']}: used up 用尽 {budget['exhausted_at']}")


@shadow_app.command("payments")
def list_shadow_payments(
    campaign: CampaignId,
    number: Number = None,
    fate: Annotated[Fate | None, typer.Option(help="Only those of which this became.")] = None,
    as_json: AsJson = False,
) -> None:
    """Every payment that the draft has seen, the newest first. 影子运行明细"""

    async def read(desk: Desk) -> list[Any]:
        return [one async for one in desk.pages(f"{_shadow(campaign)}/transactions", number=number, fate=fate)]

    rows = at_the_desk(read)
    if as_json:
        print_json(rows)
        return
    for row in rows:
        whys = ", ".join(f"{one['offer']}: {one['why']}" for one in row["skipped"])
        given, amount = show_fen(row["discount_fen"] + row["granted_fen"]), show_fen(row["amount_fen"])
        print(f"{row['transaction_id']}  {row['fate']:11}  {given} of {amount}  {whys}")


def _shadow(campaign: str) -> str:
    return f"/v1/campaigns/{campaign}/shadow"


def _print_shadow(told: Any, *, as_json: bool) -> None:
    if as_json:
        print_json(told)
    else:
        state = "runs until 运行至" if told["running"] else "was over 已结束于"
        name = f"{told['campaign_id']} version {told['version']}, shadow {told['number']}"
        print(f"{name} {state} {told['ends_at']}")


def _rules(house: Path | None) -> RuleBook:
    if house is None:
        return RuleBook(released_law())
    file_format = FileFormat.JSON if house.suffix.lower() == ".json" else FileFormat.CSV
    read = read_rule_file(house.read_text("utf-8"), file_format, standing=Standing.HOUSE)
    if read.problems:
        line, refusal = read.problems[0]
        raise CommandError(f"{house}:{line}: {refusal.message('en')} / {refusal.message('zh')}")
    return RuleBook(released_law(), tuple(rule for _, rule in read.rules))


def _view(fault: Refusal) -> FaultView:
    return FaultView(fault.code, fault.field, fault.message("en"), fault.message("zh"))
