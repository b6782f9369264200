"""``/v1/issuers``"""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Controller, get, patch, post
from litestar.response import Response
from msgspec import UNSET, Meta, UnsetType

from kaquan import parties
from kaquan.doors.http.answers import answer, answer_page
from kaquan.doors.http.fields import Code, IssuerId, Name, uuid_of
from kaquan.doors.http.operation import operation
from kaquan.doors.http.paging import ListQuery, after_id
from kaquan.doors.http.reading import read_body, read_path, read_query
from kaquan.doors.http.request import ApiRequest, app_of
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import ALREADY_EXISTS
from kaquan.kit.paging import Page
from kaquan.parties import Issuer, Scope, Search

TimeZone = Annotated[str, Meta(extra_json_schema={"enum": sorted(parties.time_zones())})]


class NewIssuer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    code: Code
    name: Name
    time_zone: TimeZone


class IssuerChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Name | UnsetType = UNSET


class IssuerQuery(ListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``name`` is the beginning of a name."""

    code: Code | None = None
    name: Name | None = None


class IssuerView(msgspec.Struct, frozen=True):
    id: IssuerId
    code: str
    name: str
    time_zone: str
    created_at: datetime


def show_issuer(issuer: Issuer) -> IssuerView:
    return IssuerView(
        id=show_id(Prefix.ISSUER, issuer.id),
        code=issuer.code,
        name=issuer.name,
        time_zone=issuer.time_zone,
        created_at=issuer.created_at,
    )


class IssuerController(Controller):
    path = "/v1/issuers"
    tags = ("issuers",)

    @post(**operation(Scope.MERCHANTS_WRITE, body=NewIssuer, answer=IssuerView, status=201, refusals=[ALREADY_EXISTS]))
    async def create_issuer(self, request: ApiRequest) -> Response[bytes]:
        """Create an issuer."""
        asked = await read_body(request, NewIssuer)
        app = app_of(request)
        made = await parties.create_issuer(
            app.pool,
            app.clock,
            app.ids,
            book_id=request.user.book_id,
            code=asked.code,
            name=asked.name,
            time_zone=asked.time_zone,
        )
        return answer(made, show_issuer, status=201)

    @get(**operation(Scope.MERCHANTS_READ, query=IssuerQuery, answer=Page[IssuerView]))
    async def list_issuers(self, request: ApiRequest) -> Response[bytes]:
        """List issuers, the newest first."""
        query = read_query(request, IssuerQuery)
        search = Search(
            limit=query.limit,
            after_id=after_id(query),
            created_after=query.created_after,
            created_before=query.created_before,
            code=query.code,
            name=query.name,
        )
        page = await parties.list_issuers(app_of(request).pool, book_id=request.user.book_id, search=search)
        return answer_page(page, show_issuer)

    @get(
        "/{id:str}",
        **operation(Scope.MERCHANTS_READ, path={"id": IssuerId}, answer=IssuerView),
    )
    async def get_issuer(self, request: ApiRequest) -> Response[bytes]:
        """Get an issuer."""
        id_ = uuid_of(read_path(request, IssuerId))
        found = await parties.get_issuer(app_of(request).pool, book_id=request.user.book_id, id_=id_)
        return answer(found, show_issuer)

    @patch(
        "/{id:str}",
        **operation(
            Scope.MERCHANTS_WRITE,
            path={"id": IssuerId},
            body=IssuerChange,
            answer=IssuerView,
        ),
    )
    async def change_issuer(self, request: ApiRequest) -> Response[bytes]:
        """Rename an issuer."""
        id_ = uuid_of(read_path(request, IssuerId))
        asked = await read_body(request, IssuerChange)
        changed = await parties.change_issuer(
            app_of(request).pool,
            book_id=request.user.book_id,
            id_=id_,
            name=asked.name or None,
        )
        return answer(changed, show_issuer)
