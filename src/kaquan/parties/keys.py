"""API keys: issue, revoke, list, and the form of their tokens.

A token is ``kq_<mode>_<32 hex digits of the key id>_<43 characters of secret>``. The id finds the key, the
secret proves it; the mode is there for people (and for scanners of leaked secrets) and must be true.
"""

from collections.abc import Iterable
from uuid import UUID

from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.parties import store
from kaquan.parties.outcomes import missing
from kaquan.parties.trail import SYSTEM, Actor, new_action
from kaquan.parties.types import ApiKey, Book, IssuedKey, Mode, Scope
from kaquan.vault import SECRET_LENGTH, hash_secret, new_secret

_HEAD = "kq"


async def issue_key(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    *,
    book: Book,
    name: str,
    scopes: Iterable[Scope],
    operator_id: UUID | None = None,
    by: Actor = SYSTEM,
) -> IssuedKey | Refusal:
    """A new key, an operator's if one is named; its token is told here and never again.

    A key of an operator may do what both its scopes and the operator's roles allow. Refused: ``not_found`` (no such
    book, or no such operator in it).
    """
    secret = new_secret()
    granted = frozenset(str(scope) for scope in scopes)
    key = ApiKey(ids.new(), book.id, name, hash_secret(secret), granted, clock.now(), None, operator_id)
    after = {"name": name, "scopes": sorted(granted)}
    if operator_id is not None:
        after["operator"] = show_id(Prefix.OPERATOR, operator_id)
    action = new_action(
        clock, ids, book_id=book.id, by=by, kind="key.issued", prefix=Prefix.KEY, subject_id=key.id, after=after
    )
    posted = await store.post_key(pool, key, action)
    if posted == "parties_api_key_operator":
        return missing("operator", "operator_id")
    if not posted:
        return missing("book", "book_id")
    return IssuedKey(key, show_token(book.mode, key.id, secret))


async def revoke_key(
    pool: Pool, clock: Clock, ids: Ids, *, book_id: int, key_id: UUID, by: Actor = SYSTEM
) -> ApiKey | Refusal:
    """The key as it is after it was revoked, now or before. Refused: ``not_found``."""
    action = new_action(clock, ids, book_id=book_id, by=by, kind="key.revoked", prefix=Prefix.KEY, subject_id=key_id)
    params = {"book_id": book_id, "id": key_id, "revoked_at": clock.now()}
    await store.post_change(pool, "revoke_key", params, action)
    for key in await store.load_keys(pool, [book_id]):
        if key.id == key_id:
            return key
    return missing("key")


async def list_keys(pool: Pool, book_id: int) -> list[ApiKey]:
    """Every key of a book, revoked ones too, the oldest first."""
    return await store.load_keys(pool, [book_id])


async def keys_of_person(pool: Pool, *, book_id: int, key_id: UUID) -> frozenset[UUID]:
    """This key and, if it is an operator's, every other key of that operator, revoked ones too: one person's."""
    keys = {key.id: key for key in await store.load_keys(pool, [book_id])}
    operator_id = keys[key_id].operator_id if key_id in keys else None
    if operator_id is None:
        return frozenset({key_id})
    return frozenset(key.id for key in keys.values() if key.operator_id == operator_id)


def show_token(mode: Mode, key_id: UUID, secret: str) -> str:
    """What a client sends as its bearer token."""
    return f"{_HEAD}_{mode}_{key_id.hex}_{secret}"


def read_token(token: str) -> tuple[str, UUID, str] | None:
    """Mode, key id and secret of a token, or None if it cannot be one."""
    # the secret is base64url and may hold underscores itself
    parts = token.split("_", 3)
    if len(parts) != 4 or parts[0] != _HEAD or len(parts[2]) != 32 or len(parts[3]) != SECRET_LENGTH:
        return None
    if not token.isascii():
        return None
    try:
        return parts[1], UUID(hex=parts[2]), parts[3]
    except ValueError:
        return None
