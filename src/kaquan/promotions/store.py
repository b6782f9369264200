"""The tables ``promotions_*``: the only file of this room that sees a cursor."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from msgspec.structs import asdict

from kaquan.kit.db import Connection, Pool, constraint_of, given, load_queries
from kaquan.promotions.campaigns import CampaignSearch, CampaignVersion, KeptCampaign, Shadow
from kaquan.promotions.kind import find_kinds
from kaquan.promotions.terms import NO_POLICY, Campaign, CampaignTerms, StackingPolicy

_QUERIES = load_queries(__package__)


async def insert_campaign(connection: Connection, campaign: KeptCampaign) -> str | None:
    """Write a campaign with its first version; the name of the constraint that refused it, or None."""
    try:
        async with connection.transaction():
            await connection.execute(_QUERIES["insert_campaign"], asdict(campaign))
            await connection.execute(_QUERIES["insert_version"], _version_params(campaign))
    except psycopg.IntegrityError as error:
        return constraint_of(error)
    return None


async def insert_version(connection: Connection, campaign: KeptCampaign) -> bool:
    """Write the newest version; False if another one was written meanwhile."""
    try:
        async with connection.transaction():
            await connection.execute(_QUERIES["insert_version"], _version_params(campaign))
    except psycopg.errors.UniqueViolation:
        return False
    return True


def _version_params(campaign: KeptCampaign) -> dict[str, Any]:
    newest = campaign.newest
    return {
        "book_id": campaign.book_id,
        "id": campaign.id,
        "version": newest.version,
        "terms": msgspec.json.encode(newest.terms).decode(),
        "made_at": newest.made_at,
        "made_by": newest.made_by,
    }


async def publish_version(
    connection: Connection, campaign: KeptCampaign, *, at: datetime, by: str, approval_id: UUID | None
) -> bool:
    """Put the newest version in force; False if it is not the newest draft any more."""
    params = {
        "book_id": campaign.book_id,
        "id": campaign.id,
        "version": campaign.newest.version,
        "at": at,
        "by": by,
        "approval_id": approval_id,
    }
    return (await connection.execute(_QUERIES["publish_version"], params)).rowcount == 1


async def end_campaign(connection: Connection, *, book_id: int, id_: UUID, at: datetime) -> bool:
    """End it; False if it has ended."""
    params = {"book_id": book_id, "id": id_, "at": at}
    return (await connection.execute(_QUERIES["end_campaign"], params)).rowcount == 1


async def load_campaigns(
    pool: Pool, book_id: int, search: CampaignSearch, id_: UUID | None = None
) -> list[KeptCampaign]:
    # one row more than asked tells whether there is a next page
    params = {**asdict(search), "book_id": book_id, "id": id_, "limit": search.limit + 1}
    async with pool.connection() as connection:
        rows = await (await connection.execute(given(_QUERIES["campaigns"], params), params)).fetchall()
    return [
        KeptCampaign(*(*row[:7], _version(row[7:14]), None if row[14] is None else _version(row[14:]))) for row in rows
    ]


async def load_versions(
    pool: Pool, book_id: int, campaign_id: UUID, version: int | None = None
) -> list[CampaignVersion]:
    """Every version of a campaign, or one of them, the newest first."""
    params = {"book_id": book_id, "id": campaign_id, "version": version}
    async with pool.connection() as connection:
        rows = await (await connection.execute(given(_QUERIES["versions"], params), params)).fetchall()
    return [_version(row) for row in rows]


async def load_in_force(pool: Pool, book_ids: Sequence[int]) -> list[tuple[int, Campaign]]:
    """The newest published version of each campaign of these books that was not ended, with its book."""
    async with pool.connection() as connection:
        rows = await (await connection.execute(_QUERIES["in_force"], {"book_ids": list(book_ids)})).fetchall()
    return [(book_id, Campaign(id_, version, read_stored(terms))) for book_id, id_, version, terms in rows]


async def insert_policy(
    connection: Connection,
    *,
    book_id: int,
    version: int,
    policy: StackingPolicy,
    at: datetime,
    by: str,
    approval_id: UUID | None,
) -> bool:
    """Write a version of a book's stacking policy; False if another one was written meanwhile."""
    params = {
        "book_id": book_id,
        "version": version,
        "policy": msgspec.json.encode(policy).decode(),
        "made_at": at,
        "made_by": by,
        "approval_id": approval_id,
    }
    try:
        async with connection.transaction():
            await connection.execute(_QUERIES["insert_policy"], params)
    except psycopg.errors.UniqueViolation:
        return False
    return True


