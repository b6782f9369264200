"""The closing terms of a programme: read and set."""

from collections.abc import Sequence
from uuid import UUID

from msgspec.structs import replace

from kaquan.cards import get_programme
from kaquan.closing import store
from kaquan.closing.days import day_of
from kaquan.closing.law import law_question, legal_figures
from kaquan.closing.refund_rules import Figure, RulesError, is_weaker, read_refund_rules
from kaquan.closing.types import Terms
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool, Rollback
from kaquan.kit.ids import Ids, Prefix
from kaquan.kit.outcomes import INVALID_FIELD, Refusal
from kaquan.parties import get_issuer
from kaquan.parties.staff import Approve
from kaquan.parties.trail import SYSTEM, Actor, differences, record_action
from kaquan.policy import CardClass, Policy

MAX_REMIND_DAYS = 366
MAX_REMINDERS = 8
MAX_DORMANT_MONTHS = 120


async def get_terms(pool: Pool, *, book_id: int, programme_id: UUID) -> Terms | Refusal:
    """The terms of a programme; one that has none set reminds of nothing. Refused: ``not_found``."""
    programme = await get_programme(pool, book_id=book_id, programme_id=programme_id)
    if isinstance(programme, Refusal):
        return programme
    return await store.load_terms(pool, book_id=book_id, programme_id=programme_id) or Terms()


async def set_terms(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    policy: Policy,
    *,
    book_id: int,
    programme_id: UUID,
    terms: Terms,
    by: Actor = SYSTEM,
    approve: Approve | None = None,
) -> Terms | Refusal:
    """Set all terms of a programme anew; terms that are so already change nothing and use no approval.

    ``approve`` is asked in the transaction of the change. Refused: ``not_found``, ``invalid_field``, also for what is
    weaker than the law of the day where the issuer issues, what ``approve`` refuses.
    """
    refused = check_terms(terms)
    if refused is not None:
        return refused
    programme = await get_programme(pool, book_id=book_id, programme_id=programme_id)
    if isinstance(programme, Refusal):
        return programme
    if terms.refund_values:
        issuer = await get_issuer(pool, book_id=book_id, id_=programme.issuer_id)
        assert not isinstance(issuer, Refusal), "a programme has an issuer"
        question = law_question(issuer, programme, on=day_of(clock.now(), programme.time_zone))
        for card_class in CardClass:
            law = legal_figures(policy, book_id, issuer.id, question._replace(card_class=card_class))
            if (refused := check_values(terms.refund_values, law)) is not None:
                return refused
    refused = None
    async with pool.connection() as connection, connection.transaction():
        before = (
            await store.read_terms(connection, book_id=book_id, programme_id=programme_id, query="lock_terms")
            or Terms()
        )
        was, is_ = differences(before, _ordered(terms))
        if is_ and approve is not None:
            refused = await approve(connection)
        if refused is not None or not is_:
            raise Rollback
        await store.write_terms(connection, book_id=book_id, programme_id=programme_id, terms=terms, at=clock.now())
        await record_action(
            connection, clock, ids, book_id=book_id, by=by, kind="closing_terms.changed", prefix=Prefix.PROGRAMME,
            subject_id=programme_id, before=was, after=is_,
        )  # fmt: skip
    return terms if refused is None else refused


def _ordered(terms: Terms) -> Terms:
    """The terms as they are kept."""
    return replace(terms, remind_days=tuple(sorted(terms.remind_days, reverse=True)))


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
    return None


def check_values(values: Sequence[Figure], law: Sequence[Figure]) -> Refusal | None:
    """The first named value that makes no rules with those of the law, or is weaker than them, as ``invalid_field``."""
    legal = {figure.name: figure for figure in law}
    for own in values:
        if own.name in legal and is_weaker(own, legal[own.name]):
            stands = legal[own.name]
            return INVALID_FIELD.refuse(
                "refund_values",
                allowed=f"{own.name} must not be weaker than {stands.value} ({stands.rule_id}, {stands.source})",
                allowed_zh=f"{own.name} 不得低于法定标准 {stands.value}（{stands.rule_id}，{stands.source}）",
            )
    try:
        read_refund_rules(values, law)
    except RulesError as error:
        return INVALID_FIELD.refuse(
            "refund_values", allowed=f"{error.name} {error.allowed}", allowed_zh=f"{error.name} {error.allowed_zh}"
        )
    return None
