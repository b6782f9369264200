"""Tenants: create one with its two books, list them."""

from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix
from kaquan.kit.outcomes import Refusal
from kaquan.parties import store
from kaquan.parties.outcomes import taken
from kaquan.parties.types import Book, Mode, Tenant


async def create_tenant(pool: Pool, clock: Clock, ids: Ids, *, name: str) -> tuple[Tenant, dict[Mode, Book]] | Refusal:
    """A tenant with a live and a test book. Refused: ``already_exists`` (its name)."""
    tenant = Tenant(ids.new(), name, clock.now())
    books = await store.post_tenant(pool, tenant, list(Mode))
    if books is None:
        existing = await store.load_tenant(pool, name)
        assert existing is not None, "tenants are never removed"
        return taken("name", name, prefix=Prefix.TENANT, existing=existing.id)
    return tenant, {book.mode: book for book in books}


async def get_tenant(pool: Pool, name: str) -> tuple[Tenant, dict[Mode, Book]] | None:
    """The tenant of that name with its books."""
    tenant = await store.load_tenant(pool, name)
    if tenant is None:
        return None
    return tenant, {book.mode: book for book in await store.load_books(pool, tenant.id)}


async def list_tenants(pool: Pool) -> list[Tenant]:
    """Every tenant, the oldest first."""
    return await store.load_tenants(pool)


async def load_book_versions(pool: Pool) -> dict[int, int]:
    """The version of each book's reference data: what a copy in memory is compared with."""
    return {book.id: book.version for book in await store.load_books(pool)}
