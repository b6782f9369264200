"""A campaign as it is kept: its versions, each of them a draft until two people have published it.

A version is never changed. A published one is in force from then on for what is bought from then on, within its own
time; what was bought or granted before keeps the version that it was bought under.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from kaquan.kit.paging import DEFAULT_LIMIT
from kaquan.promotions.terms import CampaignTerms


class CampaignStatus(StrEnum):
    """How far a campaign has come."""

    DRAFT = "draft"
    """No version is published."""
    SCHEDULED = "scheduled"
    LIVE = "live"
    ENDED = "ended"


class CampaignVersion(msgspec.Struct, frozen=True):
    """One version of the terms. ``published_at`` None: a draft."""

    version: int
    terms: CampaignTerms
    made_at: datetime
    made_by: str
    published_at: datetime | None = None
    published_by: str | None = None
    approval_id: UUID | None = None


class KeptCampaign(msgspec.Struct, frozen=True):
    """A campaign of a book. ``ended_at``: when somebody ended it before its time."""

    id: UUID
    book_id: int
    code: str
    issuer_id: UUID
    time_zone: str
    """The issuer's: what the wall clocks of its terms are meant by."""
    created_at: datetime
    ended_at: datetime | None
    newest: CampaignVersion
    published: CampaignVersion | None
    """The newest that is published: the one that is in force."""

    def status_at(self, now: datetime) -> CampaignStatus:
        """Where it is by the clock."""
        if self.ended_at is not None:
            return CampaignStatus.ENDED
        if self.published is None:
            return CampaignStatus.DRAFT
        local = self.local(now)
        if local >= self.published.terms.ends_at:
            return CampaignStatus.ENDED
        return CampaignStatus.LIVE if local >= self.published.terms.starts_at else CampaignStatus.SCHEDULED

    def local(self, now: datetime) -> datetime:
        """The wall clock of the issuer."""
        return now.astimezone(ZoneInfo(self.time_zone)).replace(tzinfo=None)


class Shadow(msgspec.Struct, frozen=True):
    """A version of a campaign that runs beside live traffic from ``started_at`` until before ``ends_at``."""

    book_id: int
    campaign_id: UUID
    number: int
    """Of those of its campaign, from 1."""
    version: int
    started_at: datetime
    until: datetime
    started_by: str
    ended_at: datetime | None
    """When somebody ended it before its time, or its version was published."""

    @property
    def ends_at(self) -> datetime:
        """When it is over."""
        return self.until if self.ended_at is None else min(self.ended_at, self.until)

    def is_on(self, at: datetime) -> bool:
        """Whether it runs at a moment."""
        return self.started_at <= at < self.ends_at


class CampaignSearch(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of campaigns is narrowed to; None does not narrow. Newest first, beginning after ``after_id``."""

    limit: int = DEFAULT_LIMIT
    after_id: UUID | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    code: str | None = None
    issuer_id: UUID | None = None
