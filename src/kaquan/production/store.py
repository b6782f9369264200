"""The table ``production_export``: the only file of this room that sees a cursor; see ``queries.sql``."""

from collections.abc import Awaitable, Callable
from uuid import UUID

import psycopg
from msgspec.structs import asdict

from kaquan.kit.db import Connection, Pool, constraint_of, load_queries
from kaquan.kit.outcomes import Refusal
from kaquan.production.types import Export

_QUERIES = load_queries(__package__)


async def load_exports(pool: Pool, *, book_id: int, batch_id: UUID) -> list[Export]:
    """The files of a batch, the first first."""
    async with pool.connection() as connection:
        cursor = await connection.execute(_QUERIES["exports"], {"book_id": book_id, "batch_id": batch_id})
        return [Export(*row) for row in await cursor.fetchall()]


Claim = Callable[[Connection], Awaitable[Refusal | None]]
"""Claims, in the transaction of this connection, what allows a file; a refusal when it does not."""


class _RefusedError(Exception):
    """Takes the transaction back."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal


async def post_export(pool: Pool, export: Export, claim: Claim | None = None) -> Refusal | str | None:
    """Write that a file is given out and claim what allows it, in one commit.

    None when it was written, else the refusal of ``claim`` or the name of the constraint that refused it.
    """
    try:
        async with pool.connection() as connection, connection.transaction():
            refused = None if claim is None else await claim(connection)
            if refused is not None:
                raise _RefusedError(refused)
            await connection.execute(_QUERIES["insert_export"], asdict(export))
    except _RefusedError as error:
        return error.refusal
    except psycopg.IntegrityError as error:
        return constraint_of(error)
    return None
