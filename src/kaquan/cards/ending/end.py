"""End a programme: a decision of two, announced for as long as the rules ask before cards are taken no more."""

from collections.abc import Iterable
from datetime import datetime, time, timedelta
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from kaquan.cards.change import Permission
from kaquan.cards.create_programme import day_of, name_of
from kaquan.cards.ending import store
from kaquan.cards.ending.outcomes import NOTICE_TOO_SHORT, PROGRAMME_ENDS_ALREADY
from kaquan.cards.ending.types import EndSearch, NewEnd, ProgrammeEnd
from kaquan.cards.law import jurisdiction_of, scheme_of
from kaquan.cards.outcomes import invalid, missing
from kaquan.cards.store import load_programmes, load_terms_versions, post_together
from kaquan.cards.types import Programme, Search, TermsVersion
from kaquan.kit.clock import Clock
from kaquan.kit.db import Connection, Pool
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.kit.outcomes import BUSY, Refusal
from kaquan.parties import Issuer, get_issuer
from kaquan.parties.staff import Approve
from kaquan.parties.trail import Actor, record_action
from kaquan.policy import CardClass, IssuerClass, Metric, Question, RuleBook, Scheme, released_book, show_source

LEAD = timedelta(minutes=1)
"""Between the announcement and the stop: by then every process knows it, and nothing that was decided before it is
still on its way. So no load is recorded after the stop, whichever process took it."""

MAX_DAYS = 3_660
"""A last day farther away is a slip."""

CLAUSE = "clauses.closing_notice_days"
"""What is named as the rule where the contract with the holders asks for longer notice than any rule."""


class Notice(NamedTuple):
    """How many days of public notice an end must keep, and why."""

    days: int
    rule: str
    source: str


def notice_of(
    rules: RuleBook, issuer: Issuer, programme: Programme, versions: Iterable[TermsVersion], *, at: datetime
) -> Notice | None:
    """The days of notice that bind on the day of the decision: the longest of what the law and the house ask for cards
    of either class, and of what any version of the terms promised. None: nobody asks for any.

    A programme that has not declared how it is run is taken for what its issuer may do.
    """
    licensed = issuer.payment_licence is not None
    scheme = scheme_of(programme.operating_mode, licensed=licensed)
    question = Question(
        Metric.CLOSING_NOTICE_DAYS,
        jurisdiction_of(issuer),
        day_of(at, programme.time_zone),
        scheme=scheme or (Scheme.MULTI_PURPOSE if licensed else Scheme.SINGLE_PURPOSE),
        issuer_class=None if issuer.issuer_class is None else IssuerClass(issuer.issuer_class.value),
    )
    asked = [rules.ask(question._replace(card_class=card_class)) for card_class in (None, *CardClass)]
    found = [Notice(fact.number, fact.rule_id, show_source(fact.rule)) for fact in asked if fact is not None]
    found += [
        Notice(made.terms.clauses.closing_notice_days, CLAUSE, f"{programme.code} v{made.version}")
        for made in versions
        if made.terms.clauses.closing_notice_days is not None
    ]
    return max(found, key=lambda notice: notice.days, default=None)


def plan_end(
    programme: Programme, new: NewEnd, notice: Notice | None, *, id_: UUID, by: Actor, approval_id: UUID | None,
    now: datetime,
) -> ProgrammeEnd | Refusal:  # fmt: skip
    """Decide an end. Refused: ``invalid_field`` (stops_at, last_day), ``notice_too_short``."""
    zone = ZoneInfo(programme.time_zone)
    today, earliest = day_of(now, programme.time_zone), now + LEAD
    stops_at = new.stops_at or earliest
    if stops_at < earliest:
        return invalid(
            "stops_at", "must be a minute ahead or more, or absent", allowed_zh="应至少晚于当前时间一分钟，或不填"
        )
    if (new.last_day - today).days > MAX_DAYS:
        return invalid("last_day", f"must be within {MAX_DAYS} days", allowed_zh=f"应在 {MAX_DAYS} 天之内")
    ends_at = datetime.combine(new.last_day + timedelta(days=1), time.min, zone).astimezone(now.tzinfo)
    if ends_at <= stops_at:
        return invalid("last_day", "must not be before the stop", allowed_zh="不得早于停止发售之日")
    if notice is not None and (new.last_day - today).days < notice.days:
        return NOTICE_TOO_SHORT.refuse(
            "last_day", days=notice.days, earliest=(today + timedelta(days=notice.days)).isoformat(),
            rule=notice.rule, source=notice.source,
        )  # fmt: skip
    return ProgrammeEnd(
        id=id_,
        book_id=programme.book_id,
        programme_id=programme.id,
        stops_at=stops_at,
        last_day=new.last_day,
        ends_at=ends_at,
        reason=new.reason,
        announcement=new.announcement,
        notice_days=None if notice is None else notice.days,
        notice_rule=None if notice is None else notice.rule,
        notice_source=None if notice is None else notice.source,
        announced_by=name_of(by),
        approval_id=approval_id,
        announced_at=now,
    )


