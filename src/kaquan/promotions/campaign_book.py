"""Every book's campaigns in memory, compiled, so that a payment asks the database for none."""

from uuid import UUID

from kaquan.kit.db import Pool
from kaquan.parties import load_book_versions
from kaquan.promotions import store
from kaquan.promotions.compile import EMPTY, CompiledCampaigns, compile_campaigns
from kaquan.promotions.terms import NO_POLICY, Campaign

Compiled = dict[UUID, CompiledCampaigns]


class CampaignBook:
    """The copy in memory. Its owner calls :meth:`refresh` about once a second."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._books: dict[int, tuple[int, Compiled]] = {}

    async def refresh(self) -> None:
        """Read again the campaigns of every book whose version has moved; one small query when none has."""
        versions = await load_book_versions(self._pool)
        changed = {id_: version for id_, version in versions.items() if self.version(id_) != version}
        if not changed:
            return
        # The versions were read before the rows: they may be newer than those, and are then read again.
        campaigns: dict[int, dict[UUID, list[Campaign]]] = {book_id: {} for book_id in changed}
        for book_id, campaign in await store.load_in_force(self._pool, list(changed)):
            campaigns[book_id].setdefault(campaign.terms.issuer_id, []).append(campaign)
        policies = await store.load_policies(self._pool, list(changed))
        for book_id, version in changed.items():
            policy = policies.get(book_id, NO_POLICY)
            compiled = {issuer_id: compile_campaigns(own, policy) for issuer_id, own in campaigns[book_id].items()}
            self._books[book_id] = (version, compiled)

    def get(self, book_id: int, issuer_id: UUID) -> CompiledCampaigns:
        """The campaigns of an issuer as of the last refresh: they are for the cards of its programmes."""
        known = self._books.get(book_id)
        return EMPTY if known is None else known[1].get(issuer_id, EMPTY)

    def version(self, book_id: int) -> int:
        """The version of the book whose campaigns are known; 0 for a book that no refresh has seen."""
        known = self._books.get(book_id)
        return 0 if known is None else known[0]
