"""What the law asks to keep of a person when they are forgotten: decided on the cards that they have or had.

The register of purchasers and the data of customers are kept for years that policy knows, counted from the day on which
the person is forgotten: until then the relation lasts. Where no rule speaks (no cards, no declared mode), nothing is.
"""

from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from kaquan.cards import store
from kaquan.cards.create_programme import day_of
from kaquan.cards.days import end_of_day
from kaquan.cards.law import jurisdiction_of, scheme_of
from kaquan.cards.types import Programme
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.outcomes import Refusal
from kaquan.parties import Issuer, get_issuer
from kaquan.parties.customers import PersonalField, Retention
from kaquan.policy import CardClass, IssuerClass, Metric, Question, RuleBook

PERSONAL_RECORDS = (Metric.PURCHASER_RECORD_YEARS, Metric.CUSTOMER_RECORD_YEARS)
"""The records that name a person."""


class Relation(NamedTuple):
    """Under which terms somebody has or had a card, with what binds their issuer."""

    programme: Programme
    issuer: Issuer
    rules: RuleBook


def plan_retention(relations: Iterable[Relation], now: datetime) -> Retention | None:
    """The longest that a rule asks for; all that is personal, since a register without a part of it is none."""
    longest: Retention | None = None
    for programme, issuer, rules in relations:
        today = day_of(now, programme.time_zone)
        for metric in PERSONAL_RECORDS:
            fact = rules.ask(
                Question(
                    metric,
                    jurisdiction_of(issuer),
                    today,
                    scheme=scheme_of(programme.operating_mode, licensed=issuer.payment_licence is not None),
                    issuer_class=None if issuer.issuer_class is None else IssuerClass(issuer.issuer_class.value),
                    card_class=CardClass.REGISTERED,
                )
            )
            if fact is None:
                continue
            days = (years_after(today, fact.number) - today).days
            until = end_of_day(now, valid_days=days, time_zone=programme.time_zone)
            if longest is None or until > longest.until:
                longest = Retention(frozenset(PersonalField), fact.rule_id, until)
    return longest


def years_after(day: date, years: int) -> date:
    """The same day so many years later; the first of March for a day that only leap years have.

    >>> years_after(date(2024, 2, 29), 5)
    datetime.date(2029, 3, 1)
    """
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return date(day.year + years, 3, 1)


async def find_retention(
    pool: Pool,
    clock: Clock,
    rules_of: Callable[[int, UUID], RuleBook],
    *,
    book_id: int,
    slots: tuple[int, ...],
    customer_id: UUID,
) -> Retention | None:
    """What must be kept of a customer who is forgotten now, by which rule; None when nothing must."""
    relations = []
    for programme_id, version in await store.load_terms_of_customer(
        pool, book_id=book_id, slots=slots, customer_id=customer_id
    ):
        programme = await store.load_programme(pool, book_id, programme_id, version=version)
        issuer = await get_issuer(pool, book_id=book_id, id_=programme.issuer_id)
        assert not isinstance(issuer, Refusal), "issuers are never removed"
        relations.append(Relation(programme, issuer, rules_of(book_id, issuer.id)))
    return plan_retention(relations, clock.now())
