"""What may become of a card: pure decisions, each giving the card as it shall be.

A card that is already as asked is returned as it is: asking twice is asking once.
"""

from datetime import datetime

from msgspec.structs import replace

from kaquan.cards.outcomes import CARD_ALREADY_BLOCKED, CARD_BLOCKED, CARD_CLOSED, CARD_NOT_ACTIVE
from kaquan.cards.types import BlockReason, Card, CardStatus
from kaquan.kit.outcomes import Refusal


def plan_activation(card: Card, *, at: datetime) -> Card | Refusal:
    """Make an issued card active. Refused: ``card_blocked``, ``card_closed``."""
    if card.status is CardStatus.CLOSED:
        return CARD_CLOSED.refuse()
    if card.status is CardStatus.BLOCKED:
        return CARD_BLOCKED.refuse()
    if card.status is CardStatus.ACTIVE:
        return card
    return replace(card, status=CardStatus.ACTIVE, activated_at=at, version=card.version + 1)


def plan_block(card: Card, *, reason: BlockReason) -> Card | Refusal:
    """Block a card, active or only issued.

    Refused: ``card_already_blocked`` if it is blocked for another reason; ``card_closed``.
    """
    if card.status is CardStatus.CLOSED:
        return CARD_CLOSED.refuse()
    if card.status is not CardStatus.BLOCKED:
        return replace(card, status=CardStatus.BLOCKED, status_reason=reason, version=card.version + 1)
    if card.status_reason is reason:
        return card
    return CARD_ALREADY_BLOCKED.refuse("reason", reason=card.status_reason)


def plan_unblock(card: Card) -> Card | Refusal:
    """Take a card back to where it was before it was blocked. Refused: ``card_closed``."""
    if card.status is CardStatus.CLOSED:
        return CARD_CLOSED.refuse()
    if card.status is not CardStatus.BLOCKED:
        return card
    status = CardStatus.ISSUED if card.activated_at is None else CardStatus.ACTIVE
    return replace(card, status=status, status_reason=None, version=card.version + 1)


def plan_closing(card: Card) -> Card | Refusal:
    """Close an active card for ever: whoever closes it empties its pockets in the same commit.

    Refused: ``card_not_active``, ``card_blocked``, ``card_closed`` (closing twice is not closing once: the second
    would be told of a refund that it did not ask for).
    """
    if card.status is CardStatus.ISSUED:
        return CARD_NOT_ACTIVE.refuse()
    if card.status is CardStatus.BLOCKED:
        return CARD_BLOCKED.refuse()
    if card.status is CardStatus.CLOSED:
        return CARD_CLOSED.refuse()
    return replace(card, status=CardStatus.CLOSED, version=card.version + 1)
