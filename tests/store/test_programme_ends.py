"""The end of a whole programme on a real database: what it stops, who is told, who is refunded, and its races."""

import asyncio
import csv
import io
import os
from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import psycopg
import pytest
from openpyxl import load_workbook
from tests.conftest import make_database
from tests.town import KEYRING, HandClock, Town, any_customer, audits_hold

from kaquan import cards, closing, sales
from kaquan.audit import run_audits
from kaquan.cards import CardForm, CardStatus, NewBatch, NewCard, Press, ProgrammeStatus
from kaquan.cards.ending import EndSearch, EndStatus, NewEnd, ProgrammeEnd, end_programme, list_ends, withdraw_end
from kaquan.closing import Figure, Payee, PayoutMethod, PayoutSearch, Terms, ending
from kaquan.closing.ending import (
    DeliveryState,
    GivenPayee,
    NewPublication,
    Occasion,
    RefundFile,
    RefundLine,
    RefundSearch,
    RefundState,
    ToldSearch,
    Which,
)
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import RequestKey, hash_key, hash_request
from kaquan.notices import NoticeSearch, get_notice, list_notices
from kaquan.parties.customers import NewCustomer, create_customer
from kaquan.parties.trail import ActionSearch, Actor, list_actions
from kaquan.policy import Buyer, Channel
from kaquan.sales import NewLine, NewPayment, NewSale, NewTopUp, PayMethod, Sale

SLOTS = (3, 40)
BY, OTHER = Actor(UUID(int=71), UUID(int=70)), Actor(UUID(int=72))
NOTICE_DAYS = 30
TERMS = Terms(
    remind_days=(60, 7, 1),
    refund_values=(
        Figure("year_days", 365, "HOUSE-YEAR", "house rule"),
        Figure("rate.lpr_1y.2025-05-20", 300, "CN-SPC-INT-OPER", "LPR of the day"),
    ),
)
DAY = timedelta(days=1)
_numbers = count()


@pytest.fixture
def own_database(server: str) -> str:
    """The jobs look at every book of a database, and these tests at what one run of them does."""
    return make_database(server, f"test_ends_{os.getpid()}_{next(_numbers)}", SLOTS)


@pytest.fixture
async def town(own_database: str) -> AsyncIterator[Town]:
    town = await Town.found(own_database, clock=HandClock(), slots=SLOTS, processes=2)
    app = town.apps[0]
    done = await closing.set_terms(
        app.pool, app.clock, app.ids, app.policy, book_id=town.book_id, programme_id=town.programme.id, terms=TERMS
    )
    assert done == TERMS
    yield town
    await town.close()
    await audits_hold(own_database)


def now(town: Town) -> datetime:
    return town.apps[0].clock.now()


def today(town: Town) -> date:
    return (now(town) + timedelta(hours=8)).date()


def move(town: Town, by: timedelta) -> None:
    clock = town.apps[0].clock
    assert isinstance(clock, HandClock)
    clock.move(by)


def new_end(town: Town, **more: Any) -> NewEnd:
    return NewEnd(
        **{
            "programme_id": town.programme.id,
            "last_day": today(town) + NOTICE_DAYS * DAY,
            "reason": "停业",
            "announcement": "本卡种将终止，请尽快使用。",
            **more,
        }
    )


async def end(town: Town, *, process: int = 0, new: NewEnd | None = None, **how: Any) -> ProgrammeEnd | Refusal:
    app = town.apps[process]
    return await end_programme(
        app.pool, app.clock, app.ids, book_id=town.book_id, new=new or new_end(town), by=BY, **how
    )


async def ended(town: Town, **more: Any) -> ProgrammeEnd:
    made = await end(town, new=new_end(town, **more))
    assert isinstance(made, ProgrammeEnd), made.message()
    return made


def refused(answer: object, code: str, field: str | None) -> Refusal:
    assert isinstance(answer, Refusal), answer
    assert (answer.code, answer.field) == (code, field), answer.message()
    assert answer.message("zh") != answer.message("en")
    return answer


