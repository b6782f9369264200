"""What is counted for Prometheus.

Several server processes answer on one port, so each keeps its figures in files of a folder that they share
(``PROMETHEUS_MULTIPROC_DIR``, emptied and set by whoever starts them, before this module is imported), and
whichever process is asked answers for all of them. Without that folder a process answers for itself.
"""

import os
from functools import cache
from time import perf_counter

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

METRICS_TYPE = CONTENT_TYPE_LATEST

_REQUESTS = Counter(
    "kaquan_http_requests", "Requests answered, by route, method and status", ["route", "method", "status"]
)
_SECONDS = Histogram(
    "kaquan_http_request_seconds",
    "Time from the request to its answer, in seconds",
    ["route"],
    buckets=(0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)

_METHODS = frozenset({"GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"})


def count_request(*, route: str, method: str, status: int, seconds: float) -> None:
    """Count one answered request. ``route`` is the template of its address, never the address itself."""
    counter, histogram = _counted(route, method if method in _METHODS else "other", status)
    counter.inc()
    histogram.observe(seconds)


@cache
def _counted(route: str, method: str, status: int) -> tuple[Counter, Histogram]:
    return _REQUESTS.labels(route, method, status), _SECONDS.labels(route)


def render_metrics() -> bytes:
    """Every figure in the text format of Prometheus."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def count_requests(app: ASGIApp) -> ASGIApp:
    """Middleware: count what Litestar answers."""

    async def counted(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            return await app(scope, receive, send)
        begun = perf_counter()
        status = 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await app(scope, receive, noted)
        finally:
            count_request(
                route=scope.get("path_template") or "unmatched",
                method=scope["method"],
                status=status,
                seconds=perf_counter() - begun,
            )

    return counted
