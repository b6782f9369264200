"""Write a line of the trail."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec

from kaquan.kit.clock import Clock
from kaquan.kit.db import Connection
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.parties.trail import store
from kaquan.parties.trail.types import Action, Actor

_INTERNAL = frozenset({"id", "book_id", "version"})


async def record_action(
    connection: Connection,
    clock: Clock,
    ids: Ids,
    *,
    book_id: int,
    by: Actor,
    kind: str,
    prefix: Prefix,
    subject_id: UUID,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Record what the transaction of ``connection`` does; it stands or falls with it.

    ``kind`` is a noun and a past participle with a dot between. ``before`` and ``after`` hold what JSON can, and no
    secret, number or name of a person: whoever may read the trail may read them.
    """
    await write_action(
        connection,
        new_action(
            clock,
            ids,
            book_id=book_id,
            by=by,
            kind=kind,
            prefix=prefix,
            subject_id=subject_id,
            before=before,
            after=after,
        ),
    )


def new_action(
    clock: Clock,
    ids: Ids,
    *,
    book_id: int,
    by: Actor,
    kind: str,
    prefix: Prefix,
    subject_id: UUID,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> Action:
    """The line for :func:`write_action`, made before the transaction begins."""
    return Action(
        book_id,
        ids.new(),
        clock.now(),
        kind,
        show_id(prefix, subject_id),
        by.key_id,
        by.operator_id,
        by.request_id,
        before,
        after,
    )


async def write_action(connection: Connection, action: Action) -> None:
    """Write a line in the transaction of ``connection``."""
    await store.insert_action(connection, action)


def summary_of(thing: msgspec.Struct) -> dict[str, Any]:
    """What a line tells of something new: its fields that are set, without those that its subject and place tell."""
    fields = {name: getattr(thing, name) for name in thing.__struct_fields__ if name not in _INTERNAL}
    return {name: value for name, value in fields.items() if value is not None}


def differences(before: msgspec.Struct, after: msgspec.Struct) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields in which two states of one thing differ, as they were and as they are."""
    names = [
        name
        for name in before.__struct_fields__
        if name not in _INTERNAL and getattr(before, name) != getattr(after, name)
    ]
    return {name: getattr(before, name) for name in names}, {name: getattr(after, name) for name in names}
