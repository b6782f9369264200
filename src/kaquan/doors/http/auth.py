"""Who asks, and whether they may: a guard in front of every handler.

No application is made from a handler that declares neither a scope nor that it is public: see ``openapi.py``.
"""

from typing import Any

from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.exceptions import MethodNotAllowedException
from litestar.handlers import BaseRouteHandler

from kaquan.doors.http.operation import operation_of
from kaquan.doors.http.outcomes import FORBIDDEN, UNAUTHENTICATED
from kaquan.doors.http.problems import RefusedError
from kaquan.kit.outcomes import Refusal
from kaquan.parties import Directory, Principal, Scope

_BEARER = "bearer "


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
