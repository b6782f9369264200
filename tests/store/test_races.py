"""Many at once, through two desks on one database: what may happen once happens once."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random

import psycopg
import pytest
from tests.town import Held, Told, Town, audits_hold

from kaquan.cards import Pocket, Restriction
from kaquan.kit.clock import SystemClock
from kaquan.kit.ids import SystemIds

MANY = 64


@pytest.fixture
async def town(database: str) -> AsyncIterator[Town]:
    made = await Town.found(database, clock=SystemClock(), processes=2, shops=2)
    yield made
    await made.close()


def codes(told: list[Told]) -> Counter[str | None]:
    return Counter(one.code for one in told)


async def patiently(call: Callable[[str], Awaitable[Told]]) -> Told:
    """What a client does that is told that the system is busy: the same again, under the same key."""
    key = SystemIds().new().hex
    for _ in range(100):
        if (told := await call(key)).code != "busy":
            break
        await asyncio.sleep(0.01)
    return told


async def test_of_many_spends_of_the_last_balance_those_that_it_affords_pass(town: Town) -> None:
    card = await town.new_card(load_fen=1_000, bonus_fen=70)
    told = await asyncio.gather(
        *(town.purchase(card, 100, shop=number % 2, process=number // 2 % 2) for number in range(MANY))
    )
    assert codes(told) == {None: 10, "insufficient_funds": MANY - 10}
    assert sorted(one.body["balance_fen"] for one in told if one.code is None) == [70 + 100 * n for n in range(10)]
    assert await town.available_fen(card) == 70
    taken = [(await town.held(place.merchant_id))["merchant_payable"].posted_fen for place in town.places]
    assert sum(taken) == 1_000
    await audits_hold(town.conninfo)


async def test_many_authorizations_of_the_last_balance(town: Town) -> None:
    card = await town.new_card(load_fen=1_000)
    told = await asyncio.gather(*(town.authorize(card, 300, process=number % 2) for number in range(MANY)))
    assert codes(told) == {None: 3, "insufficient_funds": MANY - 3}
    assert (await town.held(card))["card_principal"] == Held(1_000, 900)


async def test_many_captures_never_exceed_their_authorization(town: Town) -> None:
    card = await town.new_card(load_fen=1_000)
    authorization = (await town.authorize(card, 500)).payment_id
    told = await asyncio.gather(
        *(town.capture(authorization, 30, final=False, process=number % 2) for number in range(MANY))
    )
    assert codes(told) == {None: 16, "capture_exceeds_authorization": MANY - 16}
    assert (await town.held(card))["card_principal"] == Held(520, 20)
    told = await asyncio.gather(*(town.capture(authorization, process=number % 2) for number in range(MANY)))
    assert codes(told) == {None: 1, "authorization_not_open": MANY - 1}
    assert (await town.held(card))["card_principal"] == Held(500, 0)
    await audits_hold(town.conninfo)


async def test_captures_and_voids_of_one_authorization(town: Town) -> None:
    card = await town.new_card(load_fen=1_000)
    authorization = (await town.authorize(card, 500)).payment_id
    told = await asyncio.gather(
        *(town.capture(authorization, process=number % 2) for number in range(MANY // 2)),
        *(town.void(authorization, process=number % 2) for number in range(MANY // 2)),
    )
    assert codes(told) == {None: 1, "authorization_not_open": MANY - 1}
    (done,) = [one.body for one in told if one.code is None]
    left = {"completed": Held(500, 0), "voided": Held(1_000, 0)}[done["status"]]
    assert (await town.held(card))["card_principal"] == left
    await audits_hold(town.conninfo)


async def test_many_refunds_never_exceed_their_purchase(town: Town) -> None:
    card = await town.new_card(load_fen=1_000, bonus_fen=100)
    purchase = (await town.purchase(card, 500)).payment_id
    told = await asyncio.gather(*(town.refund(purchase, 30, process=number % 2) for number in range(MANY)))
    assert codes(told) == {None: 16, "refund_exceeds_payment": MANY - 16}
    assert await town.available_fen(card) == 600 + 480
    told = await asyncio.gather(*(town.refund(purchase, process=number % 2) for number in range(MANY)))
    assert codes(told) == {None: 1, "refund_exceeds_payment": MANY - 1}
    assert await town.held(card) == {"card_principal": Held(1_000, 0), "card_bonus": Held(100, 0)}
    assert (await town.held(town.places[0].merchant_id))["merchant_payable"] == Held(0, 0)
    await audits_hold(town.conninfo)


async def test_many_loads_never_exceed_the_cap(database: str) -> None:
    town = await Town.found(database, clock=SystemClock(), processes=2, max_balance_fen=1_000)
    card = await town.new_card()
    told = await asyncio.gather(*(town.load(card, 90, bonus_fen=10, process=number % 2) for number in range(MANY)))
    assert codes(told) == {None: 10, "balance_cap_exceeded": MANY - 10}
    assert await town.held(card) == {"card_principal": Held(900, 0), "card_bonus": Held(100, 0)}
    await town.close()


async def test_loads_of_different_pockets_never_exceed_the_cap_together(database: str) -> None:
    """Each process knows of one pocket's loads only: the cap is about both, with what was given."""
    town = await Town.found(
        database, clock=SystemClock(), processes=2, max_balance_fen=1_000,
        restricted_to=Restriction(trades=frozenset({"canteen"})),
    )  # fmt: skip
    pockets = (Pocket.PRINCIPAL, Pocket.RESTRICTED)
    for _ in range(8):
        card = await town.new_card()
        told = await asyncio.gather(
            *(town.load(card, 600, process=process, pocket=pocket) for process, pocket in enumerate(pockets))
        )
        assert codes(told) == {None: 1, "balance_cap_exceeded": 1}
        assert sorted(held.posted_fen for held in (await town.held(card)).values()) == [0, 0, 600]
    card = await town.new_card()

    def load(number: int) -> Callable[[str], Awaitable[Told]]:
        pocket = pockets[number % 2]
        return lambda key: town.load(card, 90, bonus_fen=10, process=number % 2, pocket=pocket, body=b"", key=key)

    told = await asyncio.gather(*(patiently(load(number)) for number in range(MANY)))
    assert codes(told) == {None: 10, "balance_cap_exceeded": MANY - 10}
    assert sum(held.posted_fen for held in (await town.held(card)).values()) == 1_000
    await town.close()


