"""Value that ends, on a real database: sweeps, reminders, dormancy, extensions, closings, payouts, and their races."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import pytest
from tests.conftest import make_database
from tests.town import KEYRING, HandClock, Town, audits_hold
from tests.unit.test_refund_quote import VALUES

from kaquan import cards, closing
from kaquan.cards import Pocket
from kaquan.closing import Cause, Figure, LotName, Payee, PayoutMethod, RefundAsk, Terms
from kaquan.doors.http.once import keep_first
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import Answer, RequestKey, hash_key, hash_request
from kaquan.notices import NoticeSearch, list_notices
from kaquan.parties import IssuerChange, change_issuer
from kaquan.parties.trail import ActionSearch, Actor, list_actions

SLOTS = (3, 40)
MAKER, CHECKER = Actor(UUID(int=71), UUID(int=70)), Actor(UUID(int=72))
VALID_DAYS = 30
TERMS = Terms(
    remind_days=(7, 1),
    dormant_months=3,
    refund_values=(*VALUES, Figure("deadline_days", 15, "BJ-15D-01", "北京市单用途预付卡管理条例 art 17")),
)
TRANSFER = Payee(
    method=PayoutMethod.BANK_TRANSFER,
    holder_name="王 敏",
    account_name="王敏",
    account_number="6222020200012345678",
    bank_name="某银行",
)
CASH = Payee(method=PayoutMethod.CASH, holder_name="王敏")


@pytest.fixture(scope="module")
def own_database(server: str) -> str:
    """The sweeps look at every book of a database, so these tests have one of their own."""
    return make_database(server, f"test_closing_{os.getpid()}", SLOTS)


@pytest.fixture
async def town(own_database: str) -> AsyncIterator[Town]:
    town = await Town.found(
        own_database,
        clock=HandClock(),
        slots=SLOTS,
        processes=2,
        shops=1,
        principal_valid_days=VALID_DAYS,
        bonus_valid_days=10,
    )
    app = town.apps[0]
    done = await closing.set_terms(
        app.pool, app.clock, app.ids, app.policy, book_id=town.book_id, programme_id=town.programme.id, terms=TERMS
    )
    assert done == TERMS
    yield town
    for (card_id,) in await rows(town, "SELECT id FROM cards_card WHERE status = 'active'"):
        await town.block(card_id)  # so that the next test's jobs find nothing here
    await town.close()
    await audits_hold(own_database)


def move(town: Town, by: timedelta) -> datetime:
    clock = town.apps[0].clock
    assert isinstance(clock, HandClock)
    clock.move(by)
    return clock.now()


def today(town: Town) -> date:
    return (town.apps[0].clock.now() + timedelta(hours=8)).date()


async def rows(town: Town, statement: str) -> list[tuple[Any, ...]]:
    async with town.apps[0].pool.connection() as connection:
        return await (await connection.execute(statement.encode())).fetchall()


async def sweep(town: Town, *, process: int = 0) -> int:
    app = town.apps[process]
    return await closing.expire_lots(app.pool, app.clock, app.ids, SLOTS)


async def events(town: Town, card_id: UUID) -> list[str]:
    search = NoticeSearch(card_id=card_id)
    page = await list_notices(town.apps[0].pool, book_id=town.book_id, slots=SLOTS, search=search)
    return [notice.event for notice in reversed(page.data)]


class Told(msgspec.Struct):
    """An answer of this room, as a test door renders it."""

    code: str | None
    body: dict[str, Any]


def _render(done: Any) -> Answer:
    return Answer(200, msgspec.json.encode(done))


async def once(
    town: Town,
    process: int,
    near: UUID,
    work: Callable[[RequestKey], Awaitable[Answer | Refusal]],
    *,
    key: str | None = None,
    body: bytes = b"",
) -> Told:
    """What the door does: the first answer to a key is the answer to it for ever."""
    kept = await keep_first(town.apps[process], near=near, book_id=town.book_id, key=key_of(town, key, body), work=work)
    if isinstance(kept, Refusal):
        assert kept.message("en")
        assert kept.message("zh")
        return Told(kept.code, {"code": kept.code, "field": kept.field})
    told = msgspec.json.decode(kept.body)
    return Told(told.get("code") if kept.status >= 400 else None, told)


def key_of(town: Town, name: str | None, body: bytes = b"") -> RequestKey:
    name = name or town.ids.new().hex
    return RequestKey(name, hash_key(town.book_id, name), hash_request("POST", "/x", body))


async def extend(
    town: Town, card_id: UUID, until: date, *names: LotName, key: str | None = None, process: int = 0
) -> Told:
    app = town.apps[process]

    def work(key: RequestKey) -> Awaitable[Answer | Refusal]:
        return closing.extend_lots(
            app.pool, app.clock, app.ids, book_id=town.book_id, slots=SLOTS, card_id=card_id, until=until, names=names,
            by=MAKER, key=key, render=_render,
        )  # fmt: skip

    return await once(town, process, card_id, work, key=key)


async def quote(town: Town, card_id: UUID, ask: RefundAsk, *, book_id: int | None = None) -> Any:
    app = town.apps[0]
    return await closing.get_quote(
        app.pool, app.clock, app.refund_rules,
        book_id=town.book_id if book_id is None else book_id, slots=SLOTS, card_id=card_id, ask=ask,
    )  # fmt: skip


async def close(
    town: Town,
    card_id: UUID,
    ask: RefundAsk,
    *,
    quote_hash: bytes | None = None,
    payee: Payee | None = TRANSFER,
    key: str | None = None,
    body: bytes = b"",
    process: int = 0,
) -> Told:
    app = town.apps[process]
    if quote_hash is None:
        quoted = await quote(town, card_id, ask)
        quote_hash = bytes(32) if isinstance(quoted, Refusal) else quoted.hash
    agreed = quote_hash

    def work(key: RequestKey) -> Awaitable[Answer | Refusal]:
        return closing.close_card(
            app.pool, app.clock, app.ids, KEYRING, app.refund_rules,
            book_id=town.book_id, slots=SLOTS, card_id=card_id, ask=ask, quote_hash=agreed, payee=payee,
            by=MAKER, key=key, render=_render,
        )  # fmt: skip

    return await once(town, process, card_id, work, key=key, body=body)


async def mark_paid(
    town: Town, payout_id: UUID, *, by: Actor = CHECKER, key: str | None = None, process: int = 0
) -> Told:
    app = town.apps[process]

    def work(key: RequestKey) -> Awaitable[Answer | Refusal]:
        return closing.mark_paid(
            app.pool, app.clock, app.ids, book_id=town.book_id, slots=SLOTS, payout_id=payout_id,
            payment_reference="bank 2026-1", by=by, key=key, render=_render,
        )  # fmt: skip

    return await once(town, process, payout_id, work, key=key)


async def posted(town: Town, owner_id: UUID) -> dict[str, int]:
    """What the accounts of an owner hold that hold anything."""
    return {kind: held.posted_fen for kind, held in (await town.held(owner_id)).items() if held.posted_fen}


async def history(town: Town) -> tuple[int, ...]:
    """Everything that can have moved."""
    tables = ("ledger_transaction", "ledger_entry", "closing_expired_lot", "closing_closure", "closing_payout",
              "closing_extension", "notices_notice")  # fmt: skip
    return tuple([await town.count(table) for table in tables])


HOLDER, ISSUER = RefundAsk(cause=Cause.HOLDER), RefundAsk(cause=Cause.ISSUER)


# Expiry of lots


async def test_a_lot_ends_with_its_day_in_the_issuers_zone(town: Town) -> None:
    card_id = await town.new_card(load_fen=10_000, bonus_fen=500)
    loaded = town.apps[0].clock.now()
    ends = datetime(2026, 3, 11, 16, tzinfo=UTC)  # the bonus: midnight after 11 March in Shanghai
    assert loaded < ends
    move(town, ends - loaded - timedelta(seconds=1))
    assert await sweep(town) == 0
    assert await posted(town, card_id) == {"card_principal": 10_000, "card_bonus": 500}
    move(town, timedelta(seconds=2))
    balances = await cards.list_balances(
        town.apps[0].pool, book_id=town.book_id, slots=SLOTS, card_id=card_id, now=town.apps[0].clock.now()
    )
    assert not isinstance(balances, Refusal)
    assert [(one.spendable_fen, one.expired_fen) for one in balances] == [(10_000, 0), (0, 500)]
    paid = await town.purchase(card_id, 1_000)
    assert paid.body["balance_fen"] == 9_000, "what has expired is not shown as spendable"
    assert await sweep(town) == 1
    assert await sweep(town) == 0
    assert await posted(town, card_id) == {"card_principal": 9_000}
    assert (await posted(town, town.issuer.id))["expired_value"] == 500
    ((kind, related, load_id, effective),) = await rows(
        town,
        "SELECT t.kind, t.related_id, l.origin_transaction_id, t.effective_at FROM ledger_transaction t"
        " JOIN closing_expired_lot e ON e.transaction_id = t.id JOIN ledger_lot l ON l.account_id = e.account_id"
        f" WHERE e.card_id = '{card_id}'",
    )
    assert (kind, related, effective) == ("lot_expiry", load_id, ends)
    assert await events(town, card_id) == ["lot.expired"]


async def test_two_sweeps_take_each_lot_once(town: Town) -> None:
    card_ids = [await town.new_card(load_fen=1_000 + n, bonus_fen=10) for n in range(12)]
    for card_id in card_ids:
        await town.load(card_id, 2_000, bonus_fen=20)  # two lots in each pocket
    move(town, timedelta(days=VALID_DAYS + 1))
    swept = await asyncio.gather(*(sweep(town, process=n % 2) for n in range(4)))
    assert sum(swept) == 12 * 4
    for n, card_id in enumerate(card_ids):
        assert await posted(town, card_id) == {}
        taken = await rows(town, f"SELECT sum(amount_fen) FROM closing_expired_lot WHERE card_id = '{card_id}'")
        assert taken == [(1_000 + n + 10 + 2_000 + 20,)]
        assert await events(town, card_id) == ["lot.expired"] * 4


async def test_a_spend_and_a_sweep_never_take_the_same(town: Town) -> None:
    """The spends are of unexpired principal while the bonus of the same cards is swept, and of bonus just before."""
    card_ids = [await town.new_card(load_fen=1_000, bonus_fen=1_000) for _ in range(8)]
    move(town, timedelta(days=11))

    async def spend(card_id: UUID, process: int) -> int:
        told = [await town.purchase(card_id, 50, process=process) for _ in range(10)]
        return sum(one.code is None for one in told)

    done = await asyncio.gather(
        *(spend(card_id, n % 2) for n, card_id in enumerate(card_ids)), *(sweep(town, process=n) for n in (0, 1))
    )
    assert done[:8] == [10] * 8
    assert sum(done[8:]) == 8
    for card_id in card_ids:
        assert await posted(town, card_id) == {"card_principal": 500}


async def test_what_is_set_aside_stays_until_it_is_released(town: Town) -> None:
    card_id = await town.new_card(load_fen=1_000)
    held = await town.authorize(card_id, 400, expires_in_s=60 * 86_400)
    move(town, timedelta(days=VALID_DAYS + 1))
    assert await sweep(town) == 1
    assert await posted(town, card_id) == {"card_principal": 400}
    assert (await town.capture(held.payment_id, 100, final=False)).code is None
    voided = await town.void(held.payment_id)
    assert voided.body["balance_fen"] == 0, "it returned to a lot that has ended"
    assert await sweep(town) == 1
    assert await posted(town, card_id) == {}
    refund = await town.refund(held.payment_id, 100)
    assert refund.body["balance_fen"] == 0
    assert await sweep(town) == 1
    assert await rows(
        town, f"SELECT array_agg(amount_fen ORDER BY swept_at) FROM closing_expired_lot WHERE card_id = '{card_id}'"
    ) == [([600, 300, 100],)]


async def test_a_blocked_card_is_not_swept(town: Town) -> None:
    card_id = await town.new_card(load_fen=1_000)
    await town.block(card_id)
    move(town, timedelta(days=VALID_DAYS + 1))
    assert await sweep(town) == 0
    assert await posted(town, card_id) == {"card_principal": 1_000}
    await town.unblock(card_id)
    assert await sweep(town) == 1


# Reminders


async def test_each_threshold_is_told_of_once(town: Town) -> None:
    card_id = await town.new_card(load_fen=1_000)  # ends after 31 March
    app = town.apps[0]

    async def remind() -> int:
        counts = [closing.remind_of_ends(one.pool, one.clock, one.ids, SLOTS) for one in town.apps for _ in range(2)]
        return sum(await asyncio.gather(*counts))

    assert await remind() == 0
    move(town, datetime(2026, 3, 24, 15, 59, tzinfo=UTC) - app.clock.now())
    assert await remind() == 0
    move(town, timedelta(minutes=2))  # seven days before midnight in Shanghai
    assert await remind() == 1
    assert await remind() == 0
    move(town, timedelta(days=6))
    assert await remind() == 1
    assert await remind() == 0
    page = await list_notices(app.pool, book_id=town.book_id, slots=SLOTS, search=NoticeSearch(card_id=card_id))
    data = [msgspec.json.decode(notice.body)["data"] for notice in page.data]
    assert [(one["days"], one["last_day"], one["amount_fen"]) for one in data] == [
        (1, "2026-03-31", 1_000),
        (7, "2026-03-31", 1_000),
    ]
    # an end that was extended is reminded of anew
    assert (await extend(town, card_id, date(2026, 4, 30))).code is None
    assert await remind() == 0
    move(town, timedelta(days=25))
    assert await remind() == 1


async def test_a_late_reminder_tells_of_the_nearest_threshold_only(town: Town) -> None:
    card_id, empty = await town.new_card(load_fen=1_000), await town.new_card(load_fen=1_000)
    await town.purchase(empty, 1_000)
    move(town, timedelta(days=VALID_DAYS))
    app = town.apps[0]
    assert await closing.remind_of_ends(app.pool, app.clock, app.ids, SLOTS) == 1
    assert await events(town, card_id) == ["lot.expiring"]
    assert await events(town, empty) == []


# Dormancy


async def test_a_card_falls_asleep_once(town: Town) -> None:
    card_id = await town.new_card(load_fen=5_000)
    await town.new_card()  # holds nothing
    app = town.apps[0]
    until = today(town) + timedelta(days=1_000)
    assert (await extend(town, card_id, until)).code is None

    async def find() -> int:
        found = [closing.find_dormant(one.pool, one.clock, one.ids, SLOTS) for one in town.apps]
        return sum(await asyncio.gather(*found))

    move(town, datetime(2026, 6, 1, 9, 29, tzinfo=UTC) - app.clock.now())
    assert await find() == 0
    move(town, timedelta(minutes=2))
    assert await find() == 1
    assert await find() == 0
    assert (await town.purchase(card_id, 100)).code is None
    assert await find() == 0
    move(town, timedelta(days=93))
    assert await find() == 1
    assert await events(town, card_id) == ["lot.extended", "card.dormant", "card.dormant"]
    assert await posted(town, card_id) == {"card_principal": 4_900}, "no fee is taken"


# Extension


async def test_an_extension_gives_back_what_was_swept(town: Town) -> None:
    card_id = await town.new_card(load_fen=10_000, bonus_fen=500)
    await town.purchase(card_id, 200)  # of the bonus
    move(town, timedelta(days=VALID_DAYS + 1))
    assert await sweep(town) == 2
    told = await extend(town, card_id, today(town) + timedelta(days=90), key="k")
    assert (told.code, told.body["returned_fen"], told.body["lot_count"]) == (None, 10_300, 2)
    assert await posted(town, card_id) == {"card_principal": 10_000, "card_bonus": 300}
    assert "expired_value" not in await posted(town, town.issuer.id)
    before = await history(town)
    assert await extend(town, card_id, today(town) + timedelta(days=90), key="k") == told
    assert (await extend(town, card_id, today(town) + timedelta(days=90))).code == "nothing_to_extend"
    assert await history(town) == before
    assert (await town.purchase(card_id, 10_300)).code is None


async def test_a_named_lot_is_extended_before_it_ends(town: Town) -> None:
    card_id = await town.new_card(load_fen=1_000, bonus_fen=100)
    lots = await closing.list_lots(town.apps[0].pool, book_id=town.book_id, slots=SLOTS, card_id=card_id)
    assert not isinstance(lots, Refusal)
    (bonus,) = [lot for lot in lots if lot.pocket is Pocket.BONUS]
    until = today(town) + timedelta(days=20)
    told = await extend(town, card_id, until, LotName(Pocket.BONUS, bonus.lot))
    assert (told.code, told.body["lot_count"], told.body["returned_fen"]) == (None, 1, 0)
    assert told.body["transaction_id"] is None
    move(town, timedelta(days=12))
    assert await sweep(town) == 0
    assert (await town.purchase(card_id, 1_100)).code is None


async def test_what_cannot_be_extended_stays_as_it_is(town: Town) -> None:
    card_id, blocked = await town.new_card(load_fen=1_000), await town.new_card(load_fen=1_000)
    new = await town.new_card(active=False)
    await town.block(blocked)
    before = await history(town)
    soon, later = today(town), today(town) + timedelta(days=300)
    for told, code in (
        (await extend(town, card_id, soon - timedelta(days=1)), "invalid_field"),
        (await extend(town, card_id, soon + timedelta(days=40_000)), "invalid_field"),
        (await extend(town, card_id, soon), "nothing_to_extend"),
        (await extend(town, card_id, later, LotName(Pocket.PRINCIPAL, 99)), "not_found"),
        (await extend(town, blocked, later), "card_blocked"),
        (await extend(town, new, later), "card_not_active"),
        (await extend(town, town.ids.new(), later), "not_found"),
    ):
        assert told.code == code
    assert await history(town) == before


async def test_an_extension_and_a_sweep_meet(town: Town) -> None:
    """Whoever comes first: the value is on the card in the end, and nowhere twice."""
    card_ids = [await town.new_card(load_fen=1_000) for _ in range(10)]
    move(town, timedelta(days=VALID_DAYS + 1))
    until = today(town) + timedelta(days=50)
    told = await asyncio.gather(
        *(extend(town, card_id, until, process=n % 2) for n, card_id in enumerate(card_ids)), sweep(town), sweep(town)
    )
    assert [one.code for one in told[:10] if isinstance(one, Told)] == [None] * 10
    assert await sweep(town) == 0
    for card_id in card_ids:
        assert await posted(town, card_id) == {"card_principal": 1_000}


# Closing


@pytest.mark.parametrize(
    ("ask", "refund_fen", "forfeited_fen", "given_back_fen"), [(ISSUER, 50_000, 10_000, 0), (HOLDER, 40_000, 20_000, 0)]
)
async def test_a_card_is_closed_for_what_was_quoted(
    town: Town, ask: RefundAsk, refund_fen: int, forfeited_fen: int, given_back_fen: int
) -> None:
    """Vector 1 of the court interpretation, through the ledger: paid 1,000, given 200, spent 600."""
    card_id = await town.new_card(load_fen=100_000, bonus_fen=20_000)
    await town.purchase(card_id, 60_000)  # the bonus first, then 400 of the principal
    told = await close(town, card_id, ask, key="k")
    assert told.code is None, told
    assert told.body["quote"]["amount_fen"] == refund_fen
    assert await posted(town, card_id) == {}
    issuer = await posted(town, town.issuer.id)
    assert (issuer["refund_payable"], issuer["forfeited_value"]) == (refund_fen, forfeited_fen)
    assert issuer["bonus_expense"] == -20_000 + given_back_fen
    card = await cards.get_card(town.apps[0].pool, book_id=town.book_id, slots=SLOTS, card_id=card_id)
    assert not isinstance(card, Refusal)
    assert card.status == "closed"
    assert await events(town, card_id) == ["card.closed"]
    before = await history(town)
    assert await close(town, card_id, ask, key="k", quote_hash=bytes(32)) == told, "a retry gets the first answer"
    assert (await close(town, card_id, ask)).code == "card_closed"
    assert (await close(town, card_id, ask, key="k", body=b"other")).code == "idempotency_key_reused"
    for refused in (
        await town.purchase(card_id, 1),
        await town.load(card_id, 1),
        await town.authorize(card_id, 1),
    ):
        assert refused.code == "card_closed"
    assert await history(town) == before


async def test_the_given_part_goes_back_and_the_paid_part_out(town: Town) -> None:
    card_id = await town.new_card(load_fen=100_000, bonus_fen=20_000)
    told = await close(town, card_id, HOLDER)
    assert told.code is None
    assert told.body["quote"]["amount_fen"] == 100_000
    issuer = await posted(town, town.issuer.id)
    assert issuer == {"load_clearing": -100_000, "refund_payable": 100_000}, "the bonus went back to its expense"
    closed = await closing.get_closure(town.apps[0].pool, book_id=town.book_id, slots=SLOTS, card_id=card_id)
    assert not isinstance(closed, Refusal)
    assert closed.quote.hash == closed.quote_hash
    ((reference,),) = await rows(town, f"SELECT reference FROM ledger_transaction WHERE id = '{closed.transaction_id}'")
    assert reference == closed.quote_hash.hex()


async def test_what_was_swept_is_refunded_too(town: Town) -> None:
    """Expired value is not the issuer's: article 15 asks what was paid and what was spent, and nothing else."""
    card_id = await town.new_card(load_fen=100_000, bonus_fen=20_000)
    await town.purchase(card_id, 60_000)
    move(town, timedelta(days=VALID_DAYS + 1))
    await town.load(card_id, 1_000)
    assert await sweep(town) == 1
    told = await close(town, card_id, ISSUER)
    assert told.code is None, told
    assert told.body["quote"]["amount_fen"] == 50_000 + 1_000
    issuer = await posted(town, town.issuer.id)
    assert (issuer["refund_payable"], issuer["expired_value"]) == (51_000, 10_000)
    assert "forfeited_value" not in issuer
    assert await posted(town, card_id) == {}


