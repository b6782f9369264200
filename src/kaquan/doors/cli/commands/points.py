"""``kaquan points``: what is outstanding."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from kaquan import points
from kaquan.app import read_slots_of
from kaquan.doors.cli.failures import CommandError
from kaquan.doors.cli.output import AsJson, print_json
from kaquan.doors.cli.prepare import settings_of_command, with_pool
from kaquan.kit.clock import SystemClock
from kaquan.kit.db import Pool
from kaquan.parties import Mode, get_tenant
from kaquan.points import PointsLiability

points_app = typer.Typer(help="Points of members. 积分", no_args_is_help=True)


@points_app.callback()
def _group() -> None:
    """Points of members. 积分"""


@points_app.command()
def liability(
    tenant: Annotated[str, typer.Option(help="Whose points.")],
    mode: Annotated[Mode, typer.Option(help="live or test.")] = Mode.LIVE,
    at: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"], help="As of when, UTC; now without it."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """How many points are outstanding, and what made them so many. 积分负债"""

    async def work(pool: Pool) -> PointsLiability:
        there = await get_tenant(pool, tenant)
        if there is None:
            raise CommandError(f"There is no tenant {tenant}. / 没有这个租户。")
        moment = SystemClock().now() if at is None else at.replace(tzinfo=UTC)
        return await points.report_points(pool, book_id=there[1][mode].id, slots=await read_slots_of(pool), at=moment)

    told = with_pool(settings_of_command(), work)
    if as_json:
        print_json(told._asdict())
    else:
        print(
            f"{told.outstanding:,} points outstanding 未用积分: granted {told.granted:,}, offered {told.offered:,}, "
            f"adjusted {told.adjusted:,}, spent {told.spent:,}, expired {told.expired:,}, "
            f"benefits {told.benefits:,}, exchanged {told.exchanged:,}"
        )