async def test_many_changes_of_different_payments_of_one_card(town: Town) -> None:
    card = await town.new_card(load_fen=10_000)
    authorizations = [one.payment_id for one in await asyncio.gather(*(town.authorize(card, 10) for _ in range(MANY)))]

    def capture(number: int) -> Callable[[str], Awaitable[Told]]:
        return lambda key: town.capture(authorizations[number], body=b"", key=key, process=number % 2)

    def purchase(number: int) -> Callable[[str], Awaitable[Told]]:
        return lambda key: town.purchase(card, 10, body=b"", key=key, process=number % 2)

    def refund(number: int) -> Callable[[str], Awaitable[Told]]:
        return lambda key: town.refund(authorizations[number], body=b"", key=key, process=number % 2)

    told = await asyncio.gather(*(patiently(make(number)) for make in (capture, purchase) for number in range(MANY)))
    assert codes(told) == {None: 2 * MANY}
    assert (await town.held(card))["card_principal"] == Held(10_000 - 20 * MANY, 0)
    told = await asyncio.gather(*(patiently(refund(number)) for number in range(MANY)))
    assert codes(told) == {None: MANY}
    assert (await town.held(card))["card_principal"] == Held(10_000 - 10 * MANY, 0)


async def test_many_requests_with_one_key_have_one_effect_and_one_answer(town: Town) -> None:
    card = await town.new_card(load_fen=1_000)
    before = await town.count("ledger_transaction")
    body = b"the same"
    told = await asyncio.gather(
        *(town.purchase(card, 100, key="one", body=body, process=number % 2) for number in range(MANY))
    )
    assert codes(told).keys() <= {None, "request_in_progress"}
    done = {one.raw for one in told if one.code is None}
    assert len(done) == 1
    assert await town.available_fen(card) == 900
    assert await town.count("ledger_transaction") == before + 1
    # afterwards it is the same answer everywhere, and another request under the key is refused
    for process in (0, 1):
        again = await town.purchase(card, 100, key="one", body=body, process=process)
        assert {again.raw} == done
        other = await town.purchase(card, 100, key="one", body=b"another", process=process)
        assert (other.status, other.code) == (422, "idempotency_key_reused")
    assert await town.available_fen(card) == 900
    await audits_hold(town.conninfo)


async def test_two_requests_race_for_one_key(town: Town) -> None:
    for _ in range(8):
        cards = [await town.new_card(load_fen=100) for _ in range(2)]
        told = await asyncio.gather(
            *(town.purchase(card, 100, key=f"race-{cards[0]}", process=n) for n, card in enumerate(cards))
        )
        assert codes(told) == {None: 1, "idempotency_key_reused": 1}
        assert sum([await town.available_fen(card) for card in cards]) == 100


