"""Every book's keys and terminals in memory, so that a payment asks the database for neither."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

import msgspec

from kaquan.kit.db import Pool
from kaquan.parties import store
from kaquan.parties.keys import read_token
from kaquan.parties.staff import Operator, OperatorStatus, every_operator, scopes_of
from kaquan.parties.types import ApiKey, Book, Mode, Place, Principal
from kaquan.vault import secret_matches

CATCH_UP_S = 0.02
"""How long ``catch_up`` gathers callers: invented keys make it read at most 50 times a second."""


class BookDirectory(msgspec.Struct, frozen=True):
    """What is known of one book: its keys by id, who asks with each of them, and its places by terminal id."""

    book_id: int
    tenant_id: UUID
    mode: Mode
    version: int
    keys: dict[UUID, ApiKey]
    principals: dict[UUID, Principal]
    places: dict[UUID, Place]


class Directory:
    """The copy in memory. Its owner calls :meth:`refresh` about once a second."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._books: dict[int, BookDirectory] = {}
        self._keys: dict[UUID, ApiKey] = {}
        self.generation = 0
        """Grows whenever a refresh found something new, so that what was concluded from this copy knows its age."""
        self._refreshing = asyncio.Lock()
        self._catching_up: asyncio.Task[None] | None = None

    async def refresh(self) -> None:
        """Read again every book whose version has moved; one small query when none has."""
        async with self._refreshing:
            changed = [book for book in await store.load_books(self._pool) if not self._is_current(book)]
            if changed:
                # The versions were read before the rows: they may be newer than those, and are then read again.
                await self._read(changed)
                self.generation += 1
                self._keys = {id_: key for book in self._books.values() for id_, key in book.keys.items()}

    async def _read(self, books: Sequence[Book]) -> None:
        """Read everything of these books: three queries, however many they are."""
        ids = [book.id for book in books]
        keys: dict[int, dict[UUID, ApiKey]] = {id_: {} for id_ in ids}
        places: dict[int, dict[UUID, Place]] = {id_: {} for id_ in ids}
        for key in await store.load_keys(self._pool, ids):
            keys[key.book_id][key.id] = key
        for book_id, place in await store.load_places(self._pool, ids):
            places[book_id][place.terminal_id] = place
        operators = {(operator.book_id, operator.id): operator for operator in await every_operator(self._pool, ids)}
        for book in books:
            self._books[book.id] = BookDirectory(
                book_id=book.id,
                tenant_id=book.tenant_id,
                mode=book.mode,
                version=book.version,
                keys=keys[book.id],
                principals=_principals(book, keys[book.id].values(), operators),
                places=places[book.id],
            )

    async def catch_up(self) -> None:
        """A refresh that begins after this call, shared by all who wait for one.

        For a door that was asked about a key or a terminal it does not know: another process may have made
        it a moment ago. Raises the driver's errors when the database does not answer.
        """
        if self._catching_up is None:
            self._catching_up = asyncio.create_task(self._refresh_soon(), name="directory catch-up")
        await asyncio.shield(self._catching_up)

    async def _refresh_soon(self) -> None:
        await asyncio.sleep(CATCH_UP_S)
        self._catching_up = None  # who calls from here on waits for the next one
        await self.refresh()

    def _is_current(self, book: Book) -> bool:
        known = self._books.get(book.id)
        return known is not None and known.version == book.version

    def book(self, book_id: int) -> BookDirectory:
        """What is known of a book. Raises KeyError for a book that no refresh has seen."""
        return self._books[book_id]

    def version(self, book_id: int) -> int:
        """The version of what is known of a book; 0 for a book that no refresh has seen."""
        known = self._books.get(book_id)
        return 0 if known is None else known.version

    def authenticate(self, token: str) -> Principal | None:
        """Who ``token`` belongs to; None if it is unknown, wrong or not taken any more, which takes the same time."""
        read = read_token(token)
        if read is None:
            return None
        mode, key_id, secret = read
        key = self._keys.get(key_id)
        if not secret_matches(secret, None if key is None else key.secret_hash) or key is None:
            return None
        book = self._books[key.book_id]
        return book.principals.get(key_id) if mode == book.mode else None


def _principals(
    book: Book, keys: Iterable[ApiKey], operators: Mapping[tuple[int, UUID], Operator]
) -> dict[UUID, Principal]:
    """Who asks with each key that is taken: not with a revoked one, nor with that of a suspended operator."""
    principals = {}
    for key in keys:
        scopes, store_ids = key.scopes, None
        if key.operator_id is not None:
            operator = operators.get((book.id, key.operator_id))
            if operator is None or operator.status is not OperatorStatus.ACTIVE:
                continue
            scopes, store_ids = scopes & scopes_of(operator.roles), operator.store_ids
        if key.revoked_at is None:
            principals[key.id] = Principal(key.id, book.id, book.mode, scopes, key.operator_id, store_ids)
    return principals
