"""Show the codes of vouchers: one, or those of a batch for who prints or sends them. Each leaves a trace."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from uuid import UUID

from kaquan.cards import Hand
from kaquan.kit.db import Connection, Pool, post_together
from kaquan.kit.ids import Prefix
from kaquan.kit.outcomes import Refusal
from kaquan.parties.trail import Actor, record_action
from kaquan.vault import Keyring
from kaquan.vouchers import store
from kaquan.vouchers.find import get_batch, get_voucher
from kaquan.vouchers.outcomes import missing

CHUNK = 2_000


async def reveal_code(
    pool: Pool, keyring: Keyring, hand: Hand, *, book_id: int, slots: Sequence[int], voucher_id: UUID, by: Actor
) -> str | Refusal:
    """The code of a voucher; the trail tells of it, without it. Refused: ``not_found``, also for one without a code."""
    voucher = await get_voucher(pool, book_id=book_id, slots=slots, voucher_id=voucher_id)
    if isinstance(voucher, Refusal):
        return voucher
    sealed = await store.load_sealed_code(pool, voucher)
    if sealed is None:
        return missing("voucher code")
    # before the code is out: none is seen without a trace
    await _tell(pool, hand, book_id, by, "voucher.code_revealed", Prefix.VOUCHER, voucher_id)
    return keyring.open(sealed, voucher_id.bytes).decode("ascii")


async def read_out_codes(
    pool: Pool, keyring: Keyring, hand: Hand, *, book_id: int, slots: Sequence[int], batch_id: UUID, by: Actor
) -> AsyncIterator[tuple[UUID, str, datetime | None]] | Refusal:
    """Every voucher of a batch with its code and its end. Refused: ``not_found``."""
    batch = await get_batch(pool, book_id=book_id, batch_id=batch_id)
    if isinstance(batch, Refusal):
        return batch
    await _tell(pool, hand, book_id, by, "voucher_batch.codes_exported", Prefix.VOUCHER_BATCH, batch_id)
    return _read_out(pool, keyring, book_id=book_id, slots=slots, batch_id=batch_id)


async def _read_out(
    pool: Pool, keyring: Keyring, *, book_id: int, slots: Sequence[int], batch_id: UUID
) -> AsyncIterator[tuple[UUID, str, datetime | None]]:
    for slot in slots:
        after_id = UUID(int=0)
        while rows := await store.load_codes_of_batch(
            pool, book_id=book_id, slot=slot, batch_id=batch_id, after_id=after_id, limit=CHUNK
        ):
            for id_, sealed, until in rows:
                yield id_, keyring.open(sealed, id_.bytes).decode("ascii"), until
            after_id = rows[-1][0]


async def _tell(pool: Pool, hand: Hand, book_id: int, by: Actor, kind: str, prefix: Prefix, subject_id: UUID) -> None:
    async def write(connection: Connection) -> bool:
        await record_action(
            connection, hand.clock, hand.ids, book_id=book_id, by=by, kind=kind, prefix=prefix, subject_id=subject_id
        )
        return True

    await post_together(pool, write)
