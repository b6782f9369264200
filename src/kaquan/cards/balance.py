"""What a holder can spend: the pockets of a card without what has expired."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from kaquan.cards.look_up import list_pockets
from kaquan.cards.types import Pocket
from kaquan.kit.db import Pool
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import Account, read_expired, slot_of


class PocketBalance(NamedTuple):
    """A pocket as its holder sees it. ``expired_fen`` has expired and is not swept yet: held, and not spendable."""

    pocket: Pocket
    account: Account
    expired_fen: int

    @property
    def spendable_fen(self) -> int:
        """What is neither set aside nor expired."""
        return self.account.available_fen - self.expired_fen


async def list_balances(
    pool: Pool, *, book_id: int, slots: tuple[int, ...], card_id: UUID, now: datetime
) -> list[PocketBalance] | Refusal:
    """The balances of a card's pockets; none before it is activated. Refused: ``not_found``."""
    pockets = await list_pockets(pool, book_id=book_id, slots=slots, card_id=card_id)
    if isinstance(pockets, Refusal):
        return pockets
    async with pool.connection() as connection:
        expired = await read_expired(
            connection, slot=slot_of(card_id, slots), account_ids=[account.id for _, account in pockets], now=now
        )
    return [PocketBalance(pocket, account, expired.get(account.id, 0)) for pocket, account in pockets]
