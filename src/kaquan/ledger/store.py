"""The ledger's statements; see ``queries.sql`` and migration 0002 for the posting functions."""

import os
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from kaquan.evidence import LeafEntry, LeafFacts, commit_private, leaf_hash
from kaquan.evidence.leaf import SALT_BYTES
from kaquan.kit.db import (
    Connection,
    bytes_field,
    load_queries,
    number_field,
    numbers_literal,
    rows_literal,
    text_field,
    time_field,
    uuid_field,
)
from kaquan.ledger.types import (
    Account,
    AccountSpec,
    Answer,
    Effect,
    Entry,
    FloorRule,
    Item,
    PostStatus,
    Transaction,
)

_SQL = load_queries(__package__)

_COUNTERS = {Effect.POST: (1, 0), Effect.RESERVE: (0, 1), Effect.CAPTURE: (1, -1), Effect.RELEASE: (0, -1)}
"""What an effect does to the (posted, pending) counters of both its accounts."""


async def read_slots(connection: Connection) -> tuple[int, ...]:
    """The slots of this installation."""
    return tuple(row[0] for row in await (await connection.execute(_SQL["read_slots"])).fetchall())


async def open_accounts(connection: Connection, *, slot: int, asked: Sequence[AccountSpec]) -> list[int]:
    """Open the asked accounts of one slot, or find those that exist; ids in the order asked."""
    books, owners, kinds, currencies, floor_rules, lotted = zip(*asked, strict=True)
    cursor = await connection.execute(
        _SQL["open_accounts"],
        {
            "slot": slot,
            "books": list(books),
            "owners": list(owners),
            "kinds": list(kinds),
            "currencies": list(currencies),
            "floor_rules": [str(rule) for rule in floor_rules],
            "lotted": list(lotted),
        },
    )
    return [row[0] for row in await cursor.fetchall()]


def batch_params(items: Sequence[Item], *, slot: int, recorded_at: datetime) -> dict[str, Any]:
    """The parameters of a posting call: the batch as array literals, with the leaf of each transaction.

    Moves are summed per item and account here, so that the database adds each account up once.
    """
    item_rows: list[str] = []
    answers: list[bytes | None] = []
    leg_rows: list[str] = []
    move_rows: list[str] = []
    guard_rows: list[str] = []
    lot_move_rows: list[str] = []
    new_lot_rows: list[str] = []
    accounts: set[int] = set()
    guarded: dict[int, int] = {}
    status = [0] * len(items)
    change: dict[int, int] = {}  # of posted balances, credit side positive, over the batch so far
    for n, (book_id, posting, request, answer) in enumerate(items, start=1):
        answers.append(answer.body if answer is not None else None)
        if request is not None:
            tail = f"{request.key_hash.hex},{text_field(request.key)},{bytes_field(request.request_hash)},"
        else:
            tail = ",,,"
        if answer is not None:
            tail += str(answer.status)
        if posting is None:
            item_rows.append(f"({book_id},,,,,,,,,{tail})")
            continue
        transaction_id, kind, effective_at, legs, guards, new_lots, related_id, place_id, reference = posting
        moves: dict[int, list[int]] = {}
        lot_moves: dict[tuple[int, int], list[int]] = {}
        entries: list[LeafEntry] = []
        for leg, (effect, debit, debit_lot, credit, credit_lot, amount_fen) in enumerate(legs, start=1):
            posted_fen, pending_fen = _COUNTERS[effect]
            posted_fen, pending_fen = posted_fen * amount_fen, pending_fen * amount_fen
            entries.append(LeafEntry(leg, effect.value, debit, debit_lot, credit, credit_lot, amount_fen))
            change[debit] = debit_change = change.get(debit, 0) - posted_fen
            change[credit] = credit_change = change.get(credit, 0) + posted_fen
            leg_rows.append(
                f"({n},{leg},{effect.value},{debit},{number_field(debit_lot)},{credit},"
                f"{number_field(credit_lot)},{amount_fen},{debit_change},{credit_change})"
            )
            move = moves.setdefault(debit, [0, 0, 0, 0])
            move[0] += posted_fen
            move[2] += pending_fen
            move = moves.setdefault(credit, [0, 0, 0, 0])
            move[1] += posted_fen
            move[3] += pending_fen
            if debit_lot is not None:
                lot_move = lot_moves.setdefault((debit, debit_lot), [0, 0])
                lot_move[0] -= posted_fen
                lot_move[1] += pending_fen
            if credit_lot is not None:
                lot_moves.setdefault((credit, credit_lot), [0, 0])[0] += posted_fen
        for account_id, (debits, credits, debits_pending, credits_pending) in moves.items():
            move_rows.append(f"({n},{account_id},{debits},{credits},{debits_pending},{credits_pending})")
        for (account_id, lot), (remaining_fen, reserved_fen) in lot_moves.items():
            lot_move_rows.append(f"({n},{account_id},{lot},{remaining_fen},{reserved_fen})")
        accounts.update(moves)
        for account_id, version in guards:
            if account_id in guarded:  # decided on facts that an earlier item of this batch changes
                status[n - 1] = PostStatus.STALE
            guarded[account_id] = version
            guard_rows.append(f"({n},{account_id},{version})")
        for account_id, lot, paid_fen, given_fen, expires_at in new_lots:
            new_lot_rows.append(f"({n},{account_id},{lot},{paid_fen},{given_fen},{time_field(expires_at)})")
        salt: bytes | None = None
        commitment: bytes | None = None
        if request is not None or reference is not None:
            salt = os.urandom(SALT_BYTES)
            commitment = commit_private(
                salt, reference=reference, request_key=request.key if request is not None else None
            )
        leaf = leaf_hash(
            LeafFacts(
                slot, transaction_id, book_id, kind, related_id, place_id, effective_at, recorded_at, commitment,
                entries,
            )
        )  # fmt: skip
        item_rows.append(
            f"({book_id},{transaction_id.hex},{kind},{uuid_field(related_id)},{uuid_field(place_id)},"
            f"{text_field(reference)},{effective_at.isoformat()},{bytes_field(leaf)},{bytes_field(salt)},{tail})"
        )
    accounts.update(guarded)
    order = sorted(guarded)
    return {
        "slot": slot,
        "recorded_at": recorded_at,
        "items": rows_literal(item_rows),
        "answers": answers,
        "legs": rows_literal(leg_rows),
        "moves": rows_literal(move_rows),
        "guards": rows_literal(guard_rows),
        "lot_moves": rows_literal(lot_move_rows),
        "new_lots": rows_literal(new_lot_rows),
        "accounts": numbers_literal(accounts),
        "guarded": numbers_literal(order),
        "versions": numbers_literal([guarded[account_id] for account_id in order]),
        "status": numbers_literal(status),
    }


