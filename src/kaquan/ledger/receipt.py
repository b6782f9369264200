"""The receipt of a transaction: its canonical bytes, and the proof that the log holds them."""

from collections.abc import Sequence
from uuid import UUID

from kaquan.evidence import (
    RECEIPT_CONTRADICTED,
    RECEIPT_NOT_READY,
    SHA256,
    LeafEntry,
    LeafFacts,
    Opening,
    Profile,
    canonical_bytes,
    hash_leaf,
    private_bytes,
    prove_leaf,
    write_receipt,
)
from kaquan.kit.db import Pool
from kaquan.kit.outcomes import Refusal
from kaquan.ledger.read import get_transaction
from kaquan.ledger.types import Transaction


async def get_receipt(
    pool: Pool,
    *,
    book_id: int,
    slots: Sequence[int],
    transaction_id: UUID,
    opened: bool = False,
    profile: Profile = SHA256,
) -> str | Refusal:
    """The receipt of a transaction, with ``opened`` also the opening of its private fields, if it has any that were not
    erased.

    Refused: ``not_found``, ``receipt_not_ready`` before the next checkpoint, ``receipt_contradicted`` for a transaction
    that was altered: nothing is proven that is not so.
    """
    found = await get_transaction(pool, book_id=book_id, slots=slots, transaction_id=transaction_id)
    if isinstance(found, Refusal):
        return found
    leaf = await prove_leaf(pool, slot=found.slot, id_=found.id, profile=profile)
    opening, commitment = None, None if leaf is None else leaf.commitment
    if leaf is not None and leaf.salt is not None:
        opening = Opening(leaf.salt, private_bytes(reference=found.reference, request_key=found.request_key))
        commitment = opening.commitment
    entry = canonical_bytes(leaf_facts(found, commitment))
    if leaf is None or hash_leaf(entry) != leaf.hash:
        return RECEIPT_CONTRADICTED.refuse()
    if leaf.inclusion is None:
        return RECEIPT_NOT_READY.refuse()
    return write_receipt(entry, opening if opened else None, leaf.inclusion)


def leaf_facts(transaction: Transaction, commitment: bytes | None) -> LeafFacts:
    """A posted transaction as its leaf states it."""
    return LeafFacts(
        transaction.slot,
        transaction.id,
        transaction.book_id,
        transaction.kind,
        transaction.related_id,
        transaction.place_id,
        transaction.effective_at,
        transaction.recorded_at,
        commitment,
        [
            LeafEntry(
                entry.leg,
                str(entry.effect),
                entry.debit_account,
                entry.debit_lot,
                entry.credit_account,
                entry.credit_lot,
                entry.amount_fen,
            )
            for entry in sorted(transaction.entries, key=lambda entry: entry.leg)
        ],
        transaction.detail,
    )
