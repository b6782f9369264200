"""The HTTP door over an application of a test."""

from copy import copy
from functools import cache
from typing import Any, cast

from litestar import Litestar
from litestar.datastructures import State

from kaquan.doors.http.application import create_litestar
from kaquan.doors.http.money import describe_money


@cache
def _made() -> Litestar:
    return create_litestar(cast(Any, None), *describe_money())


def litestar_of(app: Any) -> Litestar:
    """What ``create_litestar`` makes over ``app``, made once for a run: reading every handler's signature takes longer
    than most tests, and nothing of it depends on the application, which is in the state."""
    made = _made()
    served = copy(made)
    served.state = State({**made.state.dict(), "kaquan": app})
    return served
