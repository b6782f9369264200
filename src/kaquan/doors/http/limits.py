"""``/v1/limits``, ``/v1/place-rules``, and how a card stands with its limits."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Controller, get, post
from litestar.response import Response
from msgspec import Meta

from kaquan import cards, payments
from kaquan.doors.http.answers import answer, answer_page
from kaquan.doors.http.fields import (
    ApprovalId,
    CardId,
    DayTime,
    LimitId,
    Name,
    PlaceRuleId,
    ProgrammeId,
    TerminalId,
    uuid_of,
)
from kaquan.doors.http.four_eyes import APPROVED, ApprovalQuery, four_eyes, payload_of
from kaquan.doors.http.operation import operation
from kaquan.doors.http.paging import ListQuery, after_id
from kaquan.doors.http.problems import problem_response
from kaquan.doors.http.reading import decode_body, read_bytes, read_path, read_query
from kaquan.doors.http.request import ApiRequest, actor_of, app_of
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.money import MAX_FEN
from kaquan.kit.outcomes import NOT_FOUND, Refusal
from kaquan.kit.paging import Page
from kaquan.parties import Scope
from kaquan.parties.staff import ApprovalKind, Approve
from kaquan.payments import (
    Holder,
    Hours,
    Limit,
    LimitScope,
    LimitSearch,
    LimitStatus,
    Metric,
    Movement,
    NewLimit,
    NewPlaceRule,
    Period,
    PlaceRule,
    PlaceRuleKind,
)
from kaquan.payments import outcomes as refused

MAX_TRAILING_S = 31 * 86_400
MAX_DISTANCE_M = 20_000_000
MAX_SPEED_KMH = 2_000


class HoursView(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of each day in the issuer's zone: from this minute up to that one, past midnight if it is earlier."""

    starts: DayTime
    ends: DayTime


class LimitTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``maximum`` is in minor units for the metric amount, and a number of payments for the metric count.

    ``holder`` says for which cards it is; a period counts in the issuer's zone; ``trailing_s`` is the length of a
    trailing window. With ``hours`` the limit is for that part of the day only and counts what happens in it.
    """

    programme_id: ProgrammeId
    name: Name
    movement: Movement
    scope: LimitScope
    metric: Metric
    period: Period
    maximum: Annotated[int, Meta(ge=0, le=MAX_FEN)]
    holder: Holder = Holder.ANY
    trailing_s: Annotated[int, Meta(ge=1, le=MAX_TRAILING_S)] | None = None
    hours: HoursView | None = None
    approval_id: ApprovalId | None = None


class LimitQuery(ListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    programme_id: ProgrammeId | None = None
    status: LimitStatus | None = None


class LimitView(msgspec.Struct, frozen=True):
    id: str
    programme_id: str
    name: str
    movement: Movement
    scope: LimitScope
    holder: Holder
    metric: Metric
    period: Period
    trailing_s: int | None
    maximum: int
    hours: HoursView | None
    replaces_id: str | None
    created_at: datetime
    ended_at: datetime | None


def _time(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _minute(time: str) -> int:
    return int(time[:2]) * 60 + int(time[3:])


def _show_hours(hours: Hours | None) -> HoursView | None:
    return None if hours is None else HoursView(starts=_time(hours.from_minute), ends=_time(hours.to_minute))


def _read_hours(hours: HoursView | None) -> Hours | None:
    return None if hours is None else Hours(_minute(hours.starts), _minute(hours.ends))


def show_limit(limit: Limit) -> LimitView:
    return LimitView(
        id=show_id(Prefix.LIMIT, limit.id),
        programme_id=show_id(Prefix.PROGRAMME, limit.programme_id),
        name=limit.name,
        movement=limit.movement,
        scope=limit.scope,
        holder=limit.holder,
        metric=limit.metric,
        period=limit.period,
        trailing_s=limit.trailing_s,
        maximum=limit.maximum,
        hours=_show_hours(limit.hours),
        replaces_id=None if limit.replaces_id is None else show_id(Prefix.LIMIT, limit.replaces_id),
        created_at=limit.created_at,
        ended_at=limit.ended_at,
    )


def _new_limit(asked: LimitTerms) -> NewLimit:
    return NewLimit(
        programme_id=uuid_of(asked.programme_id),
        name=asked.name,
        movement=asked.movement,
        scope=asked.scope,
        holder=asked.holder,
        metric=asked.metric,
        period=asked.period,
        trailing_s=asked.trailing_s,
        maximum=asked.maximum,
        hours=_read_hours(asked.hours),
    )


def _search(query: LimitQuery) -> LimitSearch:
    return LimitSearch(
        limit=query.limit,
        after_id=after_id(query),
        created_after=query.created_after,
        created_before=query.created_before,
        programme_id=None if query.programme_id is None else uuid_of(query.programme_id),
        status=query.status,
    )


def _four_eyes(request: ApiRequest, body: bytes, subject: str, approval_id: str | None) -> Approve | Refusal | None:
    payload = payload_of(body)
    return four_eyes(request, kind=ApprovalKind.LIMIT_CHANGE, subject=subject, payload=payload, approval_id=approval_id)


_REFUSALS = (NOT_FOUND, *APPROVED)


class LimitController(Controller):
    path = "/v1/limits"
    tags = ("limits",)

    @post(
        **operation(Scope.LIMITS_WRITE, body=LimitTerms, answer=LimitView, status=201, refusals=[NOT_FOUND, *_REFUSALS])
    )
    async def create_limit(self, request: ApiRequest) -> Response[bytes]:
        """Set a limit. It holds for every payment that begins after the answer."""
        return await self._create(request)

    async def _create(self, request: ApiRequest, *, limit_id: str | None = None) -> Response[bytes]:
        body = await read_bytes(request)
        asked = decode_body(body, LimitTerms)
        approve = _four_eyes(request, body, limit_id or asked.programme_id, asked.approval_id)
        if isinstance(approve, Refusal):
            return problem_response(approve)
        app = app_of(request)
        made = await payments.create_limit(
            app.pool,
            app.clock,
            app.ids,
            book_id=request.user.book_id,
            new=_new_limit(asked),
            replaces_id=None if limit_id is None else uuid_of(limit_id),
            by=actor_of(request),
            approve=approve,
        )
        return answer(made, show_limit, status=201)

    @get(**operation(Scope.PROGRAMMES_READ, query=LimitQuery, answer=Page[LimitView]))
    async def list_limits(self, request: ApiRequest) -> Response[bytes]:
        """List limits, the newest first."""
        search = _search(read_query(request, LimitQuery))
        page = await payments.list_limits(app_of(request).pool, book_id=request.user.book_id, search=search)
        return answer_page(page, show_limit)

    @get("/{id:str}", **operation(Scope.PROGRAMMES_READ, path={"id": LimitId}, answer=LimitView))
    async def get_limit(self, request: ApiRequest) -> Response[bytes]:
        """Get a limit, in force or ended."""
        id_ = uuid_of(read_path(request, LimitId))
        found = await payments.get_limit(app_of(request).pool, book_id=request.user.book_id, limit_id=id_)
        return answer(found, show_limit)

    @post(
        "/{id:str}/replace",
        **operation(
            Scope.LIMITS_WRITE,
            path={"id": LimitId},
            body=LimitTerms,
            answer=LimitView,
            status=201,
            refusals=[refused.LIMIT_ENDED, *_REFUSALS],
        ),
    )
    async def replace_limit(self, request: ApiRequest) -> Response[bytes]:
        """End a limit and set another in its place, at one moment. What was used stays counted."""
        return await self._create(request, limit_id=read_path(request, LimitId))

    @post(
        "/{id:str}/end",
        **operation(Scope.LIMITS_WRITE, path={"id": LimitId}, query=ApprovalQuery, answer=LimitView, refusals=APPROVED),
    )
    async def end_limit(self, request: ApiRequest) -> Response[bytes]:
        """End a limit. Ending it twice is ending it once."""
        app = app_of(request)
        id_ = read_path(request, LimitId)
        approve = _four_eyes(request, b"{}", id_, read_query(request, ApprovalQuery).approval_id)
        if isinstance(approve, Refusal):
            return problem_response(approve)
        ended = await payments.end_limit(
            app.pool,
            app.clock,
            app.ids,
            book_id=request.user.book_id,
            limit_id=uuid_of(id_),
            by=actor_of(request),
            approve=approve,
        )
        return answer(ended, show_limit)


class PlaceRuleTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``within`` and ``outside`` take a circle: its centre in millionths of a degree (WGS 84) and its radius.

    ``travel`` takes the greatest speed that is believed, and the distance that is never too far.
    """

    programme_id: ProgrammeId
    name: Name
    kind: PlaceRuleKind
    holder: Holder = Holder.ANY
    latitude_udeg: Annotated[int, Meta(ge=-90_000_000, le=90_000_000)] | None = None
    longitude_udeg: Annotated[int, Meta(ge=-180_000_000, le=180_000_000)] | None = None
    radius_m: Annotated[int, Meta(ge=1, le=MAX_DISTANCE_M)] | None = None
    max_speed_kmh: Annotated[int, Meta(ge=1, le=MAX_SPEED_KMH)] | None = None
    grace_m: Annotated[int, Meta(ge=0, le=MAX_DISTANCE_M)] | None = None
    hours: HoursView | None = None
    approval_id: ApprovalId | None = None


