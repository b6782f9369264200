"""Points, purely: what is earned, spent, taken back and given back always adds up."""

import doctest
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from kaquan.kit.outcomes import Refusal
from kaquan.ledger import Leg
from kaquan.points import (
    Account,
    Bought,
    BoughtLine,
    ClawbackMode,
    Earning,
    EarningRule,
    IssuerAccounts,
    LinePoints,
    Lot,
    Member,
    Multiplier,
    PointsTerms,
    Rounding,
    Tender,
    TierRule,
    check_terms,
    member_id,
    plan_clawback,
    plan_earning,
    plan_tender,
    plan_tender_return,
    price,
    price_points,
    quote_tender,
)
from kaquan.points.plan import plan_expiry, plan_maturing
from kaquan.points.price import end_of_points
from kaquan.vouchers import codes

NOW = datetime(2026, 3, 4, 2, 0, tzinfo=UTC)
ZONE = "Asia/Shanghai"
ISSUER = IssuerAccounts(granted=1, spent=2, expired=3, adjusted=4, benefits=5)
POINTS, PENDING, DEBT = 11, 12, 13
ID = UUID(int=77)


def terms(**changes: object) -> PointsTerms:
    told = {
        "rules": (EarningRule(name="base", points=1, per_fen=100),),
        "pending_days": 7,
        "valid_years": 1,
        "spend_points": 100,
        "spend_fen": 100,
        "spend_step": 100,
        "spend_max_bp": 5_000,
        **changes,
    }
    return PointsTerms(**told)  # type: ignore[arg-type]


def member(*lots: Lot, pending: Sequence[Lot] = (), owed: int = 0) -> Member:
    def of(some: Sequence[Lot], number: int) -> Account:
        return Account(number, 3, sum(lot.available for lot in some), 0)

    return Member(
        UUID(int=9), 0, 1, UUID(int=5), UUID(int=6), UUID(int=7), None, None, of(lots, POINTS), of(pending, PENDING),
        Account(DEBT, 3, owed, 0), lots, pending,
    )  # fmt: skip


def earning(parts: Sequence[tuple[int, int, int]], **changes: object) -> Earning:
    told = {
        "slot": 0, "id": ID, "book_id": 1, "member_id": UUID(int=9), "terms_version": 1,
        "points": sum(points for _, _, points in parts), "basis_fen": sum(fen for _, fen, _ in parts),
        "parts": tuple(LinePoints(*part) for part in parts), "returned": {}, "returned_fen": 0, "taken": 0, "lot": 4,
        "matures_at": NOW, "matured": False, "at": NOW, **changes,
    }  # fmt: skip
    return Earning(**told)  # type: ignore[arg-type]


def flow(legs: Sequence[Leg]) -> dict[int, int]:
    """What each account gains: credits less debits."""
    gained: dict[int, int] = {}
    for leg in legs:
        assert leg.amount_fen > 0
        gained[leg.debit_account] = gained.get(leg.debit_account, 0) - leg.amount_fen
        gained[leg.credit_account] = gained.get(leg.credit_account, 0) + leg.amount_fen
    return gained


def bought(*fen: int, kinds: Any = (), **changes: Any) -> Bought:
    lines = [
        BoughtLine(n, frozenset({kinds[n - 1]} if kinds else ()), one) for n, one in enumerate(fen, start=1)
    ]  # fmt: skip
    told = {
        "local": datetime(2026, 3, 4, 10, tzinfo=UTC), "merchant_id": UUID(int=1), "store_id": UUID(int=2),
        "trade": None, "lines": lines, **changes,
    }  # fmt: skip
    return Bought(**told)


def test_the_first_rule_that_holds_counts_and_the_highest_multiplier() -> None:
    rules = (
        EarningRule(name="none", points=0, per_fen=100, categories=frozenset({"烟"})),
        EarningRule(name="fuel", points=1, per_fen=1_000, trades=frozenset({"加油"})),
        EarningRule(name="base", points=1, per_fen=100),
    )
    factors = (
        Multiplier(name="gold", factor_bp=15_000, tiers=frozenset({"金"})),
        Multiplier(name="4th", factor_bp=30_000, days_of_month=frozenset({4})),
        Multiplier(name="birthday", factor_bp=20_000, birthday_month=True),
    )
    plain = terms(rules=rules, tiers=(TierRule(name="金", least=1),))
    doubled = terms(rules=rules, multipliers=factors, tiers=(TierRule(name="金", least=1),))
    assert check_terms(doubled) is None
    assert price_points(plain, bought(10_000)).points == 100
    assert price_points(plain, bought(10_000, trade="加油")).points == 10
    told = price_points(plain, bought(10_000, 5_000, kinds=("烟", "菜")))
    assert (told.points, told.basis_fen, [part.number for part in told.parts]) == (50, 5_000, [2])
    assert price_points(doubled, bought(10_000)).points == 300
    fifth: dict[str, Any] = {"local": datetime(2026, 3, 5, 10, 0, tzinfo=UTC)}
    assert price_points(doubled, bought(10_000, **fifth)).points == 100
    assert price_points(doubled, bought(10_000, tier="金", **fifth)).points == 150
    assert price_points(doubled, bought(10_000, tier="金", birth_month=3, **fifth)).points == 200
    assert price_points(plain, bought(0)).points == price_points(plain, bought()).points == 0
    assert price_points(terms(rounding=Rounding.HALF_UP), bought(150)).points == 2


