"""What the trail holds."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from kaquan.kit.paging import DEFAULT_LIMIT


class Actor(msgspec.Struct, frozen=True):
    """Who acts: an API key, the operator whom it belongs to if it does, and the request in which it happened."""

    key_id: UUID | None = None
    operator_id: UUID | None = None
    request_id: str | None = None


SYSTEM = Actor()
"""The product itself, or a command on its server."""


class Action(msgspec.Struct, frozen=True):
    """One line of the trail.

    ``kind`` is a noun and a past participle (``merchant.created``), ``subject`` the public id of what it was done to.
    ``before`` and ``after`` hold what changed, None where there was nothing or nothing is left to tell.
    """

    book_id: int
    id: UUID
    at: datetime
    kind: str
    subject: str
    key_id: UUID | None
    operator_id: UUID | None
    request_id: str | None
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


class ActionSearch(msgspec.Struct, frozen=True, kw_only=True):
    """What the trail is narrowed to; None does not narrow. Newest first, both times exclusive."""

    limit: int = DEFAULT_LIMIT
    after_id: UUID | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    kind: str | None = None
    subject: str | None = None
    operator_id: UUID | None = None
    key_id: UUID | None = None
