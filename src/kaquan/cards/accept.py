"""Say where the cards of a programme are taken."""

from collections.abc import Sequence
from uuid import UUID

from kaquan.cards import store
from kaquan.cards.outcomes import STORE_OF_ANOTHER_MERCHANT, missing
from kaquan.cards.types import Acceptance, Programme, Search
from kaquan.kit.db import Pool
from kaquan.kit.outcomes import Refusal


def check_places(
    add: Sequence[Acceptance], *, merchants: set[UUID], merchant_of_store: dict[UUID, UUID]
) -> Refusal | None:
    """The first place that cannot be accepted, by the merchants and stores that the book knows; or None."""
    for position, (merchant_id, store_id) in enumerate(add):
        if merchant_id not in merchants:
            return missing("merchant", f"add[{position}].merchant_id")
        if store_id is None:
            continue
        if store_id not in merchant_of_store:
            return missing("store", f"add[{position}].store_id")
        if merchant_of_store[store_id] != merchant_id:
            return STORE_OF_ANOTHER_MERCHANT.refuse(f"add[{position}].store_id")
    return None


async def change_acceptance(
    pool: Pool,
    *,
    book_id: int,
    programme_id: UUID,
    add: Sequence[Acceptance] = (),
    remove: Sequence[Acceptance] = (),
) -> Programme | Refusal:
    """Take the places of ``remove`` from a programme, then give it those of ``add``; refused, neither.

    A place that is there already, or not there to remove, is no refusal. A merchant as a whole and its single
    stores are independent: removing the whole leaves the stores that were added singly.
    Refused: ``not_found`` (id, or a merchant or store of ``add``), ``store_of_another_merchant``.
    """
    if not await store.load_programmes(pool, book_id, Search(), programme_id):
        return missing("programme")
    merchants, merchant_of_store = await store.load_known_places(pool, book_id, add)
    refused = check_places(add, merchants=merchants, merchant_of_store=merchant_of_store)
    if refused is not None:
        return refused
    await store.post_acceptance(pool, book_id=book_id, programme_id=programme_id, add=add, remove=remove)
    (programme,) = await store.load_programmes(pool, book_id, Search(), programme_id)
    return programme