async def post_batch(
    connection: Connection, items: Sequence[Item], *, slot: int, recorded_at: datetime
) -> list[PostStatus]:
    """Post a batch in one slot and one commit; one status per item. See :class:`PostStatus`."""
    cursor = await connection.execute(_SQL["post_batch"], batch_params(items, slot=slot, recorded_at=recorded_at))
    row = await cursor.fetchone()
    assert row is not None
    return [PostStatus(status) for status in row[0]]


async def read_answers(
    connection: Connection, *, slot: int, key_hashes: Sequence[UUID]
) -> dict[UUID, tuple[bytes, Answer]]:
    """The request hash and first answer under each key that has one."""
    cursor = await connection.execute(_SQL["read_answers"], {"slot": slot, "key_hashes": list(key_hashes)}, binary=True)
    return {key: (digest, Answer(status, body)) async for key, digest, status, body in cursor}


def _account(row: Sequence[Any]) -> Account:
    slot, id_, book_id, owner_id, kind, currency, floor_rule, *rest = row
    return Account(slot, id_, book_id, owner_id, kind, currency, FloorRule(floor_rule), *rest)


async def read_account(connection: Connection, *, book_id: int, slot: int, account_id: int) -> Account | None:
    """An account of this book, or None."""
    cursor = await connection.execute(_SQL["read_account"], {"slot": slot, "id": account_id, "book_id": book_id})
    row = await cursor.fetchone()
    return _account(row) if row is not None else None


async def read_accounts_of_owner(
    connection: Connection, *, book_id: int, owner_id: UUID, slots: Sequence[int]
) -> list[Account]:
    """Every account of an owner (a card, a merchant, an issuer) in these slots."""
    cursor = await connection.execute(
        _SQL["read_accounts_of_owner"], {"slots": list(slots), "book_id": book_id, "owner_id": owner_id}
    )
    return [_account(row) for row in await cursor.fetchall()]


async def _with_entries(connection: Connection, rows: Sequence[Sequence[Any]]) -> list[Transaction]:
    cursor = await connection.execute(
        _SQL["read_entries"],
        {"slots": sorted({row[0] for row in rows}), "ids": [row[1] for row in rows]},
    )
    entries: dict[UUID, list[Entry]] = {}
    async for transaction_id, leg, effect, *rest in cursor:
        entries.setdefault(transaction_id, []).append(Entry(leg, Effect(effect), *rest))
    return [Transaction(*row[:10], entries=entries.get(row[1], [])) for row in rows]


async def read_transaction(
    connection: Connection, *, book_id: int, transaction_id: UUID, slots: Sequence[int]
) -> Transaction | None:
    """A transaction of this book with its entries, or None."""
    cursor = await connection.execute(
        _SQL["read_transaction"], {"slots": list(slots), "id": transaction_id, "book_id": book_id}
    )
    rows = await cursor.fetchall()
    return (await _with_entries(connection, rows))[0] if rows else None


async def read_transactions(connection: Connection, params: dict[str, Any]) -> list[Transaction]:
    """Transactions of a book, newest first; see ``read_transactions`` in ``queries.sql`` for the filters."""
    rows = await (await connection.execute(_SQL["read_transactions"], params)).fetchall()
    return await _with_entries(connection, rows)


async def read_transactions_of_accounts(connection: Connection, params: dict[str, Any]) -> list[Transaction]:
    """Transactions that touch one of the accounts of a slot, newest first."""
    rows = await (await connection.execute(_SQL["read_transactions_of_accounts"], params)).fetchall()
    return await _with_entries(connection, rows)


async def read_counters_at(
    connection: Connection, *, slot: int, account_id: int, at: datetime, from_id: UUID
) -> tuple[int, int, int, int]:
    """Debits and credits posted, debits and credits pending, as they were recorded at a time."""
    cursor = await connection.execute(
        _SQL["read_counters_at"], {"slot": slot, "id": account_id, "at": at, "from_id": from_id}
    )
    row = await cursor.fetchone()
    assert row is not None
    return row[0], row[1], row[2], row[3]
