"""What the announced end of a programme stops. Pure: every door and every job asks the same two questions.

Nothing new comes from the stop on; what there is can be spent up to the last day, and is refunded after it. What keeps
holders' value whole goes on to the end: replacements, gifts that are claimed, transfers, refunds of goods.
"""

from datetime import datetime

from kaquan.cards.outcomes import PROGRAMME_ENDED, PROGRAMME_STOPPED
from kaquan.cards.types import Programme
from kaquan.kit.outcomes import Refusal


def check_going_on(programme: Programme, now: datetime, *, field: str) -> Refusal | None:
    """None when cards may be sold, issued, activated and loaded. Refused: ``programme_stopped``."""
    ending = programme.ending
    if ending is None or now < ending.stops_at:
        return None
    return PROGRAMME_STOPPED.refuse(field, stopped_at=ending.stops_at.isoformat(), last_day=ending.last_day.isoformat())


def check_usable(programme: Programme, now: datetime, *, field: str) -> Refusal | None:
    """None when cards may be spent. Refused: ``programme_ended``."""
    ending = programme.ending
    if ending is None or now < ending.ends_at:
        return None
    return PROGRAMME_ENDED.refuse(field, last_day=ending.last_day.isoformat())
