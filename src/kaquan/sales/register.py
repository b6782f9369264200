"""The register of purchasers: what is personal of a purchase is sealed, shown only with a trace, and erased in time."""

from uuid import UUID

import msgspec

from kaquan.cards import Hand
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix
from kaquan.kit.outcomes import Refusal
from kaquan.parties.customers import Known
from kaquan.parties.trail import SYSTEM, Action, Actor, new_action
from kaquan.sales import store
from kaquan.sales.outcomes import missing
from kaquan.sales.types import (
    NewPayment,
    Payment,
    PaymentAccounts,
    Purchaser,
    Revealed,
    Sale,
    SaleKind,
)
from kaquan.vault import Keyring


def prefix_of(sale: Sale) -> Prefix:
    """How the id of a purchase begins."""
    return Prefix.SALE if sale.kind is SaleKind.SALE else Prefix.TOP_UP


def end_action(hand: Hand, before: Sale, after: Sale, by: Actor) -> Action:
    """The line of the trail that tells how far a purchase has come."""
    return new_action(
        hand.clock,
        hand.ids,
        book_id=before.book_id,
        by=by,
        kind=f"{before.kind}.{after.status}",
        prefix=prefix_of(before),
        subject_id=before.id,
        before={"status": before.status.value},
        after={"status": after.status.value, "paid_fen": after.paid_fen, "reason": after.end_reason},
    )


def seal_purchaser(keyring: Keyring, sale_id: UUID, *, buyer: Known | None, agent: Known | None) -> bytes:
    """Who buys, as they are known now: what becomes of the customer's own record does not change it."""
    who = Purchaser(buyer=None if buyer is None else buyer.personal, agent=None if agent is None else agent.personal)
    return keyring.seal(msgspec.json.encode(who), store.PURCHASER_PREFIX + sale_id.bytes)


def seal_accounts(keyring: Keyring, payment_id: UUID, new: NewPayment) -> bytes | None:
    """Both accounts of a payment, if any is named."""
    if new.payer is None and new.payee is None:
        return None
    accounts = PaymentAccounts(payment_id=payment_id, payer=new.payer, payee=new.payee)
    return keyring.seal(msgspec.json.encode(accounts), store.ACCOUNTS_PREFIX + payment_id.bytes)


def _open_accounts(keyring: Keyring, payment: Payment) -> PaymentAccounts:
    assert payment.accounts_sealed is not None
    clear = keyring.open(payment.accounts_sealed, store.ACCOUNTS_PREFIX + payment.id.bytes)
    return msgspec.json.decode(clear, type=PaymentAccounts)


async def reveal_purchaser(
    pool: Pool,
    keyring: Keyring,
    clock: Clock,
    ids: Ids,
    *,
    book_id: int,
    sale_id: UUID,
    reason: str,
    by: Actor,
) -> Revealed | Refusal:
    """What the register holds of a purchase in clear; the trail tells who saw it and why before it is out.

    Refused: ``not_found``, also when it was erased or nothing personal was ever asked for.
    """
    sale = await store.load_sale(pool, book_id=book_id, id_=sale_id)
    if sale is None:
        return missing("purchase")
    payments = await store.load_payments(pool, book_id=book_id, sale_id=sale_id)
    accounts = [payment for payment in payments if payment.accounts_sealed is not None]
    if sale.purchaser_sealed is None and not accounts:
        return missing("purchaser")
    action = new_action(
        clock,
        ids,
        book_id=book_id,
        by=by,
        kind="purchaser.revealed",
        prefix=prefix_of(sale),
        subject_id=sale.id,
        after={"reason": reason},
    )
    await store.post_together(pool, store.add_action(action))
    purchaser = Purchaser()
    if sale.purchaser_sealed is not None:
        clear = keyring.open(sale.purchaser_sealed, store.PURCHASER_PREFIX + sale.id.bytes)
        purchaser = msgspec.json.decode(clear, type=Purchaser)
    return Revealed(purchaser, [_open_accounts(keyring, payment) for payment in accounts])


async def erase_purchasers(pool: Pool, clock: Clock, ids: Ids) -> int:
    """Erase what is personal of purchases whose time of keeping is over; how many, in all books. For the worker."""
    erased, now = 0, clock.now()
    while due := await store.load_to_erase(pool, now=now):
        for book_id, id_ in due:
            sale = await store.load_sale(pool, book_id=book_id, id_=id_)
            assert sale is not None, "purchases are never removed"
            action = new_action(
                clock,
                ids,
                book_id=book_id,
                by=SYSTEM,
                kind="purchaser.erased",
                prefix=prefix_of(sale),
                subject_id=id_,
                before={"keep_until": sale.keep_until},
            )
            done = await store.post_together(
                pool, store.erase_purchaser(book_id=book_id, id_=id_, now=now), store.add_action(action)
            )
            erased += done is store.Posted.DONE
    return erased
