"""``/healthz``, ``/readyz``, ``/metrics``: for load balancers and Prometheus; no key is asked for."""

import asyncio
from typing import Literal

import msgspec
from litestar import Controller, get
from litestar.response import Response

from kaquan.doors.http.metrics import METRICS_TYPE, render_metrics
from kaquan.doors.http.operation import operation
from kaquan.doors.http.problems import problem_response
from kaquan.doors.http.request import ApiRequest, app_of
from kaquan.kit.db import is_outage, read_schema
from kaquan.kit.outcomes import UNAVAILABLE, outcome
from kaquan.migrations import is_newer, may_serve, newest_revision

READY_TIMEOUT_S = 2

WRONG_SCHEMA = outcome(
    "wrong_schema",
    http=503,
    iso="91",
    retryable=True,
    en="The database is at schema revision {found}, this release needs {needed}; run: kaquan db migrate",
    zh="数据库结构版本为 {found}，本版本需要 {needed}，请运行：kaquan db migrate",
)
RELEASE_TOO_OLD = outcome(
    "release_too_old",
    http=503,
    iso="91",
    retryable=True,
    en="The database is at schema revision {found} and asks for a release of revision {floor} or later; this one is of"
    " {needed}",
    zh="数据库结构版本为 {found}，要求版本不低于 {floor}，本版本为 {needed}",
)


class Health(msgspec.Struct, frozen=True):
    status: Literal["ok"] = "ok"


class SystemController(Controller):
    tags = ("system",)

    @get("/healthz", **operation(None, answer=Health))
    async def healthz(self, request: ApiRequest) -> Response[Health]:
        """Tell that the process is alive."""
        return Response(Health())

    @get("/readyz", **operation(None, answer=Health, refusals=[UNAVAILABLE, WRONG_SCHEMA, RELEASE_TOO_OLD]))
    async def readyz(self, request: ApiRequest) -> Response[Health] | Response[bytes]:
        """Tell whether requests can be served: the database answers and this release may serve on its schema."""
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                found = await read_schema(app_of(request).pool)
        except Exception as error:
            if isinstance(error, TimeoutError) or is_outage(error):
                return problem_response(UNAVAILABLE.refuse())
            raise
        if may_serve(found):
            return Response(Health())
        seen = {"found": found.revision, "needed": newest_revision()}
        if is_newer(found):
            return problem_response(RELEASE_TOO_OLD.refuse(floor=found.floor, **seen))
        return problem_response(WRONG_SCHEMA.refuse(**seen))

    @get("/metrics", **operation(None, answer=str))
    async def metrics(self, request: ApiRequest) -> Response[bytes]:
        """Figures in the text format of Prometheus."""
        return Response(render_metrics(), media_type=METRICS_TYPE)
