"""Corrections by hand: value put on a card's pocket or taken from it outside the rules, always by two persons.

An adjustment never sets a balance: it moves a signed amount between the pocket and the issuer's account of adjustments,
never through a floor and never above the cap of the card's terms. It never gives itself permission: its caller brings
what claims the approval, and the two stand or fall together.
"""

from kaquan.cards.adjustments.adjust import adjust_card
from kaquan.cards.adjustments.find import get_adjustment, list_adjustments
from kaquan.cards.adjustments.types import (
    Adjustment,
    AdjustmentReason,
    AdjustmentSearch,
    Direction,
    NewAdjustment,
)

__all__ = [
    "Adjustment",
    "AdjustmentReason",
    "AdjustmentSearch",
    "Direction",
    "NewAdjustment",
    "adjust_card",
    "get_adjustment",
    "list_adjustments",
]