async def end_programme(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    *,
    book_id: int,
    new: NewEnd,
    rules: RuleBook | None = None,
    by: Actor,
    approval_id: UUID | None = None,
    approve: Approve | None = None,
) -> ProgrammeEnd | Refusal:
    """Announce the end of a programme; from its commit on every payment that begins knows it.

    The same decision as the one that stands, under the same approval, is that one: asking twice ends it once. ``rules``
    are what binds the issuer (None: the law as it was released); ``approve`` is asked in the commit. Refused:
    ``not_found`` (programme_id), ``programme_ends_already``, as :func:`plan_end`, what ``approve`` refuses, ``busy``.
    """
    found = await load_programmes(pool, book_id, Search(), new.programme_id)
    if not found:
        return missing("programme", "programme_id")
    (programme,) = found
    issuer = await get_issuer(pool, book_id=book_id, id_=programme.issuer_id)
    assert not isinstance(issuer, Refusal), "issuers are never removed"
    versions = await load_terms_versions(pool, book_id=book_id, programme_id=programme.id)
    stands = await _standing(pool, book_id, new)
    if stands is None:
        now = clock.now()
        notice = notice_of(rules or released_book(), issuer, programme, versions, at=now)
        made = plan_end(programme, new, notice, id_=ids.new(), by=by, approval_id=approval_id, now=now)
        if isinstance(made, Refusal):
            return made

        async def record(connection: Connection) -> bool:
            told = {
                "programme_id": show_id(Prefix.PROGRAMME, made.programme_id),
                "stops_at": made.stops_at,
                "last_day": made.last_day,
                "reason": made.reason,
                "notice_days": made.notice_days,
                "notice_rule": made.notice_rule,
            }
            await record_action(
                connection, clock, ids, book_id=book_id, by=by, kind="programme_end.announced",
                prefix=Prefix.PROGRAMME_END, subject_id=made.id, after=told,
            )  # fmt: skip
            return True

        permission = Permission(approve)
        # the approval last: who comes second finds the end before it finds the approval used
        if await post_together(pool, store.add_end(made), permission.claim, record):
            return made
        if permission.refused is not None:
            return permission.refused
        stands = await _standing(pool, book_id, new)
        if stands is None:
            return BUSY.refuse()
    if _is_same(stands, new, approval_id):
        return stands
    return PROGRAMME_ENDS_ALREADY.refuse("programme_id", end=show_id(Prefix.PROGRAMME_END, stands.id))


async def _standing(pool: Pool, book_id: int, new: NewEnd) -> ProgrammeEnd | None:
    search = EndSearch(programme_id=new.programme_id, limit=1)
    found = await store.load_ends(pool, book_id=book_id, search=search, standing=True)
    return found[0] if found else None


def _is_same(stands: ProgrammeEnd, new: NewEnd, approval_id: UUID | None) -> bool:
    """Whether a decision is the one that stands, asked a second time."""
    asked = NewEnd(
        programme_id=stands.programme_id, last_day=stands.last_day, reason=stands.reason,
        announcement=stands.announcement, stops_at=stands.stops_at,
    )  # fmt: skip
    return stands.approval_id == approval_id and asked == replace(new, stops_at=new.stops_at or stands.stops_at)
