"""What the ledger and the payments room tell of a small town's history, against what was seen while it happened."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Any, NamedTuple, cast
from uuid import UUID

import pytest
from tests.town import Town

from kaquan import ledger, payments
from kaquan.kit.clock import SystemClock
from kaquan.kit.db import connect_sync
from kaquan.kit.outcomes import Refusal
from kaquan.kit.paging import Page, read_cursor
from kaquan.ledger import (
    Account,
    Effect,
    Statement,
    StatementLine,
    StatementSearch,
    Transaction,
    TransactionSearch,
)
from kaquan.ledger.store import read_accounts_of_owner
from kaquan.parties import Mode
from kaquan.payments import Load, Payment, PaymentKind, PaymentSearch, PaymentStatus, Refund, Spend

CLOCK = SystemClock()
LIMITS = [1, 2, 3, 7, 200]


class Seen(NamedTuple):
    """Every account at a moment."""

    at: datetime
    accounts: dict[tuple[int, int], Account]


class History:
    """A town with a past: ``seen`` is what every account held after each step, ``made`` every payment by kind."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.cards: list[UUID] = []
        self.seen: list[Seen] = []

    @property
    def app(self) -> Any:
        return self.town.apps[0]

    async def accounts(self) -> dict[tuple[int, int], Account]:
        owners = [*self.cards, *(place.merchant_id for place in self.town.places), self.town.issuer.id]
        found: dict[tuple[int, int], Account] = {}
        async with self.app.pool.connection() as connection:
            for owner_id in owners:
                for account in await read_accounts_of_owner(
                    connection, book_id=self.town.book_id, owner_id=owner_id, slots=self.app.slots
                ):
                    found[account.slot, account.id] = account
        return found

    async def look(self) -> None:
        self.seen.append(Seen(CLOCK.now(), await self.accounts()))
        await asyncio.sleep(0.001)  # what comes next is recorded later

    async def live(self, random: Random, steps: int) -> None:
        town = self.town
        open_ids: list[UUID] = []
        spent_ids: list[UUID] = []
        for step in range(steps):
            card_id, shop = random.choice(self.cards), random.randrange(len(town.places))
            reference = f"order {step % 5}"
            place = town.places[shop]
            match random.randrange(6):
                case 0:
                    at_till = place if random.random() < 0.5 else None
                    await town.ask(Load(card_id, 500, random.choice([0, 50]), CLOCK.now(), reference, at_till))
                case 1 | 2:
                    told = await town.ask(Spend(card_id, random.randrange(1, 300), place, CLOCK.now(), reference))
                    if told.status == 201:
                        spent_ids.append(told.payment_id)
                case 3:
                    told = await town.authorize(card_id, random.randrange(1, 300), shop=shop)
                    if told.status == 201:
                        open_ids.append(told.payment_id)
                case 4 if open_ids:
                    payment_id = open_ids.pop(random.randrange(len(open_ids)))
                    if random.random() < 0.3:
                        await town.void(payment_id)
                    else:
                        told = await town.capture(payment_id, 1, final=random.random() < 0.5)
                        spent_ids.append(payment_id)
                        if told.body["status"] == "open":
                            open_ids.append(payment_id)
                case 5 if spent_ids:
                    await town.ask(Refund(random.choice(spent_ids), 1, CLOCK.now(), reference))
            await self.look()

    # what the rooms tell

    async def statement(self, account: Account, **search: Any) -> Statement:
        found = await ledger.get_statement(
            self.app.pool,
            book_id=account.book_id,
            slot=account.slot,
            account_id=account.id,
            search=StatementSearch(**search),
        )
        assert isinstance(found, Statement)
        return found

    async def lines(self, account: Account, limit: int = 200, **search: Any) -> list[StatementLine]:
        """The whole statement, page by page."""
        page = await self.statement(account, limit=limit, **search)
        lines = page.lines
        while page.next_cursor is not None:
            assert len(page.lines) == limit
            page = await self.statement(account, limit=limit, cursor=page.next_cursor, **search)
            assert (page.opening_fen, page.closing_fen) == (None, None)
            lines = lines + page.lines
        return lines

    async def transactions(self, limit: int = 200, **search: Any) -> list[Transaction]:
        async def read(after_id: UUID | None) -> Page[Transaction]:
            return await ledger.list_transactions(
                self.app.pool,
                book_id=self.town.book_id,
                slots=self.app.slots,
                search=TransactionSearch(limit=limit, after_id=after_id, **search),
            )

        return await every_page(read, limit)

    async def payments(self, kind: PaymentKind, limit: int = 200, **search: Any) -> list[Payment]:
        async def read(after_id: UUID | None) -> Page[Payment]:
            return await payments.list_payments(
                self.app.pool,
                book_id=self.town.book_id,
                slots=self.app.slots,
                kind=kind,
                search=PaymentSearch(limit=limit, after_id=after_id, **search),
            )

        return await every_page(read, limit)

    @staticmethod
    async def check(
        read: Callable[..., Awaitable[list[Any]]], everything: list[Any], fits: Callable[[Any], bool], **search: Any
    ) -> None:
        """Assert that a search finds what fits of ``everything``, at every page size."""
        expected = [row for row in everything if fits(row)]
        for limit in LIMITS:
            assert await read(limit, **search) == expected


