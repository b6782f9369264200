"""Reveal what is known of a customer: with :mod:`export`, the only way to it, and it leaves a line in the trail."""

from uuid import UUID

from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix
from kaquan.kit.outcomes import Refusal
from kaquan.parties.customers import store
from kaquan.parties.customers.sealing import open_row
from kaquan.parties.customers.types import Document, Personal, PersonalField
from kaquan.parties.outcomes import missing
from kaquan.parties.trail import Actor, new_action
from kaquan.vault import Keyring


async def reveal_customer(
    pool: Pool,
    keyring: Keyring,
    clock: Clock,
    ids: Ids,
    *,
    book_id: int,
    id_: UUID,
    fields: frozenset[PersonalField],
    reason: str,
    by: Actor,
) -> Personal | Refusal:
    """These fields of a customer in clear; the trail says who asked and why before they are out.

    What the law keeps of a forgotten customer is revealed too. Refused: ``not_found``.
    """
    row = await store.load_customer(pool, book_id=book_id, id_=id_)
    if row is None:
        return missing("customer")
    action = new_action(
        clock,
        ids,
        book_id=book_id,
        by=by,
        kind="customer.revealed",
        prefix=Prefix.CUSTOMER,
        subject_id=id_,
        after={"fields": sorted(fields), "reason": reason},
    )
    await store.post_action(pool, action)
    personal = open_row(row, keyring)
    document: Document | None = personal.document
    return Personal(
        personal.name if PersonalField.NAME in fields else None,
        personal.phone if PersonalField.PHONE in fields else None,
        document if PersonalField.DOCUMENT in fields else None,
    )
