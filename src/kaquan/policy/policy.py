"""Every book's rules in memory, compiled, so that a payment asks the database for none."""

import asyncio
from uuid import UUID

from kaquan.kit.db import Pool
from kaquan.policy import store
from kaquan.policy.check_rules import effective_law
from kaquan.policy.law import released_book, released_law
from kaquan.policy.rulebook import RuleBook
from kaquan.policy.types import Fact, Question, RuleSet


class Policy:
    """The copy in memory. Its owner calls :meth:`refresh` about once a second."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._versions: dict[int, int] = {}
        self._sets: dict[int, list[RuleSet]] = {}
        self._law: dict[int, RuleBook] = {}
        self._house: dict[tuple[int, UUID], RuleBook] = {}
        self._refreshing = asyncio.Lock()

    async def refresh(self) -> None:
        """Read again every book whose version has moved; one small query when none has."""
        async with self._refreshing:
            versions = await store.load_book_versions(self._pool)
            changed = {id_: version for id_, version in versions.items() if self._versions.get(id_) != version}
            if not changed:
                return
            # The versions were read before the rows: they may be newer than those, and are then read again.
            sets: dict[int, list[RuleSet]] = {book_id: [] for book_id in changed}
            for one in await store.load_rule_sets(self._pool, list(changed)):
                sets[one.book_id].append(one)
            for book_id, found in sets.items():
                if found != self._sets.get(book_id, []):
                    self._compile(book_id, found)
            self._versions.update(changed)

    def _compile(self, book_id: int, sets: list[RuleSet]) -> None:
        released = released_law()
        own = next((one for one in sets if one.issuer_id is None), None)
        law = released if own is None else effective_law(released, own)
        self._law[book_id] = RuleBook(law)
        for one in sets:
            if one.issuer_id is not None:
                self._house[book_id, one.issuer_id] = RuleBook(law, one.rules)
        self._sets[book_id] = sets

    def rules(self, book_id: int, issuer_id: UUID | None = None) -> RuleBook:
        """What binds an issuer of a book: the law, and its house rules; without an issuer the law alone.

        A book that no refresh has seen has the law as it was released.
        """
        if issuer_id is not None and (found := self._house.get((book_id, issuer_id))) is not None:
            return found
        return self._law.get(book_id) or released_book()

    def ask(self, book_id: int, issuer_id: UUID | None, question: Question) -> Fact | None:
        """What binds; None where no rule says anything. Microseconds, no I/O."""
        return self.rules(book_id, issuer_id).ask(question)

    def version(self, book_id: int) -> int:
        """The version of the book whose rules are known; 0 for a book that no refresh has seen."""
        return self._versions.get(book_id, 0)
