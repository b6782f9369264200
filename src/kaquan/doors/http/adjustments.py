"""``/v1/adjustments``: value put on a card or taken from it by hand, by two."""

from datetime import datetime

import msgspec
from litestar import Controller, get, post
from litestar.response import Response

from kaquan.cards import UNUSABLE, Pocket, adjustments
from kaquan.cards.adjustments import Adjustment, AdjustmentReason, AdjustmentSearch, Direction
from kaquan.cards.adjustments.outcomes import ADJUSTMENT_EXCEEDS_BALANCE, ADJUSTMENT_EXCEEDS_CAP
from kaquan.doors.http.answers import answer, answer_page
from kaquan.doors.http.fields import AmountFen, ApprovalId, CardId, Reference, TransactionId, uuid_of
from kaquan.doors.http.four_eyes import APPROVED, four_eyes, payload_of
from kaquan.doors.http.once import answer_once
from kaquan.doors.http.operation import operation
from kaquan.doors.http.paging import ListQuery, after_id
from kaquan.doors.http.reading import decode_body, read_bytes, read_path, read_query
from kaquan.doors.http.request import ApiRequest, actor_of, app_of
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import INVALID_FIELD, NOT_FOUND, Refusal
from kaquan.kit.paging import Page
from kaquan.ledger import Answer, RequestKey
from kaquan.parties import Scope
from kaquan.parties.outcomes import APPROVAL_REQUIRED
from kaquan.parties.staff import ApprovalKind


class NewAdjustment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``note`` says in words what ``reason`` stands for here; it is shown in timelines and statements.

    Every key needs an approval of the kind ``adjustment`` for the card, with the other fields as payload.
    """

    card_id: CardId
    pocket: Pocket
    direction: Direction
    amount_fen: AmountFen
    reason: AdjustmentReason
    note: Reference
    approval_id: ApprovalId | None = None


class AdjustmentQuery(ListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    card_id: CardId | None = None
    reason: AdjustmentReason | None = None
    direction: Direction | None = None


class AdjustmentView(msgspec.Struct, frozen=True):
    """``id`` is also that of the transaction. ``made_by`` is the API key that carried the approval out."""

    id: TransactionId
    card_id: CardId
    pocket: Pocket
    direction: Direction
    amount_fen: int
    currency: str
    reason: AdjustmentReason
    note: str
    approval_id: ApprovalId
    made_by: str
    made_at: datetime


def show_adjustment(made: Adjustment) -> AdjustmentView:
    return AdjustmentView(
        id=show_id(Prefix.TRANSACTION, made.id),
        card_id=show_id(Prefix.CARD, made.card_id),
        pocket=made.pocket,
        direction=made.direction,
        amount_fen=made.amount_fen,
        currency=made.currency,
        reason=made.reason,
        note=made.note,
        approval_id=show_id(Prefix.APPROVAL, made.approval_id),
        made_by=made.made_by,
        made_at=made.made_at,
    )


_encode = msgspec.json.Encoder().encode


class AdjustmentController(Controller):
    path = "/v1/adjustments"
    tags = ("adjustments",)

    @post(
        **operation(
            Scope.ADJUSTMENTS_WRITE,
            body=NewAdjustment,
            answer=AdjustmentView,
            status=201,
            refusals=[
                INVALID_FIELD,
                NOT_FOUND,
                *UNUSABLE.values(),
                ADJUSTMENT_EXCEEDS_BALANCE,
                ADJUSTMENT_EXCEEDS_CAP,
                *APPROVED,
            ],
            takes_key=True,
        )
    )
    async def make_adjustment(self, request: ApiRequest) -> Response[bytes]:
        """Put value on a pocket of a card, or take it off, as another operator approved."""
        body = await read_bytes(request)
        asked = decode_body(body, NewAdjustment)
        approve = four_eyes(
            request,
            kind=ApprovalKind.ADJUSTMENT,
            subject=asked.card_id,
            payload=payload_of(body),
            approval_id=asked.approval_id,
        )
        app, card_id = app_of(request), uuid_of(asked.card_id)

        async def work(key: RequestKey) -> Answer | Refusal:
            if isinstance(approve, Refusal):
                return approve
            if approve is None or asked.approval_id is None:
                # money moves outside the rules: a system has no control of its own over that
                return APPROVAL_REQUIRED.refuse("approval_id", kind=ApprovalKind.ADJUSTMENT.value)
            return await adjustments.adjust_card(
                app.pool,
                app.clock,
                app.ids,
                book_id=request.user.book_id,
                slots=app.slots,
                new=adjustments.NewAdjustment(
                    card_id=card_id,
                    pocket=asked.pocket,
                    direction=asked.direction,
                    amount_fen=asked.amount_fen,
                    reason=asked.reason,
                    note=asked.note,
                ),
                approval_id=uuid_of(asked.approval_id),
                approve=approve,
                by=actor_of(request),
                key=key,
                render=lambda made: Answer(201, _encode(show_adjustment(made))),
            )

        return await answer_once(request, body, near=card_id, work=work)

    @get(**operation(Scope.PAYMENTS_READ, query=AdjustmentQuery, answer=Page[AdjustmentView]))
    async def list_adjustments(self, request: ApiRequest) -> Response[bytes]:
        """List adjustments, the newest first."""
        query = read_query(request, AdjustmentQuery)
        search = AdjustmentSearch(
            limit=query.limit,
            after_id=after_id(query),
            created_after=query.created_after,
            created_before=query.created_before,
            card_id=uuid_of(query.card_id) if query.card_id else None,
            reason=query.reason,
            direction=query.direction,
        )
        app = app_of(request)
        page = await adjustments.list_adjustments(
            app.pool, book_id=request.user.book_id, slots=app.slots, search=search
        )
        return answer_page(page, show_adjustment)

    @get(
        "/{id:str}",
        **operation(Scope.PAYMENTS_READ, path={"id": TransactionId}, answer=AdjustmentView, refusals=[NOT_FOUND]),
    )
    async def get_adjustment(self, request: ApiRequest) -> Response[bytes]:
        """Get an adjustment."""
        app = app_of(request)
        found = await adjustments.get_adjustment(
            app.pool,
            book_id=request.user.book_id,
            slots=app.slots,
            adjustment_id=uuid_of(read_path(request, TransactionId)),
        )
        return answer(found, show_adjustment)
