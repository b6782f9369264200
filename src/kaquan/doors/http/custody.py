"""``/v1/evidence``: the chain of custody of an object or of a period, as a file that anybody can verify offline."""

import asyncio
from collections.abc import Awaitable, Callable
from tempfile import TemporaryFile
from typing import IO, Annotated

import msgspec
from litestar import Controller, get
from litestar.response import Response, Stream
from msgspec import Meta

from kaquan.custody import (
    BUNDLE_TOO_LARGE,
    EVENT_CONTRADICTED,
    NOT_A_CUSTODY_OBJECT,
    Exported,
    export_object,
    export_period,
)
from kaquan.doors.http.fields import PublicId
from kaquan.doors.http.operation import operation
from kaquan.doors.http.paging import Moment, in_utc
from kaquan.doors.http.problems import problem_response
from kaquan.doors.http.production import stream_file
from kaquan.doors.http.reading import read_query
from kaquan.doors.http.request import ApiRequest, app_of
from kaquan.evidence import RECEIPT_NOT_READY
from kaquan.kit.outcomes import INVALID_FIELD, NOT_FOUND, Refusal
from kaquan.parties import Scope

MAX_EVENTS = 10_000
"""Events that are answered over HTTP at the most, some 6 MB; ``kaquan evidence export`` writes more."""


class ObjectQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``object`` is the id of a card, sale, top-up, batch or transaction."""

    object: PublicId


class PeriodQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From when to when the log took the entries."""

    begins: Annotated[Moment, Meta(description="a time with its zone", extra={"zh": "带时区的时间"})]
    ends: Annotated[Moment, Meta(description="a time with its zone", extra={"zh": "带时区的时间"})]


class EvidenceController(Controller):
    path = "/v1/evidence"
    tags = ("evidence",)

    @get(
        "/object",
        **operation(
            Scope.LEDGER_READ,
            query=ObjectQuery,
            answer=bytes,
            refusals=[NOT_FOUND, NOT_A_CUSTODY_OBJECT, BUNDLE_TOO_LARGE, RECEIPT_NOT_READY, EVENT_CONTRADICTED],
        ),
    )
    async def export_object_evidence(self, request: ApiRequest) -> Response[bytes] | Stream:
        """Get all events of an object as one bundle; a single file of ours verifies it with the log's key."""
        query, app = read_query(request, ObjectQuery), app_of(request)

        async def write(stream: IO[bytes]) -> Exported | Refusal:
            return await export_object(
                app.pool,
                app.clock,
                app.keyring.log_signers,
                name=query.object,
                stream=stream,
                slots=app.slots,
                book_id=request.user.book_id,
                max_events=MAX_EVENTS,
            )

        return await _answer(write, f"{query.object}.bundle")

    @get(
        "/period",
        **operation(
            Scope.LEDGER_READ,
            query=PeriodQuery,
            answer=bytes,
            refusals=[BUNDLE_TOO_LARGE, RECEIPT_NOT_READY, EVENT_CONTRADICTED],
        ),
    )
    async def export_period_evidence(self, request: ApiRequest) -> Response[bytes] | Stream:
        """Get all entries of a period between two checkpoints as one bundle; those of other books are only hashes."""
        query, app = read_query(request, PeriodQuery), app_of(request)
        begins, ends = in_utc(query.begins), in_utc(query.ends)
        assert begins is not None
        assert ends is not None
        if ends <= begins:
            return problem_response(
                INVALID_FIELD.refuse("ends", allowed="must be after begins", allowed_zh="应晚于 begins")
            )

        async def write(stream: IO[bytes]) -> Exported | Refusal:
            return await export_period(
                app.pool,
                app.clock,
                app.keyring.log_signers,
                begins=begins,
                ends=ends,
                stream=stream,
                book_id=request.user.book_id,
                max_events=MAX_EVENTS,
            )

        return await _answer(write, f"{begins:%Y%m%dT%H%M%SZ}-{ends:%Y%m%dT%H%M%SZ}.bundle")


async def _answer(write: Callable[[IO[bytes]], Awaitable[Exported | Refusal]], name: str) -> Response[bytes] | Stream:
    """A bundle as a file: whole before the first byte goes out."""
    file: IO[bytes] = await asyncio.to_thread(TemporaryFile)
    try:
        done = await write(file)
    except BaseException:
        file.close()
        raise
    if isinstance(done, Refusal):
        file.close()
        return problem_response(done)
    return Stream(
        stream_file(file),
        media_type="application/octet-stream",
        headers={
            "content-length": str(file.tell()),
            "content-disposition": f'attachment; filename="{name}"',
        },
    )
