"""``/v1/merchants``"""

from datetime import datetime

import msgspec
from litestar import Controller, get, patch, post
from litestar.response import Response
from msgspec import UNSET, UnsetType

from kaquan import parties
from kaquan.doors.http.answers import answer, answer_page
from kaquan.doors.http.fields import Code, LegalCode, MerchantId, Name, Trade, uuid_of
from kaquan.doors.http.operation import operation
from kaquan.doors.http.paging import ListQuery, after_id
from kaquan.doors.http.reading import read_body, read_path, read_query, same_fields
from kaquan.doors.http.request import ApiRequest, actor_of, app_of
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import ALREADY_EXISTS, BUSY
from kaquan.kit.paging import Page
from kaquan.parties import Merchant, MerchantProfile, Scope, Search


class NewMerchant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``legal_code`` is its unified social credit code, ``group_code`` that of the legal person who controls it."""

    code: Code
    name: Name
    trade: Trade | None = None
    legal_name: Name | UnsetType | None = UNSET
    legal_code: LegalCode | UnsetType | None = UNSET
    group_code: LegalCode | UnsetType | None = UNSET
    brand: Name | UnsetType | None = UNSET


class MerchantChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A field that is left out stays as it is, null takes it away."""

    name: Name | UnsetType = UNSET
    trade: Trade | UnsetType = UNSET
    legal_name: Name | UnsetType | None = UNSET
    legal_code: LegalCode | UnsetType | None = UNSET
    group_code: LegalCode | UnsetType | None = UNSET
    brand: Name | UnsetType | None = UNSET


class MerchantQuery(ListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``name`` is the beginning of a name."""

    code: Code | None = None
    name: Name | None = None


class MerchantView(msgspec.Struct, frozen=True):
    id: MerchantId
    code: str
    name: str
    trade: str | None
    legal_name: str | None
    legal_code: str | None
    group_code: str | None
    brand: str | None
    created_at: datetime


def show_merchant(merchant: Merchant) -> MerchantView:
    return MerchantView(
        id=show_id(Prefix.MERCHANT, merchant.id),
        code=merchant.code,
        name=merchant.name,
        trade=merchant.trade,
        legal_name=merchant.legal_name,
        legal_code=merchant.legal_code,
        group_code=merchant.group_code,
        brand=merchant.brand,
        created_at=merchant.created_at,
    )


class MerchantController(Controller):
    path = "/v1/merchants"
    tags = ("merchants",)

    @post(
        **operation(
            Scope.MERCHANTS_WRITE,
            body=NewMerchant,
            answer=MerchantView,
            status=201,
            refusals=[ALREADY_EXISTS],
        )
    )
    async def create_merchant(self, request: ApiRequest) -> Response[bytes]:
        """Create a merchant."""
        asked = await read_body(request, NewMerchant)
        app = app_of(request)
        made = await parties.create_merchant(
            app.pool,
            app.clock,
            app.ids,
            book_id=request.user.book_id,
            code=asked.code,
            name=asked.name,
            trade=asked.trade,
            profile=same_fields(asked, MerchantProfile),
            by=actor_of(request),
        )
        return answer(made, show_merchant, status=201)

    @get(**operation(Scope.MERCHANTS_READ, query=MerchantQuery, answer=Page[MerchantView]))
    async def list_merchants(self, request: ApiRequest) -> Response[bytes]:
        """List merchants, the newest first."""
        query = read_query(request, MerchantQuery)
        search = Search(
            limit=query.limit,
            after_id=after_id(query),
            created_after=query.created_after,
            created_before=query.created_before,
            code=query.code,
            name=query.name,
        )
        page = await parties.list_merchants(app_of(request).pool, book_id=request.user.book_id, search=search)
        return answer_page(page, show_merchant)

    @get(
        "/{id:str}",
        **operation(Scope.MERCHANTS_READ, path={"id": MerchantId}, answer=MerchantView),
    )
    async def get_merchant(self, request: ApiRequest) -> Response[bytes]:
        """Get a merchant."""
        id_ = uuid_of(read_path(request, MerchantId))
        found = await parties.get_merchant(app_of(request).pool, book_id=request.user.book_id, id_=id_)
        return answer(found, show_merchant)

    @patch(
        "/{id:str}",
        **operation(
            Scope.MERCHANTS_WRITE,
            path={"id": MerchantId},
            body=MerchantChange,
            answer=MerchantView,
            refusals=[BUSY],
        ),
    )
    async def change_merchant(self, request: ApiRequest) -> Response[bytes]:
        """Change what is known of a merchant; a field that is left out stays as it is."""
        id_ = uuid_of(read_path(request, MerchantId))
        asked = await read_body(request, MerchantChange)
        app = app_of(request)
        changed = await parties.change_merchant(
            app.pool,
            app.clock,
            app.ids,
            book_id=request.user.book_id,
            id_=id_,
            change=same_fields(asked, parties.MerchantChange),
            by=actor_of(request),
        )
        return answer(changed, show_merchant)
