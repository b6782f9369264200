"""The table ``cards_adjustment``: the only file of adjustments that sees a cursor; see ``queries.sql``."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from msgspec.structs import asdict

from kaquan.cards.adjustments.types import Adjustment, AdjustmentReason, AdjustmentSearch, Direction
from kaquan.cards.store import Write
from kaquan.cards.types import Pocket
from kaquan.kit.db import Connection, Pool, given, load_queries
from kaquan.ledger import AccountSpec, Answer, Item, Posting, PostStatus, RequestKey, open_accounts, post_batch

_QUERIES = load_queries(__package__)


async def open_account(pool: Pool, *, slot: int, asked: AccountSpec) -> int:
    """The issuer's account of adjustments in a slot; opened if it is not there."""
    async with pool.connection() as connection:
        (account_id,) = await open_accounts(connection, slot=slot, asked=[asked])
    return account_id


def post(made: Adjustment, posting: Posting, key: RequestKey, answer: Answer) -> Write:
    """Post an adjustment with its row and the answer to its key; not done if it is stale or the key is answered."""

    async def write(connection: Connection) -> bool:
        item = Item(made.book_id, posting, key, answer)
        (status,) = await post_batch(connection, [item], slot=made.slot, recorded_at=made.made_at)
        if status is not PostStatus.APPLIED:
            return False
        await connection.execute(_QUERIES["insert_adjustment"], asdict(made))
        return True

    return write


def _adjustment(row: tuple[Any, ...]) -> Adjustment:
    fields = dict(zip(Adjustment.__struct_fields__, row, strict=True))
    fields["pocket"] = Pocket(fields["pocket"])
    fields["direction"] = Direction(fields["direction"])
    fields["reason"] = AdjustmentReason(fields["reason"])
    return Adjustment(**fields)


async def load_adjustments(
    pool: Pool, *, book_id: int, slots: Sequence[int], search: AdjustmentSearch, id_: UUID | None = None
) -> list[Adjustment]:
    """Adjustments, newest first: each slot gives its newest, and the newest of those are the newest of all."""
    params = {**asdict(search), "book_id": book_id, "id": id_, "limit": search.limit + 1}
    found: list[Adjustment] = []
    async with pool.connection() as connection:
        for slot in slots:
            cursor = await connection.execute(
                given(_QUERIES["adjustments"], params), {**params, "slot": slot}, prepare=False
            )
            found += [_adjustment(row) for row in await cursor.fetchall()]
    return sorted(found, key=lambda one: one.id.int, reverse=True)[: search.limit + 1]
