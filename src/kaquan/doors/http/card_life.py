"""``/v1/cards/{id}/…``, ``/v1/gifts``: what a card lives through between its activation and its end."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Controller, get, post
from litestar.response import Response
from msgspec import Meta

from kaquan import cards
from kaquan.cards import (
    PIN_REFUSALS,
    UNUSABLE,
    Card,
    CardStatus,
    ClaimedGift,
    FeeKind,
    Gift,
    GiftStatus,
    LossCause,
    OfferedGift,
    PinStatus,
    Replacement,
    Transfer,
    TransferKind,
    TransferStatus,
)
from kaquan.cards.gift import DEFAULT_GIFT_S, MAX_GIFT_S, MAX_MESSAGE
from kaquan.cards.outcomes import (
    CARD_EXPIRED,
    CARD_IN_SALE,
    CARD_REGISTERED,
    CARDS_DO_NOT_MATCH,
    FEE_NOT_COVERED,
    GIFT_NOT_OPEN,
    LOSS_REPORT_PENDING,
    NOTHING_TO_TRANSFER,
    ONLY_DIGITAL,
    PIN_NOT_SET,
    PIN_TOO_EASY,
    PROOF_REQUIRED,
    REPLACEMENT_NOT_USABLE,
    TRANSFER_EXCEEDS_CAP,
)
from kaquan.doors.http.answers import answer, answer_page
from kaquan.doors.http.callers import count_guesses
from kaquan.doors.http.cards import CardView, hand_of, press_of, show_card
from kaquan.doors.http.fields import (
    CardId,
    Cursor,
    CustomerId,
    GiftId,
    Pin,
    Reason,
    Reference,
    TerminalId,
    TransactionId,
    TransferId,
    uuid_of,
)
from kaquan.doors.http.once import answer_once
from kaquan.doors.http.operation import operation
from kaquan.doors.http.problems import problem_response
from kaquan.doors.http.reading import decode_body, read_body, read_bytes, read_path, read_query
from kaquan.doors.http.request import ApiRequest, app_of
from kaquan.guesses import TOO_MANY_WRONG_ANSWERS
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import BUSY, INVALID_FIELD, NOT_FOUND, Refusal
from kaquan.kit.paging import DEFAULT_LIMIT, MAX_LIMIT, Page, read_cursor
from kaquan.ledger import Answer, RequestKey
from kaquan.parties import Scope
from kaquan.payments import TimelineItem, read_timeline
from kaquan.payments.timeline import Source

_STATUSES = tuple(UNUSABLE.values())

Message = Annotated[
    str,
    Meta(
        pattern=rf"^[^\x00-\x09\x0b-\x1f\x7f]{{1,{MAX_MESSAGE}}}$(?!\n)",
        description=f"1 to {MAX_MESSAGE} characters, no control characters but line ends",
        extra={"zh": f"1 到 {MAX_MESSAGE} 个字符，除换行外不含控制字符"},
    ),
]
GiftToken = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9_-]{1,128}$(?!\n)",
        description="the token of a gift, gift_… as it was shown when the gift was made",
        extra={"zh": "转赠口令 gift_…，即发起转赠时返回的 token"},
    ),
]


class Registration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    customer_id: CustomerId


class Unbinding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reason: Reason


class NewPin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``current_pin`` is asked for when the card has a PIN already; it counts as a try."""

    pin: Pin
    current_pin: Pin | None = None


class PinUnlock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """With ``forget`` the PIN is taken away, so that the holder sets a new one."""

    reason: Reason
    forget: bool = False


class LossReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An unregistered card needs ``proof``: what shows whose it is, such as the number of the receipt of its sale."""

    cause: LossCause = LossCause.LOST
    proof: Reference | None = None


class FoundCard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Either ``pin``, the holder's, or ``reason``, the operator's."""

    pin: Pin | None = None
    reason: Reason | None = None


