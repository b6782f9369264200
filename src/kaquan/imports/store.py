"""The tables ``imports_*``: the only file of this room that sees a cursor; see ``queries.sql``.

A chunk of lines is applied or reversed in one transaction together with its cards and its postings.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from msgspec.structs import asdict

from kaquan.cards import SYSTEM, Hand, Press, Programme, adopt_cards, block_adopted_cards, hold_cards
from kaquan.imports.plan import IMPORTED_VALUE, is_used, plan_line, plan_reversal
from kaquan.imports.types import CardImport, ImportLine, ImportStatus, LineProblem, LineStatus, UsedCard
from kaquan.kit.clock import Clock
from kaquan.kit.db import Connection, Params, Pool, constraint_of, load_queries
from kaquan.kit.ids import Prefix, show_id
from kaquan.ledger import (
    Account,
    AccountSpec,
    Item,
    PostStatus,
    open_accounts,
    post_batch,
    read_accounts_of_owners,
)
from kaquan.vault import SealedColumn, declare_sealed

_QUERIES = load_queries(__package__)
_CHUNK = 5_000

declare_sealed(
    SealedColumn(
        "imports_line",
        key=(("slot", "smallint"), ("import_id", "uuid"), ("line", "integer")),
        column="number_sealed",
        context="card_id",
    )
)


async def _rows(pool: Pool, query: str, params: Params) -> list[tuple[Any, ...]]:
    async with pool.connection() as connection:
        return await (await connection.execute(_QUERIES[query], params)).fetchall()


# --- files


async def post_import(pool: Pool, made: CardImport, lines: Sequence[ImportLine]) -> str | None:
    """Write an import with its lines, in one commit; the name of the constraint that refused it, or None."""
    problems = msgspec.json.encode(made.problems).decode()
    try:
        async with pool.connection() as connection, connection.transaction():
            await connection.execute(_QUERIES["insert_import"], {**asdict(made), "problems": problems})
            for start in range(0, len(lines), _CHUNK):
                chunk = lines[start : start + _CHUNK]
                await connection.execute(
                    _QUERIES["insert_lines"],
                    {
                        "import_id": made.id,
                        "book_id": made.book_id,
                        "slots": [line.slot for line in chunk],
                        "numbers": [line.line for line in chunk],
                        "card_ids": [line.card_id for line in chunk],
                        "sealed": [line.number_sealed for line in chunk],
                        "last4": [line.number_last4 for line in chunk],
                        "principal": [line.principal_fen for line in chunk],
                        "bonus": [line.bonus_fen for line in chunk],
                        "principal_expiry": [line.principal_expires_at for line in chunk],
                        "bonus_expiry": [line.bonus_expires_at for line in chunk],
                    },
                )
    except psycopg.IntegrityError as error:
        return constraint_of(error)
    return None


def _import(row: tuple[Any, ...], lines: dict[LineStatus, int]) -> CardImport:
    id_, book_id, programme_id, name, kind, sha256, status, line_count, bad_line_count, *rest = row
    principal_fen, bonus_fen, problems, created_by, created_at, finished_at = rest
    return CardImport(
        id=id_,
        book_id=book_id,
        programme_id=programme_id,
        name=name,
        kind=kind,
        sha256=sha256,
        status=ImportStatus(status),
        line_count=line_count,
        bad_line_count=bad_line_count,
        principal_fen=principal_fen,
        bonus_fen=bonus_fen,
        problems=msgspec.convert(problems, list[LineProblem]),
        created_by=created_by,
        created_at=created_at,
        finished_at=finished_at,
        lines=lines,
    )


async def load_import(pool: Pool, slots: Sequence[int], *, book_id: int, import_id: UUID) -> CardImport | None:
    """An import of this book, with what became of its lines."""
    rows = await _rows(pool, "import", {"book_id": book_id, "id": import_id})
    if not rows:
        return None
    counts = await _rows(pool, "line_counts", {"slots": list(slots), "import_id": import_id})
    return _import(rows[0], {LineStatus(status): count for status, count in counts})


async def load_imports(
    pool: Pool, *, book_id: int, limit: int, name: str | None = None, after_id: UUID | None = None
) -> list[CardImport]:
    """Imports of a book, the newest first, without their problems and lines."""
    params = {"book_id": book_id, "name": name, "after_id": after_id, "limit": limit}
    return [_import(row, {}) for row in await _rows(pool, "imports", params)]


async def load_unfinished(pool: Pool) -> list[tuple[int, UUID]]:
    """Book and id of the imports that are being applied or reversed, the oldest first."""
    return [(book_id, import_id) for book_id, import_id in await _rows(pool, "unfinished", {})]


async def change_status(
    pool: Pool, *, book_id: int, import_id: UUID, before: ImportStatus, after: ImportStatus
) -> None:
    """Change the status if it is still ``before``."""
    async with pool.connection() as connection:
        await connection.execute(
            _QUERIES["change_status"],
            {"book_id": book_id, "id": import_id, "before": before.value, "after": after.value},
        )


async def finish(
    pool: Pool, slots: Sequence[int], *, card_import: CardImport, after: ImportStatus, at: datetime
) -> None:
    """Say that an import is done, if no line is left."""
    left = LineStatus.APPLIED if after is ImportStatus.REVERSED else LineStatus.WAITING
    async with pool.connection() as connection:
        await connection.execute(
            _QUERIES["finish"],
            {
                "book_id": card_import.book_id,
                "id": card_import.id,
                "before": card_import.status.value,
                "after": after.value,
                "open": left.value,
                "slots": list(slots),
                "at": at,
            },
        )


# --- lines


async def leave_out_lines(pool: Pool, slots: Sequence[int], *, import_id: UUID) -> None:
    """Say of the lines of which nothing is made yet that nothing ever will be; their numbers are forgotten."""
    for slot in slots:
        async with pool.connection() as connection:
            await connection.execute(_QUERIES["leave_out"], {"slot": slot, "import_id": import_id})


async def load_not_imported(
    pool: Pool, slots: Sequence[int], *, import_id: UUID, status: LineStatus
) -> list[tuple[int, str]]:
    """Number and last digits of the lines of which nothing was made, for the reason that ``status`` tells."""
    params = {"slots": list(slots), "import_id": import_id, "status": status.value}
    return [(line, last4) for line, last4 in await _rows(pool, "not_imported", params)]


async def _lock_lines(
    connection: Connection, *, slot: int, import_id: UUID, status: LineStatus, limit: int
) -> list[ImportLine]:
    cursor = await connection.execute(
        _QUERIES["lock_lines"], {"slot": slot, "import_id": import_id, "status": status.value, "limit": limit}
    )
    return [ImportLine(*row) for row in await cursor.fetchall()]


async def _mark(
    connection: Connection,
    query: str,
    marks: Sequence[tuple[ImportLine, LineStatus, UUID | None]],
    *,
    slot: int,
    import_id: UUID,
) -> None:
    await connection.execute(
        _QUERIES[query],
        {
            "slot": slot,
            "import_id": import_id,
            "lines": [line.line for line, _, _ in marks],
            "statuses": [status.value for _, status, _ in marks],
            "transactions": [transaction_id for _, _, transaction_id in marks],
        },
    )


async def _imported_value(connection: Connection, programme: Programme, *, slot: int) -> int:
    asked = [AccountSpec(programme.book_id, programme.issuer_id, IMPORTED_VALUE, programme.currency)]
    (account,) = await open_accounts(connection, slot=slot, asked=asked)
    return account


async def apply_lines(
    pool: Pool,
    press: Press,
    clock: Clock,
    *,
    programme: Programme,
    card_import: CardImport,
    slot: int,
    limit: int,
) -> int:
    """Make the cards of the next lines of a slot with their value, in one commit; how many lines are done."""
    at = clock.now()
    reference = show_id(Prefix.IMPORT, card_import.id)
    async with pool.connection() as connection, connection.transaction():
        lines = await _lock_lines(
            connection, slot=slot, import_id=card_import.id, status=LineStatus.WAITING, limit=limit
        )
        if not lines:
            return 0
        numbers = []
        for line in lines:
            assert line.number_sealed is not None, "it is kept until the card has it"
            numbers.append((line.card_id, press.keyring.open(line.number_sealed, line.card_id.bytes).decode("ascii")))
        hand = Hand(clock, press.ids, SYSTEM)
        adopted = await adopt_cards(connection, press, hand, programme=programme, numbers=numbers, at=at)
        imported_value = await _imported_value(connection, programme, slot=slot)
        marks: list[tuple[ImportLine, LineStatus, UUID | None]] = []
        items: list[Item] = []
        for line in lines:
            pockets = adopted.get(line.card_id)
            if pockets is None:
                marks.append((line, LineStatus.TAKEN, None))
                continue
            posting = plan_line(
                line,
                pockets,
                imported_value=imported_value,
                transaction_id=press.ids.new_near(line.card_id),
                at=at,
                reference=reference,
            )
            marks.append((line, LineStatus.APPLIED, None if posting is None else posting.transaction_id))
            if posting is not None:
                items.append(Item(line.book_id, posting))
        if items:
            statuses = await post_batch(connection, items, slot=slot, recorded_at=at)
            # nobody else has seen these pockets yet
            assert set(statuses) == {PostStatus.APPLIED}, statuses
        await _mark(connection, "mark_applied", marks, slot=slot, import_id=card_import.id)
    return len(lines)


async def reverse_lines(
    pool: Pool,
    press: Press,
    clock: Clock,
    *,
    programme: Programme,
    card_import: CardImport,
    slot: int,
    limit: int,
) -> int:
    """Take the value of the next lines of a slot back and block their cards, in one commit; how many lines are done.

    A card that was used keeps its value and stays as it is. Payments that are under way with one of the cards come
    first or are decided anew after this commit.
    """
    at = clock.now()
    reference = show_id(Prefix.IMPORT, card_import.id)
    async with pool.connection() as connection, connection.transaction():
        lines = await _lock_lines(
            connection, slot=slot, import_id=card_import.id, status=LineStatus.APPLIED, limit=limit
        )
        if not lines:
            return 0
        await hold_cards(connection, slot=slot, card_ids=[line.card_id for line in lines])
        accounts = await _accounts(connection, lines, slot=slot)
        imported_value = await _imported_value(connection, programme, slot=slot)
        marks: list[tuple[ImportLine, LineStatus, UUID | None]] = []
        items: list[Item] = []
        for line in lines:
            if is_used(line, accounts[line.card_id]):
                marks.append((line, LineStatus.USED, None))
                continue
            posting = plan_reversal(
                line,
                accounts[line.card_id],
                imported_value=imported_value,
                transaction_id=press.ids.new_near(line.card_id),
                at=at,
                reference=reference,
            )
            marks.append((line, LineStatus.REVERSED, None if posting is None else posting.transaction_id))
            if posting is not None:
                items.append(Item(line.book_id, posting))
        if items:
            statuses = await post_batch(connection, items, slot=slot, recorded_at=at)
            assert set(statuses) == {PostStatus.APPLIED}, statuses  # they are held
        back = [line.card_id for line, status, _ in marks if status is LineStatus.REVERSED]
        await block_adopted_cards(
            connection,
            Hand(clock, press.ids, SYSTEM),
            book_id=card_import.book_id,
            slot=slot,
            card_ids=back,
            reason=f"reversed: {reference}",
        )
        await _mark(connection, "mark_reversed", marks, slot=slot, import_id=card_import.id)
    return len(lines)


async def _accounts(connection: Connection, lines: Sequence[ImportLine], *, slot: int) -> Mapping[UUID, list[Account]]:
    found: dict[UUID, list[Account]] = {line.card_id: [] for line in lines}
    for account in await read_accounts_of_owners(
        connection, book_id=lines[0].book_id, owner_ids=list(found), slot=slot
    ):
        found[account.owner_id].append(account)
    return found


async def load_used(pool: Pool, slots: Sequence[int], *, book_id: int, import_id: UUID) -> list[UsedCard]:
    """The cards of an import that were used since, by line."""
    used: list[UsedCard] = []
    async with pool.connection() as connection:
        for slot in slots:
            after = 0
            while True:
                cursor = await connection.execute(
                    _QUERIES["applied_lines"], {"slot": slot, "import_id": import_id, "after": after, "limit": _CHUNK}
                )
                lines = [ImportLine(*row) for row in await cursor.fetchall()]
                if not lines:
                    break
                accounts = await _accounts(connection, lines, slot=slot)
                used += [
                    UsedCard(line.line, line.card_id, line.number_last4)
                    for line in lines
                    if is_used(line, accounts[line.card_id])
                ]
                after = lines[-1].line
    return sorted(used, key=lambda card: card.line)
