"""Days as they go in the issuer's zone."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


def day_of(at: datetime, time_zone: str) -> date:
    """The day that a moment belongs to."""
    return at.astimezone(ZoneInfo(time_zone)).date()


def end_of_day(day: date, time_zone: str) -> datetime:
    """The end of a day, which is the first moment of the next."""
    return datetime.combine(day + timedelta(days=1), time.min, ZoneInfo(time_zone)).astimezone(UTC)


def last_day_before(end: datetime, time_zone: str) -> date:
    """The last day before an end: what a holder is told."""
    return day_of(end - timedelta(microseconds=1), time_zone)
