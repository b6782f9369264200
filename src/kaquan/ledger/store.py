"""The ledger's statements; see ``queries.sql`` and migration 0002 for the posting functions."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

import psycopg
from msgspec.structs import replace

from kaquan.evidence import LeafFacts, commit_private, leaf_hash
from kaquan.evidence.leaf import SALT_BYTES
from kaquan.kit.db import (
    Connection,
    Params,
    bytes_field,
    given,
    load_queries,
    number_field,
    numbers_literal,
    rows_literal,
    text_field,
    time_field,
    uuid_field,
)
from kaquan.kit.ids import LAST_ID, MARGIN, first_id
from kaquan.ledger.slots import slot_of
from kaquan.ledger.types import (
    Account,
    AccountSpec,
    Answer,
    Effect,
    Entry,
    FloorRule,
    Item,
    Leg,
    Lot,
    PostStatus,
    RequestKey,
    Transaction,
)

_SQL = load_queries(__package__)

_POSTING = {Effect.POST, Effect.CAPTURE}


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

    An item that was decided on an account which an earlier item of the batch moves is marked stale here.
    """
    item_rows: list[str] = []
    answers: list[bytes | None] = []
    leg_rows: list[str] = []
    new_lot_rows: list[str] = []
    status = [0] * len(items)
    touched: set[int] = set()
    versioned: set[int] = set()
    limited: set[int] = set()
    lots: set[tuple[int, int]] = set()
    others: set[tuple[int, int]] = set()  # with the book that moves them, which must be their own
    salts = os.urandom(SALT_BYTES * len(items))
    times: dict[datetime, str] = {}
    for n, (book_id, posting, request, answer) in enumerate(items, start=1):
        answers.append(answer.body if answer is not None else None)
        tail = (
            f"{request.key_hash.hex},{text_field(request.key)},{bytes_field(request.request_hash)},"
            if request is not None
            else ",,,"
        )
        if answer is not None:
            tail += str(answer.status)
        if posting is None:
            item_rows.append(f"({book_id},,,,,,,,,{tail})")
            continue
        transaction_id, kind, effective_at, legs, guards, new_lots, related_id, place_id, reference, detail = posting
        versions = dict(guards)
        accounts = {account for leg in legs for account in (leg.debit_account, leg.credit_account)}
        held = {account for account, version in versions.items() if version is not None}
        if not accounts.issuperset(versions.keys() - held):
            raise ValueError("only an account that a posting moves is kept from going through its floor")
        if not touched.isdisjoint(held) or not versioned.isdisjoint(accounts):
            status[n - 1] = PostStatus.STALE
            item_rows.append(f"({book_id},,,,,,,,,{tail})")
            continue
        touched |= accounts | held
        versioned |= held
        others.update((account, book_id) for account in accounts - held)
        leg_rows.extend(
            f"({n},0,post,0,{account},{versions[account]},,0,{account},{versions[account]},,0)"
            for account in sorted(held - accounts)
        )
        limited.update(account for account, version in versions.items() if version is None)
        entries = []
        later = _later(legs) if len(legs) != 1 else _NOTHING_LATER
        for leg, ((effect, debit, debit_lot, credit, credit_lot, amount_fen), (debit_later, credit_later)) in enumerate(
            zip(legs, later, strict=True), start=1
        ):
            if debit_lot is not None:
                lots.add((debit, debit_lot))
            if credit_lot is not None:
                lots.add((credit, credit_lot))
            entries.append((leg, effect.value, debit, debit_lot, credit, credit_lot, amount_fen))
            leg_rows.append(
                f"({n},{leg},{effect.value},{amount_fen},"
                f"{debit},{number_field(versions.get(debit))},{number_field(debit_lot)},{debit_later},"
                f"{credit},{number_field(versions.get(credit))},{number_field(credit_lot)},{credit_later})"
            )
        for account_id, lot, paid_fen, given_fen, expires_at in new_lots:
            new_lot_rows.append(f"({n},{account_id},{lot},{paid_fen},{given_fen},{time_field(expires_at)})")
        salt: bytes | None = None
        commitment: bytes | None = None
        if request is not None or reference is not None:
            salt = salts[(n - 1) * SALT_BYTES : n * SALT_BYTES]
            commitment = commit_private(
                salt, reference=reference, request_key=request.key if request is not None else None
            )
        leaf = leaf_hash(
            LeafFacts(
                slot, transaction_id, book_id, kind, related_id, place_id, effective_at, recorded_at, commitment,
                entries, detail,
            )
        )  # fmt: skip
        if effective_at not in times:
            times[effective_at] = effective_at.isoformat()
        item_rows.append(
            f"({book_id},{transaction_id.hex},{kind},{uuid_field(related_id)},{uuid_field(place_id)},"
            f"{text_field(reference)},{times[effective_at]},{bytes_field(leaf)},{bytes_field(salt)},{tail})"
        )
    return {
        "slot": slot,
        "recorded_at": recorded_at,
        "items": rows_literal(item_rows),
        "answers": answers,
        "legs": rows_literal(leg_rows),
        "new_lots": rows_literal(new_lot_rows),
        "versioned": len(versioned),
        "lots": len(lots),
        "others": len(others),
        "limited": numbers_literal(sorted(limited)),
        "unversioned": numbers_literal(sorted(touched - versioned)),
        "status": numbers_literal(status),
    }


