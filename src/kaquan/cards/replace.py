"""Put a new card in the place of an old one: linked both ways, the balance moved, the old one ended for ever.

One commit makes the new card spendable, ends the old one and stores the intent of the transfer; from its answer on the
old card is refused. Then the transfer is carried out, by this caller or by the worker.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from msgspec.structs import replace

from kaquan.cards import store
from kaquan.cards.change import MAX_PLANS, event_of, pocket_accounts, programme_of
from kaquan.cards.fees import ACCOUNT as FEES
from kaquan.cards.fees import plan_fee, replacement_fee_fen
from kaquan.cards.issue import Press
from kaquan.cards.life import plan_replacement
from kaquan.cards.outcomes import CARD_IN_SALE, REPLACEMENT_NOT_USABLE, missing
from kaquan.cards.store import Run, Write
from kaquan.cards.transfer import begun_under, finish_transfer, new_transfer
from kaquan.cards.types import (
    Card,
    CardEvent,
    CardForm,
    CardStatus,
    Fee,
    FeeKind,
    Hand,
    Programme,
    Replacement,
    Transfer,
    TransferKind,
)
from kaquan.kit.db import Connection, Pool
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import BUSY, Refusal
from kaquan.ledger import AccountSpec, Posting, RequestKey, slot_of


class Successor(NamedTuple):
    """A card that can take another's place, issued, and what must be written first if it was just made."""

    card: Card
    writes: Sequence[Write]


class Claim(NamedTuple):
    """For whom a card in a gift is replaced, and what else is written then, given the new card."""

    customer_id: UUID
    also: Callable[[Card], Sequence[Write]]


def check_successor(old: Card, new: Card) -> Refusal | None:
    """Whether a card of a batch can take ``old``'s place. Refused: ``card_in_sale``, ``replacement_not_usable``."""
    if new.sale_id is not None:
        return CARD_IN_SALE.refuse("new_card_id")
    usable = (
        new.status is CardStatus.ISSUED
        and new.programme_id == old.programme_id
        and new.form is old.form
        and new.customer_id is None
        and new.loss_reported_at is None
        and new.id != old.id
    )
    return None if usable else REPLACEMENT_NOT_USABLE.refuse("new_card_id")


async def replace_card(
    pool: Pool,
    hand: Hand,
    press: Press,
    *,
    book_id: int,
    slots: tuple[int, ...],
    card_id: UUID,
    new_card_id: UUID | None = None,
    reason: str,
    waive_fee: bool = False,
    key: RequestKey | None = None,
    claim: Claim | None = None,
) -> Replacement | Refusal:
    """Replace a card, active, lost or expired; under the same ``key`` it is replaced once.

    The fee of its terms is taken from the card in the commit that ends it, unless it is waived: it was collected
    otherwise, or let go. A gift that is claimed and a card that has expired cost nothing.

    Without ``new_card_id`` a digital card is made for a digital one; a physical card takes one of a batch. The new card
    is the holder's; it has no PIN yet. What an authorization has set aside on the old card follows when it is given
    back, and so does what is refunded later.
    Refused: ``not_found``, ``card_in_sale``, ``replacement_not_usable``, ``fee_not_covered``, the codes of cards that
    cannot be replaced, ``busy`` (also when every number that was drawn is taken).
    """
    slot = slot_of(card_id, slots)
    for _ in range(MAX_PLANS):
        if key is not None:
            begun = await begun_under(pool, book_id=book_id, slot=slot, key=key)
            if isinstance(begun, Refusal):
                return begun
            if begun is not None:
                return await _finish(pool, hand, slots=slots, transfer=begun)
        old = await store.load_card(pool, book_id=book_id, slot=slot, card_id=card_id)
        if old is None:
            return missing("card")
        programme = await programme_of(pool, old)
        if isinstance(early := plan_replacement(old, by=old.id, claimed=claim is not None), Refusal):
            return early
        successor = await _successor(pool, hand, press, programme, slots=slots, old=old, new_card_id=new_card_id)
        if isinstance(successor, Refusal):
            return successor
        transfer = new_transfer(hand, TransferKind.REPLACEMENT, source=old, target_id=successor.card.id, key=key)
        due_fen = 0 if claim is not None else replacement_fee_fen(old, programme)
        charge = None
        if due_fen and not waive_fee:
            charge = await _charge(pool, hand, programme, old, transfer, due_fen)
        if isinstance(charge, Refusal):
            return charge
        writes = _writes(
            hand, programme, old, successor, transfer,
            reason=reason, claim=claim, charge=charge, waived_fen=due_fen if waive_fee else 0,
        )  # fmt: skip
        if await store.post_together(pool, *writes):
            return await _finish(pool, hand, slots=slots, transfer=transfer)
    return BUSY.refuse()


