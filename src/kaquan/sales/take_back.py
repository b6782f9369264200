"""Take a sale back: cancel one that is not paid, refund one whose cards nobody has used.

A refund is one commit for all of its cards: each is closed for ever, and what it holds goes back to where its load came
from, the paid part to the issuer's clearing account and the given part to its expense. If one card was used, nothing
happens to any. The money itself goes back to the buyer elsewhere.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

from msgspec.structs import replace

from kaquan.cards import (
    FEES,
    UNUSABLE,
    Card,
    CardStatus,
    Hand,
    Permission,
    Pocket,
    end_card,
    end_sale,
    get_cards,
    plan_closing,
    touch_pockets,
)
from kaquan.kit.db import Connection, Pool
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import BUSY, Refusal
from kaquan.ledger import Effect, Guard, Leg, Posting, RequestKey
from kaquan.ledger import Item as LedgerItem
from kaquan.parties import get_issuer
from kaquan.parties.staff import Approve
from kaquan.parties.trail import SYSTEM, Actor
from kaquan.policy import show_source
from kaquan.sales import store
from kaquan.sales.create import MAX_PLANS
from kaquan.sales.deliver import find_load
from kaquan.sales.law import refund_approval
from kaquan.sales.outcomes import SALE_CARD_USED, SALE_STATUS_FORBIDS, missing
from kaquan.sales.register import end_action
from kaquan.sales.store import PocketHeld
from kaquan.sales.types import MAX_SALE_CARDS, Item, RulesOf, Sale, SaleKind, SaleStatus

_ACCOUNTS = ("load_clearing", "bonus_expense", FEES)
EXPIRED = "expired"
"""Why a sale ended that nobody paid in its time."""

CHUNK_SALES = 200

_ENDED = (SaleStatus.REFUNDED, SaleStatus.CANCELLED)


class TakenBack(NamedTuple):
    """A card that is closed, and what takes its value out; None: it held none."""

    item: Item
    before: Card
    after: Card
    posting: Posting | None


async def cancel_sale(
    pool: Pool,
    hand: Hand,
    *,
    slots: tuple[int, ...],
    book_id: int,
    sale_id: UUID,
    reason: str,
    by: Actor,
    key: RequestKey,
) -> Sale | Refusal:
    """Give up a sale that is not paid in full: its cards may be sold again, what was paid is given back elsewhere.

    Under the same ``key`` it is one cancellation. Refused: ``not_found``, ``sale_status_forbids``, ``busy``.
    """
    for _ in range(MAX_PLANS):
        sale = await _load(pool, book_id=book_id, sale_id=sale_id)
        if isinstance(sale, Refusal) or (sale.status in _ENDED and sale.end_key_hash == key.key_hash):
            return sale
        if sale.status is not SaleStatus.OPEN:
            return SALE_STATUS_FORBIDS.refuse("id", status=sale.status.value)
        after = _ended(hand, sale, SaleStatus.CANCELLED, reason, key)
        if await _release(pool, hand, slots, sale, after, by):
            return after
    return BUSY.refuse()


async def _release(pool: Pool, hand: Hand, slots: tuple[int, ...], sale: Sale, after: Sale, by: Actor) -> bool:
    """End a sale that is not paid, with its cards free again; whether it was still as it was read."""
    items = await store.load_items(pool, sale, slots, limit=MAX_SALE_CARDS)

    async def free_cards(connection: Connection) -> bool:
        cards = [item.card_id for item in items]
        await end_sale(connection, hand, book_id=sale.book_id, slots=slots, card_ids=cards, sale_id=sale.id)
        return True

    posted = await store.post_together(
        pool,
        store.change_sale(sale, after),
        free_cards,
        store.release_items(sale, slots),
        store.add_action(end_action(hand, sale, after, by)),
    )
    return posted is store.Posted.DONE


async def expire_sales(pool: Pool, hand: Hand, *, slots: tuple[int, ...]) -> int:
    """End sales of which nothing was paid in their time, of any book; how many. For the worker."""
    ended = 0
    while over := await store.load_over(pool, now=hand.clock.now(), limit=CHUNK_SALES):
        before = ended
        for book_id, sale_id in over:
            sale = await store.load_sale(pool, book_id=book_id, id_=sale_id)
            assert sale is not None, "purchases are never removed"
            if sale.status is SaleStatus.OPEN and sale.paid_fen == 0:
                after = _ended(hand, sale, SaleStatus.CANCELLED, EXPIRED, None)
                ended += await _release(pool, hand, slots, sale, after, SYSTEM)
        if ended == before:
            break
    return ended


async def refund_sale(
    pool: Pool,
    hand: Hand,
    *,
    slots: tuple[int, ...],
    book_id: int,
    sale_id: UUID,
    reason: str,
    by: Actor,
    key: RequestKey,
    rules_of: RulesOf,
    approve: Approve | Refusal | None = None,
) -> Sale | Refusal:
    """Take a paid sale back whole: its cards are closed and empty. Under the same ``key`` it is one refund.

    From the price on that the issuer's rules name, ``approve`` is asked in its commit, or refuses at once.
    Refused, and then nothing changed: ``not_found``, ``sale_status_forbids``, ``sale_card_used`` when a card holds
    anything but what was sold, or is blocked, lost, given away or replaced, what ``approve`` refuses, ``busy``.
    """
    permission = Permission(None)
    for _ in range(MAX_PLANS):
        sale = await _load(pool, book_id=book_id, sale_id=sale_id)
        if isinstance(sale, Refusal) or (sale.status in _ENDED and sale.end_key_hash == key.key_hash):
            return sale
        if sale.status not in (SaleStatus.PAID, SaleStatus.DELIVERED):
            return SALE_STATUS_FORBIDS.refuse("id", status=sale.status.value)
        issuer = await get_issuer(pool, book_id=book_id, id_=sale.issuer_id)
        assert not isinstance(issuer, Refusal), "issuers are never removed"
        fact = refund_approval(rules_of(book_id, issuer.id), issuer, sale, at=hand.clock.now())
        if fact is not None and isinstance(approve, Refusal):
            cited = {"rule": fact.rule_id, "source": show_source(fact.rule)}
            return approve.outcome.refuse(approve.field, **approve.details, **cited)
        if fact is not None and not isinstance(approve, Refusal):
            permission = Permission(approve)
        taken = await _take_all(pool, hand, slots, sale)
        if isinstance(taken, Refusal):
            return taken
        after = _ended(hand, sale, SaleStatus.REFUNDED, reason, key)
        # The cards first and then their pockets, in the order of the slots: as whoever else changes a card. Closing
        # one holds its pockets, so what came onto it since it was read shows at last.
        posted = await store.post_together(
            pool,
            store.change_sale(sale, after),
            permission.claim,
            *(_close(hand, sale, one) for one in taken),
            *_postings(hand, taken, book_id=book_id),
            *(_touch(one) for one in taken),
            *(store.check_empty(slot, card_ids) for slot, card_ids in _by_slot(taken)),
            store.refund_items(
                sale, [(one.item, None if one.posting is None else one.posting.transaction_id) for one in taken]
            ),
            store.add_action(end_action(hand, sale, after, by)),
        )
        if posted is store.Posted.DONE:
            return after
        if permission.refused is not None:
            return permission.refused
    return BUSY.refuse()


def plan_return(
    sale: Sale,
    item: Item,
    card: Card,
    pockets: Sequence[PocketHeld],
    accounts: tuple[int, int, int],
    *,
    load_id: UUID | None,
    transaction_id: UUID,
    at: datetime,
) -> TakenBack | Refusal:
    """How one card is taken back: closed, and its lots, those of ``load_id``, emptied to where they came from by the
    transaction ``transaction_id``.

    Refused: ``sale_card_used`` unless it holds nothing at all, or just what was sold with it.
    """

    def used(why: str, why_zh: str) -> Refusal:
        return SALE_CARD_USED.refuse("id", card_id=show_id(Prefix.CARD, card.id), why=why, why_zh=why_zh)

    if card.status not in (CardStatus.ISSUED, CardStatus.ACTIVE):
        outcome = UNUSABLE[card.status]
        return used(outcome.en, outcome.zh)
    after = plan_closing(card, sale_id=sale.id)
    if isinstance(after, Refusal):
        return used(after.message(), after.message("zh"))
    lots = [(pocket, lot) for pocket in pockets for lot in pocket.lots]
    held_fen = sum(pocket.posted_fen for pocket in pockets)
    is_new = not lots and held_fen == 0
    is_whole = (
        held_fen == item.face_fen
        and not any(pocket.reserved_fen for pocket in pockets)
        and all(lot.origin_id == load_id for _, lot in lots)
    )
    if not is_new and not is_whole:
        return used("it does not hold just what was sold with it", "卡内余额与售出时不符")
    if is_new:
        return TakenBack(item, card, after, None)
    clearing, expense, fees = accounts
    legs = [
        Leg(
            Effect.POST,
            pocket.account_id,
            lot.lot,
            expense if pocket.pocket is Pocket.BONUS else clearing,
            None,
            lot.remaining_fen,
        )
        for pocket, lot in lots
        if lot.remaining_fen
    ]
    if item.fee_fen:
        legs.append(Leg(Effect.POST, fees, None, clearing, None, item.fee_fen))
    moved = {leg.debit_account for leg in legs}
    posting = Posting(
        transaction_id=transaction_id,
        kind="sale_refund",
        effective_at=at,
        legs=legs,
        guards=[Guard(pocket.account_id, pocket.version) for pocket in pockets if pocket.account_id in moved],
        related_id=lots[0][1].origin_id,
        reference=show_id(Prefix.SALE, sale.id),
    )
    return TakenBack(item, card, after, posting)


async def _load(pool: Pool, *, book_id: int, sale_id: UUID) -> Sale | Refusal:
    sale = await store.load_sale(pool, book_id=book_id, id_=sale_id)
    return missing("sale") if sale is None or sale.kind is not SaleKind.SALE else sale


def _ended(hand: Hand, sale: Sale, status: SaleStatus, reason: str, key: RequestKey | None) -> Sale:
    return replace(
        sale,
        status=status,
        ended_at=hand.clock.now(),
        end_reason=reason,
        end_key_hash=None if key is None else key.key_hash,
        version=sale.version + 1,
    )


async def _take_all(pool: Pool, hand: Hand, slots: tuple[int, ...], sale: Sale) -> list[TakenBack] | Refusal:
    items = await store.load_items(pool, sale, slots, limit=MAX_SALE_CARDS)
    taken: list[TakenBack] = []
    for slot, group in groupby(sorted(items, key=lambda item: (item.slot, item.card_id)), key=lambda item: item.slot):
        of_slot = list(group)
        clearing, expense, fees = await store.open_issuer_accounts(
            pool, book_id=sale.book_id, slot=slot, issuer_id=sale.issuer_id, currency=sale.currency, kinds=_ACCOUNTS
        )
        held = await store.load_holdings(
            pool, book_id=sale.book_id, slot=slot, card_ids=[item.card_id for item in of_slot]
        )
        # after the pockets: who changes a card's status moves their versions
        cards = await get_cards(pool, book_id=sale.book_id, slots=slots, card_ids=[item.card_id for item in of_slot])
        at = hand.clock.now()
        for item in of_slot:
            pockets = held.get(item.card_id, [])
            load_id = await find_load(pool, slots, sale, item) if any(pocket.lots for pocket in pockets) else None
            one = plan_return(
                sale, item, cards[item.card_id], pockets, (clearing, expense, fees),
                load_id=load_id, transaction_id=hand.ids.new_near(item.card_id), at=at,
            )  # fmt: skip
            if isinstance(one, Refusal):
                return one
            taken.append(one)
    return taken


def _close(hand: Hand, sale: Sale, one: TakenBack) -> store.Write:
    details = {
        "sale_id": show_id(Prefix.SALE, sale.id),
        "transaction_id": None if one.posting is None else show_id(Prefix.TRANSACTION, one.posting.transaction_id),
    }

    async def write(connection: Connection) -> bool:
        return await end_card(connection, hand, one.before, one.after, details=details)

    return write


def _touch(one: TakenBack) -> store.Write:
    async def write(connection: Connection) -> bool:
        await touch_pockets(connection, one.before)
        return True

    return write


def _by_slot(taken: Sequence[TakenBack]) -> list[tuple[int, list[UUID]]]:
    return [(slot, [one.before.id for one in group]) for slot, group in groupby(taken, key=lambda one: one.item.slot)]


def _postings(hand: Hand, taken: Sequence[TakenBack], *, book_id: int) -> list[store.Write]:
    at = hand.clock.now()
    return [
        store.post_items(
            [LedgerItem(book_id, one.posting) for one in group if one.posting is not None], slot=slot, at=at
        )
        for slot, group in groupby((one for one in taken if one.posting is not None), key=lambda one: one.item.slot)
    ]
