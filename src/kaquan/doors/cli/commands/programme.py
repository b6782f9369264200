"""``kaquan programme``: the end of a programme: announced, withdrawn, told, refunded."""

import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich import box
from rich.table import Table

from kaquan.app import read_slots_of
from kaquan.cards import get_programme
from kaquan.cards.ending import EndSearch, NewEnd, ProgrammeEnd, end_programme, get_end, list_ends, withdraw_end
from kaquan.closing import ending
from kaquan.closing.ending import Liability, RefundFile, ToldSearch, Which
from kaquan.doors.cli.asking import TOKEN_VARIABLE
from kaquan.doors.cli.commands.approval import as_operator, id_of
from kaquan.doors.cli.failures import CommandError, refused
from kaquan.doors.cli.output import AsJson, print_json, results
from kaquan.doors.cli.prepare import settings_of_command
from kaquan.kit.clock import SystemClock
from kaquan.kit.db import Connection, Pool
from kaquan.kit.ids import Prefix, SystemIds, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.kit.paging import DEFAULT_LIMIT, MAX_LIMIT
from kaquan.parties import Principal, Scope
from kaquan.parties.outcomes import APPROVAL_REQUIRED
from kaquan.parties.staff import ApprovalKind, Approve, claim_approval
from kaquan.parties.trail import Actor
from kaquan.policy import Policy
from kaquan.vault import Keyring

programme_app = typer.Typer(
    help=f"The end of a programme; your key is read from {TOKEN_VARIABLE}. 卡种终止", no_args_is_help=True
)

EndArgument = Annotated[str, typer.Argument(metavar="END", help="pend_… as ends shows it.")]
ApprovalOption = Annotated[str | None, typer.Option("--approval", help="appr_…: an operator needs one.")]
WhichOption = Annotated[Which, typer.Option(help="All cards, or those that are not closed and hold value.")]


class EndView(msgspec.Struct, frozen=True):
    """An end as it is printed."""

    id: str
    programme_id: str
    status: str
    stops_at: datetime
    last_day: date
    reason: str
    notice_days: int | None
    notice_rule: str | None
    notice_source: str | None


@programme_app.command()
def end(
    programme_id: Annotated[str, typer.Argument(metavar="PROGRAMME", help="prog_… as the API shows it.")],
    last_day: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Cards are taken up to and including it.")],
    reason: Annotated[str, typer.Option(help="Why.")],
    announcement: Annotated[Path, typer.Option(help="The public notice, a text in UTF-8.")],
    stops_at: Annotated[
        str | None, typer.Option(help="From when on nothing is sold or loaded (ISO 8601); as soon as possible.")
    ] = None,
    approval_id: ApprovalOption = None,
    as_json: AsJson = False,
) -> None:
    """Announce the end of a programme, under the notice that the rules ask for. 公告终止卡种

    The payload of the approval has the programme_id, last_day, reason and announcement, and stops_at if it is given.
    """
    programme = id_of(Prefix.PROGRAMME, programme_id, "PROGRAMME")
    text = announcement.read_text("utf-8").strip()
    payload = {
        "programme_id": programme_id,
        "last_day": last_day.date().isoformat(),
        "reason": reason,
        "announcement": text,
        **({} if stops_at is None else {"stops_at": stops_at}),
    }
    new = NewEnd(
        programme_id=programme,
        last_day=last_day.date(),
        reason=reason,
        announcement=text,
        stops_at=None if stops_at is None else _moment(stops_at),
    )

    async def work(pool: Pool, who: Principal) -> ProgrammeEnd | Refusal:
        found = await get_programme(pool, book_id=who.book_id, programme_id=programme)
        if isinstance(found, Refusal):
            return found
        policy = Policy(pool)
        await policy.refresh()
        return await end_programme(
            pool,
            SystemClock(),
            SystemIds(),
            book_id=who.book_id,
            new=new,
            rules=policy.rules(who.book_id, found.issuer_id),
            by=Actor(who.key_id, who.operator_id),
            approval_id=None if approval_id is None else id_of(Prefix.APPROVAL, approval_id, "--approval"),
            approve=_approve(who, subject=programme_id, payload=payload, approval_id=approval_id),
        )

    _print_end(as_operator(Scope.PROGRAMMES_WRITE, work), as_json=as_json)


@programme_app.command()
def withdraw(
    end_id: EndArgument,
    reason: Annotated[str, typer.Option(help="Why.")],
    approval_id: ApprovalOption = None,
    as_json: AsJson = False,
) -> None:
    """Withdraw an announced end before it stops the programme. 撤回终止

    The payload of the approval has the reason.
    """
    subject = id_of(Prefix.PROGRAMME_END, end_id, "END")

    async def work(pool: Pool, who: Principal) -> ProgrammeEnd | Refusal:
        return await withdraw_end(
            pool,
            SystemClock(),
            SystemIds(),
            book_id=who.book_id,
            end_id=subject,
            reason=reason,
            by=Actor(who.key_id, who.operator_id),
            approve=_approve(who, subject=end_id, payload={"reason": reason}, approval_id=approval_id),
        )

    _print_end(as_operator(Scope.PROGRAMMES_WRITE, work), as_json=as_json)


@programme_app.command("ends")
def show_ends(as_json: AsJson = False) -> None:
    """The newest 200 ends of your book. 终止列表"""

    async def work(pool: Pool, who: Principal) -> list[ProgrammeEnd]:
        return (await list_ends(pool, book_id=who.book_id, search=EndSearch(limit=MAX_LIMIT))).data

    shown = [_view(one) for one in as_operator(Scope.PROGRAMMES_READ, work)]
    if as_json:
        print_json(shown)
        return
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("id", "programme", "status", "stops", "last day", "reason"):
        table.add_column(column, no_wrap=column == "id")
    for one in shown:
        stops = f"{one.stops_at:%Y-%m-%d %H:%M}"
        table.add_row(one.id, one.programme_id, one.status, stops, one.last_day.isoformat(), one.reason)
    results.print(table)


