"""Look into the book: accounts now and at any time, statements, transactions. Everything is scoped by book and slot."""

import base64
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from msgspec.structs import replace

from kaquan.kit.db import Connection, Pool
from kaquan.kit.ids import MARGIN, first_id
from kaquan.kit.outcomes import NOT_FOUND, Refusal
from kaquan.kit.paging import DEFAULT_LIMIT, Page, cut_page
from kaquan.ledger import store
from kaquan.ledger.slots import slot_of
from kaquan.ledger.store import Counters, StatementRow
from kaquan.ledger.types import Account, Effect, FloorRule, Transaction


class TransactionSearch(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of transactions is narrowed to; None does not narrow. Newest first, beginning after ``after_id``.

    ``owner_id`` and ``other_owner_id``: it touches an account of each. ``root_id``: it is this transaction, or
    continues or reverses it. Both times are exclusive and compared with the recording.
    """

    limit: int = DEFAULT_LIMIT
    after_id: UUID | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    kind: str | None = None
    reference: str | None = None
    owner_id: UUID | None = None
    other_owner_id: UUID | None = None
    root_id: UUID | None = None


class StatementSearch(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of a statement; None does not narrow. ``cursor`` is that of the page before; times are exclusive."""

    limit: int = DEFAULT_LIMIT
    cursor: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


class StatementLine(msgspec.Struct, frozen=True):
    """One leg of a transaction as an account sees it.

    ``amount_fen`` has the sign of the account's own side (credit, unless its floor rule is debit); what was set aside
    comes back by a release with the opposite sign. So posts and captures add up to what is posted.
    ``balance_after_fen`` is what was posted after the leg, where it is known: on accounts whose postings are guarded,
    as those of a card.
    """

    transaction_id: UUID
    kind: str
    related_id: UUID | None
    place_id: UUID | None
    reference: str | None
    effective_at: datetime
    recorded_at: datetime
    leg: int
    effect: Effect
    amount_fen: int
    lot: int | None
    balance_after_fen: int | None


class Statement(msgspec.Struct, frozen=True):
    """A page of an account's statement, newest first.

    The first page of a period also has what was posted before and after it; both are None elsewhere.
    """

    account: Account
    lines: list[StatementLine]
    opening_fen: int | None
    closing_fen: int | None
    next_cursor: str | None


async def get_account(pool: Pool, *, book_id: int, slot: int, account_id: int) -> Account | Refusal:
    """The account as it is. Refused: ``not_found``."""
    async with pool.connection() as connection:
        return await _find(connection, book_id=book_id, slot=slot, account_id=account_id)


async def get_account_at(pool: Pool, *, book_id: int, slot: int, account_id: int, at: datetime) -> Account | Refusal:
    """The account with the counters of all that was recorded by ``at``. Refused: ``not_found``.

    What is on its way to be recorded at this very moment is not in it.
    """
    async with pool.connection() as connection, store.one_snapshot(connection):
        account = await _find(connection, book_id=book_id, slot=slot, account_id=account_id)
        return account if isinstance(account, Refusal) else await _as_of(connection, account, at)


async def get_statement(
    pool: Pool, *, book_id: int, slot: int, account_id: int, search: StatementSearch
) -> Statement | Refusal:
    """A page of the statement of an account, one line per leg, the newest first. Refused: ``not_found``."""
    after, before = search.created_after, search.created_before
    position = None if search.cursor is None else _read_cursor(search.cursor)
    params = {
        "slot": slot,
        "limit": search.limit + 1,
        "before_id": position[0] if position else None,
        "before_leg": position[1] if position else None,
        **_period(after, before),
    }
    opening_fen = closing_fen = None
    async with pool.connection() as connection, store.one_snapshot(connection):
        account = await _find(connection, book_id=book_id, slot=slot, account_id=account_id)
        if isinstance(account, Refusal):
            return account
        rows = await store.list_statement(connection, account_id=account_id, params=params)
        if position is None and (after is not None or before is not None):
            opening_fen = 0 if after is None else (await _as_of(connection, account, after)).posted_fen
            closing = account if before is None else await _as_of(connection, account, _just_before(before))
            closing_fen = closing.posted_fen
    lines = [_line(account, row, is_debit=is_debit) for is_debit, row in rows[: search.limit]]
    cursor = _show_cursor(lines[-1]) if len(rows) > search.limit else None
    return Statement(account, lines, opening_fen, closing_fen, cursor)


async def get_transaction(
    pool: Pool, *, book_id: int, slots: Sequence[int], transaction_id: UUID
) -> Transaction | Refusal:
    """The transaction with this id. Refused: ``not_found``."""
    async with pool.connection() as connection:
        found = await store.read_transaction(
            connection, book_id=book_id, slot=slot_of(transaction_id, slots), transaction_id=transaction_id
        )
    return NOT_FOUND.refuse("id", what="transaction") if found is None else found


async def list_transactions(
    pool: Pool, *, book_id: int, slots: Sequence[int], search: TransactionSearch
) -> Page[Transaction]:
    """Transactions of a book, the newest first. ``slots`` are those where they can be."""
    params = {
        "book_id": book_id,
        "limit": search.limit + 1,
        "before_id": search.after_id,
        "kind": search.kind,
        "reference": search.reference,
        "root_id": search.root_id,
        **_period(search.created_after, search.created_before),
    }
    async with pool.connection() as connection:
        rows = await store.list_transactions(
            connection, params, owner_id=search.owner_id, other_owner_id=search.other_owner_id, slots=slots
        )
    return cut_page(rows, limit=search.limit, last_id=rows[search.limit - 1].id if len(rows) > search.limit else None)


async def accounts_of(pool: Pool, transactions: Iterable[Transaction]) -> dict[tuple[int, int], Account]:
    """The accounts that transactions of one book touch, by slot and number."""
    touched: dict[tuple[int, int], set[int]] = {}
    for transaction in transactions:
        for entry in transaction.entries:
            numbers = touched.setdefault((transaction.book_id, transaction.slot), set())
            numbers.update((entry.debit_account, entry.credit_account))
    async with pool.connection() as connection:
        return {
            (slot, account.id): account
            for (book_id, slot), numbers in touched.items()
            for account in await store.read_accounts(connection, book_id=book_id, slot=slot, ids=sorted(numbers))
        }


def _period(after: datetime | None, before: datetime | None) -> dict[str, datetime | UUID | None]:
    """The parameters that narrow a list to a period: by recording, and by id to where it can be."""
    return {
        "created_after": after,
        "from_id": None if after is None else first_id(after, margin=-MARGIN),
        "created_before": before,
        "until_id": None if before is None else first_id(before, margin=MARGIN),
    }


async def _find(connection: Connection, *, book_id: int, slot: int, account_id: int) -> Account | Refusal:
    found = await store.read_accounts(connection, book_id=book_id, slot=slot, ids=[account_id])
    return found[0] if found else NOT_FOUND.refuse("id", what="account")


async def _as_of(connection: Connection, account: Account, at: datetime) -> Account:
    """The account as of a time: forward from its last checkpoint before, or back from now if it has none."""
    slot, account_id = account.slot, account.id
    checkpoint = await store.read_last_checkpoint(connection, slot=slot, account_id=account_id, at=at)
    if checkpoint is not None:
        taken_at, start = checkpoint
        since = await store.sum_entries(connection, slot=slot, account_id=account_id, after=taken_at, until=at)
        counters = Counters(*(a + b for a, b in zip(start, since, strict=True)))
    else:
        since = await store.sum_entries(connection, slot=slot, account_id=account_id, after=at, until=None)
        present = (account.debits_posted, account.credits_posted, account.debits_pending, account.credits_pending)
        counters = Counters(*(a - b for a, b in zip(present, since, strict=True)))
    return replace(account, **counters._asdict())


def _just_before(at: datetime) -> datetime:
    try:
        return at - timedelta(microseconds=1)  # as finely as PostgreSQL tells times apart
    except OverflowError:
        return at


def _line(account: Account, row: StatementRow, *, is_debit: bool) -> StatementLine:
    is_debit_account = account.floor_rule is FloorRule.DEBIT
    is_gain = (is_debit == is_debit_account) != (row.effect == Effect.RELEASE)
    balance_after = row.debit_balance_after if is_debit else row.credit_balance_after
    if balance_after is not None and is_debit_account:
        balance_after = -balance_after  # it is kept as credits less debits
    return StatementLine(
        transaction_id=row.transaction_id,
        kind=row.kind,
        related_id=row.related_id,
        place_id=row.place_id,
        reference=row.reference,
        effective_at=row.effective_at,
        recorded_at=row.recorded_at,
        leg=row.leg,
        effect=Effect(row.effect),
        amount_fen=row.amount_fen if is_gain else -row.amount_fen,
        lot=row.debit_lot if is_debit else row.credit_lot,
        balance_after_fen=balance_after,
    )


def _show_cursor(line: StatementLine) -> str:
    return base64.urlsafe_b64encode(line.transaction_id.bytes + line.leg.to_bytes(2)).decode()


def _read_cursor(text: str) -> tuple[UUID, int]:
    """The transaction and leg behind 24 characters that a door has checked: every such text stands for one."""
    raw = base64.urlsafe_b64decode(text)
    return UUID(bytes=raw[:16]), int.from_bytes(raw[16:])