async def test_interest_is_the_issuers_expense(town: Town) -> None:
    card_id = await town.new_card(load_fen=100_000)
    move(town, timedelta(days=20))
    ask = RefundAsk(cause=Cause.ISSUER, ended_on=today(town) - timedelta(days=10))
    told = await close(town, card_id, ask)
    assert told.code is None
    assert (told.body["quote"]["principal_fen"], told.body["quote"]["interest_fen"]) == (100_000, 82)
    issuer = await posted(town, town.issuer.id)
    assert (issuer["refund_payable"], issuer["refund_interest"]) == (100_082, -82)


async def test_an_empty_card_is_closed_without_a_transaction(town: Town) -> None:
    card_id = await town.new_card()
    before = await town.count("ledger_transaction")
    told = await close(town, card_id, HOLDER, payee=None)
    assert (told.code, told.body["transaction_id"], told.body["payout"]) == (None, None, None)
    assert await town.count("ledger_transaction") == before


async def test_what_is_refused_moves_nothing(town: Town) -> None:
    card_id = await town.new_card(load_fen=100_000)
    held = await town.new_card(load_fen=1_000)
    await town.authorize(held, 100)
    blocked = await town.new_card(load_fen=1_000)
    await town.block(blocked)
    small = await town.new_card(load_fen=10_000)
    before = await history(town)
    tomorrow = today(town) + timedelta(days=1)
    other_name = msgspec.structs.replace(TRANSFER, account_name="李雷")
    no_bank = msgspec.structs.replace(TRANSFER, bank_name=None)
    unknown = RefundAsk(cause=Cause.HOLDER, discounts={town.ids.new(): 5})
    for told, code, field in (
        (await close(town, card_id, HOLDER, quote_hash=bytes(32)), "quote_changed", "quote_hash"),
        (await close(town, card_id, HOLDER, payee=None), "invalid_field", "payee"),
        (await close(town, card_id, HOLDER, payee=CASH), "cash_not_allowed", "payee.method"),
        (await close(town, card_id, HOLDER, payee=other_name), "payee_not_holder", "payee.account_name"),
        (await close(town, card_id, HOLDER, payee=no_bank), "invalid_field", "payee.bank_name"),
        (await close(town, card_id, RefundAsk(cause=Cause.VOID)), "refund_rule_missing", "cause"),
        (await close(town, card_id, RefundAsk(cause=Cause.HOLDER, ended_on=tomorrow)), "invalid_field", "ended_on"),
        (await close(town, card_id, RefundAsk(cause=Cause.HOLDER, requested_on=tomorrow)), "invalid_field",
         "requested_on"),
        (await close(town, card_id, unknown), "invalid_field", "discounts"),
        (await close(town, held, HOLDER), "card_has_authorizations", "id"),
        (await close(town, blocked, HOLDER), "card_blocked", "id"),
        (await close(town, town.ids.new(), HOLDER), "not_found", "id"),
    ):  # fmt: skip
        assert (told.code, told.body["field"]) == (code, field)
    elsewhere = await quote(town, card_id, HOLDER, book_id=town.book_id + 1)
    assert isinstance(elsewhere, Refusal)
    assert elsewhere.code == "not_found"
    assert await history(town) == before
    assert (await close(town, small, HOLDER, payee=CASH)).code is None, "the limit itself may be cash"


