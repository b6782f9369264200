"""The payments room's statements; see ``queries.sql`` and migration 0005."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from kaquan.cards import CardStatus, Pocket
from kaquan.kit.db import Connection, Params, load_queries, rows_literal, text_field, time_field, uuid_field
from kaquan.ledger import Item, PostStatus, batch_params, list_by_account, list_rows, run_post
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
    connection: Connection,
    *,
    slot: int,
    cards: Sequence[UUID],
    payments: Sequence[UUID],
    every_pocket: bool,
    now: datetime,
) -> BatchFacts:
    """Everything that a batch is decided on, in one round trip (two more when payments are to change).

    Without ``every_pocket`` the pockets that never held anything are left out.
    """
    cursor = await connection.execute(
        _SQL["load_cards"],
        {
            "slot": slot,
            "cards": "{" + ",".join([card.hex for card in cards]) + "}",
            "payments": "{" + ",".join([payment.hex for payment in payments]) + "}",
            "every_pocket": every_pocket,
        },
        binary=True,
    )
    rows = await cursor.fetchall()
    changing = await _load_payments(connection, slot=slot, ids=payments, now=now) if payments else {}
    found: dict[int, CardFacts] = {}
    for (
        n, book_id, programme_id, status, expires_at, book_version, account_id, kind, version, posted_fen,
        reserved_fen, lot, available_fen, paid_fen, given_fen, lot_expires_at,
    ) in rows:  # fmt: skip
        card = found.get(n)
        if card is None:
            card_id = cards[n - 1] if n <= len(cards) else changing[payments[n - len(cards) - 1]].payment.card_id
            card = CardFacts(card_id, book_id, programme_id, _STATUSES[status], expires_at, book_version, {})
            found[n] = card
        if account_id is None:
            continue
        name = _POCKETS[kind]
        pocket = card.pockets.get(name)
        if pocket is None:
            pocket = PocketFacts(name, account_id, version, posted_fen, reserved_fen, [])
            card.pockets[name] = pocket
        if lot is not None:
            pocket.lots.append(LotFacts(lot, available_fen, paid_fen, given_fen, lot_expires_at))
    return BatchFacts({card.id: card for card in found.values()}, changing)


async def _load_payments(
    connection: Connection, *, slot: int, ids: Sequence[UUID], now: datetime
) -> dict[UUID, PaymentFacts]:
    cursor = await connection.execute(_SQL["load_payments"], {"slot": slot, "ids": list(ids), "now": now})
    return {
        row[1]: PaymentFacts(_payment(row[:-1]), [SpentLeg(*leg) for leg in row[-1]]) for row in await cursor.fetchall()
    }


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
    return await run_post(connection, _SQL["post_batch"], params)


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


async def list_payments(
    connection: Connection, params: Params, *, owner_id: UUID | None, slots: Sequence[int]
) -> list[Payment]:
    """Payments of one kind, newest first: each slot gives its newest, and the newest of those are the newest of all.

    With ``owner_id``, a card or a merchant, they are found along the entries of its accounts. The filters are those of
    ``list_payments…`` in ``queries.sql``.
    """
    if owner_id is not None:
        spends = params["kind"] in (PaymentKind.PURCHASE, PaymentKind.AUTHORIZATION)
        rows = await list_by_account(
            connection,
            _SQL["list_payments_of_account"],
            params,
            book_id=params["book_id"],
            owner_id=owner_id,
            slots=slots,
            sides=["debit" if spends == (owner_id == params["card_id"]) else "credit"],
        )
    else:
        query = _SQL["list_payments"]
        rows = [row for slot in slots for row in await list_rows(connection, query, {**params, "slot": slot})]
    newest = sorted({row[1]: row for row in rows}.values(), key=lambda row: row[1].int, reverse=True)
    return [_payment(row) for row in newest[: params["limit"]]]


APPLIED, ANSWERED = PostStatus.APPLIED.value, PostStatus.ANSWERED.value
