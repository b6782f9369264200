"""The checker of concurrent histories: it explains what can be, and finds each thing that cannot."""

from pathlib import Path
from random import Random
from typing import Literal

import pytest
from tests.simulation.history import (
    Anomaly,
    Event,
    Op,
    Value,
    check_history,
    read_history,
    write_history,
)

START = (100, 50, 0)
Kind = Literal["invoke", "ok", "fail", "info"]


def line(process: int, kind: Kind, op: str, card: int | None = 0, **value: int | list[int] | None) -> Event:
    return Event(process=process, type=kind, time=0, op=Op(op), value=Value(card=card, **value))  # type: ignore[arg-type]


def whole(process: int, op: str, card: int | None = 0, outcome: Kind = "ok", **value: int | list[int]) -> list[Event]:
    """An operation that nothing else runs beside."""
    asked = {name: amount for name, amount in value.items() if name in ("amount", "to") and op != "transfer"}
    asked |= {"to": value["to"]} if "to" in value else {}
    return [line(process, "invoke", op, card, **asked), line(process, outcome, op, card, **value)]


def snapshot(*balances: int) -> list[Event]:
    return whole(9, "snapshot", None, balances=list(balances))


def kinds(events: list[Event]) -> list[str]:
    return [anomaly.kind for anomaly in check_history(events, START)]


def test_one_after_the_other() -> None:
    history = [
        *whole(1, "load", amount=20, balance=120),
        *whole(2, "purchase", amount=70, balance=50),
        *whole(1, "purchase", outcome="fail", amount=51),
        *whole(2, "transfer", to=2, amount=50),
        *whole(1, "transfer", outcome="fail", to=1),
        *whole(1, "read", 2, balance=50),
        *snapshot(0, 50, 50),
    ]
    assert kinds(history) == []


def test_at_once_in_either_order() -> None:
    begin = [line(1, "invoke", "purchase", amount=60), line(2, "invoke", "purchase", amount=60)]
    one, other = line(1, "ok", "purchase", amount=60, balance=40), line(2, "fail", "purchase", amount=60)
    assert kinds([*begin, one, other, *snapshot(40, 50, 0)]) == []
    assert kinds([*begin, other, one, *snapshot(40, 50, 0)]) == []


@pytest.mark.parametrize(("told", "expected"), [(100, []), (40, []), (41, ["impossible"])])
def test_a_read_beside_a_write_sees_before_or_after(told: int, expected: list[str]) -> None:
    history = [
        line(1, "invoke", "purchase", amount=60),
        *whole(2, "read", balance=told),
        line(1, "ok", "purchase", amount=60, balance=40),
    ]
    assert kinds(history) == expected


@pytest.mark.parametrize(("left", "expected"), [(100, []), (40, []), (70, ["total", "impossible"])])
def test_what_nobody_knows_may_be_or_not(left: int, expected: list[str]) -> None:
    history = [line(1, "invoke", "purchase", amount=60), line(1, "info", "purchase", amount=60), *snapshot(left, 50, 0)]
    assert kinds(history) == expected


def test_what_nobody_knows_is_or_is_not() -> None:
    """Seen once, it was there; it cannot be away again."""
    unknown = [line(1, "invoke", "load", amount=5), line(1, "info", "load", amount=5)]
    assert kinds([*unknown, *whole(2, "read", balance=100), *whole(2, "read", balance=105)]) == []
    assert kinds([*unknown, *whole(2, "read", balance=105), *whole(2, "read", balance=100)]) == ["impossible"]