class NewReplacement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``new_card_id``: a card of a batch; without it a digital card is made for a digital one.

    The fee of the card's terms is taken from its principal; with ``waive_fee`` it was collected otherwise or let go.
    """

    reason: Reason
    new_card_id: CardId | None = None
    waive_fee: bool = False


class NewTransfer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    to_card_id: CardId


class NewGift(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    message: Message | None = None
    expires_in_s: Annotated[int, Meta(ge=60, le=MAX_GIFT_S)] = DEFAULT_GIFT_S


class GiftClaim(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """With ``new_number`` the claimer gets the balance on a card of another number, and the old one is replaced."""

    token: GiftToken
    customer_id: CustomerId
    new_number: bool = True


class TimelineQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    cursor: Cursor | None = None


class PinView(msgspec.Struct, frozen=True):
    card_id: CardId
    is_set: bool
    is_locked: bool


class TransferView(msgspec.Struct, frozen=True):
    """``amount_fen`` is what has left the one card; when ``status`` is completed it is on the other."""

    id: TransferId
    kind: TransferKind
    status: TransferStatus
    from_card_id: CardId
    to_card_id: CardId
    amount_fen: int
    created_at: datetime
    finished_at: datetime | None


class FeeView(msgspec.Struct, frozen=True):
    kind: FeeKind
    amount_fen: int
    currency: str
    transaction_id: TransactionId


class ReplacementView(msgspec.Struct, frozen=True):
    """``fee`` was taken from the old card before its balance moved; null where there was none."""

    old: CardView
    new: CardView
    transfer: TransferView
    fee: FeeView | None


class GiftView(msgspec.Struct, frozen=True):
    id: GiftId
    card_id: CardId
    status: GiftStatus
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None


class OfferedGiftView(msgspec.Struct, frozen=True):
    """``token`` is shown now and never again: it is what the link to the receiver holds."""

    gift: GiftView
    token: str


class ClaimedGiftView(msgspec.Struct, frozen=True):
    gift: GiftView
    card: CardView
    message: str | None


class TimelineItemView(msgspec.Struct, frozen=True):
    """One line of a card's timeline. ``source`` event: something that happened to the card; transaction: something that
    moved on it, by ``amount_fen`` (below zero: it gave) and ``reserved_fen`` (what was set aside; below zero: given
    back or captured). ``status`` is the card's after an event that changed it."""

    id: str
    source: Source
    kind: str
    title: str
    title_zh: str
    at: datetime
    recorded_at: datetime
    actor: str | None
    reason: str | None
    status: CardStatus | None
    amount_fen: int | None
    reserved_fen: int | None
    reference: str | None
    terminal_id: TerminalId | None
    payment_id: TransactionId | None
    details: dict[str, Any]


def show_transfer(transfer: Transfer) -> TransferView:
    return TransferView(
        id=show_id(Prefix.TRANSFER, transfer.id),
        kind=transfer.kind,
        status=transfer.status,
        from_card_id=show_id(Prefix.CARD, transfer.from_card_id),
        to_card_id=show_id(Prefix.CARD, transfer.to_card_id),
        amount_fen=transfer.amount_fen,
        created_at=transfer.created_at,
        finished_at=transfer.finished_at,
    )


def show_replacement(done: Replacement) -> ReplacementView:
    fee = done.fee
    shown = None
    if fee is not None:
        shown = FeeView(fee.kind, fee.amount_fen, fee.currency, show_id(Prefix.TRANSACTION, fee.id))
    return ReplacementView(show_card(done.old), show_card(done.new), show_transfer(done.transfer), shown)


def show_gift(gift: Gift) -> GiftView:
    return GiftView(
        id=show_id(Prefix.GIFT, gift.id),
        card_id=show_id(Prefix.CARD, gift.card_id),
        status=gift.status,
        created_at=gift.created_at,
        expires_at=gift.expires_at,
        ended_at=gift.ended_at,
    )


def show_offered(offered: OfferedGift) -> OfferedGiftView:
    return OfferedGiftView(show_gift(offered.gift), offered.token)


def show_claimed(claimed: ClaimedGift) -> ClaimedGiftView:
    return ClaimedGiftView(show_gift(claimed.gift), show_card(claimed.card), claimed.message)


