"""The count of wrong answers, over processes that share a database."""

import asyncio
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from tests.town import HandClock

from kaquan.guesses import Guard, caller_of, forget_guesses
from kaquan.guesses import store as guesses_store
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids

LIMIT, WINDOW_S = 50, 3_600


@pytest.fixture
def hand() -> HandClock:
    return HandClock()


def guards(pool: Pool, clock: HandClock, count: int = 2) -> list[Guard]:
    return [Guard(pool, clock, limit=LIMIT, window_s=WINDOW_S) for _ in range(count)]


async def ask(guard: Guard, caller: Any) -> bool:
    """Whether a wrong number was answered."""
    return guard.must_wait(caller) is None and await guard.note_failure(caller) is None


async def test_ten_thousand_guesses_get_fifty_answers(pool: Pool, hand: HandClock, ids: Ids) -> None:
    processes, caller = guards(pool, hand), caller_of("key", ids.new())
    answered = 0
    for _ in range(100):
        asked = [ask(processes[n % 2], caller) for n in range(100)]
        answered += sum(await asyncio.gather(*asked))
    assert answered == LIMIT
    refusal = processes[0].must_wait(caller)
    assert refusal is not None
    assert refusal.code == "too_many_wrong_answers"
    assert 1 <= refusal.details["retry_after_s"] <= WINDOW_S // LIMIT
    assert "{" not in refusal.message("en") + refusal.message("zh")
    assert await ask(processes[0], caller_of("key", ids.new())), "others are answered"


async def test_who_waits_is_answered_now_and_then(pool: Pool, hand: HandClock, ids: Ids) -> None:
    ((guard,), caller) = guards(pool, hand, 1), caller_of(ids.new())
    for _ in range(LIMIT):
        assert await ask(guard, caller)
    assert not await ask(guard, caller)
    hand.move(timedelta(seconds=WINDOW_S // LIMIT))
    assert await ask(guard, caller)
    assert not await ask(guard, caller)
    hand.move(timedelta(seconds=WINDOW_S))
    assert [await ask(guard, caller) for _ in range(LIMIT + 1)] == [True] * LIMIT + [False]


async def test_processes_learn_of_each_other(pool: Pool, hand: HandClock, ids: Ids) -> None:
    (one, other), caller = guards(pool, hand), caller_of(ids.new())
    for _ in range(LIMIT):
        await ask(one, caller)
    assert other.must_wait(caller) is None
    await other.refresh()
    assert other.must_wait(caller) is not None, "not even a right number is answered"
    late = guards(pool, hand, 1)[0]
    assert await late.note_failure(caller) is not None, "and a process that has not learnt it asks"
    assert late.must_wait(caller) is not None


async def test_one_of_two_callers_is_enough(pool: Pool, hand: HandClock, ids: Ids) -> None:
    ((guard,), number) = guards(pool, hand, 1), caller_of("number", ids.new())
    for _ in range(LIMIT):
        assert await guard.note_failure(caller_of(ids.new()), number) is None
    client = caller_of(ids.new())
    assert guard.must_wait(client, number) is not None
    assert await guard.note_failure(client, number) is not None
    assert guard.must_wait(client) is None


async def test_who_is_right_costs_no_statement(pool: Pool, hand: HandClock, ids: Ids) -> None:
    closed = Guard(Pool("", open=False), hand, limit=LIMIT, window_s=WINDOW_S)
    for _ in range(1_000):
        assert closed.must_wait(caller_of(ids.new())) is None


async def test_what_is_forgiven_is_forgotten(pool: Pool, hand: HandClock, ids: Ids) -> None:
    ((guard,), caller) = guards(pool, hand, 1), caller_of(ids.new())
    await ask(guard, caller)
    await forget_guesses(pool, now=hand.now())
    assert await guesses_store.load_full(pool, [caller])
    hand.move(timedelta(seconds=WINDOW_S))
    assert await forget_guesses(pool, now=hand.now()) >= 1
    assert await guesses_store.load_full(pool, [caller]) == {}


async def test_only_a_hash_is_kept(pool: Pool) -> None:
    async with pool.connection() as connection:
        rows = await (
            await connection.execute(
                "SELECT column_name::text, data_type::text FROM information_schema.columns WHERE table_name = %s",
                ("guesses_caller",),
            )
        ).fetchall()
    assert sorted(rows) == [("caller", "uuid"), ("full_at", "timestamp with time zone")]
    assert psycopg.paramstyle == "pyformat"
