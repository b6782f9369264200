"""Give out the production file of a batch: once, and again only with an approval."""

import asyncio
import io
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import IO, Any, NamedTuple
from uuid import UUID

import structlog

from kaquan.cards import Batch, CardForm, Press, get_batch, print_cards
from kaquan.kit.clock import Clock
from kaquan.kit.db import Connection, Pool
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import INVALID_FIELD, Refusal
from kaquan.parties.staff import ApprovalKind, check_approval, claim_approval
from kaquan.parties.trail import SYSTEM, Actor
from kaquan.production import store
from kaquan.production.kinds import find_kinds
from kaquan.production.outcomes import ALREADY_EXPORTED, BATCH_NOT_FINISHED, NOT_A_PHYSICAL_BATCH
from kaquan.production.store import Claim
from kaquan.production.types import Export, NewExport
from kaquan.vault import EnvelopeError, EnvelopeWriter, fingerprint, read_public_key

_log = structlog.get_logger(__name__)

Progress = Callable[[int], None]
"""Told how many more cards are written."""


def check_export(batch: Batch, earlier: Export | None, *, approval_id: UUID | None) -> Refusal | None:
    """Whether a file of the batch may be given out, an approval taken as given.

    Refused: ``not_a_physical_batch``, ``batch_not_finished``, ``already_exported``.
    """
    if batch.form is not CardForm.PHYSICAL:
        return NOT_A_PHYSICAL_BATCH.refuse("id")
    if batch.finished_at is None:
        return BATCH_NOT_FINISHED.refuse("id", issued_count=batch.issued_count, card_count=batch.card_count)
    if earlier is not None and approval_id is None:
        return _already(earlier)
    return None


async def export_batch(
    pool: Pool,
    press: Press,
    clock: Clock,
    *,
    book_id: int,
    new: NewExport,
    stream: IO[bytes],
    exported_by: str,
    by: Actor = SYSTEM,
    progress: Progress = lambda count: None,
) -> Export | Refusal:
    """Write the file to ``stream``, then record that it was given out: only after that may the stream leave the house.

    Who is stopped before has given out nothing and may begin again; of two at once one is refused at the end. A file
    after the first needs an approval of its own, of :func:`what_is_approved`, which is executed in the commit of the
    record. Refused: ``invalid_field`` (kind, public_key), ``not_found``, ``not_a_physical_batch``,
    ``batch_not_finished``, ``already_exported``, ``approval_not_approved``, ``approval_for_something_else``, ``busy``.
    """
    kind = find_kinds().get(new.kind)
    if kind is None:
        known = ", ".join(sorted(find_kinds()))
        return INVALID_FIELD.refuse("kind", allowed=f"must be one of: {known}", allowed_zh=f"应为以下之一：{known}")
    try:
        reader = read_public_key(new.public_key)
    except EnvelopeError:
        return INVALID_FIELD.refuse(
            "public_key",
            allowed="must be the PEM of an X25519 public key, or of an RSA one of at least 2048 bits",
            allowed_zh="应为 X25519 或不少于 2048 位的 RSA 公钥（PEM）",
        )
    batch = await get_batch(pool, book_id=book_id, batch_id=new.batch_id)
    if isinstance(batch, Refusal):
        return batch
    exports = await store.load_exports(pool, book_id=book_id, batch_id=batch.id)
    earlier = exports[-1] if exports else None
    if (refused := check_export(batch, earlier, approval_id=new.approval_id)) is not None:
        return refused
    at = clock.now()
    claim: Claim | None = None
    if new.approval_id is not None:
        deed = _Deed(
            batch.book_id,
            new.approval_id,
            ApprovalKind.BATCH_EXPORT,
            show_id(Prefix.BATCH, batch.id),
            what_is_approved(kind=kind.name, with_pin=new.with_pin, reader_fingerprint=fingerprint(reader)),
        )
        if (refused := await check_approval(pool, clock, **deed._asdict())) is not None:
            return refused

        async def claim(connection: Connection) -> Refusal | None:
            claimed = await claim_approval(connection, clock, press.ids, **deed._asdict(), by=by)
            return claimed if isinstance(claimed, Refusal) else None

    writer = EnvelopeWriter(
        stream,
        reader,
        {
            "content": "kaquan production file",
            "batch": show_id(Prefix.BATCH, batch.id),
            "kind": kind.name,
            "card_count": batch.card_count,
            "turn": len(exports) + 1,
        },
    )
    writer.write(kind.head)
    written = 0
    async for cards in print_cards(pool, press, book_id=book_id, batch_id=batch.id, with_pin=new.with_pin, at=at):
        await asyncio.to_thread(writer.write, kind.lines(written + 1, cards))
        written += len(cards)
        progress(len(cards))
    sha256 = writer.close()
    await asyncio.to_thread(_keep, stream)
    return await _record(
        pool,
        Export(
            id=press.ids.new(),
            book_id=book_id,
            batch_id=batch.id,
            turn=len(exports) + 1,
            kind=kind.name,
            with_pin=new.with_pin,
            reader_fingerprint=writer.reader_fingerprint,
            card_count=written,
            size_bytes=writer.size_bytes,
            sha256=sha256,
            exported_by=exported_by,
            approval_id=new.approval_id,
            exported_at=at,
        ),
        claim,
    )


class _Deed(NamedTuple):
    """What an approval must allow, as the staff asks for it."""

    book_id: int
    id_: UUID
    kind: ApprovalKind
    subject: str
    payload: dict[str, Any]


def what_is_approved(*, kind: str, with_pin: bool, reader_fingerprint: str) -> dict[str, Any]:
    """The payload of an approval of another file: its form, and to whose key it is sealed."""
    return {"kind": kind, "reader_fingerprint": reader_fingerprint, "with_pin": with_pin}


def _keep(stream: IO[bytes]) -> None:
    stream.flush()
    with suppress(io.UnsupportedOperation):  # not a file
        os.fsync(stream.fileno())


async def _record(pool: Pool, export: Export, claim: Claim | None) -> Export | Refusal:
    refused_by = await store.post_export(pool, export, claim)
    if isinstance(refused_by, Refusal):
        return refused_by
    if refused_by is not None:
        assert refused_by == "production_export_turn", refused_by
        return _already((await store.load_exports(pool, book_id=export.book_id, batch_id=export.batch_id))[-1])
    _log.info(
        "production_file_exported",
        book_id=export.book_id,
        batch_id=str(export.batch_id),
        turn=export.turn,
        by=export.exported_by,
        card_count=export.card_count,
        sha256=export.sha256,
    )
    return export


def _already(earlier: Export) -> Refusal:
    return ALREADY_EXPORTED.refuse("id", exported_at=_show(earlier.exported_at), exported_by=earlier.exported_by)


def _show(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
