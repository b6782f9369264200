"""Forget a customer: what is personal is erased, the id stays for what refers to it."""

from datetime import datetime
from uuid import UUID

from msgspec.structs import replace

from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix
from kaquan.kit.outcomes import BUSY, INVALID_FIELD, Refusal
from kaquan.parties.customers import store
from kaquan.parties.customers.sealing import mask_row
from kaquan.parties.customers.types import (
    Customer,
    LevelChange,
    LevelReason,
    PersonalField,
    Retention,
    SealedCustomer,
)
from kaquan.parties.identity import IdentityLevel
from kaquan.parties.outcomes import missing
from kaquan.parties.trail import SYSTEM, Actor, new_action
from kaquan.vault import Keyring


async def forget_customer(
    pool: Pool,
    keyring: Keyring,
    clock: Clock,
    ids: Ids,
    *,
    book_id: int,
    id_: UUID,
    retention: Retention | None,
    law: Retention | None = None,
    by: Actor = SYSTEM,
) -> Customer | Refusal:
    """Erase what is personal but for what ``retention`` names and ``law`` asks for, which stays sealed until the later
    of the two ends; nobody is found by it.

    Who is forgotten already stays as they are. Refused: ``not_found``, ``invalid_field`` (retain.until), ``busy``.
    """
    for _ in range(store.TRIES):
        row = await store.load_customer(pool, book_id=book_id, id_=id_)
        if row is None:
            return missing("customer")
        if row.forgotten_at is not None:
            return mask_row(row, keyring)
        now = clock.now()
        if retention is not None and retention.until <= now:
            return INVALID_FIELD.refuse("retain.until", allowed="must be in the future", allowed_zh="应晚于当前时间")
        keeping = join_retentions(retention, law)
        forgotten = plan_forgetting(row, keeping, now)
        history = None
        if row.level is not IdentityLevel.NONE:
            history = LevelChange(book_id, id_, ids.new(), IdentityLevel.NONE, LevelReason.FORGOTTEN, None, now)
        kept = [] if keeping is None else sorted(keeping.fields)
        action = new_action(
            clock,
            ids,
            book_id=book_id,
            by=by,
            kind="customer.forgotten",
            prefix=Prefix.CUSTOMER,
            subject_id=id_,
            after={
                "kept": kept,
                "kept_by": forgotten.retained_by,
                "kept_until": forgotten.retained_until,
            },
        )
        if await store.post_customer_change(pool, forgotten, history, action):
            return mask_row(forgotten, keyring)
    return BUSY.refuse()


def join_retentions(one: Retention | None, other: Retention | None) -> Retention | None:
    """What both ask to keep, until the later end, by its rule: neither lets go of what the other holds."""
    if one is None or other is None:
        return one or other
    later = one if one.until > other.until else other
    return replace(later, fields=one.fields | other.fields)


def plan_forgetting(row: SealedCustomer, retention: Retention | None, now: datetime) -> SealedCustomer:
    """The row without what is personal, but for what must be kept and is there."""
    fields = frozenset[PersonalField]() if retention is None else retention.fields
    name = row.name if PersonalField.NAME in fields else None
    phone = row.phone if PersonalField.PHONE in fields else None
    document = row.document if PersonalField.DOCUMENT in fields else None
    keeps = not (name is None and phone is None and document is None)
    return replace(
        row,
        name=name,
        phone=phone,
        document=document,
        document_kind=None if document is None else row.document_kind,
        phone_lookup=None,
        phone_last4=None,
        document_lookup=None,
        document_last4=None,
        level=IdentityLevel.NONE,
        birthday=None,
        segments=(),
        forgotten_at=now,
        retained_until=retention.until if keeps and retention is not None else None,
        retained_by=retention.rule if keeps and retention is not None else None,
    )


async def erase_retained(pool: Pool, clock: Clock, ids: Ids) -> int:
    """Erase what was kept of forgotten customers by a rule whose time is over; how many of them, in all books."""
    erased = 0
    while due := await store.load_overdue(pool, now=clock.now()):
        for row in due:
            action = new_action(
                clock,
                ids,
                book_id=row.book_id,
                by=SYSTEM,
                kind="customer.erased",
                prefix=Prefix.CUSTOMER,
                subject_id=row.id,
                before={"kept_by": row.retained_by, "kept_until": row.retained_until},
            )
            bare = replace(
                row, name=None, phone=None, document=None, document_kind=None, retained_until=None, retained_by=None
            )
            erased += bool(await store.post_customer_change(pool, bare, None, action))
    return erased


async def list_openings_due(pool: Pool) -> list[tuple[int, UUID]]:
    """Book and id of some who are forgotten, of whom nothing is kept, and whose transactions can still be opened: rooms
    above erase those, and say so with :func:`note_openings_erased`."""
    return await store.load_openings_due(pool)


async def note_openings_erased(pool: Pool, *, book_id: int, id_: UUID, at: datetime) -> None:
    """Remember that the private fields of somebody's transactions are erased; nothing for who is not forgotten yet."""
    await store.note_openings_erased(pool, book_id=book_id, id_=id_, at=at)
