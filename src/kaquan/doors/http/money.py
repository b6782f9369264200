"""The POSTs that move value, served as plain ASGI in front of Litestar.

They are the hot path: a payment has about 60 µs for HTTP and JSON, and Litestar's routing, signature and response
cost as much again (ADR 0003). What they share is in one place: authentication, the idempotency key, the body, the desk,
the answer. Each of them is a row of :data:`ROUTES`, from which the OpenAPI document is made too.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple
from uuid import UUID

import msgspec
import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Send
from litestar.types import Scope as AsgiScope
from msgspec import UNSET, Meta, UnsetType

from kaquan.cards import PIN_REFUSALS, UNUSABLE, CardStatus, Hand, PinState, Pocket, get_card, verify_pin
from kaquan.cards.outcomes import FEE_NOT_AGREED, PIN_REQUIRED, PROGRAMME_ENDED, PROGRAMME_STOPPED, SALE_REQUIRED
from kaquan.doors.http.auth import identify, permit
from kaquan.doors.http.callers import caller_of_key
from kaquan.doors.http.fields import AmountFen, CardId, Pin, Reference, TerminalId, TransactionId, uuid_of
from kaquan.doors.http.metrics import count_request
from kaquan.doors.http.offers import (
    Lines,
    OutsideDiscounts,
    PricingView,
    ReturnedLines,
    Vouchers,
    basket_lines,
    outside_offers,
    pricing_view,
    vouchers_of,
)
from kaquan.doors.http.once import make_key, read_key
from kaquan.doors.http.openapi import KEY_PARAMETER, REF_TEMPLATE, PathItems, common_refusals, describe_refusals
from kaquan.doors.http.operation import Operation
from kaquan.doors.http.outcomes import BODY_TOO_LARGE, FORBIDDEN, IDEMPOTENCY_KEY_MISSING
from kaquan.doors.http.problems import PROBLEM_TYPE, problem_bytes, problem_headers
from kaquan.doors.http.reading import explain
from kaquan.guesses import TOO_MANY_WRONG_ANSWERS
from kaquan.kit.db import is_outage
from kaquan.kit.ids import Prefix, read_id, show_id
from kaquan.kit.money import MAX_FEN
from kaquan.kit.outcomes import BUSY, INTERNAL_ERROR, INVALID_FIELD, NOT_FOUND, UNAVAILABLE, Outcome, Refusal
from kaquan.ledger import Answer, RequestKey, hash_key, read_answers
from kaquan.parties import Place, Principal, Scope
from kaquan.parties.outcomes import STORE_OUT_OF_SCOPE
from kaquan.parties.staff import may_act_at
from kaquan.payments import (
    Capture,
    Command,
    Kept,
    Load,
    Payment,
    PaymentKind,
    PaymentStatus,
    PocketAmount,
    Receipt,
    Refund,
    Request,
    Spend,
    Void,
    check_basket,
    get_payment,
)
from kaquan.payments import outcomes as refused
from kaquan.points.outcomes import (
    POINTS_ABOVE_SHARE,
    POINTS_NOT_OFFERED,
    POINTS_NOT_TENDER,
    POINTS_OUT_OF_STEP,
    POINTS_TOO_FEW,
)
from kaquan.vouchers.outcomes import VOUCHER_EXPIRED, VOUCHER_NOT_HELD, VOUCHER_NOT_USABLE, VOUCHER_NOT_YET

if TYPE_CHECKING:
    from kaquan.app import App

_log = structlog.get_logger("kaquan.http")

CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far the clock of a terminal may be from ours before ``occurred_at`` is refused or needs the scope backdate."""

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""No payment happened before; times near year 1 are none that every part of the system can hold."""

MAX_AUTHORIZATION_S = 30 * 86_400

CardNumber = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{13,19}$(?!\n)",
        description="a card number: 13 to 19 digits",
        extra={"zh": "卡号：13 到 19 位数字"},
    ),
]
OccurredAt = Annotated[
    datetime,
    Meta(
        tz=True,
        description="an RFC 3339 time with its offset, such as 2026-01-31T08:00:00Z",
        extra={"zh": "带时区的 RFC 3339 时间，例如 2026-01-31T08:00:00Z"},
    ),
]


Device = Annotated[
    str,
    Meta(
        pattern=r"^[!-~]{1,128}$(?!\n)",
        description="what the holder pays with, as the till knows it: 1 to 128 visible ASCII characters",
        extra={"zh": "付款设备标识，1 到 128 个可见 ASCII 字符"},
    ),
]


class PurchaseRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Pay at a terminal with a card, named by its number or its id. ``amount_fen`` is the price before every offer:
    the sum of ``lines``, where they are told."""

    amount_fen: AmountFen
    terminal_id: TerminalId
    card_id: CardId | None = None
    card_number: CardNumber | None = None
    reference: Reference | None = None
    occurred_at: OccurredAt | None = None
    device: Device | None = None
    pin: Pin | None = None
    lines: Lines | None = None
    vouchers: Vouchers | None = None
    outside_offers: OutsideDiscounts | None = None
    points: Annotated[int, Meta(ge=1, le=MAX_FEN)] | None = None


