"""``/v1/programmes/{id}/closing-terms``, the end of a card under ``/v1/cards/{id}``, ``/v1/payouts``"""

from collections.abc import Awaitable, Callable
from datetime import date, datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

import msgspec
from litestar import Controller, get, post, put
from litestar.response import Response
from msgspec import Meta

from kaquan import closing
from kaquan.cards import UNUSABLE, Pocket
from kaquan.cards.outcomes import CARD_IN_SALE
from kaquan.closing import (
    Cause,
    Closed,
    Extended,
    Figure,
    LotHeld,
    LotName,
    Payee,
    Payout,
    PayoutMethod,
    PayoutSearch,
    PayoutStatus,
    RefundAsk,
    RefundQuote,
    Released,
    Terms,
    print_quote,
)
from kaquan.closing import outcomes as refused
from kaquan.closing.terms import MAX_DORMANT_MONTHS, MAX_REMIND_DAYS, MAX_REMINDERS
from kaquan.doors.http.answers import answer, answer_page
from kaquan.doors.http.fields import (
    AmountFen,
    ApprovalId,
    CardId,
    Name,
    PayoutId,
    ProgrammeId,
    Reason,
    Reference,
    TransactionId,
    uuid_of,
)
from kaquan.doors.http.four_eyes import APPROVED, always_two, four_eyes, payload_of
from kaquan.doors.http.once import answer_once
from kaquan.doors.http.operation import operation
from kaquan.doors.http.paging import ListQuery, after_id
from kaquan.doors.http.problems import problem_response
from kaquan.doors.http.reading import decode_body, read_body, read_bytes, read_path, read_query
from kaquan.doors.http.request import ApiRequest, actor_of, app_of
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.money import MAX_FEN
from kaquan.kit.outcomes import BUSY, NOT_FOUND, Refusal
from kaquan.kit.paging import Page
from kaquan.ledger import Answer, RequestKey
from kaquan.parties import Scope
from kaquan.parties.outcomes import FOUR_EYES
from kaquan.parties.staff import ApprovalKind

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)

MAX_VALUES = 64
MAX_DISCOUNTS = 64
MAX_LOTS = 64

Day = Annotated[date, Meta(description="a day such as 2026-01-31", extra={"zh": "日期，例如 2026-01-31"})]
Hash = Annotated[
    str,
    Meta(
        pattern=r"^[0-9a-f]{64}$(?!\n)",
        description="64 lower-case hexadecimal digits",
        extra={"zh": " 64 位小写十六进制数字"},
    ),
]
AccountNumber = Annotated[
    str,
    Meta(pattern=r"^[0-9A-Z-]{4,34}$(?!\n)", description="4 to 34 digits and capital letters",
         extra={"zh": " 4 到 34 位数字或大写字母"}),
]  # fmt: skip
PartFen = Annotated[int, Meta(ge=0, le=MAX_FEN)]


# --- terms


class FigureFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One named value of the refund rules, with where it stands."""

    name: Name
    value: Annotated[int, Meta(ge=0, le=MAX_FEN)] | Name
    rule_id: Reference
    source: Name


class ClosingTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a programme says of the end of its value; what is left out is as if it was never set.

    ``remind_days``: so many days before a lot ends a notice is written. ``dormant_months``: a card with value that has
    not moved for so long is dormant. ``refund_values`` make the rules of its refunds.
    """

    remind_days: Annotated[list[Annotated[int, Meta(ge=1, le=MAX_REMIND_DAYS)]], Meta(max_length=MAX_REMINDERS)] = []
    dormant_months: Annotated[int, Meta(ge=1, le=MAX_DORMANT_MONTHS)] | None = None
    refund_values: Annotated[list[FigureFields], Meta(max_length=MAX_VALUES)] = []