_NOTHING_LATER = ((0, 0),)


def _later(legs: Sequence[Leg]) -> list[tuple[int, int]]:
    """For each leg what the legs after it still post to its two accounts, credit side positive."""
    change: dict[int, int] = {}
    later: list[tuple[int, int]] = []
    for effect, debit, _, credit, _, amount_fen in reversed(legs):
        later.append((change.get(debit, 0), change.get(credit, 0)))
        if effect in _POSTING:
            change[debit] = change.get(debit, 0) - amount_fen
            change[credit] = change.get(credit, 0) + amount_fen
    return later[::-1]


async def post_batch(
    connection: Connection, items: Sequence[Item], *, slot: int, recorded_at: datetime
) -> list[PostStatus]:
    """Post a batch in one slot and one commit; one status per item. See :class:`PostStatus`."""
    params = batch_params(items, slot=slot, recorded_at=recorded_at)
    return [PostStatus(status) for status in await run_post(connection, _SQL["post_batch"], params)]


async def run_post(connection: Connection, statement: str, params: dict[str, Any]) -> list[int]:
    """Run a posting call over :func:`batch_params`; one status per item.

    Accounts without a version are taken to have no floor, as nearly all do. When one has, and the batch would go
    through it, the call fails as a whole, and is run again with all of them checked item by item.
    """
    try:
        cursor = await connection.execute(statement, params, binary=True)
    except psycopg.errors.CheckViolation as error:
        if error.diag.constraint_name != "ledger_account_floor" or params["limited"] == params["unversioned"]:
            raise
        cursor = await connection.execute(statement, {**params, "limited": params["unversioned"]}, binary=True)
    row = await cursor.fetchone()
    assert row is not None
    statuses: list[int] = row[0]
    return statuses


async def claim_keys(
    connection: Connection, keys: Sequence[RequestKey], *, slots: Sequence[int], at: datetime
) -> set[UUID]:
    """Remember which request each key belongs to; the hashes of those that belong to another request already.

    Needed where there are several slots: see the table ``ledger_key``.
    """
    by_slot: dict[int, list[RequestKey]] = {}
    for key in keys:
        by_slot.setdefault(slot_of(key.key_hash, slots), []).append(key)
    reused: set[UUID] = set()
    for slot, claimed in by_slot.items():
        params = {
            "slot": slot,
            "keys": [key.key_hash for key in claimed],
            "requests": [key.request_hash for key in claimed],
            "at": at,
        }
        reused.update(row[0] for row in await (await connection.execute(_SQL["claim_keys"], params)).fetchall())
    return reused