_ID_OF = {
    Source.EVENT: Prefix.EVENT,
    Source.TRANSACTION: Prefix.TRANSACTION,
}


def show_item(item: TimelineItem) -> TimelineItemView:
    return TimelineItemView(
        id=show_id(_ID_OF[item.source], item.id),
        source=item.source,
        kind=item.kind,
        title=item.title_en,
        title_zh=item.title_zh,
        at=item.at,
        recorded_at=item.recorded_at,
        actor=item.actor,
        reason=item.reason,
        status=None if item.status is None else CardStatus(item.status),
        amount_fen=item.amount_fen,
        reserved_fen=item.reserved_fen,
        reference=item.reference,
        terminal_id=None if item.terminal_id is None else show_id(Prefix.TERMINAL, item.terminal_id),
        payment_id=None if item.related_id is None else show_id(Prefix.TRANSACTION, item.related_id),
        details=item.details,
    )


_encode = msgspec.json.Encoder().encode


def _about_card(request: ApiRequest) -> dict[str, Any]:
    """The card that a request names, in its book."""
    return {
        "book_id": request.user.book_id,
        "slots": app_of(request).slots,
        "card_id": uuid_of(read_path(request, CardId)),
    }


class CardLifeController(Controller):
    path = "/v1/cards"
    tags = ("cards",)

    @post(
        "/{id:str}/register",
        **operation(
            Scope.CARDS_WRITE,
            path={"id": CardId},
            body=Registration,
            answer=CardView,
            refusals=[CARD_REGISTERED, CARD_IN_SALE, *_STATUSES, BUSY],
        ),
    )
    async def register_card(self, request: ApiRequest) -> Response[bytes]:
        """Bind a card to a person; one that is theirs stays so."""
        app, about = app_of(request), _about_card(request)
        asked = await read_body(request, Registration)
        customer_id = uuid_of(asked.customer_id)
        hand = hand_of(request)
        done = await cards.register_card(app.pool, hand, app.check_customer, **about, customer_id=customer_id)
        return answer(done, show_card)

    @post(
        "/{id:str}/unbind",
        **operation(
            Scope.CARDS_WRITE,
            path={"id": CardId},
            body=Unbinding,
            answer=CardView,
            refusals=[LOSS_REPORT_PENDING, *_STATUSES, BUSY],
        ),
    )
    async def unbind_card(self, request: ApiRequest) -> Response[bytes]:
        """Make a card unregistered again."""
        about = _about_card(request)
        asked = await read_body(request, Unbinding)
        done = await cards.unbind_card(app_of(request).pool, hand_of(request), **about, reason=asked.reason)
        return answer(done, show_card)

    @get(
        "/{id:str}/pin",
        **operation(Scope.CARDS_READ, path={"id": CardId}, answer=PinView, refusals=[NOT_FOUND]),
    )
    async def get_pin(self, request: ApiRequest) -> Response[bytes]:
        """Tell whether a card has a PIN and whether it is locked."""
        return _show_pin(request, await cards.get_pin_status(app_of(request).pool, **_about_card(request)))

    @post(
        "/{id:str}/pin",
        **operation(
            Scope.CARDS_WRITE,
            path={"id": CardId},
            body=NewPin,
            answer=PinView,
            refusals=[PIN_TOO_EASY, *PIN_REFUSALS.values(), TOO_MANY_WRONG_ANSWERS, *_STATUSES, BUSY],
        ),
    )
    async def set_pin(self, request: ApiRequest) -> Response[bytes]:
        """Set a card's PIN, or change it with the current one; wrong ones are counted for each Kaquan-Client."""
        app, about = app_of(request), _about_card(request)
        asked = await read_body(request, NewPin)

        async def work() -> PinStatus | Refusal:
            return await cards.set_pin(
                app.pool, hand_of(request), app.keyring, **about, pin=asked.pin, current_pin=asked.current_pin
            )

        done = await count_guesses(request, asked.current_pin, work)
        return _show_pin(request, done)

    @post(
        "/{id:str}/pin/unlock",
        **operation(
            Scope.CARDS_WRITE, path={"id": CardId}, body=PinUnlock, answer=PinView, refusals=[NOT_FOUND, PIN_NOT_SET]
        ),
    )
    async def unlock_pin(self, request: ApiRequest) -> Response[bytes]:
        """Allow tries at a PIN again, or take it away."""
        about = _about_card(request)
        asked = await read_body(request, PinUnlock)
        done = await cards.unlock_pin(
            app_of(request).pool, hand_of(request), **about, reason=asked.reason, forget=asked.forget
        )
        return _show_pin(request, done)

    @post(
        "/{id:str}/report-loss",
        **operation(
            Scope.CARDS_WRITE,
            path={"id": CardId},
            body=LossReport,
            answer=CardView,
            refusals=[PROOF_REQUIRED, *_STATUSES, BUSY],
        ),
    )
    async def report_loss(self, request: ApiRequest) -> Response[bytes]:
        """Report a card lost: it is refused everywhere by ``loss_effective_at``, and keeps its balance."""
        about = _about_card(request)
        asked = await read_body(request, LossReport)
        done = await cards.report_loss(
            app_of(request).pool, hand_of(request), **about, cause=asked.cause, proof=asked.proof
        )
        return answer(done, show_card)

    @post(
        "/{id:str}/found",
        **operation(
            Scope.CARDS_WRITE,
            path={"id": CardId},
            body=FoundCard,
            answer=CardView,
            refusals=[INVALID_FIELD, *PIN_REFUSALS.values(), TOO_MANY_WRONG_ANSWERS, *_STATUSES, BUSY],
        ),
    )
    async def card_found(self, request: ApiRequest) -> Response[bytes]:
        """Take a loss report back; wrong PINs are counted for each Kaquan-Client."""
        app, about = app_of(request), _about_card(request)
        asked = await read_body(request, FoundCard)

        async def work() -> Card | Refusal:
            return await cards.card_found(
                app.pool, hand_of(request), app.keyring, **about, pin=asked.pin, reason=asked.reason
            )

        return answer(await count_guesses(request, asked.pin, work), show_card)

    @post(
        "/{id:str}/replace",
        **operation(
            Scope.CARDS_WRITE,
            path={"id": CardId},
            body=NewReplacement,
            answer=ReplacementView,
            status=201,
            refusals=[REPLACEMENT_NOT_USABLE, CARD_IN_SALE, FEE_NOT_COVERED, *_STATUSES],
            takes_key=True,
        ),
    )
    async def replace_card(self, request: ApiRequest) -> Response[bytes]:
        """Put a new card in the place of this one, with its balance; this one is refused from the answer on."""
        app, about = app_of(request), _about_card(request)

        async def work(asked: NewReplacement, key: RequestKey) -> Answer | Refusal:
            new_card_id = None if asked.new_card_id is None else uuid_of(asked.new_card_id)
            done = await cards.replace_card(
                app.pool,
                hand_of(request),
                press_of(app),
                **about,
                new_card_id=new_card_id,
                reason=asked.reason,
                waive_fee=asked.waive_fee,
                key=key,
            )
            return done if isinstance(done, Refusal) else Answer(201, _encode(show_replacement(done)))

        return await _once(request, NewReplacement, work)

    @post(
        "/{id:str}/transfer",
        **operation(
            Scope.CARDS_WRITE,
            path={"id": CardId},
            body=NewTransfer,
            answer=TransferView,
            status=201,
            refusals=[CARDS_DO_NOT_MATCH, NOTHING_TO_TRANSFER, TRANSFER_EXCEEDS_CAP, CARD_EXPIRED, *_STATUSES],
            takes_key=True,
        ),
    )
    async def transfer_balance(self, request: ApiRequest) -> Response[bytes]:
        """Move all that is free on a card to another card of the same person and programme."""
        app = app_of(request)
        about = _about_card(request)

        async def work(asked: NewTransfer, key: RequestKey) -> Answer | Refusal:
            done = await cards.transfer_balance(
                app.pool,
                hand_of(request),
                book_id=about["book_id"],
                slots=about["slots"],
                from_card_id=about["card_id"],
                to_card_id=uuid_of(asked.to_card_id),
                key=key,
            )
            return done if isinstance(done, Refusal) else Answer(201, _encode(show_transfer(done)))

        return await _once(request, NewTransfer, work)

    @post(
        "/{id:str}/gifts",
        **operation(
            Scope.CARDS_WRITE,
            path={"id": CardId},
            body=NewGift,
            answer=OfferedGiftView,
            status=201,
            refusals=[ONLY_DIGITAL, CARD_IN_SALE, *_STATUSES, BUSY],
        ),
    )
    async def offer_gift(self, request: ApiRequest) -> Response[bytes]:
        """Hand a digital card to another person: nobody can spend it until it is claimed or taken back."""
        app, about = app_of(request), _about_card(request)
        asked = await read_body(request, NewGift)
        done = await cards.offer_gift(
            app.pool, hand_of(request), app.keyring, **about, message=asked.message, expires_in_s=asked.expires_in_s
        )
        return answer(done, show_offered, status=201)

    @get(
        "/{id:str}/timeline",
        **operation(
            Scope.CARDS_READ,
            path={"id": CardId},
            query=TimelineQuery,
            answer=Page[TimelineItemView],
            refusals=[NOT_FOUND],
        ),
    )
    async def list_timeline(self, request: ApiRequest) -> Response[bytes]:
        """List all that ever happened to a card and moved on it, the newest first."""
        about = _about_card(request)
        query = read_query(request, TimelineQuery)
        after_id = None if query.cursor is None else read_cursor(query.cursor)
        page = await read_timeline(app_of(request).pool, **about, limit=query.limit, after_id=after_id)
        return problem_response(page) if isinstance(page, Refusal) else answer_page(page, show_item)


