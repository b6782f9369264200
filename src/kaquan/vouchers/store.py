"""The tables ``vouchers_*``: the only file of this room that sees a cursor; see ``queries.sql``."""

import os
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import psycopg
from msgspec.structs import asdict

from kaquan.evidence import (
    SALT_BYTES,
    Issued,
    VoucherLeafFacts,
    microseconds,
    record_issue,
    voucher_leaf_hash,
    voucher_private_bytes,
)
from kaquan.kit.db import Connection, Params, Pool, Write, constraint_of, given, load_queries, post_together
from kaquan.kit.ids import Ids
from kaquan.ledger import AccountSpec, Answer, Item, Posting, PostStatus, RequestKey, open_accounts, post_batch
from kaquan.parties.trail import Action, write_action
from kaquan.vault import RowLookup, SealedColumn, declare_sealed
from kaquan.vouchers.codes import VOUCHER_CODE
from kaquan.vouchers.types import (
    BatchSource,
    Happened,
    HeldBy,
    HolderKind,
    Search,
    Template,
    Voucher,
    VoucherBatch,
    VoucherEvent,
    VoucherSearch,
    VoucherStatus,
)

_QUERIES = load_queries(__package__)

declare_sealed(
    SealedColumn(
        "vouchers_voucher", key=(("slot", "smallint"), ("id", "uuid")), column="code_sealed", context="id",
        lookups=(RowLookup("code_lookup", lambda _, code: code, VOUCHER_CODE),),
    )
)  # fmt: skip


class NewVoucher(NamedTuple):
    """A voucher as it was made: to be stored, or thrown away if its code is taken."""

    slot: int
    id: UUID
    holder: HeldBy | None
    code_lookup: UUID | None
    code_sealed: bytes | None
    code_last4: str | None
    face_fen: int
    valid_from: datetime | None
    valid_until: datetime | None


class Run(NamedTuple):
    """What the vouchers of one making have in common."""

    book_id: int
    template_id: UUID
    batch_id: UUID | None
    granted_by: UUID | None
    created_at: datetime


class Moved(NamedTuple):
    """A voucher that was just changed: what its event tells."""

    slot: int
    voucher_id: UUID
    book_id: int
    template_id: UUID
    from_status: str
    to_status: str
    holder_kind: str | None
    holder_id: UUID | None
    transaction_id: UUID | None
    amount_fen: int
    face_fen: int


class Telling(NamedTuple):
    """Who changes vouchers, when and why: what stands in every event of one call."""

    ids: Ids
    at: datetime
    actor: str
    reason: str | None = None


class _NotDoneError(Exception):
    """Takes a transaction back."""


async def _rows(connection: Connection, query: str, params: Params | None = None) -> list[tuple[Any, ...]]:
    return await (await connection.execute(_QUERIES[query], params)).fetchall()


async def _list(pool: Pool, query: str, params: Params) -> list[tuple[Any, ...]]:
    async with pool.connection() as connection:
        return await (await connection.execute(given(_QUERIES[query], params), params, prepare=False)).fetchall()


async def post_batch_whole(pool: Pool, *writes: Write) -> str | None:
    """Do all of ``writes``, of a batch with its vouchers, in one commit, or nothing; the constraint that refused them.

    None too when one of them was not done: it knows why.
    """
    try:
        await post_together(pool, *writes)
    except psycopg.errors.UniqueViolation as error:
        return constraint_of(error)
    return None


# --- templates


def _json(value: Any) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()


async def post_template(pool: Pool, template: Template, action: Action) -> str | None:
    """Write a template; the name of the constraint that refused it, or None."""
    params = {
        **asdict(template),
        "offer_params": _json(template.offer_params),
        "offer_conditions": _json(template.offer_conditions),
        "offer_stacking": _json(template.offer_stacking),
        "funders": _json(template.funders),
        "eligibility": None if template.eligibility is None else _json(template.eligibility),
    }
    try:
        async with pool.connection() as connection, connection.transaction():
            await connection.execute(_QUERIES["insert_template"], params)
            await write_action(connection, action)
    except psycopg.IntegrityError as error:
        return constraint_of(error)
    return None


async def end_template(pool: Pool, *, book_id: int, id_: UUID, at: datetime, action: Action) -> bool:
    """End a template; False if it has ended."""
    async with pool.connection() as connection, connection.transaction():
        ended = await connection.execute(_QUERIES["end_template"], {"book_id": book_id, "id": id_, "at": at})
        if ended.rowcount == 0:
            return False
        await write_action(connection, action)
    return True