async def read_answers(
    connection: Connection, *, slot: int, key_hashes: Sequence[UUID]
) -> dict[UUID, tuple[bytes, Answer]]:
    """The request hash and first answer under each key that has one."""
    cursor = await connection.execute(_SQL["read_answers"], {"slot": slot, "key_hashes": list(key_hashes)}, binary=True)
    return {key: (digest, Answer(status, body)) async for key, digest, status, body in cursor}


def _account(row: Sequence[Any]) -> Account:
    slot, id_, book_id, owner_id, kind, currency, floor_rule, *rest = row
    return Account(slot, id_, book_id, owner_id, kind, currency, FloorRule(floor_rule), *rest)


async def read_accounts(connection: Connection, *, book_id: int, slot: int, ids: Sequence[int]) -> list[Account]:
    """Those of the asked accounts of a slot that this book has."""
    cursor = await connection.execute(_SQL["read_accounts"], {"slot": slot, "ids": list(ids), "book_id": book_id})
    return [_account(row) for row in await cursor.fetchall()]


async def read_accounts_of_owner(
    connection: Connection, *, book_id: int, owner_id: UUID, slots: Sequence[int]
) -> list[Account]:
    """Every account of an owner (a card, a merchant, an issuer) in these slots."""
    cursor = await connection.execute(
        _SQL["read_accounts_of_owner"], {"slots": list(slots), "book_id": book_id, "owner_id": owner_id}
    )
    return [_account(row) for row in await cursor.fetchall()]


async def read_expired(
    connection: Connection, *, slot: int, account_ids: Sequence[int], now: datetime
) -> dict[int, int]:
    """What each of these accounts holds, neither spent nor set aside, in lots that ended by ``now``."""
    cursor = await connection.execute(_SQL["read_expired"], {"slot": slot, "ids": list(account_ids), "now": now})
    return {row[0]: row[1] for row in await cursor.fetchall()}


async def extend_lot(
    connection: Connection, *, slot: int, account_id: int, lot: int, before: datetime, after: datetime
) -> bool:
    """Move the end of a lot from ``before`` to the later ``after``; False if it does not end at ``before``.

    It moves the account's version: what was decided on the old end comes back as stale.
    """
    params = {"slot": slot, "account_id": account_id, "lot": lot, "before": before, "after": after}
    row = await (await connection.execute(_SQL["extend_lot"], params)).fetchone()
    assert row is not None
    return bool(row[0])


async def read_accounts_of_owners(
    connection: Connection, *, book_id: int, owner_ids: Sequence[UUID], slot: int
) -> list[Account]:
    """Every account of several owners in one slot."""
    cursor = await connection.execute(
        _SQL["read_accounts_of_owners"], {"slot": slot, "book_id": book_id, "owner_ids": list(owner_ids)}
    )
    return [_account(row) for row in await cursor.fetchall()]


@asynccontextmanager
async def one_snapshot(connection: Connection) -> AsyncIterator[None]:
    """What is read inside is read as of one moment."""
    async with connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield


class Counters(NamedTuple):
    """The four counters of an account, or what became of them, in minor units."""

    debits_posted: int
    credits_posted: int
    debits_pending: int
    credits_pending: int


async def read_last_checkpoint(
    connection: Connection, *, slot: int, account_id: int, at: datetime
) -> tuple[datetime, Counters] | None:
    """The newest checkpoint of an account that was taken by ``at``, if there is one."""
    cursor = await connection.execute(_SQL["last_checkpoint"], {"slot": slot, "id": account_id, "at": at})
    row = await cursor.fetchone()
    return (row[0], Counters(*row[1:])) if row is not None else None


async def sum_entries(
    connection: Connection, *, slot: int, account_id: int, after: datetime, until: datetime | None
) -> Counters:
    """What was recorded of an account after ``after`` and not after ``until`` (None: to this moment)."""
    cursor = await connection.execute(
        _SQL["sum_entries"],
        {
            "slot": slot,
            "id": account_id,
            "after": after,
            "until": until or "infinity",
            "from_id": first_id(after, margin=-MARGIN),
            "surely_from_id": first_id(after, margin=MARGIN),
            "until_id": first_id(until, margin=MARGIN) if until else LAST_ID,
            "surely_until_id": first_id(until, margin=-MARGIN) if until else LAST_ID,
        },
        prepare=False,
    )
    row = await cursor.fetchone()
    assert row is not None
    return Counters(*row)