class GiftController(Controller):
    path = "/v1/gifts"
    tags = ("gifts",)

    @post(
        "/claim",
        **operation(
            Scope.CARDS_WRITE,
            body=GiftClaim,
            answer=ClaimedGiftView,
            refusals=[NOT_FOUND, GIFT_NOT_OPEN, *_STATUSES, BUSY],
        ),
    )
    async def claim_gift(self, request: ApiRequest) -> Response[bytes]:
        """Make the card of a gift the claimer's; the same claimer may ask again and gets the same card."""
        app = app_of(request)
        asked = await read_body(request, GiftClaim)
        done = await cards.claim_gift(
            app.pool,
            hand_of(request),
            app.keyring,
            press_of(app),
            app.check_customer,
            book_id=request.user.book_id,
            slots=app.slots,
            token=asked.token,
            customer_id=uuid_of(asked.customer_id),
            new_number=asked.new_number,
        )
        return answer(done, show_claimed)

    @post(
        "/{id:str}/cancel",
        **operation(Scope.CARDS_WRITE, path={"id": GiftId}, answer=GiftView, refusals=[GIFT_NOT_OPEN, BUSY]),
    )
    async def cancel_gift(self, request: ApiRequest) -> Response[bytes]:
        """Take a gift back before it is claimed."""
        app = app_of(request)
        done = await cards.cancel_gift(
            app.pool,
            hand_of(request),
            book_id=request.user.book_id,
            slots=app.slots,
            gift_id=uuid_of(read_path(request, GiftId)),
        )
        return answer(done, show_gift)


def _show_pin(request: ApiRequest, result: PinStatus | Refusal) -> Response[bytes]:
    card_id = read_path(request, CardId)
    return answer(result, lambda status: PinView(card_id, status.is_set, status.is_locked))


async def _once(
    request: ApiRequest, type_: type[Any], work: Callable[[Any, RequestKey], Awaitable[Answer | Refusal]]
) -> Response[bytes]:
    """Read the body, and do ``work`` once under the request's key, which lives with the card of the address."""
    near = uuid_of(read_path(request, CardId))
    body = await read_bytes(request)
    asked = decode_body(body, type_)
    return await answer_once(request, body, near=near, work=lambda key: work(asked, key))


CARD_LIFE_CONTROLLERS: list[type[Controller]] = [CardLifeController, GiftController]