async def test_a_day_later_the_quote_is_another(town: Town) -> None:
    card_id = await town.new_card(load_fen=100_000)
    quoted = await quote(town, card_id, HOLDER)
    move(town, timedelta(days=1))
    assert (await close(town, card_id, HOLDER, quote_hash=quoted.hash)).code == "quote_changed"
    assert await posted(town, card_id) == {"card_principal": 100_000}


async def settle_in(town: Town, province: str | None) -> None:
    app = town.apps[0]
    done = await change_issuer(
        app.pool, app.clock, app.ids, book_id=town.book_id, id_=town.issuer.id, change=IssuerChange(province=province)
    )
    assert not isinstance(done, Refusal), done


async def test_where_no_rule_is_known_nothing_is_quoted(town: Town) -> None:
    """Without terms the law alone says what is refunded; where it says nothing, nobody guesses."""
    app = town.apps[0]
    card_id = await town.new_card(load_fen=1_000)
    bare = Terms(remind_days=(5,))
    done = await closing.set_terms(
        app.pool, app.clock, app.ids, app.policy, book_id=town.book_id, programme_id=town.programme.id, terms=bare
    )
    assert done == bare
    assert (await quote(town, card_id, HOLDER)).amount_fen == 1_000
    refused = await quote(town, card_id, RefundAsk(cause=Cause.ISSUER, ended_on=today(town) - timedelta(days=1)))
    assert (refused.code, refused.details["what"]) == ("refund_rule_missing", "year_days")
    await settle_in(town, "US-CA")
    refused = await quote(town, card_id, HOLDER)
    assert (refused.code, refused.field, refused.details["what"]) == ("refund_rule_missing", "cause", "base")


