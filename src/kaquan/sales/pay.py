"""Record what was paid for a sale. The money itself came in elsewhere: here is its evidence, and no value moves."""

from datetime import datetime
from uuid import UUID

from msgspec.structs import replace

from kaquan.cards import check_going_on, get_programme
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.kit.outcomes import BUSY, Refusal
from kaquan.ledger import RequestKey
from kaquan.parties import get_issuer
from kaquan.parties.trail import Actor, new_action
from kaquan.sales import store
from kaquan.sales.check import check_payment, first_of
from kaquan.sales.create import MAX_PLANS, actor_name
from kaquan.sales.facts import People, facts_of
from kaquan.sales.law import line_facts
from kaquan.sales.outcomes import (
    IDEMPOTENCY_KEY_REUSED,
    PAYMENT_EXCEEDS_SALE,
    SALE_IN_REVIEW,
    SALE_STATUS_FORBIDS,
    invalid,
    missing,
)
from kaquan.sales.register import seal_accounts
from kaquan.sales.types import (
    MAX_PAYMENTS,
    DayFacts,
    NewPayment,
    Payment,
    Review,
    RulesOf,
    Sale,
    SaleFacts,
    SaleKind,
    SaleStatus,
    Tender,
    Terms,
)
from kaquan.vault import Keyring


async def pay_sale(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    keyring: Keyring,
    rules_of: RulesOf,
    *,
    book_id: int,
    sale_id: UUID,
    new: NewPayment,
    by: Actor,
    key: RequestKey,
) -> Sale | Refusal:
    """Record a payment, once for a key; one that pays the rest makes the sale paid, and it is delivered from then on.

    Refused: ``not_found``, ``sale_status_forbids``, ``sale_in_review``, ``payment_exceeds_sale``, ``invalid_field``,
    ``programme_stopped``, ``cash_refused``, ``credit_card_refused``, ``transfer_accounts_required``, ``busy``.
    """
    for _ in range(MAX_PLANS):
        sale = await store.load_sale(pool, book_id=book_id, id_=sale_id)
        if sale is None or sale.kind is not SaleKind.SALE:
            return missing("sale")
        for first in await store.load_payments(pool, book_id=book_id, key_hash=key.key_hash):
            if first.request_hash != key.request_hash:
                return IDEMPOTENCY_KEY_REUSED.refuse("Idempotency-Key")
            # as it is with this payment, which may have come after the sale was looked at
            return await store.load_sale(pool, book_id=book_id, id_=sale_id) or sale
        if sale.status is not SaleStatus.OPEN:
            return SALE_STATUS_FORBIDS.refuse("id", status=sale.status.value)
        if sale.review is Review.PENDING:
            return SALE_IN_REVIEW.refuse("id")
        left_fen = sale.due_fen - sale.paid_fen
        if new.amount_fen > left_fen:
            return PAYMENT_EXCEEDS_SALE.refuse("amount_fen", left_fen=left_fen)
        if len(await store.load_payments(pool, book_id=book_id, sale_id=sale_id)) >= MAX_PAYMENTS:
            return invalid("amount_fen", "must pay the rest at last", allowed_zh=f"付款次数已达 {MAX_PAYMENTS} 次上限")
        facts = await _facts(pool, sale, new, clock)
        if isinstance(facts, Refusal):
            return facts
        if (refused := first_of(check_payment(rules_of(book_id, sale.issuer_id), facts))) is not None:
            return refused
        at = clock.now()
        payment = make_payment(keyring, new, book_id=book_id, sale_id=sale_id, id_=ids.new(), by=by, key=key, at=at)
        is_paid = new.amount_fen == left_fen
        after = replace(
            sale,
            paid_fen=sale.paid_fen + new.amount_fen,
            status=SaleStatus.PAID if is_paid else SaleStatus.OPEN,
            paid_at=at if is_paid else None,
            version=sale.version + 1,
        )
        action = new_action(
            clock,
            ids,
            book_id=book_id,
            by=by,
            kind="sale.paid" if is_paid else "sale.paid_in_part",
            prefix=Prefix.SALE,
            subject_id=sale_id,
            before={"paid_fen": sale.paid_fen, "status": sale.status.value},
            after={
                "paid_fen": after.paid_fen,
                "status": after.status.value,
                "payment_id": show_id(Prefix.SALE_PAYMENT, payment.id),
                "method": payment.method.value,
            },
        )
        posted = await store.post_together(
            pool, store.change_sale(sale, after), store.add_payment(payment), store.add_action(action)
        )
        if posted is store.Posted.DONE:
            return after
    return BUSY.refuse()


def make_payment(
    keyring: Keyring,
    new: NewPayment,
    *,
    book_id: int,
    sale_id: UUID,
    id_: UUID,
    by: Actor,
    key: RequestKey,
    at: datetime,
) -> Payment:
    """A payment as it is written down, its accounts sealed."""
    return Payment(
        book_id=book_id,
        sale_id=sale_id,
        id=id_,
        method=new.method,
        amount_fen=new.amount_fen,
        accounts_sealed=seal_accounts(keyring, id_, new),
        payer_last4=None if new.payer is None else new.payer.account_number[-4:],
        reference=new.reference,
        made_by=actor_name(by),
        key_hash=key.key_hash,
        request_hash=key.request_hash,
        paid_at=at,
    )


def tender_of(new: NewPayment) -> Tender:
    """A payment as the rules look at it."""
    return Tender(new.method, new.payer is not None and new.payee is not None)


async def _facts(pool: Pool, sale: Sale, new: NewPayment, clock: Clock) -> SaleFacts | Refusal:
    """What a payment of a sale is judged on: the sale as it was made, on the day of the payment.

    Refused: ``programme_stopped``: its cards could not be activated any more.
    """
    at = clock.now()
    issuer = await get_issuer(pool, book_id=sale.book_id, id_=sale.issuer_id)
    assert not isinstance(issuer, Refusal), "issuers are never removed"
    lines = []
    for line in sale.lines:
        programme = await get_programme(pool, book_id=sale.book_id, programme_id=line.programme_id)
        assert not isinstance(programme, Refusal), "programmes are never removed"
        if (refused := check_going_on(programme, at, field="id")) is not None:
            return refused
        lines.append(
            line_facts(issuer, programme, card_count=line.card_count, face_fen=line.face_fen, price_fen=line.price_fen)
        )
    terms = Terms(buyer=sale.buyer, channel=sale.channel, contract_version=sale.contract_version)
    return facts_of(
        sale.kind, terms, issuer, tuple(lines), People(None, None), DayFacts(), at=at,
        tenders=(tender_of(new),),
    )  # fmt: skip
