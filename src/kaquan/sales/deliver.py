"""Deliver a paid purchase: each card becomes active and is loaded with its face value, once, whoever tries it.

A card is activated, then loaded under a key that follows from the purchase and the card, then marked. Whoever is
stopped in between leaves what another goes on with: an active card is as activated as it was, and a load under its key
is answered with the load that there is. What was paid becomes principal, what was given becomes bonus, and both lots
remember the two, which the law of refunds asks for.
"""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from msgspec.structs import replace

from kaquan.cards import Hand, activate_card, mark_sold
from kaquan.kit.db import Connection, Pool
from kaquan.kit.ids import show_id
from kaquan.kit.outcomes import BUSY, OUTCOMES, Refusal
from kaquan.ledger import Answer, RequestKey, hash_key, hash_request
from kaquan.parties.trail import SYSTEM, Actor
from kaquan.payments import Desk, Load, PaymentKind, PaymentSearch, Receipt, Request, list_payments
from kaquan.sales import store
from kaquan.sales.create import MAX_PLANS
from kaquan.sales.outcomes import SALE_STATUS_FORBIDS, missing
from kaquan.sales.register import end_action, prefix_of
from kaquan.sales.types import Item, ItemStatus, Sale, SaleKind, SaleStatus

CHUNK_CARDS = 100
"""Cards that are under way at once; what waits at the database is the desk's to batch."""

PAUSE_S = 0.02
"""How long it waits for others that are at the same cards, a little longer each time."""

KEYS_LIVE = timedelta(hours=12)
"""No installation forgets the key of a load sooner; later a load is looked for before it is made."""

MAX_WAITING = 1_000
"""Purchases that one run of the worker looks at."""


class _Told(msgspec.Struct, frozen=True):
    """What the desk answered to a load: kept under its key, so that a second try learns of the first."""

    load_id: str | None = None
    code: str | None = None


async def deliver_sale(
    pool: Pool,
    desk: Desk,
    hand: Hand,
    *,
    slots: tuple[int, ...],
    book_id: int,
    sale_id: UUID,
    by: Actor = SYSTEM,
    retry: bool = False,
) -> Sale | Refusal:
    """Deliver what is not delivered of a paid purchase, with ``retry`` also what could not be before; the purchase
    after it, which stays paid while a card lacks. One that is delivered stays as it is.

    Refused: ``not_found``, ``sale_status_forbids`` for one that is not paid or has ended, ``busy``.
    """
    sale = await store.load_sale(pool, book_id=book_id, id_=sale_id)
    if sale is None:
        return missing("sale")
    if sale.status is SaleStatus.DELIVERED:
        return sale
    if sale.status is not SaleStatus.PAID:
        return SALE_STATUS_FORBIDS.refuse("id", status=sale.status.value)
    if retry and sale.kind is SaleKind.SALE:
        await store.retry_items(pool, sale, slots)
    fruitless = 0
    while items := await store.load_items(pool, sale, slots, statuses=[ItemStatus.RESERVED], limit=CHUNK_CARDS):
        if any(await asyncio.gather(*(deliver_item(pool, desk, hand, slots, sale, item) for item in items))):
            fruitless = 0
            continue
        fruitless += 1
        if fruitless == MAX_PLANS:
            return BUSY.refuse()  # the worker comes again
        await asyncio.sleep(PAUSE_S * fruitless)  # another deliverer is at these very cards
    return await finish_sale(pool, hand, slots, sale, by=by)


async def finish_sale(pool: Pool, hand: Hand, slots: tuple[int, ...], sale: Sale, *, by: Actor) -> Sale | Refusal:
    """Mark a purchase delivered when every card of it is, a top-up cancelled when its card cannot be loaded; the
    purchase as it is now."""
    for _ in range(MAX_PLANS):
        counts = await store.count_items(pool, sale, slots)
        found = await store.load_sale(pool, book_id=sale.book_id, id_=sale.id)
        assert found is not None, "purchases are never removed"
        if found.status is not SaleStatus.PAID:
            return found
        at = hand.clock.now()
        if counts.get(ItemStatus.DELIVERED, 0) == found.card_count:
            after = replace(found, status=SaleStatus.DELIVERED, delivered_at=at, version=found.version + 1)
        elif found.kind is SaleKind.TOP_UP and counts.get(ItemStatus.FAILED):
            (item,) = await store.load_items(pool, found, slots, limit=1)
            after = replace(
                found, status=SaleStatus.CANCELLED, ended_at=at, end_reason=item.failure, version=found.version + 1
            )
        else:
            return found
        action = end_action(hand, found, after, by)
        posted = await store.post_together(pool, store.change_sale(found, after), store.add_action(action))
        if posted is store.Posted.DONE:
            return after
    return BUSY.refuse()


