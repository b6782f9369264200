"""``kaquan campaigns``: campaign files checked without a database, and the kinds of offers."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from kaquan.doors.cli.failures import CommandError
from kaquan.doors.cli.output import AsJson, print_json
from kaquan.kit.outcomes import Refusal
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
