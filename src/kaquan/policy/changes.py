"""Changes of rules and the rule sets they made: list, and read as of any version."""

from uuid import UUID

from kaquan.kit.db import Pool
from kaquan.kit.outcomes import Refusal
from kaquan.kit.paging import Page, cut_page
from kaquan.policy import store
from kaquan.policy.outcomes import missing
from kaquan.policy.types import Change, RuleSet, Search


async def list_changes(pool: Pool, *, book_id: int, search: Search) -> Page[Change]:
    """Changes of a book, the newest first; ``search`` may narrow by issuer, status and time of proposal."""
    rows = await store.load_changes(pool, book_id, search)
    has_more = len(rows) > search.limit
    return cut_page(rows, limit=search.limit, last_id=rows[search.limit - 1].id if has_more else None)


async def get_rule_set(
    pool: Pool, *, book_id: int, issuer_id: UUID | None, version: int | None = None
) -> RuleSet | Refusal:
    """The house rules of an issuer, or what a book changed of the law, as of ``version`` or now.

    Version 0 is before the first change, and empty. Refused: ``not_found`` (version).
    """
    found = await store.load_rule_set(pool, book_id=book_id, issuer_id=issuer_id, version=version)
    if version is not None and found.version != version:
        return missing("version", "version")
    return found
