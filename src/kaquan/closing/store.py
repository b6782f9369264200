"""The tables ``closing_*``: the only file of this room that sees a cursor; see ``queries.sql``."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

import msgspec
from msgspec.structs import asdict

from kaquan.cards import Card, CardStatus, Pocket, Programme, get_card, get_programme, has_transfer
from kaquan.closing.refund_quote import RefundQuote
from kaquan.closing.refund_rules import Figure
from kaquan.closing.types import (
    Closed,
    DormantCard,
    EndingLot,
    ExpiredLot,
    Holding,
    LotHeld,
    Payout,
    PayoutMethod,
    PayoutSearch,
    PayoutStatus,
    PocketHeld,
    Released,
    Swept,
    Terms,
)
from kaquan.kit.db import Connection, Params, Pool, given, load_queries
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import (
    AccountSpec,
    Answer,
    Item,
    Posting,
    PostStatus,
    RequestKey,
    extend_lot,
    open_accounts,
    post_batch,
    slot_of,
)
from kaquan.notices import NewNotice, write_notices
from kaquan.parties.trail import Action, write_action
from kaquan.vault import SealedColumn, declare_sealed

_SQL = load_queries(__package__)

SEAL_PREFIX = b"closing payee "
"""Before the id in what a sealed payee is bound to, so that it opens as nothing else."""

declare_sealed(
    SealedColumn(
        "closing_payout",
        key=(("slot", "smallint"), ("id", "uuid")),
        column="payee_sealed",
        context="id",
        prefix=SEAL_PREFIX,
    )
)

_POCKETS = {pocket.account_kind: pocket for pocket in Pocket}


Write = Callable[[Connection], Awaitable[bool]]
"""One write of several that are one commit: whether it could be done."""


class _StaleError(Exception):
    """The facts of a decision do not hold any more: undoes its transaction."""


async def _rows(connection: Connection, query: str, params: Params) -> list[tuple[Any, ...]]:
    return await (await connection.execute(given(_SQL[query], params), params)).fetchall()


async def _read(pool: Pool, query: str, params: Params) -> list[tuple[Any, ...]]:
    async with pool.connection() as connection:
        return await _rows(connection, query, params)


# --- requests that are carried out once


async def post_decision(
    pool: Pool,
    *,
    book_id: int,
    slot: int,
    key: RequestKey,
    answer: Answer,
    posting: Posting | None,
    before: Callable[[Connection], Awaitable[bool]] | None,
    after: Callable[[Connection], Awaitable[bool]] | None,
    recorded_at: datetime,
) -> bool:
    """Post a decision with its answer and its rows, in one commit; False if it was stale or its key was answered."""
    try:
        async with pool.connection() as connection, connection.transaction():
            if before is not None and not await before(connection):
                raise _StaleError
            item = Item(book_id, posting, key, answer)
            (status,) = await post_batch(connection, [item], slot=slot, recorded_at=recorded_at)
            if status is not PostStatus.APPLIED or (after is not None and not await after(connection)):
                raise _StaleError
    except _StaleError:
        return False
    return True


async def post_action(pool: Pool, action: Action) -> None:
    """Write a line of the trail that nothing else goes with."""
    async with pool.connection() as connection:
        await write_action(connection, action)


async def open_issuer_accounts(
    pool: Pool, *, slot: int, wanted: Sequence[tuple[int, UUID, str, str]]
) -> dict[tuple[UUID, str, str], int]:
    """The accounts of (book, issuer, kind, currency) in a slot, opened if need be; by issuer, kind, currency."""
    distinct = list(dict.fromkeys(wanted))
    if not distinct:
        return {}
    async with pool.connection() as connection:
        found = await open_accounts(connection, slot=slot, asked=[AccountSpec(*one) for one in distinct])
    return {(owner, kind, currency): id_ for (_, owner, kind, currency), id_ in zip(distinct, found, strict=True)}


# --- terms


async def load_terms(pool: Pool, *, book_id: int, programme_id: UUID) -> Terms | None:
    async with pool.connection() as connection:
        return await read_terms(connection, book_id=book_id, programme_id=programme_id)


async def read_terms(
    connection: Connection, *, book_id: int, programme_id: UUID, query: Literal["terms", "lock_terms"] = "terms"
) -> Terms | None:
    """The terms of a programme; with ``lock_terms`` nobody else changes them before the transaction ends."""
    rows = await _rows(connection, query, {"book_id": book_id, "programme_id": programme_id})
    if not rows:
        return None
    ((remind_days, dormant_months, values),) = rows
    return Terms(
        remind_days=tuple(remind_days),
        dormant_months=dormant_months,
        refund_values=msgspec.convert(values or (), tuple[Figure, ...]),
    )


async def write_terms(connection: Connection, *, book_id: int, programme_id: UUID, terms: Terms, at: datetime) -> None:
    values = msgspec.json.encode(terms.refund_values).decode() if terms.refund_values else None
    await connection.execute(
        _SQL["set_terms"],
        {
            "book_id": book_id,
            "programme_id": programme_id,
            "remind_days": sorted(terms.remind_days, reverse=True),
            "dormant_months": terms.dormant_months,
            "refund_values": values,
            "at": at,
        },
    )


# --- what a card holds


async def load_holding(pool: Pool, *, book_id: int, slots: tuple[int, ...], card_id: UUID) -> Holding | Refusal:
    """A card with everything that it holds. Refused: ``not_found``."""
    card = await get_card(pool, book_id=book_id, slots=slots, card_id=card_id)
    if isinstance(card, Refusal):
        return card
    programme = await get_programme(pool, book_id=book_id, programme_id=card.programme_id)
    assert not isinstance(programme, Refusal), "a card has a programme"
    (holding,) = await load_holdings(pool, [card], slots=slots, slot=card.slot, programme=programme)
    async with pool.connection() as connection:
        moving = await has_transfer(connection, book_id=book_id, slots=slots, card_id=card_id)
    return holding._replace(has_transfer=moving)


async def load_holdings(
    pool: Pool, cards: Sequence[Card], *, slots: tuple[int, ...], slot: int, programme: Programme
) -> list[Holding]:
    """Cards of one slot and programme with everything that they hold, in their order; transfers are not looked for."""
    pockets: dict[UUID, dict[int, PocketHeld]] = {card.id: {} for card in cards}
    lots: dict[UUID, list[LotHeld]] = {card.id: [] for card in cards}
    swept: dict[UUID, list[Swept]] = {card.id: [] for card in cards}
    params = {"slot": slot, "cards": list(pockets), "book_id": programme.book_id}
    for row in await _read(pool, "holdings", params):
        (
            card_id,
            account_id,
            kind,
            version,
            posted_fen,
            pending_fen,
            lot,
            origin_id,
            at,
            paid,
            given_,
            ends,
            left,
            held,
            taken,
        ) = row
        name = _POCKETS[kind]
        pockets[card_id][account_id] = PocketHeld(account_id, name, version, posted_fen, pending_fen)
        if lot is None:
            continue
        sweeps = [
            Swept(UUID(id_), account_id, lot, source, amount_fen, returned_fen)
            for id_, source, amount_fen, returned_fen in taken
        ]
        swept[card_id] += sweeps
        swept_fen = sum(one.left_fen for one in sweeps)
        lots[card_id].append(LotHeld(account_id, name, lot, origin_id, at, paid, given_, ends, left, held, swept_fen))
    elsewhere = {lot.origin_id for held_lots in lots.values() for lot in held_lots if lot.originated_at is None}
    known = await _load_times(pool, slots, elsewhere) if elsewhere else {}  # value of a card of another slot
    return [
        Holding(
            card,
            programme,
            list(pockets[card.id].values()),
            [lot._replace(originated_at=known.get(lot.origin_id, lot.originated_at)) for lot in lots[card.id]],
            swept[card.id],
        )
        for card in cards
    ]


async def _load_times(pool: Pool, slots: tuple[int, ...], ids: set[UUID]) -> dict[UUID, datetime]:
    """When transactions of any slot happened."""
    known: dict[UUID, datetime] = {}
    for slot in sorted({slot_of(id_, slots) for id_ in ids}):
        known.update(await _read(pool, "effective_at", {"slot": slot, "ids": list(ids)}))
    return known


# --- lots that end


class ExpiryCursor(NamedTuple):
    """Where a walk along the ends of lots has come to."""

    expires_at: datetime
    account_id: int
    lot: int


async def find_expired(
    pool: Pool, *, slot: int, now: datetime, since: datetime | None, after: ExpiryCursor | None, limit: int
) -> list[ExpiryCursor]:
    """The next lots of active cards that ended by ``now`` and have something to take."""
    params = {
        "slot": slot,
        "now": now,
        "since": since,
        "after_end": after.expires_at if after is not None else None,
        "after_account": after.account_id if after is not None else None,
        "after_lot": after.lot if after is not None else None,
        "limit": limit,
    }
    return [ExpiryCursor(*row) for row in await _read(pool, "find_expired", params)]


async def load_expired(pool: Pool, *, slot: int, names: Sequence[tuple[int, int]]) -> list[ExpiredLot]:
    """The named lots as they are now, with their pockets' versions."""
    accounts, lots = [account_id for account_id, _ in names], [lot for _, lot in names]
    return [
        ExpiredLot(account, lot, version, book, currency, card, CardStatus(status), *rest)
        for account, lot, version, book, currency, card, status, *rest in await _read(
            pool, "load_expired", {"slot": slot, "accounts": accounts, "lots": lots}
        )
    ]