@pytest.mark.parametrize(("province", "days", "rule_id"), [("CN-32", 15, "JS-15D-01"), ("CN-31", 7, "CN-SPC-07D")])
async def test_the_place_of_the_issuer_says_how_long_one_may_withdraw(
    town: Town, province: str, days: int, rule_id: str
) -> None:
    await settle_in(town, province)
    card_id = await town.new_card(load_fen=1_000, bonus_fen=100)
    await town.purchase(card_id, 50)
    withdrawal = RefundAsk(cause=Cause.WITHDRAWAL)
    paid_on = today(town)
    move(town, timedelta(days=days))
    quoted = await quote(town, card_id, withdrawal)
    assert all(line.rule_id and line.source for line in quoted.lines), quoted.lines
    (line,) = [line for line in quoted.lines if line.name == "cooling_off"]
    assert (line.rule_id, line.value) == (rule_id, (paid_on + timedelta(days=days)).isoformat())
    assert [load.cause for load in quoted.loads] == [Cause.WITHDRAWAL]
    move(town, timedelta(days=1))
    late = await quote(town, card_id, withdrawal)
    assert (late.code, late.details["last_day"]) == ("cooling_off_over", line.value)


async def test_terms_weaker_than_the_law_are_refused(town: Town) -> None:
    app = town.apps[0]
    await settle_in(town, "CN-32")

    async def put(*values: Figure) -> Any:
        terms = Terms(refund_values=values)
        return await closing.set_terms(
            app.pool, app.clock, app.ids, app.policy, book_id=town.book_id, programme_id=town.programme.id, terms=terms
        )

    for name, value, rule_id in (
        ("cooling_off_days", 14, "JS-15D-01"),
        ("cash_limit_fen", 10_001, "CN-SP-REF-02"),
        ("pricing.issuer", "list", "CN-SPC-REF-OPER"),
    ):
        refused = await put(Figure(name, value, "HOUSE", "house"))
        assert (refused.code, refused.field) == ("invalid_field", "refund_values")
        assert rule_id in refused.message("en")
        assert rule_id in refused.message("zh")
    kept = await closing.get_terms(app.pool, book_id=town.book_id, programme_id=town.programme.id)
    assert kept == TERMS, "nothing has changed"
    better = (
        Figure("cooling_off_days", 30, "HOUSE-30", "house"),
        Figure("pricing.holder", "charged", "HOUSE-P", "house"),
    )
    assert await put(*better) == Terms(refund_values=better)
    card_id = await town.new_card(load_fen=1_000)
    move(town, timedelta(days=30))
    quoted = await quote(town, card_id, RefundAsk(cause=Cause.WITHDRAWAL))
    assert {line.rule_id for line in quoted.lines if line.name == "cooling_off"} == {"HOUSE-30"}


