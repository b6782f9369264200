"""The payments room's statements; see ``queries.sql`` and migration 0005."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from kaquan.cards import CardStatus, Pocket
from kaquan.kit.db import Connection, load_queries, rows_literal, text_field, time_field, uuid_field
from kaquan.ledger import Item, PostStatus
from kaquan.ledger.store import batch_params
from kaquan.payments.types import (
    CardFacts,
    LotFacts,
    Payment,
    PaymentFacts,
    PaymentKind,
    PaymentStatus,
    Plan,
    PocketFacts,
    SpentLeg,
)

_SQL = load_queries(__package__)
_POCKETS = {pocket.account_kind: pocket for pocket in Pocket}
_STATUSES = {status.value: status for status in CardStatus}


class BatchFacts(NamedTuple):
    """What was read for a batch, by id."""

    cards: dict[UUID, CardFacts]
    payments: dict[UUID, PaymentFacts]


async def load_facts(
    connection: Connection, *, slot: int, cards: Sequence[UUID], payments: Sequence[UUID]
) -> BatchFacts:
    """Everything that a batch is decided on, in one round trip (two more when payments are to change)."""
    cursor = await connection.execute(
        _SQL["load_cards"],
        {
            "slot": slot,
            "cards": "{" + ",".join([card.hex for card in cards]) + "}",
            "payments": "{" + ",".join([payment.hex for payment in payments]) + "}",
        },
        binary=True,
    )
    found: dict[UUID, CardFacts] = {}
    for (
        card_id, book_id, programme_id, status, expires_at, book_version, account_id, kind, version, posted_fen,
        reserved_fen, lot, available_fen, paid_fen, given_fen, lot_expires_at,
    ) in await cursor.fetchall():  # fmt: skip
        card = found.get(card_id)
        if card is None:
            card = CardFacts(card_id, book_id, programme_id, _STATUSES[status], expires_at, book_version, {})
            found[card_id] = card
        if account_id is None:
            continue
        name = _POCKETS[kind]
        pocket = card.pockets.get(name)
        if pocket is None:
            pocket = PocketFacts(name, account_id, version, posted_fen, reserved_fen, [])
            card.pockets[name] = pocket
        if lot is not None:
            pocket.lots.append(LotFacts(lot, available_fen, paid_fen, given_fen, lot_expires_at))
    return BatchFacts(found, await _load_payments(connection, slot=slot, ids=payments) if payments else {})


async def _load_payments(connection: Connection, *, slot: int, ids: Sequence[UUID]) -> dict[UUID, PaymentFacts]:
    params = {"slot": slot, "ids": list(ids)}
    rows = await (await connection.execute(_SQL["load_payments"], params)).fetchall()
    facts = {row[1]: PaymentFacts(_payment(row), []) for row in rows}
    for root, *leg in await (await connection.execute(_SQL["load_legs"], params)).fetchall():
        if root in facts:
            facts[root].legs.append(SpentLeg(*leg))
    return facts


def _payment(row: Sequence[Any]) -> Payment:
    slot, id_, book_id, kind, status, *rest = row
    return Payment(slot, id_, book_id, PaymentKind(kind), PaymentStatus(status), *rest)


async def post(
    connection: Connection,
    items: Sequence[Item],
    plans: Sequence[Plan | None],
    *,
    slot: int,
    recorded_at: datetime,
) -> list[int]:
    """Post a batch: ledger, evidence and payment rows in one commit. One :class:`PostStatus` (as int) per item."""
    new: list[str] = []
    changes: list[str] = []
    for n, plan in enumerate(plans, start=1):
        if plan is None:
            continue
        if (p := plan.new) is not None:
            new.append(
                f"({n},{p.id.hex},{p.book_id},{p.kind.value},{p.status.value},{p.card_id.hex},"
                f"{uuid_field(p.merchant_id)},{uuid_field(p.store_id)},{uuid_field(p.terminal_id)},"
                f"{uuid_field(p.original_id)},{p.currency},{p.amount_fen},{p.bonus_fen},{p.captured_fen},"
                f"{text_field(p.reference)},{time_field(p.expires_at)},{p.occurred_at.isoformat()})"
            )
        if (p := plan.changed) is not None:
            changes.append(f"({n},{p.id.hex},{p.version - 1},{p.status.value},{p.captured_fen},{p.refunded_fen})")
    params = batch_params(items, slot=slot, recorded_at=recorded_at)
    params["new"] = rows_literal(new)
    params["changes"] = rows_literal(changes)
    cursor = await connection.execute(_SQL["post_batch"], params, binary=True)
    row = await cursor.fetchone()
    assert row is not None
    statuses: list[int] = row[0]
    return statuses


async def find_overdue(connection: Connection, *, slot: int, now: datetime, limit: int) -> list[tuple[UUID, int]]:
    """Open authorizations whose time has passed: (payment id, book id), the oldest first."""
    cursor = await connection.execute(_SQL["find_overdue"], {"slot": slot, "now": now, "limit": limit})
    return [(row[0], row[1]) for row in await cursor.fetchall()]


async def read_payment(
    connection: Connection, *, book_id: int, slot: int, kind: PaymentKind, payment_id: UUID
) -> Payment | None:
    """A payment of this book and kind, or None."""
    cursor = await connection.execute(
        _SQL["read_payment"], {"slot": slot, "id": payment_id, "book_id": book_id, "kind": kind.value}
    )
    row = await cursor.fetchone()
    return _payment(row) if row is not None else None


async def list_payments(connection: Connection, params: dict[str, Any]) -> list[Payment]:
    """Payments of a book and kind, newest first; the filters are those of ``list_payments`` in ``queries.sql``."""
    name = "list_payments" if params.get("card_id") is None else "list_payments_of_card"
    return [_payment(row) for row in await (await connection.execute(_SQL[name], params)).fetchall()]


APPLIED, ANSWERED, STALE = PostStatus.APPLIED.value, PostStatus.ANSWERED.value, PostStatus.STALE.value
