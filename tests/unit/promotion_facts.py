"""Campaigns and baskets for the tests of promotions."""

from datetime import datetime
from typing import Any
from uuid import UUID

from kaquan.promotions import (
    Basket,
    Budget,
    Campaign,
    CampaignTerms,
    CompiledCampaigns,
    Conditions,
    Funder,
    FunderKind,
    Holder,
    Line,
    LoadFacts,
    Offer,
    Stacking,
    StackingPolicy,
    compile_campaigns,
)
from kaquan.promotions.kinds.amount_off import AmountOff, Tier
from kaquan.promotions.kinds.percent_off import PercentOff

ISSUER = (Funder(FunderKind.ISSUER, None, 10_000),)
HALVES = (Funder(FunderKind.ISSUER, None, 5_000), Funder(FunderKind.MERCHANT, None, 5_000))

PROGRAMME, MERCHANT, STORE, CARD, PERSON, TRANSACTION = (UUID(int=number) for number in range(101, 107))
NOON = datetime.fromisoformat("2026-05-15T12:00")
"""A Friday."""


def off(name: str = "off", from_fen: int = 100_00, off_fen: int = 10_00, **more: Any) -> Offer:
    """满100减10, unless told otherwise."""
    return Offer(name=name, kind="amount_off", params=AmountOff(tiers=(Tier(from_fen, off_fen),)), **more)


def percent(name: str = "percent", off_bp: int = 1_000, most_fen: int | None = None, **more: Any) -> Offer:
    """九折, unless told otherwise."""
    return Offer(name=name, kind="percent_off", params=PercentOff(off_bp=off_bp, most_fen=most_fen), **more)


def campaign(
    *offers: Offer,
    number: int = 1,
    budgets: tuple[Budget, ...] = (),
    control_bp: int = 0,
    funders: tuple[Funder, ...] = ISSUER,
) -> Campaign:
    """The whole of 2026."""
    return Campaign(
        id=UUID(int=1_000 + number),
        version=1,
        terms=CampaignTerms(
            code=f"C{number}",
            name=f"活动 {number}",
            issuer_id=UUID(int=1),
            starts_at=datetime.fromisoformat("2026-01-01T00:00"),
            ends_at=datetime.fromisoformat("2027-01-01T00:00"),
            offers=offers,
            budgets=budgets,
            funders=funders,
            control_bp=control_bp,
        ),
    )


def compiled(*offers: Offer, policy: StackingPolicy | None = None, **more: Any) -> CompiledCampaigns:
    """A book with one campaign."""
    return compile_campaigns([campaign(*offers, **more)], policy or StackingPolicy())


def line(number: int, amount_fen: int, *, sku: str = "", categories: tuple[str, ...] = (), quantity: int = 1) -> Line:
    return Line(number, sku, frozenset(categories), quantity, amount_fen)


def basket(*goods: int | Line, **more: Any) -> Basket:
    """Goods at these prices, or these lines, at noon on a Friday."""
    told: dict[str, Any] = {
        "transaction_id": TRANSACTION,
        "local": NOON,
        "programme_id": PROGRAMME,
        "merchant_id": MERCHANT,
        "store_id": STORE,
        "trade": "grocery",
        "district": "310101",
        "lines": tuple(line(number, one) if isinstance(one, int) else one for number, one in enumerate(goods, start=1)),
        "holder": Holder(CARD, PERSON),
    }
    return Basket(**told | more)


def load(amount_fen: int, **more: Any) -> LoadFacts:
    """A top-up at noon on a Friday."""
    told: dict[str, Any] = {
        "transaction_id": TRANSACTION,
        "local": NOON,
        "programme_id": PROGRAMME,
        "amount_fen": amount_fen,
        "holder": Holder(CARD, PERSON),
    }
    return LoadFacts(**told | more)


def conditions(**told: list[Any]) -> Conditions:
    """Conditions, told as lists."""
    given: dict[str, Any] = {name: frozenset(value) for name, value in told.items()}
    return Conditions(**given)


def group(name: str, **more: Any) -> Stacking:
    return Stacking(group=name, **more)