@given(
    st.lists(st.integers(0, 10**7), min_size=1, max_size=6), st.integers(0, 50), st.integers(1, 5_000),
    st.integers(0, 100_000),
)  # fmt: skip
def test_parts_sum_to_the_points_and_rounding_loses_less_than_one(
    fen: list[int], points: int, per_fen: int, factor: int
) -> None:
    told = price_points(
        terms(
            rules=(EarningRule(name="r", points=points, per_fen=per_fen),),
            multipliers=(Multiplier(name="m", factor_bp=factor),),
        ),
        bought(*fen),
    )
    assert sum(part.points for part in told.parts) == told.points
    assert all(part.points >= 0 for part in told.parts)
    exact = sum(fen) * points * factor
    assert told.points * per_fen * 10_000 <= exact < (told.points + 1) * per_fen * 10_000


def test_what_is_earned_pays_debts_first_and_waits() -> None:
    earned = price_points(terms(), bought(10_000))
    move, kept = plan_earning(terms(), 1, earned, member(owed=30), ISSUER, transaction_id=ID, at=NOW, time_zone=ZONE)
    assert flow(move.legs) == {ISSUER.granted: -100, DEBT: 30, PENDING: 70}
    assert [(lot.account_id, lot.lot, lot.given_fen, lot.expires_at) for lot in move.lots] == [(PENDING, 4, 70, None)]
    # the end of the 7th day, in Shanghai
    assert (kept.lot, kept.matures_at) == (4, datetime(2026, 3, 11, 16, 0, tzinfo=UTC))
    assert {one.account_id for one in move.guards} == {DEBT, PENDING}

    at_once, kept = plan_earning(
        terms(pending_days=0), 1, earned, member(), ISSUER, transaction_id=ID, at=NOW, time_zone=ZONE
    )
    assert flow(at_once.legs) == {ISSUER.granted: -100, POINTS: 100}
    assert at_once.lots[0].expires_at == datetime(2027, 12, 31, 16, 0, tzinfo=UTC), "the end of next year"
    assert (kept.lot, kept.matures_at) == (None, None)
    nothing, kept = plan_earning(
        terms(), 1, price_points(terms(), bought(99)), member(), ISSUER, transaction_id=ID, at=NOW, time_zone=ZONE
    )
    assert (nothing.legs, kept.points) == ([], 0)
    assert end_of_points(terms(valid_years=None), NOW, time_zone=ZONE) is None


@given(
    st.lists(st.tuples(st.integers(1, 10**6), st.integers(0, 10**5)), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 10**6)), max_size=6),
    st.integers(0, 10**5), st.integers(0, 10**5), st.sampled_from(ClawbackMode),
)  # fmt: skip
def test_refunds_take_back_what_was_earned_once(
    lines: list[tuple[int, int]], refunds: list[tuple[int, int]], waiting: int, spendable: int, mode: ClawbackMode
) -> None:
    """However a purchase is brought back in parts, and whatever was spent meanwhile: in the end all is taken, owed or
    waived, and nothing twice."""
    wanted = terms(clawback=mode)
    kept = earning([(n, fen, points) for n, (fen, points) in enumerate(lines, start=1)])
    basis = {n: fen for n, (fen, _) in enumerate(lines, start=1)}
    left = dict(basis)
    taken = owed = waived = 0
    steps = [*((n % len(lines) + 1, fen) for n, fen in refunds), *left.items()]
    for line, fen in [*steps, *basis.items()]:
        part = min(fen, left[line])
        left[line] -= part
        who = member(
            *([Lot(1, UUID(int=3), None, spendable)] if spendable else []),
            pending=[Lot(4, ID, None, waiting)] if waiting else [],
        )
        told = plan_clawback(wanted, kept, {line: part}, who, ISSUER)
        gained = flow(told.move.legs)
        assert gained.get(ISSUER.granted, 0) == told.points - told.waived
        assert -gained.get(PENDING, 0) <= waiting
        assert -gained.get(POINTS, 0) <= spendable
        assert -gained.get(DEBT, 0) == told.owed
        waiting += gained.get(PENDING, 0)
        spendable += gained.get(POINTS, 0)
        taken += told.points
        owed += told.owed
        waived += told.waived
        assert told.points >= 0
        assert told.from_refund_fen == (told.waived if mode is ClawbackMode.REFUND else 0)
        kept = told.after
    assert not any(left.values())
    assert taken == kept.taken == kept.points
    assert owed == 0 or mode is ClawbackMode.DEBT
    assert waived == 0 or mode is not ClawbackMode.DEBT


