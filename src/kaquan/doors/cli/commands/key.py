"""``kaquan key``: API keys, and the tenants that they belong to."""

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
from kaquan.parties import (
    ApiKey,
    Book,
    IssuedKey,
    Mode,
    Scope,
    create_tenant,
    get_tenant,
    issue_key,
    list_keys,
    list_tenants,
    revoke_key,
)

key_app = typer.Typer(help="API keys. 接口密钥", no_args_is_help=True)


class KeyView(msgspec.Struct, frozen=True, omit_defaults=True):
    """A key as it is printed; ``token`` only where it was just made."""

    id: str
    tenant: str
    mode: Mode
    name: str
    scopes: list[str]
    created_at: datetime
    revoked_at: datetime | None = None
    token: str | None = None


@key_app.command()
def create(
    tenant: Annotated[str, typer.Option(help="Its tenant, made if there is none of that name.")],
    name: Annotated[str, typer.Option(help="What it is for.")],
    mode: Annotated[Mode, typer.Option(help="Real value, or for trying things out.")] = Mode.TEST,
    scope: Annotated[list[Scope] | None, typer.Option(help="What it may do; everything without one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key; its token is shown now and never again. 新建密钥"""

    async def make(pool: Pool) -> KeyView:
        clock, ids = SystemClock(), SystemIds()
        found = await get_tenant(pool, tenant) or await create_tenant(pool, clock, ids, name=tenant)
        if isinstance(found, Refusal):
            raise refused(found)
        issued = await issue_key(pool, clock, ids, book=found[1][mode], name=name, scopes=scope or Scope)
        if not isinstance(issued, IssuedKey):
            raise refused(issued)
        return _view(issued.key, tenant=tenant, mode=mode, token=issued.token)

    made = with_pool(settings_of_command(), make)
    if as_json:
        print_json(made)
    else:
        print(f"{made.id} · {tenant} · {mode}\n{made.token}")


@key_app.command("list")
def show_list(as_json: AsJson = False) -> None:
    """Every key of every tenant, revoked ones too. 密钥列表"""

    async def read(pool: Pool) -> list[KeyView]:
        return [_view(key, tenant=tenant, mode=book.mode) for key, tenant, book in await _every_key(pool)]

    keys = with_pool(settings_of_command(), read)
    if as_json:
        print_json(keys)
        return
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("id", no_wrap=True, min_width=36)
    for column in ("tenant", "mode", "name", "scopes", "created", "revoked"):
        table.add_column(column)
    for key in keys:
        scopes = "all" if len(key.scopes) == len(Scope) else " ".join(key.scopes)
        table.add_row(
            key.id, key.tenant, key.mode, key.name, scopes, f"{key.created_at:%Y-%m-%d %H:%M}", _show(key.revoked_at)
        )
    results.print(table)


@key_app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="key_… as list and create show it.")],
    as_json: AsJson = False,
) -> None:
    """Revoke a key: within a second no server takes it any more. 吊销密钥"""

    async def end(pool: Pool) -> KeyView:
        for key, tenant, book in await _every_key(pool):
            if key.id == read_id(Prefix.KEY, key_id):
                revoked = await revoke_key(pool, SystemClock(), SystemIds(), book_id=book.id, key_id=key.id)
                if isinstance(revoked, Refusal):
                    raise refused(revoked)
                return _view(revoked, tenant=tenant, mode=book.mode)
        raise CommandError(f"There is no key {key_id}; see: kaquan key list / 没有这个密钥。")

    revoked = with_pool(settings_of_command(), end)
    if as_json:
        print_json(revoked)
    else:
        print(f"{revoked.id} revoked {_show(revoked.revoked_at)} / 已吊销")


async def _every_key(pool: Pool) -> list[tuple[ApiKey, str, Book]]:
    keys = []
    for tenant in await list_tenants(pool):
        found = await get_tenant(pool, tenant.name)
        assert found is not None, "tenants are never removed"
        for book in found[1].values():
            keys += [(key, tenant.name, book) for key in await list_keys(pool, book.id)]
    return keys


def _view(key: ApiKey, *, tenant: str, mode: Mode, token: str | None = None) -> KeyView:
    return KeyView(
        id=show_id(Prefix.KEY, key.id),
        tenant=tenant,
        mode=mode,
        name=key.name,
        scopes=sorted(key.scopes),
        created_at=key.created_at,
        revoked_at=key.revoked_at,
        token=token,
    )


def _show(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}"
