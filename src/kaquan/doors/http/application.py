"""The Litestar application: every route but the value-moving POSTs, and the document that describes all."""

import re
from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from litestar import Controller, Litestar, Request, get
from litestar.datastructures import ResponseHeader, State
from litestar.exceptions import HTTPException
from litestar.response import Response

from kaquan.doors.http.adjustments import AdjustmentController
from kaquan.doors.http.audit_trail import AuditTrailController
from kaquan.doors.http.auth import guard, show_request_id
from kaquan.doors.http.buyer_lists import BUYER_LIST_CONTROLLERS
from kaquan.doors.http.campaign_costs import CAMPAIGN_COST_CONTROLLERS
from kaquan.doors.http.campaigns import CAMPAIGN_CONTROLLERS
from kaquan.doors.http.card_life import CARD_LIFE_CONTROLLERS
from kaquan.doors.http.cards import CARD_CONTROLLERS
from kaquan.doors.http.closing import CLOSING_CONTROLLERS
from kaquan.doors.http.custody import EvidenceController
from kaquan.doors.http.customers import CustomerController
from kaquan.doors.http.enquiries import EnquiryController
from kaquan.doors.http.funders import FunderController
from kaquan.doors.http.imports import ImportController
from kaquan.doors.http.issuers import IssuerController
from kaquan.doors.http.ledger import LEDGER_CONTROLLERS
from kaquan.doors.http.limits import LIMIT_CONTROLLERS
from kaquan.doors.http.log import LogController
from kaquan.doors.http.merchants import MerchantController
from kaquan.doors.http.metrics import count_requests
from kaquan.doors.http.notices import NOTICE_CONTROLLERS
from kaquan.doors.http.openapi import PathItems, build_document
from kaquan.doors.http.operation import operation
from kaquan.doors.http.outcomes import BODY_TOO_LARGE, METHOD_NOT_ALLOWED
from kaquan.doors.http.payments import PAYMENT_CONTROLLERS
from kaquan.doors.http.points import PointsController
from kaquan.doors.http.policy import PolicyController
from kaquan.doors.http.problems import RefusedError, problem_response
from kaquan.doors.http.production import ProductionController
from kaquan.doors.http.programme_ends import ProgrammeEndController
from kaquan.doors.http.quotes import QuoteController
from kaquan.doors.http.request import ApiRequest
from kaquan.doors.http.sales import SALE_CONTROLLERS
from kaquan.doors.http.shadows import ShadowController
from kaquan.doors.http.simulations import SIMULATION_CONTROLLERS
from kaquan.doors.http.staff import STAFF_CONTROLLERS
from kaquan.doors.http.stores import StoreController
from kaquan.doors.http.system import SystemController
from kaquan.doors.http.terminals import TerminalController
from kaquan.doors.http.vouchers import VOUCHER_CONTROLLERS
from kaquan.kit.db import is_outage
from kaquan.kit.outcomes import INTERNAL_ERROR, INVALID_FIELD, NOT_FOUND, UNAVAILABLE, Refusal

if TYPE_CHECKING:
    from kaquan.app import App

CONTROLLERS: list[type[Controller]] = [
    IssuerController,
    MerchantController,
    StoreController,
    TerminalController,
    FunderController,
    CustomerController,
    *STAFF_CONTROLLERS,
    AuditTrailController,
    *CARD_CONTROLLERS,
    *CARD_LIFE_CONTROLLERS,
    ProductionController,
    EnquiryController,
    ImportController,
    *PAYMENT_CONTROLLERS,
    QuoteController,
    AdjustmentController,
    *SALE_CONTROLLERS,
    *BUYER_LIST_CONTROLLERS,
    *VOUCHER_CONTROLLERS,
    PointsController,
    *LIMIT_CONTROLLERS,
    *CAMPAIGN_CONTROLLERS,
    *SIMULATION_CONTROLLERS,
    ShadowController,
    *CAMPAIGN_COST_CONTROLLERS,
    *LEDGER_CONTROLLERS,
    LogController,
    EvidenceController,
    PolicyController,
    *CLOSING_CONTROLLERS,
    ProgrammeEndController,
    *NOTICE_CONTROLLERS,
    SystemController,
]

_METHODS = {"get", "post", "put", "patch", "delete"}

_log = structlog.get_logger("kaquan.http")


def create_litestar(
    app: "App", extra_paths: PathItems | None = None, extra_schemas: Mapping[str, Any] | None = None
) -> Litestar:
    """The application over ``app``.

    ``extra_paths`` (OpenAPI path items by address) and ``extra_schemas`` (component schemas by name) describe
    what a front serves before Litestar sees it, so that one document describes the whole door.
    """

    @get("/v1/openapi.json", tags=["system"], **operation(None, answer=dict[str, Any]))
    async def openapi_document(request: ApiRequest) -> Response[bytes]:
        """This document."""
        return Response(request.app.state["openapi"], media_type="application/json")

    litestar = Litestar(
        route_handlers=[*CONTROLLERS, openapi_document],
        guards=[guard],
        before_send=[show_request_id],
        middleware=[count_requests],
        exception_handlers={
            RefusedError: _answer_refused,
            HTTPException: _answer_http_exception,
            Exception: _answer_exception,
        },
        response_headers=[
            ResponseHeader(name="cache-control", value="no-store"),
            ResponseHeader(name="x-content-type-options", value="nosniff"),
        ],
        state=State({"kaquan": app}),
        openapi_config=None,
        logging_config=None,
        # read_body enforces the limit and answers in our words
        request_max_body_size=None,
    )
    document = build_document(
        litestar.routes,
        version=version("kaquan"),
        extra_paths=extra_paths or {},
        extra_schemas=extra_schemas or {},
    )
    litestar.state["openapi"] = msgspec.json.encode(document)
    litestar.state["addresses"] = [
        (_pattern(path), sorted(method.upper() for method in item if method in _METHODS))
        for path, item in document["paths"].items()
    ]
    return litestar


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile("/".join("[^/]+" if part.startswith("{") else re.escape(part) for part in path.split("/")))


def _answer_refused(_: Request[Any, Any, Any], error: RefusedError) -> Response[bytes]:
    return problem_response(error.refusal)


def _answer_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """What Litestar itself refuses: an address, a method, a body; and its own failures."""
    return problem_response(_refusal_of(request, error))


def _refusal_of(request: Request[Any, Any, Any], error: HTTPException) -> Refusal:
    if error.status_code in (404, 405):
        path = "/" + "/".join(part for part in request.scope["path"].split("/") if part)
        for pattern, methods in request.app.state["addresses"]:
            # POSTs that move value are served in front of Litestar, which does not know that they exist
            if pattern.fullmatch(path):
                return METHOD_NOT_ALLOWED.refuse(allow=", ".join(methods))
        return NOT_FOUND.refuse(what="address")
    if error.status_code == 413:
        return BODY_TOO_LARGE.refuse(limit=request.app.state["kaquan"].settings.max_body_bytes)
    if error.status_code < 500:
        return INVALID_FIELD.refuse(
            "request", allowed="must be a well-formed HTTP request", allowed_zh="应为合法的 HTTP 请求"
        )
    _log.error("request failed", route=request.scope.get("path_template"), exc_info=error)
    return INTERNAL_ERROR.refuse()


def _answer_exception(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    route = request.scope.get("path_template")
    if is_outage(error):
        _log.warning("database does not answer", route=route, error=type(error).__name__)
        return problem_response(UNAVAILABLE.refuse())
    _log.error("request failed", route=route, exc_info=error)
    return problem_response(INTERNAL_ERROR.refuse())
