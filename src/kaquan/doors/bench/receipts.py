"""Receipts: made and verified one after the other, of a log that is as long as the bench's cards make it."""

import time
from collections.abc import Awaitable, Callable
from uuid import UUID

from kaquan.doors.bench.figures import Figure
from kaquan.doors.bench.ledger import BOOK, SLOT, open_pockets
from kaquan.doors.bench.stand import BenchError
from kaquan.doors.load import latency_of
from kaquan.evidence import Sequencer, get_keys, verify_receipt
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids
from kaquan.kit.outcomes import Refusal
from kaquan.kit.paging import MAX_LIMIT
from kaquan.ledger import TransactionSearch, get_receipt, list_transactions
from kaquan.vault import Keyring

STRIDE = 48_271
"""Prime to the number of ids: visits receipts in no order of theirs."""


async def measure_receipts(pool: Pool, keyring: Keyring, *, seconds: float, ids: Ids, clock: Clock) -> list[Figure]:
    """How long a receipt takes to make (as the HTTP handler asks for it) and to verify, by the wall and by the CPU."""
    async with pool.connection() as connection:
        await open_pockets(connection, ids=ids, clock=clock)
    sequencer = Sequencer(pool, clock, ids, [SLOT])
    size = 0
    while (step := await sequencer.step(keyring.log_signers)).leaves or step.more:
        size += step.leaves
    known = await _transactions(pool)
    keys = await get_keys(pool)
    receipts: list[str] = []

    async def make(turn: int) -> None:
        id_ = known[turn * STRIDE % len(known)]
        receipt = await get_receipt(pool, book_id=BOOK, slots=[SLOT], transaction_id=id_)
        if isinstance(receipt, Refusal):
            raise BenchError(f"a receipt was refused: {receipt.message()}")
        receipts.append(receipt)

    async def verify(turn: int) -> None:
        verify_receipt(receipts[turn % len(receipts)], keys)

    made = await _measure("receipt_made", "receipts made, one after the other", make, seconds, tree_size=size)
    length = max(len(receipt) for receipt in receipts)
    verified = await _measure("receipt_verified", "receipts verified", verify, seconds, bytes=length)
    return [made, verified]


async def _measure(
    name: str, how: str, once: Callable[[int], Awaitable[None]], seconds: float, **facts: object
) -> Figure:
    """How long one takes; ``cpu_ms`` is what it takes of this process."""
    times_ns: list[int] = []
    ends_ns, cpu_s = time.perf_counter_ns() + round(seconds * 1e9), time.process_time()
    while (before_ns := time.perf_counter_ns()) < ends_ns:
        await once(len(times_ns))
        times_ns.append(time.perf_counter_ns() - before_ns)
    cpu_ms = (time.process_time() - cpu_s) / len(times_ns) * 1_000
    rate = len(times_ns) / (sum(times_ns) / 1e9)
    return Figure(name, round(rate, 1), how, latency_of(times_ns), {"cpu_ms": round(cpu_ms, 2), **facts})


async def _transactions(pool: Pool) -> list[UUID]:
    """Transactions of the book, some thousands over all of it."""
    found: list[UUID] = []
    after: UUID | None = None
    while len(found) < 5_000:
        search = TransactionSearch(limit=MAX_LIMIT, after_id=after)
        page = await list_transactions(pool, book_id=BOOK, slots=[SLOT], search=search)
        found += [transaction.id for transaction in page.data]
        if page.next_cursor is None:
            break
        after = found[-1]
    return found