class StatementRow(NamedTuple):
    """An entry with its transaction."""

    transaction_id: UUID
    leg: int
    effect: str
    amount_fen: int
    debit_lot: int | None
    credit_lot: int | None
    debit_balance_after: int | None
    credit_balance_after: int | None
    kind: str
    related_id: UUID | None
    place_id: UUID | None
    reference: str | None
    effective_at: datetime
    recorded_at: datetime


async def list_statement(connection: Connection, *, account_id: int, params: Params) -> list[tuple[bool, StatementRow]]:
    """The newest entries of an account, each with whether it is a debit of it.

    The filters are those of ``list_statement`` in ``queries.sql``.
    """
    rows: list[tuple[bool, StatementRow]] = []
    for side in SIDES:
        found = await list_rows(connection, _SQL["list_statement"], {**params, **_side(account_id, side)})
        rows += [(side == "debit", StatementRow(*row)) for row in found]
    rows.sort(key=lambda row: (row[1].transaction_id.int, row[1].leg), reverse=True)
    return rows[: params["limit"]]


Side = Literal["debit", "credit"]
SIDES: tuple[Side, ...] = ("debit", "credit")


def _side(account_id: int, side: Side) -> dict[str, int | None]:
    """The parameters of a walk along one side of an account: each has an index of its own."""
    return {"debit_account": None, "credit_account": None, f"{side}_account": account_id}


async def list_rows(connection: Connection, query: str, params: Params) -> list[tuple[Any, ...]]:
    """The rows of a list for the filters that are given, planned for their values."""
    return await (await connection.execute(given(query, params), params, prepare=False)).fetchall()


async def list_by_account(
    connection: Connection,
    query: str,
    params: Params,
    *,
    book_id: int,
    owner_id: UUID,
    slots: Sequence[int],
    sides: Sequence[Side] = SIDES,
) -> list[tuple[Any, ...]]:
    """The rows of a list along the sides of every account of an owner: each gives its newest."""
    return [
        row
        for account in await read_accounts_of_owner(connection, book_id=book_id, owner_id=owner_id, slots=slots)
        for side in sides
        for row in await list_rows(connection, query, {**params, **_side(account.id, side), "slot": account.slot})
    ]


async def _with_entries(connection: Connection, rows: Sequence[Sequence[Any]]) -> list[Transaction]:
    if not rows:
        return []
    cursor = await connection.execute(
        _SQL["read_entries"],
        {"slots": sorted({row[0] for row in rows}), "ids": [row[1] for row in rows]},
    )
    entries: dict[UUID, list[Entry]] = {}
    async for transaction_id, leg, effect, *rest in cursor:
        entries.setdefault(transaction_id, []).append(Entry(leg, Effect(effect), *rest))
    return [Transaction(*(*row, entries.get(row[1], []))) for row in rows]


async def read_transaction(
    connection: Connection, *, book_id: int, slot: int, transaction_id: UUID
) -> Transaction | None:
    """A transaction of this book with its entries, or None."""
    params = {"slot": slot, "id": transaction_id, "book_id": book_id}
    rows = await (await connection.execute(_SQL["read_transaction"], params)).fetchall()
    found = await _with_entries(connection, [row[:-1] for row in rows])
    return replace(found[0], detail=rows[0][-1]) if found else None


async def find_openings(
    connection: Connection,
    *,
    book_id: int,
    slot: int,
    owner_id: UUID,
    begins: datetime | None,
    ends: datetime | None,
    after_id: UUID | None,
    limit: int,
) -> list[tuple[Transaction, bytes]]:
    """The next transactions of an owner's accounts, recorded from ``begins`` and before ``ends``, whose private fields
    are not erased, by id behind ``after_id``; each with its salt."""
    params = {"book_id": book_id, "slot": slot, "owner_id": owner_id, "begins": begins, "ends": ends}
    rows = await list_rows(connection, _SQL["find_openings"], {**params, "after_id": after_id, "limit": limit})
    found = await _with_entries(connection, [row[:-2] for row in rows])
    return [(replace(transaction, detail=row[-2]), row[-1]) for transaction, row in zip(found, rows, strict=True)]


