"""Open what a receipt keeps private: for whoever may see it, and it leaves a line in the trail."""

from collections.abc import Sequence
from uuid import UUID

from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import get_receipt
from kaquan.parties.trail import Actor, record_action


async def reveal_receipt(
    pool: Pool, clock: Clock, ids: Ids, *, book_id: int, slots: Sequence[int], transaction_id: UUID, by: Actor
) -> str | Refusal:
    """The receipt of a transaction with the opening of its reference and request key.

    Refused: what :func:`kaquan.ledger.get_receipt` refuses.
    """
    receipt = await get_receipt(pool, book_id=book_id, slots=slots, transaction_id=transaction_id, opened=True)
    if not isinstance(receipt, Refusal):
        # before the receipt is out: none is opened without a trace
        async with pool.connection() as connection, connection.transaction():
            await record_action(
                connection,
                clock,
                ids,
                book_id=book_id,
                by=by,
                kind="receipt.revealed",
                prefix=Prefix.TRANSACTION,
                subject_id=transaction_id,
            )
    return receipt
