"""Facts with offers and points for the planners: every account that a plan asks for is opened and known by its name."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from tests.unit.plan_facts import CARD, ISSUER, MERCHANT, NOW, PAYABLE, planned

from kaquan import points
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import Leg
from kaquan.payments.kept import Kept, KeptTender
from kaquan.payments.types import AccountName, Facts, OfferFacts, Plan, PointsFacts, Unopened
from kaquan.points import Account, Earning, EarningRule, IssuerAccounts, Lot, Member, PointsTerms, TermsVersion
from kaquan.promotions import (
    Applied,
    CompiledCampaigns,
    Funder,
    FunderKind,
    Grant,
    GrantKind,
    Holder,
    Line,
    OnReturn,
    Share,
)

SLOT = 3
BANK = UUID(int=55)
CAMPAIGN = UUID(int=1_001)
"""That of :func:`tests.unit.promotion_facts.campaign`."""
TO_ISSUER, TO_MERCHANT, TO_BANK = (
    Funder(FunderKind.ISSUER, None, 5_000),
    Funder(FunderKind.MERCHANT, None, 3_000),
    Funder(FunderKind.PARTY, BANK, 2_000),
)
THREE = (TO_ISSUER, TO_MERCHANT, TO_BANK)
PAYERS = {ISSUER: "issuer", MERCHANT: "merchant", BANK: "bank"}

Decided = Plan | Unopened | Refusal


def offered(facts: Facts, campaigns: CompiledCampaigns, **more: Any) -> Facts:
    """These facts with offers."""
    return facts._replace(offers=OfferFacts(campaigns, Holder(CARD), SLOT, **more))


def decide(plan: Callable[[Facts, Any], Decided], facts: Facts, command: Any) -> tuple[Plan, list[tuple[Any, ...]]]:
    """The plan once its accounts are open, and its legs beside those of pockets: effect, from, to, how much."""
    names: dict[int, str] = {PAYABLE: "payable"}
    for turn in range(4):
        decision = plan(facts, command)
        if not isinstance(decision, Unopened):
            made = planned(decision)
            return made, [_named(leg, names) for leg in made.posting.legs if leg.debit_account in names]
        assert decision.accounts, "something is asked for"
        opened = dict(facts.opened)
        fundings = {one.id: one for one in decision.fundings}
        for place, name in enumerate(decision.accounts):
            assert (name.slot, name.currency) == (SLOT, points.CURRENCY if name.kind == points.OFFERED else "CNY")
            assert name.kind != "merchant_payable" or name.owner_id == MERCHANT
            number = PAYABLE if name.kind == "merchant_payable" else 1_000 + turn * 100 + place
            opened[name] = number
            if number != PAYABLE:
                names[number] = _say(name, fundings)
        facts = facts._replace(opened=opened)
    raise AssertionError("accounts are asked for again and again")


def _say(name: AccountName, fundings: dict[UUID, Any]) -> str:
    funding = fundings.get(name.owner_id)
    owner = PAYERS[name.owner_id if funding is None else funding.party_id]
    if funding is not None:
        assert funding.campaign_id == CAMPAIGN
    return f"{owner} {name.kind}"


def _named(leg: Leg, names: dict[int, str]) -> tuple[Any, ...]:
    credit = names.get(leg.credit_account, leg.credit_account)
    return leg.effect.value, names[leg.debit_account], credit, leg.amount_fen


def line(number: int, amount_fen: int, quantity: int = 1, *categories: str) -> Line:
    return Line(number, "", frozenset(categories), quantity, amount_fen)


def share(line_number: int, amount_fen: int, funder: Funder = TO_ISSUER, **more: Any) -> Share:
    told: dict[str, Any] = {"campaign_id": CAMPAIGN, "offer": "off", "voucher_id": None, **more}
    return Share(line=line_number, funder=funder, amount_fen=amount_fen, **told)


def applied(discount_fen: int, **more: Any) -> Applied:
    told: dict[str, Any] = {
        "campaign_id": CAMPAIGN, "version": 1, "offer": "off", "voucher_id": None, "on_return": OnReturn.SHARE, **more
    }  # fmt: skip
    return Applied(discount_fen=discount_fen, **told)


def voucher_grant(count: int, amount_fen: int, **more: Any) -> Grant:
    return Grant(CAMPAIGN, "gift", GrantKind.VOUCHERS, amount_fen, UUID(int=5), count, **more)


def kept(lines: Sequence[Line], *, outside: Sequence[int] = (), tender: KeptTender | None = None, **more: Any) -> Kept:
    """A pricing of these lines as it is kept."""
    told: dict[str, Any] = {"applied": (), "shares": (), "grants": (), "uses": (), **more}
    return Kept(lines=tuple(lines), outside_fen=tuple(outside or [0] * len(lines)), tender=tender, **told)


def points_grant(number: int, **more: Any) -> Grant:
    told: dict[str, Any] = {"funders": THREE, **more}
    return Grant(CAMPAIGN, "points", GrantKind.POINTS, number, None, 1, **told)


# Points

POINTS, PENDING, DEBT = 31, 32, 33
OF_ISSUER = IssuerAccounts(granted=41, spent=42, expired=43, adjusted=44, benefits=45)
TERMS = PointsTerms(
    rules=(EarningRule(name="base", points=1, per_fen=100),), spend_points=100, spend_fen=100, spend_max_bp=5_000
)


def member(*available: int, owed: int = 0) -> Member:
    """With lots 1, 2 …, which never end."""
    lots = [Lot(number, UUID(int=70 + number), None, points) for number, points in enumerate(available, start=1)]
    return Member(
        UUID(int=9), SLOT, 7, CARD, UUID(int=2), ISSUER, None, None, Account(POINTS, 3, sum(available), 0),
        Account(PENDING, 4, 0, 0), Account(DEBT, 5, owed, 0), lots,
    )  # fmt: skip


def version(number: int = 1, terms: PointsTerms = TERMS) -> TermsVersion:
    return TermsVersion(7, UUID(int=2), number, terms, NOW, "system", NOW)


def collecting(facts: Facts, who: Member, *, terms: PointsTerms = TERMS, earning: Any = None) -> Facts:
    """These facts of a member."""
    told = version(terms=terms)
    return facts._replace(points=PointsFacts([told], told, who, OF_ISSUER, () if earning is None else (earning,)))


def change_of(plan: Plan) -> tuple[Earning | None, Earning]:
    """The one earning of a plan, as it was and as it is."""
    assert len(plan.earnings) == 1
    return plan.earnings[0]
