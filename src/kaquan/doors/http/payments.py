"""``GET /v1/purchases``, ``/v1/authorizations``, ``/v1/refunds``, ``/v1/loads``; their POSTs are in ``money.py``."""

from litestar import Controller, get
from litestar.response import Response

from kaquan import payments
from kaquan.doors.http.answers import answer, answer_page
from kaquan.doors.http.fields import CardId, MerchantId, Reference, StoreId, TerminalId, TransactionId, uuid_of
from kaquan.doors.http.money import PaymentView, payment_view
from kaquan.doors.http.operation import operation
from kaquan.doors.http.paging import ListQuery, after_id
from kaquan.doors.http.reading import read_path, read_query
from kaquan.doors.http.request import ApiRequest, app_of
from kaquan.kit.outcomes import NOT_FOUND, Refusal
from kaquan.kit.paging import Page
from kaquan.parties import Scope
from kaquan.payments import PaymentKind, PaymentSearch, PaymentStatus


class PaymentQuery(ListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    card_id: CardId | None = None
    merchant_id: MerchantId | None = None
    store_id: StoreId | None = None
    terminal_id: TerminalId | None = None
    status: PaymentStatus | None = None
    reference: Reference | None = None


class RefundQuery(PaymentQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``payment_id`` is the payment that was given back."""

    payment_id: TransactionId | None = None


async def _list(request: ApiRequest, kind: PaymentKind, query: PaymentQuery) -> Response[bytes]:
    search = PaymentSearch(
        limit=query.limit,
        after_id=after_id(query),
        created_after=query.created_after,
        created_before=query.created_before,
        card_id=uuid_of(query.card_id) if query.card_id else None,
        merchant_id=uuid_of(query.merchant_id) if query.merchant_id else None,
        store_id=uuid_of(query.store_id) if query.store_id else None,
        terminal_id=uuid_of(query.terminal_id) if query.terminal_id else None,
        original_id=uuid_of(query.payment_id) if isinstance(query, RefundQuery) and query.payment_id else None,
        status=query.status,
        reference=query.reference,
    )
    app = app_of(request)
    page = await payments.list_payments(
        app.pool, book_id=request.user.book_id, slots=app.slots, kind=kind, search=search
    )
    return answer_page(page, payment_view)


async def _get(request: ApiRequest, kind: PaymentKind) -> Response[bytes]:
    app = app_of(request)
    found = await payments.get_payment(
        app.pool,
        book_id=request.user.book_id,
        slots=app.slots,
        kind=kind,
        payment_id=uuid_of(read_path(request, TransactionId)),
    )
    if isinstance(found, Refusal):
        return answer(found, payment_view)
    kept = await payments.get_pricing(app.pool, slots=app.slots, payment_id=found.id)
    return answer(found, lambda one: payment_view(one, kept=kept))


_LIST = operation(Scope.PAYMENTS_READ, query=PaymentQuery, answer=Page[PaymentView])
_GET = operation(Scope.PAYMENTS_READ, path={"id": TransactionId}, answer=PaymentView, refusals=[NOT_FOUND])


class PurchaseController(Controller):
    path = "/v1/purchases"
    tags = ("payments",)

    @get(**_LIST)
    async def list_purchases(self, request: ApiRequest) -> Response[bytes]:
        """List purchases, the newest first."""
        return await _list(request, PaymentKind.PURCHASE, read_query(request, PaymentQuery))

    @get("/{id:str}", **_GET)
    async def get_purchase(self, request: ApiRequest) -> Response[bytes]:
        """Get a purchase as it stands."""
        return await _get(request, PaymentKind.PURCHASE)


class AuthorizationController(Controller):
    path = "/v1/authorizations"
    tags = ("payments",)

    @get(**_LIST)
    async def list_authorizations(self, request: ApiRequest) -> Response[bytes]:
        """List authorizations, the newest first."""
        return await _list(request, PaymentKind.AUTHORIZATION, read_query(request, PaymentQuery))

    @get("/{id:str}", **_GET)
    async def get_authorization(self, request: ApiRequest) -> Response[bytes]:
        """Get an authorization as it stands."""
        return await _get(request, PaymentKind.AUTHORIZATION)


class RefundController(Controller):
    path = "/v1/refunds"
    tags = ("payments",)

    @get(**operation(Scope.PAYMENTS_READ, query=RefundQuery, answer=Page[PaymentView]))
    async def list_refunds(self, request: ApiRequest) -> Response[bytes]:
        """List refunds, the newest first."""
        return await _list(request, PaymentKind.REFUND, read_query(request, RefundQuery))

    @get("/{id:str}", **_GET)
    async def get_refund(self, request: ApiRequest) -> Response[bytes]:
        """Get a refund."""
        return await _get(request, PaymentKind.REFUND)


class LoadController(Controller):
    path = "/v1/loads"
    tags = ("payments",)

    @get(**_LIST)
    async def list_loads(self, request: ApiRequest) -> Response[bytes]:
        """List loads, the newest first."""
        return await _list(request, PaymentKind.LOAD, read_query(request, PaymentQuery))

    @get("/{id:str}", **_GET)
    async def get_load(self, request: ApiRequest) -> Response[bytes]:
        """Get a load."""
        return await _get(request, PaymentKind.LOAD)


PAYMENT_CONTROLLERS: list[type[Controller]] = [
    PurchaseController,
    AuthorizationController,
    RefundController,
    LoadController,
]
