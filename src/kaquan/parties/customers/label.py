"""Label customers: the segments that offers ask for."""

from collections.abc import Callable, Sequence
from uuid import UUID

from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix
from kaquan.kit.outcomes import INVALID_FIELD, Refusal
from kaquan.parties.customers import store
from kaquan.parties.customers.types import Segment
from kaquan.parties.outcomes import CUSTOMER_FORGOTTEN, missing
from kaquan.parties.trail import SYSTEM, Action, Actor, new_action

MAX_SEGMENTS = 50
"""Of one customer."""

MAX_LABELLED = 1_000
"""Customers that one request may label."""

MAX_LISTED = 1_000


async def label_customers(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    *,
    book_id: int,
    customer_ids: Sequence[UUID],
    add: frozenset[str] = frozenset(),
    remove: frozenset[str] = frozenset(),
    by: Actor = SYSTEM,
) -> int | Refusal:
    """Add and remove segments of all of these customers or of none; of how many something changed.

    Refused: ``invalid_field`` (remove, add), ``not_found`` (customer_ids[n]), ``customer_forgotten``
    (customer_ids[n]).
    """
    if add & remove:
        return INVALID_FIELD.refuse("remove", allowed="must not be among add", allowed_zh="不得与 add 重复")
    named = list(dict.fromkeys(customer_ids))
    changed = await store.post_segments(
        pool,
        book_id=book_id,
        ids=named,
        after=lambda before: before - remove | add,
        most=MAX_SEGMENTS,
        action=_line(clock, ids, book_id, by),
    )
    if isinstance(changed, store.NotLabelled):
        return _refuse(changed, f"customer_ids[{list(customer_ids).index(changed.id)}]", "add")
    return len(changed)


async def set_segments(
    pool: Pool, clock: Clock, ids: Ids, *, book_id: int, id_: UUID, segments: frozenset[str], by: Actor = SYSTEM
) -> Refusal | None:
    """Give a customer these segments and no others.

    Refused: ``invalid_field`` (segments), ``not_found``, ``customer_forgotten``.
    """
    changed = await store.post_segments(
        pool,
        book_id=book_id,
        ids=[id_],
        after=lambda _: segments,
        most=MAX_SEGMENTS,
        action=_line(clock, ids, book_id, by),
    )
    return _refuse(changed, "id", "segments") if isinstance(changed, store.NotLabelled) else None


async def list_segments(pool: Pool, *, book_id: int) -> list[Segment]:
    """The segments that customers of a book have, by name: the first thousand."""
    return await store.load_segments(pool, book_id=book_id, limit=MAX_LISTED)


def _line(clock: Clock, ids: Ids, book_id: int, by: Actor) -> Callable[[UUID, list[str], list[str]], Action]:
    """The line of the trail for each customer."""

    def line(id_: UUID, before: list[str], after: list[str]) -> Action:
        return new_action(
            clock,
            ids,
            book_id=book_id,
            by=by,
            kind="customer.labelled",
            prefix=Prefix.CUSTOMER,
            subject_id=id_,
            before={"segments": before},
            after={"segments": after},
        )

    return line


def _refuse(found: store.NotLabelled, customer: str, segments: str) -> Refusal:
    if found.why == "missing":
        return missing("customer", customer)
    if found.why == "forgotten":
        return CUSTOMER_FORGOTTEN.refuse(customer)
    return INVALID_FIELD.refuse(
        segments,
        allowed=f"must leave a customer at most {MAX_SEGMENTS} segments",
        allowed_zh=f"每位客户最多 {MAX_SEGMENTS} 个标签",
    )
