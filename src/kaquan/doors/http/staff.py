"""``/v1/operators``, ``/v1/approvals``"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Controller, get, patch, post
from litestar.response import Response
from msgspec import UNSET, Meta, UnsetType

from kaquan.doors.http.answers import answer, answer_page
from kaquan.doors.http.fields import ApprovalId, Code, Name, OperatorId, PublicId, Reason, StoreId, uuid_of
from kaquan.doors.http.operation import operation
from kaquan.doors.http.paging import ListQuery, after_id
from kaquan.doors.http.problems import problem_response
from kaquan.doors.http.reading import read_body, read_path, read_query
from kaquan.doors.http.request import ApiRequest, actor_of, app_of
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import ALREADY_EXISTS, BUSY, INVALID_FIELD, NOT_FOUND, Refusal
from kaquan.kit.paging import Page
from kaquan.parties import Scope, staff
from kaquan.parties.outcomes import APPROVAL_NOT_OPEN, FOUR_EYES, NOT_YOUR_PROPOSAL, OPERATOR_REQUIRED
from kaquan.parties.staff import Approval, ApprovalKind, ApprovalStatus, Operator, OperatorStatus, Role

MAX_APPROVAL_S = 90 * 24 * 3_600
"""How long a proposal may stay open: what was right a quarter of a year ago is judged anew."""

MAX_DEPTH = 16
"""How deep a payload may be nested: people must be able to read what they allow."""

Roles = Annotated[list[Role], Meta(min_length=1, max_length=len(Role))]
StoreIds = Annotated[list[StoreId], Meta(max_length=1_000)]

# --- operators


class NewOperator(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``store_ids`` is where the operator may act; everywhere without it. Their keys are made by the command line."""

    code: Code
    name: Name
    roles: Roles
    store_ids: StoreIds | None = None


class OperatorChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A field that is left out stays as it is; ``store_ids`` null lets them act everywhere."""

    name: Name | UnsetType = UNSET
    roles: Roles | UnsetType = UNSET
    store_ids: StoreIds | UnsetType | None = UNSET
    status: OperatorStatus | UnsetType = UNSET


class OperatorQuery(ListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    code: Code | None = None
    role: Role | None = None
    status: OperatorStatus | None = None


class OperatorView(msgspec.Struct, frozen=True):
    id: OperatorId
    code: str
    name: str
    roles: list[Role]
    store_ids: list[StoreId] | None
    status: OperatorStatus
    created_at: datetime


def show_operator(operator: Operator) -> OperatorView:
    stores = operator.store_ids
    return OperatorView(
        id=show_id(Prefix.OPERATOR, operator.id),
        code=operator.code,
        name=operator.name,
        roles=sorted(operator.roles),
        store_ids=None if stores is None else sorted(show_id(Prefix.STORE, id_) for id_ in stores),
        status=operator.status,
        created_at=operator.created_at,
    )


class OperatorController(Controller):
    path = "/v1/operators"
    tags = ("operators",)

    @post(
        **operation(
            Scope.OPERATORS_WRITE,
            body=NewOperator,
            answer=OperatorView,
            status=201,
            refusals=[ALREADY_EXISTS, NOT_FOUND],
        )
    )
    async def create_operator(self, request: ApiRequest) -> Response[bytes]:
        """Create an operator: somebody who works for the tenant."""
        asked = await read_body(request, NewOperator)
        app = app_of(request)
        made = await staff.create_operator(
            app.pool,
            app.clock,
            app.ids,
            book_id=request.user.book_id,
            code=asked.code,
            name=asked.name,
            roles=frozenset(asked.roles),
            store_ids=None if asked.store_ids is None else frozenset(map(uuid_of, asked.store_ids)),
            by=actor_of(request),
        )
        return answer(made, show_operator, status=201)

    @get(**operation(Scope.OPERATORS_READ, query=OperatorQuery, answer=Page[OperatorView]))
    async def list_operators(self, request: ApiRequest) -> Response[bytes]:
        """List operators, the newest first."""
        query = read_query(request, OperatorQuery)
        search = staff.OperatorSearch(
            limit=query.limit,
            after_id=after_id(query),
            created_after=query.created_after,
            created_before=query.created_before,
            code=query.code,
            role=query.role,
            status=query.status,
        )
        page = await staff.list_operators(app_of(request).pool, book_id=request.user.book_id, search=search)
        return answer_page(page, show_operator)

    @get("/{id:str}", **operation(Scope.OPERATORS_READ, path={"id": OperatorId}, answer=OperatorView))
    async def get_operator(self, request: ApiRequest) -> Response[bytes]:
        """Get an operator."""
        id_ = uuid_of(read_path(request, OperatorId))
        found = await staff.get_operator(app_of(request).pool, book_id=request.user.book_id, id_=id_)
        return answer(found, show_operator)

    @patch(
        "/{id:str}",
        **operation(
            Scope.OPERATORS_WRITE, path={"id": OperatorId}, body=OperatorChange, answer=OperatorView, refusals=[BUSY]
        ),
    )
    async def change_operator(self, request: ApiRequest) -> Response[bytes]:
        """Change an operator; within a second no server takes the keys of a suspended one."""
        id_ = uuid_of(read_path(request, OperatorId))
        asked = await read_body(request, OperatorChange)
        app = app_of(request)
        stores: frozenset[UUID] | UnsetType | None = UNSET
        if not isinstance(asked.store_ids, UnsetType):
            stores = None if asked.store_ids is None else frozenset(map(uuid_of, asked.store_ids))
        changed = await staff.change_operator(
            app.pool,
            app.clock,
            app.ids,
            book_id=request.user.book_id,
            id_=id_,
            change=staff.OperatorChange(
                name=asked.name,
                roles=UNSET if isinstance(asked.roles, UnsetType) else frozenset(asked.roles),
                store_ids=stores,
                status=asked.status,
            ),
            by=actor_of(request),
        )
        return answer(changed, show_operator)


# --- approvals


class NewApproval(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be done (``payload``) to which thing (``subject``, its id), and why."""

    kind: ApprovalKind
    subject: PublicId
    payload: dict[str, Any]
    reason: Reason
    expires_in_s: Annotated[int, Meta(ge=60, le=MAX_APPROVAL_S)] | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reason: Reason | None = None


