"""How campaigns come to be: created as drafts, changed by versions, published by two people, ended.

What a campaign promises is checked when it is written and again when it is published, by the rules of that day.
"""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from uuid import UUID

from msgspec.structs import replace

from kaquan.kit.clock import Clock
from kaquan.kit.db import Connection, Pool, Rollback
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.kit.outcomes import ALREADY_EXISTS, BUSY, INVALID_FIELD, NOT_FOUND, Refusal
from kaquan.parties import Issuer, get_issuer
from kaquan.parties.staff import Approve
from kaquan.parties.trail import SYSTEM, Actor, record_action
from kaquan.policy import LAW_JURISDICTION, RuleBook, read_jurisdiction, released_book
from kaquan.promotions import store
from kaquan.promotions.campaigns import CampaignSearch, CampaignStatus, CampaignVersion, KeptCampaign
from kaquan.promotions.check import check_campaign, check_policy, check_rules
from kaquan.promotions.files import refuse_file, show_terms
from kaquan.promotions.find import get_campaign
from kaquan.promotions.outcomes import CAMPAIGN_CHANGED, CAMPAIGN_NOT_IN_STATE
from kaquan.promotions.terms import CampaignTerms, StackingPolicy


class Hand(NamedTuple):
    """Who changes campaigns, with what."""

    clock: Clock
    ids: Ids
    by: Actor = SYSTEM

    @property
    def name(self) -> str:
        """How rows name who made them."""
        return "system" if self.by.key_id is None else show_id(Prefix.KEY, self.by.key_id)


async def create_campaign(
    pool: Pool, hand: Hand, *, book_id: int, terms: CampaignTerms, rules: RuleBook | None = None
) -> KeptCampaign | Refusal:
    """A new campaign, a draft. ``rules`` are what binds the issuer (None: the law as it was released).

    Refused: ``campaign_file_wrong`` with every fault in ``also``, ``not_found`` (issuer_id), ``campaign_breaks_rule``,
    ``already_exists`` (code).
    """
    issuer = await check_terms(pool, book_id, terms, rules)
    if isinstance(issuer, Refusal):
        return issuer
    at = hand.clock.now()
    made = KeptCampaign(
        hand.ids.new(),
        book_id,
        terms.code,
        terms.issuer_id,
        issuer.time_zone,
        at,
        None,
        CampaignVersion(1, terms, at, hand.name),
        None,
    )
    refused_by: str | None = None

    async def write(connection: Connection) -> bool:
        nonlocal refused_by
        refused_by = await store.insert_campaign(connection, made)
        return refused_by is None

    await _together(pool, hand, _Deed("campaign.created", made, {"version": 1, "terms": show_terms(terms)}), write)
    if refused_by is None:
        return made
    assert refused_by == "promotions_campaign_code", refused_by
    (existing,) = await store.load_campaigns(pool, book_id, CampaignSearch(code=terms.code))
    return ALREADY_EXISTS.refuse("code", value=terms.code, existing=show_id(Prefix.CAMPAIGN, existing.id))


async def change_campaign(
    pool: Pool, hand: Hand, *, book_id: int, id_: UUID, terms: CampaignTerms, rules: RuleBook | None = None
) -> KeptCampaign | Refusal:
    """Another version, a draft; what is in force stays so until it is published. The same terms make no version.

    Refused: as :func:`create_campaign`, ``not_found``, ``invalid_field`` (code, issuer_id: those stay),
    ``campaign_not_in_state`` (it has ended), ``busy``.
    """
    before = await get_campaign(pool, book_id=book_id, id_=id_)
    if isinstance(before, Refusal):
        return before
    for field, was, is_ in (
        ("code", before.code, terms.code),
        ("issuer_id", show_id(Prefix.ISSUER, before.issuer_id), show_id(Prefix.ISSUER, terms.issuer_id)),
    ):
        if was != is_:
            return INVALID_FIELD.refuse(field, allowed=f"must stay {was}", allowed_zh=f"不能变更，应为 {was}")
    if before.ended_at is not None:
        return _not_in_state(CampaignStatus.ENDED, "draft, scheduled, live")
    if terms == before.newest.terms:
        return before
    issuer = await check_terms(pool, book_id, terms, rules)
    if isinstance(issuer, Refusal):
        return issuer
    version = CampaignVersion(before.newest.version + 1, terms, hand.clock.now(), hand.name)
    after = replace(before, newest=version)

    async def write(connection: Connection) -> bool:
        return await store.insert_version(connection, after)

    told = {"version": version.version, "terms": show_terms(terms)}
    done = await _together(pool, hand, _Deed("campaign.changed", after, told), write)
    return after if done is None else BUSY.refuse()


