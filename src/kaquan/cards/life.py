"""The life of a card: which event may meet which status, and what becomes of the card. Pure.

A card's status follows from facts that stand beside each other: it may be blocked *and* lost, and an unblock then
leaves it lost. Only what ends a card (replaced, closed, expired) is a status of its own. Nothing leads out of replaced
and closed; an expired card may be extended, since value on it is not forfeited (CN-SP-EXP-03).

A card that is already as asked is returned as it is: asking twice is asking once.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec.structs import replace

from kaquan.cards.outcomes import (
    CARD_ALREADY_BLOCKED,
    CARD_BLOCKED,
    CARD_CLOSED,
    CARD_EXPIRED,
    CARD_IN_GIFT,
    CARD_IN_SALE,
    CARD_LOST,
    CARD_NOT_ACTIVE,
    CARD_REGISTERED,
    CARD_REPLACED,
    CARD_STATUS_FORBIDS,
    LOSS_REPORT_PENDING,
    ONLY_DIGITAL,
)
from kaquan.cards.types import BlockReason, Card, CardEvent, CardForm, CardStatus
from kaquan.kit.outcomes import Outcome, Refusal

_ISSUED, _ACTIVE, _BLOCKED = CardStatus.ISSUED, CardStatus.ACTIVE, CardStatus.BLOCKED
_LOST, _GIFTED, _EXPIRED = CardStatus.LOST, CardStatus.GIFTED, CardStatus.EXPIRED
_LIVING: Final = frozenset({_ISSUED, _ACTIVE, _BLOCKED, _LOST, _GIFTED})

MAY_HAPPEN: Final[Mapping[CardEvent, frozenset[CardStatus]]] = {
    CardEvent.ACTIVATED: frozenset({_ISSUED}),
    CardEvent.REGISTERED: frozenset({_ISSUED, _ACTIVE}),
    CardEvent.UNBOUND: frozenset({_ISSUED, _ACTIVE}),
    CardEvent.BLOCKED: frozenset({_ISSUED, _ACTIVE, _LOST, _GIFTED}),
    CardEvent.UNBLOCKED: frozenset({_BLOCKED}),
    CardEvent.LOSS_REPORTED: frozenset({_ISSUED, _ACTIVE, _BLOCKED, _GIFTED}),
    CardEvent.LOSS_EFFECTIVE: frozenset({_ISSUED, _ACTIVE, _BLOCKED, _GIFTED}),
    CardEvent.FOUND: _LIVING,
    CardEvent.GIFT_OFFERED: frozenset({_ACTIVE}),
    CardEvent.GIFT_CLAIMED: frozenset({_GIFTED}),
    CardEvent.GIFT_CANCELLED: frozenset({_BLOCKED, _LOST, _GIFTED, _EXPIRED}),
    CardEvent.GIFT_EXPIRED: frozenset({_BLOCKED, _LOST, _GIFTED, _EXPIRED}),
    CardEvent.REPLACED: frozenset({_ACTIVE, _LOST, _GIFTED, _EXPIRED}),
    CardEvent.CLOSED: frozenset({_ISSUED, _ACTIVE, _LOST, _EXPIRED}),
    CardEvent.EXPIRED: _LIVING,
    CardEvent.EXTENDED: frozenset({_EXPIRED}),
}
"""The events that change a card, each with the statuses in which it may happen."""

NOT_WHILE_SOLD: Final = frozenset(
    {
        CardEvent.ACTIVATED,
        CardEvent.REGISTERED,
        CardEvent.GIFT_OFFERED,
        CardEvent.REPLACED,
        CardEvent.CLOSED,
    }
)
"""What only its sale may do with a card that is set aside for it. Blocks and loss reports protect it there too."""

ENDS: Final[Mapping[CardEvent, CardStatus]] = {
    CardEvent.REPLACED: CardStatus.REPLACED,
    CardEvent.CLOSED: CardStatus.CLOSED,
    CardEvent.EXPIRED: CardStatus.EXPIRED,
}

UNUSABLE: Final[Mapping[CardStatus, Outcome]] = {
    CardStatus.ISSUED: CARD_NOT_ACTIVE,
    CardStatus.BLOCKED: CARD_BLOCKED,
    CardStatus.LOST: CARD_LOST,
    CardStatus.GIFTED: CARD_IN_GIFT,
    CardStatus.REPLACED: CARD_REPLACED,
    CardStatus.CLOSED: CARD_CLOSED,
    CardStatus.EXPIRED: CARD_EXPIRED,
}
"""Why a card in each status but active takes no part in anything."""


def settle(card: Card) -> CardStatus:
    """The status of a card that has not ended, from its facts: a block is stronger than a loss, a loss than a gift."""
    if card.status_reason is not None:
        return CardStatus.BLOCKED
    if card.lost_at is not None:
        return CardStatus.LOST
    if card.gift_id is not None:
        return CardStatus.GIFTED
    return CardStatus.ISSUED if card.activated_at is None else CardStatus.ACTIVE


def advance(card: Card, event: CardEvent, **facts: Any) -> Card | Refusal:
    """The card after an event, with the facts that it changes.

    Refused with the code of the card's status (:data:`UNUSABLE`), or ``card_status_forbids`` when it is active;
    ``card_in_sale`` (:data:`NOT_WHILE_SOLD`).
    """
    if card.sale_id is not None and event in NOT_WHILE_SOLD:
        return CARD_IN_SALE.refuse()
    if card.status not in MAY_HAPPEN[event]:
        outcome = UNUSABLE.get(card.status)
        return CARD_STATUS_FORBIDS.refuse(status=card.status.value) if outcome is None else outcome.refuse()
    after = replace(card, **facts, version=card.version + 1)
    if event in ENDS:
        return replace(after, status=ENDS[event])
    if card.status is CardStatus.EXPIRED and event is not CardEvent.EXTENDED:
        return after
    return replace(after, status=settle(after))


def plan_activation(card: Card, *, at: datetime, sale_id: UUID | None = None) -> Card | Refusal:
    """Make an issued card active, by the sale ``sale_id`` that it is set aside for, if it is.

    Refused: ``card_in_sale``; as :func:`advance`.
    """
    if card.sale_id != sale_id:
        return CARD_IN_SALE.refuse()
    if card.status is CardStatus.ACTIVE:
        return card
    after = advance(replace(card, sale_id=None), CardEvent.ACTIVATED, activated_at=at)
    return after if isinstance(after, Refusal) else replace(after, sale_id=sale_id)


def plan_block(card: Card, *, reason: BlockReason) -> Card | Refusal:
    """Block a card, active or only issued, lost or on its way to somebody.

    Refused: ``card_already_blocked`` if it is blocked for another reason; as :func:`advance`.
    """
    if card.status is CardStatus.BLOCKED:
        if card.status_reason is reason:
            return card
        return CARD_ALREADY_BLOCKED.refuse("reason", reason=card.status_reason)
    return advance(card, CardEvent.BLOCKED, status_reason=reason)


def plan_unblock(card: Card) -> Card:
    """Take a card back to where it was before it was blocked; one that is not blocked stays as it is."""
    if card.status is not CardStatus.BLOCKED:
        return card
    after = advance(card, CardEvent.UNBLOCKED, status_reason=None)
    assert not isinstance(after, Refusal), "a blocked card can be unblocked"
    return after


def plan_registration(card: Card, *, customer_id: UUID, at: datetime) -> Card | Refusal:
    """Bind a card to a person. Refused: ``card_registered`` if it is another's; as :func:`advance`."""
    if card.customer_id == customer_id:
        return card
    if card.customer_id is not None:
        return CARD_REGISTERED.refuse("customer_id")
    return advance(card, CardEvent.REGISTERED, customer_id=customer_id, registered_at=at)


