"""``/v1/audit-trail``"""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Controller, get
from litestar.response import Response
from msgspec import Meta

from kaquan.doors.http.answers import answer_page
from kaquan.doors.http.fields import ActionId, KeyId, OperatorId, PublicId, uuid_of
from kaquan.doors.http.operation import operation
from kaquan.doors.http.paging import ListQuery, after_id
from kaquan.doors.http.reading import read_query
from kaquan.doors.http.request import ApiRequest, app_of
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.paging import Page
from kaquan.parties import Scope
from kaquan.parties.trail import Action, ActionSearch, list_actions

ActionKind = Annotated[
    str,
    Meta(
        pattern=r"^[a-z_]{1,40}\.[a-z_]{1,40}$(?!\n)",
        description="a noun and what was done, such as merchant.created",
        extra={"zh": "对象与动作，例如 merchant.created"},
    ),
]


class ActionQuery(ListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``subject`` is the public id of what something was done to; the times are those of the actions."""

    kind: ActionKind | None = None
    subject: PublicId | None = None
    operator_id: OperatorId | None = None
    key_id: KeyId | None = None


class ActionView(msgspec.Struct, frozen=True):
    """``before`` and ``after`` hold what changed. Without a key it was the product or a command on its server."""

    id: ActionId
    at: datetime
    kind: str
    subject: str
    operator_id: OperatorId | None
    key_id: KeyId | None
    request_id: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None


def show_action(action: Action) -> ActionView:
    return ActionView(
        id=show_id(Prefix.ACTION, action.id),
        at=action.at,
        kind=action.kind,
        subject=action.subject,
        operator_id=None if action.operator_id is None else show_id(Prefix.OPERATOR, action.operator_id),
        key_id=None if action.key_id is None else show_id(Prefix.KEY, action.key_id),
        request_id=action.request_id,
        before=None if action.before is None else dict(action.before),
        after=None if action.after is None else dict(action.after),
    )


class AuditTrailController(Controller):
    path = "/v1/audit-trail"
    tags = ("audit trail",)

    @get(**operation(Scope.AUDIT_READ, query=ActionQuery, answer=Page[ActionView]))
    async def list_actions(self, request: ApiRequest) -> Response[bytes]:
        """List who did what, the newest first."""
        query = read_query(request, ActionQuery)
        search = ActionSearch(
            limit=query.limit,
            after_id=after_id(query),
            created_after=query.created_after,
            created_before=query.created_before,
            kind=query.kind,
            subject=query.subject,
            operator_id=uuid_of(query.operator_id) if query.operator_id else None,
            key_id=uuid_of(query.key_id) if query.key_id else None,
        )
        page = await list_actions(app_of(request).pool, book_id=request.user.book_id, search=search)
        return answer_page(page, show_action)
