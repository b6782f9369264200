"""Parameters of every kind as its check lets them pass, and whole books and baskets by chance."""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from random import Random
from typing import TypeVar
from uuid import UUID

import msgspec
from hypothesis import strategies as st
from tests.unit.promotion_facts import ISSUER, basket, campaign

from kaquan.promotions import (
    Base,
    Basket,
    Budget,
    BudgetMetric,
    Campaign,
    Conditions,
    Funder,
    FunderKind,
    Goods,
    Line,
    Offer,
    OnReturn,
    OutsideOffer,
    Stacking,
    StackingPolicy,
    VoucherInHand,
    compile_offer,
    find_kinds,
)
from kaquan.promotions.gifts import VoucherGift
from kaquan.promotions.kind import PurchaseKind
from kaquan.promotions.kinds.amount_off import AmountOff
from kaquan.promotions.kinds.amount_off import Tier as OffTier
from kaquan.promotions.kinds.fixed_price import FixedPrice, Part
from kaquan.promotions.kinds.gift_vouchers import GiftVouchers
from kaquan.promotions.kinds.gift_vouchers import Tier as GiftTier
from kaquan.promotions.kinds.invitation import Invitation
from kaquan.promotions.kinds.load_bonus import LoadBonus
from kaquan.promotions.kinds.load_bonus import Tier as BonusTier
from kaquan.promotions.kinds.load_rebate import LoadRebate
from kaquan.promotions.kinds.load_rebate import Tier as RebateTier
from kaquan.promotions.kinds.monthly_return import MonthlyReturn
from kaquan.promotions.kinds.nth_item import NthItem
from kaquan.promotions.kinds.percent_off import PercentOff
from kaquan.promotions.kinds.pieces_off import PiecesOff
from kaquan.promotions.kinds.pieces_off import Tier as PiecesTier
from kaquan.promotions.kinds.points_gift import PointsGift
from kaquan.promotions.kinds.points_gift import Tier as PointsTier
from kaquan.promotions.kinds.presale import Presale
from kaquan.promotions.kinds.red_packet import RedPacket

T = TypeVar("T")

SKUS = ("a", "b", "c", "d")
CATEGORIES = ("x", "y", "z")
TEMPLATE = UUID(int=55)

_fen = st.integers(1, 50_00)
_bp = st.integers(1, 10_000)
_most = st.none() | st.integers(1, 30_00)
_times = st.none() | st.integers(1, 5)
_skus = st.frozensets(st.sampled_from(SKUS), max_size=2)
_categories = st.frozensets(st.sampled_from(CATEGORIES), max_size=2)


@st.composite
def _tiers(draw: st.DrawFn, most_bp: int | None = 10_000) -> list[tuple[int, int]]:
    tiers: list[tuple[int, int]] = []
    for from_fen, more in draw(st.lists(st.tuples(_fen, _fen), min_size=1, max_size=3)):
        before = tiers[-1] if tiers else (0, 0)
        reach, gives = before[0] + from_fen, before[1] + more
        if most_bp is not None and gives > reach * most_bp // 10_000:
            break
        tiers.append((reach, gives))
    return tiers or [(100, 10)]


@st.composite
def _rebates(draw: st.DrawFn) -> tuple[RebateTier, ...]:
    shares = sorted(draw(st.sets(_bp, min_size=1, max_size=3)))
    return tuple(RebateTier(1_00 * (place + 1), bp) for place, bp in enumerate(shares))


@st.composite
def _with_tiers(draw: st.DrawFn) -> AmountOff | LoadBonus:
    tiers = draw(_tiers())
    each_time = len(tiers) == 1 and draw(st.booleans())
    if draw(st.booleans()):
        return AmountOff(tiers=tuple(OffTier(*t) for t in tiers), each_time=each_time, most_fen=draw(_most))
    return LoadBonus(tiers=tuple(BonusTier(*t) for t in tiers), each_time=each_time, most_fen=draw(_most))


_vouchers = st.builds(
    VoucherGift, template_id=st.just(TEMPLATE), face_fen=_fen, valid_days=st.just(30), count=st.integers(1, 3)
)
_parts = st.builds(Part, pieces=st.integers(1, 3), skus=_skus, categories=_categories)