@given(
    st.lists(st.tuples(st.integers(1, 5_000), st.none() | st.integers(-5, 400)), max_size=6), st.integers(0, 40),
    st.integers(0, 10_000),
)  # fmt: skip
def test_a_tender_takes_what_ends_soonest_and_comes_back_exactly(
    lots: list[tuple[int, int | None]], steps: int, payable: int
) -> None:
    who = member(
        *(
            Lot(n, UUID(int=n), None if days is None else NOW + timedelta(days=days), points)
            for n, (points, days) in enumerate(lots, start=1)
        )
    )
    alive = sum(lot.available for lot in who.lots if lot.expires_at is None or lot.expires_at > NOW)
    most, worth = quote_tender(terms(), who, payable_fen=payable, now=NOW)
    assert most == worth <= min(alive, payable // 2)
    points = steps * 100
    told = plan_tender(terms(), who, ISSUER, points=points, payable_fen=payable, now=NOW)
    if isinstance(told, Refusal):
        assert points > most or points == 0
        return
    assert isinstance(told, Tender)
    assert points <= most
    assert flow(told.move.legs) == {POINTS: -points, ISSUER.spent: points}
    taken = dict(told.parts)
    ends = {lot.lot: lot.expires_at or NOW + timedelta(days=9_999) for lot in who.lots}
    untouched = [ends[lot.lot] for lot in who.lots if lot.available > taken.get(lot.lot, 0) and ends[lot.lot] > NOW]
    assert all(ends[lot] <= min(untouched, default=ends[lot]) for lot in taken)
    back = plan_tender_return(told.parts, [n for _, n in told.parts], member=who, issuer=ISSUER)
    assert {leg.credit_lot: leg.amount_fen for leg in back.legs} == taken, "every lot is as it was"


def test_a_tender_is_refused_with_what_is_allowed() -> None:
    who = member(Lot(1, ID, None, 450), Lot(2, ID, NOW, 1_000))

    def code(points: int, payable_fen: int = 10_000, **changes: object) -> str:
        told = plan_tender(terms(**changes), who, ISSUER, points=points, payable_fen=payable_fen, now=NOW)
        assert isinstance(told, Refusal)
        assert told.message("zh")
        return told.code

    assert code(500) == "points_too_few"
    assert code(150) == "points_out_of_step"
    assert code(100, spend_least=200) == "points_out_of_step"
    assert code(400, payable_fen=799) == "points_above_share"
    assert code(100, spend_points=0, spend_fen=0) == "points_not_tender"


def test_what_waited_matures_with_the_days_of_its_purchase() -> None:
    who = member(pending=[Lot(4, ID, None, 60), Lot(5, UUID(int=1), None, 9)])
    move, points = plan_maturing(terms(), earning([(1, 10_000, 100)]), who, time_zone=ZONE)
    assert points == 60, "what a refund took meanwhile does not come"
    assert flow(move.legs) == {PENDING: -60, POINTS: 60}
    assert move.lots[0].expires_at == datetime(2027, 12, 31, 16, 0, tzinfo=UTC)
    assert plan_maturing(terms(), earning([(1, 1, 1)], lot=9), who, time_zone=ZONE)[1] == 0


def test_points_end_when_their_time_has_come() -> None:
    who = member(Lot(1, ID, NOW, 5), Lot(2, ID, NOW + timedelta(seconds=1), 7), Lot(3, ID, None, 9))
    move, points = plan_expiry(who, ISSUER, now=NOW)
    assert (points, flow(move.legs)) == (5, {POINTS: -5, ISSUER.expired: 5})


def test_terms_that_cannot_be_are_refused_with_their_field() -> None:
    for changes, field in (
        ({"rules": (EarningRule(name="x", points=1, per_fen=0),)}, "rules[0]"),
        ({"multipliers": (Multiplier(name="x", factor_bp=-1),)}, "multipliers[0].factor_bp"),
        ({"multipliers": (Multiplier(name="x", factor_bp=1, weekdays=frozenset({8})),)}, "multipliers[0]"),
        ({"multipliers": (Multiplier(name="x", factor_bp=1, tiers=frozenset({"金"})),)}, "multipliers"),
        ({"tiers": (TierRule(name="a", least=5), TierRule(name="b", least=5))}, "tiers"),
        ({"valid_days": 3}, "valid_days"),
        ({"valid_days": 7, "valid_years": None}, "valid_days"),
        ({"pending_days": -1}, "pending_days"),
        ({"spend_fen": 0}, "spend_points"),
        ({"spend_max_bp": 10_001}, "spend_max_bp"),
        ({"spend_points": 300, "spend_fen": 100, "spend_step": 100}, "spend_step"),
    ):
        told = check_terms(terms(**changes))
        assert isinstance(told, Refusal), changes
        assert (told.code, told.field) == ("invalid_field", field)
        assert told.message("zh")


def test_the_worked_examples_hold() -> None:
    for module in (price, codes):
        failed, tried = doctest.testmod(module)
        assert tried
        assert not failed


def test_a_member_is_in_the_slot_of_its_card_and_is_no_card() -> None:
    for number in range(200):
        card = UUID(int=number * 2**80 + number)
        assert member_id(card).int % 64 == card.int % 64
        assert member_id(card) != card
