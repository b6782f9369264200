"""The tables ``notices_*``: the only file of this room that sees a cursor; see ``queries.sql``."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from msgspec.structs import asdict

from kaquan.kit.db import Connection, Params, Pool, given, load_queries
from kaquan.notices.types import (
    CONSOLE,
    Attempt,
    Delivery,
    DeliveryStatus,
    Endpoint,
    EndpointStatus,
    FullNotice,
    NewNotice,
    Notice,
    NoticeSearch,
)
from kaquan.vault import SealedColumn, declare_sealed

_SQL = load_queries(__package__)

SEAL_PREFIX = b"notices endpoint secret "
"""Before the id in what a sealed secret is bound to, so that it opens as nothing else."""

for _column in ("secret_sealed", "old_secret_sealed"):
    declare_sealed(
        SealedColumn("notices_endpoint", key=(("id", "uuid"),), column=_column, context="id", prefix=SEAL_PREFIX)
    )


async def _rows(connection: Connection, query: str, params: Params) -> list[tuple[Any, ...]]:
    return await (await connection.execute(given(_SQL[query], params), params)).fetchall()


async def _write(pool: Pool, query: str, params: Params) -> int:
    async with pool.connection() as connection:
        return (await connection.execute(_SQL[query], params)).rowcount


async def post_notices(
    connection: Connection, notices: Sequence[NewNotice], bodies: Sequence[str], *, at_once: Sequence[str], at: datetime
) -> None:
    """Write notices with their deliveries, in the caller's transaction."""
    await connection.execute(
        _SQL["post_notices"],
        {
            "slots": [new.slot for new in notices],
            "ids": [new.id for new in notices],
            "books": [new.book_id for new in notices],
            "events": [new.event.name for new in notices],
            "cards": [new.card_id for new in notices],
            "bodies": list(bodies),
            "at_once": list(at_once),
            "console": CONSOLE,
            "at": at,
        },
    )


# --- endpoints


def _endpoint(row: tuple[Any, ...]) -> Endpoint:
    id_, book_id, kind, address, events, status, sealed, old_sealed, *rest = row
    old = None if old_sealed is None else bytes(old_sealed)
    return Endpoint(id_, book_id, kind, address, tuple(events), EndpointStatus(status), bytes(sealed), old, *rest)


def _params(endpoint: Endpoint) -> dict[str, Any]:
    return {**asdict(endpoint), "events": list(endpoint.events)}


async def post_endpoint(pool: Pool, endpoint: Endpoint) -> None:
    await _write(pool, "insert_endpoint", _params(endpoint))


async def load_endpoints(pool: Pool, book_id: int, search: NoticeSearch, id_: UUID | None = None) -> list[Endpoint]:
    """Endpoints of a book that are not removed."""
    params = {**asdict(search), "book_id": book_id, "id": id_, "limit": search.limit + 1}
    async with pool.connection() as connection:
        return [_endpoint(row) for row in await _rows(connection, "endpoints", params)]


async def change_endpoint(
    pool: Pool,
    *,
    book_id: int,
    id_: UUID,
    address: str | None,
    events: Sequence[str] | None,
    status: EndpointStatus | None,
) -> Endpoint | None:
    """Write those of address, events and status that are told; None if it was removed."""
    params = {
        "book_id": book_id, "id": id_, "address": address, "events": None if events is None else list(events),
        "status": status,
    }  # fmt: skip
    async with pool.connection() as connection:
        rows = await _rows(connection, "change_endpoint", params)
    return _endpoint(rows[0]) if rows else None


async def rotate_secret(pool: Pool, endpoint: Endpoint) -> bool:
    """Write the secret; the one that it had is its old one until ``old_secret_until``. False if it was removed."""
    return await _write(pool, "rotate_secret", _params(endpoint)) == 1


async def remove_endpoint(pool: Pool, endpoint: Endpoint, *, slots: Sequence[int]) -> None:
    """Remove it and give up what is on its way to it, in one commit."""
    async with pool.connection() as connection, connection.transaction():
        await connection.execute(_SQL["remove_endpoint"], _params(endpoint))
        for slot in slots:
            await connection.execute(_SQL["give_up"], {"slot": slot, "endpoint_id": endpoint.id})


# --- notices


