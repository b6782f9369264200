"""Concurrent histories in the shape of Jepsen's bank test, and whether any one order explains them.

A history is JSON lines, in the order in which they were observed: a process *invokes* an operation, and later it is
*ok* (done), *fail* (known not to be done) or *info* (nobody knows; that process then does nothing more). A history
must be strictly serializable: there is one order of its operations, each between its invocation and its end, in which
every answer is right. Operations of unknown outcome may stand anywhere after their invocation, or nowhere.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

MOST_STEPS = 2_000_000


class Op(StrEnum):
    LOAD = "load"
    PURCHASE = "purchase"
    TRANSFER = "transfer"
    """All that a card holds goes to another."""
    READ = "read"
    """The balance of one card."""
    SNAPSHOT = "snapshot"
    """The balances of all cards at one moment."""


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was asked, and in an answer what was told. ``balance`` is the card's after it; a refusal tells none."""

    card: int | None = None
    to: int | None = None
    amount: int | None = None
    balance: int | None = None
    balances: list[int] | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One line. ``time`` is in nanoseconds since the history began."""

    process: int
    type: Literal["invoke", "ok", "fail", "info"]
    time: int
    op: Op
    value: Value


class Anomaly(NamedTuple):
    """What is wrong with a history.

    malformed: it is none · negative: somebody was told a balance below zero · total: value was made or lost ·
    impossible: no order explains the answers.
    """

    kind: Literal["malformed", "negative", "total", "impossible"]
    about: str


class Done(NamedTuple):
    """An operation with its outcome. ``begun`` and ``ended`` are places in the history; None: its end is not known."""

    process: int
    op: Op
    value: Value
    outcome: Literal["ok", "fail", "info"]
    begun: int
    ended: int | None

    def __str__(self) -> str:
        return f"{self.op} {msgspec.json.encode(self.value).decode()} ({self.outcome}) of process {self.process}"


State = tuple[int, ...]


def write_history(path: Path, events: Sequence[Event]) -> None:
    path.write_bytes(b"".join(msgspec.json.encode(event) + b"\n" for event in events))


def read_history(path: Path) -> list[Event]:
    return [msgspec.json.decode(line, type=Event) for line in path.read_bytes().splitlines()]


def check_history(events: Sequence[Event], start: Sequence[int]) -> list[Anomaly]:
    """Everything that is wrong with a history of cards that held ``start`` before it; none: it is explained."""
    done = _pair(events)
    if isinstance(done, Anomaly):
        return [done]
    found = [*_negative(done), *_total(done, sum(start))]
    unexplained = _explain(done, tuple(start))
    return found if unexplained is None else [*found, unexplained]


def _pair(events: Sequence[Event]) -> list[Done] | Anomaly:
    """Each invocation with its end, in the order of the invocations."""
    under_way: dict[int, int] = {}
    gone: set[int] = set()
    done: dict[int, Done] = {}
    for place, event in enumerate(events):
        begun = under_way.pop(event.process, None)
        if event.type == "invoke":
            if begun is not None:
                return Anomaly("malformed", f"process {event.process} asks again before its answer, line {place + 1}")
            if event.process in gone:
                return Anomaly("malformed", f"process {event.process} goes on after info, line {place + 1}")
            under_way[event.process] = place
            done[place] = Done(event.process, event.op, event.value, "info", place, None)
        elif begun is None or done[begun].op is not event.op:
            return Anomaly("malformed", f"process {event.process} is answered what it did not ask, line {place + 1}")
        elif event.type == "info":
            gone.add(event.process)
        else:
            done[begun] = done[begun]._replace(value=event.value, outcome=event.type, ended=place)
    return list(done.values())


def _negative(done: Sequence[Done]) -> Iterator[Anomaly]:
    for one in done:
        told = [*(one.value.balances or ()), one.value.balance or 0] if one.outcome == "ok" else []
        if min(told, default=0) < 0:
            yield Anomaly("negative", str(one))


def _total(done: Sequence[Done], start: int) -> Iterator[Anomaly]:
    """Whether each snapshot adds up: all that ended before it is in it, and what was under way may be."""
    for snapshot in done:
        if snapshot.op is not Op.SNAPSHOT or snapshot.outcome != "ok" or snapshot.value.balances is None:
            continue
        assert snapshot.ended is not None
        totals = {start}
        for one in done:
            amount = _made(one)
            if one.outcome == "fail" or amount == 0 or one.begun > snapshot.ended:
                continue
            may_be = {total + amount for total in totals}
            sure = one.outcome == "ok" and one.ended is not None and one.ended < snapshot.begun
            totals = may_be if sure else totals | may_be
        if sum(snapshot.value.balances) not in totals:
            yield Anomaly("total", f"{snapshot} is {sum(snapshot.value.balances)}, should be {_show(totals)}")


def _made(one: Done) -> int:
    """What an operation adds to all cards together."""
    sign = {Op.LOAD: 1, Op.PURCHASE: -1}.get(one.op, 0)
    return sign * (one.value.amount or 0)


def _show(totals: set[int]) -> str:
    return " or ".join(map(str, sorted(totals)[:8]))


def _explain(done: Sequence[Done], start: State) -> Anomaly | None:
    """Search for an order (Wing and Gong's search with Lowe's memory of what was tried)."""
    relevant = [one for one in done if not (one.op in (Op.READ, Op.SNAPSHOT) and one.outcome != "ok")]
    ops = [one for one in relevant if one.outcome != "fail" or one.op in (Op.PURCHASE, Op.TRANSFER)]
    must = sum(one.outcome != "info" for one in ops)
    seen: set[tuple[int, State]] = set()
    # A step: what is in the order so far (as bits), how many of it must be, the state after it, what may come next
    path = [(0, 0, start, _next(ops, 0, 0))]
    lows = [0]
    deepest: tuple[int, int, State] = (0, 0, start)
    while path:
        taken, count, state, candidates = path[-1]
        if count == must:
            return None
        for index in candidates:
            after = _apply(state, ops[index])
            now = taken | 1 << index
            if after is None or (now, after) in seen:
                continue
            seen.add((now, after))
            if len(seen) > MOST_STEPS:
                raise AssertionError("too many operations at once: this history cannot be judged")
            low = lows[-1]
            while now >> low & 1:
                low += 1
            lows.append(low)
            path.append((now, count + (ops[index].outcome != "info"), after, _next(ops, now, low)))
            deepest = max(deepest, (path[-1][1], now, after), key=lambda step: step[0])
            break
        else:
            path.pop()
            lows.pop()
    _, taken, state = deepest
    left = [one for index, one in enumerate(ops) if not taken >> index & 1]
    stuck = min(left, key=lambda one: len(done) * 2 if one.ended is None else one.ended)
    return Anomaly("impossible", f"{stuck}: no order explains it; one that explains all before leaves {list(state)}")


def _next(ops: Sequence[Done], taken: int, low: int) -> Iterator[int]:
    """What may be next in the order: whatever began before anything else that is left has ended."""
    left: list[int] = []
    first_end: int | None = None
    for index in range(low, len(ops)):
        if taken >> index & 1:
            continue
        one = ops[index]
        if first_end is not None and one.begun > first_end:
            break
        left.append(index)
        if one.ended is not None and (first_end is None or one.ended < first_end):
            first_end = one.ended
    # those that were answered first are the likeliest, and those of unknown outcome the least
    return iter(sorted(left, key=lambda index: (ops[index].ended is None, ops[index].ended or 0)))


def _apply(state: State, one: Done) -> State | None:
    """The balances after an operation, or None if its answer is wrong here."""
    value = one.value
    if one.op is Op.SNAPSHOT:
        return state if value.balances == list(state) else None
    assert value.card is not None
    held = state[value.card]
    if one.op is Op.READ:
        return state if value.balance == held else None
    if one.op is Op.TRANSFER:
        assert value.to is not None
        if one.outcome == "fail":
            return state if held == 0 else None
        if held == 0 or (one.outcome == "ok" and value.amount != held):
            return None
        return _with(state, (value.card, 0), (value.to, state[value.to] + held))
    amount = value.amount or 0
    if one.op is Op.LOAD:
        after = held + amount
    elif one.outcome == "fail":
        return state if held < amount else None
    else:
        after = held - amount
    if after < 0 or (one.outcome == "ok" and value.balance not in (None, after)):
        return None
    return _with(state, (value.card, after))


def _with(state: State, *changes: tuple[int, int]) -> State:
    balances = list(state)
    for card, balance in changes:
        balances[card] = balance
    return tuple(balances)