async def test_the_log_and_the_trail_tell_of_a_closing(town: Town) -> None:
    app = town.apps[0]
    card_id = await town.new_card(load_fen=5_000)
    issued = await town.new_card(active=False)
    assert (await extend(town, card_id, today(town) + timedelta(days=99))).code is None
    told = await close(town, card_id, HOLDER)
    assert (await close(town, issued, HOLDER, payee=None)).code is None, "nothing was on it"
    payout_id = UUID(told.body["payout"]["id"])
    assert (await mark_paid(town, payout_id)).code is None
    for closed in (card_id, issued):
        found = await cards.list_events(app.pool, book_id=town.book_id, slots=SLOTS, card_id=closed, limit=10)
        assert not isinstance(found, Refusal)
        card, happened = found
        assert (happened[0].kind, happened[0].status, happened[0].version) == ("closed", "closed", card.version)
        assert happened[0].actor == show_id(Prefix.KEY, UUID(int=71))
    page = await list_actions(app.pool, book_id=town.book_id, search=ActionSearch())
    assert [action.kind for action in page.data[:4]] == ["payout.paid", "card.closed", "card.closed", "lots.extended"]
    paid, _, ended, _ = page.data[:4]
    assert (paid.operator_id, paid.key_id) == (None, CHECKER.key_id)
    assert (ended.operator_id, ended.key_id) == (MAKER.operator_id, MAKER.key_id)
    assert ended.after is not None
    assert ended.after["amount_fen"] == 5_000
    assert "6222020200012345678" not in str([action.after for action in page.data])
    assert "王敏" not in str([action.after for action in page.data])


