"""``/v1/sales``, ``/v1/top-ups``"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

import msgspec
from litestar import Controller, get, post
from litestar.response import Response
from msgspec import Meta

from kaquan import sales
from kaquan.cards import UNUSABLE
from kaquan.cards.outcomes import FACE_VALUE_NOT_ALLOWED, FEE_NOT_AGREED, NUMBER_SPACE_TOO_SMALL, PROGRAMME_STOPPED
from kaquan.doors.http.answers import answer, answer_page
from kaquan.doors.http.cards import hand_of, press_of
from kaquan.doors.http.closing import AccountNumber
from kaquan.doors.http.customers import DocumentBody
from kaquan.doors.http.fields import (
    AmountFen,
    ApprovalId,
    BatchId,
    CardId,
    Code,
    Cursor,
    CustomerId,
    IssuerId,
    Name,
    ProgrammeId,
    Reason,
    Reference,
    SaleId,
    SalePaymentId,
    TopUpId,
    TransactionId,
    uuid_of,
)
from kaquan.doors.http.four_eyes import APPROVED, always_two, four_eyes
from kaquan.doors.http.once import answer_once
from kaquan.doors.http.operation import operation
from kaquan.doors.http.paging import ListQuery, after_id
from kaquan.doors.http.problems import problem_response
from kaquan.doors.http.reading import decode_body, read_body, read_bytes, read_path, read_query, same_fields
from kaquan.doors.http.request import ApiRequest, actor_of, app_of
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.money import MAX_FEN
from kaquan.kit.outcomes import BUSY, NOT_FOUND, Refusal
from kaquan.kit.paging import DEFAULT_LIMIT, MAX_LIMIT, Page, read_cursor
from kaquan.ledger import Answer, RequestKey
from kaquan.parties import Scope
from kaquan.parties.customers import Personal
from kaquan.parties.staff import ApprovalKind
from kaquan.policy import Buyer, Channel
from kaquan.sales import (
    DEFAULT_OPEN_S,
    MAX_LINES,
    MAX_OPEN_S,
    MAX_SALE_CARDS,
    Item,
    ItemStatus,
    PayMethod,
    Revealed,
    Review,
    Sale,
    SaleKind,
    SaleSearch,
    SaleShown,
    SaleStatus,
)
from kaquan.sales import outcomes as refused

S = TypeVar("S", bound=msgspec.Struct)

CardCount = Annotated[int, Meta(ge=1, le=MAX_SALE_CARDS)]
FeeFen = Annotated[int, Meta(ge=0, le=MAX_FEN)]


# --- requests


class LineFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Cards of one programme, each with ``face_fen`` on it for ``price_fen``; what is not paid of the face is given.

    ``fee_fen`` is paid beside it for each card: the ``issue_fen`` of its terms, named so that it is agreed to.

    Either ``card_ids``, or ``card_count`` cards of a finished batch or, without ``batch_id``, digital ones that are
    made for this sale.
    """

    programme_id: ProgrammeId
    face_fen: AmountFen
    price_fen: AmountFen
    card_ids: Annotated[list[CardId], Meta(max_length=MAX_SALE_CARDS)] = []
    batch_id: BatchId | None = None
    card_count: CardCount | None = None
    fee_fen: FeeFen = 0


class BuyerFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who buys: a customer, perhaps through an ``agent_id``; from some amounts on, and for registered cards always,
    they must be identified by a document. ``contract_version`` is what of the contract or charter they accepted."""

    buyer: Buyer = Buyer.PERSON
    channel: Channel = Channel.COUNTER
    customer_id: CustomerId | None = None
    agent_id: CustomerId | None = None
    contract_version: Code | None = None
    reference: Reference | None = None


class NewSale(BuyerFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Its cards are set aside until it is delivered or ends; it ends by itself if nothing is paid for
    ``expires_in_s`` seconds."""

    lines: Annotated[list[LineFields], Meta(min_length=1, max_length=MAX_LINES)]
    expires_in_s: Annotated[int, Meta(ge=60, le=MAX_OPEN_S)] = DEFAULT_OPEN_S


class AccountFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One side of a bank transfer."""

    account_name: Name
    account_number: AccountNumber
    bank_name: Name


class NewPayment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Money that was received. ``payer`` and ``payee`` are the accounts of a bank transfer."""

    method: PayMethod
    amount_fen: AmountFen
    payer: AccountFields | None = None
    payee: AccountFields | None = None
    reference: Reference | None = None


class Ending(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reason: Reason


class TakingBack(Ending, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``approval_id``: an operator needs another's approval of the ``reason`` from the price on that the issuer's rules
    name (``sale_refund_approval_from_fen``)."""

    approval_id: ApprovalId | None = None


class Clearing(Ending, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The approval (kind ``sale_review``) is of the ``reason``."""

    approval_id: ApprovalId | None = None


class Delivery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``retry``: also the cards that could not be delivered before."""

    retry: bool = True


class NewTopUp(BuyerFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``face_fen`` comes onto the card for the one payment; what is not paid of it is given. ``fee_fen`` of the payment
    is for the service: the ``load_fen`` of the card's terms, named so that it is agreed to."""

    card_id: CardId
    face_fen: AmountFen
    fee_fen: FeeFen = 0
    payment: NewPayment


class SaleQuery(ListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    status: SaleStatus | None = None
    customer_id: CustomerId | None = None
    card_id: CardId | None = None
    reference: Reference | None = None


class SaleCardQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    cursor: Cursor | None = None
    status: ItemStatus | None = None


# --- answers


class LineView(msgspec.Struct, frozen=True):
    """All amounts are of one card; ``fee_fen`` is paid beside the price."""

    programme_id: ProgrammeId
    batch_id: BatchId | None
    card_count: int
    face_fen: int
    price_fen: int
    fee_fen: int


class PurchaseView(msgspec.Struct, frozen=True, kw_only=True):
    """``real_name_rule`` is why the buyer had to be identified; ``alerts`` are advisory rules that would have asked for
    more. What is to be paid is ``price_fen`` and ``fee_fen``. What is personal of the purchase is kept until
    ``keep_until``."""

    status: SaleStatus
    issuer_id: IssuerId
    currency: str
    channel: Channel
    buyer: Buyer
    customer_id: CustomerId | None
    agent_id: CustomerId | None
    contract_version: str | None
    reference: str | None
    lines: list[LineView]
    card_count: int
    face_fen: int
    price_fen: int
    fee_fen: int
    paid_fen: int
    real_name_rule: str | None
    alerts: list[str]
    review: Review | None
    keep_until: datetime | None
    created_at: datetime
    expires_at: datetime | None
    paid_at: datetime | None
    delivered_at: datetime | None
    ended_at: datetime | None
    end_reason: str | None


class SaleView(PurchaseView, frozen=True, kw_only=True):
    id: SaleId


class TopUpView(PurchaseView, frozen=True, kw_only=True):
    id: TopUpId


class PaymentView(msgspec.Struct, frozen=True):
    """The accounts are revealed by their own address only."""

    id: SalePaymentId
    method: PayMethod
    amount_fen: int
    payer_masked: str | None
    reference: str | None
    paid_at: datetime


class CardCounts(msgspec.Struct, frozen=True):
    """How many cards of a sale are in each status."""

    reserved: int = 0
    failed: int = 0
    delivered: int = 0
    refunded: int = 0
    released: int = 0


class SaleDetailView(SaleView, frozen=True, kw_only=True):
    payments: list[PaymentView]
    cards: CardCounts


class TopUpDetailView(TopUpView, frozen=True, kw_only=True):
    payments: list[PaymentView]


class SaleCardView(msgspec.Struct, frozen=True):
    """``load_id`` is the load that its face became, ``refund_id`` the transaction that took it back."""

    card_id: CardId
    line: int
    face_fen: int
    price_fen: int
    status: ItemStatus
    failure: str | None
    load_id: TransactionId | None
    refund_id: TransactionId | None
    delivered_at: datetime | None


class PersonView(msgspec.Struct, frozen=True):
    name: str | None
    phone: str | None
    document: DocumentBody | None


class PaymentAccountsView(msgspec.Struct, frozen=True):
    payment_id: SalePaymentId
    payer: AccountFields | None
    payee: AccountFields | None


class PurchaserView(msgspec.Struct, frozen=True):
    """What the register holds of a purchase, in clear: who bought as they were known then."""

    buyer: PersonView | None
    agent: PersonView | None
    accounts: list[PaymentAccountsView]


def _show(prefix: Prefix, id_: UUID | None) -> str | None:
    return None if id_ is None else show_id(prefix, id_)


_SAME = (
    "status", "currency", "channel", "buyer", "contract_version", "reference", "card_count", "face_fen", "price_fen",
    "fee_fen", "paid_fen", "real_name_rule", "review", "keep_until", "created_at", "expires_at", "paid_at",
    "delivered_at", "ended_at", "end_reason",
)  # fmt: skip


def _purchase(sale: Sale) -> dict[str, Any]:
    return {
        **{name: getattr(sale, name) for name in _SAME},
        "id": show_id(Prefix.SALE if sale.kind is SaleKind.SALE else Prefix.TOP_UP, sale.id),
        "issuer_id": show_id(Prefix.ISSUER, sale.issuer_id),
        "customer_id": _show(Prefix.CUSTOMER, sale.customer_id),
        "agent_id": _show(Prefix.CUSTOMER, sale.agent_id),
        "alerts": list(sale.alerts),
        "lines": [
            LineView(
                programme_id=show_id(Prefix.PROGRAMME, line.programme_id),
                batch_id=_show(Prefix.BATCH, line.batch_id),
                card_count=line.card_count,
                face_fen=line.face_fen,
                price_fen=line.price_fen,
                fee_fen=line.fee_fen,
            )
            for line in sale.lines
        ],
    }


def show_sale(sale: Sale) -> SaleView:
    return SaleView(**_purchase(sale))


def show_top_up(sale: Sale) -> TopUpView:
    return TopUpView(**_purchase(sale))


def _show_payments(shown: SaleShown) -> list[PaymentView]:
    return [
        PaymentView(
            id=show_id(Prefix.SALE_PAYMENT, one.id),
            method=one.method,
            amount_fen=one.amount_fen,
            payer_masked=None if one.payer_last4 is None else f"**** {one.payer_last4}",
            reference=one.reference,
            paid_at=one.paid_at,
        )
        for one in shown.payments
    ]


def show_sale_detail(shown: SaleShown) -> SaleDetailView:
    counts = CardCounts(**{status.value: count for status, count in shown.items.items()})
    return SaleDetailView(**_purchase(shown.sale), payments=_show_payments(shown), cards=counts)


def show_top_up_detail(shown: SaleShown) -> TopUpDetailView:
    return TopUpDetailView(**_purchase(shown.sale), payments=_show_payments(shown))


def show_item(item: Item) -> SaleCardView:
    return SaleCardView(
        card_id=show_id(Prefix.CARD, item.card_id),
        line=item.line,
        face_fen=item.face_fen,
        price_fen=item.price_fen,
        status=item.status,
        failure=item.failure,
        load_id=_show(Prefix.TRANSACTION, item.load_id),
        refund_id=_show(Prefix.TRANSACTION, item.refund_id),
        delivered_at=item.delivered_at,
    )


def _show_person(who: Personal | None) -> PersonView | None:
    if who is None:
        return None
    document = None if who.document is None else DocumentBody(kind=who.document.kind, number=who.document.number)
    return PersonView(who.name, who.phone, document)


def _show_account(account: sales.BankAccount | None) -> AccountFields | None:
    return None if account is None else same_fields(account, AccountFields)


def show_purchaser(revealed: Revealed) -> PurchaserView:
    return PurchaserView(
        buyer=_show_person(revealed.purchaser.buyer),
        agent=_show_person(revealed.purchaser.agent),
        accounts=[
            PaymentAccountsView(
                show_id(Prefix.SALE_PAYMENT, one.payment_id), _show_account(one.payer), _show_account(one.payee)
            )
            for one in revealed.accounts
        ],
    )


# --- reading


def _buyer_of(asked: BuyerFields) -> dict[str, Any]:
    return {
        "buyer": asked.buyer,
        "channel": asked.channel,
        "customer_id": None if asked.customer_id is None else uuid_of(asked.customer_id),
        "agent_id": None if asked.agent_id is None else uuid_of(asked.agent_id),
        "contract_version": asked.contract_version,
        "reference": asked.reference,
    }


def _payment_of(asked: NewPayment) -> sales.NewPayment:
    return sales.NewPayment(
        method=asked.method,
        amount_fen=asked.amount_fen,
        payer=None if asked.payer is None else same_fields(asked.payer, sales.BankAccount),
        payee=None if asked.payee is None else same_fields(asked.payee, sales.BankAccount),
        reference=asked.reference,
    )


def _line_of(asked: LineFields) -> sales.NewLine:
    return sales.NewLine(
        programme_id=uuid_of(asked.programme_id),
        face_fen=asked.face_fen,
        price_fen=asked.price_fen,
        card_ids=tuple(map(uuid_of, asked.card_ids)),
        batch_id=None if asked.batch_id is None else uuid_of(asked.batch_id),
        card_count=asked.card_count,
        fee_fen=asked.fee_fen,
    )


_encode = msgspec.json.Encoder().encode


async def _once(
    request: ApiRequest,
    type_: type[S],
    near: Callable[[S], UUID],
    work: Callable[[S, RequestKey], Awaitable[Sale | Refusal]],
    *,
    show: Callable[[Sale], msgspec.Struct] = show_sale,
    status: int = 200,
) -> Response[bytes]:
    """Read the body, and do ``work`` once under the request's key, which lives with what ``near`` names."""
    body = await read_bytes(request)
    asked = decode_body(body, type_)
    # what was decided is held against the rules of this moment
    await app_of(request).policy.refresh()

    async def done(key: RequestKey) -> Answer | Refusal:
        result = await work(asked, key)
        return result if isinstance(result, Refusal) else Answer(status, _encode(show(result)))

    return await answer_once(request, body, near=near(asked), work=done)


def _search(query: SaleQuery, kind: SaleKind) -> SaleSearch:
    return SaleSearch(
        limit=query.limit,
        after_id=after_id(query),
        created_after=query.created_after,
        created_before=query.created_before,
        kind=kind,
        status=query.status,
        customer_id=None if query.customer_id is None else uuid_of(query.customer_id),
        card_id=None if query.card_id is None else uuid_of(query.card_id),
        reference=query.reference,
    )


_RULES = [
    FEE_NOT_AGREED,
    refused.REBATE_TOO_HIGH,
    refused.CARD_CAP_EXCEEDED,
    refused.REAL_NAME_REQUIRED,
    refused.CONTRACT_REQUIRED,
    refused.BUYER_LISTED,
    refused.BUYER_LIST_UNREADABLE,
]
_MONEY = [refused.CASH_REFUSED, refused.CREDIT_CARD_REFUSED, refused.TRANSFER_ACCOUNTS_REQUIRED]


def _refusals(*others: Any) -> Sequence[Any]:
    return [NOT_FOUND, BUSY, *others]


class SaleController(Controller):
    path = "/v1/sales"
    tags = ("sales",)

    @post(
        **operation(
            Scope.SALES_WRITE,
            body=NewSale,
            answer=SaleView,
            status=201,
            refusals=_refusals(
                FACE_VALUE_NOT_ALLOWED,
                NUMBER_SPACE_TOO_SMALL,
                PROGRAMME_STOPPED,
                refused.CARD_NOT_FOR_SALE,
                refused.NOT_ENOUGH_CARDS,
                refused.SALE_STATUS_FORBIDS,
                *_RULES,
            ),
            takes_key=True,
        )
    )
    async def create_sale(self, request: ApiRequest) -> Response[bytes]:
        """Make a sale: its cards are set aside until it is paid."""
        app = app_of(request)

        async def work(asked: NewSale, key: RequestKey) -> Sale | Refusal:
            new = sales.NewSale(
                **_buyer_of(asked), lines=tuple(map(_line_of, asked.lines)), expires_in_s=asked.expires_in_s
            )
            return await sales.create_sale(
                app.pool,
                press_of(app),
                app.clock,
                app.ids,
                app.keyring,
                app.policy.rules,
                book_id=request.user.book_id,
                new=new,
                by=actor_of(request),
                key=key,
            )

        return await _once(request, NewSale, lambda asked: uuid_of(asked.lines[0].programme_id), work, status=201)

    @get(**operation(Scope.SALES_READ, query=SaleQuery, answer=Page[SaleView]))
    async def list_sales(self, request: ApiRequest) -> Response[bytes]:
        """List sales, the newest first."""
        app = app_of(request)
        search = _search(read_query(request, SaleQuery), SaleKind.SALE)
        page = await sales.list_sales(app.pool, book_id=request.user.book_id, slots=app.slots, search=search)
        return answer_page(page, show_sale)

    @get(
        "/{id:str}",
        **operation(Scope.SALES_READ, path={"id": SaleId}, answer=SaleDetailView, refusals=[NOT_FOUND]),
    )
    async def get_sale(self, request: ApiRequest) -> Response[bytes]:
        """Get a sale with what was paid for it and the state of its cards."""
        found = await sales.get_sale(app_of(request).pool, **_about(request), kind=SaleKind.SALE)
        return answer(found, show_sale_detail)

    @get(
        "/{id:str}/cards",
        **operation(
            Scope.SALES_READ,
            path={"id": SaleId},
            query=SaleCardQuery,
            answer=Page[SaleCardView],
            refusals=[NOT_FOUND],
        ),
    )
    async def list_sale_cards(self, request: ApiRequest) -> Response[bytes]:
        """List the cards of a sale, the newest first."""
        query = read_query(request, SaleCardQuery)
        page = await sales.list_sale_cards(
            app_of(request).pool,
            **_about(request),
            status=query.status,
            after_id=None if query.cursor is None else read_cursor(query.cursor),
            limit=query.limit,
        )
        return problem_response(page) if isinstance(page, Refusal) else answer_page(page, show_item)

    @post(
        "/{id:str}/payments",
        **operation(
            Scope.SALES_WRITE,
            path={"id": SaleId},
            body=NewPayment,
            answer=SaleView,
            status=201,
            refusals=_refusals(
                refused.SALE_STATUS_FORBIDS,
                refused.SALE_IN_REVIEW,
                PROGRAMME_STOPPED,
                refused.PAYMENT_EXCEEDS_SALE,
                *_MONEY,
            ),
            takes_key=True,
        ),
    )
    async def pay_sale(self, request: ApiRequest) -> Response[bytes]:
        """Record money that was received for a sale. Once it is paid in full its cards are delivered within seconds."""
        app, about = app_of(request), _about(request)

        async def work(asked: NewPayment, key: RequestKey) -> Sale | Refusal:
            return await sales.pay_sale(
                app.pool,
                app.clock,
                app.ids,
                app.keyring,
                app.policy.rules,
                book_id=about["book_id"],
                sale_id=about["sale_id"],
                new=_payment_of(asked),
                by=actor_of(request),
                key=key,
            )

        return await _once(request, NewPayment, lambda _: _sale_id(request), work, status=201)

    @post(
        "/{id:str}/deliver",
        **operation(
            Scope.SALES_WRITE,
            path={"id": SaleId},
            body=Delivery,
            answer=SaleView,
            refusals=_refusals(refused.SALE_STATUS_FORBIDS),
            takes_key=True,
        ),
    )
    async def deliver_sale(self, request: ApiRequest) -> Response[bytes]:
        """Activate and load the cards of a paid sale now; it stays paid while one could not be delivered."""
        app = app_of(request)

        async def work(asked: Delivery, _: RequestKey) -> Sale | Refusal:
            return await sales.deliver_sale(
                app.pool, app.desk, hand_of(request), **_about(request), by=actor_of(request), retry=asked.retry
            )

        return await _once(request, Delivery, lambda _: _sale_id(request), work)

    @post(
        "/{id:str}/cancel",
        **operation(
            Scope.SALES_WRITE,
            path={"id": SaleId},
            body=Ending,
            answer=SaleView,
            refusals=_refusals(refused.SALE_STATUS_FORBIDS),
            takes_key=True,
        ),
    )
    async def cancel_sale(self, request: ApiRequest) -> Response[bytes]:
        """Give up a sale that is not paid in full; its cards may be sold again."""
        app = app_of(request)

        async def work(asked: Ending, key: RequestKey) -> Sale | Refusal:
            return await sales.cancel_sale(
                app.pool, hand_of(request), **_about(request), reason=asked.reason, by=actor_of(request), key=key
            )

        return await _once(request, Ending, lambda _: _sale_id(request), work)

    @post(
        "/{id:str}/clear",
        **operation(
            Scope.SALES_REFUND,
            path={"id": SaleId},
            body=Clearing,
            answer=SaleView,
            refusals=[NOT_FOUND, BUSY, refused.SALE_NOT_IN_REVIEW, *APPROVED],
        ),
    )
    async def clear_sale(self, request: ApiRequest) -> Response[bytes]:
        """Let a sale go on whose buyer is on a list that asks for a look, as another operator approved."""
        app, subject = app_of(request), read_path(request, SaleId)
        asked = await read_body(request, Clearing)
        approve = always_two(
            request,
            kind=ApprovalKind.SALE_REVIEW,
            subject=subject,
            payload={"reason": asked.reason},
            approval_id=asked.approval_id,
        )
        if isinstance(approve, Refusal):
            return problem_response(approve)
        done = await sales.clear_sale(
            app.pool,
            hand_of(request),
            book_id=request.user.book_id,
            sale_id=uuid_of(subject),
            approve=approve,
            by=actor_of(request),
        )
        return answer(done, show_sale)

    @post(
        "/{id:str}/refund",
        **operation(
            Scope.SALES_REFUND,
            path={"id": SaleId},
            body=TakingBack,
            answer=SaleView,
            refusals=_refusals(refused.SALE_STATUS_FORBIDS, refused.SALE_CARD_USED, *APPROVED),
            takes_key=True,
        ),
    )
    async def refund_sale(self, request: ApiRequest) -> Response[bytes]:
        """Take a sale back whole: its cards, none of which was used, are closed for ever and empty."""
        app = app_of(request)

        async def work(asked: TakingBack, key: RequestKey) -> Sale | Refusal:
            return await sales.refund_sale(
                app.pool,
                hand_of(request),
                **_about(request),
                reason=asked.reason,
                by=actor_of(request),
                key=key,
                rules_of=app.policy.rules,
                approve=four_eyes(
                    request,
                    kind=ApprovalKind.SALE_REFUND,
                    subject=read_path(request, SaleId),
                    payload={"reason": asked.reason},
                    approval_id=asked.approval_id,
                ),
            )

        return await _once(request, TakingBack, lambda _: _sale_id(request), work)

    @post(
        "/{id:str}/purchaser",
        **operation(
            Scope.CUSTOMERS_REVEAL, path={"id": SaleId}, body=Ending, answer=PurchaserView, refusals=[NOT_FOUND]
        ),
    )
    async def reveal_purchaser(self, request: ApiRequest) -> Response[bytes]:
        """Reveal who bought and the accounts of the payments; the audit trail says who asked and why."""
        return await _reveal(request)


class TopUpController(Controller):
    path = "/v1/top-ups"
    tags = ("sales",)

    @post(
        **operation(
            Scope.SALES_WRITE,
            body=NewTopUp,
            answer=TopUpView,
            status=201,
            refusals=_refusals(
                *UNUSABLE.values(),
                PROGRAMME_STOPPED,
                refused.TOP_UP_NOT_LOADED,
                refused.SALE_IN_REVIEW,
                *_RULES,
                *_MONEY,
            ),
            takes_key=True,
        )
    )
    async def top_up(self, request: ApiRequest) -> Response[bytes]:
        """Load a card against a payment, judged like a sale and kept in the same register."""
        app = app_of(request)

        async def work(asked: NewTopUp, key: RequestKey) -> Sale | Refusal:
            new = sales.NewTopUp(
                **_buyer_of(asked),
                card_id=uuid_of(asked.card_id),
                face_fen=asked.face_fen,
                payment=_payment_of(asked.payment),
                fee_fen=asked.fee_fen,
            )
            return await sales.top_up(
                app.pool,
                app.desk,
                hand_of(request),
                app.keyring,
                app.policy.rules,
                slots=app.slots,
                book_id=request.user.book_id,
                new=new,
                by=actor_of(request),
                key=key,
            )

        return await _once(request, NewTopUp, lambda asked: uuid_of(asked.card_id), work, show=show_top_up, status=201)

    @get(**operation(Scope.SALES_READ, query=SaleQuery, answer=Page[TopUpView]))
    async def list_top_ups(self, request: ApiRequest) -> Response[bytes]:
        """List top-ups, the newest first."""
        app = app_of(request)
        search = _search(read_query(request, SaleQuery), SaleKind.TOP_UP)
        page = await sales.list_sales(app.pool, book_id=request.user.book_id, slots=app.slots, search=search)
        return answer_page(page, show_top_up)

    @get(
        "/{id:str}",
        **operation(Scope.SALES_READ, path={"id": TopUpId}, answer=TopUpDetailView, refusals=[NOT_FOUND]),
    )
    async def get_top_up(self, request: ApiRequest) -> Response[bytes]:
        """Get a top-up with its payment."""
        found = await sales.get_sale(app_of(request).pool, **_about(request, TopUpId), kind=SaleKind.TOP_UP)
        return answer(found, show_top_up_detail)

    @post(
        "/{id:str}/purchaser",
        **operation(
            Scope.CUSTOMERS_REVEAL, path={"id": TopUpId}, body=Ending, answer=PurchaserView, refusals=[NOT_FOUND]
        ),
    )
    async def reveal_top_up_purchaser(self, request: ApiRequest) -> Response[bytes]:
        """Reveal who topped up and the accounts of the payment; the audit trail says who asked and why."""
        return await _reveal(request, TopUpId)


def _sale_id(request: ApiRequest, type_: Any = SaleId) -> UUID:
    return uuid_of(read_path(request, type_))


def _about(request: ApiRequest, type_: Any = SaleId) -> dict[str, Any]:
    return {
        "book_id": request.user.book_id,
        "slots": app_of(request).slots,
        "sale_id": _sale_id(request, type_),
    }


async def _reveal(request: ApiRequest, type_: Any = SaleId) -> Response[bytes]:
    app = app_of(request)
    sale_id = _sale_id(request, type_)
    asked = await read_body(request, Ending)
    shown = await sales.reveal_purchaser(
        app.pool,
        app.keyring,
        app.clock,
        app.ids,
        book_id=request.user.book_id,
        sale_id=sale_id,
        reason=asked.reason,
        by=actor_of(request),
    )
    return answer(shown, show_purchaser)


SALE_CONTROLLERS: list[type[Controller]] = [SaleController, TopUpController]
