"""What is outstanding of points at any moment: what the other sides of the book gave and did not get back."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from kaquan.kit.db import Pool
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import get_account_at
from kaquan.points import store
from kaquan.points.types import AccountKind


class PointsLiability(NamedTuple):
    """Points that members have, spendable or waiting, less what they owe; and what made them so many.

    ``outstanding`` is ``granted`` and ``offered`` (less what refunds took back) + ``adjusted`` − ``spent`` −
    ``expired`` − ``benefits`` − ``exchanged`` (what went to partners, less what came from there).
    """

    outstanding: int
    granted: int
    """By purchases."""
    offered: int
    """By offers, whoever pays for them."""
    spent: int
    expired: int
    adjusted: int
    benefits: int
    exchanged: int


async def report_points(pool: Pool, *, book_id: int, slots: Sequence[int], at: datetime) -> PointsLiability:
    """The liability at a moment: from the accounts of issuers and partners, of which there are few."""
    given: Counter[AccountKind] = Counter()
    for slot in slots:
        for account_id, kind, _ in await store.load_counter_accounts(pool, book_id=book_id, slot=slot):
            account = await get_account_at(pool, book_id=book_id, slot=slot, account_id=account_id, at=at)
            assert not isinstance(account, Refusal), "accounts are never removed"
            given[kind] += account.debits_posted - account.credits_posted
    return PointsLiability(
        sum(given.values()),
        given[AccountKind.GRANTED],
        given[AccountKind.OFFERED],
        -given[AccountKind.SPENT],
        -given[AccountKind.EXPIRED],
        given[AccountKind.ADJUSTED],
        -given[AccountKind.BENEFITS],
        -given[AccountKind.EXCHANGED],
    )