async def test_closing_and_spending_never_both_take_the_value(town: Town) -> None:
    async def later(told: Awaitable[Any], delay_s: float) -> Told:
        await asyncio.sleep(delay_s)
        answer: Told = await told
        return answer

    closed_count = 0
    for load_fen, delay_s in ((1_000, 0.0), (2_000, 0.004), (3_000, 0.1)):
        card_ids = [await town.new_card(load_fen=load_fen, bonus_fen=10) for _ in range(6)]
        hashes = [(await quote(town, card_id, HOLDER)).hash for card_id in card_ids]
        told = await asyncio.gather(
            *(
                close(town, card_id, HOLDER, quote_hash=quote_hash, process=n % 2)
                for n, (card_id, quote_hash) in enumerate(zip(card_ids, hashes, strict=True))
            ),
            *(
                later(town.purchase(card_id, load_fen, process=(n + 1) % 2), delay_s * n)
                for n, card_id in enumerate(card_ids)
            ),
            *(later(town.load(card_id, 5, process=n % 2), delay_s * n) for n, card_id in enumerate(card_ids)),
        )
        for n, card_id in enumerate(card_ids):
            closed, spent, loaded = told[n].code, told[n + 6].code, told[n + 12].code
            assert closed in (None, "quote_changed")
            closed_count += closed is None
            if closed is None:
                assert (spent, loaded) == ("card_closed", "card_closed")
                assert await posted(town, card_id) == {}
            else:
                assert {spent, loaded} <= {None}
                assert sum((await posted(town, card_id)).values()) == 10 + 5
    assert 0 < closed_count < 18, "both must have been first at times"


