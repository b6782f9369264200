"""Write what was issued, with its leaf, in the commit that issues it: one statement for many."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from kaquan.evidence import store
from kaquan.evidence.issue_leaf import IssueLeafFacts, IssueTerms, issue_leaf_hash, issue_root
from kaquan.kit.db import Connection

MAX_RECORDS = 10_000
"""Records of one issue: a longer run makes several."""


class Issued(NamedTuple):
    """What cards, or vouchers, that are issued together have in common; see ``issue_leaf.py``."""

    book_id: int
    kind: str
    of_id: UUID
    batch_id: UUID | None
    terms: IssueTerms
    at: datetime


async def record_issue(connection: Connection, issued: Issued, records: Sequence[tuple[int, UUID, str | None]]) -> None:
    """Write what was issued in the caller's transaction: slot, id and last four of each, in their order."""
    by_slot: dict[int, list[tuple[UUID, str | None]]] = {slot: [] for slot, _, _ in records}
    if len(by_slot) == 1:  # a third of the time
        by_slot[records[0][0]] = [(id_, last4) for _, id_, last4 in records]
    else:
        for slot, id_, last4 in records:
            by_slot[slot].append((id_, last4))
    for slot, all_of_slot in sorted(by_slot.items()):
        for start in range(0, len(all_of_slot), MAX_RECORDS):
            some = all_of_slot[start : start + MAX_RECORDS]
            facts = IssueLeafFacts(
                slot, some[0][0], issued.book_id, issued.kind, issued.of_id, issued.batch_id, issued.terms, issued.at,
                len(some), issue_root(some),
            )  # fmt: skip
            await store.add_issue(connection, facts, some, leaf=issue_leaf_hash(facts))
