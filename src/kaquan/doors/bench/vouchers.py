"""How fast vouchers are issued: the job that a large order of codes is, from its first voucher to its last."""

import time
from datetime import timedelta

from kaquan import vouchers
from kaquan.doors.bench.figures import Figure, Goal
from kaquan.doors.bench.seed import make_town
from kaquan.doors.bench.stand import BenchError, Stand
from kaquan.kit.clock import Clock
from kaquan.kit.db import open_pool
from kaquan.kit.ids import Ids
from kaquan.kit.outcomes import Refusal
from kaquan.promotions import Funder, FunderKind
from kaquan.vault import Keyring
from kaquan.vouchers import Mint, NewTemplate, NewVoucherBatch, VoucherKind
from kaquan.vouchers.codes import DEFAULT_LENGTH

VOUCHERS = 1_000_000
SLOTS = (0,)


async def measure_vouchers(
    stand: Stand, keyring: Keyring, *, ids: Ids, clock: Clock, count: int = VOUCHERS
) -> tuple[list[Figure], list[Goal]]:
    """Issue ``count`` vouchers with codes as one batch."""
    async with open_pool(stand.conninfo) as pool:
        town = await make_town(pool, merchants=1, ids=ids, clock=clock)
        template = await vouchers.create_template(
            pool,
            clock,
            ids,
            book_id=town.book.id,
            new=NewTemplate(
                issuer_id=town.programme.issuer_id,
                code="bench",
                name="bench",
                kind=VoucherKind.VALUE,
                currency=town.programme.currency,
                face_fen=500,
                offer_kind="amount_off",
                offer_params={"tiers": [[1_000, 500]]},
                funders=(Funder(FunderKind.ISSUER, None, 10_000),),
                valid_until=clock.now() + timedelta(days=60),
            ),
        )
        if isinstance(template, Refusal):
            raise BenchError(f"The benches could not be furnished: {template.message()}")
        new = NewVoucherBatch(template_id=template.id, name="bench", voucher_count=count, code_length=DEFAULT_LENGTH)
        batch = await vouchers.create_batch(pool, clock, ids, book_id=town.book.id, new=new)
        if isinstance(batch, Refusal):
            raise BenchError(f"The benches could not be furnished: {batch.message()}")
        started = time.perf_counter()
        made = await vouchers.run_batch(pool, Mint(keyring, SLOTS, ids), clock, book_id=town.book.id, batch_id=batch.id)
        elapsed_s = time.perf_counter() - started
    if isinstance(made, Refusal) or made.issued_count != count:
        raise BenchError(f"Not every voucher was issued: {made}")
    how = f"{count:,} vouchers in one batch, each with code, seal and look-up"
    figure = Figure("vouchers_issued", round(count / elapsed_s, 1), how, facts={"seconds": round(elapsed_s, 1)})
    goal = Goal("a million vouchers", 60, round(elapsed_s * VOUCHERS / count, 1), "s", at_most=True)
    return [figure], [goal]
