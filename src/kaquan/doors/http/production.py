"""``/v1/batches/{id}/production-file``, ``/v1/batches/{id}/production-files``"""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from tempfile import TemporaryFile
from typing import IO, Annotated

import msgspec
from litestar import Controller, get, post
from litestar.response import Response, Stream
from msgspec import Meta

from kaquan.cards import Press
from kaquan.doors.http.answers import answer_page
from kaquan.doors.http.fields import ApprovalId, BatchId, Code, uuid_of
from kaquan.doors.http.operation import operation
from kaquan.doors.http.problems import problem_response
from kaquan.doors.http.reading import read_body, read_path
from kaquan.doors.http.request import ApiRequest, actor_of, app_of
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import BUSY, INVALID_FIELD, NOT_FOUND, Refusal
from kaquan.kit.paging import Page
from kaquan.parties import Scope
from kaquan.parties.outcomes import APPROVAL_FOR_SOMETHING_ELSE, APPROVAL_NOT_APPROVED
from kaquan.production import Export, NewExport, export_batch, list_exports
from kaquan.production.outcomes import ALREADY_EXPORTED, BATCH_NOT_FINISHED, NOT_A_PHYSICAL_BATCH

CHUNK_BYTES = 65_536

PublicKeyPem = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=8_192,
        description="a public key in PEM: X25519, or RSA of at least 2048 bits",
        extra={"zh": " PEM 格式公钥：X25519，或不少于 2048 位的 RSA"},
    ),
]


class NewProductionFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``kind`` is the form of the content, ``public_key`` the printer's, to which the file is sealed.

    With ``with_pin`` each card gets a first PIN. ``approval_id`` is needed for every file after the first: of the kind
    ``batch_export``, for this batch, with the payload ``{kind, reader_fingerprint, with_pin}``.
    """

    public_key: PublicKeyPem
    kind: Code = "csv"
    with_pin: bool = False
    approval_id: ApprovalId | None = None


class ProductionFileView(msgspec.Struct, frozen=True):
    """A file that was given out; ``sha256`` and ``size_bytes`` are those of the sealed file."""

    id: str
    batch_id: BatchId
    turn: int
    kind: str
    with_pin: bool
    reader_fingerprint: str
    card_count: int
    size_bytes: int
    sha256: str
    exported_by: str
    approval_id: ApprovalId | None
    exported_at: datetime


def show_export(export: Export) -> ProductionFileView:
    return ProductionFileView(
        id=show_id(Prefix.EXPORT, export.id),
        batch_id=show_id(Prefix.BATCH, export.batch_id),
        turn=export.turn,
        kind=export.kind,
        with_pin=export.with_pin,
        reader_fingerprint=export.reader_fingerprint,
        card_count=export.card_count,
        size_bytes=export.size_bytes,
        sha256=export.sha256,
        exported_by=export.exported_by,
        approval_id=None if export.approval_id is None else show_id(Prefix.APPROVAL, export.approval_id),
        exported_at=export.exported_at,
    )


class ProductionController(Controller):
    path = "/v1/batches/{id:str}"
    tags = ("batches",)

    @post(
        "/production-file",
        **operation(
            Scope.CARDS_PRODUCE,
            path={"id": BatchId},
            body=NewProductionFile,
            answer=bytes,
            refusals=[
                INVALID_FIELD,
                NOT_FOUND,
                ALREADY_EXPORTED,
                APPROVAL_NOT_APPROVED,
                APPROVAL_FOR_SOMETHING_ELSE,
                BUSY,
                BATCH_NOT_FINISHED,
                NOT_A_PHYSICAL_BATCH,
            ],
        ),
    )
    async def export_production_file(self, request: ApiRequest) -> Response[bytes] | Stream:
        """Give out the production file of a physical batch, once, sealed to the printer's key."""
        batch_id = uuid_of(read_path(request, BatchId))
        asked = await read_body(request, NewProductionFile)
        app = app_of(request)
        # on disk: a file may hold millions of cards; it is sealed before it gets there, and has no name
        file: IO[bytes] = await asyncio.to_thread(TemporaryFile)
        try:
            export = await export_batch(
                app.pool,
                Press(app.keyring, app.slots, app.ids),
                app.clock,
                book_id=request.user.book_id,
                new=NewExport(
                    batch_id=batch_id,
                    kind=asked.kind,
                    public_key=asked.public_key,
                    with_pin=asked.with_pin,
                    approval_id=None if asked.approval_id is None else uuid_of(asked.approval_id),
                ),
                stream=file,
                exported_by=show_id(Prefix.KEY, request.user.key_id),
                by=actor_of(request),
            )
        except BaseException:
            file.close()
            raise
        if isinstance(export, Refusal):
            file.close()
            return problem_response(export)
        return Stream(
            stream_file(file),
            media_type="application/octet-stream",
            headers={
                "content-length": str(export.size_bytes),
                "content-disposition": f'attachment; filename="{show_id(Prefix.BATCH, batch_id)}.{export.turn}.kqe"',
                "x-content-sha256": export.sha256,
            },
        )

    @get(
        "/production-files",
        **operation(
            Scope.CARDS_READ,
            path={"id": BatchId},
            answer=Page[ProductionFileView],
            refusals=[NOT_FOUND],
        ),
    )
    async def list_production_files(self, request: ApiRequest) -> Response[bytes]:
        """List the production files of a batch that were given out, the last first."""
        found = await list_exports(
            app_of(request).pool, book_id=request.user.book_id, batch_id=uuid_of(read_path(request, BatchId))
        )
        return problem_response(found) if isinstance(found, Refusal) else answer_page(Page(found), show_export)


async def stream_file(file: IO[bytes]) -> AsyncIterator[bytes]:
    """A file from its beginning, which is closed at its end."""
    try:
        file.seek(0)
        while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield chunk
    finally:
        file.close()
