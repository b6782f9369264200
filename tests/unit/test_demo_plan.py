"""The demo's plan: loads that are enough and no more, lanes in order, figures that are judged."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime
from itertools import pairwise

import msgspec
import pytest

from kaquan.doors.cli.demo.holders import CAPS_FEN, Group, group_of, invented_name, read_described
from kaquan.doors.cli.demo.plan import (
    LOAD_STEP_FEN,
    Load,
    Step,
    liability_by_day,
    plan_lanes,
    plan_loads,
)
from kaquan.doors.cli.demo.report import sparkline, usd
from kaquan.doors.cli.demo.summary import Count, DemoSummary, GroupFigures, Tally, summary, verdict
from kaquan.doors.cli.demo.year import ZONE, Basket, YearFacts, facts_of, read_year
from kaquan.doors.cli.output import show_fen
from kaquan.doors.load import LoadResult, latency_of


def basket(number: int, *, household: int = 1, amount_fen: int = 100, on: str = "2017-03-05T12:00") -> Basket:
    local = datetime.fromisoformat(on).replace(tzinfo=ZONE)
    return Basket(number, household, 7, amount_fen, local.astimezone(UTC), local.date())


@pytest.fixture(scope="module")
def purchases() -> Sequence[Basket]:
    return [bought for bought in read_year() if bought.amount_fen]


def test_a_load_is_what_the_month_needs_less_what_is_left() -> None:
    loads = plan_loads(
        [
            basket(1, amount_fen=1_200, on="2017-01-31T23:59"),
            basket(2, amount_fen=500, on="2017-02-01T00:00"),
            basket(3, amount_fen=400, on="2017-04-30T09:00"),
        ],
        cap_fen=lambda _: 100_000,
    )
    assert [(load.amount_fen, load.local_date) for load in loads] == [
        (2_000, date(2017, 1, 1)),
        (1_000, date(2017, 4, 1)),  # 300 are left of the first
    ]
    assert loads[0].occurred_at == datetime(2017, 1, 1, 5, tzinfo=UTC)
    assert loads[1].occurred_at == datetime(2017, 4, 1, 4, tzinfo=UTC)  # summer time


def test_what_a_card_may_not_hold_is_loaded_at_the_till() -> None:
    bought = [
        basket(1, amount_fen=4_000, on="2017-01-05T10:00"),
        basket(2, amount_fen=3_500, on="2017-01-09T10:00"),
        basket(3, amount_fen=2_100, on="2017-01-20T10:00"),
    ]
    loads = plan_loads(bought, cap_fen=lambda _: 5_500)
    assert [(load.amount_fen, load.local_date) for load in loads] == [
        (5_000, date(2017, 1, 1)),
        (4_000, date(2017, 1, 9)),  # 1,000 are left, 4,600 still to come, and no more than 5,500 fit
        (1_000, date(2017, 1, 20)),
    ]
    assert loads[1].occurred_at == bought[1].occurred_at
    (lane,) = plan_lanes([*bought, *loads], lanes=1)
    assert [isinstance(step, Load) for step in lane] == [True, False, True, False, True, False], "a load comes first"


def test_the_whole_year_can_be_paid_in_the_order_of_the_lanes(purchases: Sequence[Basket]) -> None:
    described = read_described()
    caps_fen = {bought.household_id: CAPS_FEN[group_of(bought.household_id, described)] for bought in purchases}
    steps: list[Step] = [*plan_loads(purchases, cap_fen=caps_fen.__getitem__), *purchases]
    lanes = plan_lanes(steps, lanes=64)
    assert sum(len(lane) for lane in lanes) == len(steps)
    balances: defaultdict[int, int] = defaultdict(int)
    lane_of: dict[int, int] = {}
    for number, lane in enumerate(lanes):
        assert all(before.occurred_at <= after.occurred_at for before, after in pairwise(lane))
        for step in lane:
            assert lane_of.setdefault(step.household_id, number) == number
            if isinstance(step, Load):
                assert step.amount_fen > 0
                assert step.amount_fen % LOAD_STEP_FEN == 0
                balances[step.household_id] += step.amount_fen
                assert balances[step.household_id] <= caps_fen[step.household_id]
            else:
                balances[step.household_id] -= step.amount_fen
                assert balances[step.household_id] >= 0
    assert max(balances.values()) < LOAD_STEP_FEN
    assert max(map(len, lanes)) - min(map(len, lanes)) < 10


def test_liability_has_every_day_also_those_on_which_nothing_moved() -> None:
    days = liability_by_day([(date(2017, 1, 1), 500), (date(2017, 1, 3), -200)])
    assert days == {date(2017, 1, 1): 500, date(2017, 1, 2): 500, date(2017, 1, 3): 300}
    assert liability_by_day([]) == {}


def figures(year: Sequence[Basket]) -> DemoSummary:
    tally = Tally()
    tally.loads, tally.loads_fen = 1, 10_000
    tally.moved_fen[date(2017, 1, 1)] = 10_000
    for bought in year:
        tally.paid_times_ns.append(1_000_000)
        tally.paid_fen += bought.amount_fen
        tally.store_purchases[bought.store_id] += 1
        tally.store_fen[bought.store_id] += bought.amount_fen
        tally.moved_fen[bought.local_date] -= bought.amount_fen
    group = Group.REGISTERED
    tally.group_loads[group], tally.group_loads_fen[group] = 1, 10_000
    tally.group_paid[group], tally.group_paid_fen[group] = len(year), tally.paid_fen
    load = LoadResult(2.0, 3, 1.5, {201: 3}, latency_of([]), 0, {}, 20.0)
    return summary(
        tally, expected=facts_of(year), currency="USD", setup_s=1.0, load=load, cards=Counter({group: 1}), timeline=[]
    )


def test_a_year_that_was_paid_to_the_cent_is_right() -> None:
    paid = figures([basket(1), basket(2, amount_fen=250)])
    assert verdict(paid, audits_hold=True) == []
    assert paid.paid == Count(2, 350)
    assert paid.busiest_store is not None
    assert (paid.busiest_store.store_id, paid.busiest_store.total_fen) == (7, 350)
    assert paid.purchases_per_s == 1.0
    assert paid.liability_fen_by_day[date(2017, 3, 5)] == 9_650
    assert paid.groups[Group.REGISTERED] == GroupFigures(1, Count(2, 350), Count(1, 10_000), 9_650)
    assert paid.groups[Group.UNREGISTERED] == GroupFigures(0, Count(0, 0), Count(0, 0), 0)
    written = msgspec.json.decode(msgspec.json.encode(paid))
    assert written["liability_fen_by_day"]["2017-03-05"] == 9_650


def _with(right: DemoSummary, **changed: int) -> dict[Group, GroupFigures]:
    registered = msgspec.structs.replace(right.groups[Group.REGISTERED], **changed)
    return {**right.groups, Group.REGISTERED: registered}


def test_the_described_households_get_names_of_ours(purchases: Sequence[Basket]) -> None:
    described = read_described()
    households = {bought.household_id for bought in purchases}
    assert (len(described), len(described & households)) == (801, 801)
    assert group_of(min(described), described) is Group.REGISTERED
    assert group_of(-1, described) is Group.UNREGISTERED
    names = [invented_name(household) for household in sorted(described)]
    assert names == [invented_name(household) for household in sorted(described)]
    assert len(set(names)) > 200


def test_each_thing_that_is_wrong_is_said() -> None:
    right = figures([basket(1), basket(2)])
    replace = msgspec.structs.replace
    for wrong, sentence in (
        (replace(right, paid=Count(1, 200)), "1 purchases were paid and 2 are known"),
        (replace(right, expected=YearFacts(2, 0, 2, 201, 1, 1)), "200 cents were paid and 201 are known"),
        (replace(right, declined={"insufficient_funds": Count(3, 9)}), "3 purchases were declined: insuff"),
        (replace(right, loads_declined={"busy": Count(1, 9)}), "1 loads were declined: busy"),
        (replace(right, wrong_balances=2), "2 answers told another balance"),
        (replace(right, loaded=Count(1, 10_001)), "What is owed at the end"),
        (replace(right, groups=_with(right, cards=2)), "The groups do not have 1 cards"),
        (replace(right, groups=_with(right, liability_fen=1)), "What is owed to the groups"),
    ):
        said = verdict(wrong, audits_hold=True)
        assert len(said) == 1, said
        assert sentence in said[0]
    assert verdict(right, audits_hold=False) == ["An audit does not hold."]


def test_money_and_bars_for_people() -> None:
    assert usd(459_603_958) == "$4,596,039.58"
    assert [show_fen(fen) for fen in (-5, -123456, 0)] == ["-0.05", "-1,234.56", "0.00"]
    assert usd(7) == "$0.07"
    assert sparkline([0, 7, 14]) == "▁▄█"
    assert sparkline([0, 0]) == "▁▁"