class NewClosingTerms(ClosingTerms, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An operator needs an approval of the kind ``closing_terms`` for the programme, with the terms as payload."""

    approval_id: ApprovalId | None = None


def show_terms(terms: Terms) -> ClosingTerms:
    return ClosingTerms(
        remind_days=sorted(terms.remind_days, reverse=True),
        dormant_months=terms.dormant_months,
        refund_values=[
            FigureFields(name=one.name, value=one.value, rule_id=one.rule_id, source=one.source)
            for one in terms.refund_values
        ],
    )


class ClosingTermsController(Controller):
    path = "/v1/programmes"
    tags = ("closing",)

    @get(
        "/{id:str}/closing-terms",
        **operation(Scope.PROGRAMMES_READ, path={"id": ProgrammeId}, answer=ClosingTerms, refusals=[NOT_FOUND]),
    )
    async def get_closing_terms(self, request: ApiRequest) -> Response[bytes]:
        """Get what a programme says of the end of its value."""
        id_ = uuid_of(read_path(request, ProgrammeId))
        found = await closing.get_terms(app_of(request).pool, book_id=request.user.book_id, programme_id=id_)
        return answer(found, show_terms)

    @put(
        "/{id:str}/closing-terms",
        **operation(
            Scope.PROGRAMMES_WRITE,
            path={"id": ProgrammeId},
            body=NewClosingTerms,
            answer=ClosingTerms,
            refusals=[NOT_FOUND, *APPROVED, BUSY],
        ),
    )
    async def set_closing_terms(self, request: ApiRequest) -> Response[bytes]:
        """Set what a programme says of the end of its value: reminders, dormancy, refund rules."""
        id_ = read_path(request, ProgrammeId)
        body = await read_bytes(request)
        asked = decode_body(body, NewClosingTerms)
        approve = four_eyes(
            request,
            kind=ApprovalKind.CLOSING_TERMS,
            subject=id_,
            payload=payload_of(body),
            approval_id=asked.approval_id,
        )
        if isinstance(approve, Refusal):
            return problem_response(approve)
        app = app_of(request)
        terms = Terms(
            remind_days=tuple(asked.remind_days),
            dormant_months=asked.dormant_months,
            refund_values=tuple(Figure(one.name, one.value, one.rule_id, one.source) for one in asked.refund_values),
        )
        done = await closing.set_terms(
            app.pool,
            app.clock,
            app.ids,
            app.policy,
            book_id=request.user.book_id,
            programme_id=uuid_of(id_),
            terms=terms,
            by=actor_of(request),
            approve=approve,
        )
        return answer(done, show_terms)


# --- quotes and closings


class DiscountFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much more what was bought from a load would have cost at list price."""

    load_id: TransactionId
    discount_fen: AmountFen


class QuoteRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a card is to be closed, and what the formula needs to know. Days are days in the issuer's zone.

    Without ``requested_on`` the holder asks today. With ``ended_on``, the day on which the contract ended, the refund
    bears interest from there. ``costs_fen`` and ``goods_fen`` are deducted; ``custody_fen`` lies in custody.
    """

    cause: Cause
    requested_on: Day | None = None
    ended_on: Day | None = None
    had_before: bool = False
    custody_fen: PartFen = 0
    costs_fen: PartFen = 0
    goods_fen: PartFen = 0
    discounts: Annotated[list[DiscountFields], Meta(max_length=MAX_DISCOUNTS)] = []


class PayeeFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is paid. ``holder_name`` is the name on the document that the holder showed; the account of a transfer is in
    the same name."""

    method: PayoutMethod
    holder_name: Name
    account_name: Name | None = None
    account_number: AccountNumber | None = None
    bank_name: Name | None = None


class CloseRequest(QuoteRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The quote again, with its hash, which the holder agreed to, and the payee where something is due.

    Where the issuer keeps some of what was paid, an operator needs an approval of the kind ``closing`` for the card,
    with the other fields but ``payee`` as payload: who is paid is confirmed when the payout is.
    """

    quote_hash: Hash
    payee: PayeeFields | None = None
    approval_id: ApprovalId | None = None


class LineView(msgspec.Struct, frozen=True):
    """One term of the formula; ``unit`` is fen, days or date."""

    name: str
    load_id: TransactionId | None
    label: str
    label_zh: str
    expression: str
    value: int | str
    unit: str
    rule_id: str | None
    source: str | None


class LoadRefundView(msgspec.Struct, frozen=True):
    load_id: TransactionId
    cause: Cause
    refund_fen: int
    interest_fen: int


class QuoteView(msgspec.Struct, frozen=True):
    """A refund with its formula, term by term and printed. ``quote_hash`` is what closing asks for."""

    cause: Cause
    requested_on: date
    as_of: date
    amount_fen: int
    principal_fen: int
    interest_fen: int
    loads: list[LoadRefundView]
    lines: list[LineView]
    formula: str
    formula_zh: str
    quote_hash: Hash


class PayoutView(msgspec.Struct, frozen=True):
    """An instruction to pay a refund out; the payee is revealed by its own address only."""

    id: PayoutId
    card_id: CardId
    transaction_id: TransactionId
    method: PayoutMethod
    currency: str
    amount_fen: int
    account_masked: str | None
    due_on: date | None
    status: PayoutStatus
    payment_reference: str | None
    failure: str | None
    paid_transaction_id: TransactionId | None
    created_at: datetime
    changed_at: datetime


class ClosureView(msgspec.Struct, frozen=True):
    """How a card was closed. Without a transaction it held nothing and is due nothing."""

    card_id: CardId
    transaction_id: TransactionId | None
    quote: QuoteView
    payout: PayoutView | None
    closed_at: datetime


def show_quote(quote: RefundQuote) -> QuoteView:
    return QuoteView(
        cause=quote.cause,
        requested_on=quote.requested_on,
        as_of=quote.as_of,
        amount_fen=quote.amount_fen,
        principal_fen=quote.principal_fen,
        interest_fen=quote.interest_fen,
        loads=[
            LoadRefundView(f"{Prefix.TRANSACTION}_{one.load_id}", one.cause, one.refund_fen, one.interest_fen)
            for one in quote.loads
        ],
        lines=[
            LineView(
                name=line.name,
                load_id=None if line.load_id is None else f"{Prefix.TRANSACTION}_{line.load_id}",
                label=line.label_en,
                label_zh=line.label_zh,
                expression=line.expression,
                value=line.value,
                unit=line.unit,
                rule_id=line.rule_id,
                source=line.source,
            )
            for line in quote.lines
        ],
        formula=print_quote(quote, "en"),
        formula_zh=print_quote(quote, "zh"),
        quote_hash=quote.hash.hex(),
    )


def show_payout(payout: Payout) -> PayoutView:
    paid = payout.paid_transaction_id
    return PayoutView(
        id=show_id(Prefix.PAYOUT, payout.id),
        card_id=show_id(Prefix.CARD, payout.card_id),
        transaction_id=show_id(Prefix.TRANSACTION, payout.transaction_id),
        method=payout.method,
        currency=payout.currency,
        amount_fen=payout.amount_fen,
        account_masked=None if payout.account_last4 is None else f"**** {payout.account_last4}",
        due_on=payout.due_on,
        status=payout.status,
        payment_reference=payout.payment_reference,
        failure=payout.failure,
        paid_transaction_id=None if paid is None else show_id(Prefix.TRANSACTION, paid),
        created_at=payout.created_at,
        changed_at=payout.changed_at,
    )


def show_closure(done: Closed) -> ClosureView:
    return ClosureView(
        card_id=show_id(Prefix.CARD, done.card_id),
        transaction_id=None if done.transaction_id is None else show_id(Prefix.TRANSACTION, done.transaction_id),
        quote=show_quote(done.quote),
        payout=None if done.payout is None else show_payout(done.payout),
        closed_at=done.closed_at,
    )


class ReleaseRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``payee`` is needed unless all of it was given. The approval is of the ``reason`` alone, so that no account is
    written into it; who confirms the payout sees the payee."""

    reason: Reason
    payee: PayeeFields | None = None
    approval_id: ApprovalId | None = None


class ReleaseView(msgspec.Struct, frozen=True):
    """``amount_fen`` is owed to the holder; ``given_fen`` was never paid for and goes back."""

    card_id: CardId
    transaction_id: TransactionId
    amount_fen: int
    given_fen: int
    payout: PayoutView | None
    reason: str
    released_at: datetime


def show_release(done: Released) -> ReleaseView:
    return ReleaseView(
        card_id=show_id(Prefix.CARD, done.card_id),
        transaction_id=show_id(Prefix.TRANSACTION, done.transaction_id),
        amount_fen=done.amount_fen,
        given_fen=done.given_fen,
        payout=None if done.payout is None else show_payout(done.payout),
        reason=done.reason,
        released_at=done.released_at,
    )


def _ask(asked: QuoteRequest) -> RefundAsk:
    discounts = {uuid_of(one.load_id): one.discount_fen for one in asked.discounts}
    return RefundAsk(
        cause=asked.cause,
        requested_on=asked.requested_on,
        ended_on=asked.ended_on,
        had_before=asked.had_before,
        custody_fen=asked.custody_fen,
        costs_fen=asked.costs_fen,
        goods_fen=asked.goods_fen,
        discounts=discounts,
    )


_encode = msgspec.json.Encoder().encode


def render(show: Callable[[T], msgspec.Struct], status: int = 200) -> Callable[[T], Answer]:
    """What makes the answer that is kept with a key."""
    return lambda done: Answer(status, _encode(show(done)))


async def _once(
    request: ApiRequest, type_: type[S], near: UUID, work: Callable[[S, RequestKey], Awaitable[Answer | Refusal]]
) -> Response[bytes]:
    """Read the body, and do ``work`` once under the request's key, which lives with what the address names."""
    body = await read_bytes(request)
    asked = decode_body(body, type_)
    return await answer_once(request, body, near=near, work=lambda key: work(asked, key))


_QUOTE_REFUSALS = [
    NOT_FOUND,
    *UNUSABLE.values(),
    CARD_IN_SALE,
    refused.CARD_HAS_AUTHORIZATIONS,
    refused.CARD_HAS_TRANSFER,
    refused.REFUND_RULE_MISSING,
    refused.REDEMPTION_NOT_ALLOWED,
    refused.REDEMPTION_TOO_EARLY,
    refused.COOLING_OFF_OVER,
    refused.COSTS_NOT_DEDUCTIBLE,
]


# --- lots


class LotFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A lot by its pocket and its number, which is not above zero where the value came from another card."""

    pocket: Pocket
    lot: Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]


class ExtendRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Extend lots, all that hold value unless some are named, to the end of a day in the issuer's zone."""

    expires_on: Day
    lots: Annotated[list[LotFields], Meta(max_length=MAX_LOTS)] = []


class ExtensionView(msgspec.Struct, frozen=True):
    """``returned_fen`` had been swept after its end and is back on the card."""

    card_id: CardId
    expires_at: datetime
    lot_count: int
    returned_fen: int
    transaction_id: TransactionId | None


class LotView(msgspec.Struct, frozen=True):
    """A lot that holds something or was swept.

    ``available_fen`` is neither spent nor set aside; after ``expires_at`` it cannot be spent, until the lot is
    extended. ``swept_fen`` was taken after its end, and an extension gives it back.
    """

    pocket: Pocket
    lot: int
    load_id: TransactionId
    loaded_at: datetime
    paid_fen: int
    given_fen: int
    expires_at: datetime | None
    is_expired: bool
    available_fen: int
    reserved_fen: int
    swept_fen: int


def show_extension(done: Extended) -> ExtensionView:
    return ExtensionView(
        card_id=show_id(Prefix.CARD, done.card_id),
        expires_at=done.expires_at,
        lot_count=done.lot_count,
        returned_fen=done.returned_fen,
        transaction_id=None if done.transaction_id is None else show_id(Prefix.TRANSACTION, done.transaction_id),
    )


def show_lot(lot: LotHeld, *, now: datetime) -> LotView:
    return LotView(
        pocket=lot.pocket,
        lot=lot.lot,
        load_id=show_id(Prefix.TRANSACTION, lot.origin_id),
        loaded_at=lot.originated_at,
        paid_fen=lot.paid_fen,
        given_fen=lot.given_fen,
        expires_at=lot.expires_at,
        is_expired=lot.expires_at is not None and lot.expires_at <= now,
        available_fen=lot.remaining_fen - lot.reserved_fen,
        reserved_fen=lot.reserved_fen,
        swept_fen=lot.swept_fen,
    )


class ClosingController(Controller):
    path = "/v1/cards"
    tags = ("closing",)

    @get(
        "/{id:str}/lots",
        **operation(Scope.CARDS_READ, path={"id": CardId}, answer=Page[LotView], refusals=[NOT_FOUND]),
    )
    async def list_lots(self, request: ApiRequest) -> Response[bytes]:
        """List a card's lots: what it holds, from which load, and until when."""
        app = app_of(request)
        found = await closing.list_lots(
            app.pool, book_id=request.user.book_id, slots=app.slots, card_id=uuid_of(read_path(request, CardId))
        )
        if isinstance(found, Refusal):
            return problem_response(found)
        now = app.clock.now()
        return answer_page(Page(found), lambda lot: show_lot(lot, now=now))

    @post(
        "/{id:str}/extend",
        **operation(
            Scope.CARDS_WRITE,
            path={"id": CardId},
            body=ExtendRequest,
            answer=ExtensionView,
            refusals=[NOT_FOUND, *UNUSABLE.values(), refused.NOTHING_TO_EXTEND],
            takes_key=True,
        ),
    )
    async def extend_lots(self, request: ApiRequest) -> Response[bytes]:
        """Let lots of a card end later; what was swept of them comes back."""
        card_id = uuid_of(read_path(request, CardId))

        async def work(asked: ExtendRequest, key: RequestKey) -> Answer | Refusal:
            return await closing.extend_lots(
                **_who(request),
                card_id=card_id,
                until=asked.expires_on,
                names=[LotName(one.pocket, one.lot) for one in asked.lots],
                key=key,
                render=render(show_extension),
            )

        return await _once(request, ExtendRequest, card_id, work)

    @post(
        "/{id:str}/refund-quote",
        **operation(
            Scope.CARDS_READ,
            path={"id": CardId},
            body=QuoteRequest,
            answer=QuoteView,
            refusals=_QUOTE_REFUSALS,
        ),
    )
    async def quote_refund(self, request: ApiRequest) -> Response[bytes]:
        """Calculate what closing a card today would refund, with the formula; nothing is written."""
        card_id = uuid_of(read_path(request, CardId))
        asked = await read_body(request, QuoteRequest)
        app = app_of(request)
        quote = await closing.get_quote(
            app.pool,
            app.clock,
            app.refund_rules,
            book_id=request.user.book_id,
            slots=app.slots,
            card_id=card_id,
            ask=_ask(asked),
        )
        return answer(quote, show_quote)

    @post(
        "/{id:str}/close",
        **operation(
            Scope.CARDS_CLOSE,
            path={"id": CardId},
            body=CloseRequest,
            answer=ClosureView,
            refusals=[
                *_QUOTE_REFUSALS,
                refused.QUOTE_CHANGED,
                refused.PAYEE_NOT_HOLDER,
                refused.CASH_NOT_ALLOWED,
                *APPROVED,
            ],
            takes_key=True,
        ),
    )
    async def close_card(self, request: ApiRequest) -> Response[bytes]:
        """Close a card for ever, for the refund that was quoted; what is due becomes a payout."""
        subject = read_path(request, CardId)
        card_id = uuid_of(subject)
        app = app_of(request)
        body = await read_bytes(request)
        asked = decode_body(body, CloseRequest)
        approve = four_eyes(
            request,
            kind=ApprovalKind.CLOSING,
            subject=subject,
            # an account has no place in the clear text of a proposal
            payload={name: value for name, value in payload_of(body).items() if name != "payee"},
            approval_id=asked.approval_id,
        )

        async def work(key: RequestKey) -> Answer | Refusal:
            return await closing.close_card(
                **_who(request),
                keyring=app.keyring,
                rules_of=app.refund_rules,
                card_id=card_id,
                ask=_ask(asked),
                quote_hash=bytes.fromhex(asked.quote_hash),
                payee=None if asked.payee is None else Payee(**msgspec.structs.asdict(asked.payee)),
                key=key,
                render=render(show_closure),
                approve=approve,
            )

        return await answer_once(request, body, near=card_id, work=work)

    @post(
        "/{id:str}/release",
        **operation(
            Scope.CARDS_CLOSE,
            path={"id": CardId},
            body=ReleaseRequest,
            answer=ReleaseView,
            refusals=[
                NOT_FOUND,
                refused.NOTHING_TO_RELEASE,
                refused.CARD_HAS_TRANSFER,
                refused.REFUND_RULE_MISSING,
                refused.PAYEE_NOT_HOLDER,
                refused.CASH_NOT_ALLOWED,
                *APPROVED,
            ],
            takes_key=True,
        ),
    )
    async def release_value(self, request: ApiRequest) -> Response[bytes]:
        """Release what came back to a replaced card that no living card follows; what is due becomes a payout."""
        subject = read_path(request, CardId)
        card_id, app = uuid_of(subject), app_of(request)
        body = await read_bytes(request)
        asked = decode_body(body, ReleaseRequest)
        # nobody but people can tell whose it is
        approve = always_two(
            request,
            kind=ApprovalKind.VALUE_RELEASE,
            subject=subject,
            payload={"reason": asked.reason},
            approval_id=asked.approval_id,
        )

        async def work(key: RequestKey) -> Answer | Refusal:
            if isinstance(approve, Refusal):
                return approve
            assert asked.approval_id is not None, "it was asked for"
            return await closing.release_value(
                **_who(request),
                keyring=app.keyring,
                rules_of=app.refund_rules,
                card_id=card_id,
                reason=asked.reason,
                payee=None if asked.payee is None else Payee(**msgspec.structs.asdict(asked.payee)),
                approval_id=uuid_of(asked.approval_id),
                approve=approve,
                key=key,
                render=render(show_release),
            )

        return await answer_once(request, body, near=card_id, work=work)

    @get(
        "/{id:str}/closure",
        **operation(
            Scope.CARDS_READ,
            path={"id": CardId},
            answer=ClosureView,
            refusals=[NOT_FOUND, refused.CARD_NOT_CLOSED],
        ),
    )
    async def get_closure(self, request: ApiRequest) -> Response[bytes]:
        """Get how a card was closed, with the formula as it was posted."""
        app = app_of(request)
        found = await closing.get_closure(
            app.pool, book_id=request.user.book_id, slots=app.slots, card_id=uuid_of(read_path(request, CardId))
        )
        return answer(found, show_closure)


# --- payouts


class PayoutQuery(ListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    card_id: CardId | None = None
    status: PayoutStatus | None = None


class PaidRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``payment_reference`` is that of the bank, or of the cash receipt."""

    payment_reference: Reference


class FailedRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    failure: Name


class ReplaceRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    payee: PayeeFields


class PayeeView(msgspec.Struct, frozen=True):
    method: PayoutMethod
    holder_name: str
    account_name: str | None
    account_number: str | None
    bank_name: str | None


def show_payee(payee: Payee) -> PayeeView:
    return PayeeView(**msgspec.structs.asdict(payee))


class PayoutController(Controller):
    path = "/v1/payouts"
    tags = ("closing",)

    @get(**operation(Scope.PAYOUTS_READ, query=PayoutQuery, answer=Page[PayoutView]))
    async def list_payouts(self, request: ApiRequest) -> Response[bytes]:
        """List payouts, the newest first."""
        query = read_query(request, PayoutQuery)
        search = PayoutSearch(
            limit=query.limit,
            after_id=after_id(query),
            created_after=query.created_after,
            created_before=query.created_before,
            card_id=uuid_of(query.card_id) if query.card_id else None,
            status=query.status,
        )
        app = app_of(request)
        page = await closing.list_payouts(app.pool, book_id=request.user.book_id, slots=app.slots, search=search)
        return answer_page(page, show_payout)

    @get(
        "/{id:str}",
        **operation(Scope.PAYOUTS_READ, path={"id": PayoutId}, answer=PayoutView, refusals=[NOT_FOUND]),
    )
    async def get_payout(self, request: ApiRequest) -> Response[bytes]:
        """Get a payout."""
        app = app_of(request)
        found = await closing.get_payout(
            app.pool, book_id=request.user.book_id, slots=app.slots, payout_id=uuid_of(read_path(request, PayoutId))
        )
        return answer(found, show_payout)

    @get(
        "/{id:str}/payee",
        **operation(Scope.PAYOUTS_WRITE, path={"id": PayoutId}, answer=PayeeView, refusals=[NOT_FOUND]),
    )
    async def reveal_payee(self, request: ApiRequest) -> Response[bytes]:
        """Reveal who is to be paid; who asked is recorded."""
        app = app_of(request)
        payee = await closing.reveal_payee(
            **_who(request), keyring=app.keyring, payout_id=uuid_of(read_path(request, PayoutId))
        )
        return answer(payee, show_payee)

    @post(
        "/{id:str}/mark-paid",
        **operation(
            Scope.PAYOUTS_WRITE,
            path={"id": PayoutId},
            body=PaidRequest,
            answer=PayoutView,
            refusals=[NOT_FOUND, refused.PAYOUT_NOT_PENDING, FOUR_EYES],
            takes_key=True,
        ),
    )
    async def mark_paid(self, request: ApiRequest) -> Response[bytes]:
        """Confirm that a payout was made; somebody else than who closed the card has to."""
        payout_id = uuid_of(read_path(request, PayoutId))

        async def work(asked: PaidRequest, key: RequestKey) -> Answer | Refusal:
            return await closing.mark_paid(
                **_who(request),
                payout_id=payout_id,
                payment_reference=asked.payment_reference,
                key=key,
                render=render(show_payout),
            )

        return await _once(request, PaidRequest, payout_id, work)

    @post(
        "/{id:str}/mark-failed",
        **operation(
            Scope.PAYOUTS_WRITE,
            path={"id": PayoutId},
            body=FailedRequest,
            answer=PayoutView,
            refusals=[NOT_FOUND, refused.PAYOUT_NOT_PENDING, FOUR_EYES],
            takes_key=True,
        ),
    )
    async def mark_failed(self, request: ApiRequest) -> Response[bytes]:
        """Record that a payout did not reach its payee; it is owed still."""
        payout_id = uuid_of(read_path(request, PayoutId))

        async def work(asked: FailedRequest, key: RequestKey) -> Answer | Refusal:
            return await closing.mark_failed(
                **_who(request), payout_id=payout_id, failure=asked.failure, key=key, render=render(show_payout)
            )

        return await _once(request, FailedRequest, payout_id, work)

    @post(
        "/{id:str}/replace",
        **operation(
            Scope.CARDS_CLOSE,
            path={"id": PayoutId},
            body=ReplaceRequest,
            answer=PayoutView,
            status=201,
            refusals=[
                NOT_FOUND,
                refused.PAYOUT_NOT_FAILED,
                refused.PAYEE_NOT_HOLDER,
                refused.CASH_NOT_ALLOWED,
                refused.REFUND_RULE_MISSING,
            ],
            takes_key=True,
        ),
    )
    async def replace_payout(self, request: ApiRequest) -> Response[bytes]:
        """Make a new payout in the place of one that failed, to another account of the same holder."""
        payout_id = uuid_of(read_path(request, PayoutId))
        app = app_of(request)

        async def work(asked: ReplaceRequest, key: RequestKey) -> Answer | Refusal:
            return await closing.replace_payout(
                **_who(request),
                keyring=app.keyring,
                rules_of=app.refund_rules,
                payout_id=payout_id,
                payee=Payee(**msgspec.structs.asdict(asked.payee)),
                key=key,
                render=render(show_payout, 201),
            )

        return await _once(request, ReplaceRequest, payout_id, work)


def _who(request: ApiRequest) -> dict[str, Any]:
    app = app_of(request)
    return {
        "pool": app.pool,
        "clock": app.clock,
        "ids": app.ids,
        "book_id": request.user.book_id,
        "slots": app.slots,
        "by": actor_of(request),
    }


CLOSING_CONTROLLERS: list[type[Controller]] = [ClosingTermsController, ClosingController, PayoutController]