async def post_expiry(
    pool: Pool,
    items: Sequence[Item],
    lots: Sequence[ExpiredLot],
    notices: Mapping[UUID, NewNotice],
    *,
    slot: int,
    at: datetime,
) -> list[PostStatus]:
    """Sweep lots, each with its record and its notice, in one commit; one status per item."""
    async with pool.connection() as connection, connection.transaction():
        statuses = await post_batch(connection, items, slot=slot, recorded_at=at)
        done = [
            (item.posting, lot)
            for item, lot, status in zip(items, lots, statuses, strict=True)
            if status is PostStatus.APPLIED and item.posting is not None
        ]
        if done:
            await connection.execute(
                _SQL["insert_expired"],
                {
                    "slot": slot,
                    "transactions": [posting.transaction_id for posting, _ in done],
                    "books": [lot.book_id for _, lot in done],
                    "cards": [lot.card_id for _, lot in done],
                    "accounts": [lot.account_id for _, lot in done],
                    "lots": [lot.lot for _, lot in done],
                    "sources": [posting.legs[0].credit_account for posting, _ in done],
                    "amounts": [posting.legs[0].amount_fen for posting, _ in done],
                    "at": at,
                },
            )
            await write_notices(connection, [notices[posting.transaction_id] for posting, _ in done], at=at)
    return statuses


