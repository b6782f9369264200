"""What a handler declares about itself; authentication and the OpenAPI document are made from it."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from litestar.handlers import BaseRouteHandler

from kaquan.kit.outcomes import Outcome
from kaquan.parties import Scope


class Operation(msgspec.Struct, frozen=True):
    """One method of one address. ``scope`` None means that no key is asked for."""

    scope: Scope | None
    answer: Any
    status: int
    body: type[Any] | None
    query: type[Any] | None
    path: Mapping[str, Any]
    refusals: tuple[Outcome, ...]
    takes_key: bool = False
    other_media_types: tuple[str, ...] = ()

    def __deepcopy__(self, _: Any) -> "Operation":
        return self  # Litestar copies handlers; types cannot and need not be copied


def operation(
    scope: Scope | None,
    *,
    answer: Any,
    status: int = 200,
    body: type[Any] | None = None,
    query: type[Any] | None = None,
    path: Mapping[str, Any] | None = None,
    refusals: Sequence[Outcome] = (),
    takes_key: bool = False,
    other_media_types: Sequence[str] = (),
) -> dict[str, Any]:
    """The arguments of a route decorator: ``@get(**operation(Scope.CARDS_READ, answer=Page[CardView]))``.

    ``answer``, ``body`` and ``query`` are the types that the handler answers and reads, ``path`` those of its
    path parameters, ``refusals`` what the room may refuse besides what every request can be refused for. With
    ``takes_key`` an Idempotency-Key is asked for (:mod:`kaquan.doors.http.once`).
    ``other_media_types`` are the binary forms of the answer, such as PDF.
    """
    others = tuple(other_media_types)
    declared = Operation(scope, answer, status, body, query, path or {}, tuple(refusals), takes_key, others)
    return {"opt": {"operation": declared}, "status_code": status}


def operation_of(handler: BaseRouteHandler) -> Operation | None:
    """What the handler declares; None for those that Litestar adds (OPTIONS)."""
    declared: Operation | None = handler.opt.get("operation")
    return declared