PARAMS = {
    "amount_off": _with_tiers().filter(lambda params: isinstance(params, AmountOff)),
    "percent_off": st.builds(PercentOff, off_bp=_bp, from_fen=st.integers(0, 50_00), most_fen=_most),
    "nth_item": st.builds(NthItem, nth=st.integers(2, 4), off_bp=_bp, same_sku=st.booleans(), most_times=_times),
    "fixed_price": st.builds(
        FixedPrice,
        parts=st.lists(_parts, min_size=1, max_size=3).map(tuple),
        price_fen=st.integers(0, 50_00),
        most_times=_times,
    ),
    "gift_vouchers": st.builds(
        GiftVouchers,
        tiers=st.tuples(st.builds(GiftTier, _fen, _vouchers)),
        each_time=st.booleans(),
        most_times=_times,
    ),
    "pieces_off": st.builds(
        PiecesOff,
        tiers=st.tuples(st.builds(PiecesTier, st.integers(1, 5), _fen)),
        each_time=st.booleans(),
        most_times=_times,
    ),
    "load_bonus": _with_tiers().filter(lambda params: isinstance(params, LoadBonus)),
    "load_rebate": st.builds(
        LoadRebate,
        tiers=_rebates(),
        template_id=st.just(TEMPLATE),
        face_fen=st.integers(1, 10_00),
        valid_days=st.just(90),
        most_fen=st.integers(10_00, 50_00),
    ),
    "monthly_return": st.builds(
        MonthlyReturn, from_fen=_fen, return_bp=_bp, months=st.integers(1, 30), most_fen=_most
    ),
    "red_packet": st.builds(
        RedPacket, from_fen=_fen, least_fen=st.integers(1, 10_00), most_fen=st.integers(10_00, 50_00)
    ),
    "presale": st.builds(Presale, off_bp=_bp, from_fen=_fen, most_fen=_most),
    "invitation": st.builds(
        Invitation,
        from_fen=_fen,
        inviter_fen=_fen,
        invited_fen=st.integers(0, 50_00),
        inviter_points=st.integers(0, 500),
        invited_points=st.integers(0, 500),
    ),
    "points_gift": st.builds(
        PointsGift,
        tiers=_tiers(None).map(lambda tiers: tuple(PointsTier(*tier) for tier in tiers[:1])),
        each_time=st.booleans(),
        most_points=st.none() | st.integers(1, 500),
    ),
}  # fmt: skip

PURCHASE_KINDS = [name for name, kind in find_kinds().items() if isinstance(kind, PurchaseKind)]


@st.composite
def lines(draw: st.DrawFn) -> tuple[Line, ...]:
    """Up to five lines."""
    told = draw(
        st.lists(st.tuples(st.sampled_from(SKUS), _categories, st.integers(1, 6), st.integers(0, 60_00)), max_size=5)
    )
    return tuple(Line(number, *one) for number, one in enumerate(told, start=1))


