"""The list of refunds of a programme that ends: what each card holds, what is due for it, and how far its refund is."""

from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import date
from uuid import UUID

from kaquan.cards import Card, CardStatus, Pocket, get_cards, get_programme
from kaquan.cards.ending import ProgrammeEnd, get_end
from kaquan.closing.close import quote_holding
from kaquan.closing.days import day_of
from kaquan.closing.ending import store
from kaquan.closing.ending.types import Liability, RefundLine, RefundSearch, RefundState, Settled, Which
from kaquan.closing.law import RulesAt, programme_rules
from kaquan.closing.refund_rules import Cause
from kaquan.closing.store import load_holdings
from kaquan.closing.types import Holding, PayoutStatus, RefundAsk
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.outcomes import Refusal
from kaquan.kit.paging import Page, cut_page
from kaquan.parties.customers import Customer, get_customers
from kaquan.policy import Policy
from kaquan.vault import Keyring

EXPORT_CHUNK = 500


def ask_of(last_day: date, *, today: date) -> RefundAsk:
    """What a card of a programme that ends is refunded for: its issuer's cause, with interest from the last day on."""
    return RefundAsk(cause=Cause.PROGRAMME_END, ended_on=last_day if last_day < today else None)


def plan_line(
    holding: Holding, settled: Settled, customer: Customer | None, rules_at: RulesAt, end: ProgrammeEnd, *, today: date
) -> RefundLine:
    """A card on the list. Pure: the amount is the one that closing it today would refund."""
    card = holding.card
    lots = holding.lots
    paid_fen = sum(lot.remaining_fen + lot.swept_fen for lot in lots if lot.pocket is not Pocket.BONUS)
    given_fen = sum(lot.remaining_fen + lot.swept_fen for lot in lots if lot.pocket is Pocket.BONUS)
    due_fen, interest_fen, problem = settled.closed_fen, settled.closed_interest_fen or 0, settled.failure
    if card.status is not CardStatus.CLOSED:
        quote = quote_holding(holding, rules_at(holding, today), ask_of(end.last_day, today=today), today=today)
        if isinstance(quote, Refusal):
            due_fen, problem = None, problem or quote.code
        else:
            due_fen, interest_fen = quote.amount_fen, quote.interest_fen
    return RefundLine(
        card_id=card.id,
        number_last4=card.number_last4,
        status=card.status,
        customer_id=card.customer_id,
        name_masked=None if customer is None else customer.name_masked,
        phone_masked=None if customer is None else customer.phone_masked,
        paid_fen=paid_fen,
        given_fen=given_fen,
        due_fen=due_fen,
        interest_fen=interest_fen,
        state=_state(card, settled, held_fen=paid_fen + given_fen),
        problem=problem,
        account_last4=settled.account_last4,
        payout_id=settled.payout_id,
    )


def _state(card: Card, settled: Settled, *, held_fen: int) -> RefundState:
    if card.status is CardStatus.CLOSED:
        return RefundState.PAID if settled.payout_status is PayoutStatus.PAID else RefundState.CLOSED
    if held_fen == 0:
        return RefundState.NOTHING
    if settled.failure is not None:
        return RefundState.REFUSED
    return RefundState.OPEN if settled.account_last4 is None else RefundState.PAYEE_KNOWN


async def list_refunds(
    pool: Pool,
    keyring: Keyring,
    clock: Clock,
    policy: Policy,
    *,
    book_id: int,
    slots: tuple[int, ...],
    end_id: UUID,
    search: RefundSearch,
) -> Page[RefundLine] | Refusal:
    """The list of refunds, newest cards first. Refused: ``not_found``."""
    end = await get_end(pool, book_id=book_id, end_id=end_id)
    if isinstance(end, Refusal):
        return end
    return await _page(pool, keyring, clock, policy, end, slots=slots, search=search)


async def each_refund(
    pool: Pool,
    keyring: Keyring,
    clock: Clock,
    policy: Policy,
    end: ProgrammeEnd,
    *,
    slots: tuple[int, ...],
    which: Which = Which.ALL,
) -> AsyncIterator[RefundLine]:
    """The whole list, a chunk at a time: for a file."""
    after: UUID | None = None
    while True:
        search = RefundSearch(limit=EXPORT_CHUNK, after_id=after, which=which)
        page = await _page(pool, keyring, clock, policy, end, slots=slots, search=search)
        for line in page.data:
            yield line
        if page.next_cursor is None:
            return
        after = page.data[-1].card_id


async def _page(
    pool: Pool,
    keyring: Keyring,
    clock: Clock,
    policy: Policy,
    end: ProgrammeEnd,
    *,
    slots: tuple[int, ...],
    search: RefundSearch,
) -> Page[RefundLine]:
    programme = await get_programme(pool, book_id=end.book_id, programme_id=end.programme_id)
    assert not isinstance(programme, Refusal), "programmes are never removed"
    rules_at = await programme_rules(pool, policy, programme)
    today = day_of(clock.now(), programme.time_zone)
    ids = await store.load_card_ids(pool, end, slots=slots, search=search)
    shown = ids[: search.limit]
    found = await get_cards(pool, book_id=end.book_id, slots=slots, card_ids=shown)
    people = {card.customer_id for card in found.values() if card.customer_id is not None}
    customers = await get_customers(pool, keyring, book_id=end.book_id, ids=sorted(people))
    by_slot: dict[int, list[Card]] = defaultdict(list)
    for card in found.values():
        by_slot[card.slot].append(card)
    lines: dict[UUID, RefundLine] = {}
    for slot, cards in by_slot.items():
        settled = await store.load_settled(pool, end, slot=slot, card_ids=[card.id for card in cards])
        for holding in await load_holdings(pool, cards, slots=slots, slot=slot, programme=programme):
            card = holding.card
            customer = None if card.customer_id is None else customers.get(card.customer_id)
            lines[card.id] = plan_line(holding, settled[card.id], customer, rules_at, end, today=today)
    rows = [lines[card_id] for card_id in shown]
    # one row more than asked tells that there is a next page
    return cut_page(
        [*rows, *rows[:1]] if len(ids) > search.limit else rows,
        limit=search.limit,
        last_id=(shown[-1] if len(ids) > search.limit else None),
    )


async def get_liability(pool: Pool, *, book_id: int, slots: tuple[int, ...], end_id: UUID) -> Liability | Refusal:
    """What a programme that ends still owes its holders, and what was refunded since it was announced.

    Refused: ``not_found``.
    """
    end = await get_end(pool, book_id=book_id, end_id=end_id)
    if isinstance(end, Refusal):
        return end
    programme = await get_programme(pool, book_id=book_id, programme_id=end.programme_id)
    assert not isinstance(programme, Refusal), "programmes are never removed"
    return await store.load_liability(pool, end, slots=slots, currency=programme.currency)
