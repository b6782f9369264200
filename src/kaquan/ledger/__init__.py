"""The ledger: double entry in PostgreSQL. Accounts, immutable transactions, pending amounts, lots, idempotency.

It knows amounts, floors, lots and keys; it never knows what a card, a merchant or a promotion is. Posting is one call
per batch and slot; every item of a batch is applied whole or refused alone. Nothing here updates or deletes history,
and the database role that serves requests has no right to.
"""

from kaquan.ledger.keys import hash_key, hash_request
from kaquan.ledger.slots import slot_of
from kaquan.ledger.store import open_accounts, post_batch, read_slots
from kaquan.ledger.types import (
    Account,
    AccountSpec,
    Answer,
    Effect,
    Entry,
    FloorRule,
    Guard,
    Item,
    Leg,
    NewLot,
    Posting,
    PostStatus,
    RequestKey,
    Transaction,
)

__all__ = [
    "Account",
    "AccountSpec",
    "Answer",
    "Effect",
    "Entry",
    "FloorRule",
    "Guard",
    "Item",
    "Leg",
    "NewLot",
    "PostStatus",
    "Posting",
    "RequestKey",
    "Transaction",
    "hash_key",
    "hash_request",
    "open_accounts",
    "post_batch",
    "read_slots",
    "slot_of",
]
