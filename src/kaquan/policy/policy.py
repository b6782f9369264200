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
            for book_id, version in (await store.load_book_versions(self._pool)).items():
                if self._versions.get(book_id) == version:
                    continue
                # The version was read before the rows: they may be newer than it, and are then read again.
                sets = await store.load_rule_sets(self._pool, book_id)
                if sets != self._sets.get(book_id, []):
                    self._compile(book_id, sets)
                self._versions[book_id] = version

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
