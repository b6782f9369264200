"""What the end of a programme is."""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from kaquan.kit.paging import DEFAULT_LIMIT


class EndStatus(StrEnum):
    """How far an end has come."""

    ANNOUNCED = "announced"
    """Everything goes on until it stops; it can be withdrawn."""
    STOPPED = "stopped"
    """Nothing is sold, issued, activated or loaded any more; the cards are used up."""
    ENDED = "ended"
    """The last day is over."""
    WITHDRAWN = "withdrawn"


class NewEnd(msgspec.Struct, frozen=True, kw_only=True):
    """The decision to end a programme. ``stops_at`` None: as soon as every process can know it. Cards are taken up to
    and including ``last_day``, where the issuer is. ``announcement`` is the public notice, word for word."""

    programme_id: UUID
    last_day: date
    reason: str
    announcement: str
    stops_at: datetime | None = None


class ProgrammeEnd(msgspec.Struct, frozen=True):
    """An end as it was decided. ``notice_days`` are the days of public notice that it had to keep, by ``notice_rule``;
    all three are None where neither a rule nor a clause of the contract asks for any.

    ``stop_told_at`` and ``end_told_at`` are when the worker wrote down that it stopped and that it was over.
    """

    id: UUID
    book_id: int
    programme_id: UUID
    stops_at: datetime
    last_day: date
    ends_at: datetime
    reason: str
    announcement: str
    notice_days: int | None
    notice_rule: str | None
    notice_source: str | None
    announced_by: str
    approval_id: UUID | None
    announced_at: datetime
    withdrawn_by: str | None = None
    withdrawal_reason: str | None = None
    withdrawn_at: datetime | None = None
    stop_told_at: datetime | None = None
    end_told_at: datetime | None = None

    def status_at(self, now: datetime) -> EndStatus:
        if self.withdrawn_at is not None:
            return EndStatus.WITHDRAWN
        if now < self.stops_at:
            return EndStatus.ANNOUNCED
        return EndStatus.STOPPED if now < self.ends_at else EndStatus.ENDED


class EndSearch(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of ends is narrowed to; None does not narrow. Newest first, beginning after ``after_id``."""

    limit: int = DEFAULT_LIMIT
    after_id: UUID | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    programme_id: UUID | None = None