_TEMPLATE = Template.__struct_fields__


def _template(row: tuple[Any, ...]) -> Template:
    # what JSON held becomes structs; times and ids stay as they are
    return msgspec.convert(dict(zip(_TEMPLATE, row, strict=True)), Template)


async def load_templates(pool: Pool, book_id: int, search: Search, ids: Sequence[UUID] | None = None) -> list[Template]:
    """Templates of a book, the newest first; one more than the limit, if there are."""
    params = {
        **asdict(search), "book_id": book_id, "ids": None if ids is None else list(ids), "limit": search.limit + 1,
    }  # fmt: skip
    return [_template(row) for row in await _list(pool, "templates", params)]


# --- batches and making


def _batch(row: tuple[Any, ...]) -> VoucherBatch:
    fields = dict(zip(VoucherBatch.__struct_fields__, row, strict=True))
    return VoucherBatch(**{**fields, "source": BatchSource(fields["source"])})


async def load_batches(pool: Pool, book_id: int, search: Search, id_: UUID | None = None) -> list[VoucherBatch]:
    params = {**asdict(search), "book_id": book_id, "id": id_, "limit": search.limit + 1}
    return [_batch(row) for row in await _list(pool, "batches", params)]


async def load_unfinished(pool: Pool) -> list[tuple[int, UUID]]:
    """Book and id of the batches, of every book, that lack vouchers; the oldest first."""
    async with pool.connection() as connection:
        return [(book_id, id_) for book_id, id_ in await _rows(connection, "unfinished_batches")]


async def post_batch_of_codes(
    pool: Pool, batch: VoucherBatch, *, room_in: Callable[[int], int], also: Sequence[Write]
) -> tuple[str | None, int]:
    """Write a batch that has issued nothing yet, if there is room for its codes, and ``also`` with it: all or nothing.

    ``room_in`` tells how many more there is room for beside so many of the same length. The name of the constraint that
    refused it, or None; and the room.
    """
    room = batch.voucher_count
    try:
        async with pool.connection() as connection, connection.transaction():
            if batch.code_length is not None:
                await connection.execute(_QUERIES["lock_book"], {"book_id": batch.book_id})
                ((there,),) = await _rows(connection, "codes_of_length", asdict(batch))
                room = room_in(there)
            if batch.voucher_count <= room:
                await connection.execute(_QUERIES["insert_batch"], asdict(batch))
                for write in also:
                    if not await write(connection):
                        raise _NotDoneError
    except _NotDoneError:
        return None, room
    except psycopg.IntegrityError as error:
        return constraint_of(error), room
    return None, room


def add_batch(batch: VoucherBatch) -> Write:
    """Write a batch whose vouchers are written in the same commit."""

    async def write(connection: Connection) -> bool:
        await connection.execute(_QUERIES["insert_batch"], asdict(batch))
        return True

    return write


def stop_batch(*, book_id: int, batch_id: UUID, at: datetime) -> Write:
    """What a batch has not made yet will not be made."""

    async def write(connection: Connection) -> bool:
        await connection.execute(_QUERIES["stop_batch"], {"book_id": book_id, "id": batch_id, "at": at})
        return True

    return write


async def find_taken(pool: Pool, *, book_id: int, slots: Sequence[int], lookups: Sequence[UUID]) -> set[UUID]:
    """Which of these look-ups are those of codes that are there already, wherever they are."""
    async with pool.connection() as connection:
        return await read_taken(connection, book_id=book_id, slots=slots, lookups=lookups)


async def read_taken(
    connection: Connection, *, book_id: int, slots: Sequence[int], lookups: Sequence[UUID]
) -> set[UUID]:
    params = {"slots": list(slots), "lookups": list(lookups), "book_id": book_id}
    return {lookup for (lookup,) in await _rows(connection, "taken_codes", params)}


