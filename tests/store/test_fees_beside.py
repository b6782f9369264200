"""Fees that are paid beside the price of value, and those of cards that nobody uses, on a real database."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID

import psycopg
import pytest
from tests.conftest import make_database
from tests.store.test_sales import deliver, key_of, line, order, pay, sell, sold
from tests.town import KEYRING, HandClock, Town, any_customer, audits_hold

from kaquan import cards, closing, sales
from kaquan.audit import run_audits
from kaquan.cards import Fees
from kaquan.kit.outcomes import Refusal
from kaquan.notices import NoticeSearch, list_notices
from kaquan.parties import IssuerChange, change_issuer
from kaquan.parties.customers import NewCustomer, create_customer
from kaquan.parties.trail import Actor
from kaquan.payments import Load
from kaquan.policy import Buyer, Channel
from kaquan.sales import NewPayment, NewTopUp, PayMethod, Sale, SaleStatus

SLOTS = (3, 40)
BY = Actor(UUID(int=71), UUID(int=70))
ISSUE_FEN, LOAD_FEN, DORMANCY_FEN = 500, 30, 200
DAY = timedelta(days=1)
_numbers = count()


@pytest.fixture
def own_database(server: str) -> str:
    """The jobs look at every book of a database, and these tests at what one run of them does."""
    return make_database(server, f"test_beside_{os.getpid()}_{next(_numbers)}", SLOTS)


@pytest.fixture
async def town(own_database: str) -> AsyncIterator[Town]:
    fees = Fees(issue_fen=ISSUE_FEN, load_fen=LOAD_FEN, dormancy_fen=DORMANCY_FEN, dormancy_after_months=12)
    town = await Town.found(own_database, clock=HandClock(), slots=SLOTS, processes=2, fees=fees)
    await settle(town, "US-NY")  # where no rule speaks against any of them
    yield town
    await town.close()
    await audits_hold(own_database)


async def settle(town: Town, province: str) -> None:
    app = town.apps[0]
    moved = await change_issuer(
        app.pool, app.clock, app.ids, book_id=town.book_id, id_=town.issuer.id, change=IssuerChange(province=province)
    )
    assert not isinstance(moved, Refusal)


async def fees_of(town: Town) -> int:
    held = (await town.held(town.issuer.id)).get("issuer_fees")
    return 0 if held is None else held.posted_fen


async def load(town: Town, card_id: UUID, amount_fen: int, *, fee_fen: int = LOAD_FEN, **more: Any) -> Any:
    return await town.ask(Load(card_id, amount_fen, 0, fee_fen=fee_fen), **more)


def refused(answer: object, code: str, field: str) -> Refusal:
    assert isinstance(answer, Refusal), answer
    assert (answer.code, answer.field) == (code, field), answer.message()
    return answer


# --- beside a load


async def test_the_fee_of_a_load_is_agreed_to_and_never_comes_onto_the_card(town: Town) -> None:
    card = await town.new_card()
    for wrong in (0, LOAD_FEN - 1, LOAD_FEN + 1):
        told = await load(town, card, 1_000, fee_fen=wrong)
        assert (told.status, told.body["code"], told.body["field"]) == (409, "fee_not_agreed", "fee_fen")
        assert str(LOAD_FEN) in told.body["detail"]
    assert await town.available_fen(card) == await fees_of(town) == 0
    told = await load(town, card, 1_000, key="k")
    assert (told.status, told.body["amount_fen"], told.body["fee_fen"]) == (201, 1_000, LOAD_FEN)
    assert (await load(town, card, 1_000, key="k", process=1)).raw == told.raw
    assert await town.available_fen(card) == 1_000
    assert await fees_of(town) == LOAD_FEN
    clearing = (await town.held(town.issuer.id))["load_clearing"].posted_fen
    assert abs(clearing) == 1_000 + LOAD_FEN


# --- beside a sale


async def test_a_card_is_sold_with_its_fee_and_the_fee_goes_back_with_it(town: Town) -> None:
    app = town.apps[0]
    for wrong in (0, ISSUE_FEN + 1):
        asked = order(line(town, 5_000, 2, price_fen=4_500, fee_fen=wrong))
        assert str(ISSUE_FEN) in refused(await sell(town, asked), "fee_not_agreed", "lines[0].fee_fen").message()
    assert await town.count("sales_sale") == 0
    sale = await sold(town, order(line(town, 5_000, 2, price_fen=4_500, fee_fen=ISSUE_FEN)))
    assert (sale.price_fen, sale.fee_fen, sale.due_fen) == (9_000, 1_000, 10_000)
    part = await pay(town, sale, 9_000)
    assert isinstance(part, Sale)
    assert part.status is SaleStatus.OPEN, "the fee is not paid"
    refused(await pay(town, sale, 1_001), "payment_exceeds_sale", "amount_fen")
    whole = await pay(town, sale, 1_000)
    assert isinstance(whole, Sale)
    assert whole.status is SaleStatus.PAID
    done = await asyncio.gather(deliver(town, sale), deliver(town, sale, process=1))
    assert {one.status for one in done if isinstance(one, Sale)} == {SaleStatus.DELIVERED}
    assert await fees_of(town) == 2 * ISSUE_FEN
    await audits_hold(town.conninfo)
    back = await sales.refund_sale(
        app.pool, town.hand(), slots=SLOTS, book_id=town.book_id, sale_id=sale.id, reason="退", by=BY,
        key=key_of(town), rules_of=town.apps[0].policy.rules,
    )  # fmt: skip
    assert isinstance(back, Sale), back.message()
    assert await fees_of(town) == 0
    assert (await town.held(town.issuer.id))["load_clearing"].posted_fen == 0


async def test_a_top_up_pays_for_itself_and_its_fee_at_once(town: Town) -> None:
    app = town.apps[0]
    card = await town.new_card()

    async def top_up(paid_fen: int, fee_fen: int) -> Sale | Refusal:
        new = NewTopUp(
            buyer=Buyer.PERSON, channel=Channel.COUNTER, contract_version="1", card_id=card, face_fen=1_000,
            payment=NewPayment(method=PayMethod.CASH, amount_fen=paid_fen), fee_fen=fee_fen,
        )  # fmt: skip
        return await sales.top_up(
            app.pool, app.desk, town.hand(), KEYRING, app.policy.rules, slots=SLOTS, book_id=town.book_id, new=new,
            by=BY, key=key_of(town),
        )  # fmt: skip

    refused(await top_up(1_000, 0), "fee_not_agreed", "fee_fen")
    refused(await top_up(LOAD_FEN, LOAD_FEN), "invalid_field", "payment.amount_fen")
    refused(await top_up(1_001 + LOAD_FEN, LOAD_FEN), "invalid_field", "payment.amount_fen")
    assert await town.count("sales_sale") == 0
    done = await top_up(900 + LOAD_FEN, LOAD_FEN)
    assert isinstance(done, Sale), done.message()
    assert (done.status, done.price_fen, done.fee_fen, done.paid_fen) == (SaleStatus.DELIVERED, 900, 30, 930)
    assert await town.available_fen(card) == 1_000
    assert await fees_of(town) == LOAD_FEN


# --- of cards that nobody uses


async def charge(town: Town, *, process: int = 0) -> int:
    app = town.apps[process]
    await app.policy.refresh()
    return await closing.charge_dormancy_fees(app.pool, app.clock, app.ids, app.policy, SLOTS)


async def months(town: Town, card_id: UUID) -> list[tuple[str, bool, str | None]]:
    """The record of a card: the month, whether it was charged, and why it was not."""
    with psycopg.connect(town.conninfo) as connection:
        rows = connection.execute(
            "SELECT month, fee_id IS NOT NULL, failure FROM closing_dormancy_fee WHERE card_id = %s ORDER BY month",
            [card_id],
        ).fetchall()
    return [(f"{month:%Y-%m}", charged, failure) for month, charged, failure in rows]


async def told(town: Town, card_id: UUID) -> list[str]:
    app = town.apps[0]
    page = await list_notices(app.pool, book_id=town.book_id, slots=SLOTS, search=NoticeSearch(card_id=card_id))
    return [notice.event for notice in reversed(page.data)]


def move(town: Town, by: timedelta) -> None:
    clock = town.apps[0].clock
    assert isinstance(clock, HandClock)
    clock.move(by)


async def test_a_card_that_nobody_uses_is_told_and_then_pays_once_a_month_what_it_has(town: Town) -> None:
    card, used = await town.new_card(), await town.new_card()
    for one in (card, used):
        assert (await load(town, one, 2 * DORMANCY_FEN + 50)).status == 201
    before = await fees_of(town)
    move(town, 364 * DAY)
    assert await charge(town) == 0
    assert await months(town, card) == []
    move(town, 2 * DAY)  # 2 March 2027
    for process in (0, 1):
        assert await charge(town, process=process) == 0, "told first"
    assert await months(town, card) == [("2027-04", False, None)]
    assert await told(town, card) == ["fee.announced"]
    assert await fees_of(town) == before

    assert (await town.purchase(used, 50)).status == 201  # used in time
    move(town, 31 * DAY)  # April
    assert sum(await asyncio.gather(charge(town), charge(town, process=1))) == 1
    assert await charge(town) == 0
    assert await town.available_fen(card) == DORMANCY_FEN + 50
    assert await fees_of(town) == before + DORMANCY_FEN
    assert await told(town, card) == ["fee.announced", "fee.charged", "fee.announced"]
    assert await town.available_fen(used) == 2 * DORMANCY_FEN
    assert await months(town, used) == [("2027-04", False, None)]

    move(town, 61 * DAY)  # June: nobody ran in May, and May is not charged any more
    assert await charge(town) == 0
    move(town, 30 * DAY)
    assert await charge(town) == 1
    move(town, 31 * DAY)
    assert await charge(town) == 0, "a part of a fee is never taken"
    assert await town.available_fen(card) == 50
    assert await months(town, card) == [
        ("2027-04", True, None), ("2027-05", False, None), ("2027-07", True, None),
        ("2027-08", False, "fee_not_covered"), ("2027-09", False, None),
    ]  # fmt: skip


async def test_where_the_law_bars_it_no_card_pays_whatever_its_terms_say(town: Town) -> None:
    card, ours = await town.new_card(), await town.new_card()
    for one in (card, ours):
        assert (await load(town, one, 10_000)).status == 201
    move(town, 400 * DAY)
    assert await charge(town) == 0
    assert len(await months(town, card)) == 1
    await settle(town, "CN-SH")
    before = await fees_of(town)
    move(town, 31 * DAY)
    assert await charge(town) == 0
    assert [(charged, why) for _, charged, why in await months(town, card)] == [(False, "terms_break_rule")]
    app = town.apps[0]
    person = await create_customer(
        app.pool, KEYRING, app.clock, app.ids, book_id=town.book_id, new=NewCustomer(name="王敏"), by=BY
    )
    assert not isinstance(person, Refusal)
    done = await cards.register_card(
        app.pool, town.hand(), any_customer, book_id=town.book_id, slots=SLOTS, card_id=ours, customer_id=person.id
    )
    assert not isinstance(done, Refusal)
    move(town, 31 * DAY)
    assert await charge(town) == 0
    assert await fees_of(town) == before
    assert await town.available_fen(card) == await town.available_fen(ours) == 10_000


DAMAGES = {
    "a fee of a load that was raised": "UPDATE ledger_entry e SET amount_fen = amount_fen + 1 FROM ledger_account a"
    " WHERE a.slot = e.slot AND a.id = e.credit_account AND a.kind = 'issuer_fees'",
    "terms that say another fee": "UPDATE cards_programme_terms SET terms = jsonb_set(terms, '{fees,load_fen}', '31')",
}


async def test_the_audit_sees_a_fee_that_was_not_agreed_to(town: Town) -> None:
    card = await town.new_card()
    assert (await load(town, card, 100)).status == 201
    repair = {
        "a fee of a load that was raised": "UPDATE ledger_entry e SET amount_fen = amount_fen - 1 FROM ledger_account a"
        " WHERE a.slot = e.slot AND a.id = e.credit_account AND a.kind = 'issuer_fees'",
        "terms that say another fee": "UPDATE cards_programme_terms"
        " SET terms = jsonb_set(terms, '{fees,load_fen}', '30')",
    }
    for name, damage in DAMAGES.items():
        with psycopg.connect(town.conninfo, autocommit=True) as connection:
            connection.execute(damage.encode())
            report = await run_audits(town.conninfo, names=["fees"])
            assert not report.holds, name
            connection.execute(repair[name].encode())
