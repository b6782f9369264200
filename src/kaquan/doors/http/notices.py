"""``/v1/webhook-endpoints``, ``/v1/notices``"""

from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.response import Response
from msgspec import UNSET, Meta, UnsetType

from kaquan import notices
from kaquan.doors.http.answers import answer, answer_page
from kaquan.doors.http.fields import CardId, Code, EndpointId, NoticeId, uuid_of
from kaquan.doors.http.operation import operation
from kaquan.doors.http.paging import ListQuery, Moment, after_id, in_utc
from kaquan.doors.http.reading import read_body, read_path, read_query
from kaquan.doors.http.request import ApiRequest, app_of
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import NOT_FOUND
from kaquan.kit.paging import Page
from kaquan.notices import (
    EVENTS,
    Attempt,
    Delivery,
    DeliveryStatus,
    Endpoint,
    EndpointStatus,
    FullNotice,
    MadeEndpoint,
    Notice,
    NoticeSearch,
)
from kaquan.notices.endpoints import MAX_OVERLAP
from kaquan.notices.kinds.webhook import MAX_ADDRESS
from kaquan.notices.types import CONSOLE
from kaquan.parties import Scope

MAX_EVENTS = 64
MAX_OVERLAP_H = MAX_OVERLAP // timedelta(hours=1)

Address = Annotated[
    str,
    Meta(
        pattern=rf"^[!-~]{{1,{MAX_ADDRESS}}}$(?!\n)",
        description=f"an https address of at most {MAX_ADDRESS} characters",
        extra={"zh": f" https 地址，最多 {MAX_ADDRESS} 个字符"},
    ),
]
Events = Annotated[list[Code], Meta(max_length=MAX_EVENTS)]


class NewEndpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Without ``events`` it gets every event."""

    address: Address
    events: Events = []


class EndpointChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A field that is left out stays as it is. While an endpoint is not active, what is due to it waits."""

    address: Address | UnsetType = UNSET
    events: Events | UnsetType = UNSET
    active: bool | UnsetType = UNSET


class Rotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long messages carry a signature of the old secret too."""

    overlap_h: Annotated[int, Meta(ge=0, le=MAX_OVERLAP_H)] = 24


class Replay(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was written between two times, both exclusive; only what was given up, unless ``all``."""

    created_after: Moment
    created_before: Moment
    all: bool = False


class EndpointView(msgspec.Struct, frozen=True):
    """``secret`` is shown when it is made and when it is rotated, and never again."""

    id: EndpointId
    kind: str
    address: str
    events: list[str]
    status: EndpointStatus
    old_secret_until: datetime | None
    created_at: datetime
    secret: str | None = None


class ReplayedView(msgspec.Struct, frozen=True):
    notice_count: int


class NoticeView(msgspec.Struct, frozen=True):
    """``message`` says it to people; ``body`` is what webhooks carry."""

    id: NoticeId
    event: str
    card_id: CardId | None
    message: str
    message_zh: str
    body: msgspec.Raw
    created_at: datetime


class DeliveryView(msgspec.Struct, frozen=True):
    """``endpoint_id`` is null for the console."""

    endpoint_id: EndpointId | None
    kind: str
    status: DeliveryStatus
    attempt_count: int
    next_at: datetime | None
    delivered_at: datetime | None


class AttemptView(msgspec.Struct, frozen=True):
    """``failure`` is a word for what went wrong; without it the message was taken."""

    endpoint_id: EndpointId
    attempt: int
    attempted_at: datetime
    duration_ms: int
    http_status: int | None
    failure: str | None


class FullNoticeView(msgspec.Struct, frozen=True):
    notice: NoticeView
    deliveries: list[DeliveryView]
    attempts: list[AttemptView]