async def post_batch_vouchers(
    pool: Pool, vouchers: Sequence[NewVoucher], run: Run, *, slots: Sequence[int]
) -> VoucherBatch | None:
    """Write as many of ``vouchers`` as the batch still lacks and count them, in one commit; the batch after it.

    None when one of their codes is taken: nothing was written then. The batch is locked first, so any number of runners
    share its work, and a runner that dies leaves the whole chunk, counted, or nothing of it.
    """
    batch = {"book_id": run.book_id, "id": run.batch_id}
    try:
        async with pool.connection() as connection, connection.transaction():
            ((lacking,),) = await _rows(connection, "lock_batch", batch)
            made = vouchers[: max(lacking, 0)]
            lookups = [one.code_lookup for one in made if one.code_lookup is not None]
            # in its slot a code cannot be there twice; after a change of the look-up key older ones are in any slot
            if len(slots) > 1 and await read_taken(connection, book_id=run.book_id, slots=slots, lookups=lookups):
                return None
            await write_vouchers(connection, made, run)
            (row,) = await _rows(connection, "advance_batch", {**batch, "made": len(made), "at": run.created_at})
            return _batch(row)
    except psycopg.errors.UniqueViolation:
        return None


async def write_vouchers(connection: Connection, vouchers: Sequence[NewVoucher], run: Run) -> None:
    """Write vouchers as issued, or as held where they have a holder. Raises UniqueViolation for a taken code."""
    if not vouchers:
        return
    head = f"{run.book_id}\t{run.template_id.hex}\t{_hex(run.batch_id)}"
    tail = f"{_hex(run.granted_by)}\t{run.created_at.isoformat()}\n"
    async with connection.cursor() as cursor, cursor.copy(_QUERIES["copy_vouchers"]) as copy:
        await copy.write("".join(_line(one, head, tail) for one in vouchers))
    # those that somebody holds from the first have an event that says so, with its leaf
    alike: dict[tuple[int, datetime | None], list[tuple[int, UUID, str | None]]] = {}
    for one in vouchers:
        if one.holder is None:
            alike.setdefault((one.face_fen, one.valid_from), []).append((one.slot, one.id, one.code_last4))
    for (face_fen, valid_from), records in alike.items():
        terms = face_fen, None if valid_from is None else microseconds(valid_from)
        issued = Issued(run.book_id, "voucher", run.template_id, run.batch_id, terms, run.created_at)
        await record_issue(connection, issued, records)


def _line(one: NewVoucher, head: str, tail: str) -> str:
    held = r"issued" + "\t\\N\t\\N" if one.holder is None else f"held\t{one.holder.kind.value}\t{one.holder.id.hex}"
    code = (
        "\\N\t\\N\t\\N"
        if one.code_lookup is None or one.code_sealed is None
        else f"{one.code_lookup.hex}\t\\\\x{one.code_sealed.hex()}\t{one.code_last4}"
    )
    return (
        f"{one.slot}\t{one.id.hex}\t{head}\t{held}\t{code}\t{one.face_fen}\t{_time(one.valid_from)}"
        f"\t{_time(one.valid_until)}\t{tail}"
    )


def _hex(value: UUID | None) -> str:
    return r"\N" if value is None else value.hex


def _time(value: datetime | None) -> str:
    return r"\N" if value is None else value.isoformat()


# --- vouchers


def _voucher(row: tuple[Any, ...]) -> Voucher:
    slot, id_, book_id, template_id, batch_id, status, holder_kind, holder_id, *rest = row
    return Voucher(
        slot, id_, book_id, template_id, batch_id, VoucherStatus(status), _holder(holder_kind, holder_id), *rest
    )


def _holder(kind: str | None, id_: UUID | None) -> HeldBy | None:
    return None if kind is None or id_ is None else HeldBy(HolderKind(kind), id_)


async def load_vouchers_named(pool: Pool, *, book_id: int, slots: Sequence[int], ids: Sequence[UUID]) -> list[Voucher]:
    """Those of the asked vouchers that this book has."""
    async with pool.connection() as connection:
        return await read_vouchers_named(connection, book_id=book_id, slots=slots, ids=ids)


async def read_vouchers_named(
    connection: Connection, *, book_id: int, slots: Sequence[int], ids: Sequence[UUID]
) -> list[Voucher]:
    params = {"slots": list(slots), "ids": list(ids), "book_id": book_id}
    return [_voucher(row) for row in await _rows(connection, "vouchers_named", params)]


async def load_voucher_by_code(
    pool: Pool, *, book_id: int, slots: Sequence[int], lookups: Sequence[UUID]
) -> Voucher | None:
    """The voucher of a code, under whichever look-up key it is found."""
    async with pool.connection() as connection:
        params = {"slots": list(slots), "lookups": list(lookups), "book_id": book_id}
        rows = await _rows(connection, "voucher_by_code", params)
    return _voucher(rows[0]) if rows else None


