"""Hand a digital card to another person: a message, and a link that only they have.

While the gift is open nobody can spend the card; the sender may cancel, and after its time it is theirs again. The link
holds a random secret of which only a hash is kept. Who claims it gets the card, by default under a new number, so that
nobody who saw the old one can spend; its PIN is forgotten.
"""

import re
from datetime import timedelta
from uuid import UUID

from msgspec.structs import replace

from kaquan.cards import store
from kaquan.cards.change import apply_change, event_of
from kaquan.cards.issue import Press
from kaquan.cards.life import plan_gift, plan_gift_claim, plan_gift_end
from kaquan.cards.outcomes import CARD_CLOSED, CARD_REPLACED, GIFT_NOT_OPEN, missing
from kaquan.cards.register import CustomerCheck
from kaquan.cards.replace import Claim, replace_card
from kaquan.cards.store import Write
from kaquan.cards.types import (
    SYSTEM,
    Card,
    CardEvent,
    ClaimedGift,
    Gift,
    GiftStatus,
    Hand,
    OfferedGift,
)
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.kit.outcomes import BUSY, Refusal
from kaquan.ledger import slot_of
from kaquan.vault import SECRET_LENGTH, Keyring, hash_secret, new_secret, secret_matches

MAX_MESSAGE = 200
MAX_GIFT_S = 90 * 86_400
DEFAULT_GIFT_S = 7 * 86_400
CHUNK = 500

_ENDED = (CARD_REPLACED, CARD_CLOSED)
_TOKEN = re.compile(rf"gift_([0-9a-f]{{32}})_([A-Za-z0-9_-]{{{SECRET_LENGTH}}})")


def read_token(token: str) -> tuple[UUID, str] | None:
    """The gift that a claim token names and its secret; None if it is no token."""
    found = _TOKEN.fullmatch(token)
    return None if found is None else (UUID(hex=found[1]), found[2])


async def offer_gift(
    pool: Pool,
    hand: Hand,
    keyring: Keyring,
    *,
    book_id: int,
    slots: tuple[int, ...],
    card_id: UUID,
    message: str | None,
    expires_in_s: int = DEFAULT_GIFT_S,
) -> OfferedGift | Refusal:
    """Put a card on its way to whoever has the token of the answer.

    Refused: ``not_found``, ``only_digital``, the codes of cards that are not active, ``busy``.
    """
    gift_id, secret, at = hand.ids.new_near(card_id), new_secret(), hand.clock.now()
    gift = Gift(
        slot_of(card_id, slots), gift_id, book_id, card_id, GiftStatus.OPEN,
        None if message is None else keyring.seal(message.encode(), gift_id.bytes), hash_secret(secret), at,
        at + timedelta(seconds=expires_in_s), None, None, None,
    )  # fmt: skip
    after = await apply_change(
        pool,
        hand,
        CardEvent.GIFT_OFFERED,
        lambda card: plan_gift(card, gift_id=gift_id),
        book_id=book_id,
        slots=slots,
        card_id=card_id,
        details={"gift_id": show_id(Prefix.GIFT, gift_id)},
        also=lambda _: [store.add_gift(gift)],
    )
    return after if isinstance(after, Refusal) else OfferedGift(gift, f"gift_{gift_id.hex}_{secret}")


async def claim_gift(
    pool: Pool,
    hand: Hand,
    keyring: Keyring,
    press: Press,
    check: CustomerCheck,
    *,
    book_id: int,
    slots: tuple[int, ...],
    token: str,
    customer_id: UUID,
    new_number: bool,
) -> ClaimedGift | Refusal:
    """Make the card of a gift the customer's. The same customer who claims it again gets the same answer.

    Refused: ``not_found`` (no such gift, or not its secret: nobody is told which), ``gift_not_open``, what ``check``
    refuses, the codes of cards that are blocked, lost or have ended, ``busy``.
    """
    named = read_token(token)
    gift = None
    if named is not None:
        gift = await store.load_gift(pool, book_id=book_id, slot=slot_of(named[0], slots), gift_id=named[0])
    secret = "" if named is None else named[1]
    if not secret_matches(secret, None if gift is None else gift.secret_hash) or gift is None:
        return missing("gift", "token")
    if gift.status is GiftStatus.CLAIMED and gift.claimed_by == customer_id:
        return await _claimed(pool, keyring, slots, gift)
    now = hand.clock.now()
    if gift.status is not GiftStatus.OPEN or gift.expires_at <= now:
        status = GiftStatus.EXPIRED if gift.status is GiftStatus.OPEN else gift.status
        return GIFT_NOT_OPEN.refuse("token", status=status.value)
    if (refused := await check(book_id, customer_id)) is not None:
        return refused
    taken = replace(gift, status=GiftStatus.CLAIMED, ended_at=now, claimed_by=customer_id)
    if new_number:
        refused = await _claim_anew(pool, hand, press, slots, taken)
    else:
        refused = await _claim_as_it_is(pool, hand, slots, taken)
    found = await store.load_gift(pool, book_id=book_id, slot=gift.slot, gift_id=gift.id)
    assert found is not None, "gifts are never removed"
    if found.status is GiftStatus.CLAIMED and found.claimed_by == customer_id:
        return await _claimed(pool, keyring, slots, found)  # now, or by the same customer a moment before
    if found.status is not GiftStatus.OPEN:
        return GIFT_NOT_OPEN.refuse("token", status=found.status.value)
    return refused or BUSY.refuse()


