"""Erase what a person could be known by from their transactions and what happened to their cards: salts and private
fields go, every proof stays valid.

A leaf holds SHA-256(salt ‖ private fields). With the fields and their salt gone, the commitment in the leaf tells
nobody anything; it is kept, so that the leaf is still the hash of its transaction (ADR 0027).
"""

from collections.abc import Sequence
from uuid import UUID

from kaquan.cards import Tenure, erase_reasons, list_tenures
from kaquan.evidence import canonical_bytes, commit_private
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.ledger import find_openings, leaf_facts
from kaquan.parties import customers
from kaquan.payments import store

_AT_ONCE = 500
"""Transactions that are erased in one commit."""


async def erase_openings(pool: Pool, clock: Clock, *, slots: Sequence[int]) -> int:
    """Erase the private fields of everybody who is forgotten and of whom nothing must be kept; how many transactions
    and events.

    What was begun and broke off is gone on with by the next call.
    """
    erased = 0
    for book_id, customer_id in await customers.list_openings_due(pool):
        erased += await erase_openings_of(pool, clock, book_id=book_id, slots=slots, customer_id=customer_id)
    return erased


async def erase_openings_of(pool: Pool, clock: Clock, *, book_id: int, slots: Sequence[int], customer_id: UUID) -> int:
    """Erase the private fields of one customer's transactions, on the cards that they have or had while these were
    theirs, and the reasons of what happened to these cards; how many there were. What was altered keeps its own, and
    the audit names it."""
    erased = 0
    for tenure in await list_tenures(pool, book_id=book_id, slots=slots, customer_id=customer_id):
        erased += await _erase_tenure(pool, book_id=book_id, tenure=tenure)
        erased += await erase_reasons(pool, book_id=book_id, tenure=tenure)
    await customers.note_openings_erased(pool, book_id=book_id, id_=customer_id, at=clock.now())
    return erased


async def _erase_tenure(pool: Pool, *, book_id: int, tenure: Tenure) -> int:
    erased, after_id = 0, None
    while True:
        async with pool.connection() as connection:
            found = await find_openings(
                connection,
                book_id=book_id,
                slot=tenure.slot,
                owner_id=tenure.card_id,
                begins=tenure.begins,
                ends=tenure.ends,
                after_id=after_id,
                limit=_AT_ONCE,
            )
            if not found:
                return erased
            entries = {}
            for transaction, salt in found:
                commitment = commit_private(salt, reference=transaction.reference, request_key=transaction.request_key)
                entries[transaction.id] = canonical_bytes(leaf_facts(transaction, commitment)), commitment
            gone = await store.erase_openings(connection, book_id=book_id, slot=tenure.slot, entries=entries)
        erased += len(gone)
        after_id = found[-1][0].id
