"""What a person may use up over all their cards together.

A limit per person is a limit over everything that belongs to them: it is counted on the customer, not on a card, in the
transaction of the deed, so that two cards at two tills cannot use one allowance twice.
"""

from uuid import UUID

from kaquan.kit.db import Connection
from kaquan.kit.outcomes import Refusal
from kaquan.parties.customers import store
from kaquan.parties.outcomes import PERSON_LIMIT_EXCEEDED


async def claim_allowance(
    connection: Connection,
    *,
    book_id: int,
    customer_id: UUID,
    metric: str,
    period: str,
    amount_fen: int,
    limit_fen: int,
) -> Refusal | None:
    """None when ``amount_fen`` more of ``metric`` fits under ``limit_fen`` in ``period``, and is counted from here on.

    ``metric`` names what is counted (``load``), ``period`` the stretch of time in the caller's words (``2026-03-01``,
    ``ever``); whoever knows the law says what the limit is. It stands or falls with the transaction of ``connection``.
    Refused: ``person_limit_exceeded``, with nothing counted.
    """
    params = {
        "book_id": book_id,
        "customer_id": customer_id,
        "metric": metric,
        "period": period,
        "amount_fen": amount_fen,
        "limit_fen": limit_fen,
    }
    if await store.claim_allowance(connection, params):
        return None
    used_fen = await store.load_used(connection, params)
    return PERSON_LIMIT_EXCEEDED.refuse(limit_fen=limit_fen, left_fen=max(0, limit_fen - used_fen))


async def give_allowance_back(
    connection: Connection, *, book_id: int, customer_id: UUID, metric: str, period: str, amount_fen: int
) -> None:
    """Count ``amount_fen`` less: what was claimed for did not happen, or was undone. Never below nothing."""
    params = {
        "book_id": book_id,
        "customer_id": customer_id,
        "metric": metric,
        "period": period,
        "amount_fen": amount_fen,
    }
    await store.give_allowance_back(connection, params)