def plan_unbinding(card: Card) -> Card | Refusal:
    """Make a card unregistered. Refused: ``loss_report_pending``; as :func:`advance`."""
    if card.customer_id is None:
        return card
    if card.loss_reported_at is not None and card.status in MAY_HAPPEN[CardEvent.UNBOUND]:
        return LOSS_REPORT_PENDING.refuse()
    return advance(card, CardEvent.UNBOUND, customer_id=None, registered_at=None)


def plan_loss(card: Card, *, at: datetime, within_s: int, due_at: datetime) -> Card | Refusal:
    """Report a card lost: a digital one at once, a physical one ``within_s`` seconds, by ``due_at``.

    Refused: as :func:`advance`.
    """
    if card.loss_reported_at is not None and card.status in _LIVING:
        return card
    at_once = card.form is CardForm.DIGITAL or within_s == 0
    return advance(
        card,
        CardEvent.LOSS_REPORTED,
        loss_reported_at=at,
        loss_due_at=at if at_once else due_at,
        lost_at=at if at_once else None,
    )


def plan_loss_effect(card: Card, *, at: datetime) -> Card | Refusal:
    """Put a pending loss report into effect; a card without one stays as it is."""
    if card.loss_reported_at is None or card.lost_at is not None or card.status not in _LIVING:
        return card
    return advance(card, CardEvent.LOSS_EFFECTIVE, lost_at=at)