async def test_a_decline_is_kept_like_a_success(town: Town) -> None:
    card = await town.new_card(load_fen=100)
    declined = await town.purchase(card, 101, key="declined", body=b"x")
    assert declined.code == "insufficient_funds"
    await town.load(card, 1_000)
    for process in (0, 1):
        assert await town.purchase(card, 101, key="declined", body=b"x", process=process) == declined
    assert await town.available_fen(card) == 1_100


async def test_no_spend_that_starts_after_a_block_was_answered_passes(town: Town) -> None:
    for _ in range(12):
        card = await town.new_card(load_fen=100_000)
        blocked = asyncio.Event()
        late: list[Told] = []
        early: list[Told] = []

        async def till(
            process: int,
            card: object = card,
            blocked: asyncio.Event = blocked,
            late: list[Told] = late,
            early: list[Told] = early,
        ) -> None:
            for _ in range(200):
                told = late if blocked.is_set() else early
                told.append(await town.purchase(card, 1, process=process))  # type: ignore[arg-type]
                if len(late) > 6:
                    return

        tills = [asyncio.create_task(till(number % 2)) for number in range(4)]
        await asyncio.sleep(0.02)
        await town.block(card, process=1)
        blocked.set()
        await asyncio.gather(*tills)
        assert codes(late) == {"card_blocked": len(late)}
        assert codes(early).keys() <= {None, "card_blocked"}
        assert await town.available_fen(card) == 100_000 - codes(early)[None]
        await town.unblock(card)
        assert (await town.purchase(card, 1)).code is None


async def test_a_capture_races_the_refund_of_what_was_captured(town: Town) -> None:
    card = await town.new_card(load_fen=1_000)
    authorization = (await town.authorize(card, 640)).payment_id
    await town.capture(authorization, 10, final=False)

    def capture(number: int) -> Callable[[str], Awaitable[Told]]:
        return lambda key: town.capture(authorization, 10, final=False, body=b"", key=key, process=number % 2)

    def refund(number: int) -> Callable[[str], Awaitable[Told]]:
        return lambda key: town.refund(authorization, 10, body=b"", key=key, process=number % 2)

    told = await asyncio.gather(*(patiently(make(number)) for make in (capture, refund) for number in range(32)))
    assert codes(told[:32]) == {None: 32}
    refunded = codes(told[32:])
    assert refunded.keys() <= {None, "refund_exceeds_payment"}
    assert (await town.held(card))["card_principal"] == Held(1_000 - 330 + 10 * refunded[None], 310)
    await audits_hold(town.conninfo)


async def test_nobody_waits_in_a_circle(database: str) -> None:
    """Random batches over the same few cards and shops from four processes for some seconds."""
    town = await Town.found(database, clock=SystemClock(), processes=4, shops=3)
    cards = [await town.new_card(load_fen=50_000, bonus_fen=1_000) for _ in range(10)]
    before = deadlocks(database)
    end = time.monotonic() + 4

    async def till(seed: int) -> int:
        chance = Random(seed)
        process, passed = seed % 4, 0
        while time.monotonic() < end or passed < 3:  # and everybody gets on, however slow the machine is
            card, shop = chance.choice(cards), chance.randrange(3)
            if chance.random() < 0.03:
                await town.block(card, process=process)
                await town.unblock(card, process=process)
            held = await town.authorize(card, 5, shop=shop, process=process)
            paid = await town.purchase(card, 3, shop=shop, process=process)
            if held.code is None:
                change = town.capture if chance.random() < 0.5 else town.void
                assert (await change(held.payment_id, process=process)).code in (None, "busy")
            if paid.code is None:
                passed += (await town.refund(paid.payment_id, 1, process=process)).code is None
            assert {held.code, paid.code} <= {None, "card_blocked", "insufficient_funds", "busy"}
        return passed

    passed = await asyncio.gather(*(till(seed) for seed in range(24)))
    assert min(passed) >= 3
    assert deadlocks(database) == before
    await town.close()
    await audits_hold(database)


def deadlocks(conninfo: str) -> int:
    """How many deadlocks the database has ever seen. Sessions report them within a second."""
    time.sleep(1.1)
    with psycopg.connect(conninfo) as connection:
        row = connection.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
    assert row is not None
    return int(row[0])