async def find_ending(pool: Pool, *, slot: int, now: datetime, limit: int) -> list[EndingLot]:
    """Lots that end within a threshold and were not reminded of."""
    return [EndingLot(*row) for row in await _read(pool, "find_ending", {"slot": slot, "now": now, "limit": limit})]


async def post_reminders(
    pool: Pool, lots: Sequence[EndingLot], notices: Sequence[NewNotice], *, slot: int, at: datetime
) -> int:
    """Write the reminders that nobody else has written, in one commit; how many."""
    if not lots:
        return 0
    params = {
        "slot": slot,
        "accounts": [lot.account_id for lot in lots],
        "lots": [lot.lot for lot in lots],
        "ends": [lot.expires_at for lot in lots],
        "days": [lot.threshold_days for lot in lots],
        "notices": [notice.id for notice in notices],
        "at": at,
    }
    return await _post_notices_once(pool, "insert_reminders", params, notices, at=at)


async def find_dormant(
    pool: Pool, *, slot: int, now: datetime, after: UUID, limit: int
) -> tuple[list[DormantCard], UUID | None]:
    """Of the next ``limit`` cards after ``after`` those that have become dormant; the last card that was looked at, or
    None when there are no more."""
    async with pool.connection() as connection:
        cards = [
            row[0] for row in await _rows(connection, "next_cards", {"slot": slot, "after": after, "limit": limit})
        ]
        found = await _rows(connection, "dormant_cards", {"slot": slot, "cards": cards, "now": now}) if cards else []
    return [DormantCard(*row) for row in found], cards[-1] if len(cards) == limit else None