async def status(town: Town) -> ProgrammeStatus:
    app = town.apps[1]
    found = await cards.get_programme(app.pool, book_id=town.book_id, programme_id=town.programme.id)
    assert not isinstance(found, Refusal)
    return found.status_at(now(town))


async def ends_of(town: Town) -> list[ProgrammeEnd]:
    return (await list_ends(town.apps[0].pool, book_id=town.book_id, search=EndSearch())).data


async def trail(town: Town, kind: str) -> int:
    page = await list_actions(town.apps[0].pool, book_id=town.book_id, search=ActionSearch(kind=kind))
    return len(page.data)


async def tell(town: Town, *, process: int = 0) -> int:
    app = town.apps[process]
    return await ending.tell_of_ends(app.pool, app.clock, app.ids, SLOTS)


async def refund_ended(town: Town, *, process: int = 0) -> int:
    app = town.apps[process]
    return await ending.refund_ended(app.pool, app.clock, app.ids, KEYRING, app.refund_rules, slots=SLOTS)


async def bind(town: Town, card_id: UUID, name: str = "王敏") -> UUID:
    """A holder of a card."""
    app = town.apps[0]
    person = await create_customer(
        app.pool, KEYRING, app.clock, app.ids, book_id=town.book_id, new=NewCustomer(name=name, phone="13800138000"),
        by=BY,
    )  # fmt: skip
    assert not isinstance(person, Refusal)
    done = await cards.register_card(
        app.pool, town.hand(), any_customer, book_id=town.book_id, slots=SLOTS, card_id=card_id, customer_id=person.id
    )
    assert not isinstance(done, Refusal)
    return person.id


def key_of(town: Town) -> RequestKey:
    name = town.ids.new().hex
    return RequestKey(name, hash_key(town.book_id, name), hash_request("POST", "x", b""))


# --- the decision


async def test_notice_binds_by_the_rule_and_by_what_the_contract_promised(town: Town) -> None:
    short = refused(await end(town, new=new_end(town, last_day=today(town) + 29 * DAY)), "notice_too_short", "last_day")
    assert "CN-SP-END-01" in short.message()
    assert (today(town) + 30 * DAY).isoformat() in short.message()
    for change, field in (
        ({"stops_at": now(town) + timedelta(seconds=30)}, "stops_at"),
        ({"stops_at": now(town) + 40 * DAY}, "last_day"),
        ({"last_day": date(2999, 1, 1)}, "last_day"),
    ):
        refused(await end(town, new=new_end(town, **change)), "invalid_field", field)
    refused(await end(town, new=new_end(town, programme_id=UUID(int=1))), "not_found", "programme_id")
    assert await ends_of(town) == []
    assert await status(town) is ProgrammeStatus.ACTIVE
    made = await ended(town)
    assert (made.notice_days, made.notice_rule) == (30, "CN-SP-END-01")
    assert await trail(town, "programme_end.announced") == 1


async def test_a_decision_is_made_once_however_often_it_is_asked(town: Town) -> None:
    asked = new_end(town, stops_at=now(town) + DAY)
    answers = await asyncio.gather(*(end(town, new=asked, process=n % 2) for n in range(6)))
    made = {one.id for one in answers if isinstance(one, ProgrammeEnd)}
    assert len(made) == 1
    assert len(await ends_of(town)) == 1
    assert await trail(town, "programme_end.announced") == 1
    another = refused(await end(town, new=new_end(town, reason="别的")), "programme_ends_already", "programme_id")
    assert made.pop().hex in another.message()


async def test_an_end_is_withdrawn_before_it_stops_and_not_after(town: Town) -> None:
    app = town.apps[0]
    made = await ended(town, stops_at=now(town) + DAY)

    async def withdraw(reason: str = "不停了") -> ProgrammeEnd | Refusal:
        return await withdraw_end(
            app.pool, app.clock, app.ids, book_id=town.book_id, end_id=made.id, reason=reason, by=BY
        )

    card = await town.new_card()
    done = await withdraw()
    assert isinstance(done, ProgrammeEnd)
    assert done.status_at(now(town)) is EndStatus.WITHDRAWN
    assert await withdraw() == done
    assert await trail(town, "programme_end.withdrawn") == 1
    refused(await withdraw("另一个理由"), "end_not_withdrawable", "id")
    move(town, 2 * DAY)
    assert await status(town) is ProgrammeStatus.ACTIVE
    assert (await town.load(card, 100)).status == 201

    made = await ended(town)
    move(town, timedelta(minutes=1))
    refused(await withdraw(), "end_not_withdrawable", "id")
    assert await status(town) is ProgrammeStatus.STOPPED


