"""The demo's figures and what to try next, for a person at a terminal."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date

from rich import box
from rich.console import Console
from rich.table import Table

from kaquan.doors.cli.demo.holders import CAPS_FEN, Group
from kaquan.doors.cli.demo.run import DemoRun
from kaquan.doors.cli.demo.summary import Count, DemoSummary, GroupFigures, TimelineLine
from kaquan.doors.cli.demo.year import ZONE
from kaquan.doors.cli.output import show_fen

BARS = "▁▂▃▄▅▆▇█"
TIMELINE_ENDS = 6
"""Lines that are shown of either end of a timeline."""

_GROUPS = {
    Group.REGISTERED: "registered (described in the data; names are ours) 记名（姓名自拟）",
    Group.UNREGISTERED: "unregistered 不记名",
}


def print_summary(console: Console, figures: DemoSummary) -> None:
    """The figures, and what was owed through the year."""
    expected, latency = figures.expected, figures.purchase_latency
    table = _table("A year of groceries, paid by card · 一年的购物，用卡支付", "", "", "known · 应有")
    table.add_row(
        "purchases 消费",
        f"{figures.paid.count:,}",
        _mark(figures.paid.count == expected.purchases, f"{expected.purchases:,}"),
    )
    table.add_row(
        "paid 金额",
        usd(figures.paid.total_fen),
        _mark(figures.paid.total_fen == expected.total_fen, usd(expected.total_fen)),
    )
    table.add_row("declined 拒绝", _refusals(figures.declined), "")
    table.add_row("loads (ours) 充值（自拟）", f"{figures.loaded.count:,} · {usd(figures.loaded.total_fen)}", "")
    table.add_row("rate 速率", f"{figures.purchases_per_s:,.0f} purchases/s · {figures.pay_s:.1f} s", "")
    table.add_row(
        "latency 时延",
        f"p50 {latency.p50_ms:.1f} ms · p95 {latency.p95_ms:.1f} ms · p99 {latency.p99_ms:.1f} ms",
        "",
    )
    if (busiest := figures.busiest_store) is not None:
        table.add_row(
            "busiest store 最忙门店",
            f"store {busiest.store_id}: {busiest.purchases:,} · {usd(busiest.total_fen)}",
            "",
        )
    console.print(table)
    console.print(_groups_table(figures.groups))
    console.print(_liability_table(figures.liability_fen_by_day))
    console.print(_timeline_table(figures.timeline))
    console.print(f"[dim]{figures.data}[/dim]")


def print_verdict(console: Console, wrong: Sequence[str]) -> None:
    """Whether everything holds, and if not, what does not."""
    if not wrong:
        console.print("[bold green]Every figure and every audit holds. 账目全部相符。[/]")
    for sentence in wrong:
        console.print(f"[bold red]✗[/] {sentence}")


def print_next_steps(console: Console, run: DemoRun, *, address: str, token: str, label: str) -> None:
    """Where the server is, and a purchase to try: the card named in it has enough left for it."""
    amount_fen = min(run.example_balance_fen, 250)
    console.rule("The server is running · 服务正在运行")
    console.print(f"address 地址  {address}\nAPI key 密钥  {token}", soft_wrap=True, highlight=False)
    body = f'{{"card_number":"{run.example_number}","amount_fen":{amount_fen},"terminal_id":"{run.example_terminal}"}}'
    console.print("\nPay with a card 刷一次卡:", style="bold")
    console.print(
        f"curl -s {address}/v1/purchases -H 'Authorization: Bearer {token}' \\\n"
        f"  -H 'Idempotency-Key: {label}-mine-1' -H 'Content-Type: application/json' \\\n"
        f"  -d '{body}'",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )
    console.print(
        "\nSend it again: the same answer, paid once. 再发一次：同一答复，只扣一次。\n"
        f"Every request and refusal: {address}/v1/openapi.json · first steps: docs/ · stop with Ctrl-C",
        soft_wrap=True,
        highlight=False,
    )


def usd(amount_fen: int) -> str:
    """Cents as dollars.

    >>> usd(459603958)
    '$4,596,039.58'
    """
    return f"${show_fen(amount_fen)}"


def sparkline(values: Sequence[int]) -> str:
    """One bar per value, from an empty one for zero to a full one for the largest.

    >>> sparkline([0, 50, 100])
    '▁▄█'
    """
    top = max(values, default=0)
    return "".join(BARS[value * (len(BARS) - 1) // top if top > 0 else 0] for value in values)


def _groups_table(groups: dict[Group, GroupFigures]) -> Table:
    """A row for each of the two programmes."""
    table = _table("Who holds the cards · 记名与不记名", "", "at most 上限", "cards 卡", "paid 消费", "owed 余额")
    for group, figures in groups.items():
        table.add_row(
            _GROUPS[group],
            usd(CAPS_FEN[group]),
            f"{figures.cards:,}",
            f"{figures.paid.count:,} · {usd(figures.paid.total_fen)}",
            usd(figures.liability_fen),
        )
    return table


def _timeline_table(lines: Sequence[TimelineLine]) -> Table:
    """The beginning and the end of one card's timeline."""
    table = _table("The timeline of one card · 一张卡的时间线", "", "", "")
    shown: list[TimelineLine | None] = [*lines]
    if len(shown) > 2 * TIMELINE_ENDS:
        shown[TIMELINE_ENDS:-TIMELINE_ENDS] = [None]
    for line in shown:
        if line is None:
            table.add_row("…", f"{len(lines) - 2 * TIMELINE_ENDS:,} more", "")
            continue
        moved = "" if line.amount_fen is None else f"{'-' if line.amount_fen < 0 else ''}{usd(abs(line.amount_fen))}"
        table.add_row(f"{line.at.astimezone(ZONE):%Y-%m-%d %H:%M}", f"{line.title} {line.title_zh}", moved)
    return table


def _liability_table(by_day: dict[date, int]) -> Table:
    """A row per month, with what was owed on each of its days as bars of one scale."""
    months: defaultdict[str, list[int]] = defaultdict(list)
    for day, owed_fen in by_day.items():
        months[f"{day:%Y-%m}"].append(owed_fen)
    line = sparkline(list(by_day.values()))
    table = _table("Owed to card holders · 未消费余额", "month 月", "per day 每日", "at its end 月末")
    start = 0
    for month, owed in months.items():
        table.add_row(month, line[start : start + len(owed)], usd(owed[-1]))
        start += len(owed)
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, box=box.SIMPLE_HEAD, title_style="bold", title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number == len(columns) - 1 else "left")
    return table


def _mark(right: bool, text: str) -> str:
    return f"[green]{text} ✓[/]" if right else f"[red]{text} ✗[/]"


def _refusals(declined: dict[str, Count]) -> str:
    return " · ".join(f"{code} {refused.count:,}" for code, refused in declined.items()) or "0"