async def every_page(read: Callable[[UUID | None], Awaitable[Page[Any]]], limit: int) -> list[Any]:
    page = await read(None)
    rows = page.data
    while page.next_cursor is not None:
        assert len(page.data) == limit
        page = await read(read_cursor(page.next_cursor))
        rows = rows + page.data
    return rows


@pytest.fixture(params=["one slot", "four slots"])
async def history(request: pytest.FixtureRequest) -> AsyncIterator[History]:
    if request.param == "one slot":
        town = await Town.found(request.getfixturevalue("database"), clock=CLOCK, shops=2)
    else:
        conninfo = request.getfixturevalue("database_of_four_slots")
        town = await Town.found(conninfo, clock=CLOCK, slots=(3, 17, 40, 62), shops=2)
    past = History(town)
    past.cards = [await town.new_card(load_fen=1_000, bonus_fen=100) for _ in range(4)]
    await past.look()
    await past.live(Random(7), 60)
    yield past
    await town.close()


async def test_a_statement_is_whole_at_every_page_size(history: History) -> None:
    for account in (await history.accounts()).values():
        lines = await history.lines(account)
        places = [(line.transaction_id, line.leg) for line in lines]
        assert places == sorted(set(places), reverse=True)
        for limit in LIMITS:
            assert await history.lines(account, limit) == lines
        posted = [line.amount_fen for line in lines if line.effect in (Effect.POST, Effect.CAPTURE)]
        assert sum(posted) == account.posted_fen
        if account.owner_id in history.cards:
            available = [line.amount_fen for line in lines if line.effect is not Effect.CAPTURE]
            assert sum(available) == account.available_fen
            assert all(line.lot is not None for line in lines)
            balance_fen = 0
            for line in reversed(lines):
                balance_fen += line.amount_fen if line.effect in (Effect.POST, Effect.CAPTURE) else 0
                assert line.balance_after_fen == balance_fen


async def test_a_balance_is_known_at_any_time(history: History) -> None:
    before_all = history.seen[0].at - timedelta(days=1)

    async def check() -> None:
        for at, accounts in history.seen[::5]:
            for account in accounts.values():
                told = await ledger.get_account_at(
                    history.app.pool, book_id=account.book_id, slot=account.slot, account_id=account.id, at=at
                )
                assert isinstance(told, Account)
                assert counters(told) == counters(account)
        for account in (await history.accounts()).values():
            for at in (before_all, datetime.min.replace(tzinfo=UTC)):
                told = await ledger.get_account_at(
                    history.app.pool, book_id=account.book_id, slot=account.slot, account_id=account.id, at=at
                )
                assert isinstance(told, Account)
                assert counters(told) == (0, 0, 0, 0)

    await check()
    # a checkpoint is of a minute ago: as if this were a minute later
    assert await ledger.take_checkpoints(history.app.pool, history.app.slots, now=CLOCK.now() + timedelta(minutes=1))
    await check()
    await history.live(Random(8), 20)
    await check()


def counters(account: Account) -> tuple[int, int, int, int]:
    return account.debits_posted, account.credits_posted, account.debits_pending, account.credits_pending


