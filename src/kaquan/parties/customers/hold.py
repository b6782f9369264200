"""What another room seals of a customer into a record of its own, which the law asks it to keep by itself."""

from typing import NamedTuple
from uuid import UUID

from msgspec.structs import replace

from kaquan.kit.db import Pool
from kaquan.kit.outcomes import Refusal
from kaquan.parties.customers import store
from kaquan.parties.customers.sealing import open_row
from kaquan.parties.customers.types import Personal
from kaquan.parties.identity import DocumentKind, IdentityLevel
from kaquan.parties.outcomes import missing
from kaquan.vault import Keyring


class Known(NamedTuple):
    """Who somebody is, in clear. It leaves no trace in a ``repr``."""

    personal: Personal
    level: IdentityLevel
    document_kind: DocumentKind | None

    def __repr__(self) -> str:
        return "Known(...)"


async def hold_customer(
    pool: Pool, keyring: Keyring, *, book_id: int, id_: UUID, field: str = "customer_id"
) -> Known | Refusal:
    """Who a customer is, without their birthday, for sealing it again: whoever calls this shows it to nobody without a
    line in the trail.

    Refused: ``not_found`` (``field``), also for one who is forgotten.
    """
    row = await store.load_customer(pool, book_id=book_id, id_=id_)
    if row is None or row.forgotten_at is not None:
        return missing("customer", field)
    personal = replace(open_row(row, keyring), birthday=None)  # which no law asks to keep
    return Known(personal, row.level, row.document_kind)
