"""Say where the cards of a programme are taken."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from msgspec.structs import replace

from kaquan.cards import store
from kaquan.cards.create_programme import day_of
from kaquan.cards.law import check_merchants
from kaquan.cards.outcomes import STORE_OF_ANOTHER_MERCHANT, missing
from kaquan.cards.types import Acceptance, Programme, Search
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.parties import get_issuer
from kaquan.parties.trail import SYSTEM, Action, Actor, new_action
from kaquan.policy import RuleBook, released_book


def check_places(
    add: Sequence[Acceptance], *, merchants: set[UUID], merchant_of_store: dict[UUID, UUID]
) -> Refusal | None:
    """The first place that cannot be accepted, by the merchants and stores that the book knows; or None."""
    for position, (merchant_id, store_id) in enumerate(add):
        if merchant_id not in merchants:
            return missing("merchant", f"add[{position}].merchant_id")
        if store_id is None:
            continue
        if store_id not in merchant_of_store:
            return missing("store", f"add[{position}].store_id")
        if merchant_of_store[store_id] != merchant_id:
            return STORE_OF_ANOTHER_MERCHANT.refuse(f"add[{position}].store_id")
    return None


async def change_acceptance(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    *,
    book_id: int,
    programme_id: UUID,
    add: Sequence[Acceptance] = (),
    remove: Sequence[Acceptance] = (),
    add_trades: Sequence[str] = (),
    remove_trades: Sequence[str] = (),
    rules: RuleBook | None = None,
    at: datetime | None = None,
    by: Actor = SYSTEM,
) -> Programme | Refusal:
    """Take the places and trades of ``remove…`` from a programme, then give it those of ``add…``; refused, none.

    A place that is there already, or not there to remove, is no refusal. A merchant as a whole, its single stores and
    its trade are independent: removing the whole leaves the stores that were added singly. A trade stands for every
    store of it whose merchant fits the programme's mode, also those that come later; merchants that do not fit now are
    a refusal, those that come later are passed over. ``rules`` are what binds the issuer (None: the law as it was
    released) on the day of ``at`` (None: the day from which the terms hold).
    Refused: ``not_found`` (id, or a merchant or store of ``add``), ``store_of_another_merchant``,
    ``merchant_outside_scheme``.
    """
    found = await store.load_programmes(pool, book_id, Search(), programme_id)
    if not found:
        return missing("programme")
    merchants, merchant_of_store = await store.load_known_places(pool, book_id, add)
    refused = check_places(add, merchants=merchants, merchant_of_store=merchant_of_store)
    if refused is not None:
        return refused
    outside = await find_outsiders(
        pool, found[0], {merchant_id for merchant_id, _ in add}, add_trades, rules=rules, at=at
    )
    for position, (merchant_id, _) in enumerate(add):
        if merchant_id in outside:
            return replace(outside[merchant_id], field=f"add[{position}].merchant_id")
    if outside:
        return replace(next(iter(outside.values())), field="add_trades")

    def tell(taken: store.Places, given: store.Places) -> Action:
        return new_action(
            clock,
            ids,
            book_id=book_id,
            by=by,
            kind="acceptance.changed",
            prefix=Prefix.PROGRAMME,
            subject_id=programme_id,
            before=_shown(taken),
            after=_shown(given),
        )

    await store.post_acceptance(
        pool,
        book_id=book_id,
        programme_id=programme_id,
        add=add,
        remove=remove,
        add_trades=add_trades,
        remove_trades=remove_trades,
        tell=tell,
    )
    (programme,) = await store.load_programmes(pool, book_id, Search(), programme_id)
    return programme


def _shown(places: store.Places) -> dict[str, list[str]] | None:
    """Merchants as a whole, single stores and trades, by their public ids and names; None for none of them."""
    merchants = [show_id(Prefix.MERCHANT, merchant_id) for merchant_id, store_id in places.accepts if store_id is None]
    stores = [show_id(Prefix.STORE, store_id) for _, store_id in places.accepts if store_id is not None]
    named = {"merchant_ids": merchants, "store_ids": stores, "trades": places.trades}
    return {name: sorted(some) for name, some in named.items() if some} or None


async def find_outsiders(
    pool: Pool,
    programme: Programme,
    merchants: Iterable[UUID],
    trades: Iterable[str],
    *,
    rules: RuleBook | None,
    at: datetime | None,
) -> dict[UUID, Refusal]:
    """Which of ``merchants``, and of those with a store of ``trades``, the mode of a programme keeps out, and why."""
    if programme.operating_mode is None:
        return {}
    issuer = await get_issuer(pool, book_id=programme.book_id, id_=programme.issuer_id)
    assert not isinstance(issuer, Refusal), "issuers are never removed"
    asked = await store.load_merchants(pool, programme.book_id, merchants=merchants, trades=trades)
    on = day_of(at or programme.effective_from or programme.created_at, programme.time_zone)
    return check_merchants(rules or released_book(), issuer, programme.operating_mode, asked, on=on)
