"""Turn what a room returned into the answer: its view as JSON, or the problem document of its refusal."""

from collections.abc import Callable
from typing import TypeVar

import msgspec
from litestar.response import Response

from kaquan.doors.http.problems import problem_response
from kaquan.kit.outcomes import Refusal
from kaquan.kit.paging import Page

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode


def answer(result: T | Refusal, show: Callable[[T], msgspec.Struct], *, status: int = 200) -> Response[bytes]:
    """The answer to a request about one thing; ``show`` makes its public view."""
    if isinstance(result, Refusal):
        return problem_response(result)
    return Response(_encode(show(result)), status_code=status, media_type="application/json")


def answer_page(page: Page[T], show: Callable[[T], msgspec.Struct]) -> Response[bytes]:
    """The answer to a request for a list."""
    shown = Page([show(row) for row in page.data], page.next_cursor)
    return Response(_encode(shown), media_type="application/json")
