"""Look things up: get and list programmes, batches and cards."""

from collections.abc import Sequence
from typing import Protocol, TypeVar
from uuid import UUID

from kaquan.cards import store
from kaquan.cards.find import CardFinder
from kaquan.cards.outcomes import missing
from kaquan.cards.types import AcceptedMerchant, Batch, Card, Pocket, Programme, Search, Tenure, TermsVersion
from kaquan.kit.db import Pool
from kaquan.kit.outcomes import Refusal
from kaquan.kit.paging import Page, cut_page
from kaquan.ledger import Account, slot_of


class _HasId(Protocol):
    @property
    def id(self) -> UUID: ...


Row = TypeVar("Row", bound=_HasId)


async def get_programme(pool: Pool, *, book_id: int, programme_id: UUID) -> Programme | Refusal:
    """The programme with this id, under the newest version of its terms. Refused: ``not_found``."""
    found = await store.load_programmes(pool, book_id, Search(), programme_id)
    return found[0] if found else missing("programme")


async def list_programmes(pool: Pool, *, book_id: int, search: Search) -> Page[Programme]:
    """Programmes of a book, the newest first; ``search`` may narrow by code and issuer."""
    return _cut(await store.load_programmes(pool, book_id, search), search)


async def list_terms(pool: Pool, *, book_id: int, programme_id: UUID) -> list[TermsVersion] | Refusal:
    """Every version of the terms of a programme, the newest first. Refused: ``not_found``."""
    found = await store.load_terms_versions(pool, book_id=book_id, programme_id=programme_id)
    return found or missing("programme")


async def list_acceptance(
    pool: Pool, *, book_id: int, programme_id: UUID, search: Search
) -> Page[AcceptedMerchant] | Refusal:
    """Where a programme is accepted, merchant by merchant, those made last first. Refused: ``not_found``."""
    programme = await get_programme(pool, book_id=book_id, programme_id=programme_id)
    if isinstance(programme, Refusal):
        return programme
    stores: dict[UUID, list[UUID]] = {}
    for merchant_id, store_id in programme.accepts:
        if search.after_id is None or merchant_id < search.after_id:
            stores.setdefault(merchant_id, []).extend([store_id] if store_id is not None else [])
    shown = [
        AcceptedMerchant(merchant_id, (merchant_id, None) in programme.accepts, tuple(sorted(stores[merchant_id])))
        for merchant_id in sorted(stores, reverse=True)[: search.limit + 1]
    ]
    has_more = len(shown) > search.limit
    return cut_page(shown, limit=search.limit, last_id=shown[search.limit - 1].merchant_id if has_more else None)


async def get_batch(pool: Pool, *, book_id: int, batch_id: UUID) -> Batch | Refusal:
    """The batch with this id, as far as it has come. Refused: ``not_found``."""
    found = await store.load_batches(pool, book_id, Search(), batch_id)
    return found[0] if found else missing("batch")


async def list_batches(pool: Pool, *, book_id: int, search: Search) -> Page[Batch]:
    """Batches of a book, the newest first; ``search`` may narrow by name and programme."""
    return _cut(await store.load_batches(pool, book_id, search), search)


async def get_card(pool: Pool, *, book_id: int, slots: tuple[int, ...], card_id: UUID) -> Card | Refusal:
    """The card with this id. Refused: ``not_found``."""
    card = await store.load_card(pool, book_id=book_id, slot=slot_of(card_id, slots), card_id=card_id)
    return missing("card") if card is None else card


async def get_cards(pool: Pool, *, book_id: int, slots: tuple[int, ...], card_ids: Sequence[UUID]) -> dict[UUID, Card]:
    """The cards with these ids, in one read; those that are not there are left out."""
    found = await store.load_cards_named(pool, book_id=book_id, slots=slots, card_ids=card_ids)
    return {card.id: card for card in found}


async def get_card_by_number(pool: Pool, finder: CardFinder, *, book_id: int, number: str) -> Card | None:
    """The card of this book with this number, or None."""
    (found,) = await finder.resolve([number])
    return None if found is None else await store.load_card(pool, book_id=book_id, slot=found[0], card_id=found[1])


async def list_cards(pool: Pool, *, book_id: int, slots: tuple[int, ...], search: Search) -> Page[Card]:
    """Cards of a book, the newest first; ``search`` may narrow by last4, batch, programme and status."""
    return _cut(await store.load_cards(pool, book_id, slots, search), search)


async def list_tenures(pool: Pool, *, book_id: int, slots: Sequence[int], customer_id: UUID) -> list[Tenure]:
    """When which cards were a customer's."""
    return await store.load_tenures(pool, book_id=book_id, slots=slots, customer_id=customer_id)


async def list_pockets(
    pool: Pool, *, book_id: int, slots: tuple[int, ...], card_id: UUID
) -> list[tuple[Pocket, Account]] | Refusal:
    """The pockets of a card with their accounts; none before it is activated. Refused: ``not_found``."""
    slot = slot_of(card_id, slots)
    if await store.load_card(pool, book_id=book_id, slot=slot, card_id=card_id) is None:
        return missing("card")
    accounts = {
        account.kind: account for account in await store.load_pockets(pool, book_id=book_id, slot=slot, card_id=card_id)
    }
    return [(pocket, accounts[pocket.account_kind]) for pocket in Pocket if pocket.account_kind in accounts]


def _cut(rows: Sequence[Row], search: Search) -> Page[Row]:
    has_more = len(rows) > search.limit
    return cut_page(rows, limit=search.limit, last_id=rows[search.limit - 1].id if has_more else None)
