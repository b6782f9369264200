"""A card is lost: its holder reports it, it may take effect later, it may be found again (row J5).

A digital card is refused from the next request on. A physical card is too, unless its programme publishes a time within
which a loss report takes effect; then a job puts it into effect, a moment early rather than late. The balance stays.
"""

from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from kaquan.cards import store
from kaquan.cards.change import apply_change, programme_of
from kaquan.cards.life import plan_found, plan_loss, plan_loss_effect
from kaquan.cards.outcomes import PROOF_REQUIRED, missing
from kaquan.cards.pin import check_holder
from kaquan.cards.types import SYSTEM, Card, CardEvent, CardForm, Hand
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids
from kaquan.kit.outcomes import INVALID_FIELD, Refusal
from kaquan.ledger import slot_of
from kaquan.vault import Keyring

LEAD = timedelta(seconds=15)
"""How long before its time a loss report is put into effect: the job comes round more often than that."""

CHUNK = 500


class LossCause(StrEnum):
    """What became of the card."""

    LOST = "lost"
    STOLEN = "stolen"


async def report_loss(
    pool: Pool,
    hand: Hand,
    *,
    book_id: int,
    slots: tuple[int, ...],
    card_id: UUID,
    cause: LossCause,
    proof: str | None = None,
) -> Card | Refusal:
    """Report a card lost; ``loss_due_at`` of the answer is by when it is refused everywhere. Twice is once.

    An unregistered card needs ``proof``: what shows that it is the reporter's (CN-SP-LOSS-01, CN-SPC-STAND).
    Refused: ``not_found``, ``proof_required``, the codes of cards that have ended, ``busy``.
    """
    card = await store.load_card(pool, book_id=book_id, slot=slot_of(card_id, slots), card_id=card_id)
    if card is None:
        return missing("card")
    within_s = 0 if card.form is CardForm.DIGITAL else (await programme_of(pool, card)).loss_effective_within_s
    at = hand.clock.now()

    def plan(card: Card) -> Card | Refusal:
        after = plan_loss(card, at=at, within_s=within_s, due_at=at + timedelta(seconds=within_s))
        if not isinstance(after, Refusal) and after is not card and card.customer_id is None and proof is None:
            return PROOF_REQUIRED.refuse("proof")
        return after

    return await apply_change(
        pool,
        hand,
        CardEvent.LOSS_REPORTED,
        plan,
        book_id=book_id,
        slots=slots,
        card_id=card_id,
        reason=cause.value,
        details={} if proof is None else {"proof": proof},
    )


async def card_found(
    pool: Pool,
    hand: Hand,
    keyring: Keyring,
    *,
    book_id: int,
    slots: tuple[int, ...],
    card_id: UUID,
    pin: str | None = None,
    reason: str | None = None,
) -> Card | Refusal:
    """Take a loss report back: by the holder with the card's PIN, or by the operator with a reason. Twice is once.

    Refused: ``not_found``, ``invalid_field`` (not just one of both), ``pin_wrong``, ``pin_locked``, ``pin_not_set``,
    the codes of cards that have ended, ``busy``.
    """
    if (pin is None) == (reason is None):
        return INVALID_FIELD.refuse(
            "pin",
            allowed="give either pin or reason, one of them",
            allowed_zh="pin 与 reason 须且只能提供一个",
        )
    card = await store.load_card(pool, book_id=book_id, slot=slot_of(card_id, slots), card_id=card_id)
    if card is None:
        return missing("card")
    if pin is not None and card.loss_reported_at is not None:
        refused = await check_holder(pool, hand, keyring, card=card, pin=pin)
        if refused is not None:
            return refused
    return await apply_change(
        pool,
        hand,
        CardEvent.FOUND,
        plan_found,
        book_id=book_id,
        slots=slots,
        card_id=card_id,
        reason=reason,
        details={"by": "holder" if reason is None else "operator"},
    )


async def put_losses_into_effect(pool: Pool, clock: Clock, ids: Ids, *, slots: tuple[int, ...]) -> int:
    """Put every pending loss report whose time has come into effect; how many. For the worker."""
    hand = Hand(clock, ids, SYSTEM)
    done = 0
    for slot in slots:
        at = clock.now()
        for book_id, card_id in await store.load_losses_due(pool, slot=slot, until=at + LEAD, limit=CHUNK):
            after = await apply_change(
                pool,
                hand,
                CardEvent.LOSS_EFFECTIVE,
                lambda card: plan_loss_effect(card, at=at),  # noqa: B023  (awaited before the next one)
                book_id=book_id,
                slots=slots,
                card_id=card_id,
            )
            done += not isinstance(after, Refusal)
    return done