class PlaceRuleView(msgspec.Struct, frozen=True):
    id: str
    programme_id: str
    name: str
    kind: PlaceRuleKind
    holder: Holder
    latitude_udeg: int | None
    longitude_udeg: int | None
    radius_m: int | None
    max_speed_kmh: int | None
    grace_m: int | None
    hours: HoursView | None
    created_at: datetime
    ended_at: datetime | None


def show_place_rule(rule: PlaceRule) -> PlaceRuleView:
    return PlaceRuleView(
        id=show_id(Prefix.PLACE_RULE, rule.id),
        programme_id=show_id(Prefix.PROGRAMME, rule.programme_id),
        name=rule.name,
        kind=rule.kind,
        holder=rule.holder,
        latitude_udeg=rule.latitude_udeg,
        longitude_udeg=rule.longitude_udeg,
        radius_m=rule.radius_m,
        max_speed_kmh=rule.max_speed_kmh,
        grace_m=rule.grace_m,
        hours=_show_hours(rule.hours),
        created_at=rule.created_at,
        ended_at=rule.ended_at,
    )


class PlaceRuleController(Controller):
    path = "/v1/place-rules"
    tags = ("limits",)

    @post(
        **operation(
            Scope.LIMITS_WRITE, body=PlaceRuleTerms, answer=PlaceRuleView, status=201, refusals=[NOT_FOUND, *APPROVED]
        )
    )
    async def create_place_rule(self, request: ApiRequest) -> Response[bytes]:
        """Set a place rule. It holds for every spend that begins after the answer."""
        body = await read_bytes(request)
        asked = decode_body(body, PlaceRuleTerms)
        approve = _four_eyes(request, body, asked.programme_id, asked.approval_id)
        if isinstance(approve, Refusal):
            return problem_response(approve)
        app = app_of(request)
        new = NewPlaceRule(
            programme_id=uuid_of(asked.programme_id),
            name=asked.name,
            kind=asked.kind,
            holder=asked.holder,
            latitude_udeg=asked.latitude_udeg,
            longitude_udeg=asked.longitude_udeg,
            radius_m=asked.radius_m,
            max_speed_kmh=asked.max_speed_kmh,
            grace_m=asked.grace_m,
            hours=_read_hours(asked.hours),
        )
        made = await payments.create_place_rule(
            app.pool,
            app.clock,
            app.ids,
            book_id=request.user.book_id,
            new=new,
            by=actor_of(request),
            approve=approve,
        )
        return answer(made, show_place_rule, status=201)

    @get(**operation(Scope.PROGRAMMES_READ, query=LimitQuery, answer=Page[PlaceRuleView]))
    async def list_place_rules(self, request: ApiRequest) -> Response[bytes]:
        """List place rules, the newest first."""
        search = _search(read_query(request, LimitQuery))
        page = await payments.list_place_rules(app_of(request).pool, book_id=request.user.book_id, search=search)
        return answer_page(page, show_place_rule)

    @get("/{id:str}", **operation(Scope.PROGRAMMES_READ, path={"id": PlaceRuleId}, answer=PlaceRuleView))
    async def get_place_rule(self, request: ApiRequest) -> Response[bytes]:
        """Get a place rule, in force or ended."""
        id_ = uuid_of(read_path(request, PlaceRuleId))
        found = await payments.get_place_rule(app_of(request).pool, book_id=request.user.book_id, rule_id=id_)
        return answer(found, show_place_rule)

    @post(
        "/{id:str}/end",
        **operation(
            Scope.LIMITS_WRITE, path={"id": PlaceRuleId}, query=ApprovalQuery, answer=PlaceRuleView, refusals=APPROVED
        ),
    )
    async def end_place_rule(self, request: ApiRequest) -> Response[bytes]:
        """End a place rule. Ending it twice is ending it once."""
        app = app_of(request)
        id_ = read_path(request, PlaceRuleId)
        approve = _four_eyes(request, b"{}", id_, read_query(request, ApprovalQuery).approval_id)
        if isinstance(approve, Refusal):
            return problem_response(approve)
        ended = await payments.end_place_rule(
            app.pool,
            app.clock,
            app.ids,
            book_id=request.user.book_id,
            rule_id=uuid_of(id_),
            by=actor_of(request),
            approve=approve,
        )
        return answer(ended, show_place_rule)