async def test_two_closings_of_one_card_are_one(town: Town) -> None:
    card_id = await town.new_card(load_fen=1_000)
    quoted = await quote(town, card_id, HOLDER)
    told = await asyncio.gather(
        *(close(town, card_id, HOLDER, quote_hash=quoted.hash, process=n % 2) for n in range(4)),
        *(close(town, card_id, HOLDER, quote_hash=quoted.hash, key="same", process=n % 2) for n in range(4)),
    )
    codes = [one.code for one in told]
    done: list[Told] = [one for one in told if one.code is None]
    assert {*codes} == {None, "card_closed"}
    assert len({one.body["transaction_id"] for one in done}) == 1
    assert len({one.code for one in told[4:]}) == 1, "one key, one answer"
    assert (await posted(town, town.issuer.id))["refund_payable"] == 1_000
    assert await rows(town, f"SELECT count(*) FROM closing_payout WHERE card_id = '{card_id}'") == [(1,)]


async def test_a_refund_of_a_spend_does_not_reach_a_closed_card(town: Town) -> None:
    card_id = await town.new_card(load_fen=1_000)
    paid = await town.purchase(card_id, 400)
    assert (await close(town, card_id, HOLDER)).code is None
    before = await history(town)
    assert (await town.refund(paid.payment_id)).code == "card_closed"
    app = town.apps[0]
    blocked = await cards.block_card(
        app.pool, town.hand(), book_id=town.book_id, slots=SLOTS, card_id=card_id, reason=cards.BlockReason.RISK
    )
    active = await cards.activate_card(app.pool, town.hand(), book_id=town.book_id, slots=SLOTS, card_id=card_id)
    for refused in (blocked, active):
        assert isinstance(refused, Refusal)
        assert refused.code == "card_closed"
    assert (await extend(town, card_id, today(town) + timedelta(days=99))).code == "card_closed"
    assert await history(town) == before