# --- what it stops


async def test_nothing_new_comes_after_the_stop_and_cards_are_used_to_the_last_day(town: Town) -> None:
    app = town.apps[0]
    press = Press(KEYRING, SLOTS, town.ids)
    card, waiting = await town.new_card(load_fen=1_000), await town.new_card(active=False)
    batch = await cards.create_batch(
        app.pool, app.clock, app.ids, book_id=town.book_id, slots=SLOTS,
        new=NewBatch(programme_id=town.programme.id, name="b", form=CardForm.DIGITAL, card_count=3),
    )  # fmt: skip
    assert not isinstance(batch, Refusal)
    line = NewLine(programme_id=town.programme.id, face_fen=500, price_fen=500, card_count=1)
    order = NewSale(buyer=Buyer.PERSON, channel=Channel.COUNTER, contract_version="1", lines=(line,))

    async def sell() -> Sale | Refusal:
        return await sales.create_sale(
            app.pool, press, app.clock, app.ids, KEYRING, app.policy.rules, book_id=town.book_id, new=order, by=BY,
            key=key_of(town),
        )  # fmt: skip

    cash = NewPayment(method=PayMethod.CASH, amount_fen=500)

    async def pay(sale: Sale) -> Sale | Refusal:
        return await sales.pay_sale(
            app.pool, app.clock, app.ids, KEYRING, app.policy.rules, book_id=town.book_id, sale_id=sale.id, new=cash,
            by=BY, key=key_of(town),
        )  # fmt: skip

    unpaid, paid = await sell(), await sell()
    assert isinstance(unpaid, Sale)
    assert isinstance(paid, Sale)
    paid_sale = await pay(paid)
    assert isinstance(paid_sale, Sale)

    made = await ended(town, stops_at=now(town) + DAY)
    assert await status(town) is ProgrammeStatus.ENDING
    for process in (0, 1):  # announced is not stopped
        assert (await town.load(card, 100, process=process)).status == 201
    move(town, DAY)
    assert await status(town) is ProgrammeStatus.STOPPED

    before = await town.count("cards_card"), await town.count("ledger_transaction"), await town.count("sales_sale")
    for process in (0, 1):
        told = await town.load(card, 100, process=process)
        assert (told.status, told.body["code"]) == (409, "programme_stopped")
    issued = await cards.issue_card(
        app.pool, press, app.clock, book_id=town.book_id,
        new=NewCard(programme_id=town.programme.id, form=CardForm.DIGITAL),
    )  # fmt: skip
    refused(issued, "programme_stopped", "programme_id")
    activated = await cards.activate_card(app.pool, town.hand(), book_id=town.book_id, slots=SLOTS, card_id=waiting)
    refused(activated, "programme_stopped", "id")
    ordered = await cards.create_batch(
        app.pool, app.clock, app.ids, book_id=town.book_id, slots=SLOTS,
        new=NewBatch(programme_id=town.programme.id, name="c", form=CardForm.DIGITAL, card_count=3),
    )  # fmt: skip
    refused(ordered, "programme_stopped", "programme_id")
    ran = await cards.run_batch(app.pool, press, app.clock, book_id=town.book_id, batch_id=batch.id)
    refused(ran, "programme_stopped", "id")
    unfinished = await cards.unfinished_batches(app.pool, now=now(town))
    assert (town.book_id, batch.id) not in unfinished
    refused(await sell(), "programme_stopped", "lines[0].programme_id")
    refused(await pay(unpaid), "programme_stopped", "id")
    top_up = await sales.top_up(
        app.pool, app.desk, town.hand(), KEYRING, app.policy.rules, slots=SLOTS, book_id=town.book_id,
        new=NewTopUp(
            buyer=Buyer.PERSON, channel=Channel.COUNTER, contract_version="1", card_id=card, face_fen=500, payment=cash
        ),
        by=BY, key=key_of(town),
    )  # fmt: skip
    refused(top_up, "programme_stopped", "card_id")
    # what was paid and not delivered in time is not delivered, and can be given back
    waits = await sales.deliver_sale(
        app.pool, app.desk, town.hand(), slots=SLOTS, book_id=town.book_id, sale_id=paid.id, by=BY
    )
    assert isinstance(waits, Sale)
    assert waits.status is sales.SaleStatus.PAID
    back = await sales.refund_sale(
        app.pool, town.hand(), slots=SLOTS, book_id=town.book_id, sale_id=paid.id, reason="终止", by=BY,
        key=key_of(town), rules_of=town.apps[0].policy.rules,
    )  # fmt: skip
    assert isinstance(back, Sale)
    after = await town.count("cards_card"), await town.count("ledger_transaction"), await town.count("sales_sale")
    assert after == before

    purchase = await town.purchase(card, 300)
    assert purchase.status == 201
    held = await town.authorize(card, 200, expires_in_s=40 * 86_400)
    move(town, made.ends_at - now(town) - timedelta(seconds=1))
    assert (await town.purchase(card, 100, process=1)).status == 201
    move(town, timedelta(seconds=1))
    assert await status(town) is ProgrammeStatus.ENDED
    for process in (0, 1):
        told = await town.purchase(card, 100, process=process)
        assert (told.status, told.body["code"]) == (409, "programme_ended")
        told = await town.authorize(card, 100, process=process)
        assert (told.status, told.body["code"]) == (409, "programme_ended")
    # what was set aside in time is captured, and goods come back to the card
    assert (await town.capture(UUID(held.body["id"][4:]))).status == 200
    assert (await town.refund(UUID(purchase.body["id"][4:]))).status == 201
    assert await town.available_fen(card) == 1_200 - 100 - 200