@programme_app.command()
def refunds(
    end_id: EndArgument,
    file: Annotated[Path, typer.Argument(help="A new file: .csv or .xlsx.")],
    which: WhichOption = Which.ALL,
    as_json: AsJson = False,
) -> None:
    """Write the list of refunds: every card, what it holds, what is due, how far its refund is. 导出退款清单"""
    subject = id_of(Prefix.PROGRAMME_END, end_id, "END")
    form = {".csv": RefundFile.CSV, ".xlsx": RefundFile.XLSX}.get(file.suffix.lower())
    if form is None:
        raise CommandError("FILE: must end in .csv or .xlsx. / 应以 .csv 或 .xlsx 结尾。")
    if file.exists():
        raise CommandError(f"{file} is there already and is not overwritten. / 文件已存在。")
    settings = settings_of_command()
    keyring = Keyring.load(settings.keyring_path, settings.keyring_passphrase)

    async def work(pool: Pool, who: Principal) -> tuple[bytes, Liability] | Refusal:
        slots, policy = await read_slots_of(pool), Policy(pool)
        await policy.refresh()
        found = await get_end(pool, book_id=who.book_id, end_id=subject)
        if isinstance(found, Refusal):
            return found
        lines = ending.each_refund(pool, keyring, SystemClock(), policy, found, slots=slots, which=which)
        content = await ending.write_refunds(lines, form)
        liability = await ending.get_liability(pool, book_id=who.book_id, slots=slots, end_id=subject)
        return liability if isinstance(liability, Refusal) else (content, liability)

    content, liability = as_operator(Scope.PAYOUTS_READ, work)
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(content)
    if as_json:
        print_json({"file": str(file.resolve()), **msgspec.structs.asdict(liability)})
        return
    print(
        f"{file} · {liability.open_cards:,} cards hold {liability.paid_fen:,} paid and {liability.given_fen:,} given "
        f"({liability.currency}, fen); {liability.closed_cards:,} are closed / 退款清单已导出"
    )


@programme_app.command()
def notices(
    end_id: EndArgument,
    limit: Annotated[int, typer.Option(min=1, max=MAX_LIMIT, help="Lines, the newest first.")] = DEFAULT_LIMIT,
    as_json: AsJson = False,
) -> None:
    """Who of the holders was told of an end, when, and whether it was delivered. 通知记录"""
    subject = id_of(Prefix.PROGRAMME_END, end_id, "END")

    async def work(pool: Pool, who: Principal) -> list[dict[str, Any]] | Refusal:
        slots = await read_slots_of(pool)
        search = ToldSearch(limit=limit)
        page = await ending.list_told(pool, book_id=who.book_id, slots=slots, end_id=subject, search=search)
        if isinstance(page, Refusal):
            return page
        return [
            {
                **told._asdict(),
                "card_id": show_id(Prefix.CARD, told.card_id),
                "customer_id": show_id(Prefix.CUSTOMER, told.customer_id),
                "notice_id": show_id(Prefix.NOTICE, told.notice_id),
            }
            for told in page.data
        ]

    lines = as_operator(Scope.NOTICES_READ, work)
    if as_json:
        print_json(lines)
        return
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("told", "card", "occasion", "days", "delivery"):
        table.add_column(column)
    for line in lines:
        told_at = f"{line['told_at']:%Y-%m-%d %H:%M}"
        table.add_row(told_at, line["card_id"], line["occasion"], str(line["days"]), line["delivery"])
    results.print(table)


def _approve(who: Principal, *, subject: str, payload: dict[str, Any], approval_id: str | None) -> Approve | None:
    """What claims the approval; None for a key of nobody, which has its own control."""
    if approval_id is None:
        if who.operator_id is None:
            return None
        raise refused(APPROVAL_REQUIRED.refuse("--approval", kind=ApprovalKind.PROGRAMME_END.value))
    id_ = id_of(Prefix.APPROVAL, approval_id, "--approval")

    async def approve(connection: Connection) -> Refusal | None:
        claimed = await claim_approval(
            connection,
            SystemClock(),
            SystemIds(),
            book_id=who.book_id,
            id_=id_,
            kind=ApprovalKind.PROGRAMME_END,
            subject=subject,
            payload=payload,
            by=Actor(who.key_id, who.operator_id),
        )
        return claimed if isinstance(claimed, Refusal) else None

    return approve


def _moment(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise CommandError(
            "--stops-at: must be a time with its zone, such as 2026-03-01T00:00:00+08:00. / 时间格式不正确。"
        )
    return at.astimezone(UTC)


def _view(one: ProgrammeEnd) -> EndView:
    return EndView(
        id=show_id(Prefix.PROGRAMME_END, one.id),
        programme_id=show_id(Prefix.PROGRAMME, one.programme_id),
        status=one.status_at(SystemClock().now()),
        stops_at=one.stops_at,
        last_day=one.last_day,
        reason=one.reason,
        notice_days=one.notice_days,
        notice_rule=one.notice_rule,
        notice_source=one.notice_source,
    )


def _print_end(one: ProgrammeEnd, *, as_json: bool) -> None:
    shown = _view(one)
    if as_json:
        print_json(shown)
        return
    print(f"{shown.id} · {shown.status} · stops {shown.stops_at:%Y-%m-%d %H:%M} · last day {shown.last_day}")