BROKEN = {
    "lost update": [
        line(1, "invoke", "purchase", amount=60),
        line(2, "invoke", "purchase", amount=60),
        line(1, "ok", "purchase", amount=60, balance=40),
        line(2, "ok", "purchase", amount=60, balance=40),
    ],
    "read of something old": [*whole(1, "load", amount=1, balance=101), *whole(2, "read", balance=100)],
    "read of something that failed": [
        *whole(1, "purchase", outcome="fail", amount=101),
        *whole(2, "read", balance=-1),
    ],
    "two reads that go back": [
        line(1, "invoke", "load", amount=1),
        *whole(2, "read", balance=101),
        *whole(3, "read", balance=100),
        line(1, "ok", "load", amount=1, balance=101),
    ],
    "half a transfer": [
        line(1, "invoke", "transfer", 0, to=2),
        *whole(2, "read", 0, balance=0),
        *whole(2, "read", 2, balance=0),
        line(1, "ok", "transfer", 0, to=2, amount=100),
    ],
    "a transfer of another amount": [*whole(1, "transfer", to=2, amount=99)],
    "a transfer of nothing": [*whole(1, "transfer", 2, to=0, amount=0)],
    "done twice": [*whole(1, "load", amount=1, balance=101), *whole(1, "read", balance=102)],
    "told and not done": [*whole(1, "load", amount=1), *whole(1, "read", balance=100)],
    "refused for nothing": [*whole(1, "purchase", outcome="fail", amount=100)],
    "more spent than there is": [*whole(1, "purchase", amount=101, balance=-1)],
    "a total that is none": snapshot(100, 50, 1),
    "a total between": [
        line(1, "invoke", "transfer", 0, to=2),
        *snapshot(0, 50, 0),
        line(1, "ok", "transfer", 0, to=2, amount=100),
    ],
    "right in all but who has it": snapshot(99, 51, 0),
    "an answer to nothing": [line(1, "ok", "read", balance=100)],
    "an answer to something else": [line(1, "invoke", "read"), line(1, "ok", "load", amount=1)],
    "two questions at once": [line(1, "invoke", "read"), line(1, "invoke", "read")],
    "on after it is not known": [
        line(1, "invoke", "load", amount=1),
        line(1, "info", "load", amount=1),
        line(1, "invoke", "read"),
    ],
}
FOUND = {
    "read of something that failed": ["negative", "impossible"],
    "more spent than there is": ["negative", "impossible"],
    "a total that is none": ["total", "impossible"],
    "a total between": ["total", "impossible"],
    "an answer to nothing": ["malformed"],
    "an answer to something else": ["malformed"],
    "two questions at once": ["malformed"],
    "on after it is not known": ["malformed"],
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_history_is_found(name: str) -> None:
    assert kinds(BROKEN[name]) == FOUND.get(name, ["impossible"])


def test_what_is_found_is_named() -> None:
    (anomaly,) = check_history(BROKEN["read of something old"], START)
    assert anomaly == Anomaly(
        "impossible",
        'read {"card":0,"balance":100} (ok) of process 2: no order explains it; one that explains all before leaves '
        "[101, 50, 0]",
    )


def serial_history(chance: Random, count: int) -> list[Event]:
    """What a right ledger answers to concurrent clients: each takes effect at one moment between asking and hearing."""
    state, events = list(START), list[Event]()
    under_way: dict[int, tuple[Op, Event | None]] = {}
    process_of = list(range(5))
    for _ in range(count):
        lane = chance.randrange(5)
        process = process_of[lane]
        if process not in under_way:
            op = chance.choice([Op.LOAD, Op.PURCHASE, Op.TRANSFER, Op.READ])
            card = chance.randrange(3)
            value = Value(
                card=card,
                to=(card + 1) % 3 if op is Op.TRANSFER else None,
                amount=chance.randint(1, 60) if op in (Op.LOAD, Op.PURCHASE) else None,
            )
            events.append(Event(process=process, type="invoke", time=len(events), op=op, value=value))
            under_way[process] = op, None
            continue
        op, answer = under_way[process]
        if answer is None:
            asked = next(event for event in reversed(events) if event.process == process)
            under_way[process] = op, _effect(state, asked)
            if chance.random() < 0.05:  # and the answer is lost
                lost = Event(process=process, type="info", time=len(events), op=op, value=asked.value)
                events.append(lost)
                process_of[lane] += 5
        else:
            events.append(answer)
            del under_way[process]
    return events


def _effect(state: list[int], asked: Event) -> Event:
    """Take effect, and the answer to it."""
    value = asked.value
    card, amount = value.card, value.amount or 0
    assert card is not None
    kind: Kind = "ok"
    if asked.op is Op.READ:
        told = Value(card=card, balance=state[card])
    elif asked.op is Op.TRANSFER:
        assert value.to is not None
        told = Value(card=card, to=value.to, amount=state[card])
        kind = "ok" if state[card] else "fail"
        state[value.to] += state[card]
        state[card] = 0
    elif asked.op is Op.PURCHASE and state[card] < amount:
        kind, told = "fail", value
    else:
        state[card] += amount if asked.op is Op.LOAD else -amount
        told = Value(card=card, amount=amount, balance=state[card])
    return Event(process=asked.process, type=kind, time=asked.time, op=asked.op, value=told)


@pytest.mark.parametrize("seed", range(20))
def test_what_a_right_ledger_answers_is_explained(seed: int, tmp_path: Path) -> None:
    history = serial_history(Random(seed), 600)
    write_history(tmp_path / "history.jsonl", history)
    assert read_history(tmp_path / "history.jsonl") == history
    assert check_history(history, START) == []


@pytest.mark.parametrize("seed", range(20))
def test_one_wrong_answer_among_many_is_found(seed: int) -> None:
    chance = Random(seed)
    history = serial_history(chance, 600)
    told = [place for place, event in enumerate(history) if event.type == "ok" and event.op is Op.READ]
    place = chance.choice(told)
    balance = history[place].value.balance
    assert balance is not None
    wrong = Event(
        process=history[place].process,
        type="ok",
        time=history[place].time,
        op=Op.READ,
        value=Value(card=history[place].value.card, balance=balance + 100_000),
    )
    assert kinds([*history[:place], wrong, *history[place + 1 :]]) == ["impossible"]
