"""Take somebody in."""

from typing import Any

from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix
from kaquan.kit.outcomes import Refusal
from kaquan.parties.customers import store
from kaquan.parties.customers.numbers import fit_birthday, read_personal
from kaquan.parties.customers.sealing import document_lookups, mask_row, seal_into
from kaquan.parties.customers.types import (
    Customer,
    CustomerChange,
    NewCustomer,
    Personal,
    PersonalField,
    SealedCustomer,
)
from kaquan.parties.identity import IdentityLevel
from kaquan.parties.outcomes import taken
from kaquan.parties.trail import SYSTEM, Actor, new_action
from kaquan.vault import Keyring, mask_identity


async def create_customer(
    pool: Pool, keyring: Keyring, clock: Clock, ids: Ids, *, book_id: int, new: NewCustomer, by: Actor = SYSTEM
) -> Customer | Refusal:
    """A new customer, of whom nothing is verified yet.

    A document belongs to one customer of a book, so that what is limited per person is limited over all their cards.
    Month and day of birth are those of a resident identity number, or told.
    Refused: ``invalid_field`` (name, phone, document.number, birthday), ``already_exists`` (document.number).
    """
    told = read_personal(CustomerChange(name=new.name, phone=new.phone, document=new.document, birthday=new.birthday))
    personal = told if isinstance(told, Refusal) else fit_birthday(told, derive=True)
    if isinstance(personal, Refusal):
        return personal
    empty = SealedCustomer(
        book_id, ids.new(), None, None, None, None, None, None, None, None, IdentityLevel.NONE, clock.now()
    )
    row = seal_into(empty, personal, keyring)
    action = new_action(
        clock,
        ids,
        book_id=book_id,
        by=by,
        kind="customer.created",
        prefix=Prefix.CUSTOMER,
        subject_id=row.id,
        after=fields_of(personal),
    )
    if await store.post_customer(pool, row, action, document_lookups=document_lookups(keyring, book_id, personal)):
        return mask_row(row, keyring)
    return await document_taken(pool, keyring, row, personal)


def fields_of(personal: Personal) -> dict[str, Any]:
    """What the trail tells of a customer: which fields there are, nothing of what is in them."""
    fields = [str(field) for field in PersonalField if getattr(personal, field) is not None]
    return {"fields": fields if personal.birthday is None else [*fields, "birthday"]}


async def document_taken(pool: Pool, keyring: Keyring, row: SealedCustomer, personal: Personal) -> Refusal:
    """Whose the document is already."""
    assert personal.document is not None
    existing = await store.load_by_lookup(
        pool,
        book_id=row.book_id,
        phone_lookups=None,
        document_lookups=document_lookups(keyring, row.book_id, personal),
    )
    masked = mask_identity(personal.document.number)
    # it may have been corrected or forgotten since: then there is nobody to name, and the next try succeeds
    found = existing[0].id if existing else row.id
    return taken("document.number", masked, prefix=Prefix.CUSTOMER, existing=found)