async def load_policies(pool: Pool, book_ids: Sequence[int]) -> dict[int, StackingPolicy]:
    """The stacking policies of those of these books that have one."""
    async with pool.connection() as connection:
        rows = await (await connection.execute(_QUERIES["policies"], {"book_ids": list(book_ids)})).fetchall()
    return {book_id: msgspec.convert(policy, StackingPolicy) for book_id, policy in rows}


async def load_policy(pool: Pool, book_id: int) -> tuple[int, StackingPolicy]:
    """The stacking policy of a book with its version; 0 before the first."""
    async with pool.connection() as connection:
        row = await (await connection.execute(_QUERIES["policy"], {"book_id": book_id})).fetchone()
    return (0, NO_POLICY) if row is None else (row[0], msgspec.convert(row[1], StackingPolicy))


async def lock_book(connection: Connection, *, book_id: int) -> None:
    """Let nobody else change what is kept of a book until the end of the transaction; its version moves."""
    await connection.execute(_QUERIES["lock_book"], {"book_id": book_id})


async def load_shadows(connection: Connection, *, book_id: int, campaign_id: UUID | None = None) -> list[Shadow]:
    """Those of a book, or of one of its campaigns, the oldest first."""
    params = {"book_id": book_id, "campaign_id": campaign_id}
    cursor = await connection.execute(given(_QUERIES["shadows"], params), params)
    return [Shadow(*row) for row in await cursor.fetchall()]


async def load_shadowed(
    connection: Connection, *, book_id: int, since: datetime, until: datetime
) -> list[tuple[Shadow, Campaign]]:
    """Those that ran at some time from ``since`` to ``until``, each with its draft."""
    params = {"book_id": book_id, "since": since, "until": until}
    rows = await (await connection.execute(_QUERIES["shadowed"], params)).fetchall()
    return [(Shadow(*row[:-1]), Campaign(row[1], row[3], read_stored(row[-1]))) for row in rows]


async def is_newest_draft(connection: Connection, *, book_id: int, id_: UUID, version: int) -> bool:
    """Whether a version is the newest of a campaign that nobody ended, and not published."""
    params = {"book_id": book_id, "id": id_, "version": version}
    return await (await connection.execute(_QUERIES["newest_draft"], params)).fetchone() is not None


async def insert_shadow(connection: Connection, shadow: Shadow) -> None:
    """Write a shadow."""
    await connection.execute(_QUERIES["insert_shadow"], asdict(shadow))


async def end_shadows(
    connection: Connection, *, book_id: int, id_: UUID, at: datetime, version: int | None = None
) -> list[Shadow]:
    """End those of a campaign (of one of its versions) that run; those that were ended now."""
    params = {"book_id": book_id, "id": id_, "at": at, "version": version}
    cursor = await connection.execute(given(_QUERIES["end_shadows"], params), params)
    return [Shadow(*row) for row in await cursor.fetchall()]


async def load_watched(pool: Pool, book_ids: Sequence[int]) -> list[tuple[int, datetime, Campaign]]:
    """The shadows of these books that nobody ended: the book, until when, and the draft."""
    async with pool.connection() as connection:
        rows = await (await connection.execute(_QUERIES["watched"], {"book_ids": list(book_ids)})).fetchall()
    return [
        (book_id, until, Campaign(id_, version, read_stored(terms))) for book_id, until, id_, version, terms in rows
    ]


async def load_published(connection: Connection, *, book_id: int) -> list[tuple[Campaign, datetime, datetime | None]]:
    """Every version that was published, with when that was and when its campaign was ended: those of a campaign
    together, the newest first."""
    rows = await (await connection.execute(_QUERIES["published"], {"book_id": book_id})).fetchall()
    return [
        (Campaign(id_, version, read_stored(terms)), published_at, ended_at)
        for id_, version, terms, published_at, ended_at in rows
    ]


async def load_policy_past(connection: Connection, *, book_id: int) -> list[tuple[datetime, StackingPolicy]]:
    """Every stacking policy of a book with when it was made, the oldest first."""
    rows = await (await connection.execute(_QUERIES["policy_past"], {"book_id": book_id})).fetchall()
    return [(made_at, msgspec.convert(policy, StackingPolicy)) for made_at, policy in rows]


def _version(row: tuple[Any, ...]) -> CampaignVersion:
    version, terms, *rest = row
    return CampaignVersion(version, read_stored(terms), *rest)


def read_stored(told: Any) -> CampaignTerms:
    """Terms that were checked before they were kept."""
    terms = msgspec.convert(told, CampaignTerms)
    kinds = find_kinds()
    return msgspec.structs.replace(
        terms,
        offers=tuple(
            msgspec.structs.replace(offer, params=msgspec.convert(offer.params, kinds[offer.kind].params))
            for offer in terms.offers
        ),
    )