async def load_vouchers(pool: Pool, book_id: int, slots: Sequence[int], search: VoucherSearch) -> list[Voucher]:
    """Vouchers, newest first: each slot gives its newest, and the newest of those are the newest of all."""
    params = {**asdict(search), "book_id": book_id, "limit": search.limit + 1}
    found: list[Voucher] = []
    for slot in slots:
        found += [_voucher(row) for row in await _list(pool, "vouchers", {**params, "slot": slot})]
    return sorted(found, key=lambda one: one.id.int, reverse=True)[: search.limit + 1]


async def load_sealed_code(pool: Pool, voucher: Voucher) -> bytes | None:
    async with pool.connection() as connection:
        rows = await _rows(connection, "sealed_code", asdict(voucher))
    return None if not rows or rows[0][0] is None else bytes(rows[0][0])


async def load_codes_of_batch(
    pool: Pool, *, book_id: int, slot: int, batch_id: UUID, after_id: UUID, limit: int
) -> list[tuple[UUID, bytes, datetime | None]]:
    """Sealed codes of a batch in one slot, behind ``after_id``."""
    params = {"book_id": book_id, "slot": slot, "batch_id": batch_id, "after_id": after_id, "limit": limit}
    async with pool.connection() as connection:
        rows = await _rows(connection, "codes_of_batch", params)
    return [(id_, bytes(sealed), until) for id_, sealed, until in rows]


# --- what happens to vouchers


async def record(connection: Connection, kind: VoucherEvent, moved: Sequence[Moved], telling: Telling) -> None:
    """Write one event with its evidence leaf for each voucher that was changed, in the transaction of the change."""
    private = voucher_private_bytes(actor=telling.actor, reason=telling.reason)
    by_slot: dict[int, list[Moved]] = {}
    for one in moved:
        by_slot.setdefault(one.slot, []).append(one)
    for slot, some in sorted(by_slot.items()):
        ids = [telling.ids.new() for _ in some]
        salts = [os.urandom(SALT_BYTES) for _ in some]
        leaves = [
            voucher_leaf_hash(
                VoucherLeafFacts(
                    slot, id_, one.voucher_id, one.book_id, one.template_id, kind.value, one.from_status, one.to_status,
                    one.holder_kind, one.holder_id, one.transaction_id, one.amount_fen, one.face_fen, telling.at,
                    sha256(salt + private).digest(),
                )
            )
            for id_, one, salt in zip(ids, some, salts, strict=True)
        ]  # fmt: skip
        await connection.execute(
            _QUERIES["record"],
            {
                "slot": slot,
                "at": telling.at,
                "actor": telling.actor,
                "reason": telling.reason,
                "kind": kind.value,
                "vouchers": [one.voucher_id for one in some],
                "ids": ids,
                "books": [one.book_id for one in some],
                "templates": [one.template_id for one in some],
                "from_statuses": [one.from_status for one in some],
                "to_statuses": [one.to_status for one in some],
                "holder_kinds": [one.holder_kind for one in some],
                "holders": [one.holder_id for one in some],
                "transactions": [one.transaction_id for one in some],
                "amounts": [one.amount_fen for one in some],
                "faces": [one.face_fen for one in some],
                "leaves": leaves,
                "salts": salts,
            },
        )


async def count_claimed(
    connection: Connection, *, book_id: int, slot: int, holder_id: UUID, template_id: UUID, count: int, maximum: int
) -> bool:
    """Count so many more vouchers of a template for a holder; False if that would be more than ``maximum``."""
    if count > maximum:
        return False
    params = {
        "slot": slot, "holder_id": holder_id, "template_id": template_id, "book_id": book_id, "count": count,
        "max": maximum,
    }  # fmt: skip
    return bool(await _rows(connection, "count_claimed", params))


async def claim_voucher(
    connection: Connection, voucher: Voucher, holder: HeldBy, *, valid_until: datetime | None, telling: Telling
) -> bool:
    """Give an issued voucher to its first holder; False if it is not as it was."""
    params = {
        "slot": voucher.slot, "id": voucher.id, "version": voucher.version, "holder_kind": holder.kind.value,
        "holder_id": holder.id, "valid_until": valid_until,
    }  # fmt: skip
    moved = [Moved(*row) for row in await _rows(connection, "claim_voucher", params)]
    await record(connection, VoucherEvent.CLAIMED, moved, telling)
    return bool(moved)


