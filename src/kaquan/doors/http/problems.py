"""Refusals as RFC 9457 problem documents."""

from functools import cache

import msgspec
from litestar.response import Response
from msgspec import UNSET, UnsetType

from kaquan.kit.outcomes import Outcome, Refusal

PROBLEM_TYPE = "application/problem+json"
RETRY_AFTER_S = 1


class AlsoRefused(msgspec.Struct, frozen=True):
    """Another thing that the request is refused for."""

    code: str
    field: str | None
    detail: str
    detail_zh: str
    rule: str | UnsetType = UNSET
    source: str | UnsetType = UNSET


class Problem(msgspec.Struct, frozen=True):
    """Why a request was refused. ``code`` is stable; both details say the same to a person.

    ``rule`` is the id of the rule that asks for it, of law or of the issuer, and ``source`` where that stands, if there
    is one. ``also`` lists what else would be refused, where a request is looked at as a whole.
    """

    type: str
    title: str
    status: int
    code: str
    detail: str
    detail_zh: str
    field: str | None
    retryable: bool
    rule: str | UnsetType = UNSET
    source: str | UnsetType = UNSET
    also: list[AlsoRefused] | UnsetType = UNSET


class RefusedError(Exception):
    """Carries a refusal out of the reading of a request, to where every problem is answered."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


_encode = msgspec.json.Encoder().encode


def problem_of(refusal: Refusal) -> Problem:
    """The problem document of a refusal."""
    outcome = refusal.outcome
    return Problem(
        type=f"urn:kaquan:outcome:{outcome.code}",
        title=outcome.code.replace("_", " ").capitalize(),
        status=outcome.http_status,
        code=outcome.code,
        detail=refusal.message("en"),
        detail_zh=refusal.message("zh"),
        field=refusal.field,
        retryable=outcome.retryable,
        rule=refusal.rule or UNSET,
        source=refusal.source or UNSET,
        also=[_also(other) for other in refusal.details["also"]] if "also" in refusal.details else UNSET,
    )


def _also(refusal: Refusal) -> AlsoRefused:
    return AlsoRefused(
        refusal.code,
        refusal.field,
        refusal.message("en"),
        refusal.message("zh"),
        refusal.rule or UNSET,
        refusal.source or UNSET,
    )


def problem_bytes(refusal: Refusal) -> tuple[int, bytes]:
    """Status and body of the answer to a refused request."""
    if refusal.field is None and not refusal.details:
        return refusal.outcome.http_status, _fixed_bytes(refusal.outcome)
    return refusal.outcome.http_status, _encode(problem_of(refusal))


@cache
def _fixed_bytes(outcome: Outcome) -> bytes:
    return _encode(problem_of(Refusal(outcome)))


def problem_headers(refusal: Refusal) -> dict[str, str]:
    """The headers that HTTP asks for with some statuses (RFC 9110: 401, 405, 503; RFC 6585: 429, if it is known)."""
    status = refusal.outcome.http_status
    if status == 401:
        return {"www-authenticate": 'Bearer realm="kaquan"'}
    if status == 405:
        return {"allow": refusal.details["allow"]}
    if status == 429 and "retry_after_s" in refusal.details:
        return {"retry-after": str(refusal.details["retry_after_s"])}
    if status == 503:
        return {"retry-after": str(RETRY_AFTER_S)}
    return {}


def problem_response(refusal: Refusal) -> Response[bytes]:
    """The answer to a refused request, for Litestar."""
    status, body = problem_bytes(refusal)
    return Response(body, status_code=status, media_type=PROBLEM_TYPE, headers=problem_headers(refusal))
