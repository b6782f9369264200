"""Shadow mode: a draft runs beside live traffic for a time, and what it would have done is recorded; nothing moves.

This room says which drafts run beside which; the payments room records what payments were priced by, and prices them
again (ADR 0036).
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from msgspec.structs import replace

from kaquan.kit.db import Connection, Pool, Rollback
from kaquan.kit.ids import Prefix
from kaquan.kit.outcomes import INVALID_FIELD, NOT_FOUND, Refusal
from kaquan.parties import load_book_versions
from kaquan.parties.trail import record_action
from kaquan.policy import RuleBook
from kaquan.promotions import store
from kaquan.promotions.campaigns import CampaignStatus, CampaignVersion, Shadow
from kaquan.promotions.compile import CompiledCampaigns, compile_campaigns
from kaquan.promotions.find import get_campaign, get_version
from kaquan.promotions.outcomes import (
    CAMPAIGN_CHANGED,
    CAMPAIGN_NOT_IN_STATE,
    NO_SHADOW,
    SHADOW_RUNNING,
    TOO_MANY_SHADOWS,
)
from kaquan.promotions.publish import Hand, check_terms
from kaquan.promotions.terms import Campaign, StackingPolicy

MAX_SHADOWS = 5
"""How many drafts may run beside the live traffic of a book at once: each payment is priced once more for each."""
MAX_LENGTH = timedelta(days=92)


async def start_shadow(
    pool: Pool,
    hand: Hand,
    *,
    book_id: int,
    id_: UUID,
    version: int,
    until: datetime,
    rules: RuleBook | None = None,
) -> Shadow | Refusal:
    """Let the newest version, a draft that could be published, run beside live traffic until a moment.

    Refused: ``not_found``, ``campaign_changed`` (``version`` is not the newest), ``campaign_not_in_state`` (it is in
    force, or the campaign has ended), ``invalid_field`` (until), what the terms are refused for, ``shadow_running``
    (one of this campaign), ``too_many_shadows`` (of the book).
    """
    campaign = await get_campaign(pool, book_id=book_id, id_=id_)
    if isinstance(campaign, Refusal):
        return campaign
    now, newest = hand.clock.now(), campaign.newest
    if newest.version != version:
        return CAMPAIGN_CHANGED.refuse("version", version=newest.version)
    if campaign.ended_at is not None or newest.published_at is not None:
        return CAMPAIGN_NOT_IN_STATE.refuse(status=campaign.status_at(now).value, allowed=CampaignStatus.DRAFT.value)
    if not now < until <= now + MAX_LENGTH:
        return INVALID_FIELD.refuse(
            "until",
            allowed=f"must be later than now, by at most {MAX_LENGTH.days} days",
            allowed_zh=f"应晚于当前时间，最长 {MAX_LENGTH.days} 天",
        )
    issuer = await check_terms(pool, book_id, newest.terms, rules)
    if isinstance(issuer, Refusal):
        return issuer
    refused: Refusal | None = None
    made = Shadow(book_id, id_, 1, version, now, until, hand.name, None)
    async with pool.connection() as connection, connection.transaction():
        await store.lock_book(connection, book_id=book_id)
        others = [one for one in await store.load_shadows(connection, book_id=book_id) if one.ends_at > now]
        own = next((one for one in others if one.campaign_id == id_), None)
        if own is not None:
            refused = SHADOW_RUNNING.refuse(number=own.number, version=own.version, until=own.until.isoformat())
        elif len(others) >= MAX_SHADOWS:
            refused = TOO_MANY_SHADOWS.refuse(maximum=MAX_SHADOWS)
        elif not await store.is_newest_draft(connection, book_id=book_id, id_=id_, version=version):
            refused = CAMPAIGN_CHANGED.refuse("version", version=version)
        if refused is not None:
            raise Rollback
        before = await store.load_shadows(connection, book_id=book_id, campaign_id=id_)
        made = replace(made, number=1 + max((one.number for one in before), default=0))
        await store.insert_shadow(connection, made)
        told = {"version": version, "until": until.isoformat()}
        await _record(connection, hand, made, "campaign.shadow_started", {"code": campaign.code, **told})
    return made if refused is None else refused


async def end_shadow(pool: Pool, hand: Hand, *, book_id: int, id_: UUID) -> Shadow | Refusal:
    """End the shadow of a campaign before its time; what it found is kept. Refused: ``not_found``, ``no_shadow``
    (none runs)."""
    campaign = await get_campaign(pool, book_id=book_id, id_=id_)
    if isinstance(campaign, Refusal):
        return campaign
    now = hand.clock.now()
    ended: list[Shadow] = []
    async with pool.connection() as connection, connection.transaction():
        await store.lock_book(connection, book_id=book_id)
        ended = await store.end_shadows(connection, book_id=book_id, id_=id_, at=now)
        if not ended:
            raise Rollback
        told = {"code": campaign.code, "version": ended[0].version}
        await _record(connection, hand, ended[0], "campaign.shadow_ended", told)
    return ended[0] if ended else NO_SHADOW.refuse()


async def get_shadow(pool: Pool, *, book_id: int, id_: UUID, number: int | None = None) -> Shadow | Refusal:
    """A shadow of a campaign, the newest without a number. Refused: ``not_found``, ``no_shadow`` (it never had one)."""
    campaign = await get_campaign(pool, book_id=book_id, id_=id_)
    if isinstance(campaign, Refusal):
        return campaign
    async with pool.connection() as connection:
        found = await store.load_shadows(connection, book_id=book_id, campaign_id=id_)
    if not found:
        return NO_SHADOW.refuse()
    wanted = [one for one in found if number in (None, one.number)]
    return wanted[-1] if wanted else NOT_FOUND.refuse("number", what="shadow")


async def get_shadowed(pool: Pool, shadow: Shadow) -> CampaignVersion:
    """The version that a shadow tries."""
    found = await get_version(pool, book_id=shadow.book_id, id_=shadow.campaign_id, version=shadow.version)
    assert not isinstance(found, Refusal), "a version is never removed"
    return found


async def _record(connection: Connection, hand: Hand, shadow: Shadow, kind: str, after: dict[str, object]) -> None:
    await record_action(
        connection,
        hand.clock,
        hand.ids,
        book_id=shadow.book_id,
        by=hand.by,
        kind=kind,
        prefix=Prefix.CAMPAIGN,
        subject_id=shadow.campaign_id,
        after=after,
    )


class Watch(NamedTuple):
    """Which drafts run beside the traffic of an issuer, and until when."""

    until: datetime
    drafts: CompiledCampaigns


class ShadowBook:
    """Every book's shadows in memory, so that a payment asks the database for none. Its owner calls :meth:`refresh`
    about once a second."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._books: dict[int, tuple[int, dict[UUID, Watch]]] = {}

    async def refresh(self) -> None:
        """Read again the shadows of every book whose version has moved; one small query when none has."""
        versions = await load_book_versions(self._pool)
        changed = {id_: version for id_, version in versions.items() if self.version(id_) != version}
        if not changed:
            return
        found: dict[int, dict[UUID, list[tuple[datetime, Campaign]]]] = {book_id: {} for book_id in changed}
        for book_id, until, draft in await store.load_watched(self._pool, list(changed)):
            found[book_id].setdefault(draft.terms.issuer_id, []).append((until, draft))
        for book_id, version in changed.items():
            watches = {
                issuer_id: Watch(max(until for until, _ in own), compile_campaigns(draft for _, draft in own))
                for issuer_id, own in found[book_id].items()
            }
            self._books[book_id] = (version, watches)

    def get(self, book_id: int, issuer_id: UUID) -> Watch | None:
        """What runs beside the payments with an issuer's cards, as of the last refresh; None: nothing."""
        known = self._books.get(book_id)
        return None if known is None else known[1].get(issuer_id)

    def version(self, book_id: int) -> int:
        """The version of the book whose shadows are known; 0 for a book that no refresh has seen."""
        known = self._books.get(book_id)
        return 0 if known is None else known[0]


