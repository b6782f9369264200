"""Hold who buys against the lists in force, and let a sale go on that somebody has looked at."""

from typing import NamedTuple
from uuid import UUID

from msgspec.structs import replace

from kaquan.cards import Hand, Permission
from kaquan.kit.db import Pool
from kaquan.kit.outcomes import BUSY, Refusal
from kaquan.parties.customers import Known
from kaquan.parties.staff import Approve
from kaquan.parties.trail import Actor
from kaquan.sales import store
from kaquan.sales.buyer_lists import PURPOSE, bare_document, bare_name, text_of
from kaquan.sales.facts import People
from kaquan.sales.outcomes import BUYER_LIST_UNREADABLE, BUYER_LISTED, SALE_NOT_IN_REVIEW, missing
from kaquan.sales.register import end_action
from kaquan.sales.types import BuyerList, BuyerListAction, BuyerListStatus, Review, Sale, SaleKind, SaleStatus
from kaquan.vault import Keyring


class _Hit(NamedTuple):
    field: str
    list: BuyerList


async def screen(pool: Pool, keyring: Keyring, *, book_id: int, people: People) -> Review | Refusal | None:
    """Whether somebody must look at a purchase of these people before it is paid; None: nobody is on a list.

    A document's number on a list is a hit; a name is one where the line or the person has no document to tell namesakes
    apart by. Refused: ``buyer_listed``, ``buyer_list_unreadable``.
    """
    active = await store.load_lists(pool, book_id=book_id, status=BuyerListStatus.ACTIVE)
    lists = {one.id: one for one in active}
    if not lists:
        return None
    for one in lists.values():
        if one.key_id not in keyring.lookup_ids:
            return BUYER_LIST_UNREADABLE.refuse("customer_id", list=one.name)
    hits = [
        _Hit(field, lists[list_id])
        for field, known in (("customer_id", people.buyer), ("agent_id", people.agent))
        if known is not None
        for list_id in await _hits(pool, keyring, book_id, known)
        if list_id in lists
    ]
    for hit in hits:
        if hit.list.action is BuyerListAction.REFUSE:
            return BUYER_LISTED.refuse(hit.field, list=hit.list.name, listed_by=hit.list.source)
    return Review.PENDING if hits else None


async def _hits(pool: Pool, keyring: Keyring, book_id: int, known: Known) -> set[UUID]:
    document = known.personal.document

    def lookups(field: str, value: str | None) -> list[UUID]:
        if not value:
            return []
        return [lookup for _, lookup in keyring.lookups(text_of(book_id, field, value), PURPOSE)]

    return await store.load_hits(
        pool,
        book_id=book_id,
        names=lookups("name", bare_name(known.personal.name or "")),
        documents=lookups("document", None if document is None else bare_document(document.number)),
    )


async def clear_sale(
    pool: Pool, hand: Hand, *, book_id: int, sale_id: UUID, approve: Approve, by: Actor
) -> Sale | Refusal:
    """Let a sale go on whose buyer was looked at by two. Refused: ``not_found``, ``sale_not_in_review``, what
    ``approve`` refuses, ``busy``."""
    sale = await store.load_sale(pool, book_id=book_id, id_=sale_id)
    if sale is None or sale.kind is not SaleKind.SALE:
        return missing("sale")
    if sale.review is not Review.PENDING or sale.status is not SaleStatus.OPEN:
        return SALE_NOT_IN_REVIEW.refuse("id")
    after = replace(sale, review=Review.CLEARED, version=sale.version + 1)
    permission = Permission(approve)
    done = await store.post_together(
        pool, permission.claim, store.change_sale(sale, after), store.add_action(end_action(hand, sale, after, by))
    )
    if done is store.Posted.DONE:
        return after
    return BUSY.refuse() if permission.refused is None else permission.refused