async def post_dormancies(
    pool: Pool, cards: Sequence[DormantCard], notices: Sequence[NewNotice], *, slot: int, at: datetime
) -> int:
    """Write the dormancies that nobody else has written, in one commit; how many."""
    if not cards:
        return 0
    params = {
        "slot": slot,
        "cards": [card.card_id for card in cards],
        "moved": [card.last_moved_at for card in cards],
        "books": [card.book_id for card in cards],
        "notices": [notice.id for notice in notices],
        "at": at,
    }
    return await _post_notices_once(pool, "insert_dormancies", params, notices, at=at)


async def _post_notices_once(
    pool: Pool, query: str, params: Params, notices: Sequence[NewNotice], *, at: datetime
) -> int:
    async with pool.connection() as connection, connection.transaction():
        won = {row[0] for row in await _rows(connection, query, params)}
        await write_notices(connection, [notice for notice in notices if notice.id in won], at=at)
    return len(won)


# --- fees of cards that nobody uses


class FeeCard(NamedTuple):
    """An active card with value that is to pay for not being used, by its terms."""

    card_id: UUID
    book_id: int
    programme_id: UUID
    terms_version: int
    is_registered: bool
    time_zone: str
    currency: str
    fee_fen: int


class FeeMonth(NamedTuple):
    """A month of which a card was told that it pays."""

    card_id: UUID
    month: date
    amount_fen: int
    settled_at: datetime | None


async def load_fee_programmes(pool: Pool) -> list[UUID]:
    return [row[0] for row in await _read(pool, "fee_programmes", {})]


async def find_fee_cards(
    pool: Pool, *, slot: int, programmes: Sequence[UUID], now: datetime, after: UUID, limit: int
) -> tuple[list[FeeCard], UUID | None]:
    """Of the next ``limit`` cards those that pay; the last card that was looked at, or None when there are no more."""
    params = {"slot": slot, "programmes": list(programmes), "now": now, "after": after, "limit": limit}
    async with pool.connection() as connection:
        cards = [row[0] for row in await _rows(connection, "next_fee_cards", params)]
        found = await _rows(connection, "fee_cards", {**params, "cards": cards}) if cards else []
    return [FeeCard(*row) for row in found], cards[-1] if len(cards) == limit else None


async def load_fee_months(
    pool: Pool, *, slot: int, card_ids: Sequence[UUID], since: date
) -> dict[tuple[UUID, date], FeeMonth]:
    rows = await _read(pool, "fee_months", {"slot": slot, "cards": list(card_ids), "since": since})
    return {(card_id, month): FeeMonth(card_id, month, *rest) for card_id, month, *rest in rows}


async def post_fee_month(pool: Pool, card: FeeCard, notice: NewNotice, *, slot: int, month: date, at: datetime) -> bool:
    """Write that a card was told of a month, with the notice; False if it was told before."""
    params = {
        "slot": slot, "card_id": card.card_id, "month": month, "book_id": card.book_id, "amount_fen": card.fee_fen,
        "notice_id": notice.id, "at": at,
    }  # fmt: skip
    async with pool.connection() as connection, connection.transaction():
        if (await connection.execute(_SQL["insert_fee_month"], params)).rowcount != 1:
            return False
        await write_notices(connection, [notice], at=at)
    return True


def settle_fee_month(
    *, slot: int, card_id: UUID, month: date, fee_id: UUID | None, failure: str | None, at: datetime
) -> Write:
    """Write how a month ended; not done if somebody wrote it before."""
    params = {"slot": slot, "card_id": card_id, "month": month, "fee_id": fee_id, "failure": failure, "at": at}

    async def write(connection: Connection) -> bool:
        return (await connection.execute(_SQL["settle_fee_month"], params)).rowcount == 1

    return write


def tell(notice: NewNotice, *, at: datetime) -> Write:
    """Write a notice in the transaction of its cause."""

    async def write(connection: Connection) -> bool:
        await write_notices(connection, [notice], at=at)
        return True

    return write


async def post_alone(pool: Pool, write: Write) -> bool:
    async with pool.connection() as connection:
        return await write(connection)


