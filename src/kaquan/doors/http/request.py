"""What a handler is given: the request of an authenticated key, and the application behind it."""

from typing import TYPE_CHECKING, TypeAlias

from litestar import Request
from litestar.datastructures import State

from kaquan.parties import Principal
from kaquan.parties.trail import Actor

if TYPE_CHECKING:
    from kaquan.app import App

ApiRequest: TypeAlias = Request[Principal, None, State]


def app_of(request: ApiRequest) -> "App":
    """The application that this server serves."""
    app: App = request.app.state["kaquan"]
    return app


def actor_of(request: ApiRequest) -> Actor:
    """Who asks, for the trail."""
    return Actor(request.user.key_id, request.user.operator_id, request.state.get("request_id"))