async def claim_stock(
    connection: Connection,
    template: Template,
    holder: HeldBy,
    *,
    slots: Iterable[int],
    count: int,
    valid_until: datetime | None,
    telling: Telling,
) -> list[UUID]:
    """Take so many vouchers without a code for a holder, out of whichever slots have them; those that there were."""
    taken: list[Moved] = []
    for slot in slots:
        if len(taken) == count:
            break
        params = {
            "slot": slot, "template_id": template.id, "book_id": template.book_id, "count": count - len(taken),
            "holder_kind": holder.kind.value, "holder_id": holder.id, "valid_until": valid_until, "at": telling.at,
        }  # fmt: skip
        taken += [Moved(*row) for row in await _rows(connection, "claim_stock", params)]
    await record(connection, VoucherEvent.CLAIMED, taken, telling)
    return [one.voucher_id for one in taken]


def move(
    voucher: Voucher,
    kind: VoucherEvent,
    *,
    to: VoucherStatus,
    holder: HeldBy | None,
    telling: Telling,
    transaction_id: UUID | None = None,
    amount_fen: int = 0,
) -> Write:
    """Take a voucher from where it was when it was read to ``to``; not done if it is not there any more."""

    async def write(connection: Connection) -> bool:
        params = {
            "slot": voucher.slot, "id": voucher.id, "version": voucher.version, "from_status": voucher.status.value,
            "to_status": to.value, "holder_kind": None if holder is None else holder.kind.value,
            "holder_id": None if holder is None else holder.id, "transaction_id": transaction_id,
            "amount_fen": amount_fen,
        }  # fmt: skip
        moved = [Moved(*row) for row in await _rows(connection, "move_voucher", params)]
        await record(connection, kind, moved, telling)
        return bool(moved)

    return write


async def lock(
    connection: Connection, asked: Sequence[tuple[int, UUID, UUID, int | None]], *, at: datetime, until: datetime
) -> set[tuple[UUID, UUID]]:
    """Lock vouchers (slot, voucher, transaction, version); voucher and transaction of those that are locked now."""
    slots, ids, transactions, versions = (list(column) for column in zip(*asked, strict=True))
    params = {
        "slots": slots, "ids": ids, "transactions": transactions, "versions": versions, "at": at, "until": until,
    }  # fmt: skip
    return {(voucher_id, by) for voucher_id, by in await _rows(connection, "lock_vouchers", params)}


async def release(connection: Connection, released: Sequence[tuple[int, UUID, UUID]]) -> None:
    """Give locked vouchers (slot, voucher, transaction) back; what is not locked by its transaction stays as it is."""
    if released:
        slots, ids, transactions = (list(column) for column in zip(*released, strict=True))
        await connection.execute(
            _QUERIES["release_vouchers"], {"slots": slots, "ids": ids, "transactions": transactions}
        )


async def redeem(
    connection: Connection, redeemed: Sequence[tuple[int, UUID, UUID, int]], telling: Telling
) -> list[UUID]:
    """Redeem vouchers (slot, voucher, transaction, amount) that their transaction has locked; those that were."""
    if not redeemed:
        return []
    slots, ids, transactions, amounts = (list(column) for column in zip(*redeemed, strict=True))
    params = {"slots": slots, "ids": ids, "transactions": transactions, "amounts": amounts}
    moved = [Moved(*row) for row in await _rows(connection, "redeem_vouchers", params)]
    await record(connection, VoucherEvent.REDEEMED, moved, telling)
    return [one.voucher_id for one in moved]


async def give_back(
    connection: Connection, returned: Sequence[tuple[int, UUID, UUID, UUID, int]], telling: Telling
) -> list[UUID]:
    """Note what came back of vouchers (slot, voucher, payment, transaction, amount); those it was noted for now."""
    if not returned:
        return []
    slots, ids, payments, transactions, amounts = (list(column) for column in zip(*returned, strict=True))
    params = {"slots": slots, "ids": ids, "payments": payments, "transactions": transactions, "amounts": amounts}
    rows = await _rows(connection, "return_vouchers", params)
    for kind, whole in ((VoucherEvent.RETURNED, True), (VoucherEvent.PART_RETURNED, False)):
        await record(connection, kind, [Moved(*row[:-1]) for row in rows if row[-1] is whole], telling)
    return [row[1] for row in rows]