def plan_found(card: Card) -> Card | Refusal:
    """Take a loss report back; a card without one stays as it is. Refused: as :func:`advance`."""
    if card.loss_reported_at is None and card.status in _LIVING:
        return card
    return advance(card, CardEvent.FOUND, loss_reported_at=None, loss_due_at=None, lost_at=None)


def plan_gift(card: Card, *, gift_id: UUID) -> Card | Refusal:
    """Send a digital card on its way to somebody. Refused: ``only_digital``; as :func:`advance`."""
    if card.form is not CardForm.DIGITAL:
        return ONLY_DIGITAL.refuse()
    return advance(card, CardEvent.GIFT_OFFERED, gift_id=gift_id)


def plan_gift_claim(card: Card, *, customer_id: UUID, at: datetime) -> Card | Refusal:
    """The card is the claimer's. Refused: as :func:`advance`."""
    return advance(card, CardEvent.GIFT_CLAIMED, gift_id=None, customer_id=customer_id, registered_at=at)


def plan_gift_end(card: Card, *, event: CardEvent) -> Card | Refusal:
    """Nobody claimed it: the card is its holder's again. Refused: as :func:`advance`."""
    return advance(card, event, gift_id=None)


def plan_replacement(card: Card, *, by: UUID, claimed: bool = False) -> Card | Refusal:
    """Another card takes its place. One in a gift is replaced only for who claims it, while it can be claimed: not when
    it is lost or blocked. Refused: as :func:`advance`."""
    if claimed and isinstance(refused := advance(card, CardEvent.GIFT_CLAIMED), Refusal):
        return refused
    if card.status is CardStatus.GIFTED and not claimed:
        return CARD_IN_GIFT.refuse()
    return advance(card, CardEvent.REPLACED, replaced_by_id=by)


def plan_closing(card: Card, *, sale_id: UUID | None = None) -> Card | Refusal:
    """Close a card for ever: whoever closes it empties its pockets in the same commit.

    A sale that is taken back, ``sale_id``, closes what is set aside for it.
    Refused: ``card_in_gift`` while somebody may claim it, also when it is lost; as :func:`advance`. Closing twice is
    not closing once: the second would be told of a refund that it did not ask for.
    """
    if sale_id is not None and card.sale_id == sale_id:
        card = replace(card, sale_id=None)
    after = advance(card, CardEvent.CLOSED)
    if not isinstance(after, Refusal) and card.gift_id is not None:
        return CARD_IN_GIFT.refuse()
    return after