async def test_no_load_is_recorded_after_the_stop_whichever_process_took_it(town: Town) -> None:
    loaded = [await town.new_card() for _ in range(6)]
    made = await ended(town)

    async def load(card: UUID, process: int) -> int:
        return sum([(await town.load(card, 1, process=process)).status == 201 for _ in range(8)])

    async def pass_time() -> None:
        for _ in range(30):
            await asyncio.sleep(0.005)
            move(town, timedelta(seconds=3))

    passing = asyncio.create_task(pass_time())
    counts = await asyncio.gather(*(load(card, n % 2) for n, card in enumerate(loaded)))
    await passing
    move(town, timedelta(minutes=1))
    async with town.apps[0].pool.connection() as connection:
        rows = await (
            await connection.execute(
                "SELECT count(*), max(recorded_at) FROM ledger_transaction WHERE book_id = %s AND kind = 'load'",
                [town.book_id],
            )
        ).fetchall()
    ((loads, newest),) = rows
    assert loads == sum(counts)
    assert loads == 0 or newest < made.stops_at
    assert (await town.load(loaded[0], 1)).body["code"] == "programme_stopped"


# --- who is told


async def test_holders_are_told_once_of_each_occasion_and_the_log_says_so(town: Town) -> None:
    app = town.apps[0]
    mine, anonymous, unused = (
        await town.new_card(load_fen=100),
        await town.new_card(),
        await town.new_card(active=False),
    )
    holder = await bind(town, mine)
    made = await ended(town, stops_at=now(town) + DAY, last_day=today(town) + 40 * DAY)
    assert sum(await asyncio.gather(tell(town), tell(town, process=1))) == 1
    assert await tell(town) == 0

    async def log(**search: Any) -> list[ending.Told]:
        page = await ending.list_told(
            app.pool, book_id=town.book_id, slots=SLOTS, end_id=made.id, search=ToldSearch(**search)
        )
        assert not isinstance(page, Refusal)
        return page.data

    (first,) = await log()
    assert (first.card_id, first.customer_id, first.occasion, first.days) == (mine, holder, Occasion.ANNOUNCED, 0)
    assert (first.delivery, first.delivered_at) == (DeliveryState.CONSOLE, None)
    notice = await get_notice(app.pool, book_id=town.book_id, slots=SLOTS, id_=first.notice_id)
    assert not isinstance(notice, Refusal)
    assert made.last_day.isoformat() in notice.notice.body
    assert made.announcement in notice.notice.body

    move(town, DAY)  # it stops; whoever runs the programme hears of it
    assert await tell(town) == 1
    assert await trail(town, "programme_end.stopped") == 1
    # sixty days were behind already when it was announced
    move(town, 32 * DAY)
    assert sum(await asyncio.gather(tell(town), tell(town, process=1))) == 1
    move(town, 6 * DAY)
    assert await tell(town, process=1) == 1
    assert [(told.occasion, told.days) for told in await log()] == [
        (Occasion.REMINDER, 1), (Occasion.REMINDER, 7), (Occasion.ANNOUNCED, 0),
    ]  # fmt: skip
    assert len(await log(occasion=Occasion.REMINDER, limit=1)) == 1
    assert await log(card_id=anonymous) == []
    move(town, 2 * DAY)
    assert await tell(town) == 1
    assert await trail(town, "programme_end.ended") == 1
    assert await tell(town) == 0
    page = await list_notices(app.pool, book_id=town.book_id, slots=SLOTS, search=NoticeSearch(event="programme.ended"))
    assert len(page.data) == 1
    assert await log(card_id=unused) == []


