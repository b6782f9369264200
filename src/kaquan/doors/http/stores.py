"""``/v1/stores``"""

from datetime import datetime

import msgspec
from litestar import Controller, get, patch, post
from litestar.response import Response
from msgspec import UNSET, UnsetType

from kaquan import parties
from kaquan.doors.http.answers import answer, answer_page
from kaquan.doors.http.fields import Code, MerchantId, Name, StoreId, uuid_of
from kaquan.doors.http.operation import operation
from kaquan.doors.http.paging import ListQuery, after_id
from kaquan.doors.http.reading import read_body, read_path, read_query
from kaquan.doors.http.request import ApiRequest, app_of
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import ALREADY_EXISTS, NOT_FOUND
from kaquan.kit.paging import Page
from kaquan.parties import Scope, Search, Store


class NewStore(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    merchant_id: MerchantId
    code: Code
    name: Name


class StoreChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Name | UnsetType = UNSET


class StoreQuery(ListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``name`` is the beginning of a name."""

    merchant_id: MerchantId | None = None
    code: Code | None = None
    name: Name | None = None


class StoreView(msgspec.Struct, frozen=True):
    id: StoreId
    merchant_id: MerchantId
    code: str
    name: str
    created_at: datetime


def show_store(store: Store) -> StoreView:
    return StoreView(
        id=show_id(Prefix.STORE, store.id),
        merchant_id=show_id(Prefix.MERCHANT, store.merchant_id),
        code=store.code,
        name=store.name,
        created_at=store.created_at,
    )


class StoreController(Controller):
    path = "/v1/stores"
    tags = ("stores",)

    @post(
        **operation(
            Scope.MERCHANTS_WRITE,
            body=NewStore,
            answer=StoreView,
            status=201,
            refusals=[ALREADY_EXISTS, NOT_FOUND],
        )
    )
    async def create_store(self, request: ApiRequest) -> Response[bytes]:
        """Create a store of a merchant."""
        asked = await read_body(request, NewStore)
        app = app_of(request)
        made = await parties.create_store(
            app.pool,
            app.clock,
            app.ids,
            book_id=request.user.book_id,
            merchant_id=uuid_of(asked.merchant_id),
            code=asked.code,
            name=asked.name,
        )
        return answer(made, show_store, status=201)

    @get(**operation(Scope.MERCHANTS_READ, query=StoreQuery, answer=Page[StoreView]))
    async def list_stores(self, request: ApiRequest) -> Response[bytes]:
        """List stores, the newest first."""
        query = read_query(request, StoreQuery)
        search = Search(
            limit=query.limit,
            after_id=after_id(query),
            created_after=query.created_after,
            created_before=query.created_before,
            merchant_id=uuid_of(query.merchant_id) if query.merchant_id else None,
            code=query.code,
            name=query.name,
        )
        page = await parties.list_stores(app_of(request).pool, book_id=request.user.book_id, search=search)
        return answer_page(page, show_store)

    @get(
        "/{id:str}",
        **operation(Scope.MERCHANTS_READ, path={"id": StoreId}, answer=StoreView),
    )
    async def get_store(self, request: ApiRequest) -> Response[bytes]:
        """Get a store."""
        id_ = uuid_of(read_path(request, StoreId))
        found = await parties.get_store(app_of(request).pool, book_id=request.user.book_id, id_=id_)
        return answer(found, show_store)

    @patch(
        "/{id:str}",
        **operation(
            Scope.MERCHANTS_WRITE,
            path={"id": StoreId},
            body=StoreChange,
            answer=StoreView,
        ),
    )
    async def change_store(self, request: ApiRequest) -> Response[bytes]:
        """Rename a store."""
        id_ = uuid_of(read_path(request, StoreId))
        asked = await read_body(request, StoreChange)
        changed = await parties.change_store(
            app_of(request).pool,
            book_id=request.user.book_id,
            id_=id_,
            name=asked.name or None,
        )
        return answer(changed, show_store)