async def _return_swept(connection: Connection, slot: int, returned: Sequence[tuple[Swept, int]]) -> bool:
    """Take parts out of what was swept; False if any of it has moved since it was read."""
    if not returned:
        return True
    changed = await connection.execute(
        _SQL["return_swept"],
        {
            "slot": slot,
            "transactions": [one.transaction_id for one, _ in returned],
            "before": [one.returned_fen for one, _ in returned],
            "parts": [part_fen for _, part_fen in returned],
        },
    )
    return changed.rowcount == len(returned)


class SweptBehind(NamedTuple):
    """What was swept from a lot of a card that was replaced since, with its pocket's version."""

    book_id: int
    card_id: UUID
    version: int
    swept: Swept


async def find_swept_behind(pool: Pool, *, slot: int, after: UUID | None, limit: int) -> list[SweptBehind]:
    """What was swept from replaced cards behind ``after`` and not given back, card by card."""
    rows = await _read(pool, "swept_behind", {"slot": slot, "after": after, "limit": limit})
    return [SweptBehind(book_id, card_id, version, Swept(*rest)) for book_id, card_id, version, *rest in rows]


async def post_return(pool: Pool, rows: Sequence[SweptBehind], posting: Posting, *, slot: int, at: datetime) -> bool:
    """Give back what was swept of one card, in one commit; False if something has moved."""
    try:
        async with pool.connection() as connection, connection.transaction():
            (status,) = await post_batch(connection, [Item(rows[0].book_id, posting)], slot=slot, recorded_at=at)
            returned = [(one.swept, one.swept.left_fen) for one in rows]
            if status is not PostStatus.APPLIED or not await _return_swept(connection, slot, returned):
                raise _StaleError
    except _StaleError:
        return False
    return True


async def post_extension(
    connection: Connection,
    card: Card,
    lots: Sequence[LotHeld],
    returned: Sequence[Swept],
    *,
    ids: Sequence[UUID],
    expires_at: datetime,
    transaction_id: UUID | None,
    made_by: UUID,
    notice: NewNotice,
    at: datetime,
) -> bool:
    """Move the ends of lots, with a record of each, in the caller's transaction; False if something has moved."""
    for lot in sorted(lots, key=lambda lot: (lot.account_id, lot.lot)):
        assert lot.expires_at is not None
        if not await extend_lot(
            connection,
            slot=card.slot,
            account_id=lot.account_id,
            lot=lot.lot,
            before=lot.expires_at,
            after=expires_at,
        ):
            return False
    if not await _return_swept(connection, card.slot, [(one, one.left_fen) for one in returned]):
        return False
    # the pockets are locked now: a sweep, a block or a closing that came since the reading is seen here
    params = {
        "slot": card.slot,
        "card_id": card.id,
        "accounts": [lot.account_id for lot in lots],
        "lots": [lot.lot for lot in lots],
    }
    if await _rows(connection, "swept_of_lots", params) != [(0, "active")]:
        return False
    for id_, lot in zip(ids, lots, strict=True):
        await connection.execute(
            _SQL["insert_extension"],
            {
                "slot": card.slot,
                "id": id_,
                "book_id": card.book_id,
                "card_id": card.id,
                "account_id": lot.account_id,
                "lot": lot.lot,
                "before": lot.expires_at,
                "after": expires_at,
                "returned_fen": lot.swept_fen,
                "transaction_id": transaction_id if lot.swept_fen else None,
                "made_by": made_by,
                "at": at,
            },
        )
    await write_notices(connection, [notice], at=at)
    return True


# --- closing


async def post_closing(
    connection: Connection, card: Card, done: Closed, returned: Sequence[tuple[Swept, int]], *, notice: NewNotice
) -> bool:
    """Write how a card was closed, in the caller's transaction; False if its pockets are not empty after all."""
    where = {"slot": card.slot, "card_id": card.id}
    if (await _rows(connection, "held_by_card", where))[0][0] != 0:
        return False
    if not await _return_swept(connection, card.slot, returned):
        return False
    await connection.execute(
        _SQL["insert_closure"],
        {
            **where,
            "book_id": card.book_id,
            "transaction_id": done.transaction_id,
            "cause": done.quote.cause.value,
            "amount_fen": done.quote.amount_fen,
            "interest_fen": done.quote.interest_fen,
            "quote_hash": done.quote_hash,
            "quote": done.quote.encoded,
            "closed_by": done.closed_by,
            "closed_at": done.closed_at,
        },
    )
    if done.payout is not None:
        await connection.execute(_SQL["insert_payout"], _payout_params(done.payout))
    await write_notices(connection, [notice], at=done.closed_at)
    return True


