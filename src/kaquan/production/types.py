"""What production is told and what it keeps."""

from datetime import datetime
from uuid import UUID

import msgspec


class NewExport(msgspec.Struct, frozen=True, kw_only=True):
    """A file to be given out: of which batch, in which form, to whose public key (PEM), with first PINs or without."""

    batch_id: UUID
    kind: str
    public_key: str
    with_pin: bool = False
    approval_id: UUID | None = None


class Export(msgspec.Struct, frozen=True):
    """A file that was given out. ``turn`` is 1 for the first of its batch; ``sha256`` is of the whole sealed file."""

    id: UUID
    book_id: int
    batch_id: UUID
    turn: int
    kind: str
    with_pin: bool
    reader_fingerprint: str
    card_count: int
    size_bytes: int
    sha256: str
    exported_by: str
    approval_id: UUID | None
    exported_at: datetime
