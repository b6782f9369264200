"""``/v1/terminals``"""

from datetime import datetime

import msgspec
from litestar import Controller, get, post
from litestar.response import Response

from kaquan import parties
from kaquan.doors.http.answers import answer, answer_page
from kaquan.doors.http.fields import Code, MerchantId, StoreId, TerminalId, uuid_of
from kaquan.doors.http.operation import operation
from kaquan.doors.http.paging import ListQuery, after_id
from kaquan.doors.http.problems import problem_response
from kaquan.doors.http.reading import read_body, read_path, read_query
from kaquan.doors.http.request import ApiRequest, actor_of, app_of
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import ALREADY_EXISTS, NOT_FOUND, Refusal
from kaquan.kit.paging import Page
from kaquan.parties import Scope, Search, Terminal, TerminalStatus
from kaquan.parties.outcomes import STORE_OUT_OF_SCOPE
from kaquan.parties.staff import may_act_at


class NewTerminal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    store_id: StoreId
    code: Code


class TerminalQuery(ListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    merchant_id: MerchantId | None = None
    store_id: StoreId | None = None
    code: Code | None = None
    status: TerminalStatus | None = None


class TerminalView(msgspec.Struct, frozen=True):
    id: TerminalId
    store_id: StoreId
    code: str
    status: TerminalStatus
    created_at: datetime


def show_terminal(terminal: Terminal) -> TerminalView:
    return TerminalView(
        id=show_id(Prefix.TERMINAL, terminal.id),
        store_id=show_id(Prefix.STORE, terminal.store_id),
        code=terminal.code,
        status=terminal.status,
        created_at=terminal.created_at,
    )


class TerminalController(Controller):
    path = "/v1/terminals"
    tags = ("terminals",)

    @post(
        **operation(
            Scope.MERCHANTS_WRITE,
            body=NewTerminal,
            answer=TerminalView,
            status=201,
            refusals=[ALREADY_EXISTS, NOT_FOUND, STORE_OUT_OF_SCOPE],
        )
    )
    async def create_terminal(self, request: ApiRequest) -> Response[bytes]:
        """Create a terminal of a store."""
        asked = await read_body(request, NewTerminal)
        if (refusal := may_act_at(request.user, uuid_of(asked.store_id))) is not None:
            return problem_response(refusal)
        app = app_of(request)
        made = await parties.create_terminal(
            app.pool,
            app.clock,
            app.ids,
            book_id=request.user.book_id,
            store_id=uuid_of(asked.store_id),
            code=asked.code,
            by=actor_of(request),
        )
        return answer(made, show_terminal, status=201)

    @get(**operation(Scope.MERCHANTS_READ, query=TerminalQuery, answer=Page[TerminalView]))
    async def list_terminals(self, request: ApiRequest) -> Response[bytes]:
        """List terminals, the newest first."""
        query = read_query(request, TerminalQuery)
        search = Search(
            limit=query.limit,
            after_id=after_id(query),
            created_after=query.created_after,
            created_before=query.created_before,
            merchant_id=uuid_of(query.merchant_id) if query.merchant_id else None,
            store_id=uuid_of(query.store_id) if query.store_id else None,
            code=query.code,
            status=query.status,
        )
        page = await parties.list_terminals(app_of(request).pool, book_id=request.user.book_id, search=search)
        return answer_page(page, show_terminal)

    @get("/{id:str}", **operation(Scope.MERCHANTS_READ, path={"id": TerminalId}, answer=TerminalView))
    async def get_terminal(self, request: ApiRequest) -> Response[bytes]:
        """Get a terminal."""
        id_ = uuid_of(read_path(request, TerminalId))
        found = await parties.get_terminal(app_of(request).pool, book_id=request.user.book_id, id_=id_)
        return answer(found, show_terminal)

    @post(
        "/{id:str}/block",
        **operation(Scope.MERCHANTS_WRITE, path={"id": TerminalId}, answer=TerminalView, refusals=[STORE_OUT_OF_SCOPE]),
    )
    async def block_terminal(self, request: ApiRequest) -> Response[bytes]:
        """Stop a terminal from taking cards; one that is blocked stays so."""
        return await _change(request, TerminalStatus.BLOCKED)

    @post(
        "/{id:str}/unblock",
        **operation(Scope.MERCHANTS_WRITE, path={"id": TerminalId}, answer=TerminalView, refusals=[STORE_OUT_OF_SCOPE]),
    )
    async def unblock_terminal(self, request: ApiRequest) -> Response[bytes]:
        """Let a terminal take cards again; one that is active stays so."""
        return await _change(request, TerminalStatus.ACTIVE)


async def _change(request: ApiRequest, status: TerminalStatus) -> Response[bytes]:
    id_ = uuid_of(read_path(request, TerminalId))
    app = app_of(request)
    found = await parties.get_terminal(app.pool, book_id=request.user.book_id, id_=id_)
    if isinstance(found, Refusal):
        return problem_response(found)
    if (refusal := may_act_at(request.user, found.store_id)) is not None:
        return problem_response(refusal)
    changed = await parties.change_terminal(
        app.pool, app.clock, app.ids, book_id=request.user.book_id, id_=id_, status=status, by=actor_of(request)
    )
    return answer(changed, show_terminal)