async def test_a_balance_starts_at_the_checkpoint_before(history: History) -> None:
    account = next(a for a in (await history.accounts()).values() if a.kind == "merchant_payable")
    at = history.seen[30].at
    with connect_sync(history.town.conninfo, autocommit=True) as owner:
        owner.execute(
            "INSERT INTO ledger_checkpoint VALUES (%s, %s, %s, 1000000, 0, 0, 0)", (account.slot, account.id, at)
        )

    async def debits_at(seen: Seen) -> int:
        told = await ledger.get_account_at(
            history.app.pool, book_id=account.book_id, slot=account.slot, account_id=account.id, at=seen.at
        )
        assert isinstance(told, Account)
        return told.debits_posted

    def true(seen: Seen) -> int:
        return seen.accounts[account.slot, account.id].debits_posted

    seen = [one for one in history.seen if (account.slot, account.id) in one.accounts]
    base = next(one for one in seen if one.at == at)
    for one in seen:
        # the false checkpoint shows where it is used: never before its time, always from then on
        expected = true(one) if one.at < at else 1_000_000 + true(one) - true(base)
        assert await debits_at(one) == expected
    with connect_sync(history.town.conninfo, autocommit=True) as owner:
        owner.execute("DELETE FROM ledger_checkpoint WHERE account_id = %s", (account.id,))


async def test_a_period_adds_up(history: History) -> None:
    first, last = history.seen[10], history.seen[40]
    for key, account in last.accounts.items():
        lines = await history.lines(account, 3, created_after=first.at, created_before=last.at)
        assert [line for line in await history.lines(account) if first.at < line.recorded_at < last.at] == lines
        page = await history.statement(account, created_after=first.at, created_before=last.at)
        opening = first.accounts.get(key)
        assert page.opening_fen == (opening.posted_fen if opening else 0)
        assert page.closing_fen == account.posted_fen
        moved_fen = sum(line.amount_fen for line in lines if line.effect in (Effect.POST, Effect.CAPTURE))
        assert page.opening_fen + moved_fen == page.closing_fen
        since = await history.statement(account, created_after=first.at)
        assert since.closing_fen == since.account.posted_fen
        until = await history.statement(account, created_before=last.at)
        assert (until.opening_fen, until.closing_fen) == (0, account.posted_fen)
        assert (await history.statement(account)).opening_fen is None
        for line in lines:  # both ends are exclusive
            after = await history.lines(account, created_after=line.recorded_at)
            before = await history.lines(account, created_before=line.recorded_at)
            assert line.transaction_id not in {other.transaction_id for other in (*after, *before)}


async def test_transactions_are_found_by_what_they_are(history: History) -> None:
    everything = await history.transactions()
    assert [t.id for t in everything] == sorted((t.id for t in everything), reverse=True)
    accounts = await ledger.accounts_of(history.app.pool, everything)
    owners = {
        t.id: {accounts[t.slot, number].owner_id for e in t.entries for number in (e.debit_account, e.credit_account)}
        for t in everything
    }
    assert {t.kind for t in everything} == {"load", "purchase", "authorization", "capture", "void", "refund"}

    check = partial(history.check, history.transactions, everything)
    await check(lambda t: True)
    for kind in ("purchase", "void", "refund", "expiry"):
        assert await history.transactions(3, kind=kind) == [t for t in everything if t.kind == kind]
    await check(lambda t: t.reference == "order 2", reference="order 2")
    await check(lambda t: t.reference == "order 2" and t.kind == "load", reference="order 2", kind="load")
    card, merchant = history.cards[1], history.town.places[1].merchant_id
    await check(lambda t: card in owners[t.id], owner_id=card)
    await check(lambda t: merchant in owners[t.id], owner_id=merchant)
    await check(lambda t: {card, merchant} <= owners[t.id], owner_id=card, other_owner_id=merchant)
    await check(lambda t: card in owners[t.id] and t.kind == "refund", owner_id=card, kind="refund")
    root = next(t.related_id for t in everything if t.kind == "capture")
    await check(lambda t: root in (t.id, t.related_id), root_id=root)
    await check(lambda t: root in (t.id, t.related_id) and card in owners[t.id], root_id=root, owner_id=card)
    after, before = history.seen[5].at, history.seen[50].at
    await check(lambda t: after < t.recorded_at < before, created_after=after, created_before=before)
    await check(
        lambda t: after < t.recorded_at < before and card in owners[t.id],
        created_after=after,
        created_before=before,
        owner_id=card,
    )
    for transaction in everything:
        found = await ledger.get_transaction(
            history.app.pool,
            book_id=history.town.book_id,
            slots=history.app.slots,
            transaction_id=transaction.id,
        )
        assert found == transaction


