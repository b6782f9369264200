"""Load what a purchase is judged on: the issuer, the programmes, who buys, and what they bought on this day."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from kaquan.cards import Programme, get_programme
from kaquan.kit.db import Pool
from kaquan.kit.outcomes import Refusal
from kaquan.parties import Issuer, get_issuer
from kaquan.parties.customers import Known, hold_customer
from kaquan.parties.identity import DocumentKind
from kaquan.policy import Buyer
from kaquan.sales import store
from kaquan.sales.law import day_in, issuer_class_of, place_of
from kaquan.sales.outcomes import invalid
from kaquan.sales.types import DayFacts, LineFacts, SaleFacts, SaleKind, Tender, Terms
from kaquan.vault import Keyring


class People(NamedTuple):
    """Who buys, in clear, as far as anybody is named."""

    buyer: Known | None
    agent: Known | None


class Day(NamedTuple):
    """What the buyer bought before on this day, as of a version of theirs (None: nothing ever)."""

    facts: DayFacts
    version: int | None


async def load_people(pool: Pool, keyring: Keyring, *, book_id: int, terms: Terms) -> People | Refusal:
    """Who is named. Refused: ``not_found``, ``invalid_field`` when a person is named as an organisation or the other
    way round, or when somebody is their own agent."""
    found: list[Known | None] = []
    for id_, field in ((terms.customer_id, "customer_id"), (terms.agent_id, "agent_id")):
        known = None if id_ is None else await hold_customer(pool, keyring, book_id=book_id, id_=id_, field=field)
        if isinstance(known, Refusal):
            return known
        found.append(known)
    buyer, agent = found
    if terms.agent_id is not None and terms.agent_id == terms.customer_id:
        return invalid("agent_id", "must be another customer than the buyer", allowed_zh="不能与购卡人相同")
    if buyer is not None and buyer.document_kind is not None:
        is_organisation = buyer.document_kind is DocumentKind.SOCIAL_CREDIT_CODE
        if is_organisation != (terms.buyer is Buyer.ORGANISATION):
            return invalid(
                "buyer", "must be what the customer's document says", allowed_zh="应与客户证件类型一致（个人或单位）"
            )
    if agent is not None and agent.document_kind is DocumentKind.SOCIAL_CREDIT_CODE:
        return invalid("agent_id", "must be a person", allowed_zh="代理人应为个人")
    return People(buyer, agent)


async def load_issuer(pool: Pool, *, book_id: int, programme: Programme) -> Issuer:
    issuer = await get_issuer(pool, book_id=book_id, id_=programme.issuer_id)
    assert not isinstance(issuer, Refusal), "a programme has an issuer"
    return issuer


async def load_day(pool: Pool, *, book_id: int, terms: Terms, issuer: Issuer, at: datetime) -> Day:
    """What the buyer bought on the day of ``at``; nothing when nobody is named."""
    if terms.customer_id is None:
        return Day(DayFacts(), None)
    _, begins, ends = day_in(at, issuer.time_zone)
    version, facts = await store.load_day(
        pool, book_id=book_id, customer_id=terms.customer_id, issuer_id=issuer.id, begins=begins, ends=ends
    )
    return Day(facts, version)


def facts_of(
    kind: SaleKind,
    terms: Terms,
    issuer: Issuer,
    lines: tuple[LineFacts, ...],
    people: People,
    day: DayFacts,
    *,
    at: datetime,
    tenders: tuple[Tender, ...] = (),
) -> SaleFacts:
    """The facts of a new purchase."""
    return SaleFacts(
        kind=kind,
        jurisdiction=place_of(issuer),
        on=day_in(at, issuer.time_zone)[0],
        issuer_class=issuer_class_of(issuer),
        buyer=terms.buyer,
        channel=terms.channel,
        lines=lines,
        customer_level=None if people.buyer is None else people.buyer.level,
        agent_level=None if people.agent is None else people.agent.level,
        day=day,
        contract_version=terms.contract_version,
        tenders=tenders,
    )


async def programme_named(pool: Pool, *, book_id: int, programme_id: UUID, field: str) -> Programme | Refusal:
    """The programme of a line under the newest version of its terms. Refused: ``not_found`` (``field``)."""
    found = await get_programme(pool, book_id=book_id, programme_id=programme_id)
    return found.outcome.refuse(field, **found.details) if isinstance(found, Refusal) else found
