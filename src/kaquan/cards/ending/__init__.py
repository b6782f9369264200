"""The end of a whole programme: decided by two, announced, and withdrawn as long as nothing has stopped (flow 10).

What the end stops is asked elsewhere, of the programme (:mod:`kaquan.cards.ends`). Nobody is told here and nothing is
refunded: that is ``closing``'s.
"""

from kaquan.cards.ending.end import end_programme
from kaquan.cards.ending.find import get_end, list_ends, list_standing_ends
from kaquan.cards.ending.store import mark_told
from kaquan.cards.ending.types import EndSearch, EndStatus, NewEnd, ProgrammeEnd
from kaquan.cards.ending.withdraw import withdraw_end

__all__ = [
    "EndSearch",
    "EndStatus",
    "NewEnd",
    "ProgrammeEnd",
    "end_programme",
    "get_end",
    "list_ends",
    "list_standing_ends",
    "mark_told",
    "withdraw_end",
]