async def test_payments_are_found_by_what_they_are(history: History) -> None:
    await history.town.purchase(history.cards[0], 1, shop=1)
    card, place = history.cards[1], history.town.places[1]
    after, before = history.seen[5].at, history.seen[50].at
    kinds = {t.kind for t in await history.transactions()}
    for kind in PaymentKind:
        everything = await history.payments(kind)
        assert kind in kinds
        assert [p.id for p in everything] == [t.id for t in await history.transactions(kind=kind.value)]

        check = partial(history.check, partial(history.payments, kind), everything)
        await check(lambda p: p.card_id == card, card_id=card)
        await check(lambda p: p.merchant_id == place.merchant_id, merchant_id=place.merchant_id)
        await check(lambda p: p.store_id == place.store_id, store_id=place.store_id)
        await check(lambda p: p.terminal_id == place.terminal_id, terminal_id=place.terminal_id)
        await check(lambda p: p.card_id == card and p.store_id == place.store_id, card_id=card, store_id=place.store_id)
        await check(lambda p: p.reference == "order 3", reference="order 3")
        await check(
            lambda p: p.reference == "order 3" and p.merchant_id == place.merchant_id,
            reference="order 3",
            merchant_id=place.merchant_id,
        )
        await check(lambda p: after < p.created_at < before, created_after=after, created_before=before)
        for status in PaymentStatus:
            of_status = [p for p in everything if p.status is status]
            assert await history.payments(kind, 2, status=status) == of_status
            of_card = [p for p in of_status if p.card_id == card]
            assert await history.payments(kind, 2, status=status, card_id=card) == of_card
        nobody = history.town.ids.new()
        for name in ("card_id", "merchant_id", "store_id", "terminal_id"):
            assert await history.payments(kind, 200, **{name: nobody}) == []
        for payment in everything:
            found = await payments.get_payment(
                history.app.pool,
                book_id=history.town.book_id,
                slots=history.app.slots,
                kind=kind,
                payment_id=payment.id,
            )
            assert found == payment
    refunds = await history.payments(PaymentKind.REFUND)
    original_id = refunds[0].original_id
    found_refunds = await history.payments(PaymentKind.REFUND, original_id=original_id)
    assert found_refunds == [refund for refund in refunds if refund.original_id == original_id]


async def test_another_book_knows_nothing_of_it(history: History) -> None:
    pool, slots, other = history.app.pool, history.app.slots, history.town.books[Mode.TEST].id
    account = next(iter((await history.accounts()).values()))
    transaction = (await history.transactions())[0]
    purchase = (await history.payments(PaymentKind.PURCHASE))[0]
    where = {"book_id": other, "slot": account.slot, "account_id": account.id}
    answers = [
        await ledger.get_account(pool, **where),
        await ledger.get_account_at(pool, **where, at=CLOCK.now()),
        await ledger.get_statement(pool, **where, search=StatementSearch()),
        await ledger.get_transaction(pool, book_id=other, slots=slots, transaction_id=transaction.id),
        await payments.get_payment(pool, book_id=other, slots=slots, kind=PaymentKind.PURCHASE, payment_id=purchase.id),
        await payments.get_payment(
            pool, book_id=history.town.book_id, slots=slots, kind=PaymentKind.LOAD, payment_id=purchase.id
        ),
    ]
    assert [cast(Refusal, answer).code for answer in answers] == ["not_found"] * len(answers)
    for search in (
        TransactionSearch(),
        TransactionSearch(owner_id=account.owner_id),
        TransactionSearch(root_id=transaction.id),
        TransactionSearch(reference="order 1"),
    ):
        assert (await ledger.list_transactions(pool, book_id=other, slots=slots, search=search)).data == []
    for payment_search in (
        PaymentSearch(),
        PaymentSearch(card_id=purchase.card_id),
        PaymentSearch(merchant_id=purchase.merchant_id),
        PaymentSearch(terminal_id=purchase.terminal_id),
    ):
        page = await payments.list_payments(
            pool, book_id=other, slots=slots, kind=PaymentKind.PURCHASE, search=payment_search
        )
        assert page.data == []