class Chance:
    """Campaigns and baskets from one number: Hypothesis chooses the number, this is quick about the rest."""

    def __init__(self, number: int) -> None:
        self._random = Random(number)

    def number(self, least: int, most: int) -> int:
        return self._random.randint(least, most)

    def one(self, *of: T) -> T:
        return self._random.choice(of)

    def some(self, of: Sequence[str], most: int) -> frozenset[str]:
        return frozenset(self._random.sample(of, self.number(0, most)))

    def turned(self, of: Sequence[T]) -> list[T]:
        return self._random.sample(of, len(of))

    def lines(self) -> tuple[Line, ...]:
        """Up to five lines."""
        return tuple(
            Line(
                number,
                self.one(*SKUS),
                self.some(CATEGORIES, 2),
                self.number(1, 6),
                self.one(0, 1, self.number(2, 60_00)),
            )
            for number in range(1, self.number(1, 6))
        )

    def params(self, kind: str) -> msgspec.Struct:
        """Of a purchase kind."""
        match kind:
            case "amount_off":
                each_time = self.one(True, False)
                one, two = OffTier(20_00, self.number(1, 10_00)), OffTier(60_00, self.number(11_00, 60_00))
                most_fen = self.one(None, self.number(1, 30_00))
                return AmountOff(tiers=(one,) if each_time else (one, two), each_time=each_time, most_fen=most_fen)
            case "percent_off":
                most_fen = self.one(None, self.number(1, 30_00))
                return PercentOff(off_bp=self.number(1, 10_000), from_fen=self.one(0, 30_00), most_fen=most_fen)
            case "nth_item":
                return NthItem(nth=self.number(2, 4), off_bp=self.one(5_000, 10_000), same_sku=self.one(True, False))
            case "pieces_off":
                return PiecesOff(tiers=(PiecesTier(self.number(1, 5), self.number(1, 20_00)),))
            case "fixed_price":
                part = Part(pieces=self.number(1, 3), skus=self.some(SKUS, 2), categories=self.some(CATEGORIES, 1))
                return FixedPrice(parts=(part,), price_fen=self.one(0, self.number(1, 30_00)))
            case "points_gift":
                tier = PointsTier(self.one(10_00, 80_00), self.number(1, 300))
                return PointsGift(tiers=(tier,), each_time=self.one(True, False))
            case _:
                gift = VoucherGift(template_id=TEMPLATE, face_fen=5_00, valid_days=30, count=self.number(1, 3))
                return GiftVouchers(tiers=(GiftTier(self.one(10_00, 80_00), gift),), each_time=self.one(True, False))

    def offer(self, name: str) -> Offer:
        """A purchase offer of any kind."""
        kind = self.one(*PURCHASE_KINDS)
        cuts = [0, *sorted(self._random.sample(range(1, 10_000), self.number(0, 2))), 10_000]
        funders = [Funder(FunderKind.PARTY, UUID(int=place + 1), b - a) for place, (a, b) in enumerate(pairwise(cuts))]
        return Offer(
            name=name,
            kind=kind,
            params=self.params(kind),
            conditions=Conditions(
                goods=self.one(Goods(), Goods(skus=self.some(SKUS, 3), except_categories=self.some("x", 1)))
            ),
            stacking=Stacking(
                order=self.number(1, 3),
                group=self.one("", "", "g", "h"),
                alone=self.number(0, 9) == 0,
                base=self.one(Base.LIST, Base.RUNNING),
            ),
            funders=tuple(funders),
            on_return=self.one(*OnReturn),
        )

    def campaigns(self) -> list[Campaign]:
        """Up to three campaigns of up to three offers."""
        return [
            campaign(
                *(self.offer(f"o{number}") for number in range(self.number(1, 3))),
                number=place,
                budgets=tuple(
                    Budget(
                        name=str(number),
                        metric=self.one(BudgetMetric.AMOUNT, BudgetMetric.AMOUNT, BudgetMetric.POINTS),
                        maximum=self.number(1, 30_00),
                    )
                    for number in range(self.number(0, 2))
                ),
                control_bp=self.one(0, 0, 5_000),
            )
            for place in range(self.number(0, 3))
        ]

    def policy(self) -> StackingPolicy:
        """Mostly caps of some sort."""
        return StackingPolicy(
            max_discount_bp=self.one(10_000, 5_000, 1),
            max_discount_fen=self.one(None, self.number(0, 40_00)),
            max_offers=self.one(None, self.number(1, 3)),
            max_day_fen=self.one(None, self.number(1, 40_00)),
        )

    def basket(self) -> Basket:
        """Goods, perhaps vouchers, perhaps an offer from outside."""
        start, end = datetime.fromisoformat("2026-01-01"), datetime.fromisoformat("2027-01-01")
        vouchers = [
            VoucherInHand(
                UUID(int=900 + number),
                UUID(int=800 + number),
                compile_offer(
                    self.offer(f"v{number}"),
                    campaign_id=UUID(int=700 + number),
                    version=1,
                    code="V",
                    starts_at=start,
                    ends_at=end,
                    funders=ISSUER,
                ),
            )
            for number in range(self.number(0, 2))
        ]
        outside = [OutsideOffer("bank", self.one("", "g"), self.number(1, 50_00))] * self.number(0, 1)
        return basket(*self.lines(), vouchers=tuple(vouchers), outside=tuple(outside))


chances = st.integers(0, 2**32).map(Chance)
