"""How long pricing a basket takes: 200 live campaigns, 40 of them on at the store and the hour, 1 to 10 lines.

Beside it the time of an empty function call in the same minute: what is measured is a ratio, as everywhere here.
"""

import statistics
import time
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from kaquan.doors.bench.figures import Figure, Goal
from kaquan.promotions import (
    EMPTY,
    Basket,
    Budget,
    BudgetMetric,
    Campaign,
    CampaignTerms,
    CompiledCampaigns,
    Conditions,
    Funder,
    FunderKind,
    Goods,
    Holder,
    Hours,
    Line,
    Offer,
    Stacking,
    compile_campaigns,
    price_basket,
)
from kaquan.promotions.kinds.amount_off import AmountOff, Tier
from kaquan.promotions.kinds.percent_off import PercentOff

CAMPAIGNS = 200
ELIGIBLE = 40
BASKETS = 2_000
ROUNDS = 7

_HERE, _ELSEWHERE = UUID(int=1), UUID(int=2)
_FRIDAY_NOON = datetime.fromisoformat("2026-05-15T12:00")
_HALVES = (Funder(FunderKind.ISSUER, None, 5_000), Funder(FunderKind.MERCHANT, None, 5_000))
_CATEGORIES = 60


def measure_promotions() -> tuple[list[Figure], list[Goal]]:
    """The median over baskets of the best of some rounds each: what other work on the machine costs is not in it."""
    campaigns, baskets = make_campaigns(), make_baskets()
    eligible = len(campaigns.purchases.at(baskets[0]).offers)
    call_us = _median_us(lambda _: None, baskets)
    priced_us = _median_us(lambda basket: price_basket(campaigns, basket), baskets) - call_us
    empty_us = _median_us(lambda basket: price_basket(EMPTY, basket), baskets) - call_us
    calls_us = _call_us()
    how = f"{CAMPAIGNS} campaigns, {eligible} on here and now, 1 to 10 lines; CPU time of one core"
    figures = [
        Figure("price_basket", round(1e6 / priced_us, 1), how, facts={"median_us": round(priced_us, 2)}),
        Figure("price_basket_no_campaign", round(1e6 / empty_us, 1), "a book without campaigns"),
        Figure("function_call", round(1e6 / calls_us, 1), "an empty function of one argument"),
    ]
    goals = [
        Goal("median of pricing a basket, in µs", 40, round(priced_us, 2), "µs", at_most=True),
        Goal("pricing a basket / an empty function call", None, round(priced_us / calls_us, 1), "ratio"),
    ]
    return figures, goals


def _median_us(price: Callable[[Basket], object], baskets: list[Basket]) -> float:
    best = [float("inf")] * len(baskets)
    for _ in range(ROUNDS):
        for place, basket in enumerate(baskets):
            started_ns = time.thread_time_ns()
            price(basket)
            best[place] = min(best[place], time.thread_time_ns() - started_ns)
    return statistics.median(best) / 1e3


def _call_us() -> float:
    def call(number: int) -> int:
        return number

    best = float("inf")
    for _ in range(ROUNDS):
        started_ns = time.thread_time_ns()
        for number in range(100_000):
            call(number)
        best = min(best, (time.thread_time_ns() - started_ns) / 100_000)
    return best / 1e3


def make_campaigns() -> CompiledCampaigns:
    """Campaigns of many sorts: 40 are on at the store on a Friday at noon, the others elsewhere or on Sundays."""
    return compile_campaigns([_campaign(number) for number in range(CAMPAIGNS)])


def _campaign(number: int) -> Campaign:
    sort = number % 10
    here = number < ELIGIBLE
    conditions = Conditions(
        store_ids=frozenset() if here or number % 2 else frozenset({_ELSEWHERE}),
        weekdays=frozenset({7}) if not here and number % 2 else frozenset(),
        goods=Goods(categories=frozenset(f"c{(number * 7 + n) % _CATEGORIES}" for n in range(4)))
        if sort < 4
        else Goods(),
        segments=frozenset({f"s{number % 20}"}) if sort == 4 else frozenset(),
        hours=(Hours(8 * 60, 22 * 60),) if sort == 5 else (),
    )
    group = "" if number % ELIGIBLE == 9 else "brand" if sort < 4 else "standard"
    params: AmountOff | PercentOff
    if number % 3:
        params = AmountOff(tiers=(Tier((20_00, 50_00, 100_00, 200_00)[number % 4], (2_00, 5_00, 10_00)[number % 3]),))
    else:
        params = PercentOff(off_bp=(500, 1_000, 1_200)[number // 3 % 3], most_fen=20_00)
    kind = "amount_off" if isinstance(params, AmountOff) else "percent_off"
    offer = Offer(name="o", kind=kind, params=params, conditions=conditions, stacking=Stacking(group=group))
    return Campaign(
        UUID(int=1_000 + number),
        1,
        CampaignTerms(
            code=f"C{number}",
            name="c",
            issuer_id=_HERE,
            starts_at=datetime.fromisoformat("2026-01-01"),
            ends_at=datetime.fromisoformat("2027-01-01"),
            offers=(offer,),
            budgets=(Budget(name="b", metric=BudgetMetric.AMOUNT, maximum=10**9),),
            funders=_HALVES if number % 4 == 0 else (Funder(FunderKind.ISSUER, None, 10_000),),
        ),
    )


def make_baskets() -> list[Basket]:
    """Baskets of 1 to 10 lines, of 300 holders."""
    return [
        Basket(
            UUID(int=10_000 + number),
            _FRIDAY_NOON,
            _HERE,
            _HERE,
            _HERE,
            "grocery",
            None,
            tuple(
                Line(
                    place,
                    f"k{(number * 31 + place * 17) % 500}",
                    frozenset({f"c{(number * 13 + place * 29) % _CATEGORIES}"}),
                    1,
                    200 + (number * 7919 + place * 104_729) % 3_800,
                )
                for place in range(1, 2 + number % 10)
            ),
            Holder(UUID(int=number % 300), segments=frozenset({f"s{number % 20}"})),
        )
        for number in range(BASKETS)
    ]
