"""Limits that cards of several slots share hold under any concurrency, and whatever dies in between."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.store.test_limits import limit
from tests.store.test_races import codes, patiently
from tests.town import HandClock, Told, Town, any_customer, audits_hold

from kaquan import cards, payments
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import slot_of
from kaquan.payments import LimitScope, Metric, Movement, Period, desk, reserve, store

SLOTS = (3, 17, 40, 62)


class DiedError(Exception):
    """What kills a process in these tests."""


@pytest.fixture
def hand() -> HandClock:
    return HandClock()


@pytest.fixture
async def town(database_of_four_slots: str, hand: HandClock) -> AsyncIterator[Town]:
    made = await Town.found(database_of_four_slots, clock=hand, slots=SLOTS, processes=2, shops=2)
    yield made
    await made.close()


async def cards_of(town: Town, person: UUID | None, *, load_fen: int = 10_000) -> list[UUID]:
    """A card in every slot, all of one person if one is named."""
    found: dict[int, UUID] = {}
    while len(found) < len(SLOTS):
        card_id = await town.new_card()
        if found.setdefault(slot_of(card_id, SLOTS), card_id) != card_id:
            continue
        if person is not None:
            app = town.apps[0]
            done = await cards.register_card(
                app.pool, town.hand(), any_customer, book_id=town.book_id, slots=SLOTS, card_id=card_id,
                customer_id=person,
            )  # fmt: skip
            assert not isinstance(done, Refusal)
        assert (await town.load(card_id, load_fen)).status == 201
    return list(found.values())


async def rows(town: Town, query: str, *params: object) -> list[tuple[Any, ...]]:
    async with town.apps[0].pool.connection() as connection:
        return await (await connection.execute(query.encode(), params)).fetchall()


async def nothing_is_held(town: Town) -> None:
    assert await rows(town, "SELECT * FROM payments_reservation") == []
    assert await rows(town, "SELECT * FROM payments_given_up") == []


async def standing(town: Town, card_id: UUID) -> int:
    """What is used of the first limit of a card."""
    app = town.apps[0]
    card = await cards.get_card(app.pool, book_id=town.book_id, slots=SLOTS, card_id=card_id)
    assert not isinstance(card, Refusal)
    await app.refresh()
    found = await payments.list_standings(
        app.pool, app.limits, town.programme, slots=SLOTS, card=card, place=town.places[0], at=app.clock.now()
    )
    return found[0].used


async def sweep(town: Town, hand: HandClock) -> int:
    hand.move(timedelta(seconds=31))
    app = town.apps[1]
    return await reserve.settle_left(app.pool, app.clock, slots=SLOTS)


@pytest.mark.parametrize("period", [Period.DAY, Period.TRAILING])
async def test_payments_of_a_persons_cards_in_every_slot_stop_at_one_limit(town: Town, period: Period) -> None:
    owned = await cards_of(town, town.ids.new())
    others = await cards_of(town, town.ids.new())
    trailing_s = 3_600 if period is Period.TRAILING else None
    await limit(town, 1_050, scope=LimitScope.PERSON, period=period, trailing_s=trailing_s)

    async def pay(number: int) -> Told:
        return await patiently(
            lambda key: town.purchase(owned[number % 4], 100, process=number // 4 % 2, shop=number % 2, key=key)
        )

    told = await asyncio.gather(*(pay(number) for number in range(48)))
    assert codes(told) == {None: 10, "limit_exceeded": 38}
    refused = next(one for one in told if one.code == "limit_exceeded")
    name = "3600 s" if trailing_s else "day"
    assert refused.body["detail"] == f"The limit 'a limit' (person, {name}) allows 1050; 50 is left."
    assert sum([await town.available_fen(card) for card in owned]) == 39_000
    assert {await standing(town, card) for card in owned} == {1_000}
    for card in others:  # another person has a limit of their own
        assert (await town.purchase(card, 200)).status == 201
    assert (await town.purchase(owned[1], 51)).code == "limit_exceeded"
    assert (await town.purchase(owned[2], 50)).status == 201
    await nothing_is_held(town)
    await audits_hold(town.conninfo)


async def test_what_is_not_paid_uses_nothing(town: Town) -> None:
    """Of limits in several slots: all that a payment uses or nothing; and a retry uses nothing more."""
    owned = await cards_of(town, town.ids.new(), load_fen=1_000)
    await limit(town, 500, name="person", scope=LimitScope.PERSON)
    await limit(town, 3, name="store", scope=LimitScope.STORE, metric=Metric.COUNT)
    await limit(town, 2, name="merchant", scope=LimitScope.MERCHANT, metric=Metric.COUNT, period=Period.TRAILING,
                trailing_s=60)  # fmt: skip
    await limit(town, 700, name="own", scope=LimitScope.CARD)
    first = await town.purchase(owned[0], 100, key="first", body=b"")
    again = await asyncio.gather(
        *(town.purchase(owned[0], 100, key="first", body=b"", process=n % 2) for n in range(6))
    )
    assert {one.raw for one in again if one.code != "request_in_progress"} == {first.raw}
    assert (await town.purchase(owned[1], 1_001)).code == "insufficient_funds"
    assert (await town.purchase(owned[1], 401)).code == "limit_exceeded"
    assert (await town.purchase(owned[1], 100)).status == 201
    told = [await town.purchase(card, 100) for card in owned]
    assert all("'merchant'" in one.body["detail"] for one in told)
    assert await standing(town, owned[3]) == 200
    # another merchant, another store: what the refused ones had counted is free
    told = await asyncio.gather(*(town.purchase(owned[n % 4], 100, shop=1, process=n % 2) for n in range(12)))
    assert codes(told) == {None: 2, "limit_exceeded": 10}
    assert await standing(town, owned[3]) == 400
    await nothing_is_held(town)


async def test_loads_of_a_persons_cards_share_a_limit(town: Town) -> None:
    owned = await cards_of(town, town.ids.new())
    await limit(town, 1_000, scope=LimitScope.PERSON, movement=Movement.LOAD, period=Period.YEAR)
    told = await asyncio.gather(*(town.load(card, 400, process=n % 2) for n, card in enumerate(owned)))
    assert codes(told) == {None: 2, "limit_exceeded": 2}
    await nothing_is_held(town)


async def test_who_dies_before_the_payment_leaves_too_much_counted_until_it_is_swept(
    town: Town, hand: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    owned = await cards_of(town, town.ids.new())
    await limit(town, 1_000, scope=LimitScope.PERSON)
    await limit(town, 1_000, scope=LimitScope.PERSON, period=Period.TRAILING, trailing_s=3_600)

    async def die(*arguments: Any, **named: Any) -> None:
        raise DiedError

    with monkeypatch.context() as patch:
        patch.setattr(store, "post", die)
        assert (await town.purchase(owned[0], 600)).code == "internal_error"
    assert await town.available_fen(owned[0]) == 10_000
    assert len(await rows(town, "SELECT * FROM payments_reservation")) in (1, 2)
    assert await standing(town, owned[1]) == 600
    assert (await town.purchase(owned[1], 401)).code == "limit_exceeded"
    assert await reserve.settle_left(town.apps[0].pool, hand, slots=SLOTS) == 0, "it may still be under way"
    assert sum(await asyncio.gather(*(sweep(town, hand) for _ in range(2)))) >= 1
    assert await rows(town, "SELECT * FROM payments_reservation") == []
    assert await standing(town, owned[1]) == 0
    assert (await town.purchase(owned[1], 1_000)).status == 201
    assert await standing(town, owned[1]) == 1_000
    await rows_as_owner(town, "DELETE FROM payments_given_up RETURNING 1")


async def rows_as_owner(town: Town, query: str) -> None:
    async with await psycopg.AsyncConnection.connect(town.conninfo, autocommit=True) as connection:
        await connection.execute(query.encode())


async def test_a_payment_that_was_given_up_is_not_posted_any_more(
    town: Town, hand: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that stood still between reserving and posting: it reserves anew, and no limit is gone through."""
    owned = await cards_of(town, town.ids.new())
    await limit(town, 1_000, scope=LimitScope.PERSON)
    post = store.post
    stood_still: list[int] = []

    async def stand_still(*arguments: Any, **named: Any) -> list[int]:
        if named["reserved"] and not stood_still:
            stood_still.append(await sweep(town, hand))
            other = await town.purchase(owned[1], 700, process=1)  # takes the room that was given back
            assert other.status == 201
        return await post(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(store, "post", stand_still)
        told = await town.purchase(owned[0], 600)
    assert stood_still == [1]
    assert told.code == "limit_exceeded"
    assert await town.available_fen(owned[0]) == 10_000
    assert await standing(town, owned[0]) == 700
    assert len(await rows(town, "SELECT * FROM payments_given_up")) == 1
    await rows_as_owner(town, "DELETE FROM payments_given_up")
    await nothing_is_held(town)


async def test_who_dies_after_the_payment_leaves_it_counted(
    town: Town, hand: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    owned = await cards_of(town, town.ids.new())
    await limit(town, 1_000, scope=LimitScope.PERSON)

    async def die(*arguments: Any, **named: Any) -> None:
        raise DiedError

    with monkeypatch.context() as patch:
        patch.setattr(desk, "settle", die)
        assert (await town.purchase(owned[0], 600, key="k", body=b"")).code == "internal_error"
    assert await town.available_fen(owned[0]) == 9_400
    assert (await town.purchase(owned[0], 600, key="k", body=b"")).status == 201, "the first answer"
    assert await town.available_fen(owned[0]) == 9_400
    assert await sweep(town, hand) == 1
    await nothing_is_held(town)
    assert await standing(town, owned[1]) == 600


async def test_what_is_given_back_after_its_day_is_not_taken_from_the_next(
    town: Town, hand: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    owned = await cards_of(town, town.ids.new())
    await limit(town, 1_000, scope=LimitScope.PERSON)
    await limit(town, 5_000, scope=LimitScope.PERSON, period=Period.YEAR)

    async def die(*arguments: Any, **named: Any) -> None:
        raise DiedError

    with monkeypatch.context() as patch:
        patch.setattr(store, "post", die)
        assert (await town.purchase(owned[0], 600)).code == "internal_error"
    hand.move(timedelta(days=1))
    assert (await town.purchase(owned[1], 900)).status == 201
    assert await sweep(town, hand) == 1
    used = await rows(
        town, "SELECT day_fen, year_fen FROM payments_usage WHERE day_fen = 900 AND year_count = 1 AND day_count = 1"
    )
    assert used == [(900, 900)]
    assert (await town.purchase(owned[2], 101)).code == "limit_exceeded"
    await rows_as_owner(town, "DELETE FROM payments_given_up")


@pytest.fixture
async def owned(town: Town) -> list[UUID]:
    return await cards_of(town, town.ids.new(), load_fen=1_000_000)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    maximum=st.integers(100, 300),
    steps=st.lists(
        st.tuples(st.integers(0, 3), st.floats(0, 0.6), st.integers(1, 120), st.booleans()), min_size=1, max_size=10
    ),
)
async def test_no_window_ever_holds_more_than_it_may_whoever_dies(
    town: Town, owned: list[UUID], hand: HandClock, maximum: int, steps: list[tuple[int, float, int, bool]]
) -> None:
    """And when all that died is swept, the window holds just what was paid, or a little longer."""
    hand.move(timedelta(hours=1))  # all that was before is out of the window
    made = await limit(town, maximum, scope=LimitScope.PERSON, period=Period.TRAILING, trailing_s=600)
    paid: list[tuple[float, int]] = []

    async def die(*arguments: Any, **named: Any) -> None:
        raise DiedError

    for card, wait, amount_fen, dies in steps:
        hand.move(timedelta(seconds=wait * 600))
        with pytest.MonkeyPatch.context() as patch:
            if dies:
                patch.setattr(store, "post", die)
            at = hand.at.timestamp()
            told = await town.purchase(owned[card], amount_fen)
        if dies:
            assert told.code == "internal_error"
            await sweep(town, hand)
            await rows_as_owner(town, "DELETE FROM payments_given_up")
            continue
        held = sum(fen for then, fen in paid if at - then < 600)
        if told.status == 201:
            assert held + amount_fen <= maximum
            paid.append((at, amount_fen))
        else:
            longer = sum(fen for then, fen in paid if at - then < 600 * (1 + 1 / 16) + 1)
            assert longer + amount_fen > maximum
    app = town.apps[0]
    await payments.end_limit(app.pool, app.clock, app.ids, book_id=town.book_id, limit_id=made.id)