async def load_shadowed(
    connection: Connection, *, book_id: int, since: datetime, until: datetime
) -> list[tuple[Shadow, Campaign]]:
    """The shadows of a book that ran at some time from ``since`` to ``until``, each with its draft."""
    return await store.load_shadowed(connection, book_id=book_id, since=since, until=until)


class Was(NamedTuple):
    """A published version, with the time in which it was the newest that is published and its campaign not ended."""

    since: datetime
    until: datetime | None
    campaign: Campaign


class Past(NamedTuple):
    """What was in force in a book when."""

    campaigns: tuple[Was, ...]
    policies: tuple[tuple[datetime, StackingPolicy], ...]
    """The oldest first."""

    def at(self, at: datetime, issuer_id: UUID) -> tuple[list[Campaign], StackingPolicy]:
        """The campaigns of an issuer and the stacking policy at a moment."""
        campaigns = [
            one.campaign
            for one in self.campaigns
            if one.campaign.terms.issuer_id == issuer_id and one.since <= at and (one.until is None or at < one.until)
        ]
        policy = StackingPolicy()
        for since, told in self.policies:
            if since <= at:
                policy = told
        return campaigns, policy


async def load_past(connection: Connection, *, book_id: int) -> Past:
    """Every version that was ever in force in a book, and every stacking policy."""
    rows = await store.load_published(connection, book_id=book_id)
    was: list[Was] = []
    # by campaign, the newest version first: each was in force until the next one was published
    for place, (campaign, published_at, ended_at) in enumerate(rows):
        newer = rows[place - 1] if place and rows[place - 1][0].id == campaign.id else None
        ends = [at for at in (ended_at, None if newer is None else newer[1]) if at is not None]
        was.append(Was(published_at, min(ends, default=None), campaign))
    return Past(tuple(was), tuple(await store.load_policy_past(connection, book_id=book_id)))


Watching = Callable[[int, UUID], Watch | None]
"""How payments ask :meth:`ShadowBook.get`."""


def no_watch(_book_id: int, _issuer_id: UUID) -> Watch | None:
    """Where nothing runs beside live traffic."""
    return None