async def publish_campaign(
    pool: Pool,
    hand: Hand,
    *,
    book_id: int,
    id_: UUID,
    version: int,
    rules: RuleBook | None = None,
    approve: Approve | None = None,
    approval_id: UUID | None = None,
) -> KeptCampaign | Refusal:
    """Put the newest version in force: for what is bought from now on, within its time.

    ``approve`` is asked in the transaction of the change; a version is never changed, so its number says what was
    approved. Refused: ``not_found``, ``campaign_changed`` (``version`` is
    not the newest), ``campaign_not_in_state`` (it is in force already, or has ended), ``campaign_breaks_rule``,
    ``invalid_field`` (ends_at: its time is over), what ``approve`` refuses, ``busy``.
    """
    before = await get_campaign(pool, book_id=book_id, id_=id_)
    if isinstance(before, Refusal):
        return before
    now, newest = hand.clock.now(), before.newest
    if newest.version != version:
        return CAMPAIGN_CHANGED.refuse("version", version=newest.version)
    if before.ended_at is not None or newest.published_at is not None:
        return _not_in_state(before.status_at(now), "draft")
    if newest.terms.ends_at <= before.local(now):
        return INVALID_FIELD.refuse("ends_at", allowed="must not be over", allowed_zh="活动时间不得已过")
    issuer = await check_terms(pool, book_id, newest.terms, rules)
    if isinstance(issuer, Refusal):
        return issuer
    published = replace(newest, published_at=now, published_by=hand.name, approval_id=approval_id)
    after = replace(before, newest=published, published=published)

    async def write(connection: Connection) -> bool:
        if not await store.publish_version(connection, before, at=now, by=hand.name, approval_id=approval_id):
            return False
        # what is in force is no draft any more
        await store.end_shadows(connection, book_id=book_id, id_=id_, at=now, version=version)
        return True

    refused = await _together(pool, hand, _Deed("campaign.published", after, {"version": version}), write, approve)
    return after if refused is None else refused


async def end_campaign(
    pool: Pool, hand: Hand, *, book_id: int, id_: UUID, approve: Approve | None = None
) -> KeptCampaign | Refusal:
    """End it before its time, or discard a draft; vouchers and instalments that it granted are still good.

    Refused: ``not_found``, ``campaign_not_in_state`` (it has ended), what ``approve`` refuses.
    """
    before = await get_campaign(pool, book_id=book_id, id_=id_)
    if isinstance(before, Refusal):
        return before
    at = hand.clock.now()
    if before.status_at(at) is CampaignStatus.ENDED:
        return _not_in_state(CampaignStatus.ENDED, "draft, scheduled, live")
    after = replace(before, ended_at=at)

    async def write(connection: Connection) -> bool:
        if not await store.end_campaign(connection, book_id=book_id, id_=id_, at=at):
            return False
        await store.end_shadows(connection, book_id=book_id, id_=id_, at=at)
        return True

    refused = await _together(pool, hand, _Deed("campaign.ended", after, {}), write, approve)
    return after if refused is None else refused