async def test_who_was_told_of_an_end_is_told_that_it_is_withdrawn(town: Town) -> None:
    app = town.apps[0]
    told, late = await town.new_card(), await town.new_card()
    await bind(town, told)
    made = await ended(town, stops_at=now(town) + DAY)
    await tell(town)
    await bind(town, late, "李雷")
    done = await withdraw_end(
        app.pool, app.clock, app.ids, book_id=town.book_id, end_id=made.id, reason="不停了", by=BY
    )
    assert isinstance(done, ProgrammeEnd)
    assert await tell(town) == 1
    assert await tell(town) == 0
    page = await ending.list_told(
        app.pool, book_id=town.book_id, slots=SLOTS, end_id=made.id, search=ToldSearch(occasion=Occasion.WITHDRAWN)
    )
    assert not isinstance(page, Refusal)
    assert [one.card_id for one in page.data] == [told]


async def test_a_publication_is_noted_once_and_tells_whether_it_was_in_time(town: Town) -> None:
    app = town.apps[0]
    made = await ended(town)

    async def publish(**new: Any) -> list[ending.Publication]:
        noted = await ending.note_publication(
            app.pool, app.clock, app.ids, book_id=town.book_id, end_id=made.id, new=NewPublication(**new), by=BY
        )
        assert not isinstance(noted, Refusal)
        return noted

    first: dict[str, Any] = {"medium": "解放日报", "reference": "2026-03-01 A4", "published_on": today(town)}
    await publish(**first)
    assert len(await publish(**first)) == 1
    late = await publish(medium="官网", reference="https://example.com", published_on=today(town) + 5 * DAY)
    assert [one.in_time for one in late] == [True, False]
    assert await trail(town, "programme_end.published") == 2
    unknown = await ending.note_publication(
        app.pool, app.clock, app.ids, book_id=town.book_id, end_id=UUID(int=1), new=NewPublication(**first), by=BY
    )
    refused(unknown, "not_found", "id")


# --- who is refunded


def account(name: str = "王敏", **more: Any) -> Payee:
    return Payee(
        **{
            "method": PayoutMethod.BANK_TRANSFER,
            "holder_name": name,
            "account_name": name,
            "account_number": "6222020200012345678",
            "bank_name": "某银行",
            **more,
        }
    )


async def give(town: Town, made: ProgrammeEnd, *given: GivenPayee) -> int | Refusal:
    app = town.apps[0]
    return await ending.give_payees(
        app.pool, app.clock, app.ids, KEYRING, book_id=town.book_id, slots=SLOTS, end_id=made.id, given=given, by=BY
    )


