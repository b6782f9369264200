"""The closing terms of a programme: read and set."""

from uuid import UUID

from kaquan.cards import get_programme
from kaquan.closing import store
from kaquan.closing.refund_rules import RefundRules, RulesError, read_refund_rules
from kaquan.closing.types import RulesOf, Terms
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.outcomes import INVALID_FIELD, Refusal

MAX_REMIND_DAYS = 366
MAX_REMINDERS = 8
MAX_DORMANT_MONTHS = 120


async def get_terms(pool: Pool, *, book_id: int, programme_id: UUID) -> Terms | Refusal:
    """The terms of a programme; one that has none set reminds of nothing. Refused: ``not_found``."""
    programme = await get_programme(pool, book_id=book_id, programme_id=programme_id)
    if isinstance(programme, Refusal):
        return programme
    return await store.load_terms(pool, book_id=book_id, programme_id=programme_id) or Terms()


async def set_terms(pool: Pool, clock: Clock, *, book_id: int, programme_id: UUID, terms: Terms) -> Terms | Refusal:
    """Set all terms of a programme anew. Refused: ``not_found``, ``invalid_field``."""
    refused = check_terms(terms)
    if refused is not None:
        return refused
    programme = await get_programme(pool, book_id=book_id, programme_id=programme_id)
    if isinstance(programme, Refusal):
        return programme
    await store.post_terms(pool, book_id=book_id, programme_id=programme_id, terms=terms, at=clock.now())
    return terms


def check_terms(terms: Terms) -> Refusal | None:
    """The first term that is not allowed, as ``invalid_field``; None when all are."""
    days = terms.remind_days
    if len(days) > MAX_REMINDERS or len(set(days)) < len(days) or not all(0 < n <= MAX_REMIND_DAYS for n in days):
        return INVALID_FIELD.refuse(
            "remind_days",
            allowed=f"must be at most {MAX_REMINDERS} different numbers from 1 to {MAX_REMIND_DAYS}",
            allowed_zh=f"最多 {MAX_REMINDERS} 个不同的数字，范围 1 到 {MAX_REMIND_DAYS}",
        )
    if terms.dormant_months is not None and not 0 < terms.dormant_months <= MAX_DORMANT_MONTHS:
        return INVALID_FIELD.refuse(
            "dormant_months",
            allowed=f"must be from 1 to {MAX_DORMANT_MONTHS}, or absent",
            allowed_zh=f"应为 1 至 {MAX_DORMANT_MONTHS}，或不填",
        )
    try:
        if terms.refund_values:
            read_refund_rules(terms.refund_values)
    except RulesError as error:
        return INVALID_FIELD.refuse(
            "refund_values", allowed=f"{error.name} {error.allowed}", allowed_zh=f"{error.name} {error.allowed_zh}"
        )
    return None


def stored_rules(pool: Pool) -> RulesOf:
    """Refund rules as they are set in the terms of each programme."""

    async def rules_of(book_id: int, programme_id: UUID) -> RefundRules | None:
        terms = await store.load_terms(pool, book_id=book_id, programme_id=programme_id)
        return read_refund_rules(terms.refund_values) if terms is not None and terms.refund_values else None

    return rules_of
