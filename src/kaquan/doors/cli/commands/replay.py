"""``kaquan replay``: drafts over a year of real baskets, and the year's own coupons held against what was recorded."""

from datetime import datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich import box
from rich.table import Table

from kaquan.doors.cli.demo.coupons import CouponReport, read_coupons, reconcile
from kaquan.doors.cli.demo.replaying import replay_year
from kaquan.doors.cli.failures import CommandError
from kaquan.doors.cli.output import AsJson, print_json, results, show_fen
from kaquan.doors.cli.replaying_book import replay_book
from kaquan.parties import Mode
from kaquan.promotions import Campaign, read_campaign
from kaquan.promotions.replay_report import ReplayReport

_YEAR = datetime(2017, 1, 1), datetime(2017, 12, 31)  # noqa: DTZ001  (days)

Day = Annotated[
    datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="The first day, of the demo's year without it.")
]
LastDay = Annotated[
    datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="The last day, of the demo's year without it.")
]


def replay(
    campaign: Annotated[list[Path] | None, typer.Option(help="A campaign file; may be repeated.")] = None,
    running: Annotated[list[Path] | None, typer.Option(help="A campaign that runs anyway; may be repeated.")] = None,
    first: Day = None,
    last: LastDay = None,
    processes: Annotated[int, typer.Option(min=1, max=64, help="How many processes price.")] = 2,
    coupons: Annotated[
        bool, typer.Option("--coupons", help="The year's own coupons instead, held against what was recorded.")
    ] = False,
    book: Annotated[
        str | None, typer.Option(help="The purchases of this tenant's book instead, beside what is in force there.")
    ] = None,
    mode: Annotated[Mode, typer.Option(help="live or test: which book of the tenant.")] = Mode.LIVE,
    whole_time: Annotated[
        bool, typer.Option("--whole-time/--own-dates", help="With --book: drafts as if in force all that time.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """What campaigns would have cost over the year of the demo or a book, and whom they would have reached. 活动回放"""
    if coupons:
        _replay_coupons(as_json=as_json)
        return
    if not campaign:
        raise CommandError("Name a campaign file with --campaign, or --coupons. / 请用 --campaign 指定活动文件。")
    drafts = [_read(file, 1 + number) for number, file in enumerate(campaign)]
    others = [_read(file, 1_000_000 + number) for number, file in enumerate(running or [])]
    if book is not None and (first is None or last is None):
        raise CommandError("With --book name days, in UTC, with --from and --to. / 请用 --from、--to 指定日期。")
    days = (first or _YEAR[0]).date(), (last or _YEAR[1]).date()
    if days[1] < days[0]:
        raise CommandError("--to is before --from. / 结束日期早于开始日期。")
    if book is None:
        report = replay_year(drafts, others, first=days[0], last=days[1], processes=processes)
    else:
        report = replay_book(book, mode, drafts, others, days=days, processes=processes, whole_time=whole_time)
    if as_json:
        print_json(report)
    else:
        _print_replay(report)


def _replay_coupons(*, as_json: bool) -> None:
    report = reconcile(read_coupons())
    if as_json:
        print_json(report)
    else:
        _print_coupons(report)
    if report.in_window != report.redemptions:
        raise typer.Exit(1)


def _read(file: Path, number: int) -> Campaign:
    read = read_campaign(file.read_bytes())
    if isinstance(read, list):
        lines = [f"{file}: {refusal.message('en')} / {refusal.message('zh')}" for refusal in read]
        raise CommandError("\n".join(lines))
    return Campaign(UUID(int=number), 1, read)


def _print_replay(report: ReplayReport) -> None:
    table = Table(title="Campaigns · 活动", box=box.SIMPLE_HEAD, title_justify="left")
    for column in ("campaign", "baskets", "holders", "sales", "discount", "granted", "funders"):
        table.add_column(column, justify="left" if column in ("campaign", "funders") else "right")
    for one in report.campaigns:
        funders = ", ".join(f"{name} {show_fen(fen)}" for name, fen in one.by_funder.items())
        table.add_row(
            one.code if one.is_draft else f"{one.code} (running)",
            f"{one.baskets:,}",
            f"{one.holders:,}",
            show_fen(one.amount_fen),
            show_fen(one.discount_fen),
            show_fen(one.granted_fen),
            funders,
        )
    results.print(table)
    for end in report.ended:
        results.print(f"Budget {end.budget} of {end.campaign} {end.period} is used up on {end.ended_at:%Y-%m-%d %H:%M}")
    results.print(
        f"{report.first} – {report.last}: {report.baskets:,} baskets, {show_fen(report.amount_fen)}. "
        f"Running campaigns give {show_fen(report.running_fen)} beside the drafts and "
        f"{show_fen(report.running_alone_fen)} without them; {report.change.losers:,} baskets get "
        f"{show_fen(report.change.lost_fen)} less than without the drafts and {report.change.winners:,} get "
        f"{show_fen(report.change.won_fen)} more; "
        f"{report.held_back_baskets:,} baskets are of control groups."
    )
    for assumption in report.assumptions:
        results.print(assumption)
    results.print("A replay shows cost and reach, never an effect. / 回放只显示成本与覆盖，不代表效果。")


def _print_coupons(report: CouponReport) -> None:
    table = Table(title="Redemptions · 核销", box=box.SIMPLE_HEAD, title_justify="left")
    for column in ("class", "redemptions", "our rules", "recorded on their goods"):
        table.add_column(column, justify="left" if column == "class" else "right")
    for name, (count, ours_fen, recorded_fen) in report.by_fate.items():
        table.add_row(name, f"{count:,}", show_fen(ours_fen), show_fen(recorded_fen))
    results.print(table)
    results.print(
        f"{report.campaigns} campaigns, {report.coupons} coupons, {report.redemptions:,} redemptions, of which "
        f"{report.in_window:,} are accepted in their window. Of coupon_disc {show_fen(report.recorded_fen)}, "
        f"{show_fen(report.recorded_on_redeemed_fen)} is on goods of a coupon that was redeemed that day; "
        f"{show_fen(report.recorded_elsewhere_fen)} belongs to no campaign of the data."
    )
