"""``/v1/issuers``"""

from datetime import date, datetime
from typing import Annotated

import msgspec
from litestar import Controller, get, patch, post
from litestar.response import Response
from msgspec import UNSET, Meta, UnsetType

from kaquan import parties
from kaquan.doors.http.answers import answer, answer_page
from kaquan.doors.http.fields import Code, IssuerId, LegalCode, Name, Province, uuid_of
from kaquan.doors.http.operation import operation
from kaquan.doors.http.paging import ListQuery, after_id
from kaquan.doors.http.reading import read_body, read_path, read_query, same_fields
from kaquan.doors.http.request import ApiRequest, actor_of, app_of
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import ALREADY_EXISTS, BUSY
from kaquan.kit.paging import Page
from kaquan.parties import Issuer, IssuerClass, IssuerProfile, Scope, Search

TimeZone = Annotated[str, Meta(extra_json_schema={"enum": sorted(parties.time_zones())})]


class NewIssuer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``legal_code`` is the issuer's unified social credit code, ``group_code`` that of the legal person in control."""

    code: Code
    name: Name
    time_zone: TimeZone
    issuer_class: IssuerClass | UnsetType | None = UNSET
    legal_name: Name | UnsetType | None = UNSET
    legal_code: LegalCode | UnsetType | None = UNSET
    group_code: LegalCode | UnsetType | None = UNSET
    brand: Name | UnsetType | None = UNSET
    province: Province | UnsetType | None = UNSET
    filing_number: Code | UnsetType | None = UNSET
    filed_on: date | UnsetType | None = UNSET
    business_started_on: date | UnsetType | None = UNSET
    calendar: Code | UnsetType | None = UNSET
    payment_licence: Code | UnsetType | None = UNSET


class IssuerChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A field that is left out stays as it is, null takes it away."""

    name: Name | UnsetType = UNSET
    issuer_class: IssuerClass | UnsetType | None = UNSET
    legal_name: Name | UnsetType | None = UNSET
    legal_code: LegalCode | UnsetType | None = UNSET
    group_code: LegalCode | UnsetType | None = UNSET
    brand: Name | UnsetType | None = UNSET
    province: Province | UnsetType | None = UNSET
    filing_number: Code | UnsetType | None = UNSET
    filed_on: date | UnsetType | None = UNSET
    business_started_on: date | UnsetType | None = UNSET
    calendar: Code | UnsetType | None = UNSET
    payment_licence: Code | UnsetType | None = UNSET


class IssuerQuery(ListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``name`` is the beginning of a name."""

    code: Code | None = None
    name: Name | None = None


class IssuerView(msgspec.Struct, frozen=True):
    id: IssuerId
    code: str
    name: str
    time_zone: str
    issuer_class: IssuerClass | None
    legal_name: str | None
    legal_code: str | None
    group_code: str | None
    brand: str | None
    province: str | None
    filing_number: str | None
    filed_on: date | None
    business_started_on: date | None
    calendar: str | None
    payment_licence: str | None
    created_at: datetime


def show_issuer(issuer: Issuer) -> IssuerView:
    return IssuerView(
        id=show_id(Prefix.ISSUER, issuer.id),
        code=issuer.code,
        name=issuer.name,
        time_zone=issuer.time_zone,
        issuer_class=issuer.issuer_class,
        legal_name=issuer.legal_name,
        legal_code=issuer.legal_code,
        group_code=issuer.group_code,
        brand=issuer.brand,
        province=issuer.province,
        filing_number=issuer.filing_number,
        filed_on=issuer.filed_on,
        business_started_on=issuer.business_started_on,
        calendar=issuer.calendar,
        payment_licence=issuer.payment_licence,
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
            profile=same_fields(asked, IssuerProfile),
            by=actor_of(request),
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
            refusals=[BUSY],
        ),
    )
    async def change_issuer(self, request: ApiRequest) -> Response[bytes]:
        """Change what is known of an issuer; a field that is left out stays as it is."""
        id_ = uuid_of(read_path(request, IssuerId))
        asked = await read_body(request, IssuerChange)
        app = app_of(request)
        changed = await parties.change_issuer(
            app.pool,
            app.clock,
            app.ids,
            book_id=request.user.book_id,
            id_=id_,
            change=same_fields(asked, parties.IssuerChange),
            by=actor_of(request),
        )
        return answer(changed, show_issuer)
