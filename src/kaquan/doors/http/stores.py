"""``/v1/stores``"""

from datetime import datetime

import msgspec
from litestar import Controller, get, patch, post
from litestar.response import Response
from msgspec import UNSET, UnsetType

from kaquan import parties
from kaquan.doors.http.answers import answer, answer_page
from kaquan.doors.http.fields import (
    Code,
    District,
    LatitudeUdeg,
    LongitudeUdeg,
    MerchantId,
    Name,
    StoreId,
    Trade,
    uuid_of,
)
from kaquan.doors.http.operation import operation
from kaquan.doors.http.paging import ListQuery, after_id
from kaquan.doors.http.problems import problem_response
from kaquan.doors.http.reading import read_body, read_path, read_query, same_fields
from kaquan.doors.http.request import ApiRequest, actor_of, app_of
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import ALREADY_EXISTS, BUSY, NOT_FOUND
from kaquan.kit.paging import Page
from kaquan.parties import Scope, Search, Store, StoreProfile
from kaquan.parties.outcomes import STORE_OUT_OF_SCOPE
from kaquan.parties.staff import may_act_at


class NewStore(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Latitude and longitude are millionths of a degree (WGS 84), both or neither. ``district`` is compared with the
    ``districts`` of offers and the ``district`` of vouchers as it is written."""

    merchant_id: MerchantId
    code: Code
    name: Name
    trade: Trade | UnsetType | None = UNSET
    latitude_udeg: LatitudeUdeg | UnsetType | None = UNSET
    longitude_udeg: LongitudeUdeg | UnsetType | None = UNSET
    district: District | UnsetType | None = UNSET


class StoreChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A field that is left out stays as it is, null takes it away."""

    name: Name | UnsetType = UNSET
    trade: Trade | UnsetType | None = UNSET
    latitude_udeg: LatitudeUdeg | UnsetType | None = UNSET
    longitude_udeg: LongitudeUdeg | UnsetType | None = UNSET
    district: District | UnsetType | None = UNSET


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
    trade: str | None
    latitude_udeg: int | None
    longitude_udeg: int | None
    district: str | None
    created_at: datetime


def show_store(store: Store) -> StoreView:
    return StoreView(
        id=show_id(Prefix.STORE, store.id),
        merchant_id=show_id(Prefix.MERCHANT, store.merchant_id),
        code=store.code,
        name=store.name,
        trade=store.trade,
        latitude_udeg=store.latitude_udeg,
        longitude_udeg=store.longitude_udeg,
        district=store.district,
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
            refusals=[ALREADY_EXISTS, NOT_FOUND, STORE_OUT_OF_SCOPE],
        )
    )
    async def create_store(self, request: ApiRequest) -> Response[bytes]:
        """Create a store of a merchant."""
        asked = await read_body(request, NewStore)
        if request.user.store_ids is not None:  # a new store is none of theirs
            return problem_response(STORE_OUT_OF_SCOPE.refuse())
        app = app_of(request)
        made = await parties.create_store(
            app.pool,
            app.clock,
            app.ids,
            book_id=request.user.book_id,
            merchant_id=uuid_of(asked.merchant_id),
            code=asked.code,
            name=asked.name,
            profile=same_fields(asked, StoreProfile),
            by=actor_of(request),
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
            refusals=[BUSY, STORE_OUT_OF_SCOPE],
        ),
    )
    async def change_store(self, request: ApiRequest) -> Response[bytes]:
        """Change what is known of a store; a field that is left out stays as it is."""
        id_ = uuid_of(read_path(request, StoreId))
        asked = await read_body(request, StoreChange)
        if (refusal := may_act_at(request.user, id_)) is not None:
            return problem_response(refusal)
        app = app_of(request)
        changed = await parties.change_store(
            app.pool,
            app.clock,
            app.ids,
            book_id=request.user.book_id,
            id_=id_,
            change=same_fields(asked, parties.StoreChange),
            by=actor_of(request),
        )
        return answer(changed, show_store)
