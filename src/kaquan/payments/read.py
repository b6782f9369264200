"""Look payments up: one by its id, or a list."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from kaquan import parties
from kaquan.kit.db import Pool
from kaquan.kit.ids import MARGIN, first_id
from kaquan.kit.outcomes import NOT_FOUND, Refusal
from kaquan.kit.paging import DEFAULT_LIMIT, Page, cut_page
from kaquan.ledger import slot_of
from kaquan.payments import store
from kaquan.payments.budgets import Used, budget_use, used_of
from kaquan.payments.kept import Kept
from kaquan.payments.limits import Moment, Uses
from kaquan.payments.types import Payment, PaymentKind, PaymentStatus
from kaquan.promotions import BudgetUse


class PaymentSearch(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of payments is narrowed to; None does not narrow. Newest first, beginning after ``after_id``.

    ``original_id`` is the payment that a refund gave back. Both times are exclusive and compared with the recording.
    """

    limit: int = DEFAULT_LIMIT
    after_id: UUID | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    card_id: UUID | None = None
    merchant_id: UUID | None = None
    store_id: UUID | None = None
    terminal_id: UUID | None = None
    original_id: UUID | None = None
    status: PaymentStatus | None = None
    reference: str | None = None


async def get_payment(
    pool: Pool, *, book_id: int, slots: Sequence[int], kind: PaymentKind, payment_id: UUID
) -> Payment | Refusal:
    """The payment of this kind with this id, as it stands. Refused: ``not_found``."""
    async with pool.connection() as connection:
        found = await store.read_payment(
            connection, book_id=book_id, slot=slot_of(payment_id, slots), kind=kind, payment_id=payment_id
        )
    return NOT_FOUND.refuse("id", what=kind.value) if found is None else found


async def get_pricing(pool: Pool, *, slots: Sequence[int], payment_id: UUID) -> Kept | None:
    """How a payment of the caller's book was priced; None: without offers."""
    async with pool.connection() as connection:
        slot = slot_of(payment_id, slots)
        return (await store.read_pricing(connection, slot=slot, transaction_id=payment_id))[0]


async def list_payments(
    pool: Pool, *, book_id: int, slots: Sequence[int], kind: PaymentKind, search: PaymentSearch
) -> Page[Payment]:
    """Payments of a book and kind, the newest first."""
    if kind is not PaymentKind.AUTHORIZATION and search.status not in (None, PaymentStatus.COMPLETED):
        return Page([])  # the others are complete from the beginning
    merchant_id = await _merchant(pool, book_id, search)
    if isinstance(merchant_id, Refusal):
        return Page([])
    owner_id = search.card_id
    # a load at a terminal moves nothing of the merchant's
    if owner_id is None and search.original_id is None and search.reference is None and kind is not PaymentKind.LOAD:
        owner_id = merchant_id
    one_slot = search.card_id or search.original_id
    params = {
        "book_id": book_id,
        "kind": kind.value,
        "limit": search.limit + 1,
        "before_id": search.after_id,
        "card_id": search.card_id,
        "merchant_id": search.merchant_id,
        "store_id": search.store_id,
        "terminal_id": search.terminal_id,
        "original_id": search.original_id,
        "status": None if search.status is None else search.status.value,
        "reference": search.reference,
        "created_after": search.created_after,
        "from_id": None if search.created_after is None else first_id(search.created_after, margin=-MARGIN),
        "created_before": search.created_before,
        "until_id": None if search.created_before is None else first_id(search.created_before, margin=MARGIN),
    }
    async with pool.connection() as connection:
        rows = await store.list_payments(
            connection, params, owner_id=owner_id, slots=slots if one_slot is None else [slot_of(one_slot, slots)]
        )
    return cut_page(rows, limit=search.limit, last_id=rows[search.limit - 1].id if len(rows) > search.limit else None)


async def _merchant(pool: Pool, book_id: int, search: PaymentSearch) -> UUID | Refusal | None:
    """The merchant of the place that is searched: its accounts lead to the payments there. None without a place."""
    if search.merchant_id is not None:
        return search.merchant_id
    store_id = search.store_id
    if store_id is None and search.terminal_id is not None:
        terminal = await parties.get_terminal(pool, book_id=book_id, id_=search.terminal_id)
        if isinstance(terminal, Refusal):
            return terminal
        store_id = terminal.store_id
    if store_id is None:
        return None
    found = await parties.get_store(pool, book_id=book_id, id_=store_id)
    return found if isinstance(found, Refusal) else found.merchant_id


async def read_budget(
    pool: Pool, *, slots: Sequence[int], budget_id: UUID, subject_id: UUID | None, period: str, moment: Moment
) -> Used:
    """What was used of a budget (or of a subject's part of it, unless that is a card) up to this moment."""
    asked = BudgetUse(budget_id, budget_id, subject_id, period, 0, None, None)
    use = budget_use(asked, moment, budget_id)
    async with pool.connection() as connection:
        usage = await store.read_usage(connection, slot=slots[0], slots=slots, uses=[Uses([use], [])])
    return used_of(period, use, usage.calendar.get(use.key))