async def refunds(town: Town, made: ProgrammeEnd, **search: Any) -> dict[UUID, RefundLine]:
    app = town.apps[0]
    page = await ending.list_refunds(
        app.pool, KEYRING, app.clock, app.policy, book_id=town.book_id, slots=SLOTS, end_id=made.id,
        search=RefundSearch(**search),
    )  # fmt: skip
    assert not isinstance(page, Refusal)
    return {line.card_id: line for line in page.data}


async def test_the_rest_is_refunded_where_its_payee_is_known_and_the_rest_of_that_stays_owed(town: Town) -> None:
    app = town.apps[0]
    whole = await town.new_card(load_fen=10_000, bonus_fen=2_000)
    spent = await town.new_card(load_fen=10_000)
    nobody, empty = await town.new_card(load_fen=5_000), await town.new_card()
    await town.new_card(active=False)
    await bind(town, whole)
    assert (await town.purchase(spent, 4_000)).status == 201
    made = await ended(town)

    listed = await refunds(town, made)
    assert set(listed) == {whole, spent, nobody, empty}
    line = listed[whole]
    assert (line.paid_fen, line.given_fen, line.due_fen, line.interest_fen) == (10_000, 2_000, 10_000, 0)
    assert line.name_masked is not None
    assert "敏" not in line.name_masked
    assert line.phone_masked is not None
    assert "38001380" not in line.phone_masked
    assert (listed[spent].paid_fen, listed[spent].due_fen, listed[spent].name_masked) == (6_000, 6_000, None)
    assert (listed[empty].state, listed[nobody].state) == (RefundState.NOTHING, RefundState.OPEN)
    assert set(await refunds(town, made, which=Which.OWED)) == {whole, spent, nobody}
    assert len(await refunds(town, made, limit=2)) == 2

    for given, code, field in (
        ((GivenPayee(UUID(int=9), account()),), "not_found", "payees[0].card_id"),
        ((GivenPayee(whole, account(account_name="李雷")),), "payee_not_holder", "payees[0].account_name"),
        ((GivenPayee(whole, account(bank_name=None)),), "invalid_field", "payees[0].bank_name"),
        ((GivenPayee(whole, account()), GivenPayee(whole, account())), "invalid_field", "payees[1].card_id"),
    ):
        refused(await give(town, made, *given), code, field)
    assert {line.state for line in (await refunds(town, made)).values()} == {RefundState.OPEN, RefundState.NOTHING}
    assert await give(town, made, GivenPayee(whole, account("王")), GivenPayee(spent, account("李雷"))) == 2
    assert await give(town, made, GivenPayee(whole, account())) == 1  # corrected
    assert await refund_ended(town) == 0  # nobody is refunded before the last day is over
    held = await town.authorize(spent, 1_000, expires_in_s=30 * 86_400 - 60)

    move(town, made.ends_at - now(town))
    move(town, 10 * DAY)
    before = await town.count("closing_closure")
    assert sum(await asyncio.gather(refund_ended(town), refund_ended(town, process=1))) == 2 - 1
    assert await town.count("closing_closure") == before + 1
    listed = await refunds(town, made)
    assert (listed[spent].state, listed[spent].problem) == (RefundState.REFUSED, "card_has_authorizations")
    interest_fen = 10_000 * 300 * 10 // (10_000 * 365)
    assert (listed[whole].state, listed[whole].status) == (RefundState.CLOSED, CardStatus.CLOSED)
    assert listed[whole].due_fen == 10_000 + listed[whole].interest_fen
    assert abs(listed[whole].interest_fen - interest_fen) <= 1
    assert listed[whole].account_last4 == "5678"
    assert await refund_ended(town) == 0  # what was refused waits
    assert (await town.void(UUID(held.body["id"][4:]))).status in (200, 409)
    move(town, timedelta(hours=2))
    assert await refund_ended(town) == 1
    assert await refund_ended(town) == 0

    page = await closing.list_payouts(app.pool, book_id=town.book_id, slots=SLOTS, search=PayoutSearch())
    assert {payout.card_id for payout in page.data} == {whole, spent}
    owed = await ending.get_liability(app.pool, book_id=town.book_id, slots=SLOTS, end_id=made.id)
    assert not isinstance(owed, Refusal)
    assert (owed.open_cards, owed.paid_fen, owed.given_fen) == (1, 5_000, 0)
    assert (owed.closed_cards, owed.paid_out_fen, owed.payees_known, owed.payees_refused) == (2, 0, 2, 0)
    assert owed.refunded_fen == sum(payout.amount_fen for payout in page.data)
    assert set(await refunds(town, made, which=Which.OWED)) == {nobody}
    assert await town.available_fen(nobody) == 5_000


