"""Top up a card: judged like a sale, paid at once, and loaded once.

The purchase is written before the load, so that a buyer's day holds for two at one moment, and whoever is stopped
before the load leaves what the worker goes on with. A load that is refused cancels the purchase: what was paid is given
back.
"""

from kaquan.cards import UNUSABLE, Card, CardStatus, Hand, check_going_on, get_card, list_pockets, programme_of
from kaquan.cards.outcomes import FEE_NOT_AGREED
from kaquan.kit.db import Pool
from kaquan.kit.outcomes import BUSY, Refusal
from kaquan.ledger import RequestKey
from kaquan.parties.trail import Actor
from kaquan.payments import Desk
from kaquan.sales import store
from kaquan.sales.check import card_cap, check_sale, first_of
from kaquan.sales.create import MAX_PLANS, made_under, new_item, new_sale, post_purchase
from kaquan.sales.deliver import deliver_sale
from kaquan.sales.facts import facts_of, load_day, load_issuer, load_people
from kaquan.sales.law import keep_until, line_facts
from kaquan.sales.outcomes import SALE_IN_REVIEW, TOP_UP_NOT_LOADED, invalid
from kaquan.sales.pay import make_payment, tender_of
from kaquan.sales.screen import screen
from kaquan.sales.types import Line, NewTopUp, RulesOf, Sale, SaleKind, SaleStatus
from kaquan.vault import Keyring


async def top_up(
    pool: Pool,
    desk: Desk,
    hand: Hand,
    keyring: Keyring,
    rules_of: RulesOf,
    *,
    slots: tuple[int, ...],
    book_id: int,
    new: NewTopUp,
    by: Actor,
    key: RequestKey,
) -> Sale | Refusal:
    """Load a card against one payment; what is not paid of ``face_fen`` is given. Under the same ``key`` it is one.

    Refused: ``not_found``, ``invalid_field``, the codes of cards that are not active, ``programme_stopped``,
    ``fee_not_agreed``, what :func:`kaquan.sales.check.check_sale` refuses, ``top_up_not_loaded`` for what the load was
    refused for, ``busy``.
    """
    sale = await made_under(pool, book_id=book_id, key=key)
    if sale is None:
        sale = await _write(pool, hand, keyring, rules_of, slots=slots, book_id=book_id, new=new, by=by, key=key)
    if isinstance(sale, Refusal):
        return sale
    return await _load(pool, desk, hand, slots, sale, by)


async def _write(
    pool: Pool,
    hand: Hand,
    keyring: Keyring,
    rules_of: RulesOf,
    *,
    slots: tuple[int, ...],
    book_id: int,
    new: NewTopUp,
    by: Actor,
    key: RequestKey,
) -> Sale | Refusal:
    """The purchase, paid; nothing is loaded yet."""
    clock, price_fen = hand.clock, new.payment.amount_fen - new.fee_fen
    if not 0 < price_fen <= new.face_fen:
        least, most = new.fee_fen + 1, new.fee_fen + new.face_fen
        return invalid(
            "payment.amount_fen", f"must be from {least} to {most}, face and fee", allowed_zh=f"应为 {least} 至 {most}"
        )
    for _ in range(MAX_PLANS):
        card = await get_card(pool, book_id=book_id, slots=slots, card_id=new.card_id)
        if isinstance(card, Refusal):
            return card.outcome.refuse("card_id", **card.details)
        if card.status is not CardStatus.ACTIVE:
            return UNUSABLE[card.status].refuse("card_id")
        people = await load_people(pool, keyring, book_id=book_id, terms=new)
        if isinstance(people, Refusal):
            return people
        programme = await programme_of(pool, card)
        if new.fee_fen != programme.fees.load_fen:
            return FEE_NOT_AGREED.refuse("fee_fen", fee_fen=programme.fees.load_fen)
        issuer = await load_issuer(pool, book_id=book_id, programme=programme)
        at = clock.now()
        if (refused := check_going_on(programme, at, field="card_id")) is not None:
            return refused
        day = await load_day(pool, book_id=book_id, terms=new, issuer=issuer, at=at)
        line = line_facts(
            issuer,
            programme,
            card_count=1,
            face_fen=new.face_fen,
            price_fen=price_fen,
            card=card,
            balance_fen=await _held(pool, slots, card),
        )
        facts = facts_of(
            SaleKind.TOP_UP, new, issuer, (line,), people, day.facts, at=at, tenders=(tender_of(new.payment),)
        )
        rules = rules_of(book_id, issuer.id)
        check = check_sale(rules, facts)
        if (refused := first_of(check.refusals)) is not None:
            return refused
        review = await screen(pool, keyring, book_id=book_id, people=people)
        if review is not None:  # a top-up is paid at once: there is no time to look at it
            return review if isinstance(review, Refusal) else SALE_IN_REVIEW.refuse("customer_id")
        cap = card_cap(rules, facts, line)
        kept = Line(
            programme_id=programme.id, batch_id=None, card_count=1, face_fen=new.face_fen, price_fen=price_fen,
            fee_fen=new.fee_fen, cap_fen=None if cap is None else cap.number,
        )  # fmt: skip
        sale = new_sale(
            SaleKind.TOP_UP, new, issuer, programme, facts, check, people, keyring,
            book_id=book_id, id_=hand.ids.new_near(card.id), lines=[kept], keep=keep_until(rules, facts, at=at), by=by,
            key=key, at=at, status=SaleStatus.PAID, paid_fen=new.payment.amount_fen,
        )  # fmt: skip
        payment = make_payment(
            keyring, new.payment, book_id=book_id, sale_id=sale.id, id_=hand.ids.new(), by=by, key=key, at=at
        )
        item = new_item(sale, card.id, slot=card.slot, line=0, of=kept)
        done = await post_purchase(pool, clock, hand.ids, sale, [item], day, by=by, also=[store.add_payment(payment)])
        if done is not None:
            return done
    return BUSY.refuse()


async def _held(pool: Pool, slots: tuple[int, ...], card: Card) -> int:
    pockets = await list_pockets(pool, book_id=card.book_id, slots=slots, card_id=card.id)
    assert not isinstance(pockets, Refusal), "the card is there"
    return sum(account.posted_fen for _, account in pockets)


async def _load(pool: Pool, desk: Desk, hand: Hand, slots: tuple[int, ...], sale: Sale, by: Actor) -> Sale | Refusal:
    """Load what a top-up bought. Refused: ``top_up_not_loaded`` when the load was, which cancelled the purchase."""
    done: Sale | Refusal = sale
    if sale.status is SaleStatus.PAID:
        done = await deliver_sale(pool, desk, hand, slots=slots, book_id=sale.book_id, sale_id=sale.id, by=by)
    if not isinstance(done, Refusal) and done.status is SaleStatus.CANCELLED:
        return TOP_UP_NOT_LOADED.refuse("card_id", reason=done.end_reason)
    return done
