"""Customers: get, list, find by what they told."""

from collections.abc import Sequence
from uuid import UUID

from kaquan.kit.db import Pool
from kaquan.kit.outcomes import Refusal
from kaquan.kit.paging import Page, cut_page
from kaquan.parties.customers import store
from kaquan.parties.customers.numbers import read_phone
from kaquan.parties.customers.sealing import lookups_of, mask_row, month_day_of
from kaquan.parties.customers.types import Attempt, Customer, CustomerSearch, LevelChange
from kaquan.parties.outcomes import missing
from kaquan.vault import Keyring


async def get_customer(pool: Pool, keyring: Keyring, *, book_id: int, id_: UUID) -> Customer | Refusal:
    """The customer with this id, masked. Refused: ``not_found``."""
    row = await store.load_customer(pool, book_id=book_id, id_=id_)
    return missing("customer") if row is None else mask_row(row, keyring)


async def get_customers(pool: Pool, keyring: Keyring, *, book_id: int, ids: Sequence[UUID]) -> dict[UUID, Customer]:
    """The customers with these ids, masked, in one read; those that are not there are left out."""
    rows = await store.load_named(pool, book_id=book_id, ids=ids)
    return {row.id: mask_row(row, keyring) for row in rows}


async def get_birthday(pool: Pool, *, book_id: int, id_: UUID) -> tuple[int, int] | None:
    """Month and day of birth of a customer, if they are known."""
    row = await store.load_customer(pool, book_id=book_id, id_=id_)
    return None if row is None else month_day_of(row.birthday)


async def find_customers(
    pool: Pool, keyring: Keyring, *, book_id: int, phone: str | None = None, document_number: str | None = None
) -> list[Customer] | Refusal:
    """Who has this phone and this document, masked, the newest first: several may share a phone, none a document.

    At least one of the two is given. Refused: ``invalid_field`` (phone).
    """
    number = None
    if phone is not None:
        read = read_phone(phone)
        if isinstance(read, Refusal):
            return read
        number = lookups_of(keyring, book_id=book_id, field="phone", value=read)
    document = None
    if document_number is not None:
        document = lookups_of(keyring, book_id=book_id, field="document", value=document_number.upper())
    rows = await store.load_by_lookup(pool, book_id=book_id, phone_lookups=number, document_lookups=document)
    return [mask_row(row, keyring) for row in rows]


async def list_customers(pool: Pool, keyring: Keyring, *, book_id: int, search: CustomerSearch) -> Page[Customer]:
    """Customers of a book, masked, the newest first; ``search`` may narrow by level, last four and time."""
    phone = document = None
    if search.last4 is not None:
        phone = lookups_of(keyring, book_id=book_id, field="phone_last4", value=search.last4)
        document = lookups_of(keyring, book_id=book_id, field="document_last4", value=search.last4)
    rows = await store.load_customers(pool, book_id=book_id, search=search, phone_last4=phone, document_last4=document)
    has_more = len(rows) > search.limit
    shown = [mask_row(row, keyring) for row in rows[: search.limit + 1]]
    return cut_page(shown, limit=search.limit, last_id=rows[search.limit - 1].id if has_more else None)


async def list_levels(pool: Pool, *, book_id: int, customer_id: UUID) -> list[LevelChange]:
    """How the level of a customer changed, the oldest first; empty for one that is not there."""
    return await store.load_levels(pool, book_id=book_id, customer_id=customer_id)


async def list_attempts(pool: Pool, *, book_id: int, customer_id: UUID) -> list[Attempt]:
    """Every check of a customer, the oldest first; empty for one that is not there."""
    return await store.load_attempts(pool, book_id=book_id, customer_id=customer_id)


async def known_customers(pool: Pool, *, book_id: int, ids: Sequence[UUID]) -> set[UUID]:
    """Which of these are customers of the book who are not forgotten, in one read."""
    return await store.load_known(pool, book_id=book_id, ids=ids)