async def post_release(connection: Connection, card: Card, done: Released, *, notice: NewNotice) -> None:
    """Write what left a replaced card for its holder, in the caller's transaction."""
    await connection.execute(
        _SQL["insert_release"],
        {
            "slot": card.slot,
            "transaction_id": done.transaction_id,
            "book_id": card.book_id,
            "card_id": card.id,
            "amount_fen": done.amount_fen,
            "given_fen": done.given_fen,
            "reason": done.reason,
            "approval_id": done.approval_id,
            "released_by": done.released_by,
            "at": done.released_at,
        },
    )
    if done.payout is not None:
        await connection.execute(_SQL["insert_payout"], _payout_params(done.payout))
    await write_notices(connection, [notice], at=done.released_at)


async def load_closure(pool: Pool, *, book_id: int, slot: int, card_id: UUID) -> Closed | None:
    """How a card was closed, or None."""
    where = {"slot": slot, "card_id": card_id, "book_id": book_id}
    rows = await _read(pool, "closure", where)
    if not rows:
        return None
    ((transaction_id, quote, quote_hash, closed_by, closed_at),) = rows
    payouts = await load_payouts(pool, book_id, [slot], PayoutSearch(card_id=card_id, limit=1))
    return Closed(
        card_id,
        transaction_id,
        msgspec.json.decode(quote, type=RefundQuote),
        bytes(quote_hash),
        payouts[0] if payouts else None,
        closed_by,
        closed_at,
    )


# --- payouts


def _payout(row: tuple[Any, ...]) -> Payout:
    fields = dict(zip(Payout.__struct_fields__, row, strict=True))
    fields["method"] = PayoutMethod(fields["method"])
    fields["status"] = PayoutStatus(fields["status"])
    fields["payee_sealed"] = bytes(fields["payee_sealed"])
    return Payout(**fields)


def _payout_params(payout: Payout) -> dict[str, Any]:
    return {**asdict(payout), "method": payout.method.value, "status": payout.status.value}


async def load_payout(pool: Pool, *, book_id: int, slot: int, payout_id: UUID) -> Payout | None:
    params = {**asdict(PayoutSearch()), "slot": slot, "book_id": book_id, "id": payout_id}
    rows = await _read(pool, "payouts", params)
    return _payout(rows[0]) if rows else None


async def load_payouts(pool: Pool, book_id: int, slots: Sequence[int], search: PayoutSearch) -> list[Payout]:
    """Payouts, newest first: each slot gives its newest, and the newest of those are the newest of all."""
    status = None if search.status is None else search.status.value
    params = {**asdict(search), "status": status, "book_id": book_id, "id": None, "limit": search.limit + 1}
    payouts: list[Payout] = []
    async with pool.connection() as connection:
        for slot in slots:
            payouts += [_payout(row) for row in await _rows(connection, "payouts", {**params, "slot": slot})]
    return sorted(payouts, key=lambda payout: payout.id.int, reverse=True)[: search.limit + 1]


async def change_payout(connection: Connection, after: Payout, *, notice: NewNotice) -> bool:
    """Write what became of a payout, in the caller's transaction; False if it has changed since it was read."""
    changed = await connection.execute(_SQL["change_payout"], _payout_params(after))
    if changed.rowcount != 1:
        return False
    await write_notices(connection, [notice], at=after.changed_at)
    return True


async def replace_payout(connection: Connection, failed: Payout, made: Payout) -> bool:
    """Write a payout in the place of a failed one, in the caller's transaction; False if that has changed."""
    changed = await connection.execute(_SQL["change_payout"], _payout_params(failed))
    if changed.rowcount != 1:
        return False
    await connection.execute(_SQL["insert_payout"], _payout_params(made))
    return True


async def load_issuer(pool: Pool, *, slot: int, card_id: UUID) -> UUID:
    """The issuer of a card."""
    ((issuer_id,),) = await _read(pool, "issuer", {"slot": slot, "card_id": card_id})
    assert isinstance(issuer_id, UUID)
    return issuer_id
