"""Charge a card that is in use for a service, by its terms: the fee, its record and what goes with it are one
commit."""

from collections.abc import Callable, Sequence
from uuid import UUID

from kaquan.cards import store
from kaquan.cards.change import MAX_PLANS, programme_of
from kaquan.cards.fees import ACCOUNT, plan_fee
from kaquan.cards.life import UNUSABLE
from kaquan.cards.outcomes import missing
from kaquan.cards.store import Write
from kaquan.cards.types import CardStatus, Fee, FeeKind, Hand
from kaquan.kit.db import Pool
from kaquan.kit.outcomes import BUSY, Refusal
from kaquan.ledger import AccountSpec


async def charge_fee(
    pool: Pool,
    hand: Hand,
    *,
    book_id: int,
    slot: int,
    card_id: UUID,
    kind: FeeKind,
    fee_fen: int,
    also: Callable[[Fee], Sequence[Write]],
) -> Fee | Refusal:
    """Take a fee from a card's principal into the issuer's fees. ``also`` is written in its commit: if it cannot be
    done the fee is not taken, so that a record that exists once charges once.

    Refused, and then nothing moved: ``not_found``, the codes of cards that are not active, ``fee_not_covered`` (a part
    of a fee is never taken), ``busy``.
    """
    for _ in range(MAX_PLANS):
        # pockets before the card: who changes its status moves the versions of its pockets
        holdings = await store.load_holdings(pool, book_id=book_id, slot=slot, card_id=card_id)
        card = await store.load_card(pool, book_id=book_id, slot=slot, card_id=card_id)
        if card is None:
            return missing("card")
        if card.status is not CardStatus.ACTIVE:
            return UNUSABLE[card.status].refuse("id")
        programme = await programme_of(pool, card)
        asked = AccountSpec(book_id, programme.issuer_id, ACCOUNT, programme.currency)
        account = await store.open_clearing(pool, slot=slot, asked=asked)
        now = hand.clock.now()
        posting = plan_fee(
            holdings, kind=kind, fee_fen=fee_fen, account=account, transaction_id=hand.ids.new_near(card_id), now=now
        )
        if isinstance(posting, Refusal):
            return posting
        fee = Fee(slot, posting.transaction_id, book_id, card_id, kind, fee_fen, programme.currency, None, now)
        taken = store.post(posting, book_id=book_id, slot=slot, at=now, origins=())
        if await store.post_together(pool, taken, store.add_fee(fee), *also(fee)):
            return fee
    return BUSY.refuse()
