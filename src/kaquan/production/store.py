"""The table ``production_export``: the only file of this room that sees a cursor; see ``queries.sql``."""

from uuid import UUID

import psycopg
from msgspec.structs import asdict

from kaquan.kit.db import Pool, constraint_of, load_queries
from kaquan.production.types import Export

_QUERIES = load_queries(__package__)


async def load_exports(pool: Pool, *, book_id: int, batch_id: UUID) -> list[Export]:
    """The files of a batch, the first first."""
    async with pool.connection() as connection:
        cursor = await connection.execute(_QUERIES["exports"], {"book_id": book_id, "batch_id": batch_id})
        return [Export(*row) for row in await cursor.fetchall()]


async def post_export(pool: Pool, export: Export) -> str | None:
    """Write that a file is given out; the name of the constraint that refused it, or None."""
    try:
        async with pool.connection() as connection:
            await connection.execute(_QUERIES["insert_export"], asdict(export))
    except psycopg.IntegrityError as error:
        return constraint_of(error)
    return None
