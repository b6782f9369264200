"""Find campaigns and their versions."""

from uuid import UUID

from kaquan.kit.db import Pool
from kaquan.kit.outcomes import NOT_FOUND, Refusal
from kaquan.kit.paging import Page, cut_page
from kaquan.promotions import store
from kaquan.promotions.campaigns import CampaignSearch, CampaignVersion, KeptCampaign
from kaquan.promotions.terms import Campaign, StackingPolicy


async def get_campaign(pool: Pool, *, book_id: int, id_: UUID) -> KeptCampaign | Refusal:
    """The campaign with this id. Refused: ``not_found``."""
    found = await store.load_campaigns(pool, book_id, CampaignSearch(), id_)
    return found[0] if found else NOT_FOUND.refuse("id", what="campaign")


async def list_campaigns(pool: Pool, *, book_id: int, search: CampaignSearch) -> Page[KeptCampaign]:
    """Campaigns of a book, the newest first."""
    found = await store.load_campaigns(pool, book_id, search)
    return cut_page(
        found, limit=search.limit, last_id=found[search.limit - 1].id if len(found) > search.limit else None
    )


async def list_versions(pool: Pool, *, book_id: int, id_: UUID) -> list[CampaignVersion] | Refusal:
    """Every version of a campaign, the newest first. Refused: ``not_found``."""
    found = await store.load_versions(pool, book_id, id_)
    return found or NOT_FOUND.refuse("id", what="campaign")


async def get_version(pool: Pool, *, book_id: int, id_: UUID, version: int) -> CampaignVersion | Refusal:
    """One version: what a purchase that was made under it was promised. Refused: ``not_found``."""
    found = await store.load_versions(pool, book_id, id_, version)
    return found[0] if found else NOT_FOUND.refuse("version", what="version")


async def list_in_force(pool: Pool, *, book_id: int) -> list[Campaign]:
    """The published version of each campaign that nobody ended, each within its own time."""
    return [campaign for _, campaign in await store.load_in_force(pool, [book_id])]


async def get_policy(pool: Pool, *, book_id: int) -> StackingPolicy:
    """What binds all campaigns of a book in one basket."""
    return (await store.load_policy(pool, book_id))[1]
