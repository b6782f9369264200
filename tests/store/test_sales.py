"""Sales on a real database: judged, paid, delivered once, taken back whole; the register, and races."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace
from tests.conftest import make_database
from tests.town import KEYRING, HandClock, Town, any_customer, audits_hold

from kaquan import cards, closing, sales
from kaquan.app import App
from kaquan.cards import Activation, CardForm, CardStatus, NewBatch, Pocket, Press
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import RequestKey, forget_answers, hash_key, hash_request
from kaquan.parties.customers import Customer, Document, NewCustomer, create_customer
from kaquan.parties.identity import DocumentKind
from kaquan.parties.trail import ActionSearch, Actor, list_actions
from kaquan.payments import PaymentKind, PaymentSearch, list_payments
from kaquan.policy import Buyer, Channel
from kaquan.sales import (
    BankAccount,
    ItemStatus,
    NewLine,
    NewPayment,
    NewSale,
    NewTopUp,
    PayMethod,
    Sale,
    SaleKind,
    SaleSearch,
    SaleStatus,
)

SLOTS = (3, 40)
BY = Actor(UUID(int=71), UUID(int=70))
PAYER = BankAccount(account_name="王敏", account_number="6222020200012345678", bank_name="某银行")
PAYEE = BankAccount(account_name="发卡方", account_number="1234567890123", bank_name="另一银行")


@pytest.fixture(scope="module")
def own_database(server: str) -> str:
    """The worker looks at every book of a database, so these tests have one of their own."""
    return make_database(server, f"test_sales_{os.getpid()}", SLOTS)


@pytest.fixture
async def town(own_database: str) -> AsyncIterator[Town]:
    town = await Town.found(
        own_database,
        clock=HandClock(),
        slots=SLOTS,
        processes=2,
        activation=Activation.PAID_SALE,
        max_balance_fen=100_000,
        denominations_fen=(50_000, 100_000),
        custom_range_fen=(1_000, 20_000),
    )
    yield town
    await town.close()
    await audits_hold(own_database)


def key_of(town: Town, name: str | None = None, body: bytes = b"") -> RequestKey:
    name = name or town.ids.new().hex
    return RequestKey(name, hash_key(town.book_id, name), hash_request("POST", "sales", body))


def press(app: App) -> Press:
    return Press(KEYRING, app.slots, app.ids)


def line(town: Town, face_fen: int = 50_000, count: int | None = 1, **more: Any) -> NewLine:
    fields = {"price_fen": face_fen, "card_count": count, **more}
    return NewLine(programme_id=town.programme.id, face_fen=face_fen, **fields)


def order(*lines: NewLine, **more: Any) -> NewSale:
    return NewSale(
        **{
            "buyer": Buyer.PERSON,
            "channel": Channel.COUNTER,
            "contract_version": "2026-01",
            "lines": lines,
            **more,
        }
    )


async def sell(town: Town, new: NewSale, *, process: int = 0, key: RequestKey | None = None) -> Sale | Refusal:
    app = town.apps[process]
    return await sales.create_sale(
        app.pool, press(app), app.clock, app.ids, KEYRING, app.policy.rules, book_id=town.book_id, new=new, by=BY,
        key=key or key_of(town),
    )  # fmt: skip


async def sold(town: Town, new: NewSale, **how: Any) -> Sale:
    made = await sell(town, new, **how)
    assert isinstance(made, Sale), made.message()
    return made


async def pay(
    town: Town,
    sale: Sale,
    amount_fen: int | None = None,
    *,
    key: RequestKey | None = None,
    process: int = 0,
    **more: Any,
) -> Sale | Refusal:
    app = town.apps[process]
    new = NewPayment(**{"method": PayMethod.CASH, "amount_fen": amount_fen or sale.price_fen, **more})
    return await sales.pay_sale(
        app.pool, app.clock, app.ids, KEYRING, app.policy.rules, book_id=town.book_id, sale_id=sale.id, new=new, by=BY,
        key=key or key_of(town),
    )  # fmt: skip


async def deliver(town: Town, sale: Sale, *, process: int = 0, retry: bool = False) -> Sale | Refusal:
    app = town.apps[process]
    return await sales.deliver_sale(
        app.pool, app.desk, town.hand(process), slots=SLOTS, book_id=town.book_id, sale_id=sale.id, by=BY, retry=retry
    )


async def delivered(town: Town, *lines: NewLine, **more: Any) -> Sale:
    """A sale that is paid and delivered."""
    sale = await sold(town, order(*lines, **more))
    assert isinstance(await pay(town, sale), Sale)
    done = await deliver(town, sale)
    assert isinstance(done, Sale)
    assert done.status is SaleStatus.DELIVERED
    return done


async def refund(town: Town, sale: Sale, *, key: RequestKey | None = None, process: int = 0) -> Sale | Refusal:
    return await sales.refund_sale(
        town.apps[process].pool, town.hand(process), slots=SLOTS, book_id=town.book_id, sale_id=sale.id,
        reason="退货", by=BY, key=key or key_of(town), rules_of=town.apps[process].policy.rules,
    )  # fmt: skip


async def cards_of(town: Town, sale: Sale) -> list[sales.Item]:
    page = await sales.list_sale_cards(town.apps[0].pool, book_id=town.book_id, slots=SLOTS, sale_id=sale.id, limit=200)
    assert not isinstance(page, Refusal)
    return page.data


async def card(town: Town, card_id: UUID) -> cards.Card:
    found = await cards.get_card(town.apps[0].pool, book_id=town.book_id, slots=SLOTS, card_id=card_id)
    assert isinstance(found, cards.Card)
    return found


async def loads_of(town: Town, card_id: UUID) -> list[tuple[int, int]]:
    page = await list_payments(
        town.apps[0].pool, book_id=town.book_id, slots=SLOTS, kind=PaymentKind.LOAD,
        search=PaymentSearch(card_id=card_id),
    )  # fmt: skip
    return [(load.amount_fen, load.bonus_fen) for load in page.data]


async def person(town: Town, *, level: str = "none", document: str | None = None) -> Customer:
    """A customer, taken to be at ``level`` by who made the database."""
    app = town.apps[0]
    shown = None if document is None else Document(DocumentKind.RESIDENT_ID, document)
    made = await create_customer(
        app.pool, KEYRING, app.clock, app.ids, book_id=town.book_id, new=NewCustomer("王敏", "13912345678", shown)
    )
    assert isinstance(made, Customer)
    async with app.pool.connection() as connection:
        await connection.execute(
            "UPDATE parties_customer SET level = %s WHERE book_id = %s AND id = %s", (level, town.book_id, made.id)
        )
    return made


async def state(town: Town) -> Mapping[str, Any]:
    """Everything that a refusal must leave as it is."""
    tables = ("sales_payment", "sales_buyer", "ledger_transaction", "cards_event", "parties_audit")
    found: dict[str, Any] = {table: await town.count(table) for table in tables}
    async with town.apps[0].pool.connection() as connection:
        for statement in (
            "SELECT id, version, status FROM sales_sale ORDER BY id",
            "SELECT card_id, sale_id, status, tries FROM sales_item ORDER BY 1, 2",
        ):
            found[statement] = await (await connection.execute(statement.encode())).fetchall()
    return found


async def refused(town: Town, work: Callable[[], Awaitable[object]], code: str, field: str | None = None) -> Refusal:
    """Assert that ``work`` is refused like this, and that nothing moved."""
    before = await state(town)
    result = await work()
    assert isinstance(result, Refusal), result
    assert (result.code, result.field) == (code, field), result.message()
    assert await state(town) == before
    return result


# --- a sale from beginning to end


async def test_a_sale_is_paid_and_then_its_cards_are_active_with_their_face(town: Town) -> None:
    sale = await sold(town, order(line(town, 50_000, 2, price_fen=48_000), line(town, 1_500)))
    assert (sale.status, sale.card_count, sale.face_fen, sale.price_fen) == (SaleStatus.OPEN, 3, 101_500, 97_500)
    for item in await cards_of(town, sale):
        assert (await card(town, item.card_id)).status is CardStatus.ISSUED
    await refused(town, lambda: deliver(town, sale), "sale_status_forbids", "id")

    part = await pay(town, sale, 90_000)
    assert isinstance(part, Sale)
    assert (part.status, part.paid_fen) == (SaleStatus.OPEN, 90_000)
    await refused(town, lambda: pay(town, sale, 7_501), "payment_exceeds_sale", "amount_fen")
    whole = await pay(town, sale, 7_500, method=PayMethod.BANK_TRANSFER, payer=PAYER, payee=PAYEE, reference="回单 7")
    assert isinstance(whole, Sale)
    assert whole.status is SaleStatus.PAID
    await refused(town, lambda: pay(town, sale, 1), "sale_status_forbids", "id")

    done = await deliver(town, sale)
    assert isinstance(done, Sale)
    assert done.status is SaleStatus.DELIVERED
    for item in await cards_of(town, sale):
        assert item.status is ItemStatus.DELIVERED
        assert (await card(town, item.card_id)).status is CardStatus.ACTIVE
        held = await town.held(item.card_id)
        assert held["card_principal"].posted_fen == item.price_fen
        assert held["card_bonus"].posted_fen == item.bonus_fen
        assert await loads_of(town, item.card_id) == [(item.price_fen, item.bonus_fen)]
    assert await deliver(town, sale) == done
    kinds = [
        action.kind
        for action in (
            await list_actions(
                town.apps[0].pool, book_id=town.book_id,
                search=ActionSearch(subject=show_id(Prefix.SALE, sale.id)),
            )
        ).data
    ]  # fmt: skip
    assert kinds == ["sale.delivered", "sale.paid", "sale.paid_in_part", "sale.created"]


async def test_cards_of_a_batch_are_sold_by_number_or_by_count(town: Town) -> None:
    app = town.apps[0]
    batch = await cards.create_batch(
        app.pool, app.clock, app.ids, book_id=town.book_id, slots=SLOTS,
        new=NewBatch(programme_id=town.programme.id, name="实体卡", form=CardForm.PHYSICAL, card_count=5),
    )  # fmt: skip
    assert isinstance(batch, cards.Batch)
    by_count = order(line(town, batch_id=batch.id, count=3))
    await refused(town, lambda: sell(town, by_count), "sale_status_forbids", "lines[0].batch_id")
    await cards.run_batch(app.pool, press(app), app.clock, book_id=town.book_id, batch_id=batch.id)
    first = {item.card_id for item in await cards_of(town, await sold(town, by_count))}
    assert len(first) == 3
    await refused(town, lambda: sell(town, by_count), "not_enough_cards", "lines[0].card_count")
    taken = min(first)
    await refused(
        town, lambda: sell(town, order(line(town, count=None, card_ids=(taken,)))), "card_not_for_sale",
        "lines[0].card_ids[0]",
    )  # fmt: skip
    rest = await sold(town, order(line(town, batch_id=batch.id, count=1), line(town, batch_id=batch.id, count=1)))
    assert first.isdisjoint({item.card_id for item in await cards_of(town, rest)})


async def test_a_batch_that_was_made_for_a_face_is_sold_with_no_other(town: Town) -> None:
    app = town.apps[0]

    async def make(face_fen: int) -> cards.Batch | Refusal:
        new = NewBatch(
            programme_id=town.programme.id, name="五百面值", form=CardForm.PHYSICAL, card_count=2, face_fen=face_fen
        )
        return await cards.create_batch(
            app.pool, app.clock, app.ids, book_id=town.book_id, slots=SLOTS, new=new
        )  # fmt: skip

    told = await refused(town, lambda: make(30_000), "face_value_not_allowed", "face_fen")
    assert "50000" in told.message()
    batch = await make(50_000)
    assert isinstance(batch, cards.Batch)
    done = await cards.run_batch(app.pool, press(app), app.clock, book_id=town.book_id, batch_id=batch.id)
    assert isinstance(done, cards.Batch)
    assert done.face_fen == 50_000
    by_count = order(line(town, 100_000, 1, batch_id=batch.id))
    await refused(town, lambda: sell(town, by_count), "face_value_not_allowed", "lines[0].face_fen")
    page = await cards.list_cards(app.pool, book_id=town.book_id, slots=SLOTS, search=cards.Search(batch_id=batch.id))
    one, other = (card.id for card in page.data)
    by_name = order(line(town, 100_000, None, card_ids=(one,)))
    await refused(town, lambda: sell(town, by_name), "face_value_not_allowed", "lines[0].face_fen")
    await sold(town, order(line(town, 50_000, None, card_ids=(other,), price_fen=49_000)))
    await sold(town, order(line(town, 50_000, 1, batch_id=batch.id)))


async def test_a_key_makes_one_sale_and_one_payment(town: Town) -> None:
    key, new = key_of(town, "one-sale"), order(line(town))
    sale = await sold(town, new, key=key)
    assert await sell(town, new, key=key, process=1) == sale
    other = key_of(town, "one-sale", b"other")
    await refused(town, lambda: sell(town, new, key=other), "idempotency_key_reused", "Idempotency-Key")
    paying = key_of(town, "one-payment")
    first = await pay(town, sale, 20_000, key=paying)
    assert await pay(town, sale, 20_000, key=paying, process=1) == first
    assert isinstance(first, Sale)
    assert first.paid_fen == 20_000
    other = key_of(town, "one-payment", b"other")
    await refused(town, lambda: pay(town, sale, 20_000, key=other), "idempotency_key_reused", "Idempotency-Key")


# --- activation by a paid sale alone


async def test_only_a_sale_activates_and_loads_such_cards(town: Town) -> None:
    card_id = await town.new_card(active=False)
    app = town.apps[0]

    async def activate() -> object:
        return await cards.activate_card(app.pool, town.hand(), book_id=town.book_id, slots=SLOTS, card_id=card_id)

    await refused(town, activate, "sale_required", "id")
    assert (await card(town, card_id)).status is CardStatus.ISSUED
    await delivered(town, line(town, count=None, card_ids=(card_id,)))
    told = await town.load(card_id, 1_000)
    assert (told.status, told.code) == (409, "sale_required")
    assert await town.available_fen(card_id) == 50_000
    # asked again, an active card is as active as it was
    assert isinstance(await activate(), cards.Card)


# --- what is refused


@pytest.mark.parametrize(
    ("face_fen", "field"), [(50_001, "lines[0].face_fen"), (999, "lines[0].face_fen"), (20_001, "lines[0].face_fen")]
)
async def test_cards_are_sold_with_the_faces_of_their_terms(town: Town, face_fen: int, field: str) -> None:
    await refused(town, lambda: sell(town, order(line(town, face_fen))), "face_value_not_allowed", field)
    for allowed_fen in (1_000, 20_000, 50_000, 100_000):
        await sold(town, order(line(town, allowed_fen)))


async def test_lines_are_looked_at_by_themselves(town: Town) -> None:
    card_id = await town.new_card(active=False)
    wrong: list[tuple[NewLine, str]] = [
        (line(town, price_fen=50_001), "lines[0].price_fen"),
        (line(town, price_fen=0), "lines[0].price_fen"),
        (line(town, count=None), "lines[0].card_ids"),
        (line(town, count=1, card_ids=(card_id,)), "lines[0].card_ids"),
        (line(town, count=0), "lines[0].card_count"),
        (line(town, count=None, card_ids=(card_id, card_id)), "lines[0].card_ids"),
        (line(town, count=sales.MAX_SALE_CARDS + 1), "lines"),
    ]
    for one, field in wrong:
        await refused(town, lambda one=one: sell(town, order(one)), "invalid_field", field)  # type: ignore[misc]
    await refused(town, lambda: sell(town, order()), "invalid_field", "lines")
    unknown = replace(line(town), programme_id=card_id)
    await refused(town, lambda: sell(town, order(unknown)), "not_found", "lines[0].programme_id")
    nobody = line(town, count=None, card_ids=(town.programme.id,))
    await refused(town, lambda: sell(town, order(nobody)), "not_found", "lines[0].card_ids[0]")
    await refused(town, lambda: sell(town, order(line(town), customer_id=card_id)), "not_found", "customer_id")


async def test_the_rules_are_asked_at_the_sale_and_at_the_payment(town: Town) -> None:
    bulk = order(line(town, 100_000, 10))
    told = await refused(town, lambda: sell(town, bulk), "real_name_required", "customer_id")
    assert told.details["rule"] == "CN-SP-KYC-02"
    bare = order(line(town), contract_version=None)
    await refused(town, lambda: sell(town, bare), "contract_required", "contract_version")
    firm = await sold(town, order(line(town, 50_000, 10), buyer=Buyer.ORGANISATION))
    told = await refused(town, lambda: pay(town, firm), "cash_refused", "method")
    assert told.details["rule"] == "CN-SP-CASH-01"
    transfer: dict[str, Any] = {"method": PayMethod.BANK_TRANSFER, "payer": PAYER}
    await refused(town, lambda: pay(town, firm, **transfer), "transfer_accounts_required", "payer")
    assert isinstance(await pay(town, firm, **transfer, payee=PAYEE), Sale)


# --- one buyer at one moment


async def test_two_sales_at_one_moment_do_not_both_slip_under_the_line(town: Town) -> None:
    """Six at once of a buyer who is not identified: together they stay below the line."""
    who = await person(town)
    new = order(line(town, 100_000, 4), customer_id=who.id)
    results = await asyncio.gather(*(sell(town, new, process=n % 2) for n in range(6)))
    made = [one for one in results if isinstance(one, Sale)]
    assert [one.code for one in results if isinstance(one, Refusal)] == ["real_name_required"] * 4
    assert len(made) == 2
    assert sum(sale.face_fen for sale in made) == 800_000
    # a sale that is given up gives its room back
    app = town.apps[0]
    done = await sales.cancel_sale(
        app.pool, town.hand(), slots=SLOTS, book_id=town.book_id, sale_id=made[0].id, reason="不要了", by=BY,
        key=key_of(town),
    )  # fmt: skip
    assert isinstance(done, Sale)
    assert isinstance(await sell(town, new), Sale)
    await refused(town, lambda: sell(town, new), "real_name_required", "customer_id")
    # another day is another day, in the issuer's zone
    clock = app.clock
    assert isinstance(clock, HandClock)
    clock.move(timedelta(hours=7))  # 17:30 UTC is past midnight in Shanghai
    assert isinstance(await sell(town, new), Sale)


async def test_a_card_is_sold_once_also_at_one_moment(town: Town) -> None:
    card_id = await town.new_card(active=False)
    new = order(line(town, count=None, card_ids=(card_id,)))
    results = await asyncio.gather(*(sell(town, new, process=n % 2) for n in range(4)))
    assert [type(one) for one in results].count(Sale) == 1
    assert {one.code for one in results if isinstance(one, Refusal)} == {"card_not_for_sale"}


async def test_payments_at_one_moment_never_exceed_the_price(town: Town) -> None:
    sale = await sold(town, order(line(town)))
    results = await asyncio.gather(*(pay(town, sale, 30_000, process=n % 2) for n in range(4)))
    assert [type(one) for one in results].count(Sale) == 1
    assert {one.code for one in results if isinstance(one, Refusal)} == {"payment_exceeds_sale"}


# --- delivery


async def test_deliveries_at_one_moment_load_each_card_once(town: Town) -> None:
    sale = await sold(town, order(line(town, 1_000, 12)))
    await pay(town, sale)
    results = await asyncio.gather(*(deliver(town, sale, process=n % 2) for n in range(4)))
    assert all(isinstance(one, Sale) and one.status is SaleStatus.DELIVERED for one in results), results
    for item in await cards_of(town, sale):
        assert await loads_of(town, item.card_id) == [(1_000, 0)]


@pytest.mark.parametrize("stopped_after", ["activated", "loaded", "marked"])
async def test_a_delivery_that_was_killed_goes_on_where_it_was(town: Town, stopped_after: str) -> None:
    app = town.apps[0]
    await sales.deliver_sales(app.pool, app.desk, town.hand(), slots=SLOTS)  # what other tests left
    sale = await sold(town, order(line(town, 1_000, 3)))
    paid = await pay(town, sale)
    assert isinstance(paid, Sale)
    first, *_ = await cards_of(town, sale)
    await cards.activate_card(
        app.pool, town.hand(), book_id=town.book_id, slots=SLOTS, card_id=first.card_id, sale_id=sale.id
    )
    if stopped_after != "activated":
        await sales.load_item(app.desk, paid, first)
    if stopped_after == "marked":
        assert await sales.deliver_item(app.pool, app.desk, town.hand(), SLOTS, paid, first)
    assert await sales.deliver_sales(
        town.apps[1].pool, town.apps[1].desk, town.hand(1), slots=SLOTS
    ) == 1  # fmt: skip
    for item in await cards_of(town, sale):
        assert (item.status, await loads_of(town, item.card_id)) == (ItemStatus.DELIVERED, [(1_000, 0)])
    assert await sales.deliver_sales(app.pool, app.desk, town.hand(), slots=SLOTS) == 0


async def test_a_delivery_that_stood_still_until_its_keys_were_forgotten_loads_nothing_again(town: Town) -> None:
    app = town.apps[0]
    sale = await sold(town, order(line(town, 1_000, 2)))
    paid = await pay(town, sale)
    assert isinstance(paid, Sale)
    first, *_ = await cards_of(town, sale)
    await cards.activate_card(
        app.pool, town.hand(), book_id=town.book_id, slots=SLOTS, card_id=first.card_id, sale_id=sale.id
    )
    await sales.load_item(app.desk, paid, first)
    assert isinstance(app.clock, HandClock)
    app.clock.move(timedelta(days=31))
    assert await forget_answers(app.pool, SLOTS, before=app.clock.now() - timedelta(days=30)) > 0
    done = await deliver(town, sale)
    assert isinstance(done, Sale)
    assert done.status is SaleStatus.DELIVERED
    for item in await cards_of(town, sale):
        assert await loads_of(town, item.card_id) == [(1_000, 0)]


def taking(town: Town, card_id: UUID, *, process: int = 0, **of: UUID) -> dict[str, Callable[[], Awaitable[object]]]:
    """What somebody may try with a card that is set aside for a sale; ``of`` names a card that it could replace."""
    app, hand = town.apps[process], town.hand(process)
    about: dict[str, Any] = {"book_id": town.book_id, "slots": SLOTS}
    one = {**about, "card_id": card_id}
    ask = closing.RefundAsk(cause=closing.Cause.WITHDRAWAL)

    async def rules_of(*_: object) -> closing.RulesError:
        return closing.RulesError("base", "base", "base")

    return {
        "activate": lambda: cards.activate_card(app.pool, hand, **one, sale_id=UUID(int=4)),
        "register": lambda: cards.register_card(app.pool, hand, any_customer, **one, customer_id=UUID(int=5)),
        "replace": lambda: cards.replace_card(app.pool, hand, press(app), **one, reason="损坏"),
        "take its place": lambda: cards.replace_card(
            app.pool, hand, press(app), **about, card_id=of["lost"], new_card_id=card_id, reason="损坏"
        ),
        "give": lambda: cards.offer_gift(app.pool, hand, KEYRING, **one, message=None),
        "close": lambda: closing.get_quote(app.pool, app.clock, rules_of, **one, ask=ask),
    }


async def test_a_card_of_an_open_sale_is_nobody_elses(town: Town) -> None:
    mine = await delivered(town, line(town, 1_000))
    lost = (await cards_of(town, mine))[0].card_id
    sale = await sold(town, order(line(town, 1_000)))
    taken = (await cards_of(town, sale))[0].card_id
    assert (await card(town, taken)).sale_id == sale.id
    fields = {"take its place": "new_card_id", "close": "id"}
    for what, attempt in taking(town, taken, lost=lost).items():
        await refused(town, attempt, "card_in_sale", fields.get(what))
    await pay(town, sale)
    await refused(town, taking(town, taken, lost=lost)["take its place"], "card_in_sale", "new_card_id")
    # a block protects it there too, and the sale waits
    await town.block(taken)
    assert isinstance(await deliver(town, sale), Sale)
    assert [item.failure for item in await cards_of(town, sale)] == ["card_blocked"]
    assert (await card(town, taken)).sale_id == sale.id
    await town.unblock(taken)
    done = await deliver(town, sale, retry=True)
    assert isinstance(done, Sale)
    assert done.status is SaleStatus.DELIVERED
    assert (await card(town, taken)).sale_id is None
    assert isinstance(await taking(town, taken)["register"](), cards.Card)
    page = await cards.list_events(town.apps[0].pool, book_id=town.book_id, slots=SLOTS, card_id=taken, limit=9)
    assert not isinstance(page, Refusal)
    kinds = [event.kind.value for event in reversed(page[1])]
    assert kinds == ["set_aside", "blocked", "unblocked", "activated", "sold", "registered"]


async def test_a_sale_and_who_takes_its_card_at_one_moment(town: Town) -> None:
    """One of both comes first, whatever it is that the other wants."""
    for n in range(10):
        mine = await delivered(town, line(town, 1_000))
        lost = (await cards_of(town, mine))[0].card_id
        card_id = await town.new_card(active=False)
        new = order(line(town, 1_000, None, card_ids=(card_id,)))
        others = taking(town, card_id, process=n % 2, lost=lost)
        made, other = await asyncio.gather(
            sell(town, new, process=1 - n % 2), others["take its place" if n % 3 else "register"]()
        )
        if isinstance(made, Sale):
            assert isinstance(other, Refusal)
            assert other.code == "card_in_sale"
            await pay(town, made)
            done = await deliver(town, made)
            assert isinstance(done, Sale)
            assert done.status is SaleStatus.DELIVERED
        else:
            assert made.code == "card_not_for_sale"
            assert not isinstance(other, Refusal)
            assert (await card(town, card_id)).sale_id is None


async def test_a_card_that_cannot_be_delivered_waits_until_somebody_asks(town: Town) -> None:
    sale = await sold(town, order(line(town, 1_000, 2)))
    await pay(town, sale)
    blocked = (await cards_of(town, sale))[0].card_id
    await town.block(blocked)
    kept = await deliver(town, sale)
    assert isinstance(kept, Sale)
    assert kept.status is SaleStatus.PAID
    states = {item.card_id: (item.status, item.failure) for item in await cards_of(town, sale)}
    assert states.pop(blocked) == (ItemStatus.FAILED, "card_blocked")
    assert list(states.values()) == [(ItemStatus.DELIVERED, None)]
    await town.unblock(blocked)
    waiting = await deliver(town, sale)
    assert isinstance(waiting, Sale)
    assert waiting.status is SaleStatus.PAID
    done = await deliver(town, sale, retry=True)
    assert isinstance(done, Sale)
    assert done.status is SaleStatus.DELIVERED
    assert await loads_of(town, blocked) == [(1_000, 0)]


# --- taken back


async def test_a_refund_closes_unused_cards_and_takes_their_value_back(town: Town) -> None:
    sale = await delivered(town, line(town, 50_000, 3, price_fen=48_000))
    before = await town.held(town.issuer.id)
    key = key_of(town, "one-refund")
    done = await refund(town, sale, key=key)
    assert isinstance(done, Sale)
    assert (done.status, done.end_reason) == (SaleStatus.REFUNDED, "退货")
    after = await town.held(town.issuer.id)
    assert after["load_clearing"].posted_fen - before["load_clearing"].posted_fen == 3 * 48_000
    assert after["bonus_expense"].posted_fen - before["bonus_expense"].posted_fen == 3 * 2_000
    for item in await cards_of(town, sale):
        assert item.status is ItemStatus.REFUNDED
        assert (await card(town, item.card_id)).status is CardStatus.CLOSED
        assert await town.available_fen(item.card_id) == 0
        assert (await town.purchase(item.card_id, 1)).code == "card_closed"
        again = order(line(town, count=None, card_ids=(item.card_id,)))
        await refused(town, lambda again=again: sell(town, again), "card_not_for_sale", "lines[0].card_ids[0]")  # type: ignore[misc]
    assert await refund(town, sale, key=key) == done
    await refused(town, lambda: refund(town, sale), "sale_status_forbids", "id")


async def test_a_sale_of_which_a_card_was_used_is_not_taken_back(town: Town) -> None:
    sale = await delivered(town, line(town, 1_000, 3))
    used = (await cards_of(town, sale))[1].card_id
    spent = await town.purchase(used, 1)
    assert spent.status == 201
    told = await refused(town, lambda: refund(town, sale), "sale_card_used", "id")
    assert told.details["card_id"] == show_id(Prefix.CARD, used)
    assert {(await card(town, item.card_id)).status for item in await cards_of(town, sale)} == {CardStatus.ACTIVE}
    # what came back to the very lot that it was spent from is not spent
    await town.refund(spent.payment_id)
    held = await town.authorize(used, 1)
    await refused(town, lambda: refund(town, sale), "sale_card_used", "id")
    await town.void(held.payment_id)
    assert isinstance(await refund(town, sale), Sale)


async def test_a_refund_and_spends_at_one_moment(town: Town) -> None:
    """Either the card was spent and the sale stands, or the sale was taken back and nothing was spent."""
    for _ in range(4):
        sale = await delivered(town, line(town, 1_000, 2))
        card_id = (await cards_of(town, sale))[0].card_id
        taken, spent = await asyncio.gather(refund(town, sale), town.purchase(card_id, 600, process=1))
        if isinstance(taken, Sale):
            assert spent.code == "card_closed"
            assert await town.available_fen(card_id) == 0
        else:
            assert taken.code == "sale_card_used"
            assert spent.status == 201
            assert await town.available_fen(card_id) == 400


async def test_a_refund_and_a_delivery_at_one_moment(town: Town) -> None:
    for _ in range(4):
        sale = await sold(town, order(line(town, 1_000, 6)))
        await pay(town, sale)
        taken, _ = await asyncio.gather(refund(town, sale), deliver(town, sale, process=1))
        assert isinstance(taken, Sale), taken.message()
        for item in await cards_of(town, sale):
            assert item.status is ItemStatus.REFUNDED
            assert (await card(town, item.card_id)).status is CardStatus.CLOSED
            assert await town.available_fen(item.card_id) == 0


async def test_a_sale_that_is_given_up_frees_its_cards(town: Town) -> None:
    card_id = await town.new_card(active=False)
    new = order(line(town, count=None, card_ids=(card_id,)))
    sale = await sold(town, new)

    async def cancel() -> Sale | Refusal:
        return await sales.cancel_sale(
            town.apps[0].pool, town.hand(), slots=SLOTS, book_id=town.book_id, sale_id=sale.id, reason="不要了", by=BY,
            key=key_of(town),
        )  # fmt: skip

    await refused(town, lambda: refund(town, sale), "sale_status_forbids", "id")
    done = await cancel()
    assert isinstance(done, Sale)
    assert done.status is SaleStatus.CANCELLED
    assert (await card(town, card_id)).sale_id is None
    await refused(town, cancel, "sale_status_forbids", "id")
    await refused(town, lambda: pay(town, sale), "sale_status_forbids", "id")
    await refused(town, lambda: deliver(town, sale), "sale_status_forbids", "id")
    assert isinstance(await sell(town, new), Sale)


async def test_a_sale_that_nobody_pays_ends_by_itself(town: Town) -> None:
    app = town.apps[0]
    assert isinstance(app.clock, HandClock)
    card_id, other_id = [await town.new_card(active=False) for _ in range(2)]
    unpaid = await sold(town, order(line(town, 1_000, None, card_ids=(card_id,)), expires_in_s=3_600))
    begun = await sold(town, order(line(town, 1_000, None, card_ids=(other_id,)), expires_in_s=3_600))
    assert isinstance(await pay(town, begun, 400), Sale)
    app.clock.move(timedelta(minutes=59))
    await sales.expire_sales(app.pool, town.hand(), slots=SLOTS)
    assert (await card(town, card_id)).sale_id == unpaid.id
    app.clock.move(timedelta(minutes=1))
    runs = await asyncio.gather(
        *(sales.expire_sales(one.pool, town.hand(n), slots=SLOTS) for n, one in enumerate(town.apps))
    )
    assert sum(runs) == 1
    ended = await sales.get_sale(app.pool, book_id=town.book_id, slots=SLOTS, sale_id=unpaid.id, kind=SaleKind.SALE)
    assert not isinstance(ended, Refusal)
    assert (ended.sale.status, ended.sale.end_reason) == (SaleStatus.CANCELLED, "expired")
    assert (await card(town, card_id)).sale_id is None
    # somebody's money is in the other: it waits for them
    assert (await card(town, other_id)).sale_id == begun.id
    assert isinstance(await sell(town, order(line(town, 1_000, None, card_ids=(card_id,)))), Sale)


# --- top-ups


async def top_up(
    town: Town, card_id: UUID, face_fen: int, *, key: RequestKey | None = None, **more: Any
) -> Sale | Refusal:
    app = town.apps[0]
    payment = {"method": PayMethod.CASH, "amount_fen": face_fen, **more.pop("payment", {})}
    new = NewTopUp(
        **{
            "buyer": Buyer.PERSON,
            "channel": Channel.COUNTER,
            "contract_version": "2026-01",
            "card_id": card_id,
            "face_fen": face_fen,
            "payment": NewPayment(**payment),
            **more,
        }
    )
    return await sales.top_up(
        app.pool, app.desk, town.hand(), KEYRING, app.policy.rules, slots=SLOTS, book_id=town.book_id, new=new, by=BY,
        key=key or key_of(town),
    )  # fmt: skip


async def test_a_top_up_loads_once_and_stands_in_the_register(town: Town) -> None:
    sale = await delivered(town, line(town, 1_000))
    card_id = (await cards_of(town, sale))[0].card_id
    key = key_of(town, "one-top-up")
    done = await top_up(town, card_id, 500, key=key, payment={"amount_fen": 450})
    assert isinstance(done, Sale)
    assert (done.kind, done.status, done.paid_fen) == (SaleKind.TOP_UP, SaleStatus.DELIVERED, 450)
    assert await top_up(town, card_id, 500, key=key, payment={"amount_fen": 450}) == done
    assert await loads_of(town, card_id) == [(450, 50), (1_000, 0)]
    assert await town.available_fen(card_id) == 1_500
    page = await sales.list_sales(
        town.apps[0].pool, book_id=town.book_id, slots=SLOTS, search=SaleSearch(card_id=card_id)
    )
    assert [one.id for one in page.data] == [done.id, sale.id]
    # its card holds more than was sold with it
    await refused(town, lambda: refund(town, sale), "sale_card_used", "id")


async def test_a_top_up_is_judged_like_a_sale(town: Town) -> None:
    sale = await delivered(town, line(town, 1_000))
    card_id = (await cards_of(town, sale))[0].card_id
    await refused(town, lambda: top_up(town, card_id, 99_001), "card_cap_exceeded", "face_fen")
    bare: dict[str, Any] = {"contract_version": None}
    await refused(town, lambda: top_up(town, card_id, 500, **bare), "contract_required", "contract_version")
    await refused(town, lambda: top_up(town, card_id, 500, channel=Channel.REMOTE), "cash_refused", "payment.method")
    await refused(
        town, lambda: top_up(town, card_id, 500, payment={"amount_fen": 501}), "invalid_field", "payment.amount_fen"
    )
    await refused(town, lambda: top_up(town, town.programme.id, 500), "not_found", "card_id")
    await town.block(card_id)
    await refused(town, lambda: top_up(town, card_id, 500), "card_blocked", "card_id")
    assert await town.available_fen(card_id) == 1_000


async def test_a_registered_card_is_topped_up_by_name(town: Town) -> None:
    app = town.apps[0]
    sale = await delivered(town, line(town, 1_000))
    card_id = (await cards_of(town, sale))[0].card_id
    unknown, known = await person(town), await person(town, level="document", document="11010519491231002X")

    async def anybody(book_id: int, customer_id: UUID) -> Refusal | None:
        return None

    bound = await cards.register_card(
        app.pool, town.hand(), anybody, book_id=town.book_id, slots=SLOTS, card_id=card_id, customer_id=known.id
    )
    assert isinstance(bound, cards.Card)
    told = await refused(
        town, lambda: top_up(town, card_id, 500, customer_id=unknown.id), "real_name_required", "customer_id"
    )
    assert told.details["rule"] == "CN-SP-KYC-01"
    done = await top_up(town, card_id, 500, customer_id=known.id)
    assert isinstance(done, Sale)
    assert done.real_name_rule == "CN-SP-KYC-01"
    assert done.purchaser_sealed is not None


async def test_a_load_that_is_refused_cancels_its_top_up(town: Town) -> None:
    """Between the judgement and the load the card fills up: nothing is loaded twice, and the purchase says why."""
    app = town.apps[0]
    sale = await delivered(town, line(town, 1_000))
    card_id = (await cards_of(town, sale))[0].card_id
    results = await asyncio.gather(*(top_up(town, card_id, 60_000) for _ in range(3)))
    done = [one for one in results if isinstance(one, Sale)]
    assert len(done) == 1
    assert {one.code for one in results if isinstance(one, Refusal)} <= {"top_up_not_loaded", "card_cap_exceeded"}
    assert await town.available_fen(card_id) == 61_000
    page = await sales.list_sales(
        app.pool, book_id=town.book_id, slots=SLOTS, search=SaleSearch(kind=SaleKind.TOP_UP, card_id=card_id)
    )
    ended = [one for one in page.data if one.status is SaleStatus.CANCELLED]
    assert [one.end_reason for one in ended] == ["balance_cap_exceeded"] * len(ended)


async def test_the_cap_of_the_law_holds_at_the_load(town: Town) -> None:
    """Under a programme that lets cards hold more: top-ups of one moment are each judged on the same balance."""
    app = town.apps[0]
    roomy = await cards.create_programme(
        app.pool, app.clock, town.ids, book_id=town.book_id,
        new=cards.NewProgramme(
            issuer_id=town.issuer.id, code="roomy", name="大额卡", currency="CNY", number_prefix="888802",
            spend_order=(Pocket.BONUS, Pocket.PRINCIPAL), max_balance_fen=500_000, authorization_ttl_s=3_600,
            principal_valid_days=None, bonus_valid_days=None, activation=Activation.PAID_SALE,
        ),
    )  # fmt: skip
    assert not isinstance(roomy, Refusal)
    for each in town.apps:
        await each.refresh()
    sale = await delivered(town, NewLine(programme_id=roomy.id, face_fen=1_000, price_fen=1_000, card_count=1))
    card_id = (await cards_of(town, sale))[0].card_id
    results = await asyncio.gather(*(top_up(town, card_id, 60_000) for _ in range(3)))
    assert sum(isinstance(one, Sale) for one in results) == 1
    assert {one.code for one in results if isinstance(one, Refusal)} <= {"top_up_not_loaded", "card_cap_exceeded"}
    assert await town.available_fen(card_id) == 61_000


# --- the register


async def test_the_register_seals_who_bought_reveals_with_a_trace_and_erases_in_time(town: Town) -> None:
    app = town.apps[0]
    who = await person(town, level="document", document="110105194912310038")
    sale = await sold(town, order(line(town, 100_000, 10), customer_id=who.id))
    assert sale.real_name_rule == "CN-SP-KYC-02"
    paid = await pay(town, sale, method=PayMethod.BANK_TRANSFER, payer=PAYER, payee=PAYEE)
    assert isinstance(paid, Sale)
    async with app.pool.connection() as connection:
        rows = await (
            await connection.execute(
                "SELECT s::text || p::text FROM sales_sale s JOIN sales_payment p ON p.sale_id = s.id WHERE s.id = %s",
                (sale.id,),
            )
        ).fetchall()
    for secret in ("王敏", "13912345678", "110105194912310038", PAYER.account_number):
        assert secret not in rows[0][0]

    async def reveal() -> object:
        return await sales.reveal_purchaser(
            app.pool, KEYRING, app.clock, app.ids, book_id=town.book_id, sale_id=sale.id, reason="核查", by=BY
        )

    shown = await reveal()
    assert isinstance(shown, sales.Revealed)
    assert shown.purchaser.buyer is not None
    assert (shown.purchaser.buyer.name, shown.purchaser.buyer.phone) == ("王敏", "+8613912345678")
    assert [(one.payer, one.payee) for one in shown.accounts] == [(PAYER, PAYEE)]
    assert "王敏" not in repr(shown)
    search = ActionSearch(subject=show_id(Prefix.SALE, sale.id), kind="purchaser.revealed")
    assert len((await list_actions(app.pool, book_id=town.book_id, search=search)).data) == 1

    assert sale.keep_until == sale.created_at.replace(year=sale.created_at.year + 5)
    clock = app.clock
    assert isinstance(clock, HandClock)
    clock.move(sale.keep_until - clock.now() - timedelta(minutes=1))
    await sales.erase_purchasers(app.pool, clock, app.ids)
    assert isinstance(await reveal(), sales.Revealed)
    clock.move(timedelta(minutes=2))
    assert await sales.erase_purchasers(app.pool, clock, app.ids) >= 1
    gone = await reveal()
    assert isinstance(gone, Refusal)
    assert gone.code == "not_found"
    kept = await sales.get_sale(app.pool, book_id=town.book_id, slots=SLOTS, sale_id=sale.id, kind=SaleKind.SALE)
    assert isinstance(kept, sales.SaleShown)
    assert (kept.sale.purchaser_sealed, kept.payments[0].accounts_sealed) == (None, None)
    assert kept.sale.customer_id == who.id


async def test_another_book_sees_nothing(town: Town) -> None:
    sale = await sold(town, order(line(town)))
    other = min(book.id for book in town.books.values() if book.id != town.book_id)
    app = town.apps[0]
    for result in (
        await sales.get_sale(app.pool, book_id=other, slots=SLOTS, sale_id=sale.id, kind=SaleKind.SALE),
        await sales.list_sale_cards(app.pool, book_id=other, slots=SLOTS, sale_id=sale.id, limit=1),
        await sales.refund_sale(
            app.pool,
            town.hand(),
            slots=SLOTS,
            book_id=other,
            sale_id=sale.id,
            reason="x",
            by=BY,
            key=key_of(town),
            rules_of=app.policy.rules,
        ),
    ):
        assert isinstance(result, Refusal)
        assert result.code == "not_found"
    page = await sales.list_sales(app.pool, book_id=other, slots=SLOTS, search=SaleSearch())
    assert page.data == []