async def load_old_locks(
    connection: Connection, *, slot: int, at: datetime, limit: int
) -> list[tuple[int, UUID, UUID, int]]:
    """Slot, id, transaction and book of vouchers whose lock is past its time."""
    return [
        (found, id_, by, book_id)
        for found, id_, by, book_id in await _rows(connection, "old_locks", {"slot": slot, "at": at, "limit": limit})
    ]


async def end_some(
    connection: Connection,
    kind: VoucherEvent,
    *,
    slot: int,
    to: VoucherStatus,
    limit: int,
    telling: Telling,
    transaction_id: UUID | None = None,
    **which: Any,
) -> int:
    """End vouchers that ``which`` names (``ended_by``, ``book_id``, ``batch_id``, ``granted_by`` with ``template_id``);
    how many. Those that somebody is just changing are passed over."""
    params = {
        "slot": slot, "to_status": to.value, "limit": limit, "transaction_id": transaction_id, "ended_by": None,
        "book_id": None, "batch_id": None, "granted_by": None, "template_id": None, **which,
    }  # fmt: skip
    cursor = await connection.execute(given(_QUERIES["end_vouchers"], params), params)
    moved = [Moved(*row) for row in await cursor.fetchall()]
    await record(connection, kind, moved, telling)
    return len(moved)


async def load_events(
    pool: Pool, *, book_id: int, slot: int, voucher_id: UUID, before_id: UUID | None, limit: int
) -> list[Happened]:
    """Events of a voucher, the newest first; one more than the limit, if there are."""
    params = {
        "book_id": book_id, "slot": slot, "voucher_id": voucher_id, "before_id": before_id, "limit": limit + 1,
    }  # fmt: skip
    return [
        Happened(
            id_, voucher, VoucherEvent(kind), VoucherStatus(was), VoucherStatus(is_), at, actor,
            _holder(held, holder_id), *rest,
        )
        for id_, voucher, kind, was, is_, at, actor, held, holder_id, *rest in await _list(pool, "events", params)
    ]  # fmt: skip


# --- reports


async def load_issued_by(pool: Pool, *, book_id: int, slot: int, at: datetime) -> list[tuple[UUID, int, int]]:
    """Template, count and face value of the vouchers of a slot that there were at a moment."""
    async with pool.connection() as connection:
        rows = await _rows(connection, "issued_by", {"book_id": book_id, "slot": slot, "at": at})
    return [(template_id, count, face_fen) for template_id, count, face_fen in rows]


async def load_moved_by(
    pool: Pool, *, book_id: int, slot: int, at: datetime
) -> list[tuple[UUID, VoucherEvent, VoucherStatus, VoucherStatus, int, int, int]]:
    """Template, event, status before and after it, and count, face value and amount of what happened until a moment."""
    async with pool.connection() as connection:
        rows = await _rows(connection, "moved_by", {"book_id": book_id, "slot": slot, "at": at})
    return [
        (template_id, VoucherEvent(kind), VoucherStatus(was), VoucherStatus(is_), count, face_fen, amount_fen)
        for template_id, kind, was, is_, count, face_fen, amount_fen in rows
    ]


async def keep_answer(
    connection: Connection, *, book_id: int, slot: int, at: datetime, key: RequestKey, answer: Answer
) -> bool:
    """Keep the answer to a key with what it tells of; False if it is answered already."""
    (status,) = await post_batch(connection, [Item(book_id, None, key, answer)], slot=slot, recorded_at=at)
    return status is PostStatus.APPLIED


# --- into a card


async def open_funding(pool: Pool, *, slot: int, asked: Sequence[AccountSpec]) -> list[int]:
    """The accounts of who pays for vouchers, in a card's slot; opened if they are not there."""
    async with pool.connection() as connection:
        return await open_accounts(connection, slot=slot, asked=asked)


def post(posting: Posting, *, book_id: int, slot: int, at: datetime, key: RequestKey, answer: Answer) -> Write:
    """Post a transaction with the answer to its key; not done if it is stale or the key is answered."""

    async def write(connection: Connection) -> bool:
        (status,) = await post_batch(connection, [Item(book_id, posting, key, answer)], slot=slot, recorded_at=at)
        return status is PostStatus.APPLIED

    return write