async def _claim_anew(pool: Pool, hand: Hand, press: Press, slots: tuple[int, ...], taken: Gift) -> Refusal | None:
    assert taken.claimed_by is not None, "a claim says whose"

    def also(new: Card) -> list[Write]:
        event = event_of(hand, CardEvent.GIFT_CLAIMED, new, None, _gift_details(taken))
        # the new card is as its activation left it: this event adds whose gift it was
        event = replace(event, status=None, version=None)
        return [store.end_gift(replace(taken, new_card_id=new.id)), store.add_event(event)]

    done = await replace_card(
        pool,
        hand,
        press,
        book_id=taken.book_id,
        slots=slots,
        card_id=taken.card_id,
        reason="gift",
        claim=Claim(taken.claimed_by, also),
    )
    return done if isinstance(done, Refusal) else None


async def _claim_as_it_is(pool: Pool, hand: Hand, slots: tuple[int, ...], taken: Gift) -> Refusal | None:
    customer_id, at = taken.claimed_by, taken.ended_at
    assert customer_id is not None and at is not None  # noqa: PT018
    done = await apply_change(
        pool,
        hand,
        CardEvent.GIFT_CLAIMED,
        lambda card: plan_gift_claim(card, customer_id=customer_id, at=at),
        book_id=taken.book_id,
        slots=slots,
        card_id=taken.card_id,
        details=_gift_details(taken),
        also=lambda after: [store.end_gift(taken), store.forget_pin(after)],
    )
    return done if isinstance(done, Refusal) else None


def _gift_details(gift: Gift) -> dict[str, str]:
    return {"gift_id": show_id(Prefix.GIFT, gift.id)}


async def _claimed(pool: Pool, keyring: Keyring, slots: tuple[int, ...], gift: Gift) -> ClaimedGift:
    card_id = gift.new_card_id or gift.card_id
    card = await store.load_card(pool, book_id=gift.book_id, slot=slot_of(card_id, slots), card_id=card_id)
    assert card is not None, "cards are never removed"
    sealed = gift.message_sealed
    return ClaimedGift(gift, card, None if sealed is None else keyring.open(sealed, gift.id.bytes).decode())


async def cancel_gift(pool: Pool, hand: Hand, *, book_id: int, slots: tuple[int, ...], gift_id: UUID) -> Gift | Refusal:
    """Take a gift back before it is claimed; one that was cancelled stays so.

    Refused: ``not_found``, ``gift_not_open``, ``busy``.
    """
    gift = await store.load_gift(pool, book_id=book_id, slot=slot_of(gift_id, slots), gift_id=gift_id)
    if gift is None:
        return missing("gift")
    if gift.status is GiftStatus.OPEN:
        return await _end(pool, hand, slots, gift, GiftStatus.CANCELLED, CardEvent.GIFT_CANCELLED)
    return gift if gift.status is GiftStatus.CANCELLED else GIFT_NOT_OPEN.refuse(status=gift.status.value)


async def expire_gifts(pool: Pool, clock: Clock, ids: Ids, *, slots: tuple[int, ...]) -> int:
    """Give cards back to their holders that nobody claimed in time; how many gifts ended. For the worker."""
    hand = Hand(clock, ids, SYSTEM)
    ended = 0
    for slot in slots:
        for gift in await store.load_gifts_over(pool, slot=slot, now=clock.now(), limit=CHUNK):
            done = await _end(pool, hand, slots, gift, GiftStatus.EXPIRED, CardEvent.GIFT_EXPIRED)
            ended += isinstance(done, Gift)
    return ended


async def _end(
    pool: Pool, hand: Hand, slots: tuple[int, ...], gift: Gift, status: GiftStatus, event: CardEvent
) -> Gift | Refusal:
    over = replace(gift, status=status, ended_at=hand.clock.now())
    after = await apply_change(
        pool,
        hand,
        event,
        lambda card: plan_gift_end(card, event=event),
        book_id=gift.book_id,
        slots=slots,
        card_id=gift.card_id,
        details=_gift_details(gift),
        also=lambda _: [store.end_gift(over)],
    )
    if isinstance(after, Refusal) and after.outcome in _ENDED:
        # the card came to its end while it was on its way: only the gift is left to end
        await store.post_together(pool, store.end_gift(over))
    found = await store.load_gift(pool, book_id=gift.book_id, slot=gift.slot, gift_id=gift.id)
    assert found is not None, "gifts are never removed"
    if found.status is status:
        return found
    if found.status is not GiftStatus.OPEN:
        return GIFT_NOT_OPEN.refuse(status=found.status.value)
    return after if isinstance(after, Refusal) else BUSY.refuse()