class Charge(NamedTuple):
    """A fee with the posting that takes it."""

    fee: Fee
    posting: Posting

    def write(self) -> Write:
        """Take the fee, and write that it was taken; not done if the pocket has moved."""
        post = store.post(
            self.posting, book_id=self.fee.book_id, slot=self.fee.slot, at=self.fee.charged_at, origins=()
        )
        add = store.add_fee(self.fee)

        async def write(connection: Connection) -> bool:
            return await post(connection) and await add(connection)

        return write


async def _charge(
    pool: Pool, hand: Hand, programme: Programme, old: Card, transfer: Transfer, due_fen: int
) -> Charge | Refusal:
    """What the fee takes of the card as it is. Refused: ``fee_not_covered``."""
    holdings = await store.load_holdings(pool, book_id=old.book_id, slot=old.slot, card_id=old.id)
    asked = AccountSpec(old.book_id, programme.issuer_id, FEES, programme.currency)
    account = await store.open_clearing(pool, slot=old.slot, asked=asked)
    now = hand.clock.now()
    posting = plan_fee(
        holdings, kind=FeeKind.REPLACEMENT, fee_fen=due_fen, account=account,
        transaction_id=hand.ids.new_near(old.id), now=now,
    )  # fmt: skip
    if isinstance(posting, Refusal):
        return posting
    fee = Fee(
        old.slot, posting.transaction_id, old.book_id, old.id, FeeKind.REPLACEMENT, due_fen, programme.currency,
        transfer.id, now,
    )  # fmt: skip
    return Charge(fee, posting)


async def _successor(
    pool: Pool,
    hand: Hand,
    press: Press,
    programme: Programme,
    *,
    slots: tuple[int, ...],
    old: Card,
    new_card_id: UUID | None,
) -> Successor | Refusal:
    if new_card_id is not None:
        new = await store.load_card(pool, book_id=old.book_id, slot=slot_of(new_card_id, slots), card_id=new_card_id)
        if new is None:
            return missing("card", "new_card_id")
        return check_successor(old, new) or Successor(new, ())
    if old.form is not CardForm.DIGITAL:
        return REPLACEMENT_NOT_USABLE.refuse("new_card_id")
    run = Run(old.book_id, programme.id, None, old.form, hand.clock.now(), old.terms_version)
    (made,) = press.make(programme.number_prefix, 1, near=old.id)
    return Successor(store.made_card(made, run), [store.make_card(made, run)])


def _writes(
    hand: Hand,
    programme: Programme,
    old: Card,
    successor: Successor,
    transfer: Transfer,
    *,
    reason: str,
    claim: Claim | None,
    charge: Charge | None,
    waived_fen: int,
) -> list[Write]:
    now = hand.clock.now()
    ended = plan_replacement(old, by=successor.card.id, claimed=claim is not None)
    assert not isinstance(ended, Refusal), "it was planned a moment ago"
    customer_id = old.customer_id if claim is None else claim.customer_id
    new = replace(
        successor.card,
        status=CardStatus.ACTIVE,
        activated_at=now,
        customer_id=customer_id,
        registered_at=None if customer_id is None else now,
        expires_at=None if old.status is CardStatus.EXPIRED else old.expires_at,
        replaces_id=old.id,
        # what was promised to the holder is kept, whatever the card that takes its place was made under
        terms_version=old.terms_version,
        version=successor.card.version + 1,
    )
    linked = {"replaces_card_id": show_id(Prefix.CARD, old.id)}
    began = event_of(hand, CardEvent.ACTIVATED, new, reason, linked)
    details: dict[str, Any] = {"new_card_id": show_id(Prefix.CARD, successor.card.id)}
    if charge is not None:
        details |= {
            "fee_fen": charge.fee.amount_fen,
            "fee_transaction_id": show_id(Prefix.TRANSACTION, charge.fee.id),
        }
    if waived_fen:
        details |= {"fee_waived_fen": waived_fen}
    replaced = event_of(hand, CardEvent.REPLACED, ended, reason, details)
    return [
        *successor.writes,
        store.change(successor.card, new, began, opening=pocket_accounts(new, programme)),
        store.change(old, ended, replaced)
        if charge is None
        else store.end_charged(old, ended, replaced, charge.write()),
        store.add_transfer(transfer),
        *(() if claim is None else claim.also(new)),
    ]


async def _finish(pool: Pool, hand: Hand, *, slots: tuple[int, ...], transfer: Transfer) -> Replacement | Refusal:
    finished = await finish_transfer(pool, hand, slots=slots, transfer=transfer)
    if isinstance(finished, Refusal):
        # the cards are exchanged whatever becomes of the answer: the worker goes on with the balance
        finished = transfer
    cards = []
    for card_id in (finished.from_card_id, finished.to_card_id):
        slot = slot_of(card_id, slots)
        card = await store.load_card(pool, book_id=finished.book_id, slot=slot, card_id=card_id)
        assert card is not None, "cards are never removed"
        cards.append(card)
    fee = await store.load_fee(pool, slot=finished.slot, transfer_id=finished.id)
    return Replacement(cards[0], cards[1], finished, fee)
