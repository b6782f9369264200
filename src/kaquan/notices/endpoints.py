"""Endpoints: create, change, rotate the secret, remove, get, list."""

import base64
import secrets
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from msgspec.structs import replace

from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids
from kaquan.kit.outcomes import INVALID_FIELD, NOT_FOUND, Refusal
from kaquan.kit.paging import Page, cut_page
from kaquan.notices import store
from kaquan.notices.events import EVENTS
from kaquan.notices.kinds import find_kinds
from kaquan.notices.types import Endpoint, EndpointStatus, MadeEndpoint, NoticeSearch
from kaquan.vault import Keyring

SECRET_BYTES = 32
MAX_OVERLAP = timedelta(days=7)


def _check(address: str | None, events: Sequence[str] | None, *, kind: str, allow_private: bool) -> Refusal | None:
    for position, name in enumerate(events or ()):
        if name not in EVENTS:
            names = ", ".join(sorted(EVENTS))
            return INVALID_FIELD.refuse(
                f"events[{position}]", allowed=f"must be one of: {names}", allowed_zh=f"应为以下之一：{names}"
            )
    return None if address is None else find_kinds()[kind].check_address(address, allow_private=allow_private)


def _seal(keyring: Keyring, endpoint_id: UUID) -> tuple[str, bytes]:
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    return secret, keyring.seal(secret.encode(), store.SEAL_PREFIX + endpoint_id.bytes)


def open_secret(keyring: Keyring, sealed: bytes, endpoint_id: UUID) -> str:
    """The secret of an endpoint, to sign with."""
    return keyring.open(sealed, store.SEAL_PREFIX + endpoint_id.bytes).decode()


async def create_endpoint(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    keyring: Keyring,
    *,
    book_id: int,
    address: str,
    events: Sequence[str],
    allow_private: bool,
    kind: str = "webhook",
) -> MadeEndpoint | Refusal:
    """A new endpoint with its secret, shown this once. It gets what is written from now on.

    Refused: ``invalid_field`` (address, events[n]).
    """
    refused = _check(address, events, kind=kind, allow_private=allow_private)
    if refused is not None:
        return refused
    id_ = ids.new()
    secret, sealed = _seal(keyring, id_)
    endpoint = Endpoint(
        id_,
        book_id,
        kind,
        address,
        tuple(dict.fromkeys(events)),
        EndpointStatus.ACTIVE,
        sealed,
        None,
        None,
        clock.now(),
    )
    await store.post_endpoint(pool, endpoint)
    return MadeEndpoint(endpoint, secret)


async def change_endpoint(
    pool: Pool,
    *,
    book_id: int,
    id_: UUID,
    allow_private: bool,
    address: str | None = None,
    events: Sequence[str] | None = None,
    status: EndpointStatus | None = None,
) -> Endpoint | Refusal:
    """Change the address, the events or whether it is active (None leaves it).

    Refused: ``not_found``, ``invalid_field`` (address, events[n]).
    """
    found = await get_endpoint(pool, book_id=book_id, id_=id_)
    if isinstance(found, Refusal):
        return found
    refused = _check(address, events, kind=found.kind, allow_private=allow_private)
    if refused is not None:
        return refused
    changed = await store.change_endpoint(
        pool,
        book_id=book_id,
        id_=id_,
        address=address,
        events=None if events is None else tuple(dict.fromkeys(events)),
        status=status,
    )
    return NOT_FOUND.refuse("id", what="endpoint") if changed is None else changed


async def rotate_secret(
    pool: Pool, clock: Clock, keyring: Keyring, *, book_id: int, id_: UUID, overlap: timedelta
) -> MadeEndpoint | Refusal:
    """A new secret. Until ``overlap`` (at most MAX_OVERLAP) has passed, messages carry a signature of each.

    Refused: ``not_found``.
    """
    found = await get_endpoint(pool, book_id=book_id, id_=id_)
    if isinstance(found, Refusal):
        return found
    secret, sealed = _seal(keyring, id_)
    has_overlap = overlap > timedelta()
    changed = replace(
        found,
        secret_sealed=sealed,
        old_secret_sealed=found.secret_sealed if has_overlap else None,
        old_secret_until=clock.now() + min(overlap, MAX_OVERLAP) if has_overlap else None,
    )
    if not await store.rotate_secret(pool, changed):
        return NOT_FOUND.refuse("id", what="endpoint")
    return MadeEndpoint(changed, secret)


async def remove_endpoint(pool: Pool, *, slots: Sequence[int], book_id: int, id_: UUID) -> Endpoint | Refusal:
    """Remove an endpoint for ever; what was on its way to it is given up. Refused: ``not_found``."""
    found = await get_endpoint(pool, book_id=book_id, id_=id_)
    if isinstance(found, Refusal):
        return found
    await store.remove_endpoint(pool, found, slots=slots)
    return replace(found, status=EndpointStatus.REMOVED)


async def get_endpoint(pool: Pool, *, book_id: int, id_: UUID) -> Endpoint | Refusal:
    """The endpoint with this id. Refused: ``not_found``."""
    found = await store.load_endpoints(pool, book_id, NoticeSearch(), id_)
    return found[0] if found else NOT_FOUND.refuse("id", what="endpoint")


async def list_endpoints(pool: Pool, *, book_id: int, search: NoticeSearch) -> Page[Endpoint]:
    """Endpoints of a book, the newest first."""
    rows = await store.load_endpoints(pool, book_id, search)
    return cut_page(rows, limit=search.limit, last_id=rows[search.limit - 1].id if len(rows) > search.limit else None)
