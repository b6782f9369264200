"""The ledger alone: posting through its front door, on one connection, without HTTP, cards or payments.

Every item is what a payment posts: an idempotency key with its answer, a transaction with its evidence leaf,
entries from pockets that have a floor to a merchant that has none.
"""

import asyncio
import math
import time
from collections.abc import Sequence
from uuid import UUID

import msgspec

from kaquan.doors.bench.figures import Figure
from kaquan.doors.bench.stand import BenchError
from kaquan.doors.load import latency_of
from kaquan.kit.clock import Clock
from kaquan.kit.db import Connection
from kaquan.kit.ids import Ids
from kaquan.ledger import (
    AccountSpec,
    Answer,
    Effect,
    FloorRule,
    Item,
    Leg,
    Posting,
    PostStatus,
    RequestKey,
    hash_key,
    hash_request,
    open_accounts,
    post_batch,
)

BOOK = 1
SLOT = 0
CURRENCY = "CNY"
CARDS = 100_000
MERCHANTS = 2_800
BATCH = 256
LANES = 2
FUNDS_FEN = 10**12
OPENED_AT_ONCE = 5_000

CARD_STRIDE = 48_271
"""Prime to the number of cards: visits all of them in no order of theirs, and none twice in a batch."""

BODY = b'{"card_number":"8888000011112222333","amount_fen":100,"terminal_id":"term_"}'
ANSWER = Answer(201, b'{"id":"txn_","kind":"purchase","status":"completed","amount_fen":100}' * 5)

SHAPES = {"two_entries_256": (2, BATCH), "one_entry_256": (1, BATCH), "one_entry_1": (1, 1)}
"""What is measured: entries a transaction, transactions a batch."""


class Pockets(msgspec.Struct, frozen=True):
    """The accounts that a ledger bench moves value between: two pockets a card, one payable a merchant."""

    principal: list[int]
    bonus: list[int]
    merchants: list[int]


async def open_pockets(connection: Connection, *, ids: Ids, clock: Clock) -> Pockets:
    """Open the accounts and fund the pockets, so that nothing that is measured is refused."""
    cards = [ids.new() for _ in range(CARDS)]
    principal = await _open(connection, cards, "bench_principal", FloorRule.CREDIT)
    bonus = await _open(connection, cards, "bench_bonus", FloorRule.CREDIT)
    merchants = await _open(connection, [ids.new() for _ in range(MERCHANTS)], "bench_payable", FloorRule.NONE)
    (source,) = await _open(connection, [ids.new()], "bench_source", FloorRule.NONE)
    for start in range(0, CARDS, BATCH):
        owed = zip(principal[start : start + BATCH], bonus[start : start + BATCH], strict=True)
        items = [
            Item(
                BOOK,
                Posting(
                    ids.new(),
                    "load",
                    clock.now(),
                    [Leg(Effect.POST, source, None, pocket, None, FUNDS_FEN) for pocket in pair],
                ),
            )
            for pair in owed
        ]
        await _post(connection, items, clock)
    return Pockets(principal, bonus, merchants)


async def measure_ledger(
    connection: Connection, pockets: Pockets, *, seconds: float, ids: Ids, clock: Clock
) -> list[Figure]:
    """Transactions of one and of two entries in batches of 256, and of one entry in batches of one."""
    figures = []
    for name, (entries, batch) in SHAPES.items():
        flow = Flow(pockets, entries=entries, batch=batch, ids=ids, clock=clock)
        await flow.run(connection, seconds=min(1.0, seconds))  # warm caches and plans
        how = f"{entries}-entry transactions with key and leaf, batches of {batch}, one connection"
        figures.append(await flow.measure(connection, f"ledger_{name}", how, seconds=seconds))
    return figures


class Flow:
    """Posts purchases, card after card."""

    def __init__(self, pockets: Pockets, *, entries: int, batch: int, ids: Ids, clock: Clock) -> None:
        self._pockets = pockets
        self._entries = entries
        self._batch = batch
        self._ids = ids
        self._clock = clock
        self._turn = 0
        self.posted = 0

    async def measure(self, connection: Connection, name: str, how: str, *, seconds: float) -> Figure:
        """The rate of so many seconds, and how long each batch took."""
        rate, times_ns = await self.run(connection, seconds=seconds)
        facts = {"cards": len(self._pockets.principal), "transactions": self.posted}
        return Figure(name, round(rate, 1), how, latency_of(times_ns), facts)

    async def run(
        self, connection: Connection, *, seconds: float = math.inf, until: float = math.inf
    ) -> tuple[float, list[int]]:
        """Post for so many seconds, or until so many were posted in all; the rate, and each batch's time.

        While a batch is at the database the next one is made up and its parameters are written, as in a server, where
        one lane works while the other waits; the connection itself takes one call after the other.
        """
        before, times_ns = self.posted, []
        started_ns = time.perf_counter_ns()
        end_ns = started_ns + seconds * 1e9

        async def lane() -> None:
            while self.posted < until and (sent_ns := time.perf_counter_ns()) < end_ns:
                items = self._make_up()
                self.posted += len(items)
                await _post(connection, items, self._clock)
                times_ns.append(time.perf_counter_ns() - sent_ns)

        await asyncio.gather(*(lane() for _ in range(LANES)))
        return (self.posted - before) * 1e9 / (time.perf_counter_ns() - started_ns), times_ns

    async def post(self, connection: Connection) -> None:
        """Post one batch."""
        items = self._make_up()
        await _post(connection, items, self._clock)
        self.posted += len(items)

    def _make_up(self) -> list[Item]:
        return [self._next() for _ in range(self._batch)]

    def _next(self) -> Item:
        self._turn += 1
        pockets = self._pockets
        card = self._turn * CARD_STRIDE % len(pockets.principal)
        merchant = pockets.merchants[self._turn % len(pockets.merchants)]
        transaction_id = self._ids.new()
        legs = [Leg(Effect.POST, pockets.principal[card], None, merchant, None, 100)]
        if self._entries == 2:
            legs.append(Leg(Effect.POST, pockets.bonus[card], None, merchant, None, 10))
        key = transaction_id.hex
        return Item(
            BOOK,
            Posting(transaction_id, "purchase", self._clock.now(), legs),
            RequestKey(key, hash_key(BOOK, key), hash_request("POST", "/v1/purchases", BODY)),
            ANSWER,
        )


async def _open(connection: Connection, owners: Sequence[UUID], kind: str, rule: FloorRule) -> list[int]:
    opened: list[int] = []
    for start in range(0, len(owners), OPENED_AT_ONCE):
        asked = [AccountSpec(BOOK, owner, kind, CURRENCY, rule) for owner in owners[start : start + OPENED_AT_ONCE]]
        opened += await open_accounts(connection, slot=SLOT, asked=asked)
    return opened


async def _post(connection: Connection, items: Sequence[Item], clock: Clock) -> None:
    statuses = await post_batch(connection, items, slot=SLOT, recorded_at=clock.now())
    if any(status is not PostStatus.APPLIED for status in statuses):
        raise BenchError(f"The ledger refused what it should post: {statuses}")
