"""Limits hold under any concurrency, count what they say, and tell what is left."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.store.test_races import codes, patiently
from tests.town import HandClock, Told, Town, audits_hold

from kaquan import cards, parties, payments
from kaquan.kit.clock import SystemClock
from kaquan.kit.outcomes import Refusal
from kaquan.parties import StoreChange
from kaquan.payments import (
    Holder,
    Hours,
    Limit,
    LimitScope,
    Metric,
    Movement,
    NewLimit,
    NewPlaceRule,
    Period,
    PlaceRule,
    PlaceRuleKind,
)

MANY = 64


@pytest.fixture
async def town(database: str) -> AsyncIterator[Town]:
    made = await Town.found(database, clock=SystemClock(), processes=2, shops=2)
    yield made
    await made.close()


async def limit(town: Town, maximum: int, **terms: Any) -> Limit:
    app = town.apps[0]
    defaults: dict[str, Any] = {
        "programme_id": town.programme.id,
        "name": "a limit",
        "movement": Movement.SPEND,
        "scope": LimitScope.CARD,
        "holder": Holder.ANY,
        "metric": Metric.AMOUNT,
        "period": Period.DAY,
        "trailing_s": None,
        "hours": None,
    }
    replaces_id = terms.pop("replaces_id", None)
    made = await payments.create_limit(
        app.pool,
        app.clock,
        app.ids,
        book_id=town.book_id,
        new=NewLimit(maximum=maximum, **(defaults | terms)),
        replaces_id=replaces_id,
    )
    assert not isinstance(made, Refusal), made
    return made


async def test_many_purchases_of_one_terminal_stop_at_its_count(town: Town) -> None:
    cards = [await town.new_card(load_fen=1_000) for _ in range(MANY)]
    await limit(town, 10, scope=LimitScope.TERMINAL, metric=Metric.COUNT)

    async def pay(number: int) -> Told:
        return await patiently(lambda key: town.purchase(cards[number], 7, process=number % 2, key=key))

    told = await asyncio.gather(*(pay(number) for number in range(MANY)))
    assert codes(told) == {None: 10, "limit_exceeded": MANY - 10}
    refused = next(one for one in told if one.code == "limit_exceeded")
    assert refused.body["detail"] == "The limit 'a limit' (terminal, day) allows 10; 0 is left."
    paid = (await town.held(town.places[0].merchant_id))["merchant_payable"].posted_fen
    assert paid == 70
    # what was refused used nothing: another terminal has its own ten
    assert (await town.purchase(cards[0], 7, shop=1)).status == 201
    await audits_hold(town.conninfo)


async def left(town: Town, card_id: UUID) -> int:
    """What the first limit that holds for a card leaves it."""
    app = town.apps[0]
    card = await cards.get_card(app.pool, book_id=town.book_id, slots=app.slots, card_id=card_id)
    assert not isinstance(card, Refusal)
    await app.refresh()
    standings = await payments.list_standings(
        app.pool, app.limits, town.programme, slots=app.slots, card=card, place=None, at=app.clock.now()
    )
    return standings[0].left


async def test_many_purchases_of_one_card_stop_at_its_amount(town: Town) -> None:
    card = await town.new_card(load_fen=100_000)
    await limit(town, 1_050, period=Period.MONTH)
    told = await asyncio.gather(*(town.purchase(card, 100, shop=n % 2, process=n // 2 % 2) for n in range(MANY)))
    assert codes(told) == {None: 10, "limit_exceeded": MANY - 10}
    assert await town.available_fen(card) == 99_000
    assert await left(town, card) == 50
    # what is left may still be used, to the fen
    assert (await town.purchase(card, 51)).code == "limit_exceeded"
    assert (await town.purchase(card, 50)).status == 201
    assert (await town.purchase(card, 1)).code == "limit_exceeded"


async def test_a_batch_that_breaks_one_of_two_limits_gives_back_what_it_used_of_the_other(town: Town) -> None:
    cards = [await town.new_card(load_fen=1_000) for _ in range(20)]
    before = await keys(town)
    await limit(town, 5, scope=LimitScope.STORE, metric=Metric.COUNT)
    await limit(town, 20, scope=LimitScope.PROGRAMME, metric=Metric.COUNT)
    await limit(town, 15, scope=LimitScope.PROGRAMME, metric=Metric.COUNT, period=Period.TRAILING, trailing_s=3_600)
    told = await asyncio.gather(*(town.purchase(card, 10, process=n % 2) for n, card in enumerate(cards)))
    assert codes(told) == {None: 5, "limit_exceeded": 15}
    told = await asyncio.gather(*(town.purchase(card, 10, shop=1, process=n % 2) for n, card in enumerate(cards)))
    assert codes(told) == {None: 5, "limit_exceeded": 15}
    used = await rows(town, "SELECT day_count, month_count, year_count FROM payments_usage", others=before)
    assert Counter(used) == {(5, 5, 5): 2, (10, 10, 10): 1}
    assert [sum(row[0]) for row in await rows(town, "SELECT count FROM payments_trail", others=before)] == [10]


async def keys(town: Town) -> list[Any]:
    """The subjects that other tests have counted."""
    found = await rows(town, "SELECT key FROM payments_usage")
    return [row[0] for row in found + await rows(town, "SELECT key FROM payments_trail")]


async def rows(town: Town, query: str, *, others: list[Any] | None = None) -> list[tuple[Any, ...]]:
    query += "" if others is None else " WHERE key <> ALL (%s)"
    async with town.apps[0].pool.connection() as connection:
        params = None if others is None else (others,)
        return await (await connection.execute(query, params)).fetchall()


async def test_what_the_ledger_refuses_uses_nothing(town: Town) -> None:
    card = await town.new_card(load_fen=100)
    await limit(town, 1_000)
    before = await keys(town)
    assert (await town.purchase(card, 101)).code == "insufficient_funds"
    first = await town.purchase(card, 60, key="once", body=b"")
    again = await asyncio.gather(*(town.purchase(card, 60, key="once", body=b"", process=n % 2) for n in range(8)))
    assert {one.raw for one in again if one.code != "request_in_progress"} == {first.raw}
    told = await asyncio.gather(*(town.purchase(card, 30, process=n % 2) for n in range(8)))
    assert codes(told) == {None: 1, "insufficient_funds": 7}
    assert await rows(town, "SELECT day_fen FROM payments_usage", others=before) == [(90,)]


async def test_a_retry_after_the_limit_is_used_up_gets_its_first_answer(town: Town) -> None:
    card = await town.new_card(load_fen=1_000)
    await limit(town, 100)
    first = await town.purchase(card, 100, key="first", body=b"")
    assert first.status == 201
    refused = await town.purchase(card, 1, key="second", body=b"")
    assert refused.code == "limit_exceeded"
    assert (await town.purchase(card, 100, key="first", body=b"", process=1)).raw == first.raw
    assert (await town.purchase(card, 1, key="second", body=b"", process=1)).raw == refused.raw


async def test_a_limit_holds_in_every_process_from_its_answer_on(town: Town) -> None:
    card = await town.new_card(load_fen=100_000)
    for process in (0, 1):
        assert (await town.purchase(card, 100, process=process)).status == 201
    made = await limit(town, 50, period=Period.TRANSACTION)
    for process in (0, 1):
        assert (await town.purchase(card, 51, process=process)).code == "limit_exceeded"
    await limit(town, 60, period=Period.TRANSACTION, replaces_id=made.id)
    for process in (0, 1):
        assert (await town.purchase(card, 60, process=process)).status == 201
        assert (await town.purchase(card, 61, process=process)).code == "limit_exceeded"


async def test_a_replaced_limit_cannot_be_replaced_again(town: Town) -> None:
    made = await limit(town, 50)
    await limit(town, 60, replaces_id=made.id)
    app = town.apps[0]
    again = await payments.create_limit(
        app.pool, app.clock, app.ids, book_id=town.book_id,
        new=NewLimit(
            programme_id=town.programme.id, name="x", movement=Movement.SPEND, scope=LimitScope.CARD, holder=Holder.ANY,
            metric=Metric.AMOUNT, period=Period.DAY, trailing_s=None, maximum=70, hours=None,
        ),
        replaces_id=made.id,
    )  # fmt: skip
    assert isinstance(again, Refusal)
    assert again.code == "limit_ended"
    in_force = await rows(town, "SELECT programme_id, maximum FROM payments_limit WHERE ended_at IS NULL")
    assert [maximum for programme_id, maximum in in_force if programme_id == town.programme.id] == [60]


@pytest.fixture
def hand() -> HandClock:
    return HandClock()


@pytest.fixture
async def quiet_town(database: str, hand: HandClock) -> AsyncIterator[Town]:
    made = await Town.found(database, clock=hand, shops=2, time_zone="Asia/Shanghai")
    yield made
    await made.close()


async def test_periods_end_in_the_zone_of_the_issuer(quiet_town: Town, hand: HandClock) -> None:
    town = quiet_town
    hand.at = datetime(2026, 12, 31, 15, 59, tzinfo=UTC)  # 23:59 in Shanghai
    card = await town.new_card(load_fen=100_000)
    await limit(town, 100, name="day")
    await limit(town, 150, name="month", period=Period.MONTH)
    await limit(town, 180, name="year", period=Period.YEAR)
    assert (await town.purchase(card, 100)).status == 201
    refused = await town.purchase(card, 1)
    assert (refused.code, "'day'" in refused.body["detail"]) == ("limit_exceeded", True)
    hand.move(timedelta(minutes=2))
    assert (await town.purchase(card, 100)).status == 201  # another day, month and year
    hand.move(timedelta(days=1))
    assert "'month'" in (await town.purchase(card, 51)).body["detail"]
    assert (await town.purchase(card, 50)).status == 201
    hand.move(timedelta(days=31))
    assert "'year'" in (await town.purchase(card, 31)).body["detail"]
    assert (await town.purchase(card, 30)).status == 201


async def test_the_night_rule_of_unregistered_cards(quiet_town: Town, hand: HandClock) -> None:
    """R10: large payments of unregistered cards are limited after 22:00; a house rule."""
    town = quiet_town
    card = await town.new_card(load_fen=100_000)
    await limit(
        town, 20_000, name="night", period=Period.TRANSACTION, holder=Holder.UNREGISTERED, hours=Hours(22 * 60, 6 * 60)
    )
    hand.at = datetime(2026, 3, 1, 13, 59, tzinfo=UTC)  # 21:59
    assert (await town.purchase(card, 20_001)).status == 201
    hand.move(timedelta(minutes=1))
    assert (await town.purchase(card, 20_001)).code == "limit_exceeded"
    assert (await town.purchase(card, 20_000)).status == 201
    hand.move(timedelta(hours=8))
    assert (await town.purchase(card, 20_001)).status == 201


async def test_loads_have_limits_of_their_own(quiet_town: Town) -> None:
    card = await quiet_town.new_card(load_fen=100)
    await limit(quiet_town, 500, movement=Movement.LOAD)
    assert (await quiet_town.load(card, 501)).code == "limit_exceeded"
    assert (await quiet_town.load(card, 500, bonus_fen=50)).status == 201
    assert (await quiet_town.load(card, 1)).code == "limit_exceeded"
    assert (await quiet_town.purchase(card, 600)).status == 201


async def test_authorizations_count_and_captures_do_not(quiet_town: Town) -> None:
    card = await quiet_town.new_card(load_fen=1_000)
    await limit(quiet_town, 100)
    held = await quiet_town.authorize(card, 100)
    assert (await quiet_town.authorize(card, 1)).code == "limit_exceeded"
    assert (await quiet_town.capture(held.payment_id, 100)).status == 200


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    trailing_s=st.sampled_from([16, 60, 3_600, 86_400]),
    maximum=st.integers(100, 400),
    steps=st.lists(st.tuples(st.floats(0, 0.7), st.integers(1, 150)), min_size=1, max_size=12),
)
async def test_no_trailing_window_ever_holds_more_than_it_may(
    quiet_town: Town, hand: HandClock, trailing_s: int, maximum: int, steps: list[tuple[float, int]]
) -> None:
    """And what is refused would have been too much in the window and one sixteenth of it."""
    town = quiet_town
    made = await limit(town, maximum, period=Period.TRAILING, trailing_s=trailing_s)
    card = await town.new_card(load_fen=1_000_000)
    paid: list[tuple[datetime, int]] = []
    for wait, amount_fen in steps:
        hand.move(timedelta(seconds=wait * trailing_s))
        at = hand.at
        status = (await town.purchase(card, amount_fen)).status

        def in_window(share: float, now: datetime = at) -> int:
            return sum(fen for then, fen in paid if (now - then).total_seconds() < trailing_s * share)

        if status == 201:
            assert in_window(1) + amount_fen <= maximum
            paid.append((at, amount_fen))
        else:
            assert in_window(1 + 1 / 16 + 1e-6) + amount_fen > maximum
    app = town.apps[0]
    await payments.end_limit(app.pool, app.clock, app.ids, book_id=town.book_id, limit_id=made.id)


BUND, SUZHOU = (31_240_000, 121_490_000), (31_299_000, 120_585_000)


@pytest.fixture
async def two_cities(database: str, hand: HandClock) -> AsyncIterator[Town]:
    """Two server processes; the first shop is in Shanghai, the second in Suzhou, 86 km away."""
    made = await Town.found(database, clock=hand, shops=2, processes=2)
    for place, (latitude, longitude) in zip(made.places, (BUND, SUZHOU), strict=True):
        change = StoreChange(latitude_udeg=latitude, longitude_udeg=longitude)
        app = made.apps[0]
        done = await parties.change_store(
            app.pool, app.clock, app.ids, book_id=made.book_id, id_=place.store_id, change=change
        )
        assert not isinstance(done, Refusal)
    for app in made.apps:
        await app.refresh()
    yield made
    await made.close()


async def place_rule(town: Town, kind: PlaceRuleKind, **terms: Any) -> PlaceRule:
    app = town.apps[0]
    new = dict.fromkeys(("latitude_udeg", "longitude_udeg", "radius_m", "max_speed_kmh", "grace_m", "hours")) | terms
    made = await payments.create_place_rule(
        app.pool,
        app.clock,
        app.ids,
        book_id=town.book_id,
        new=NewPlaceRule(
            programme_id=town.programme.id,
            name="a place rule",
            kind=kind,
            holder=Holder.ANY,
            **new,
        ),
    )
    assert not isinstance(made, Refusal), made
    return made


async def test_a_card_is_not_in_two_cities_at_once(two_cities: Town, hand: HandClock) -> None:
    town = two_cities
    card = await town.new_card(load_fen=10_000)
    await place_rule(town, PlaceRuleKind.TRAVEL, max_speed_kmh=120, grace_m=2_000)
    told = await asyncio.gather(*(town.purchase(card, 1, shop=n % 2, process=n // 2 % 2) for n in range(32)))
    # whichever city came first has them all
    assert codes(told) == {None: 16, "impossible_travel": 16}
    first = 0 if told[0].status == 201 else 1
    assert {one.status for one in told[first::2]} == {201}
    hand.move(timedelta(minutes=41))
    assert (await town.purchase(card, 1, shop=1 - first, process=1)).code == "impossible_travel"
    hand.move(timedelta(minutes=2))
    assert (await town.purchase(card, 1, shop=1 - first, process=1)).status == 201
    assert (await town.purchase(card, 1, shop=first)).code == "impossible_travel"


async def test_a_card_stays_in_its_circle_until_the_rule_ends(two_cities: Town) -> None:
    town = two_cities
    card = await town.new_card(load_fen=10_000)
    made = await place_rule(town, PlaceRuleKind.WITHIN, latitude_udeg=BUND[0], longitude_udeg=BUND[1], radius_m=30_000)
    assert (await town.purchase(card, 1)).status == 201
    assert (await town.purchase(card, 1, shop=1)).code == "outside_area"
    app = town.apps[0]
    await payments.end_place_rule(app.pool, app.clock, app.ids, book_id=town.book_id, rule_id=made.id)
    assert (await town.purchase(card, 1, shop=1)).status == 201
