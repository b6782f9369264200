"""The demo itself: furnish, then pay the year over many connections, each card in the order of time."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec
import uvloop
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from kaquan.doors.cli.demo.furnish import DemoError, Furnished, furnish
from kaquan.doors.cli.demo.holders import CAPS_FEN, Group, group_of
from kaquan.doors.cli.demo.plan import Load, Step, plan_lanes, plan_loads
from kaquan.doors.cli.demo.summary import DemoSummary, Tally, TimelineLine, summary
from kaquan.doors.cli.demo.year import CURRENCY, Basket, YearFacts, facts_of
from kaquan.doors.load import NO_ANSWER, AnswerError, Caller, call_all, read_address, run_load

LANES = 64
PROGRESS_S = 0.2
TIMELINE_LINES = 100


class DemoRun(msgspec.Struct, frozen=True):
    """What a demo left behind. The example card still has ``example_balance_fen`` to spend."""

    summary: DemoSummary
    example_number: str
    example_terminal: str
    example_balance_fen: int


def run_demo(
    address: str,
    token: str,
    *,
    label: str,
    year: Sequence[Basket],
    described: frozenset[int] = frozenset(),
    expected: YearFacts | None = None,
    lanes: int = LANES,
    console: Console | None = None,
) -> DemoRun:
    """Pay ``year`` through the server at ``address`` and return what it confirmed.

    Households that are ``described`` get registered cards, the others unregistered ones.
    ``token`` needs the scopes to make parties, customers, programmes and cards, to reveal numbers, to load, to pay, and
    ``backdate``, since the year is 2017. ``label`` is in every code and idempotency key: another label is
    another demo beside the first. ``expected`` is what the year must come to; without it, what ``year`` adds
    up to. ``console`` shows the progress; without it nothing is printed.

    Raises DemoError if what the demo needs cannot be made, LoadError if nobody answers at ``address``.
    """
    caller = Caller(read_address(address), token=token)
    return uvloop.run(
        _run(
            caller,
            label=label,
            year=year,
            described=described,
            expected=expected or facts_of(year),
            lanes=lanes,
            console=console,
        )
    )


async def _run(
    caller: Caller,
    *,
    label: str,
    year: Sequence[Basket],
    described: frozenset[int],
    expected: YearFacts,
    lanes: int,
    console: Console | None,
) -> DemoRun:
    purchases = [basket for basket in year if basket.amount_fen]
    loads = plan_loads(purchases, cap_fen=lambda household: CAPS_FEN[group_of(household, described)])
    steps: list[Step] = [*loads, *purchases]
    bar = _bar(console)
    with bar:
        furnishing = bar.add_task("set-up 准备", total=None, rate="")
        started = time.perf_counter()
        furnished = await furnish(
            caller,
            label=label,
            store_ids=sorted({basket.store_id for basket in year}),
            household_ids=sorted({basket.household_id for basket in year}),
            described=described,
            say=lambda what: bar.update(furnishing, description=f"set-up 准备: {what}"),
        )
        setup_s = time.perf_counter() - started
        bar.update(furnishing, description="set-up 准备", total=1, completed=1)
        feed = YearFeed(caller, furnished, plan_lanes(steps, lanes=lanes), label=label)
        with _showing(bar, feed.tally, total=len(steps)):
            load = await run_load(caller.address, feed, lanes=lanes)
    household_id, balance_fen = max(feed.balances_fen.items(), key=lambda entry: entry[1])
    return DemoRun(
        summary=summary(
            feed.tally,
            expected=expected,
            currency=CURRENCY,
            setup_s=setup_s,
            load=load,
            cards=Counter(furnished.groups.values()),
            timeline=await _timeline(caller, furnished, purchases),
        ),
        example_number=furnished.numbers[household_id],
        example_terminal=next(iter(furnished.terminals.values())),
        example_balance_fen=balance_fen,
    )


async def _timeline(caller: Caller, furnished: Furnished, purchases: Sequence[Basket]) -> list[TimelineLine]:
    """All that happened to one card, the oldest first: a registered one if there are any, of those the least used."""
    uses = Counter(basket.household_id for basket in purchases)
    household_id = min(uses, key=lambda one: (furnished.groups[one] is not Group.REGISTERED, uses[one], one))
    path = f"/v1/cards/{furnished.cards[household_id]}/timeline?limit={TIMELINE_LINES}"
    try:
        (body,) = await call_all(caller.address, [caller.get(path)])
    except AnswerError as error:
        raise DemoError(f"GET /v1/cards/{{id}}/timeline: {error}") from error
    return msgspec.json.decode(body, type=_Timeline).data[::-1]


class _Timeline(msgspec.Struct):
    data: list[TimelineLine]


class _Receipt(msgspec.Struct):
    """The part of an answer that is checked."""

    amount_fen: int
    balance_fen: int


class _Problem(msgspec.Struct):
    code: str


class YearFeed:
    """Sends each lane's loads and purchases in their order, and adds up what the server confirms."""

    def __init__(self, caller: Caller, furnished: Furnished, lanes: Sequence[Sequence[Step]], *, label: str) -> None:
        self._caller = caller
        self._furnished = furnished
        self._steps: list[Iterator[Step]] = [iter(lane) for lane in lanes]
        self._current: list[Step | None] = [None] * len(lanes)
        self._label = label
        self._receipt = msgspec.json.Decoder(_Receipt)
        self.balances_fen: dict[int, int] = dict.fromkeys(furnished.numbers, 0)
        self.tally = Tally()

    def next(self, lane: int) -> bytes | None:
        step = next(self._steps[lane], None)
        self._current[lane] = step
        if step is None:
            return None
        number = self._furnished.numbers[step.household_id]
        moment = step.occurred_at.strftime("%Y-%m-%dT%H:%M:%SZ")
        if isinstance(step, Load):
            return self._caller.post(
                "/v1/loads",
                f'{{"card_number":"{number}","amount_fen":{step.amount_fen},"occurred_at":"{moment}"}}'.encode(),
                key=f"{self._label}-load-{step.household_id}-{moment}",
            )
        return self._caller.post(
            "/v1/purchases",
            f'{{"card_number":"{number}","amount_fen":{step.amount_fen},'
            f'"terminal_id":"{self._furnished.terminals[step.store_id]}",'
            f'"reference":"{step.basket_id}","occurred_at":"{moment}"}}'.encode(),
            key=f"{self._label}-basket-{step.basket_id}",
        )

    def answered(self, lane: int, status: int, body: bytes, latency_ns: int) -> None:
        step = self._current[lane]
        assert step is not None, "an answer without a request"
        tally = self.tally
        tally.answers += 1
        if status != 201:
            self._declined(step, _code_of(status, body))
            return
        receipt = self._receipt.decode(body)
        group = self._furnished.groups[step.household_id]
        if isinstance(step, Load):
            change_fen = receipt.amount_fen
            tally.loads += 1
            tally.loads_fen += receipt.amount_fen
            tally.group_loads[group] += 1
            tally.group_loads_fen[group] += receipt.amount_fen
        else:
            change_fen = -receipt.amount_fen
            tally.paid_times_ns.append(latency_ns)
            tally.paid_fen += receipt.amount_fen
            tally.group_paid[group] += 1
            tally.group_paid_fen[group] += receipt.amount_fen
            tally.store_purchases[step.store_id] += 1
            tally.store_fen[step.store_id] += receipt.amount_fen
        tally.moved_fen[step.local_date] += change_fen
        balance_fen = self.balances_fen[step.household_id] + change_fen
        self.balances_fen[step.household_id] = balance_fen
        tally.wrong_balances += balance_fen != receipt.balance_fen

    def _declined(self, step: Step, code: str) -> None:
        if isinstance(step, Load):
            self.tally.loads_declined[code] += 1
            self.tally.loads_declined_fen[code] += step.amount_fen
        else:
            self.tally.declined[code] += 1
            self.tally.declined_fen[code] += step.amount_fen


def _code_of(status: int, body: bytes) -> str:
    if status == NO_ANSWER:
        return "no_answer"
    try:
        return msgspec.json.decode(body, type=_Problem).code
    except msgspec.DecodeError:
        return f"status_{status}"


def _bar(console: Console | None) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        console=console,
        disable=console is None,
    )


@contextlib.contextmanager
def _showing(bar: Progress, tally: Tally, *, total: int) -> Iterator[None]:
    """Keep the bar at what the tally says."""
    paying = bar.add_task("loads and purchases 充值与消费", total=total, rate="")
    started = time.perf_counter()

    def show() -> None:
        rate = tally.answers / (time.perf_counter() - started)
        bar.update(paying, completed=tally.answers, rate=f"{rate:,.0f}/s")

    async def follow() -> None:
        while True:
            await asyncio.sleep(PROGRESS_S)
            show()

    following = asyncio.get_running_loop().create_task(follow())
    try:
        yield
    finally:
        following.cancel()
        show()