# Payouts


async def test_a_payout_takes_two_people(town: Town) -> None:
    card_id = await town.new_card(load_fen=100_000)
    told = await close(town, card_id, HOLDER)
    payout_id = UUID(told.body["payout"]["id"])
    assert told.body["payout"]["due_on"] == (today(town) + timedelta(days=15)).isoformat()
    before = await history(town)
    for by in (MAKER, Actor(UUID(int=73), MAKER.operator_id)):
        own = await mark_paid(town, payout_id, by=by)
        assert (own.code, own.body["field"]) == ("four_eyes", "id"), "another key of an operator is no other person"
    assert await history(town) == before
    assert (await mark_paid(town, town.ids.new())).code == "not_found"
    paid = await asyncio.gather(*(mark_paid(town, payout_id, process=n % 2) for n in range(4)))
    assert sorted(one.code or "" for one in paid) == ["", *["payout_not_pending"] * 3]
    assert await posted(town, town.issuer.id) == {"load_clearing": -100_000, "payout_clearing": 100_000}
    assert await events(town, card_id) == ["card.closed", "payout.paid"]
    ((sealed,),) = await rows(town, f"SELECT payee_sealed FROM closing_payout WHERE id = '{payout_id}'")
    assert b"6222020200012345678" not in sealed
    assert "王敏".encode() not in sealed
    payee = await closing.reveal_payee(
        town.apps[0].pool, town.apps[0].clock, town.ids, KEYRING,
        book_id=town.book_id, slots=SLOTS, payout_id=payout_id, by=CHECKER,
    )  # fmt: skip
    assert payee == TRANSFER
    assert "622202" not in repr(payee)


async def test_a_payout_that_failed_is_owed_still(town: Town) -> None:
    told = await close(town, await town.new_card(load_fen=5_000), HOLDER)
    app, payout_id = town.apps[0], UUID(told.body["payout"]["id"])

    async def fail(by: Actor) -> Told:
        def work(key: RequestKey) -> Awaitable[Answer | Refusal]:
            return closing.mark_failed(
                app.pool, app.clock, app.ids, book_id=town.book_id, slots=SLOTS, payout_id=payout_id,
                failure="account closed", by=by, key=key, render=_render,
            )  # fmt: skip

        return await once(town, 0, payout_id, work)

    assert (await fail(MAKER)).code == "four_eyes"
    assert (await fail(CHECKER)).code is None
    assert (await fail(CHECKER)).code == "payout_not_pending"
    assert (await mark_paid(town, payout_id)).code == "payout_not_pending"
    assert (await posted(town, town.issuer.id))["refund_payable"] == 5_000

    async def replace(payee: Payee, process: int = 0) -> Told:
        app = town.apps[process]

        def work(key: RequestKey) -> Awaitable[Answer | Refusal]:
            return closing.replace_payout(
                app.pool, app.clock, app.ids, KEYRING, app.refund_rules, book_id=town.book_id, slots=SLOTS,
                payout_id=payout_id, payee=payee, by=MAKER, key=key, render=_render,
            )  # fmt: skip

        return await once(town, process, payout_id, work)

    before = await town.count("closing_payout")
    stranger = msgspec.structs.replace(TRANSFER, holder_name="李雷", account_name="李雷")
    refused = await replace(stranger)
    assert (refused.code, refused.body["field"]) == ("payee_not_holder", "payee.holder_name")
    assert await town.count("closing_payout") == before
    told_again = await asyncio.gather(*(replace(TRANSFER, n % 2) for n in range(4)))
    assert sorted(one.code or "" for one in told_again) == ["", *["payout_not_failed"] * 3]
    (made,) = [one for one in told_again if one.code is None]
    assert (await mark_paid(town, UUID(made.body["id"]))).code is None
    assert "refund_payable" not in await posted(town, town.issuer.id)


async def test_the_database_itself_holds_the_rules(town: Town) -> None:
    told = await close(town, await town.new_card(load_fen=5_000), HOLDER)
    payout_id = told.body["payout"]["id"]
    for statement, constraint in (
        (
            "UPDATE closing_payout SET status = 'failed', failure = 'x', checked_by = made_by"
            f" WHERE id = '{payout_id}' RETURNING 1",
            "four_eyes",
        ),
        (f"UPDATE closing_payout SET status = 'paid' WHERE id = '{payout_id}' RETURNING 1", "evidence"),
    ):
        with pytest.raises(psycopg.errors.CheckViolation, match=constraint):
            await rows(town, statement)
    for table in ("closing_payout", "closing_expired_lot", "closing_closure", "notices_notice"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await rows(town, f"DELETE FROM {table} RETURNING 1")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await rows(town, "UPDATE ledger_lot SET expires_at = NULL RETURNING 1")
