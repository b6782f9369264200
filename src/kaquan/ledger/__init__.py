"""The ledger: double entry in PostgreSQL. Accounts, immutable transactions, pending amounts, lots, idempotency.

It knows amounts, floors, lots and keys; it never knows what a card, a merchant or a promotion is. Posting is one call
per batch and slot; every item of a batch is applied whole or refused alone. Nothing here updates or deletes history,
and the database role that serves requests has no right to.
"""

from kaquan.ledger.keys import hash_key, hash_request
from kaquan.ledger.read import (
    Statement,
    StatementLine,
    StatementSearch,
    TransactionSearch,
    accounts_of,
    get_account,
    get_account_at,
    get_statement,
    get_transaction,
    list_transactions,
)
from kaquan.ledger.slots import slot_of
from kaquan.ledger.store import (
    batch_params,
    claim_keys,
    list_by_account,
    list_rows,
    open_accounts,
    post_batch,
    read_accounts_of_owner,
    read_accounts_of_owners,
    read_answers,
    read_slots,
    run_post,
)
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
from kaquan.ledger.upkeep import forget_answers, take_checkpoints

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
    "Statement",
    "StatementLine",
    "StatementSearch",
    "Transaction",
    "TransactionSearch",
    "accounts_of",
    "batch_params",
    "claim_keys",
    "forget_answers",
    "get_account",
    "get_account_at",
    "get_statement",
    "get_transaction",
    "hash_key",
    "hash_request",
    "list_by_account",
    "list_rows",
    "list_transactions",
    "open_accounts",
    "post_batch",
    "read_accounts_of_owner",
    "read_accounts_of_owners",
    "read_answers",
    "read_slots",
    "run_post",
    "slot_of",
    "take_checkpoints",
]
