"""Every book's programmes in memory, so that a payment asks the database for none."""

from uuid import UUID

from kaquan.cards import store
from kaquan.cards.types import Programme
from kaquan.kit.db import Pool


class Programmes:
    """The copy in memory. Its owner calls :meth:`refresh` about once a second."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._books: dict[int, tuple[int, dict[UUID, Programme]]] = {}

    async def refresh(self) -> None:
        """Read again every book whose version has moved; one small query when none has."""
        for book_id, version in (await store.load_book_versions(self._pool)).items():
            known = self._books.get(book_id)
            if known is None or known[0] != version:
                # The version was read before the rows: they may be newer than it, and are then read again.
                programmes = await store.load_all_programmes(self._pool, book_id)
                self._books[book_id] = (version, {programme.id: programme for programme in programmes})

    def get(self, book_id: int, programme_id: UUID) -> Programme | None:
        """The programme of this book with this id, as of the last refresh."""
        known = self._books.get(book_id)
        return None if known is None else known[1].get(programme_id)

    def version(self, book_id: int) -> int:
        """The version of the book whose programmes are known; 0 for a book that no refresh has seen."""
        known = self._books.get(book_id)
        return 0 if known is None else known[0]