async def test_the_list_is_a_file_that_spreadsheets_open(town: Town) -> None:
    app = town.apps[0]
    ours = {await town.new_card(load_fen=100 + n) for n in range(3)}
    made = await ended(town)

    async def file(form: RefundFile) -> bytes:
        lines = ending.each_refund(app.pool, KEYRING, app.clock, app.policy, made, slots=SLOTS)
        return await ending.write_refunds(lines, form)

    text = (await file(RefundFile.CSV)).decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text)))
    assert len(rows) == 1 + len(ours)
    assert sorted(row[7] for row in rows[1:]) == ["100", "101", "102"]
    sheet = load_workbook(io.BytesIO(await file(RefundFile.XLSX)), read_only=True).worksheets[0]
    told = list(sheet.iter_rows(values_only=True))
    width = len(rows[0])
    assert [["" if cell is None else str(cell) for cell in row] + [""] * (width - len(row)) for row in told] == rows


async def test_a_withdrawn_end_refunds_nobody_and_books_do_not_see_each_other(town: Town, own_database: str) -> None:
    app = town.apps[0]
    card = await town.new_card(load_fen=100)
    made = await ended(town, stops_at=now(town) + DAY)
    assert await give(town, made, GivenPayee(card, account())) == 1
    done = await withdraw_end(
        app.pool, app.clock, app.ids, book_id=town.book_id, end_id=made.id, reason="不停了", by=BY
    )
    assert isinstance(done, ProgrammeEnd)
    refused(await give(town, made, GivenPayee(card, account())), "end_withdrawn", "id")
    move(town, 60 * DAY)
    assert await refund_ended(town) == 0
    assert await town.available_fen(card) == 100

    stranger = await Town.found(own_database, clock=HandClock(), slots=SLOTS)
    try:
        found = await ending.get_liability(app.pool, book_id=stranger.book_id, slots=SLOTS, end_id=made.id)
        refused(found, "not_found", "id")
        taken = await withdraw_end(
            app.pool, app.clock, app.ids, book_id=stranger.book_id, end_id=made.id, reason="x", by=OTHER
        )
        refused(taken, "not_found", "id")
    finally:
        await stranger.close()


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        ("UPDATE cards_programme_end SET announced_at = '2026-02-01', stops_at = '2026-02-02'",
         {"issued", "activated", "load"}),
        ("UPDATE cards_programme_end SET announced_at = '2026-02-01', stops_at = '2026-02-02', ends_at = '2026-02-03'",
         {"issued", "activated", "load", "purchase"}),
        ("UPDATE cards_programme_end SET last_day = '2026-03-10'", {"days of notice"}),
    ],
)  # fmt: skip
async def test_the_audit_sees_what_came_after_the_stop(own_database: str, damage: str, what: set[str]) -> None:
    town = await Town.found(own_database, clock=HandClock(), slots=SLOTS)
    try:
        card = await town.new_card(load_fen=1_000)
        assert (await town.purchase(card, 100)).status == 201
        await ended(town)
    finally:
        await town.close()
    await audits_hold(own_database)
    with psycopg.connect(own_database, autocommit=True) as connection:
        connection.execute(damage.encode())
    report = await run_audits(own_database)
    found = [audit for audit in report.audits if not audit.holds]
    assert [audit.name for audit in found] == ["programme_ends"]
    assert {finding.what for finding in found[0].findings} == what
