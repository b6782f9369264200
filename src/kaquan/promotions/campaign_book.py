"""Every book's campaigns in memory, compiled, so that a payment asks the database for none."""

from kaquan.kit.db import Pool
from kaquan.parties import load_book_versions
from kaquan.promotions import store
from kaquan.promotions.compile import EMPTY, CompiledCampaigns, compile_campaigns


class CampaignBook:
    """The copy in memory. Its owner calls :meth:`refresh` about once a second."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._books: dict[int, tuple[int, CompiledCampaigns]] = {}

    async def refresh(self) -> None:
        """Read again the campaigns of every book whose version has moved; one small query when none has."""
        for book_id, version in (await load_book_versions(self._pool)).items():
            known = self._books.get(book_id)
            if known is not None and known[0] == version:
                continue
            # The version was read before the rows: they may be newer than it, and are then read again.
            campaigns = await store.load_in_force(self._pool, book_id)
            _, policy = await store.load_policy(self._pool, book_id)
            self._books[book_id] = (version, compile_campaigns(campaigns, policy) if campaigns else EMPTY)

    def get(self, book_id: int) -> CompiledCampaigns:
        """The campaigns of a book as of the last refresh."""
        known = self._books.get(book_id)
        return EMPTY if known is None else known[1]

    def version(self, book_id: int) -> int:
        """The version of the book whose campaigns are known; 0 for a book that no refresh has seen."""
        known = self._books.get(book_id)
        return 0 if known is None else known[0]
