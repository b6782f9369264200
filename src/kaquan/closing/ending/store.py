"""The tables ``closing_end_*``: the only file of this part that sees a cursor; see ``queries.sql``."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec.structs import asdict

from kaquan.cards.ending import ProgrammeEnd, mark_told
from kaquan.closing.ending.types import (
    DeliveryState,
    DuePayee,
    Liability,
    NewPublication,
    Occasion,
    Publication,
    RefundSearch,
    Settled,
    Told,
    ToldSearch,
    Which,
)
from kaquan.closing.types import PayoutStatus
from kaquan.kit.db import Connection, Params, Pool, given, load_queries
from kaquan.notices import NewNotice, write_notices
from kaquan.notices.types import CONSOLE
from kaquan.parties.trail import Action, Actor, write_action
from kaquan.vault import SealedColumn, declare_sealed

_SQL = load_queries(__package__)

PAYEE_PREFIX = b"end payee "
"""Before the id in what a payee is bound to, so that it opens as nothing else."""

declare_sealed(
    SealedColumn(
        "closing_end_payee",
        key=(("slot", "smallint"), ("card_id", "uuid")),
        column="payee_sealed",
        context="id",
        prefix=PAYEE_PREFIX,
    )
)


async def _rows(connection: Connection, query: str, params: Params) -> list[tuple[Any, ...]]:
    return await (await connection.execute(given(_SQL[query], params), params)).fetchall()


async def _read(pool: Pool, query: str, params: Params) -> list[tuple[Any, ...]]:
    async with pool.connection() as connection:
        return await _rows(connection, query, params)


# --- who is told


async def find_untold(
    pool: Pool, end: ProgrammeEnd, *, slot: int, occasion: Occasion, days: int, limit: int
) -> list[tuple[UUID, UUID]]:
    """Cards with their holders who were not told of this; of a withdrawal only those who were told of the end."""
    params = {
        "slot": slot,
        "end_id": end.id,
        "programme_id": end.programme_id,
        "book_id": end.book_id,
        "occasion": occasion.value,
        "told_before": Occasion.ANNOUNCED.value if occasion is Occasion.WITHDRAWN else None,
        "days": days,
        "limit": limit,
    }
    return [(card_id, customer_id) for card_id, customer_id in await _read(pool, "untold", params)]


async def post_told(
    pool: Pool,
    end: ProgrammeEnd,
    told: Sequence[tuple[UUID, NewNotice]],
    *,
    slot: int,
    occasion: Occasion,
    days: int,
    at: datetime,
) -> int:
    """Write the notices to holders that nobody else has written, each with its line of the log, in one commit; how
    many."""
    params = {
        "slot": slot,
        "end_id": end.id,
        "book_id": end.book_id,
        "occasion": occasion.value,
        "days": days,
        "cards": [notice.card_id for _, notice in told],
        "customers": [customer_id for customer_id, _ in told],
        "notices": [notice.id for _, notice in told],
        "at": at,
    }
    async with pool.connection() as connection, connection.transaction():
        won = {row[0] for row in await _rows(connection, "insert_told", params)}
        await write_notices(connection, [notice for _, notice in told if notice.id in won], at=at)
    return len(won)


async def post_stop(pool: Pool, end: ProgrammeEnd, notice: NewNotice, action: Action, *, at: datetime) -> bool:
    """Write down that an end stopped its programme; False if it was written already."""
    async with pool.connection() as connection, connection.transaction():
        if not await mark_told(connection, end, what="stop", at=at):
            return False
        await write_notices(connection, [notice], at=at)
        await write_action(connection, action)
    return True


async def post_over(pool: Pool, end: ProgrammeEnd, notice: NewNotice, action: Action, *, at: datetime) -> bool:
    """Write down that the last day of an end is over; False if it was written already."""
    async with pool.connection() as connection, connection.transaction():
        if not await mark_told(connection, end, what="end", at=at):
            return False
        await write_notices(connection, [notice], at=at)
        await write_action(connection, action)
    return True


async def load_told(pool: Pool, end: ProgrammeEnd, *, slots: Sequence[int], search: ToldSearch) -> list[Told]:
    """Lines of the log, newest first: each slot gives its newest, and the newest of those are the newest of all."""
    params = {
        **asdict(search),
        "occasion": None if search.occasion is None else search.occasion.value,
        "end_id": end.id,
        "console": CONSOLE,
        "limit": search.limit + 1,
    }
    found: list[Told] = []
    async with pool.connection() as connection:
        for slot in slots:
            found += [
                Told(card, customer, Occasion(occasion), days, notice, at, DeliveryState(state), delivered_at)
                for card, customer, occasion, days, notice, at, state, delivered_at in await _rows(
                    connection, "told", {**params, "slot": slot}
                )
            ]
    return sorted(found, key=lambda told: told.notice_id.int, reverse=True)[: search.limit + 1]


# --- where it was made public


async def post_publication(
    pool: Pool, end: ProgrammeEnd, new: NewPublication, action: Action, *, id_: UUID, by: str, at: datetime
) -> None:
    """Note a publication; one that is noted stays as it is."""
    params = {**asdict(new), "id": id_, "book_id": end.book_id, "end_id": end.id, "noted_by": by, "noted_at": at}
    async with pool.connection() as connection, connection.transaction():
        if (await connection.execute(_SQL["insert_publication"], params)).rowcount:
            await write_action(connection, action)


async def load_publications(pool: Pool, end: ProgrammeEnd) -> list[Publication]:
    """Where an end was made public, the first at first."""
    rows = await _read(pool, "publications", {"book_id": end.book_id, "end_id": end.id})
    return [
        Publication(id_, book, of, medium, where, on, by, at, (end.last_day - on).days >= (end.notice_days or 0))
        for id_, book, of, medium, where, on, by, at in rows
    ]


# --- who is refunded


async def load_card_ids(pool: Pool, end: ProgrammeEnd, *, slots: Sequence[int], search: RefundSearch) -> list[UUID]:
    """Cards on the list of refunds, newest first, one more than the limit if there are."""
    params = {
        "programme_id": end.programme_id,
        "book_id": end.book_id,
        "since": end.announced_at,
        "after_id": search.after_id,
        "owed": True if search.which is Which.OWED else None,
        "limit": search.limit + 1,
    }
    found: list[UUID] = []
    async with pool.connection() as connection:
        for slot in slots:
            found += [row[0] for row in await _rows(connection, "cards", {**params, "slot": slot})]
    return sorted(found, key=lambda card_id: card_id.int, reverse=True)[: search.limit + 1]


async def load_settled(pool: Pool, end: ProgrammeEnd, *, slot: int, card_ids: Sequence[UUID]) -> dict[UUID, Settled]:
    """What is known of the refunds of cards of one slot."""
    params = {"slot": slot, "end_id": end.id, "cards": list(card_ids)}
    return {
        card_id: Settled(card_id, fen, interest, payout, None if status is None else PayoutStatus(status), *rest)
        for card_id, fen, interest, payout, status, *rest in await _read(pool, "settled", params)
    }


async def load_liability(pool: Pool, end: ProgrammeEnd, *, slots: Sequence[int], currency: str) -> Liability:
    """What a programme owes, over all slots."""
    params = {
        "programme_id": end.programme_id, "book_id": end.book_id, "end_id": end.id, "since": end.announced_at,
    }  # fmt: skip
    sums = [0] * 8
    async with pool.connection() as connection:
        for slot in slots:
            (row,) = await _rows(connection, "liability", {**params, "slot": slot})
            sums = [one + more for one, more in zip(sums, row, strict=True)]
    return Liability(currency, *sums)


async def post_payees(pool: Pool, params: Sequence[Params], actions: Sequence[Action]) -> None:
    """Write to whom cards are refunded, in one commit; another account takes the place of the one before."""
    async with pool.connection() as connection, connection.transaction():
        for row in sorted(params, key=lambda row: (row["slot"], row["card_id"])):
            await connection.execute(_SQL["give_payee"], row)
        for action in actions:
            await write_action(connection, action)


async def load_due(
    pool: Pool, *, slot: int, now: datetime, retry_before: datetime, after: UUID, limit: int
) -> list[DuePayee]:
    """Cards of ended programmes whose payee is known, that were not refunded, and not tried since ``retry_before``."""
    params = {"slot": slot, "now": now, "retry_before": retry_before, "after": after, "limit": limit}
    return [
        DuePayee(id_, card_id, end_id, book_id, last_day, bytes(sealed), Actor(key_id, operator_id))
        for id_, card_id, end_id, book_id, last_day, sealed, key_id, operator_id in await _read(
            pool, "due_payees", params
        )
    ]


async def mark_payee(pool: Pool, due: DuePayee, *, slot: int, failure: str | None, at: datetime) -> None:
    """Write down how a try ended, unless another payee was named meanwhile."""
    params = {"slot": slot, "card_id": due.card_id, "id": due.id, "failure": failure, "at": at}
    async with pool.connection() as connection:
        await connection.execute(_SQL["mark_payee"], params)
