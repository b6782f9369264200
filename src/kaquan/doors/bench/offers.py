"""Purchases with offers beside purchases without, in one run on one server, and a budget that many clients use up."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from kaquan import points, promotions, vouchers
from kaquan.doors.bench import store
from kaquan.doors.bench.figures import Figure, Goal, figure_of
from kaquan.doors.bench.http import (
    CARD_STRIDE,
    FUNDS_FEN,
    LANES,
    WARM_UP_S,
    Purchases,
    serving,
)
from kaquan.doors.bench.seed import Town, activate_cards, issue_cards, make_town
from kaquan.doors.bench.stand import BenchError, Stand
from kaquan.doors.load import Caller, call_all, read_address, run_load
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool, open_pool
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.payments import budget_key
from kaquan.points import EarningRule, PointsTerms
from kaquan.promotions import (
    Budget,
    BudgetMetric,
    CampaignTerms,
    Conditions,
    Funder,
    FunderKind,
    Goods,
    Offer,
    Stacking,
)
from kaquan.promotions.compile import budget_id
from kaquan.promotions.kinds.amount_off import AmountOff, Tier
from kaquan.promotions.kinds.percent_off import PercentOff
from kaquan.promotions.publish import Hand
from kaquan.vault import Keyring
from kaquan.vouchers import NewTemplate, VoucherKind

CARDS = 20_000
SHOPS = 100
"""Where it is paid: each shop has an account for each campaign that it pays for."""
LIVE = 200
ELIGIBLE = 40
VOUCHERS = 20_000
EVERY = 10
"""One purchase of so many redeems a voucher, as long as there are any."""
BUDGET_USES = 10_000
MEMBERS = 2_000
"""Cards that collect points, where points are measured."""

ISSUER_AND_SHOP = (Funder(FunderKind.ISSUER, None, 6_000), Funder(FunderKind.MERCHANT, None, 4_000))
"""Who pays for each discount of the bench."""


async def measure_offers(
    stand: Stand,
    keyring: Keyring,
    keyring_path: Path,
    *,
    seconds: float,
    workers: int,
    ids: Ids,
    clock: Clock,
    card_count: int = CARDS,
    merchants: int = SHOPS,
) -> tuple[list[Figure], list[Goal]]:
    """The core's purchases; the same with 200 live campaigns, 40 of them on, baskets and vouchers; with points besides;
    and a budget."""
    async with open_pool(stand.conninfo, max_size=8) as pool:
        town = await make_town(pool, merchants=merchants, ids=ids, clock=clock)
        batch_id = await issue_cards(pool, town, keyring, count=card_count, name="bench", ids=ids, clock=clock)
        numbers = await activate_cards(pool, town, keyring, batch_id=batch_id, ids=ids, clock=clock)
    figures: dict[str, Figure] = {}
    # a wall clock, in whole minutes
    today = clock.now().replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    with serving(stand, keyring_path, workers=workers) as address:
        caller = Caller(read_address(address), token=town.token)
        loads = [
            caller.post("/v1/loads", f'{{"card_number":"{n}","amount_fen":{FUNDS_FEN}}}'.encode(), key=f"load-{n}")
            for n in numbers
        ]
        await call_all(caller.address, loads, lanes=LANES)
        store.settle(stand.conninfo)

        async def measure(name: str, feed: Purchases, what: str) -> None:
            load = await run_load(caller.address, feed, lanes=LANES, seconds=seconds, warm_up_s=WARM_UP_S)
            if set(load.by_status) != {201}:
                raise BenchError(f"Not every purchase was paid: {load.by_status} {feed.refusal}")
            figures[name] = figure_of(f"offers_{name}", load, how=f"{what}, {LANES} connections, {workers} processes")

        terminals = town.terminals[:SHOPS]
        await measure("core", Purchases(caller, numbers, terminals, label="core"), "no campaign, no basket")
        async with open_pool(stand.conninfo, role=None) as pool:
            for number in range(LIVE):
                await _publish(pool, town, _campaign(town, number, today), ids=ids, clock=clock)
            given = await _hand_out(pool, town, ids=ids, clock=clock, count=min(VOUCHERS, card_count))
        # the accounts of who pays are opened by the first purchases: not what is measured
        opening = Baskets(caller, numbers, terminals, label="opening", vouchers=())
        await run_load(caller.address, opening, lanes=LANES, seconds=seconds, warm_up_s=WARM_UP_S)
        baskets = Baskets(caller, numbers, terminals, label="offers", vouchers=given)
        scene = f"{LIVE} live campaigns, {ELIGIBLE} on, 3 lines, a voucher in {EVERY}"
        await measure("all", baskets, scene)
        async with open_pool(stand.conninfo, role=None) as pool:
            await _give_points(pool, town, ids=ids, clock=clock)
        members = numbers[:MEMBERS]
        # so are the accounts of members
        opening = Baskets(caller, members, terminals, label="joining", vouchers=())
        await run_load(caller.address, opening, lanes=LANES, seconds=2 * seconds, warm_up_s=WARM_UP_S)
        collecting = Baskets(caller, members, terminals, label="points", vouchers=given[::-1])
        await measure("points", collecting, f"the same, and points are earned, by {len(members):,} cards")
        async with open_pool(stand.conninfo, role=None) as pool:
            once = await _publish(pool, town, _budgeted(town, today), ids=ids, clock=clock)
        await measure(
            "budget", Purchases(caller, numbers, terminals, label="budget"), f"a budget of {BUDGET_USES:,} uses"
        )
    uses = store.count_uses(stand.conninfo, budget_key(budget_id(once, "uses"), None, "total"))
    discounted = store.count_discounted(stand.conninfo, once)
    rates = {name: figure.rate_per_s for name, figure in figures.items()}
    return list(figures.values()), [
        Goal("purchases with offers and vouchers / without", 0.7, rates["all"] / rates["core"], "ratio"),
        Goal("purchases with offers, vouchers and points / without", 0.7, rates["points"] / rates["core"], "ratio"),
        Goal("purchases that use up a budget / without", None, rates["budget"] / rates["core"], "ratio"),
        Goal("uses of the budget", BUDGET_USES, uses, "uses", at_most=True),
        Goal("purchases that it was given to", BUDGET_USES, discounted, "purchases", at_most=True),
    ]


async def _give_points(pool: Pool, town: Town, *, ids: Ids, clock: Clock) -> None:
    terms = PointsTerms(rules=(EarningRule(name="all", points=1, per_fen=100),), valid_years=1)
    made = await points.set_terms(pool, clock, ids, book_id=town.book.id, programme_id=town.programme.id, terms=terms)
    if isinstance(made, Refusal):
        raise BenchError(f"The benches could not be furnished: {made.message()}")


def _campaign(town: Town, number: int, today: datetime) -> CampaignTerms:
    """One of the 200: every fifth is on everywhere, the others elsewhere or at another time."""
    is_on = number % (LIVE // ELIGIBLE) == 0
    goods = Goods(categories=frozenset({f"category-{number % 7}"}))
    where = Conditions(goods=goods) if is_on else Conditions(goods=goods, trades=frozenset({f"trade-{number}"}))
    offer = Offer(
        name=f"offer-{number}",
        kind="percent_off" if number % 2 else "amount_off",
        params=PercentOff(off_bp=100 + number, from_fen=1_000)
        if number % 2
        else AmountOff(tiers=(Tier(2_000 + 100 * number, 100 + number),)),
        conditions=where,
        stacking=Stacking(order=number, group=f"group-{number // ELIGIBLE % 2}"),
    )
    return _terms(town, f"live-{number}", offer, today)


def _budgeted(town: Town, today: datetime) -> CampaignTerms:
    offer = Offer(
        name="one",
        kind="amount_off",
        params=AmountOff(tiers=(Tier(1, 1),)),
        stacking=Stacking(order=0, group=""),
    )
    uses = Budget(name="uses", metric=BudgetMetric.COUNT, maximum=BUDGET_USES)
    return _terms(town, "budget", offer, today, budgets=(uses,))


def _terms(town: Town, code: str, offer: Offer, today: datetime, budgets: tuple[Budget, ...] = ()) -> CampaignTerms:
    return CampaignTerms(
        code=code,
        name=code,
        issuer_id=town.programme.issuer_id,
        starts_at=today - timedelta(days=2),
        ends_at=today + timedelta(days=365),
        offers=(offer,),
        budgets=budgets,
        funders=ISSUER_AND_SHOP,
        control_bp=0,
    )


async def _publish(pool: Pool, town: Town, terms: CampaignTerms, *, ids: Ids, clock: Clock) -> UUID:
    hand = Hand(clock, ids)
    made = await promotions.create_campaign(pool, hand, book_id=town.book.id, terms=terms)
    if not isinstance(made, Refusal):
        published = await promotions.publish_campaign(pool, hand, book_id=town.book.id, id_=made.id, version=1)
        if not isinstance(published, Refusal):
            return published.id
        made = published
    raise BenchError(f"The benches could not be furnished: {made.message()}")


async def _hand_out(pool: Pool, town: Town, *, ids: Ids, clock: Clock, count: int) -> list[tuple[str, str]]:
    """A voucher for each of so many cards: the ids of both as the API shows them."""
    new = NewTemplate(
        issuer_id=town.programme.issuer_id,
        code="bench",
        name="bench",
        kind=VoucherKind.VALUE,
        currency=town.programme.currency,
        face_fen=500,
        offer_kind="amount_off",
        offer_params={"tiers": [[1_000, 500]]},
        funders=ISSUER_AND_SHOP,
        valid_until=clock.now() + timedelta(days=365),
    )
    template = await vouchers.create_template(pool, clock, ids, book_id=town.book.id, new=new)
    if isinstance(template, Refusal):
        raise BenchError(f"The benches could not be furnished: {template.message()}")
    async with pool.connection() as connection:
        given = await store.hand_out_vouchers(
            connection, book_id=town.book.id, template_id=template.id, count=count, face_fen=500, at=clock.now()
        )
    return [(show_id(Prefix.VOUCHER, voucher), show_id(Prefix.CARD, card)) for voucher, card in given]


class Baskets(Purchases):
    """Purchases of three lines, one of ten with a voucher of its card."""

    def __init__(
        self,
        caller: Caller,
        numbers: Sequence[str],
        terminals: Sequence[str],
        *,
        label: str,
        vouchers: Sequence[tuple[str, str]],
    ) -> None:
        super().__init__(caller, numbers, terminals, label=label)
        self._vouchers = iter(vouchers)

    def next(self, lane: int) -> bytes | None:
        self._turn = turn = self._turn + 1
        amounts = [turn % 5_003 + 500, turn % 997 + 300, turn % 211 + 100]
        lines = ",".join(
            f'{{"number":{n},"sku":"sku-{turn % 89}","categories":["category-{(turn + n) % 9}"],"amount_fen":{fen}}}'
            for n, fen in enumerate(amounts, start=1)
        )
        given = next(self._vouchers, None) if turn % EVERY == 0 else None
        who = f'"card_number":"{self._numbers[turn * CARD_STRIDE % len(self._numbers)]}"'
        if given is not None:
            who = f'"card_id":"{given[1]}","vouchers":["{given[0]}"]'
        terminal = self._terminals[turn % len(self._terminals)]
        body = f'{{{who},"amount_fen":{sum(amounts)},"terminal_id":"{terminal}","lines":[{lines}]}}'
        return self._caller.post("/v1/purchases", body.encode(), key=f"{self._label}-{turn}")
