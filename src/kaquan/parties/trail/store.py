"""The table ``parties_audit``: the only file of the trail that sees a cursor."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import asdict

from kaquan.kit.db import Connection, Pool, given, load_queries
from kaquan.parties.trail.types import Action, ActionSearch

_QUERIES = load_queries(__package__)


async def insert_action(connection: Connection, action: Action) -> None:
    await connection.execute(
        _QUERIES["insert_action"], {**asdict(action), "before": _json(action.before), "after": _json(action.after)}
    )


async def load_actions(pool: Pool, *, book_id: int, search: ActionSearch) -> list[Action]:
    """One more than the limit, if there are."""
    params = {**asdict(search), "book_id": book_id, "limit": search.limit + 1}
    async with pool.connection() as connection:
        rows = await (await connection.execute(given(_QUERIES["actions"], params), params, prepare=False)).fetchall()
    return [Action(*row) for row in rows]


def _json(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else msgspec.json.encode(value, order="sorted").decode()