async def deliver_item(pool: Pool, desk: Desk, hand: Hand, slots: tuple[int, ...], sale: Sale, item: Item) -> bool:
    """One card: activate, load, mark. False when it can be tried again at once and nothing is decided."""
    if sale.kind is SaleKind.SALE:
        active = await activate_card(
            pool, hand, book_id=sale.book_id, slots=slots, card_id=item.card_id, sale_id=sale.id
        )
        if isinstance(active, Refusal):
            return await _fail(pool, item, active.code)
    told = await _load_of_before(pool, slots, sale, item, now=hand.clock.now()) or await load_item(desk, sale, item)
    if told.load_id is None:
        return await _fail(pool, item, told.code or BUSY.code)
    load_id = UUID(hex=told.load_id)
    await store.mark_delivered(pool, item, load_id=load_id, at=hand.clock.now(), first=_sold(hand, slots, item))
    return True


def _sold(hand: Hand, slots: tuple[int, ...], item: Item) -> store.Write:
    async def write(connection: Connection) -> bool:
        await mark_sold(connection, hand, book_id=item.book_id, slots=slots, card_id=item.card_id, sale_id=item.sale_id)
        return True

    return write


async def find_load(pool: Pool, slots: tuple[int, ...], sale: Sale, item: Item) -> UUID | None:
    """The load that a card of a purchase became, marked or not."""
    if item.load_id is not None:
        return item.load_id
    search = PaymentSearch(card_id=item.card_id, reference=show_id(prefix_of(sale), sale.id))
    page = await list_payments(pool, book_id=sale.book_id, slots=slots, kind=PaymentKind.LOAD, search=search)
    return page.data[0].id if page.data else None


async def _load_of_before(pool: Pool, slots: tuple[int, ...], sale: Sale, item: Item, *, now: datetime) -> _Told | None:
    """The load that was made long ago and never marked: its key may be forgotten by now, the payment never is."""
    if sale.paid_at is None or now - sale.paid_at < KEYS_LIVE:
        return None
    load_id = await find_load(pool, slots, sale, item)
    return None if load_id is None else _Told(load_id=load_id.hex)


async def _fail(pool: Pool, item: Item, code: str) -> bool:
    if OUTCOMES[code].retryable:
        return False
    await store.mark_failed(pool, item, failure=code)
    return True


async def load_item(desk: Desk, sale: Sale, item: Item) -> _Told:
    """Load a card with what was bought, once for each try of the purchase: a retry is told of the first load."""
    command = Load(
        item.card_id,
        item.price_fen,
        item.bonus_fen,
        reference=show_id(prefix_of(sale), sale.id),
        sale_id=sale.id,
        fee_fen=item.fee_fen,
        # what else came onto the card since the purchase was judged counts
        cap_fen=sale.lines[item.line].cap_fen,
    )
    # no client can name such a key: theirs have no spaces
    name = f"{prefix_of(sale)} {sale.id.hex} {item.card_id.hex} {item.tries}"
    key = RequestKey(name, hash_key(sale.book_id, name), hash_request("LOAD", name, b""))
    answer = await desk.submit(Request(sale.book_id, command, key, _render))
    return msgspec.json.decode(answer.body, type=_Told)


def _render(result: Receipt | Refusal) -> Answer:
    if isinstance(result, Refusal):
        return Answer(result.outcome.http_status, msgspec.json.encode(_Told(code=result.code)))
    return Answer(201, msgspec.json.encode(_Told(load_id=result.payment.id.hex)))


async def deliver_sales(pool: Pool, desk: Desk, hand: Hand, *, slots: tuple[int, ...]) -> int:
    """Deliver every paid purchase, of any book, those paid first at first; how many are delivered now. For the worker.

    What could not be delivered before waits for somebody to ask.
    """
    done = 0
    for book_id, sale_id in await store.load_undelivered(pool, slots=slots, limit=MAX_WAITING):
        result = await deliver_sale(pool, desk, hand, slots=slots, book_id=book_id, sale_id=sale_id)
        done += isinstance(result, Sale) and result.status is SaleStatus.DELIVERED
    return done