async def list_transactions(
    connection: Connection, params: Params, *, owner_id: UUID | None, other_owner_id: UUID | None, slots: Sequence[int]
) -> list[Transaction]:
    """Transactions, newest first: each slot gives its newest, and the newest of those are the newest of all.

    Only those that touch an account of both owners, where they are given. The other filters are those of
    ``list_transactions…`` in ``queries.sql``.
    """
    book_id = params["book_id"]
    if owner_id is not None:
        others = None
        if other_owner_id is not None:
            found = await read_accounts_of_owner(connection, book_id=book_id, owner_id=other_owner_id, slots=slots)
            others = [account.id for account in found]
        rows = await list_by_account(
            connection,
            _SQL["list_transactions_of_account"],
            {**params, "others": others},
            book_id=book_id,
            owner_id=owner_id,
            slots=slots,
        )
    else:
        query = _SQL["list_transactions"]
        rows = [row for slot in slots for row in await list_rows(connection, query, {**params, "slot": slot})]
    newest = sorted({row[1]: row for row in rows}.values(), key=lambda row: row[1].int, reverse=True)
    return await _with_entries(connection, newest[: params["limit"]])


async def forget_answers(
    connection: Connection, *, slot: int, before: datetime, after: UUID, limit: int
) -> tuple[int, UUID | None]:
    """How many answers of before were forgotten among the next ``limit`` keys, and the last of these keys."""
    params = {"slot": slot, "before": before, "after": after, "limit": limit}
    row = await (await connection.execute(_SQL["forget_answers"], params)).fetchone()
    assert row is not None
    return row[0], row[1]


async def take_checkpoints(
    connection: Connection, *, slot: int, at: datetime, after: int, limit: int
) -> tuple[int, int | None]:
    """How many checkpoints were taken of the next ``limit`` accounts without a floor, and the last of these."""
    params = {"slot": slot, "at": at, "after": after, "limit": limit}
    async with connection.transaction():
        # a busy account has more entries since its last checkpoint than a request may wait for
        await connection.execute("SET LOCAL statement_timeout = 0")
        row = await (await connection.execute(_SQL["take_checkpoints"], params)).fetchone()
    assert row is not None
    return row[0], row[1]


async def read_lots(
    connection: Connection, *, slot: int, accounts: Sequence[int], only_free: bool = True
) -> dict[int, list[Lot]]:
    """The lots of each account, the lowest number first; those with nothing free left only if ``only_free`` is off."""
    params = {"slot": slot, "accounts": list(accounts), "free": True if only_free else None}
    rows = await list_rows(connection, _SQL["read_lots"], params)
    lots: dict[int, list[Lot]] = {account_id: [] for account_id in accounts}
    for row in rows:
        lots[row[0]].append(Lot(*row))
    return lots


async def read_first_lots(connection: Connection, *, slot: int, accounts: Sequence[int]) -> dict[int, int]:
    """The lowest lot number of each account, 0 where all are above: a transfer opens its lots below."""
    cursor = await connection.execute(_SQL["first_lots"], {"slot": slot, "accounts": list(accounts)})
    return {account_id: min(lot, 0) for account_id, lot in await cursor.fetchall()}


async def keep_origins(
    connection: Connection, *, slot: int, transaction_id: UUID, origins: Sequence[tuple[int, int, UUID]]
) -> None:
    """In the commit that opened them: let lots (account, lot) be of the load that their value once came from."""
    accounts, lots, loads = zip(*origins, strict=True)
    params = {
        "slot": slot,
        "transaction_id": transaction_id,
        "accounts": list(accounts),
        "lots": list(lots),
        "origins": list(loads),
    }
    await connection.execute(_SQL["keep_origins"], params)
