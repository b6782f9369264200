"""On a real database: whatever offers, baskets and parts, a refund of everything brings every book back, and budgets as
far as they say.

Random campaigns, baskets, captures and refunds, by amounts and by lines; audits hold all the way.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.store.test_budget_returns import EVERY, all_used
from tests.store.test_offers import BANK, balances, buy, campaign, put_in_force
from tests.town import HandClock, Town, audits_hold

from kaquan.payments import Refund
from kaquan.promotions import Base, Funder, FunderKind, Offer, OnReturn, OutsideOffer, Stacking
from kaquan.promotions.kinds.amount_off import AmountOff, Tier
from kaquan.promotions.kinds.percent_off import PercentOff

FUNDERS = (
    (Funder(FunderKind.ISSUER, None, 10_000),),
    (Funder(FunderKind.MERCHANT, None, 10_000),),
    (Funder(FunderKind.ISSUER, None, 3_333), Funder(FunderKind.MERCHANT, None, 6_667)),
    (
        Funder(FunderKind.ISSUER, None, 1),
        Funder(FunderKind.MERCHANT, None, 4_999),
        Funder(FunderKind.PARTY, BANK, 5_000),
    ),
)


@st.composite
def offers(draw: st.DrawFn) -> list[Offer]:
    made = []
    for number in range(draw(st.integers(1, 3))):
        params: Any = PercentOff(off_bp=draw(st.integers(1, 10_000)))
        kind = "percent_off"
        if draw(st.booleans()):
            from_fen = draw(st.integers(1, 5_000))
            params = AmountOff(tiers=(Tier(from_fen, draw(st.integers(1, from_fen))),))
            kind = "amount_off"
        made.append(
            Offer(
                name=f"offer {number}",
                kind=kind,
                params=params,
                funders=draw(st.sampled_from(FUNDERS)),
                stacking=Stacking(order=number, group="", base=draw(st.sampled_from(Base))),
                on_return=draw(st.sampled_from(OnReturn)),
            )
        )
    return made


class Chance:
    """Numbers that were drawn before, one after the other."""

    def __init__(self, numbers: list[int]) -> None:
        self.numbers = iter(numbers)

    def fen(self, most: int) -> int:
        return 1 + next(self.numbers) % most

    def coin(self) -> bool:
        return next(self.numbers) % 2 == 0


@pytest.fixture
async def town(database: str) -> AsyncIterator[Town]:
    town = await Town.found(database, clock=HandClock())
    yield town
    await town.close()


async def give_back(town: Town, chance: Chance, payment_id: Any, lines: dict[int, int], left_fen: int) -> None:
    """Refunds in parts, until nothing is left."""
    for _ in range(3):
        if lines and chance.coin():
            number = sorted(lines)[chance.fen(len(lines)) - 1]
            back_fen = chance.fen(lines[number])
            told = await town.ask(Refund(payment_id, None, town._now(), lines=((number, back_fen),)))
            if told.status == 201:
                lines[number] -= back_fen
                lines = {at: fen for at, fen in lines.items() if fen}
        elif left_fen:
            told = await town.refund(payment_id, chance.fen(left_fen))
            lines = {}  # what is left of each line follows from the amount
        else:
            break
        if told.status == 201:
            left_fen -= told.body["amount_fen"]
        else:
            assert told.code in ("refund_exceeds_payment", "refund_exceeds_line", "not_refundable"), told
    told = await town.refund(payment_id)
    assert told.status == 201 or told.code == "refund_exceeds_payment", told
    assert (await town.refund(payment_id)).code == "refund_exceeds_payment"


async def test_a_refund_of_everything_brings_every_book_back(town: Town, database: str) -> None:
    card = await town.new_card(load_fen=10_000_00)
    before = await balances(town)

    async def run(made: list[Offer], amounts: list[int], numbers: list[int]) -> None:
        chance = Chance(numbers)
        spring = campaign(town, *made, budgets=tuple(EVERY.values()))
        put_in_force(town, spring)
        with_outside, authorize = sum(amounts) > 1 and chance.coin(), chance.coin()
        outside = (OutsideOffer("店庆", "", chance.fen(sum(amounts) - 1)),) if with_outside else ()
        told = await buy(town, card, *amounts, outside=outside, authorize=authorize)
        assert told.status == 201, told
        pricing = told.body["pricing"]
        assert pricing["payable_fen"] == told.body["amount_fen"]
        given_fen = sum(amounts) - sum(one.amount_fen for one in outside) - pricing["payable_fen"]
        counted = (given_fen, 1 if given_fen else 0)
        assert set((await all_used(town, spring)).values()) == {counted}
        assert sum(line["payable_fen"] for line in pricing["lines"]) == pricing["payable_fen"]
        assert min(line["payable_fen"] for line in pricing["lines"]) >= 0
        left_fen = told.body["amount_fen"]
        lines = {number: fen for number, fen in enumerate(amounts, start=1) if fen}
        if authorize:
            if left_fen and chance.coin():
                captured = await town.capture(told.payment_id, chance.fen(left_fen), final=chance.coin())
                assert captured.status == 200, captured
            else:
                captured = await town.capture(told.payment_id)
                assert captured.status == 200, captured
            left_fen, lines = captured.body["captured_fen"], {}
            if captured.body["status"] == "open":
                assert (await town.void(told.payment_id)).status == 200
        await give_back(town, chance, told.payment_id, lines, left_fen)
        assert await balances(town) == before
        assert await all_used(town, spring) == {"whole": (0, 0), "share": (0, 0), "keep": counted}

    loop = asyncio.get_running_loop()

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        made=offers(),
        amounts=st.lists(st.integers(1, 5_000), min_size=1, max_size=4),
        numbers=st.lists(st.integers(0, 1 << 20), min_size=20, max_size=20),
    )
    def check(made: list[Offer], amounts: list[int], numbers: list[int]) -> None:
        asyncio.run_coroutine_threadsafe(run(made, amounts, numbers), loop).result()

    await asyncio.to_thread(check)
    await audits_hold(database)
