"""Between a row and what it holds in clear. A value is sealed to its customer and its field, and opens nowhere else."""

from uuid import UUID

from msgspec.structs import replace

from kaquan.parties.customers.types import Customer, Document, Personal, SealedCustomer
from kaquan.vault import Keyring, RowLookup, SealedColumn, declare_sealed, mask_identity, mask_name, mask_phone

PURPOSE = b"customer"
"""The purpose under which customers are looked up."""


def seal_into(row: SealedCustomer, personal: Personal, keyring: Keyring) -> SealedCustomer:
    """``row`` with ``personal`` in place of what it held, and found by it."""
    document = personal.document
    number = None if document is None else document.number
    return replace(
        row,
        name=_seal(keyring, row.id, "name", personal.name),
        phone=_seal(keyring, row.id, "phone", personal.phone),
        document_kind=None if document is None else document.kind,
        document=_seal(keyring, row.id, "document", number),
        phone_lookup=_lookup(keyring, row.book_id, "phone", personal.phone),
        phone_last4=_lookup(keyring, row.book_id, "phone_last4", personal.phone and personal.phone[-4:]),
        document_lookup=_lookup(keyring, row.book_id, "document", number),
        document_last4=_lookup(keyring, row.book_id, "document_last4", number and number[-4:]),
        birthday=None if personal.birthday is None else personal.birthday[0] * 100 + personal.birthday[1],
    )


def open_row(row: SealedCustomer, keyring: Keyring) -> Personal:
    """What a row holds, in clear. Raises SealError for a row that was tampered with."""
    number = _open(keyring, row.id, "document", row.document)
    return Personal(
        name=_open(keyring, row.id, "name", row.name),
        phone=_open(keyring, row.id, "phone", row.phone),
        document=None if number is None or row.document_kind is None else Document(row.document_kind, number),
        birthday=month_day_of(row.birthday),
    )


def month_day_of(birthday: int | None) -> tuple[int, int] | None:
    """A birthday as it is kept, MMDD, in two.

    >>> month_day_of(229)
    (2, 29)
    """
    return None if birthday is None else divmod(birthday, 100)


def mask_row(row: SealedCustomer, keyring: Keyring) -> Customer:
    """A row as it may be shown. Raises SealError for a row that was tampered with."""
    personal = open_row(row, keyring)
    return Customer(
        book_id=row.book_id,
        id=row.id,
        name_masked=None if personal.name is None else mask_name(personal.name),
        phone_masked=None if personal.phone is None else mask_phone(personal.phone),
        document_kind=row.document_kind,
        document_masked=None if personal.document is None else mask_identity(personal.document.number),
        level=row.level,
        created_at=row.created_at,
        forgotten_at=row.forgotten_at,
        retained_until=row.retained_until,
        retained_by=row.retained_by,
        birthday_masked=None if personal.birthday is None else f"{personal.birthday[0]:02}-**",
        segments=row.segments,
    )


def lookups_of(keyring: Keyring, *, book_id: int, field: str, value: str) -> list[UUID]:
    """The keyed hashes by which a value of a field is found in one book; in another book they are others.

    There is one, or two while the look-up key is being changed: a row is found by either.
    """
    return [lookup for _, lookup in keyring.lookups(_text(book_id, field, value), PURPOSE)]


def document_lookups(keyring: Keyring, book_id: int, personal: Personal) -> list[UUID]:
    """By what the document of a person would be found, if they have one."""
    document = personal.document
    return [] if document is None else lookups_of(keyring, book_id=book_id, field="document", value=document.number)


def _lookup(keyring: Keyring, book_id: int, field: str, value: str | None) -> UUID | None:
    return None if value is None else keyring.lookup(_text(book_id, field, value), PURPOSE)


def _text(book_id: int, field: str, value: str) -> str:
    return f"{book_id}/{field}/{value}"


def _whole(field: str) -> RowLookup:
    return RowLookup(f"{field}_lookup", lambda key, value: _text(key[0], field, value), PURPOSE)


def _last4(field: str) -> RowLookup:
    return RowLookup(f"{field}_last4", lambda key, value: _text(key[0], f"{field}_last4", value[-4:]), PURPOSE)


for _field, _lookups in (
    ("name", ()),
    ("phone", (_whole("phone"), _last4("phone"))),
    ("document", (_whole("document"), _last4("document"))),
):
    declare_sealed(
        SealedColumn(
            "parties_customer",
            key=(("book_id", "integer"), ("id", "uuid")),
            column=_field,
            context="id",
            prefix=b"customer/" + _field.encode() + b"/",
            lookups=_lookups,
        )
    )


def _seal(keyring: Keyring, id_: UUID, field: str, value: str | None) -> bytes | None:
    return None if value is None else keyring.seal(value.encode(), _context(id_, field))


def _open(keyring: Keyring, id_: UUID, field: str, sealed: bytes | None) -> str | None:
    return None if sealed is None else keyring.open(sealed, _context(id_, field)).decode()


def _context(id_: UUID, field: str) -> bytes:
    return b"customer/" + field.encode() + b"/" + id_.bytes
