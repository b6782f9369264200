"""Days as they go in the issuer's zone."""

from calendar import monthrange
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


def months_after(day: date, months: int) -> date:
    """The same day so many months later, or the last of that month where it has no such day.

    >>> months_after(date(2025, 11, 30), 3), months_after(date(2025, 10, 1), 3)
    (datetime.date(2026, 2, 28), datetime.date(2026, 1, 1))
    """
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