class ApprovalQuery(ListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: ApprovalKind | None = None
    subject: PublicId | None = None
    status: ApprovalStatus | None = None
    proposed_by: OperatorId | None = None


class ApprovalView(msgspec.Struct, frozen=True):
    """``payload_sha256`` is the hash of the payload with sorted keys: what is done must be that, to the letter."""

    id: ApprovalId
    kind: ApprovalKind
    subject: str
    payload: dict[str, Any]
    payload_sha256: str
    reason: str
    status: ApprovalStatus
    proposed_by: OperatorId
    proposed_at: datetime
    expires_at: datetime
    decided_by: OperatorId | None
    decided_at: datetime | None
    decision_reason: str | None
    executed_at: datetime | None


def show_approval(approval: Approval, now: datetime) -> ApprovalView:
    return ApprovalView(
        id=show_id(Prefix.APPROVAL, approval.id),
        kind=approval.kind,
        subject=approval.subject,
        payload=msgspec.json.decode(approval.payload),
        payload_sha256=approval.payload_hash.hex(),
        reason=approval.reason,
        status=approval.status_at(now),
        proposed_by=show_id(Prefix.OPERATOR, approval.proposed_by),
        proposed_at=approval.proposed_at,
        expires_at=approval.expires_at,
        decided_by=None if approval.decided_by is None else show_id(Prefix.OPERATOR, approval.decided_by),
        decided_at=approval.decided_at,
        decision_reason=approval.decided_why,
        executed_at=approval.executed_at,
    )


class ApprovalController(Controller):
    path = "/v1/approvals"
    tags = ("approvals",)

    @post(
        **operation(
            Scope.APPROVALS_PROPOSE,
            body=NewApproval,
            answer=ApprovalView,
            status=201,
            refusals=[OPERATOR_REQUIRED, NOT_FOUND],
        )
    )
    async def propose(self, request: ApiRequest) -> Response[bytes]:
        """Propose something that another operator must allow before it can be done, once."""
        asked = await read_body(request, NewApproval)
        if _is_deep(asked.payload):
            return problem_response(
                INVALID_FIELD.refuse(
                    "payload",
                    allowed=f"must be an object of at most {MAX_DEPTH} levels",
                    allowed_zh=f"应为对象，嵌套不超过 {MAX_DEPTH} 层",
                )
            )
        app = app_of(request)
        new = staff.NewApproval(
            kind=asked.kind,
            subject=asked.subject,
            payload=asked.payload,
            reason=asked.reason,
            ttl_s=asked.expires_in_s or app.settings.approval_hours * 3_600,
        )
        made = await staff.propose(
            app.pool, app.clock, app.ids, book_id=request.user.book_id, new=new, by=actor_of(request)
        )
        return answer(made, _shown_now(request), status=201)

    @get(**operation(Scope.APPROVALS_READ, query=ApprovalQuery, answer=Page[ApprovalView]))
    async def list_approvals(self, request: ApiRequest) -> Response[bytes]:
        """List proposals, the newest first."""
        query = read_query(request, ApprovalQuery)
        search = staff.ApprovalSearch(
            limit=query.limit,
            after_id=after_id(query),
            created_after=query.created_after,
            created_before=query.created_before,
            kind=query.kind,
            subject=query.subject,
            status=query.status,
            proposed_by=uuid_of(query.proposed_by) if query.proposed_by else None,
        )
        app = app_of(request)
        page = await staff.list_approvals(app.pool, book_id=request.user.book_id, search=search, now=app.clock.now())
        return answer_page(page, _shown_now(request))

    @get("/{id:str}", **operation(Scope.APPROVALS_READ, path={"id": ApprovalId}, answer=ApprovalView))
    async def get_approval(self, request: ApiRequest) -> Response[bytes]:
        """Get a proposal and what became of it."""
        id_ = uuid_of(read_path(request, ApprovalId))
        found = await staff.get_approval(app_of(request).pool, book_id=request.user.book_id, id_=id_)
        return answer(found, _shown_now(request))

    @post(
        "/{id:str}/approve",
        **operation(
            Scope.APPROVALS_DECIDE,
            path={"id": ApprovalId},
            body=Decision,
            answer=ApprovalView,
            refusals=[OPERATOR_REQUIRED, FOUR_EYES, APPROVAL_NOT_OPEN, BUSY],
        ),
    )
    async def approve(self, request: ApiRequest) -> Response[bytes]:
        """Allow what another operator proposed."""
        return await _decide(request, staff.approve)

    @post(
        "/{id:str}/reject",
        **operation(
            Scope.APPROVALS_DECIDE,
            path={"id": ApprovalId},
            body=Decision,
            answer=ApprovalView,
            refusals=[OPERATOR_REQUIRED, FOUR_EYES, APPROVAL_NOT_OPEN, BUSY],
        ),
    )
    async def reject(self, request: ApiRequest) -> Response[bytes]:
        """Refuse what another operator proposed."""
        return await _decide(request, staff.reject)

    @post(
        "/{id:str}/withdraw",
        **operation(
            Scope.APPROVALS_PROPOSE,
            path={"id": ApprovalId},
            body=Decision,
            answer=ApprovalView,
            refusals=[OPERATOR_REQUIRED, NOT_YOUR_PROPOSAL, APPROVAL_NOT_OPEN, BUSY],
        ),
    )
    async def withdraw(self, request: ApiRequest) -> Response[bytes]:
        """Take one's own proposal back before it is done."""
        return await _decide(request, staff.withdraw)


def _is_deep(payload: dict[str, Any]) -> bool:
    level: list[Any] = [payload]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for value in level
            if isinstance(value, dict | list)
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
    return bool(level)


async def _decide(request: ApiRequest, verb: Callable[..., Awaitable[Approval | Refusal]]) -> Response[bytes]:
    id_ = uuid_of(read_path(request, ApprovalId))
    asked = await read_body(request, Decision)
    app = app_of(request)
    decided = await verb(
        app.pool,
        app.clock,
        app.ids,
        book_id=request.user.book_id,
        id_=id_,
        reason=asked.reason,
        by=actor_of(request),
    )
    return answer(decided, _shown_now(request))


def _shown_now(request: ApiRequest) -> Callable[[Approval], ApprovalView]:
    now = app_of(request).clock.now()
    return lambda approval: show_approval(approval, now)


STAFF_CONTROLLERS: list[type[Controller]] = [OperatorController, ApprovalController]
