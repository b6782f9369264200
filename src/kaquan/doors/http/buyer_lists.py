"""``/v1/buyer-lists``: whom nothing is sold to, or not before somebody has looked"""

from collections.abc import Awaitable, Callable
from datetime import date, datetime

import msgspec
from litestar import Controller, get, post
from litestar.response import Response
from msgspec import UNSET, UnsetType

from kaquan import sales
from kaquan.doors.http.answers import answer, answer_page
from kaquan.doors.http.closing import Day
from kaquan.doors.http.fields import ApprovalId, BuyerListId, Name, uuid_of
from kaquan.doors.http.four_eyes import APPROVED, always_two
from kaquan.doors.http.operation import operation
from kaquan.doors.http.paging import ListQuery, after_id
from kaquan.doors.http.problems import problem_response
from kaquan.doors.http.reading import read_body, read_file, read_path, read_query
from kaquan.doors.http.request import ApiRequest, actor_of, app_of
from kaquan.imports import LineProblem
from kaquan.imports.outcomes import COLUMN_MISSING, FILE_UNREADABLE
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import BUSY, NOT_FOUND, Refusal
from kaquan.kit.paging import Page
from kaquan.parties import Scope
from kaquan.parties.staff import ApprovalKind
from kaquan.sales import BuyerList, BuyerListAction, BuyerListStatus, CheckedList
from kaquan.sales.create import actor_name
from kaquan.sales.outcomes import BUYER_LIST_STATUS_FORBIDS

PROBLEMS_SHOWN = 1_000


class UploadQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``source`` is where the list comes from, ``listed_on`` its day; ``action`` what becomes of a purchase."""

    name: Name
    source: Name
    listed_on: Day
    action: BuyerListAction = BuyerListAction.REFUSE


class Allowed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What another operator approved (kind ``buyer_list``): the list, and to do this with it."""

    approval_id: ApprovalId | None = None


class BuyerListView(msgspec.Struct, frozen=True):
    """``sha256`` is that of the file, of which nothing is kept in clear."""

    id: BuyerListId
    name: str
    source: str
    listed_on: date
    action: BuyerListAction
    status: BuyerListStatus
    entry_count: int
    sha256: str
    made_by: str
    made_at: datetime
    applied_at: datetime | None
    ended_at: datetime | None


class UploadView(msgspec.Struct, frozen=True):
    """``buyer_list`` is null where a line is bad: then nothing is kept, and ``problems`` tells the bad lines."""

    buyer_list: BuyerListView | None
    line_count: int
    bad_line_count: int
    problems: list[LineProblem] | UnsetType = UNSET


def show_list(one: BuyerList) -> BuyerListView:
    return BuyerListView(
        show_id(Prefix.BUYER_LIST, one.id), one.name, one.source, one.listed_on, one.action, one.status,
        one.entry_count, one.sha256, one.made_by, one.made_at, one.applied_at, one.ended_at,
    )  # fmt: skip


def show_upload(done: BuyerList | CheckedList) -> UploadView:
    if isinstance(done, BuyerList):
        return UploadView(show_list(done), done.entry_count, 0)
    bad = len({problem.line for problem in done.problems})
    return UploadView(None, len(done.lines) + bad, bad, done.problems[:PROBLEMS_SHOWN])


class BuyerListController(Controller):
    path = "/v1/buyer-lists"
    tags = ("sales",)

    @post(
        **operation(
            Scope.POLICY_WRITE,
            query=UploadQuery,
            body=bytes,
            answer=UploadView,
            refusals=[FILE_UNREADABLE, COLUMN_MISSING, BUSY],
        )
    )
    async def upload_list(self, request: ApiRequest) -> Response[bytes]:
        """Check a list (CSV or .xlsx with the columns name and document) whole, and keep it if every line is good."""
        query, app = read_query(request, UploadQuery), app_of(request)
        content = await read_file(request, limit=app.settings.max_import_bytes)
        by = actor_of(request)
        done = await sales.upload_list(
            app.pool,
            app.clock,
            app.ids,
            app.keyring,
            book_id=request.user.book_id,
            name=query.name,
            source=query.source,
            listed_on=query.listed_on,
            action=query.action,
            content=bytes(content),
            by=by,
            made_by=actor_name(by),
        )
        return problem_response(done) if isinstance(done, Refusal) else answer(show_upload(done), lambda shown: shown)

    @get(**operation(Scope.POLICY_READ, query=ListQuery, answer=Page[BuyerListView]))
    async def list_buyer_lists(self, request: ApiRequest) -> Response[bytes]:
        """List the lists, the newest first."""
        query = read_query(request, ListQuery)
        page = await sales.list_buyer_lists(
            app_of(request).pool,
            book_id=request.user.book_id,
            after_id=after_id(query),
            limit=query.limit,
        )
        return answer_page(page, show_list)

    @get(
        "/{id:str}",
        **operation(Scope.POLICY_READ, path={"id": BuyerListId}, answer=BuyerListView, refusals=[NOT_FOUND]),
    )
    async def get_buyer_list(self, request: ApiRequest) -> Response[bytes]:
        """Get a list: what it is and whether it is in force, not whom it names."""
        found = await sales.get_buyer_list(
            app_of(request).pool, book_id=request.user.book_id, list_id=uuid_of(read_path(request, BuyerListId))
        )
        return answer(found, show_list)

    @post(
        "/{id:str}/apply",
        **operation(
            Scope.POLICY_WRITE,
            path={"id": BuyerListId},
            body=Allowed,
            answer=BuyerListView,
            refusals=[NOT_FOUND, BUYER_LIST_STATUS_FORBIDS, *APPROVED, BUSY],
        ),
    )
    async def apply_list(self, request: ApiRequest) -> Response[bytes]:
        """Put a list into force, as another operator approved; the one of its name before ends."""
        return await _change(request, "apply", sales.apply_list)

    @post(
        "/{id:str}/end",
        **operation(
            Scope.POLICY_WRITE,
            path={"id": BuyerListId},
            body=Allowed,
            answer=BuyerListView,
            refusals=[NOT_FOUND, BUYER_LIST_STATUS_FORBIDS, *APPROVED, BUSY],
        ),
    )
    async def end_list(self, request: ApiRequest) -> Response[bytes]:
        """End a list that is in force, as another operator approved."""
        return await _change(request, "end", sales.end_list)


async def _change(request: ApiRequest, do: str, verb: Callable[..., Awaitable[BuyerList | Refusal]]) -> Response[bytes]:
    app, subject = app_of(request), read_path(request, BuyerListId)
    asked = await read_body(request, Allowed)
    approve = always_two(
        request, kind=ApprovalKind.BUYER_LIST, subject=subject, payload={"do": do}, approval_id=asked.approval_id
    )
    if isinstance(approve, Refusal):
        return answer(approve, show_list)
    done = await verb(
        app.pool,
        app.clock,
        app.ids,
        book_id=request.user.book_id,
        list_id=uuid_of(subject),
        approve=approve,
        by=actor_of(request),
    )
    return answer(done, show_list)


BUYER_LIST_CONTROLLERS: list[type[Controller]] = [BuyerListController]