async def load_notices(pool: Pool, book_id: int, slots: Sequence[int], search: NoticeSearch) -> list[Notice]:
    """Notices, newest first: each slot gives its newest, and the newest of those are the newest of all."""
    params = {**asdict(search), "book_id": book_id, "id": None, "limit": search.limit + 1}
    notices: list[Notice] = []
    async with pool.connection() as connection:
        for slot in slots:
            notices += [Notice(*row) for row in await _rows(connection, "notices", {**params, "slot": slot})]
    return sorted(notices, key=lambda notice: notice.id.int, reverse=True)[: search.limit + 1]


async def load_notice(pool: Pool, *, book_id: int, slot: int, id_: UUID) -> FullNotice | None:
    """A notice with its deliveries and attempts, or None."""
    params = {**asdict(NoticeSearch()), "book_id": book_id, "slot": slot, "id": id_, "notice_id": id_}
    async with pool.connection() as connection:
        rows = await _rows(connection, "notices", params)
        if not rows:
            return None
        deliveries = [
            Delivery(endpoint_id, kind, DeliveryStatus(status), *rest)
            for endpoint_id, kind, status, *rest in await _rows(connection, "deliveries", params)
        ]
        attempts = [Attempt(*row) for row in await _rows(connection, "attempts", params)]
    return FullNotice(Notice(*rows[0]), deliveries, attempts)


async def send_again(pool: Pool, notice: Notice, *, slot: int, at: datetime) -> None:
    """Make a notice pending for every active endpoint that wants it."""
    params = {
        "slot": slot,
        "book_id": notice.book_id,
        "id": notice.id,
        "endpoint_id": None,
        "created_after": None,
        "created_before": None,
        "at": at,
    }
    async with pool.connection() as connection:
        await connection.execute(given(_SQL["send_again"], params), params)


async def replay(
    pool: Pool,
    endpoint: Endpoint,
    *,
    slots: Sequence[int],
    created_after: datetime,
    created_before: datetime,
    only_dead: bool,
    at: datetime,
) -> int:
    """Make pending for an endpoint what was written between two times; how many."""
    params = {
        "book_id": endpoint.book_id,
        "id": None,
        "endpoint_id": endpoint.id,
        "created_after": created_after,
        "created_before": created_before,
        "at": at,
    }
    query = given(_SQL["revive_dead" if only_dead else "send_again"], params)
    count = 0
    async with pool.connection() as connection:
        for slot in slots:
            count += (await connection.execute(query, {**params, "slot": slot})).rowcount
    return count


# --- the courier's


class Claimed(NamedTuple):
    """A delivery that this courier, and no other, sends now."""

    slot: int
    notice_id: UUID
    endpoint_id: UUID
    kind: str
    attempt: int
    round_count: int
    lease_until: datetime


class Addressed(NamedTuple):
    """A claimed delivery with what it takes to send it."""

    claimed: Claimed
    body: str
    address: str
    secret_sealed: bytes
    old_secret_sealed: bytes | None
    old_secret_until: datetime | None


async def claim_due(pool: Pool, *, slot: int, now: datetime, lease_until: datetime, each: int) -> list[Addressed]:
    """Claim what is due in a slot, at most ``each`` of an endpoint."""
    async with pool.connection() as connection:
        claimed = [
            Claimed(slot, notice_id, endpoint_id, kind, attempt, round_count, lease_until)
            for notice_id, endpoint_id, kind, attempt, round_count in await _rows(
                connection, "claim_due", {"slot": slot, "now": now, "lease_until": lease_until, "each": each}
            )
        ]
        if not claimed:
            return []
        rows = await _rows(
            connection,
            "letters",
            {
                "slot": slot,
                "notices": [one.notice_id for one in claimed],
                "endpoints": [one.endpoint_id for one in claimed],
            },
        )
    details = {
        (notice_id, endpoint_id): (body, address, bytes(sealed), None if old is None else bytes(old), until)
        for notice_id, endpoint_id, body, address, sealed, old, until in rows
    }
    return [Addressed(one, *details[one.notice_id, one.endpoint_id]) for one in claimed]


async def settle(
    pool: Pool, claimed: Claimed, attempt: Attempt, *, status: DeliveryStatus, next_at: datetime | None
) -> None:
    """Keep what came of an attempt, in one commit."""
    params = {**asdict(attempt), "slot": claimed.slot, "notice_id": claimed.notice_id}
    async with pool.connection() as connection, connection.transaction():
        await connection.execute(_SQL["insert_attempt"], params)
        await connection.execute(
            _SQL["settle_delivery"],
            {
                **params,
                "status": status.value,
                "next_at": next_at,
                "delivered_at": attempt.attempted_at if status is DeliveryStatus.DELIVERED else None,
                "lease_until": claimed.lease_until,
            },
        )
