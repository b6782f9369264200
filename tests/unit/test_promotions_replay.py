"""Replays: the same report however many share, budgets end at the basket that does not fit, nothing is lost."""

from datetime import datetime, timedelta
from random import Random
from uuid import UUID

from tests.unit.promotion_facts import HALVES, basket, campaign, group, off, percent

from kaquan.promotions import (
    Basket,
    Budget,
    BudgetMetric,
    BudgetPeriod,
    BudgetScope,
    Campaign,
    Holder,
    StackingPolicy,
    compile_campaigns,
)
from kaquan.promotions.replay import Budgets, Replayer, Tally, by_chunks

START = datetime.fromisoformat("2026-02-01T08:00")


def month(seed: int = 1, number: int = 400) -> list[Basket]:
    chance = Random(seed)
    return [
        basket(
            chance.randrange(20_00, 300_00),
            transaction_id=UUID(int=9_000 + place),
            local=START + timedelta(hours=place),
            holder=Holder(UUID(int=chance.randrange(40)), segments=frozenset((chance.choice(("old", "new")),))),
            store_id=UUID(int=500 + chance.randrange(3)),
        )
        for place in range(number)
    ]


def replay(
    baskets: list[Basket], drafts: list[Campaign], running: list[Campaign], shares: int
) -> tuple[Tally, Budgets]:
    both, alone = compile_campaigns([*running, *drafts]), compile_campaigns(running)
    replayers = [Replayer(alone, both, frozenset(draft.id for draft in drafts)) for _ in range(shares)]
    budgets = Budgets()
    for chunk in by_chunks(baskets):
        mine = [[one for one in chunk if one.holder.id.int % shares == share] for share in range(shares)]
        while True:
            shared = [use for own, one in zip(mine, replayers, strict=True) for use in one.price(own, budgets.ended)]
            if budgets.check(shared):
                break
        for one in replayers:
            one.keep()
    tally = Tally()
    for one in replayers:
        tally.add(one.tally)
    return tally, budgets


def drafts() -> list[Campaign]:
    whole = Budget(name="whole", metric=BudgetMetric.AMOUNT, maximum=700_00)
    daily = Budget(name="daily", metric=BudgetMetric.COUNT, maximum=5, period=BudgetPeriod.DAY, scope=BudgetScope.STORE)
    own = Budget(name="own", metric=BudgetMetric.COUNT, maximum=2, period=BudgetPeriod.MONTH, scope=BudgetScope.HOLDER)
    return [
        campaign(off(), number=1, budgets=(whole,), funders=HALVES),
        campaign(percent(stacking=group("")), number=2, budgets=(daily, own), control_bp=2_000),
    ]


def test_the_report_is_the_same_however_many_share() -> None:
    running = [campaign(percent("running", off_bp=300), number=3)]
    one, two = replay(month(), drafts(), running, 1), replay(month(), drafts(), running, 3)
    assert one[0] == two[0]
    assert one[1].ended == two[1].ended
    assert one[0].baskets == 400


def test_no_budget_is_exceeded_and_each_is_used_as_far_as_it_goes() -> None:
    tally, budgets = replay(month(), drafts(), [], 2)
    first, second = (tally.campaigns[one.id] for one in drafts())
    assert 690_00 <= first.discount_fen <= 700_00
    (ended,) = [since for key, (since, _) in budgets.ended.items() if not key.period and key.subject_id is None]
    assert START < ended < START + timedelta(days=17)
    assert second.baskets <= 2 * len(tally.holders[drafts()[1].id]) <= 80
    assert sum(tally.funders.values()) == tally.drafts_fen == first.discount_fen + second.discount_fen
    by_funder = [fen for (id_, _, _), fen in tally.funders.items() if id_ == drafts()[0].id]
    assert len(by_funder) == 2
    assert sum(by_funder) == first.discount_fen


def test_a_draft_that_takes_the_place_of_something_better_shows_who_loses() -> None:
    running = [campaign(percent("running", off_bp=2_000, stacking=group("", order=2)), number=3)]
    worse = [campaign(off("worse", from_fen=1, off_fen=1_00, stacking=group("", order=1)), number=4)]
    tally, _ = replay(month(), worse, running, 1)
    assert tally.change.losers == 0
    assert tally.running_fen < tally.running_alone_fen
    assert tally.drafts_fen == 400 * 1_00
    assert tally.running_alone_fen == sum(one.amount_fen // 5 for one in month())


def test_a_control_group_is_counted_and_gets_nothing() -> None:
    held = [campaign(off(from_fen=1, off_fen=1), number=5, control_bp=5_000)]
    tally, _ = replay(month(), held, [], 2)
    assert 100 < tally.held_back < 300
    assert tally.held_back + tally.campaigns[held[0].id].baskets == 400


def test_a_budget_that_ends_without_the_draft_is_no_loss_by_it() -> None:
    few = Budget(name="few", metric=BudgetMetric.COUNT, maximum=10)
    running = [campaign(off("running", from_fen=1, off_fen=1_00), number=6, budgets=(few,))]
    beside = [campaign(off("beside", from_fen=1, off_fen=2_00, stacking=group("")), number=7)]
    tally, budgets = replay(month(), beside, running, 2)
    assert (tally.running_alone_fen, tally.running_fen, tally.drafts_fen) == (10_00, 10_00, 400 * 2_00)
    assert tally.alone == {running[0].id: 10_00}
    assert (tally.change.winners, tally.change.won_fen, tally.change.losers) == (400, 400 * 2_00, 0)
    assert {key.is_alone for key in budgets.ended} == {False, True}
    assert sum(change.won_fen for change in tally.store_changes.values()) == tally.change.won_fen
    assert sum(change.won_fen for change in tally.segment_changes.values()) == tally.change.won_fen


def test_a_draft_that_uses_up_the_day_of_a_holder_takes_it_from_what_runs() -> None:
    policy = StackingPolicy(max_day_fen=3_00)
    running = [campaign(off("running", from_fen=1, off_fen=2_00, stacking=group("", order=2)), number=8)]
    greedy = [campaign(off("greedy", from_fen=1, off_fen=2_00, stacking=group("", order=1)), number=9)]
    both, alone = compile_campaigns([*running, *greedy], policy), compile_campaigns(running, policy)
    replayer = Replayer(alone, both, frozenset([greedy[0].id]))
    same = [
        basket(100_00, transaction_id=UUID(int=n), local=START + timedelta(minutes=n), holder=Holder(UUID(int=1)))
        for n in (1, 2, 3)
    ]
    for one in same:
        replayer.price([one], {})
        replayer.keep()
    tally = replayer.tally
    # by itself 2.00 fit into the day once; beside the draft 1.00 is left of the first basket's cap
    assert (tally.running_alone_fen, tally.drafts_fen, tally.running_fen) == (2_00, 2_00, 1_00)
    assert (tally.change.winners, tally.change.won_fen, tally.change.losers) == (1, 1_00, 0)
