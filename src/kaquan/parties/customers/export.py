"""Hand out everything that is held on a person (CN-PI-RIGHTS)."""

from uuid import UUID

from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.kit.paging import MAX_LIMIT
from kaquan.parties.customers import store
from kaquan.parties.customers.sealing import mask_row, open_row
from kaquan.parties.customers.types import CustomerExport
from kaquan.parties.outcomes import missing
from kaquan.parties.trail import Action, ActionSearch, Actor, list_actions, new_action
from kaquan.vault import Keyring


async def export_customer(
    pool: Pool, keyring: Keyring, clock: Clock, ids: Ids, *, book_id: int, id_: UUID, by: Actor
) -> CustomerExport | Refusal:
    """Everything that this room holds on a customer, in clear, the oldest first; the trail says who asked.

    Refused: ``not_found``.
    """
    row = await store.load_customer(pool, book_id=book_id, id_=id_)
    if row is None:
        return missing("customer")
    action = new_action(
        clock, ids, book_id=book_id, by=by, kind="customer.exported", prefix=Prefix.CUSTOMER, subject_id=id_
    )
    await store.post_action(pool, action)
    return CustomerExport(
        customer=mask_row(row, keyring),
        personal=open_row(row, keyring),
        levels=await store.load_levels(pool, book_id=book_id, customer_id=id_),
        attempts=await store.load_attempts(pool, book_id=book_id, customer_id=id_),
        actions=await _actions(pool, book_id=book_id, subject=show_id(Prefix.CUSTOMER, id_)),
    )


async def _actions(pool: Pool, *, book_id: int, subject: str) -> list[Action]:
    found: list[Action] = []
    after_id: UUID | None = None
    while True:
        search = ActionSearch(limit=MAX_LIMIT, after_id=after_id, subject=subject)
        page = await list_actions(pool, book_id=book_id, search=search)
        found += page.data
        if page.next_cursor is None:
            return found[::-1]
        after_id = page.data[-1].id
