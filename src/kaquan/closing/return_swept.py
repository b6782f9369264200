"""Let what had ended follow its card: what was swept from a card before it was replaced comes back to its lots.

The worker then sends it after the card (``kaquan.cards.finish_transfers``), where it is swept again and can be extended
or refunded like anything else that ended there. It never can be spent on the way: its end stays what it was.
"""

from collections.abc import Sequence
from itertools import groupby

from kaquan.closing import store
from kaquan.closing.store import SweptBehind
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids
from kaquan.ledger import Effect, Guard, Leg, Posting

CHUNK = 200


async def return_swept(pool: Pool, clock: Clock, ids: Ids, slots: Sequence[int]) -> int:
    """Give back what was swept from cards that were replaced since; of how many cards. For the worker.

    A card is done whole or not at all, and what moved meanwhile waits for the next run.
    """
    done = 0
    for slot in slots:
        after = None
        while found := await store.find_swept_behind(pool, slot=slot, after=after, limit=CHUNK):
            # of the last card there may be more than was read: it is done with the next, or at last
            whole = found if len(found) < CHUNK else [one for one in found if one.card_id != found[-1].card_id] or found
            for _, group in groupby(whole, key=lambda one: one.card_id):
                rows = list(group)
                posting = _plan_return(rows, ids, clock)
                done += await store.post_return(pool, rows, posting, slot=slot, at=posting.effective_at)
            after = whole[-1].card_id
    return done


def _plan_return(rows: Sequence[SweptBehind], ids: Ids, clock: Clock) -> Posting:
    return Posting(
        transaction_id=ids.new_near(rows[0].card_id),
        kind="lot_return",
        effective_at=clock.now(),
        legs=[
            Leg(Effect.POST, one.swept.source_account_id, None, one.swept.account_id, one.swept.lot, one.swept.left_fen)
            for one in rows
        ],
        guards=[Guard(*pocket) for pocket in sorted({(one.swept.account_id, one.version) for one in rows})],
        related_id=rows[0].swept.transaction_id,
    )
