"""Until when value lives, as days go in the issuer's zone."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo


def end_of_day(loaded_at: datetime, *, valid_days: int, time_zone: str) -> datetime:
    """The end of the day that comes ``valid_days`` after the day of the load, as days go in the issuer's zone."""
    zone = ZoneInfo(time_zone)
    last_day = loaded_at.astimezone(zone).date() + timedelta(days=valid_days)
    return datetime.combine(last_day + timedelta(days=1), time.min, zone).astimezone(loaded_at.tzinfo)
