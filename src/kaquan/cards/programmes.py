"""Every book's programmes in memory, so that a payment asks the database for none."""

from collections.abc import Callable
from uuid import UUID

from msgspec.structs import replace

from kaquan.cards import store
from kaquan.cards.accept import find_outsiders
from kaquan.cards.types import Programme
from kaquan.kit.db import Pool
from kaquan.parties import load_book_versions
from kaquan.policy import RuleBook, released_book

Rules = Callable[[int, UUID], RuleBook]
"""What binds an issuer of a book."""


def _released(_book_id: int, _issuer_id: UUID) -> RuleBook:
    return released_book()


class Programmes:
    """The copy in memory, by version of terms. Its owner calls :meth:`refresh` about once a second.

    ``rules`` tell which merchants of an accepted trade a programme's mode keeps out.
    """

    def __init__(self, pool: Pool, *, rules: Rules = _released) -> None:
        self._pool = pool
        self._rules = rules
        self._books: dict[int, tuple[int, dict[tuple[UUID, int | None], Programme]]] = {}

    async def refresh(self) -> None:
        """Read again every book whose version has moved; one small query when none has."""
        for book_id, version in (await load_book_versions(self._pool)).items():
            known = self._books.get(book_id)
            if known is None or known[0] != version:
                # The version was read before the rows: they may be newer than it, and are then read again.
                self._books[book_id] = (version, await self._load(book_id))

    async def _load(self, book_id: int) -> dict[tuple[UUID, int | None], Programme]:
        found: dict[tuple[UUID, int | None], Programme] = {}
        for programme in await store.load_all_programmes(self._pool, book_id):
            if programme.accepted_trades:
                programme = replace(programme, outsiders=await self._outsiders(programme))
            # the newest comes last
            found[programme.id, programme.version] = found[programme.id, None] = programme
        return found

    async def _outsiders(self, programme: Programme) -> frozenset[UUID]:
        rules = self._rules(programme.book_id, programme.issuer_id)
        return frozenset(
            await find_outsiders(self._pool, programme, (), programme.accepted_trades, rules=rules, at=None)
        )

    def get(self, book_id: int, programme_id: UUID, version: int | None = None) -> Programme | None:
        """The programme of this book with this id, as of the last refresh: under this version of its terms, or the
        newest one."""
        known = self._books.get(book_id)
        return None if known is None else known[1].get((programme_id, version))

    def version(self, book_id: int) -> int:
        """The version of the book whose programmes are known; 0 for a book that no refresh has seen."""
        known = self._books.get(book_id)
        return 0 if known is None else known[0]
