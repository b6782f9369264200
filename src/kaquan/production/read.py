"""Tell which production files of a batch were given out."""

from uuid import UUID

from kaquan.cards import get_batch
from kaquan.kit.db import Pool
from kaquan.kit.outcomes import Refusal
from kaquan.production import store
from kaquan.production.types import Export


async def list_exports(pool: Pool, *, book_id: int, batch_id: UUID) -> list[Export] | Refusal:
    """The files of a batch, the last first. Refused: ``not_found``."""
    batch = await get_batch(pool, book_id=book_id, batch_id=batch_id)
    if isinstance(batch, Refusal):
        return batch
    return (await store.load_exports(pool, book_id=book_id, batch_id=batch_id))[::-1]
