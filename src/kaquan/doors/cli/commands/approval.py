"""``kaquan approval``: what operators propose, and another operator decides on."""

import os
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

import msgspec
import typer
from rich import box
from rich.table import Table

from kaquan.doors.cli.asking import TOKEN_VARIABLE
from kaquan.doors.cli.failures import CommandError, refused
from kaquan.doors.cli.output import AsJson, print_json, results
from kaquan.doors.cli.prepare import settings_of_command, with_pool
from kaquan.kit.clock import SystemClock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Prefix, SystemIds, read_id, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.parties import Directory, Principal, Scope
from kaquan.parties.staff import Approval, ApprovalSearch, ApprovalStatus, approve, list_approvals, reject
from kaquan.parties.trail import Actor

approval_app = typer.Typer(
    help=f"Proposals that need a second person; your key is read from {TOKEN_VARIABLE}. 审批", no_args_is_help=True
)

Result = TypeVar("Result")

ApprovalId = Annotated[str, typer.Argument(metavar="ID", help="appr_… as list shows it.")]
Why = Annotated[str | None, typer.Option(help="Why.")]


class ApprovalView(msgspec.Struct, frozen=True):
    """A proposal as it is printed."""

    id: str
    kind: str
    subject: str
    payload: dict[str, Any]
    reason: str
    status: str
    proposed_by: str
    proposed_at: datetime
    expires_at: datetime
    decided_by: str | None


@approval_app.command("list")
def show_list(
    status: Annotated[ApprovalStatus | None, typer.Option(help="Only those that are so now.")] = None,
    as_json: AsJson = False,
) -> None:
    """The newest 200 proposals of your book. 审批列表"""

    async def read(pool: Pool) -> list[ApprovalView]:
        principal = await sign_in(pool, Scope.APPROVALS_READ)
        search = ApprovalSearch(limit=200, status=status)
        page = await list_approvals(pool, book_id=principal.book_id, search=search, now=SystemClock().now())
        return [_view(approval) for approval in page.data]

    approvals = with_pool(settings_of_command(), read)
    if as_json:
        print_json(approvals)
        return
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("id", "kind", "subject", "status", "reason", "expires"):
        table.add_column(column, no_wrap=column == "id")
    for approval in approvals:
        table.add_row(
            approval.id,
            approval.kind,
            approval.subject,
            approval.status,
            approval.reason,
            f"{approval.expires_at:%Y-%m-%d %H:%M}",
        )
    results.print(table)


@approval_app.command("approve")
def allow(approval_id: ApprovalId, reason: Why = None, as_json: AsJson = False) -> None:
    """Allow what another operator proposed. 批准"""
    _decide(approve, approval_id, reason, as_json=as_json)


@approval_app.command("reject")
def refuse(approval_id: ApprovalId, reason: Why = None, as_json: AsJson = False) -> None:
    """Refuse what another operator proposed. 驳回"""
    _decide(reject, approval_id, reason, as_json=as_json)


def _decide(
    verb: Callable[..., Awaitable[Approval | Refusal]], approval_id: str, reason: str | None, *, as_json: bool
) -> None:
    async def decide(pool: Pool) -> ApprovalView:
        principal = await sign_in(pool, Scope.APPROVALS_DECIDE)
        id_ = read_id(Prefix.APPROVAL, approval_id)
        if id_ is None:
            raise CommandError("ID: must be appr_ and 32 hexadecimal digits. / 应为审批编号。")
        decided = await verb(
            pool,
            SystemClock(),
            SystemIds(),
            book_id=principal.book_id,
            id_=id_,
            reason=reason,
            by=Actor(principal.key_id, principal.operator_id),
        )
        if isinstance(decided, Refusal):
            raise refused(decided)
        return _view(decided)

    decided = with_pool(settings_of_command(), decide)
    if as_json:
        print_json(decided)
    else:
        print(f"{decided.id} · {decided.kind} · {decided.status}")


async def sign_in(pool: Pool, scope: Scope) -> Principal:
    """Who runs a command, by their key. Raises CommandError without one, or without the scope."""
    directory = Directory(pool)
    await directory.refresh()
    principal = directory.authenticate(os.environ.get(TOKEN_VARIABLE, ""))
    if principal is None:
        raise CommandError(
            f"{TOKEN_VARIABLE}: must hold a key of an operator: kaquan operator key / 请提供操作员密钥。"
        )
    if scope not in principal.scopes:
        raise CommandError(f"{TOKEN_VARIABLE}: this key does not have the scope {scope}. / 此密钥无此权限。")
    return principal


def as_operator(scope: Scope, work: Callable[[Pool, Principal], Awaitable[Result | Refusal]]) -> Result:
    """Do ``work`` as whoever runs the command, by their key; a refusal becomes a sentence."""

    async def run(pool: Pool) -> Result:
        done = await work(pool, await sign_in(pool, scope))
        if isinstance(done, Refusal):
            raise refused(done)
        return done

    return with_pool(settings_of_command(), run)


def id_of(prefix: Prefix, text: str, name: str) -> UUID:
    """The id that an argument or option ``name`` gives. Raises CommandError."""
    found = read_id(prefix, text)
    if found is None:
        raise CommandError(f"{name}: must be {prefix}_ and 32 hexadecimal digits. / 编号格式不正确。")
    return found


def _view(approval: Approval) -> ApprovalView:
    return ApprovalView(
        id=show_id(Prefix.APPROVAL, approval.id),
        kind=approval.kind,
        subject=approval.subject,
        payload=msgspec.json.decode(approval.payload),
        reason=approval.reason,
        status=approval.status_at(SystemClock().now()),
        proposed_by=show_id(Prefix.OPERATOR, approval.proposed_by),
        proposed_at=approval.proposed_at,
        expires_at=approval.expires_at,
        decided_by=None if approval.decided_by is None else show_id(Prefix.OPERATOR, approval.decided_by),
    )