class StandingView(msgspec.Struct, frozen=True):
    """How a card stands with one limit. Of a limit on one transaction nothing is ever used."""

    limit: LimitView
    used: int
    left: int


class Standings(msgspec.Struct, frozen=True):
    data: list[StandingView]


class StandingQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """With a terminal, how it stands with its own limits, and its store and merchant with theirs, is told too."""

    terminal_id: TerminalId | None = None


class StandingController(Controller):
    path = "/v1/cards/{id:str}/limits"
    tags = ("limits",)

    @get(**operation(Scope.CARDS_READ, path={"id": CardId}, query=StandingQuery, answer=Standings))
    async def list_standings(self, request: ApiRequest) -> Response[bytes]:
        """How much a card may still spend and load by each limit that holds for it now, spending first."""
        app, book_id = app_of(request), request.user.book_id
        id_ = uuid_of(read_path(request, CardId))
        query = read_query(request, StandingQuery)
        card = await cards.get_card(app.pool, book_id=book_id, slots=app.slots, card_id=id_)
        if isinstance(card, Refusal):
            return problem_response(card)
        await app.refresh()
        place = None
        if query.terminal_id is not None:
            place = app.directory.book(book_id).places.get(uuid_of(query.terminal_id))
            if place is None:
                return problem_response(NOT_FOUND.refuse("terminal_id", what="terminal"))
        programme = app.programmes.get(book_id, card.programme_id)
        assert programme is not None, "a card's programme is always known"
        found = await payments.list_standings(
            app.pool, app.limits, programme, slots=app.slots, card=card, place=place, at=app.clock.now()
        )
        shown = [StandingView(show_limit(standing.limit), standing.used, standing.left) for standing in found]
        return answer(Standings(shown), lambda standings: standings)


LIMIT_CONTROLLERS: list[type[Controller]] = [LimitController, PlaceRuleController, StandingController]
