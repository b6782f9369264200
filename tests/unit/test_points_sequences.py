"""Points over every sequence of captures, voids and refunds of a payment, by the planners themselves and a ledger in
memory: nothing is spent, given or taken twice, and when all came back every book is where it was."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.plan_facts import BOOK, CARD, ISSUER, MERCHANT, NOW, PLACE, PROGRAMME, programme

from kaquan.cards import CardStatus, Pocket
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import Effect, Leg
from kaquan.payments import Capture, Payment, PaymentStatus, Plan, Refund, Spend, Void
from kaquan.payments.capture import plan_capture
from kaquan.payments.kept import Kept, read_kept, read_part
from kaquan.payments.refund import plan_refund
from kaquan.payments.spend import plan_spend
from kaquan.payments.types import (
    AccountName,
    Accounts,
    CardFacts,
    Facts,
    LotFacts,
    OfferFacts,
    PaymentFacts,
    PocketFacts,
    PointsFacts,
    SpentLeg,
    Unopened,
)
from kaquan.payments.void import plan_void
from kaquan.points import (
    Account,
    ClawbackMode,
    Earning,
    EarningRule,
    IssuerAccounts,
    Lot,
    Member,
    PointsTerms,
    TermsVersion,
)
from kaquan.promotions import (
    Campaign,
    CampaignTerms,
    Funder,
    FunderKind,
    Holder,
    Line,
    Offer,
    OnReturn,
    Stacking,
    compile_campaigns,
)
from kaquan.promotions.kinds.amount_off import AmountOff
from kaquan.promotions.kinds.amount_off import Tier as OffTier
from kaquan.promotions.kinds.points_gift import PointsGift, Tier

PRINCIPAL, BONUS, PAYABLE, POINTS, PENDING, DEBT, ELSEWHERE = 11, 12, 21, 31, 32, 33, 99
SETTLED = IssuerAccounts(granted=41, spent=42, expired=43, adjusted=44, benefits=45)
PLANNERS: dict[type, Any] = {Spend: plan_spend, Capture: plan_capture, Void: plan_void, Refund: plan_refund}
THREE = tuple(
    Funder(kind, None if kind is not FunderKind.PARTY else UUID(int=0xBA), share)
    for kind, share in ((FunderKind.ISSUER, 3_334), (FunderKind.MERCHANT, 3_333), (FunderKind.PARTY, 3_333))
)

End = tuple[int, int | None]


class Books:
    """Accounts by lot, what a payment moved, and what is kept of it."""

    def __init__(self, terms: PointsTerms, lots: Sequence[int], on_return: OnReturn) -> None:
        self.posted: dict[End, int] = {(PRINCIPAL, 1): 700_00, (BONUS, 1): 3_33}
        self.posted |= {(POINTS, n): points for n, points in enumerate(lots, start=1)}
        self.held: dict[End, int] = {}
        self.opened: dict[AccountName, int] = {}
        self.terms = TermsVersion(BOOK, PROGRAMME, 1, terms, NOW, "system", NOW)
        self.number = 1_000
        self.payment: Payment | None = None
        self.kept: Kept | None = None
        self.parts: list[Any] = []
        self.moved: dict[tuple[int, int | None, int], list[int]] = {}
        self.earnings: dict[UUID, Earning] = {}
        self.withheld_fen = 0
        offers = (
            Offer(
                name="points", kind="points_gift", params=PointsGift(tiers=(Tier(10_00, 7),), each_time=True),
                funders=THREE, on_return=on_return, stacking=Stacking(group=""),
            ),
            Offer(name="off", kind="amount_off", params=AmountOff(tiers=(OffTier(50_00, 3_33),)), funders=THREE),
        )  # fmt: skip
        made = CampaignTerms(
            code="c", name="c", issuer_id=ISSUER, starts_at=datetime(2026, 1, 1),  # noqa: DTZ001
            ends_at=datetime(2027, 1, 1), offers=offers, control_bp=0,  # noqa: DTZ001
        )  # fmt: skip
        self.campaigns = compile_campaigns([Campaign(UUID(int=5), 1, made)])

    def available(self, account: int) -> dict[int, int]:
        return {
            lot: fen - self.held.get((id_, lot), 0)
            for (id_, lot), fen in self.posted.items()
            if id_ == account and lot is not None
        }

    def facts(self) -> Facts:
        self.number += 1
        version = self.number
        pockets = {}
        for name, account in ((Pocket.PRINCIPAL, PRINCIPAL), (Pocket.BONUS, BONUS)):
            lots = [LotFacts(lot, fen, fen, 0, None) for lot, fen in self.available(account).items()]
            pockets[name] = PocketFacts(name, account, version, sum(lot.available_fen for lot in lots), 0, lots)
        card = CardFacts(CARD, BOOK, PROGRAMME, CardStatus.ACTIVE, None, 1, pockets)

        def lots_of(account: int) -> list[Lot]:
            origins = {one.lot: one.id for one in self.earnings.values() if account == PENDING}
            return [
                Lot(lot, origins.get(lot, UUID(int=0)), NOW + timedelta(days=lot), points)
                for lot, points in self.available(account).items()
                if points
            ]

        owed = -self.posted.get((DEBT, None), 0)
        member = Member(
            UUID(int=9), 0, BOOK, CARD, PROGRAMME, ISSUER, None, None, Account(POINTS, version, 0, 0),
            Account(PENDING, version, 0, 0), Account(DEBT, version, owed, 0), lots_of(POINTS), lots_of(PENDING),
        )  # fmt: skip
        known = PointsFacts([self.terms], self.terms, member, SETTLED, tuple(self.earnings.values()))
        found = None
        if self.payment is not None:
            legs = [
                SpentLeg(*name, fen[0], fen[1], fen[2])
                for name, fen in self.moved.items()
                if name[0] in (PRINCIPAL, BONUS)
            ]
            found = PaymentFacts(self.payment, legs, self.kept, tuple(self.parts))
        offers = OfferFacts(self.campaigns, Holder(CARD), 0)
        return Facts(
            NOW, UUID(int=version), BOOK, card, programme(), found, Accounts(PAYABLE, 0, 0), offers=offers,
            points=known, opened=self.opened,
        )  # fmt: skip

    def ask(self, command: Any) -> Plan | Refusal:
        while True:
            told = PLANNERS[type(command)](self.facts(), command)
            if not isinstance(told, Unopened):
                break
            for name in told.accounts:
                payable = name.kind == "merchant_payable" and name.owner_id == MERCHANT
                self.opened[name] = PAYABLE if payable else 500 + len(self.opened)
        if isinstance(told, Plan):
            self.post(told)
        return told  # type: ignore[no-any-return]

    def post(self, plan: Plan) -> None:
        guarded = [one.account_id for one in plan.posting.guards]
        for leg in plan.posting.legs:
            self.move(leg)
            if leg.debit_account in (POINTS, PENDING, DEBT, PRINCIPAL, BONUS):
                assert leg.debit_account in guarded
        for (account, lot), fen in self.posted.items():
            assert lot is None or 0 <= self.held.get((account, lot), 0) <= fen, (account, lot)
        is_new = self.payment is None
        if is_new or plan.changed is not None:
            now = plan.new if is_new else plan.changed
            assert now is not None
            self.payment = msgspec.structs.replace(now, slot=0)
        for leg in plan.posting.legs:
            self.count(leg, is_new=is_new)
        if plan.kept is not None and is_new:
            self.kept = read_kept(plan.kept)
        elif plan.kept is not None:
            self.parts.append(read_part(plan.kept))
        for was, earning in plan.earnings:
            assert (was is None) is (earning.id not in self.earnings)
            assert 0 <= earning.granted_taken <= earning.granted
            assert 0 <= earning.taken <= earning.points
            self.earnings[earning.id] = earning
        self.withheld_fen += plan.receipt.withheld_fen

    def move(self, leg: Leg) -> None:
        effect, debit, debit_lot, credit, credit_lot, fen = leg
        assert fen > 0
        if effect in (Effect.RESERVE, Effect.CAPTURE, Effect.RELEASE):
            sign = 1 if effect is Effect.RESERVE else -1
            for end in ((debit, debit_lot), (credit, credit_lot)):
                self.held[end] = self.held.get(end, 0) + sign * fen
        if effect in (Effect.POST, Effect.CAPTURE):
            self.posted[debit, debit_lot] = self.posted.get((debit, debit_lot), 0) - fen
            self.posted[credit, credit_lot] = self.posted.get((credit, credit_lot), 0) + fen

    def count(self, leg: Leg, *, is_new: bool) -> None:
        effect, debit, debit_lot, credit, credit_lot, fen = leg
        if debit_lot is None and credit_lot is not None:
            self.moved.setdefault((credit, credit_lot, debit), [0, 0, 0])[2] += fen
        elif debit_lot is not None and (is_new or effect is not Effect.POST):
            sums = self.moved.setdefault((debit, debit_lot, credit), [0, 0, 0])
            sums[0] += fen if effect is Effect.RESERVE else 0 if effect is Effect.POST else -fen
            sums[1] += fen if effect in (Effect.POST, Effect.CAPTURE) else 0

    def drain(self, points: int) -> int:
        """Spend points elsewhere; how many there were."""
        taken = 0
        for lot, there in self.available(POINTS).items():
            part = min(points - taken, there)
            if part > 0:
                self.move(Leg(Effect.POST, POINTS, lot, ELSEWHERE, None, part))
                taken += part
        return taken

    def sums(self) -> dict[int, int]:
        found: dict[int, int] = {}
        for (account, _), fen in self.posted.items():
            found[account] = found.get(account, 0) + fen
        return {account: fen for account, fen in found.items() if fen}

    def state(self) -> tuple[Mapping[End, int], Mapping[End, int]]:
        return {end: fen for end, fen in self.posted.items() if fen}, {
            end: fen for end, fen in self.held.items() if fen
        }


steps = st.lists(
    st.tuples(st.sampled_from(["capture", "refund", "lines", "drain"]), st.integers(1, 60_00), st.integers(1, 3)),
    max_size=8,
)


@given(
    amounts=st.lists(st.integers(1, 60_00), min_size=1, max_size=3), lots=st.lists(st.integers(1, 400), max_size=3),
    tender=st.integers(0, 90), authorize=st.booleans(), mode=st.sampled_from(ClawbackMode),
    pending=st.sampled_from([0, 7]), on_return=st.sampled_from([OnReturn.SHARE, OnReturn.THRESHOLD]),
    what=steps, ends_in_void=st.booleans(),
)  # fmt: skip
@settings(max_examples=80, deadline=None)
def test_points_are_exact_over_every_sequence(
    amounts: list[int], lots: list[int], tender: int, authorize: bool, mode: ClawbackMode, pending: int,
    on_return: OnReturn, what: list[tuple[str, int, int]], ends_in_void: bool,
) -> None:  # fmt: skip
    terms = PointsTerms(
        rules=(EarningRule(name="r", points=1, per_fen=97),), spend_points=10, spend_fen=100, pending_days=pending,
        clawback=mode,
    )  # fmt: skip
    books = Books(terms, lots, on_return)
    before = books.state()
    sums_before = books.sums()
    lines = tuple(Line(n, f"s{n}", frozenset(), 1, fen) for n, fen in enumerate(amounts, start=1))
    spend = Spend(CARD, sum(amounts), PLACE, NOW, None, authorize, 3_600 if authorize else None, lines=lines)
    told = books.ask(spend._replace(points=tender))
    if isinstance(told, Refusal):
        assert told.code in ("points_too_few", "points_above_share")
        assert books.state() == before
        return
    drained = 0
    for step, fen, number in what:
        if step == "drain":
            drained += books.drain(fen)
        elif step == "capture":
            books.ask(Capture(told.receipt.payment.id, fen, final=number == 3))
        elif step == "refund":
            books.ask(Refund(told.receipt.payment.id, fen, NOW))
        else:
            books.ask(Refund(told.receipt.payment.id, None, NOW, lines=((number, fen),)))
    if authorize:
        rest: Any = (
            Void(told.receipt.payment.id) if ends_in_void else Capture(told.receipt.payment.id, None, final=True)
        )
        books.ask(rest)
    assert books.payment is not None
    assert books.payment.status is not PaymentStatus.OPEN
    books.ask(Refund(told.receipt.payment.id, None, NOW))
    again = books.ask(Refund(told.receipt.payment.id, None, NOW))
    assert isinstance(again, Refusal)
    assert not any(books.held.values()), "nothing is set aside any more"
    sums = books.sums()
    # money: what was kept back is the issuer's, who pays for points
    card_fen = sums.get(PRINCIPAL, 0) + sums.get(BONUS, 0)
    assert card_fen == 703_33 - books.withheld_fen
    assert sums.get(PAYABLE, 0) == 0
    # points: what was earned and given is taken, owed, or let go for those that were spent
    waived = -sums.get(SETTLED.granted, 0) - sum(
        sums.get(books.opened[name], 0) for name in books.opened if name.kind == "points_offered"
    )
    have = sums.get(POINTS, 0) + sums.get(PENDING, 0) + sums.get(DEBT, 0)
    assert have == sum(lots) - drained + waived
    assert sums.get(SETTLED.spent, 0) == 0
    assert 0 <= waived <= drained
    assert waived == 0 or mode is not ClawbackMode.DEBT
    assert all(one.taken == one.points for one in books.earnings.values())
    if mode is ClawbackMode.REFUND:
        assert waived * 10 - len(books.earnings) * 10 * (len(what) + 1) <= books.withheld_fen <= waived * 10
    else:
        assert books.withheld_fen == 0
    if not drained:
        assert sums == sums_before
        # points that do not wait are taken from what ends soonest
        assert books.state() == before or not pending
