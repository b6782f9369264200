"""``kaquan card``: what an operator does to one card at the command line, in an emergency or out of curiosity."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, TypeVar
from uuid import UUID

import msgspec
import typer
from rich import box
from rich.table import Table

from kaquan.cards import BlockReason, Card, Hand, LossCause, block_card, report_loss
from kaquan.doors.cli.failures import CommandError, refused
from kaquan.doors.cli.output import AsJson, print_json, results
from kaquan.doors.cli.prepare import settings_of_command, with_pool
from kaquan.kit.clock import SystemClock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Prefix, SystemIds, read_id, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.kit.paging import DEFAULT_LIMIT, MAX_LIMIT
from kaquan.ledger import read_slots
from kaquan.parties import Mode, get_tenant
from kaquan.payments import TimelineItem, read_timeline

card_app = typer.Typer(help="One card. 单张卡", no_args_is_help=True)

Done = TypeVar("Done")

CardArgument = Annotated[str, typer.Argument(metavar="ID", help="card_… as the API shows it.")]
TenantOption = Annotated[str, typer.Option(help="Whose card it is.")]
ModeOption = Annotated[Mode, typer.Option(help="Real value, or for trying things out.")]

ACTOR = "command_line"


class CardStateView(msgspec.Struct, frozen=True):
    """A card as a command leaves it."""

    id: str
    status: str
    status_reason: str | None
    loss_effective_at: datetime | None


class LineView(msgspec.Struct, frozen=True):
    """A line of a timeline as it is printed."""

    at: datetime
    kind: str
    title: str
    title_zh: str
    actor: str | None
    reason: str | None
    amount_fen: int | None
    reserved_fen: int | None


@card_app.command()
def timeline(
    card_id: CardArgument,
    tenant: TenantOption,
    mode: ModeOption = Mode.TEST,
    limit: Annotated[int, typer.Option(min=1, max=MAX_LIMIT, help="Lines, the newest first.")] = DEFAULT_LIMIT,
    as_json: AsJson = False,
) -> None:
    """All that ever happened to a card and moved on it. 卡片时间线"""

    async def read(pool: Pool, book_id: int, slots: tuple[int, ...], card: UUID) -> list[LineView] | Refusal:
        page = await read_timeline(pool, book_id=book_id, slots=slots, card_id=card, limit=limit)
        return page if isinstance(page, Refusal) else [_line(item) for item in page.data]

    lines = _on_card(card_id, tenant, mode, read)
    if as_json:
        print_json(lines)
        return
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("at", "what", "", "who", "why"):
        table.add_column(column)
    table.add_column("fen", justify="right")
    for line in lines:
        fen = "" if line.amount_fen is None else f"{line.amount_fen or line.reserved_fen or 0:+,}"
        table.add_row(
            f"{line.at:%Y-%m-%d %H:%M:%S}", line.title, line.title_zh, line.actor or "", line.reason or "", fen
        )
    results.print(table)


@card_app.command()
def block(
    card_id: CardArgument,
    tenant: TenantOption,
    mode: ModeOption = Mode.TEST,
    reason: Annotated[BlockReason, typer.Option(help="Why.")] = BlockReason.OPERATOR,
    as_json: AsJson = False,
) -> None:
    """Block a card: no request that starts after this can spend it. 冻结"""

    async def do(pool: Pool, book_id: int, slots: tuple[int, ...], card: UUID) -> Card | Refusal:
        return await block_card(pool, _hand(), book_id=book_id, slots=slots, card_id=card, reason=reason)

    _print_card(_on_card(card_id, tenant, mode, do), as_json=as_json)


@card_app.command("report-loss")
def report_a_loss(
    card_id: CardArgument,
    tenant: TenantOption,
    mode: ModeOption = Mode.TEST,
    cause: Annotated[LossCause, typer.Option(help="What became of it.")] = LossCause.LOST,
    proof: Annotated[str | None, typer.Option(help="What shows whose it is, where it is not registered.")] = None,
    as_json: AsJson = False,
) -> None:
    """Report a card lost; its balance stays. 挂失"""

    async def do(pool: Pool, book_id: int, slots: tuple[int, ...], card: UUID) -> Card | Refusal:
        return await report_loss(pool, _hand(), book_id=book_id, slots=slots, card_id=card, cause=cause, proof=proof)

    _print_card(_on_card(card_id, tenant, mode, do), as_json=as_json)


def _hand() -> Hand:
    return Hand(SystemClock(), SystemIds(), ACTOR)


def _on_card(
    card_id: str,
    tenant: str,
    mode: Mode,
    work: Callable[[Pool, int, tuple[int, ...], UUID], Awaitable[Done | Refusal]],
) -> Done:
    """Do ``work`` on a card of a tenant's book; CommandError says why it could not be done."""
    named = read_id(Prefix.CARD, card_id)
    if named is None:
        raise CommandError(f"{card_id} is no id of a card: card_ and 32 hexadecimal digits. / 卡编号格式不正确。")

    async def find_and_do(pool: Pool) -> Done | Refusal:
        found = await get_tenant(pool, tenant)
        if found is None:
            raise CommandError(f"There is no tenant {tenant}; see: kaquan key list / 没有这个租户。")
        async with pool.connection() as connection:
            slots = await read_slots(connection)
        return await work(pool, found[1][mode].id, slots, named)

    done = with_pool(settings_of_command(), find_and_do)
    if isinstance(done, Refusal):
        raise refused(done)
    return done


def _print_card(card: Card, *, as_json: bool) -> None:
    view = CardStateView(
        show_id(Prefix.CARD, card.id),
        card.status.value,
        None if card.status_reason is None else card.status_reason.value,
        card.loss_due_at,
    )
    if as_json:
        print_json(view)
    else:
        print(f"{view.id} {view.status}")


def _line(item: TimelineItem) -> LineView:
    return LineView(
        item.at,
        item.kind,
        item.title_en,
        item.title_zh,
        item.actor,
        item.reason,
        item.amount_fen,
        item.reserved_fen,
    )