class AuthorizationRequest(PurchaseRequest, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Set an amount aside for a later capture."""

    expires_in_s: Annotated[int, Meta(ge=1, le=MAX_AUTHORIZATION_S)] | None = None


class CaptureRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Capture all that is left (without an amount) or a part; a capture that is not final leaves the rest reserved."""

    amount_fen: AmountFen | None = None
    final: bool = True


class VoidRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Cancel what is not captured. It has no fields."""


class RefundRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Return a captured spend, or a part of it, to the pockets it came from: an amount, or the goods that came back."""

    payment_id: TransactionId
    amount_fen: AmountFen | None = None
    lines: ReturnedLines | None = None
    reference: Reference | None = None
    occurred_at: OccurredAt | None = None


class LoadPocket(StrEnum):
    """Where the money of a load goes; ``restricted``, for some places alone, if the card has that pocket."""

    PRINCIPAL = "principal"
    RESTRICTED = "restricted"


class LoadRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Add money to a pocket of a card; ``bonus_fen`` is given with it into the bonus pocket and not paid for, as are
    the offers for top-ups. ``invited_by`` is the card of whoever invited the holder.

    ``fee_fen`` is paid beside the amount: the ``load_fen`` of the card's terms, named so that it is agreed to.
    """

    amount_fen: AmountFen
    bonus_fen: Annotated[int, Meta(ge=0, le=MAX_FEN)] = 0
    fee_fen: Annotated[int, Meta(ge=0, le=MAX_FEN)] = 0
    pocket: LoadPocket = LoadPocket.PRINCIPAL
    card_id: CardId | None = None
    card_number: CardNumber | None = None
    terminal_id: TerminalId | None = None
    reference: Reference | None = None
    occurred_at: OccurredAt | None = None
    device: Device | None = None
    invited_by: CardId | None = None


class PaymentView(msgspec.Struct, frozen=True):
    """A payment as clients see it, in minor units of its currency.

    ``pockets`` and ``balance_fen`` tell what this request moved and left on the card (what another request does to
    another pocket at the same moment may be left out), ``fee_fen``, where there is one, what was paid beside a load; a
    payment that is read later does not have them.
    """

    id: str
    kind: PaymentKind
    status: PaymentStatus
    card_id: str
    merchant_id: str | None
    store_id: str | None
    terminal_id: str | None
    payment_id: str | None
    currency: str
    amount_fen: int
    bonus_fen: int
    captured_fen: int
    refunded_fen: int
    reference: str | None
    expires_at: datetime | None
    occurred_at: datetime
    created_at: datetime
    pockets: list[PocketAmount] | None = None
    balance_fen: int | None = None
    fee_fen: int | UnsetType = UNSET
    pricing: PricingView | msgspec.UnsetType = msgspec.UNSET
    """How it was priced, or of a refund what came back of that; only of payments with offers or a basket."""
    points_earned: int | msgspec.UnsetType = msgspec.UNSET
    """What this request earned; of a refund, below zero, what it took back."""
    withheld_fen: int | msgspec.UnsetType = msgspec.UNSET
    """Of a refund: what of ``amount_fen`` was kept back for points that were earned by it and spent already."""


def _show(prefix: Prefix, value: UUID | None) -> str | None:
    return None if value is None else f"{prefix}_{value.hex}"


def payment_view(payment: Payment, receipt: Receipt | None = None, kept: Kept | None = None) -> PaymentView:
    """A payment in its public form, with what a request did where there was one, and how it was priced."""
    pricing: PricingView | msgspec.UnsetType = msgspec.UNSET
    if receipt is not None and receipt.kept is not None:
        pricing = pricing_view(receipt.kept, receipt.part)
    elif kept is not None:
        pricing = pricing_view(kept)
    return PaymentView(
        id=show_id(Prefix.TRANSACTION, payment.id),
        kind=payment.kind,
        status=payment.status,
        card_id=show_id(Prefix.CARD, payment.card_id),
        merchant_id=_show(Prefix.MERCHANT, payment.merchant_id),
        store_id=_show(Prefix.STORE, payment.store_id),
        terminal_id=_show(Prefix.TERMINAL, payment.terminal_id),
        payment_id=_show(Prefix.TRANSACTION, payment.original_id),
        currency=payment.currency,
        amount_fen=payment.amount_fen,
        bonus_fen=payment.bonus_fen,
        captured_fen=payment.captured_fen,
        refunded_fen=payment.refunded_fen,
        reference=payment.reference,
        expires_at=payment.expires_at,
        occurred_at=payment.occurred_at,
        created_at=payment.created_at,
        pockets=receipt.pockets if receipt is not None else None,
        balance_fen=receipt.balance_fen if receipt is not None else None,
        fee_fen=receipt.fee_fen if receipt is not None and receipt.fee_fen else UNSET,
        pricing=pricing,
        points_earned=receipt.points_earned if receipt is not None and receipt.points_earned else msgspec.UNSET,
        withheld_fen=receipt.withheld_fen if receipt is not None and receipt.withheld_fen else msgspec.UNSET,
    )


_encode = msgspec.json.Encoder().encode


def _render(result: Receipt | Refusal, status: int) -> Answer:
    if isinstance(result, Refusal):
        return Answer(*problem_bytes(result))
    return Answer(status, _encode(payment_view(result.payment, result)))


def render_created(result: Receipt | Refusal) -> Answer:
    """201 with the new payment, or a problem document."""
    return _render(result, 201)


def render_done(result: Receipt | Refusal) -> Answer:
    """200 with the payment as it is now, or a problem document."""
    return _render(result, 200)


class _Asked(NamedTuple):
    """A request that was read, before it is a command."""

    app: "App"
    principal: Principal
    body: Any
    target: UUID | None
    now: datetime
    key: RequestKey


async def _card_of(asked: _Asked) -> UUID | Refusal:
    body = asked.body
    if (body.card_id is None) == (body.card_number is None):
        return INVALID_FIELD.refuse(
            "card_id",
            allowed="give either card_id or card_number, one of them",
            allowed_zh="card_id 与 card_number 须且只能提供一个",
        )
    if body.card_id is not None:
        return uuid_of(body.card_id)
    # A caller who gave too many wrong numbers is told to wait before this one is looked up. Those who are right pay one
    # look into a dictionary for it (0.1 µs); only a wrong number costs a statement.
    caller = caller_of_key(asked.principal)
    if (waits := asked.app.guesses.must_wait(caller)) is not None:
        return waits
    (found,) = await asked.app.finder.resolve([body.card_number])
    return found[1] if found is not None else await _unknown_number(asked.app, caller)


async def _unknown_number(app: "App", caller: UUID) -> Refusal:
    """What a wrong number is told, as long as there are answers left for wrong ones."""
    return await app.guesses.note_failure(caller) or NOT_FOUND.refuse("card_number", what="card")


def _when(asked: _Asked) -> datetime | Refusal | None:
    occurred_at: datetime | None = asked.body.occurred_at
    if occurred_at is None:
        return None
    if occurred_at > asked.now + CLOCK_TOLERANCE:
        return INVALID_FIELD.refuse("occurred_at", allowed="must not be in the future", allowed_zh="不得晚于当前时间")
    if occurred_at < EARLIEST:
        return INVALID_FIELD.refuse(
            "occurred_at", allowed=f"must not be before {EARLIEST:%Y-%m-%d}", allowed_zh=f"不得早于 {EARLIEST:%Y-%m-%d}"
        )
    return occurred_at.astimezone(UTC)  # PostgreSQL takes no offset beyond 15:59


def _not_before(asked: _Asked) -> datetime | None:
    return None if Scope.BACKDATE in asked.principal.scopes else asked.now - CLOCK_TOLERANCE


async def _place_of(asked: _Asked) -> Place | Refusal:
    terminal_id = uuid_of(asked.body.terminal_id)
    place = asked.app.directory.book(asked.principal.book_id).places.get(terminal_id)
    if place is None:
        # another process may have registered it a moment ago
        await asked.app.directory.catch_up()
        place = asked.app.directory.book(asked.principal.book_id).places.get(terminal_id)
    if place is None:
        return NOT_FOUND.refuse("terminal_id", what="terminal")
    return may_act_at(asked.principal, place.store_id) or place


async def _read_spend(asked: _Asked) -> Command | Refusal:
    place = await _place_of(asked)
    if isinstance(place, Refusal):
        return place
    when = _when(asked)
    if isinstance(when, Refusal):
        return when
    card_id = await _card_of(asked)
    if isinstance(card_id, Refusal):
        return card_id
    body = asked.body
    voucher_ids = () if body.vouchers is None else await vouchers_of(asked.app, asked.principal, body.vouchers)
    if isinstance(voucher_ids, Refusal):
        return voucher_ids
    pin = PinState.NOT_GIVEN if body.pin is None else await _check_pin(asked, card_id)
    if isinstance(pin, Refusal):
        return pin
    authorize = isinstance(body, AuthorizationRequest)
    spend = Spend(
        card_id, body.amount_fen, place, when, body.reference, authorize, body.expires_in_s if authorize else None,
        _not_before(asked), pin, _device_of(asked),
    )  # fmt: skip
    if body.lines is None and not voucher_ids and body.outside_offers is None and body.points is None:
        return spend
    spend = spend._replace(
        lines=basket_lines(body.lines),
        voucher_ids=voucher_ids,
        outside=outside_offers(body.outside_offers),
        points=body.points or 0,
    )
    return check_basket(spend) or spend


def _device_of(asked: _Asked) -> UUID | None:
    """What a device is counted by: nothing of what the till calls it is kept."""
    device: str | None = asked.body.device
    return None if device is None else hash_key(asked.principal.book_id, f"device\n{device}")


async def _check_pin(asked: _Asked, card_id: UUID) -> PinState | Refusal:
    """What the PIN of a spend is worth, where the programme asks for one: a slow hash, in a thread.

    A request that has its answer already gets that answer, whatever became of the PIN: it is not a guess again.
    A wrong one is counted like a wrong number. Refused: ``too_many_wrong_answers``.
    """
    app, book_id = asked.app, asked.principal.book_id
    card = await get_card(app.pool, book_id=book_id, slots=app.slots, card_id=card_id)
    if isinstance(card, Refusal) or card.status is not CardStatus.ACTIVE:
        return PinState.NOT_GIVEN  # refused for that
    programme = app.programmes.get(book_id, card.programme_id, card.terms_version)
    if programme is None:
        await app.refresh()
        programme = app.programmes.get(book_id, card.programme_id, card.terms_version)
    above_fen = None if programme is None else programme.pin_required_above_fen
    if programme is None or above_fen is None or asked.body.amount_fen <= above_fen:
        return PinState.NOT_GIVEN
    async with app.pool.connection() as connection:
        if await read_answers(connection, slot=card.slot, key_hashes=[asked.key.key_hash]):
            return PinState.NOT_GIVEN
    caller = caller_of_key(asked.principal)
    if (waits := app.guesses.must_wait(caller)) is not None:
        return waits
    hand = Hand(app.clock, app.ids, show_id(Prefix.KEY, asked.principal.key_id))
    state = await verify_pin(
        app.pool, hand, app.keyring, card=card, pin=asked.body.pin, max_attempts=programme.pin_max_attempts
    )
    is_guess = state in (PinState.WRONG, PinState.LOCKED)
    return (await app.guesses.note_failure(caller) if is_guess else None) or state


async def _may_touch(asked: _Asked, payment_id: UUID) -> Refusal | None:
    """Whether an operator of some stores may go on with a payment: one of their stores. Nobody else is looked up.

    What is not there is refused where it is looked for. Refused: ``store_out_of_scope``.
    """
    app, principal = asked.app, asked.principal
    if principal.store_ids is None:
        return None
    for kind in (PaymentKind.PURCHASE, PaymentKind.AUTHORIZATION):
        found = await get_payment(
            app.pool, book_id=principal.book_id, slots=app.slots, kind=kind, payment_id=payment_id
        )
        if not isinstance(found, Refusal):
            assert found.store_id is not None, "what is spent is spent at a store"
            return may_act_at(principal, found.store_id)
    return None


async def _read_capture(asked: _Asked) -> Command | Refusal:
    assert asked.target is not None
    if (refusal := await _may_touch(asked, asked.target)) is not None:
        return refusal
    return Capture(asked.target, asked.body.amount_fen, asked.body.final)


async def _read_void(asked: _Asked) -> Command | Refusal:
    assert asked.target is not None
    if (refusal := await _may_touch(asked, asked.target)) is not None:
        return refusal
    return Void(asked.target)


async def _read_refund(asked: _Asked) -> Command | Refusal:
    when = _when(asked)
    if isinstance(when, Refusal):
        return when
    payment_id = uuid_of(asked.body.payment_id)
    if (refusal := await _may_touch(asked, payment_id)) is not None:
        return refusal
    body = asked.body
    if body.lines is not None and body.amount_fen is not None:
        return INVALID_FIELD.refuse(
            "lines",
            allowed="give either lines or amount_fen, one of them",
            allowed_zh="lines 与 amount_fen 只能提供一个",
        )
    lines = tuple((line.number, line.amount_fen) for line in body.lines or ())
    return Refund(payment_id, body.amount_fen, when, body.reference, _not_before(asked), lines)


async def _inviter_of(asked: _Asked, card_id: UUID) -> UUID | Refusal | None:
    """The card of whoever invited the holder: another one of this book. Refused: ``not_found``, ``invalid_field``."""
    if asked.body.invited_by is None:
        return None
    inviter = uuid_of(asked.body.invited_by)
    if inviter == card_id:
        return INVALID_FIELD.refuse("invited_by", allowed="must be another card", allowed_zh="不得为本卡")
    found = await get_card(asked.app.pool, book_id=asked.principal.book_id, slots=asked.app.slots, card_id=inviter)
    return NOT_FOUND.refuse("invited_by", what="card") if isinstance(found, Refusal) else inviter


async def _read_load(asked: _Asked) -> Command | Refusal:
    place = await _place_of(asked) if asked.body.terminal_id is not None else None
    if isinstance(place, Refusal):
        return place
    if place is None and asked.principal.store_ids is not None:
        return STORE_OUT_OF_SCOPE.refuse("terminal_id")  # who acts at some stores says at which
    when = _when(asked)
    if isinstance(when, Refusal):
        return when
    card_id = await _card_of(asked)
    if isinstance(card_id, Refusal):
        return card_id
    invited_by = await _inviter_of(asked, card_id)
    if isinstance(invited_by, Refusal):
        return invited_by
    return Load(
        card_id, asked.body.amount_fen, asked.body.bonus_fen, when, asked.body.reference, place, _not_before(asked),
        _device_of(asked), Pocket(asked.body.pocket.value), fee_fen=asked.body.fee_fen, invited_by=invited_by,
    )  # fmt: skip


class Route(NamedTuple):
    """One POST that moves value. An address with ``{id}`` is about the payment of that id."""

    address: str
    name: str
    summary: str
    scope: Scope
    body: type[Any]
    read: Callable[[_Asked], Awaitable[Command | Refusal]]
    render: Callable[[Receipt | Refusal], Answer]
    status: int
    refusals: tuple[Outcome, ...]


_CARD = (TOO_MANY_WRONG_ANSWERS, refused.BACKDATING_FORBIDDEN, NOT_FOUND, *UNUSABLE.values())
_PLACE = (
    STORE_OUT_OF_SCOPE,
    refused.OUTSIDE_AREA,
    refused.IMPOSSIBLE_TRAVEL,
    refused.LIMIT_EXCEEDED,
    refused.TERMINAL_BLOCKED,
    refused.NOT_ACCEPTED_HERE,
    PROGRAMME_ENDED,
    refused.INSUFFICIENT_FUNDS,
)
_PIN = (PIN_REQUIRED, *PIN_REFUSALS.values())
_POINTS = (POINTS_NOT_OFFERED, POINTS_NOT_TENDER, POINTS_OUT_OF_STEP, POINTS_ABOVE_SHARE, POINTS_TOO_FEW)
_VOUCHERS = (*_POINTS, VOUCHER_NOT_HELD, VOUCHER_NOT_USABLE, VOUCHER_NOT_YET, VOUCHER_EXPIRED)
_EVERY = (
    IDEMPOTENCY_KEY_MISSING,
    refused.IDEMPOTENCY_KEY_REUSED,
    refused.REQUEST_IN_PROGRESS,
    BUSY,
    FORBIDDEN,
)

ROUTES = (
    Route(
        "/v1/purchases", "create_purchase", "Pay at a terminal.", Scope.PAYMENTS_WRITE,
        PurchaseRequest, _read_spend, render_created, 201, (*_CARD, *_PLACE, *_PIN, *_VOUCHERS),
    ),
    Route(
        "/v1/authorizations", "create_authorization", "Set an amount aside.", Scope.PAYMENTS_WRITE,
        AuthorizationRequest, _read_spend, render_created, 201, (*_CARD, *_PLACE, *_PIN, *_VOUCHERS),
    ),
    Route(
        "/v1/authorizations/{id}/capture", "capture_authorization", "Turn an authorization into a spend.",
        Scope.PAYMENTS_WRITE, CaptureRequest, _read_capture, render_done, 200,
        (
            STORE_OUT_OF_SCOPE, refused.AUTHORIZATION_NOT_OPEN, refused.AUTHORIZATION_EXPIRED,
            refused.CAPTURE_EXCEEDS_AUTHORIZATION,
        ),
    ),
    Route(
        "/v1/authorizations/{id}/void", "void_authorization", "Cancel what is not captured.",
        Scope.PAYMENTS_WRITE, VoidRequest, _read_void, render_done, 200,
        (STORE_OUT_OF_SCOPE, refused.AUTHORIZATION_NOT_OPEN),
    ),
    Route(
        "/v1/refunds", "create_refund", "Return value of a captured spend.", Scope.REFUNDS_WRITE,
        RefundRequest, _read_refund, render_created, 201,
        (STORE_OUT_OF_SCOPE, refused.BACKDATING_FORBIDDEN, NOT_FOUND, UNUSABLE[CardStatus.CLOSED],
         refused.NOT_REFUNDABLE, refused.REFUND_EXCEEDS_PAYMENT, refused.LINES_NOT_KNOWN, refused.REFUND_EXCEEDS_LINE),
    ),
    Route(
        "/v1/loads", "create_load", "Add money to a card.", Scope.LOADS_WRITE,
        LoadRequest, _read_load, render_created, 201,
        (
            *_CARD, STORE_OUT_OF_SCOPE, PROGRAMME_STOPPED, SALE_REQUIRED, FEE_NOT_AGREED, refused.POCKET_NOT_OFFERED,
            refused.BALANCE_CAP_EXCEEDED, refused.LIMIT_EXCEEDED,
        ),
    ),
)  # fmt: skip

_PROBLEM_BYTES = PROBLEM_TYPE.encode()
_FIXED_HEADERS = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]


class MoneyFront:
    """An ASGI application: serves :data:`ROUTES` and hands everything else to ``inner``."""

    def __init__(self, app: "App", inner: ASGIApp) -> None:
        self._app = app
        self._inner = inner
        self._max_body = app.settings.max_body_bytes
        # Who a header belongs to, as long as the directory stays as it is: hashing the key anew for each payment
        # is a fifth of what the front costs. Only headers that were found good are kept.
        self._principals: dict[bytes, Principal] = {}
        self._generation = -1
        self._exact = {route.address: route for route in ROUTES if "{" not in route.address}
        self._below = {tuple(route.address.split("{id}")): route for route in ROUTES if "{id}" in route.address}
        self._decoders: Mapping[type[Any], msgspec.json.Decoder[Any]] = {
            route.body: msgspec.json.Decoder(route.body) for route in ROUTES
        }

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP and scope["method"] == "POST":
            path: str = scope["path"]
            route = self._exact.get(path)
            if route is not None:
                return await self._serve(route, None, scope, receive, send)
            for (before, after), below in self._below.items():
                if path.startswith(before) and path.endswith(after) and len(path) > len(before) + len(after):
                    inside = path[len(before) : len(path) - len(after)]
                    if "/" not in inside:
                        return await self._serve(below, inside, scope, receive, send)
        return await self._inner(scope, receive, send)

    async def _serve(self, route: Route, inside: str | None, scope: AsgiScope, receive: Receive, send: Send) -> None:
        begun = perf_counter()
        try:
            result = await self._answer(route, inside, scope, receive)
        except Exception as error:
            result = UNAVAILABLE.refuse() if is_outage(error) else INTERNAL_ERROR.refuse()
            if not is_outage(error):
                _log.error("request failed", route=route.address, exc_info=error)
        headers = [*_FIXED_HEADERS]
        if isinstance(result, Refusal):
            status, body = problem_bytes(result)
            headers += [(name.encode(), value.encode()) for name, value in problem_headers(result).items()]
        else:
            status, body = result
            if status == 503:
                headers.append((b"retry-after", b"1"))
        headers.append((b"content-type", b"application/json" if status < 400 else _PROBLEM_BYTES))
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})
        count_request(route=route.address, method="POST", status=status, seconds=perf_counter() - begun)

    async def _answer(self, route: Route, inside: str | None, scope: AsgiScope, receive: Receive) -> Answer | Refusal:
        authorization = key_header = None
        for name, value in scope["headers"]:
            if name == b"authorization":
                authorization = value
            elif name == b"idempotency-key":
                key_header = value
        principal = await self._identify(authorization)
        if isinstance(principal, Refusal):
            return principal
        if (forbidden := permit(principal, route.scope)) is not None:
            return forbidden
        key = read_key(key_header)
        if key is None:
            return IDEMPOTENCY_KEY_MISSING.refuse("Idempotency-Key")
        if scope["query_string"]:
            return INVALID_FIELD.refuse("query", allowed="takes no query parameters", allowed_zh="不接受查询参数")
        target = None
        if inside is not None:
            target = read_id(Prefix.TRANSACTION, inside)
            if target is None:
                return INVALID_FIELD.refuse(
                    "id",
                    allowed="must be an id: txn_ and 32 lower-case hexadecimal digits",
                    allowed_zh="应为编号：txn_ 加 32 位小写十六进制数字",
                )
        raw = await self._read_body(receive)
        if raw is None:
            return BODY_TOO_LARGE.refuse(limit=self._max_body)
        try:
            body = self._decoders[route.body].decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return explain(error, route.body)
        app = self._app
        request_key = make_key(app, principal.book_id, key, scope["path"], raw)
        command = await route.read(_Asked(app, principal, body, target, app.clock.now(), request_key))
        if isinstance(command, Refusal):
            return command
        result = await app.desk.submit(Request(principal.book_id, command, request_key, route.render))
        if result.status == 404 and getattr(body, "card_number", None) is not None:
            # a number of another book's card: told as one that there is not, and counted so
            return await _unknown_number(app, caller_of_key(principal))
        return result

    async def _identify(self, authorization: bytes | None) -> Principal | Refusal:
        directory = self._app.directory
        if self._generation != directory.generation:
            self._principals.clear()
            self._generation = directory.generation
        if authorization is None:
            return await identify(directory, None)
        known = self._principals.get(authorization)
        if known is not None:
            return known
        found = await identify(directory, authorization.decode("latin-1"))
        if isinstance(found, Principal) and self._generation == directory.generation:
            self._principals[authorization] = found
        return found

    async def _read_body(self, receive: Receive) -> bytes | None:
        """The whole body, or None when it is larger than allowed."""
        message = await receive()
        body: bytes = message.get("body", b"")  # type: ignore[assignment]
        while message.get("more_body", False):
            if len(body) > self._max_body:
                return None
            message = await receive()
            body += message.get("body", b"")  # type: ignore[operator]
        return body if len(body) <= self._max_body else None


def describe_money() -> tuple[PathItems, dict[str, Any]]:
    """OpenAPI path items and component schemas of :data:`ROUTES`."""
    bodies = {route.body for route in ROUTES}
    types = [*sorted(bodies, key=lambda body: body.__name__), PaymentView, TransactionId]
    schemas, components = msgspec.json.schema_components(types, ref_template=REF_TEMPLATE)
    schema_of = dict(zip(types, schemas, strict=True))
    paths: PathItems = {}
    for route in ROUTES:
        in_path = {"id": TransactionId} if "{id}" in route.address else {}
        operation = Operation(route.scope, PaymentView, route.status, route.body, None, in_path, route.refusals)
        parameters: list[dict[str, Any]] = [KEY_PARAMETER]
        if in_path:
            parameters.append({"name": "id", "in": "path", "required": True, "schema": schema_of[TransactionId]})
        paths[route.address] = {
            "post": {
                "operationId": route.name,
                "tags": ["payments"],
                "summary": route.summary,
                "description": f"Asks for the scope `{route.scope}`.",
                "security": [{"key": []}],
                "parameters": parameters,
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": schema_of[route.body]}},
                },
                "responses": {
                    str(route.status): {
                        "description": "Done.",
                        "content": {"application/json": {"schema": schema_of[PaymentView]}},
                    },
                    **describe_refusals({*route.refusals, *_EVERY, *common_refusals(operation)}),
                },
            }
        }
    return paths, dict(components)
