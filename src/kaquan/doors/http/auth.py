"""Who asks, and whether they may: a guard in front of every handler.

No application is made from a handler that declares neither a scope nor that it is public: see ``openapi.py``.
"""

import re
from typing import Any

from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.exceptions import MethodNotAllowedException
from litestar.handlers import BaseRouteHandler
from litestar.types import Message
from litestar.types import Scope as AsgiScope

from kaquan.doors.http.operation import operation_of
from kaquan.doors.http.outcomes import FORBIDDEN, UNAUTHENTICATED
from kaquan.doors.http.problems import RefusedError
from kaquan.kit.outcomes import Refusal
from kaquan.parties import Directory, Principal, Scope

_BEARER = "bearer "
REQUEST_ID = "x-request-id"
_REQUEST_ID = re.compile(r"[!-~]{1,128}")


async def identify(directory: Directory, authorization: str | None) -> Principal | Refusal:
    """The principal behind an ``Authorization`` header. Refused: ``unauthenticated``."""
    if authorization is None or authorization[: len(_BEARER)].lower() != _BEARER:
        return UNAUTHENTICATED.refuse()
    token = authorization[len(_BEARER) :].strip()
    principal = directory.authenticate(token)
    if principal is None:
        # another process may have issued it a moment ago
        await directory.catch_up()
        principal = directory.authenticate(token)
    return UNAUTHENTICATED.refuse() if principal is None else principal


def permit(principal: Principal, scope: Scope) -> Refusal | None:
    """None when the key has the scope. Refused: ``forbidden``."""
    return None if scope in principal.scopes else FORBIDDEN.refuse(scope=scope)


async def guard(connection: ASGIConnection[Any, Any, Any, State], handler: BaseRouteHandler) -> None:
    """Let a request through, with its principal, or raise RefusedError."""
    operation = operation_of(handler)
    if operation is None:
        # Litestar's own answer to OPTIONS, which does not know what is served in front of it
        raise MethodNotAllowedException
    if operation.scope is None:
        return
    identified = await identify(connection.app.state["kaquan"].directory, connection.headers.get("authorization"))
    if isinstance(identified, Refusal):
        raise RefusedError(identified)
    if (refusal := permit(identified, operation.scope)) is not None:
        raise RefusedError(refusal)
    connection.scope["user"] = identified
    connection.state["request_id"] = _request_id(connection)


def _request_id(connection: ASGIConnection[Any, Any, Any, State]) -> str:
    """The client's own name for its request if it has one, else one of ours: the answer and the trail show it."""
    given = connection.headers.get(REQUEST_ID, "")
    return given if _REQUEST_ID.fullmatch(given) else connection.app.state["kaquan"].ids.new().hex


async def show_request_id(message: Message, scope: AsgiScope) -> None:
    """Name the request in its answer."""
    if message["type"] == "http.response.start" and (name := scope.get("state", {}).get("request_id")):
        message["headers"] = [*message["headers"], (REQUEST_ID.encode(), name.encode())]
