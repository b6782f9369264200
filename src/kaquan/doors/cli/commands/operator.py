"""``kaquan operator``: the people who work for a tenant, and their keys."""

from datetime import datetime
from typing import Annotated

import msgspec
import typer
from rich import box
from rich.table import Table

from kaquan.doors.cli.failures import CommandError, refused
from kaquan.doors.cli.output import AsJson, print_json, results
from kaquan.doors.cli.prepare import settings_of_command, with_pool
from kaquan.kit.clock import SystemClock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Prefix, SystemIds, read_id, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.kit.paging import MAX_LIMIT
from kaquan.parties import Book, Mode, Scope, get_tenant, issue_key
from kaquan.parties.staff import (
    Operator,
    OperatorChange,
    OperatorSearch,
    OperatorStatus,
    Role,
    change_operator,
    create_operator,
    list_operators,
)

operator_app = typer.Typer(help="People who work for a tenant. 操作员", no_args_is_help=True)

Tenant = Annotated[str, typer.Option(help="Their tenant.")]
InMode = Annotated[Mode, typer.Option(help="Real value, or for trying things out.")]
OperatorCode = Annotated[str, typer.Argument(metavar="CODE", help="The operator's code.")]


class OperatorView(msgspec.Struct, frozen=True, omit_defaults=True):
    """An operator as it is printed; ``token`` only where a key was just made."""

    id: str
    code: str
    name: str
    roles: list[str]
    store_ids: list[str] | None
    status: str
    created_at: datetime
    token: str | None = None


@operator_app.command()
def create(
    code: OperatorCode,
    tenant: Tenant,
    name: Annotated[str, typer.Option(help="Who it is.")],
    role: Annotated[list[Role], typer.Option(help="What they do; may be given several times.")],
    store: Annotated[list[str] | None, typer.Option(help="sto_… where they may act; everywhere without one.")] = None,
    mode: InMode = Mode.TEST,
    as_json: AsJson = False,
) -> None:
    """Make an operator. 新建操作员"""

    async def make(pool: Pool) -> OperatorView:
        book = await book_of(pool, tenant, mode)
        store_ids = None
        if store:
            store_ids = frozenset(id_ for text in store if (id_ := read_id(Prefix.STORE, text)) is not None)
            if len(store_ids) < len(set(store)):
                raise CommandError("--store: must be an id: sto_ and 32 hexadecimal digits. / 应为门店编号。")
        made = await create_operator(
            pool,
            SystemClock(),
            SystemIds(),
            book_id=book.id,
            code=code,
            name=name,
            roles=frozenset(role),
            store_ids=store_ids,
        )
        if isinstance(made, Refusal):
            raise refused(made)
        return _view(made)

    _print(with_pool(settings_of_command(), make), as_json=as_json)


@operator_app.command("list")
def show_list(tenant: Tenant, mode: InMode = Mode.TEST, as_json: AsJson = False) -> None:
    """Every operator of a tenant. 操作员列表"""

    async def read(pool: Pool) -> list[OperatorView]:
        book = await book_of(pool, tenant, mode)
        found: list[Operator] = []
        after = None
        while True:
            search = OperatorSearch(limit=MAX_LIMIT, after_id=after)
            page = await list_operators(pool, book_id=book.id, search=search)
            found += page.data
            if page.next_cursor is None:
                return [_view(operator) for operator in found]
            after = page.data[-1].id

    operators = with_pool(settings_of_command(), read)
    if as_json:
        print_json(operators)
        return
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("code", "name", "roles", "stores", "status", "id"):
        table.add_column(column, no_wrap=column == "id")
    for operator in operators:
        stores = "all" if operator.store_ids is None else str(len(operator.store_ids))
        table.add_row(operator.code, operator.name, " ".join(operator.roles), stores, operator.status, operator.id)
    results.print(table)


@operator_app.command()
def suspend(code: OperatorCode, tenant: Tenant, mode: InMode = Mode.TEST, as_json: AsJson = False) -> None:
    """Suspend an operator: within a second no server takes their keys. 停用操作员"""
    _print(_set_status(code, tenant, mode, OperatorStatus.SUSPENDED), as_json=as_json)


@operator_app.command()
def resume(code: OperatorCode, tenant: Tenant, mode: InMode = Mode.TEST, as_json: AsJson = False) -> None:
    """Take the keys of a suspended operator again. 恢复操作员"""
    _print(_set_status(code, tenant, mode, OperatorStatus.ACTIVE), as_json=as_json)


@operator_app.command()
def key(
    code: OperatorCode,
    tenant: Tenant,
    mode: InMode = Mode.TEST,
    as_json: AsJson = False,
) -> None:
    """Make a key of an operator, for all that their roles allow; it is shown now and never again. 新建操作员密钥"""

    async def make(pool: Pool) -> OperatorView:
        book = await book_of(pool, tenant, mode)
        operator = await _find(pool, book, code)
        issued = await issue_key(
            pool, SystemClock(), SystemIds(), book=book, name=code, scopes=Scope, operator_id=operator.id
        )
        if isinstance(issued, Refusal):
            raise refused(issued)
        return msgspec.structs.replace(_view(operator), token=issued.token)

    made = with_pool(settings_of_command(), make)
    if as_json:
        print_json(made)
    else:
        print(f"{made.code} · {' '.join(made.roles)}\n{made.token}")


async def book_of(pool: Pool, tenant: str, mode: Mode) -> Book:
    """The book of a tenant by its name. Raises CommandError."""
    found = await get_tenant(pool, tenant)
    if found is None:
        raise CommandError(f"There is no tenant {tenant}; see: kaquan key list / 没有这个租户。")
    return found[1][mode]


def _set_status(code: str, tenant: str, mode: Mode, status: OperatorStatus) -> OperatorView:
    async def change(pool: Pool) -> OperatorView:
        book = await book_of(pool, tenant, mode)
        operator = await _find(pool, book, code)
        changed = await change_operator(
            pool, SystemClock(), SystemIds(), book_id=book.id, id_=operator.id, change=OperatorChange(status=status)
        )
        if isinstance(changed, Refusal):
            raise refused(changed)
        return _view(changed)

    return with_pool(settings_of_command(), change)


async def _find(pool: Pool, book: Book, code: str) -> Operator:
    page = await list_operators(pool, book_id=book.id, search=OperatorSearch(code=code))
    if not page.data:
        raise CommandError(f"There is no operator {code}; see: kaquan operator list / 没有这个操作员。")
    return page.data[0]


def _print(operator: OperatorView, *, as_json: bool) -> None:
    if as_json:
        print_json(operator)
    else:
        print(f"{operator.id} · {operator.code} · {operator.status} · {' '.join(operator.roles)}")


def _view(operator: Operator) -> OperatorView:
    stores = operator.store_ids
    return OperatorView(
        id=show_id(Prefix.OPERATOR, operator.id),
        code=operator.code,
        name=operator.name,
        roles=sorted(operator.roles),
        store_ids=None if stores is None else sorted(show_id(Prefix.STORE, id_) for id_ in stores),
        status=operator.status,
        created_at=operator.created_at,
    )