class NoticeQuery(ListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    event: Code | None = None
    card_id: CardId | None = None


def show_endpoint(endpoint: Endpoint) -> EndpointView:
    return EndpointView(
        id=show_id(Prefix.ENDPOINT, endpoint.id),
        kind=endpoint.kind,
        address=endpoint.address,
        events=list(endpoint.events),
        status=endpoint.status,
        old_secret_until=endpoint.old_secret_until,
        created_at=endpoint.created_at,
    )


def show_made(made: MadeEndpoint) -> EndpointView:
    return msgspec.structs.replace(show_endpoint(made.endpoint), secret=made.secret)


def show_notice(notice: Notice) -> NoticeView:
    event, data = EVENTS[notice.event], msgspec.json.decode(notice.body)["data"]
    return NoticeView(
        id=show_id(Prefix.NOTICE, notice.id),
        event=notice.event,
        card_id=show_id(Prefix.CARD, notice.card_id) if notice.card_id else None,
        message=event.message(data, "en"),
        message_zh=event.message(data, "zh"),
        body=msgspec.Raw(notice.body.encode()),
        created_at=notice.created_at,
    )


def _show_delivery(delivery: Delivery) -> DeliveryView:
    return DeliveryView(
        endpoint_id=None if delivery.endpoint_id == CONSOLE else show_id(Prefix.ENDPOINT, delivery.endpoint_id),
        kind=delivery.kind,
        status=delivery.status,
        attempt_count=delivery.attempt_count,
        next_at=delivery.next_at,
        delivered_at=delivery.delivered_at,
    )


def _show_attempt(attempt: Attempt) -> AttemptView:
    return AttemptView(
        endpoint_id=show_id(Prefix.ENDPOINT, attempt.endpoint_id),
        attempt=attempt.attempt,
        attempted_at=attempt.attempted_at,
        duration_ms=attempt.duration_ms,
        http_status=attempt.http_status,
        failure=attempt.failure,
    )


def show_full(full: FullNotice) -> FullNoticeView:
    return FullNoticeView(
        show_notice(full.notice),
        [_show_delivery(delivery) for delivery in full.deliveries],
        [_show_attempt(attempt) for attempt in full.attempts],
    )


def _search(query: ListQuery) -> NoticeSearch:
    return NoticeSearch(
        limit=query.limit,
        after_id=after_id(query),
        created_after=query.created_after,
        created_before=query.created_before,
    )


class EndpointController(Controller):
    path = "/v1/webhook-endpoints"
    tags = ("notices",)

    @post(**operation(Scope.NOTICES_WRITE, body=NewEndpoint, answer=EndpointView, status=201))
    async def create_endpoint(self, request: ApiRequest) -> Response[bytes]:
        """Create a webhook endpoint; its secret is in the answer, this once."""
        asked = await read_body(request, NewEndpoint)
        app = app_of(request)
        made = await notices.create_endpoint(
            app.pool,
            app.clock,
            app.ids,
            app.keyring,
            book_id=request.user.book_id,
            address=asked.address,
            events=asked.events,
            allow_private=app.settings.webhook_private,
        )
        return answer(made, show_made, status=201)

    @get(**operation(Scope.NOTICES_READ, query=ListQuery, answer=Page[EndpointView]))
    async def list_endpoints(self, request: ApiRequest) -> Response[bytes]:
        """List webhook endpoints, the newest first."""
        search = _search(read_query(request, ListQuery))
        page = await notices.list_endpoints(app_of(request).pool, book_id=request.user.book_id, search=search)
        return answer_page(page, show_endpoint)

    @get(
        "/{id:str}",
        **operation(Scope.NOTICES_READ, path={"id": EndpointId}, answer=EndpointView, refusals=[NOT_FOUND]),
    )
    async def get_endpoint(self, request: ApiRequest) -> Response[bytes]:
        """Get a webhook endpoint."""
        id_ = uuid_of(read_path(request, EndpointId))
        found = await notices.get_endpoint(app_of(request).pool, book_id=request.user.book_id, id_=id_)
        return answer(found, show_endpoint)

    @patch(
        "/{id:str}",
        **operation(
            Scope.NOTICES_WRITE,
            path={"id": EndpointId},
            body=EndpointChange,
            answer=EndpointView,
            refusals=[NOT_FOUND],
        ),
    )
    async def change_endpoint(self, request: ApiRequest) -> Response[bytes]:
        """Change a webhook endpoint's address or events, disable or enable it."""
        id_ = uuid_of(read_path(request, EndpointId))
        asked = await read_body(request, EndpointChange)
        app = app_of(request)
        status = None
        if asked.active is not UNSET:
            status = EndpointStatus.ACTIVE if asked.active else EndpointStatus.DISABLED
        changed = await notices.change_endpoint(
            app.pool,
            book_id=request.user.book_id,
            id_=id_,
            allow_private=app.settings.webhook_private,
            address=None if asked.address is UNSET else asked.address,
            events=None if asked.events is UNSET else asked.events,
            status=status,
        )
        return answer(changed, show_endpoint)

    @delete(
        "/{id:str}",
        **operation(Scope.NOTICES_WRITE, path={"id": EndpointId}, answer=EndpointView, refusals=[NOT_FOUND]),
    )
    async def remove_endpoint(self, request: ApiRequest) -> Response[bytes]:
        """Remove a webhook endpoint for ever; what is on its way to it is given up."""
        id_ = uuid_of(read_path(request, EndpointId))
        app = app_of(request)
        removed = await notices.remove_endpoint(app.pool, slots=app.slots, book_id=request.user.book_id, id_=id_)
        return answer(removed, show_endpoint)

    @post(
        "/{id:str}/rotate-secret",
        **operation(
            Scope.NOTICES_WRITE,
            path={"id": EndpointId},
            body=Rotation,
            answer=EndpointView,
            refusals=[NOT_FOUND],
        ),
    )
    async def rotate_secret(self, request: ApiRequest) -> Response[bytes]:
        """Give an endpoint a new secret; for a time messages are signed with the old one too."""
        id_ = uuid_of(read_path(request, EndpointId))
        asked = await read_body(request, Rotation)
        app = app_of(request)
        made = await notices.rotate_secret(
            app.pool,
            app.clock,
            app.keyring,
            book_id=request.user.book_id,
            id_=id_,
            overlap=timedelta(hours=asked.overlap_h),
        )
        return answer(made, show_made)

    @post(
        "/{id:str}/replay",
        **operation(
            Scope.NOTICES_WRITE,
            path={"id": EndpointId},
            body=Replay,
            answer=ReplayedView,
            refusals=[NOT_FOUND],
        ),
    )
    async def replay_notices(self, request: ApiRequest) -> Response[bytes]:
        """Send an endpoint again what was written between two times."""
        id_ = uuid_of(read_path(request, EndpointId))
        asked = await read_body(request, Replay)
        app = app_of(request)
        after, before = in_utc(asked.created_after), in_utc(asked.created_before)
        assert after is not None
        assert before is not None
        count = await notices.replay_range(
            app.pool,
            app.clock,
            book_id=request.user.book_id,
            slots=app.slots,
            endpoint_id=id_,
            created_after=after,
            created_before=before,
            only_dead=not asked.all,
        )
        return answer(count, ReplayedView)


class NoticeController(Controller):
    path = "/v1/notices"
    tags = ("notices",)

    @get(**operation(Scope.NOTICES_READ, query=NoticeQuery, answer=Page[NoticeView]))
    async def list_notices(self, request: ApiRequest) -> Response[bytes]:
        """List notices, the newest first."""
        query = read_query(request, NoticeQuery)
        search = msgspec.structs.replace(
            _search(query), event=query.event, card_id=uuid_of(query.card_id) if query.card_id else None
        )
        app = app_of(request)
        page = await notices.list_notices(app.pool, book_id=request.user.book_id, slots=app.slots, search=search)
        return answer_page(page, show_notice)

    @get(
        "/{id:str}",
        **operation(Scope.NOTICES_READ, path={"id": NoticeId}, answer=FullNoticeView, refusals=[NOT_FOUND]),
    )
    async def get_notice(self, request: ApiRequest) -> Response[bytes]:
        """Get a notice with its deliveries and every attempt."""
        id_ = uuid_of(read_path(request, NoticeId))
        app = app_of(request)
        found = await notices.get_notice(app.pool, book_id=request.user.book_id, slots=app.slots, id_=id_)
        return answer(found, show_full)

    @post(
        "/{id:str}/resend",
        **operation(Scope.NOTICES_WRITE, path={"id": NoticeId}, answer=FullNoticeView, refusals=[NOT_FOUND]),
    )
    async def resend_notice(self, request: ApiRequest) -> Response[bytes]:
        """Send a notice again, under its old id, to every active endpoint that wants its event."""
        id_ = uuid_of(read_path(request, NoticeId))
        app = app_of(request)
        sent = await notices.resend_notice(app.pool, app.clock, book_id=request.user.book_id, slots=app.slots, id_=id_)
        return answer(sent, show_full)


NOTICE_CONTROLLERS: list[type[Controller]] = [EndpointController, NoticeController]
