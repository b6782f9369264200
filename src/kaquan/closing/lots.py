"""List the lots of a card: what it holds, from where, and until when."""

from uuid import UUID

from kaquan.cards import Pocket
from kaquan.closing import store
from kaquan.closing.types import LotHeld
from kaquan.kit.db import Pool
from kaquan.kit.outcomes import Refusal


async def list_lots(pool: Pool, *, book_id: int, slots: tuple[int, ...], card_id: UUID) -> list[LotHeld] | Refusal:
    """Every lot of a card that holds something or was swept, pocket by pocket, oldest first. Refused: ``not_found``."""
    holding = await store.load_holding(pool, book_id=book_id, slots=slots, card_id=card_id)
    if isinstance(holding, Refusal):
        return holding
    order = list(Pocket)
    shown = [lot for lot in holding.lots if lot.remaining_fen or lot.swept_fen]
    return sorted(shown, key=lambda lot: (order.index(lot.pocket), lot.lot))
