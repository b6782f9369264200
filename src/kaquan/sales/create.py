"""Make a sale: judge it, and set its cards aside until it is paid. Nothing is active and nothing holds value yet."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from kaquan.cards import (
    Batch,
    Card,
    CardForm,
    CardStatus,
    Hand,
    Press,
    Programme,
    check_face_value,
    check_going_on,
    get_batch,
    get_card,
    get_cards,
    issue_cards,
    programme_of,
    set_aside,
)
from kaquan.cards.outcomes import FACE_VALUE_NOT_ALLOWED, FEE_NOT_AGREED
from kaquan.kit.clock import Clock
from kaquan.kit.db import Connection, Pool
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.kit.outcomes import BUSY, Refusal
from kaquan.ledger import RequestKey, slot_of
from kaquan.parties import Issuer
from kaquan.parties.trail import Actor, new_action
from kaquan.sales import store
from kaquan.sales.check import SaleCheck, check_sale, first_of, unregistered_fen
from kaquan.sales.facts import Day, People, facts_of, load_day, load_issuer, load_people, programme_named
from kaquan.sales.law import keep_until, line_facts
from kaquan.sales.outcomes import (
    CARD_NOT_FOR_SALE,
    IDEMPOTENCY_KEY_REUSED,
    NOT_ENOUGH_CARDS,
    SALE_STATUS_FORBIDS,
    invalid,
    missing,
)
from kaquan.sales.register import prefix_of, seal_purchaser
from kaquan.sales.screen import screen
from kaquan.sales.types import (
    MAX_LINES,
    MAX_SALE_CARDS,
    Item,
    ItemStatus,
    Line,
    LineFacts,
    NewLine,
    NewSale,
    Review,
    RulesOf,
    Sale,
    SaleFacts,
    SaleKind,
    SaleStatus,
    Terms,
)
from kaquan.vault import Keyring

MAX_PLANS = 8
"""A purchase that was judged on facts that have changed since is judged again so many times."""


class _Chosen(NamedTuple):
    """Cards of one line with the terms that they were issued under: of the newest where they are still to be made."""

    line: NewLine
    programme: Programme
    cards: list[UUID]


def actor_name(by: Actor) -> str:
    """How a purchase names who made it."""
    return "system" if by.key_id is None else show_id(Prefix.KEY, by.key_id)


async def made_under(pool: Pool, *, book_id: int, key: RequestKey) -> Sale | Refusal | None:
    """The purchase that a request made under its key, if it did. Refused: ``idempotency_key_reused``."""
    found = await store.load_sale(pool, book_id=book_id, key_hash=key.key_hash)
    if found is not None and found.request_hash != key.request_hash:
        return IDEMPOTENCY_KEY_REUSED.refuse("Idempotency-Key")
    return found


async def create_sale(
    pool: Pool,
    press: Press,
    clock: Clock,
    ids: Ids,
    keyring: Keyring,
    rules_of: RulesOf,
    *,
    book_id: int,
    new: NewSale,
    by: Actor,
    key: RequestKey,
) -> Sale | Refusal:
    """A new sale, open: its cards are set aside. Under the same ``key`` it is one sale.

    Every reason of the rules why it may not be is in the refusal. Purchases that one buyer makes at one moment are
    judged one after the other.
    Refused: ``not_found``, ``invalid_field``, ``programme_stopped``, ``face_value_not_allowed``, ``fee_not_agreed``,
    ``card_not_for_sale``, ``not_enough_cards``, ``number_space_too_small``, ``buyer_listed``,
    ``buyer_list_unreadable``, what :func:`kaquan.sales.check.check_sale` refuses, ``busy``.
    """
    first = await made_under(pool, book_id=book_id, key=key)
    if first is not None:
        return first
    if (refused := check_lines(new.lines)) is not None:
        return refused
    made: dict[int, list[UUID]] | None = None
    for _ in range(MAX_PLANS):
        people = await load_people(pool, keyring, book_id=book_id, terms=new)
        if isinstance(people, Refusal):
            return people
        at = clock.now()
        chosen = await _choose(pool, press.slots, book_id=book_id, lines=new.lines, at=at)
        if isinstance(chosen, Refusal):
            return chosen
        issuer = await load_issuer(pool, book_id=book_id, programme=chosen[0].programme)
        day = await load_day(pool, book_id=book_id, terms=new, issuer=issuer, at=at)
        facts = facts_of(SaleKind.SALE, new, issuer, tuple(_lines_of(issuer, chosen)), people, day.facts, at=at)
        rules = rules_of(book_id, issuer.id)
        check = check_sale(rules, facts)
        if (refused := first_of(check.refusals)) is not None:
            return refused
        review = await screen(pool, keyring, book_id=book_id, people=people)
        if isinstance(review, Refusal):
            return review
        if made is None:
            cards = await _make_cards(pool, press, clock, chosen)
            if isinstance(cards, Refusal):
                return cards
            made = cards
        items_of = [
            (position, one.line, card_id)
            for position, one in enumerate(chosen)
            for card_id in (one.cards or made[position])
        ]
        sale = new_sale(
            SaleKind.SALE, new, issuer, chosen[0].programme, facts, check, people, keyring,
            id_=ids.new(), lines=[_line(one) for one in chosen], keep=keep_until(rules, facts, at=at), by=by, key=key,
            at=at, book_id=book_id, expires_at=at + timedelta(seconds=new.expires_in_s),
            review=review,
        )  # fmt: skip
        items = [
            new_item(sale, card_id, slot=slot_of(card_id, press.slots), line=position, of=line)
            for position, line, card_id in items_of
        ]
        done = await post_purchase(
            pool,
            clock,
            ids,
            sale,
            items,
            day,
            by=by,
            first=[_set_aside(Hand(clock, ids, sale.made_by), press, sale, items)],
        )
        if isinstance(done, Sale | Refusal):
            return done
    return BUSY.refuse()


async def post_purchase(
    pool: Pool, clock: Clock, ids: Ids, sale: Sale, items: Sequence[Item], day: Day, *, by: Actor,
    first: Sequence[store.Write] = (), also: Sequence[store.Write] = (),
) -> Sale | Refusal | None:  # fmt: skip
    """Write a purchase with its cards and the line of the trail; None when it must be judged again."""
    guards = []
    if sale.customer_id is not None:
        guards.append(store.guard_buyer(book_id=sale.book_id, customer_id=sale.customer_id, version=day.version))
    action = new_action(
        clock,
        ids,
        book_id=sale.book_id,
        by=by,
        kind=f"{sale.kind}.created",
        prefix=prefix_of(sale),
        subject_id=sale.id,
        after=summary_of(sale),
    )
    posted = await store.post_together(
        pool, *guards, *first, *store.add_sale(sale, items), *also, store.add_action(action)
    )
    if posted is store.Posted.DONE:
        return sale
    if posted is store.Posted.STALE:
        return None
    key = RequestKey("", sale.key_hash, sale.request_hash)
    return await made_under(pool, book_id=sale.book_id, key=key)


def _set_aside(hand: Hand, press: Press, sale: Sale, items: Sequence[Item]) -> store.Write:
    """Stale when one of the cards is not for sale any more."""

    async def write(connection: Connection) -> bool:
        cards = [item.card_id for item in items]
        return await set_aside(
            connection, hand, book_id=sale.book_id, slots=press.slots, card_ids=cards, sale_id=sale.id
        )

    return write


def summary_of(sale: Sale) -> dict[str, object]:
    """What the trail tells of a purchase: nothing personal."""
    return {
        "status": sale.status.value,
        "buyer": sale.buyer.value,
        "channel": sale.channel.value,
        "card_count": sale.card_count,
        "face_fen": sale.face_fen,
        "price_fen": sale.price_fen,
        "fee_fen": sale.fee_fen,
        "paid_fen": sale.paid_fen,
        "real_name_rule": sale.real_name_rule,
        "alerts": list(sale.alerts),
    }


def new_sale(
    kind: SaleKind,
    terms: Terms,
    issuer: Issuer,
    programme: Programme,
    facts: SaleFacts,
    check: SaleCheck,
    people: People,
    keyring: Keyring,
    *,
    book_id: int,
    id_: UUID,
    lines: Sequence[Line],
    keep: datetime | None,
    by: Actor,
    key: RequestKey,
    at: datetime,
    status: SaleStatus = SaleStatus.OPEN,
    paid_fen: int = 0,
    expires_at: datetime | None = None,
    review: Review | None = None,
) -> Sale:
    """A purchase as it is written down. Who buys is sealed into it where a rule asks for their name."""
    asked = check.real_name is not None
    return Sale(
        book_id=book_id,
        id=id_,
        kind=kind,
        status=status,
        issuer_id=issuer.id,
        currency=programme.currency,
        channel=terms.channel,
        buyer=terms.buyer,
        customer_id=terms.customer_id,
        agent_id=terms.agent_id,
        contract_version=terms.contract_version,
        reference=terms.reference,
        lines=tuple(lines),
        card_count=sum(line.card_count for line in lines),
        face_fen=sum(line.face_fen * line.card_count for line in lines),
        price_fen=sum(line.price_fen * line.card_count for line in lines),
        unregistered_fen=unregistered_fen(facts),
        paid_fen=paid_fen,
        real_name_rule=None if check.real_name is None else check.real_name.rule_id,
        alerts=tuple(rule.id for rule in check.alerts),
        purchaser_sealed=seal_purchaser(keyring, id_, buyer=people.buyer, agent=people.agent) if asked else None,
        keep_until=keep,
        erased_at=None,
        made_by=actor_name(by),
        created_at=at,
        paid_at=at if status is SaleStatus.PAID else None,
        delivered_at=None,
        ended_at=None,
        end_reason=None,
        key_hash=key.key_hash,
        request_hash=key.request_hash,
        end_key_hash=None,
        version=0,
        expires_at=expires_at,
        fee_fen=sum(line.fee_fen * line.card_count for line in lines),
        review=review,
    )


def new_item(sale: Sale, card_id: UUID, *, slot: int, line: int, of: NewLine | Line) -> Item:
    """A card of a purchase, set aside."""
    return Item(
        slot, card_id, sale.id, sale.book_id, sale.kind, line, of.face_fen, of.price_fen, ItemStatus.RESERVED, 0, None,
        None, None, None, of.fee_fen,
    )  # fmt: skip


# --- lines


def check_lines(lines: Sequence[NewLine]) -> Refusal | None:
    """The first thing that is wrong with the lines by themselves, as ``invalid_field``; None when nothing is."""
    if not 0 < len(lines) <= MAX_LINES:
        return invalid("lines", f"must be 1 to {MAX_LINES}", allowed_zh=f"应为 1 至 {MAX_LINES} 行")
    named: set[UUID] = set()
    for position, line in enumerate(lines):
        field = f"lines[{position}]"
        if bool(line.card_ids) == (line.card_count is not None) or (line.card_ids and line.batch_id is not None):
            return invalid(
                f"{field}.card_ids",
                "give either card_ids, or card_count with or without batch_id",
                allowed_zh="须且只能提供 card_ids，或 card_count（可带 batch_id）",
            )
        if line.card_count is not None and line.card_count < 1:
            return invalid(f"{field}.card_count", "must be at least 1", allowed_zh="应不少于 1")
        if not 0 < line.price_fen <= line.face_fen:
            return invalid(
                f"{field}.price_fen",
                f"must be from 1 to the face value, {line.face_fen}",
                allowed_zh=f"应为 1 至面额 {line.face_fen}",
            )
        if len(named.union(line.card_ids)) < len(named) + len(line.card_ids):
            return invalid(f"{field}.card_ids", "must name no card twice", allowed_zh="同一张卡不得重复")
        named.update(line.card_ids)
    if sum(line.card_count or len(line.card_ids) for line in lines) > MAX_SALE_CARDS:
        return invalid(
            "lines", f"must be {MAX_SALE_CARDS} cards at the most", allowed_zh=f"合计不超过 {MAX_SALE_CARDS} 张卡"
        )
    return None


async def _choose(
    pool: Pool, slots: tuple[int, ...], *, book_id: int, lines: Sequence[NewLine], at: datetime
) -> list[_Chosen] | Refusal:
    chosen: list[_Chosen] = []
    taken: set[UUID] = set()
    for position, line in enumerate(lines):
        field = f"lines[{position}]"
        programme = await programme_named(
            pool, book_id=book_id, programme_id=line.programme_id, field=f"{field}.programme_id"
        )
        if isinstance(programme, Refusal):
            return programme
        if (refused := check_going_on(programme, at, field=f"{field}.programme_id")) is not None:
            return refused
        if chosen and (programme.issuer_id, programme.currency) != (
            chosen[0].programme.issuer_id,
            chosen[0].programme.currency,
        ):
            return invalid(
                f"{field}.programme_id",
                "must be of the issuer and in the currency of the first line",
                allowed_zh="应与首行同一发卡方、同一币种",
            )
        one = await _choose_cards(pool, slots, line, programme, field=field, taken=taken)
        if isinstance(one, Refusal):
            return one
        taken.update(one.cards)
        chosen.append(one)
    return chosen


async def _choose_cards(
    pool: Pool, slots: tuple[int, ...], line: NewLine, programme: Programme, *, field: str, taken: set[UUID]
) -> _Chosen | Refusal:
    """The cards of a line. Those that are made already keep the terms that they were made under."""
    book_id = programme.book_id
    if line.card_ids:
        return await _choose_named(pool, slots, line, programme, field=field)
    assert line.card_count is not None
    cards: list[UUID] = []
    if line.batch_id is not None:
        batch = await get_batch(pool, book_id=book_id, batch_id=line.batch_id)
        if isinstance(batch, Refusal) or batch.programme_id != programme.id:
            return missing("batch", f"{field}.batch_id")
        if batch.finished_at is None:
            return SALE_STATUS_FORBIDS.refuse(f"{field}.batch_id", status="unfinished")
        if (refused := _check_made_for(batch, line, field=field)) is not None:
            return refused
        wanted = line.card_count + len(taken)
        free = await store.load_cards_for_sale(pool, book_id=book_id, slots=slots, batch_id=batch.id, limit=wanted)
        cards = [card_id for card_id in free if card_id not in taken][: line.card_count]
        if len(cards) < line.card_count:
            return NOT_ENOUGH_CARDS.refuse(f"{field}.card_count", left=len(cards), wanted=line.card_count)
        card = await get_card(pool, book_id=book_id, slots=slots, card_id=cards[0])
        assert not isinstance(card, Refusal)
        programme = await programme_of(pool, card)
    if (refused := _check_terms(programme, line, field=field)) is not None:
        return refused
    return _Chosen(line, programme, cards)


def _check_made_for(batch: Batch, line: NewLine, *, field: str) -> Refusal | None:
    """Whether cards of this batch were made for the face of a line. Refused: ``face_value_not_allowed``."""
    if batch.face_fen in (None, line.face_fen):
        return None
    return FACE_VALUE_NOT_ALLOWED.refuse(f"{field}.face_fen", face_fen=line.face_fen, allowed=str(batch.face_fen))


def _check_terms(programme: Programme, line: NewLine, *, field: str) -> Refusal | None:
    """Whether cards of these terms are sold with this face, for the fee that was agreed to.

    Refused: ``face_value_not_allowed``, ``fee_not_agreed``.
    """
    if (refused := check_face_value(programme, line.face_fen)) is not None:
        return refused.outcome.refuse(f"{field}.face_fen", **refused.details)
    fee_fen = programme.fees.issue_fen
    return None if line.fee_fen == fee_fen else FEE_NOT_AGREED.refuse(f"{field}.fee_fen", fee_fen=fee_fen)


async def _choose_named(
    pool: Pool, slots: tuple[int, ...], line: NewLine, programme: Programme, *, field: str
) -> _Chosen | Refusal:
    cards = await get_cards(pool, book_id=programme.book_id, slots=slots, card_ids=line.card_ids)
    terms: dict[int, Programme] = {}
    batches: set[UUID] = set()
    for position, card_id in enumerate(line.card_ids):
        where = f"{field}.card_ids[{position}]"
        card = cards.get(card_id)
        if card is None:
            return missing("card", where)
        why = _not_for_sale(card, programme)
        if why is not None:
            en, zh = why
            return CARD_NOT_FOR_SALE.refuse(where, card_id=show_id(Prefix.CARD, card_id), why=en, why_zh=zh)
        if card.batch_id is not None and card.batch_id not in batches:
            batches.add(card.batch_id)
            batch = await get_batch(pool, book_id=programme.book_id, batch_id=card.batch_id)
            assert not isinstance(batch, Refusal), "batches are never removed"
            if (refused := _check_made_for(batch, line, field=field)) is not None:
                return refused
        if card.terms_version not in terms:
            terms[card.terms_version] = await programme_of(pool, card)
            refused = _check_terms(terms[card.terms_version], line, field=field)
            if refused is not None:
                return refused
    # the strictest of the classes that its terms name: a card registered by its terms makes the line registered
    strictest = max(terms.values(), key=lambda one: (one.card_class is not None, one.card_class == "registered"))
    return _Chosen(line, strictest, list(line.card_ids))


def _not_for_sale(card: Card, programme: Programme) -> tuple[str, str] | None:
    if card.programme_id != programme.id:
        return "it is of another programme", "不属于该卡种"
    if card.sale_id is not None:
        return "it is in another sale", "已在其他售卡单中"
    if card.status is not CardStatus.ISSUED:
        return f"it is {card.status}", f"当前状态为 {card.status}"
    if card.customer_id is not None:
        return "it is somebody's already", "已登记持卡人"
    if card.loss_reported_at is not None:
        return "it was reported lost", "已申请挂失"
    return None


def _count(one: _Chosen) -> int:
    return one.line.card_count or len(one.cards)


def _lines_of(issuer: Issuer, chosen: Sequence[_Chosen]) -> list[LineFacts]:
    return [
        line_facts(
            issuer, one.programme, card_count=_count(one), face_fen=one.line.face_fen, price_fen=one.line.price_fen
        )
        for one in chosen
    ]


def _line(one: _Chosen) -> Line:
    return Line(
        programme_id=one.line.programme_id,
        batch_id=one.line.batch_id,
        card_count=_count(one),
        face_fen=one.line.face_fen,
        price_fen=one.line.price_fen,
        fee_fen=one.line.fee_fen,
    )


async def _make_cards(
    pool: Pool, press: Press, clock: Clock, chosen: Sequence[_Chosen]
) -> dict[int, list[UUID]] | Refusal:
    """Digital cards for the lines that name none; if the sale comes to nothing after all, they stay unsold."""
    made: dict[int, list[UUID]] = {}
    for position, one in enumerate(chosen):
        if one.cards:
            continue
        cards = await issue_cards(
            pool, press, clock, programme=one.programme, form=CardForm.DIGITAL, card_count=_count(one)
        )
        if isinstance(cards, Refusal):
            return cards.outcome.refuse(f"lines[{position}].programme_id", **cards.details)
        made[position] = [card.id for card in cards]
    return made
