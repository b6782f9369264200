"""How fast cards are issued: the job that a large order of cards is, from its first card to its last."""

import time

from kaquan.doors.bench.figures import Figure, Goal
from kaquan.doors.bench.seed import issue_cards, make_town
from kaquan.doors.bench.stand import Stand
from kaquan.kit.clock import Clock
from kaquan.kit.db import open_pool
from kaquan.kit.ids import Ids
from kaquan.vault import Keyring

CARDS = 1_000_000


async def measure_cards(
    stand: Stand, keyring: Keyring, *, ids: Ids, clock: Clock, count: int = CARDS
) -> tuple[list[Figure], list[Goal]]:
    """Issue ``count`` cards as one batch."""
    async with open_pool(stand.conninfo) as pool:
        town = await make_town(pool, merchants=1, ids=ids, clock=clock)
        started = time.perf_counter()
        await issue_cards(pool, town, keyring, count=count, name="bench", ids=ids, clock=clock)
        elapsed_s = time.perf_counter() - started
    rate = round(count / elapsed_s, 1)
    how = f"{count:,} cards in one batch, each with number, seal and look-up"
    return (
        [Figure("cards_issued", rate, how, facts={"seconds": round(elapsed_s, 1)})],
        [Goal("cards issued", 20_000, rate, "cards/s")],
    )
