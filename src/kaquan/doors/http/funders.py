"""``/v1/funders``"""

from datetime import datetime

import msgspec
from litestar import Controller, get, post
from litestar.response import Response

from kaquan import parties
from kaquan.doors.http.answers import answer, answer_page
from kaquan.doors.http.fields import Code, FunderId, LegalCode, Name, uuid_of
from kaquan.doors.http.operation import operation
from kaquan.doors.http.paging import ListQuery, after_id
from kaquan.doors.http.reading import read_body, read_path, read_query
from kaquan.doors.http.request import ApiRequest, actor_of, app_of
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import ALREADY_EXISTS
from kaquan.kit.paging import Page
from kaquan.parties import Funder, FunderKind, Scope, Search


class NewFunder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who pays for discounts and subsidies and is neither issuer nor merchant."""

    code: Code
    name: Name
    kind: FunderKind
    legal_code: LegalCode | None = None


class FunderQuery(ListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``name`` is the beginning of a name."""

    code: Code | None = None
    name: Name | None = None


class FunderView(msgspec.Struct, frozen=True):
    id: FunderId
    code: str
    name: str
    kind: FunderKind
    legal_code: str | None
    created_at: datetime


def show_funder(funder: Funder) -> FunderView:
    return FunderView(
        id=show_id(Prefix.FUNDER, funder.id),
        code=funder.code,
        name=funder.name,
        kind=funder.kind,
        legal_code=funder.legal_code,
        created_at=funder.created_at,
    )


class FunderController(Controller):
    path = "/v1/funders"
    tags = ("funders",)

    @post(
        **operation(Scope.MERCHANTS_WRITE, body=NewFunder, answer=FunderView, status=201, refusals=[ALREADY_EXISTS]),
    )
    async def create_funder(self, request: ApiRequest) -> Response[bytes]:
        """Create a funder."""
        asked = await read_body(request, NewFunder)
        app = app_of(request)
        made = await parties.create_funder(
            app.pool,
            app.clock,
            app.ids,
            book_id=request.user.book_id,
            code=asked.code,
            name=asked.name,
            kind=asked.kind,
            legal_code=asked.legal_code,
            by=actor_of(request),
        )
        return answer(made, show_funder, status=201)

    @get(**operation(Scope.MERCHANTS_READ, query=FunderQuery, answer=Page[FunderView]))
    async def list_funders(self, request: ApiRequest) -> Response[bytes]:
        """List funders, the newest first."""
        query = read_query(request, FunderQuery)
        search = Search(
            limit=query.limit,
            after_id=after_id(query),
            created_after=query.created_after,
            created_before=query.created_before,
            code=query.code,
            name=query.name,
        )
        page = await parties.list_funders(app_of(request).pool, book_id=request.user.book_id, search=search)
        return answer_page(page, show_funder)

    @get("/{id:str}", **operation(Scope.MERCHANTS_READ, path={"id": FunderId}, answer=FunderView))
    async def get_funder(self, request: ApiRequest) -> Response[bytes]:
        """Get a funder."""
        id_ = uuid_of(read_path(request, FunderId))
        found = await parties.get_funder(app_of(request).pool, book_id=request.user.book_id, id_=id_)
        return answer(found, show_funder)