async def change_policy(
    pool: Pool,
    hand: Hand,
    *,
    book_id: int,
    policy: StackingPolicy,
    approve: Approve | None = None,
    approval_id: UUID | None = None,
) -> StackingPolicy | Refusal:
    """What binds all campaigns of the book in one basket from now on. Refused: ``invalid_field``, what ``approve``
    refuses, ``busy``."""
    if (refused := check_policy(policy)) is not None:
        return refused
    version, before = await store.load_policy(pool, book_id)
    if before == policy:
        return policy
    at = hand.clock.now()

    async def write(connection: Connection) -> bool:
        return await store.insert_policy(
            connection,
            book_id=book_id,
            version=version + 1,
            policy=policy,
            at=at,
            by=hand.name,
            approval_id=approval_id,
        )

    deed = _PolicyDeed(book_id, {"version": version + 1})
    refused = await _together(pool, hand, deed, write, approve)
    return policy if refused is None else refused


class _Deed(NamedTuple):
    """What the trail tells of a campaign."""

    kind: str
    campaign: KeptCampaign
    after: dict[str, Any]

    async def record(self, connection: Connection, hand: Hand) -> None:
        await record_action(
            connection,
            hand.clock,
            hand.ids,
            book_id=self.campaign.book_id,
            by=hand.by,
            kind=self.kind,
            prefix=Prefix.CAMPAIGN,
            subject_id=self.campaign.id,
            after={"code": self.campaign.code, **self.after},
        )


class _PolicyDeed(NamedTuple):
    """What the trail tells of the stacking policy."""

    book_id: int
    after: dict[str, Any]

    async def record(self, connection: Connection, hand: Hand) -> None:
        await record_action(
            connection,
            hand.clock,
            hand.ids,
            book_id=self.book_id,
            by=hand.by,
            kind="stacking_policy.changed",
            prefix=Prefix.CAMPAIGN,
            subject_id=UUID(int=0),
            after=self.after,
        )


async def _together(
    pool: Pool,
    hand: Hand,
    deed: _Deed | _PolicyDeed,
    write: Callable[[Connection], Awaitable[bool]],
    approve: Approve | None = None,
) -> Refusal | None:
    """Approval, change and trail in one commit, or nothing; ``busy`` if somebody else changed it first."""
    refused: Refusal | None = None
    async with pool.connection() as connection, connection.transaction():
        refused = None if approve is None else await approve(connection)
        if refused is None and not await write(connection):
            refused = BUSY.refuse()
        if refused is not None:
            raise Rollback  # of the approval too, if it was claimed
        await deed.record(connection, hand)
    return refused


async def find_broken_rules(
    pool: Pool, *, book_id: int, terms: CampaignTerms, rules: RuleBook | None = None
) -> list[Refusal]:
    """What law and house say to a campaign that makes sense; or that there is no such issuer."""
    issuer = await get_issuer(pool, book_id=book_id, id_=terms.issuer_id)
    if isinstance(issuer, Refusal):
        return [NOT_FOUND.refuse("issuer_id", what="issuer")]
    known = None if issuer.province is None else read_jurisdiction(issuer.province)
    place, on = known or LAW_JURISDICTION, terms.starts_at.date()
    return check_rules(rules or released_book(), terms, jurisdiction=place, on=on)


async def check_terms(pool: Pool, book_id: int, terms: CampaignTerms, rules: RuleBook | None) -> Issuer | Refusal:
    """The issuer, if the terms may be: what makes no sense is ``campaign_file_wrong``, what law or house forbids
    ``campaign_breaks_rule``, with every fault in ``also``."""
    if faults := check_campaign(terms):
        return refuse_file(faults)
    if broken := await find_broken_rules(pool, book_id=book_id, terms=terms, rules=rules):
        first, *others = broken
        return replace(first, details={**first.details, "also": tuple(others)}) if others else first
    return await get_issuer(pool, book_id=book_id, id_=terms.issuer_id)


def _not_in_state(status: CampaignStatus, allowed: str) -> Refusal:
    return CAMPAIGN_NOT_IN_STATE.refuse(status=status.value, allowed=allowed)
