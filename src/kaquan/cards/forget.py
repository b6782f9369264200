"""Erase what a person could be known by from what happened to their cards: the reasons that were given, with
their salts.

As the private fields of transactions (ADR 0027): the commitment stays in the leaf, and every proof stays valid.
"""

from kaquan.cards import store
from kaquan.cards.types import Tenure
from kaquan.kit.db import Pool


async def erase_reasons(pool: Pool, *, book_id: int, tenure: Tenure) -> int:
    """Erase the reasons of what happened to a card while it was somebody's, with that which ended it; how many.

    Events that were altered keep theirs, and the audit names them."""
    async with pool.connection() as connection:
        found = await store.load_reasons(connection, book_id=book_id, tenure=tenure)
        if not found:
            return 0
        return len(await store.erase_reasons(connection, found, book_id=book_id, slot=tenure.slot))
