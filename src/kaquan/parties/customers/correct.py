"""Correct what is known of a customer."""

from uuid import UUID

from msgspec.structs import replace

from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix
from kaquan.kit.outcomes import BUSY, Refusal
from kaquan.parties.customers import store
from kaquan.parties.customers.create import document_taken
from kaquan.parties.customers.numbers import birthday_of, fit_birthday, read_personal
from kaquan.parties.customers.sealing import document_lookups, mask_row, open_row, seal_into
from kaquan.parties.customers.types import (
    Customer,
    CustomerChange,
    LevelChange,
    LevelReason,
    Personal,
    PersonalField,
)
from kaquan.parties.identity import IdentityLevel
from kaquan.parties.legal import given_fields
from kaquan.parties.outcomes import CUSTOMER_FORGOTTEN, missing
from kaquan.parties.trail import SYSTEM, Actor, new_action
from kaquan.vault import Keyring


async def correct_customer(
    pool: Pool,
    keyring: Keyring,
    clock: Clock,
    ids: Ids,
    *,
    book_id: int,
    id_: UUID,
    change: CustomerChange,
    by: Actor = SYSTEM,
) -> Customer | Refusal:
    """Correct what ``change`` names; a level that rested on it is lost (:func:`level_after`).

    Another resident identity number brings its birthday, unless one is given.
    Refused: ``not_found``, ``invalid_field`` (name, phone, document.number, birthday), ``customer_forgotten``,
    ``already_exists`` (document.number), ``busy``.
    """
    told = read_personal(change)
    if isinstance(told, Refusal):
        return told
    fields = {name: getattr(told, name) for name in given_fields(change)}
    derive = birthday_of(told.document) is not None and "birthday" not in fields
    if derive:
        fields["birthday"] = None
    for _ in range(store.TRIES):
        row = await store.load_customer(pool, book_id=book_id, id_=id_)
        if row is None:
            return missing("customer")
        if row.forgotten_at is not None:
            return CUSTOMER_FORGOTTEN.refuse()
        before = open_row(row, keyring)
        after = fit_birthday(replace(before, **fields), derive=derive)
        if isinstance(after, Refusal):
            return after
        if after == before:
            return mask_row(row, keyring)
        changed = changed_fields(before, after)
        level = level_after(row.level, changed)
        corrected = replace(seal_into(row, after, keyring), level=level)
        history = None
        if level is not row.level:
            history = LevelChange(book_id, id_, ids.new(), level, LevelReason.CORRECTED, None, clock.now())
        action = new_action(
            clock,
            ids,
            book_id=book_id,
            by=by,
            kind="customer.corrected",
            prefix=Prefix.CUSTOMER,
            subject_id=id_,
            before={"level": row.level},
            after={"level": level, "fields": [*sorted(changed), *_also(before, after)]},
        )
        posted = await store.post_customer_change(
            pool, corrected, history, action, document_lookups=document_lookups(keyring, book_id, after)
        )
        if posted is None:
            return await document_taken(pool, keyring, corrected, after)
        if posted:
            return mask_row(corrected, keyring)
    return BUSY.refuse()


def changed_fields(before: Personal, after: Personal) -> frozenset[PersonalField]:
    """In which fields two records differ."""
    return frozenset(field for field in PersonalField if getattr(before, field) != getattr(after, field))


def _also(before: Personal, after: Personal) -> tuple[str, ...]:
    """What differs besides, on which no level rests."""
    return () if before.birthday == after.birthday else ("birthday",)


_RESTS_ON = {
    IdentityLevel.NONE: frozenset[PersonalField](),
    IdentityLevel.CONTACT: frozenset({PersonalField.NAME, PersonalField.PHONE}),
    IdentityLevel.DOCUMENT: frozenset({PersonalField.NAME, PersonalField.DOCUMENT}),
    IdentityLevel.FOUR_FACTORS: frozenset(PersonalField),
    IdentityLevel.FOUR_FACTORS_FACE: frozenset(PersonalField),
}


def level_after(level: IdentityLevel, changed: frozenset[PersonalField]) -> IdentityLevel:
    """The level that is left when these fields change.

    Who was checked with four factors was checked with their name and document among them; not with the phone of their
    record, because the bank may know another one. A document that was checked says nothing of the phone.
    """
    if not _RESTS_ON[level] & changed:
        return level
    if level.rank >= IdentityLevel.FOUR_FACTORS.rank and not _RESTS_ON[IdentityLevel.DOCUMENT] & changed:
        return IdentityLevel.DOCUMENT
    return IdentityLevel.NONE
