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
        versions = await load_book_versions(self._pool)
        changed = {id_: version for id_, version in versions.items() if self.version(id_) != version}
        if not changed:
            return
        # The versions were read before the rows: they may be newer than those, and are then read again.
        found: dict[int, dict[tuple[UUID, int | None], Programme]] = {book_id: {} for book_id in changed}
        for programme in await store.load_all_programmes(self._pool, list(changed)):
            if programme.accepted_trades:
                programme = replace(programme, outsiders=await self._outsiders(programme))
            # the newest comes last
            of_book = found[programme.book_id]
            of_book[programme.id, programme.version] = of_book[programme.id, None] = programme
        self._books.update({book_id: (version, found[book_id]) for book_id, version in changed.items()})

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

    def of_issuer(self, book_id: int, issuer_id: UUID) -> frozenset[UUID]:
        """The programmes of an issuer of this book, as of the last refresh."""
        known = self._books.get(book_id)
        found = () if known is None else known[1].values()
        return frozenset(programme.id for programme in found if programme.issuer_id == issuer_id)

    def version(self, book_id: int) -> int:
        """The version of the book whose programmes are known; 0 for a book that no refresh has seen."""
        known = self._books.get(book_id)
        return 0 if known is None else known[0]
