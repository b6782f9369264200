"""The table ``cards_programme_end``: the only file of the ends of programmes that sees a cursor; see
``queries.sql``."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec.structs import asdict

from kaquan.cards.ending.types import EndSearch, ProgrammeEnd
from kaquan.cards.store import Write
from kaquan.kit.db import Connection, Params, Pool, given, load_queries

_QUERIES = load_queries(__package__)


def add_end(made: ProgrammeEnd) -> Write:
    """Write an end; not done while another one of its programme stands."""

    async def write(connection: Connection) -> bool:
        return (await connection.execute(_QUERIES["add_end"], asdict(made))).rowcount == 1

    return write


def withdraw(end: ProgrammeEnd, *, by: str, reason: str, at: datetime) -> Write:
    """Take an end back; not done if it was, or has stopped the programme."""

    async def write(connection: Connection) -> bool:
        params = {"book_id": end.book_id, "id": end.id, "by": by, "reason": reason, "at": at}
        return (await connection.execute(_QUERIES["withdraw"], params)).rowcount == 1

    return write


async def load_end(pool: Pool, *, book_id: int, id_: UUID) -> ProgrammeEnd | None:
    found = await load_ends(pool, book_id=book_id, search=EndSearch(limit=1), id_=id_)
    return found[0] if found else None


async def load_ends(
    pool: Pool, *, book_id: int, search: EndSearch, id_: UUID | None = None, standing: Literal[True] | None = None
) -> list[ProgrammeEnd]:
    """Ends, the newest first, one more than the limit if there are; with ``standing`` those that are not withdrawn."""
    params = {**asdict(search), "book_id": book_id, "id": id_, "standing": standing, "limit": search.limit + 1}
    return await _read(pool, given(_QUERIES["ends"], params), params)


async def load_for_worker(pool: Pool, *, ended_since: datetime) -> list[ProgrammeEnd]:
    return await _read(pool, _QUERIES["for_worker"], {"ended_since": ended_since})


async def _read(pool: Pool, query: str, params: Params) -> list[ProgrammeEnd]:
    async with pool.connection() as connection:
        rows = await (await connection.execute(query, params)).fetchall()
    return [ProgrammeEnd(*row) for row in rows]


async def mark_told(connection: Connection, end: ProgrammeEnd, *, what: Literal["stop", "end"], at: datetime) -> bool:
    """Write down that an end has stopped its programme, or is over; False if that was written already."""
    return (await connection.execute(_QUERIES[f"tell_{what}"], {"id": end.id, "at": at})).rowcount == 1
