"""Open what a receipt keeps private: for whoever may see it, and it leaves a line in the trail."""

from collections.abc import Sequence
from uuid import UUID

from kaquan.cards import list_tenures
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.kit.outcomes import NOT_FOUND, Refusal
from kaquan.ledger import accounts_of, get_receipt, get_transaction
from kaquan.parties.trail import Actor, record_action


async def reveal_receipt(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    *,
    book_id: int,
    slots: Sequence[int],
    transaction_id: UUID,
    by: Actor,
    holder_id: UUID | None = None,
) -> str | Refusal:
    """The receipt of a transaction with the opening of its reference and request key, unless they are erased.

    With ``holder_id`` for that customer: ``not_found`` for a transaction that touched no card which was theirs then.
    Refused besides: what :func:`kaquan.ledger.get_receipt` refuses.
    """
    if holder_id is not None and not await _is_holders(
        pool, book_id=book_id, slots=slots, transaction_id=transaction_id, customer_id=holder_id
    ):
        return NOT_FOUND.refuse("transaction_id", what="transaction")
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
                after=None if holder_id is None else {"customer_id": show_id(Prefix.CUSTOMER, holder_id)},
            )
    return receipt


async def _is_holders(
    pool: Pool, *, book_id: int, slots: Sequence[int], transaction_id: UUID, customer_id: UUID
) -> bool:
    """Whether a transaction moved value of a card in the time in which that was this customer's."""
    found = await get_transaction(pool, book_id=book_id, slots=slots, transaction_id=transaction_id)
    if isinstance(found, Refusal):
        return False
    owners = {account.owner_id for account in (await accounts_of(pool, [found])).values()}
    return any(
        tenure.card_id in owners
        and (tenure.begins is None or found.recorded_at >= tenure.begins)
        and (tenure.ends is None or found.recorded_at < tenure.ends)
        for tenure in await list_tenures(pool, book_id=book_id, slots=slots, customer_id=customer_id)
    )
